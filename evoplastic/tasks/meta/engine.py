"""The engine of meta-tasks: decisions carried out, in the order of events of the spec language.

What happens in decision t of a life is a function of (key, t) and what was before.
"""

from __future__ import annotations

import numpy as np

from evoplastic.jit import inlined_kernel, kernel, making_kernel
from evoplastic.random import CHANGES, WORLD, below, philox, unit
from evoplastic.tasks.meta.drawing import LAST, PER_BLOCK, begin_instance, hold, resolve
from evoplastic.tasks.meta.tables import (
    ACTION,
    ACTIONS,
    ALLOWED,
    AMOUNT,
    AT,
    AT_COUNT,
    BITS,
    BOUNDS,
    CHANGE_EVERY,
    CHANGE_TO,
    CHANGING,
    CLEAR,
    COSTS,
    DECISIONS,
    EACH_DECISION,
    EACH_TRIAL,
    FROM,
    MARKED,
    MARKS,
    MOVED,
    OTHER,
    PLACE_COUNT,
    PLACES,
    RESTART,
    REWARDED,
    REWARDS,
    RULE_COLUMNS,
    SHOWN,
    SLOTS,
    START,
    STARTS,
    STATES,
    TO,
    TO_NEIGHBOUR,
    UNCHANGING,
    UNTIL,
    UNTILS,
    VALUE_COUNT,
    VARIABLES,
)
from evoplastic.tasks.meta.world import (
    BEGINS,
    BLOCK,
    CHANCES_AT,
    CHOOSING,
    CHOSEN,
    CODE_BITS,
    CODES_AT,
    CUMULATIVE_AT,
    DECISION,
    ENDED,
    HEAD,
    KEY,
    LAYOUT_NOW,
    MEMORY,
    MOVING,
    NEXT,
    NEXT_MEMORY,
    NUMBERS_AT,
    OBSERVED_AT,
    PAYING,
    POSITION,
    RELOCATING,
    REWARD,
    ROWS,
    RULES_AT,
    STATE,
    SUCCESSORS,
    TARGETS_AT,
    WITHIN,
    WORDS_AT,
    pick_at,
    unborn,
)

_NOTHING = np.float32(0.0)
_FIRST, _NO_UNITS = np.int64(0), np.int64(0)  # a literal 0 would compile what it is given to once more


@inlined_kernel
def draw_chances(world, key, decision):
    """Draw all that is left to chance in a decision, so that one draw serves the action, the move and the reward."""
    ints = world.ints
    words = philox(key, WORLD, np.uint64(decision))
    ints[KEY] = np.int64(key)
    ints[CHOOSING], ints[MOVING], ints[PAYING], ints[RELOCATING] = words
    ints[DECISION] = decision


@inlined_kernel
def decide(tables, world, action):
    """Carry out an action: all from `move` to `change`. Then `reals` holds its reward and `ints` what comes next."""
    act(world, action)
    if world.ints[HEAD + CHANGING]:
        change(tables, world)


@inlined_kernel
def act(world, action):
    """Carry out an action from `move` to `end`."""
    ints = world.ints
    _step(ints, world.reals, action)
    if ints[ENDED] and ints[HEAD + RESTART]:
        word = philox(np.uint64(ints[KEY]), CHANGES, _address(world, LAST))[0]
        ints[NEXT] = ints[ints[WORDS_AT] + ints[HEAD + START] + below(word, ints[HEAD + STARTS])]


@inlined_kernel
def _address(world, place):
    """Return where a change of this decision is drawn."""
    return np.uint64(world.ints[DECISION]) * PER_BLOCK + place


@inlined_kernel
def arrive(world):
    """Make what comes next what is now."""
    ints = world.ints
    ints[STATE], ints[MEMORY], ints[BEGINS] = ints[NEXT], ints[NEXT_MEMORY], ints[ENDED]


@inlined_kernel
def observe(world):
    """Write what is observed of the present state, its slots side by side: 1 on, -1 off, 0 silent."""
    ints, reals = world.ints, world.reals
    slots, bits = ints[HEAD + SLOTS], ints[HEAD + BITS]
    shown = ints[WORDS_AT] + ints[HEAD + SHOWN] + (ints[LAYOUT_NOW] * ints[HEAD + STATES] + ints[STATE]) * slots
    at = ints[OBSERVED_AT]
    for slot in range(slots):
        stimulus = ints[shown + slot]
        for bit in range(bits):
            code = ints[CODES_AT] + stimulus * ints[CODE_BITS] + bit
            reals[at] = reals[code] if stimulus >= 0 else _NOTHING
            at += 1


@inlined_kernel
def _step(ints, reals, action):
    """Carry out an action from `move` to `end`, but for a restart; all arrays are of the world."""
    target = _move(ints, reals, action, ints[MOVING])
    last = ints[HEAD + REWARDS] - 1
    cost = _NOTHING
    for rule in range(last + 1, last + 1 + ints[HEAD + COSTS]):
        if _applies(ints, rule, action, target):
            cost += reals[ints[NUMBERS_AT] + _rule(ints, rule, AMOUNT)]
    while last >= 0 and not _applies(ints, last, action, target):
        last -= 1
    paid = last >= 0 and unit(ints[PAYING]) <= reals[ints[CHANCES_AT] + last]
    landed, reward = target, _NOTHING - cost
    if paid:
        reward += reals[ints[NUMBERS_AT] + _rule(ints, last, AMOUNT)]
        if _rule(ints, last, PLACE_COUNT) > 0:
            place = below(ints[RELOCATING], _rule(ints, last, PLACE_COUNT))
            landed = ints[ints[WORDS_AT] + _rule(ints, last, PLACES) + place]
    reals[REWARD] = reward
    ints[CHOSEN] = action
    ints[NEXT] = landed
    ints[NEXT_MEMORY] = _mark(ints, action, target)
    ints[WITHIN] += 1
    ints[POSITION] += 1
    ints[ENDED] = _ends(ints, paid, landed)
    if ints[ENDED]:
        ints[POSITION] = 0
        if ints[HEAD + CLEAR]:
            ints[NEXT_MEMORY] = 0


