"""Sanger's rule, the generalised Hebbian algorithm: units learn the principal components of their input, in order.

    P_ij <- clip(P_ij + eta m y_j (x_i - sum over k <= j of y_k P_ik), -bound, bound)       i sends, j and k receive

x is what a unit sent in the step before, y what it sends now, m the third factor (1 without modulation). The order is
the units' number: `components` units from `first_unit` on take part, and no weight into another is written. Where y is
linear in its input, x' P, unit j ends up with the j-th principal component as its weights, of length 1. Units that a
task clamps come first in a network; they do not answer their input, so `first_unit` should leave them out.
Source: Sanger 1989.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.jit import kernel, pack
from evoplastic.rules.contract import Account, Around, Grain, channel_number
from evoplastic.rules.tables import GatedSettings, Positive, bounded, factor, table

_ZERO = np.float32(0.0)
_Count = Annotated[int, msgspec.Meta(ge=0)]


class SangerSettings(GatedSettings, frozen=True, kw_only=True, tag="sanger"):
    """Sanger's rule in a run file."""

    evolvable: ClassVar[Mapping[str, Grain]] = {"eta": "synapse"}
    account: ClassVar[Account] = Account(
        "P_ij <- clip(P_ij + eta m y_j (x_i - sum_{k <= j} y_k P_ik))",
        r"P_{ij} \leftarrow \mathrm{clip}\Bigl(P_{ij} + \eta\, m\, y_j "
        r"\bigl(x_i - \sum_{k \le j} y_k P_{ik}\bigr)\Bigr)",
        {
            "P_ij": "the plastic weight from unit i to unit j",
            "m": "the third factor",
            "x_i": "what sending unit i sent a step before",
            "y_j": "what receiving unit j sends",
            "k": "the units that take part, up to unit j",
        },
        (),
        ("Sanger 1989",),
    )

    eta: float = 0.01
    first_unit: _Count = 0  # the first unit that takes part
    components: _Count = 0  # how many do; 0: all from the first on
    bound: Positive = 100.0  # plastic weights stay between -bound and bound
    every_step: bool = True  # learns at every step, else at feedback

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> Sanger:
        """Return the packed rule, see `RuleSettings.build`; UserError for units that are not there."""
        last = self.first_unit + max(self.components, 1)
        if last > around.units:
            raise UserError(
                f"problem.rule.first_unit + components must be at most the {around.units} units of the network, "
                f"got {last}"
            )
        return pack(
            Sanger(
                eta=table(self, "eta", values, around.units),
                first=self.first_unit,
                last=last if self.components else around.units,
                bound=self.bound,
                burn_in=self.burn_in_trials,
                channel=channel_number(self.channel, around.channels),
                every_step=int(self.every_step),
            )
        )


class Residue(NamedTuple):
    left: NDArray  # (N,) scratch: of each input, what the units so far do not explain


class Sanger(NamedTuple):
    eta: NDArray  # (1 or N, W), padded by 0
    first: int  # units [first, last) take part
    last: int
    bound: float
    burn_in: int  # trials
    channel: int  # of the third factor
    every_step: int  # 1: may write at every step

    def newborn(rule, network, steps):
        return Residue(np.zeros(network.innate.shape[0], np.float32))

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
        learn(rule, state.left, m, activity, plastic)
        return True


@kernel
def learn(rule, left, m, activity, plastic):
    """P_ij <- clip(P_ij + eta m y_j (x_i - sum over k <= j of y_k P_ik)); a silent receiving unit changes nothing."""
    units, rows = plastic.shape[0], rule.eta.shape[0]
    for pre in range(units):
        left[pre] = activity.before[pre]
    for post in range(rule.first, rule.last):
        y = activity.rates[post]
        if y != _ZERO:
            for pre in range(units):
                kept = plastic[pre, post]
                left[pre] -= y * kept
                change = rule.eta[min(pre, rows - 1), post] * m * y * left[pre]
                plastic[pre, post] = bounded(kept + change, rule.bound)
