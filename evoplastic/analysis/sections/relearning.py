"""Does it learn, or relax to what it was born for? The contingencies are turned round in the middle of a life.

A life first holds the task's negation, whose every answer is wrong later, then the task. A network that relaxes to an
attractor comes back to one of the two, whatever it is told; one that learns comes to either after the other. So each
task is judged by itself, over lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evoplastic.analysis.canvas import COLOURS, INK, canvas, frame, label_ends, line
from evoplastic.analysis.degrees import signed, takes
from evoplastic.analysis.evaluation import Courses
from evoplastic.analysis.sections.contract import Case, Row, Section
from evoplastic.analysis.sections.sensitivity import some_tasks
from evoplastic.analysis.statistics import FEWEST_UNITS, Interval, interval, paired, share

TITLE = "Learning again after a reversal"
REVERSED = "task.reversal=1+task.tasks_per_life=2+task.newborn_tasks=0"
BIN = 20  # trials

Array = NDArray[np.float64]


class Turned(NamedTuple):
    """What is scored on a task after its negation: at first, at last, and by newborns."""

    first: Interval
    last: Interval
    gained: Interval
    newborn: Interval

    def returns(self, chance: float) -> bool:
        """Return whether it rises, and ends above chance, by intervals."""
        return (self.gained.low or 0.0) > 0.0 and self.last.low is not None and self.last.low > chance


def relearning(case: Case) -> Section:
    """Compare learning a task as a newborn with learning it after its opposite."""
    problem = case.search.problem
    if problem.graded.get("task.tasks_per_life", 1) != 1:
        return Section(TITLE, ["Lives hold several tasks already: what is shown above is learned after others."])
    if not takes(problem, REVERSED):
        return Section(TITLE, ["Lives of these tasks cannot be turned round, for the tasks have no negations."])
    tasks = some_tasks(problem)
    newborn, turned = case.lived(tasks), case.lived(tasks, REVERSED)
    trials = next(iter(newborn.values())).shape[1]
    width, scored = min(BIN, max(1, trials // 5)), problem.scored_trials
    told = {task: _told(newborn[task], turned[task], width, scored) for task in tasks}
    said = [
        f"Each task after {trials} trials of its negation in the same life ({len(newborn[tasks[0]])} lives per task).",
        _verdict(told, problem.chance),
    ]
    rows: list[Row] = [("task", f"first {width} trials", f"last {scored}", "gained", "newborn, last")]
    rows += [(task, str(t.first), str(t.last), signed(t.gained), str(t.newborn)) for task, t in told.items()]
    numbers = {task: {name: each.to_json() for name, each in t._asdict().items()} for task, t in told.items()}
    return Section(TITLE, said, {"relearning": _figure(case, newborn, turned, width)}, rows, {"tasks": numbers})


def _told(newborn: Array, turned: Array, width: int, scored: int) -> Turned:
    """Return what a task's lives, (lives, trials) each, are scored."""
    first, last, grown = turned[:, :width], turned[:, -scored:], newborn[:, -scored:]
    means = [course.mean(axis=1) for course in (first, last, grown)]
    return Turned(interval(means[0]), interval(means[1]), paired(means[1], means[0]), interval(means[2]))


def _verdict(told: Mapping[str, Turned], chance: float) -> str:
    """Return what may be said: of all tasks, of some, or of none."""
    if any(not np.isfinite(each.gained.mean) for each in told.values()):
        return "Some lives end in what is not a number, so that nothing is said to be learned again."
    if any(each.gained.low is None for each in told.values()):
        return "Too few lives for an interval, so that nothing is said to be learned again."
    back = [task for task, each in told.items() if each.returns(chance)]
    others = [task for task in told if task not in back]
    if not others:
        return "It learns each of them again, a task as well as its negation: it relaxes to neither."
    if back:
        return (
            f"It comes back to {', '.join(back)} and not measurably to {', '.join(others)}; so would a network that "
            "relaxes to an end state."
        )
    return "That it learns any of them again is not shown."


def _figure(case: Case, newborn: Courses, turned: Courses, width: int) -> Figure:
    curves = case.evaluated.curves
    n = len(next(iter(newborn.values())))
    bands = "; bands are 95 % intervals" if n >= FEWEST_UNITS else ""
    about = f"Mean over {', '.join(newborn)} and {n} lives, in bins of {width} trials{bands}."
    figure = canvas(7.4, 4.3, "Learning as a newborn and after a reversal", about, right=1.9)
    axes, labels = figure.axes[0], []
    trials = next(iter(newborn.values())).shape[1]
    starts = np.arange(0, trials - width + 1, width)
    for name, courses, colour in (("newborn", newborn, INK), ("after its negation", turned, COLOURS["training"])):
        course = np.mean(list(courses.values()), axis=0)
        bins = [interval(course[:, start : start + width].mean(axis=1)) for start in starts]
        if n >= FEWEST_UNITS:
            low, high = np.array([(each.low, each.high) for each in bins], np.float64).T
            axes.fill_between(starts + width / 2, low, high, color=colour, alpha=0.18, linewidth=0)
        points = [(float(start + width / 2), each.mean) for start, each in zip(starts, bins)]
        line(axes, points, colour, linewidth=2.0, linestyle=(0, (4, 2)) if colour == INK else "-")
        labels.append((bins[-1].mean, f"{name} {share(bins[-1].mean)}", colour))
    frame(axes, curves, str(curves["metric"]).capitalize(), "Trial since the task began", trials)
    label_ends(axes, labels)
    return figure
