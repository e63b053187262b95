"""No plasticity: weights stay innate, nothing is perturbed. A fixed-weight net can learn only through its activity."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import msgspec

from evoplastic.jit import pack


class FixedSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="fixed"
):
    """The absence of a rule, in a run file."""

    modulated: ClassVar[bool] = False

    def build(self, dt_ms: float, trials: int) -> Fixed:
        """Return the packed rule."""
        return pack(Fixed(0.0))

    def marks(self, trials: int) -> dict[int, str]:
        """Return the ages at which something changes: none."""
        return {}


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

    def consolidate(rule, state, age, plastic, modulators):
        return False
