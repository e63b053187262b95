"""Lifetimes of a member: how many decide its fitness, who shares them, and more of them where noise asks for it.

    fitness of member m = mean of f_ml over its L lives
    f_ml = mean + member_m + life_l + noise_ml             life_l only where all members live the same lives
    reliability r = 1 - (s^2 / L) / v                      v: variance of the members' fitness, s^2: of the noise

r is the share of the differences in fitness that would return if the same members lived again: the intraclass
correlations ICC(1, L) and, where lives are shared by all, ICC(3, L) of Shrout and Fleiss 1979. By the formula of
Spearman and Brown 1910, L r (1 - r)^-1 is proportional to the number of lives, so that

    needed = L * (target / (1 - target)) * ((1 - r) / r)

lives would reach the target. The number follows it slowly, since r is an estimate: each generation by a factor
between 1 / PACE and PACE, from `per_member` to `most`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.strategies.contract import Array, Candidates, State, Strategy

PACE = 1.1
_LEAST_RELIABILITY = 0.01  # below it an estimate says no more than: many


class LifetimeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run file says of the lifetimes that decide a member's fitness."""

    per_member: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    shared_by: Literal["pair", "generation"] = "pair"  # who meets the same tasks, stimuli and noise
    most: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0  # up to which noise decides; 0: always per_member
    reliability: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5  # that is aimed at

    def __post_init__(self) -> None:
        if self.most and not 2 <= self.per_member <= self.most:
            raise ValueError(
                f"per_member must be 2 to most = {self.most} where noise decides, since one life shows no noise, "
                f"got {self.per_member}"
            )

    def over(self, strategy: Strategy[Any, Any]) -> Strategy[Any, Any]:
        """Return `strategy` with these lifetimes."""
        return strategy if self == LifetimeSettings() else Repeats(self, strategy)


@dataclass(frozen=True, eq=False)
class RepeatedCandidates:
    """A strategy's candidates with several lives each, those of all members the same if `shared`."""

    inner: Candidates
    lives: int
    shared: bool

    @property
    def population(self) -> int:
        return self.inner.population

    @property
    def generation(self) -> int:
        return self.inner.generation

    def genotype(self, member: int) -> Array:
        return self.inner.genotype(member)

    def pair(self, member: int) -> int:
        return 0 if self.shared else self.inner.pair(member)


@dataclass(frozen=True, eq=False)
class RepeatedState:
    inner: State
    lives: float  # before rounding
    reliability: float  # of the last fitness, 0 before the first

    @property
    def center(self) -> Array:
        return self.inner.center

    @property
    def generation(self) -> int:
        return self.inner.generation


@dataclass(frozen=True, eq=False)
class Repeats(Strategy[RepeatedState, RepeatedCandidates]):
    """A strategy whose members have several lives each."""

    settings: LifetimeSettings
    strategy: Strategy[Any, Any]

    def initial(self, center: Array) -> RepeatedState:
        return RepeatedState(self.strategy.initial(center), float(self.settings.per_member), 0.0)

    def ask(self, state: RepeatedState) -> RepeatedCandidates:
        shared = self.settings.shared_by == "generation"
        return RepeatedCandidates(self.strategy.ask(state.inner), round(state.lives), shared)

    def tell(self, state: RepeatedState, candidates: RepeatedCandidates, fitness: Array) -> RepeatedState:
        """Return the next state; a member one of whose lives is not finite counts as worst."""
        expected = (candidates.population, candidates.lives)
        fitness = fitness[:, None] if fitness.ndim == 1 and candidates.lives == 1 else fitness
        if fitness.shape != expected:
            raise ValueError(f"fitness must have shape {expected}, got {fitness.shape}")
        means = _of_members(fitness)
        inner = self.strategy.tell(state.inner, candidates.inner, means)
        lived = fitness[np.isfinite(means)]
        if candidates.lives < 2 or len(lived) < 2:
            return RepeatedState(inner, state.lives, 0.0)
        found = reliability(lived, candidates.shared)
        return RepeatedState(inner, self._lives(state.lives, candidates.lives, found), found)

    def diagnostics(self, state: RepeatedState) -> dict[str, float]:
        """Return the strategy's numbers, the lives per member to come, and the last fitness' reliability."""
        own = {"lives_per_member": float(round(state.lives)), "reliability": state.reliability}
        return self.strategy.diagnostics(state.inner) | own

    def arrays(self, state: RepeatedState) -> dict[str, NDArray[Any]]:
        return {**self.strategy.arrays(state.inner), "lifetimes": np.array([state.lives, state.reliability])}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> RepeatedState:
        inner = dict(arrays)
        found = inner.pop("lifetimes", np.empty(0))
        if found.shape != (2,):
            raise UserError(f"the saved state is not one of this search: 'lifetimes' must hold 2 numbers, got {found}")
        return RepeatedState(self.strategy.restore(inner), float(found[0]), float(found[1]))

    def effective_size(self, state: RepeatedState, fitness: Array) -> float:
        return self.strategy.effective_size(state.inner, _of_members(fitness))

    def exhausted(self, state: RepeatedState) -> str:
        return self.strategy.exhausted(state.inner)

    def memory(self) -> int:
        return self.strategy.memory()

    def notes(self, generations: int) -> list[str]:
        return self.strategy.notes(generations)

    def _lives(self, before: float, lived: int, found: float) -> float:
        settings = self.settings
        if not settings.most:
            return before
        found = min(max(found, _LEAST_RELIABILITY), 1.0 - _LEAST_RELIABILITY)
        target = settings.reliability
        needed = lived * (target / (1.0 - target)) * ((1.0 - found) / found)
        lives = before * min(max(needed / before, 1.0 / PACE), PACE)
        return float(min(max(lives, settings.per_member), settings.most))


def _of_members(fitness: Array) -> Array:
    """Return each member's mean (P,) of `fitness` (P, L) or (P,), NaN where a life is not finite."""
    fitness = fitness.reshape(len(fitness), -1)
    known = np.isfinite(fitness).all(axis=1)
    means = np.full(len(fitness), np.nan)
    means[known] = mean_of_lives(fitness[known])
    return means


def mean_of_lives(fitness: Array) -> Array:
    """Return each member's mean (P,) over its lives of `fitness` (P, L), first life to last."""
    total = np.zeros(len(fitness))
    for life in range(fitness.shape[1]):
        total += fitness[:, life]
    return np.asarray(total / fitness.shape[1])


def reliability(fitness: Array, shared: bool) -> float:
    """Return r of finite `fitness` (P, L), P and L at least 2, clipped to [0, 1]; 0 where all members score alike."""
    members, lives = fitness.shape
    means = mean_of_lives(fitness)
    of_lives = mean_of_lives(fitness.T) if shared else np.full(lives, math.fsum(means) / members)
    middle = math.fsum(means) / members
    rest = fitness - means[:, None] - (of_lives - middle)[None, :]
    freedom = (members - 1) * (lives - 1) if shared else members * (lives - 1)
    noise = math.fsum((rest * rest).ravel()) / freedom
    between = math.fsum((means - middle) ** 2) / (members - 1)
    return max(0.0, 1.0 - noise / lives / between) if between > 0.0 else 0.0
