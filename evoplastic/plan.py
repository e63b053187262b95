"""What a generation will take on more workers than there are here, from constants measured on this machine.

    seconds(N) = update + put + bytes per node * nodes / bandwidth + makespan(N)
    efficiency = lives * seconds of a life / (N * seconds(N))

`update` is the strategy's ask and tell, which only the driver does; `makespan` is that of the evaluator's own chunks
on N workers, each of which costs the driver some time too, so it is found by playing them through. A life is timed
alone for one worker, and with all cores of this machine busy for more: cores that share a cache slow each other. What
the network between nodes does is not measured here but assumed, and said so.
"""

from __future__ import annotations

import heapq
import math
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np

from evoplastic.config import RunConfig
from evoplastic.evaluators.contract import Placement
from evoplastic.evaluators.ledger import chunk_size
from evoplastic.evaluators.threads import available_cores
from evoplastic.evolution import Search, evolve, training_jobs

FORMAT, VERSION = "evoplastic.plan", 1
BANDWIDTH = 125e6  # bytes per second from the driver to all nodes together: 1 Gbit/s
LIVES_SECONDS, UPDATES = 2.0, 3
CHECKED_WORKERS, CHECKED_GENERATIONS = (1, 2), 3
WORTH_SAYING = 0.1  # share of a generation from which a part of it is called a limit


class Costs(NamedTuple):
    """Constants of a preset on this machine; seconds and bytes."""

    lives: int  # of a generation
    life: float  # alone
    life_beside: float  # with every core busy
    update: float  # ask and tell
    chunk: float  # of the driver, for each chunk
    put: float
    put_byte: float
    node_bytes: int  # fetched by each node once
    job_bytes: int  # of all jobs and rows


class Prediction(NamedTuple):
    """A generation on so many workers; seconds, in the order in which they pass."""

    workers: int
    nodes: int
    update: float
    broadcast: float
    makespan: float
    ideal: float  # lives shared out evenly, without anything else

    @property
    def seconds(self) -> float:
        return self.update + self.broadcast + self.makespan

    @property
    def efficiency(self) -> float:
        return self.ideal / self.seconds

    @property
    def limits(self) -> list[str]:
        """What takes a good part of the generation besides living."""
        parts = {
            "driver update": self.update,
            "broadcast": self.broadcast,
            "chunks and their tail": self.makespan - self.ideal,
        }
        return [name for name, seconds in parts.items() if seconds > WORTH_SAYING * self.seconds]


