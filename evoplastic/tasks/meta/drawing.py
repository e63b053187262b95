"""Instances drawn: every variable of a meta-task, and what they make of its program.

An instance is a function of (key, block), so it is the same whoever lives it and whatever came before.
"""

from __future__ import annotations

import numpy as np

from evoplastic.jit import kernel
from evoplastic.random import CODES, INSTANCES, below, philox, unit
from evoplastic.tasks.meta.tables import (
    ACTION,
    AMOUNT,
    BITS,
    BOUNDS,
    BUT,
    BUT_COUNT,
    CHANCE_OF,
    CONTINUUM,
    COSTS,
    DRAWN_CODE,
    FACTS,
    FROM,
    KIND,
    LAYOUT,
    LEVELS,
    MARKS,
    OTHER,
    PLACE_COUNT,
    PLACES,
    REWARDS,
    RULE_COLUMNS,
    SHOWN,
    SHOWN_COUNT,
    START,
    STARTS,
    STIMULI,
    TO,
    UNLIKE,
    UNLIKE_COUNT,
    VALUE_COUNT,
    VALUES,
    VARIABLES,
)
from evoplastic.tasks.meta.world import (
    BEGINS,
    BLOCK,
    CHANCES_AT,
    CHOSEN,
    CUMULATIVE_AT,
    FED,
    HEAD,
    LAYOUT_NOW,
    MEMORY,
    NUMBERS_AT,
    POSITION,
    REWARD,
    RULES_AT,
    STATE,
    TARGETS_AT,
    WITHIN,
    WORDS_AT,
    code_at,
    held_at,
    level_at,
    pick_at,
    referred,
)

PER_BLOCK = np.uint64(64)  # addresses of a block's variables; program.MOST_VARIABLES is below
LAST = np.uint64(63)  # the address of its start
_ATTEMPTS = np.uint64(1 << 16)
_ONE = np.uint64(1)
_OFF, _ON = np.float32(-1.0), np.float32(1.0)
_NOTHING = np.float32(0.0)


@kernel
def begin_instance(tables, world, block, key):
    """Draw the instance of a block from (key, block) and stand at a start."""
    ints, facts = world.ints, tables.facts[block]
    ints[BLOCK] = block
    for fact in range(FACTS):
        ints[HEAD + fact] = facts[fact]
    for stimulus in range(facts[STIMULI]):
        for bit in range(facts[BITS]):
            world.reals[code_at(world, stimulus, bit)] = tables.codes[block, stimulus, bit]
    for variable in range(facts[VARIABLES]):
        _draw(tables, world, key, variable)
    resolve(tables, world)
    place = below(philox(key, INSTANCES, np.uint64(block) * PER_BLOCK + LAST)[0], facts[STARTS])
    ints[STATE] = tables.words[block, facts[START] + place]
    ints[MEMORY] = 0
    ints[CHOSEN] = -1
    ints[BEGINS] = 1
    ints[WITHIN] = 0
    ints[POSITION] = 0
    world.reals[REWARD] = _NOTHING
    world.reals[FED] = _NOTHING


@kernel
def _draw(tables, world, key, variable):
    """Draw one variable's value; those before it are drawn."""
    block = world.ints[BLOCK]
    row = tables.variables[block, variable]
    word = philox(key, INSTANCES, np.uint64(block) * PER_BLOCK + np.uint64(variable))[0]
    if row[OTHER] >= 0:
        hold(tables, world, variable, 1 - world.ints[pick_at(world, row[OTHER])])
    elif row[KIND] == CONTINUUM:
        low, high = tables.numbers[block, row[BOUNDS]], tables.numbers[block, row[BOUNDS] + 1]
        world.reals[level_at(world, variable)] = low + (high - low) * unit(word)
    elif row[KIND] == DRAWN_CODE:
        _draw_code(tables, world, key, variable)
    else:
        free = 0
        for pick in range(row[VALUE_COUNT]):
            free += _is_free(tables, world, variable, pick)
        nth = below(word, free)
        for pick in range(row[VALUE_COUNT]):
            if _is_free(tables, world, variable, pick):
                if nth == 0:
                    hold(tables, world, variable, pick)
                nth -= 1


@kernel
def _is_free(tables, world, variable, pick):
    """Return 1 unless a variable that this one is unlike has the value, else 0."""
    block = world.ints[BLOCK]
    row = tables.variables[block, variable]
    for place in range(row[UNLIKE_COUNT]):
        rival = tables.words[block, row[UNLIKE] + place]
        if row[KIND] == LEVELS:
            if world.reals[level_at(world, rival)] == tables.numbers[block, row[VALUES] + pick]:
                return 0
        elif world.ints[held_at(world, rival)] == tables.words[block, row[VALUES] + pick]:
            return 0
    return 1


