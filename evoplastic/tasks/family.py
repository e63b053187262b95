"""What every task family of a run file answers alike, unless it says otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from evoplastic.tasks.contract import Levels


class LevelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Outputs that clamped units are held at."""

    stimulus: float = 3.0
    feedback: float = 3.0
    echo: float = 3.0
    bias: float = 1.0

    def build(self) -> Levels:
        """Return the levels as kernels take them."""
        return Levels(self.stimulus, self.feedback, self.echo, self.bias)


class Family(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Tasks of one type."""

    @property
    def validation(self) -> tuple[str, ...]:
        """Tasks kept out of evolution by which settings may be chosen."""
        return ()

    @property
    def random_sample(self) -> bool:
        """Whether the tasks are a random sample of many."""
        return False

    @property
    def references(self) -> Mapping[str, Mapping[str, float]]:
        """What others are known to score: label -> task -> metric."""
        return {}

    @property
    def signed(self) -> bool:
        """Whether it is answered by the sign of a response unit, so that these must be tanh units."""
        return False

    @property
    def kinds_told(self) -> str:
        """What it knows who is told the type of each trial."""
        return "which stimuli were shown"

    def together(self, names: Sequence[str], share: float) -> list[str]:
        """Return those of `names` that may stand in one life, chosen by `share`, drawn evenly from [0, 1]."""
        return list(names)

    def beside(self, names: Sequence[str], tested: str) -> list[str]:
        """Return those of `names` that may stand in a life before the tested task."""
        return list(names)

    def sequence(self, drawn: Sequence[str]) -> list[str]:
        """Return the tasks of a life in which these were drawn; the last stays the last."""
        return list(drawn)

    def measured(self, name: str, metric: Any) -> Any:
        """Return the metric of task `name` on the family's scale."""
        return metric