def plan(config: RunConfig, workers: int, cores_per_node: int, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return the `plan` JSON object; takes about a minute, and opens a Ray of its own."""
    from evoplastic.evaluators.ray_cluster import LOCAL
    from evoplastic.evaluators.ray_shared import shared_cluster

    search = Search.of(config)
    cores = available_cores()
    tell("timing lives and updates")
    alone, beside = _life_seconds(search, 1), _life_seconds(search, cores)
    update = _update_seconds(search)
    tell("timing Ray on this machine")
    with shared_cluster(Placement(max(CHECKED_WORKERS), LOCAL)):
        costs = _costs(search, alone, beside, update)
        measured = {}
        for count in CHECKED_WORKERS:
            tell(f"checking with {count} worker{'s' * (count > 1)}")
            measured[count] = _generation_seconds(search, count)
    counts = [1 << power for power in range(workers.bit_length()) if 1 << power < workers] + [workers]
    return {
        "format": FORMAT,
        "version": VERSION,
        "preset": config.name,
        "cores_per_node": cores_per_node,
        "bandwidth_bytes_per_s": BANDWIDTH,
        "costs": costs._asdict(),
        "predictions": [_to_json(predict(costs, n, math.ceil(n / cores_per_node)), costs) for n in counts],
        "checks": [
            {"workers": n, "predicted_s": predict(costs, n, 1).seconds, "measured_s": seconds}
            for n, seconds in measured.items()
        ],
    }


def rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the predictions of a `plan` object as a table."""
    table: list[tuple[str, ...]] = [("workers", "nodes", "s per generation", "efficiency", "MB shipped", "limited by")]
    for row in result["predictions"]:
        numbers = f"{row['seconds']:.3g}", f"{100 * row['efficiency']:.0f} %", f"{row['bytes'] / 1e6:.2f}"
        table.append((str(row["workers"]), str(row["nodes"]), *numbers, ", ".join(row["limits"]) or "lives"))
    return table


def notes(result: dict[str, Any]) -> list[str]:
    """Return what the predictions rest on, in sentences."""
    costs, said = result["costs"], []
    said.append(
        f"A generation is {costs['lives']} lives of {1e3 * costs['life']:.1f} ms ({1e3 * costs['life_beside']:.1f} ms "
        f"with all cores busy), {1e3 * costs['update']:.1f} ms of update, {1e3 * costs['chunk']:.2f} ms per chunk; "
        f"{costs['node_bytes'] / 1e3:.0f} kB go to each node, {costs['job_bytes'] / 1e3:.0f} kB are jobs and rows."
    )
    for check in result["checks"]:
        ratio = check["measured_s"] / check["predicted_s"]
        told = f"{check['measured_s']:.3g} s, {ratio:.2f} of what is said above"
        said.append(f"Measured on {check['workers']} here: {told}.")
    said.append(
        f"Not measured but assumed: nodes like this machine, {result['cores_per_node']} workers on each, and "
        f"{result['bandwidth_bytes_per_s'] / 1e6:.0f} MB/s from the driver to all of them together."
    )
    return said


def predict(costs: Costs, workers: int, nodes: int) -> Prediction:
    """Return what a generation will take."""
    life = costs.life if workers == 1 else costs.life_beside
    network = costs.node_bytes * (nodes - 1) / BANDWIDTH  # the driver's own node has it already
    broadcast = costs.put + costs.node_bytes * costs.put_byte + network
    ideal = costs.lives * life / workers
    return Prediction(workers, nodes, costs.update, broadcast, makespan(costs, workers, life), ideal)


def makespan(costs: Costs, workers: int, life: float) -> float:
    """Return the seconds until the last of a generation's chunks is done, handed out as the evaluator does."""
    free = [(0.0, worker) for worker in range(workers)]  # when each worker is done with what it has
    driver, left = 0.0, costs.lives
    while left:
        size = min(left, chunk_size(left, workers, life))
        left -= size
        done, worker = heapq.heappop(free)
        driver = max(driver, done - 2 * size * life) + costs.chunk  # issued ahead, as soon as the driver comes to it
        heapq.heappush(free, (max(done, driver) + size * life, worker))
    return max(done for done, _ in free)


def _life_seconds(search: Search, threads: int) -> float:
    """Return the seconds of a life while `threads` of them are lived at a time."""
    candidates = search.strategy.ask(search.start())
    jobs = training_jobs(search, candidates, 0, range(candidates.population))
    score = search.problem.score
    score(candidates.genotype(0), jobs[0].life)
    counts = [0] * threads
    until = time.perf_counter() + LIVES_SECONDS

    def work(thread: int) -> None:
        while time.perf_counter() < until:
            job = jobs[(counts[thread] * threads + thread) % len(jobs)]
            score(candidates.genotype(job.member), job.life)
            counts[thread] += 1

    started = time.perf_counter()
    running = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return (time.perf_counter() - started) * threads / sum(counts)


def _update_seconds(search: Search) -> float:
    """Return the seconds of ask and tell, with a fitness that changes the center."""
    state = search.start()

    def once() -> float:
        nonlocal state
        started = time.perf_counter()
        candidates = search.strategy.ask(state)
        shape = (candidates.population, candidates.lives)
        fitness = np.arange(float(np.prod(shape))).reshape(shape)
        state = search.strategy.tell(state, candidates, fitness[:, 0] if candidates.lives == 1 else fitness)
        return time.perf_counter() - started

    once()
    return statistics.median(once() for _ in range(UPDATES))


def _costs(search: Search, alone: float, beside: float, update: float) -> Costs:
    from evoplastic.evaluators.ray_costs import ray_costs, shipped_bytes

    candidates = search.strategy.ask(search.start())
    jobs = training_jobs(search, candidates, 0, range(candidates.population))
    node_bytes, job_bytes = shipped_bytes(candidates, jobs, len(search.problem.columns))
    ray = ray_costs(search.problem)
    return Costs(len(jobs), alone, beside, update, ray.chunk, ray.put, ray.byte, node_bytes, job_bytes)


def _generation_seconds(search: Search, workers: int) -> float:
    """Return the seconds of a generation on so many workers of the connected cluster, after the first."""
    from evoplastic.evaluators.ray import RayWorkers

    settings = msgspec.structs.replace(search.config.validation, every=0)
    config = msgspec.structs.replace(search.config, validation=settings, generations=1 + CHECKED_GENERATIONS)
    evaluator = RayWorkers(search.problem, Placement(workers))
    try:
        seconds = [record.seconds for record in evolve(Search.of(config), evaluator)]
    finally:
        evaluator.close()
    return statistics.median(seconds[1:])


def _to_json(prediction: Prediction, costs: Costs) -> dict[str, Any]:
    parts = {name: getattr(prediction, name) for name in ("workers", "nodes", "update", "broadcast", "makespan")}
    whole = {"seconds": prediction.seconds, "efficiency": prediction.efficiency, "limits": prediction.limits}
    return {**parts, **whole, "bytes": costs.node_bytes * prediction.nodes + costs.job_bytes}
