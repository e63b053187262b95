"""The generation loop: ask, evaluate, tell; now and then re-evaluate the center. A generator that writes nothing.

What is recorded of a generation g is about the center that g started from and the population drawn around it, so
`training` and `validation` of one record speak of the same search distribution.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from evoplastic.config import RunConfig
from evoplastic.errors import UserError
from evoplastic.evaluators.contract import Evaluator, Job
from evoplastic.problems.contract import FITNESS, METRIC, Problem
from evoplastic.random import Purpose
from evoplastic.strategies.contract import Candidates, Fixed, State, Strategy

MOST_FAILED = 0.5  # share of non-finite fitness above which a run stops


class Diverged(UserError):
    """Too many members had a fitness that is not a number."""


@dataclass(frozen=True)
class Record:
    """One finished generation."""

    generation: int  # counted from 0
    state: State  # after tell: where the next generation starts
    metrics: dict[str, Any]  # functions of config and seed only
    lives: int  # evaluated by the evolution
    seconds: float  # ask, evaluate, tell
    validation_lives: int
    validation_seconds: float


@dataclass(frozen=True)
class Search:
    """A run's parts, built from its settings: enough to go on from any state."""

    config: RunConfig
    problem: Problem
    strategy: Strategy[Any, Any]

    @classmethod
    def of(cls, config: RunConfig) -> Search:
        """Build the problem and the strategy of `config`."""
        problem = config.problem.build(config.seed)
        return cls(config, problem, config.strategy.build(problem.layout, config.seed))

    def start(self) -> State:
        """Return generation 0's state."""
        state: State = self.strategy.initial(self.problem.layout.initial())
        return state


def evolve(
    search: Search,
    evaluator: Evaluator,
    state: State | None = None,
    skipped: Collection[tuple[int, int]] = (),
) -> Iterator[Record]:
    """Yield a Record per generation, from `state` (generation 0 if None) to the configured total.

    `skipped` members, each with its generation, are not evaluated and rank worst. Raises Diverged when more than half
    of a generation failed, and what the evaluator raises (`Abandoned`, `Poisoned`).
    """
    state = search.start() if state is None else state
    for generation in range(state.generation, search.config.generations):
        started = time.perf_counter()
        validation, validation_lives = _validate(search, evaluator, state)
        validated = time.perf_counter()
        with threadpool_limits(1):
            candidates = search.strategy.ask(state)
            living = [member for member in range(candidates.population) if (generation, member) not in skipped]
            scores = np.full((candidates.population, len(search.problem.columns)), np.nan)
            scores[living] = evaluator.evaluate(candidates, training_jobs(search, candidates, generation, living))
            training = _summary(search, scores, generation)
            state = search.strategy.tell(state, candidates, scores[:, FITNESS])
        metrics = {
            "generation": generation,
            "training": training,
            "validation": validation,
            "strategy": search.strategy.diagnostics(state),
        }
        seconds = time.perf_counter() - validated
        yield Record(generation, state, metrics, len(living), seconds, validation_lives, validated - started)


def training_jobs(search: Search, candidates: Candidates, generation: int, members: Iterable[int]) -> list[Job]:
    """Return the lives that decide the fitness of these members."""
    return [Job(member, search.problem.training_life(generation, candidates.pair(member))) for member in members]


def _summary(search: Search, scores: NDArray[np.float64], generation: int) -> dict[str, Any]:
    """Return the population's scores, failed members left out; Diverged if too many failed."""
    fitness = scores[:, FITNESS]
    finite = np.isfinite(fitness)
    failed = int((~finite).sum())
    if failed > MOST_FAILED * len(fitness):
        raise Diverged(
            f"generation {generation}: {failed} of {len(fitness)} members had a fitness that is not a number; "
            "start a new run with a lower strategy.sigma or strategy.optimizer.learning_rate"
        )
    good = scores[finite]
    return {
        search.problem.columns[METRIC]: float(good[:, METRIC].mean()),
        "fitness": float(good[:, FITNESS].mean()),
        "fitness_best": float(good[:, FITNESS].max()),
        "fitness_sd": float(good[:, FITNESS].std()),
        "failed": failed,
    }


def _validate(search: Search, evaluator: Evaluator, state: State) -> tuple[dict[str, Any] | None, int]:
    """Return the center's metric on each part of the tasks if validation is due, and the lives it took.

    Where there are validation tasks, withheld ones are left for the evaluation at the end.
    """
    settings, generation = search.config.validation, state.generation
    if not settings.every or generation % settings.every:
        return None, 0
    validation, withheld = search.problem.validation, search.problem.withheld
    lives = search.problem.test_lives(Purpose.VALIDATION, (generation,), settings.lives)
    if validation:
        lives = {task: some for task, some in lives.items() if task not in withheld}
    jobs = [Job(0, life) for task in lives for life in lives[task]]
    scores = evaluator.evaluate(Fixed(state.center[None]), jobs)[:, METRIC]
    by_task = dict(zip(lives, scores.reshape(len(lives), settings.lives).mean(axis=1), strict=True))
    kept = {*validation, *withheld}
    parts = {"training": [task for task in by_task if task not in kept], "withheld": () if validation else withheld}
    parts |= {"validation": validation} if validation else {}
    means = {
        part: float(np.mean([by_task[task] for task in tasks])) if tasks else None for part, tasks in parts.items()
    }
    return {"lives": settings.lives, **means}, len(jobs)
