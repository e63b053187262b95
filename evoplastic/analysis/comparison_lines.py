"""Comparisons in lines, one for each arm: performance profiles, and the course of evolution over generations.

Lines differ by colour and by dash. Bands are drawn from ten seeds on; below that the course shows every seed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from evoplastic.analysis.canvas import COLOURS, FAINT, INK, SOFT, canvas
from evoplastic.analysis.comparison_rows import LEGEND
from evoplastic.analysis.search_figure import LINES
from evoplastic.analysis.statistics import FEWEST_UNITS, share

MOST = len(LINES)  # arms that can be told apart
DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 2)),
    (0, (1.5, 1.5)),
    (0, (8, 2, 1.5, 2)),
    (0, (3, 1.5)),
    (0, (4, 1, 1, 1, 1, 1)),
    (0, (1, 3)),
)
_PANEL = 2.9  # inches

Array = NDArray[np.float64]
Profiles = Mapping[str, Mapping[str, Mapping[str, Any] | None]]  # arm -> part -> profile


class Course(NamedTuple):
    """What the seeds of an arm scored over the generations."""

    generations: Array  # (G,)
    scores: Array  # (seeds, G)


Courses = Mapping[str, Mapping[str, Course]]  # arm -> panel -> course


def profiles_figure(profiles: Profiles, taus: Array, parts: Sequence[str], metric: str) -> Figure:
    """The share of runs above each threshold, a line for each arm."""
    banded = any(known and known["low"] is not None for by_part in profiles.values() for known in by_part.values())
    bands = "; bands are 95 %, point by point" if banded else ""
    about = f"Share of runs, each a seed on a task, that score above the threshold{bands}."
    seeds = {arm: max((known["seeds"] for known in by.values() if known), default=0) for arm, by in profiles.items()}
    titles = {f"{part.capitalize()} tasks": COLOURS[part] for part in parts}
    figure = _panels(titles, ("Performance profiles", about), _keys(seeds))
    for axes, part in zip(figure.axes, parts):
        for by_part, colour, dash in zip(profiles.values(), LINES, DASHES):
            known = by_part[part]
            if known is None:
                continue
            if known["low"] is not None:
                axes.fill_between(taus, known["low"], known["high"], color=colour, alpha=0.15, linewidth=0)
            axes.plot(taus, known["share"], color=colour, linestyle=dash, linewidth=1.8)
        axes.set(xlim=(taus[0], taus[-1]), ylim=(-0.02, 1.02), xlabel=f"Threshold of {metric}")
        axes.xaxis.set_major_formatter(lambda value, _: share(value))
    figure.axes[0].set_ylabel("Share of runs above")
    figure.axes[0].yaxis.set_major_formatter(lambda value, _: share(value))
    return figure


def course_figure(courses: Courses, panels: Sequence[str], metric: str, chances: Sequence[float]) -> Figure:
    """The metric by generation: the median over seeds, with the middle half of them or every single one."""
    most = max(len(course.scores) for by_panel in courses.values() for course in by_panel.values())
    spread = (
        "bands: the middle half of the seeds (their spread, no interval)" if most >= FEWEST_UNITS else "thin: each seed"
    )
    about = f"{metric.capitalize()}; median over seeds, {spread}; dashed: chance."
    seeds = {arm: max(len(course.scores) for course in by_panel.values()) for arm, by_panel in courses.items()}
    figure = _panels(dict.fromkeys(panels, INK), ("The course of evolution", about), _keys(seeds))
    for axes, panel in zip(figure.axes, panels):
        for by_panel, colour, dash in zip(courses.values(), LINES, DASHES):
            if panel in by_panel:
                _draw_course(axes, by_panel[panel], colour, dash)
        for chance in sorted(set(chances)):
            axes.axhline(chance, color=SOFT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
        axes.set_xlabel("Generation")
    figure.axes[0].set_ylabel(metric.capitalize())
    figure.axes[0].yaxis.set_major_formatter(lambda value, _: share(value))
    return figure


def _draw_course(axes: Axes, course: Course, colour: str, dash: Any) -> None:
    if len(course.scores) >= FEWEST_UNITS:
        low, high = np.quantile(course.scores, (0.25, 0.75), axis=0)
        axes.fill_between(course.generations, low, high, color=colour, alpha=0.15, linewidth=0)
    elif len(course.scores) > 1:
        axes.plot(course.generations, course.scores.T, color=colour, linewidth=0.7, alpha=0.45)
    marker = "o" if len(course.generations) == 1 else ""
    median = np.median(course.scores, axis=0)
    axes.plot(course.generations, median, color=colour, linestyle=dash, linewidth=1.8, marker=marker)


def _panels(titles: Mapping[str, str], words: tuple[str, str], keys: list[Line2D]) -> Figure:
    """Return a figure with a panel for each title, in its colour, and a legend below."""
    width = max(6.6, 0.8 + _PANEL * len(titles) + 0.3)
    columns = max(1, int(width / (0.6 + 0.066 * max(len(str(key.get_label())) for key in keys))))
    below = 0.75 + 0.19 * sum(str(key.get_label()).count("\n") + 1 for key in keys[::columns])
    height = 1.3 + 2.6 + below
    figure = canvas(width, height, *words, left=0.75, columns=len(titles))
    figure.subplots_adjust(bottom=below / height, top=1 - 1.3 / height, wspace=0.18)
    for axes, (title, colour) in zip(figure.axes, titles.items()):
        axes.set_title(title, loc="left", fontsize=10.5, color=colour, pad=8)
        axes.grid(color=FAINT, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
    figure.legend(handles=keys, loc="lower left", bbox_to_anchor=(0.12 / width, 0.0), ncols=columns, **LEGEND)
    return figure


def _keys(seeds: Mapping[str, int]) -> list[Line2D]:
    """Return a key for each arm with how many seeds it has."""
    return [
        Line2D([], [], color=colour, linestyle=dash, linewidth=1.8, label=textwrap.fill(f"{arm} (n = {n})", 48))
        for (arm, n), colour, dash in zip(seeds.items(), LINES, DASHES)
    ]
