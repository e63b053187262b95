"""A meta-task as a graph: its states, where actions lead from each, and what is noted at each.

Where all actions have one row it is one edge of any action. Where several states share a row of chances for any action
it becomes a crossing, a small node of its own after the states, so that every chance is drawn once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

from evoplastic.tasks.meta.check import resolved
from evoplastic.tasks.meta.language import ANY, Conditions, Cost, Mark, Names, Reward
from evoplastic.tasks.meta.phrases import amount
from evoplastic.tasks.meta.program import Program

ANY_ACTION = -1
EVERYWHERE = -1  # the place of a note that belongs to no state
_FEW = 2  # states at each of which a note of all states is shown
_LARGEST_DENOMINATOR = 12
_MINUS = "\N{MINUS SIGN}"

Target = tuple[int, float, str]  # state, probability, name of the variable that says so or ""


class Edge(NamedTuple):
    source: int
    target: int
    action: int  # or ANY_ACTION
    label: str
    drawn: bool  # whether the instance decides that it leads there


class Part(NamedTuple):
    """A piece of a note: plain text, or the name of an action or variable."""

    text: str
    kind: Literal["plain", "action", "variable"] = "plain"


class Note(NamedTuple):
    """What a decision in a state pays, costs or marks."""

    kind: Literal["reward", "cost", "mark"]
    value: str  # of a reward or cost
    parts: tuple[Part, ...]


class StateGraph(NamedTuple):
    states: int
    crossings: int
    edges: tuple[Edge, ...]
    notes: dict[int, list[Note]]  # by state, or EVERYWHERE


def graph_of(program: Program) -> StateGraph:
    """Return the graph of a program whose states are no plane."""
    rows = {state: _rows(program, state) for state in range(len(program.states))}
    shared: dict[tuple[Target, ...], list[int]] = {}
    for state, by_action in rows.items():
        if set(by_action) == {ANY_ACTION} and len(by_action[ANY_ACTION]) > 1:
            shared.setdefault(by_action[ANY_ACTION], []).append(state)
    crossings = [row for row, states in shared.items() if len(states) > 1]
    edges: list[Edge] = []
    for state, by_action in rows.items():
        for action, row in by_action.items():
            if action == ANY_ACTION and row in crossings:
                edges.append(Edge(state, len(rows) + crossings.index(row), action, "", False))
            else:
                edges += _edges(state, action, row)
    for number, row in enumerate(crossings):
        edges += _edges(len(rows) + number, ANY_ACTION, row)
    return StateGraph(len(rows), len(crossings), tuple(edges), _notes(program))


def _rows(program: Program, state: int) -> dict[int, tuple[Target, ...]]:
    """Return the row of each action, or of ANY_ACTION where they are all the same."""
    rows = []
    for targets, probabilities in zip(program.targets[0, state].tolist(), program.probabilities[0, state].tolist()):
        row: list[Target] = []
        for reference, probability in zip(targets, probabilities):
            name = program.variables[-2 - reference].name if reference < 0 else ""
            if probability > 0.0:
                row += [(place, probability, name) for place in resolved(program, reference)]
        rows.append(tuple(row))
    return {ANY_ACTION: rows[0]} if len(set(rows)) == 1 else dict(enumerate(rows))


def _edges(source: int, action: int, row: Sequence[Target]) -> Iterator[Edge]:
    for target, probability, name in row:
        parts = [*([chance(probability)] if probability < 1.0 else []), *([f"if {name}"] if name else [])]
        yield Edge(source, target, action, " ".join(parts), bool(name))


def chance(probability: float) -> str:
    """Return a probability as .25, or as 1/3 where it is such a fraction."""
    fraction = Fraction(probability).limit_denominator(_LARGEST_DENOMINATOR)
    simple = abs(float(fraction) - probability) < 1e-6 and fraction * 100 % 1 != 0
    return str(fraction) if simple else amount(round(probability, 3))


def _notes(program: Program) -> dict[int, list[Note]]:
    spec, notes = program.spec, dict[int, list[Note]]()
    for rule in (*spec.rewards, *spec.costs, *spec.marks):
        for place, condition in _places(program, rule):
            note = _note(program, rule, condition)
            if note not in notes.setdefault(place, []):
                notes[place].append(note)
    return notes


def _places(program: Program, rule: Conditions) -> Iterator[tuple[int, tuple[Part, ...]]]:
    """Yield the states at which a rule is noted, and what must hold for it to apply there."""
    where, arriving = rule.from_, False
    if where is None or where == ANY:
        where, arriving = rule.to, True
    if where is None or where == ANY:
        states = range(len(program.states))
        yield from ((state, ()) for state in (states if len(states) <= _FEW else [EVERYWHERE]))
        return
    on_arrival = (Part("on arrival"),) if arriving else ()
    to = (Part("to"), *_named(program, rule.to)) if not arriving and rule.to not in (None, ANY) else ()
    for name in [where] if isinstance(where, str) else where:
        if name in program.states:
            yield program.states.index(name), (*on_arrival, *to)
        else:
            variable = next(variable for variable in program.variables if variable.name == name)
            for state in variable.values:
                yield int(state), (*on_arrival, *to, Part("if"), Part(name, "variable"))


def _note(program: Program, rule: Conditions, condition: tuple[Part, ...]) -> Note:
    acting = tuple(_named(program, rule.action) if rule.action not in (None, ANY) else ())
    parts = list(condition)
    if rule.moved is not None:
        parts.append(Part("if it moves" if rule.moved else "if it stays"))
    for name, wanted in rule.when.items():
        if name in program.spec.flags and not isinstance(wanted, tuple):
            parts.append(Part(f"if {name}" if wanted else f"if not {name}"))
        else:
            low, high = wanted if isinstance(wanted, tuple) else (wanted, wanted)
            parts.append(Part(f"if {name} {int(low)}{f' to {high}' if low != high else ''}"))
    if isinstance(rule, Reward):
        return Note(
            "reward", _signed(rule.value), (*acting, *_chance(program, rule), *parts, *_relocation(program, rule))
        )
    if isinstance(rule, Cost):
        return Note("cost", _signed(-rule.value), (*acting, *parts))
    assert isinstance(rule, Mark)
    done = [f"{'' if value else 'not '}{name}" for name, value in rule.set.items() if name in program.spec.flags]
    done += [f"{name} = {int(value)}" for name, value in rule.set.items() if name not in program.spec.flags]
    done += [f"{name} {'+' if by >= 0 else _MINUS}{abs(by)}" for name, by in rule.add.items()]
    return Note("mark", "", (Part(", ".join(done)), *acting, *parts))


def _signed(value: float) -> str:
    return f"{_MINUS if value < 0 else ''}{amount(abs(value))}"


def _chance(program: Program, rule: Reward) -> Iterator[Part]:
    said = str(rule.probability)
    name = said.removeprefix("1-")
    if any(variable.name == name for variable in program.variables):
        yield from (Part("p =" if said == name else f"p = 1 {_MINUS}"), Part(name, "variable"))
    elif rule.probability not in (1.0, "1"):
        yield Part(f"p = {amount(rule.probability)}")


def _relocation(program: Program, rule: Reward) -> tuple[Part, ...]:
    if not rule.relocate:
        return ()
    but = (Part("but"), *_named(program, rule.but)) if rule.but else ()
    return (Part("then at"), *([Part("any state")] if rule.relocate == ANY else _named(program, rule.relocate)), *but)


def _named(program: Program, names: Names | None) -> Iterator[Part]:
    """Yield names of states, actions or variables with a stroke between them."""
    variables = {variable.name for variable in program.variables}
    for number, name in enumerate([names] if isinstance(names, str) else names or ()):
        if number:
            yield Part("or")
        yield Part(name, "variable" if name in variables else "action" if name in program.actions else "plain")
