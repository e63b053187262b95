"""A meta-task as its learner meets it: what may happen in every situation, and what the learner is told of it.

A learner is shown the observation of the state it is in and told what a decision paid; it knows the clock and the
meta-task, but not the instance, the changing variables, flags, counters or the state. Instances count what stimuli
mean: a listed stimulus variable is one of its stimuli, and each drawn one gets one of the labels of as many new
stimuli, every way to hand them out alike, so that a label means nothing beforehand. New codes are taken to differ from
each other and from those listed.

Situations (i, c, m, s) are numbered as in `model`, N of them.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.tasks.meta.program import Decoded, Program
from evoplastic.tasks.meta.solvers.following import Following
from evoplastic.tasks.meta.solvers.instances import entries_of, instances
from evoplastic.tasks.meta.solvers.outcomes import Entries, Outcomes

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

LEVELS = 5  # that stand for a probability drawn between bounds: .1, .3, .5, .7 and .9 of the way
MOST_ENTRIES = 2**22  # outcomes of all situations; about a gigabyte while they are put together


class Flat(NamedTuple):
    """The arrays of Situations that most kernels need."""

    born: NDArray  # (N,) float64
    seen: NDArray  # (N,) int64
    rewards: NDArray  # (A, N) float64
    kinds: NDArray  # (H,) int64
    first: NDArray  # (K, A N + 1) int64
    into: NDArray  # (B,) int64
    chance: NDArray  # (B,) float64


@dataclass(frozen=True, eq=False)
class Situations:
    """The partially observed model: A actions, H decisions of K kinds, B branches."""

    shape: tuple[int, int, int, int]  # I, C, M, S
    born: Array  # (N,): probability to begin there, the weight of the instance included
    seen: Numbers  # (N,): symbol of what is shown there
    symbols: int
    looks: Numbers  # (N,): as `seen`, but one new stimulus looks like another
    shows: Numbers  # (symbols, slots): the stimuli of a symbol; labels come after the program's codes, -1 is none
    payments: Array  # (L,): what a decision can pay, costs taken off, ascending
    rewards: Array  # (A, N): expected payment
    kinds: Numbers  # (H,): the kind of each decision
    first: Numbers  # (K, A N + 1): the branches of kind k, action a and situation n begin at first[k, a N + n]
    into: Numbers  # (B,): next situation
    chance: Array  # (B,)
    told: Numbers  # (B,): number of the payment * symbols + symbol of the next situation

    @functools.cached_property
    def flat(self) -> Flat:
        """The arrays as kernels take them."""
        return Flat(*(np.require(getattr(self, name), requirements=["C", "W", "A", "O"]) for name in Flat._fields))

    @functools.cached_property
    def rows(self) -> Numbers:
        """The row of every branch, (B,): (k A + a) N + n."""
        counts = np.diff(self.first, axis=1).ravel()
        return np.repeat(np.arange(len(counts)), counts)

    @functools.cached_property
    def occurring(self) -> NDArray[np.bool_]:
        """Whether some policy comes to a situation, (N,), sooner or later, any decision being of any kind."""
        source = self.rows % len(self.born)
        occurring, known = self.born > 0.0, 0
        while np.count_nonzero(occurring) > known:
            known = np.count_nonzero(occurring)
            occurring[self.into[occurring[source]]] = True
        return occurring

    @property
    def signals(self) -> int:
        """How many different things a learner can be told of a decision."""
        return len(self.payments) * self.symbols

    @property
    def states(self) -> Numbers:
        """The state of each situation, (N,)."""
        return np.arange(len(self.born)) % self.shape[3]

    @property
    def pairs(self) -> Numbers:
        """The number of (memory, state) of each situation, (N,)."""
        return np.arange(len(self.born)) % (self.shape[2] * self.shape[3])


def situations_of(program: Program, horizon: int | None = None) -> Situations:
    """Return the situations of a meta-task over its horizon or another; UserError with an estimate for too many.

    Probabilities between bounds must have been replaced by levels, see `discretised`.
    """
    program = _as_met(program)
    _check_size(program)
    drawn = list(instances(program))
    weights, held = np.array([one.weight for one in drawn]), np.array([one.held for one in drawn])
    held = held.reshape(len(drawn), len(program.variables))
    outcomes = Outcomes(program, held)
    shape, actions = outcomes.shape[:4], outcomes.shape[4]
    seen, looks, shows = _seen(program, held, shape)
    entries, following = outcomes.entries(), Following(outcomes)
    kinds, examples = _kinds(following, program.spec.horizon if horizon is None else horizon)
    first, into, chance, told = _branches(entries, following, examples, seen, actions)
    paid = np.bincount(entries.row, entries.weight * entries.payments[entries.payment], actions * len(seen))
    return Situations(
        shape=shape,
        born=_born(program, shape, weights),
        seen=seen,
        symbols=len(shows),
        looks=looks,
        shows=shows,
        payments=entries.payments,
        rewards=paid.reshape(actions, -1),
        kinds=kinds,
        first=first,
        into=into,
        chance=chance,
        told=told,
    )


def discretised(program: Program) -> Program:
    """Return the meta-task with LEVELS levels in the place of every probability between bounds."""
    middle = (np.arange(LEVELS) + 0.5) / LEVELS
    variables = [
        variable._replace(values=tuple((variable.low + (variable.high - variable.low) * middle).tolist()))
        if variable.continuous
        else variable
        for variable in program.variables
    ]
    return dataclasses.replace(program, variables=tuple(variables))


def _as_met(program: Program) -> Program:
    """Return the program with stimulus variables to be drawn with the instance, as far as states show them."""
    shown = {-2 - reference for reference in np.unique(program.shown[program.shown < -1]).tolist()}
    for number in sorted(shown, reverse=True):
        variable = program.variables[number]
        shown |= {*variable.unlike, *([variable.other] if variable.other >= 0 else [])}
    drawn = [number for number in sorted(shown) if program.variables[number].drawn_code]
    labels = tuple(float(len(program.codes) + label) for label in range(len(drawn)))
    variables = list(program.variables)
    for number in sorted(shown):
        variables[number] = variables[number]._replace(kind="label")
    for place, number in enumerate(drawn):
        variables[number] = variables[number]._replace(values=labels, unlike=tuple(drawn[:place]))
    return dataclasses.replace(program, variables=tuple(variables))


def _check_size(program: Program) -> None:
    count = math.prod(float(len(variable.values)) for variable in program.variables if _is_drawn(variable))
    entries = count * entries_of(program)
    if entries > MOST_ENTRIES:
        raise UserError(
            f"an exact solution for who does not know the instance would take {entries:.2g} outcomes of "
            f"{count:.2g} instances, more than {MOST_ENTRIES:.2g}; use fewer states, values of variables or mazes"
        )


def _is_drawn(variable: Decoded) -> bool:
    return bool(variable.values) and variable.kind != "stimulus" and variable.other < 0 and variable.change is None


def _seen(program: Program, held: Array, shape: tuple[int, int, int, int]) -> tuple[Numbers, Numbers, Numbers]:
    """Return `seen`, `looks` and `shows` of Situations."""
    size, joints, memories, states = shape
    layout = held[:, program.layout_variable].astype(int) if program.layout_variable >= 0 else np.zeros(size, int)
    shown = program.shown[layout]  # (I, S, slots)
    for reference in np.unique(shown[shown < -1]).tolist():
        shown = np.where(shown == reference, held[:, -2 - reference, None, None].astype(np.int64), shown)
    silent = np.flatnonzero((program.codes == -1).all(axis=1))
    shown = np.where(np.isin(shown, silent), -1, shown)  # a code of silent units shows nothing
    seen, places = _numbered(shown)
    looks, _ = _numbered(np.minimum(shown, len(program.codes)))
    whole = [
        np.broadcast_to(numbers.reshape(size, 1, 1, states), (size, joints, memories, states)).ravel()
        for numbers in (seen, looks)
    ]
    return whole[0], whole[1], shown.reshape(-1, shown.shape[2])[places]


def _numbered(shown: Numbers) -> tuple[Numbers, Numbers]:
    """Return a number for each different row of stimuli (I, S, slots), (I S,), and where each first stands."""
    numbers, first = np.zeros(shown.shape[0] * shown.shape[1], np.int64), np.zeros(1, np.int64)
    for stimuli in shown.reshape(len(numbers), -1).T:
        _, first, numbers = np.unique(numbers * (shown.max() + 2) + stimuli + 1, return_index=True, return_inverse=True)
    return numbers, first


def _born(program: Program, shape: tuple[int, int, int, int], weights: Array) -> Array:
    born = np.zeros(shape)
    for start in program.start:
        born[:, :, 0, start] += weights[:, None] / (shape[1] * len(program.start))
    return born.ravel()


def _kinds(following: Following, horizon: int) -> tuple[Numbers, list[int]]:
    """Return the kind of every decision, (H,), and one decision of each: alike is what has the same events due."""
    examples: dict[tuple[object, ...], tuple[int, int]] = {}
    kinds = [
        examples.setdefault(following.kind(decision), (len(examples), decision))[0]
        for decision in range(1, horizon + 1)
    ]
    return np.array(kinds, np.int64), [decision for _, decision in examples.values()]


def _branches(
    entries: Entries, following: Following, decisions: list[int], seen: Numbers, actions: int
) -> tuple[Numbers, Numbers, Array, Numbers]:
    """Return `first`, `into`, `chance` and `told` of Situations; one of the `decisions` stands for each kind."""
    found = [following.of(entries, decision) for decision in decisions]
    lengths = np.array([len(one.row) for one in found])
    counts = np.array([np.bincount(one.row, minlength=actions * len(seen)) for one in found])
    first = np.pad(counts.cumsum(axis=1), ((0, 0), (1, 0))) + (lengths.cumsum() - lengths)[:, None]
    into = np.concatenate([one.situation for one in found])
    payment = np.concatenate([one.payment for one in found])
    told = payment * (int(seen.max()) + 1) + seen[into]
    return first, into, np.concatenate([one.weight for one in found]), told
