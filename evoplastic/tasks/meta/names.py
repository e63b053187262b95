"""The words of a spec: what is called what, with the nearest name where nothing is; lists of names, and fractions."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from evoplastic.errors import UserError, nearest
from evoplastic.tasks.meta import grid as grids
from evoplastic.tasks.meta.language import ANY, NONE, MetaTask, Names
from evoplastic.tasks.meta.program import (
    MOST_ACTIONS,
    MOST_MEMORY,
    MOST_RULES,
    MOST_STATES,
    MOST_VARIABLES,
    Decoded,
    variable_reference,
)

DRAWN = "drawn"  # a stimulus that is a new random code
LONGEST_NAME = 64
_MOST = {
    "states": MOST_STATES,
    "actions": MOST_ACTIONS,
    "stimuli": MOST_STATES,
    "variables": MOST_VARIABLES,
    "flags and counters": MOST_MEMORY.bit_length() - 1,
    "rewards, costs and marks": MOST_RULES,
    "joint values of flags and counters": MOST_MEMORY,
}


@dataclass(frozen=True)
class Vocabulary:
    """What is called what, each thing by its number; the variables are those decoded so far."""

    states: Mapping[str, int]
    actions: Mapping[str, int]
    stimuli: Mapping[str, int]
    memories: Mapping[str, int]  # how many values each flag and counter has
    variables: tuple[Decoded, ...] = ()

    def refer(self, place: str, name: str, kind: str) -> int:
        """Return the number of a state, action or stimulus, or the reference of a variable of that kind."""
        return look_up(place, name, self.references[kind], f"{kind} or variable {kind}")

    @functools.cached_property
    def references(self) -> dict[str, dict[str, int]]:
        """All that may be referred to as a state, action, stimulus or probability: {kind: {name: number}}."""
        named = {"state": self.states, "action": self.actions, "stimulus": self.stimuli, "probability": {}}
        return {kind: {**known, **self._variables(kind)} for kind, known in named.items()}

    def _variables(self, kind: str) -> dict[str, int]:
        numbered = enumerate(self.variables)
        return {variable.name: variable_reference(number) for number, variable in numbered if variable.kind == kind}

    def states_of(self, place: str, names: Names) -> list[int]:
        """Return states by name, "any" for all; variables are not allowed."""
        if names == ANY:
            return list(self.states.values())
        return [look_up(place, name, self.states, "state") for name in listed(place, names)]


def vocabulary_of(spec: MetaTask, plane: grids.Plane | None) -> Vocabulary:
    """Return the names of a spec on its plane, but for the variables; UserError for those that cannot be."""
    states, actions = _places(spec, plane)
    kinds = {
        "states": states,
        "actions": actions,
        "stimuli": tuple(spec.stimuli),
        "variables": tuple(spec.variables),
        "flags and counters": (*spec.flags, *spec.counters),
    }
    _check_names(kinds)
    memories = dict.fromkeys(spec.flags, 2) | {name: most + 1 for name, most in spec.counters.items()}
    sizes = {kind: len(names) for kind, names in kinds.items()}
    sizes["rewards, costs and marks"] = len(spec.rewards) + len(spec.costs) + len(spec.marks)
    sizes["joint values of flags and counters"] = math.prod(memories.values())
    for what, size in sizes.items():
        if size > _MOST[what]:
            raise UserError(f"{what} must be at most {_MOST[what]}, got {size}")
    return Vocabulary(_numbered(states), _numbered(actions), _numbered(spec.stimuli), memories)


def _places(spec: MetaTask, plane: grids.Plane | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of states and actions."""
    if plane is None:
        if not spec.states or not spec.actions:
            raise UserError("states and actions must name at least one each, or give a grid")
        return spec.states, spec.actions
    for field in ("states", "actions", "transitions"):
        if getattr(spec, field):
            raise UserError(f"{field} come from the grid; leave {field} out")
    if spec.observations and spec.grid is not None and spec.grid.observe != "none":
        raise UserError("observations come from grid.observe; leave one of them out")
    return plane.states, grids.ACTIONS


def _check_names(kinds: Mapping[str, tuple[str, ...]]) -> None:
    seen: dict[str, str] = {}
    for kind, names in kinds.items():
        for name in names:
            if not name or name in (ANY, NONE, DRAWN) or name.startswith("1-"):
                raise UserError(f"{kind}: {name!r} cannot be a name; '', 'any', 'none', 'drawn' and '1-...' are taken")
            if not name.isprintable() or len(name) > LONGEST_NAME:
                raise UserError(f"{kind}: {name!r} is no name; expected 1 to {LONGEST_NAME} printable characters")
            if name in seen:
                where = "twice" if seen[name] == kind else f"also among {seen[name]}"
                raise UserError(f"{kind}: name {name!r} stands there {where}; every name must mean one thing")
            seen[name] = kind


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}


def look_up(place: str, name: str, known: Mapping[str, int], what: str) -> int:
    """Return what `known` holds for a name; UserError, with the nearest of those there are, where it holds none."""
    if name not in known:
        names = list(known)
        choices = names if len(names) <= 20 else [*names[:20], "..."]
        chosen = f"choose one of {choices}{nearest(name, names)}" if choices else "there is none"
        raise UserError(f"{place}: {name!r} is no {what}; {chosen}")
    return known[name]


def listed(place: str, names: Names) -> list[str]:
    """Return the names of a list, or the one name, of which none may stand twice."""
    several = [names] if isinstance(names, str) else list(names)
    if not several or len(set(several)) != len(several):
        raise UserError(f"{place} must name at least one, each once, got {several}")
    return several


def probability(place: str, said: object, known: str = " or a fraction") -> float:
    """Return a number from 0 to 1, given as one or as a fraction such as "1/3"."""
    if isinstance(said, str):
        try:
            said = float(Fraction(said)) if "/" in said else float(said)
        except (ValueError, ZeroDivisionError, OverflowError):
            raise UserError(f"{place}: {said!r} is no probability; expected a number{known}") from None
    assert isinstance(said, (int, float))
    if not 0.0 <= said <= 1.0:
        raise UserError(f"{place}: expected a probability from 0 to 1, got {said!r}")
    return float(said)
