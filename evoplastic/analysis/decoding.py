"""Decoding over time: at which steps of a trial activity tells a label, and whether it tells it in the same way.

A decoder (`discriminant`) is fitted at each step and tested at every step, on trials that it was not fitted on. A score
is balanced, so chance is 1 / classes however many trials each class has:

    accuracy[train, test] = mean over classes of the share of its held-out trials that are told right

A code that stays gives a square, a code that moves a diagonal (King and Dehaene 2014). Permuted labels say what chance
does: within each point (`band`), and at the highest point of the whole matrix (`threshold`; Nichols and Holmes 2002).
Published decoding of this kind swapped the two axes and scaled test trials by their own statistics; neither is done.

Labels that go with kinds of trials, and that drift within blocks of trials as activity does, are told by kinds and
drift. Beyond these they are told among trials of equal kind, with the accuracy within each of the kinds k, weighted by
n_k0 n_k1 / n_k, and orders of labels exchange the two trials of a `pair`, which share the drift.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from evoplastic.analysis.discriminant import accuracies, fold_of
from evoplastic.errors import UserError
from evoplastic.random import Purpose, permutation, stream_key

FEWEST_PERMUTATIONS = 39  # for a band of 95 %: 40 orders with the true one, one beyond either end

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Decoding:
    """How well a label is told, by the step of fitting and the step of testing."""

    matrix: Array  # (S, S) accuracy [train, test]
    chance: float
    band: Array | None  # (2, S, S): of 95 % of permutations at each point, both ends included
    threshold: float | None  # that the highest point of 5 % of permuted matrices is above
    trials: int
    folds: int
    permutations: int

    @property
    def told(self) -> Array | None:
        """Where (S, S) the threshold is passed by decoders that pass it at their own step too.

        A decoder fitted to noise points somewhere all the same, and at a step with a strong code that is luck, good or
        bad, of which permuted labels know nothing. Off the diagonal some of that luck remains: look at the height.
        """
        above = None if self.threshold is None else self.matrix > self.threshold
        return None if above is None else above & np.diagonal(above)[:, None]

    def to_json(self) -> dict[str, Any]:
        """Return the decoding in JSON's words; rows of the matrices are training steps."""
        values = vars(self) | {"told": self.told}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def generalise(
    activity: ArrayLike,
    labels: ArrayLike,
    blocks: ArrayLike | None = None,
    folds: int = 5,
    permutations: int = 200,
    seed: int = 0,
    given: ArrayLike | None = None,
) -> Decoding:
    """Return how well `labels` (n,) are told by `activity` (n, S, N), for every pair of steps.

    Trials of one block, such as a life, are never parted by folds, and labels are permuted within blocks: they must be
    exchangeable there. Without `blocks` trials are on their own; then folds hold equal shares of each class and labels
    are permuted within folds. Without permutations there is neither band nor threshold. With kinds of trials (n,) that
    are `given`, two classes are told beyond these, and labels are permuted within `pairs`; trials of a block must then
    be in the order of time.

    UserError for activity that is not finite, a single class, labels that never differ within a block or pair, fewer
    blocks than folds, or a class that some fold would have to learn from nothing; ValueError for shapes and numbers.
    """
    activity, labels = np.asarray(activity), np.asarray(labels)
    blocks = None if blocks is None else np.asarray(blocks)
    kinds = np.zeros(labels.shape, np.int64) if given is None else np.unique(given, return_inverse=True)[1]
    _check_shapes(activity, labels, blocks, kinds)
    _check_numbers(folds, permutations)
    names, codes = np.unique(labels, return_inverse=True)
    _check_trials(activity, names, codes, blocks, folds)
    within, groups = bool(kinds.any()), blocks
    if within:
        groups = _pairs_of(codes, blocks, kinds)
    fold = _dealt(codes, blocks, folds, seed)
    for code, name in enumerate(names.tolist()):
        if len(np.unique(fold[codes == code])) < 2:
            raise UserError(f"trials labelled {name!r} are in one of {folds} folds only; give more to learn from too")
    columns = codes.astype(np.int16)[_orders(fold if groups is None else groups, permutations, seed)]
    share = _shares(codes, kinds)
    with threadpool_limits(1):  # equal bits on any number of cores
        parts = [fold_of(activity, fold != held, kinds, codes if within else None) for held in range(folds)]
        rows = (accuracies(activity, columns, share, kinds, parts, step) for step in range(activity.shape[1]))
        matrix, band, threshold = _summary(rows, permutations)
    return Decoding(matrix, 1.0 / len(names), band, threshold, len(labels), folds, permutations)


