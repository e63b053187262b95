"""What this machine does: one lifetime against the bare matrix product in it, a generation against its lifetimes.

    step_over_bare = (seconds of one lifetime / its steps) / (seconds of one bare product), paired slice by slice
    overhead       = seconds of a generation / seconds of its lifetimes alone, on as many threads - 1
    traffic_bound  = bytes of all arrays over synapses that a step must read or write / bytes a copy moves per second

Speed is a ratio taken within one run: on shared machines single readings of one program differ by half. The overhead is
taken against lifetimes that run side by side too: where two threads share a core's caches, each lifetime takes longer
than alone, which is no fault of the evolution around it. Rules that can write at every step are timed doing so, without
a third factor.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from evoplastic.config import RunConfig, parse_config, read_config
from evoplastic.contracts import with_plugin
from evoplastic.errors import UserError
from evoplastic.evaluators.threads import Threads, available_cores
from evoplastic.evolution import Search, evolve, training_jobs
from evoplastic.jit import aligned, aligned_zeros
from evoplastic.modulation import MODULATIONS
from evoplastic.modulation.contract import ModulationSettings
from evoplastic.problems.lesions import Body
from evoplastic.problems.lifetimes import LifetimesSettings
from evoplastic.rollout import live
from evoplastic.rules import RULES
from evoplastic.rules.contract import RuleSettings, continual
from evoplastic.strategies.contract import State
from evoplastic.tasks.contract import SCORE_COLUMNS
from evoplastic.timing import Lifetime, timed

ROUNDS = 40
GENERATIONS = 5
_ZERO = np.float32(0.0)


def measure(preset: str, tell: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Return the bench's JSON object for the preset; takes a few minutes."""
    config = read_config(preset)
    if not isinstance(config.problem, LifetimesSettings):
        raise UserError(f"the bench times networks, and preset {preset!r} has none; choose one such as icml2023")
    lifetime = Lifetime(config)
    tell("timing lifetimes against bare products")
    pairs = [lifetime.slice() for _ in range(ROUNDS)]
    ratios = sorted(step / bare for step, bare in pairs)
    tell("timing generations against bare lifetimes")
    generation = {**_generation(config), "peak_rss_mb": _peak_memory_mb()}
    tell("timing every rule, and networks that fall silent")
    rules = {name: timed(_with_rule(config, kind)) for name, kind in with_plugin("RULES", RULES).items()}
    known = with_plugin("MODULATIONS", MODULATIONS)
    modulations = {name: timed(_with_modulation(config, kind)) for name, kind in known.items()}
    silence = _silence(config)
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
        **_start_up(preset),
        "silence_over_dense": silence,
        "rules": rules,
        "modulations": modulations,
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
        *((f"{name} units over dense", f"{ratio:.2f}") for name, ratio in result["silence_over_dense"].items()),
        *((f"rule {name}, us per step", _speed(rule)) for name, rule in result["rules"].items()),
        *((f"modulation {name}, us per step", _speed(m)) for name, m in result["modulations"].items()),
    ]


def _speed(measured: dict[str, float]) -> str:
    """Return what was measured of a rule or modulation in a cell of the table."""
    return (
        f"{measured['us_per_step']:.3f} = {measured['step_over_bare']:.2f} bare products of "
        f"{measured['bare_product_us']:.3f}; memory alone {measured['traffic_bound_us']:.3f}"
    )


