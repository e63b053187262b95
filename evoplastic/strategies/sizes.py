"""Step sizes that adapt: how they grow, where they stop, and what a log says of them.

    size <- size * exp(clip(exponent, -1, 1)),   kept within 1e-12 to 1e6 of the first size

A generation changes a size by a factor of e at most and a run never leaves the limits, so no size becomes 0, infinite
or NaN, whatever the fitness.
"""

from __future__ import annotations

import math

import numpy as np

from evoplastic.strategies.contract import Array, read_only

SMALLEST, LARGEST = 1e-12, 1e6  # relative to a search's first size
_TERMS = 18  # of the exponential series: the next one is below half a unit in the last place for |exponent| <= 1


def grown(sizes: Array, exponents: Array, first: float) -> Array:
    """Return sizes (D,) times exp(exponents), read-only, kept in the limits of a search that began at size `first`."""
    exponents = np.clip(exponents, -1.0, 1.0)
    # The series by Horner's rule, since a library's exp may differ between CPUs in the last bit.
    factor = np.ones_like(exponents)
    for term in range(_TERMS, 0, -1):
        factor = 1.0 + exponents * factor / term
    return limited(sizes * factor, first)


def limited(sizes: Array, first: float) -> Array:
    """Return sizes (D,), read-only, kept in the limits of a search that began at size `first`."""
    return read_only(np.clip(sizes, SMALLEST * first, LARGEST * first))


def shrunk(sizes: Array, first: float) -> str:
    """Return in words that all sizes have come down to the lower limit, "" if not."""
    smallest = SMALLEST * first
    return f"all step sizes have shrunk to the smallest, {smallest:.3g}" if sizes.max() <= smallest else ""


def described(sizes: Array) -> dict[str, float]:
    """Return the least, the geometric mean and the greatest of sizes (D,), and the ratio of the axes."""
    least, most = float(sizes.min()), float(sizes.max())
    # Rounded, since a library's logarithm may differ between CPUs in the last bit.
    mean = float(f"{math.exp(math.fsum(np.log(sizes)) / len(sizes)):.10g}")
    return {"sigma_min": least, "sigma_mean": mean, "sigma_max": most, "axis_ratio": most / least}


def default_population(genes: int) -> int:
    """Return 4 + floor(3 ln D), the population of evolution strategies that adapt their step sizes."""
    return 4 + math.floor(3.0 * math.log(genes))
