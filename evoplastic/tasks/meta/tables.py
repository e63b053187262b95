"""Programs as the arrays that the engine runs on: one block per meta-task, padded to the largest.

Lists of any length lie in two pools per block, `words` for integers and `numbers` for fractions; a row of `rules` or
`variables` holds where its lists start and how long they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import pack
from evoplastic.tasks.meta.language import Change
from evoplastic.tasks.meta.program import Decoded, Program, Rule

# Columns of `facts`
STATES, ACTIONS, STIMULI, BITS, SLOTS, SHOWN, SHOWN_COUNT = range(7)
VARIABLES, LAYOUT, CHANGING = range(7, 10)
REWARDS, COSTS, MARKS = range(10, 13)  # how many; they stand in this order in `rules`
START, STARTS, DECISIONS, UNTIL, UNTILS, REWARDED, RESTART, CLEAR = range(13, 21)
FACTS = 21

# Columns of `rules`; a condition of -1 always holds
FROM, TO, ACTION, MOVED, ALLOWED, CHANCE_OF, PLACES, PLACE_COUNT, BUT, BUT_COUNT, MARKED, AMOUNT = range(12)
RULE_COLUMNS = 12  # numbers[AMOUNT:] are value, offset and slope of the chance

# Columns of `variables`
KIND, VALUES, VALUE_COUNT, UNLIKE, UNLIKE_COUNT, OTHER, CHANGE_TO, CHANGE_EVERY, AT, AT_COUNT, BOUNDS = range(11)
VARIABLE_COLUMNS = 11  # numbers[BOUNDS:] are low and high of a continuum and the chance of a change
LISTED, LEVELS, CONTINUUM, DRAWN_CODE = range(4)  # kinds
UNCHANGING, EACH_DECISION, EACH_TRIAL, AT_DECISIONS = range(4)
TO_OTHER, TO_NEIGHBOUR = range(2)

# The first entries of `numbers`
ZERO, ONE, LOWEST, HIGHEST, RANDOM, ORACLE = range(6)  # mean reward per decision of `Bounds`; bounds of one decision's


class Tables(NamedTuple):
    facts: NDArray  # (B, FACTS) int64
    targets: NDArray  # (B, L, S, A, K) int64: next states, or references to variables
    cumulative: NDArray  # (B, L, S, A, K) float32: summed probabilities of the row, the last is 1
    rules: NDArray  # (B, R, RULE_COLUMNS) int64
    variables: NDArray  # (B, V, VARIABLE_COLUMNS) int64
    words: NDArray  # (B, Q) int64
    numbers: NDArray  # (B, Y) float32
    codes: NDArray  # (B, stimuli, bits) float32: 1 on, -1 off, 0 silent


class Bounds(NamedTuple):
    """What rewards are measured by: the mean reward per decision at which a score is 0 and 1, and a loss is 1 and 0.

    Scores of tasks in which little can be learned spread widely; losses are what evolution goes by, and need not.
    """

    zero: float
    one: float
    random: float | None = None  # of random play: loss 1; default: as zero
    oracle: float | None = None  # of who knows the instance: loss 0; default: as one


def tables_of(programs: Sequence[Program], bounds: Sequence[Bounds]) -> Tables:
    """Return the packed tables of a life whose blocks are these programs."""
    blocks = [_Block(program, bound) for program, bound in zip(programs, bounds, strict=True)]
    return pack(
        Tables(
            facts=np.array([block.facts for block in blocks]),
            targets=_padded([block.program.targets for block in blocks], np.int64),
            cumulative=_padded([_cumulative(block.program) for block in blocks], np.float64),
            rules=_padded([np.array(block.rules).reshape(-1, RULE_COLUMNS) for block in blocks], np.int64),
            variables=_padded([np.array(block.variables).reshape(-1, VARIABLE_COLUMNS) for block in blocks], np.int64),
            words=_padded([np.array(block.words) for block in blocks], np.int64),
            numbers=_padded([np.array(block.numbers) for block in blocks], np.float64),
            codes=_padded([_levels(block.program) for block in blocks], np.float64),
        )
    )


class _Block:
    """One program's rows, filled pool by pool."""

    def __init__(self, program: Program, bounds: Bounds):
        self.program = program
        self.words: list[int] = [0]
        random = bounds.zero if bounds.random is None else bounds.random
        oracle = bounds.one if bounds.oracle is None else bounds.oracle
        self.numbers: list[float] = [bounds.zero, bounds.one, *reward_range(program), random, oracle]
        self.rules = [self._rule(rule) for rule in (*program.rewards, *program.costs, *program.marks)]
        self.variables = [self._variable(variable) for variable in program.variables]
        ending, shown = program.ending, program.shown
        self.facts = [
            len(program.states),
            len(program.actions),
            *program.codes.shape,
            shown.shape[2],
            self._list(shown.ravel().tolist()),
            shown.size,
            len(program.variables),
            program.layout_variable,
            int(any(variable.change for variable in program.variables)),
            len(program.rewards),
            len(program.costs),
            len(program.marks),
            self._list(program.start),
            len(program.start),
            ending.decisions,
            self._list(ending.until),
            len(ending.until),
            int(ending.rewarded),
            int(ending.restart),
            int(ending.clear),
        ]

    def _list(self, values: Sequence[int]) -> int:
        """Put integers into the pool and return where they start."""
        self.words.extend(map(int, values))
        return len(self.words) - len(values)

    def _fractions(self, *values: float) -> int:
        self.numbers.extend(map(float, values))
        return len(self.numbers) - len(values)

    def _rule(self, rule: Rule) -> list[int]:
        places, but, marked = (self._list(values) for values in (rule.places, rule.but, rule.marked))
        amount = self._fractions(rule.value, rule.chance.offset, rule.chance.slope)
        conditions = [rule.from_, rule.to, rule.action, rule.moved, rule.memories]
        relocation = [places, len(rule.places), but, len(rule.but)]
        return [*conditions, rule.chance.variable, *relocation, marked, amount]

    def _variable(self, variable: Decoded) -> list[int]:
        change = variable.change or Change()
        levels = variable.kind == "probability"
        values = self._fractions(*variable.values) if levels else self._list([int(value) for value in variable.values])
        kind = LEVELS if levels else LISTED
        kind = CONTINUUM if variable.continuous else DRAWN_CODE if variable.drawn_code else kind
        every = {None: AT_DECISIONS, "decision": EACH_DECISION, "trial": EACH_TRIAL}[change.every]
        return [
            kind,
            values,
            len(variable.values),
            self._list(variable.unlike),
            len(variable.unlike),
            variable.other,
            TO_NEIGHBOUR if change.to == "neighbour" else TO_OTHER,
            every if variable.change else UNCHANGING,
            self._list(change.at),
            len(change.at),
            self._fractions(variable.low, variable.high, change.chance),
        ]


