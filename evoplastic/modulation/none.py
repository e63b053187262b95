"""No third factor: m = 1 whenever a rule may write, whatever happened. What a two-factor rule runs under.

That is at feedback, or at every step for a rule, or beside another third factor, that acts then; with
`acts = "feedback"` m is 0 at all steps but those at which feedback starts.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from evoplastic.jit import pack
from evoplastic.modulation.contract import ModulationSettings

_ZERO = np.float32(0.0)


class UnmodulatedSettings(ModulationSettings, frozen=True, kw_only=True, tag="none"):
    """No modulation, in a run file."""

    acts: Literal["always", "feedback"] = "always"

    def build(self, places: dict[str, range]) -> Unmodulated:
        """Return the packed modulation."""
        return pack(Unmodulated(int(self.acts == "feedback"), 1.0))

    def told(self, fed: str, kinds: str) -> str:
        """Return what the rule learns, in a sentence, of a task that feeds back `fed` and whose types tell `kinds`."""
        when = " but when feedback starts" if self.acts == "feedback" else ""
        return f"The rule is told nothing{when}; the network's feedback units are told {fed}."


class Unmodulated(NamedTuple):
    gated: int  # 1: m is 0 where no feedback starts
    strength: float  # 1; 0 cuts the modulation

    def channels(modulation):
        return 1

    def every_step(modulation):
        return False

    def memory(modulation, kinds):
        return np.zeros(1, np.float32)

    def modulate(modulation, memory, outcome, fed, rates, modulators):
        modulators[0] = modulation.strength if fed or modulation.gated == 0 else _ZERO
        return _ZERO
