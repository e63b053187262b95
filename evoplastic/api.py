"""Evolution from Python in one call: settings in, records out, nothing written."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from evoplastic import evolution
from evoplastic.config import RunConfig
from evoplastic.evaluators import open_evaluator
from evoplastic.evaluators.contract import Placement
from evoplastic.evolution import Record, Search
from evoplastic.strategies.contract import State


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
