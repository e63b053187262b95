"""How far does learning carry: longer delays, noisier and weaker stimuli, units lost?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.analysis.degrees import Degree, Panel, Series, accepted, degrees_figure, means, signed
from evoplastic.analysis.evaluation import EVOLVED
from evoplastic.analysis.sections.contract import Case, Row, Section
from evoplastic.analysis.sections.sensitivity import MOST_TASKS, some_tasks
from evoplastic.analysis.statistics import Interval, interval, paired
from evoplastic.problems.contract import Problem

Array = NDArray[np.float64]

TITLE = "How far learning carries"
DELAYS, WEAKER = (2, 3, 5), (0.5, 0.25)
NOISES, CUTS = (0.25, 0.5, 1.0), (0.05, 0.1, 0.2, 0.4)  # noise as a share of the stimuli's level


class Trial(NamedTuple):
    """A change by degrees that evolution never met."""

    title: str
    xlabel: str
    degrees: list[Degree]  # the first as evolution met it


def generalisation(case: Case) -> Section:
    """Let the evolved genome live under conditions that it did not evolve under."""
    problem = case.search.problem
    tried = [trial for trial in _trials(problem) if len(trial.degrees) > 1]
    if not tried:
        return Section(TITLE, ["Nothing of these lives can be made longer, noisier or smaller by degrees."])
    parts = {"training": some_tasks(problem)} if not problem.validation else {"validation": some_tasks(problem)}
    parts |= {"withheld": list(problem.withheld)[:MOST_TASKS]} if problem.withheld else {}
    panels: list[Panel] = []
    rows: list[Row] = []
    numbers = {}
    for trial in tried:
        scored = {part: _scored(case, tasks, trial.degrees) for part, tasks in parts.items()}
        series = [
            Series(f"{part} tasks", part, [interval(scores) for scores in of.values()]) for part, of in scored.items()
        ]
        panels.append(Panel(trial.title, trial.xlabel, [degree.label for degree in trial.degrees], series, 0))
        lost = {part: _lost(of) for part, of in scored.items()}
        rows += _rows(trial, lost)
        numbers[trial.title] = {
            part: {label: each.to_json() for label, each in row.items()} for part, row in lost.items()
        }
    lives = case.evaluated.curves["lives"]
    told = "; ".join(f"{part}: {', '.join(tasks)}" for part, tasks in parts.items())
    figure = degrees_figure(
        "Scores under conditions that evolution never met",
        f"Grey: as evolution met it. n = {lives} lives per task.",
        problem.columns[1].capitalize(),
        problem.chance,
        panels,
    )
    said = [f"The evolved genome, without evolving further, on {told} ({lives} lives per task)."]
    header = ("condition", *(f"{part} tasks: lost" for part in parts))
    return Section(TITLE, said, {"generalisation": figure}, [header, *rows], {"lost": numbers})


def _trials(problem: Problem) -> Iterator[Trial]:
    """Yield what can be changed of this problem's lives, with the degrees that it takes."""
    now, dt = problem.graded, problem.graded.get("network.dt_ms", 1.0)
    delay, level = now.get("task.periods.delay", 0.0), now.get("task.levels.stimulus", 0.0)
    longer = [round(delay * factor / dt) * dt for factor in DELAYS]
    changes = {
        ("Longer delays", "delay, ms"): [(f"{delay:g}", EVOLVED)]
        + [(f"{long:g}", f"task.periods.delay={long:g}") for long in longer if delay],
        ("Noisier stimuli", "noise over level"): [("0", EVOLVED)]
        + [(f"{share:g}", f"task.stimulus_noise={share * level:g}") for share in NOISES if level],
        ("Weaker stimuli", "factor"): [("1", EVOLVED)]
        + [(f"{share:g}", f"task.levels.stimulus@{share:g}") for share in WEAKER if level],
        ("Hidden units lost", "share of hidden units"): [("0", EVOLVED)]
        + [(f"{share:g}", f"units_cut={share:g}") for share in CUTS],
    }
    for (title, xlabel), degrees in changes.items():
        yield Trial(title, xlabel, accepted(problem, (Degree(*each) for each in degrees), [EVOLVED]))


def _scored(case: Case, tasks: list[str], degrees: list[Degree]) -> dict[str, Array]:
    problem = case.search.problem
    return {
        each.label: means(case.lived(tasks, each.condition), problem.scored_trials, problem.sampled) for each in degrees
    }


def _lost(scores: Mapping[str, Array]) -> dict[str, Interval]:
    first, *others = scores
    return {label: paired(scores[first], scores[label]) for label in others}


def _rows(trial: Trial, lost: Mapping[str, Mapping[str, Interval]]) -> Iterator[Row]:
    for degree in trial.degrees[1:]:
        yield f"{trial.title}: {trial.xlabel} {degree.label}", *(signed(row[degree.label]) for row in lost.values())
