"""What families of a single task answer alike: nothing is withheld, and every draw of a task is that one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

import msgspec

from evoplastic.tasks.contract import Scale
from evoplastic.tasks.family import Family


class SingleTask(Family, frozen=True, kw_only=True):
    """A family of one task, which is called `name` and has `trials`; chance of its answers is one half."""

    tasks_per_life: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    newborn_tasks: bool = True  # each task of a life starts from newborn weights
    reset_activity: bool = False  # activity goes to rest before each trial: an arm

    @property
    def name(self) -> str:
        """What the task is called."""
        raise NotImplementedError

    @property
    def trials(self) -> int:
        """Trials of the task."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def withheld(self) -> tuple[str, ...]:
        return ()

    @property
    def scale(self) -> Scale:
        return Scale("accuracy", chance=0.5, random_policy=0.5, oracle=1.0)

    @property
    def life_trials(self) -> int:
        return self.trials * self.tasks_per_life

    @property
    def kinds_told(self) -> str:
        return "nothing more"

    def training(self) -> list[str]:
        """Return the tasks that evolution may meet."""
        return list(self.names)

    def eligible(self, generation: int) -> list[str]:
        """Return the tasks that `generation` draws from."""
        return self.training()

    def pairs(self, names: Collection[str]) -> list[tuple[str, str]]:
        """Return no pairs: there is no negation of the task."""
        return []

    def withholding(self) -> str:
        return "nothing withheld"

    def folds(self) -> Mapping[str, tuple[str, ...]]:
        """Return no folds: there is nothing to withhold in turn."""
        return {}