@kernel
def hold(tables, world, variable, pick):
    block = world.ints[BLOCK]
    row = tables.variables[block, variable]
    world.ints[pick_at(world, variable)] = pick
    if row[KIND] == LEVELS:
        world.reals[level_at(world, variable)] = tables.numbers[block, row[VALUES] + pick]
    else:
        world.ints[held_at(world, variable)] = tables.words[block, row[VALUES] + pick]


@kernel
def _draw_code(tables, world, key, variable):
    """Draw a code unlike all fixed ones and those drawn before."""
    block = world.ints[BLOCK]
    stimuli, bits = tables.facts[block, STIMULI], tables.facts[block, BITS]
    mine = stimuli + variable
    world.ints[held_at(world, variable)] = mine
    address = (np.uint64(block) * PER_BLOCK + np.uint64(variable)) * _ATTEMPTS
    while True:
        words = philox(key, CODES, address)
        address += _ONE
        for bit in range(bits):
            word = words[0] if bit < 32 else words[1]
            world.reals[code_at(world, mine, bit)] = _ON if (word >> np.uint32(bit % 32)) & np.uint32(1) else _OFF
        new = True
        for other in range(mine):
            if other < stimuli or tables.variables[block, other - stimuli, KIND] == DRAWN_CODE:
                same = True
                for bit in range(bits):
                    same = same and world.reals[code_at(world, other, bit)] == world.reals[code_at(world, mine, bit)]
                new = new and not same
        if new:
            return


@kernel
def resolve(tables, world):
    """Write into the world what this instance's variables make of the program's references."""
    ints, reals, block = world.ints, world.reals, world.ints[BLOCK]
    facts, words, numbers = tables.facts[block], tables.words[block], tables.numbers[block]
    for word in range(words.shape[0]):
        ints[ints[WORDS_AT] + word] = words[word]
    for number in range(numbers.shape[0]):
        reals[ints[NUMBERS_AT] + number] = numbers[number]
    for rule in range(facts[REWARDS] + facts[COSTS] + facts[MARKS]):
        row, at = tables.rules[block, rule], ints[RULES_AT] + rule * RULE_COLUMNS
        for column in range(RULE_COLUMNS):
            ints[at + column] = row[column]
        for column in (FROM, TO, ACTION):
            ints[at + column] = referred(world, row[column]) if row[column] < -1 else row[column]
        _resolve_places(world, words, row, at)
        chance = numbers[row[AMOUNT] + 1]
        if row[CHANCE_OF] >= 0:
            chance += numbers[row[AMOUNT] + 2] * world.reals[level_at(world, row[CHANCE_OF])]
        reals[ints[CHANCES_AT] + rule] = chance
    shown = facts[SHOWN]
    for place in range(shown, shown + facts[SHOWN_COUNT]):
        ints[ints[WORDS_AT] + place] = referred(world, words[place]) if words[place] < -1 else words[place]
    ints[LAYOUT_NOW] = world.ints[held_at(world, facts[LAYOUT])] if facts[LAYOUT] >= 0 else 0
    _lay_out(tables, world)


@kernel
def _resolve_places(world, words, row, at):
    """Write the places that a rule may relocate to in this instance, without those left out, and how many they are."""
    ints, count = world.ints, 0
    for place in range(row[PLACES], row[PLACES] + row[PLACE_COUNT]):
        state, left_out = referred(world, words[place]), False
        for other in range(row[BUT], row[BUT] + row[BUT_COUNT]):
            left_out = left_out or referred(world, words[other]) == state
        if not left_out:
            ints[ints[WORDS_AT] + row[PLACES] + count] = state
            count += 1
    ints[at + PLACE_COUNT] = count


@kernel
def _lay_out(tables, world):
    """Write this instance's moves into the world."""
    ints, reals, block, layout = world.ints, world.reals, world.ints[BLOCK], world.ints[LAYOUT_NOW]
    _, _, states, actions, successors = tables.targets.shape
    step = 0
    for state in range(states):
        for action in range(actions):
            for successor in range(successors):
                target = tables.targets[block, layout, state, action, successor]
                ints[ints[TARGETS_AT] + step] = referred(world, target)
                reals[ints[CUMULATIVE_AT] + step] = tables.cumulative[block, layout, state, action, successor]
                step += 1
