"""Restarts: a search that goes nowhere begins anew, with another population; the best center found so far is kept.

A run of the strategy is over when the strategy says that it is exhausted, or when the median fitness of its population
stagnates: over the last `patience` generations the median of the last third is not above the median of the first.
Runs begin at the same center and differ in their draws and in

    same     nothing
    ipop     population of run k = min(growth^k, 1000) * population of run 0                Auger and Hansen 2005
    bipop    large runs as in ipop, and small ones between them: whichever kind has had fewer members so far
             small: population = P_0 * (P_large / (2 P_0))^(u_1^2),  sigma = sigma_0 * 10^(-2 u_2)      Hansen 2009

with u_1, u_2 uniform on (0, 1]; populations beyond P_0, run 0's, are even. A run's worth is the median fitness of the
last third of its generations, at most the last `patience`; the center is the running run's, unless an earlier run was
worth more or the running one is younger than a third of `patience`. Fitness of different generations is compared here,
so tasks that differ from generation to generation want a `patience` that averages over them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.random import Purpose, philox, stream_key, unit
from evoplastic.strategies.contract import (
    Array,
    Candidates,
    SearchSpace,
    Space,
    State,
    Strategy,
    StrategySettings,
    read_only,
)

PREFIX = "run."
# Times the first population, at most: a flat fitness exhausts some strategies in two generations, again and again.
MOST_TIMES = 1_000.0


class RestartSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run file says of restarts."""

    schedule: Literal["none", "same", "ipop", "bipop"] = "none"
    patience: Annotated[int, msgspec.Meta(ge=6, le=1_000_000)] = 120  # generations without progress
    growth: Annotated[float, msgspec.Meta(gt=1, le=16)] = 2.0  # of the population, from one large run to the next

    def build(self, strategy: StrategySettings, space: SearchSpace, seed: int) -> Strategy[Any, Any]:
        """Return the strategy, restarted as these settings say."""
        if self.schedule == "none":
            return strategy.build(space, seed)
        missing = [name for name in ("population", "sigma") if not hasattr(strategy, name)]
        if missing:
            raise UserError(f"restarts.schedule = {self.schedule!r} needs a strategy with {' and '.join(missing)}")
        return Restarts(self, strategy, Space.of(space), seed)  # type: ignore[arg-type]


class Restartable(Protocol):
    """Settings of a strategy whose population and step size may differ from run to run."""

    population: int
    sigma: float

    def build(self, space: SearchSpace, seed: int) -> Strategy[Any, Any]: ...


class RunOf(NamedTuple):
    """Which run of the strategy is going on, and what the ones before have cost."""

    number: int = 0
    population: int = 0
    sigma: float = 0.0
    large: int = 0  # large runs begun, but for run 0
    is_small: bool = False
    cost_large: int = 0  # members of all large runs but run 0
    cost_small: int = 0


@dataclass(frozen=True, eq=False)
class RestartState:
    inner: State
    generation: int  # of all runs together
    run: RunOf
    medians: Array  # of the population's fitness, this run's last generations, at most `patience` of them
    first: Array  # (D,): where runs begin
    best: Array  # (D,): the center of the run that was worth most
    worth: float  # of that run, -inf before the first restart
    untried: int  # generations that a new run has before it is compared

    @property
    def center(self) -> Array:
        """The running run's center, or the best earlier one's if that was worth more."""
        earlier = len(self.medians) < self.untried or self.worth > _worth(self.medians)
        return self.best if earlier and np.isfinite(self.worth) else self.inner.center


