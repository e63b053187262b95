"""What all pictures share: paper and ink, the scales of a metric, and labels beside what they label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from evoplastic.analysis.evaluation import GENERATION_0
from evoplastic.analysis.statistics import share
from evoplastic.problems.contract import PLASTICITY_OFF

# Okabe and Ito's palette, which colour-blind readers can tell apart; ink and greys for everything else.
COLOURS = {
    "training": "#0072B2",
    "validation": "#CC79A7",
    "withheld": "#009E73",
    PLASTICITY_OFF: "#D55E00",
    GENERATION_0: "#868D93",
}
INK, SOFT, FAINT = "#22272B", "#5F676D", "#E3E6E8"
DPI = 200
_MARGIN = 0.01  # above the oracle, of its distance from chance
STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": 10.0,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "path",
    "svg.hashsalt": "evoplastic",
}

Array = NDArray[np.float64]


def canvas(
    width: float, height: float, title: str, about: str, left: float = 0.75, right: float = 0.3, columns: int = 1
) -> Figure:
    """Return a figure with a title, a line about it and `columns` axes side by side; lengths in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.text(0.2 / width, 1 - 0.42 / height, title, fontsize=14.0, fontweight="bold")
    figure.text(0.2 / width, 1 - 0.69 / height, about, fontsize=9.0, color=SOFT)
    figure.subplots(1, columns, sharey=True)
    figure.subplots_adjust(left / width, 0.6 / height, 1 - right / width, 1 - 1.2 / height, wspace=0.12)
    return figure


def frame(axes: Axes, facts: dict[str, Any], ylabel: str, xlabel: str, last: float) -> None:
    """Set the scales of the metric over time [0, last] and draw the line of chance."""
    chance, ends = facts["chance"], _limits(facts, axes.dataLim.y0, axes.dataLim.y1)
    axes.set(xlim=(-0.012 * last, 1.012 * last), ylim=ends, xlabel=xlabel, ylabel=ylabel)
    axes.axhline(chance, color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    if ylabel:
        _note(axes, (last, chance), facts["chance_is"], (0, -3), ha="right", va="top")
    _grid(axes, "y")


def frame_rows(axes: Axes, facts: dict[str, Any], heights: Array, names: Sequence[str], xlabel: str) -> None:
    """Set the scales of a row per name over the metric and draw the line of chance."""
    chance = facts["chance"]
    axes.set(xlim=_limits(facts, axes.dataLim.x0, axes.dataLim.x1), xlabel=xlabel)
    axes.set_ylim(heights.min() - 0.6, heights.max() + 0.6)
    axes.set_yticks(heights, names, color=INK)
    axes.spines["left"].set_visible(False)
    axes.axvline(chance, color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    _note(axes, (chance, heights.max() + 0.6), facts["chance_is"], (0, 3), ha="center", va="bottom")
    _grid(axes, "x")


def _limits(facts: dict[str, Any], lowest: float, highest: float) -> tuple[float, float]:
    """Return the ends of the metric's axis: below chance and above the oracle, further out where the data are.

    Where no trial exceeded the oracle there is nothing better, so an interval that reaches beyond is cut there.
    """
    chance, oracle = facts["chance"], facts["oracle"]
    scale = oracle - chance
    low = min(chance - 0.2 * scale, float(np.floor(lowest * 5 / scale)) * scale / 5)
    high = oracle + _MARGIN * scale
    return low, max(high, float(np.ceil(highest * 5 / scale)) * scale / 5) if facts["oracle_exceeded"] else high


def _grid(axes: Axes, axis: Literal["x", "y"]) -> None:
    scale = getattr(axes, f"{axis}axis")
    signed = axis == "x" and axes.get_xlim()[0] < -0.5  # signs take room
    scale.set_major_locator(MaxNLocator(8 if signed else 12, steps=[1, 2, 5, 10]))
    scale.set_major_formatter(lambda value, _: share(value))
    axes.grid(axis=axis, color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def line(axes: Axes, points: Sequence[tuple[float, float]], colour: str, **look: Any) -> None:
    axes.plot(*np.transpose(points), color=colour, **look)


def dot(axes: Axes, value: dict[str, Any], height: float, colour: str, marker: str, hollow: bool = False) -> None:
    """Draw a mean with its interval in a row."""
    line(axes, [(bound, height) for bound in bounds(value)], colour, linewidth=1.8)
    face = "white" if hollow else colour
    axes.plot(value["mean"], height, marker, color=colour, markerfacecolor=face, markersize=5.5)


def column(axes: Axes, inches: float, head: str, heights: Array, means: Sequence[float], colour: str) -> None:
    """Write means in a column to the right of the axes, centred `inches` from them."""
    look: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "color": colour, "fontsize": 9.0}
    across = axes.get_yaxis_transform()
    for height, mean in zip(heights, means):
        axes.annotate(share(mean), (1, height), (72 * inches, 0), xycoords=across, va="center", **look)
    axes.annotate(head, (1, heights.max() + 0.6), (72 * inches, 3), xycoords=across, va="bottom", **look)


def mark(axes: Axes, facts: dict[str, Any], trial: int, text: str, offset: float) -> None:
    """Mark a trial with a vertical line and, at the top of the framed axes, a text beside it."""
    height = axes.get_ylim()[1] - _MARGIN * (facts["oracle"] - facts["chance"])
    axes.axvline(trial, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    _note(axes, (trial, height), text, (offset, -2), ha="left" if offset > 0 else "right", va="top")


def _note(axes: Axes, place: tuple[float, float], text: str, offset: tuple[float, float], **look: Any) -> None:
    axes.annotate(text, place, offset, textcoords="offset points", fontsize=8.5, color=SOFT, **look)


def label_ends(axes: Axes, labels: Iterable[tuple[float, str, str]]) -> None:
    """Write (height, text, colour) to the right of the axes, moved apart where they would overlap."""
    apart = 0.06 * (axes.get_ylim()[1] - axes.get_ylim()[0])
    lowest = -np.inf
    for height, text, colour in sorted(labels):
        lowest = max(height, lowest + apart)
        axes.annotate(text, (1.02, lowest), xycoords=axes.get_yaxis_transform(), va="center", color=colour)


def bounds(value: dict[str, Any]) -> list[float]:
    return [] if value["low"] is None else [value["low"], value["high"]]
