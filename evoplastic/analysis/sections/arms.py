"""What is each ingredient worth: the run's arm beside the arms that evolved without it."""

from __future__ import annotations

from evoplastic.analysis.comparison_rows import reached
from evoplastic.analysis.comparison_table import arm_rows, scored_parts, sentences
from evoplastic.analysis.comparison_verdict import verdict
from evoplastic.analysis.sections.contract import Case, Section

TITLE = "Beside other arms"
ALONE = (
    "The run stands alone, so that nothing is said of what evolution needed: that is told by arms evolved without it, "
    "over seeds. Evolve them with sweep --over, then analyze a run of the group, or name runs and groups with --arm."
)


def arms(case: Case) -> Section:
    """Tell what a comparison of the run's arms bears out; lesions of one genome stand elsewhere."""
    compared = case.arms()
    if compared is None:
        return Section(TITLE, [ALONE])
    figure = reached(compared["arms"], scored_parts(compared), compared["metric"])
    said = [*verdict(compared), *sentences(compared)]
    return Section(TITLE, said, {"arms": figure}, arm_rows(compared), {"compared": compared})
