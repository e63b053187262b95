"""What is each ingredient worth: the run's arm beside the arms that evolved without it."""

from __future__ import annotations

from evoplastic.analysis.comparison_rows import reached
from evoplastic.analysis.comparison_table import parts_of, sentences, tables
from evoplastic.analysis.comparison_verdict import verdict
from evoplastic.analysis.sections.contract import Case, Section

TITLE = "Beside other arms"
ALONE = (
    "The run stands alone, so that nothing is said of what evolution needed: that is told by arms evolved without it, "
    "over seeds. Evolve them with sweep --over, then analyze a run of the group, or name runs and groups with --arm."
)


def arms(case: Case) -> Section:
    """Tell what a comparison of the run's arms bears out; lesions of one genome stand elsewhere."""
    if case.arms is None:
        return Section(TITLE, [ALONE])
    first, *others = tables(case.arms)
    told = case.arms["arms"]
    figure = reached(told, parts_of(case.arms), case.arms["metric"])
    rows = [*first, *(row + ("",) * (len(first[0]) - len(row)) for table in others[:1] for row in table)]
    return Section(TITLE, [*verdict(case.arms), *sentences(case.arms)], {"arms": figure}, rows, {"compared": case.arms})
