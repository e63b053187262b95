"""Short-term plasticity: a unit's synapses tire as it sends, and are primed by it, for some hundred milliseconds.

    du/dt = (U - u) / tau_f + U (1 - u) s          primed: release u rises from U, facilitation
    dr/dt = (1 - r) / tau_d - u r s                tired: resources r fall from 1, depression
    s     = peak_hz / 1000 max(x, 0)               spikes per ms of a sending unit, x what it sent in the step before
    P     <- P + innate (f - f_before),  f = u r / U

Every sending unit has one u and r for all its synapses; U, tau_f and tau_d may differ between sending units. A step
of dt is implicit, so that any dt keeps u and r in (0, 1] and rests where the equations do: u <- (u + dt (U / tau_f +
U s)) / (1 + dt (1 / tau_f + U s)), then r <- (r + dt / tau_d) / (1 + dt (1 / tau_d + u s)). Alone and with a gain of 1
the effective weight is innate u r / U; a gain g leaves 1 - g of it constant, and where the innate weight is 0 nothing
happens. Written as a difference, so that another rule's part of P stays. No third factor takes part.
Source: Tsodyks, Pawelzik, Markram 1998; for working memory Mongillo, Barak, Tsodyks 2008.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel, pack
from evoplastic.numbers import flush
from evoplastic.rules.contract import Account, Around, Grain, RuleSettings
from evoplastic.rules.tables import Milliseconds, table

LEAST_RELEASE = 1e-3
_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)


class ShortTermSettings(RuleSettings, frozen=True, kw_only=True, tag="short_term"):
    """Short-term plasticity in a run file; the defaults facilitate, as in Mongillo et al."""

    modulated: ClassVar[bool] = False
    evolvable: ClassVar[Mapping[str, Grain]] = {
        "release": "neuron",
        "facilitation_tau_ms": "neuron",
        "depression_tau_ms": "neuron",
    }
    account: ClassVar[Account] = Account(
        "P = innate (u r / U - 1);  du/dt = (U - u) / tau_f + U (1 - u) s;  dr/dt = (1 - r) / tau_d - u r s",
        r"P = w_0 \Bigl(\frac{u r}{U} - 1\Bigr), \qquad \dot u = \frac{U - u}{\tau_f} + U (1 - u) s, \qquad "
        r"\dot r = \frac{1 - r}{\tau_d} - u\, r\, s",
        {
            "P": "the plastic weight",
            "innate": "the innate weight, w_0",
            "u": "release of the sending unit",
            "r": "resources of the sending unit",
            "s": "its spikes per ms: peak_hz / 1000 times its rate, 0 for a negative rate",
            "U": "`release`: u at rest",
            "tau_f": "`facilitation_tau_ms`",
            "tau_d": "`depression_tau_ms`",
        },
        ("release", "resources"),
        ("Tsodyks, Pawelzik, Markram 1998", "Mongillo, Barak, Tsodyks 2008"),
    )

    release: Annotated[float, msgspec.Meta(ge=LEAST_RELEASE, le=1)] = 0.2  # U
    facilitation_tau_ms: Milliseconds = 1500.0
    depression_tau_ms: Milliseconds = 200.0
    peak_hz: Annotated[float, msgspec.Meta(ge=0)] = 50.0  # what a rate of 1 stands for

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> ShortTerm:
        """Return the packed rule, see `RuleSettings.build`; (1, N) values are those of sending units."""
        names = ("release", "facilitation_tau_ms", "depression_tau_ms")
        release, *taus = (table(self, name, values, around.units)[0] for name in names)
        slow = [around.dt_ms / np.maximum(tau, around.dt_ms * 1e-3) for tau in taus]
        return pack(
            ShortTerm(
                release=np.clip(release, LEAST_RELEASE, 1.0),
                back=np.stack(slow),
                spikes=self.peak_hz / 1000.0 * around.dt_ms,
            )
        )


class Synapses(NamedTuple):
    release: NDArray  # (W,) u of each sending unit
    resources: NDArray  # (W,) r
    told: NDArray  # (W,) the f that P has been told of


class ShortTerm(NamedTuple):
    release: NDArray  # (W,) U of each sending unit
    back: NDArray  # (2, W): dt / tau_f and dt / tau_d
    spikes: float  # of a step at a rate of 1

    def newborn(rule, network, steps):
        return Synapses(rule.release.copy(), np.ones_like(rule.release), np.ones_like(rule.release))

    def begin_exploring(rule, state, key, trial, age, steps):
        pass

    def explore(rule, state, step, activity):
        pass

    def accumulate(rule, state, step, activity):
        tire(rule, state, activity.before)

    def continual(rule):
        return True

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        return tell(rule, state, network.innate, plastic)


@kernel
def tire(rule, state, before):
    """Let u and r move one implicit step under what each unit sent."""
    for pre in range(before.shape[0]):
        least, spikes = rule.release[pre], rule.spikes * max(before[pre], _ZERO)
        to_rest, to_full = rule.back[0, pre], rule.back[1, pre]
        u = (state.release[pre] + least * (to_rest + spikes)) / (_ONE + to_rest + least * spikes)
        state.release[pre] = u
        state.resources[pre] = (state.resources[pre] + to_full) / (_ONE + to_full + u * spikes)


@kernel
def tell(rule, state, innate, plastic):
    """P <- P + innate (f - f_before); return whether any f changed. A unit whose f rests costs nothing."""
    wrote = False
    for pre in range(plastic.shape[0]):
        strength = state.release[pre] * state.resources[pre] / rule.release[pre]
        change = strength - state.told[pre]
        if change != _ZERO:
            row, born = plastic[pre], innate[pre]
            for post in range(row.shape[0]):
                row[post] = flush(row[post] + born[post] * change)
            state.told[pre] = strength
            wrote = True
    return wrote
