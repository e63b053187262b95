"""Reward-modulated learning from a unit's own fluctuations, cubed: no unit need know what perturbed it.

    xi   = amplitude * Uniform(-1, 1) with the given probability, else 0          added to the potential v
    dv   = v - vbar;  vbar <- vbar + mixing dv                                    every step; 0 at birth
    E    <- E + (x dv)^3                  every step after a trial's first ones, 0 when a trial begins; [pre, post]
    P    <- P + clip(eta m E, -clip, clip)                                        when the third factor m arrives

x is what the sending unit sent in the step before. Cubing lets the rare large fluctuations, the perturbations' effects,
outweigh the many small ones of ordinary activity. Nothing is written in the first `burn_in` trials; nothing is
perturbed in a trial's first steps and in the last `quiet_trials`. The defaults are the published program's, for steps
of 1 ms and tau 30 ms: a perturbation of 16 of the input moves the potential by 16 / 30; m is
-baseline * (loss - baseline).
Source: Miconi 2017, eLife 6:e20899.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel, pack
from evoplastic.numbers import flush
from evoplastic.rules.contract import Account, Around, Grain, channel_number
from evoplastic.rules.exploration import Perturbations, draw, gap_scale, perturb, spend, unperturbed
from evoplastic.rules.tables import GatedSettings, Positive, Trials, factor, table

_ZERO = np.float32(0.0)
_NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class FluctuationSettings(GatedSettings, frozen=True, kw_only=True, tag="fluctuation"):
    """The rule of a run file; defaults are the published values."""

    evolvable: ClassVar[Mapping[str, Grain]] = {"eta": "synapse"}
    account: ClassVar[Account] = Account(
        "P <- P + clip(eta m E, -clip, clip);  E <- E + (x (v - vbar))^3;  vbar <- vbar + mixing (v - vbar)",
        r"P \leftarrow P + \mathrm{clip}(\eta\, m\, E), \qquad E \leftarrow E + \bigl(x\, (v - \bar v)\bigr)^3, \qquad "
        r"\bar v \leftarrow \bar v + k\, (v - \bar v)",
        {
            "P": "the plastic weight",
            "E": "the trace of a trial, 0 when it begins",
            "m": "the third factor",
            "x": "what the sending unit sent a step before",
            "v": "the receiving unit's potential, perturbed",
            "vbar": "its running mean",
            "mixing": "how much of a step's v goes into vbar, k",
        },
        ("trace", "means"),
        ("Miconi 2017, eLife 6:e20899",),
    )

    eta: float = 0.1
    clip: Positive = 3e-4  # largest change of a synapse at a time
    mixing: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.95
    untraced_ms: _NotNegative = 3.0  # at the start of each trial
    probability: Annotated[float, msgspec.Meta(ge=1e-6, le=1)] = 0.003
    amplitude: _NotNegative = 16.0 / 30.0
    unperturbed_ms: _NotNegative = 4.0  # at the start of each trial
    burn_in_trials: Trials = 101  # nothing is learned before
    quiet_trials: Trials = 0  # unperturbed, at the end of life

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> Fluctuation:
        """Return the packed rule, see `RuleSettings.build`."""
        return pack(
            Fluctuation(
                eta=table(self, "eta", values, around.units),
                clip=self.clip,
                mixing=self.mixing,
                first_traced=round(self.untraced_ms / around.dt_ms),
                amplitude=self.amplitude,
                gap=gap_scale(self.probability),
                first_step=round(self.unperturbed_ms / around.dt_ms),
                burn_in=self.burn_in_trials,
                quiet_from=around.trials - self.quiet_trials,
                channel=channel_number(self.channel, around.channels),
            )
        )

    def marks(self, trials: int) -> dict[int, str]:
        return {self.burn_in_trials: "plasticity starts", trials - self.quiet_trials: "noise off"}


class Fluctuations(NamedTuple):
    trace: NDArray  # (N, W) [pre, post]
    means: NDArray  # (W,) vbar
    cubes: NDArray  # (2, W) scratch: x^3, dv^3
    perturbations: Perturbations


class Fluctuation(NamedTuple):
    eta: NDArray  # (1 or N, W), padded by 0
    clip: float  # largest change of a synapse at a time
    mixing: float  # per step
    first_traced: int  # first step of a trial that goes into the trace
    amplitude: float
    gap: float  # see `gap_scale`
    first_step: int  # first perturbed step of a trial
    burn_in: int  # trials
    quiet_from: int  # age at which perturbing stops
    channel: int  # of the third factor

    def newborn(rule, network, steps):
        units, width = network.innate.shape
        return Fluctuations(
            np.zeros((units, width), np.float32),
            np.zeros(width, np.float32),
            np.zeros((2, width), np.float32),
            unperturbed(units, steps),
        )

    def begin_exploring(rule, state, key, trial, age, steps):
        state.trace[:] = _ZERO
        first_step = rule.first_step if age < rule.quiet_from else steps
        draw(state.perturbations, key, trial, first_step, steps, rule.gap, rule.amplitude)

    def explore(rule, state, step, activity):
        perturb(state.perturbations, step, activity.noise)

    def accumulate(rule, state, step, activity):
        spend(state.perturbations, step, activity.noise)
        fluctuate(rule.mixing, state, activity)
        if step >= rule.first_traced:
            remember(state)

    def continual(rule):
        return False

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        m = factor(rule, age, modulators)
        if m == _ZERO:
            return False
        learn(rule, m, state.trace, plastic)
        return True


@kernel
def fluctuate(mixing, state, activity):
    """dv = v - vbar;  vbar <- vbar + mixing dv; leave x^3 and dv^3."""
    sent, moved = state.cubes[0], state.cubes[1]
    for unit in range(moved.shape[0]):
        x, dv = activity.before[unit], activity.potential[unit] - state.means[unit]
        state.means[unit] = flush(state.means[unit] + mixing * dv)
        sent[unit] = flush(x * x * x)
        moved[unit] = flush(dv * dv * dv)


@kernel
def remember(state):
    """E <- E + x^3 dv^3; a silent sending unit is passed over."""
    sent, moved = state.cubes[0], state.cubes[1]
    for pre in range(state.trace.shape[0]):
        cube, row = sent[pre], state.trace[pre]
        if cube != _ZERO:
            for post in range(row.shape[0]):
                row[post] += cube * moved[post]


@kernel
def learn(rule, m, trace, plastic):
    """P <- P + clip(eta m E, -clip, clip)."""
    for pre in range(plastic.shape[0]):
        row, eta = plastic[pre], rule.eta[min(pre, rule.eta.shape[0] - 1)]
        for post in range(row.shape[0]):
            change = eta[post] * m * trace[pre, post]
            row[post] = flush(row[post] + min(max(change, -rule.clip), rule.clip))
