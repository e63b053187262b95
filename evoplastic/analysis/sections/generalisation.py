"""How far does learning carry: longer delays, noisier and weaker stimuli, units lost?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.analysis.degrees import Degree, Panel, Series, accepted, by_degree, degrees_figure, signed
from evoplastic.analysis.evaluation import EVOLVED
from evoplastic.analysis.sections.contract import Case, Row, Section
from evoplastic.analysis.sections.sensitivity import replication, some_tasks
from evoplastic.analysis.statistics import Interval, interval, paired

Array = NDArray[np.float64]

TITLE = "How far learning carries"
DELAYS, WEAKER = (2, 3, 5), (0.5, 0.25)
NOISES, CUTS = (0.25, 0.5, 1.0), (0.05, 0.1, 0.2, 0.4)  # noise as a share of the stimuli's level


class Strain(NamedTuple):
    """A change by degrees that evolution never met."""

    title: str
    xlabel: str
    degrees: list[Degree]  # the first as evolution met it


def generalisation(case: Case) -> Section:
    """Let the evolved genome live under conditions that it did not evolve under."""
    problem = case.search.problem
    tried = [strain for strain in _strains(case) if len(strain.degrees) > 1]
    if not tried:
        return Section(TITLE, ["Nothing of these lives can be made longer, noisier or smaller by degrees."])
    parts = {"validation" if problem.validation else "training": some_tasks(problem)}
    parts |= {"withheld": some_tasks(problem, problem.withheld)} if problem.withheld else {}
    panels: list[Panel] = []
    rows: list[Row] = []
    numbers = {}
    for strain in tried:
        scored = {part: by_degree(case.lived, problem, tasks, strain.degrees) for part, tasks in parts.items()}
        series = [
            Series(f"{part} tasks", part, [interval(scores) for scores in of.values()]) for part, of in scored.items()
        ]
        panels.append(Panel(strain.title, strain.xlabel, [degree.label for degree in strain.degrees], series, 0))
        lost = {part: _lost(of) for part, of in scored.items()}
        rows += _rows(strain, lost)
        numbers[strain.title] = {
            part: {label: each.to_json() for label, each in row.items()} for part, row in lost.items()
        }
    units = replication(problem, case, next(iter(parts.values())))
    told = "; ".join(f"{part}: {', '.join(tasks)}" for part, tasks in parts.items())
    figure = degrees_figure(
        "Scores under conditions that evolution never met",
        f"Grey: as evolution met it. {units}.",
        problem,
        panels,
    )
    said = [f"The evolved genome, without evolving further, on {told} ({units})."]
    header = ("condition", *(f"{part} tasks: lost" for part in parts))
    return Section(TITLE, said, {"generalisation": figure}, [header, *rows], {"lost": numbers})


def _strains(case: Case) -> Iterator[Strain]:
    """Yield what can be changed of a problem's lives, with the degrees that it takes."""
    problem, network = case.search.problem, getattr(case.search.config.problem, "network", None)
    now, dt = problem.graded, problem.graded.get("network.dt_ms", 1.0)
    delay, level = now.get("task.periods.delay", 0.0), now.get("task.levels.stimulus", 0.0)
    noise, hidden = now.get("task.stimulus_noise", 0.0), len(network.places()["hidden"]) if network else 0
    longer = [round(delay * factor / dt) * dt for factor in DELAYS]
    changes = {
        ("Longer delays", "delay, ms"): [(f"{delay:g}", EVOLVED)]
        + [(f"{long:g}", f"task.periods.delay={long:g}") for long in longer if delay],
        ("Noisier stimuli", "noise over level"): [(f"{noise / (level or 1.0):g}", EVOLVED)]
        + [(f"{share:g}", f"task.stimulus_noise={share * level:g}") for share in NOISES if share * level > noise],
        ("Weaker stimuli", "factor"): [("1", EVOLVED)]
        + [(f"{share:g}", f"task.levels.stimulus@{share:g}") for share in WEAKER if level],
        ("Hidden units lost", f"of {hidden} hidden units"): [("0", EVOLVED)]
        + [(f"{round(share * hidden)}", f"units_cut={share:g}") for share in CUTS if round(share * hidden)],
    }
    for (title, xlabel), degrees in changes.items():
        yield Strain(title, xlabel, accepted(problem, (Degree(*each) for each in degrees), [EVOLVED]))


def _lost(scores: Mapping[str, Array]) -> dict[str, Interval]:
    first, *others = scores
    return {label: paired(scores[first], scores[label]) for label in others}


def _rows(strain: Strain, lost: Mapping[str, Mapping[str, Interval]]) -> Iterator[Row]:
    for degree in strain.degrees[1:]:
        yield f"{strain.title}: {strain.xlabel} {degree.label}", *(signed(row[degree.label]) for row in lost.values())