@dataclass(frozen=True, eq=False)
class Restarts(Strategy[RestartState, Candidates]):
    """A strategy that begins anew when it is stuck."""

    settings: RestartSettings
    strategy: Restartable
    space: Space
    seed: int
    _built: dict[int, Strategy[Any, Any]] = field(default_factory=dict, init=False, repr=False)  # the run last used

    def initial(self, center: Array) -> RestartState:
        inner = self._search(RunOf()).initial(center)
        run = RunOf(population=self._first_population, sigma=self.strategy.sigma)
        return RestartState(inner, 0, run, read_only(np.empty(0)), inner.center, inner.center, -np.inf, self._third)

    def ask(self, state: RestartState) -> Candidates:
        candidates: Candidates = self._search(state.run).ask(state.inner)
        return candidates

    def tell(self, state: RestartState, candidates: Candidates, fitness: Array) -> RestartState:
        """Return the next state, the first one of another run if this one is over."""
        search = self._search(state.run)
        inner = search.tell(state.inner, candidates, fitness)
        generation, finite = state.generation + 1, fitness[np.isfinite(fitness)]
        medians = state.medians
        if finite.size:
            medians = read_only(np.append(medians, np.median(finite))[-self.settings.patience :])
        run = _charged(state.run, candidates.population)
        if not (search.exhausted(inner) or self._stagnates(medians)):
            return RestartState(inner, generation, run, medians, state.first, state.best, state.worth, self._third)
        worth = _worth(medians)
        best, worth = (state.best, state.worth) if state.worth > worth else (inner.center, worth)
        run = self._next(run)
        begun = self._search(run).initial(state.first)
        return RestartState(begun, generation, run, read_only(np.empty(0)), state.first, best, worth, self._third)

    def diagnostics(self, state: RestartState) -> dict[str, float]:
        """Return the running run's numbers, which run it is, and its population."""
        own = {"run": float(state.run.number), "population": float(state.run.population)}
        return self._search(state.run).diagnostics(state.inner) | own

    def arrays(self, state: RestartState) -> dict[str, NDArray[Any]]:
        inner = self._search(state.run).arrays(state.inner)
        return {
            "center": state.center,
            "generation": np.array(state.generation, np.int64),
            "restarts": np.array([float(value) for value in state.run]),
            "medians": state.medians,
            "first": state.first,
            "best": state.best,
            "worth": np.array(state.worth),
            **{PREFIX + name: array for name, array in inner.items()},
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> RestartState:
        shapes = {"first": (self.space.size,), "best": (self.space.size,), "restarts": (len(RunOf._fields),)}
        found = {name: arrays[name].shape if name in arrays else None for name in shapes}
        if found != shapes or "medians" not in arrays or "worth" not in arrays:
            raise UserError(
                f"the saved state is not one of this search: center and restarts must be {shapes}, got {found}"
            )
        values = [float(value) for value in arrays["restarts"]]
        run = RunOf(int(values[0]), int(values[1]), values[2], int(values[3]), bool(values[4]), *map(int, values[5:]))
        inner = {name.removeprefix(PREFIX): array for name, array in arrays.items() if name.startswith(PREFIX)}
        state = self._search(run).restore(inner)
        medians, first, best = (read_only(arrays[name]) for name in ("medians", "first", "best"))
        return RestartState(
            state, int(arrays["generation"]), run, medians, first, best, float(arrays["worth"]), self._third
        )

    def effective_size(self, state: RestartState, fitness: Array) -> float:
        return self._search(state.run).effective_size(state.inner, fitness)

    def memory(self) -> int:
        """Return what run 0 takes: nobody knows before how often a search restarts, so how large it gets."""
        return self.strategy.build(self.space, self.seed).memory()

    def notes(self, generations: int) -> list[str]:
        return self.strategy.build(self.space, self.seed).notes(generations)

    def _search(self, run: RunOf) -> Strategy[Any, Any]:
        """Return the strategy of a run; that of run 0 is the one without restarts."""
        if run.number not in self._built:
            settings, seed = self.strategy, self.seed
            if run.number:
                settings = msgspec.structs.replace(settings, population=run.population, sigma=run.sigma)  # type: ignore[type-var]
                seed = int(stream_key(self.seed, Purpose.RESTART, run.number))
            self._built.clear()
            self._built[run.number] = settings.build(self.space, seed)
        return self._built[run.number]

    @property
    def _third(self) -> int:
        return self.settings.patience // 3

    @cached_property
    def _first_population(self) -> int:
        search = self.strategy.build(self.space, self.seed)
        return int(search.ask(search.initial(np.zeros(self.space.size))).population)

    def _stagnates(self, medians: Array) -> bool:
        third = self._third
        full = len(medians) == self.settings.patience
        return full and bool(np.median(medians[-third:]) <= np.median(medians[:third]))

    def _next(self, run: RunOf) -> RunOf:
        """Return the run after `run`."""
        number, first = run.number + 1, self._first_population
        small = self.settings.schedule == "bipop" and run.large > 0 and run.cost_small < run.cost_large
        if small:
            key = stream_key(self.seed, Purpose.RESTART, number)
            u_1, u_2 = (float(unit(word)) for word in philox(key, np.uint64(0), np.uint64(0))[:2])
            largest = self._population(first, run.large)
            population = first * (max(largest / (2 * first), 1.0)) ** (u_1 * u_1)
            # Three digits: what a library's power function gives may differ between CPUs in the last bit.
            sigma = float(f"{self.strategy.sigma * 10.0 ** (-2.0 * u_2):.3g}")
            return run._replace(number=number, population=_even(population, first), sigma=sigma, is_small=True)
        large = run.large + 1
        population = first if self.settings.schedule == "same" else self._population(first, large)
        return run._replace(
            number=number, population=_even(population, first), sigma=self.strategy.sigma, large=large, is_small=False
        )

    def _population(self, first: int, large: int) -> float:
        times = 1.0
        for _ in range(large):
            times = min(times * self.settings.growth, MOST_TIMES)
        return first * times


def _charged(run: RunOf, members: int) -> RunOf:
    """Return the run with the cost of another generation; run 0 counts for neither kind."""
    if run.number == 0:
        return run
    if run.is_small:
        return run._replace(cost_small=run.cost_small + members)
    return run._replace(cost_large=run.cost_large + members)


def _worth(medians: Array) -> float:
    """Return the median of the last third of a run's remembered generations, -inf for none."""
    return float(np.median(medians[-max(1, len(medians) // 3) :])) if len(medians) else -np.inf


def _even(population: float, first: int) -> int:
    """Return the even number below, so that members can be mirrored, but no fewer than run 0 has."""
    return max(first, int(population) // 2 * 2)
