"""The pattern completion of a run file: how many patterns, how they are shown, how much is erased."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from evoplastic.errors import UserError
from evoplastic.jit import pack
from evoplastic.tasks.contract import Units
from evoplastic.tasks.family import LevelSettings
from evoplastic.tasks.patterns import PatternTask, Study
from evoplastic.tasks.single import SingleTask

Steps = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
Number = Annotated[int, msgspec.Meta(ge=1, le=1_000)]


class PatternSettings(SingleTask, frozen=True, kw_only=True, tag="patterns"):
    """Completing patterns; a trial is a study of new patterns and a test. Defaults are published, for 1000 bits."""

    bits: Annotated[int, msgspec.Meta(ge=2)] = 1000
    patterns: Number = 5
    cycles: Number = 2
    erased: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5  # share of the bits
    shown_steps: Steps = 6
    blank_steps: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 4
    test_steps: Steps = 6
    episodes: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1  # trials of a task, under the same plastic weights
    levels: LevelSettings = LevelSettings(stimulus=1.0, feedback=1.0, echo=1.0, bias=1.0)

    def resolve(self, scored: int = 1) -> PatternSettings:
        """Return the settings; UserError if they contradict each other."""
        if self.bits % 2:
            raise UserError(f"problem.task.bits must be even, since half of a pattern's bits are +1, got {self.bits}")
        if not self.count_erased:
            raise UserError(
                f"problem.task.erased must be at least one of {self.bits} bits, got a share of {self.erased}"
            )
        return self

    @property
    def count_erased(self) -> int:
        """Erased bits of the test."""
        return round(self.erased * self.bits)

    @property
    def name(self) -> str:
        return "completion"

    @property
    def trials(self) -> int:
        return self.episodes

    @property
    def told(self) -> str:
        return "nothing"

    @property
    def references(self) -> Mapping[str, Mapping[str, float]]:
        """What a network without plasticity can do: keep the last pattern active, and be lucky if it is asked for."""
        return {"the last pattern kept in mind": {self.name: 0.5 + 0.5 / self.patterns}}

    def build(self, names: Sequence[str], places: dict[str, range], dt_ms: float) -> PatternTask:
        """Return the packed task of a life."""
        hidden = places["hidden"]
        if len(hidden) < self.bits:
            raise UserError(
                f"problem.task needs a hidden unit for each of {self.bits} bits, got {len(hidden)}; "
                "set problem.network.units or problem.task.bits"
            )
        return pack(
            PatternTask(
                study=Study(self.patterns, self.cycles, self.shown_steps, self.blank_steps, self.test_steps),
                units=Units.of(places),
                levels=self.levels.build(),
                first=hidden.start,
                bits=self.bits,
                erased=self.count_erased,
                block_trials=self.trials,
                newborn_blocks=int(self.newborn_tasks),
                shuffled=0,
                reset_activity=int(self.reset_activity),
            )
        )
