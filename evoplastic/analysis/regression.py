"""Sparse linear regression: the few columns of a dictionary that make a target, as blocks left out confirm.

    target = sum over chosen terms of coefficient * column + residual              no intercept; a constant is a column

Columns are brought to a root mean square of 1. Forward selection takes in the column that leaves the least residual,
up to MOST_TERMS times; then the least useful ones leave one by one, so that one taken in early for its likeness to a
sum of others can go. That gives a model of each size. Every block in turn is predicted by models chosen and fitted on
the others. Taken is the smallest size whose squared error is not clearly above that of the best size: by LEAST_SHARE
of the squared target, and by SURENESS standard errors of the mean over blocks of the difference or of its logarithm,
log(error / best), lest few blocks with most of the target decide. What is chosen is fitted to all samples by least
squares; standard errors are those of blocks, not of samples:

    V = A^-1 (sum over blocks of (X_b' r_b) (X_b' r_b)') A^-1  B (n - 1) / ((B - 1) (n - k)),  A = X'X

All is computed from each block's sums of products, so samples are read once. Thresholded least squares over a grid of
thresholds (Brunton, Proctor, Kutz 2016) chooses about as well where sizes are compared like this, at several times the
cost; an information criterion over samples names false terms in half of all rules or more, since samples of a
block are not independent. Sources: stepwise selection and the rule of standard errors, Hastie, Tibshirani, Friedman
2009, chapters 3.3 and 7.10; the errors of blocks, Liang and Zeger 1986, Cameron and Miller 2015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_TERMS = 10
SURENESS = 2.0  # standard errors, of a model against a smaller one
NOISE = 3.0  # standard errors, of a residual against errors of measuring
LEAST_SHARE = 1e-5  # of the squared target, that a further term must explain
_INDEPENDENT = 1e-8  # least share of a column that those chosen before do not make
_ALIKE = 1.0 - 1e-9  # cosine of columns that no sample tells apart
_RESOLVED = 1e-15  # least eigenvalue that sums in double precision tell from 0, as a share of the largest

Array = NDArray[np.float64]


class Estimate(NamedTuple):
    """A term with its coefficient."""

    name: str
    coefficient: float
    error: float  # standard error over blocks


@dataclass(frozen=True)
class Fit:
    """What the regression found, whether or not it explains much."""

    terms: tuple[Estimate, ...]  # in the order of the dictionary
    explained: float  # R^2 of blocks left out; against no change where all chosen columns are constant
    condition: float  # number of the chosen columns, at a root mean square of 1
    dictionary_condition: float  # of all columns
    alike: Mapping[str, str]  # columns left out -> the earlier column that they are a multiple of
    silent: tuple[str, ...]  # columns left out that are 0 in all samples


class _Sums(NamedTuple):
    products: Array  # (B, K + 1, K + 1): of scaled columns, the target last, over each block's samples
    totals: Array  # (B, K + 1): sums of the same
    sizes: Array  # (B,): samples


def sparse_fit(columns: Array, names: Sequence[str], target: Array, blocks: NDArray[np.int64]) -> Fit:
    """Return the fit of `target` (n,) by few of `columns` (n, K) with `names` (K,); `blocks` (n,) says which are one.

    Of columns that are multiples of each other the first stands for all. ValueError unless shapes agree, all numbers
    are finite, some target is not 0, and there are two blocks or more.
    """
    _check(columns, names, target, blocks)
    scale = np.sqrt(np.mean(columns**2, axis=0))
    heard = np.flatnonzero(scale > 0.0)
    unit = float(np.sqrt(np.mean(target**2)))
    sums = _sums(np.column_stack([columns[:, heard] / scale[heard], target / unit]), blocks)
    kept, alike = _distinct(sums.products.sum(axis=0)[:-1, :-1] / len(target))
    sums = _Sums(sums.products[:, [*kept, -1]][:, :, [*kept, -1]], sums.totals[:, [*kept, -1]], sums.sizes)
    chosen, explained = _choose(sums)
    number = heard[kept]  # of a column in the dictionary
    coefficients, errors = _estimates(sums, chosen)
    back = unit / scale[number[chosen]]
    found = zip(number[chosen].tolist(), coefficients * back, errors * back)
    whole = sums.products.sum(axis=0)
    return Fit(
        tuple(Estimate(names[column], float(value), float(error)) for column, value, error in found),
        explained,
        _condition(whole[np.ix_(chosen, chosen)]),
        _condition(whole[:-1, :-1]),
        {names[heard[left]]: names[heard[stands]] for left, stands in alike.items()},
        tuple(name for name, size in zip(names, scale) if size == 0.0),
    )


def beyond_noise(residual: Array, target: Array, places: NDArray[np.int64], still: NDArray[np.int64]) -> float:
    """Return the share of a squared target (n,) that a residual r has beyond what errors of measuring make of it.

        sum over neighbours of (r_t^2 + r_(t+1)^2) / 2 + 2 r_t r_(t+1), less NOISE sqrt(2 n) mean r^2

    at least 0. The target is how much something measured changes in a step. An error of measuring comes and goes: it
    adds to one change what it takes from the next. So the sum's mean is 0 whatever the errors' size, and its standard
    error that with n neighbours, if errors are all there is; what a model lacks stays. Samples at places p and p + 1
    are neighbours; `still` counts those of a sample in which, measured without error, nothing changed: their residual
    is 0.
    """
    pairs = np.diff(places) == 1
    shared = 0.5 * (residual[1:] ** 2 + residual[:-1] ** 2) + 2.0 * residual[1:] * residual[:-1]
    by_chance = NOISE * np.sqrt(2.0 * pairs.sum()) * np.mean(residual**2)
    beyond = max(float(shared[pairs].sum() - by_chance), 0.0) + float(np.sum(0.5 * still * residual**2))
    return beyond / float(np.sum(target**2))


def _check(columns: Array, names: Sequence[str], target: Array, blocks: NDArray[np.int64]) -> None:
    if columns.shape != (len(target), len(names)) or blocks.shape != target.shape:
        raise ValueError(
            f"columns must be (samples, names), target and blocks (samples,), got {columns.shape} with {len(names)} "
            f"names, {target.shape} and {blocks.shape}"
        )
    if not (np.isfinite(columns).all() and np.isfinite(target).all() and target.any()):
        raise ValueError("columns and target must be finite, and some target other than 0")
    if len(np.unique(blocks)) < 2:
        raise ValueError(f"blocks must be two or more, got {len(np.unique(blocks))}")


def _sums(table: Array, blocks: NDArray[np.int64]) -> _Sums:
    """Return each block's sums of products of a table's columns (n, K + 1)."""
    order = np.argsort(blocks, kind="stable")
    cuts = np.flatnonzero(np.diff(blocks[order])) + 1
    parts = np.split(table[order], cuts)
    return _Sums(
        np.stack([part.T @ part for part in parts]),
        np.stack([part.sum(axis=0) for part in parts]),
        np.array([float(len(part)) for part in parts]),
    )


def _distinct(cosines: Array) -> tuple[list[int], dict[int, int]]:
    """Return the columns that stand for all, given cosines between them, and of the others which stands for each."""
    kept: list[int] = []
    alike = {}
    for column in range(len(cosines)):
        same = [other for other in kept if abs(cosines[other, column]) > _ALIKE]
        if same:
            alike[column] = same[0]
        else:
            kept.append(column)
    return kept, alike


def _choose(sums: _Sums) -> tuple[list[int], float]:
    """Return the chosen columns in the dictionary's order, and the explained share of blocks left out."""
    whole = sums.products.sum(axis=0)
    models = _models(np.concatenate([whole - sums.products, whole[None]]))  # without each block, and of all
    errors = np.stack([_held_out(whole, sums.products, model[:-1]) for model in models], axis=1)  # (B, sizes)
    best = int(errors.sum(axis=0).argmin())
    least = LEAST_SHARE * whole[-1, -1]
    ratio = np.log(errors + least / len(errors))
    above = errors - errors[:, [best]]
    clear = _clear(ratio - ratio[:, [best]]) | _clear(above)
    size = int(np.argmin(clear & (above.sum(axis=0) > least)))
    chosen = sorted(models[size][-1].tolist())
    return chosen, 1.0 - float(errors[:, size].sum()) / _spread(sums, chosen)


