"""Decoding a spec: names resolved to numbers, expressions to values; every complaint begins with its place.

This is the border: what comes out is a `Program`, and no name, fraction or code of a spec goes further.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.tasks.meta import grid as grids
from evoplastic.tasks.meta.language import ANY, MetaTask
from evoplastic.tasks.meta.names import Vocabulary, look_up, probability, vocabulary_of
from evoplastic.tasks.meta.observations import decode_observations
from evoplastic.tasks.meta.program import MOST_SUCCESSORS, Ending, Program
from evoplastic.tasks.meta.rules import decode_costs, decode_marks, decode_rewards
from evoplastic.tasks.meta.variables import decode_variables


def decode(spec: MetaTask) -> Program:
    """Return the program of a spec. UserError, beginning with the place in the spec, for what does not fit together."""
    plane = grids.lay_out(spec.grid) if spec.grid else None
    names = vocabulary_of(spec, plane)
    variables = decode_variables(spec, names, 1 if plane is None else len(plane.walls))
    names = dataclasses.replace(names, variables=variables)
    targets, probabilities = _transitions(spec, names) if plane is None else _moves(plane)
    shown, codes = decode_observations(spec, names, plane)
    return Program(
        spec=spec,
        states=tuple(names.states),
        actions=tuple(names.actions),
        targets=targets,
        probabilities=probabilities,
        start=_start(spec, names),
        memories=tuple(names.memories.items()),
        variables=variables,
        rewards=decode_rewards(spec, names),
        costs=decode_costs(spec, names),
        marks=decode_marks(spec, names),
        ending=_ending(spec, names),
        shown=shown,
        codes=codes,
        plane=plane,
    )


def _moves(plane: grids.Plane) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return `targets` and `probabilities` of a Program on a grid."""
    targets = plane.targets[..., None]
    return targets, np.ones(targets.shape)


def _transitions(spec: MetaTask, names: Vocabulary) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return `targets` and `probabilities` of a Program whose rows are listed."""
    for name in spec.transitions:
        look_up("transitions", name, names.states, "state")
    rows = []
    for state in names.states:
        if state not in spec.transitions:
            raise UserError(f"transitions: state {state!r} has no row; say where it leads, if only to itself")
        rows.append(_rows(f"transitions.{state}", spec.transitions[state], names))
    width = max(len(row) for rows_ in rows for row in rows_)
    if width > MOST_SUCCESSORS:
        raise UserError(f"transitions: a row may have at most {MOST_SUCCESSORS} next states, got {width}")
    targets = np.zeros((1, len(names.states), len(names.actions), width), np.int64)
    probabilities = np.zeros(targets.shape)
    for number, rows_ in enumerate(rows):
        for action, row in enumerate(rows_):
            targets[0, number, action, : len(row)] = list(row)
            probabilities[0, number, action, : len(row)] = list(row.values())
    return targets, probabilities


def _rows(place: str, said: object, names: Vocabulary) -> list[dict[int, float]]:
    """Return a row {target: probability} for each action."""
    if not isinstance(said, Mapping) or not any(key == ANY or key in names.actions for key in said):
        return [_row(place, said, names)] * len(names.actions)
    for key in said:
        if key != ANY:
            look_up(place, key, names.actions, "action")
    missing = [action for action in names.actions if action not in said and ANY not in said]
    if missing:
        raise UserError(f"{place}: no row for action {missing[0]!r}; give one, or one for 'any'")
    keys = [action if action in said else ANY for action in names.actions]
    return [_row(f"{place}.{key}", said[key], names) for key in keys]


def _row(place: str, said: object, names: Vocabulary) -> dict[int, float]:
    if isinstance(said, str):
        said = {said: 1.0}
    if not isinstance(said, Mapping):
        raise UserError(f"{place}: expected a state or {{state: probability}}, got {said!r}")
    row = {}
    for name, chance in said.items():
        if isinstance(chance, Mapping):
            raise UserError(f"{place}.{name}: expected a probability, got {dict(chance)!r}")
        row[names.refer(place, name, "state")] = probability(f"{place}.{name}", chance)
    total = math.fsum(row.values())
    if abs(total - 1.0) > 1e-9:
        raise UserError(f"{place}: probabilities must sum to 1, got {total:.10g}")
    return {target: chance for target, chance in row.items() if chance > 0.0}


def _start(spec: MetaTask, names: Vocabulary) -> tuple[int, ...]:
    if spec.start != ():
        return tuple(names.states_of("start", spec.start))
    return tuple(names.states.values()) if spec.grid else (0,)


def _ending(spec: MetaTask, names: Vocabulary) -> Ending:
    trial = spec.trial
    until = () if trial.until is None else tuple(names.states_of("trial.until", trial.until))
    if trial.decisions and (until or trial.rewarded):
        raise UserError("trial: it ends after a number of decisions or on an event; give one of them")
    if trial.decisions and trial.decisions > spec.horizon:
        raise UserError(f"trial.decisions must be at most the horizon of {spec.horizon}, got {trial.decisions}")
    if (trial.restart or trial.clear) and not (trial.decisions or until or trial.rewarded):
        raise UserError("trial: restart and clear follow the end of a trial; give decisions, until or rewarded too")
    return Ending(trial.decisions or 0, until, trial.rewarded, trial.restart, trial.clear)
