"""What an evaluator is to evolution: jobs in, a row per job out, wherever and in whatever order it was computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from evoplastic.problems.contract import Life
from evoplastic.strategies.contract import Candidates

Measure = Literal["score", "course"]


class Job(NamedTuple):
    """One member living one life."""

    member: int
    life: Life


class Abandoned(Exception):
    """The evaluation was given up on request; nothing of it counts."""


class Evaluator(Protocol):
    """Computes `problem.score` or `problem.course` for each job. Row i belongs to job i, always."""

    def evaluate(self, candidates: Candidates, jobs: Sequence[Job], measure: Measure = "score") -> NDArray[np.float64]:
        """Return (jobs, columns) float64; raise Abandoned if asked to give up."""

    def close(self) -> None:
        """Give back workers."""
