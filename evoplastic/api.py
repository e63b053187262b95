"""From Python: settings in, records out; a run folder in, its numbers and pictures out. Nothing is written."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evoplastic import evolution, launch
from evoplastic.config import RunConfig
from evoplastic.errors import UserError
from evoplastic.evaluators import open_evaluator
from evoplastic.evaluators.contract import Placement
from evoplastic.evolution import Record, Search
from evoplastic.strategies.contract import State

if TYPE_CHECKING:
    from evoplastic.analysis.evaluation import Evaluated
    from evoplastic.analysis.pictures import Pictures

Array = NDArray[np.float64]


def evolve(
    config: RunConfig,
    state: State | None = None,
    workers: int | None = None,
    backend: str = "threads",
    address: str | None = None,
) -> Iterator[Record]:
    """Yield a Record per generation from `state` (generation 0 if None) to `config.generations`.

    Lives are computed on `workers` threads, or with backend "ray" on so many workers of the Ray cluster at `address`
    or, without one, of this machine; default: all there are. None of that changes a bit. Losses are warned of.
    """
    search = Search.of(config)
    evaluator = open_evaluator(backend, search.problem, Placement(workers, address), tell=warnings.warn)
    try:
        yield from evolution.evolve(search, evaluator, state)
    finally:
        evaluator.close()


class Run(launch.Run):
    """A run folder opened to be looked into: where it stands, how it came there, what its center is worth."""

    @property
    def metrics(self) -> dict[str, Array]:
        """The records as columns (generations,) by their paths, such as `training.accuracy`; NaN where there is none.

        Numbers of a list are `path.0`, `path.1`, ...
        """
        return columns(self.folder.metrics())

    def evaluate(
        self,
        lives: int | None = None,
        controls: str | Sequence[str] | None = None,
        tasks: str | Sequence[str] | None = None,
        seed: int = 0,
        workers: int | None = None,
        backend: str = "threads",
    ) -> Evaluated:
        """Return what the center is worth beside generation 0 and lesions, on the run's own lives and controls if None.

        `controls` are lesions, or "all" of them; a withheld one of `tasks` brings its negation; another seed, other
        stimuli and noise. Lives are computed on `workers` threads, or with backend "ray". UserError for unknown names.
        """
        from evoplastic.analysis.evaluation import EvaluationRequest, evaluate

        settings = self.config.evaluation
        lives = settings.lives if lives is None else lives
        if lives < 1:
            raise UserError(f"an evaluation is of at least one life per task and condition, got lives={lives}")
        chosen = settings.controls if controls is None else _names(controls)
        request = EvaluationRequest(lives, chosen, None if tasks is None else _names(tasks), seed)
        evaluator = open_evaluator(backend, self.search.problem, Placement(workers, None), tell=warnings.warn)
        try:
            return evaluate(self.search, self.center, evaluator, request)
        finally:
            evaluator.close()

    @property
    def figures(self) -> Pictures:
        """The run's pictures as Matplotlib figures by name, each drawn when it is asked for.

        Those of an evaluation are drawn from the newest that is stored; `figures.of(run.evaluate())` has all of them.
        """
        from evoplastic.analysis.pictures import Pictures
        from evoplastic.analysis.stored import checked

        folder, generation = self.folder, self.state.generation
        stored = folder.evaluations(generation, self.search.problem.tasks)
        newest = checked(stored[-1], folder.path) if stored else None
        return Pictures(str(folder.path), generation, folder.metrics(), newest)


def load_run(path: str | Path, runs: str | Path | None = None) -> Run:
    """Return the run in folder `path`, or named so in `runs`, at its newest undamaged checkpoint.

    What is to be known of it, such as damaged checkpoints passed over, is warned of. UserError if it cannot be read.
    """
    found = launch.load_run(path, None if runs is None else Path(runs))
    for warning in found.warnings:
        warnings.warn(warning, stacklevel=2)
    return Run(**{field.name: getattr(found, field.name) for field in fields(found)})


def columns(records: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    """Return an array (records,) for every number in some record, by its path; NaN where a record lacks it."""
    rows = [dict(_numbers(record)) for record in records]
    paths = dict.fromkeys(path for row in rows for path in row)
    return {path: np.array([row.get(path, np.nan) for row in rows]) for path in paths}


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers in what JSON can say, each with its path."""
    if isinstance(value, Mapping | list):
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _numbers(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, int | float):
        yield path, float(value)


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)
