"""LM-MA-ES: a few direction vectors stand for the covariance of many genes. For 1,000 genes and more.

    member k          = center + sigma * step * d_k        d_k = T z_k, z_k ~ N(0, 1)
    T                 = T_n ... T_1,  T_j d = (1 - c_dj) d + c_dj m_j (m_j . d),  n = min(updates, vectors)
    w                 = sum of w_k z_k        w_k: ln(mu + 1/2) - ln rank of the best mu = P/2, scaled to sum 1
    center           <- max(center + sigma * step * T w, floor)
    p                <- (1 - c_s) p + sqrt(mu_w c_s (2 - c_s)) w                          mu_w = 1 / sum of w_k^2
    m_j              <- (1 - c_cj) m_j + sqrt(mu_w c_cj (2 - c_cj)) w
    sigma            <- sigma * exp(c_s / 2 * (|p|^2 / D - 1))
    c_s = 2 P / D,  c_dj = 1 / (1.5^(j-1) D),  c_cj = P / (4^(j-1) D);  P = vectors = 4 + floor(3 ln D)

T is linear, so the sum of the members' d_k is T of the sum: one transform a tell. Source: Loshchilov, Glasmachers,
Beyer 2019, algorithm 1, in its order.

Guards, since the published rates are made for P far below D: with P > D, c_s passes 2 (c_c with P > 2 D), its root is
of a negative number, and NaN follows; above 1, p turns its sign in every generation whatever the search does. So no
rate passes 1/2, which the defaults reach below about 64 genes; sigma changes by a factor of e at most in a generation
and keeps to the limits of sizes.py; equal fitness has the mean of its weights, with mu_w of the weights that are used,
so that a flat fitness leaves sigma where it is on average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import making_kernel
from evoplastic.random import Purpose, fill_normals, stream_key
from evoplastic.strategies.contract import Array, SearchSpace, Space, Strategy, check_arrays, check_tell, read_only
from evoplastic.strategies.optimizers import Positive
from evoplastic.strategies.samples import add_weighted_normals, compact
from evoplastic.strategies.shaping import by_rank, effective_size, log_weights
from evoplastic.strategies.sizes import default_population, grown, limited, shrunk
from evoplastic.strategies.sums import dot, norm, sum_of_products

MOST_RATE = 0.5


class LMMAESSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="lm_ma_es"
):
    """What a run file may say; 0 is the paper's default, 4 + floor(3 ln D)."""

    population: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    sigma: Positive = 0.1  # first standard deviation of a member around the center
    vectors: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 0

    def __post_init__(self) -> None:
        if self.population == 1:
            raise ValueError("population must be at least 2, or 0 for 4 + floor(3 ln D), got 1")

    def build(self, space: SearchSpace, seed: int) -> LMMAES:
        """Return the strategy for a genome; UserError if the genome has nothing to evolve."""
        return LMMAES(self, Space.of(space), seed)


@dataclass(frozen=True, eq=False)
class Transformed:
    """Members around one center, whose normals are transformed along a few vectors."""

    population: int
    center: Array  # (D,)
    scale: Array  # (D,) or, where all are equal, (1,): sigma * step
    vectors: Array  # (n, D)
    rates: Array  # (n,), c_d
    seed: int
    generation: int
    lives: int = 1

    def genotype(self, member: int) -> Array:
        direction = np.empty_like(self.center)
        fill_normals(self.key(member), direction)
        self.transform(direction)
        return np.asarray(self.center + self.scale * direction)

    def pair(self, member: int) -> int:
        return member

    def key(self, member: int) -> np.uint64:
        """Return the key of a member's normals."""
        return stream_key(self.seed, Purpose.PERTURBATION, self.generation, member)

    def transform(self, direction: Array) -> None:
        """Replace `direction` (D,) by T direction."""
        # A worker may hold the vectors in read-only memory, another type for which the kernel would compile again.
        bend(np.require(self.vectors, requirements=["C", "W"]), self.rates.copy(), direction)


@dataclass(frozen=True, eq=False)
class LMMAESState:
    center: Array  # (D,), read-only
    generation: int
    sigma: Array  # (1,), read-only
    path: Array  # (D,), read-only: p
    vectors: Array  # (vectors, D), read-only: m_j
    updates: int  # of the vectors: generations that had a finite fitness
    update_norm: float  # of the last change of the center


