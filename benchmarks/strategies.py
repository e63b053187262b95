"""Strategies against the libraries that people would use instead: the same algorithm, the same settings.

    python benchmarks/strategies.py [--quick] [--seeds 15]

A cell is an algorithm on a function of D genes, ours and the reference's, median over seeds, and their ratio. Where a
target can be reached, the evaluations until any member is at or below it are compared; a search that ends or spends
its limit before counts as infinite. Elsewhere the budget is fixed, and the best value that it bought is compared.
--quick measures the smallest dimension with 3 seeds and only prints; otherwise benchmarks/STRATEGIES.md is written, in
about 20 minutes on one core. References: pycma, which is installed anyway, and evosax (pip install evosax==0.3.2); one
that is not installed is left out of its cells, with a word.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from strategies_evosax import evosax
from strategies_problems import LIMIT, Problem, ellipsoid, reach, rosenbrock, spend, sphere
from threadpoolctl import threadpool_limits

from evoplastic.jit import source_hash
from evoplastic.strategies.cma_es import CMAESSettings
from evoplastic.strategies.contract import Space, StrategySettings
from evoplastic.strategies.lm_ma_es import LMMAESSettings
from evoplastic.strategies.openai_es import OpenAIESSettings
from evoplastic.strategies.optimizers import Adam, ClipUp
from evoplastic.strategies.pgpe import PGPESettings
from evoplastic.strategies.snes import SNESSettings

RESULTS = Path(__file__).with_name("STRATEGIES.md")
BOUND = 1.3
SIGMA = 0.3


@dataclass(frozen=True)
class Algorithm:
    """Our settings, the reference that they are measured against, and the problems.

    `reference` is called with a problem and a seed and returns a score as `ours` does; it imports its library itself,
    so that one that is not installed is missed in its own rows only.
    """

    name: str
    settings: StrategySettings
    library: str
    reference: Callable[[Problem, int], float]
    problems: tuple[Problem, ...]
    same: bool = True  # False: the library's algorithm or settings differ, so the ratio is told but not bounded


class Row(NamedTuple):
    """One cell of the table: the scores of all seeds."""

    algorithm: Algorithm
    problem: Problem
    ours: list[float]
    reference: list[float]  # empty if its library is not installed

    @property
    def ratio(self) -> float:
        """Return our median over the reference's, NaN where one is missing or both are infinite."""
        return statistics.median(self.ours) / statistics.median(self.reference) if self.reference else math.nan

    @property
    def bounded(self) -> bool:
        return self.algorithm.same and not math.isnan(self.ratio)

    @property
    def met(self) -> bool:
        return self.ratio <= BOUND

    def line(self) -> str:
        """Return the row as Markdown."""
        problem, budget = self.problem, self.problem.target is None
        first = problem.objective(problem.start)
        compared = f"value after {problem.limit:,}" if budget else f"evaluations to {problem.target:g}"
        cells = [self.algorithm.name, problem.objective.__name__, f"{problem.genes:,}", f"{first:.3g}", compared]
        cells.append(str(len(self.ours)))
        cells += [_told(self.ours, budget), _told(self.reference, budget), self.algorithm.library]
        verdict = ("met" if self.met else "NOT met") if self.bounded else "not bounded"
        cells.append("" if math.isnan(self.ratio) else f"{self.ratio:.2f}, {verdict}")
        return f"| {' | '.join(cells)} |"


@cache  # an algorithm may be measured against several references
def ours(settings: StrategySettings, problem: Problem, seed: int) -> float:
    """Return the score of our search."""
    space = Space(np.full(problem.genes, -math.inf), np.ones(problem.genes))
    strategy: Any = settings.build(space, seed)
    state, spent, best = strategy.initial(problem.start), 0, math.inf
    target = -math.inf if problem.target is None else problem.target
    while spent < problem.limit and best > target and not strategy.exhausted(state):
        candidates = strategy.ask(state)
        members = range(candidates.population)
        values = np.array([problem.objective(candidates.genotype(member)) for member in members])
        spent, best = spent + len(values), min(best, float(values.min()))
        state = strategy.tell(state, candidates, -values)
    return problem.score(spent, best)


def fmin2(diagonal: bool, as_it_comes: bool = False) -> Callable[[Problem, int], float]:
    """Return pycma's own loop with full or diagonal covariance, its step size under our control, CSA, or its own."""

    def search(problem: Problem, seed: int) -> float:
        import cma

        target = -math.inf if problem.target is None else problem.target
        options = {"ftarget": target, "maxfevals": problem.limit, "seed": seed + 1, "CMA_diagonal": diagonal}
        options["AdaptSigma"] = as_it_comes or cma.sigma_adaptation.CMAAdaptSigmaCSA
        quiet = {"verbose": -9, "verb_log": 0, "signals_filename": "", "eval_final_mean": False}
        _, es = cma.fmin2(problem.objective, problem.start, SIGMA, options | quiet)
        return problem.score(es.countevals, es.best.f)

    return search


