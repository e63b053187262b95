"""Fitness shaping: from the fitness of a generation to the numbers that weigh its members.

Each function takes fitness (P,), at least one of it finite, and returns finite numbers (P,), higher is better.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ShapingName = Literal["raw", "centered_rank"]


def raw(fitness: Array) -> Array:
    """Return fitness itself; what is not finite becomes the worst finite fitness of the generation."""
    finite = np.isfinite(fitness)
    return np.where(finite, fitness, fitness[finite].min())


def centered_rank(fitness: Array) -> Array:
    """Return rank / (P - 1) - 1/2, from -1/2 (worst) to 1/2 (best), equal fitness the mean of its ranks.

    What is not finite is worse than all that is. The mean makes members of equal fitness weigh the same; without it
    their order in the population would decide. Source: Salimans et al. 2017, who do not average.
    """
    ordered = np.where(np.isfinite(fitness), fitness, -np.inf)
    _, place, count = np.unique(ordered, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count + 1) / 2
    return np.asarray(mean_rank[place] / (len(fitness) - 1) - 0.5)


SHAPINGS: dict[ShapingName, Callable[[Array], Array]] = {"raw": raw, "centered_rank": centered_rank}
