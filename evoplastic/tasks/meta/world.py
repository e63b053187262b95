"""One life's world: an instance and where it stands in it.

All of it lies in two arrays, so that a call hands on little. The head of `ints` says where the sections of both begin.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import inlined_kernel, making_kernel
from evoplastic.tasks.meta.tables import BITS, FACTS, RULE_COLUMNS, SLOTS

# The head of `ints`: where the life stands,
BLOCK, STATE, MEMORY, CHOSEN, NEXT, NEXT_MEMORY, ENDED, BEGINS, DECISION, WITHIN, POSITION, LAYOUT_NOW = range(12)
# its key and the words drawn for this decision,
KEY, CHOOSING, MOVING, PAYING, RELOCATING = range(12, 17)
# where the sections begin,
WORDS_AT, RULES_AT, TARGETS_AT, PICKS_AT, HELD_AT, NUMBERS_AT, CHANCES_AT, CUMULATIVE_AT = range(17, 25)
LEVELS_AT, CODES_AT, OBSERVED_AT, CLAMPED_AT = range(25, 29)
# and the lengths of their rows. The program's facts follow.
ROWS, SUCCESSORS, CODE_BITS = range(29, 32)
HEAD = 32
REWARD, FED = range(2)  # the head of `reals`: the decision's reward less costs, and what is told of it


class World(NamedTuple):
    """Arrays changed in place; references are replaced by what they are in this instance."""

    ints: NDArray  # int64: head, facts, words, rules, targets; of each variable its value's number and what it is
    reals: NDArray  # float32: head, numbers, chances of rules, cumulative probabilities, levels of variables, codes,
    # what is observed, what units are clamped to; codes have a row for each stimulus, then for each variable drawn


@making_kernel
def unborn(tables, clamped):
    """Return a World with room for every block of `tables` and for what `clamped` units of a network are held at."""
    variables, rules = tables.variables.shape[1], tables.rules.shape[1]
    _, _, states, actions, successors = tables.targets.shape
    steps, bits = states * actions * successors, tables.codes.shape[2]
    words, numbers, stimuli = tables.words.shape[1], tables.numbers.shape[1], tables.codes.shape[1] + variables
    units = 0
    for block in range(tables.facts.shape[0]):
        units = max(units, tables.facts[block, SLOTS] * tables.facts[block, BITS])
    ints = np.zeros(HEAD + FACTS + words + rules * RULE_COLUMNS + steps + 2 * variables, np.int64)
    ints[WORDS_AT] = HEAD + FACTS
    ints[RULES_AT] = ints[WORDS_AT] + words
    ints[TARGETS_AT] = ints[RULES_AT] + rules * RULE_COLUMNS
    ints[PICKS_AT] = ints[TARGETS_AT] + steps
    ints[HELD_AT] = ints[PICKS_AT] + variables
    ints[NUMBERS_AT] = 2
    ints[CHANCES_AT] = ints[NUMBERS_AT] + numbers
    ints[CUMULATIVE_AT] = ints[CHANCES_AT] + rules
    ints[LEVELS_AT] = ints[CUMULATIVE_AT] + steps
    ints[CODES_AT] = ints[LEVELS_AT] + variables
    ints[OBSERVED_AT] = ints[CODES_AT] + stimuli * bits
    ints[ROWS], ints[SUCCESSORS], ints[CODE_BITS] = actions, successors, bits
    ints[CLAMPED_AT] = ints[OBSERVED_AT] + units
    return World(ints, np.zeros(ints[CLAMPED_AT] + clamped, np.float32))


@inlined_kernel
def pick_at(world, variable):
    """Return where in `ints` the number of a variable's value in its list is."""
    return world.ints[PICKS_AT] + variable


@inlined_kernel
def held_at(world, variable):
    """Return where in `ints` the state, action or stimulus is that a variable stands for."""
    return world.ints[HELD_AT] + variable


@inlined_kernel
def level_at(world, variable):
    """Return where in `reals` the probability is that a variable stands for."""
    return world.ints[LEVELS_AT] + variable


@inlined_kernel
def code_at(world, stimulus, bit):
    """Return where in `reals` a bit is of a stimulus's code, or of a drawn variable's, which come after the stimuli."""
    return world.ints[CODES_AT] + stimulus * world.ints[CODE_BITS] + bit


@inlined_kernel
def referred(world, reference):
    """Return the state or action that a reference stands for in this instance."""
    return world.ints[world.ints[HELD_AT] - 2 - reference] if reference < 0 else reference
