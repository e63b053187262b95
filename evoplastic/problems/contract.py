"""What a problem is to evolution and analysis: genotypes in, scores out, and what a reader of the scores should know.

A problem has named tasks. A life of a genotype ends on one of them, lived trial by trial; the reported metric is a
number, higher is better, whose values for chance, a random policy and an oracle are known, with chance below the
oracle. Its mean over the last `scored_trials` trials is the life's score; a single trial may lie anywhere.
Nothing of networks, rules or truth tables shows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError, nearest
from evoplastic.genome import GenomeLayout
from evoplastic.random import Purpose

FITNESS, METRIC = 0, 1  # the first two columns of every score row

DRAWN = ""  # the task of a life that draws its own
INTACT = "none"  # the lesion of a life from which nothing is taken away
PLASTICITY_OFF = "plasticity_off"  # the lesion that leaves only what a genome does without learning in its weights
ALL_LESIONS = "all"


class Life(NamedTuple):
    """The address of one life: with the run's seed it fixes tasks, stimuli and noise, whoever computes it, wherever."""

    purpose: Purpose
    path: tuple[int, ...]
    task: str = DRAWN
    lesion: str = INTACT


class Problem(Protocol):
    """A kind of life. Pure: equal arguments give equal bits. Picklable: it travels to other machines."""

    @property
    def layout(self) -> GenomeLayout:
        """The genome."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of a score row's columns; the first is `fitness` (higher is better), the second the reported metric."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks, in the order in which they are listed."""

    @property
    def withheld(self) -> tuple[str, ...]:
        """Tasks never met in evolution."""

    @property
    def validation(self) -> tuple[str, ...]:
        """Tasks never met in evolution but validated on meanwhile; where there are any, the withheld ones are not."""

    @property
    def sampled(self) -> bool:
        """Whether tasks are a random sample, so that means over them speak of tasks that were never drawn."""

    @property
    def withholding(self) -> str:
        """Whether withheld tasks are new to evolution: 'novel class', 'relabelled' or 'nothing withheld'."""

    @property
    def lesions(self) -> Mapping[str, str]:
        """What can be taken away from a genome, each with its summary; without INTACT."""

    @property
    def graded(self) -> Mapping[str, float]:
        """What can be changed by degrees, and what it is: `key=number` and `key@factor` are lesions too; may be {}."""

    def check_lesion(self, lesion: str) -> None:
        """Raise UserError for what is no lesion, nor several of them joined by a +."""

    @property
    def privileged(self) -> str:
        """What a learner is told that one by trial and error would not know, in a sentence."""

    @property
    def chance(self) -> float:
        """The metric of answers that have nothing to do with the task, or of what `called` says."""

    @property
    def random_policy(self) -> float | None:
        """The metric of actions drawn evenly at random; None where it differs from task to task."""

    @property
    def oracle(self) -> float:
        """The metric of who knows the task, or of what `called` says."""

    @property
    def called(self) -> tuple[str, str]:
        """What `chance` and `oracle` are called."""

    @property
    def references(self) -> Mapping[str, Mapping[str, float]]:
        """What others score where that is known: label -> task -> metric; may be {}."""

    @property
    def scored_trials(self) -> int:
        """How many trials at the end of a task count."""

    @property
    def marks(self) -> Mapping[int, str]:
        """Trials of a tested task at which something changes for the learner, each with its label."""

    def pairs(self, tasks: Collection[str]) -> list[tuple[str, str]]:
        """Return each task of `tasks` with its negation where that is one of them too, each pair once; may be []."""

    def training_life(self, generation: int, pair: int) -> Life:
        """Return the life that the members of `pair` live in `generation`."""

    def test_lives(self, purpose: Purpose, path: tuple[int, ...], lives: int) -> dict[str, list[Life]]:
        """Return `lives` lives on each task, by task name.

        Life l shares stimuli and noise over tasks, unless these are a random sample.
        """

    def score(self, genotype: NDArray[np.float64], life: Life) -> NDArray[np.float64]:
        """Return the score row (columns,) of one life."""

    def course(self, genotype: NDArray[np.float64], life: Life) -> NDArray[np.float64]:
        """Return the reported metric trial by trial on the life's last task, (trials,)."""

    def losses(self, genotype: NDArray[np.float64], life: Life) -> NDArray[np.float64]:
        """Return the loss trial by trial on the life's last task, (trials,)."""


class ProblemSettings(Protocol):
    """A problem as a run file spells it: a frozen struct whose keys are its own."""

    @property
    def lesions(self) -> Mapping[str, str]:
        """See `Problem.lesions`."""

    def check_lesion(self, lesion: str) -> None:
        """See `Problem.check_lesion`; the settings must be resolved."""

    def resolve(self) -> ProblemSettings:
        """Return the settings with every outside file read in; UserError for what contradicts itself."""

    def withholding(self) -> str:
        """Return `Problem.withholding`; the settings must be resolved."""

    def folds(self) -> Mapping[str, tuple[str, ...]]:
        """Return what can be withheld in turn: a fold's name -> the `a.b=value` that make it; {} where nothing can."""

    def build(self, seed: int) -> Problem:
        """Return the problem of the run with this seed; the settings must be resolved."""


def choosing_tasks(problem: Problem) -> tuple[str, ...]:
    """Return the tasks by which one may choose: validation tasks, else training tasks; withheld ones never."""
    return problem.validation or tuple(name for name in problem.tasks if name not in problem.withheld)


def choose_lesions(of: Problem | ProblemSettings, wanted: Iterable[str]) -> list[str]:
    """Return the wanted lesions, each once; "all" stands for all that have no degree. UserError for an unknown one."""
    chosen: dict[str, None] = {}
    for name in wanted:
        if name != ALL_LESIONS:
            of.check_lesion(name)
        chosen.update(dict.fromkeys(of.lesions if name == ALL_LESIONS else [name]))
    return list(chosen)


def unknown_lesion(name: str, known: Iterable[str]) -> UserError:
    """Return what is to be said of a lesion that there is not."""
    choices = [ALL_LESIONS, *known]
    return UserError(f"control {name!r} is unknown; choose some of {choices}{nearest(name, choices)}")
