"""What a strategy is: ask for candidates, evaluate them anywhere, tell their fitness; over vectors of genes only.

    state = strategy.initial(center)
    candidates = strategy.ask(state)
    fitness = ...                                          (P,), higher is better
    state = strategy.tell(state, candidates, fitness)

A strategy is configuration and seed; everything that changes is in the state, a value: neither ask nor tell alters
it, so any state can be asked again, kept or saved. D is the number of genes, P the population. All draws are
addressed by (seed, generation, ...), all sums have a fixed order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError

Array = NDArray[np.float64]


class SearchSpace(Protocol):
    """What a strategy knows of the genome."""

    @property
    def size(self) -> int: ...  # D

    @property
    def floors(self) -> Array: ...  # (D,), the center's lowest values, -inf where there is none

    @property
    def steps(self) -> Array: ...  # (D,) > 0, step sizes relative to the strategy's


@dataclass(frozen=True, eq=False)
class Space:
    """A search space as a value."""

    floors: Array  # (D,)
    steps: Array  # (D,)

    @classmethod
    def of(cls, space: SearchSpace) -> Space:
        """Return the space, read-only; UserError if nothing evolves."""
        if space.size == 0:
            raise UserError("there is nothing to evolve: every block of the genome has evolve = false")
        return cls(read_only(space.floors), read_only(space.steps))

    @property
    def size(self) -> int:
        return len(self.floors)

    def inside(self, center: Array) -> Array:
        """Return `center` (D,) kept at or above the floors, read-only; ValueError for another shape."""
        if center.shape != self.floors.shape:
            raise ValueError(f"the center must have shape {self.floors.shape}, got {center.shape}")
        return read_only(np.maximum(center, self.floors))


class Candidates(Protocol):
    """A generation's members, in the form that goes to every worker once: picklable, and small where it can be."""

    @property
    def population(self) -> int: ...

    @property
    def generation(self) -> int: ...

    @property
    def lives(self) -> int: ...  # lifetimes of each member that decide its fitness, usually 1

    def genotype(self, member: int) -> Array:
        """Return the genes (D,) of a member, the same bits in any process; not to be written into."""

    def pair(self, member: int) -> int:
        """Return the number of the member's pair: members of one pair share task, stimuli and noise."""


class State(Protocol):
    """Where a search stands. The center is (D,), read-only; `generation` counts the tells."""

    @property
    def center(self) -> Array: ...

    @property
    def generation(self) -> int: ...


S = TypeVar("S", bound=State)
C = TypeVar("C", bound=Candidates)


class Strategy(Protocol[S, C]):
    """What moves the search; to be inherited from, since what few strategies need has a default here."""

    def initial(self, center: Array) -> S:
        """Return generation 0's state."""

    def ask(self, state: S) -> C:
        """Return the state's candidates, the same ones every time."""

    def tell(self, state: S, candidates: C, fitness: Array) -> S:
        """Return the next state from the fitness (P,) of the state's candidates; not finite counts as worst.

        Where candidates have several lives, fitness is (P, lives). ValueError for another state's candidates or
        another shape. If no fitness is finite, the generation counts but nothing else changes.
        """

    def diagnostics(self, state: S) -> dict[str, float]:
        """Return numbers for the log that depend on configuration and seed only."""

    def arrays(self, state: S) -> dict[str, NDArray[Any]]:
        """Return the whole state as arrays by name, for a checkpoint."""

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> S:
        """Return exactly the state whose `arrays` these are; UserError if they are another search's."""

    def effective_size(self, state: S, fitness: Array) -> float:
        """Return how many members of equal weight would steer the update as sharply as this fitness (P,) does.

        For weights w that is (sum |w|)^2 / sum w^2; at least one fitness is finite.
        """

    def exhausted(self, state: S) -> str:
        """Return in words why the search cannot improve from `state`, "" if it may."""
        return ""

    def memory(self) -> int:
        """Return about how many bytes the state, its candidates and a tell take."""

    def notes(self, generations: int) -> list[str]:
        """Return what a user should know before a run of so many generations, in sentences."""
        return []


class StrategySettings(Protocol):
    """What a run file says of a strategy."""

    def build(self, space: SearchSpace, seed: int) -> Strategy[Any, Any]: ...


@dataclass(frozen=True, eq=False)
class Listed:
    """Members given gene by gene, (P, D), each a pair of its own."""

    genotypes: Array
    generation: int = 0
    lives: int = 1

    @property
    def population(self) -> int:
        return len(self.genotypes)

    def genotype(self, member: int) -> Array:
        genes: Array = self.genotypes[member]
        return genes

    def pair(self, member: int) -> int:
        return member


class Fixed(Listed):
    """Given genotypes as candidates, to evaluate them again.

    All are of pair 0: they meet the same tasks, stimuli and noise, so that their scores can be compared life by life.
    """

    def pair(self, member: int) -> int:
        return 0


def check_tell(state: State, candidates: Candidates, fitness: Array) -> None:
    """Raise ValueError unless these are the state's candidates and a fitness of each."""
    if candidates.generation != state.generation:
        raise ValueError(f"candidates are of generation {candidates.generation}, the state of {state.generation}")
    if fitness.shape != (candidates.population,):
        raise ValueError(f"fitness must have shape ({candidates.population},), got {fitness.shape}")


def check_arrays(found: Mapping[str, NDArray[Any]], blank: Mapping[str, NDArray[Any]]) -> None:
    """Raise UserError unless `found` has the names and shapes of `blank`, the arrays of a search's first state."""
    there, here = ({name: array.shape for name, array in arrays.items()} for arrays in (found, blank))
    if there != here:
        raise UserError(f"the saved state is not one of this search: it must hold {here}, got {there}")


def read_only(array: Array) -> Array:
    """Return a read-only copy."""
    array = np.array(array, np.float64)
    array.setflags(write=False)
    return array


def all_read_only(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
    """Make arrays that nobody else holds read-only, and return them."""
    for array in arrays.values():
        array.setflags(write=False)
    return arrays
