"""What is wired, what is learned, and how does activity move?"""

from __future__ import annotations

import numpy as np

from evoplastic.analysis.network_figures import effective, network_figures
from evoplastic.analysis.sections.contract import Case, Section
from evoplastic.problems.contract import choosing_tasks


def network(case: Case) -> Section:
    problem = case.search.problem
    task = (problem.withheld or choosing_tasks(problem))[0]
    recording = case.recorded(task, "center")
    newborn, old = effective(recording)
    change = float(np.linalg.norm(old - newborn) / max(float(np.linalg.norm(newborn)), np.finfo(float).tiny))
    last = int(recording.labels["sample"][-1]) + 1
    met = "never met" if task in problem.withheld else "met"
    return Section(
        "The network at work",
        [
            f"{len(recording.labels['life'])} lives on {task}, which evolution {met}.",
            f"After {last} trials the learned change is {change:.3g} of the weights' norm (first life).",
        ],
        network_figures(recording),
        numbers={"task": task, "learned_change_over_weights": change},
    )
