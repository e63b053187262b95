"""The picture of decoding over time: which steps' activity tells a label, in rows of when, in columns of what."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evoplastic.analysis.canvas import DPI, INK, SOFT
from evoplastic.analysis.decoding import Decoding

COLOURS = "cividis"  # from dark blue over grey to light yellow: in order without colours too
PANEL = 1.3  # inches
LEFT, RIGHT, TOP, BOTTOM = 0.9, 0.75, 1.75, 0.58  # inches around the panels


class Clock(NamedTuple):
    """Times in a trial, in ms."""

    bin: float  # of a row or column of a matrix
    feedback: float  # starts
    end: float


def decoding_figure(decodings: Mapping[str, Mapping[str, Decoding]], clock: Clock) -> Figure:
    """Draw accuracies [train, test] by row (such as early, late) and column (a label); an outline is where it is told.

    All panels have one scale of colours. A row's panel stays empty where it has no decoding of that label.
    """
    columns = list(dict.fromkeys(label for row in decodings.values() for label in row))
    width = LEFT + RIGHT + (PANEL + 0.12) * len(columns)
    height = TOP + BOTTOM + (PANEL + 0.12) * len(decodings)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.text(0.2 / width, 1 - 0.42 / height, "What activity tells", fontsize=14.0, fontweight="bold", color=INK)
    look: dict[str, Any] = {"fontsize": 9.0, "color": SOFT, "va": "top", "linespacing": 1.3}
    figure.text(0.2 / width, 1 - 0.55 / height, _about(decodings, clock), **look)
    panels = figure.subplots(len(decodings), len(columns), sharex=True, sharey=True, squeeze=False)
    figure.subplots_adjust(LEFT / width, BOTTOM / height, 1 - RIGHT / width, 1 - TOP / height, 0.08, 0.08)
    for axes_of_row, (row, by_label) in zip(panels, decodings.items()):
        for axes, label in zip(axes_of_row, columns):
            _draw(axes, by_label.get(label), clock)
        trials = ", ".join(sorted({f"n = {decoding.trials}" for decoding in by_label.values()}))
        axes_of_row[0].set_ylabel(f"{row}, {trials}\nfitted at, ms", fontsize=7.8)
    for axes, label in zip(panels[0], columns):
        axes.set_title(fill(label, 15), loc="left", fontsize=9.5, color=INK)
    for axes in panels[-1]:
        axes.set_xlabel("tested at, ms", fontsize=8.5)
    _scale(figure, width, height)
    return figure


def _draw(axes: Axes, decoding: Decoding | None, clock: Clock) -> None:
    axes.set(xlim=(0, clock.end), ylim=(0, clock.end), aspect="equal")
    axes.tick_params(length=0, labelsize=8.0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10], prune="upper"))
    if decoding is None:
        axes.text(0.5, 0.5, "nothing to tell", transform=axes.transAxes, ha="center", fontsize=8.0, color=SOFT)
        return
    bins = len(decoding.matrix)
    end = bins * clock.bin  # the last bin may reach beyond the trial
    # Chance in the middle of the colours: half of them for what is below, half for what is above.
    scaled = np.interp(decoding.matrix, (0.0, decoding.chance, 1.0), (0.0, 0.5, 1.0))
    axes.imshow(scaled, cmap=COLOURS, vmin=0, vmax=1, origin="lower", extent=(0, end, 0, end), interpolation="nearest")
    axes.set(xlim=(0, clock.end), ylim=(0, clock.end))
    if decoding.told is not None and decoding.told.any():
        middle = (np.arange(bins) + 0.5) * clock.bin
        axes.contour(middle, middle, decoding.told, levels=[0.5], colors=[INK], linewidths=0.8)
    for line in (axes.axhline, axes.axvline):
        line(clock.feedback, color="white", linewidth=0.9, linestyle=(0, (1, 2)))


def _about(decodings: Mapping[str, Mapping[str, Decoding]], clock: Clock) -> str:
    """Say what is drawn, and what the outlines and the dotted lines are."""
    permuted = [decoding.permutations for row in decodings.values() for decoding in row.values()]
    told = f"Outlined: above what {max(permuted)} orders of the labels reach anywhere (5 %).\n" if any(permuted) else ""
    return (
        f"Balanced accuracy of decoders by the time at which they were fitted and tested,\n"
        f"in bins of {clock.bin:g} ms; n is trials. {told}Dotted: feedback."
    )


def _scale(figure: Figure, width: float, height: float) -> None:
    """Draw what colours mean, as tall as two panels at most, beside the upper ones."""
    tall = min(2 * PANEL, height - TOP - BOTTOM)
    axes = figure.add_axes((1 - (RIGHT - 0.14) / width, 1 - (TOP + tall) / height, 0.14 / width, tall / height))
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), COLOURS), cax=axes)
    bar.set_ticks([0, 0.5, 1], labels=["0", "chance", "1"])
    bar.outline.set_visible(False)
    axes.tick_params(labelsize=8.0, length=0)
    axes.set_title("accuracy", loc="left", fontsize=8.0, color=SOFT)
