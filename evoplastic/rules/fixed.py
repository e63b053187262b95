"""No plasticity: weights stay innate, nothing is perturbed. A fixed-weight net can learn only through its activity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import pack
from evoplastic.rules.contract import Account, Around, RuleSettings


class FixedSettings(RuleSettings, frozen=True, kw_only=True, tag="fixed"):
    """The absence of a rule, in a run file."""

    modulated: ClassVar[bool] = False
    account: ClassVar[Account] = Account("P = 0", "P = 0", {"P": "the plastic weight"})

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> Fixed:
        """Return the packed rule."""
        return pack(Fixed(0.0))


class Fixed(NamedTuple):
    eta: float  # 0

    def newborn(rule, network, steps):
        return rule

    def begin_exploring(rule, state, key, trial, age, steps):
        pass

    def explore(rule, state, step, activity):
        pass

    def accumulate(rule, state, step, activity):
        pass

    def continual(rule):
        return False

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        return False
