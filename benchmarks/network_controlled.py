"""Can a network be its own teacher? The third factor emitted by the network, with and without what an outside one has.

    python benchmarks/network_controlled.py [--arms NAME ...] [--seeds 130:134] [--workers 2]

DMS and DNMS, the report fold, are withheld. Settings were found on seeds 100 to 103, AND and NAND withheld. What was
lived is lined up in benchmarks/network_controlled.jsonl and not lived again. Writes benchmarks/NETWORK_CONTROLLED.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from lived import LIVES, Arm, Lived, live, made_by, recorded, seeds_of, table

from evoplastic.config import read_config
from evoplastic.evaluators.contract import Job
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Search
from evoplastic.problems.contract import METRIC
from evoplastic.random import Purpose
from evoplastic.strategies.contract import Fixed

LINES = Path(__file__).with_suffix(".jsonl")
RESULTS = Path(__file__).with_name("NETWORK_CONTROLLED.md")
GENERATIONS = 100
GATED = "icml2023-small-network-gated"
# Always open, the gate lets six times as many steps through: the rate is less by that.
ARMS = {
    "gate, baseline, unplastic inputs": Arm(GATED, {}, GENERATIONS),
    "without the gate": Arm(GATED, {"problem.modulation.gate_steps": 0, "problem.rule.eta": 5e-4}, GENERATIONS),
    "without the baseline": Arm(GATED, {"problem.modulation.baseline_rate": 0.0}, GENERATIONS),
    "with plastic inputs": Arm(GATED, {"problem.network.born_unplastic": []}, GENERATIONS),
    "third factor silent": Arm(GATED, {"problem.rule.eta": 0.0}, GENERATIONS),
    "as published": Arm("icml2023-small-network-controlled", {"strategy.population": 128}, GENERATIONS),
}
HAND_SEEDS = (100, 101)
BY_HAND: dict[str, dict[str, object]] = {
    "gate of 8 steps, baseline, unplastic inputs": {},
    "gate of 4 steps": {"problem.modulation.gate_steps": 4},
    "gate of 16 steps": {"problem.modulation.gate_steps": 16},
    "without the gate": {"problem.modulation.gate_steps": 0},
    "without the gate, a sixth of the rate": {"problem.modulation.gate_steps": 0, "problem.rule.eta": 5e-4},
    "without the baseline": {"problem.modulation.baseline_rate": 0.0},
    "without gate and baseline": {"problem.modulation.gate_steps": 0, "problem.modulation.baseline_rate": 0.0},
    "with plastic inputs": {"problem.network.born_unplastic": []},
    "right or wrong for graded feedback": {"problem.task.feedback": "binary"},
}


def main() -> None:
    """Live what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=seeds_of, default="130:134")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    live(LINES, {name: ARMS[name] for name in options.arms}, options.seeds, options.workers)
    RESULTS.write_text(report(recorded(LINES)), encoding="utf-8")


def report(runs: Sequence[Lived]) -> str:
    """Return the page."""
    by_seed = [
        f"- {name}: {', '.join(f'{run.training_gain:+.3f}' for run in runs if run.arm == name)}"
        for name in ARMS
        if any(run.arm == name for run in runs)
    ]
    return "\n".join(
        [
            "# The third factor emitted by the network itself",
            "",
            f"{made_by('network_controlled.py')} {GENERATIONS} generations of 128 members; nothing from outside "
            "decides what is written. Evolution starts from modulatory units without any input, which write nothing. "
            f"Accuracy of the center over the last 100 trials, {LIVES} fresh lives per task; means over seeds.",
            "",
            *table(runs, ARMS),
            "",
            "Gain on training tasks over generation 0, by seed (the aim is +.15):",
            "",
            *by_seed,
            "",
            f"Without evolution, {LIVES} lives per task, seeds {HAND_SEEDS[0]} and {HAND_SEEDS[1]}: feedback units "
            "have weights to the modulatory units, together 1 and -1, of signs by which what is better raises the "
            "third factor.",
            "",
            *by_hand(),
            "",
        ]
    )


def by_hand() -> list[str]:
    """Return a row per setting: accuracy without evolution, with a weight of 1 from feedback to modulatory units."""
    rows = ["| weights set by hand, no evolution | training, by seed |", "|---|---|"]
    for name, settings in BY_HAND.items():
        scores = [_by_hand(settings, seed) for seed in HAND_SEEDS]
        rows.append(f"| {name} | {', '.join(f'{score:.3f}' for score in scores)} |")
    return rows


def _by_hand(settings: Mapping[str, object], seed: int) -> float:
    search = Search.of(read_config(GATED, [f"{key}={value}" for key, value in settings.items()], seed=seed))
    problem, network = search.problem, read_config(GATED).problem.network
    feedback, (first, second) = list(network.places()["feedback"]), network.places()["modulator"]
    values = problem.layout.unpack(problem.layout.initial())
    # Feedback says better when it is 1 if it is binary, and when it is little if it is the graded error.
    better = 1.0 if settings.get("problem.task.feedback") == "binary" else -1.0
    innate = values["innate"].copy()
    innate[feedback, first], innate[feedback, second] = better / len(feedback), -better / len(feedback)
    genes = problem.layout.pack({**values, "innate": innate})
    lives = problem.test_lives(Purpose.VALIDATION, (0,), LIVES)
    jobs = [Job(0, life) for task in lives if task not in problem.withheld for life in lives[task]]
    evaluator = Threads(problem, 2)
    try:
        return float(evaluator.evaluate(Fixed(genes[None]), jobs)[:, METRIC].mean())
    finally:
        evaluator.close()


if __name__ == "__main__":
    main()
