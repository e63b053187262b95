"""A comparison as files: arms side by side in pictures, sentences and tables, one page for all of it.

A new section is a function of what is compared and a line in SECTIONS. `summary.json` is the `compare` object with the
sections beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import style

from evoplastic.analysis.canvas import STYLE
from evoplastic.analysis.comparison_lines import MOST, Course, course_figure, profiles_figure
from evoplastic.analysis.comparison_profiles import profile, thresholds
from evoplastic.analysis.comparison_rows import Paired, joined, paired_rows, reached
from evoplastic.analysis.comparison_table import (
    arm_rows,
    difference_rows,
    scored_parts,
    seed_rows,
    sentences,
)
from evoplastic.analysis.comparison_verdict import verdict
from evoplastic.analysis.evaluation import in_words
from evoplastic.analysis.report import report_files
from evoplastic.analysis.sections.contract import Row, Section
from evoplastic.analysis.statistics import FEWEST_UNITS
from evoplastic.errors import UserError

Records = Callable[[str], Sequence[Mapping[str, Any]]]  # of a run, one a generation; UserError where there are none

MOST_ROWS = 24  # in a picture
_INTERVALS = (
    f"Intervals are 95 %, over seeds: Student's t for means, BCa at Student's quantile for the IQM; "
    f"below {FEWEST_UNITS} seeds there is none."
)


class Compared(NamedTuple):
    """What is compared: all that sections may look at."""

    result: Mapping[str, Any]  # the `compare` object
    records: Records

    @property
    def arms(self) -> Sequence[Mapping[str, Any]]:
        arms: Sequence[Mapping[str, Any]] = self.result["arms"]
        return arms

    @property
    def parts(self) -> list[str]:
        """The parts on which any arm was scored."""
        return scored_parts(self.result)


def page_files(result: Mapping[str, Any], records: Records, html: bool) -> dict[str, bytes]:
    """Return the files of a comparison by name; with `html` the page too. Equal arguments give equal bytes."""
    compared = Compared(result, records)
    with style.context(["default", STYLE]):
        sections = {name: make(compared) for name, make in SECTIONS.items()}
    seeds = sorted({seed for arm in compared.arms for seed in arm["seeds"]})
    arms = f"{len(compared.arms)} arm{'s' * (len(compared.arms) > 1)}"
    runs = sum(len(arm["runs"]) for arm in compared.arms)
    about = f"{runs} finished run{'s' * (runs > 1)}, {len(seeds)} seed{'s' * (len(seeds) > 1)}. {_INTERVALS}"
    names = ", ".join(arm["arm"] for arm in compared.arms[:3]) + (" ..." if len(compared.arms) > 3 else "")
    return report_files(f"{arms} compared: {names}", about, sections, html, result)


def what_is_shown(compared: Compared) -> Section:
    """What do the numbers bear out?"""
    return Section("What is shown", [*verdict(compared.result), *sentences(compared.result)])


def what_arms_reach(compared: Compared) -> Section:
    """What does every arm score, beside its generation 0, chance and the oracle?"""
    figures = {
        f"reached{suffix}": reached(arms, compared.parts, compared.result["metric"])
        for suffix, arms in _pages(compared.arms, MOST_ROWS // 2)
    }
    lines = [
        "The unit is the seed: a run counts as one number, its mean over lives and tasks. IQM, the interquartile mean, "
        "is the mean of the middle half of the seeds; of fewer than four seeds it is the mean."
    ]
    return Section("What each arm reaches", lines, figures, arm_rows(compared.result))


def gains_and_losses(compared: Compared) -> Section:
    """What did evolution gain, and what does each lesion cost?"""
    most = max(2 + len(arm["lost_by_lesion"]) for arm in compared.arms)
    title = "Gain over generation 0 and what lesions cost"
    about = "Evolved minus the other condition, paired by seed."
    figures = {
        f"gains{suffix}": paired_rows(
            [row for arm in arms for row in _gains(arm)], compared.parts, title, about, "Difference"
        )
        for suffix, arms in _pages(compared.arms, max(1, MOST_ROWS // most))
    }
    lines = ["Each difference is taken seed by seed, between the evolved genome and the same run's other condition."]
    rows = seed_rows(compared.result)
    lines += ["The table has the numbers of each seed where they are too few for an interval."] if rows[1:] else []
    return Section(title, lines, figures, _filled(rows) if rows[1:] else ())


def differences(compared: Compared) -> Section:
    """What has an arm over another, seed by seed?"""
    found = [row for row in compared.result["differences"] if row["seeds"]]
    title = "Differences between arms"
    if not found:
        return Section(title, ["No two arms share a seed, tasks and scored trials, so there is nothing to pair."])
    arms = {arm["arm"]: arm for arm in compared.arms}
    about = "Evolved genomes, paired by seed; right of 0 the first arm named is better."
    figures = {}
    for suffix, rows in _pages(found, MOST_ROWS // 3):
        figures[f"seeds{suffix}"] = joined(rows, arms, compared.parts, compared.result["metric"])
        labelled = [Paired(f"{row['arm']}\nminus {row['minus']}", row) for row in rows]
        figures[f"differences{suffix}"] = paired_rows(labelled, compared.parts, title, about, "Difference")
    lines = [f"{row['arm']} is better than {row['minus']} {_better(row)}." for row in found]
    return Section(title, lines, figures, difference_rows(compared.result))


def profiles(compared: Compared) -> Section:
    """How large a share of all runs clears each threshold?"""
    taus = thresholds(compared.arms)
    known = {arm["arm"]: {part: profile(arm["tasks"][part], taus) for part in compared.parts} for arm in compared.arms}
    figures = {
        f"profiles{suffix}": profiles_figure(
            {arm["arm"]: known[arm["arm"]] for arm in arms}, taus, compared.parts, compared.result["metric"]
        )
        for suffix, arms in _pages(compared.arms, MOST)
    }
    lines = [
        "How many of an arm's runs, each one seed on one task, score above a threshold, from chance to the oracle."
    ]
    if any(of and of["low"] is not None for by_part in known.values() for of in by_part.values()):
        lines.append(
            "Bands hold point by point: Wilson's interval at Student's quantile, for as many runs as the spread over "
            "seeds amounts to, since all tasks of a seed share one genome."
        )
    return Section("Performance profiles", lines, figures, (), {"thresholds": taus, "profiles": known})


def course(compared: Compared) -> Section:
    """How did evolution go?"""
    title = "The course of evolution"
    known, lines = {}, []
    for arm in compared.arms:
        try:
            known[arm["arm"]] = _courses(arm, compared.result["metric"], [compared.records(run) for run in arm["runs"]])
        except UserError as error:
            lines.append(f"{arm['arm']} is left out: {error}.")
    known = {name: by_panel for name, by_panel in known.items() if by_panel}
    figures = {}
    for suffix, arms in _pages([arm for arm in compared.arms if arm["arm"] in known], MOST):
        of = {arm["arm"]: known[arm["arm"]] for arm in arms}
        panels = [panel for panel in _PANELS if any(panel in by_panel for by_panel in of.values())]
        chances = [arm["chance"] for arm in arms]
        figures[f"course{suffix}"] = course_figure(of, panels, compared.result["metric"], chances)
    if figures:
        lines.insert(0, "The population while it evolves, and its center on fresh lives of the run's own validation.")
    return Section(title, lines or ["No run has records of its generations."], figures, (), {"courses": _told(known)})


SECTIONS: dict[str, Callable[[Compared], Section]] = {
    "shown": what_is_shown,
    "reached": what_arms_reach,
    "gains": gains_and_losses,
    "differences": differences,
    "profiles": profiles,
    "course": course,
}

_PANELS = ("Population, training tasks", "Center, training tasks", "Center, validation tasks", "Center, withheld tasks")


def _pages(items: Sequence[Any], most: int) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield what stands in one picture, at most `most` of the items, with what the picture's name ends in."""
    for number, start in enumerate(range(0, len(items), most), 1):
        yield "" if number == 1 else f"-{number}", items[start : start + most]


