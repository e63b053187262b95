"""What problems share whose lives are blocks of trials on the tasks of a family: which tasks, and what counts.

A life of the evolution draws the tasks of all its blocks; one that tests a task ends on it, after blocks drawn from the
training tasks unless each block starts from a newborn.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from evoplastic.problems.contract import DRAWN, Life
from evoplastic.random import FAMILY, TASKS_OF_LIFE, Purpose, below, philox, stream_key, unit
from evoplastic.tasks.contract import CORRECT, COST, LOSS, SCORE_COLUMNS

S = TypeVar("S", bound=Any)  # settings with a task family, `task`, and `scored_trials`


class Lives(ABC, Generic[S]):
    """All of `problems.contract.Problem` but the genome, what a life is told, and how it is lived."""

    def __init__(self, settings: S, seed: int):
        self.settings = settings
        self.seed = seed

    def __reduce__(self) -> tuple[type[Lives[S]], tuple[S, int]]:
        return type(self), (self.settings, self.seed)

    @abstractmethod
    def _live(self, genotype: NDArray[np.float64], life: Life, names: Sequence[str]) -> NDArray[np.float32]:
        """Return loss, correct and cost of every trial of a life on these tasks, (trials, SCORE_COLUMNS)."""

    @property
    def columns(self) -> tuple[str, ...]:
        return "fitness", self.settings.task.scale.metric, "loss", "cost"

    @property
    def chance(self) -> float:
        return float(self.settings.task.scale.chance)

    @property
    def random_policy(self) -> float | None:
        known: float | None = self.settings.task.scale.random_policy
        return known

    @property
    def oracle(self) -> float:
        return float(self.settings.task.scale.oracle)

    @property
    def called(self) -> tuple[str, str]:
        scale = self.settings.task.scale
        return scale.chance_is, scale.oracle_is

    @property
    def references(self) -> Mapping[str, Mapping[str, float]]:
        known: Mapping[str, Mapping[str, float]] = self.settings.task.references
        return known

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(self.settings.task.names)

    @property
    def withheld(self) -> tuple[str, ...]:
        return tuple(self.settings.task.withheld)

    @property
    def validation(self) -> tuple[str, ...]:
        return tuple(self.settings.task.validation)

    @property
    def sampled(self) -> bool:
        return bool(self.settings.task.random_sample)

    @property
    def withholding(self) -> str:
        told: str = self.settings.withholding()
        return told

    @property
    def lesions(self) -> Mapping[str, str]:
        known: Mapping[str, str] = self.settings.lesions
        return known

    @property
    def graded(self) -> Mapping[str, float]:
        known: Mapping[str, float] = self.settings.graded
        return known

    def check_lesion(self, lesion: str) -> None:
        self.settings.check_lesion(lesion)

    def under(self, lesion: str) -> Lives[S]:
        """Return the problem whose settings are those of a life with this lesion: most leave them as they are."""
        return self

    @property
    def scored_trials(self) -> int:
        return int(self.settings.scored_trials)

    def pairs(self, tasks: Collection[str]) -> list[tuple[str, str]]:
        pairs: list[tuple[str, str]] = self.settings.task.pairs(tasks)
        return pairs

    def training_life(self, generation: int, pair: int) -> Life:
        return Life(Purpose.LIFETIME, (generation, pair))

    def test_lives(self, purpose: Purpose, path: tuple[int, ...], lives: int) -> dict[str, list[Life]]:
        # Tasks of a sample are independent of each other only if their lives are.
        own = {name: (number,) if self.sampled else () for number, name in enumerate(self.tasks)}
        return {name: [Life(purpose, (*path, life, *own[name]), name) for life in range(lives)] for name in self.tasks}

    def score(self, genotype: NDArray[np.float64], life: Life) -> NDArray[np.float64]:
        problem = self.under(life.lesion)
        task, names = problem.settings.task, problem.tasks_of(life)
        trials = problem._live(genotype, life, names).astype(np.float64)
        blocks = trials.reshape(len(names), task.trials, SCORE_COLUMNS)
        tested = blocks if life.task == DRAWN else blocks[-1:]
        scored = tested[:, -problem.settings.scored_trials :]
        loss, metric, cost = scored[..., LOSS].mean(), scored[..., CORRECT].mean(), trials[:, COST].mean()
        return np.array([-loss - cost, task.measured(names[-1], metric), loss, cost])

    def course(self, genotype: NDArray[np.float64], life: Life) -> NDArray[np.float64]:
        problem, correct = self._trials(genotype, life, CORRECT)
        return np.asarray(problem.settings.task.measured(problem.tasks_of(life)[-1], correct))

    def losses(self, genotype: NDArray[np.float64], life: Life) -> NDArray[np.float64]:
        return self._trials(genotype, life, LOSS)[1]

    def _trials(self, genotype: NDArray[np.float64], life: Life, column: int) -> tuple[Lives[S], NDArray[np.float64]]:
        """Return the problem under the life's lesion, and a column of its scores on the last task."""
        problem = self.under(life.lesion)
        trials = problem._live(genotype, life, problem.tasks_of(life))
        return problem, trials[-problem.settings.task.trials :, column].astype(np.float64)

    def key(self, life: Life) -> np.uint64:
        """Return the key of all that is drawn within a life."""
        return stream_key(self.seed, life.purpose, *life.path)

    def tasks_of(self, life: Life) -> list[str]:
        """Return the tasks of a life: drawn, or the last of them the tested one."""
        settings, key = self.settings.task, self.key(life)
        if life.task == DRAWN:
            share = float(unit(philox(key, FAMILY, np.uint64(0))[0]))
            names, tested = settings.together(settings.eligible(life.path[0]), share), []
        else:
            names, tested = settings.beside(settings.training(), life.task), [life.task]
        # What a newborn is tested on does not depend on the tasks before.
        drawn = 0 if tested and settings.newborn_tasks else settings.tasks_per_life - len(tested)
        blocks = [names[below(philox(key, TASKS_OF_LIFE, np.uint64(b))[0], len(names))] for b in range(drawn)]
        return list(settings.sequence(blocks + tested))
