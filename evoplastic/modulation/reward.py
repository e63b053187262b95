"""External third factor: how much better the reward was than a running baseline.

    R    = 1 - L
    m    = R - R_k
    R_k <- (1 - rate) R_k + rate * R           after m; starts at 0

k is always 0 (a single baseline), or the trial type (a baseline for each, so the rule is told which stimuli were
shown: privileged information), or there is no baseline: m = R. Source: reinforcement comparison, Sutton 1984 and
Williams 1992.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np

from evoplastic.jit import pack
from evoplastic.modulation.contract import ModulationSettings
from evoplastic.numbers import flush

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)


class RewardSettings(ModulationSettings, frozen=True, kw_only=True, tag="reward"):
    """External modulation by reward, in a run file."""

    baseline: Literal["single", "per_type", "none"] = "single"
    rate: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.1

    def build(self, places: dict[str, range]) -> Reward:
        """Return the packed modulation."""
        return pack(Reward(0.0 if self.baseline == "none" else self.rate, int(self.baseline == "per_type"), 1.0))

    def told(self, fed: str, kinds: str) -> str:
        """Return what the rule learns, in a sentence, of a task that feeds back `fed` and whose types tell `kinds`."""
        over = {
            "single": "over one baseline for all trials",
            "per_type": f"over a baseline per trial type: it knows {kinds}",
            "none": "without a baseline",
        }
        return f"The rule is told {fed}, as reward {over[self.baseline]}."


class Reward(NamedTuple):
    rate: float  # of the baseline, which stays 0 at rate 0
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
        better = _ONE - outcome.loss - memory[kind]
        modulators[0] = flush(modulation.strength * better)
        memory[kind] = flush(memory[kind] + modulation.rate * better)
        return _ZERO