def _filled(rows: Sequence[Row]) -> list[Row]:
    """Return the rows without the columns that are empty under their head."""
    kept = [place for place in range(len(rows[0])) if any(row[place] for row in rows[1:])]
    return [tuple(row[place] for place in kept) for row in rows]


def _gains(arm: Mapping[str, Any]) -> Iterator[Paired]:
    yield Paired(arm["arm"], None)
    yield Paired("gain over generation 0", arm["gain_over_generation_0"])
    for name, lost in arm["lost_by_lesion"].items():
        yield Paired(f"lost by {in_words(name)}", lost)


def _better(row: Mapping[str, Any]) -> str:
    return ", ".join(
        f"on {wins} of {len(row['seeds'])} seeds by {part} tasks"
        for part, wins in row["better"].items()
        if wins is not None
    )


def _courses(arm: Mapping[str, Any], metric: str, runs: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Course]:
    """Return an arm's courses by panel, at the generations that all of its seeds have a score of."""
    found = {}
    for panel in _PANELS:
        of = [dict(_scores(records, panel, metric, arm["generations"])) for records in runs]
        common = [generation for generation in of[0] if all(generation in scores for scores in of)]
        if common:
            scores = np.array([[scores[generation] for generation in common] for scores in of])
            found[panel] = Course(np.array(common, np.float64), scores)
    return found


def _scores(
    records: Sequence[Mapping[str, Any]], panel: str, metric: str, generations: int
) -> Iterator[tuple[int, float]]:
    """Yield (generation, score) of the records that have one in this panel."""
    of, part = panel.removesuffix(" tasks").split(", ")
    for record in records:
        told = record["training"].get(metric) if of == "Population" else (record["validation"] or {}).get(part)
        if told is not None and record["generation"] < generations:
            yield record["generation"], told


def _told(known: Mapping[str, Mapping[str, Course]]) -> dict[str, Any]:
    return {
        arm: {
            panel: {
                "generations": course.generations.astype(int),
                "median": np.median(course.scores, axis=0),
                "quartiles": np.quantile(course.scores, (0.25, 0.75), axis=0),
            }
            for panel, course in by_panel.items()
        }
        for arm, by_panel in known.items()
    }
