"""Which numbers of the rule and its third factor matter, and how exactly must they be what they are?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evoplastic.analysis.degrees import Degree, Panel, accepted, degrees_figure, means, series_of, signed
from evoplastic.analysis.evaluation import EVOLVED
from evoplastic.analysis.sections.contract import Case, Row, Section
from evoplastic.analysis.statistics import Interval, paired
from evoplastic.problems.contract import Problem, choosing_tasks

TITLE = "Which numbers of the rule matter"
FACTORS = (0.0, 0.25, 0.5, 2.0, 4.0)
MOST_TASKS = 4  # that are lived at every degree
MOST_NUMBERS = 12
TOLD = {"0": "lost without it", "x 0.5": "lost at half", "x 2": "lost at twice"}


def sensitivity(case: Case) -> Section:
    """Multiply one number at a time and let the same lives be lived; 0 takes a term away."""
    problem = case.search.problem
    known = numbers_of_rule(problem)
    tasks = some_tasks(problem)
    if not known:
        return Section(TITLE, ["The rule and its third factor have no number that could be another."])
    shown = dict(list(known.items())[:MOST_NUMBERS])
    panels, lost = [], {}
    for key in shown:
        degrees = accepted(problem, _degrees(key), [EVOLVED])
        scores = {
            each.label: means(case.lived(tasks, each.condition), problem.scored_trials, problem.sampled)
            for each in degrees
        }
        by_condition = {each.condition: scores[each.label] for each in degrees}
        series = series_of("evolved", _part(problem), by_condition.__getitem__, degrees)
        labels = [each.label for each in degrees]
        panels.append(Panel(f"{key} = {known[key]:.4g}", "factor", labels, [series], labels.index("x 1")))
        lost[key] = {label: paired(scores["x 1"], score) for label, score in scores.items() if label != "x 1"}
    names = ", ".join(tasks)
    figure = degrees_figure(
        "Scores with one number of the rule changed",
        f"Grey: as it is. {_replication(problem, case)}, tasks {names}.",
        problem.columns[1].capitalize(),
        problem.chance,
        panels,
    )
    left_out = f"; {len(known) - len(shown)} more numbers are left out" if len(known) > len(shown) else ""
    said = [
        f"One number at a time is multiplied, and the evolved genome lives on {names} "
        f"({_replication(problem, case)}){left_out}.",
        *_verdict(lost),
    ]
    return Section(TITLE, said, {"sensitivity": figure}, _table(known, lost), {"lost": _json(lost)})


def numbers_of_rule(problem: Problem) -> dict[str, float]:
    """Return the numbers of rule and modulation that may be multiplied: not counts of trials, nor what is 0."""
    return {
        key: number
        for key, number in problem.graded.items()
        if key.startswith(("rule.", "modulation.", "third_factor")) and type(number) is float and number != 0.0
    }


def some_tasks(problem: Problem) -> list[str]:
    """Return a few of the tasks by which one may choose, a task and its negation together."""
    tasks = choosing_tasks(problem)
    in_pairs = [task for pair in problem.pairs(tasks) for task in pair]
    return (in_pairs or list(tasks))[:MOST_TASKS]


def _degrees(key: str) -> list[Degree]:
    changed = [(factor, Degree("0" if factor == 0.0 else f"x {factor:g}", f"{key}@{factor:g}")) for factor in FACTORS]
    return [degree for _, degree in sorted([*changed, (1.0, Degree("x 1", EVOLVED))], key=lambda each: each[0])]


def _part(problem: Problem) -> str:
    return "validation" if problem.validation else "training"


def _replication(problem: Problem, case: Case) -> str:
    lives = case.evaluated.curves["lives"]
    return f"over {len(some_tasks(problem))} tasks" if problem.sampled else f"n = {lives} lives per task"


def _verdict(lost: Mapping[str, Mapping[str, Interval]]) -> list[str]:
    """Return which numbers cannot be taken away, and which may be anything that was tried, as far as intervals say."""
    if any(each.low is None for row in lost.values() for each in row.values()):
        return ["Too few units for intervals, so that no number is said to matter."]
    needed = [key for key, row in lost.items() if "0" in row and (row["0"].low or 0.0) > 0.0]
    idle = [key for key, row in lost.items() if all((each.low or 0.0) <= 0.0 for each in row.values())]
    said = [f"Scores fall without {', '.join(needed)}."] if needed else []
    return said + ([f"No change that was tried lowers scores measurably of {', '.join(idle)}."] if idle else [])


def _table(known: Mapping[str, float], lost: Mapping[str, Mapping[str, Interval]]) -> list[Row]:
    rows = [
        (key, f"{known[key]:.4g}", *(signed(row[label]) if label in row else "" for label in TOLD))
        for key, row in lost.items()
    ]
    return [("number", "as it is", *TOLD.values()), *rows]


def _json(lost: Mapping[str, Mapping[str, Interval]]) -> dict[str, Any]:
    return {key: {label: each.to_json() for label, each in row.items()} for key, row in lost.items()}
