"""Where a drawn task takes place: what leads where, and what each state shows."""

from __future__ import annotations

from collections.abc import Sequence

from evoplastic.tasks.meta.language import Names, Row, Rows, Variable
from evoplastic.tasks.meta.sampling.draft import Draft

UNITS = 5
SIGNS = ("sun", "moon", "star", "cloud", "rain", "snow")
CODES = ("10000", "01000", "00100", "00010", "00001", "11000")
_ACTING = 0.7  # chance that the action matters to where a state leads
_MORE = 0.4  # chance of a second next state, in an uncertain task
_HOME = 0.5  # chance that a way not needed otherwise leads to the start
_ODDS = (0.5, 0.6, 0.7, 0.8, 0.9)


def draw_transitions(draft: Draft) -> dict[str, Rows]:
    """Return the rows of all states; every state is entered from an earlier one."""
    dice = draft.dice
    acting = [number == 0 or dice.chance(_ACTING) for number in range(len(draft.states))]
    ways: dict[tuple[int, int], int] = {}  # (state, way) -> next state; one way where the action does not matter
    slots: list[tuple[int, int]] = []
    for number in range(len(draft.states)):
        if number:
            ways[slots.pop(dice.below(len(slots)))] = number
        slots += [(number, way) for way in range(len(draft.actions) if acting[number] else 1)]
    for state, way in slots:
        home = state > 0 and dice.chance(_HOME)
        ways[state, way] = 0 if home else dice.below(len(draft.states))
    for state in (number for number, acts in enumerate(acting) if acts):
        if ways[state, 0] != ways[state, 1]:
            draft.forks.append(tuple(draft.states[way] for way in sorted((ways[state, 0], ways[state, 1]))))
    _route(draft, [number for number in range(len(draft.states)) if acting[number]], ways)
    return {state: _rows(draft, number, acting[number], ways) for number, state in enumerate(draft.states)}


def _route(draft: Draft, acting: list[int], ways: dict[tuple[int, int], int]) -> None:
    """Sometimes let it vary which of two actions leads where: -1 and -2 stand for the two variable states."""
    dice = draft.dice
    if not (dice.chance(draft.settings.routed) and draft.affords(4)):  # which leaves room for what pays
        return
    state = dice.one_of(acting)
    near, far = ways[state, 0], ways[state, 1]
    if near == far:
        return
    names = draft.states[near], draft.states[far]
    draft.vary("left way", Variable(state=names), 2, f"where left and right lead from the {draft.states[state]}")
    draft.variables["right way"] = Variable(other="left way")
    ways[state, 0], ways[state, 1] = -1, -2


def _rows(draft: Draft, state: int, acting: bool, ways: dict[tuple[int, int], int]) -> Rows:
    if not acting:
        return _row(draft, ways[state, 0])
    rows: dict[str, Row] = {}
    for way, action in enumerate(draft.actions):
        rows[action] = _row(draft, ways[state, way])
    first = rows[draft.actions[0]]
    return first if all(row == first for row in rows.values()) else rows


def _row(draft: Draft, way: int) -> Row:
    """Return a row that leads to a state, and in an uncertain task sometimes to another instead."""
    dice = draft.dice
    if way < 0:
        return ("left way", "right way")[-1 - way]
    if not (draft.uncertain and len(draft.states) > 1 and dice.chance(_MORE)):
        return draft.states[way]
    other = (way + 1 + dice.below(len(draft.states) - 1)) % len(draft.states)
    odds = dice.one_of(_ODDS)
    return {draft.states[way]: odds, draft.states[other]: round(1.0 - odds, 9)}


def draw_observations(draft: Draft) -> tuple[dict[str, str], dict[str, Names]]:
    """Return the codes of the signs that are fixed, any of CODES, and what each state shows."""
    signs, shown = _draw_signs(draft)
    return dict(zip(signs, draft.dice.in_any_order(CODES))), {
        state: shown[state] for state in draft.states if state in shown
    }


def _draw_signs(draft: Draft) -> tuple[Sequence[str], dict[str, str]]:
    """Return the signs that are fixed, and the sign of each state that has one."""
    dice, states = draft.dice, draft.states
    if not dice.chance(draft.settings.aliased):
        return SIGNS[: len(states)], dict(zip(states, SIGNS))
    shown: dict[str, str] = {}
    signs: list[str] = []
    if len(states) > 1 and draft.affords(2) and dice.chance(0.45):
        shown, signs = _pair(draft)
    for state in states:
        kind = dice.unit()
        if state in shown or kind < 0.25:
            continue
        if kind < 0.55 and shown:
            shown[state] = dice.one_of(list(shown.values()))
        else:
            shown[state] = SIGNS[len(signs)]
            signs.append(shown[state])
    return signs, shown


def _pair(draft: Draft) -> tuple[dict[str, str], list[str]]:
    """Return two states that show variable stimuli, drawn anew or swapped, and the signs of those swapped."""
    dice = draft.dice
    one, another = dice.some_of(draft.states, 2)
    if dice.chance(0.7):
        draft.vary("one sign", Variable(stimulus="drawn"), 2, f"which new signs the {one} and the {another} show")
        draft.variables["other sign"] = Variable(stimulus="drawn")
        return {one: "one sign", another: "other sign"}, []
    draft.vary("one sign", Variable(stimulus=SIGNS[:2]), 2, f"which of two signs the {one} and the {another} show")
    draft.variables["other sign"] = Variable(other="one sign")
    return {one: "one sign", another: "other sign"}, list(SIGNS[:2])
