"""What strategies are measured on, for strategies.py: functions for NumPy and JAX alike, and searches on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from evoplastic.strategies.contract import Array

LIMIT = 1_000_000  # evaluations of a search for a target
Objective = Callable[[Any], Any]  # from genes (D,) to a value; of NumPy or JAX


def sphere(x: Any) -> Any:
    """Return the sum of squares."""
    return (x * x).sum()


def ellipsoid(x: Any) -> Any:
    """Return the sum of squares weighed 1 to 10^6 in equal ratios."""
    return (_weights(len(x)) * x * x).sum()


def rosenbrock(x: Any) -> Any:
    """Return Rosenbrock's function, a bent valley whose end is at 1."""
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


@cache
def _weights(genes: int) -> Array:
    return np.logspace(0.0, 6.0, genes)


STARTS: dict[Objective, float] = {sphere: 1.0, ellipsoid: 1.0, rosenbrock: 0.1}  # every gene of the first center


class Problem(NamedTuple):
    """What is minimised, when a search is over, and what is told of it."""

    objective: Objective
    genes: int
    limit: int  # evaluations; a generation that began is finished
    target: float | None = None  # None: the limit is a budget, and the best value that it bought is told
    seeds: int = 15  # at most

    @property
    def start(self) -> Array:
        return np.full(self.genes, STARTS[self.objective])

    def score(self, spent: int, best: float) -> float:
        """Return what is compared: the best value, or the evaluations that were spent, infinite above the target."""
        if self.target is None:
            return best
        return spent if best <= self.target else math.inf


def reach(target: float, *functions: Objective, genes: int, seeds: int = 15) -> tuple[Problem, ...]:
    """Return one problem for each function whose search is over at the target."""
    return tuple(Problem(function, genes, LIMIT, target, seeds) for function in functions)


def spend(budget: int, *functions: Objective, genes: int, seeds: int = 15) -> tuple[Problem, ...]:
    """Return one problem for each function whose search is over when the budget is spent."""
    return tuple(Problem(function, genes, budget, None, seeds) for function in functions)
