"""Threads in this process over kernels that run without the GIL: no start-up, shared memory, one compilation.

Each worker takes the next job when it is done with one, so no worker idles while jobs are left; the row goes to the
job's place, so the order of completion cannot be seen in the result.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

from evoplastic.evaluators.contract import Abandoned, Job, Measure, Row, measuring
from evoplastic.problems.contract import Problem
from evoplastic.strategies.contract import Candidates

_LISTEN_SECONDS = 0.1  # how often a waiting evaluation asks whether to give up


class Threads:
    """See `evaluators.contract.Evaluator`. `abandon` is asked now and then whether to give up."""

    def __init__(self, problem: Problem, workers: int | None = None, abandon: Callable[[], bool] = lambda: False):
        self.workers = workers or available_cores()
        self._problem = problem
        self._abandon = abandon
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="evoplastic")
        self._busy = 0.0  # seconds of all threads since the last report
        self._reported = time.perf_counter()

    def evaluate(self, candidates: Candidates, jobs: Sequence[Job], measure: Measure = "score") -> Row:
        compute = measuring(self._problem, measure)
        rows: list[Row | None] = [None] * len(jobs)
        next_job = itertools.count()  # its __next__ is atomic
        stop = threading.Event()
        busy: list[float] = []

        def work() -> None:
            began = time.perf_counter()
            while not stop.is_set() and (index := next(next_job)) < len(jobs):
                rows[index] = compute(candidates.genotype(jobs[index].member), jobs[index].life)
            busy.append(time.perf_counter() - began)

        pending = {self._pool.submit(work) for _ in range(min(self.workers, len(jobs)))}
        try:
            while pending:
                done, pending = wait(pending, timeout=_LISTEN_SECONDS, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                if pending and self._abandon():
                    raise Abandoned
        finally:
            stop.set()
            wait(pending)
        self._busy += sum(busy)
        return np.array(rows)

    def report(self) -> dict[str, Any]:
        now = time.perf_counter()
        idle = 1.0 - self._busy / (self.workers * (now - self._reported))
        self._busy, self._reported = 0.0, now
        return {"workers": self.workers, "idle_fraction": idle}

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def available_cores() -> int:
    """Return the cores this process may use: CPU affinity, lowered by a control group's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota()))


def _quota() -> int:
    """Return the whole cores of the cgroup v2 CPU quota, or a large number where there is none."""
    unlimited = 1 << 30
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return unlimited
    return unlimited if quota == "max" else max(1, int(quota) // int(period))
