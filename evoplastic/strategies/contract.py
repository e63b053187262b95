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

Array = NDArray[np.float64]


class SearchSpace(Protocol):
    """What a strategy knows of the genome."""

    @property
    def size(self) -> int: ...  # D

    @property
    def floors(self) -> Array: ...  # (D,), the center's lowest values, -inf where there is none

    @property
    def steps(self) -> Array: ...  # (D,) > 0, step sizes relative to the strategy's


class Candidates(Protocol):
    """A generation's members, in the form that goes to every worker once: picklable, and small where it can be."""

    @property
    def population(self) -> int: ...

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
    def initial(self, center: Array) -> S:
        """Return generation 0's state."""

    def ask(self, state: S) -> C:
        """Return the state's candidates, the same ones every time."""

    def tell(self, state: S, candidates: C, fitness: Array) -> S:
        """Return the next state from the fitness (P,) of the state's candidates; not finite counts as worst."""

    def diagnostics(self, state: S) -> dict[str, float]:
        """Return numbers for the log that depend on configuration and seed only."""

    def arrays(self, state: S) -> dict[str, NDArray[Any]]:
        """Return the whole state as arrays by name, for a checkpoint."""

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> S:
        """Return exactly the state whose `arrays` these are; UserError if they are another search's."""


class StrategySettings(Protocol):
    """What a run file says of a strategy."""

    def build(self, space: SearchSpace, seed: int) -> Strategy[Any, Any]: ...


@dataclass(frozen=True, eq=False)
class Fixed:
    """Given genotypes (k, D) as candidates, to evaluate them again.

    All are of pair 0: they meet the same tasks, stimuli and noise, so that their scores can be compared life by life.
    """

    genotypes: Array

    @property
    def population(self) -> int:
        return len(self.genotypes)

    def genotype(self, member: int) -> Array:
        genes: Array = self.genotypes[member]
        return genes

    def pair(self, member: int) -> int:
        return 0


def read_only(array: Array) -> Array:
    """Return a read-only copy."""
    array = np.array(array, np.float64)
    array.setflags(write=False)
    return array
