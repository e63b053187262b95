"""The 2017 delayed non-match task: random networks of 200 units live it, and ELIFE2017.md says how many learn it.

    python benchmarks/elife2017.py [--presets PRESET ...] [--seeds SEED ...] [--report-only]

Nothing evolves. A trial counts as solved if its error, mean |output - target| over the last 200 ms, is below .5; a
seed learns the task if at least 90 % of its last 200 trials are solved. Lives are kept in the folder `runs/elife2017`,
so it can be stopped at any time and started again. Seeds were drawn after the last change to any setting.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoplastic.config import read_config
from evoplastic.jit import source_hash
from evoplastic.random import Purpose
from evoplastic.rollout import live
from evoplastic.tasks.contract import LOSS, SCORE_COLUMNS

RESULTS = Path(__file__).with_name("ELIFE2017.md")
PRESETS = ("elife2017-dnms", "elife2017-dnms-node-perturbation")
SEEDS = (29473, 60518, 11987, 87640, 43205)
SOLVED, LAST, ENOUGH = 0.5, 200, 0.9


def main() -> None:
    """Live what is missing, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS, metavar="PRESET")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, metavar="SEED")
    parser.add_argument("--lives-dir", type=Path, default=Path("runs/elife2017"))
    parser.add_argument("--report-only", action="store_true", help="report the lives that are there")
    options = parser.parse_args()
    options.lives_dir.mkdir(parents=True, exist_ok=True)
    for preset in options.presets:
        for seed in options.seeds:
            file = _file(options.lives_dir, preset, seed)
            if not (options.report_only or file.exists()):
                begun = time.process_time()
                errors = errors_of(preset, seed)
                np.savez(file, errors=errors, seconds=time.process_time() - begun)
                print(f"{preset}, seed {seed}: {_solved(errors):.3f} of the last {LAST} trials", file=sys.stderr)
    RESULTS.write_text(_report(options.lives_dir, options.seeds), encoding="utf-8")


def errors_of(preset: str, seed: int) -> NDArray[np.float32]:
    """Return the error of every trial of one life."""
    problem = read_config(preset, seed=seed).problem.build(seed)
    (life,) = problem.test_lives(Purpose.EVALUATION, (0,), 1)["dnms"]
    body = problem.body(problem.layout.initial(), life)
    scores = np.zeros((problem.settings.task.trials, SCORE_COLUMNS), np.float32)
    live(*body, problem.key(life), np.empty_like(body.network.innate), scores)
    return scores[:, LOSS]


def _file(folder: Path, preset: str, seed: int) -> Path:
    return folder / f"{preset}-s{seed}-{source_hash()}.npz"


def _solved(errors: NDArray[np.float32]) -> float:
    return float((errors[-LAST:] < SOLVED).mean())


def _report(folder: Path, seeds: list[int]) -> str:
    lines = [
        "# The 2017 delayed non-match task",
        "",
        f"Made by `python benchmarks/elife2017.py` on {date.today()}, {platform.machine()}, Python "
        f"{platform.python_version()}, sources {source_hash()}. Random networks of 200 units as born, nothing evolved; "
        f"3,000 trials of 1 s. Share of trials with an error below {SOLVED} among the {LAST} that end there; a seed "
        f"learns the task if at least {ENOUGH:.0%} of its last {LAST} trials are solved.",
        "",
        "| preset | seed | trials 101-300 | 801-1,000 | 1,801-2,000 | 2,801-3,000 | mean error at the end | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    told = []
    for preset in PRESETS:
        learned, lived = 0, 0
        for seed in seeds:
            if not _file(folder, preset, seed).exists():
                continue
            with np.load(_file(folder, preset, seed), allow_pickle=False) as kept:
                errors, seconds = kept["errors"], float(kept["seconds"])
            shares = [_solved(errors[:end]) for end in (300, 1000, 2000, 3000)]
            cells = [f"{share:.3f}" for share in shares]
            lines.append(f"| {preset} | {seed} | {' | '.join(cells)} | {errors[-LAST:].mean():.3f} | {seconds:.0f} |")
            learned, lived = learned + (shares[-1] >= ENOUGH), lived + 1
        if lived:
            told.append(f"- {preset}: {learned} of {lived} seeds learn the task; the bound is 4 of 5.")
    return "\n".join([*lines, "", *told, ""])


if __name__ == "__main__":
    main()
