"""Hebbian plasticity under a third factor that may come later: a trace remembers which pairs were active together.

    E <- (1 - k) E + k y_before y',  k = dt / trace_tau, every step          [pre, post]
    P <- clip(P + eta * m * E, -bound, +bound)                               when the third factor m arrives

A pair active at time s is written with the discounted sum of the third factors after s. Without modulation m is 1 and
the rule is plain Hebb. Source: retroactive neuromodulation of Miconi, Rawal, Clune, Stanley 2019 (Backpropamine,
arXiv 2002.10585), where m acts at every step on the trace before it is updated; here on the trace that holds the step.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.jit import pack
from evoplastic.numbers import flush

_ZERO = np.float32(0.0)


class HebbianSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="hebbian"
):
    """The rule of a run file."""

    modulated: ClassVar[bool] = True

    eta: Annotated[float, msgspec.Meta(ge=0)] = 0.1
    bound: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    trace_tau_ms: Annotated[float, msgspec.Meta(gt=0)] = 100.0
    burn_in_trials: Annotated[int, msgspec.Meta(ge=0)] = 0  # nothing is written before

    def build(self, dt_ms: float, trials: int) -> Hebbian:
        """Return the packed rule for steps of `dt_ms`."""
        if dt_ms > self.trace_tau_ms:
            raise UserError(
                f"problem.rule.trace_tau_ms must be at least problem.network.dt_ms = {dt_ms}, got {self.trace_tau_ms}"
            )
        return pack(Hebbian(self.eta, self.bound, dt_ms / self.trace_tau_ms, self.burn_in_trials))

    def marks(self, trials: int) -> dict[int, str]:
        """Return the ages, in a life of `trials` trials, at which something changes, each with its label."""
        return {self.burn_in_trials: "plasticity starts"} if self.burn_in_trials else {}


class Memory(NamedTuple):
    trace: NDArray  # (N, W) [pre, post]


class Hebbian(NamedTuple):
    eta: float
    bound: float
    mixing: float  # k
    burn_in: int  # trials

    def newborn(rule, network, steps):
        return Memory(np.zeros(network.innate.shape, np.float32))

    def begin_exploring(rule, state, key, trial, age, steps):
        pass

    def explore(rule, state, step, activity):
        pass

    def accumulate(rule, state, step, activity):
        for pre in range(state.trace.shape[0]):
            sent = rule.mixing * activity.before[pre]
            for post in range(state.trace.shape[1]):
                kept = state.trace[pre, post]
                state.trace[pre, post] = flush(kept - rule.mixing * kept + sent * activity.rates[post])

    def consolidate(rule, state, age, plastic, modulators):
        factor = flush(rule.eta * modulators[0])
        if age < rule.burn_in or factor == _ZERO:
            return False
        for pre in range(plastic.shape[0]):
            for post in range(plastic.shape[1]):
                written = plastic[pre, post] + factor * state.trace[pre, post]
                plastic[pre, post] = flush(min(max(written, -rule.bound), rule.bound))
        return True
