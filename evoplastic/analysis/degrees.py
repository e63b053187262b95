"""What becomes of scores by degrees: one number of what lives changed a little or much, and the same lives lived again.

Degrees of a change share their lives with each other and with the genome as it is, so that what a degree costs is a
difference paired by life, or by task where tasks are a random sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evoplastic.analysis.canvas import COLOURS, DPI, FAINT, INK, SOFT
from evoplastic.analysis.statistics import Interval
from evoplastic.errors import UserError
from evoplastic.problems.contract import METRIC, Problem

COLUMNS = 3  # of panels
MARKERS = ("o", "s", "D", "^", "v", "x")

Array = NDArray[np.float64]


class Degree(NamedTuple):
    label: str  # at the axis
    condition: str  # a lesion's name, or that of no lesion


class Series(NamedTuple):
    name: str
    colour: str  # a key of COLOURS
    values: Sequence[Interval]  # one for each degree


class Panel(NamedTuple):
    """One change: its degrees from left to right, and scores at each."""

    title: str
    xlabel: str
    labels: Sequence[str]
    series: Sequence[Series]
    present: int  # the degree that is the genome as it is


def accepted(problem: Problem, degrees: Iterable[Degree], intact: Sequence[str]) -> list[Degree]:
    """Return the degrees that the problem takes: those of names in `intact`, and lesions that it does not refuse."""
    return [degree for degree in degrees if degree.condition in intact or takes(problem, degree.condition)]


def takes(problem: Problem, condition: str) -> bool:
    """Return whether a lesion is one that the problem knows, with a number that its settings take."""
    try:
        problem.check_lesion(condition)
    except UserError:
        return False
    return True


def means(courses: Mapping[str, Array], scored: int, sampled: bool) -> Array:
    """Return what each unit scores: each life, over tasks; each task, over lives, where tasks are sampled."""
    scores = np.array([course[:, -scored:].mean(axis=1) for course in courses.values()])  # (tasks, lives)
    return np.asarray(scores.mean(axis=1 if sampled else 0))


def by_degree(
    lived: Callable[[Sequence[str], str], Mapping[str, Array]],
    problem: Problem,
    tasks: Sequence[str],
    degrees: Iterable[Degree],
) -> dict[str, Array]:
    """Return what each unit scores at every degree, by its label; `lived` makes a condition's lives be lived."""
    return {
        degree.label: means(lived(tasks, degree.condition), problem.scored_trials, problem.sampled)
        for degree in degrees
    }


def signed(difference: Interval) -> str:
    """Return a difference with its sign and interval."""
    return f"+{difference}" if difference.mean > 0 else str(difference)


def degrees_figure(title: str, about: str, problem: Problem, panels: Sequence[Panel]) -> Figure:
    """Return a picture with a panel for each change, all on the same scale; intervals where there are any."""
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    width, height = 0.95 + 2.7 * columns, 1.2 + 2.05 * rows
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.text(0.2 / width, 1 - 0.42 / height, title, fontsize=14.0, fontweight="bold")
    figure.text(0.2 / width, 1 - 0.69 / height, about, fontsize=9.0, color=SOFT)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    figure.subplots_adjust(0.75 / width, 0.6 / height, 1 - 0.2 / width, 1 - 1.2 / height, wspace=0.1, hspace=0.75)
    for number, axes in enumerate(grid.ravel()):
        if number >= len(panels):
            axes.set_visible(False)
            continue
        _draw(axes, panels[number], problem.chance)
        if number % columns == 0:
            axes.set_ylabel(problem.columns[METRIC].capitalize())
    if len(panels[0].series) > 1:
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="upper right", frameon=False, fontsize=8.5, ncols=len(names))
    return figure


def _draw(axes: Axes, panel: Panel, chance: float) -> None:
    places = np.arange(len(panel.labels))
    for number, series in enumerate(panel.series):
        shift = 0.08 * (number - (len(panel.series) - 1) / 2)
        colour, values = COLOURS.get(series.colour, INK), series.values
        for place, each in zip(places, values):
            if each.low is not None and each.high is not None:
                axes.vlines(place + shift, each.low, each.high, colour, linewidth=1.6)
        axes.plot(
            places + shift,
            [value.mean for value in values],
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            markersize=4.5,
            linewidth=1.2,
            linestyle="-" if number == 0 else (0, (4, 2)),
            label=series.name,
        )
    axes.axvspan(panel.present - 0.3, panel.present + 0.3, color=FAINT, linewidth=0, zorder=0)
    axes.axhline(chance, color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    axes.set_xticks(places, panel.labels, fontsize=8.0)
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_title(panel.title, loc="left", fontsize=9.5, color=INK)
    axes.set_xlabel(panel.xlabel, fontsize=8.5)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
