"""Fitness shaping: from the fitness of a generation to the numbers that weigh its members.

Each function takes fitness (P,), at least one of it finite, and returns finite numbers (P,), higher is better.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ShapingName = Literal["raw", "centered_rank", "nes_utilities", "z_score"]


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


def nes_utilities(fitness: Array) -> Array:
    """Return the utilities of natural evolution strategies, whose sum is 0: the better half shares what is above.

        u_k = max(0, ln(P/2 + 1) - ln k) / sum over j of max(0, ln(P/2 + 1) - ln j) - 1/P        k: 1 for the best

    Equal fitness has the mean of its utilities. Source: Wierstra et al. 2014, section 3.1 and table 1.
    """
    size = len(fitness)
    return by_rank(fitness, log_weights(size, size, size / 2 + 1.0)) - 1.0 / size


def z_score(fitness: Array) -> Array:
    """Return (fitness - mean) / standard deviation, of finite fitness; 0 where all are equal.

    What is not finite becomes the worst finite fitness of the generation, and does not count for mean and deviation.
    """
    finite = np.isfinite(fitness)
    largest = float(np.abs(fitness[finite]).max())
    scaled = raw(fitness) / largest if largest > 0.0 else np.zeros(len(fitness))  # so that no square overflows
    known = scaled[finite]
    # Exactly rounded sums: independent of order and CPU.
    deviation = scaled - math.fsum(known) / len(known)
    spread = math.sqrt(math.fsum(deviation[finite] ** 2) / len(known))
    return deviation / spread if spread > 0.0 else np.zeros(len(fitness))


def log_weights(size: int, chosen: int, above: float) -> Array:
    """Return max(0, ln(above) - ln k) for k = 1 to `chosen`, then zeros, (size,), of sum 1."""
    # Rounded, since a library's logarithm may differ between CPUs in the last bit.
    logs = [round(math.log(above) - math.log(k), 12) for k in range(1, chosen + 1)]
    weights = np.array([max(0.0, log) for log in logs] + [0.0] * (size - chosen))
    return np.asarray(weights / math.fsum(weights))


def effective_size(weights: Array) -> float:
    """Return (sum |w|)^2 / sum w^2 of weights (P,): P where all are equal, 1 where one is not 0; 0 if all are 0."""
    largest = float(np.abs(weights).max())
    if largest == 0.0:
        return 0.0
    shares = np.abs(weights) / largest  # so that no square overflows
    return math.fsum(shares) ** 2 / math.fsum(shares * shares)


def by_rank(fitness: Array, weights: Array) -> Array:
    """Return each member's weight (P,), of `weights` (P,) from best to worst; equal fitness has the mean of theirs.

    What is not finite ranks below all that is. Without the mean, the order in the population would decide.
    """
    ordered = np.where(np.isfinite(fitness), fitness, -np.inf)
    _, place, count = np.unique(-ordered, return_inverse=True, return_counts=True)
    totals = np.bincount(np.repeat(np.arange(len(count)), count), weights)
    return np.asarray((totals / count)[place])


SHAPINGS: dict[ShapingName, Callable[[Array], Array]] = {
    "raw": raw,
    "centered_rank": centered_rank,
    "nes_utilities": nes_utilities,
    "z_score": z_score,
}
