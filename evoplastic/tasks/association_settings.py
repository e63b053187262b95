"""The one-shot associations of a run file: how many cues of how many bits, what is asked, how often answers reverse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from evoplastic.errors import UserError
from evoplastic.jit import pack
from evoplastic.tasks.association import AssociationTask
from evoplastic.tasks.contract import Units
from evoplastic.tasks.family import LevelSettings
from evoplastic.tasks.single import SingleTask


class AssociationSettings(SingleTask, frozen=True, kw_only=True, tag="association"):
    """Cues and their answers; a trial is a study of the cues and a test, and every further one a reversal."""

    bits: Annotated[int, msgspec.Meta(ge=1, le=30)] = 8
    cues: Annotated[int, msgspec.Meta(ge=2, le=1_000)] = 2
    asked: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 8  # presentations of a test
    reversals: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 0
    steps: Annotated[int, msgspec.Meta(ge=2, le=1_000)] = 3  # of a presentation; 3 reach a response by way of another
    levels: LevelSettings = LevelSettings(stimulus=1.0, feedback=1.0, echo=1.0, bias=1.0)

    def resolve(self, scored: int = 1) -> AssociationSettings:
        """Return the settings; UserError if they contradict each other."""
        if self.cues > 2**self.bits:
            raise UserError(
                f"problem.task.cues must be at most the {2**self.bits} different ones of {self.bits} bits, "
                f"got {self.cues}"
            )
        return self

    @property
    def name(self) -> str:
        return "reversal" if self.reversals else "association"

    @property
    def trials(self) -> int:
        return 1 + self.reversals

    @property
    def told(self) -> str:
        return "the answer to every cue once, and once again when answers reverse"

    def build(self, names: Sequence[str], places: dict[str, range], dt_ms: float) -> AssociationTask:
        """Return the packed task of a life."""
        for role, least in (("stimulus", self.bits), ("feedback", 2), ("response", 2)):
            if len(places[role]) < least:
                raise UserError(
                    f"the association task needs at least {least} {role} units, got {len(places[role])}; "
                    f"set problem.network.roles.{role} = {least}"
                )
        return pack(
            AssociationTask(
                units=Units.of(places),
                levels=self.levels.build(),
                bits=self.bits,
                cues=self.cues,
                asked=self.asked,
                steps=self.steps,
                block_trials=self.trials,
                newborn_blocks=int(self.newborn_tasks),
                shuffled=0,
                reset_activity=int(self.reset_activity),
            )
        )
