"""The pictures of a run, each drawn when it is asked for: what a notebook shows, and nothing is written.

search      from the records alone
progress, conditions, tasks    from an evaluation too
learning    from the lives of an evaluation, trial by trial, which no file keeps
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from evoplastic.analysis.canvas import STYLE
from evoplastic.analysis.evaluation import Evaluated
from evoplastic.analysis.figures import conditions, learning, progress, tasks
from evoplastic.analysis.search_figure import search_figure
from evoplastic.errors import UserError, nearest

NAMES = ("search", "progress", "conditions", "tasks", "learning")
# What evaluations of earlier versions do not say; where a claim rests on it, none is made.
_UNSAID = {
    "chance_is": "chance",
    "oracle_is": "oracle",
    "validation": [],
    "blind_is_chance": False,
    "blind_is_below": False,
    "oracle_exceeded": False,
}


class Pictures(Mapping[str, Figure]):
    """Figures by name. UserError for a name that there is not, or for one whose numbers are not there."""

    def __init__(
        self,
        run: str,
        generation: int,
        metrics: Sequence[Mapping[str, Any]],
        result: Mapping[str, Any] | None,
        curves: Mapping[str, Any] | None = None,
    ):
        self._run, self._generation, self._curves = run, generation, curves
        self._metrics = [dict(record) for record in metrics]
        self._result = None if result is None else {**_UNSAID, **result, "generation": generation}

    def of(self, evaluated: Evaluated) -> Pictures:
        """Return the pictures with those of an evaluation drawn from this one."""
        return Pictures(self._run, self._generation, self._metrics, *evaluated)

    def __getitem__(self, name: str) -> Figure:
        if name not in NAMES:
            raise UserError(f"picture {name!r} is unknown; choose one of {list(NAMES)}{nearest(name, NAMES)}")
        draw = self._drawn_by().get(name)
        if draw is None:
            raise UserError(self._missing(name))
        with style.context(["default", STYLE]):
            figure = draw()
            figure.draw_without_rendering()  # what is made only while drawing, such as ticks, is made in this style
        return figure

    def __iter__(self) -> Iterator[str]:
        return iter(self._drawn_by())

    def __len__(self) -> int:
        return len(self._drawn_by())

    def __contains__(self, name: object) -> bool:
        return name in self._drawn_by()

    def _drawn_by(self) -> dict[str, Callable[[], Figure]]:
        """Return how each picture that can be drawn is drawn, in the order of NAMES."""
        metrics, result, curves = self._metrics, self._result, self._curves
        known: dict[str, Callable[[], Figure]] = {}
        if metrics:
            known["search"] = lambda: search_figure(metrics)
        if metrics and result:
            known["progress"] = lambda: progress(metrics, result)
        if result:
            known |= {"conditions": lambda: conditions(result), "tasks": lambda: tasks(result)}
        if curves:
            known["learning"] = lambda: learning(dict(curves))
        return known

    def _missing(self, name: str) -> str:
        if name in ("search", "progress") and not self._metrics:
            return f"{self._run} has evolved nothing yet, so there is no picture {name!r}; carry it on with resume"
        if name == "learning":
            return (
                "the picture 'learning' is of lives trial by trial, which no file keeps; live some and take "
                "run.figures.of(run.evaluate())['learning']"
            )
        return (
            f"{self._run} holds no evaluation of all tasks at generation {self._generation}, which the picture "
            f"{name!r} shows; make one with evoplastic evaluate {self._run}, or take "
            f"run.figures.of(run.evaluate())[{name!r}]"
        )
