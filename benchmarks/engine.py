"""The engine of meta-tasks: decisions per second of a scripted policy, and its share of a plastic network's lifetime.

    python benchmarks/engine.py [--rounds 40]

The share is measured against a task that holds the clamped units, asks nothing and pays every other decision, so that
the network stays as active and the rule writes as often: rounds alternate a life with the meta-task and the same life
with that task, and the ratio is taken round by round, in CPU time. Writes benchmarks/ENGINE.md.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evoplastic.config import read_config
from evoplastic.jit import pack, source_hash
from evoplastic.modulation.contract import Outcome
from evoplastic.rollout import live
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.engine import play
from evoplastic.tasks.meta.reading import read_meta_task
from evoplastic.tasks.meta.tables import Bounds, Tables, tables_of

RESULTS = Path(__file__).with_name("ENGINE.md")
DECISIONS = 1_000_000
SCRIPTED = ("t-maze", "two-step", "key-door", "drifting-bandit", "7x7-maze")
LIVED = ("t-maze", "key-door", "7x7-maze")
BOUND_SHARE = 0.10
_ONE, _ZERO = np.float32(1.0), np.float32(0.0)


class Nothing(NamedTuple):
    """A task of as many steps as another, with next to nothing in it."""

    steps: int
    feedback: int
    states: int
    block_trials: int
    clamped: int  # units

    def steps_per_trial(task):
        return task.steps

    def kinds(task):
        return task.states

    def feedback_step(task):
        return task.feedback

    def age_at(task, trial):
        return trial % task.block_trials

    def idle(task):
        return 0

    def begin_trial(task, state, key, trial, scores):
        return trial % 2

    def resets_activity(task, state):
        return False

    def clamp(task, state, step, rates):
        for unit in range(task.clamped):
            rates[unit] = _ONE

    def reads(task, step):
        return step == task.feedback - 1

    def collect(task, state, step, rates):
        return state

    def outcome(task, state):
        return Outcome(_ONE if state else _ZERO, 0)

    def end_trial(task, state, score):
        pass


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
    task = body.task
    states, trials = task.tables.targets.shape[2], int(task.block_trials)
    empty = pack(Nothing(task.deciding + task.feeding, task.deciding, states, trials, task.units.echo_end))
    trials = problem.settings.task.life_trials
    plastic, scores = np.empty_like(body.network.innate), np.zeros((trials, 3), np.float32)
    bodies = (body, body._replace(task=empty))
    shares = []
    for number in range(rounds + 1):
        seconds = [
            sum(_seconds(live, *lived, np.uint64(100 * number + turn), plastic, scores) for turn in range(20))
            for lived in bodies
        ]
        shares.append(1.0 - seconds[1] / seconds[0])
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
