"""Variables decoded: what each may be, what it is unlike, and how it changes."""

from __future__ import annotations

import dataclasses

from evoplastic.errors import UserError
from evoplastic.tasks.meta.language import MetaTask, Uniform, Variable
from evoplastic.tasks.meta.names import DRAWN, Vocabulary, listed, look_up
from evoplastic.tasks.meta.program import Decoded

KINDS = ("state", "action", "stimulus", "probability", "other")


def decode_variables(spec: MetaTask, names: Vocabulary, layouts: int) -> tuple[Decoded, ...]:
    """Return the variables of a spec in their order, then the maze where there are several layouts."""
    for name, variable in spec.variables.items():
        decoded = _decoded(f"variables.{name}", name, variable, names)
        _check_change(f"variables.{name}", decoded, spec.horizon)
        names = dataclasses.replace(names, variables=(*names.variables, decoded))
    maze = Decoded("maze", "layout", tuple(map(float, range(layouts))))
    return (*names.variables, maze) if layouts > 1 else names.variables


def _decoded(place: str, name: str, variable: Variable, names: Vocabulary) -> Decoded:
    given = [kind for kind in KINDS if getattr(variable, kind) is not None]
    if len(given) != 1:
        raise UserError(f"{place}: give exactly one of {', '.join(KINDS)}, got {', '.join(given) or 'none'}")
    kind = given[0]
    if kind == "other":
        return _other(place, name, variable, names)
    decoded = Decoded(name, kind, _values(place, kind, variable, names), change=variable.change)
    if isinstance(variable.probability, Uniform):
        if not variable.probability.low < variable.probability.high:
            raise UserError(f"{place}.probability: low must be below high, got {variable.probability}")
        decoded = decoded._replace(low=variable.probability.low, high=variable.probability.high)
    if variable.but and kind != "state":
        raise UserError(f"{place}.but leaves out states; {name!r} is no state")
    rivals = listed(f"{place}.unlike", variable.unlike) if variable.unlike else []
    return decoded._replace(unlike=_unlike(f"{place}.unlike", rivals, decoded, names))


def _other(place: str, name: str, variable: Variable, names: Vocabulary) -> Decoded:
    number = _earlier(f"{place}.other", str(variable.other), names)
    twin = names.variables[number]
    if len(twin.values) != 2 or twin.other >= 0 or variable.unlike or variable.but or variable.change:
        raise UserError(f"{place}.other: {twin.name!r} must have two listed values, and nothing else may be said")
    return Decoded(name, twin.kind, twin.values, other=number)


def _earlier(place: str, name: str, names: Vocabulary) -> int:
    """Return the number of a variable that is decoded already."""
    earlier = {variable.name: number for number, variable in enumerate(names.variables)}
    return look_up(place, name, earlier, "earlier variable")


def _values(place: str, kind: str, variable: Variable, names: Vocabulary) -> tuple[float, ...]:
    """Return what a variable may be; () where it is drawn anew or between bounds."""
    named = getattr(variable, kind)
    if kind == "probability":
        if isinstance(named, Uniform):
            return ()
        if not named or not all(0.0 <= level <= 1.0 for level in named):
            raise UserError(f"{place}.probability must list numbers from 0 to 1, got {list(named)}")
        return tuple(named)
    if kind == "stimulus" and named == DRAWN:
        return ()
    if kind == "state":
        but = names.states_of(f"{place}.but", variable.but) if variable.but else []
        values = [state for state in names.states_of(f"{place}.state", named) if state not in but]
    else:
        known = names.actions if kind == "action" else names.stimuli
        several = [named] if isinstance(named, str) else list(named)
        values = [look_up(f"{place}.{kind}", item, known, kind) for item in several]
    if not values or len(set(values)) != len(values):
        raise UserError(f"{place}.{kind} must name at least one {kind}, each once, got {named!r}")
    return tuple(map(float, values))


def _unlike(place: str, rivals: list[str], decoded: Decoded, names: Vocabulary) -> tuple[int, ...]:
    """Return the numbers of the variables whose values are never this one's."""
    numbers = [_earlier(place, rival, names) for rival in rivals]
    for rival in (names.variables[number] for number in numbers):
        twin = names.variables[rival.other] if rival.other >= 0 else rival
        if rival.kind != decoded.kind or rival.continuous or decoded.continuous:
            raise UserError(f"{place}: {rival.name!r} must be a {decoded.kind} with listed values too")
        if twin.change or decoded.change:
            raise UserError(f"{place}: variables that change cannot be kept unlike others")
    return tuple(numbers)


def _check_change(place: str, decoded: Decoded, horizon: int) -> None:
    change = decoded.change
    if change is None:
        return
    if len(decoded.values) < 2:
        raise UserError(f"{place}.change: only a variable with at least two listed values can change")
    if decoded.kind == "stimulus":
        raise UserError(f"{place}.change: a stimulus cannot change within an instance")
    if (change.every is None) == (not change.at):
        raise UserError(f"{place}.change: give either every or at")
    if len(set(change.at)) != len(change.at) or max(change.at, default=0) > horizon:
        raise UserError(f"{place}.change.at must list decisions up to the horizon of {horizon}, each once")
    if change.at and change.chance != 1.0:
        raise UserError(f"{place}.change.chance: a change at set decisions is certain, got {change.chance}")
