"""The picture of decoding over time: which steps' activity tells a label, in rows of when, in columns of what."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from evoplastic.analysis.canvas import DPI, INK, SOFT
from evoplastic.analysis.decoding import Decoding

COLOURS = "RdBu_r"


def decoding_figure(decodings: Mapping[str, Mapping[str, Decoding]], step_ms: float, feedback_step: int) -> Figure:
    """Draw accuracies [train, test] by row (such as early, late) and column (a label); an outline is where it is told.

    Rows must have the same columns; a step lasts `step_ms`, and feedback starts at `feedback_step`.
    """
    columns = list(next(iter(decodings.values())))
    height, width = 1.55 + 2.5 * len(decodings), 1.6 + 2.5 * len(columns)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.text(0.2 / width, 1 - 0.42 / height, "What activity tells", fontsize=14.0, fontweight="bold", color=INK)
    about = "Balanced accuracy of decoders, by the time at which they were fitted and tested.\n" + _outline(decodings)
    figure.text(0.2 / width, 1 - 0.86 / height, about, fontsize=9.0, color=SOFT)
    panels = figure.subplots(len(decodings), len(columns), sharex=True, sharey=True, squeeze=False)
    figure.subplots_adjust(0.95 / width, 0.55 / height, 1 - 0.75 / width, 1 - 1.3 / height, wspace=0.08, hspace=0.2)
    for axes_of_row, (row, by_label) in zip(panels, decodings.items()):
        for axes, label in zip(axes_of_row, columns):
            _draw(axes, by_label[label], step_ms, feedback_step)
            axes.set_title(f"{label}, n = {by_label[label].trials}", loc="left", fontsize=9.0, color=INK)
        axes_of_row[0].set_ylabel(f"{row}\nfitted at, ms")
    for axes in panels[-1]:
        axes.set_xlabel("tested at, ms")
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), COLOURS), ax=panels.ravel().tolist(), fraction=0.03, pad=0.02)
    bar.set_ticks([0, 0.5, 1], labels=["0", "chance", "1"])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8.0, length=0)
    return figure


def _draw(axes: Axes, decoding: Decoding, step_ms: float, feedback_step: int) -> None:
    steps = len(decoding.matrix)
    end = steps * step_ms
    # Chance in the middle of the colours: half of them for what is below, half for what is above.
    scaled = np.interp(decoding.matrix, (0.0, decoding.chance, 1.0), (0.0, 0.5, 1.0))
    axes.imshow(scaled, cmap=COLOURS, vmin=0, vmax=1, origin="lower", extent=(0, end, 0, end), interpolation="nearest")
    if decoding.told is not None and decoding.told.any():
        middle = (np.arange(steps) + 0.5) * step_ms
        axes.contour(middle, middle, decoding.told, levels=[0.5], colors=[INK], linewidths=0.7)
    for line in (axes.axhline, axes.axvline):
        line(feedback_step * step_ms, color=INK, linewidth=0.7, linestyle=(0, (1, 2)))
    axes.tick_params(length=0, labelsize=8.0)


def _outline(decodings: Mapping[str, Mapping[str, Decoding]]) -> str:
    """Say what the outlines and the dotted lines are."""
    permuted = [decoding.permutations for row in decodings.values() for decoding in row.values()]
    if not min(permuted, default=0):
        return "Dotted: feedback."
    return f"Outlined: above what {min(permuted)} permutations of the labels reach anywhere (5 %). Dotted: feedback."
