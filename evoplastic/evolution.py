"""The generation loop: ask, evaluate, tell; now and then re-evaluate the center. A generator that writes nothing.

What is recorded of a generation g is about the center that g started from and the population drawn around it, so
`training` and `validation` of one record speak of the same search distribution (but for strategies whose center may be
of another one: restarts, random search).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
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

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of the population's fitness, recorded
MOST_FAILED = 0.5  # share of non-finite fitness above which a run stops


class Diverged(UserError):
    """Too many members had a fitness that is not a number."""


@dataclass(frozen=True, eq=False)
class Best:
    """The member of a generation with the highest fitness."""

    member: int
    fitness: float
    candidates: Candidates  # of its generation

    @cached_property
    def genes(self) -> NDArray[np.float64]:
        """Its genes (D,), made when they are asked for: most runs keep no elites."""
        return self.candidates.genotype(self.member)


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
    best: Best


@dataclass(frozen=True)
class Search:
    """A run's parts, built from its settings: enough to go on from any state."""

    config: RunConfig
    problem: Problem
    strategy: Strategy[Any, Any]
    genes: NDArray[np.float64] | None = None  # (D,), what generation 0 starts from where the settings name them

    @classmethod
    def of(cls, config: RunConfig, genes: NDArray[np.float64] | None = None) -> Search:
        """Build the problem and the strategy of `config`; `genes` are those that `config.start` names."""
        problem = config.problem.build(config.seed)
        strategy = config.restarts.build(config.strategy, problem.layout, config.seed)
        return cls(config, problem, config.lifetimes.over(strategy), genes)

    def start(self) -> State:
        """Return generation 0's state; UserError if the settings name genes that are not here."""
        if self.config.start and self.genes is None:
            raise UserError(
                f"the key start names genes that are not here, {self.config.start[:12]}...; give their file with "
                "--from, such as the start.npz of the run that these settings are from"
            )
        state: State = self.strategy.initial(self.problem.layout.initial() if self.genes is None else self.genes)
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
            scores = np.full((candidates.population, candidates.lives, len(search.problem.columns)), np.nan)
            rows = evaluator.evaluate(candidates, training_jobs(search, candidates, generation, living))
            scores[living] = rows.reshape(len(living), *scores.shape[1:])
            training = _summary(search, scores, generation)
            fitness = scores[:, 0, FITNESS] if candidates.lives == 1 else scores[..., FITNESS]
            effective = search.strategy.effective_size(state, fitness)
            state = search.strategy.tell(state, candidates, fitness)
        metrics = {
            "generation": generation,
            "training": training,
            "validation": validation,
            "strategy": search.strategy.diagnostics(state) | {"effective_size": effective},
        }
        seconds = time.perf_counter() - validated
        best = _best(candidates, scores[..., FITNESS].mean(axis=1))
        validation_seconds = validated - started
        yield Record(generation, state, metrics, len(rows), seconds, validation_lives, validation_seconds, best)


def training_jobs(search: Search, candidates: Candidates, generation: int, members: Iterable[int]) -> list[Job]:
    """Return the lives that decide the fitness of these members, all of one member together."""
    lives = [number * candidates.population for number in range(candidates.lives)]  # beyond all pairs of the one before
    return [
        Job(member, search.problem.training_life(generation, candidates.pair(member) + beyond))
        for member in members
        for beyond in lives
    ]


def _best(candidates: Candidates, fitness: NDArray[np.float64]) -> Best:
    """Return the first member of those with the highest fitness (P,); failed members are none of them."""
    member = int(np.argmax(np.where(np.isfinite(fitness), fitness, -np.inf)))
    return Best(member, float(fitness[member]), candidates)


def _summary(search: Search, scores: NDArray[np.float64], generation: int) -> dict[str, Any]:
    """Return the population's scores, (P, lives, columns), failed members left out; Diverged if too many failed."""
    finite = np.isfinite(scores[..., FITNESS]).all(axis=1)
    scores = scores.mean(axis=1)
    fitness = scores[:, FITNESS]
    failed = int((~finite).sum())
    if failed > MOST_FAILED * len(fitness):
        raise Diverged(
            f"generation {generation}: {failed} of {len(fitness)} members had a fitness that is not a number; "
            "start a new run with a lower strategy.sigma or, where there is one, learning rate"
        )
    good = scores[finite]
    return {
        search.problem.columns[METRIC]: float(good[:, METRIC].mean()),
        "fitness": float(good[:, FITNESS].mean()),
        "fitness_best": float(good[:, FITNESS].max()),
        "fitness_sd": float(good[:, FITNESS].std()),
        "fitness_quantiles": np.quantile(good[:, FITNESS], QUANTILES).tolist(),
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
