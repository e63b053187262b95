"""OpenAI-ES: ascend the fitness of a smoothed landscape, estimated from antithetic pairs around one center.

    member m          = center + sigma * step * eps_m        eps_m ~ N(0, 1), one pair for each m < P/2
    member m + P/2    = center - sigma * step * eps_m
    g                 = 1 / (P sigma) * sum over pairs of eps * (f+ - f-)         f: shaped fitness
    gradient          = -g + weight_decay * step * center
    center           <- max(center + step * optimizer(gradient), floor)

A gene's `step` is its unit: this is plain OpenAI-ES on gene / step, with a penalty of weight_decay / 2 times the sum
of squared genes, inside the optimizer (L2, not decoupled). Nothing of size P x D exists: a pair's eps is drawn again
from its key wherever it is needed. Source: Salimans et al. 2017; constants of the published program of Miconi 2023.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.jit import kernel
from evoplastic.random import Purpose, fill_normals, stream_key
from evoplastic.strategies.contract import Array, SearchSpace, read_only
from evoplastic.strategies.optimizers import Adam, AnyOptimizer, NotNegative, Positive
from evoplastic.strategies.shaping import SHAPINGS, ShapingName


class OpenAIESSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="openai_es"
):
    """What a run file may say; the defaults are the published program's."""

    population: Annotated[int, msgspec.Meta(ge=2)] = 500  # even: members come in pairs
    sigma: Positive = 0.03  # standard deviation of a member around the center
    shaping: ShapingName = "raw"
    weight_decay: NotNegative = 3e-4
    optimizer: AnyOptimizer = Adam()

    def __post_init__(self) -> None:
        if self.population % 2:
            raise ValueError(f"population must be even, since members come in antithetic pairs, got {self.population}")

    def build(self, space: SearchSpace, seed: int) -> OpenAIES:
        """Return the strategy for a genome; UserError if the genome has nothing to evolve."""
        if space.size == 0:
            raise UserError("there is nothing to evolve: every block of the genome has evolve = false")
        return OpenAIES(self, read_only(space.floors), read_only(space.steps), seed)


