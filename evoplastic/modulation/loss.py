"""External third factor: how much better the loss was than a running baseline.

    m    = -L_k * (L - L_k)                    the factor L_k makes a good learner learn less
    L_k <- (1 - rate) L_k + rate * L           after m; starts at 0

k is the trial type (the published program keeps a baseline for each, so the rule is told which stimuli were shown)
or always 0 (a single baseline: privileged information removed). Source: Miconi 2017 (eLife) and 2023.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np

from evoplastic.jit import pack
from evoplastic.modulation.contract import ModulationSettings
from evoplastic.numbers import flush

_ZERO = np.float32(0.0)


class LossSettings(ModulationSettings, frozen=True, kw_only=True, tag="loss"):
    """External modulation of a run file; the default is the published one."""

    baseline: Literal["per_type", "single"] = "per_type"
    rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1

    def build(self, places: dict[str, range]) -> Loss:
        """Return the packed modulation."""
        return pack(Loss(self.rate, int(self.baseline == "per_type"), 1.0))

    def told(self, fed: str, kinds: str) -> str:
        """Return what the rule learns, in a sentence, of a task that feeds back `fed` and whose types tell `kinds`."""
        if self.baseline == "per_type":
            return f"The rule is told {fed}, with a baseline per trial type: it knows {kinds}."
        return f"The rule is told {fed}, with one baseline for all trials."


class Loss(NamedTuple):
    rate: float  # of the baseline
    per_kind: int  # 1: a baseline per trial type, 0: one for all
    strength: float  # 1; 0 cuts the modulation

    def channels(modulation):
        return 1

    def every_step(modulation):
        return False

    def memory(modulation, kinds):
        return np.zeros(kinds, np.float32)

    def modulate(modulation, memory, outcome, fed, rates, modulators):
        if not fed:
            modulators[0] = _ZERO
            return _ZERO
        kind = outcome.kind * modulation.per_kind
        baseline = memory[kind]
        modulators[0] = flush(-modulation.strength * baseline * (outcome.loss - baseline))
        memory[kind] = flush(baseline + modulation.rate * (outcome.loss - baseline))
        return _ZERO
