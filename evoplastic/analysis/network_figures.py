"""The pictures of a network at work, from a recording: what is wired, what is learned, and how activity moves.

Dark blue is negative, light yellow positive, and grey 0, so that numbers are in order without colours too; units stand
in the order of their roles and, within hidden ones, of what they do: those whose rates go together stand together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage

from evoplastic.analysis.canvas import DPI, FAINT, INK, SOFT
from evoplastic.networks.roles import CLAMPED
from evoplastic.recordings import Recording

SIGNED = "cividis"  # dark blue, grey, light yellow
KINDS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#868D93")  # Okabe and Ito
DASHES = ((0, ()), (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))  # beside colour, for who cannot tell colours
MOST_KINDS = 8  # drawn each with a line of its own

Array = NDArray[np.float64]


def network_figures(recording: Recording) -> dict[str, Figure]:
    """Return the pictures of a recording by name; those of the first life, and of means over lives where it says so."""
    return {
        "weights": _weights(recording),
        "spectrum": _spectrum(recording),
        "activity": _activity(recording),
        "modulators": _modulators(recording),
        "trajectories": _trajectories(recording),
    }


def order(recording: Recording) -> NDArray[np.int64]:
    """Return the units (N,) by role, hidden ones by likeness: average linkage of 1 - correlation of their rates."""
    roles, rates = recording.labels["unit"], recording["rates"].values[0]
    hidden = np.flatnonzero(roles == "hidden")
    course = rates[:, :, hidden].astype(np.float64).reshape(rates.shape[0] * rates.shape[1], len(hidden))
    moving = np.flatnonzero(course.std(axis=0) > 1e-6)  # others are like none
    still = np.setdiff1d(np.arange(len(hidden)), moving)
    if len(moving) > 2:
        distance = 1.0 - np.corrcoef(course[:, moving].T)
        upper = np.clip(distance[np.triu_indices(len(moving), 1)], 0.0, None)
        moving = moving[leaves_list(linkage(upper, "average", optimal_ordering=True))]
    placed = np.arange(len(roles))
    placed[hidden] = hidden[np.concatenate([moving, still])]
    return placed


def effective(recording: Recording, life: int = 0) -> tuple[Array, Array]:
    """Return the weights (N, N) [pre, post] that a life is born with, and those at its last sample of weights.

    Weights onto clamped units are 0 here.
    """
    free = ~np.isin(recording.labels["unit"], CLAMPED)  # what reaches a clamped unit does nothing
    innate, gain = (recording[name].values[life].astype(np.float64) * free for name in ("innate", "gain"))
    return innate, innate + gain * recording["weights"].values[life, -1]


def _weights(recording: Recording) -> Figure:
    units = order(recording)
    about = f"Rows send, columns receive; n = {len(units)} units, {_first(recording)}. Weight: innate + gain x plastic."
    figure = _page(11.6, 4.6, "Weights", about)
    innate, learned = effective(recording)
    gain = recording["gain"].values[0].astype(np.float64) * ~np.isin(recording.labels["unit"], CLAMPED)
    last = int(recording.labels["sample"][-1]) + 1
    parts = {"innate": innate, "gain": gain, f"learned after {last} trials, gain x plastic": learned - innate}
    for axes, (title, matrix) in zip(_panels(figure, 1, 3), parts.items()):
        limit = float(np.abs(matrix).max()) or 1.0
        axes.imshow(matrix[np.ix_(units, units)], cmap=SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set_title(title, loc="left", fontsize=10.5, pad=8)
        _roles(axes, recording.labels["unit"].tolist())
        axes.set(xlabel="receiving unit", ylabel="sending unit" if title == "innate" else "")
        _bar(figure, axes, -limit, limit)
    return figure


def _spectrum(recording: Recording) -> Figure:
    lives = len(recording["weights"].values)
    about = f"Eigenvalues of the weights among free units, {lives} lives. Dashed: real part 1, where activity may grow."
    figure = _page(8.4, 4.4, "Spectrum of the weights", about)
    free = np.flatnonzero(~np.isin(recording.labels["unit"], CLAMPED))
    before, after = [], []
    for life in range(len(recording["innate"].values)):
        newborn, old = (matrix[np.ix_(free, free)] for matrix in effective(recording, life))
        before.append(np.linalg.eigvals(newborn))
        after.append(np.linalg.eigvals(old))
    values = [np.concatenate(each) for each in (before, after)]
    reach = 1.1 * max(1.0, *(float(np.abs(each).max()) for each in values))
    last = int(recording.labels["sample"][-1]) + 1
    for axes, each, title in zip(_panels(figure, 1, 2), values, ("newborn", f"after {last} trials")):
        axes.axvline(1.0, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))  # dx = -x + W' y, y with slope 1
        axes.plot(each.real, each.imag, "o", color=INK, markersize=2.2, alpha=0.6, markeredgewidth=0)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="real part")
        axes.set_title(title, loc="left", fontsize=10.5, pad=8)
        _grid(axes)
    figure.axes[0].set_ylabel("imaginary part")
    return figure


def _activity(recording: Recording) -> Figure:
    rates = recording["rates"].values.astype(np.float64)
    count = min(20, rates.shape[1])
    about = f"Mean rate over n = {len(rates)} lives, {count} trials of each. Free units, in the order of the weights."
    figure = _page(9.6, 5.2, "Activity within a trial", about)
    free = ~np.isin(recording.labels["unit"], CLAMPED)
    units = [unit for unit in order(recording) if free[unit]]
    trials = recording.labels["trial"]
    for axes, part in zip(_panels(figure, 1, 2), (slice(0, count), slice(-count, None))):
        shown = rates[:, part].mean(axis=(0, 1))[:, units].T
        axes.imshow(shown, cmap=SIGNED, vmin=-1, vmax=1, aspect="auto", extent=_extent(recording, len(units)))
        first, last = trials[part][[0, -1]]
        axes.set_title(f"trials {first} to {last}", loc="left", fontsize=10.5, pad=8)
        _feedback(axes, recording)
        axes.set(xlabel="time in the trial, ms", yticks=[])
    figure.axes[0].set_ylabel(f"{len(units)} units, outputs last")
    _bar(figure, figure.axes[1], -1, 1, "rate")
    return figure


def _modulators(recording: Recording) -> Figure:
    factors = recording["modulators"].values.astype(np.float64)
    lives, trials, _, channels = factors.shape
    about = f"Mean and middle half over {lives} lives, {trials} trials of each, by outcome of the trial; n is trials."
    figure = _page(9.6, 1.6 + 2.4 * channels, "Third factors", about)
    named = _halves(recording["scores"].select(score="correct").values[..., 0])
    edges = _edges(recording)
    for axes, channel in zip(_panels(figure, channels, 1), range(channels)):
        for (outcome, these), colour, dash in zip(named.items(), KINDS, DASHES):
            chosen = factors[..., channel][these]  # (trials, steps)
            if len(chosen):
                low, high = np.quantile(chosen, (0.25, 0.75), axis=0)
                low, mean, high = (np.append(each, each[-1]) for each in (low, chosen.mean(axis=0), high))
                axes.fill_between(edges, low, high, color=colour, alpha=0.2, linewidth=0, step="post")
                label = f"{outcome}, n = {len(chosen)}"
                axes.step(edges, mean, where="post", color=colour, linestyle=dash, label=label)
        axes.set_ylabel(f"third factor {recording.labels['channel'][channel]}")
        axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="upper left")
        _feedback(axes, recording)
        _grid(axes)
    figure.axes[-1].set_xlabel("time in the trial, ms")
    return figure


def _halves(scores: Array) -> dict[str, NDArray[np.bool_]]:
    """Return which trials (L, T) were right and which wrong, or those above and not above the median score."""
    if np.isin(scores, (0.0, 1.0)).all():
        return {"right": scores > 0.5, "wrong": scores <= 0.5}
    middle = float(np.median(scores))
    return {f"score above {middle:.2g}": scores > middle, "others": scores <= middle}


def _trajectories(recording: Recording) -> Figure:
    """Draw mean trajectories of types of trials on the first two principal components of free units' rates.

    Of many types the first MOST_KINDS are drawn, and the line about the picture says so.
    """
    free = ~np.isin(recording.labels["unit"], CLAMPED)
    rates, kinds = recording["rates"].values[0][..., free].astype(np.float64), recording["kinds"].values[0]
    count = max(1, min(100, len(rates) // 2))
    centred = rates.reshape(-1, rates.shape[2]) - rates.mean(axis=(0, 1))
    sizes, axes_of = np.linalg.eigh(centred.T @ centred)  # ascending; columns are components
    share = np.append(sizes[::-1], 0.0) / max(float(sizes.sum()), np.finfo(float).tiny)
    components = np.column_stack([axes_of[:, ::-1], np.zeros(len(sizes))])[:, :2]  # a second one where one unit is free
    every, shown = len(np.unique(kinds)), np.unique(kinds)[:MOST_KINDS]
    few = f" {len(shown)} of {every} types." if len(shown) < every else ""
    about = f"Mean over n trials of a type, principal components of all trials; {_first(recording)}.{few}"
    figure = _page(9.6, 5.7, "Activity by type of trial", about, below=1.35)
    for axes, part, title in zip(
        _panels(figure, 1, 2), (slice(0, count), slice(-count, None)), (f"first {count} trials", f"last {count} trials")
    ):
        for number, kind in enumerate(shown):
            chosen = rates[part][kinds[part] == kind]
            if not len(chosen):
                continue
            path = (chosen.mean(axis=0) - rates.mean(axis=(0, 1))) @ components
            look: dict[str, Any] = {"color": KINDS[number % len(KINDS)], "linestyle": DASHES[number % len(DASHES)]}
            axes.plot(path[:, 0], path[:, 1], linewidth=1.5, label=f"type {kind}, n = {len(chosen)}", **look)
            axes.plot(*path[0], "o", color=look["color"], markersize=5, markerfacecolor="white")
        axes.set_title(f"{title} (o: start)", loc="left", fontsize=10.5, pad=8)
        axes.set_xlabel(f"component 1, {share[0]:.0%} of the variance")
        if axes.lines:
            look = {"frameon": False, "fontsize": 8.0, "labelcolor": INK, "handlelength": 3.0}
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, **look)
        _grid(axes)
    figure.axes[0].set_ylabel(f"component 2, {share[1]:.0%} of the variance")
    _same_scale(figure.axes)
    return figure


def _page(width: float, height: float, title: str, about: str, below: float = 0.62) -> Figure:
    """Return a figure with a title and a line about it, and room for panels; lengths in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.text(0.2 / width, 1 - 0.42 / height, title, fontsize=14.0, fontweight="bold", color=INK)
    figure.text(0.2 / width, 1 - 0.69 / height, about, fontsize=9.0, color=SOFT)
    figure.subplots_adjust(0.85 / width, below / height, 1 - 0.55 / width, 1 - 1.2 / height, wspace=0.24, hspace=0.35)
    return figure


