"""A meta-task in numbers: what the engine runs and the solvers solve.

References to states and actions are numbers >= 0, or `variable_reference(v)` where the instance decides. Flags and
counters together form one number, the *memory* m in [0, M): mixed radix in the order of their names, so a condition
on them is a set of allowed m and a mark a table from m to m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.tasks.meta import grid as grids
from evoplastic.tasks.meta.language import Change, MetaTask

MOST_STATES, MOST_ACTIONS, MOST_RULES, MOST_VARIABLES = 1024, 16, 256, 16
MOST_MEMORY = 62  # joint values of flags and counters, so that a set of them is an int64
MOST_SUCCESSORS = 16
MOST_BITS = 64  # units of an observation
ANYTHING = -1  # a condition that always holds


def variable_reference(variable: int) -> int:
    """Return how a reference to a variable is spelled among states or actions."""
    return -2 - variable


class Decoded(NamedTuple):
    """A variable: what it may be and how it is drawn."""

    name: str
    kind: str  # state, action, stimulus, probability or layout
    values: tuple[float, ...]  # state, action or stimulus numbers, or probabilities; () where drawn from a continuum
    low: float = 0.0  # of a continuum
    high: float = 1.0
    unlike: tuple[int, ...] = ()
    other: int = -1  # the two-valued variable whose other value this is
    change: Change | None = None

    @property
    def continuous(self) -> bool:
        return self.kind == "probability" and not self.values and self.other < 0

    @property
    def drawn_code(self) -> bool:
        return self.kind == "stimulus" and not self.values


class Chance(NamedTuple):
    """offset + slope * (value of variable), or just the offset where there is none."""

    offset: float
    slope: float = 0.0
    variable: int = -1


class Rule(NamedTuple):
    """Conditions of a reward, cost or mark; ANYTHING where one does not matter."""

    place: str  # in the spec, such as rewards[2]
    from_: int
    to: int
    action: int
    moved: int  # 1, 0 or ANYTHING
    memories: int  # bit m is set where memory m is allowed
    value: float = 0.0
    chance: Chance = Chance(1.0)
    places: tuple[int, ...] = ()  # of a relocation
    but: tuple[int, ...] = ()  # left out of them
    marked: tuple[int, ...] = ()  # memory after a mark, for each memory before


class Ending(NamedTuple):
    """When a trial ends and what follows."""

    decisions: int  # 0: not after a number of them
    until: tuple[int, ...]
    rewarded: bool
    restart: bool
    clear: bool


@dataclass(frozen=True, eq=False)
class Program:
    """A meta-task in numbers: L layouts, S states, A actions, K successors, M memories."""

    spec: MetaTask
    states: tuple[str, ...]
    actions: tuple[str, ...]
    targets: NDArray[np.int64]  # (L, S, A, K): states or references
    probabilities: NDArray[np.float64]  # (L, S, A, K)
    start: tuple[int, ...]  # one of these, evenly
    memories: tuple[tuple[str, int], ...]  # name and number of values of each flag and counter
    variables: tuple[Decoded, ...]
    rewards: tuple[Rule, ...]
    costs: tuple[Rule, ...]
    marks: tuple[Rule, ...]
    ending: Ending
    shown: NDArray[np.int64]  # (L, S, slots): stimulus number, -1 for none, or a reference
    codes: NDArray[np.int64]  # (stimuli, bits): 1 on, 0 off, -1 silent; after them come those drawn
    plane: grids.Plane | None

    @property
    def joint_memories(self) -> int:
        """M."""
        return math.prod(values for _, values in self.memories)

    @property
    def units(self) -> int:
        """How many units an observation takes."""
        return int(self.shown.shape[2] * self.codes.shape[1])

    @property
    def layout_variable(self) -> int:
        """The variable that is the layout, or -1."""
        kinds = [variable.kind for variable in self.variables]
        return kinds.index("layout") if "layout" in kinds else -1
