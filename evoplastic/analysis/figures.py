"""The pictures of a run: how evolution went, how evolved networks learn, what they need, which tasks they can do.

Colour says what is scored: blue training tasks, purple validation tasks, green withheld tasks, red plasticity off,
grey generation 0 and chance.
A title claims only what the interval of a paired difference shows; else it says what is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from evoplastic.analysis.canvas import (
    COLOURS,
    INK,
    STYLE,
    bounds,
    canvas,
    column,
    dot,
    frame,
    frame_rows,
    label_ends,
    line,
    mark,
)
from evoplastic.analysis.evaluation import EVOLVED, GENERATION_0, activity_alone, in_words
from evoplastic.analysis.search_figure import search_figure
from evoplastic.analysis.statistics import FEWEST_UNITS, interval, paired, share
from evoplastic.files import write_together
from evoplastic.problems.contract import PLASTICITY_OFF

PARTS = {"training": "training tasks", "validation": "validation tasks", "withheld": "withheld tasks"}
MARKERS = {"training": "o", "validation": "s", "withheld": "D"}
BIN = 20  # trials
MOST_TASKS = 40  # in one picture

Array = NDArray[np.float64]


def run_figures(
    folder: Path, metrics: list[dict[str, Any]], result: dict[str, Any], curves: dict[str, Any]
) -> list[Path]:
    """Draw a run into `folder`, each picture as PNG and SVG, and return the files.

    `metrics` are the generations' records, `result` and `curves` an `Evaluated`, the result with its `generation`.
    Equal arguments give equal files; all of them are written, or none. UserError if the folder cannot be written.
    """
    with style.context(["default", STYLE]):
        pictures = {
            "progress": progress(metrics, result),
            "learning": learning(curves),
            "conditions": conditions(result),
            "tasks": tasks(result),
            "search": search_figure(metrics),
        }
        files = {folder / name: data for stem, figure in pictures.items() for name, data in figure_files(figure, stem)}
    write_together(files)
    return list(files)


def progress(metrics: list[dict[str, Any]], result: dict[str, Any]) -> Figure:
    """The metric by generation: of the population while it evolves, of its center on fresh lives."""
    conditions, gain = _by_part(result)
    evolved = conditions[EVOLVED]
    learns = result["blind_is_chance"] and any(_positive(gain[part]) for part in PARTS)
    if result["blind_is_below"]:  # 0 is what nobody scores more than who learns nothing
        learns = any(_positive(gain[part]) and _positive(evolved[part]) for part in PARTS)
    title = "Evolution finds networks that learn" if learns else f"{_metric(result)} over generations"
    about = f"Faint: the population. Points: its center on fresh lives; at the end {_replication_by_part(result)}."
    figure = canvas(7.4, 4.5, title, about, right=1.8)
    axes, labels, now = figure.axes[0], [], result["generation"]
    population = [(record["generation"], record["training"][result["metric"]]) for record in metrics]
    line(axes, population, COLOURS["training"], linewidth=1.0, alpha=0.35)
    for part, name in PARTS.items():
        validated = [(record["generation"], record["validation"]) for record in metrics if record["validation"]]
        points = [(generation, scores[part]) for generation, scores in validated if scores.get(part) is not None]
        if evolved[part]:
            line(axes, [(now, bound) for bound in bounds(evolved[part])], COLOURS[part], linewidth=1.8)
            points.append((now, evolved[part]["mean"]))
            labels.append((evolved[part]["mean"], f"{name} {share(evolved[part]['mean'])}", COLOURS[part]))
        line(axes, points, COLOURS[part], linewidth=1.8, marker=MARKERS[part], markersize=4.5)
    frame(axes, result, _metric(result), "Generation", max([now, 1, *(place for place, _ in population)]))
    label_ends(axes, labels)
    return figure


def learning(curves: dict[str, Any]) -> Figure:
    """The metric by trial within a life, of evolved networks, generation 0 and, if it was lived, plasticity off."""
    conditions, lives = curves["conditions"], curves["lives"]
    parts = [part for part in PARTS if conditions[EVOLVED][part] is not None]
    trials = conditions[EVOLVED][parts[0]].shape[1]
    learned = _learned(curves, parts[0])
    title = "Evolved networks learn within a lifetime" if learned else f"{_metric(curves)} within a lifetime"
    bands = "; bands are 95 % intervals" if lives >= FEWEST_UNITS else ""
    about = f"Mean over tasks and {lives} lives, in bins of {_bin(trials)} trials{bands}."
    figure = canvas(2.95 * len(parts) + 2.15, 4.4, title, about, right=1.4, columns=len(parts))
    for axes, part in zip(figure.axes, parts):
        labels = []
        for name in (name for name in (GENERATION_0, PLASTICITY_OFF, EVOLVED) if name in conditions):
            colour = COLOURS[part if name == EVOLVED else name]
            points = _draw_course(axes, conditions[name][part], colour)
            labels.append((points[-1][1], in_words(name), colour))
        axes.set_title(PARTS[part].capitalize(), loc="left", fontsize=10.5, color=COLOURS[part], pad=8)
        frame(axes, curves, _metric(curves) if part == parts[0] else "", "Trial", trials)
        for trial, text in curves["marks"].items():
            mark(axes, curves, trial, text, 4 if trial < trials / 2 else -4)
        if part == parts[-1]:
            label_ends(axes, labels)
        else:
            axes.annotate("evolved", points[len(points) // 2], (6, -20), textcoords="offset points", color=colour)
    return figure


def conditions(result: dict[str, Any]) -> Figure:
    """The metric under every condition, on training and on withheld tasks."""
    conditions, _ = _by_part(result)
    parts = [part for part in PARTS if conditions[EVOLVED][part]]
    title = "Learning needs plasticity" if _needs_plasticity(result, parts) else "What each condition scores"
    about = f"{_metric(result)} over the last {result['trials_scored']} trials, {_replication_by_part(result)}."
    height, right = 2.05 + 0.33 * len(conditions), 0.45 + 0.8 * len(parts)
    figure = canvas(7.4, height, title, about, left=1.65, right=right)
    # Lesions stand a little apart, below.
    axes, heights = figure.axes[0], np.array([-row - 0.4 * (row > 1) for row in range(len(conditions))])
    for place, part in enumerate(parts):
        shifts = heights + 0.13 * (len(parts) - 1 - 2 * place)
        for height, condition in zip(shifts, conditions.values()):
            dot(axes, condition[part], height, COLOURS[part], MARKERS[part])
        means = [condition[part]["mean"] for condition in conditions.values()]
        column(axes, 0.45 + 0.8 * place, PARTS[part].replace(" ", "\n"), heights, means, COLOURS[part])
    frame_rows(axes, result, heights, [in_words(name) for name in conditions], _metric(result))
    return figure


def tasks(result: dict[str, Any]) -> Figure:
    """The metric on each task, from generation 0 to the evolved genome; the lowest ones if there are many."""
    before, after = (result["conditions"][name]["tasks"] for name in (GENERATION_0, EVOLVED))
    held = [task for task in after if task in result["withheld"]]
    part = dict.fromkeys(result["validation"], "validation") | dict.fromkeys(held, "withheld")
    better = sum(_positive(gain) for gain in result["gain_over_generation_0"]["tasks"].values())
    shown = sorted(after, key=lambda task: after[task]["mean"])[:MOST_TASKS][::-1]
    ordered = [task for task in shown if task not in held] + [task for task in shown if task in held]
    where = f"{better} of {len(after)} tasks" if len(after) > 1 else shown[0]
    title = f"Better than generation 0 on {where}" if better else "From generation 0 to evolved"
    title += f"; the {len(shown)} lowest" if len(shown) < len(after) else ""
    green = "; green tasks were withheld" if held else ""
    green = "; purple validation, green withheld" if held and len(part) > len(held) else green
    about = f"{_metric(result)} over the last {result['trials_scored']} trials, {_replication(result)}{green}."
    figure = canvas(7.4, 1.95 + 0.29 * len(ordered), title, about, left=1.65, right=2.05)
    # Withheld tasks stand a little apart, below.
    axes, heights = figure.axes[0], np.array([-row - 0.5 * (task in held) for row, task in enumerate(ordered)])
    colours = [COLOURS[part.get(task, "training")] for task in ordered]
    for task, height, colour in zip(ordered, heights, colours):
        ends = [(scores[task]["mean"], height) for scores in (before, after)]
        line(axes, ends, COLOURS[GENERATION_0], linewidth=1.0, alpha=0.6)
        dot(axes, before[task] | {"low": None}, height, COLOURS[GENERATION_0], "o", hollow=True)
        dot(axes, after[task], height, colour, "o")
    column(axes, 0.6, "generation 0", heights, [before[task]["mean"] for task in ordered], COLOURS[GENERATION_0])
    column(axes, 1.5, "evolved", heights, [after[task]["mean"] for task in ordered], INK)
    frame_rows(axes, result, heights, ordered, _metric(result))
    return figure


def _draw_course(axes: Axes, course: Array, colour: str) -> list[tuple[float, float]]:
    """Draw the metric (lives, trials) by bins of trials and return the points of its line."""
    width = _bin(course.shape[1])
    starts = np.arange(0, course.shape[1] - width + 1, width)
    bins = [interval(course[:, start : start + width].mean(axis=1)) for start in starts]
    middles = starts + width / 2
    points = [(float(middle), value.mean) for middle, value in zip(middles, bins)]
    if len(course) >= FEWEST_UNITS:
        band = np.array([(value.low, value.high) for value in bins], np.float64)
        axes.fill_between(middles, *band.T, color=colour, alpha=0.18, linewidth=0)
    line(axes, points, colour, linewidth=2.0, marker="" if len(points) > 1 else "o")
    return points


def _learned(curves: dict[str, Any], part: str) -> bool:
    """Return whether evolved networks end better than they began and than generation 0 ends, by intervals.

    Where a policy that learns nothing may rise too, as in a maze on its way to the first reward, nothing is claimed.
    """
    if not curves["blind_is_chance"]:
        return False
    evolved, null = (curves["conditions"][name][part] for name in (EVOLVED, GENERATION_0))
    begin = evolved[:, : _bin(evolved.shape[1])].mean(axis=1)
    end, null_end = (course[:, -curves["trials_scored"] :].mean(axis=1) for course in (evolved, null))
    return all(_positive(paired(end, other).to_json()) for other in (begin, null_end))


def _needs_plasticity(result: dict[str, Any], parts: Iterable[str]) -> bool:
    """Return whether plasticity off scores less, by interval, and leaves no more than a lean."""
    if not result["blind_is_chance"]:
        return False
    lesioned, lost = (result[table].get(PLASTICITY_OFF) for table in ("conditions", "lost_by_lesion"))
    lean = activity_alone(result)
    return bool(lost) and all(_positive(lost[part]) and lesioned[part]["mean"] <= lean for part in parts)


def _by_part(result: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Return each condition's means by part and the gains: over tasks where these are a sample, else over lives."""
    told, absent = result.get("over_tasks", result), dict.fromkeys(PARTS)
    return {name: absent | means for name, means in told["conditions"].items()}, absent | told["gain_over_generation_0"]


def _metric(facts: dict[str, Any]) -> str:
    return str(facts["metric"]).capitalize()


def _bin(trials: int) -> int:
    return min(BIN, max(1, trials // 5))


def _positive(difference: dict[str, Any] | None) -> bool:
    return difference is not None and (difference["low"] or 0.0) > 0.0


def _replication(result: dict[str, Any]) -> str:
    lives = f"{result['lives']} lives per task"
    return f"95 % intervals over {lives}" if result["lives"] >= FEWEST_UNITS else f"means of {lives}"


def _replication_by_part(result: dict[str, Any]) -> str:
    return "95 % intervals over tasks" if "over_tasks" in result else _replication(result)


def figure_files(figure: Figure, stem: str) -> Iterator[tuple[str, bytes]]:
    """Yield the figure's files by name, without anything that changes from one time to the next."""
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        buffer = BytesIO()
        figure.savefig(buffer, format=kind, metadata=metadata)
        yield f"{stem}.{kind}", buffer.getvalue()
