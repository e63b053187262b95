"""Members drawn around a center, each made again from its key wherever it is needed: nothing of size P x D exists.

    member m          = center + scale * eps_m        eps_m ~ N(0, 1), one draw for each m < draws
    member m + P/2    = center - scale * eps_m        where members are mirrored: draws = P/2, otherwise P

P is the population, D the number of genes. Sums over members have a fixed order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import making_kernel
from evoplastic.random import Purpose, fill_normals, stream_key
from evoplastic.strategies.contract import Array


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Members around one center, those of a pair mirrored in it if `mirrored`, otherwise each of its own draw.

    Both of a pair come from one rounded deviation, so each lies within half a unit in the last place (ulp) of its
    exact place and their sum is twice the center to within one ulp of the larger member.
    """

    population: int
    center: Array  # (D,)
    scale: Array  # (D,) or, where all are equal, (1,): standard deviation of each gene
    seed: int
    generation: int
    mirrored: bool = True
    lives: int = 1

    @property
    def draws(self) -> int:
        """How many deviations the members are made of."""
        return self.population // 2 if self.mirrored else self.population

    def genotype(self, member: int) -> Array:
        deviation = np.empty_like(self.center)
        fill_normals(self.key(self.pair(member)), deviation)
        deviation *= self.scale
        return self.center + deviation if member < self.draws else self.center - deviation

    def pair(self, member: int) -> int:
        return member % self.draws

    def key(self, draw: int) -> np.uint64:
        """Return the key of a deviation's normals."""
        return stream_key(self.seed, Purpose.PERTURBATION, self.generation, draw)

    def keys(self) -> NDArray[np.uint64]:
        """Return the keys of all deviations, (draws,)."""
        return np.array([self.key(draw) for draw in range(self.draws)])


def compact(scale: Array) -> Array:
    """Return `scale` (D,), or its one number (1,): a generation's message is little more than its center."""
    return scale if np.ptp(scale) else scale[:1]


@making_kernel
def add_weighted_normals(keys: NDArray[np.uint64], weights: Array, total: Array) -> None:
    """Add to `total` (D,) the normals of each key (draws,) times its weight (draws,), draw after draw."""
    normals = np.empty_like(total)
    for draw in range(keys.shape[0]):
        fill_normals(keys[draw], normals)
        for gene in range(total.shape[0]):
            total[gene] += weights[draw] * normals[gene]


@making_kernel
def add_weighted_moments(keys: NDArray[np.uint64], weights: Array, first: Array, spreads: Array, second: Array) -> None:
    """Add weight * eps to `first` (D,) and spread * (eps^2 - 1) to `second` (D,), draw after draw of `keys`."""
    normals = np.empty_like(first)
    for draw in range(keys.shape[0]):
        fill_normals(keys[draw], normals)
        for gene in range(first.shape[0]):
            first[gene] += weights[draw] * normals[gene]
            second[gene] += spreads[draw] * (normals[gene] * normals[gene] - 1.0)
