"""What runs in a process on a cluster's node: a look at the node, a first life that compiles, then lives."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from evoplastic.evaluators.contract import Job, Measure, Row, measuring
from evoplastic.plugins import load
from evoplastic.problems.contract import Problem
from evoplastic.strategies.contract import Candidates

ONE_THREAD = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # set to 1


load()  # before anything of a plugin is unpickled here


def inspect() -> dict[str, Any]:
    """Return what of this node may change a run's bits."""
    from evoplastic.jit import source_hash
    from evoplastic.manifest import build_manifest, deciding_facts

    return deciding_facts(build_manifest([], source_hash()))


def compile_kernels(problem: Problem) -> dict[str, Any]:
    """Live one life, so that the node's cache holds every kernel before its workers start; return how that went."""
    from evoplastic.jit import cached_kernels

    before, started = cached_kernels(), time.perf_counter()
    problem.score(problem.layout.initial(), problem.training_life(0, 0))
    compiled = cached_kernels() > before
    return {"host": platform.node(), "seconds": time.perf_counter() - started, "compiled": compiled}


class Worker:
    """Lives lives, one at a time, on one thread."""

    def __init__(self, problem: Problem):
        check_one_thread()
        self._problem = problem

    def greet(self) -> None:
        """Say by answering that the worker is up."""

    def live(self, candidates: Candidates, measure: Measure, jobs: Sequence[Job]) -> tuple[Row, float]:
        """Return a row per job, and the seconds they took."""
        compute, started = measuring(self._problem, measure), time.perf_counter()
        rows = np.array([compute(candidates.genotype(job.member), job.life) for job in jobs])
        return rows, time.perf_counter() - started


def check_one_thread() -> None:
    """RuntimeError if Numba or a linear-algebra library would use more than one thread in this process."""
    import numba
    import scipy.linalg  # noqa: F401  # it may bring a linear-algebra library of its own
    import threadpoolctl

    threads = {pool["internal_api"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}
    threads["numba"] = numba.config.NUMBA_NUM_THREADS
    more = {name: count for name, count in threads.items() if count != 1}
    if more:
        raise RuntimeError(f"a worker must have one thread, got {more}; set {', '.join(ONE_THREAD)} to 1")
