"""Which numbers of the rule and its third factor matter, and how exactly must they be what they are?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from evoplastic.analysis.degrees import Degree, Panel, Series, accepted, by_degree, degrees_figure, signed
from evoplastic.analysis.evaluation import EVOLVED
from evoplastic.analysis.sections.contract import Case, Row, Section
from evoplastic.analysis.statistics import FEWEST_UNITS, Interval, interval, paired
from evoplastic.problems.contract import Problem, choosing_tasks
from evoplastic.rules.coefficients import keys_of, takes
from evoplastic.rules.describing import evolved_rule

TITLE = "Which numbers of the rule matter"
FACTORS = (0.0, 0.25, 0.5, 2.0, 4.0)
MOST_TASKS = 4  # that are lived at every degree, but where tasks are the unit
MOST_NUMBERS = 12
AS_IT_IS = "x 1"
TOLD = {"0": "lost without it", "x 0.5": "lost at half", "x 2": "lost at twice"}

Lost = Mapping[str, Mapping[str, Interval]]  # number -> degree -> what is lost


class Number(NamedTuple):
    """A number of the rule or its third factor: of all genes that hold it, else one."""

    mean: float
    low: float
    high: float
    genes: int

    def __str__(self) -> str:
        several = f" (mean of {self.genes} genes)" if self.genes > 1 else ""
        return f"{self.mean:.4g}{several}"


def sensitivity(case: Case) -> Section:
    """Multiply one number at a time and let the same lives be lived; 0 takes a term away."""
    problem, known = case.search.problem, numbers_of_rule(case)
    if not known:
        return Section(TITLE, ["The rule and its third factor have no number that could be another."])
    tasks, shown = some_tasks(problem), dict(list(known.items())[:MOST_NUMBERS])
    panels: list[Panel] = []
    lost: dict[str, dict[str, Interval]] = {}
    for key, number in shown.items():
        scores = by_degree(case.lived, problem, tasks, accepted(problem, _degrees(case, key, number), [EVOLVED]))
        series = Series("evolved", _part(problem), [interval(values) for values in scores.values()])
        panels.append(Panel(f"{key} = {number}", "factor", list(scores), [series], list(scores).index(AS_IT_IS)))
        lost[key] = {label: paired(scores[AS_IT_IS], score) for label, score in scores.items() if label != AS_IT_IS}
    names, units = ", ".join(tasks), replication(problem, case, tasks)
    figure = degrees_figure(
        "Scores with one number of the rule changed",
        f"Grey: as it is. {units}, {_part(problem)} tasks.",
        problem,
        panels,
    )
    left_out = f"; {len(known) - len(shown)} more numbers are left out" if len(known) > len(shown) else ""
    said = [f"One number at a time is multiplied, and the evolved genome lives on {names} ({units}){left_out}."]
    return Section(TITLE, [*said, *_verdict(lost)], {"sensitivity": figure}, _table(known, lost), {"lost": _json(lost)})


def numbers_of_rule(case: Case) -> dict[str, Number]:
    """Return the numbers of rule and third factors that may be multiplied: no counts, no codes, nothing that is 0."""
    problem = case.search.problem
    found = {
        key: Number(number, number, number, 1)
        for key, number in problem.graded.items()
        if key.startswith(("rule.", "modulation.", "third_factor")) and type(number) is float
    }
    rule = getattr(case.search.config.problem, "rule", None)
    if rule is not None:
        keys = {name: key for key, name in keys_of(rule).items()}
        for each in evolved_rule(rule, problem.layout, case.center)[1]:
            if each.name in keys:
                found[keys[each.name]] = Number(each.mean, each.low, each.high, each.count)
        for name, key in keys.items():
            owner, own_name = rule.holder(name)
            if own_name in owner.codes:
                del found[key]
    return {key: number for key, number in found.items() if (number.low, number.high) != (0.0, 0.0)}


def some_tasks(problem: Problem, among: Collection[str] | None = None) -> list[str]:
    """Return a few tasks, of those by which one may choose unless others are given; a task with its negation."""
    tasks = choosing_tasks(problem) if among is None else tuple(among)
    in_pairs = [task for pair in problem.pairs(tasks) for task in pair]
    return (in_pairs or list(tasks))[: FEWEST_UNITS if problem.sampled else MOST_TASKS]


def replication(problem: Problem, case: Case, tasks: Collection[str]) -> str:
    """Return in words what intervals are over."""
    lives = case.evaluated.curves["lives"]
    return f"n = {len(tasks)} tasks, {lives} lives each" if problem.sampled else f"n = {lives} lives per task"


def _degrees(case: Case, key: str, number: Number) -> Iterator[Degree]:
    """Yield the degrees that every gene of a number can be at without being cut off."""
    rule = getattr(case.search.config.problem, "rule", None)
    names = {} if rule is None else keys_of(rule)
    for factor in sorted((*FACTORS, 1.0)):
        if factor == 1.0:
            yield Degree(AS_IT_IS, EVOLVED)
            continue
        ends = [factor * end for end in (number.low, number.high)]
        if all(_admits(rule, names.get(key), end) for end in ends):
            yield Degree(f"x {factor:g}" if factor else "0", f"{key}@{factor:g}")


def _admits(rule: Any, coefficient: str | None, value: float) -> bool:
    """Return whether a rule takes a value for one of its coefficients; other numbers the settings themselves check."""
    if coefficient is None:
        return True
    owner, own_name = rule.holder(coefficient)
    return takes(owner, own_name, value)


def _part(problem: Problem) -> str:
    return "validation" if problem.validation else "training"


def _verdict(lost: Lost) -> list[str]:
    """Return which numbers cannot be taken away, and of which nothing that was tried cost anything measurable."""
    cut = [f"{key} {label}" for key, row in lost.items() for label, each in row.items() if not np.isfinite(each.mean)]
    told = {key: [each for each in row.values() if np.isfinite(each.mean)] for key, row in lost.items()}
    count = sum(map(len, told.values()))
    if any(each.low is None for row in told.values() for each in row):
        return ["Too few units for intervals, so that no number is said to matter."]
    needed = [key for key, row in lost.items() if "0" in row and (row["0"].low or 0.0) > 0.0]
    idle = [key for key, row in told.items() if row and all((each.low or 0.0) <= 0.0 for each in row)]
    return [
        *([f"Scores fall without {', '.join(needed)}."] if needed else []),
        *([f"No change that was tried lowers scores measurably of {', '.join(idle)}."] if idle else []),
        *([f"Lives end in what is not a number with {', '.join(cut)}."] if cut else []),
        f"Each of the {count} intervals holds for itself alone; of twenty such, one is expected to miss.",
    ]


def _table(known: Mapping[str, Number], lost: Lost) -> list[Row]:
    rows = [
        (key, str(known[key]), *(signed(row[label]) if label in row else "" for label in TOLD))
        for key, row in lost.items()
    ]
    return [("number", "as it is", *TOLD.values()), *rows]


def _json(lost: Lost) -> dict[str, Any]:
    return {key: {label: each.to_json() for label, each in row.items()} for key, row in lost.items()}
