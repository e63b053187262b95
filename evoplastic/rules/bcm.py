"""BCM: what a unit sends above a sliding threshold strengthens its active inputs, below it weakens them.

    theta <- theta + (dt / theta_tau) (y^2 - theta)        each receiving unit, every step; 0 at birth
    P     <- clip(P + eta m x y (y - theta), -bound, bound)                       [pre, post]

x is what the sending unit sent in the step before, y what the receiving unit sends now, m the third factor (1 without
modulation). The threshold rises with the square of y, faster than y, which keeps weights finite; it must follow faster
than weights grow. Of inputs that come by turns a unit ends up answering one, with y = 1 / (share of time that this one
has) where its range allows. Source: Bienenstock, Cooper, Munro 1982; the squared threshold of Intrator and Cooper 1992.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel, pack
from evoplastic.numbers import flush
from evoplastic.rules.contract import Account, Around, Grain, channel_number
from evoplastic.rules.tables import GatedSettings, Milliseconds, Positive, bounded, factor, mixing, table

_ZERO = np.float32(0.0)


class BcmSettings(GatedSettings, frozen=True, kw_only=True, tag="bcm"):
    """BCM's rule in a run file."""

    evolvable: ClassVar[Mapping[str, Grain]] = {"eta": "synapse", "theta_tau_ms": "neuron"}
    account: ClassVar[Account] = Account(
        "P <- clip(P + eta m x y (y - theta));  theta <- theta + (dt / theta_tau) (y^2 - theta)",
        r"P \leftarrow \mathrm{clip}(P + \eta\, m\, x\, y\, (y - \theta)), \qquad "
        r"\theta \leftarrow \theta + \frac{\Delta t}{\tau_\theta} (y^2 - \theta)",
        {
            "P": "the plastic weight",
            "m": "the third factor",
            "x": "what the sending unit sent a step before",
            "y": "what the receiving unit sends",
            "theta": "the receiving unit's threshold",
        },
        ("theta",),
        ("Bienenstock, Cooper, Munro 1982", "Intrator and Cooper 1992"),
    )

    eta: float = 0.01
    theta_tau_ms: Milliseconds = 1000.0
    bound: Positive = 100.0  # plastic weights stay between -bound and bound
    every_step: bool = True  # learns at every step, else at feedback

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> Bcm:
        """Return the packed rule, see `RuleSettings.build`."""
        return pack(
            Bcm(
                eta=table(self, "eta", values, around.units),
                following=mixing(self, "theta_tau_ms", values, around),
                bound=self.bound,
                burn_in=self.burn_in_trials,
                channel=channel_number(self.channel, around.channels),
                every_step=int(self.every_step),
            )
        )


class Thresholds(NamedTuple):
    theta: NDArray  # (W,)


class Bcm(NamedTuple):
    eta: NDArray  # (1 or N, W), padded by 0
    following: NDArray  # (W,) dt / theta_tau
    bound: float
    burn_in: int  # trials
    channel: int  # of the third factor
    every_step: int  # 1: may write at every step

    def newborn(rule, network, steps):
        return Thresholds(np.zeros(network.innate.shape[1], np.float32))

    def begin_exploring(rule, state, key, trial, age, steps):
        pass

    def explore(rule, state, step, activity):
        pass

    def accumulate(rule, state, step, activity):
        slide(rule.following, state.theta, activity.rates)

    def continual(rule):
        return rule.every_step != 0

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        m = factor(rule, age, modulators)
        if m == _ZERO:
            return False
        learn(rule, state.theta, m, activity, plastic)
        return True


@kernel
def slide(following, theta, rates):
    """theta <- theta + (dt / theta_tau) (y^2 - theta)."""
    for post in range(theta.shape[0]):
        theta[post] = flush(theta[post] + following[post] * (rates[post] * rates[post] - theta[post]))


@kernel
def learn(rule, theta, m, activity, plastic):
    """P <- clip(P + eta m x y (y - theta)); silent sending units are passed over."""
    rates = activity.rates
    for pre in range(plastic.shape[0]):
        sent = m * activity.before[pre]
        if sent != _ZERO:
            row, eta = plastic[pre], rule.eta[min(pre, rule.eta.shape[0] - 1)]
            for post in range(row.shape[0]):
                change = eta[post] * sent * rates[post] * (rates[post] - theta[post])
                row[post] = bounded(row[post] + change, rule.bound)
