"""Cue-reward association in a run file, and what an ideal observer would score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.jit import pack
from evoplastic.tasks.contract import Scale, Units
from evoplastic.tasks.cue_reward import CueReward
from evoplastic.tasks.family import LevelSettings
from evoplastic.tasks.single import SingleTask

NAME = "cue-reward"
Steps = Annotated[int, msgspec.Meta(ge=1, le=1_000)]


class CueRewardSettings(SingleTask, frozen=True, kw_only=True, tag="cue_reward"):
    """One task: every life has cues of its own. Defaults are published, at about 200 steps a life."""

    cues: Annotated[int, msgspec.Meta(ge=3, le=100)] = 4  # of a life; with two, both would always be shown
    bits: Annotated[int, msgspec.Meta(ge=1, le=32)] = 20
    blanks: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 3  # at most, among the cues of a trial
    slot_steps: Steps = 1  # steps of the network that a cue or a blank lasts
    go_steps: Steps = 2  # the answer is read at the last one
    feedback_steps: Steps = 1
    trials: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 30  # per task: per set of cues
    newborn_tasks: bool = False  # each block of a life starts from newborn weights
    shuffled: bool = False  # feedback is a coin: an arm
    levels: LevelSettings = LevelSettings(stimulus=1.0, feedback=1.0, echo=1.0, bias=1.0)
    observer: float | None = None  # accuracy of the ideal observer, filled in when a run file is read

    def resolve(self, scored: int) -> CueRewardSettings:
        """Return the settings with what an ideal observer scores; UserError for fewer bits than cues need."""
        if 2**self.bits < self.cues:
            raise UserError(
                f"problem.task.bits must be at least {math.ceil(math.log2(self.cues))} for {self.cues} different cues, "
                f"got {self.bits}"
            )
        course = observed(self.cues, self.trials)
        return msgspec.structs.replace(self, observer=float(course[-min(scored, self.trials) :].mean()))

    @property
    def name(self) -> str:
        return NAME

    @property
    def scale(self) -> Scale:
        """Chance is that of the better of always yes and always no."""
        yes = 2.0 / self.cues
        return Scale("accuracy", chance=max(yes, 1.0 - yes), random_policy=0.5, oracle=1.0)

    @property
    def references(self) -> Mapping[str, Mapping[str, float]]:
        """What the ideal observer scores; of shuffled feedback nobody can make anything."""
        return {} if self.observer is None or self.shuffled else {"ideal observer": {NAME: self.observer}}

    @property
    def signed(self) -> bool:
        return True

    @property
    def told(self) -> str:
        return "a coin" if self.shuffled else "whether each answer was right"

    @property
    def kinds_told(self) -> str:
        return "which cues were shown"

    def build(self, names: Sequence[str], places: dict[str, range], dt_ms: float) -> CueReward:
        """Return the packed task of a life."""
        for role, least in (("stimulus", self.bits), ("response", 1)):
            if len(places[role]) < least:
                raise UserError(
                    f"the cue-reward task needs at least {least} {role} units, got {len(places[role])}; "
                    f"set problem.network.roles.{role} = {least}"
                )
        return pack(
            CueReward(
                units=Units.of(places),
                levels=self.levels.build(),
                cues=self.cues,
                bits=self.bits,
                blanks=self.blanks,
                slot_steps=self.slot_steps,
                go_steps=self.go_steps,
                feedback_steps=self.feedback_steps,
                block_trials=self.trials,
                newborn_blocks=int(self.newborn_tasks),
                shuffled=int(self.shuffled),
                reset_activity=int(self.reset_activity),
            )
        )


def observed(cues: int, trials: int) -> NDArray[np.float64]:
    """Return the expected accuracy of the ideal observer in each trial, (trials,).

    Whoever knows what was shown, answered and rewarded knows whether the target was shown, so that the cues that may
    still be the target are alike: a state is how many they are. Of c candidates k are shown, with the chances of a draw
    of 2 from all cues; yes is right with chance k / c, and k or c - k candidates are left.
    """
    chances = np.zeros(cues + 1)
    chances[cues] = 1.0
    course = np.zeros(trials)
    for trial in range(trials):
        after = np.zeros(cues + 1)
        for candidates in range(1, cues + 1):
            for shown in range(min(2, candidates) + 1):
                draws = math.comb(candidates, shown) * math.comb(cues - candidates, 2 - shown) / math.comb(cues, 2)
                chance, yes = chances[candidates] * draws, shown / candidates
                course[trial] += chance * max(yes, 1.0 - yes)
                after[shown] += chance * yes
                after[candidates - shown] += chance * (1.0 - yes)
        chances = after
    return course