@dataclass(frozen=True, eq=False)
class Antithetic:
    """Members m and m + P/2 mirror each other in the center.

    Both come from one rounded deviation, so each lies within half a unit in the last place (ulp) of its exact place
    and their sum is twice the center to within one ulp of the larger member.
    """

    population: int
    center: Array  # (D,)
    scale: Array  # (D,) or, where all are equal, (1,): standard deviation of each gene
    seed: int
    generation: int

    def genotype(self, member: int) -> Array:
        deviation = np.empty_like(self.center)
        fill_normals(self.key(self.pair(member)), deviation)
        deviation *= self.scale
        return self.center + deviation if member < self.population // 2 else self.center - deviation

    def pair(self, member: int) -> int:
        return member % (self.population // 2)

    def key(self, pair: int) -> np.uint64:
        """Return the key of a pair's normals."""
        return stream_key(self.seed, Purpose.PERTURBATION, self.generation, pair)


@dataclass(frozen=True, eq=False)
class OpenAIESState:
    center: Array  # (D,), read-only
    generation: int
    optimizer: Mapping[str, Array]
    gradient_norm: float  # of the last g, 0 before the first
    update_norm: float  # of the last change of the center


@dataclass(frozen=True, eq=False)
class OpenAIES:
    settings: OpenAIESSettings
    floors: Array  # (D,)
    steps: Array  # (D,)
    seed: int

    def initial(self, center: Array) -> OpenAIESState:
        if center.shape != self.floors.shape:
            raise ValueError(f"the center must have shape {self.floors.shape}, got {center.shape}")
        optimizer = self.settings.optimizer.initial(len(center))
        return OpenAIESState(read_only(np.maximum(center, self.floors)), 0, optimizer, 0.0, 0.0)

    def ask(self, state: OpenAIESState) -> Antithetic:
        scale = self.settings.sigma * self.steps
        scale = scale if np.ptp(scale) else scale[:1]  # a generation's message is little more than its center
        return Antithetic(self.settings.population, state.center, scale, self.seed, state.generation)

    def tell(self, state: OpenAIESState, candidates: Antithetic, fitness: Array) -> OpenAIESState:
        """Return the next state. Fitness that is not finite is what `shaping` makes of it; if none of a generation's
        is finite, the generation counts but neither center nor optimizer changes."""
        self._check(state, candidates, fitness)
        generation = state.generation + 1
        if not np.isfinite(fitness).any():
            return replace(state, generation=generation, gradient_norm=0.0, update_norm=0.0)
        g = self._fitness_gradient(candidates, SHAPINGS[self.settings.shaping](fitness))
        gradient = self.settings.weight_decay * self.steps * state.center - g
        change, optimizer = self.settings.optimizer.update(state.optimizer, gradient)
        center = read_only(np.maximum(state.center + self.steps * change, self.floors))
        return OpenAIESState(center, generation, optimizer, _norm(g), _norm(center - state.center))

    def diagnostics(self, state: OpenAIESState) -> dict[str, float]:
        """Return the Euclidean norms of the last fitness gradient g, of the last update, and of the center."""
        return {
            "gradient_norm": state.gradient_norm,
            "update_norm": state.update_norm,
            "center_norm": _norm(state.center),
        }

    def arrays(self, state: OpenAIESState) -> dict[str, NDArray[Any]]:
        return {
            "center": state.center,
            "generation": np.array(state.generation, np.int64),
            "norms": np.array([state.gradient_norm, state.update_norm]),
            **{f"optimizer.{name}": array for name, array in state.optimizer.items()},
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> OpenAIESState:
        blank = self.initial(np.zeros_like(self.floors))
        expected = {name: array.shape for name, array in self.arrays(blank).items()}
        found = {name: array.shape for name, array in arrays.items()}
        if found != expected:
            raise UserError(f"the saved state is not one of this search: it must hold {expected}, got {found}")
        optimizer = {name: read_only(arrays[f"optimizer.{name}"]) for name in blank.optimizer}
        gradient_norm, update_norm = map(float, arrays["norms"])
        return OpenAIESState(
            read_only(arrays["center"]), int(arrays["generation"]), optimizer, gradient_norm, update_norm
        )

    def _fitness_gradient(self, candidates: Antithetic, shaped: Array) -> Array:
        half = candidates.population // 2
        keys = np.array([candidates.key(pair) for pair in range(half)])
        total = np.zeros(len(candidates.center))
        add_weighted_normals(keys, shaped[:half] - shaped[half:], total)
        return total / (candidates.population * self.settings.sigma)

    def _check(self, state: OpenAIESState, candidates: Antithetic, fitness: Array) -> None:
        if candidates.generation != state.generation:
            raise ValueError(f"candidates are of generation {candidates.generation}, the state of {state.generation}")
        if fitness.shape != (candidates.population,):
            raise ValueError(f"fitness must have shape ({candidates.population},), got {fitness.shape}")


@kernel
def add_weighted_normals(keys: NDArray[np.uint64], weights: Array, total: Array) -> None:
    """Add to `total` (D,) the normals of each key (pairs,) times its weight (pairs,), pair after pair."""
    normals = np.empty_like(total)
    for pair in range(keys.shape[0]):
        fill_normals(keys[pair], normals)
        for gene in range(total.shape[0]):
            total[gene] += weights[pair] * normals[gene]


@kernel
def sum_of_squares(vector: Array) -> float:
    """Return the sum of squares of `vector` (D,), first to last."""
    total = 0.0
    for gene in range(vector.shape[0]):
        total += vector[gene] * vector[gene]
    return total


def _norm(vector: Array) -> float:
    # A copy, since a read-only array would be another type and compile the kernel again.
    return math.sqrt(sum_of_squares(vector.copy()))
