"""What a decoded spec must not do though each of its parts is well formed: contradict itself or get nowhere."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from evoplastic.errors import UserError
from evoplastic.tasks.meta.program import ANYTHING, Program, Rule


def check_program(program: Program) -> None:
    """Raise UserError for rules that can never decide, variables without a value, and places never reached."""
    _check_text(program)
    _check_unlike(program)
    _check_rules(program.rewards)
    _check_once(program)
    _check_relocations(program)
    _check_paid(program)
    reached, entered = _visited(program)
    until = program.ending.until
    if until and not entered.intersection(until):
        raise UserError(f"trial.until: no start leads to {program.states[until[0]]!r}, so no trial would ever end")
    unreached = sorted(set(range(len(program.states))) - reached)
    if program.plane is not None and unreached:
        raise UserError(
            f"grid: the start does not lead to cell {program.states[unreached[0]]!r}; open a way or wall it"
        )


def _visited(program: Program) -> tuple[set[int], set[int]]:
    """Return the states that a learner may be in, and those of them that a decision may lead to."""
    every = program.targets.reshape(-1, program.targets.shape[1], program.targets.shape[2] * program.targets.shape[3])
    possible = program.probabilities.reshape(every.shape) > 0
    entered: set[int] = set()
    for rule in program.rewards:
        entered.update(*(resolved(program, place) for place in {*rule.places} - {*rule.but}))
    reached: set[int] = set()
    fresh = {*program.start}
    while fresh:
        reached |= fresh
        for state in fresh:
            for target in np.unique(every[:, state][possible[:, state]]).tolist():
                entered.update(resolved(program, target))
        fresh = entered - reached
    return reached, entered


def resolved(program: Program, reference: int) -> tuple[int, ...]:
    """Return the states or actions that a reference may stand for."""
    return (reference,) if reference >= 0 else tuple(map(int, program.variables[-2 - reference].values))


def hidden_by(rule: Rule, later: Rule) -> bool:
    """Return whether `later` applies whenever `rule` does."""
    pairs = zip(rule[1:5], later[1:5])  # from, to, action, moved
    return all(wide in (ANYTHING, narrow) for narrow, wide in pairs) and not rule.memories & ~later.memories


def _check_text(program: Program) -> None:
    for field in ("summary", "source"):
        text = getattr(program.spec, field)
        if not text.isprintable():
            raise UserError(f"{field} must be one line of printable characters, got {text!r}")


def _check_paid(program: Program) -> None:
    if not program.rewards and not program.costs:
        raise UserError("rewards: nothing is ever paid; give at least one reward or cost")
    if program.ending.rewarded and not program.rewards:
        raise UserError("trial.rewarded: there is no reward, so no trial would ever end")


def _check_once(program: Program) -> None:
    """Refuse a list that may name one thing twice in an instance where the rule would then count twice."""
    counted = [mark for mark in program.marks if any(mark.marked[after] != after for after in mark.marked)]
    for rule, other in itertools.combinations([*program.costs, *counted], 2):
        if rule.place == other.place and all(_may_be_one(program, *pair) for pair in zip(rule[1:4], other[1:4])):
            raise UserError(f"{rule.place} lists names that may mean the same in an instance; write a rule for each")


def _check_relocations(program: Program) -> None:
    for rule in program.rewards:
        if rule.places and not _leaves_a_place(program, rule):
            raise UserError(f"{rule.place}.but may leave no place to relocate to; name more places or leave out fewer")


def _leaves_a_place(program: Program, rule: Rule) -> bool:
    """Return whether some place is left in every instance: a variable that is left out takes but one state away."""
    places = {*rule.places} - {*rule.but}
    states = {place for place in places if place >= 0}
    taking = [other for other in rule.but if other < 0 and states.intersection(resolved(program, other))]
    return len(states) > len(taking) or any(
        not any(_may_be_one(program, place, other) for other in rule.but) for place in places
    )


def _may_be_one(program: Program, one: int, other: int) -> bool:
    """Return whether two references may stand for the same state or action."""
    if one == other or not set(resolved(program, one)) & set(resolved(program, other)):
        return one == other
    variables = (-2 - one, -2 - other)  # negative for what is none
    return not any(
        mine >= 0 and (rival in program.variables[mine].unlike or rival == program.variables[mine].other)
        for mine, rival in (variables, variables[::-1])
    )


def _check_rules(rewards: Sequence[Rule]) -> None:
    places = list(dict.fromkeys(rule.place for rule in rewards))
    for number, place in enumerate(places):
        after = [rule for rule in rewards if places.index(rule.place) > number]
        parts = [rule for rule in rewards if rule.place == place]
        above = [next((later for later in after if hidden_by(part, later)), None) for part in parts]
        if all(later is not None for later in above) and above[0] is not None:
            raise UserError(
                f"{place} contradicts {above[0].place}, which always overrides it; the last that applies decides"
            )


def _check_unlike(program: Program) -> None:
    for variable in program.variables:
        rivals = sum(bool(set(program.variables[other].values) & set(variable.values)) for other in variable.unlike)
        if variable.values and len(variable.values) <= rivals:
            raise UserError(f"variables.{variable.name}.unlike: all of its values may be taken; give it more")
