"""Learners with a table in the place of a network, on meta-tasks: coefficients -> learner -> one life -> score.

    fitness = -(mean loss over the last scored decisions)
    metric  = what the task family calls its own

The tasks, lives, draws and scores are those of recurrent lifetimes, so a learner and a network of the same seed meet
the same instances and are tuned by the same strategies and budgets. Every instance is met by a newborn: what a symbol
means in one task says nothing of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Union

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.genome import GenomeLayout
from evoplastic.learners import LEARNERS
from evoplastic.learners.life import live_tabular
from evoplastic.learners.symbols import looks_of
from evoplastic.problems.contract import PLASTICITY_OFF, Life, unknown_lesion
from evoplastic.problems.lives import Lives
from evoplastic.tasks.contract import SCORE_COLUMNS
from evoplastic.tasks.meta.settings import MetaTaskSettings


class TabularSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="tabular"
):
    """The problem of a run file: which learner, and on which meta-tasks.

    Of the task family's keys those about networks (steps, levels, how responses become actions, the clock) say nothing
    to a table, so that the same tasks may be given to both.
    """

    lesions: ClassVar[Mapping[str, str]] = {PLASTICITY_OFF: "nothing is learned: the table stays as it was at birth"}
    graded: ClassVar[Mapping[str, float]] = {}

    learner: Union[tuple(LEARNERS.values())]  # type: ignore[valid-type] # noqa: UP007
    task: MetaTaskSettings
    scored_trials: Annotated[int, msgspec.Meta(ge=1)] = 100  # decisions at the end of each task

    def resolve(self) -> TabularSettings:
        """Return the settings with every outside file read in, checked for what learners require of tasks."""
        if self.task.tasks_per_life > 1 and not self.task.newborn_tasks:
            raise UserError(
                "problem.task.newborn_tasks must be true where a life holds several tasks: what a table holds of one "
                "task says nothing of the next"
            )
        if self.task.reset_activity:
            raise UserError("problem.task.reset_activity is an arm of networks; a table has no activity, leave it out")
        resolved = msgspec.structs.replace(self, task=self.task.resolve(self.scored_trials))
        trials = resolved.task.trials
        if self.scored_trials > trials:
            raise UserError(
                f"problem.scored_trials must be at most the {trials} decisions of a task, got {self.scored_trials}"
            )
        resolved.build(seed=0).check()
        return resolved

    def check_lesion(self, lesion: str) -> None:
        """Raise UserError for what is no lesion."""
        if lesion not in self.lesions:
            raise unknown_lesion(lesion, self.lesions)

    def withholding(self) -> str:
        """Return whether the withheld tasks are new to evolution."""
        return self.task.withholding()

    def folds(self) -> Mapping[str, tuple[str, ...]]:
        """Return the folds of the task family, each with what makes it; the settings must be resolved."""
        return self.task.folds()

    def build(self, seed: int) -> Tabular:
        """Return the problem of the run with this seed; the settings must be resolved."""
        return Tabular(self, seed)


class Tabular(Lives[TabularSettings]):
    """A pure function of (settings, seed, genotype, life). See `problems.contract.Problem`."""

    def __init__(self, settings: TabularSettings, seed: int):
        super().__init__(settings, seed)
        self.layout = GenomeLayout(settings.learner.blocks(), seed)
        self._known = lru_cache(None)(self._know)

    @property
    def privileged(self) -> str:
        return f"Beside {self.settings.task.told}, the learner is told {self.settings.learner.told}."

    @property
    def marks(self) -> Mapping[int, str]:
        return {}

    def check(self) -> None:
        """Raise UserError for a task that is too large for the learner."""
        for name in self.tasks:
            try:
                self._known(name)
            except UserError as error:
                raise UserError(f"problem.task.specs: {name}: {error}") from None

    def _live(self, genotype: NDArray[np.float64], life: Life, names: Sequence[str]) -> NDArray[np.float32]:
        coefficients, tables = self.layout.unpack(genotype), self.settings.task.tables(names)
        scores = np.zeros((len(names), self.settings.task.trials, SCORE_COLUMNS), np.float32)
        learning, key = np.int64(life.lesion != PLASTICITY_OFF), self.key(life)
        for block, name in enumerate(names):
            looks, known = self._known(name)
            learner = self.settings.learner.build(coefficients, known)
            live_tabular(learner, tables, np.int64(block), looks, key, learning, scores[block])
        return scores.reshape(-1, SCORE_COLUMNS)

    def _know(self, name: str) -> tuple[NDArray[np.int64], Any]:
        """Return what a task could show and what the learner knows of it."""
        program, settings = self.settings.task.programs[name], self.settings
        horizon = settings.task.trials
        return looks_of(program), settings.learner.knows(program, horizon, min(settings.scored_trials, horizon))
