"""Homeostatic scaling: a unit's incoming weights grow together while it is less active than its target, and shrink
together while it is more.

    w    = innate + gain P                                                        [pre, post]
    P    <- clip(P + eta (target - ybar) gain w, -bound, bound)
    ybar <- ybar + (dt / mean_tau) (y - ybar)              each receiving unit, every step; the target at birth

With a gain of 1 this is dw = eta (target - ybar) w: every weight keeps its share of the unit's input. Other gains scale
in the measure of their square, negative ones too, and a gain of 0 not at all. Negative weights are scaled as positive
ones are: a unit that is too active loses excitation and inhibition alike. So the rule brings a unit to its target that
is driven, on the whole, by excitation; where inhibition outweighs it, stronger weights silence the unit further, up to
the bound. No third factor takes part. Source: Turrigiano, Leslie, Desai, Rutherford, Nelson 1998; Turrigiano 2008.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel, pack
from evoplastic.numbers import flush
from evoplastic.rules.contract import Account, Around, Grain, RuleSettings
from evoplastic.rules.tables import Fraction, Milliseconds, Positive, bounded, mixing, table


class HomeostaticSettings(RuleSettings, frozen=True, kw_only=True, tag="homeostatic"):
    """Homeostatic scaling in a run file."""

    modulated: ClassVar[bool] = False
    evolvable: ClassVar[Mapping[str, Grain]] = {"eta": "neuron", "target": "neuron", "mean_tau_ms": "neuron"}
    account: ClassVar[Account] = Account(
        "P <- clip(P + eta (target - ybar) gain (innate + gain P));  ybar <- ybar + (dt / mean_tau) (y - ybar)",
        r"P \leftarrow \mathrm{clip}(P + \eta\, (y^* - \bar y)\, g\, (w_0 + g P)), \qquad "
        r"\bar y \leftarrow \bar y + \frac{\Delta t}{\tau_{\bar y}} (y - \bar y)",
        {
            "P": "the plastic weight",
            "innate": "the innate weight, w_0",
            "gain": "the gain of the plastic weight, g",
            "y": "what the receiving unit sends",
            "ybar": "its running mean",
            "target": "what the running mean is brought to, y^*",
        },
        ("means",),
        ("Turrigiano, Leslie, Desai, Rutherford, Nelson 1998", "Turrigiano 2008"),
    )

    eta: Fraction = 0.01
    target: float = 0.1
    mean_tau_ms: Milliseconds = 1000.0
    bound: Positive = 100.0  # plastic weights stay between -bound and bound

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> Homeostatic:
        """Return the packed rule, see `RuleSettings.build`."""
        return pack(
            Homeostatic(
                eta=table(self, "eta", values, around.units)[0],
                target=table(self, "target", values, around.units)[0],
                following=mixing(self, "mean_tau_ms", values, around),
                bound=self.bound,
            )
        )


class Means(NamedTuple):
    means: NDArray  # (W,) ybar
    pull: NDArray  # (W,) scratch: eta (target - ybar)


class Homeostatic(NamedTuple):
    eta: NDArray  # (W,), padded by 0
    target: NDArray  # (W,)
    following: NDArray  # (W,) dt / mean_tau
    bound: float

    def newborn(rule, network, steps):
        return Means(rule.target.copy(), np.zeros_like(rule.target))

    def begin_exploring(rule, state, key, trial, age, steps):
        pass

    def explore(rule, state, step, activity):
        pass

    def accumulate(rule, state, step, activity):
        follow(rule.following, state.means, activity.rates)

    def continual(rule):
        return True

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        scale(rule, state, network, plastic)
        return True


@kernel
def follow(following, means, rates):
    """ybar <- ybar + (dt / mean_tau) (y - ybar)."""
    for post in range(means.shape[0]):
        means[post] = flush(means[post] + following[post] * (rates[post] - means[post]))


@kernel
def scale(rule, state, network, plastic):
    """P <- clip(P + eta (target - ybar) gain (innate + gain P))."""
    pull = state.pull
    for post in range(pull.shape[0]):
        pull[post] = rule.eta[post] * (rule.target[post] - state.means[post])
    for pre in range(plastic.shape[0]):
        row, innate, gain = plastic[pre], network.innate[pre], network.gain[pre]
        for post in range(row.shape[0]):
            weight = innate[post] + gain[post] * row[post]
            row[post] = bounded(row[post] + pull[post] * gain[post] * weight, rule.bound)
