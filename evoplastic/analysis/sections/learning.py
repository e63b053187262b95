"""How fast do networks learn within a life, and what do they need for it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evoplastic.analysis.evaluation import EVOLVED, GENERATION_0, PARTS, in_words
from evoplastic.analysis.figures import conditions, learning
from evoplastic.analysis.learning_figure import MOST_TASKS, by_task
from evoplastic.analysis.sections.contract import Case, Row, Section
from evoplastic.analysis.statistics import Interval


def learning_in_life(case: Case) -> Section:
    result, curves = case.evaluated
    tasks = [task for task in case.search.problem.tasks if task in result["conditions"][EVOLVED]["tasks"]]
    shown = tasks[-MOST_TASKS:]
    some = f"; task by task the last {len(shown)} of {len(tasks)} are drawn" if len(shown) < len(tasks) else ""
    pictures = {"learning": learning(curves), "conditions": conditions(result)}
    for measure in ("course", "losses"):
        newborn, evolved = (case.lived(shown, condition, measure) for condition in (GENERATION_0, EVOLVED))
        pictures[f"by-task-{measure}"] = by_task(newborn, evolved, curves, measure)
    return Section(
        "Learning within a lifetime",
        [f"{curves['lives']} lives per task and condition; every condition lives the same lives{some}."],
        pictures,
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
    told = result.get("over_tasks", result)["lost_by_lesion"]  # tasks that are a sample are the unit of replication
    for name, lost in told.items():
        yield _called(name, summaries), *(_signed(lost[part]) for part in _parts(result))


def _called(name: str, summaries: Mapping[str, str]) -> str:
    """Return a lesion with what it takes away, if that is told anywhere."""
    return f"{in_words(name)}: {summaries[name]}" if name in summaries else in_words(name)


def _signed(lost: dict[str, Any]) -> str:
    """Return a difference with its sign and interval, nothing for lives that ended in what is not a number."""
    if lost["mean"] is None:
        return ""
    text = str(Interval(*(lost[key] for key in Interval._fields)))
    return f"+{text}" if lost["mean"] > 0 else text
