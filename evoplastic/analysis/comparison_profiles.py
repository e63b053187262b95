"""Performance profiles: how large a share of an arm's runs, each a seed on a task, scores above a threshold.

    F(tau) = mean over seeds of #{tasks of the seed that score > tau} / #{tasks of the seed}

A profile shows all scores at once, where a mean hides that half of the runs failed (Dolan & Moré 2002; for learners,
Agarwal et al. 2021). Tasks of a seed share one genome, so the seed is the unit: resampling each task on its own, as
those do whose runs are independent, would take a lucky genome for as much evidence as it has tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoplastic.analysis.statistics import FEWEST_UNITS, student_quantile

THRESHOLDS = 101  # from chance to the oracle

Array = NDArray[np.float64]
Scores = Sequence[Mapping[str, float | None]]  # a seed's score on each task; None where it is not a number


def thresholds(arms: Sequence[Mapping[str, Any]]) -> Array:
    """Return the thresholds tau of all arms, from the lowest chance to the highest oracle."""
    return np.linspace(min(arm["chance"] for arm in arms), max(arm["oracle"] for arm in arms), THRESHOLDS)


def profile(seeds: Scores, taus: Array) -> dict[str, Any] | None:
    """Return an arm's profile on one part at every threshold: its values, its band, how many seeds and runs it is of.

    A score that is not a number is above nothing. The band is pointwise, and None below ten seeds. None without tasks.
    """
    of = [np.array([-np.inf if score is None else score for score in seed.values()]) for seed in seeds if seed]
    if not of:
        return None
    shares = np.array([(scores[:, None] > taus).mean(axis=0) for scores in of])
    runs = sum(map(len, of))
    low, high = band(shares, runs) if len(of) >= FEWEST_UNITS else (None, None)
    return {"share": shares.mean(axis=0), "low": low, "high": high, "seeds": len(of), "runs": runs}


def band(shares: Array, runs: int) -> tuple[Array, Array]:
    """Return the bounds (T,) of the mean over seeds of `shares` (n, T), pointwise and with 95 % confidence.

        (p + q^2 / 2m +- q sqrt(p (1 - p) / m + q^2 / 4m^2)) / (1 + q^2 / m)     Wilson 1927; q = t(.975, n - 1)
        m = n * sum over tau of p (1 - p) / sum over tau of s^2                  s: sd of the shares over seeds

    m is how many independent runs would vary as much as the seeds do, at least n and at most `runs`. On simulated seeds
    (1 to 12 tasks, unrelated to nearly alike; 10 and 30 seeds) bands covered .92 to 1 of the time where the true share
    is .02 to .98, .97 in the median, and .87 at the worst beyond; Student's t of the shares .23 to .97, since all seeds
    agree at the ends of a profile.
    """
    n, quantile = len(shares), student_quantile(len(shares))
    share, variance = shares.mean(axis=0), shares.var(axis=0, ddof=1).sum()
    binomial = share * (1.0 - share)
    m = float(np.clip(n * binomial.sum() / variance, n, runs)) if variance > 0.0 else float(runs)
    square = quantile**2 / m
    middle, half = share + square / 2.0, quantile * np.sqrt(binomial / m + square / (4.0 * m))
    low, high = (middle - half) / (1.0 + square), (middle + half) / (1.0 + square)
    return np.maximum(low, 0.0), np.minimum(high, 1.0)
