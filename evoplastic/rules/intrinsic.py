"""Intrinsic plasticity: a bias of each unit brings what it sends to a target; no weight is written.

    b <- clip(b + eta (target - y), -bound, bound)         every step; 0 at birth
    b is added to the unit's potential at every step

Under a leak of dt / tau the potential then rests at input + b tau / dt. A unit whose rate a task holds at a level moves
its bias up to the bound, without effect on that rate; a response unit is held at 0 outside its window. No third factor
takes part. Source: Desai, Rutherford, Turrigiano 1999 for the finding; the rule of a bias by a target rate is the
simplest of the kind, see Triesch 2007 for one that shapes the whole distribution of rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel, pack
from evoplastic.rules.contract import Account, Around, Grain, RuleSettings
from evoplastic.rules.tables import Fraction, Positive, bounded, table

_ZERO = np.float32(0.0)


class IntrinsicSettings(RuleSettings, frozen=True, kw_only=True, tag="intrinsic"):
    """Intrinsic plasticity in a run file."""

    modulated: ClassVar[bool] = False
    evolvable: ClassVar[Mapping[str, Grain]] = {"eta": "neuron", "target": "neuron"}
    account: ClassVar[Account] = Account(
        "b <- clip(b + eta (target - y));  potential <- potential + b, every step",
        r"b \leftarrow \mathrm{clip}(b + \eta\, (y^* - y)), \qquad v \leftarrow v + b",
        {
            "b": "a unit's bias",
            "y": "what the unit sends",
            "target": "what y is brought to, y^*",
            "potential": "the unit's potential, v",
        },
        ("bias",),
        ("Desai, Rutherford, Turrigiano 1999", "Triesch 2007"),
    )

    eta: Fraction = 0.001
    target: float = 0.1
    bound: Positive = 1.0  # of the bias

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> Intrinsic:
        """Return the packed rule, see `RuleSettings.build`."""
        return pack(
            Intrinsic(
                eta=table(self, "eta", values, around.units)[0],
                target=table(self, "target", values, around.units)[0],
                bound=self.bound,
            )
        )


class Biases(NamedTuple):
    bias: NDArray  # (W,)


class Intrinsic(NamedTuple):
    eta: NDArray  # (W,), padded by 0
    target: NDArray  # (W,)
    bound: float

    def newborn(rule, network, steps):
        return Biases(np.zeros_like(rule.eta))

    def begin_exploring(rule, state, key, trial, age, steps):
        pass

    def explore(rule, state, step, activity):
        for post in range(state.bias.shape[0]):
            activity.noise[post] += state.bias[post]

    def accumulate(rule, state, step, activity):
        adapt(rule, state.bias, activity)

    def continual(rule):
        return False

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        return False


@kernel
def adapt(rule, bias, activity):
    """b <- clip(b + eta (target - y)); the bias of this step is spent."""
    for post in range(bias.shape[0]):
        activity.noise[post] = _ZERO
        bias[post] = bounded(bias[post] + rule.eta[post] * (rule.target[post] - activity.rates[post]), rule.bound)
