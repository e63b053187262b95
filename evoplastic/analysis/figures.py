"""The pictures of a run: how evolution went, how evolved networks learn, what they need, which tasks they can do.

Colour says what is scored: blue training tasks, green withheld tasks, red plasticity off, grey generation 0 and chance.
A title claims only what the interval of a paired difference shows; else it says what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from evoplastic.analysis.evaluation import ACTIVITY_ALONE, EVOLVED, GENERATION_0, PLASTICITY_OFF
from evoplastic.analysis.statistics import FEWEST_UNITS, interval, paired, share
from evoplastic.errors import writing

# Okabe and Ito's palette, which colour-blind readers can tell apart; ink and greys for everything else.
COLOURS = {"training": "#0072B2", "withheld": "#009E73", PLASTICITY_OFF: "#D55E00", GENERATION_0: "#868D93"}
INK, SOFT, FAINT = "#22272B", "#5F676D", "#E3E6E8"
PARTS = {"training": "training tasks", "withheld": "withheld tasks"}
MARKERS = {"training": "o", "withheld": "D"}
BIN = 20  # trials
MOST_TASKS = 40  # in one picture
DPI = 200
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


def run_figures(
    folder: Path, metrics: list[dict[str, Any]], result: dict[str, Any], curves: dict[str, Any]
) -> list[Path]:
    """Draw a run into `folder`, each picture as PNG and SVG, and return the files.

    `metrics` are the generations' records, `result` an `evaluate` object, `curves` what `learning_curves` returns.
    Equal arguments give equal files. UserError if the folder cannot be written.
    """
    with style.context(["default", STYLE]):
        pictures = {
            "progress": _progress(metrics, result),
            "learning": _learning(curves),
            "conditions": _conditions(result),
            "tasks": _tasks(result),
        }
        return [path for name, figure in pictures.items() for path in _save(figure, folder, name)]


def _progress(metrics: list[dict[str, Any]], result: dict[str, Any]) -> Figure:
    """Accuracy by generation: of the population while it evolves, of its center on fresh lives."""
    gain, evolved = result["gain_over_generation_0"], result["conditions"][EVOLVED]
    learns = any(_positive(gain[part]) for part in PARTS)
    title = "Evolution finds networks that learn" if learns else "Accuracy over generations"
    about = f"Faint: the population. Points: its center on fresh lives; at the end {_replication(result)}."
    figure = _canvas(7.4, 4.5, title, about, right=1.8)
    axes, labels, now = figure.axes[0], [], result["generation"]
    population = [(record["generation"], record["training"][result["metric"]]) for record in metrics]
    _line(axes, population, COLOURS["training"], linewidth=1.0, alpha=0.35)
    for part, name in PARTS.items():
        validated = [(record["generation"], record["validation"]) for record in metrics if record["validation"]]
        points = [(generation, scores[part]) for generation, scores in validated if scores[part] is not None]
        if evolved[part]:
            _line(axes, [(now, bound) for bound in _bounds(evolved[part])], COLOURS[part], linewidth=1.8)
            points.append((now, evolved[part]["mean"]))
            labels.append((evolved[part]["mean"], f"{name} {share(evolved[part]['mean'])}", COLOURS[part]))
        _line(axes, points, COLOURS[part], linewidth=1.8, marker=MARKERS[part], markersize=4.5)
    _frame(axes, result["chance"], "Accuracy", "Generation", max([now, 1, *(place for place, _ in population)]))
    _label_ends(axes, labels)
    return figure


def _learning(curves: dict[str, Any]) -> Figure:
    """Accuracy by trial within a life, of evolved networks, generation 0 and plasticity off."""
    conditions, lives, trials = curves["conditions"], curves["lives"], curves["trials"]
    parts = [part for part in PARTS if conditions[EVOLVED][part] is not None]
    title = "Evolved networks learn within a lifetime" if _learned(curves, parts[0]) else "Accuracy within a lifetime"
    bands = "; bands are 95 % intervals" if lives >= FEWEST_UNITS else ""
    about = f"Mean over tasks and {lives} lives, in bins of {_bin(trials)} trials{bands}."
    figure = _canvas(2.95 * len(parts) + 2.15, 4.4, title, about, right=1.4, columns=len(parts))
    for axes, part in zip(figure.axes, parts):
        labels = []
        for name in (GENERATION_0, PLASTICITY_OFF, EVOLVED):
            colour = COLOURS[part if name == EVOLVED else name]
            points = _draw_course(axes, conditions[name][part], colour)
            labels.append((points[-1][1], name.replace("_", " "), colour))
        axes.set_title(PARTS[part].capitalize(), loc="left", fontsize=10.5, color=COLOURS[part], pad=8)
        _frame(axes, curves["chance"], "Accuracy" if part == parts[0] else "", "Trial", trials)
        _mark(axes, curves["burn_in_trials"], trials, "plasticity starts", 4)
        _mark(axes, trials - curves["quiet_trials"], trials, "noise off", -4)
        if part == parts[-1]:
            _label_ends(axes, labels)
        else:
            axes.annotate("evolved", points[len(points) // 2], (6, -20), textcoords="offset points", color=colour)
    return figure


def _conditions(result: dict[str, Any]) -> Figure:
    """Accuracy under every condition, on training and on withheld tasks."""
    conditions = result["conditions"]
    parts = [part for part in PARTS if conditions[EVOLVED][part]]
    title = "Learning needs plasticity" if _needs_plasticity(result, parts) else "What each condition scores"
    about = f"Accuracy over the last {result['trials_scored']} trials, {_replication(result)}."
    height, right = 2.05 + 0.33 * len(conditions), 0.45 + 0.8 * len(parts)
    figure = _canvas(7.4, height, title, about, left=1.65, right=right)
    # Lesions stand a little apart, below.
    axes, heights = figure.axes[0], np.array([-row - 0.4 * (row > 1) for row in range(len(conditions))])
    for place, part in enumerate(parts):
        shifts = heights + (0.13 - 0.26 * place if len(parts) > 1 else 0.0)
        for height, condition in zip(shifts, conditions.values()):
            _dot(axes, condition[part], height, COLOURS[part], MARKERS[part])
        means = [condition[part]["mean"] for condition in conditions.values()]
        _column(axes, 0.45 + 0.8 * place, PARTS[part].replace(" ", "\n"), heights, means, COLOURS[part])
    _frame_rows(axes, heights, [name.replace("_", " ") for name in conditions], result["chance"])
    return figure


def _tasks(result: dict[str, Any]) -> Figure:
    """Accuracy on each task, from generation 0 to the evolved genome; the lowest ones if there are many."""
    before, after = (result["conditions"][name]["tasks"] for name in (GENERATION_0, EVOLVED))
    held = [task for pair in result["conditions"][EVOLVED]["withheld_pairs"] for task in pair["tasks"]]
    better = sum(_positive(gain) for gain in result["gain_over_generation_0"]["tasks"].values())
    shown = sorted(after, key=lambda task: after[task]["mean"])[:MOST_TASKS][::-1]
    ordered = [task for task in shown if task not in held] + [task for task in shown if task in held]
    title = f"Better than generation 0 on {better} of {len(after)} tasks" if better else "From generation 0 to evolved"
    green = "; green tasks were withheld" if held else ""
    about = f"Accuracy over the last {result['trials_scored']} trials, {_replication(result)}{green}."
    figure = _canvas(7.4, 1.95 + 0.29 * len(ordered), title, about, left=1.65, right=2.05)
    # Withheld tasks stand a little apart, below.
    axes, heights = figure.axes[0], np.array([-row - 0.5 * (task in held) for row, task in enumerate(ordered)])
    colours = [COLOURS["withheld" if task in held else "training"] for task in ordered]
    for task, height, colour in zip(ordered, heights, colours):
        ends = [(scores[task]["mean"], height) for scores in (before, after)]
        _line(axes, ends, COLOURS[GENERATION_0], linewidth=1.0, alpha=0.6)
        _dot(axes, before[task] | {"low": None}, height, COLOURS[GENERATION_0], "o", hollow=True)
        _dot(axes, after[task], height, colour, "o")
    _column(axes, 0.6, "generation 0", heights, [before[task]["mean"] for task in ordered], COLOURS[GENERATION_0])
    _column(axes, 1.5, "evolved", heights, [after[task]["mean"] for task in ordered], INK)
    _frame_rows(axes, heights, ordered, result["chance"])
    return figure


def _canvas(
    width: float, height: float, title: str, about: str, left: float = 0.75, right: float = 0.3, columns: int = 1
) -> Figure:
    """Return a figure with a title, a line about it and `columns` axes side by side; lengths in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.text(0.2 / width, 1 - 0.42 / height, title, fontsize=14.0, fontweight="bold")
    figure.text(0.2 / width, 1 - 0.69 / height, about, fontsize=9.0, color=SOFT)
    figure.subplots(1, columns, sharey=True)
    figure.subplots_adjust(left / width, 0.6 / height, 1 - right / width, 1 - 1.2 / height, wspace=0.12)
    return figure


