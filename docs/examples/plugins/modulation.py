"""A third factor that tells success from failure, and nothing of how much: m = +1 where the loss fell, else -1."""

from typing import NamedTuple

import numpy as np

from evoplastic.jit import pack
from evoplastic.modulation.contract import ModulationSettings


class BetterSettings(ModulationSettings, frozen=True, kw_only=True, tag="better"):
    """Better or worse than the trial before."""

    def build(self, places) -> "Better":
        return pack(Better(strength=1.0))

    def told(self, fed, kinds):
        return f"The rule is told {fed}, as better or worse than in the trial before."


class Better(NamedTuple):
    strength: float  # 1; 0 cuts the modulation

    def channels(modulation):
        return 1

    def every_step(modulation):
        return False

    def memory(modulation, kinds):
        return np.zeros(1, np.float32)

    def modulate(modulation, memory, outcome, fed, rates, modulators):
        modulators[0] = np.float32(0.0)
        if fed:
            modulators[0] = modulation.strength if outcome.loss < memory[0] else -modulation.strength
            memory[0] = outcome.loss
        return np.float32(0.0)


MODULATIONS = {"better": BetterSettings}
