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

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.strategies.contract import (
    Array,
    SearchSpace,
    Space,
    Strategy,
    all_read_only,
    check_arrays,
    check_tell,
    read_only,
)
from evoplastic.strategies.optimizers import Adam, AnyOptimizer, NotNegative, Positive
from evoplastic.strategies.samples import Gaussian, add_weighted_normals, compact
from evoplastic.strategies.shaping import SHAPINGS, ShapingName, effective_size
from evoplastic.strategies.sums import norm


class OpenAIESSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="openai_es"
):
    """What a run file may say; the defaults are the published program's."""

    population: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)] = 500  # even: members come in pairs
    sigma: Positive = 0.03  # standard deviation of a member around the center
    shaping: ShapingName = "raw"
    weight_decay: NotNegative = 3e-4
    optimizer: AnyOptimizer = Adam()

    def __post_init__(self) -> None:
        if self.population % 2:
            raise ValueError(f"population must be even, since members come in antithetic pairs, got {self.population}")

    def build(self, space: SearchSpace, seed: int) -> OpenAIES:
        """Return the strategy for a genome; UserError if the genome has nothing to evolve."""
        return OpenAIES(self, Space.of(space), seed)


@dataclass(frozen=True, eq=False)
class OpenAIESState:
    center: Array  # (D,), read-only
    generation: int
    optimizer: Mapping[str, Array]  # read-only
    gradient_norm: float  # of the last g, 0 before the first
    update_norm: float  # of the last change of the center


@dataclass(frozen=True, eq=False)
class OpenAIES(Strategy[OpenAIESState, Gaussian]):
    settings: OpenAIESSettings
    space: Space
    seed: int

    def initial(self, center: Array) -> OpenAIESState:
        optimizer = all_read_only(self.settings.optimizer.initial(self.space.size))
        return OpenAIESState(self.space.inside(center), 0, optimizer, 0.0, 0.0)

    def ask(self, state: OpenAIESState) -> Gaussian:
        scale = self.settings.sigma * self.space.steps
        return Gaussian(self.settings.population, state.center, compact(scale), self.seed, state.generation)

    def tell(self, state: OpenAIESState, candidates: Gaussian, fitness: Array) -> OpenAIESState:
        """Return the next state. Fitness that is not finite is what `shaping` makes of it; if none of a generation's
        is finite, the generation counts but neither center nor optimizer changes."""
        check_tell(state, candidates, fitness)
        generation = state.generation + 1
        if not np.isfinite(fitness).any():
            return replace(state, generation=generation, gradient_norm=0.0, update_norm=0.0)
        g = self._fitness_gradient(candidates, SHAPINGS[self.settings.shaping](fitness))
        gradient = self.settings.weight_decay * self.space.steps * state.center - g
        change, optimizer = self.settings.optimizer.update(state.optimizer, gradient)
        center = self.space.inside(state.center + self.space.steps * change)
        moved = norm(center - state.center)
        return OpenAIESState(center, generation, all_read_only(optimizer), norm(g), moved)

    def diagnostics(self, state: OpenAIESState) -> dict[str, float]:
        """Return the step size and the Euclidean norms of the last fitness gradient g, of the last update, and of the
        center."""
        return {
            "sigma": self.settings.sigma,
            "gradient_norm": state.gradient_norm,
            "update_norm": state.update_norm,
            "center_norm": norm(state.center),
        }

    def arrays(self, state: OpenAIESState) -> dict[str, NDArray[Any]]:
        return {
            "center": state.center,
            "generation": np.array(state.generation, np.int64),
            "norms": np.array([state.gradient_norm, state.update_norm]),
            **{f"optimizer.{name}": array for name, array in state.optimizer.items()},
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> OpenAIESState:
        blank = self.initial(np.zeros(self.space.size))
        check_arrays(arrays, self.arrays(blank))
        optimizer = {name: read_only(arrays[f"optimizer.{name}"]) for name in blank.optimizer}
        gradient_norm, update_norm = map(float, arrays["norms"])
        return OpenAIESState(
            read_only(arrays["center"]), int(arrays["generation"]), optimizer, gradient_norm, update_norm
        )

    def effective_size(self, state: OpenAIESState, fitness: Array) -> float:
        """Return the effective size of the members, each weighed by its pair's difference in shaped fitness."""
        above, below = np.split(SHAPINGS[self.settings.shaping](fitness), 2)
        return 2.0 * effective_size(above - below)

    def memory(self) -> int:
        # vectors of an update, whatever the population, and the optimizer's numbers before and after it
        optimizer = self.settings.optimizer.initial(self.space.size)
        return 8 * 8 * self.space.size + 2 * sum(array.nbytes for array in optimizer.values())

    def _fitness_gradient(self, candidates: Gaussian, shaped: Array) -> Array:
        half = candidates.population // 2
        total = np.zeros(len(candidates.center))
        add_weighted_normals(candidates.keys(), shaped[:half] - shaped[half:], total)
        return total / (candidates.population * self.settings.sigma)
