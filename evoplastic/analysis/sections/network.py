"""What is wired, what is learned, and how does activity move?"""

from __future__ import annotations

import numpy as np

from evoplastic.analysis.network_figures import effective, network_figures
from evoplastic.analysis.sections.contract import Case, Section
from evoplastic.problems.contract import choosing_tasks
from evoplastic.recordings import Recording


def network(case: Case) -> Section:
    problem = case.search.problem
    task = (problem.withheld or choosing_tasks(problem))[0]
    recording = case.recorded(task, "center")
    lives = [effective(recording, life) for life in range(len(recording.labels["life"]))]
    smallest = np.finfo(float).tiny
    shares = [np.linalg.norm(old - newborn) / max(float(np.linalg.norm(newborn)), smallest) for newborn, old in lives]
    change = float(np.mean(shares))
    last = int(recording.labels["sample"][-1]) + 1
    met = "never met" if task in (*problem.withheld, *problem.validation) else "met"
    return Section(
        "The network at work",
        [
            f"{len(recording.labels['life'])} lives on {task}, which evolution {met}{_of_trials(recording)}.",
            f"After {last} trials the learned change is {change:.3g} of the norm of weights onto free units (mean).",
        ],
        network_figures(recording),
        numbers={"task": task, "learned_change_over_weights": change},
    )


def _of_trials(recording: Recording) -> str:
    """Return which trials are looked at, where these are not all."""
    trials = recording.labels["trial"]
    jumps = np.flatnonzero(np.diff(trials) > 1)
    if not len(jumps):
        return ""
    ends = zip([trials[0], *trials[jumps + 1]], [*trials[jumps], trials[-1]])
    return f"; of each life trials {' and '.join(f'{first} to {last}' for first, last in ends)}"
