"""Random search: fresh draws around the first center, and the best member so far; the least that a strategy must beat.

    member 0          = incumbent
    member m > 0      = first center + sigma * step * eps_m        eps_m ~ N(0, 1)
    incumbent        <- max(best member, floor), the center

The incumbent lives again in every generation, on that generation's tasks: fitness of an earlier one proves nothing
here. A tie leaves it in place. Source: Brooks 1958, with normal draws instead of uniform ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.strategies.contract import Array, SearchSpace, Space, Strategy, check_arrays, check_tell, read_only
from evoplastic.strategies.optimizers import Positive
from evoplastic.strategies.samples import Gaussian, compact
from evoplastic.strategies.sums import norm


class RandomSearchSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="random_search"
):
    """What a run file may say."""

    population: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)] = 500
    sigma: Positive = 0.1  # standard deviation of a member around the first center

    def build(self, space: SearchSpace, seed: int) -> RandomSearch:
        """Return the strategy for a genome; UserError if the genome has nothing to evolve."""
        return RandomSearch(self, Space.of(space), seed)


@dataclass(frozen=True, eq=False)
class Challengers:
    """The incumbent, and members drawn around the first center."""

    incumbent: Array  # (D,)
    drawn: Gaussian  # as many as the population; its member 0 does not live

    @property
    def population(self) -> int:
        return self.drawn.population

    @property
    def generation(self) -> int:
        return self.drawn.generation

    @property
    def lives(self) -> int:
        return self.drawn.lives

    def genotype(self, member: int) -> Array:
        return self.drawn.genotype(member) if member else self.incumbent

    def pair(self, member: int) -> int:
        return self.drawn.pair(member)


@dataclass(frozen=True, eq=False)
class RandomSearchState:
    center: Array  # (D,), read-only: the incumbent
    generation: int
    first: Array  # (D,), read-only: the first center
    update_norm: float  # of the last change of the center


@dataclass(frozen=True, eq=False)
class RandomSearch(Strategy[RandomSearchState, Challengers]):
    settings: RandomSearchSettings
    space: Space
    seed: int

    def initial(self, center: Array) -> RandomSearchState:
        first = self.space.inside(center)
        return RandomSearchState(first, 0, first, 0.0)

    def ask(self, state: RandomSearchState) -> Challengers:
        scale = compact(self.settings.sigma * self.space.steps)
        drawn = Gaussian(self.settings.population, state.first, scale, self.seed, state.generation, mirrored=False)
        return Challengers(state.center, drawn)

    def tell(self, state: RandomSearchState, candidates: Challengers, fitness: Array) -> RandomSearchState:
        """Return the next state; a member whose fitness is not finite is never the best."""
        check_tell(state, candidates, fitness)
        generation = state.generation + 1
        if not np.isfinite(fitness).any():
            return replace(state, generation=generation, update_norm=0.0)
        best = int(np.argmax(np.where(np.isfinite(fitness), fitness, -np.inf)))
        center = self.space.inside(candidates.genotype(best))
        return RandomSearchState(center, generation, state.first, norm(center - state.center))

    def diagnostics(self, state: RandomSearchState) -> dict[str, float]:
        """Return the step size and the Euclidean norms of the last update and of the center."""
        return {
            "sigma": self.settings.sigma,
            "update_norm": state.update_norm,
            "center_norm": norm(state.center),
        }

    def arrays(self, state: RandomSearchState) -> dict[str, NDArray[Any]]:
        return {
            "center": state.center,
            "generation": np.array(state.generation, np.int64),
            "first": state.first,
            "norms": np.array([state.update_norm]),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> RandomSearchState:
        check_arrays(arrays, self.arrays(self.initial(np.zeros(self.space.size))))
        center, first = read_only(arrays["center"]), read_only(arrays["first"])
        return RandomSearchState(center, int(arrays["generation"]), first, float(arrays["norms"][0]))

    def effective_size(self, state: RandomSearchState, fitness: Array) -> float:
        """Return 1: only the best member counts."""
        return 1.0

    def memory(self) -> int:
        # incumbent, first center, scale, a member and few temporaries: no more, whatever the population
        return 8 * self.space.size * 8
