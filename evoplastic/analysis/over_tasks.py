"""A random sample of tasks as what it is a sample of: means over tasks, with the task as the unit of replication.

    mean +- t(.975, n - 1) * sd / sqrt(n)          over n tasks, each the mean over its own lives

Tasks of a sample live lives of their own, so they are independent, and the interval says where the mean over all tasks
that could have been drawn lies. Withheld tasks, which nothing was chosen by, speak of tasks that will be drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoplastic.analysis.statistics import interval, paired

Scores = Mapping[str, NDArray[np.float64]]  # task -> (lives,)
Parts = Mapping[str, Sequence[str]]  # part -> its tasks


def summary_over_tasks(scores: Mapping[str, Scores], parts: Parts, evolved: str, null: str) -> dict[str, Any]:
    """Return what each condition comes to over the tasks of each part, and what it differs by from `evolved`."""
    means = {name: _means(lived, parts) for name, lived in scores.items()}

    def behind(name: str) -> dict[str, Any]:
        return {part: paired(means[evolved][part], means[name][part]).to_json() for part in means[name]}

    lesions = [name for name in scores if name not in (evolved, null)]
    return {
        "tasks": {part: len(tasks) for part, tasks in parts.items() if tasks},
        "conditions": {name: {part: _spread(of) for part, of in by.items()} for name, by in means.items()},
        "gain_over_generation_0": behind(null),
        "lost_by_lesion": {name: behind(name) for name in lesions},
    }


def _means(scores: Scores, parts: Parts) -> dict[str, NDArray[np.float64]]:
    """Return each task's mean over its lives, by part; parts without tasks are left out."""
    return {part: np.array([scores[task].mean() for task in tasks]) for part, tasks in parts.items() if tasks}


def _spread(means: NDArray[np.float64]) -> dict[str, Any]:
    told = interval(means).to_json()
    if told["mean"] is None:
        return told | {"worst": None, "median": None, "best": None}
    return told | {"worst": float(means.min()), "median": float(np.median(means)), "best": float(means.max())}
