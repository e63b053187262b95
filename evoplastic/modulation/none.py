"""No third factor: m = 1 at every feedback, whatever happened. What a two-factor rule runs under."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from evoplastic.jit import pack


class UnmodulatedSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="none"
):
    """No modulation, in a run file."""

    def build(self, places: dict[str, range]) -> Unmodulated:
        """Return the packed modulation."""
        return pack(Unmodulated(1.0))

    def told(self, fed: str, kinds: str) -> str:
        """Return what the rule learns, in a sentence, of a task that feeds back `fed` and whose types tell `kinds`."""
        return f"The rule is told nothing; the network's feedback units are told {fed}."


class Unmodulated(NamedTuple):
    strength: float  # 1; 0 cuts the modulation

    def every_step(modulation):
        return False

    def memory(modulation, kinds):
        return np.zeros(1, np.float32)

    def modulate(modulation, memory, outcome, rates, modulators):
        modulators[0] = modulation.strength
        return np.float32(0.0)