def _frame(axes: Axes, chance: float, ylabel: str, xlabel: str, last: float) -> None:
    """Set the scales of accuracy over time [0, last] and draw the line of chance."""
    lowest = min(0.4, float(np.floor(axes.dataLim.y0 * 10)) / 10)
    axes.set(xlim=(-0.012 * last, 1.012 * last), ylim=(lowest, 1.005), xlabel=xlabel, ylabel=ylabel)
    axes.axhline(chance, color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    if ylabel:
        _note(axes, (last, chance), "chance", (0, -3), ha="right", va="top")
    _grid(axes, "y")


def _frame_rows(axes: Axes, heights: Array, names: Sequence[str], chance: float) -> None:
    """Set the scales of a row per name over accuracy and draw the line of chance."""
    axes.set(xlim=(min(0.4, float(np.floor(axes.dataLim.x0 * 10)) / 10), 1.005), xlabel="Accuracy")
    axes.set_ylim(heights.min() - 0.6, heights.max() + 0.6)
    axes.set_yticks(heights, names, color=INK)
    axes.spines["left"].set_visible(False)
    axes.axvline(chance, color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    _note(axes, (chance, heights.max() + 0.6), "chance", (0, 3), ha="center", va="bottom")
    _grid(axes, "x")


def _grid(axes: Axes, axis: Literal["x", "y"]) -> None:
    scale = getattr(axes, f"{axis}axis")
    scale.set_major_locator(MultipleLocator(0.1))
    scale.set_major_formatter(lambda value, _: share(value))
    axes.grid(axis=axis, color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def _line(axes: Axes, points: Sequence[tuple[float, float]], colour: str, **look: Any) -> None:
    axes.plot(*np.transpose(points), color=colour, **look)


def _dot(axes: Axes, value: dict[str, Any], height: float, colour: str, marker: str, hollow: bool = False) -> None:
    """Draw a mean with its interval in a row."""
    _line(axes, [(bound, height) for bound in _bounds(value)], colour, linewidth=1.8)
    face = "white" if hollow else colour
    axes.plot(value["mean"], height, marker, color=colour, markerfacecolor=face, markersize=5.5)


def _column(axes: Axes, inches: float, head: str, heights: Array, means: Sequence[float], colour: str) -> None:
    """Write means in a column to the right of the axes, centred `inches` from them."""
    look: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "color": colour, "fontsize": 9.0}
    across = axes.get_yaxis_transform()
    for height, mean in zip(heights, means):
        axes.annotate(share(mean), (1, height), (72 * inches, 0), xycoords=across, va="center", **look)
    axes.annotate(head, (1, heights.max() + 0.6), (72 * inches, 3), xycoords=across, va="bottom", **look)


def _mark(axes: Axes, trial: int, trials: int, text: str, offset: float) -> None:
    """Mark a trial inside the life with a vertical line and a text beside it."""
    if 0 < trial < trials:
        axes.axvline(trial, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
        _note(axes, (trial, 1.0), text, (offset, -2), ha="left" if offset > 0 else "right", va="top")


def _note(axes: Axes, place: tuple[float, float], text: str, offset: tuple[float, float], **look: Any) -> None:
    axes.annotate(text, place, offset, textcoords="offset points", fontsize=8.5, color=SOFT, **look)


def _label_ends(axes: Axes, labels: Iterable[tuple[float, str, str]]) -> None:
    """Write (height, text, colour) to the right of the axes, moved apart where they would overlap."""
    line = 0.06 * (axes.get_ylim()[1] - axes.get_ylim()[0])
    lowest = -np.inf
    for height, text, colour in sorted(labels):
        lowest = max(height, lowest + line)
        axes.annotate(text, (1.02, lowest), xycoords=axes.get_yaxis_transform(), va="center", color=colour)


def _draw_course(axes: Axes, course: Array, colour: str) -> list[tuple[float, float]]:
    """Draw accuracy (lives, trials) by bins of trials and return the points of its line."""
    width = _bin(course.shape[1])
    starts = np.arange(0, course.shape[1] - width + 1, width)
    bins = [interval(course[:, start : start + width].mean(axis=1)) for start in starts]
    middles = starts + width / 2
    points = [(float(middle), value.mean) for middle, value in zip(middles, bins)]
    if len(course) >= FEWEST_UNITS:
        bounds = np.array([(value.low, value.high) for value in bins], np.float64)
        axes.fill_between(middles, *bounds.T, color=colour, alpha=0.18, linewidth=0)
    _line(axes, points, colour, linewidth=2.0)
    return points


def _learned(curves: dict[str, Any], part: str) -> bool:
    """Return whether evolved networks end better than they began and than generation 0 ends, by intervals."""
    evolved, null = (curves["conditions"][name][part] for name in (EVOLVED, GENERATION_0))
    begin = evolved[:, : _bin(curves["trials"])].mean(axis=1)
    end, null_end = (course[:, -curves["trials_scored"] :].mean(axis=1) for course in (evolved, null))
    return all(_positive(paired(end, other).to_json()) for other in (begin, null_end))


def _needs_plasticity(result: dict[str, Any], parts: Iterable[str]) -> bool:
    """Return whether plasticity off loses accuracy, by interval, and leaves no more than a lean."""
    lesioned, lost = (result[table].get(PLASTICITY_OFF) for table in ("conditions", "lost_by_lesion"))
    return bool(lost) and all(_positive(lost[part]) and lesioned[part]["mean"] <= ACTIVITY_ALONE for part in parts)


def _bin(trials: int) -> int:
    return min(BIN, max(1, trials // 5))


def _bounds(value: dict[str, Any]) -> list[float]:
    return [] if value["low"] is None else [value["low"], value["high"]]


def _positive(difference: dict[str, Any] | None) -> bool:
    return difference is not None and (difference["low"] or 0.0) > 0.0


def _replication(result: dict[str, Any]) -> str:
    lives = f"{result['lives']} lives per task"
    return f"95 % intervals over {lives}" if result["lives"] >= FEWEST_UNITS else f"means of {lives}"


def _save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write the figure without anything that changes from one time to the next."""
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    for path, metadata in zip(paths, ({"Software": None}, {"Date": None})):
        with writing(path):
            figure.savefig(path, metadata=metadata)
    return paths
