"""What an evaluator is to evolution: jobs in, a row per job out, wherever and in whatever order it was computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.problems.contract import Life, Problem
from evoplastic.strategies.contract import Candidates

Row = NDArray[Any]
Measure = Literal["score", "course", "losses"] | Callable[[Any, NDArray[np.float64], Life], Row]


class Job(NamedTuple):
    """One member living one life."""

    member: int
    life: Life


class Placement(NamedTuple):
    """Where lives are to be computed."""

    workers: int | None = None  # None: as many as there are cores
    address: str | None = None  # of a cluster to join


class Abandoned(Exception):
    """The evaluation was given up on request; nothing of it counts."""


class Poisoned(UserError):
    """A job took down every worker that it was given to."""

    def __init__(self, job: Job, deaths: int):
        super().__init__(f"member {job.member} killed its worker {deaths} times, living {job.life}")
        self.job = job


def measuring(problem: Problem, measure: Measure) -> Callable[[NDArray[np.float64], Life], Row]:
    """Return what makes a row of a genotype and a life: a method of the problem, or a function told of it first."""
    return partial(measure, problem) if callable(measure) else getattr(problem, measure)


class Evaluator(Protocol):
    """Computes `problem.score`, `.course`, `.losses` or a function of (problem, genotype, life) for each job.

    Row i belongs to job i, always. A function is one of a module, or a partial of one, so that it can travel.
    """

    def evaluate(self, candidates: Candidates, jobs: Sequence[Job], measure: Measure = "score") -> Row:
        """Return (jobs, columns); raise Abandoned if asked to give up, Poisoned if a job kills workers."""

    def report(self) -> dict[str, Any]:
        """Return what happened since the last report: `workers`, `idle_fraction`, and what the backend can lose."""

    def close(self) -> None:
        """Give back workers."""
