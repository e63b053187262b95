"""Network-controlled third factor: two modulatory units of the network itself, at every step.

    m = y_0 - y_1,   cost of a step = smoothness * (m - m_before)^2

No outside algorithm decides what is written: the network must turn its feedback input into m. The cost keeps m from
chattering and enters fitness as its sum per trial. Source: Miconi 2023, arXiv versions 4 to 9.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from evoplastic.errors import UserError
from evoplastic.jit import pack


class NetworkControlledSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="network_controlled"
):
    """Network-controlled modulation of a run file; the default is the published cost."""

    smoothness: Annotated[float, msgspec.Meta(ge=0)] = 0.27

    def build(self, places: dict[str, range]) -> NetworkControlled:
        """Return the packed modulation for a network with these roles."""
        units = places["modulator"]
        if len(units) != 2:
            raise UserError(
                f"network-controlled modulation needs 2 modulator units, got {len(units)}; "
                "set problem.network.roles.modulator = 2"
            )
        return pack(NetworkControlled(units.start, self.smoothness, 1.0))

    def told(self, fed: str, kinds: str) -> str:
        """Return what the rule learns, in a sentence, of a task that feeds back `fed` and whose types tell `kinds`."""
        return f"The rule is told nothing from outside; the network's feedback units are told {fed}."


class NetworkControlled(NamedTuple):
    unit: int  # the first of the two modulatory units
    smoothness: float
    strength: float  # 1; 0 cuts the modulation

    def every_step(modulation):
        return True

    def memory(modulation, kinds):
        return np.zeros(1, np.float32)

    def modulate(modulation, memory, outcome, rates, modulators):
        m = rates[modulation.unit] - rates[modulation.unit + 1]
        jump = m - memory[0]
        memory[0] = m
        modulators[0] = modulation.strength * m
        return modulation.smoothness * jump * jump
