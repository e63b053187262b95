"""What an evaluator is to evolution: jobs in, a row per job out, wherever and in whatever order it was computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.problems.contract import Life
from evoplastic.strategies.contract import Candidates

Measure = Literal["score", "course"]


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


class Evaluator(Protocol):
    """Computes `problem.score` or `problem.course` for each job. Row i belongs to job i, always."""

    def evaluate(self, candidates: Candidates, jobs: Sequence[Job], measure: Measure = "score") -> NDArray[np.float64]:
        """Return (jobs, columns) float64; raise Abandoned if asked to give up, Poisoned if a job kills workers."""

    def report(self) -> dict[str, Any]:
        """Return what happened since the last report: `workers`, `idle_fraction`, and what the backend can lose."""

    def close(self) -> None:
        """Give back workers."""