@inlined_kernel
def _rule(ints, rule, column):
    return ints[ints[RULES_AT] + rule * RULE_COLUMNS + column]


@inlined_kernel
def _move(ints, reals, action, word):
    """Return the next state, drawn from the row of the state and the action."""
    at = (ints[STATE] * ints[ROWS] + action) * ints[SUCCESSORS]
    if ints[SUCCESSORS] > 1:
        drawn = unit(word)
        while reals[ints[CUMULATIVE_AT] + at] < drawn:
            at += 1
    return ints[ints[TARGETS_AT] + at]


@inlined_kernel
def _applies(ints, rule, action, target):
    at, state = ints[RULES_AT] + rule * RULE_COLUMNS, ints[STATE]
    return (
        (ints[at + FROM] < 0 or ints[at + FROM] == state)
        and (ints[at + TO] < 0 or ints[at + TO] == target)
        and (ints[at + ACTION] < 0 or ints[at + ACTION] == action)
        and (ints[at + MOVED] < 0 or ints[at + MOVED] == (target != state))
        and (ints[at + ALLOWED] >> ints[MEMORY]) & 1 == 1
    )


@inlined_kernel
def _mark(ints, action, target):
    """Return the memory after all marks that apply; conditions read the memory before them."""
    memory, first = ints[MEMORY], ints[HEAD + REWARDS] + ints[HEAD + COSTS]
    for rule in range(first, first + ints[HEAD + MARKS]):
        if _applies(ints, rule, action, target):
            memory = ints[ints[WORDS_AT] + _rule(ints, rule, MARKED) + memory]
    return memory


@inlined_kernel
def _ends(ints, paid, landed):
    """Return 1 if the trial ends with this decision, else 0."""
    if ints[HEAD + DECISIONS] > 0:
        return 1 if ints[POSITION] >= ints[HEAD + DECISIONS] else 0
    ended = 1 if paid and ints[HEAD + REWARDED] else 0
    for place in range(ints[HEAD + UNTILS]):
        if ints[ints[WORDS_AT] + ints[HEAD + UNTIL] + place] == landed:
            ended = 1
    return ended


@kernel
def change(tables, world):
    """Change the variables whose time has come, and those that are the other value of one of them."""
    block, changed = world.ints[BLOCK], False
    for variable in range(tables.facts[block, VARIABLES]):
        row, pick = tables.variables[block, variable], world.ints[pick_at(world, variable)]
        if row[OTHER] >= 0:
            changed_pick = 1 - world.ints[pick_at(world, row[OTHER])]
        elif _is_due(tables, world, row):
            words = philox(np.uint64(world.ints[KEY]), CHANGES, _address(world, np.uint64(variable)))
            changed_pick = pick
            if unit(words[0]) <= tables.numbers[block, row[BOUNDS] + 2]:
                changed_pick = _changed(row, pick, words[1])
        else:
            changed_pick = pick
        if changed_pick != pick:
            hold(tables, world, variable, changed_pick)
            changed = True
    if changed:
        resolve(tables, world)


@kernel
def _changed(row, pick, word):
    """Return the number of the value that a variable changes to."""
    count = row[VALUE_COUNT]
    if row[CHANGE_TO] == TO_NEIGHBOUR:
        return min(max(pick + 2 * below(word, 2) - 1, 0), count - 1)
    return (pick + 1 + below(word, count - 1)) % count


@kernel
def _is_due(tables, world, row):
    ints, every = world.ints, row[CHANGE_EVERY]
    due = every == EACH_DECISION or (every == EACH_TRIAL and ints[ENDED] == 1)
    for place in range(row[AT_COUNT]):
        due = due or tables.words[ints[BLOCK], row[AT] + place] == ints[WITHIN]
    return due


@making_kernel
def play(tables, key, decisions, policy, rewards):
    """Live `decisions` decisions of block 0 by a scripted policy and write their rewards (decisions,) float32.

    `policy` (T, C, M, S) int64 holds the action of time t (the last row from T on), joint value c of the changing
    variables (mixed radix, the first highest), memory and state; a policy without rows acts evenly at random.
    """
    world = unborn(tables, _NO_UNITS)
    begin_instance(tables, world, _FIRST, key)
    _play_on(tables, world, key, decisions, policy, rewards)


@kernel
def _play_on(tables, world, key, decisions, policy, rewards):
    ints, reals = world.ints, world.reals
    for decision in range(decisions):
        draw_chances(world, key, decision)
        if policy.shape[0] == 0:
            action = below(ints[CHOOSING], ints[HEAD + ACTIONS])
        else:
            joint = _joint_value(tables, world) if policy.shape[1] > 1 else 0
            action = policy[min(decision, policy.shape[0] - 1), joint, ints[MEMORY], ints[STATE]]
        decide(tables, world, action)
        rewards[decision] = reals[REWARD]
        arrive(world)


@inlined_kernel
def _joint_value(tables, world):
    """Return the joint value of the variables that change, but for those that follow another."""
    joint = 0
    for variable in range(tables.facts[0, VARIABLES]):
        row = tables.variables[0, variable]
        if row[CHANGE_EVERY] != UNCHANGING:
            joint = joint * row[VALUE_COUNT] + world.ints[pick_at(world, variable)]
    return joint