# Fewer seeds and smaller budgets where a search takes long, so that the whole table takes minutes.
CMA_FULL = (
    *reach(1e-8, sphere, ellipsoid, rosenbrock, genes=10),
    *reach(1e-8, sphere, genes=100),
    *spend(20_000, ellipsoid, genes=100),
    *spend(20_000, rosenbrock, genes=100, seeds=3),
    *spend(3_000, sphere, genes=1_000, seeds=3),
)
# Without correlations the end of Rosenbrock's bent valley is out of reach.
CMA_DIAGONAL = (
    *reach(1e-8, sphere, ellipsoid, genes=10),
    *spend(5_000, rosenbrock, genes=10),
    *reach(1e-8, sphere, genes=100),
    *reach(1e-8, ellipsoid, genes=100, seeds=7),
    *spend(10_000, rosenbrock, genes=100, seeds=7),
)
CMA_LARGE = (
    *reach(1e-8, sphere, genes=1_000, seeds=3),
    *spend(10_000, ellipsoid, genes=1_000, seeds=3),
    *spend(5_000, sphere, genes=10_000, seeds=3),
)
SEPARABLE = (
    *reach(1e-8, sphere, ellipsoid, genes=10),
    *spend(5_000, rosenbrock, genes=10),
    *reach(1e-8, sphere, genes=100),
    *reach(1e-8, ellipsoid, genes=100, seeds=7),
    *spend(10_000, rosenbrock, genes=100, seeds=7),
    *spend(10_000, sphere, ellipsoid, genes=1_000, seeds=5),
    *spend(5_000, sphere, genes=10_000, seeds=3),
)
LIMITED_MEMORY = (
    *reach(1e-8, sphere, genes=100),
    *spend(20_000, ellipsoid, rosenbrock, genes=100, seeds=7),
    *reach(1.0, sphere, genes=1_000, seeds=5),
    *spend(10_000, ellipsoid, rosenbrock, genes=1_000, seeds=3),
    *spend(5_000, sphere, genes=10_000, seeds=3),
)
# Steps of a fixed length, or members at a fixed distance, end the descent at some height above the minimum.
GRADIENTS = (
    *reach(1e-2, sphere, genes=10),
    *spend(5_000, ellipsoid, rosenbrock, genes=10),
    *reach(1.0, sphere, genes=100),
    *spend(10_000, ellipsoid, rosenbrock, genes=100, seeds=7),
    *spend(10_000, sphere, genes=1_000, seeds=5),
    *spend(5_000, sphere, genes=10_000, seeds=3),
)

FULL = CMAESSettings(sigma=SIGMA)
DIAGONAL = CMAESSettings(sigma=SIGMA, covariance="diagonal")
SEPARATE = SNESSettings(sigma=SIGMA)
LIMITED = LMMAESSettings(sigma=SIGMA)
CLIP, ADAM = ClipUp(learning_rate=0.075), Adam(learning_rate=0.03)
CLIPPED = PGPESettings(population=100, sigma=0.1, optimizer=CLIP)
ADAPTIVE = OpenAIESSettings(population=100, sigma=0.03, shaping="centered_rank", weight_decay=0.0, optimizer=ADAM)
ALGORITHMS = (
    Algorithm("CMA-ES, full", FULL, "pycma", fmin2(diagonal=False), CMA_FULL),
    Algorithm("CMA-ES, diagonal", DIAGONAL, "pycma", fmin2(diagonal=True), CMA_DIAGONAL + CMA_LARGE),
    Algorithm("CMA-ES, diagonal", DIAGONAL, "pycma, TPA", fmin2(diagonal=True, as_it_comes=True), CMA_LARGE, False),
    Algorithm("SNES", SEPARATE, "evosax", evosax(SEPARATE), SEPARABLE),
    Algorithm("LM-MA-ES", LIMITED, "evosax, sorted", evosax(LIMITED), LIMITED_MEMORY),
    Algorithm("LM-MA-ES", LIMITED, "evosax", evosax(LIMITED, as_it_comes=True), LIMITED_MEMORY[:-1], False),
    Algorithm("PGPE, ClipUp", CLIPPED, "evosax", evosax(CLIPPED), GRADIENTS),
    Algorithm("OpenAI-ES, Adam", ADAPTIVE, "evosax", evosax(ADAPTIVE), GRADIENTS),
)

