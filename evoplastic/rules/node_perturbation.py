"""Node perturbation with a decaying eligibility trace and a third factor.

    xi_i  = amplitude * Uniform(-1, 1) with the given probability, else 0      added to the potential
    E    <- (1 - dt / trace_tau) (E + y_before xi'), every step                [pre, post]
            or, with trace = "trial",  E <- E + y_before xi',  0 when a trial begins
    P    <- P + clip(eta * m * E, -clip, +clip)                                when the third factor m arrives

Perturbed potentials followed by a better than expected outcome are made more likely in the same input. Nothing is
written in the first `burn_in` trials, and nothing is perturbed in the last `quiet_trials` or a trial's first steps.
Source: Miconi 2023, after Fiete and Seung 2006; the published m is -baseline * (loss - baseline). The trace of a trial
is that of Miconi 2017, eLife 6:e20899.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.jit import pack
from evoplastic.numbers import flush
from evoplastic.rules.contract import Account, Around, Grain, RuleSettings, channel_number
from evoplastic.rules.exploration import Perturbations, draw, gap_scale, perturb, spend, unperturbed
from evoplastic.vectors import transpose

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_SMALLEST_SCALE = np.float32(1e-3)


class NodePerturbationSettings(RuleSettings, frozen=True, kw_only=True, tag="node_perturbation"):
    """The rule of a run file; defaults are the published values under external modulation."""

    evolvable: ClassVar[Mapping[str, Grain]] = {"eta": "scalar"}
    account: ClassVar[Account] = Account(
        "P <- P + clip(eta m E, -clip, clip);  E <- (1 - dt / trace_tau) (E + x xi)",
        r"P \leftarrow P + \mathrm{clip}(\eta\, m\, E), \qquad "
        r"E \leftarrow \Bigl(1 - \frac{\Delta t}{\tau_E}\Bigr) (E + x\, \xi)",
        {
            "P": "the plastic weight",
            "E": "the trace of x xi",
            "m": "the third factor",
            "x": "what the sending unit sent a step before",
            "xi": "the perturbation of the receiving unit's potential",
        },
        ("trace",),
        ("Fiete and Seung 2006", "Miconi 2017, eLife 6:e20899", "Miconi 2023"),
    )

    channel: str = ""  # the third factor m; "": the first
    eta: Annotated[float, msgspec.Meta(ge=0)] = 0.03
    clip: Annotated[float, msgspec.Meta(gt=0)] = 0.01
    trace: Literal["running", "trial"] = "running"  # trial: of each trial alone, without decay
    trace_tau_ms: Annotated[float, msgspec.Meta(gt=0)] = 1000.0  # of a running trace
    probability: Annotated[float, msgspec.Meta(ge=1e-6, le=1)] = 0.1
    amplitude: Annotated[float, msgspec.Meta(ge=0)] = 0.5
    unperturbed_ms: Annotated[float, msgspec.Meta(ge=0)] = 40.0  # at the start of each trial
    burn_in_trials: Annotated[int, msgspec.Meta(ge=0)] = 31
    quiet_trials: Annotated[int, msgspec.Meta(ge=0)] = 19  # unperturbed, at the end of life

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> NodePerturbation:
        """Return the packed rule, see `RuleSettings.build`."""
        dt_ms = around.dt_ms
        running = self.trace == "running"
        if running and dt_ms >= self.trace_tau_ms:
            raise UserError(
                f"problem.rule.trace_tau_ms must be above problem.network.dt_ms = {dt_ms}, got {self.trace_tau_ms}"
            )
        return pack(
            NodePerturbation(
                eta=float(values["eta"][0, 0]) if "eta" in values else self.eta,
                clip=self.clip,
                decay=1.0 - dt_ms / self.trace_tau_ms if running else 1.0,
                amplitude=self.amplitude,
                gap=gap_scale(self.probability),
                first_step=round(self.unperturbed_ms / dt_ms),
                burn_in=self.burn_in_trials,
                quiet_from=around.trials - self.quiet_trials,
                running=int(running),
                channel=channel_number(self.channel, around.channels),
            )
        )

    def describe(self) -> Account:
        """Return the account with the trace that the settings name."""
        if self.trace == "running":
            return self.account
        return self.account._replace(
            equation="P <- P + clip(eta m E, -clip, clip);  E <- E + x xi, 0 when a trial begins",
            latex=r"P \leftarrow P + \mathrm{clip}(\eta\, m\, E), \qquad E \leftarrow E + x\, \xi",
        )

    def marks(self, trials: int) -> dict[int, str]:
        return {self.burn_in_trials: "plasticity starts", trials - self.quiet_trials: "noise off"}


class Traces(NamedTuple):
    trace: NDArray  # (W, W) [post, pre]: a perturbed unit touches one contiguous row; eligibility = scale * trace
    turned: NDArray  # (W, W) [pre, post], scratch
    scale: NDArray  # (1,) the decay since the trace was last renormalised
    perturbations: Perturbations


class NodePerturbation(NamedTuple):
    eta: float  # learning rate, per unit of m and E
    clip: float  # largest change of a synapse at a time
    decay: float  # per step
    amplitude: float
    gap: float  # see `gap_scale`
    first_step: int  # first perturbed step of a trial
    burn_in: int  # trials
    quiet_from: int  # age at which perturbing stops
    running: int  # 0: the trace is 0 when a trial begins
    channel: int  # of the third factor

    def newborn(rule, network, steps):
        units, width = network.innate.shape
        return Traces(
            np.zeros((width, width), np.float32),
            np.zeros((width, width), np.float32),
            np.ones(1, np.float32),
            unperturbed(units, steps),
        )

    def begin_exploring(rule, state, key, trial, age, steps):
        if rule.running == 0:
            state.trace[:] = _ZERO
        first_step = rule.first_step if age < rule.quiet_from else steps
        draw(state.perturbations, key, trial, first_step, steps, rule.gap, rule.amplitude)

    def explore(rule, state, step, activity):
        perturb(state.perturbations, step, activity.noise)

    def accumulate(rule, state, step, activity):
        events = state.perturbations
        origin = step * events.units
        for event in range(events.window[0], events.window[1]):
            row = state.trace[events.places[event] - origin]
            size = events.sizes[event] / state.scale[0]
            for pre in range(row.shape[0]):
                row[pre] += size * activity.before[pre]
        spend(events, step, activity.noise)
        state.scale[0] *= rule.decay
        if state.scale[0] < _SMALLEST_SCALE:
            for post in range(state.trace.shape[0]):
                for pre in range(state.trace.shape[1]):
                    state.trace[post, pre] = flush(state.scale[0] * state.trace[post, pre])
            state.scale[0] = _ONE

    def continual(rule):
        return False

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        factor = flush(rule.eta * modulators[rule.channel] * state.scale[0])
        if age < rule.burn_in or factor == _ZERO:
            return False
        transpose(state.trace, state.turned)
        for pre in range(plastic.shape[0]):
            for post in range(plastic.shape[1]):
                change = factor * state.turned[pre, post]
                plastic[pre, post] = flush(plastic[pre, post] + min(max(change, -rule.clip), rule.clip))
        return True