def reward_range(program: Program) -> tuple[float, float]:
    """Return bounds of what one decision can pay, costs included."""
    values = [0.0, *(rule.value for rule in program.rewards)]
    costs = {rule.place: rule.value for rule in program.costs}.values()  # a cost of several states is charged once
    lowest = min(values) - sum(max(cost, 0.0) for cost in costs)
    return lowest, max(values) - sum(min(cost, 0.0) for cost in costs)


def _cumulative(program: Program) -> NDArray[np.float64]:
    summed = program.probabilities.cumsum(axis=-1)
    return np.where(summed > 1.0 - 1e-6, 1.0, summed)


def _levels(program: Program) -> NDArray[np.float64]:
    """Return the codes as signs: digit 1 is 1, 0 is -1, silent is 0."""
    return np.where(program.codes < 0, 0.0, 2.0 * program.codes - 1.0)


def _padded(arrays: Sequence[NDArray], dtype: type) -> NDArray:
    """Return the arrays stacked, each padded with zeros to the largest of every axis, none of which is 0."""
    shape = np.maximum(np.max([array.shape for array in arrays], axis=0), 1)
    stacked = np.zeros((len(arrays), *shape), dtype)
    for block, array in zip(stacked, arrays):
        block[tuple(map(slice, array.shape))] = array
    return stacked
