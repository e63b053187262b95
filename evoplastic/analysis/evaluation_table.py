"""An evaluation in a table and a sentence: conditions down, parts of the tasks across, others' scores below.

Tasks that are a random sample are told as means over tasks, with how far the worst and the best lie apart; named ones
as means over lives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from evoplastic.analysis.evaluation import EVOLVED, PARTS, in_words
from evoplastic.analysis.statistics import Interval, share

MOST_NAMED = 16  # tasks

Row = tuple[str, ...]


def table(result: dict[str, Any]) -> list[Row]:
    """Return what is printed of an `evaluate` object, header first: over tasks where they are a sample, else `rows`."""
    if "over_tasks" in result:
        return _rows_over_tasks(result)
    header = (result["metric"], *(f"{part} tasks" for part in _parts(result)), "worst training task", "lives")
    return [header, *rows(result)]


def rows(result: dict[str, Any]) -> list[Row]:
    """Return the rows of an `evaluate` object: label, a column for each part, worst training task, n."""
    held, evolved = {*result["withheld"], *result.get("validation", ())}, result["conditions"][EVOLVED]
    parts = _parts(result)
    table: list[Row] = []
    for name, condition in result["conditions"].items():
        scores = (_text(condition[part]) for part in parts)
        table.append((in_words(name), *scores, _worst(condition, held), str(result["lives"])))
    named = result.get("chance_is", "chance"), result.get("oracle_is", "oracle")
    for label, bound in zip((named[0], "random policy"), (result["chance"], result["random_policy"])):
        if bound is not None and (label == named[0] or bound != result["chance"]):
            table.append(_bound_row(label, bound, evolved, parts))
    for label, known in result.get("references", {}).items():
        cells = ["" if known[part] is None else share(known[part]) for part in parts]
        table += [(label, *cells, "", "")] if any(cells) else []
    return [*table, _bound_row(named[1], result["oracle"], evolved, parts)]


def headline(result: dict[str, Any]) -> str:
    """Return in a sentence what evolution gained over generation 0, paired by life, or by task where they are drawn."""
    if "over_tasks" in result:
        return _headline_over_tasks(result)
    gain = result["gain_over_generation_0"]
    gains = {f"{part} tasks": gain[part] for part in _parts(result)}
    told = ", ".join(f"{_signed(value)} on {where}" for where, value in gains.items() if value)
    return f"Gain over generation 0, paired by life (n = {result['lives']}): {told}."


def listed(tasks: Sequence[str]) -> str:
    """Return the names of tasks, or how many there are where that would fill the screen."""
    return ", ".join(tasks) if len(tasks) <= MOST_NAMED else f"{len(tasks)} tasks"


def _rows_over_tasks(result: dict[str, Any]) -> list[Row]:
    """Return the table of a sample, its header first: a column for each part, a row for each condition and bound."""
    over: dict[str, Any] = result["over_tasks"]
    parts = list(over["tasks"])
    rows = [(str(result["metric"]), *(f"{count} {part} tasks" for part, count in over["tasks"].items()))]

    def row(label: str, by: Mapping[str, Any], told: Callable[[Any], str]) -> None:
        rows.append((label, *(told(by[part]) if by.get(part) is not None else "" for part in parts)))

    for name, condition in over["conditions"].items():
        row(in_words(name), condition, _text)
        if name == EVOLVED:
            row("  worst, median, best task", condition, _ends)
    row("gain over generation 0", over["gain_over_generation_0"], _signed)
    for name, lost in over["lost_by_lesion"].items():
        row(f"lost by {in_words(name)}", lost, _signed)
    row(result["chance_is"], dict.fromkeys(parts, result["chance"]), share)
    for label, known in result["references"].items():
        row(label, known, share)
    row(result["oracle_is"], dict.fromkeys(parts, result["oracle"]), share)
    return rows


def _headline_over_tasks(result: dict[str, Any]) -> str:
    """Return in a sentence what evolution gained over generation 0, paired by task."""
    over = result["over_tasks"]
    gains = [f"{_signed(gain)} on {part} tasks" for part, gain in over["gain_over_generation_0"].items()]
    counts = ", ".join(str(count) for count in over["tasks"].values())
    return f"Gain over generation 0, paired by task (n = {counts}; intervals are over tasks): {', '.join(gains)}."


def _parts(result: dict[str, Any]) -> list[str]:
    """Return the parts that have a column."""
    return [part for part in PARTS if part != "validation" or result.get("validation")]


def _bound_row(label: str, bound: float, evolved: dict[str, Any], parts: Iterable[str]) -> Row:
    return label, *(share(bound) if evolved[part] else "" for part in parts), share(bound), ""


def _text(value: dict[str, Any] | None) -> str:
    if value is None:
        return ""
    if value["mean"] is None:
        return "not a number"
    return str(Interval(value["mean"], value["low"], value["high"], value["n"]))


def _signed(value: dict[str, Any]) -> str:
    return ("+" if value["mean"] is not None and value["mean"] >= 0 else "") + _text(value)


def _worst(condition: dict[str, Any], held: set[str]) -> str:
    """Return the task with the lowest mean, those of `held` left out where there are others."""
    means = {task: value["mean"] for task, value in condition["tasks"].items()}
    worst = min([task for task in means if task not in held] or list(means), key=lambda task: means[task])
    return f"{share(means[worst])} {worst}"


def _ends(told: Mapping[str, Any]) -> str:
    return " ".join(share(told[end]) for end in ("worst", "median", "best")) if told["mean"] is not None else ""
