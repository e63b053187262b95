"""What evolution reaches on the cognitive battery by what the rule is told and whether gains evolve.

    python benchmarks/third_factors.py [--seeds 140:144] [--workers 2]

Preset icml2023-small with AND and NAND, the validation fold, withheld: a baseline for each trial type or a single one;
graded feedback or only right or wrong, to network and rule alike; gains that evolve or stay 0.5. What was lived is
lined up in benchmarks/third_factors.jsonl and not lived again. Writes benchmarks/THIRD_FACTORS.md.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

from lived import LIVES, Arm, live, made_by, seeds_of, table

LINES = Path(__file__).with_suffix(".jsonl")
RESULTS = Path(__file__).with_name("THIRD_FACTORS.md")
PRESET, GENERATIONS = "icml2023-small-fold-and", 200
BASELINES = {"a baseline per trial type": "per_type", "a single baseline": "single"}
FEEDBACK = {"graded feedback": "graded", "right or wrong": "binary"}
GAINS = {"evolved gains": True, "uniform gains": False}
ARMS = {
    ", ".join(names): Arm(
        PRESET,
        {
            "problem.modulation.baseline": BASELINES[names[0]],
            "problem.task.feedback": FEEDBACK[names[1]],
            "problem.genome.gain.evolve": str(GAINS[names[2]]).lower(),
        },
        GENERATIONS,
    )
    for names in product(BASELINES, FEEDBACK, GAINS)
}


def main() -> None:
    """Live what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds_of, default="140:144")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    runs = live(LINES, ARMS, options.seeds, options.workers)
    lines = [
        "# What the rule is told, and whether gains evolve",
        "",
        f"{made_by('third_factors.py')} Preset `{PRESET}`, {GENERATIONS} generations of 100 members. Accuracy of the "
        f"center over the last 100 trials, {LIVES} fresh lives per task; means over seeds.",
        "",
        *table(runs, ARMS),
        "",
    ]
    RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
