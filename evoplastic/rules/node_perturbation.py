"""Node perturbation with a decaying eligibility trace and a third factor.

    xi_i  = amplitude * Uniform(-1, 1) with the given probability, else 0      added to the potential
    E    <- (1 - dt / trace_tau) (E + y_before xi'), every step                [pre, post]
    P    <- P + clip(eta * m * E, -clip, +clip)                                when the third factor m arrives

Perturbed potentials followed by a better than expected outcome are made more likely in the same input. Nothing is
written in the first `burn_in` trials, and nothing is perturbed in the last `quiet_trials` or a trial's first steps.
Source: Miconi 2023, after Fiete and Seung 2006; the published m is -baseline * (loss - baseline).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.jit import pack
from evoplastic.numbers import flush
from evoplastic.polynomials import log
from evoplastic.random import NOISE, philox, unit
from evoplastic.vectors import transpose

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_TWO = np.float32(2.0)
_SMALLEST_SCALE = np.float32(1e-3)
_BATCH = 32  # Philox counters drawn at once, so that drawing vectorises
_LONGEST_GAP = np.float32(2.0**30)
_TRIAL_SHIFT = np.uint64(32)


class NodePerturbationSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="node_perturbation"
):
    """The rule of a run file; defaults are the published values under external modulation."""

    modulated: ClassVar[bool] = True

    eta: Annotated[float, msgspec.Meta(ge=0)] = 0.03
    clip: Annotated[float, msgspec.Meta(gt=0)] = 0.01
    trace_tau_ms: Annotated[float, msgspec.Meta(gt=0)] = 1000.0
    probability: Annotated[float, msgspec.Meta(ge=1e-6, le=1)] = 0.1
    amplitude: Annotated[float, msgspec.Meta(ge=0)] = 0.5
    unperturbed_ms: Annotated[float, msgspec.Meta(ge=0)] = 40.0  # at the start of each trial
    burn_in_trials: Annotated[int, msgspec.Meta(ge=0)] = 31
    quiet_trials: Annotated[int, msgspec.Meta(ge=0)] = 19  # unperturbed, at the end of life

    def build(self, dt_ms: float, trials: int) -> NodePerturbation:
        """Return the packed rule for lives of `trials` trials in steps of `dt_ms`."""
        if dt_ms >= self.trace_tau_ms:
            raise UserError(
                f"problem.rule.trace_tau_ms must be above problem.network.dt_ms = {dt_ms}, got {self.trace_tau_ms}"
            )
        with np.errstate(divide="ignore"):
            gap = 1.0 / np.log1p(-self.probability)
        return pack(
            NodePerturbation(
                eta=self.eta,
                clip=self.clip,
                decay=1.0 - dt_ms / self.trace_tau_ms,
                amplitude=self.amplitude,
                gap=gap,
                first_step=round(self.unperturbed_ms / dt_ms),
                burn_in=self.burn_in_trials,
                quiet_from=trials - self.quiet_trials,
            )
        )

    def marks(self, trials: int) -> dict[int, str]:
        """Return the ages, in a life of `trials` trials, at which something changes, each with its label."""
        return {self.burn_in_trials: "plasticity starts", trials - self.quiet_trials: "noise off"}


class Traces(NamedTuple):
    trace: NDArray  # (W, W) [post, pre]: a perturbed unit touches one contiguous row; eligibility = scale * trace
    turned: NDArray  # (W, W) [pre, post], scratch
    scale: NDArray  # (1,) the decay since the trace was last renormalised
    places: NDArray  # (events,) int64: step * N + unit of each perturbation of this trial, ascending
    sizes: NDArray  # (events,) float32
    window: NDArray  # (2,) int64: this step's perturbations are places[window[0]:window[1]]
    units: int  # N


class NodePerturbation(NamedTuple):
    eta: float  # learning rate, per unit of m and E
    clip: float  # largest change of a synapse at a time
    decay: float  # per step
    amplitude: float
    gap: float  # 1 / log(1 - probability): the number of units skipped is floor(gap * log(u))
    first_step: int  # first perturbed step of a trial
    burn_in: int  # trials
    quiet_from: int  # age at which perturbing stops

    def newborn(rule, network, steps):
        units, width = network.innate.shape
        events = steps * units + 2 * _BATCH
        return Traces(
            np.zeros((width, width), np.float32),
            np.zeros((width, width), np.float32),
            np.ones(1, np.float32),
            np.empty(events, np.int64),
            np.empty(events, np.float32),
            np.zeros(2, np.int64),
            units,
        )

    def begin_exploring(rule, state, key, trial, age, steps):
        """Draw the trial's perturbations: geometric gaps between perturbed (step, unit) places, in reading order."""
        units = state.units
        end = units * steps
        place = units * rule.first_step - 1
        if age >= rule.quiet_from:
            place = end
        state.places[0] = end
        state.window[:] = 0
        words = np.empty((4, _BATCH), np.uint32)
        gaps = np.empty(2 * _BATCH, np.int32)
        drawn, count = np.uint64(trial) << _TRIAL_SHIFT, 0
        while place < end:
            for i in range(_BATCH):
                words[0, i], words[1, i], words[2, i], words[3, i] = philox(key, NOISE, drawn + np.uint64(i))
            drawn += np.uint64(_BATCH)
            for half in range(2):
                for i in range(_BATCH):
                    gaps[half * _BATCH + i] = np.int32(min(rule.gap * log(unit(words[half, i])), _LONGEST_GAP))
                    size = rule.amplitude * (_TWO * unit(words[2 + half, i]) - _ONE)
                    state.sizes[count + half * _BATCH + i] = size
            for i in range(2 * _BATCH):
                place += np.int64(gaps[i]) + 1
                state.places[count] = place
                count += 1

    def explore(rule, state, step, activity):
        units = state.units
        origin = step * units
        last = state.window[1]
        state.window[0] = last
        while state.places[last] < origin + units:
            activity.noise[state.places[last] - origin] = state.sizes[last]
            last += 1
        state.window[1] = last

    def accumulate(rule, state, step, activity):
        origin = step * state.units
        for event in range(state.window[0], state.window[1]):
            perturbed = state.places[event] - origin
            activity.noise[perturbed] = _ZERO  # spent
            row = state.trace[perturbed]
            size = state.sizes[event] / state.scale[0]
            for pre in range(row.shape[0]):
                row[pre] += size * activity.before[pre]
        state.scale[0] *= rule.decay
        if state.scale[0] < _SMALLEST_SCALE:
            for post in range(state.trace.shape[0]):
                for pre in range(state.trace.shape[1]):
                    state.trace[post, pre] = flush(state.scale[0] * state.trace[post, pre])
            state.scale[0] = _ONE

    def consolidate(rule, state, age, plastic, modulators):
        factor = flush(rule.eta * modulators[0] * state.scale[0])
        if age < rule.burn_in or factor == _ZERO:
            return False
        transpose(state.trace, state.turned)
        for pre in range(plastic.shape[0]):
            for post in range(plastic.shape[1]):
                change = factor * state.turned[pre, post]
                plastic[pre, post] = flush(plastic[pre, post] + min(max(change, -rule.clip), rule.clip))
        return True
