"""Decoding over time: at which steps of a trial activity tells a label, and whether it tells it in the same way.

A decoder is fitted at each step and tested at every step, on trials of folds that it was not fitted on. Let z be
activity at a step, scaled by mean and spread of the fold's *training* trials at that same step, so that what all trials
share says nothing; m_c the mean of class c and S the covariance of all N units at the training step. Then

    G = (1 - a) S + a I                                            a by Ledoit and Wolf 2004
    told: the class c of the largest  m_c' G^-1 z - m_c' G^-1 m_c / 2

which is Fisher's linear discriminant with equal priors where there are two classes, and since G knows no labels, one G
serves all permutations of them. A score is balanced, so chance is 1 / classes however many trials each class has:

    accuracy[train, test] = mean over classes of the share of its held-out trials that are told right

A code that stays gives a square, a code that moves a diagonal (King and Dehaene 2014). Permuted labels say what chance
does: within each point (`band`), and at the highest point of the whole matrix (`threshold`; Nichols and Holmes 2002).
Published decoding of this kind swapped the two axes and scaled test trials by their own statistics; neither is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits

from evoplastic.errors import UserError
from evoplastic.networks.roles import CLAMPED
from evoplastic.random import Purpose, permutation, stream_key
from evoplastic.recordings import Recording
from evoplastic.tasks.truth_tables import stimuli_of

FEWEST_PERMUTATIONS = 39  # for a band of 95 %: 40 orders with the true one, one beyond either end
LEAST_SHRINKAGE = 1e-3  # so that units that do the same leave G invertible
FLAT = 1e-6  # of a unit's mean: less spread is rounding

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


class Samples(NamedTuple):
    """Trials of a recording, life after life: n trials of S steps, U units that decide."""

    activity: Array  # (n, S, U)
    lives: Array  # (n,)
    labels: dict[str, Array]  # name -> (n,)


class _Fold(NamedTuple):
    """Trials that are held out, and the scale that the others give."""

    train: Array  # (m,) trials
    mean: Array  # (S, N)
    spread: Array  # (S, N), infinite where a unit is flat
    test: Array  # (h,) trials
    held: Array  # (S, h, N + 1) float32: the test trials, scaled, and a 1


def generalise(
    activity: ArrayLike,
    labels: ArrayLike,
    blocks: ArrayLike | None = None,
    folds: int = 5,
    permutations: int = 200,
    seed: int = 0,
) -> Decoding:
    """Return how well `labels` (n,) are told by `activity` (n, S, N), for every pair of steps.

    Trials of one block, such as a life, are never parted by folds, and labels are permuted within blocks: they must be
    exchangeable there. Without `blocks` trials are on their own; then folds hold equal shares of each class and labels
    are permuted within folds. Without permutations there is neither band nor threshold.

    UserError for activity that is not finite, a single class, labels that never differ within a block, fewer blocks
    than folds, or a class that some fold would have to learn from nothing; ValueError for shapes and numbers.
    """
    activity, labels = np.asarray(activity), np.asarray(labels)
    blocks = None if blocks is None else np.asarray(blocks)
    _check_shapes(activity, labels, blocks, folds, permutations)
    names, codes = np.unique(labels, return_inverse=True)
    _check_trials(activity, names, codes, blocks, folds)
    fold_of = _dealt(codes, blocks, folds, seed)
    for code, name in enumerate(names.tolist()):
        if len(np.unique(fold_of[codes == code])) < 2:
            raise UserError(f"trials labelled {name!r} are in one of {folds} folds only; give more to learn from too")
    columns = codes.astype(np.int16)[_orders(fold_of if blocks is None else blocks, permutations, seed)]
    share = 1.0 / (len(names) * np.bincount(codes))
    with threadpool_limits(1):  # equal bits on any number of cores
        parts = [_fold(activity, fold_of != fold) for fold in range(folds)]
        rows = (_row(activity, columns, share, parts, step) for step in range(activity.shape[1]))
        matrix, band, threshold = _summary(rows, permutations)
    return Decoding(matrix, 1.0 / len(names), band, threshold, len(labels), folds, permutations)


def samples_of(recording: Recording, tables: Mapping[str, str], trials: range | None = None) -> Samples:
    """Return the `trials` (None: all) of each life with the labels of `labels_of`, and the units that decide.

    Those are units that no task clamps and that are not read as the response. UserError for trials not recorded.
    """
    wanted = {} if trials is None else {"trial": trials}
    roles = sorted(set(recording.labels["unit"].tolist()) - {*CLAMPED, "response"})
    rates = recording["rates"].select(unit=roles, **wanted)
    chosen = np.isin(recording.labels["trial"], rates.labels["trial"])
    labels = {name: of[:, chosen].reshape(-1) for name, of in labels_of(recording, tables).items()}
    lives, count, steps, units = rates.values.shape
    return Samples(rates.values.reshape(-1, steps, units), np.repeat(np.arange(lives), count), labels)


def labels_of(recording: Recording, tables: Mapping[str, str]) -> dict[str, Array]:
    """Return (L, T) labels 0 and 1: "stimulus 1", ..., "stimulus k" and "response", the one that was given.

    `tables` are the truth tables of a battery; of a task of stimuli in turn, a trial's type is their bits, the first
    one highest, and it was answered by its table's digit if correct. Each life must be of one task. Where a table leans
    to one digit, stimuli and response go together, and decoding one is decoding the other in part.
    UserError if the recording's task has no table among them, or trials have types that the table has not.
    """
    task, kinds = recording.about["task"], recording["kinds"].values
    if task not in tables:
        raise UserError(f"task {task!r} has no truth table, so its trials have no labels; record one of {list(tables)}")
    if kinds.min() < 0 or kinds.max() >= len(tables[task]):
        raise UserError(
            f"types of trials must be 0 to {len(tables[task]) - 1} as in the truth table of {task!r}, "
            f"got {kinds.min()} to {kinds.max()}; give the tables of the run that was recorded"
        )
    stimuli = stimuli_of(tables[task])
    labels = {f"stimulus {number + 1}": kinds >> (stimuli - 1 - number) & 1 for number in range(stimuli)}
    correct = recording["scores"].select(score="correct").values[..., 0] > 0.5
    target = np.array([int(digit) for digit in tables[task]])[kinds]
    return labels | {"response": np.where(correct, target, 1 - target)}


def early_and_late(recording: Recording, count: int) -> tuple[range, range]:
    """Return the first and the last `count` trials that are recorded; UserError if there are not twice as many."""
    recorded = recording.labels["trial"]
    if not 1 <= count <= len(recorded) // 2:
        most = f"{len(recorded) // 2} trials each, as {len(recorded)} are recorded"
        raise UserError(f"early and late must be 1 to {most}, got {count}; choose fewer or record more")
    first, last = int(recorded[0]), int(recorded[-1])
    return range(first, first + count), range(last + 1 - count, last + 1)


def _check_shapes(activity: Array, labels: Array, blocks: Array | None, folds: int, permutations: int) -> None:
    if activity.ndim != 3 or not activity.size:
        raise ValueError(f"activity must have shape (trials, steps, units), none of them 0, got {activity.shape}")
    for name, each in (("labels", labels), ("blocks", labels if blocks is None else blocks)):
        if each.shape != activity.shape[:1]:
            raise ValueError(f"{name} must have shape {activity.shape[:1]} as there are trials, got {each.shape}")
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
    if blocks is not None and len(set(zip(blocks.tolist(), codes.tolist()))) == count:
        raise UserError("labels never differ within a block of trials, so they cannot be permuted; give larger blocks")


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


def _fold(activity: Array, training: Array) -> _Fold:
    """Return the fold that learns from the trials `training` (n,) and is tested on the others."""
    train, test = np.flatnonzero(training), np.flatnonzero(~training)
    mean, spread = activity[train].mean(axis=0, dtype=np.float64), activity[train].std(axis=0, dtype=np.float64)
    spread = np.where(spread > FLAT * np.abs(mean), spread, np.inf)
    held = np.ones((activity.shape[1], len(test), activity.shape[2] + 1), np.float32)
    held[..., :-1] = ((activity[test] - mean) / spread).swapaxes(0, 1)
    return _Fold(train, mean, spread, test, held)


def _row(activity: Array, columns: Array, share: Array, folds: list[_Fold], step: int) -> Array:
    """Return accuracy (S, P) of decoders fitted at `step`, tested at every step, for each column of labels (n, P).

    `share` (classes,) is what one trial of a class adds to accuracy.
    """
    accuracy = np.zeros((activity.shape[1], columns.shape[1]))
    for fold in folds:
        scaled = (activity[fold.train, step] - fold.mean[step]) / fold.spread[step]
        weights = _decoder(scaled, columns[fold.train], len(share))
        scores = (fold.held @ weights.reshape(len(weights), -1)).reshape(*fold.held.shape[:2], *weights.shape[1:])
        truth = columns[fold.test]
        accuracy += np.einsum("shp,hp->sp", _told(scores) == truth, share[truth])
    return accuracy.round(12)  # so that equal counts are equal numbers


def _told(scores: Array) -> Array:
    """Return the class (S, h, P) of the largest score, given those of all classes but 0, (S, h, classes - 1, P)."""
    best = np.zeros(1, np.float32)
    told = (scores[:, :, 0] > best).astype(np.int16)
    for code in range(2, scores.shape[2] + 1):
        best = np.maximum(best, scores[:, :, code - 2])
        told = np.where(scores[:, :, code - 1] > best, np.int16(code), told)
    return told


def _decoder(scaled: Array, columns: Array, classes: int) -> Array:
    """Return weights (N + 1, classes - 1, P) of the score of each class over that of class 0, the last for a 1.

    `scaled` (m, N) are training trials, `columns` (m, P) their labels under each permutation.
    """
    means = np.stack([scaled.T @ (columns == code) / (columns == code).sum(axis=0) for code in range(classes)], axis=1)
    apart = means[:, 1:] - means[:, :1]
    weights = cho_solve(cho_factor(_covariance(scaled)), apart.reshape(len(apart), -1)).reshape(apart.shape)
    middles = (means[:, 1:] + means[:, :1]) / 2
    return np.concatenate([weights, -(middles * weights).sum(axis=0, keepdims=True)]).astype(np.float32)


def _covariance(scaled: Array) -> Array:
    """Return the covariance G (N, N) of `scaled` (m, N), whose columns have mean 0, shrunk towards the identity.

    a = mean over trials of |z z' - S|^2 / m, of |S - I|^2, at most 1: the error of S as a share of its distance from I.
    Units have variance 1 and the distance lies off the diagonal; flat ones, of variance 0, are as if they were not.
    """
    m, units = scaled.shape
    covariance: Array = scaled.T @ scaled / m
    distance = np.square(covariance).sum() - np.square(np.diagonal(covariance)).sum()
    error = (np.square(np.square(scaled).sum(axis=1)).mean() - np.square(covariance).sum()) / m
    shrinkage = 1.0 if error >= distance else max(error / distance, LEAST_SHRINKAGE)
    covariance *= 1.0 - shrinkage
    covariance[np.diag_indices(units)] += shrinkage
    return covariance


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
