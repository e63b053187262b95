"""What Ray costs on this machine: a chunk's way to a worker and back, and shipping bytes to a node."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import ray

from evoplastic.evaluators.contract import Job
from evoplastic.evaluators.ray import AHEAD
from evoplastic.evaluators.ray_crew import on_node
from evoplastic.evaluators.ray_worker import Worker
from evoplastic.problems.contract import Problem
from evoplastic.strategies.contract import Candidates, Fixed

_CHUNKS, _BYTES, _ROUNDS = 400, 8 * 2**20, 5


class RayCosts(NamedTuple):
    """Seconds of the driver."""

    chunk: float  # to issue one and to receive its rows
    put: float  # whatever is shipped
    byte: float  # of what is shipped, into this machine's object store


def ray_costs(problem: Problem) -> RayCosts:
    """Measure in the connected cluster, which has a free CPU; takes some seconds."""
    worker = on_node(ray.get_runtime_context().get_node_id(), Worker, num_cpus=1).remote(problem)
    small = _seconds(lambda: ray.put(Fixed(np.zeros((1, 1)))))
    large = _seconds(lambda: ray.put(Fixed(np.zeros((1, _BYTES // 8)))))
    candidates = ray.put(Fixed(np.zeros((1, 1))))
    ray.get(worker.live.remote(candidates, "score", []))

    def answer_chunks() -> None:
        open_ = [worker.live.remote(candidates, "score", []) for _ in range(AHEAD)]
        for _ in range(_CHUNKS - AHEAD):
            (done,), open_ = ray.wait(open_, num_returns=1)
            ray.get(done)
            open_.append(worker.live.remote(candidates, "score", []))
        ray.get(open_)

    chunk = _seconds(answer_chunks) / _CHUNKS
    ray.kill(worker)
    return RayCosts(chunk, small, max(0.0, large - small) / _BYTES)


def shipped_bytes(candidates: Candidates, jobs: Sequence[Job], columns: int) -> tuple[int, int]:
    """Return the bytes that each node fetches once in a generation, and those of all jobs and rows."""
    once = len(ray.cloudpickle.dumps(candidates))
    return once, len(ray.cloudpickle.dumps(list(jobs))) + 8 * columns * len(jobs)


def _seconds(work: Callable[[], object]) -> float:
    def once() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return statistics.median(once() for _ in range(_ROUNDS))
