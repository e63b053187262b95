"""What rules with a state of their own have in common: tables of coefficients, and when they may write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.jit import inlined_kernel
from evoplastic.numbers import flush
from evoplastic.rules.contract import Around, RuleSettings
from evoplastic.vectors import LANES

Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Milliseconds = Annotated[float, msgspec.Meta(gt=0, le=1e5)]  # of a time constant: bounded, so that a genome's is
Trials = Annotated[int, msgspec.Meta(ge=0)]

_ZERO = np.float32(0.0)


class GatedSettings(RuleSettings, frozen=True, kw_only=True):
    """What a rule can be told that learns plastic weights under a third factor."""

    channel: str = ""  # the third factor that multiplies what is learned; "": the first
    burn_in_trials: Trials = 0  # nothing is learned before

    def marks(self, trials: int) -> dict[int, str]:
        return {self.burn_in_trials: "plasticity starts"} if self.burn_in_trials else {}


def table(rule: RuleSettings, name: str, values: Mapping[str, NDArray[np.float64]], units: int) -> NDArray[np.float64]:
    """Return a coefficient, (1, W) or, where it differs between synapses of a unit, (N, W); 0 where no unit is."""
    found = values.get(name, np.full((1, 1), rule.coefficient(name)))
    padded = np.zeros((found.shape[0], units + -units % LANES))
    padded[:, :units] = found
    return padded


def mixing(
    rule: RuleSettings, name: str, values: Mapping[str, NDArray[np.float64]], around: Around
) -> NDArray[np.float64]:
    """Return dt / tau of every unit (W,), 1 where a genome's tau is shorter than a step; `name` is tau's, in ms.

    UserError where the settings' tau is.
    """
    if around.dt_ms > rule.coefficient(name):
        raise UserError(
            f"problem.rule.{name} must be at least problem.network.dt_ms = {around.dt_ms}, got {rule.coefficient(name)}"
        )
    return around.dt_ms / np.maximum(table(rule, name, values, around.units)[0], around.dt_ms)


@inlined_kernel
def factor(rule, age, modulators):
    """Return the third factor that the rule listens to, 0 before its burn-in is over."""
    return _ZERO if age < rule.burn_in else modulators[rule.channel]


@inlined_kernel
def bounded(weight, bound):
    """Return a plastic weight clipped to [-bound, bound], what is nearly 0 as 0."""
    return flush(min(max(weight, -bound), bound))