NOTES = """- Draws differ, by generator and by place, so equal algorithms differ by chance. evosax runs in float64 here.
- pycma steers the step size of 300 genes and more by two-point adaptation (TPA) unless told otherwise; ours keeps to \
path-length control (CSA), and so does the reference in the bounded rows. "pycma, TPA" is pycma as it comes.
- evosax's LM-MA-ES as it comes (0.3.2) multiplies its weights, best first, with members in the order in which they \
were drawn, so its vectors follow no selection; its step size has CMA-ES's rates. "evosax, sorted" sorts the members \
before they are told and sets the paper's rates; what is left is exp of the path's length where ours, as the paper, \
has its square. Its rates are made for populations far below the genes, so it is not measured at 10 genes.
- evosax's SNES, PGPE, ClipUp and OpenAI-ES are the same algorithms.
"""


def main() -> None:
    """Measure, print row after row, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=15)
    options = parser.parse_args()
    rows = []
    with threadpool_limits(1):
        for row in measured(3 if options.quick else options.seeds, options.quick):
            rows.append(row)
            print(row.line(), flush=True)
    if not options.quick:
        RESULTS.write_text(report(options.seeds, rows), encoding="utf-8")


def measured(seeds: int, quick: bool) -> Iterator[Row]:
    """Yield the table's rows."""
    for algorithm in ALGORITHMS:
        smallest = min(problem.genes for problem in algorithm.problems)
        for problem in algorithm.problems:
            if not quick or problem.genes == smallest:
                yield _row(algorithm, problem, range(min(seeds, problem.seeds)))


def _row(algorithm: Algorithm, problem: Problem, seeds: range) -> Row:
    mine = [ours(algorithm.settings, problem, seed) for seed in seeds]
    try:
        theirs = [algorithm.reference(problem, seed) for seed in seeds]
    except ModuleNotFoundError as error:
        print(f"{algorithm.library} is not installed ({error.name}), so it is left out", flush=True)
        theirs = []
    return Row(algorithm, problem, mine, theirs)


def _told(scores: list[float], budget: bool) -> str:
    """Return the median, and how many reached the target where not all did."""
    if not scores:
        return "not installed"
    median, reached = statistics.median(scores), sum(map(math.isfinite, scores))
    if budget:
        return f"{median:.3g}"
    text = f"{median:,.0f}" if math.isfinite(median) else "not reached"
    return text if reached == len(scores) else f"{text} ({reached} of {len(scores)} seeds reached it)"


def report(seeds: int, rows: list[Row]) -> str:
    """Return the page."""
    lines = "\n".join(row.line() for row in rows)
    bounded = [row for row in rows if row.bounded]
    missed = [row for row in bounded if not row.met]
    names = ", ".join(
        f"{row.algorithm.name} on {row.problem.objective.__name__} {row.problem.genes:,}" for row in missed
    )
    versions = ", ".join(f"{name} {version}" for name, version in _versions())
    return f"""# Strategies against other libraries

Each of our strategies against the same algorithm with the same settings in a library that people would use instead. \
**Of {len(bounded)} such cells {len(bounded) - len(missed)} keep the bound, a ratio of medians of at most {BOUND}\
{f"; not kept: {names}" if names else ""}.**

Made by `python benchmarks/strategies.py --seeds {seeds}` on {date.today()}, {platform.machine()}, Python \
{platform.python_version()}, {versions}, sources {source_hash()}. Ours and the reference: median of the seeds. \
"Evaluations to" a target: until any member is at or below it, in whole generations; a search that ended or spent \
{LIMIT:,} before counts as infinite. "Value after" a budget: the best of all members, where no target is in reach \
within minutes. Lower is better in both, and the ratio is ours over the reference's. The first value is that of the \
first center. The first sigma is {SIGMA}, of PGPE {CLIPPED.sigma}, of OpenAI-ES {ADAPTIVE.sigma}, these two with \
{CLIPPED.population} members and centered ranks, ClipUp's learning rate {CLIP.learning_rate}, Adam's \
{ADAM.learning_rate}; the other populations are 4 + floor(3 ln genes).

| algorithm | function | genes | first value | compared | seeds | ours | reference | of | ratio |
|---|---|---|---|---|---|---|---|---|---|
{lines}

{NOTES}"""


def _versions() -> Iterator[tuple[str, str]]:
    """Yield the references that are installed, with their versions."""
    for name in ("cma", "evosax", "jax"):
        with suppress(metadata.PackageNotFoundError):
            yield name, metadata.version(name)


if __name__ == "__main__":
    main()