@dataclass(frozen=True, eq=False)
class LMMAES(Strategy[LMMAESState, Transformed]):
    settings: LMMAESSettings
    space: Space
    seed: int

    @property
    def population(self) -> int:
        """P."""
        return self.settings.population or default_population(self.space.size)

    @property
    def vectors(self) -> int:
        """How many direction vectors there are."""
        return self.settings.vectors or default_population(self.space.size)

    @cached_property
    def weights(self) -> Array:
        """(P,): w by rank, best first."""
        return log_weights(self.population, self.population // 2, (self.population // 2) + 0.5)

    @cached_property
    def rates(self) -> tuple[float, Array, Array]:
        """c_s, c_d (vectors,) and c_c (vectors,)."""
        size, number = float(self.space.size), self.vectors
        path = min(2.0 * self.population / size, MOST_RATE)
        # Powers as products: a library's power function may differ between CPUs in the last bit.
        slow, slower = (np.cumprod([1.0] + [base] * (number - 1)) for base in (1.5, 4.0))
        transform = np.minimum(1.0 / (slow * size), MOST_RATE)
        return path, transform, np.minimum(self.population / (slower * size), MOST_RATE)

    def initial(self, center: Array) -> LMMAESState:
        sigma = limited(np.full(1, self.settings.sigma), self.settings.sigma)
        path = read_only(np.zeros(self.space.size))
        vectors = read_only(np.zeros((self.vectors, self.space.size)))
        return LMMAESState(self.space.inside(center), 0, sigma, path, vectors, 0, 0.0)

    def ask(self, state: LMMAESState) -> Transformed:
        used = min(state.updates, self.vectors)
        scale, vectors = compact(state.sigma * self.space.steps), state.vectors[:used].copy()
        rates = self.rates[1][:used].copy()
        return Transformed(self.population, state.center, scale, vectors, rates, self.seed, state.generation)

    def tell(self, state: LMMAESState, candidates: Transformed, fitness: Array) -> LMMAESState:
        """Return the next state; fitness that is not finite ranks worst."""
        check_tell(state, candidates, fitness)
        generation = state.generation + 1
        if not np.isfinite(fitness).any():
            return replace(state, generation=generation, update_norm=0.0)
        weights = by_rank(fitness, self.weights)
        mean = _weighted(candidates, weights)
        direction = mean.copy()
        candidates.transform(direction)
        center = self.space.inside(state.center + candidates.scale * direction)
        mu_w = 1.0 / math.fsum(weights * weights)
        c_s, _, c_c = self.rates
        path = read_only((1.0 - c_s) * state.path + math.sqrt(mu_w * c_s * (2.0 - c_s)) * mean)
        pull = np.sqrt(mu_w * c_c * (2.0 - c_c))
        vectors = read_only((1.0 - c_c)[:, None] * state.vectors + pull[:, None] * mean)
        longer = 0.5 * c_s * (dot(path, path) / self.space.size - 1.0)
        sigma = grown(state.sigma, np.array([longer]), self.settings.sigma)
        return LMMAESState(center, generation, sigma, path, vectors, state.updates + 1, norm(center - state.center))

    def diagnostics(self, state: LMMAESState) -> dict[str, float]:
        """Return the step size, the path's length (1 where selection is random), and the longest vector's in the same
        unit; the Euclidean norms of the last update and of the center."""
        root = math.sqrt(self.space.size)
        return {
            "sigma": float(state.sigma[0]),
            "path_length": norm(state.path) / root,
            "vector_length": max(norm(vector) for vector in state.vectors) / root,
            "update_norm": state.update_norm,
            "center_norm": norm(state.center),
        }

    def arrays(self, state: LMMAESState) -> dict[str, NDArray[Any]]:
        return {
            "center": state.center,
            "generation": np.array(state.generation, np.int64),
            "sigma": state.sigma,
            "path": state.path,
            "vectors": state.vectors,
            "updates": np.array(state.updates, np.int64),
            "norms": np.array([state.update_norm]),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> LMMAESState:
        check_arrays(arrays, self.arrays(self.initial(np.zeros(self.space.size))))
        center, sigma, path, vectors = (read_only(arrays[name]) for name in ("center", "sigma", "path", "vectors"))
        generation, updates = int(arrays["generation"]), int(arrays["updates"])
        return LMMAESState(center, generation, sigma, path, vectors, updates, float(arrays["norms"][0]))

    def effective_size(self, state: LMMAESState, fitness: Array) -> float:
        """Return mu_w of the weights that are used."""
        return effective_size(by_rank(fitness, self.weights))

    def exhausted(self, state: LMMAESState) -> str:
        return shrunk(state.sigma, self.settings.sigma)

    def memory(self) -> int:
        # the vectors of two states, in the message to workers, and of an update's temporaries; few vectors besides
        return 8 * self.space.size * (5 * self.vectors + 10)


def _weighted(candidates: Transformed, weights: Array) -> Array:
    """Return the sum (D,) of the members' normals before the transform, each times its weight (P,)."""
    chosen = np.flatnonzero(weights)
    keys = np.array([candidates.key(int(member)) for member in chosen])
    mean = np.zeros(len(candidates.center))
    add_weighted_normals(keys, weights[chosen], mean)
    return mean


@making_kernel
def bend(vectors: Array, rates: Array, direction: Array) -> None:
    """Replace `direction` (D,) by T direction: vector (n, D) after vector, with its rate (n,)."""
    for number in range(vectors.shape[0]):
        along = rates[number] * sum_of_products(vectors[number], direction)
        for gene in range(direction.shape[0]):
            direction[gene] = (1.0 - rates[number]) * direction[gene] + along * vectors[number, gene]
