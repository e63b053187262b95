"""Network-controlled third factor: modulatory units of the network itself, at every step.

    u = y_0 - y_1, or y_0 where one unit emits it
    m = u - U at steps at which the gate is open, else 0
    U <- (1 - baseline_rate) U + baseline_rate u        after m, while the gate is open; starts at 0
    cost of a step = smoothness * (u - u_before)^2

No outside algorithm decides what is written: the network must turn its feedback input into m. The cost keeps u from
chattering and enters fitness as its sum per trial. Source: Miconi 2023, arXiv versions 4 to 9. With one unit whose
time constant is a step, m = tanh(v h + b) of Backpropamine (Miconi, Rawal, Clune, Stanley 2019), which has no cost.

What an external third factor has beside it, baseline and silence, can be given: `baseline_rate` above 0, and a gate
that feedback opens for `gate_steps` steps, the one at which it starts among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np

from evoplastic.jit import pack
from evoplastic.modulation.contract import ModulationSettings, emitters
from evoplastic.numbers import flush

BEFORE, MEAN, OPEN = 0, 1, 2  # places in memory: u_before, U, steps for which the gate stays open

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)


class NetworkControlledSettings(ModulationSettings, frozen=True, kw_only=True, tag="network_controlled"):
    """Network-controlled modulation of a run file; the default is the published one."""

    units: Literal[1, 2] = 2
    smoothness: Annotated[float, msgspec.Meta(ge=0)] = 0.27
    gate_steps: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0  # from feedback's start on; 0: always open
    baseline_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0  # per step; 0: no baseline

    def takes(self) -> Mapping[str, int]:
        return {"modulator": self.units}

    def build(self, places: dict[str, range]) -> NetworkControlled:
        """Return the packed modulation for a network with these roles."""
        first = emitters("network-controlled modulation", places, "modulator", self.units).start
        return pack(
            NetworkControlled(first, self.units, self.smoothness, self.gate_steps, self.baseline_rate, strength=1.0)
        )

    def told(self, fed: str, kinds: str) -> str:
        """Return what the rule learns, in a sentence, of a task that feeds back `fed` and whose types tell `kinds`."""
        when = " but when feedback starts" if self.gate_steps else ""
        return f"The rule is told nothing from outside{when}; the network's feedback units are told {fed}."


class NetworkControlled(NamedTuple):
    unit: int  # the first of the modulatory units
    units: int  # 1 or 2
    smoothness: float
    gate_steps: int  # 0: the gate is always open
    baseline_rate: float
    strength: float  # 1; 0 cuts the modulation

    def channels(modulation):
        return 1

    def every_step(modulation):
        return True

    def memory(modulation, kinds):
        return np.zeros(3, np.float32)

    def modulate(modulation, memory, outcome, fed, rates, modulators):
        emitted = rates[modulation.unit]
        if modulation.units == 2:
            emitted -= rates[modulation.unit + 1]
        jump = emitted - memory[BEFORE]
        memory[BEFORE] = emitted
        if fed:
            memory[OPEN] = modulation.gate_steps
        modulators[0] = _ZERO
        if modulation.gate_steps == 0 or memory[OPEN] > _ZERO:
            better = emitted - memory[MEAN]
            memory[MEAN] = flush(memory[MEAN] + modulation.baseline_rate * better)
            memory[OPEN] = max(memory[OPEN] - _ONE, _ZERO)
            modulators[0] = modulation.strength * better
        return modulation.smoothness * jump * jump
