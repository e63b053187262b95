"""Observations decoded: which stimuli each state shows side by side, and the codes of those that are fixed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.tasks.meta import grid as grids
from evoplastic.tasks.meta.language import NONE, MetaTask
from evoplastic.tasks.meta.names import Vocabulary, look_up
from evoplastic.tasks.meta.program import MOST_BITS

_DIGITS = {"1": 1, "0": 0, ".": -1}


def decode_observations(
    spec: MetaTask, names: Vocabulary, plane: grids.Plane | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return `shown` and `codes` of a Program."""
    if plane is not None and plane.views.shape[2]:
        return _views(plane)
    codes = _codes(spec, names)
    for name in spec.observations:
        look_up("observations", name, names.states, "state")
    said = {state: spec.observations.get(state, NONE) for state in names.states}
    listed = {state: [stimuli] if isinstance(stimuli, str) else list(stimuli) for state, stimuli in said.items()}
    for state, stimuli in listed.items():
        if not stimuli:
            raise UserError(f"observations.{state}: the list is empty; name a stimulus or 'none'")
    slots = max(map(len, listed.values()))
    _check_units("observations", slots * max(1, codes.shape[1]))
    shown = np.full((1 if plane is None else len(plane.walls), len(listed), slots), -1, np.int64)
    for number, (state, stimuli) in enumerate(listed.items()):
        for slot, name in enumerate(stimuli):
            if name != NONE:
                shown[:, number, slot] = names.refer(f"observations.{state}", name, "stimulus")
    return shown, codes


def _views(plane: grids.Plane) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the views of a grid's cells, each different one as a stimulus."""
    layouts, states, bits = plane.views.shape
    _check_units("grid.observe", bits)
    codes, numbers = np.unique(plane.views.reshape(-1, bits), axis=0, return_inverse=True)
    return numbers.reshape(layouts, states, 1).astype(np.int64), codes


def _codes(spec: MetaTask, names: Vocabulary) -> NDArray[np.int64]:
    codes = list(spec.stimuli.values())
    for name, code in spec.stimuli.items():
        if not code or set(code) - set(_DIGITS) or len(code) > MOST_BITS:
            raise UserError(f"stimuli.{name} must be 1 to {MOST_BITS} digits 1, 0 or ., got {code!r}")
    lengths = {len(code) for code in codes}
    if len(lengths) > 1:
        raise UserError(f"stimuli must all have one length, got {spec.stimuli}")
    bits = spec.stimulus_units or max(lengths, default=0)
    if lengths and bits not in lengths:
        raise UserError(f"stimulus_units must be the {lengths.pop()} digits of the stimuli or left out, got {bits}")
    drawn = sum(variable.drawn_code for variable in names.variables)
    if drawn and not bits:
        raise UserError("stimulus_units: give it or name a stimulus, so that those drawn know how many units they have")
    if len(set(codes)) != len(codes):
        raise UserError(f"stimuli must differ, got {spec.stimuli}")
    if drawn and 2**bits < 2 * (drawn + len(codes)):
        raise UserError(f"stimuli of {bits} units are too few to draw {drawn} new ones; use more units")
    return np.array([[_DIGITS[digit] for digit in code] for code in codes], np.int64).reshape(len(codes), bits)


def _check_units(place: str, units: int) -> None:
    if units > MOST_BITS:
        raise UserError(f"{place} would take {units} units, at most {MOST_BITS} can be; show less at a time")
