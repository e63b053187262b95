"""Pattern completion and reversal: what plasticity adds, and what gains that cannot be negative take away.

    python benchmarks/patterns.py [--seeds 5] [--arms NAME ...]

Every arm is a preset, evolved from each seed; its center then lives 500 fresh episodes. Writes benchmarks/PATTERNS.md
after every arm. Seconds are of one core, evolution and episodes together, without compilation.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from lived import made_by
from numpy.typing import NDArray

import evoplastic
from evoplastic.config import read_config
from evoplastic.evolution import Search
from evoplastic.random import Purpose

RESULTS = Path(__file__).with_name("PATTERNS.md")
EPISODES = 500
COMPLETION = ("pattern-completion", "pattern-completion-fixed-weights", "pattern-completion-decay")
REVERSAL = ("association-reversal", "association-reversal-no-negative-gains")
ASSOCIATION = ("association", "association-no-negative-gains")


class Outcome(NamedTuple):
    """What an arm came to from one seed."""

    accuracy: NDArray[np.float64]  # (trials,), the mean of the episodes
    seconds: float


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", nargs="+", default=[*COMPLETION, *REVERSAL, *ASSOCIATION])
    asked = parser.parse_args()
    found: dict[str, list[Outcome]] = {}
    for arm in asked.arms:
        evolved(arm, 0, generations=1)  # compiles
        found[arm] = []
        for seed in range(asked.seeds):
            found[arm].append(evolved(arm, seed))
            print(arm, seed, found[arm][-1].accuracy.round(4), f"{found[arm][-1].seconds:.1f} s", flush=True)
        RESULTS.write_text("\n".join([*_opening(), *_completion(found), *_associations(found)]) + "\n", "utf-8")


def evolved(arm: str, seed: int, generations: int | None = None) -> Outcome:
    """Return what the center evolved from a seed scores on fresh episodes."""
    began = time.process_time()
    config = read_config(arm, ["validation.every=0"], seed=seed, generations=generations)
    *_, last = evoplastic.evolve(config, workers=1)
    problem = Search.of(config).problem
    (lives,) = problem.test_lives(Purpose.EVALUATION, (0,), EPISODES).values()
    accuracy = np.mean([problem.course(last.state.center, life) for life in lives], axis=0)
    return Outcome(accuracy, time.process_time() - began)


def _opening() -> list[str]:
    return [
        "# Pattern completion, association, reversal",
        "",
        f"{made_by('patterns.py')} Every arm is a preset that is evolved from each seed; then its center lives "
        f"{EPISODES} fresh episodes. Median (lowest to highest) of the seeds; seconds of one core, evolution and "
        "episodes together.",
    ]


def _completion(found: Mapping[str, Sequence[Outcome]]) -> list[str]:
    lines = [
        "",
        "Five patterns of 200 bits, each shown twice, then one with half of its bits erased: share of erased bits that "
        "are wrong. Who keeps the last pattern in mind and is lucky if it is asked for has .40; who counts the shown "
        "bits, since half of a pattern is +1, .47.",
        "",
        "| preset | seeds | erased-bit error | seconds |",
        "|---|---|---|---|",
    ]
    for arm in filter(found.__contains__, COMPLETION):
        errors = [1.0 - float(outcome.accuracy[-1]) for outcome in found[arm]]
        lines.append(f"| {arm} | {len(errors)} | {_spread(errors)} | {_seconds(found[arm])} |")
    return lines


def _associations(found: Mapping[str, Sequence[Outcome]]) -> list[str]:
    lines = [
        "",
        "Two cues of 8 bits, shown once with their answers, then asked for; then once with the other answers, and "
        "asked for again: share of right answers. The arms have equal lifetimes, and differ in the floor under gains.",
        "",
        "| preset | seeds | at first | after the reversal | seconds |",
        "|---|---|---|---|---|",
    ]
    for arm in filter(found.__contains__, (*REVERSAL, *ASSOCIATION)):
        trials = np.array([outcome.accuracy for outcome in found[arm]]).T
        cells = [_spread(each.tolist()) for each in trials] + [""] * (2 - len(trials))
        lines.append(f"| {arm} | {trials.shape[1]} | {' | '.join(cells)} | {_seconds(found[arm])} |")
    return lines


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _seconds(outcomes: Sequence[Outcome]) -> str:
    return f"{statistics.median(outcome.seconds for outcome in outcomes):.0f}"


if __name__ == "__main__":
    main()
