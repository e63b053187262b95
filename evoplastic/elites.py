"""Elites: the members that a run keeps beside its center, and what tells which of them is best.

Candidates are the best members of each generation by training fitness; the `keep` highest of all generations stay.
That fitness is one draw of noise, and generations may live different tasks, so it says only who may be good. Who is
best, lives of their own decide: center, mean of the elites and every elite live the same lives, addressed by their own
purpose, on validation tasks, or on training tasks where there are none to validate on. Nothing here looks at withheld
tasks. The highest of several scores is a little too high, that of center and mean is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.evaluators.contract import Evaluator, Job
from evoplastic.evolution import Record, Search
from evoplastic.files import plain
from evoplastic.problems.contract import METRIC, choosing_tasks
from evoplastic.random import Purpose
from evoplastic.strategies.contract import Fixed, State

Array = NDArray[np.float64]
PREFIX = "elites."  # of their arrays in a checkpoint


@dataclass(frozen=True, eq=False)
class Elites:
    """Up to `keep` members, the highest training fitness first."""

    genes: Array  # (k, D)
    fitness: Array  # (k,)
    born: NDArray[np.int64]  # (k, 2): generation, member

    def after(self, record: Record, keep: int) -> Elites:
        """Return the elites after `record`, `keep` of them at most; of equals the earlier stays."""
        best = record.best
        place = int((self.fitness >= best.fitness).sum())
        if place >= keep:
            return self
        return Elites(
            np.insert(self.genes.reshape(-1, len(best.genes)), place, best.genes, axis=0)[:keep],
            np.insert(self.fitness, place, best.fitness)[:keep],
            np.insert(self.born, place, (record.generation, best.member), axis=0)[:keep],
        )

    def mean(self) -> Array:
        """Return the mean of the elites' genes (D,)."""
        return np.asarray(self.genes.mean(axis=0))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the elites as a checkpoint's arrays; none if there are none."""
        named = {"genes": self.genes, "fitness": self.fitness, "born": self.born}
        return {PREFIX + name: array for name, array in named.items()} if len(self.fitness) else {}


NO_ELITES = Elites(np.empty((0, 0)), np.empty(0), np.empty((0, 2), np.int64))


def split(arrays: Mapping[str, NDArray[Any]], genes: int) -> tuple[dict[str, NDArray[Any]], Elites]:
    """Return a checkpoint's arrays without those of the elites, and the elites; UserError for another genome's."""
    rest = {name: array for name, array in arrays.items() if not name.startswith(PREFIX)}
    kept = {name.removeprefix(PREFIX): arrays[name] for name in arrays if name not in rest}
    if not kept:
        return rest, NO_ELITES
    shapes, count = {name: array.shape for name, array in kept.items()}, len(kept.get("fitness", ()))
    wanted = {"genes": (count, genes), "fitness": (count,), "born": (count, 2)}
    if shapes != wanted:
        raise UserError(f"the saved elites are not of this search: they must hold {wanted}, got {shapes}")
    return rest, Elites(**kept)


def rejudged(search: Search, evaluator: Evaluator, elites: Elites, state: State) -> dict[str, Any]:
    """Return what center, mean and each of one or more elites score on lives of their own, and which elite is best.

    A score is the mean of the metric over tasks and lives, None where that is no number; the same generation gives the
    same bits whoever asks.
    """
    problem, lives = search.problem, search.config.elites.lives
    part = "validation" if problem.validation else "training"
    addresses = problem.test_lives(Purpose.ELITES, (state.generation,), lives)
    lived = [life for task in choosing_tasks(problem) for life in addresses[task]]
    genotypes = np.stack([state.center, elites.mean(), *elites.genes])
    jobs = [Job(member, life) for member in range(len(genotypes)) for life in lived]
    rows = evaluator.evaluate(Fixed(genotypes), jobs)[:, METRIC].reshape(len(genotypes), -1)
    center, mean, *kept = rows.mean(axis=1).tolist()
    table = [
        {"generation": int(generation), "member": int(member), "fitness": float(fitness), "score": score}
        for (generation, member), fitness, score in zip(elites.born, elites.fitness, kept, strict=True)
    ]
    best = int(np.argmax(np.nan_to_num(kept, nan=-np.inf)))
    judged = {"part": part, "lives": lives, "metric": problem.columns[METRIC]}
    return dict(plain({**judged, "center": center, "elite": mean, "kept": table, "best": best}))
