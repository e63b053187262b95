"""Which rule do the weights follow, as what is set and as what is seen of it?"""

from __future__ import annotations

from evoplastic.analysis.rule_groups import grouped_rule
from evoplastic.analysis.rule_reading import READ, STILL, UNREAD, Reading, read_rule
from evoplastic.analysis.sections.contract import Case, Row, Section
from evoplastic.errors import UserError
from evoplastic.problems.contract import choosing_tasks
from evoplastic.rules.describing import Coefficient, evolved_rule

TITLE = "The rule"


def rule(case: Case) -> Section:
    problem = case.search.problem
    task = (problem.withheld or choosing_tasks(problem))[0]
    recording = case.recorded(task, "center")
    told, coefficients = evolved_rule(case.search.config.problem.rule, problem.layout, case.center)
    said = [f"As it is set, {recording.about['rule']['type']}: {told['equation']}", *_spread(coefficients)]
    try:
        reading = read_rule(recording)
    except UserError as error:
        return Section(TITLE, [*said, f"As it is seen: {error}."], numbers={"set": told})
    numbers = {"set": told, "reading": reading.to_json()}
    grouped = grouped_rule(recording, problem, case.center) if reading.verdict == UNREAD else None  # type: ignore[arg-type]
    if grouped is None:
        return Section(TITLE, [*said, *_seen(reading)], table=_terms(reading), numbers=numbers)
    numbers["groups"] = grouped.to_json()
    return Section(TITLE, [*said, *_seen(reading), *grouped.sentences()], table=grouped.rows(), numbers=numbers)


def _spread(coefficients: list[Coefficient]) -> list[str]:
    """Return in a sentence what the genome holds of the rule, if it holds anything."""
    held = [known for known in coefficients if known.sharing]
    told = [f"{each.name} {each.mean:.4g} ({each.low:.4g} to {each.high:.4g}, {each.count} genes)" for each in held]
    return [f"The genome holds {'; '.join(told)}."] if told else []


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
