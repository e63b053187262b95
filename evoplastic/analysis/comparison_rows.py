"""Comparisons in rows: what each arm reaches, what it gains and loses, how paired seeds differ.

Every seed is a dot. A diamond is the mean over seeds, a bar beside it the interquartile mean, a line through it the
95 % interval of the mean, which is drawn from ten seeds on. Columns are the parts of the tasks.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from evoplastic.analysis.canvas import COLOURS, FAINT, INK, SOFT, canvas, line
from evoplastic.analysis.comparison_table import bounds_of
from evoplastic.analysis.evaluation import EVOLVED, GENERATION_0
from evoplastic.analysis.figures import MARKERS
from evoplastic.analysis.statistics import FEWEST_UNITS, share

LEGEND: dict[str, Any] = {
    "frameon": False,
    "fontsize": 8.5,
    "labelcolor": SOFT,
    "handlelength": 2.4,
    "columnspacing": 1.6,
}
LETTERS = 36  # of a label in a line
_BOUNDS: dict[str, Any] = {"chance": (0, (4, 3)), "random_policy": (0, (1, 2)), "oracle": "-"}  # and their dashes
_PANEL = 2.75  # inches
_SPREAD = 0.22  # of the dots of a row, up and down

Array = NDArray[np.float64]


class Paired(NamedTuple):
    """A row of differences, one for each seed."""

    label: str
    summary: Mapping[str, Any] | None  # None: a heading


def reached(arms: Sequence[Mapping[str, Any]], parts: Sequence[str], metric: str) -> Figure:
    """The metric of every seed of each arm beside its generation 0, and lines at chance and the oracle."""
    folds = len({tuple(arm["withheld"]) for arm in arms}) > 1
    labels = [_arm_label(arm, folds) for arm in arms]
    heights: Array = -np.arange(len(arms), dtype=np.float64)
    keys = [
        _key("seed, evolved", "o"),
        _key("seed, generation 0", "o", COLOURS[GENERATION_0], hollow=True),
        *_summaries(arms),
    ]
    known = {name: bounds_of(arms, name) for name in _BOUNDS}
    for name, bounds in known.items():
        if bounds:
            label = next(iter(bounds)) if len(bounds) == 1 else name.replace("_", " ")
            keys.append(Line2D([], [], color=SOFT, linewidth=1.0, linestyle=_BOUNDS[name], label=label))
    about = f"{metric.capitalize()}; a seed is one run, scored over its lives on all tasks of the part."
    figure = _panels(labels, heights, parts, ("What each arm reaches", about), keys, inches=0.86)
    for axes, part in zip(figure.axes, parts):
        for height, arm in zip(heights, arms):
            _draw_arm(axes, arm, part, height, [name for name in _BOUNDS if known[name]])
        axes.set_xlabel(metric.capitalize())
    _scales(figure.axes)
    return figure


def paired_rows(rows: Sequence[Paired], parts: Sequence[str], title: str, about: str, xlabel: str) -> Figure:
    """Differences of every seed around 0, a row for each quantity under the headings."""
    steps = [1.0 if row.summary else 1.3 for row in rows]
    heights: Array = np.array([-sum(steps[: place + 1]) for place in range(len(rows))], np.float64)
    summaries = [row.summary for row in rows if row.summary]
    keys = [_key("seed", "o"), *_summaries(summaries, iqm=False)]
    figure = _panels([row.label for row in rows], heights, parts, (title, about), keys, inches=0.42)
    for axes, part in zip(figure.axes, parts):
        axes.axvline(0.0, color=SOFT, linewidth=1.0, zorder=1)
        for height, row in zip(heights, rows):
            if row.summary and row.summary[part]:
                _draw_seeds(axes, row.summary["by_seed"][part], height, part)
                _draw_mean(axes, row.summary[part], height)
        axes.set_xlabel(xlabel)
    for label, row in zip(figure.axes[0].get_yticklabels(), rows):
        label.set_fontweight("normal" if row.summary else "bold")
    _scales(figure.axes)
    return figure


def joined(
    differences: Sequence[Mapping[str, Any]], arms: Mapping[str, Any], parts: Sequence[str], metric: str
) -> Figure:
    """Two arms above each other for every difference, the dots of a seed joined."""
    labels = [_wrapped(name) for row in differences for name in (row["minus"], row["arm"])]
    heights = np.array([-2.6 * pair - place for pair in range(len(differences)) for place in (0, 1)])
    keys = [_key("seed, upper arm", "o", hollow=True), _key("the same seed, lower arm", "o"), _key("mean", "D")]
    about = f"{metric.capitalize()} of the evolved genome; a line joins what one seed came to in both arms."
    figure = _panels(labels, heights, parts, ("The same seeds in two arms", about), keys, inches=0.5)
    for axes, part in zip(figure.axes, parts):
        for row, (first, second) in zip(differences, heights.reshape(-1, 2)):
            ends = [_of_seeds(arms[row[key]], part, row["seeds"]) for key in ("minus", "arm")]
            for one, other in zip(*ends):
                line(axes, [(one, first), (other, second)], COLOURS[part], linewidth=0.9, alpha=0.55)
            for values, height, face in zip(ends, (first, second), ("white", COLOURS[part])):
                axes.plot(
                    values,
                    [height] * len(values),
                    MARKERS[part],
                    color=COLOURS[part],
                    markerfacecolor=face,
                    markersize=5,
                )
                if len(values):
                    axes.plot(np.mean(values), height, "D", color=INK, markersize=5.5, zorder=4)
        axes.set_xlabel(metric.capitalize())
    _scales(figure.axes)
    return figure


def _draw_arm(axes: Axes, arm: Mapping[str, Any], part: str, height: float, bounds: Iterable[str]) -> None:
    """Draw generation 0 below, the seeds in the middle, and what they come to above."""
    evolved, null = arm["conditions"][EVOLVED], arm["conditions"][GENERATION_0]
    if evolved[part] is None:
        return
    for name in bounds:
        if arm[name] is not None:
            ends = [(arm[name], height - 0.5), (arm[name], height + 0.5)]
            line(axes, ends, SOFT, linewidth=1.0, linestyle=_BOUNDS[name], zorder=1)
    if null[part]:
        colour = COLOURS[GENERATION_0]
        axes.plot(
            _numbers(null["by_seed"][part]), [height - 0.3] * len(null["seeds"]), "o", color=colour, mfc="none", ms=4.5
        )
    _draw_seeds(axes, evolved["by_seed"][part], height, part)
    _draw_mean(axes, evolved[part], height + 0.3)
    if evolved["iqm"][part]["mean"] is not None and len(evolved["seeds"]) > 1:
        iqm = evolved["iqm"][part]["mean"]
        line(axes, [(iqm, height + 0.19), (iqm, height + 0.41)], INK, linewidth=2.4)


def _draw_seeds(axes: Axes, values: Sequence[float | None], height: float, part: str) -> None:
    """Draw a dot for each seed, moved up or down by its place so that equal ones are told apart."""
    places = (np.arange(len(values)) * 0.618 + 0.5) % 1.0 - 0.5 if len(values) > 1 else np.zeros(1)
    spread = _SPREAD * min(1.0, len(values) / 10)
    axes.plot(
        _numbers(values), height + spread * places, MARKERS[part], color=COLOURS[part], markersize=5, alpha=0.75, mew=0
    )


def _draw_mean(axes: Axes, value: Mapping[str, Any], height: float) -> None:
    if value["mean"] is None or value["n"] == 1:
        return
    if value["low"] is not None:
        line(axes, [(value["low"], height), (value["high"], height)], INK, linewidth=1.6)
    axes.plot(value["mean"], height, "D", color=INK, markerfacecolor="white", markersize=5, zorder=4)


def _panels(
    labels: Sequence[str],
    heights: Array,
    parts: Sequence[str],
    words: tuple[str, str],
    keys: list[Line2D],
    inches: float,
) -> Figure:
    """Return a figure with a panel for each part over labelled rows, `inches` apart, and a legend below."""
    longest = max(len(text) for label in labels for text in label.split("\n"))
    left, span = 0.4 + 0.082 * longest, inches * (np.ptp(heights) + 1.2)
    columns = max(2, round((left + _PANEL * len(parts)) / 1.9))
    below = 0.62 + 0.24 * -(-len(keys) // columns)
    width, height = left + _PANEL * len(parts) + 0.3, 1.25 + span + below
    figure = canvas(max(width, 6.6), height, *words, left=left, columns=len(parts))
    figure.subplots_adjust(bottom=below / height, top=1 - 1.25 / height, wspace=0.16)
    for axes, part in zip(figure.axes, parts):
        axes.set_title(f"{part.capitalize()} tasks", loc="left", fontsize=10.5, color=COLOURS[part], pad=8)
        axes.set_ylim(heights.min() - 0.6, heights.max() + 0.6)
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
        axes.grid(axis="x", color=FAINT, linewidth=0.7)
        axes.set_axisbelow(True)
    figure.axes[0].set_yticks(heights, labels, color=INK)
    figure.legend(handles=keys, loc="lower left", bbox_to_anchor=(0.12 / width, 0.0), ncols=columns, **LEGEND)
    return figure


def _scales(panels: Sequence[Axes]) -> None:
    """Give all panels one scale, which holds everything that is drawn."""
    drawn = [axes.dataLim for axes in panels if np.isfinite([axes.dataLim.x0, axes.dataLim.x1]).all()]
    low, high = (min(box.x0 for box in drawn), max(box.x1 for box in drawn)) if drawn else (0.0, 1.0)
    margin = 0.04 * (high - low or 1.0)
    for axes in panels:
        axes.set_xlim(low - margin, high + margin)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(lambda value, _: share(value))


def _summaries(of: Sequence[Mapping[str, Any]], iqm: bool = True) -> list[Line2D]:
    """Return the keys of what several seeds come to; that of the interval only where one is drawn."""
    most = max(len(each["seeds"]) for each in of)
    if most == 1:
        return []
    keys = [_key("mean", "D", INK, hollow=True)]
    if iqm:
        look: dict[str, Any] = {"marker": "|", "linestyle": "", "markeredgewidth": 2.4, "markersize": 9}
        keys.append(Line2D([], [], color=INK, label="IQM", **look))
    if most >= FEWEST_UNITS:
        keys.append(Line2D([], [], color=INK, linewidth=1.6, label="95 % interval of the mean"))
    return keys


def _key(label: str, marker: str, colour: str = INK, hollow: bool = False) -> Line2D:
    face = "white" if hollow else colour
    return Line2D([], [], color=colour, marker=marker, markerfacecolor=face, linestyle="", markersize=5, label=label)


def _arm_label(arm: Mapping[str, Any], folds: bool) -> str:
    seeds = f"n = {len(arm['seeds'])} seed{'s' * (len(arm['seeds']) > 1)}"
    held = ", ".join(arm["withheld"][:3]) + (" ..." if len(arm["withheld"]) > 3 else "")
    fold = f"\nwithheld: {_wrapped(held or 'nothing')}" if folds else ""
    return f"{_wrapped(arm['arm'])}{fold}\n{seeds}"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, LETTERS)


def _of_seeds(arm: Mapping[str, Any], part: str, seeds: Sequence[int]) -> Array:
    evolved = arm["conditions"][EVOLVED]
    values = _numbers(evolved["by_seed"][part] or [])
    return values[[evolved["seeds"].index(seed) for seed in seeds]] if len(values) else values


def _numbers(values: Iterable[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values], np.float64)