def _clear(above: Array) -> NDArray[np.bool_]:
    """Return for each size whether the mean over blocks (B, sizes) is clearly above 0."""
    clear: NDArray[np.bool_] = above.mean(axis=0) > SURENESS * above.std(axis=0, ddof=1) / np.sqrt(len(above))
    return clear


def _held_out(whole: Array, blocks: Array, models: NDArray[np.int64]) -> Array:
    """Return the squared error (B,) in each block of its model (B, size), fitted to all other blocks."""
    weights = _solved(_part(whole - blocks, models), _along(whole - blocks, models))
    along = np.sum(weights * _along(blocks, models), axis=1)
    within = np.einsum("bi,bij,bj->b", weights, _part(blocks, models), weights)
    errors: Array = np.maximum(blocks[:, -1, -1] - 2.0 * along + within, 0.0)
    return errors


def _models(products: Array) -> list[NDArray[np.int64]]:
    """Return models of each size, 0 columns first, for each of some sums of products (F, K + 1, K + 1).

    Models of a size are (F, size): forward selection to the largest, backward elimination from it.
    """
    model = _forward(products)
    models = [model]
    while model.shape[1]:
        inverse = np.linalg.inv(_part(products, model))
        weights = np.einsum("fij,fj->fi", inverse, _along(products, model))
        growth = weights**2 / np.einsum("fii->fi", inverse)  # of the squared error without each
        stays = np.arange(model.shape[1]) != growth.argmin(axis=1)[:, None]
        model = model[stays].reshape(len(model), -1)
        models.append(model)
    return models[::-1]


