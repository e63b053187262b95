"""Lives on a Ray cluster against lives in threads, on this machine: the price of being able to lose workers.

    python benchmarks/backends.py [PRESET] [--rounds 15] [--workers W]

Rounds alternate: a generation in threads, the same generation on Ray, which must give the same bits; the ratio of
lives per second is taken round by round, so that what else the machine does falls on both. Also: what checkpoints
cost at the run file's cadence, and what a generation sends. Writes benchmarks/BACKENDS.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from evoplastic.config import read_config
from evoplastic.evaluators import open_evaluator
from evoplastic.evaluators.contract import Evaluator, Placement
from evoplastic.evaluators.threads import available_cores
from evoplastic.evolution import Record, Search, evolve, training_jobs
from evoplastic.jit import source_hash
from evoplastic.launch import carry_on, start_run
from evoplastic.stop import StopRequest

RESULTS = Path(__file__).with_name("BACKENDS.md")
BOUND_RATIO, BOUND_CHECKPOINTS = 0.92, 0.01


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", nargs="?", default="icml2023")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--workers", type=int, default=available_cores())
    options = parser.parse_args()
    search = Search.of(read_config(options.preset, ["validation.every=0"], generations=options.rounds + 1))
    opened = {name: _open(name, search, options.workers) for name in ("threads", "ray")}
    try:
        ratios = sorted(_rounds(search, opened["threads"], opened["ray"]))
    finally:
        for evaluator in opened.values():
            evaluator.close()
    written = _report(options, ratios, _checkpoint_share(search), _sent(search))
    RESULTS.write_text(written, encoding="utf-8")
    print(written)


def _open(name: str, search: Search, workers: int) -> Evaluator:
    return open_evaluator(name, search.problem, Placement(workers), tell=print)


def _rounds(search: Search, threads: Evaluator, ray: Evaluator) -> list[float]:
    """Return, for each generation after the first, lives per second on Ray over lives per second in threads."""
    ratios = []
    for one, other in zip(evolve(search, threads), evolve(search, ray), strict=True):
        if one.state.center.tobytes() != other.state.center.tobytes() or one.metrics != other.metrics:
            raise SystemExit(f"generation {one.generation} is not the same on Ray and in threads")
        print(f"generation {one.generation}: threads {_rate(one):.1f}, Ray {_rate(other):.1f} lives/s", flush=True)
        ratios.append(_rate(other) / _rate(one))
    return ratios[1:]


def _rate(record: Record) -> float:
    return record.lives / record.seconds


def _checkpoint_share(search: Search) -> float:
    """Return the share of a run's seconds that go into checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        run = start_run(search.config, Path(folder))
        evaluator, started = _open("threads", search, available_cores()), time.perf_counter()
        with run.folder.lock():
            carry_on(run, evaluator, StopRequest())
        seconds = time.perf_counter() - started
        evaluator.close()
        events = map(json.loads, (run.folder.path / "events.jsonl").read_text().splitlines())
        return sum(event["seconds"] for event in events if event["kind"] == "checkpoint") / seconds


def _sent(search: Search) -> tuple[int, int, int]:
    """Return the bytes of a center, of what each node fetches once per generation, and of all jobs and rows."""
    from evoplastic.evaluators.ray_costs import shipped_bytes

    candidates: Any = search.strategy.ask(search.start())
    jobs = training_jobs(search, candidates, 0, range(candidates.population))
    return candidates.center.nbytes, *shipped_bytes(candidates, jobs, len(search.problem.columns))


def _report(options: argparse.Namespace, ratios: list[float], share: float, sent: tuple[int, int, int]) -> str:
    median, low, high = statistics.median(ratios), ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
    center, once, jobs = sent
    met = {True: "met", False: "NOT met"}
    return f"""# Ray against threads

Made by `python benchmarks/backends.py {options.preset} --rounds {options.rounds} --workers {options.workers}` on \
{date.today()}, {platform.machine()}, {available_cores()} cores, Python {platform.python_version()}, sources \
{source_hash()}. Every round gave the same bits on both.

| | measured | bound |
|---|---|---|
| lives per second, Ray over threads, median of {len(ratios)} rounds | {median:.3f} ({low:.3f} to {high:.3f}) | \
>= {BOUND_RATIO}: {met[median >= BOUND_RATIO]} |
| share of a run's time in checkpoints | {100 * share:.2f} % | < 1 %: {met[share < BOUND_CHECKPOINTS]} |
| bytes that each node fetches once per generation | {once}, of which the center {center} | |
| bytes of all jobs and rows of a generation | {jobs} | |
"""


if __name__ == "__main__":
    main()
