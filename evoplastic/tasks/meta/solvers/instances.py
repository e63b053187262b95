"""Instances of a meta-task: all that can be drawn, and how the variables that change do so within one.

Static variables are enumerated as they are drawn, one after the other, each evenly among the values that no variable
it must be unlike holds. Those that change form a Markov chain over their joint value c in [0, C), mixed radix in the
order of the variables, the first highest; it begins evenly. Continuous probabilities stay open (NaN): they enter
expected rewards only, and those linearly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.tasks.meta.language import Change
from evoplastic.tasks.meta.program import Decoded, Program

MOST_WORK = 2**30  # products in one backward pass over all instances and decisions; 10 to 30 s on one core
MOST_CONTINUOUS = 2


class Instance(NamedTuple):
    """One draw of the static variables, and its probability."""

    weight: float
    held: tuple[float, ...]  # per variable: state, action, layout or probability; NaN: open, changing or a stimulus


class Changing(NamedTuple):
    """A variable that changes: when, and to what."""

    change: Change
    kernel: NDArray[np.float64]  # (values, values): from row to column when it is due

    def due(self, decision: int, ended: bool) -> bool:
        """Return whether it may change after this decision, counted from 1; `ended`: it ends a trial."""
        every = self.change.every
        return decision in self.change.at or every == "decision" or (every == "trial" and ended)


class Chain(NamedTuple):
    """The joint value of all changing variables; C is 1 where there are none."""

    held: NDArray[np.float64]  # (C, V): what each variable is; NaN for those that do not change
    changing: tuple[Changing, ...]


def instances(program: Program) -> Iterator[Instance]:
    """Yield every instance; the weights sum to 1."""
    return _drawn_on(program.variables, Instance(1.0, ()))


def _drawn_on(variables: tuple[Decoded, ...], begun: Instance) -> Iterator[Instance]:
    """Yield every way to draw the variables that `begun` does not hold yet."""
    if len(begun.held) == len(variables):
        yield begun
        return
    values = _possible(variables, begun.held)
    for value in values:
        yield from _drawn_on(variables, Instance(begun.weight / len(values), (*begun.held, value)))


def _possible(variables: tuple[Decoded, ...], held: tuple[float, ...]) -> list[float]:
    """Return what the next variable may be, evenly, given those before it; [NaN] where it is not enumerated."""
    variable = variables[len(held)]
    if variable.other >= 0 and not math.isnan(held[variable.other]):
        return [variable.values[1 - variable.values.index(held[variable.other])]]
    if _is_open(variable):
        return [math.nan]
    taken = {held[rival] for rival in variable.unlike}
    return [value for value in variable.values if value not in taken]


def _is_open(variable: Decoded) -> bool:
    """Return whether a variable's value is not enumerated, or only where the one it is the other value of is."""
    return variable.kind == "stimulus" or variable.continuous or variable.other >= 0 or variable.change is not None


def chain_of(program: Program) -> Chain:
    """Return the Markov chain of the variables that change."""
    numbers = [number for number, variable in enumerate(program.variables) if variable.change]
    joint = list(itertools.product(*(range(len(program.variables[number].values)) for number in numbers)))
    picks = np.array(joint, np.int64).reshape(len(joint), len(numbers))
    held = np.full((len(joint), len(program.variables)), np.nan)
    for column, number in enumerate(numbers):
        held[:, number] = np.array(program.variables[number].values)[picks[:, column]]
    for number, variable in enumerate(program.variables):
        if variable.other in numbers:
            held[:, number] = np.array(variable.values)[1 - picks[:, numbers.index(variable.other)]]
    return Chain(held, tuple(_changing(program.variables[number]) for number in numbers))


def _changing(variable: Decoded) -> Changing:
    change, size = variable.change, len(variable.values)
    assert change is not None
    if change.to == "other":
        step = (1.0 - np.eye(size)) / (size - 1)
    else:
        step = (np.eye(size, k=1) + np.eye(size, k=-1)) / 2
        step[0, 0] = step[-1, -1] = 0.5  # a step over the edge is not taken
    return Changing(change, (1.0 - change.chance) * np.eye(size) + change.chance * step)


def continuous(program: Program) -> list[int]:
    """Return the numbers of the variables that are drawn from a continuum."""
    return [number for number, variable in enumerate(program.variables) if variable.continuous]


def check_exact(program: Program, horizon: int) -> None:
    """Raise UserError where exact values would take too long or are not piecewise linear in what is continuous."""
    open_ = [program.variables[number].name for number in continuous(program)]
    if len(open_) > MOST_CONTINUOUS:
        raise UserError(
            f"exact values allow at most {MOST_CONTINUOUS} probabilities between bounds, got {', '.join(open_)}; "
            "list levels for the others"
        )
    for rule in program.rewards:
        variable = rule.chance.variable
        if variable >= 0 and program.variables[variable].continuous and (rule.places or endings_by_reward(program)):
            raise UserError(
                f"{rule.place}: exact values need listed levels for {program.variables[variable].name!r}, "
                "since whether it pays decides what happens next; list levels instead of bounds"
            )
    work = work_of(program, horizon)
    if work > MOST_WORK:
        raise UserError(
            f"exact values would take {work:.2g} products for {_count(program):.2g} instances over {horizon} "
            f"decisions, more than {MOST_WORK:.2g}; use fewer states, values of variables, mazes or decisions"
        )


def endings_by_reward(program: Program) -> bool:
    """Return whether a paid reward ends the trial and that has consequences."""
    return program.ending.rewarded and endings_matter(program)


def endings_matter(program: Program) -> bool:
    """Return whether anything follows from the end of a trial."""
    changes = any(variable.change and variable.change.every == "trial" for variable in program.variables)
    return program.ending.restart or program.ending.clear or changes


def work_of(program: Program, horizon: int) -> float:
    """Return about how many products one backward pass over all instances takes."""
    return _count(program) * entries_of(program) * horizon


def entries_of(program: Program) -> int:
    """Return about how many numbers describe one decision of one instance."""
    _, states, actions, successors = program.targets.shape
    joint = math.prod(len(variable.values) for variable in program.variables if variable.change)
    places = sum(len(places) for places, _ in {(rule.places, rule.but) for rule in program.rewards})
    return joint * program.joint_memories * (states * actions * successors + places)


def _count(program: Program) -> float:
    """Return the number of instances, or a little more where variables are unlike each other."""
    return math.prod(float(len(variable.values)) for variable in program.variables if not _is_open(variable))
