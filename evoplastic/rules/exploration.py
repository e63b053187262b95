"""Sparse perturbations of the potential, drawn for a whole trial at its start: how a rule explores.

    xi_i = amplitude * Uniform(-1, 1) with the given probability, else 0       each unit, each step

Perturbed (step, unit) places are drawn by the geometric gaps between them, so an unperturbed place costs nothing. They
are addressed by (key, trial): see `random`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import inlined_kernel, making_kernel
from evoplastic.polynomials import log
from evoplastic.random import NOISE, philox, unit

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_TWO = np.float32(2.0)
_BATCH = 32  # Philox counters drawn at once, so that drawing vectorises
_LONGEST_GAP = np.float32(2.0**30)
_TRIAL_SHIFT = np.uint64(32)


class Perturbations(NamedTuple):
    places: NDArray  # (events,) int64: step * N + unit of each perturbation of this trial, ascending
    sizes: NDArray  # (events,) float32
    window: NDArray  # (2,) int64: this step's perturbations are places[window[0]:window[1]]
    units: int  # N


def gap_scale(probability: float) -> float:
    """Return 1 / log(1 - probability): the number of places skipped is floor(gap_scale * log(u)), u in (0, 1]."""
    with np.errstate(divide="ignore"):
        return float(1.0 / np.log1p(-probability))


@making_kernel
def unperturbed(units, steps):
    """Return room for the perturbations of a trial of `steps` steps, none drawn."""
    events = steps * units + 2 * _BATCH
    return Perturbations(
        np.empty(events, np.int64), np.empty(events, np.float32), np.zeros(2, np.int64), np.int64(units)
    )


@making_kernel
def draw(perturbations, key, trial, first_step, steps, gap, amplitude):
    """Draw a trial's perturbations from `first_step` on, none if that is `steps`, in reading order of (step, unit)."""
    units = perturbations.units
    end = units * steps
    place = units * first_step - 1 if first_step < steps else end
    perturbations.places[0] = end
    perturbations.window[:] = 0
    words = np.empty((4, _BATCH), np.uint32)
    gaps = np.empty(2 * _BATCH, np.int32)
    drawn, count = np.uint64(trial) << _TRIAL_SHIFT, 0
    while place < end:
        for i in range(_BATCH):
            words[0, i], words[1, i], words[2, i], words[3, i] = philox(key, NOISE, drawn + np.uint64(i))
        drawn += np.uint64(_BATCH)
        for half in range(2):
            for i in range(_BATCH):
                gaps[half * _BATCH + i] = np.int32(min(gap * log(unit(words[half, i])), _LONGEST_GAP))
                size = amplitude * (_TWO * unit(words[2 + half, i]) - _ONE)
                perturbations.sizes[count + half * _BATCH + i] = size
        for i in range(2 * _BATCH):
            place += np.int64(gaps[i]) + 1
            perturbations.places[count] = place
            count += 1


@inlined_kernel
def perturb(perturbations, step, noise):
    """Add this step's perturbations to `noise` (>= N,)."""
    origin = step * perturbations.units
    last = perturbations.window[1]
    perturbations.window[0] = last
    while perturbations.places[last] < origin + perturbations.units:
        noise[perturbations.places[last] - origin] += perturbations.sizes[last]
        last += 1
    perturbations.window[1] = last


@inlined_kernel
def spend(perturbations, step, noise):
    """Let `noise` be 0 again where this step's perturbations stand."""
    origin = step * perturbations.units
    for event in range(perturbations.window[0], perturbations.window[1]):
        noise[perturbations.places[event] - origin] = _ZERO
