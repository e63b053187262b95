"""What a section of an analysis is: a question about a run, answered in pictures, numbers and sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from matplotlib.figure import Figure
from numpy.typing import NDArray

from evoplastic.analysis.evaluation import EVOLVED, Courses, Evaluated
from evoplastic.evaluators.contract import Measure
from evoplastic.evolution import Search
from evoplastic.recordings import Recording

Row = tuple[str, ...]


class Lived(Protocol):
    """Makes a condition's lives be lived, or remembers them: the same lives whatever the condition."""

    def __call__(self, tasks: Sequence[str], condition: str = EVOLVED, measure: Measure = "course") -> Courses:
        """Return what is measured on each task, (lives, trials)."""


class Case(NamedTuple):
    """A run under analysis: all that sections may look at."""

    search: Search
    generation: int
    center: NDArray[Any]  # (D,)
    metrics: Sequence[Mapping[str, Any]]  # one record a generation
    evaluated: Evaluated  # the center beside generation 0 and every lesion
    lived: Lived
    recorded: Callable[[str, str], Recording]  # lives on a task of a genome, "center" or "generation_0"; made once
    arms: Callable[[], Mapping[str, Any] | None] = lambda: None  # the `compare` object of the run's arms, if any


class Section(NamedTuple):
    """One question and its answer."""

    title: str
    sentences: Sequence[str] = ()  # what the numbers say, each with its n
    figures: Mapping[str, Figure] = {}  # by file name, without ending
    table: Sequence[Row] = ()  # header first
    numbers: Mapping[str, Any] = {}  # for summary.json