def _forward(products: Array) -> NDArray[np.int64]:
    """Return up to MOST_TERMS columns, each the one that then leaves the least squared error, (F, columns)."""
    left = products.copy()  # sums of products of what the chosen columns do not make
    size = np.einsum("fii->fi", products)[:, :-1]
    every = np.arange(len(products))
    chosen = np.zeros((len(products), 0), np.int64)
    for _ in range(min(MOST_TERMS, size.shape[1])):
        free = np.einsum("fii->fi", left)[:, :-1]
        gain = left[:, :-1, -1] ** 2 / np.maximum(free, _RESOLVED * size)
        gain[free <= _INDEPENDENT * size] = -1.0
        np.put_along_axis(gain, chosen, -1.0, axis=1)
        column = gain.argmax(axis=1)
        if np.any(gain[every, column] <= 0.0):
            break
        row = left[every, column]
        left -= row[:, :, None] * (row / row[every, column, None])[:, None, :]
        chosen = np.column_stack([chosen, column])
    return chosen


def _part(products: Array, models: NDArray[np.int64]) -> Array:
    """Return the sums of products of each model's columns, (F, size, size)."""
    within: Array = products[np.arange(len(products))[:, None, None], models[:, :, None], models[:, None, :]]
    return within


def _along(products: Array, models: NDArray[np.int64]) -> Array:
    """Return the sums of products of each model's columns with the target, (F, size)."""
    along: Array = products[np.arange(len(products))[:, None], models, -1]
    return along


def _solved(products: Array, along: Array) -> Array:
    """Return least-squares coefficients (F, size)."""
    return np.asarray(np.linalg.solve(products, along[:, :, None])[:, :, 0], np.float64)


def _spread(sums: _Sums, chosen: list[int]) -> float:
    """Return the squared target of all blocks about the mean of the others, or about 0 for constant columns alone."""
    n, total, squares = sums.sizes, sums.totals[:, -1], sums.products[:, -1, -1]
    whole = sums.products.sum(axis=0)
    level = sums.totals.sum(axis=0)[chosen] ** 2 / n.sum()
    if np.all(level >= _ALIKE * whole[chosen, chosen]):
        return float(squares.sum())
    mean = (total.sum() - total) / (n.sum() - n)
    return float((squares - 2.0 * mean * total + n * mean**2).sum())


def _estimates(sums: _Sums, chosen: list[int]) -> tuple[Array, Array]:
    """Return least-squares coefficients and their standard errors over blocks."""
    if not chosen:
        return np.zeros(0), np.zeros(0)
    whole = sums.products.sum(axis=0)
    weights = _solved(whole[None, chosen][:, :, chosen], whole[None, chosen, -1])[0]
    inverse = np.linalg.inv(whole[np.ix_(chosen, chosen)])
    scores = sums.products[:, chosen, -1] - sums.products[:, chosen][:, :, chosen] @ weights  # (B, k): X_b' r_b
    count, n = len(scores), sums.sizes.sum()
    corrected = count / (count - 1) * (n - 1) / max(n - len(chosen), 1.0)
    variance = inverse @ (scores.T @ scores) @ inverse * corrected
    return weights, np.sqrt(np.maximum(np.diag(variance), 0.0))


def _condition(products: Array) -> float:
    """Return the condition number of columns, given their sums of products; 1 for none, at most 3e7 is resolved."""
    if not len(products):
        return 1.0
    scale = np.sqrt(np.diag(products))
    values = np.linalg.eigvalsh(products / np.outer(scale, scale))
    return float(np.sqrt(values[-1] / max(values[0], _RESOLVED * values[-1])))
