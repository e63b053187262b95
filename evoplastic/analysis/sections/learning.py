"""How fast do networks learn within a life, and what do they need for it?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evoplastic.analysis.evaluation import EVOLVED, PARTS
from evoplastic.analysis.figures import conditions, learning
from evoplastic.analysis.sections.contract import Case, Row, Section
from evoplastic.analysis.statistics import Interval, share


def learning_in_life(case: Case) -> Section:
    result, curves = case.evaluated
    return Section(
        "Learning within a lifetime",
        [f"{curves['lives']} lives per task and condition; every condition lives the same lives."],
        {"learning": learning(curves), "conditions": conditions(result)},
        [
            ("taken away", *(f"{part} tasks: lost" for part in _parts(result))),
            *_lost(result, case.search.problem.lesions),
        ],
        {"lost_by_lesion": result["lost_by_lesion"]},
    )


def _parts(result: dict[str, Any]) -> list[str]:
    return [part for part in PARTS if result["conditions"][EVOLVED].get(part)]


def _lost(result: dict[str, Any], summaries: Any) -> Iterator[Row]:
    """Yield what each lesion costs: the paired difference of evolved less lesioned."""
    for name, lost in result["lost_by_lesion"].items():
        cells = [Interval(*(lost[part][key] for key in Interval._fields)) for part in _parts(result)]
        yield f"{name.replace('_', ' ')}: {summaries[name]}", *(_signed(cell) for cell in cells)


def _signed(interval: Interval) -> str:
    plus = "+" if interval.mean > 0 else ""
    ends = "" if interval.low is None or interval.high is None else f" [{share(interval.low)}, {share(interval.high)}]"
    return f"{plus}{share(interval.mean)}{ends}"