def pairs(blocks: Array, kinds: Array) -> Array:
    """Return which trials (n,) make a pair: two of one kind that follow on each other in one block.

    Where such trials are odd in number the last three go together, and a single one stays alone.
    """
    paired, first = np.empty(len(blocks), np.int64), 0
    for block, kind in sorted(set(zip(blocks.tolist(), kinds.tolist()))):
        alike = np.flatnonzero((blocks == block) & (kinds == kind))
        count = max(1, len(alike) // 2)
        paired[alike] = first + np.minimum(np.arange(len(alike)) // 2, count - 1)
        first += count
    return paired


def _check_shapes(activity: Array, labels: Array, blocks: Array | None, kinds: Array) -> None:
    if activity.ndim != 3 or not activity.size:
        raise ValueError(f"activity must have shape (trials, steps, units), none of them 0, got {activity.shape}")
    for name, each in (("labels", labels), ("blocks", blocks), ("given", kinds)):
        if each is not None and each.shape != activity.shape[:1]:
            raise ValueError(f"{name} must have shape {activity.shape[:1]} as there are trials, got {each.shape}")


def _check_numbers(folds: int, permutations: int) -> None:
    if folds < 2:
        raise ValueError(f"folds must be at least 2, got {folds}")
    if permutations and permutations < FEWEST_PERMUTATIONS:
        raise ValueError(f"permutations must be 0 or at least {FEWEST_PERMUTATIONS}, got {permutations}")


def _check_trials(activity: Array, names: Array, codes: Array, blocks: Array | None, folds: int) -> None:
    if not np.isfinite(activity).all():
        bad = np.count_nonzero(~np.isfinite(activity))
        raise UserError(f"activity must be finite, got {bad} of {activity.size} values that are not; leave them out")
    if len(names) < 2:
        raise UserError(f"all trials are labelled {names.tolist()[0]!r}; give trials of two or more classes")
    count, what = (len(codes), "trials") if blocks is None else (len(np.unique(blocks)), "blocks of trials")
    if count < folds:
        raise UserError(f"{folds} folds need as many {what}, got {count}; choose fewer folds or give more {what}")
    if blocks is not None and not _differ(codes, blocks):
        raise UserError("labels never differ within a block of trials, so they cannot be permuted; give larger blocks")


def _pairs_of(codes: Array, blocks: Array | None, kinds: Array) -> Array:
    """Return the pairs of trials (n,), if there are two classes and they differ within some pair."""
    if codes.max() > 1 or blocks is None:
        raise ValueError("where kinds are given, there must be blocks and two classes")
    paired = pairs(blocks, kinds)
    if not _differ(codes, paired):
        raise UserError("neighbouring trials of equal kind are all labelled alike; give trials of which some are not")
    return paired


def _differ(codes: Array, groups: Array) -> bool:
    """Return whether labels (n,) differ within any of the groups of trials (n,)."""
    return len(set(zip(groups.tolist(), codes.tolist()))) > len(np.unique(groups))


def _shares(codes: Array, kinds: Array) -> Array:
    """Return what a right trial adds to accuracy, by kind and class."""
    counts = np.zeros((kinds.max() + 1, codes.max() + 1))
    np.add.at(counts, (kinds, codes), 1.0)
    weight = counts.prod(axis=1) / counts.sum(axis=1) if len(counts) > 1 else np.ones(1)
    shares: Array = (weight / weight.sum())[:, None] / (counts.shape[1] * np.maximum(counts, 1.0))
    return shares


def _dealt(codes: Array, blocks: Array | None, folds: int, seed: int) -> Array:
    """Return each trial's fold (n,): blocks in random order in turn, or without blocks trials, class after class."""
    key, which = stream_key(seed, Purpose.CONTROL, 0), np.arange(len(codes))
    if blocks is None:
        order = permutation(key, len(codes))
        order = order[np.argsort(codes[order], kind="stable")]
    else:
        which = np.unique(blocks, return_inverse=True)[1]
        order = permutation(key, int(which.max()) + 1)
    fold_of = np.empty(len(order), np.int64)
    fold_of[order] = np.arange(len(order)) % folds
    return fold_of[which]


def _orders(groups: Array, permutations: int, seed: int) -> Array:
    """Return (n, 1 + permutations): the order that is, and random ones in which no trial leaves its group."""
    orders = np.tile(np.arange(len(groups))[:, None], 1 + permutations)
    places = np.argsort(groups, kind="stable")
    for number in range(1, 1 + permutations):
        drawn = permutation(stream_key(seed, Purpose.CONTROL, 1, number), len(groups))
        orders[places, number] = drawn[np.argsort(groups[drawn], kind="stable")]
    return orders


def _summary(rows: Iterable[Array], permutations: int) -> tuple[Array, Array | None, float | None]:
    """Return the matrix, the band and the threshold of rows of accuracy (S, 1 + permutations).

    Ranks count the true order among the permuted ones, so neither is passed by chance more often than promised.
    """
    matrix, bands, highest, beyond = [], [], np.zeros(permutations), (permutations + 1) // 40
    for row in rows:
        matrix.append(row[:, 0])
        if permutations:
            null = np.sort(row[:, 1:], axis=1)
            bands.append((null[:, beyond - 1], null[:, permutations - beyond]))
            highest = np.maximum(highest, row[:, 1:].max(axis=0))
    if not permutations:
        return np.array(matrix), None, None
    threshold = np.sort(highest)[permutations - (permutations + 1) // 20]
    return np.array(matrix), np.array(bands).swapaxes(0, 1), float(threshold)
