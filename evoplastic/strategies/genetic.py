"""A genetic algorithm, (mu + lambda): the best mu of parents and children are the next generation's parents.

    member m < mu     = parent_m
    member m >= mu    = child + sigma * step * eps_m                      eps_m ~ N(0, 1)
    child             = parent_a, or with probability `crossover` each gene of parent_a or parent_b, evenly
    parents          <- max(the mu best members, floor), best first; the center is the first of them

a and b are drawn evenly from the parents. Parents live again with the children, on the same generation's tasks:
fitness of an earlier generation proves nothing here. mu + lambda is the population. The first parents are the first
center and mu - 1 mutants of it.

Source: (mu + lambda) selection as in Beyer and Schwefel 2002, without self-adaptation; truncation and normal mutation
of a network's weights as in Such et al. 2017, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.random import Purpose, below, fill_normals, philox, stream_key, unit
from evoplastic.strategies.contract import Array, SearchSpace, Space, Strategy, check_arrays, check_tell, read_only
from evoplastic.strategies.optimizers import Positive
from evoplastic.strategies.samples import compact
from evoplastic.strategies.sums import norm

_FIFTH = 5
_CHOICE, _MASK = 0, 1  # last parts of the keys of a child's parents and of the genes that each gives


class GeneticSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="genetic"
):
    """What a run file may say."""

    population: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)] = 500  # mu + lambda
    parents: Annotated[int, msgspec.Meta(ge=0)] = 0  # mu; 0: a fifth of the population
    sigma: Positive = 0.03  # standard deviation of a mutation
    crossover: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0  # probability that a child has two parents

    def __post_init__(self) -> None:
        if self.parents >= self.population:
            raise ValueError(
                f"parents must be less than population = {self.population}, which is parents and children together, "
                f"got {self.parents}"
            )

    @property
    def mu(self) -> int:
        """How many parents there are."""
        return self.parents or max(1, self.population // _FIFTH)

    def build(self, space: SearchSpace, seed: int) -> Genetic:
        """Return the strategy for a genome; UserError if the genome has nothing to evolve."""
        return Genetic(self, Space.of(space), seed)


@dataclass(frozen=True, eq=False)
class Family:
    """Parents, and children made again from their keys."""

    population: int
    parents: Array  # (mu, D)
    scale: Array  # (D,) or, where all are equal, (1,): standard deviation of each gene's mutation
    crossover: float
    seed: int
    generation: int
    lives: int = 1

    def genotype(self, member: int) -> Array:
        parents = len(self.parents)
        if member < parents:
            parent: Array = self.parents[member]
            return parent
        words = philox(self._key(member, _CHOICE), np.uint64(0), np.uint64(0))
        child = self.parents[below(words[0], parents)]
        if unit(words[1]) <= self.crossover:
            mask = self._normals(member, _MASK)
            child = np.where(mask > 0.0, child, self.parents[below(words[2], parents)])
        return np.asarray(child + self.scale * self._normals(member))

    def pair(self, member: int) -> int:
        return member

    def _key(self, member: int, *part: int) -> np.uint64:
        return stream_key(self.seed, Purpose.PERTURBATION, self.generation, member, *part)

    def _normals(self, member: int, *part: int) -> Array:
        normals = np.empty(self.parents.shape[1])
        fill_normals(self._key(member, *part), normals)
        return normals


@dataclass(frozen=True, eq=False)
class GeneticState:
    parents: Array  # (mu, D), read-only, best first
    generation: int
    update_norm: float  # of the last change of the center

    @property
    def center(self) -> Array:
        """The best parent."""
        best: Array = self.parents[0]
        return best


@dataclass(frozen=True, eq=False)
class Genetic(Strategy[GeneticState, Family]):
    settings: GeneticSettings
    space: Space
    seed: int

    def initial(self, center: Array) -> GeneticState:
        first = self.space.inside(center)
        # No member below mu of generation 0 is a child, so these keys are nobody else's.
        mutants = replace(self._family(first[None], 0), crossover=0.0)
        parents = [first] + [mutants.genotype(number) for number in range(1, self.settings.mu)]
        return GeneticState(self._inside(np.array(parents)), 0, 0.0)

    def ask(self, state: GeneticState) -> Family:
        return self._family(state.parents, state.generation)

    def tell(self, state: GeneticState, candidates: Family, fitness: Array) -> GeneticState:
        """Return the next state. A member whose fitness is not finite is no parent; where fewer than mu are finite,
        the best are parents more than once. Of equals the earlier member comes first."""
        check_tell(state, candidates, fitness)
        generation, finite = state.generation + 1, np.flatnonzero(np.isfinite(fitness))
        if not finite.size:
            return replace(state, generation=generation, update_norm=0.0)
        order = finite[np.argsort(-fitness[finite], kind="stable")]
        chosen = order[np.arange(self.settings.mu) % len(order)]
        parents = self._inside(np.array([candidates.genotype(int(member)) for member in chosen]))
        return GeneticState(parents, generation, norm(parents[0] - state.center))

    def diagnostics(self, state: GeneticState) -> dict[str, float]:
        """Return the step size, the parents' mean distance from the best one in units of sigma * step per root of a
        gene, and the Euclidean norms of the last update and of the center."""
        units = (state.parents - state.center) / (self.settings.sigma * self.space.steps * np.sqrt(self.space.size))
        return {
            "sigma": self.settings.sigma,
            "diversity": sum(norm(parent) for parent in units) / len(units),
            "update_norm": state.update_norm,
            "center_norm": norm(state.center),
        }

    def arrays(self, state: GeneticState) -> dict[str, NDArray[Any]]:
        return {
            "center": state.center,
            "generation": np.array(state.generation, np.int64),
            "parents": state.parents,
            "norms": np.array([state.update_norm]),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> GeneticState:
        check_arrays(arrays, self.arrays(self.initial(np.zeros(self.space.size))))
        return GeneticState(read_only(arrays["parents"]), int(arrays["generation"]), float(arrays["norms"][0]))

    def effective_size(self, state: GeneticState, fitness: Array) -> float:
        """Return how many members become parents."""
        return float(min(self.settings.mu, np.isfinite(fitness).sum()))

    def memory(self) -> int:
        # the parents three times: in the state, while the next are gathered, and in the message to workers
        return 8 * self.space.size * (3 * self.settings.mu + 6)

    def _family(self, parents: Array, generation: int) -> Family:
        settings, scale = self.settings, compact(self.settings.sigma * self.space.steps)
        return Family(settings.population, parents, scale, settings.crossover, self.seed, generation)

    def _inside(self, parents: Array) -> Array:
        return read_only(np.maximum(parents, self.space.floors))
