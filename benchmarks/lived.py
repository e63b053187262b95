"""Runs that benchmarks compare: evolve, then let the center of generation 0 and the one at the end live fresh lives."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from evoplastic.analysis.statistics import interval
from evoplastic.config import read_config
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Search, evolve
from evoplastic.jit import source_hash

LIVES = 16  # of a center, per task


class Arm(NamedTuple):
    """What is evolved: a preset or run file, keys that are set otherwise, and for how many generations."""

    source: str
    settings: Mapping[str, object]
    generations: int


class Lived(NamedTuple):
    """One run: accuracy of its center over the last 100 trials, of generation 0 and at the end."""

    arm: str
    seed: int
    training_0: float
    withheld_0: float
    training: float
    withheld: float

    @property
    def training_gain(self) -> float:
        return self.training - self.training_0

    @property
    def withheld_gain(self) -> float:
        return self.withheld - self.withheld_0


MEASURES = {
    "training_0": "generation 0, training",
    "training": "training",
    "training_gain": "gain on training",
    "withheld_0": "generation 0, withheld",
    "withheld": "withheld",
    "withheld_gain": "gain on withheld",
}


def live(lines: Path, arms: Mapping[str, Arm], seeds: Sequence[int], workers: int) -> list[Lived]:
    """Live every arm from every seed, but what is lined up in the file already; return all that is lined up."""
    done = {(run.arm, run.seed) for run in recorded(lines)}
    for seed in seeds:
        for name, arm in arms.items():
            if (name, seed) not in done:
                run = _live(name, arm, seed, workers)
                with lines.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(run._asdict()) + "\n")
                print(run, flush=True)
    return recorded(lines)


def recorded(lines: Path) -> list[Lived]:
    """Return the runs that are lined up in the file, none if there is none."""
    text = lines.read_text(encoding="utf-8") if lines.exists() else ""
    return [Lived(**json.loads(line)) for line in text.splitlines()]


def seeds_of(text: str) -> range:
    """Return the seeds that "110:114" stands for, its ends among them."""
    first, last = map(int, text.split(":"))
    return range(first, last + 1)


def made_by(script: str) -> str:
    """Return the words that say where a page is from."""
    python = platform.python_version()
    return (
        f"Made by `python benchmarks/{script}` on {date.today()}, {platform.machine()}, Python {python}, sources "
        f"{source_hash()}."
    )


def table(runs: Sequence[Lived], arms: Mapping[str, Arm]) -> list[str]:
    """Return a row per arm: means over seeds, with their intervals from ten seeds on."""
    rows = [f"| arm | seeds | {' | '.join(MEASURES.values())} |", "|---|---|" + "---|" * len(MEASURES)]
    for name in arms:
        own = [run for run in runs if run.arm == name]
        cells = [str(interval([getattr(run, key) for run in own])) for key in MEASURES] if own else [""] * len(MEASURES)
        rows.append(f"| {name} | {len(own)} | {' | '.join(cells)} |")
    return rows


def _live(name: str, arm: Arm, seed: int, workers: int) -> Lived:
    """Evolve; the last generation is begun for the validation of its center only."""
    settings = {"validation.every": arm.generations, "validation.lives": LIVES, **arm.settings}
    overrides = [f"{key}={value}" for key, value in settings.items()]
    search = Search.of(read_config(arm.source, overrides, seed=seed, generations=arm.generations + 1))
    evaluator = Threads(search.problem, workers)
    try:
        validations = [record.metrics["validation"] for record in evolve(search, evaluator)]
    finally:
        evaluator.close()
    first, end = validations[0], validations[-1]
    scores = (float(of[part]) for of in (first, end) for part in ("training", "withheld"))
    return Lived(name, seed, *scores)
