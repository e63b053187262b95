"""Meta-tasks as the published generator draws them, its bugs on or off, and the filters it accepts them by.

Source: Meta-Task-Generator (T. Miconi), the program of "Procedural generation of meta-reinforcement learning tasks",
arXiv 2302.05583; written from a description of it. The tables are those that `published.translated` makes a spec of.

Its bugs, on unless `repaired`:

    1  half of the intended codes of p become those of 1-p, and half of those of 1-p become 4000, which means nothing
    2  of the rewards that ask for a flag, those in state 1 are drawn again; meant was state 0, which clears it
    3  a reward drawn again keeps the action and the flag it had
    4  two targets are swapped with probability .69, not .5
    5  a variable probability counts as variation though its code means nothing, or though later rules leave no other
       rule to weigh it against

Where the description leaves something open, the readings that reproduce its measured rates are taken: targets of a row
are drawn with replacement and the last weight counts; a third target needs a second and a fourth a third; the two
entries that are swapped are among the row's targets; p and 1-p are as likely; a flag that a reward asks for is set
three times in four.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from evoplastic.tasks.meta.published import (
    COMPLEMENT,
    FIXED_STIMULI,
    NOTHING,
    PROBABILITIES,
    PROBABILITY,
    SPECIAL,
    STIMULUS,
    VARIABLE_STIMULI,
)
from evoplastic.tasks.meta.published_files import Published
from evoplastic.tasks.meta.sampling.dice import Dice

STATES, ACTIONS = 4, 2
INERT = "too few states where the action matters"
CONSTANT = "nothing varies between instances"
STUCK = "the start cannot be left"
UNENTERED = "a state is entered from no other"

_RULE_ACTION, _SWAP, _MEANT_SWAP = 0.33, 0.69, 0.5
_FLAGS = (1, 1, 1, 0)
_LAST_PROBABILITY = COMPLEMENT + PROBABILITIES - 1  # the highest code that means something


def draw_published(key: np.uint64, repaired: bool) -> Published:
    """Return the candidate that a key draws, of which `rejections` tells whether the generator would print it."""
    dice = Dice(key)
    rewards, flags = dice.one_of((1, 1, 1, 2, 3)), dice.one_of((1, 1, 1, 2))
    special = dice.one_of((0.0, 0.0, 0.5))
    uncertain = dice.one_of((False, False, False, True))
    variable, flagged = dice.one_of((0.2, 0.5, 0.8)), dice.one_of((0.0, 0.0, 0.5))
    return Published(
        rewardconditions=tuple(
            _reward(dice, special, flagged, variable if uncertain else None, repaired) for _ in range(rewards)
        ),
        flagconditions=tuple(_flag_rule(dice, special, number == 0) for number in range(flags)),
        statevarranges=(_range(dice),),
        stimuli=_stimuli(dice),
        T=tuple(_rows(dice, repaired) for _ in range(STATES)),
    )


def _reward(dice: Dice, special: float, flagged: float, variable: float | None, repaired: bool) -> tuple[float, ...]:
    """Return a reward rule; it pays surely where `variable`, the chance of a variable probability, is None."""
    action = flag = NOTHING
    while True:
        state, action = _conditions(dice, special, NOTHING if repaired else action)
        flag = dice.one_of(_FLAGS) if dice.chance(flagged) else NOTHING if repaired else flag
        if not (flag == 1 and state == (0 if repaired else 1)):
            break
    chance = 1.0 if variable is None else _probability(dice, variable, repaired)
    return (state, NOTHING, action, chance, 1.0, flag)


def _flag_rule(dice: Dice, special: float, first: bool) -> tuple[float, ...]:
    state, action = 0, NOTHING
    while state == 0 and action == NOTHING:
        state, action = _conditions(dice, special, NOTHING)
    return (state, NOTHING, action, 1 if first else dice.one_of(_FLAGS))


def _conditions(dice: Dice, special: float, action: int) -> tuple[int, int]:
    """Return the state and the action of a rule; the action given where none is drawn."""
    state = SPECIAL if dice.chance(special) else dice.below(STATES)
    return state, dice.below(ACTIONS) if dice.chance(_RULE_ACTION) else action


def _probability(dice: Dice, variable: float, repaired: bool) -> float:
    if not dice.chance(variable):
        return dice.one_of((0.2, 0.5, 0.8, 1.0))
    code, number = PROBABILITY if dice.chance(0.5) else COMPLEMENT, dice.below(PROBABILITIES)
    return code + number if repaired else code * (1 + number)


def _range(dice: Dice) -> tuple[int, ...]:
    """Return what the special state may be; never the start."""
    size = 2 if dice.chance(0.5) else 2 + dice.below(STATES - 2)
    return dice.some_of(range(1, STATES), size)


def _stimuli(dice: Dice) -> tuple[int, ...]:
    """Return the stimulus code of each state; no variable stimulus stands alone."""
    while True:
        stimuli = tuple(_stimulus(dice) for _ in range(STATES))
        if len({code for code in stimuli if code >= STIMULUS}) != 1:
            return stimuli


def _stimulus(dice: Dice) -> int:
    fixed = dice.chance(0.666)
    code = dice.below(FIXED_STIMULI) if fixed else STIMULUS + dice.below(VARIABLE_STIMULI)
    return NOTHING if dice.chance(0.2) else code


def _rows(dice: Dice, repaired: bool) -> tuple[tuple[float, ...], ...]:
    """Return the transition probabilities of a state, a row for each action."""
    rows = [_weights(dice) for _ in range(ACTIONS)]
    if dice.chance(0.5):
        rows = [list(rows[0]) for _ in range(ACTIONS)]
        targets = [state for state, weight in enumerate(rows[0]) if weight]
        if len(targets) > 1 and dice.chance(_MEANT_SWAP if repaired else _SWAP):
            one, other = dice.some_of(targets, 2)
            kept = dice.below(ACTIONS)
            for row in rows[:kept] + rows[kept + 1 :]:
                row[one], row[other] = row[other], row[one]
    return tuple(tuple(weight / math.fsum(row) for weight in row) for row in rows)


def _weights(dice: Dice) -> list[float]:
    row = [0.0] * STATES
    row[dice.below(STATES)] = 5.0 if dice.chance(0.33) else 1.0
    for chance in (0.5, 0.33, 0.33):  # of a second, a third, a fourth target
        if not dice.chance(chance):
            break
        row[dice.below(STATES)] = 1.0
    return row


def rejections(published: Published, repaired: bool) -> tuple[str, ...]:
    """Return the filters that a candidate fails; the generator prints those that fail none.

    A filter on undefined codes is not among them: `published.translated` refuses those.
    """
    acting = sum(any(row != rows[0] for row in rows) for rows in published.T)
    stuck = all(row[0] == 1.0 for row in published.T[0])
    entered = {
        after
        for before, rows in enumerate(published.T)
        for row in rows
        for after, chance in enumerate(row)
        if chance > 0.0 and after != before
    }
    failed = {
        INERT: acting < 2,
        CONSTANT: not varies(published, repaired),
        STUCK: stuck,
        UNENTERED: len(entered) < len(published.T),
    }
    return tuple(name for name, fails in failed.items() if fails)


def varies(published: Published, repaired: bool) -> bool:
    """Return whether instances differ: in a stimulus, a rewarded state, or a probability beside another rule."""
    if any(code >= STIMULUS for code in published.stimuli):
        return True
    rules = published.rewardconditions
    if any(SPECIAL <= rule[0] < PROBABILITY for rule in rules):
        return True
    counted = [rule for number, rule in enumerate(rules) if not (repaired and is_hidden(rules, number))]
    highest = _LAST_PROBABILITY if repaired else math.inf
    return len(counted) > 1 and any(PROBABILITY <= rule[3] <= highest for rule in counted)


def is_hidden(rules: Sequence[Sequence[float]], number: int) -> bool:
    """Return whether a later reward rule applies whenever this one does."""
    conditions = (0, 1, 2, 5)  # old state, new state, action, flag
    return any(
        all(later[field] in (NOTHING, rules[number][field]) for field in conditions) for later in rules[number + 1 :]
    )
