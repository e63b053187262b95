"""Learning task by task: what is measured by trial from newborn to old, of the evolved genome and of generation 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evoplastic.analysis.canvas import COLOURS, DPI, FAINT, INK, SOFT
from evoplastic.analysis.evaluation import GENERATION_0

MOST_TASKS = 24  # in one picture
COLUMNS = 4
BIN = 20  # trials

Array = NDArray[np.float64]


def by_task(
    newborn: Mapping[str, Array], evolved: Mapping[str, Array], facts: Mapping[str, Any], measure: str
) -> Figure:
    """Return a panel for each task: medians over lives, with the middle half of evolved lives shaded.

    `newborn` and `evolved` are (lives, trials) of the initial genome and of the evolved one; `measure` is "course", the
    metric, or "losses".
    """
    columns, rows = min(COLUMNS, len(evolved)), -(-len(evolved) // COLUMNS)
    width, height = 0.9 + 2.1 * columns, 1.6 + 1.5 * rows
    lives = len(next(iter(evolved.values())))
    name = str(facts["metric"]) if measure == "course" else "loss"
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.text(
        0.2 / width, 1 - 0.42 / height, f"{name.capitalize()} from newborn to old", fontsize=14.0, fontweight="bold"
    )
    about = f"Median of {lives} lives a task, shaded the middle half; dashed: generation 0."
    figure.text(0.2 / width, 1 - 0.69 / height, about, fontsize=9.0, color=SOFT)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    figure.subplots_adjust(0.7 / width, 0.55 / height, 1 - 0.2 / width, 1 - 1.15 / height, wspace=0.1, hspace=0.4)
    for number, axes in enumerate(grid.ravel()):
        if number >= len(evolved):
            axes.set_visible(False)
            continue
        task = list(evolved)[number]
        part = "withheld" if task in facts["withheld"] else "validation" if task in facts["validation"] else "training"
        _draw(axes, newborn[task], COLOURS[GENERATION_0], (0, (3, 2)), shade=False)
        _draw(axes, evolved[task], COLOURS[part], "-", shade=True)
        if measure == "course":
            axes.axhline(facts["chance"], color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        axes.set_title(f"{task} ({part})" if part != "training" else task, loc="left", fontsize=9.0, color=INK)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        axes.tick_params(length=0, labelsize=8.0)
        if number >= len(evolved) - columns:
            axes.set_xlabel("Trial", fontsize=8.5)
            axes.tick_params(labelbottom=True)
        if number % columns == 0:
            axes.set_ylabel(name.capitalize(), fontsize=8.5)
    return figure


def _draw(axes: Axes, course: Array, colour: str, dashes: Any, shade: bool) -> None:
    width = min(BIN, max(1, course.shape[1] // 5))
    starts = np.arange(0, course.shape[1] - width + 1, width)
    bins = np.array([course[:, start : start + width].mean(axis=1) for start in starts])  # (bins, lives)
    low, middle, high = np.nanquantile(bins, (0.25, 0.5, 0.75), axis=1)
    if shade:
        axes.fill_between(starts + width / 2, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(starts + width / 2, middle, color=colour, linewidth=1.5, linestyle=dashes)
