"""Does it learn, or relax to what it was born for? The contingencies are turned round in the middle of a life.

A life first holds the task's negation, whose every answer is wrong later, then the task. A network that relaxes to an
attractor comes back to one of the two, whatever it is told; one that learns comes to the task after its negation, and
to the negation after the task. Families without negations put another task before it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evoplastic.analysis.canvas import COLOURS, INK, canvas, frame, label_ends, line
from evoplastic.analysis.degrees import signed, takes
from evoplastic.analysis.evaluation import Courses
from evoplastic.analysis.sections.contract import Case, Section
from evoplastic.analysis.sections.sensitivity import some_tasks
from evoplastic.analysis.statistics import FEWEST_UNITS, interval, paired, share

TITLE = "Learning again after a reversal"
TURNED = {
    "its negation": "task.reversal=1+task.tasks_per_life=2+task.newborn_tasks=0",
    "another task": "task.tasks_per_life=2+task.newborn_tasks=0",
}
BIN = 20  # trials


def relearning(case: Case) -> Section:
    """Compare learning a task as a newborn with learning it after its opposite."""
    problem = case.search.problem
    if problem.graded.get("task.tasks_per_life", 1) != 1:
        return Section(TITLE, ["Lives hold several tasks already: what is shown above is learned after others."])
    found = next(((words, name) for words, name in TURNED.items() if takes(problem, name)), None)
    if found is None:
        return Section(TITLE, ["A life of these tasks cannot be turned round."])
    before, condition = found
    tasks = some_tasks(problem)
    newborn, turned = case.lived(tasks), case.lived(tasks, condition)
    trials = next(iter(newborn.values())).shape[1]
    width, scored = min(BIN, max(1, trials // 5)), problem.scored_trials
    first, last = _mean(turned, slice(0, width)), _mean(turned, slice(-scored, None))
    grown = _mean(newborn, slice(-scored, None))
    gain, behind = paired(last, first), paired(grown, last)
    said = [
        f"On {', '.join(tasks)}, each after {trials} trials of {before} in the same life (n = {len(first)} lives per "
        f"task): {interval(first)} in the first {width} trials, {interval(last)} in the last {scored}, which is "
        f"{signed(gain)}; newborn networks reach {interval(grown)}, {signed(behind)} more.",
        _verdict(gain.low, before),
    ]
    figure = _figure(case, newborn, turned, before, width)
    numbers = {
        "tasks": tasks,
        "after": before,
        "first": interval(first).to_json(),
        "last": interval(last).to_json(),
        "newborn": interval(grown).to_json(),
        "gained": gain.to_json(),
    }
    return Section(TITLE, said, {"relearning": figure}, numbers=numbers)


def _mean(courses: Courses, trials: slice) -> NDArray[np.float64]:
    """Return the mean over tasks and trials, life by life (lives,)."""
    return np.asarray(np.mean([course[:, trials].mean(axis=1) for course in courses.values()], axis=0))


def _verdict(low: float | None, before: str) -> str:
    if low is None:
        return "Too few lives for an interval, so that nothing is said to be learned again."
    if low > 0.0:
        return f"It learns again: what was learned of {before} is no end state that it keeps or falls back to."
    return f"No recovery is measured: after {before} it does not learn these tasks."


def _figure(case: Case, newborn: Courses, turned: Courses, before: str, width: int) -> Figure:
    curves = case.evaluated.curves
    metric, n = str(curves["metric"]).capitalize(), len(next(iter(newborn.values())))
    bands = "; bands are 95 % intervals" if n >= FEWEST_UNITS else ""
    figure = canvas(
        7.4,
        4.3,
        "Learning as a newborn and after a reversal",
        f"Mean over {len(newborn)} tasks and {n} lives, in bins of {width} trials{bands}.",
        right=1.9,
    )
    axes, labels = figure.axes[0], []
    looks: Sequence[tuple[str, Courses, str]] = (
        ("newborn", newborn, INK),
        (f"after {before}", turned, COLOURS["training"]),
    )
    for name, courses, colour in looks:
        course = np.mean(list(courses.values()), axis=0)
        trials = course.shape[1]
        starts = np.arange(0, trials - width + 1, width)
        bins = [interval(course[:, start : start + width].mean(axis=1)) for start in starts]
        middles = starts + width / 2
        if n >= FEWEST_UNITS:
            low, high = np.array([(each.low, each.high) for each in bins], np.float64).T
            axes.fill_between(middles, low, high, color=colour, alpha=0.18, linewidth=0)
        dashes = (0, (4, 2)) if colour == INK else "-"
        points = [(float(middle), each.mean) for middle, each in zip(middles, bins)]
        line(axes, points, colour, linewidth=2.0, linestyle=dashes)
        labels.append((bins[-1].mean, f"{name} {share(bins[-1].mean)}", colour))
    frame(axes, curves, metric, "Trial since the task began", trials)
    label_ends(axes, labels)
    return figure
