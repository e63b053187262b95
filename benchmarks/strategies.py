"""Strategies against the libraries that people would use instead: the same algorithm, the same settings.

    python benchmarks/strategies.py [--quick] [--seeds 15]

A cell is an algorithm on a function of D genes: the evaluations until any member is at or below the target, ours and
the reference's, median over seeds, and their ratio. A search that ends or spends its limit before counts as infinite.
--quick measures the smallest dimension with 3 seeds and only prints; otherwise benchmarks/STRATEGIES.md is written.
A reference whose library is not installed is left out of its cells, with a word.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from evoplastic.jit import source_hash
from evoplastic.strategies.cma_es import CMAESSettings
from evoplastic.strategies.contract import Array, Space, StrategySettings

RESULTS = Path(__file__).with_name("STRATEGIES.md")
BOUND = 1.3
SIGMA = 0.3
Objective = Callable[[Array], float]


def sphere(x: Array) -> float:
    """Return the sum of squares."""
    return float(np.sum(x * x))


def ellipsoid(x: Array) -> float:
    """Return the sum of squares weighed 1 to 10^6 in equal ratios."""
    return float(np.sum(_weights(len(x)) * x * x))


def rosenbrock(x: Array) -> float:
    """Return Rosenbrock's function, a bent valley whose end is at 1."""
    return float(np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2))


@cache
def _weights(genes: int) -> Array:
    return np.logspace(0.0, 6.0, genes)


STARTS: dict[Objective, float] = {sphere: 1.0, ellipsoid: 1.0, rosenbrock: 0.1}  # every gene of the first center


class Problem(NamedTuple):
    """What is minimised, and when a search is over."""

    objective: Objective
    genes: int
    target: float
    limit: int  # evaluations

    @property
    def start(self) -> Array:
        return np.full(self.genes, STARTS[self.objective])


@dataclass(frozen=True)
class Algorithm:
    """Our settings, the reference that they are measured against, and the problems.

    `reference` is called with a problem and a seed and returns evaluations as `ours` does; it imports its library
    itself, so that one that is not installed is missed in its own rows only.
    """

    name: str
    settings: StrategySettings
    library: str
    reference: Callable[[Problem, int], float]
    problems: tuple[Problem, ...]


class Row(NamedTuple):
    """One cell of the table: medians of evaluations, and how many seeds reached the target."""

    algorithm: Algorithm
    problem: Problem
    ours: list[float]
    reference: list[float]  # empty if its library is not installed

    @property
    def ratio(self) -> float:
        """Return our median over the reference's, NaN where one is missing or both are infinite."""
        return statistics.median(self.ours) / statistics.median(self.reference) if self.reference else math.nan

    def line(self) -> str:
        """Return the row as Markdown."""
        problem = self.problem
        cells = [self.algorithm.name, problem.objective.__name__, f"{problem.genes:,}", f"{problem.target:g}"]
        cells += [_told(self.ours), _told(self.reference), self.algorithm.library]
        verdict = "" if math.isnan(self.ratio) else "met" if self.ratio <= BOUND else "NOT met"
        return f"| {' | '.join([*cells, f'{self.ratio:.2f} {verdict}'.strip()])} |"


def ours(settings: StrategySettings, problem: Problem, seed: int) -> float:
    """Return the evaluations until a member reaches the target, whole generations, infinite if none does."""
    space = Space(np.full(problem.genes, -math.inf), np.ones(problem.genes))
    strategy: Any = settings.build(space, seed)
    state, spent = strategy.initial(problem.start), 0
    while spent < problem.limit and not strategy.exhausted(state):
        candidates = strategy.ask(state)
        members = range(candidates.population)
        values = np.array([problem.objective(candidates.genotype(member)) for member in members])
        spent += len(values)
        if values.min() <= problem.target:
            return spent
        state = strategy.tell(state, candidates, -values)
    return math.inf


def fmin2(diagonal: bool) -> Callable[[Problem, int], float]:
    """Return pycma's own loop as it comes, with full or diagonal covariance."""

    def evaluations(problem: Problem, seed: int) -> float:
        import cma

        options = {"ftarget": problem.target, "maxfevals": problem.limit, "seed": seed + 1, "CMA_diagonal": diagonal}
        quiet = {"verbose": -9, "verb_log": 0, "signals_filename": "", "eval_final_mean": False}
        _, es = cma.fmin2(problem.objective, problem.start, SIGMA, options | quiet)
        return es.countevals if es.best.f <= problem.target else math.inf

    return evaluations


def problems(*functions: Objective, genes: int, limit: int, target: float = 1e-8) -> tuple[Problem, ...]:
    """Return one problem for each function."""
    return tuple(Problem(function, genes, target, limit) for function in functions)


SMALL = problems(sphere, ellipsoid, rosenbrock, genes=10, limit=200_000)
ALGORITHMS = (
    Algorithm(
        "CMA-ES, full",
        CMAESSettings(sigma=SIGMA),
        "pycma",
        fmin2(diagonal=False),
        SMALL + problems(sphere, ellipsoid, rosenbrock, genes=100, limit=3_000_000),
    ),
    Algorithm(
        "CMA-ES, diagonal",
        CMAESSettings(sigma=SIGMA, covariance="diagonal"),
        "pycma",
        fmin2(diagonal=True),
        # Without correlations Rosenbrock's bent valley takes it too long at 100 genes.
        SMALL + problems(sphere, ellipsoid, genes=100, limit=3_000_000),
    ),
)


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
                yield _row(algorithm, problem, range(seeds))


def _row(algorithm: Algorithm, problem: Problem, seeds: range) -> Row:
    mine = [ours(algorithm.settings, problem, seed) for seed in seeds]
    try:
        theirs = [algorithm.reference(problem, seed) for seed in seeds]
    except ModuleNotFoundError as error:
        print(f"{algorithm.library} is not installed ({error.name}), so it is left out", flush=True)
        theirs = []
    return Row(algorithm, problem, mine, theirs)


def _told(evaluations: list[float]) -> str:
    """Return the median, and how many reached the target where not all did."""
    if not evaluations:
        return "not installed"
    median, reached = statistics.median(evaluations), sum(map(math.isfinite, evaluations))
    text = f"{median:,.0f}" if math.isfinite(median) else "not reached"
    return text if reached == len(evaluations) else f"{text} ({reached} of {len(evaluations)} seeds reached it)"


def report(seeds: int, rows: list[Row]) -> str:
    """Return the page."""
    lines = "\n".join(row.line() for row in rows)
    return f"""# Strategies against other libraries

Made by `python benchmarks/strategies.py --seeds {seeds}` on {date.today()}, {platform.machine()}, Python \
{platform.python_version()}, sources {source_hash()}. Evaluations until any member is at or below the target, ours in \
whole generations; median of {seeds} seeds; a search that ended or spent its limit before counts as infinite. Every \
gene starts at 1, on Rosenbrock's function at 0.1. Bound on the ratio of medians: <= {BOUND}.

| algorithm | function | genes | target | ours | reference | of | ratio |
|---|---|---|---|---|---|---|---|
{lines}
"""


if __name__ == "__main__":
    main()
