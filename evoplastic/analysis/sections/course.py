"""How did evolution go, and on which tasks?"""

from __future__ import annotations

from evoplastic.analysis.evaluation_table import headline, table
from evoplastic.analysis.figures import progress, tasks
from evoplastic.analysis.search_figure import search_figure
from evoplastic.analysis.sections.contract import Case, Section


def course(case: Case) -> Section:
    result = {**case.evaluated.result, "generation": case.generation}
    metrics = [dict(record) for record in case.metrics]
    return Section(
        "What evolution reached",
        [headline(result), result["privileged"], *result["notes"]],
        {"progress": progress(metrics, result), "tasks": tasks(result), "search": search_figure(metrics)},
        table(result),
        {"evaluation": result},
    )
