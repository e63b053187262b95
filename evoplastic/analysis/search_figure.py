"""The diagnostic page of a search: what the strategy did, generation by generation.

A panel for each question: how fitness is spread in the population, how far the center moves, how large the steps are,
what shape the search has. A number that a strategy logs and no panel knows is drawn among the last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evoplastic.analysis.canvas import COLOURS, DPI, FAINT, SOFT
from evoplastic.evolution import QUANTILES

PANELS = {  # title -> the strategy's diagnostics that it shows
    "Movement of the center": ("gradient_norm", "update_norm", "center_norm"),
    "Step sizes": ("sigma", "sigma_min", "sigma_mean", "sigma_max", "learning_rate"),
    "Shape of the search": (),  # and whatever else is logged
}
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

Array = NDArray[np.float64]


def search_figure(metrics: list[dict[str, Any]]) -> Figure:
    """Return the page of a run from its generations' records."""
    figure = Figure(figsize=(10.5, 7.2), dpi=DPI, facecolor="white")
    figure.text(0.02, 0.955, "How the search went", fontsize=14.0, fontweight="bold")
    figure.text(0.02, 0.925, "By generation, of the search distribution and its population.", fontsize=9.0, color=SOFT)
    panels = figure.subplots(2, 2, sharex=True, squeeze=False).ravel()
    figure.subplots_adjust(0.075, 0.075, 0.855, 0.87, wspace=0.62, hspace=0.24)
    generations = np.array([record["generation"] for record in metrics], np.float64)
    _fitness(panels[0], generations, [record["training"] for record in metrics])
    for axes, (title, names) in zip(panels[1:], _panels(metrics).items(), strict=True):
        _numbers(axes, title, generations, [record["strategy"] for record in metrics], names)
    for axes in panels[2:]:
        axes.set_xlabel("Generation")
    return figure


def _panels(metrics: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return each panel's numbers among those that were logged, all others in the last."""
    logged = list(dict.fromkeys(name for record in metrics for name in record["strategy"]))
    panels = {title: [name for name in names if name in logged] for title, names in PANELS.items()}
    known = {name for names in PANELS.values() for name in names}
    panels[list(PANELS)[-1]] += [name for name in logged if name not in known]
    return panels


def _fitness(axes: Axes, generations: Array, training: list[dict[str, Any]]) -> None:
    colour, name = COLOURS["training"], "fitness_quantiles"
    _frame(axes, "Fitness of the population")
    rows = np.array([record.get(name, [np.nan] * len(QUANTILES)) for record in training], np.float64)
    rows = rows.reshape(-1, len(QUANTILES))
    for low, high, alpha in ((0, 4, 0.15), (1, 3, 0.25)):
        axes.fill_between(generations, rows[:, low], rows[:, high], color=colour, alpha=alpha, linewidth=0)
    axes.plot(generations, rows[:, 2], color=colour, linewidth=1.6)
    best = np.array([record["fitness_best"] for record in training], np.float64)
    axes.plot(generations, best, color=SOFT, linewidth=0.8)
    ends = [(best, "best", SOFT), (rows[:, 2], "median", colour), (rows[:, 0], "10-90 %", colour)]
    _label(axes, [(values[-1], text, tone) for values, text, tone in ends if len(values)])


def _numbers(axes: Axes, title: str, generations: Array, strategy: list[dict[str, float]], names: list[str]) -> None:
    _frame(axes, title)
    values = {name: np.array([record.get(name, np.nan) for record in strategy], np.float64) for name in names}
    shown = np.concatenate([np.empty(0), *values.values()])
    finite = shown[np.isfinite(shown)]
    if finite.size and 0.0 <= 20.0 * finite.min() < finite.max():
        if finite.min() > 0.0:
            axes.set_yscale("log")
        elif finite.max() > 20.0:
            axes.set_yscale("symlog", linthresh=1.0)
    labels = []
    for (name, line), colour in zip(values.items(), LINES * (1 + len(values) // len(LINES)), strict=False):
        axes.plot(generations, line, color=colour, linewidth=1.4)
        if len(line) and np.isfinite(line[-1]):
            last = f"{line[-1]:,.0f}" if 1e3 <= abs(line[-1]) < 1e6 else f"{line[-1]:.3g}"
            labels.append((float(line[-1]), f"{name.replace('_', ' ')} {last}", colour))
    if not names:
        axes.text(0.5, 0.5, "the strategy logs none", transform=axes.transAxes, ha="center", color=SOFT)
        axes.set_yticks([])
    _label(axes, labels)


def _frame(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10.5, pad=8)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def _label(axes: Axes, labels: list[tuple[float, str, str]]) -> None:
    """Write (height, text, colour) to the right of the axes, whatever their scale, moved apart where they overlap."""
    axes.get_ylim()  # settles the scale, which the transform would not
    to_axes = axes.transData + axes.transAxes.inverted()
    placed = [(float(to_axes.transform((0.0, height))[1]), text, colour) for height, text, colour in labels]
    lowest = -np.inf
    for height, text, colour in sorted(placed):
        lowest = max(height, lowest + 0.075)
        axes.annotate(text, (1.02, lowest), xycoords="axes fraction", va="center", color=colour, fontsize=8.5)
