"""Meta-tasks in the number codes of a published generator, translated into specs that call every part by its name.

Source: Meta-Task-Generator (T. Miconi), the program of "Procedural generation of meta-reinforcement learning tasks",
arXiv 2302.05583; `published_files` reads what it prints.

    T[s][a][s']         probability of next state s' after action a in state s; rounding below 1e-6 is put right
    rewardconditions    [old state, new state, action, probability, value, flag]; of those that match the last decides;
                        the oldest files have no flag
    flagconditions      [old state, new state, action, flag value]; the last that matches has its way
    statevarranges      what each special state may be
    stimuli             one code for each state

Codes: -1 any, no stimulus or whatever flag; 100+k special state k; 1000+k probability variable p_k and 2000+k its
complement 1-p_k, k 0 or 1, p_k even on (0, 1); stimuli 0 to 2 are fixed, 10000+k (1000+k in the oldest files) is
variable stimulus k. A life starts in state 0.

What the format leaves open is fixed like this. Rewards read the flag as it was before this decision; reaching state 0
clears it whatever the flag rules say. Special states are drawn independently, so two may be the same. There is no
trial. Rules that a later one always overrides, a flag that no reward reads and variables that nothing refers to change
nothing and are left out; the notes say so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from evoplastic.errors import UserError
from evoplastic.tasks.meta.check import hidden_by
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import FORMAT, ORDER, Mark, MetaTask, Reward, Row, Uniform, Variable, to_json
from evoplastic.tasks.meta.program import Rule
from evoplastic.tasks.meta.published_files import Published
from evoplastic.tasks.meta.reading import parse_meta_task

SOURCE = "Meta-Task-Generator, Miconi 2023, arXiv 2302.05583"
HORIZON = 100  # decisions; the published format names none
NOTHING = -1
SPECIAL, PROBABILITY, COMPLEMENT, OLD_STIMULUS, STIMULUS = 100, 1000, 2000, 1000, 10000  # first code of each kind
PROBABILITIES, FIXED_STIMULI, VARIABLE_STIMULI = 2, 3, 2  # how many of each the generator has
UNITS = 5  # of a stimulus
ROUNDING = 1e-6  # by which a row may miss a sum of 1
LARGEST_DENOMINATOR = 100  # of a fraction that is recognised behind rounded digits
FLAG = "flag"


class Imported(NamedTuple):
    """A published meta-task as a spec, and what was left out of it."""

    spec: MetaTask
    notes: tuple[str, ...]


def translated(published: Published, name: str, horizon: int = HORIZON) -> Imported:
    """Return the checked spec of a published meta-task; `name` says where it comes from.

    UserError, beginning with the name and the place, for a code that means nothing.
    """
    try:
        rewards, marks = _rewards(published), _marks(published)
        kept_rewards, kept_marks, notes = _without_dead(published, rewards, marks, horizon)
        spec = _spec(published, kept_rewards, kept_marks, f"imported from {name} ({SOURCE})", horizon)
        notes += _unused(published, spec)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    return Imported(parse_meta_task(to_json(spec), name), notes)


# From codes to names


def _rewards(published: Published) -> list[Reward]:
    rules = []
    for number, fields in enumerate(published.rewardconditions):
        place = f"rewardconditions[{number}]"
        if len(fields) not in (5, 6) or not all(map(math.isfinite, fields)):
            raise UserError(f"{place} must be 5 or 6 numbers, got {list(fields)}")
        said = {"probability": _probability(place, fields[3]), "value": fields[4]}
        when = {}
        if len(fields) == 6 and fields[5] != NOTHING:
            when = {FLAG: _flag(place, fields[5], "-1, 0 or 1")}
        unusual = {key: amount for key, amount in said.items() if amount != 1.0}
        rules.append(Reward(**_conditions(published, place, fields[:3]), **unusual, when=when))
    return rules


def _marks(published: Published) -> list[Mark]:
    """Return the flag rules; the last of them is that state 0 clears the flag."""
    rules = []
    for number, fields in enumerate(published.flagconditions):
        place = f"flagconditions[{number}]"
        if len(fields) != 4:
            raise UserError(f"{place} must be 4 numbers, got {list(fields)}")
        rules.append(Mark(**_conditions(published, place, fields[:3]), set={FLAG: _flag(place, fields[3], "0 or 1")}))
    return [*rules, Mark(to=_state_name(0), set={FLAG: 0})]


def _conditions(published: Published, place: str, fields: Sequence[float]) -> dict[str, Any]:
    actions = len(published.T[0]) if published.T else 0
    if fields[2] != NOTHING and fields[2] not in range(actions):
        raise UserError(f"{place}: action {fields[2]:g} is undefined; expected -1 or 0 to {actions - 1}")
    return {
        "from_": _state(published, place, fields[0]),
        "to": _state(published, place, fields[1]),
        "action": None if fields[2] == NOTHING else f"action {fields[2]:g}",
    }


def _state(published: Published, place: str, code: float) -> str | None:
    states, specials = min(len(published.T), SPECIAL), len(published.statevarranges)
    if code == NOTHING:
        return None
    if code in range(states):
        return _state_name(code)
    if code in range(SPECIAL, SPECIAL + specials):
        return _special_name(code - SPECIAL)
    special = f" or {SPECIAL} to {SPECIAL + specials - 1}" if specials else ", and no range of a special state is given"
    raise UserError(f"{place}: state {code:g} is undefined; expected -1, 0 to {states - 1}{special}")


def _probability(place: str, code: float) -> float | str:
    for first, complement in ((PROBABILITY, ""), (COMPLEMENT, "1-")):
        if code in range(first, first + PROBABILITIES):
            return f"{complement}p{code - first:g}"
    if not 0.0 <= code <= 1.0:
        raise UserError(f"{place}: probability {code:g} is undefined; expected 0 to 1, 1000, 1001, 2000 or 2001")
    return code


def _flag(place: str, code: float, expected: str) -> int:
    if code not in (0, 1):
        raise UserError(f"{place}: flag {code:g} is undefined; expected {expected}")
    return int(code)


def _stimulus(place: str, code: float) -> str | None:
    if code == NOTHING:
        return None
    if code in range(FIXED_STIMULI):
        return f"stimulus {code:g}"
    for first in (OLD_STIMULUS, STIMULUS):
        if code in range(first, first + VARIABLE_STIMULI):
            return f"drawn stimulus {code - first:g}"
    raise UserError(f"{place}: stimulus {code:g} is undefined; expected -1, 0, 1, 2, 10000 or 10001")


def _state_name(number: float) -> str:
    return f"state {number:g}"


def _special_name(number: float) -> str:
    return f"special {number:g}"


# What changes nothing


def _without_dead(
    published: Published, rewards: list[Reward], marks: list[Mark], horizon: int
) -> tuple[list[Reward], list[Mark], tuple[str, ...]]:
    """Return the rules that can decide, and notes about those that cannot."""
    program = decode(_spec(published, rewards, marks, "", horizon))
    dead, notes = _overridden(program.rewards, "rewardconditions")
    rewards = [rule for number, rule in enumerate(rewards) if number not in dead]
    if not any(rule.when for rule in rewards):
        unread = f"flagconditions are left out: no reward reads the flag ({len(published.flagconditions)} of them)"
        return rewards, [], (*notes, *([unread] if published.flagconditions else []))
    dead, more = _overridden(program.marks, "flagconditions")
    return rewards, [rule for number, rule in enumerate(marks) if number not in dead], (*notes, *more)


def _overridden(rules: Sequence[Rule], part: str) -> tuple[set[int], list[str]]:
    dead, notes = set(), []
    for number, rule in enumerate(rules):
        above = [later for later in range(number + 1, len(rules)) if hidden_by(rule, rules[later])]
        if above:
            dead.add(number)
            last = part == "flagconditions" and above[0] == len(rules) - 1
            by = "the clearing of the flag in state 0" if last else f"{part}[{above[0]}]"
            notes.append(f"{part}[{number}] is left out: {by} always overrides it")
    return dead, notes


def _unused(published: Published, spec: MetaTask) -> tuple[str, ...]:
    names = [_special_name(number) for number in range(len(published.statevarranges))]
    unused = [number for number, name in enumerate(names) if name not in spec.variables]
    return tuple(f"statevarranges[{number}] is left out: no rule refers to it" for number in unused)


# The spec


def _spec(
    published: Published, rewards: Sequence[Reward], marks: Sequence[Mark], source: str, horizon: int
) -> MetaTask:
    """Return the spec of these rules, with the variables and stimuli that something refers to."""
    _check_shape(published)
    shown = {
        _state_name(state): name
        for state, code in enumerate(published.stimuli)
        if (name := _stimulus(f"stimuli[{state}]", code)) is not None
    }
    variables = dict(_variables(published, {*_referred(rewards), *_referred(marks), *shown.values()}))
    fixed = sorted({name for name in shown.values() if name not in variables})
    actions = len(published.T[0])
    return MetaTask(
        format=FORMAT,
        version=1,
        order=ORDER,
        summary=_summary(published, variables),
        source=source,
        horizon=horizon,
        states=tuple(map(_state_name, range(len(published.T)))),
        actions=tuple(f"action {number}" for number in range(actions)),
        stimuli={name: f"{1 << UNITS - 1 - int(name.split()[-1]):0{UNITS}b}" for name in fixed},
        stimulus_units=UNITS if shown and not fixed else None,
        observations=dict(shown),
        variables=variables,
        flags=(FLAG,) if marks else (),
        transitions={_state_name(state): _rows(state, rows) for state, rows in enumerate(published.T)},
        rewards=tuple(rewards),
        marks=tuple(marks),
    )


def _check_shape(published: Published) -> None:
    states, actions = len(published.T), len(published.T[0]) if published.T else 0
    if not states or not actions:
        raise UserError(f"T must have at least one state and one action, got {states} and {actions}")
    for state, rows in enumerate(published.T):
        if len(rows) != actions:
            raise UserError(f"T[{state}] must have a row for each of {actions} actions, got {len(rows)}")
        for action, row in enumerate(rows):
            if len(row) != states:
                raise UserError(f"T[{state}][{action}] must have a number for each of {states} states, got {len(row)}")
    if len(published.stimuli) != states:
        raise UserError(f"stimuli must be one code for each of {states} states, got {len(published.stimuli)}")


def _referred(rules: Sequence[Reward | Mark]) -> Iterator[str]:
    """Yield the names, and names of probabilities, that rules refer to."""
    for rule in rules:
        yield from (str(rule.from_), str(rule.to))
        if isinstance(rule, Reward) and isinstance(rule.probability, str):
            yield rule.probability.removeprefix("1-")


def _variables(published: Published, referred: set[str]) -> Iterator[tuple[str, Variable]]:
    for number, codes in enumerate(published.statevarranges):
        for code in codes:
            if code not in range(min(len(published.T), SPECIAL)):
                raise UserError(f"statevarranges[{number}]: state {code:g} is undefined; expected a state's number")
        if not codes or len(set(codes)) != len(codes):
            raise UserError(f"statevarranges[{number}] must name at least one state, each once, got {list(codes)}")
        if _special_name(number) in referred:
            yield _special_name(number), Variable(state=tuple(map(_state_name, codes)))
    for number in range(PROBABILITIES):
        if f"p{number}" in referred:
            yield f"p{number}", Variable(probability=Uniform())
    for number in range(VARIABLE_STIMULI):
        if f"drawn stimulus {number}" in referred:
            yield f"drawn stimulus {number}", Variable(stimulus="drawn")


def _rows(state: int, rows: Sequence[Sequence[float]]) -> Any:
    named = {f"action {action}": _row(f"T[{state}][{action}]", row) for action, row in enumerate(rows)}
    first = named["action 0"]
    return first if all(row == first for row in named.values()) else named


def _row(place: str, row: Sequence[float]) -> Row:
    """Return a row by names; simple fractions are recognised behind their printed digits."""
    total = math.fsum(row)
    if not (abs(total - 1.0) <= ROUNDING and all(0.0 <= part <= 1.0 for part in row)):
        raise UserError(f"{place} must be probabilities that sum to 1, got {list(row)}")
    reached = {_state_name(state): part for state, part in enumerate(row) if part > 0.0}
    if len(reached) == 1:
        return next(iter(reached))
    fractions = {name: Fraction(part).limit_denominator(LARGEST_DENOMINATOR) for name, part in reached.items()}
    near = all(abs(float(fractions[name]) - part) <= ROUNDING for name, part in reached.items())
    if near and sum(fractions.values()) == 1 and all(fractions.values()):
        return {name: _spelled(fraction) for name, fraction in fractions.items()}
    return {name: part / total for name, part in reached.items()}


def _spelled(fraction: Fraction) -> float | str:
    """Return a fraction as a number if that takes at most three digits, else as text."""
    return float(fraction) if fraction * 1000 % 1 == 0 else str(fraction)


def _summary(published: Published, variables: Mapping[str, Variable]) -> str:
    drawn = f"every instance draws {', '.join(variables)}" if variables else "nothing differs between instances"
    return f"An imported task of {len(published.T)} states and {len(published.T[0])} actions; {drawn}."
