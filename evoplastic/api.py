"""Evolution from Python in one call: settings in, records out, nothing written."""

from __future__ import annotations

from collections.abc import Iterator

from evoplastic import evolution
from evoplastic.config import RunConfig
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Record, Search
from evoplastic.strategies.contract import State


def evolve(config: RunConfig, state: State | None = None, workers: int | None = None) -> Iterator[Record]:
    """Yield a Record per generation from `state` (generation 0 if None) to `config.generations`.

    Lives are computed on `workers` threads (default: the cores this process may use); their number changes no bit.
    """
    search = Search.of(config)
    evaluator = Threads(search.problem, workers)
    try:
        yield from evolution.evolve(search, evaluator, state)
    finally:
        evaluator.close()
