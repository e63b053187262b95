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
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, vstack

from evoplastic.errors import UserError
from evoplastic.tasks.meta.program import Decoded, Program
from evoplastic.tasks.meta.solvers.instances import entries_of, instances
from evoplastic.tasks.meta.solvers.model import Model, model_from
from evoplastic.tasks.meta.solvers.outcomes import Outcomes

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

LEVELS = 5  # that stand for a probability drawn between bounds: .1, .3, .5, .7 and .9 of the way
MOST_ENTRIES = 2**22  # outcomes of all situations; about a gigabyte while they are put together


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
    model, (payments, moves) = model_from(outcomes), outcomes.told_moves()
    seen, looks, shows = _seen(program, held, model.shape)
    decisions = range(1, (program.spec.horizon if horizon is None else horizon) + 1)
    kinds, kind_of = _kinds(model, decisions)
    first, into, chance, told = _branches(model, moves, len(payments), seen, kinds)
    return Situations(
        shape=model.shape,
        born=_born(model, weights),
        seen=seen,
        symbols=int(seen.max()) + 1,
        looks=looks,
        shows=shows,
        payments=payments,
        rewards=np.ascontiguousarray(model.rewards[..., 0]),
        kinds=kind_of,
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
    found = []
    for told_apart in (shown, np.minimum(shown, len(program.codes))):
        _, numbers = np.unique(told_apart.reshape(-1, shown.shape[2]), axis=0, return_inverse=True)
        whole = np.broadcast_to(numbers.reshape(size, 1, 1, states), (size, joints, memories, states))
        found.append(np.ascontiguousarray(whole).ravel().astype(np.int64))
    return found[0], found[1], np.unique(shown.reshape(-1, shown.shape[2]), axis=0)


def _born(model: Model, weights: Array) -> Array:
    born = np.zeros(model.shape)
    for start in model.start:
        born[:, :, 0, start] += weights[:, None] / (model.shape[1] * len(model.start))
    return born.ravel()


def _kinds(model: Model, decisions: range) -> tuple[list[int], Numbers]:
    """Return one decision of each kind, and the kind of every decision, (H,): alike is what has the same events due."""
    examples: dict[tuple[object, ...], tuple[int, int]] = {}
    kind_of = []
    for decision in decisions:
        due = [
            (ended, changing.due(decision, ended)) for ended in model.endings(decision) for changing, _ in model.changes
        ]
        kind, _ = examples.setdefault((model.endings(decision), *due), (len(examples), decision))
        kind_of.append(kind)
    return [decision for _, decision in examples.values()], np.array(kind_of, np.int64)


def _branches(
    model: Model, moves: csr_array, payments: int, seen: Numbers, kinds: list[int]
) -> tuple[Numbers, Numbers, Array, Numbers]:
    """Return `first`, `into`, `chance` and `told` of Situations."""
    width, symbols = moves.shape[1] // payments, int(seen.max()) + 1
    by_row = moves.tocsc()
    parts = [by_row[:, payment * width : (payment + 1) * width].tocsr() for payment in range(payments)]
    first, into, chance, told = [], [], [], []
    begun = 0
    for decision in kinds:
        leads = _leads(model, decision)
        found = [(part @ leads).tocoo() for part in parts]
        rows = np.concatenate([matrix.row for matrix in found])
        columns = np.concatenate([matrix.col for matrix in found])
        paid = np.repeat(np.arange(payments), [matrix.nnz for matrix in found])
        order = np.lexsort((columns, paid, rows))
        first.append(begun + np.concatenate([[0], np.bincount(rows, minlength=moves.shape[0]).cumsum()]))
        begun = int(first[-1][-1])
        into.append(columns[order])
        chance.append(np.concatenate([matrix.data for matrix in found])[order])
        told.append((paid * symbols + seen[columns])[order])
    whole = [np.concatenate(arrays) for arrays in (into, told)]
    return np.array(first, np.int64), whole[0].astype(np.int64), np.concatenate(chance), whole[1].astype(np.int64)


def _leads(model: Model, decision: int) -> csr_array:
    """Return `Model.onward` of a decision as a matrix, (columns, N)."""
    parts = []
    for ended in model.endings(decision):
        lead = model.restarts if ended else csr_array(eye_array(model.situations))
        for changing, matrix in reversed(model.changes):
            if changing.due(decision, ended):
                lead = lead @ matrix
        parts.append(lead)
    after = csr_array(vstack(parts))
    return csr_array(vstack([after, model.places @ after])) if model.places.shape[0] else after
