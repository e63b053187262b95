"""FOP against Adam as the optimizer of OpenAI-ES on the cognitive battery, at equal tuning budgets.

    python benchmarks/optimizers.py [--seeds 110:114] [--workers 2]

AND and NAND, the validation fold, are withheld. `evoplastic tune` chooses each optimizer's settings out of equally many
with an equal budget of lifetimes, on seeds 100 and 101; the best then evolves from fresh seeds. What was tuned is kept
in runs/optimizers, what was lived in benchmarks/optimizers.jsonl; neither is done again. Writes
benchmarks/OPTIMIZERS.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lived import LIVES, Arm, Lived, live, made_by, seeds_of, table

PRESET, POPULATION = "icml2023-small-fold-and", 128
BUDGET, GENERATIONS = 40_000, 50
RUNS = Path("runs/optimizers")
LINES = Path(__file__).with_suffix(".jsonl")
RESULTS = Path(__file__).with_name("OPTIMIZERS.md")
TRIED = {
    "adam": ("strategy.optimizer.learning_rate=0.003,0.006,0.01,0.02,0.03,0.06",),
    "fop": ("strategy.optimizer.form=low_rank,diagonal", "strategy.optimizer.learning_rate=0.01,0.03,0.1"),
}


def main() -> None:
    """Tune both, live what is missing, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds_of, default="110:114")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    tunings = {name: tuned(name, options.workers) for name in TRIED}
    arms = {name: Arm(str(RUNS / name / "best.toml"), {}, GENERATIONS) for name in TRIED}
    runs = live(LINES, arms, options.seeds, options.workers)
    RESULTS.write_text(report(tunings, arms, runs), encoding="utf-8")


def tuned(name: str, workers: int) -> dict[str, Any]:
    """Return what `evoplastic tune` found; it carries on what it has begun."""
    over = [word for key in TRIED[name] for word in ("--over", key)]
    fixed = ["--set", f'strategy.optimizer={{type="{name}"}}', "--set", f"strategy.population={POPULATION}"]
    command = [sys.executable, "-m", "evoplastic", "tune", PRESET, *over, *fixed, "--budget", str(BUDGET)]
    command += ["--seeds", "100:101", "--lives", "4", "--name", name, "--runs-dir", str(RUNS)]
    command += ["--workers", str(workers), "--parallel", "1", "--json"]
    told: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return told


def report(tunings: Mapping[str, Mapping[str, Any]], arms: Mapping[str, Arm], runs: Sequence[Lived]) -> str:
    """Return the page."""
    tried = [
        f"- {name}: {'; '.join(TRIED[name]).replace('strategy.optimizer.', '')}; chosen: {told['best']['label']}"
        for name, told in tunings.items()
    ]
    by_seed = [
        f"- {name}, training by seed: {', '.join(f'{run.training:.3f}' for run in runs if run.arm == name)}"
        for name in arms
    ]
    return "\n".join(
        [
            "# FOP against Adam as the optimizer of OpenAI-ES",
            "",
            f"{made_by('optimizers.py')} Preset `{PRESET}`, population {POPULATION}. `evoplastic tune` tried six "
            f"settings of each optimizer with {BUDGET:,} lifetimes on seeds 100 and 101; the best then evolved for "
            f"{GENERATIONS * POPULATION:,} lifetimes from fresh seeds. Accuracy of the center over the last 100 "
            f"trials, {LIVES} fresh lives per task; means over seeds.",
            "",
            *table(runs, arms),
            "",
            *by_seed,
            *tried,
            "",
            "A rate that was chosen at the end of what was tried may not be the best there is. FOP has no momentum, "
            "and what it learns from, products of successive gradients, is mostly noise where 64 pairs estimate the "
            "gradient of 9,800 genes.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