def _peak_memory_mb() -> float:
    """Return the most memory this process has held; the system counts it in kB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _generation(config: RunConfig) -> dict[str, Any]:
    """Time generations without validation, each beside the bare lifetimes of its own members on as many threads."""
    settings = msgspec.structs.replace(config.validation, every=0)
    config = msgspec.structs.replace(config, validation=settings, generations=GENERATIONS + 1)
    search = Search.of(config)
    evaluator = Threads(search.problem)
    state = search.start()
    seconds, ratios = [], []
    for record in evolve(search, evaluator):
        bare = _bare_lifetimes(search, state, evaluator.workers)
        state = record.state
        if record.generation:  # the first one warms up
            seconds.append(record.seconds)
            ratios.append(record.seconds / bare)
    evaluator.close()
    median = statistics.median(seconds)
    return {
        "generation_s": median,
        "lifetimes_per_generation": record.lives,
        "lifetimes_per_s": record.lives / median,
        "overhead_fraction": statistics.median(ratios) - 1.0,
    }


def _bare_lifetimes(search: Search, state: State, workers: int) -> float:
    """Return the seconds of the lifetimes of a generation's members, their bodies made before, shared by threads."""
    candidates, problem = search.strategy.ask(state), search.config.problem.build(search.config.seed)
    ready: list[tuple[Body, np.uint64]] = []
    for job in training_jobs(search, candidates, state.generation, range(candidates.population)):
        ready.append((problem.body(candidates.genotype(job.member), job.life), problem.key(job.life)))
    left = iter(ready)  # next() on it is atomic
    trials = search.config.problem.task.life_trials

    def work() -> None:
        for body, key in left:
            live(*body, key, aligned_zeros(body.network.innate.shape), np.zeros((trials, SCORE_COLUMNS), np.float32))

    threads = [threading.Thread(target=work) for _ in range(workers)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def _with(config: RunConfig, **parts: Any) -> RunConfig:
    """Return the run with other parts of its problem, each a type's name or its settings."""
    raw = msgspec.to_builtins(config)
    raw["problem"] |= {part: {"type": said} if isinstance(said, str) else said for part, said in parts.items()}
    if "rule" in parts:
        raw["problem"]["genome"]["rule"] = {}  # coefficients of the rule that was
    return parse_config(raw)


def _with_modulation(config: RunConfig, kind: type[ModulationSettings]) -> RunConfig:
    """Return the run with another modulation, and units for it."""
    network = msgspec.to_builtins(config.problem.network)
    network["roles"] |= kind().takes()
    return _with(config, modulation=kind.__struct_config__.tag, network=network)


def _with_rule(config: RunConfig, kind: type[RuleSettings]) -> RunConfig:
    """Return the run with another rule, writing at every step if it can."""
    said = {"type": kind.__struct_config__.tag}
    if "every_step" in kind.__struct_fields__:
        return _with(config, rule=said | {"every_step": True}, modulation="none")
    changed = _with(config, rule=said)
    problem = changed.problem.build(changed.seed)
    rule = problem.body(problem.layout.initial(), problem.training_life(0, 0)).rule
    return _with(config, rule=said, modulation="none") if continual(rule) else changed


def _silence(config: RunConfig) -> dict[str, float]:
    """Return how much slower networks with fading units are than the same dense network, nothing perturbed in any.

    `unconnected`: 30 % of the units have no input; `fading`: all activity shrinks for ever. Without the flush their
    potentials would soon be subnormal and each step many times slower.
    """

    def unperturbed(body: Body) -> Body:
        if not hasattr(body.rule, "quiet_from"):
            return body
        return body._replace(rule=body.rule._replace(quiet_from=np.int64(0)))

    def unconnected(body: Body) -> Body:
        innate = aligned(body.network.innate)
        innate[:, : int(0.3 * len(innate))] = 0.0
        return unperturbed(body._replace(network=body.network._replace(innate=innate)))

    def fading(body: Body) -> Body:
        silent = body.task.levels._replace(stimulus=_ZERO, feedback=_ZERO, echo=_ZERO, bias=_ZERO)
        innate = aligned((0.1 * body.network.innate).astype(np.float32))
        body = body._replace(task=body.task._replace(levels=silent))
        return unperturbed(body._replace(network=body.network._replace(innate=innate)))

    dense = Lifetime(config, unperturbed)
    others = {"unconnected": Lifetime(config, unconnected), "fading": Lifetime(config, fading)}
    rounds = [{name: other.run() / dense.run() for name, other in others.items()} for _ in range(ROUNDS // 4)]
    return {name: statistics.median(ratios[name] for ratios in rounds) for name in others}


_COMPILE = """
import sys, time
from evoplastic.bench import Lifetime, read_config
started = time.perf_counter()
Lifetime(read_config(sys.argv[1]))
print(time.perf_counter() - started)
"""


def _start_up(preset: str) -> dict[str, float]:
    """Time new processes: compiling with an empty and a full cache, and a first generation from the command on."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"EVOPLASTIC_CACHE": f"{folder}/cache"}

        def compile_seconds() -> float:
            command = [sys.executable, "-c", _COMPILE, preset]
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            return float(done.stdout)

        cold, warm = compile_seconds(), compile_seconds()
        _first_generation(Path(folder, "cold"), environment)
        first = _first_generation(Path(folder, "warm"), environment)
        return {"compile_cold_s": cold, "compile_warm_s": warm, "first_generation_warm_s": first}


def _first_generation(runs: Path, environment: dict[str, str]) -> float:
    """Return the seconds from starting `evoplastic run quickstart` to the first line of its metrics."""
    command = [sys.executable, "-m", "evoplastic", "run", "quickstart", "--name", "first", "--runs-dir", str(runs)]
    metrics = runs / "first" / "metrics.jsonl"
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (metrics.exists() and metrics.stat().st_size) and process.poll() is None:
            time.sleep(0.01)
        return time.perf_counter() - started
    finally:
        process.kill()
        process.wait()
