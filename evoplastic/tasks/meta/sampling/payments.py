"""What pays in a drawn task, and what of it varies: a state, an action, or chances; behind a flag, or at a cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evoplastic.tasks.meta.language import Cost, Mark, Names, Probability, Reward, Variable
from evoplastic.tasks.meta.sampling.draft import Draft

_SURE = (0.7, 0.8, 0.9)  # chances of a payment that is not certain
_SELDOM = (0.1, 0.2, 0.3)  # chances elsewhere
_LEVELS = ((0.1, 0.9), (0.2, 0.8), (0.3, 0.7), (0.0, 1.0), (0.1, 0.5, 0.9), (0.0, 0.3, 0.6))
_FIXED = (0.3, 0.4, 0.5, 0.6)  # chances of an arm that does not vary
_ASIDE = (0.2, 0.3, 0.5, -0.2, -0.5)  # values of what is paid besides
_CHARGED = (0.05, 0.1, 0.2)

Rule = dict[str, Any]  # fields of a Reward


def draw_payments(draft: Draft) -> None:
    """Add rewards, marks and costs to the draft, and the variables they refer to."""
    dice = draft.dice
    themes: tuple[Callable[[Draft], list[Rule]], ...] = (_goal, _goal, _good_action, _arms, _arms, _arms)
    rules = dice.one_of(themes)(draft)
    if dice.chance(draft.settings.flagged):
        rules = _behind_flag(draft, rules)
    if len(rules) < 3 and dice.chance(0.5):
        rules = [_aside(draft), *rules]
    draft.rewards += [Reward(**rule) for rule in rules]
    if dice.chance(draft.settings.costly):
        draft.costs.append(_cost(draft))


def _goal(draft: Draft) -> list[Rule]:
    """Return rules by which a variable state pays."""
    dice = draft.dice
    most = min(len(draft.places), draft.settings.instances // draft.instances)
    if most < 2:
        return _good_action(draft)
    count = 2 + (dice.below(most - 1) if dice.chance(0.5) else 0)
    states = draft.pair() if count == 2 else dice.some_of(draft.places, count)
    side = _side(draft)
    draft.vary("goal", Variable(state=states, change=draft.change()), count, "which state pays")
    rule: Rule = {side: "goal"}
    if dice.chance(0.2):
        rule["action"] = dice.one_of(draft.actions)
    return [*_elsewhere(draft, {side: states}), {**rule, **_chance(draft)}]


def _good_action(draft: Draft) -> list[Rule]:
    """Return rules by which a variable action pays, somewhere or everywhere."""
    dice = draft.dice
    if not draft.affords(len(draft.actions)):
        return _arms(draft)
    where: Rule = {} if dice.chance(0.25) else {_side(draft): dice.one_of(draft.states)}
    variable = Variable(action=draft.actions, change=draft.change())
    draft.vary("good action", variable, len(draft.actions), "which action pays")
    return [*_elsewhere(draft, where), {**where, "action": "good action", **_chance(draft)}]


def _arms(draft: Draft) -> list[Rule]:
    """Return rules by which two arms, actions or states, pay with chances of which one or both vary."""
    dice = draft.dice
    levels = dice.one_of(_LEVELS)
    if not draft.affords(len(levels)):
        levels = levels[:: len(levels) - 1]
    one, another = _two_arms(draft)
    variable = Variable(probability=levels, change=draft.change(len(levels)))
    draft.vary("p", variable, len(levels), "the chance that an arm pays")
    return [{**one, "probability": "p"}, {**another, "probability": _rival(draft, levels)}]


def _two_arms(draft: Draft) -> tuple[Rule, Rule]:
    dice = draft.dice
    if dice.chance(0.5) and len(draft.places) > 1:
        side = _side(draft)
        one, another = draft.pair()
        return {side: one}, {side: another}
    where: Rule = {} if dice.chance(0.2) else {_side(draft): dice.one_of(draft.states)}
    one, another = dice.some_of(draft.actions, 2)
    return {**where, "action": one}, {**where, "action": another}


def _rival(draft: Draft, levels: tuple[float, ...]) -> Probability:
    """Return the chance of the second arm: the rest of 1, one of its own, or one that never varies."""
    dice = draft.dice
    kind = dice.unit()
    if kind < 0.4:
        return "1-p"
    if kind < 0.7 and draft.affords(len(levels)):
        return draft.vary("q", Variable(probability=levels), len(levels), "the chance that the other arm pays")
    return dice.one_of(_FIXED)


def _behind_flag(draft: Draft, rules: list[Rule]) -> list[Rule]:
    """Return the rules for when the flag is up: a place sets it, which may have to be found out."""
    dice = draft.dice
    draft.flags = ("has key",)
    place = dice.one_of(draft.places)
    if len(draft.places) > 1 and draft.affords(2) and dice.chance(0.5):
        pair = draft.pair()
        place = draft.vary("key place", Variable(state=pair), 2, "which state gives the key")
    draft.marks.append(Mark(**{_side(draft): place}, set={"has key": 1}))
    turned = _turned(rules[-1], draft) if dice.chance(0.4) else None
    if turned is not None:
        return [{**turned, "when": {"has key": 0}}, {**rules[-1], "when": {"has key": 1}}]
    return [*rules[:-1], {**rules[-1], "when": {"has key": 1}}]


def _turned(rule: Rule, draft: Draft) -> Rule | None:
    """Return the rule with the other action or state in the place of one of two that vary, or None."""
    for field, name in (("action", "good action"), ("from_", "goal"), ("to", "goal")):
        if rule.get(field) == name:
            variable = draft.variables[name]
            if len(variable.action or variable.state or ()) != 2:
                return None
            draft.variables[f"other {name.split()[-1]}"] = Variable(other=name)
            return {**rule, field: f"other {name.split()[-1]}"}
    return None


def _elsewhere(draft: Draft, where: Rule) -> list[Rule]:
    """Return a rule by which what is not the right one pays too, seldom; mostly none."""
    if not draft.uncertain or not draft.dice.chance(0.5):
        return []
    return [{**where, "probability": draft.dice.one_of(_SELDOM)}]


def _chance(draft: Draft) -> Rule:
    """Return the probability of a payment, mostly certain."""
    if not draft.uncertain or draft.dice.chance(0.4):
        return {}
    return {"probability": draft.dice.one_of(_SURE)}


def _aside(draft: Draft) -> Rule:
    """Return a rule that never varies, to be listed before the others."""
    dice = draft.dice
    rule: Rule = {_side(draft): dice.one_of(draft.states), "value": dice.one_of(_ASIDE)}
    if dice.chance(0.3):
        rule["action"] = dice.one_of(draft.actions)
    return {**rule, **_chance(draft)}


def _cost(draft: Draft) -> Cost:
    dice = draft.dice
    value = dice.one_of(_CHARGED)
    kind = dice.below(3)
    if kind == 0:
        return Cost(action=dice.one_of(draft.actions), value=value)
    return Cost(moved=True, value=value) if kind == 1 else Cost(to=dice.one_of(draft.states), value=value)


def _side(draft: Draft) -> str:
    """Return whether a state counts where a decision begins or where it leads."""
    return "from_" if draft.dice.chance(0.7) else "to"


def without_hidden(rewards: list[Reward]) -> list[Reward]:
    """Return the rules without those that a later one always overrides."""
    return [
        rule for number, rule in enumerate(rewards) if not any(_hides(later, rule) for later in rewards[number + 1 :])
    ]


def _hides(later: Reward, rule: Reward) -> bool:
    """Return whether `later` applies whenever `rule` does, by their names."""
    pairs = ((later.from_, rule.from_), (later.to, rule.to), (later.action, rule.action))
    return later.when in ({}, rule.when) and all(
        wide is None or _listed(narrow) <= _listed(wide) for wide, narrow in pairs
    )


def _listed(names: Names | None) -> set[str | None]:
    return {names} if isinstance(names, str) or names is None else set(names)
