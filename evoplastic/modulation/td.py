"""Third factor by temporal differences: what came, and what is expected now, over what was expected before.

    R = 1 - L
    m = R + discount * V - V_before          at each feedback
    V_before <- V                            after m; starts at 0

V is the rate of the unit with role `value`: the network's own critic, whatever makes it predict reward. It is read when
feedback starts, before the network has seen R. Source: Sutton 1988; Schultz, Dayan and Montague 1997.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from evoplastic.jit import pack
from evoplastic.modulation.contract import ModulationSettings, emitters
from evoplastic.numbers import flush

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)


class TemporalDifferenceSettings(ModulationSettings, frozen=True, kw_only=True, tag="td"):
    """Modulation by temporal differences, in a run file."""

    discount: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.9  # from one feedback to the next

    def takes(self) -> Mapping[str, int]:
        return {"value": 1}

    def build(self, places: dict[str, range]) -> TemporalDifference:
        """Return the packed modulation for a network with these roles."""
        unit = emitters("modulation by temporal differences", places, "value", 1).start
        return pack(TemporalDifference(unit, self.discount, 1.0))

    def told(self, fed: str, kinds: str) -> str:
        """Return what the rule learns, in a sentence, of a task that feeds back `fed` and whose types tell `kinds`."""
        return f"The rule is told {fed}, as reward over what the network's value unit had expected."


class TemporalDifference(NamedTuple):
    unit: int  # whose rate is V
    discount: float
    strength: float  # 1; 0 cuts the modulation

    def channels(modulation):
        return 1

    def every_step(modulation):
        return False

    def memory(modulation, kinds):
        return np.zeros(1, np.float32)

    def modulate(modulation, memory, outcome, fed, rates, modulators):
        if not fed:
            modulators[0] = _ZERO
            return _ZERO
        value = rates[modulation.unit]
        error = _ONE - outcome.loss + modulation.discount * value - memory[0]
        memory[0] = value
        modulators[0] = flush(modulation.strength * error)
        return _ZERO
