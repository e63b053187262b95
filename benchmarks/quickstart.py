"""What a first run should start with: the published constants or the quick ones, on the report fold.

    python benchmarks/quickstart.py [--seeds 120:129] [--workers 2]

DMS and DNMS, the report fold, are withheld, and all runs live equally many lifetimes. What was lived is lined up in
benchmarks/quickstart.jsonl and not lived again. Writes benchmarks/QUICKSTART.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lived import LIVES, MEASURES, Arm, Lived, live, made_by, seeds_of, table
from sample_efficiency import PUBLISHED, QUICK

from evoplastic.analysis.statistics import paired

LIFETIMES = 7_680
LINES = Path(__file__).with_suffix(".jsonl")
RESULTS = Path(__file__).with_name("QUICKSTART.md")
PUBLISHED_64 = PUBLISHED | {"strategy.population": 64}
ARMS = {
    "published constants, population 64": Arm("icml2023", PUBLISHED_64, LIFETIMES // 64),
    "quick": Arm("icml2023", QUICK, LIFETIMES // int(QUICK["strategy.population"])),
}


def main() -> None:
    """Live what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds_of, default="120:129")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    RESULTS.write_text(report(live(LINES, ARMS, options.seeds, options.workers)), encoding="utf-8")


def report(runs: Sequence[Lived]) -> str:
    """Return the page."""
    published, quick = ({run.seed: run for run in runs if run.arm == name} for name in ARMS)
    both = sorted(published.keys() & quick.keys())
    differences = [
        f"- {told}: {paired([getattr(quick[s], key) for s in both], [getattr(published[s], key) for s in both])}"
        for key, told in MEASURES.items()
    ]
    return "\n".join(
        [
            "# What a first run starts with: the report fold",
            "",
            f"{made_by('quickstart.py')} Preset `icml2023`, DMS and DNMS withheld, {LIFETIMES:,} lifetimes of "
            f"evolution a run; accuracy of the center over the last 100 trials, {LIVES} fresh lives per task. Mean "
            "over seeds with its 95 % interval.",
            "",
            *table(runs, ARMS),
            "",
            "Quick minus published, paired by seed:",
            "",
            *differences,
            "",
        ]
    )


if __name__ == "__main__":
    main()
