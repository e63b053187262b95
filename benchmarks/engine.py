"""The engine of meta-tasks: decisions per second of a scripted policy, and its share of a plastic network's lifetime.

    python benchmarks/engine.py [--rounds 40]

The share is what a life's calls of the task take without a network, on rates that stand still, over what the whole
life takes: rounds alternate the two, and the ratio is taken round by round, in CPU time. Writes benchmarks/ENGINE.md.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from datetime import date
from pathlib import Path
from typing import Any

import numba
import numpy as np

from evoplastic.config import read_config
from evoplastic.jit import source_hash
from evoplastic.rollout import live
from evoplastic.tasks.contract import (
    begin_trial,
    clamp,
    collect,
    end_trial,
    feedback_step,
    idle,
    outcome,
    reads,
    steps_per_trial,
)
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.engine import play
from evoplastic.tasks.meta.reading import read_meta_task
from evoplastic.tasks.meta.tables import Bounds, Tables, tables_of

RESULTS = Path(__file__).with_name("ENGINE.md")
DECISIONS = 1_000_000
SCRIPTED = ("t-maze", "two-step", "key-door", "drifting-bandit", "7x7-maze")
LIVED = ("t-maze", "key-door", "7x7-maze")
BOUND_SHARE = 0.10


@numba.njit(nogil=True, error_model="numpy")
def alone(task, key, rates, scores):
    """Call the task as a lifetime does, with nothing else in it."""
    state, fed = idle(task), np.float32(0.0)
    for trial in range(scores.shape[0]):
        state = begin_trial(task, state, key, trial, scores)
        for step in range(steps_per_trial(task)):
            clamp(task, state, step, rates)
            if reads(task, step):
                state = collect(task, state, step, rates)
            if step == feedback_step(task):
                fed += outcome(task, state).loss
        end_trial(task, state, scores[trial])
    return fed


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    speeds = {name: _decisions_per_second(_tables(name), rounds) for name in SCRIPTED}
    shares = {name: _share(name, rounds) for name in LIVED}
    written = _report(speeds, shares, rounds)
    RESULTS.write_text(written, encoding="utf-8")
    print(written)


def _tables(name: str) -> Tables:
    return tables_of([decode(read_meta_task(name))], [Bounds(0.0, 1.0)])


def _decisions_per_second(tables: Tables, rounds: int) -> list[float]:
    """Return millions of decisions per second of one core under a policy that always takes the first action."""
    states, rewards = tables.targets.shape[2], np.zeros(DECISIONS, np.float32)
    policy = np.zeros((1, 1, 63, states), np.int64)
    play(tables, np.uint64(1), 10, policy, rewards)
    return [_seconds(play, tables, np.uint64(number), DECISIONS, policy, rewards) for number in range(rounds)]


def _seconds(function: Any, *arguments: Any) -> float:
    began = time.process_time()
    function(*arguments)
    return time.process_time() - began


def _share(name: str, rounds: int) -> list[float]:
    """Return the share of a lifetime that the meta-task takes, round by round."""
    problem = read_config(name).problem.build(0)
    life = problem.training_life(0, 0)
    body = problem.body(problem.layout.initial(), life)
    plastic, rates = np.empty_like(body.network.innate), np.full(len(body.network.start), 0.5, np.float32)
    scores = np.zeros((problem.settings.task.life_trials, 3), np.float32)
    shares = []
    for number in range(rounds + 1):
        keys = [np.uint64(100 * number + turn) for turn in range(20)]
        task = sum(_seconds(alone, body.task, key, rates, scores) for key in keys)
        whole = sum(_seconds(live, *body, key, plastic, scores) for key in keys)
        shares.append(task / whole)
    return shares[1:]  # the first compiles


def _report(speeds: dict[str, list[float]], shares: dict[str, list[float]], rounds: int) -> str:
    lines = [
        "# The engine of meta-tasks",
        "",
        "Made by `python benchmarks/engine.py`; the ratios count, seconds are of this machine.",
        "",
        f"{date.today()}, {platform.machine()}, Python {platform.python_version()}, sources {source_hash()}, "
        f"{rounds} rounds, one core. Median (10th and 90th percentile).",
        "",
        "| scripted policy | million decisions per second |",
        "|---|---|",
        *(f"| {name} | {_spread([DECISIONS / 1e6 / second for second in found])} |" for name, found in speeds.items()),
        "",
        "| lifetime of the preset (32 units, Hebbian) | share of the task |",
        "|---|---|",
        *(f"| {name} | {_spread(found, digits=3)} |" for name, found in shares.items()),
        "",
        f"Bound on the share: {BOUND_SHARE}. One draw of four random words, shared by action, move, reward and "
        "relocation, is made per decision.",
        "",
    ]
    return "\n".join(lines)


def _spread(values: list[float], digits: int = 1) -> str:
    cuts = statistics.quantiles(values, n=10)
    return f"{statistics.median(values):.{digits}f} ({cuts[0]:.{digits}f}, {cuts[-1]:.{digits}f})"


if __name__ == "__main__":
    main()
