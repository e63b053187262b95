"""What this machine does: one lifetime against the bare matrix product in it, a generation against its lifetimes.

    step_over_bare = (seconds of one lifetime / its steps) / (seconds of one bare product), paired slice by slice
    overhead       = seconds of a generation / seconds of the same number of bare lifetimes on as many threads - 1

Speed is a ratio taken within one run: on shared machines single readings of one program differ by half. The bare
product is the plain loop drive[post] += rate[pre] * weights[pre, post] over the network's own arrays.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from evoplastic.config import RunConfig, parse_config, read_config
from evoplastic.evaluators.threads import Threads, available_cores
from evoplastic.evolution import Search, evolve
from evoplastic.jit import kernel
from evoplastic.problems.lesions import Body
from evoplastic.rollout import live
from evoplastic.rules import RULES
from evoplastic.tasks.contract import SCORE_COLUMNS

ROUNDS = 40
PRODUCTS = 50_000
GENERATIONS = 3


@kernel
def bare_products(weights: Any, rates: Any, drive: Any, repeats: int) -> None:
    """Repeat the product of `rates` (N,) and `weights` (N, W) into `drive` (W,), with rates that never fade."""
    units = weights.shape[0]
    for repeat in range(repeats):
        for post in range(drive.shape[0]):
            drive[post] = np.float32(0.0)
        for pre in range(units):
            rate = rates[pre]
            for post in range(drive.shape[0]):
                drive[post] += rate * weights[pre, post]
        rates[repeat % units] = -rates[(repeat + 3) % units]


def measure(preset: str, tell: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Return the bench's JSON object for the preset; takes a few minutes."""
    config = read_config(preset)
    lifetime = _Lifetime(config)
    tell("timing lifetimes against bare products")
    pairs = [lifetime.slice() for _ in range(ROUNDS)]
    ratios = sorted(step / bare for step, bare in pairs)
    tell("timing generations against bare lifetimes")
    generation = _generation(config)
    tell("timing every rule, and a fading network")
    rules = {name: _rule(config, name) for name in RULES}
    faded = _fading(config)
    tell("timing compilation in new processes")
    return {
        "format": "evoplastic.bench",
        "version": 1,
        "preset": preset,
        "cores": available_cores(),
        "units": config.problem.network.units,
        "steps_per_lifetime": lifetime.steps,
        "lifetime_us_per_step": statistics.median(step for step, _ in pairs),
        "bare_product_us": statistics.median(bare for _, bare in pairs),
        "step_over_bare": {
            "median": statistics.median(ratios),
            "p10": ratios[ROUNDS // 10],
            "p90": ratios[-1 - ROUNDS // 10],
            "rounds": ROUNDS,
        },
        **generation,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **_start_up(),
        "fading_over_dense": faded,
        "rules": rules,
    }


def rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the result as lines of a table, header first."""
    ratio = result["step_over_bare"]
    return [
        (f"{result['preset']}, {result['units']} units, {result['cores']} cores", "measured"),
        ("lifetime, us per step", f"{result['lifetime_us_per_step']:.3f}"),
        ("bare product, us", f"{result['bare_product_us']:.3f}"),
        ("step over bare product", f"{ratio['median']:.2f} ({ratio['p10']:.2f} to {ratio['p90']:.2f})"),
        ("lifetimes per generation", f"{result['lifetimes_per_generation']}"),
        ("generation, s", f"{result['generation_s']:.2f}"),
        ("lifetimes per s", f"{result['lifetimes_per_s']:.0f}"),
        ("overhead of evolution", f"{100 * result['overhead_fraction']:.1f} %"),
        ("peak memory, MB", f"{result['peak_rss_mb']:.0f}"),
        ("compile, cold cache, s", f"{result['compile_cold_s']:.1f}"),
        ("compile, warm cache, s", f"{result['compile_warm_s']:.1f}"),
        ("first generation of quickstart, warm cache, s", f"{result['first_generation_warm_s']:.1f}"),
        ("fading network over dense one", f"{result['fading_over_dense']:.2f}"),
        *((f"rule {name}, us per step", f"{rule['us_per_step']:.3f}") for name, rule in result["rules"].items()),
    ]


class _Lifetime:
    """One lifetime of the configured problem's first center, and the bare products beside it."""

    def __init__(self, config: RunConfig, change: Callable[[Body], Body] = lambda body: body):
        problem = config.problem.build(config.seed)
        life = problem.training_life(0, 0)
        self.body = change(problem.body(problem.layout.initial(), life))
        self.trials = config.problem.task.life_trials
        self.steps = self.trials * int(self.body.task.periods.trial)
        self._key = np.uint64(1)
        self.run()
        bare_products(self.body.network.innate, *self._vectors(), 1)

    def run(self) -> float:
        """Return the seconds of one lifetime."""
        self._key += np.uint64(1)
        scores = np.zeros((self.trials, SCORE_COLUMNS), np.float32)
        plastic = np.empty_like(self.body.network.innate)
        started = time.perf_counter()
        live(*self.body, self._key, plastic, scores)
        return time.perf_counter() - started

    def slice(self) -> tuple[float, float]:
        """Return microseconds of a lifetime's step and of a bare product, measured one after the other."""
        step = self.run() / self.steps
        rates, drive = self._vectors()
        started = time.perf_counter()
        bare_products(self.body.network.innate, rates, drive, PRODUCTS)
        return 1e6 * step, 1e6 * (time.perf_counter() - started) / PRODUCTS

    def _vectors(self) -> tuple[Any, Any]:
        units, width = self.body.network.innate.shape
        return np.linspace(0.5, 1.0, units, dtype=np.float32), np.zeros(width, np.float32)


def _generation(config: RunConfig) -> dict[str, Any]:
    """Time generations without validation, each beside as many bare lifetimes on as many threads."""
    settings = msgspec.structs.replace(config.validation, every=0)
    config = msgspec.structs.replace(config, validation=settings, generations=GENERATIONS + 1)
    search = Search.of(config)
    evaluator = Threads(search.problem)
    lifetimes = [_Lifetime(config) for _ in range(evaluator.workers)]
    population = config.strategy.population
    seconds, ratios = [], []
    for record in evolve(search, evaluator):
        if record.generation == 0:
            continue  # warms up
        bare = _bare_lifetimes(lifetimes, population)
        seconds.append(record.seconds)
        ratios.append(record.seconds / bare)
    evaluator.close()
    median = statistics.median(seconds)
    return {
        "generation_s": median,
        "lifetimes_per_generation": population,
        "lifetimes_per_s": population / median,
        "overhead_fraction": statistics.median(ratios) - 1.0,
    }


def _bare_lifetimes(lifetimes: list[_Lifetime], count: int) -> float:
    """Return the seconds of `count` lifetimes shared by one thread for each of `lifetimes`."""
    left = iter(range(count))  # next() on it is atomic

    def work(lifetime: _Lifetime) -> None:
        for _ in left:
            lifetime.run()

    threads = [threading.Thread(target=work, args=(lifetime,)) for lifetime in lifetimes]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def _rule(config: RunConfig, name: str) -> dict[str, float]:
    """Return a rule's microseconds per step under the configured network and task."""
    raw = msgspec.to_builtins(config)
    raw["problem"]["rule"] = {"type": name}
    lifetime = _Lifetime(parse_config(raw))
    pairs = [lifetime.slice() for _ in range(ROUNDS // 8)]
    return {
        "us_per_step": statistics.median(step for step, _ in pairs),
        "bare_product_us": statistics.median(bare for _, bare in pairs),
    }


def _fading(config: RunConfig) -> float:
    """Return how much slower a network is whose activity fades away, 30 % of its units without input.

    Nothing perturbs either network, so potentials of the unconnected units shrink for ever: without the flush they
    would soon be subnormal and each step many times slower.
    """

    def unperturbed(body: Body) -> Body:
        return body._replace(rule=body.rule._replace(quiet_from=np.int64(0)))

    def fade(body: Body) -> Body:
        innate = (0.1 * body.network.innate).astype(np.float32)
        innate[:, : int(0.3 * len(innate))] = 0.0
        return unperturbed(body._replace(network=body.network._replace(innate=innate)))

    dense, fading = _Lifetime(config, unperturbed), _Lifetime(config, fade)
    return statistics.median(fading.run() / dense.run() for _ in range(ROUNDS // 4))


_COMPILE = """
import time
from evoplastic.bench import _Lifetime, read_config
started = time.perf_counter()
_Lifetime(read_config("icml2023"))
print(time.perf_counter() - started)
"""

_FIRST_GENERATION = """
from evoplastic.config import read_config
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Search, evolve
search = Search.of(read_config("quickstart"))
next(evolve(search, Threads(search.problem)))
"""


def _start_up() -> dict[str, float]:
    """Time new processes: compiling with an empty and a full cache, and the first generation from the command on."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"EVOPLASTIC_CACHE": cache}

        def process(code: str) -> tuple[float, str]:
            started = time.perf_counter()
            command = [sys.executable, "-c", code]
            out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
            return time.perf_counter() - started, out

        cold, warm = (float(json.loads(process(_COMPILE)[1])) for _ in range(2))
        process(_FIRST_GENERATION)
        return {
            "compile_cold_s": cold,
            "compile_warm_s": warm,
            "first_generation_warm_s": process(_FIRST_GENERATION)[0],
        }
