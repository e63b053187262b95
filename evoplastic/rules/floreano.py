"""The four rules of Floreano and Urzelai on weights in [0, 1]; each unit or synapse has one of them, and a rate.

    P <- clip(P + eta m dP, 0, 1)                                                 [pre, post]

    0 plain         dP = (1 - P) x y
    1 postsynaptic  dP = P (x - 1) y + (1 - P) x y                              = x y - P y
    2 presynaptic   dP = P x (y - 1) + (1 - P) x y                              = x y - P x
    3 covariance    dP = (1 - P) F where F > 0, else P F,   F = tanh(4 (1 - |x - y|) - 2)

x is what the sending unit sent in the step before, y what the receiving unit sends now, m the third factor (1 without
modulation, as in the source). Rates of [0, 1] and eta in [0, 1] keep weights in [0, 1] by themselves; other rates are
clipped. The sign of a connection is its gain's. Floor of `choice` is the number of the rule, so that a genome may hold
it. Source: Floreano and Urzelai 2000, "Evolutionary robots with on-line self-organization and behavioral fitness".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import inlined_kernel, kernel, pack
from evoplastic.numbers import flush
from evoplastic.polynomials import tanh
from evoplastic.rules.contract import Account, Around, Grain, channel_number
from evoplastic.rules.tables import Fraction, GatedSettings, factor, table

CHOICES = ("plain", "postsynaptic", "presynaptic", "covariance")

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_TWO = np.float32(2.0)
_FOUR = np.float32(4.0)
_POSTSYNAPTIC = np.float32(1.0)
_PRESYNAPTIC = np.float32(2.0)
_COVARIANCE = np.float32(3.0)


class FloreanoSettings(GatedSettings, frozen=True, kw_only=True, tag="floreano"):
    """Floreano's four rules in a run file."""

    evolvable: ClassVar[Mapping[str, Grain]] = {"eta": "synapse", "choice": "synapse"}
    codes: ClassVar[tuple[str, ...]] = ("choice",)
    account: ClassVar[Account] = Account(
        "P <- clip(P + eta m dP, 0, 1);  dP by choice: 0: (1 - P) x y;  1: x y - P y;  2: x y - P x;  "
        "3: (1 - P) F if F > 0 else P F, F = tanh(4 (1 - |x - y|) - 2)",
        r"P \leftarrow \mathrm{clip}(P + \eta\, m\, \Delta P, 0, 1), \qquad \Delta P = \begin{cases}"
        r"(1 - P) x y & \text{plain} \\ x y - P y & \text{postsynaptic} \\ x y - P x & \text{presynaptic} \\"
        r"(1 - P)\, [F]_+ - P\, [-F]_+ & \text{covariance}, \; F = \tanh(4 (1 - |x - y|) - 2) \end{cases}",
        {
            "P": "the plastic weight",
            "m": "the third factor",
            "x": "what the sending unit sent a step before",
            "y": "what the receiving unit sends",
            "choice": "a number in [0, 4): its floor names the rule",
        },
        (),
        ("Floreano and Urzelai 2000",),
    )

    eta: Fraction = 0.1
    choice: Annotated[float, msgspec.Meta(ge=0, lt=4)] = (
        0.5  # of rule 0; between its ends, so that a genome may hold it
    )
    every_step: bool = True  # learns at every step, else at feedback

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> Floreano:
        """Return the packed rule, see `RuleSettings.build`."""
        choices = np.floor(table(self, "choice", values, around.units))
        return pack(
            Floreano(
                eta=table(self, "eta", values, around.units),
                choices=np.clip(choices, 0, len(CHOICES) - 1),
                burn_in=self.burn_in_trials,
                channel=channel_number(self.channel, around.channels),
                every_step=int(self.every_step),
            )
        )


class Floreano(NamedTuple):
    eta: NDArray  # (1 or N, W), padded by 0
    choices: NDArray  # (1 or N, W) float32: number of the rule
    burn_in: int  # trials
    channel: int  # of the third factor
    every_step: int  # 1: may write at every step

    def newborn(rule, network, steps):
        return rule

    def begin_exploring(rule, state, key, trial, age, steps):
        pass

    def explore(rule, state, step, activity):
        pass

    def accumulate(rule, state, step, activity):
        pass

    def continual(rule):
        return rule.every_step != 0

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        m = factor(rule, age, modulators)
        if m == _ZERO:
            return False
        learn(rule, m, activity, plastic)
        return True


@kernel
def learn(rule, m, activity, plastic):
    """P <- clip(P + eta m dP, 0, 1)."""
    for pre in range(plastic.shape[0]):
        row, sent = plastic[pre], activity.before[pre]
        eta = rule.eta[min(pre, rule.eta.shape[0] - 1)]
        choices = rule.choices[min(pre, rule.choices.shape[0] - 1)]
        for post in range(row.shape[0]):
            moved = row[post] + eta[post] * m * change(choices[post], sent, activity.rates[post], row[post])
            row[post] = flush(min(max(moved, _ZERO), _ONE))


@inlined_kernel
def change(choice, x, y, weight):
    """Return dP of the rule of this number."""
    if choice == _COVARIANCE:
        alike = tanh(_FOUR * (_ONE - abs(x - y)) - _TWO)
        return (_ONE - weight if alike > _ZERO else weight) * alike
    pulled = y if choice == _POSTSYNAPTIC else (x if choice == _PRESYNAPTIC else x * y)
    return x * y - weight * pulled
