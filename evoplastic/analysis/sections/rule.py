"""Which rule do the weights follow, as what is set and as what is seen of it?"""

from __future__ import annotations

from typing import Any

from evoplastic.analysis.rule_reading import READ, STILL, Reading, read_rule
from evoplastic.analysis.sections.contract import Case, Row, Section
from evoplastic.errors import UserError
from evoplastic.problems.contract import choosing_tasks

TITLE = "The rule"


def rule(case: Case) -> Section:
    problem = case.search.problem
    task = (problem.withheld or choosing_tasks(problem))[0]
    recording = case.recorded(task, "center")
    said = [f"As it is set, {recording.about['rule']['type']}: {_account(problem)}"]
    try:
        reading = read_rule(recording)
    except UserError as error:
        return Section(TITLE, [*said, f"As it is seen: {error}."])
    return Section(TITLE, [*said, *_seen(reading)], table=_terms(reading), numbers={"reading": reading.to_json()})


def _account(problem: Any) -> str:
    return str(problem.settings.rule.describe().equation)


def _seen(reading: Reading) -> list[str]:
    """Return in sentences what a regression of the recorded weight changes on terms of local quantities says."""
    if reading.verdict == STILL:
        return ["As it is seen: no weight changed."]
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in reading.left_out.items() if count)
    counted = f"{reading.samples:,} samples in {reading.blocks} blocks ({reading.block_is})"
    counted += f"; left out: {left_out}." if left_out else "."
    if reading.verdict != READ:
        return [
            f"As it is seen: {reading.verdict} of {len(reading.dictionary)} terms of rates, weight, third factor and "
            f"traces, which explain {reading.explained:.3f} of the variance of blocks left out; no term is named.",
            counted,
        ]
    return [
        f"As it is seen: {reading.equation}",
        f"Its terms explain {reading.explained:.6f} of the variance of blocks left out; condition number "
        f"{reading.condition:.1f}, of all {len(reading.dictionary)} terms {reading.dictionary_condition:.1f}.",
        counted,
    ]


def _terms(reading: Reading) -> list[Row]:
    rows = [(each.name, f"{each.coefficient:.4g}", f"{each.error:.2g}") for each in reading.terms]
    return [("term", "coefficient", "standard error"), *rows] if rows else []