def _panels(figure: Figure, rows: int, columns: int) -> Iterable[Axes]:
    return figure.subplots(rows, columns, squeeze=False).ravel()


def _first(recording: Recording) -> str:
    return f"first of {len(recording['rates'].values)} lives"


def _roles(axes: Axes, roles: Sequence[str]) -> None:
    """Name along both axes what units are, and part them by lines."""
    groups = ["clamped" if role in CLAMPED else "hidden" if role == "hidden" else "output" for role in roles]
    starts = [place for place, group in enumerate(groups) if place == 0 or groups[place - 1] != group]
    places = [(start + end - 1) / 2 for start, end in zip(starts, [*starts[1:], len(roles)])]
    names = [groups[start] for start in starts]
    axes.set_xticks(places, names, fontsize=8.0)
    axes.set_yticks(places, names, fontsize=8.0, rotation=90, va="center")
    across, along = axes.get_xticklabels(), axes.get_yticklabels()
    if len(places) > 1:  # the ends' names away from the corner, where they would meet
        across[0].set_horizontalalignment("left")
        across[-1].set_horizontalalignment("right")
        along[0].set_verticalalignment("top")
        along[-1].set_verticalalignment("bottom")
    for start in starts[1:]:
        axes.axhline(start - 0.5, color=INK, linewidth=0.8)
        axes.axvline(start - 0.5, color=INK, linewidth=0.8)
    axes.tick_params(length=0)


