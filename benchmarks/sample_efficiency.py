"""How many lifetimes evolution takes until its population has learned to learn, for several settings.

    python benchmarks/sample_efficiency.py [--arms published quick ...] [--seeds 110:119] [--workers 2] [--report]

AND and NAND, the validation fold, are withheld. A run ends when the training accuracy of its population, averaged over
its last WINDOW lifetimes, reaches TARGET, or at the arm's cap; a run that ends at its cap is censored and counts as
"more than the cap" in the median. What was lived is lined up in benchmarks/sample_efficiency.jsonl and not lived
again. --report only writes benchmarks/SAMPLE_EFFICIENCY.md from them.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from evoplastic.config import read_config
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Search, evolve
from evoplastic.jit import source_hash

TARGET, WINDOW = 0.90, 2_000
FOLD = "problem.task.withheld=['and']"
LIVED = Path(__file__).with_suffix(".jsonl")
RESULTS = Path(__file__).with_name("SAMPLE_EFFICIENCY.md")

PUBLISHED = {
    "strategy.population": 500,
    "strategy.optimizer.learning_rate": 0.01,
    "problem.rule.eta": 0.03,
    "problem.rule.clip": 0.01,
    "problem.rule.probability": 0.1,
    "problem.modulation.rate": 0.1,
    "problem.genome.innate.spread": 1.5,
}
QUICK = {
    "strategy.population": 128,
    "strategy.optimizer.learning_rate": 0.015,
    "problem.rule.eta": 0.25,
    "problem.rule.clip": 0.05,
    "problem.rule.probability": 0.2,
    "problem.modulation.rate": 0.2,
    "problem.genome.innate.spread": 1.3,
}
INGREDIENTS = {
    "search (population, learning rate)": ("strategy.population", "strategy.optimizer.learning_rate"),
    "learning rate of the rule": ("problem.rule.eta",),
    "largest change of a weight": ("problem.rule.clip",),
    "share of perturbed units": ("problem.rule.probability",),
    "rate of the baseline": ("problem.modulation.rate",),
    "spread of innate weights": ("problem.genome.innate.spread",),
}


@dataclass(frozen=True)
class Arm:
    """Settings, on top of the preset icml2023, and the lifetimes after which a run is given up."""

    settings: dict[str, float]
    cap: int


ARMS = {
    "published": Arm(PUBLISHED, 30_000),
    "quick": Arm(QUICK, 30_000),
    **{
        f"quick, but the published {name}": Arm(QUICK | {key: PUBLISHED[key] for key in keys}, 12_000)
        for name, keys in INGREDIENTS.items()
    },
    **{
        f"published, but the quick {name}": Arm(PUBLISHED | {key: QUICK[key] for key in keys}, 12_000)
        for name, keys in INGREDIENTS.items()
        if name.startswith("search")
    },
}


@dataclass(frozen=True)
class Lived:
    """What became of one run."""

    arm: str
    seed: int
    lifetimes: int  # at which the target was reached, or the run was given up
    reached: bool
    first: float  # training accuracy of the first generation's population
    last: float  # of the last WINDOW lifetimes


def main() -> None:
    """Live what is missing, line after line, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", default="110:119")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    first, last = map(int, options.seeds.split(":"))
    done = recorded()
    for name in [] if options.report else options.arms:
        for seed in range(first, last + 1):
            if (name, seed) not in done:
                run = live(name, seed, options.workers)
                with LIVED.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(vars(run)) + "\n")
                print(run, flush=True)
    RESULTS.write_text(report(list(recorded().values())), encoding="utf-8")


def recorded() -> dict[tuple[str, int], Lived]:
    """Return the runs lived so far, by arm and seed."""
    text = LIVED.read_text(encoding="utf-8") if LIVED.exists() else ""
    runs = [Lived(**json.loads(line)) for line in text.splitlines()]
    return {(run.arm, run.seed): run for run in runs}


