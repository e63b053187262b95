"""Means with intervals: what a number is worth, given what it was replicated over.

    mean +- t(.975, n - 1) * sd / sqrt(n)          Student's t, 95 %; sd with n - 1
    IQM                                            interquartile mean: of what is left without the floor(n / 4)
                                                   lowest and highest; BCa bootstrap at Student's quantile

The unit of replication is a life where a genome is judged and a seed where a method is; never a trial, for trials of
one life are not independent. Below 10 units there is no interval, only numbers: a percentile bootstrap of 3 seeds
covers .73 of the time it promises .95, and any interval of so few invites more trust than it earns.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

CONFIDENCE = 0.95
FEWEST_UNITS = 10  # of replication, for an interval
RESAMPLES = 4_999  # of a bootstrap

Array = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean over `n` units of replication and, from FEWEST_UNITS on, where it lies with 95 % confidence."""

    mean: float
    low: float | None
    high: float | None
    n: int

    def to_json(self) -> dict[str, Any]:
        """Return the interval in JSON's words; a mean that is not a number is null."""
        return self._asdict() | {"mean": self.mean if np.isfinite(self.mean) else None}

    def __str__(self) -> str:
        bounds = "" if self.low is None or self.high is None else f" [{share(self.low)}, {share(self.high)}]"
        return share(self.mean) + bounds


def interval(values: ArrayLike) -> Interval:
    """Return the mean of `values` (n,), one per unit of replication, with its interval.

    Equal values give an interval of no width. A value that is not a number is no reason to leave its unit out: then
    the mean is not a number either, and there is no interval. ValueError if there are no values or not one axis.
    """
    values = _checked(values)
    n, mean = len(values), float(values.mean())
    if plain := _without_bounds(values, mean):
        return plain
    half = float(student_quantile(n) * values.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half, n)


def interquartile_mean(values: ArrayLike) -> Interval:
    """Return the mean of the middle half of `values` (n,), one per unit of replication, with its interval.

    From each end floor(n / 4) values are left out; of fewer than four it is the mean. The interval is a BCa bootstrap
    over units (Efron 1987, "Better bootstrap confidence intervals") whose normal quantile is replaced by Student's
    t(.975, n - 1). At 10 to 30 units plain BCa covers .91 to .95 of the time and this one .94 to .97, measured over
    normal, heavy-tailed, skewed, flat and two-peaked populations; Student's t of a trimmed mean covers .92 to .97 of
    the first four and less than .8 of the last, which is what seeds look like when some of them fail. Equal values give
    equal intervals, for the resamples depend on n alone. There is none where leaving out any one unit moves nothing, as
    with nine units of ten at the ceiling. Values that are not numbers, and errors: as for `interval`.
    """
    values = _checked(values)
    if plain := _without_bounds(values, float(_middle_half(values))):
        return plain
    from scipy import stats  # slow to import

    inside = 2.0 * float(ndtr(student_quantile(len(values)))) - 1.0
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # its bounds are not numbers, and so left out
        found = stats.bootstrap(
            (values,),
            _middle_half,
            n_resamples=RESAMPLES,
            batch=500,
            vectorized=True,
            confidence_level=inside,
            method="BCa",
            rng=0,  # the same resamples for the same n
        ).confidence_interval
    known = bool(np.isfinite([found.low, found.high]).all())
    low, high = (float(found.low), float(found.high)) if known else (None, None)
    return Interval(float(_middle_half(values)), low, high, len(values))


def student_quantile(n: int) -> float:
    """Return t(.975, n - 1), which a mean over n units of replication is off by, in its standard errors."""
    return float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2))


def _checked(values: ArrayLike) -> Array:
    values = np.asarray(values, np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values must have shape (n,) with n >= 1, got {values.shape}")
    return values


def _without_bounds(values: Array, center: float) -> Interval | None:
    """Return what is told of values that are not numbers, too few, or all equal; None for all others."""
    n = len(values)
    if not np.isfinite(values).all():
        return Interval(float("nan"), None, None, n)
    if n < FEWEST_UNITS:
        return Interval(center, None, None, n)
    if np.ptp(values) == 0.0:
        return Interval(float(values[0]), float(values[0]), float(values[0]), n)
    return None


def _middle_half(values: Array, axis: int = -1) -> Array:
    cut = values.shape[axis] // 4
    ordered = np.moveaxis(np.sort(values, axis=axis), axis, -1)
    return np.asarray(ordered[..., cut : values.shape[axis] - cut].mean(axis=-1))


def paired(a: ArrayLike, b: ArrayLike) -> Interval:
    """Return the mean of a - b (n,) with its interval; a[i] and b[i] are of the same unit of replication."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"paired values must have one shape, got {a.shape} and {b.shape}")
    return interval(a - b)


def share(value: float) -> str:
    """Return a number between -1 and 1 in two digits: .87, -.03, 1.00."""
    return re.sub(r"^(-?)0\.", r"\1.", f"{round(value, 2) + 0.0:.2f}")