def _bar(figure: Figure, axes: Axes, low: float, high: float, label: str = "") -> None:
    bar = figure.colorbar(ScalarMappable(Normalize(low, high), SIGNED), ax=axes, fraction=0.046, pad=0.03)
    bar.set_label(label, fontsize=9.0, color=SOFT)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8.0, length=0)


def _extent(recording: Recording, rows: int) -> tuple[float, float, float, float]:
    edges = _edges(recording)
    return float(edges[0]), float(edges[-1]), rows - 0.5, -0.5


def _edges(recording: Recording) -> Array:
    """Return when steps begin, and the last one ends, in ms."""
    time = recording.labels["step"].astype(np.float64)
    return np.append(time, time[-1] + (time[1] - time[0] if len(time) > 1 else 1.0))


def _feedback(axes: Axes, recording: Recording) -> None:
    """Mark the time at which feedback starts."""
    start = recording.labels["step"][recording.about["feedback_step"]]
    bright = [withStroke(linewidth=2.2, foreground="white")]  # so that it is seen on dark colours
    axes.axvline(start, color=INK, linewidth=0.9, linestyle=(0, (1, 2)), path_effects=bright)
    look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8.5, "color": SOFT, "ha": "center"}
    axes.annotate("feedback", (start, 1), (0, 3), xycoords=axes.get_xaxis_transform(), **look)


def _grid(axes: Axes) -> None:
    axes.grid(color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def _same_scale(panels: Iterable[Axes]) -> None:
    panels = list(panels)
    for name in ("xlim", "ylim"):
        ends = np.array([getattr(axes, f"get_{name}")() for axes in panels])
        for axes in panels:
            axes.set(**{name: (ends[:, 0].min(), ends[:, 1].max())})