def live(name: str, seed: int, workers: int) -> Lived:
    """Evolve until the target or the arm's cap is reached."""
    arm = ARMS[name]
    overrides = [FOLD, "validation.every=0", *(f"{key}={value}" for key, value in arm.settings.items())]
    search = Search.of(read_config("icml2023", overrides, seed=seed, generations=10**6))
    evaluator = Threads(search.problem, workers)
    lived, scores, first = 0, deque[tuple[int, float]](), math.nan
    try:
        for record in evolve(search, evaluator):
            accuracy = record.metrics["training"]["accuracy"]
            first = accuracy if math.isnan(first) else first
            lived += record.lives
            scores.append((record.lives, accuracy))
            while sum(lives for lives, _ in scores) - scores[0][0] >= WINDOW:
                scores.popleft()
            window = sum(lives for lives, _ in scores)
            smooth = sum(lives * score for lives, score in scores) / window
            reached = window >= WINDOW and smooth >= TARGET
            if reached or lived >= arm.cap:
                return Lived(name, seed, lived, reached, first, smooth)
    finally:
        evaluator.close()
    raise RuntimeError("evolution ended before its cap")


def median(runs: Sequence[Lived]) -> float:
    """Return the median number of lifetimes, infinite where it lies among censored runs."""
    return statistics.median(run.lifetimes if run.reached else math.inf for run in runs)


def report(runs: list[Lived]) -> str:
    """Return the page."""
    of_arm = {name: [run for run in runs if run.arm == name] for name in ARMS}
    quick = median(of_arm["quick"]) if of_arm["quick"] else math.nan
    lines = "\n".join(_row(name, of_arm[name], quick) for name in ARMS if of_arm[name])
    changed = "\n".join(f"| `{key}` | {PUBLISHED[key]:g} | {QUICK[key]:g} |" for key in PUBLISHED)
    return f"""# Lifetimes until a population has learned to learn

Made by `python benchmarks/sample_efficiency.py` on {date.today()}, {platform.machine()}, Python \
{platform.python_version()}, sources {source_hash()}. Lifetimes (400 trials each) until the training accuracy of the \
population, averaged over the last {WINDOW:,} lifetimes, is {TARGET:.2f}; AND and NAND withheld. Settings were chosen \
on seeds 100 to 105, the runs here have seeds of their own. A run that ends at its cap counts as more than the cap.

| arm | seeds | reached | median lifetimes | range | of quick | population of generation 0 | last {WINDOW:,} |
|---|---|---|---|---|---|---|---|
{lines}

What differs between the two settings:

| key | published | quick |
|---|---|---|
{changed}

{NOTES}"""


NOTES = """The published settings are given up at four times the median of the quick ones. Where an arm has fewer \
seeds than ten, the rest was not lived; six of ten that do not reach the target put the median beyond the cap.

What did it, by arms of two seeds each: above all the rule's learning rate, with which unevolved networks already \
learn much of what they ever do; then, together, the rate of the baseline, the spread of innate weights and the \
search. The largest change of a weight and the share of perturbed units did nothing that two seeds could show.

Learning training tasks sooner is not learning new ones: on the report fold the quick settings (preset \
`icml2023-quick`) end lower on the withheld pair than the published constants at equal lifetimes, and gain less over \
generation 0 (QUICKSTART.md). So the preset `quickstart` keeps the published constants.
"""


def _row(name: str, runs: Sequence[Lived], quick: float) -> str:
    middle, cap = median(runs), ARMS[name].cap
    told = f"{middle:,.0f}" if math.isfinite(middle) else f"> {cap:,}"
    ratio = f"{middle / quick:.1f}" if math.isfinite(middle) else f"> {cap / quick:.1f}"
    ends = sorted(run.lifetimes for run in runs)
    first, last = (statistics.median(getattr(run, field) for run in runs) for field in ("first", "last"))
    reached = sum(run.reached for run in runs)
    cells = [name, len(runs), reached, told, f"{ends[0]:,} to {ends[-1]:,}", ratio, f"{first:.3f}", f"{last:.3f}"]
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
