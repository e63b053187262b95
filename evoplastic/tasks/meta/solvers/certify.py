"""Certificates: a meta-task solved for policies that know more or less, in the order of what they know.

`screen` gives the values that cost little, `certify` all of them. See `certificate` for what each means.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.solvers.beliefs import expected_rewards, grow
from evoplastic.tasks.meta.solvers.certificate import Bounds, Certificate
from evoplastic.tasks.meta.solvers.planning import (
    EVENLY,
    MOST_MAPS,
    BestMap,
    Policies,
    actions_of_maps,
    best_map,
    choices_of,
    earned_by,
    flow,
    plan,
    policies_of,
    unlike_actions,
)
from evoplastic.tasks.meta.solvers.situations import Array, Numbers, discretised, situations_of
from evoplastic.tasks.meta.solvers.telling import distinguishable

MOST_BELIEFS = 20_000  # nodes of a tree; with `full` ALL_BELIEFS, some gigabytes
ALL_BELIEFS = 4_000_000
MOST_NUMBERS = 2**27  # of values of situations, and of what beliefs are taken apart by; a gigabyte
MOST_KEPT = 2**22  # numbers of the policies that bound beliefs from below
TOLERANCES = (1e-10, 0.002, 0.01)  # between bounds, per decision; the next where the one before takes too many nodes
SHARE = 0.9  # of the gain, for `steps_to_90`
WINDOW = 5


class Screened(NamedTuple):
    """The values that cost little, per decision; see `certificate`."""

    random: float
    fixed: float
    memoryless: float
    oracle: float


class Believed(NamedTuple):
    """The best value for who is told a certain thing."""

    bounds: Bounds  # per decision
    curve: Array  # (H,): expected reward of each decision
    nodes: int  # of the last tree


def screen(program: Program, horizon: int | None = None) -> Screened:
    """Return the values of random play, maps and the oracle over the spec's horizon or another."""
    return Solution(program, horizon).screened


def certify(program: Program, full: bool = False, horizon: int | None = None) -> Certificate:
    """Return the certificate of a meta-task over the spec's horizon or another.

    With `full` bounds are given only where ALL_BELIEFS do not suffice. UserError with an estimate where not even
    the situations fit.
    """
    return Solution(program, horizon).certificate(full)


class Solution:
    """A meta-task's situations over the spec's horizon or another, and what follows from them, once it is asked for."""

    def __init__(self, program: Program, horizon: int | None = None):
        self.discretised = any(variable.continuous for variable in program.variables)
        self.situations = situations_of(discretised(program), horizon)
        self.horizon = len(self.situations.kinds)
        self._check_size()
        self._model = self.situations.flat
        self._worth = np.zeros((self.horizon, *self.situations.rewards.shape))
        plan(self._model, self._worth)

    def _check_size(self) -> None:
        actions, size = self.situations.rewards.shape
        numbers = 2 * size * ((actions + 1) * self.horizon + self.situations.signals)
        if numbers > MOST_NUMBERS:
            raise UserError(
                f"values of {size:,} situations over {self.horizon:,} decisions would take {numbers:.2g} numbers, more "
                f"than {MOST_NUMBERS:.2g}; use fewer states, values of variables or decisions"
            )

    def certificate(self, full: bool = False) -> Certificate:
        """Return the certificate; see `certify`."""
        most, tolerances = (ALL_BELIEFS, TOLERANCES[:1]) if full else (MOST_BELIEFS, TOLERANCES)
        situations, screened = self.situations, self.screened
        symbols, signals = situations.symbols, situations.signals
        blind = self._believed(situations.told % symbols, symbols, most, tolerances)
        bayes = self._believed(situations.told, signals, most, tolerances)
        high = max(min(bayes.bounds.high, self.qmdp), bayes.bounds.low)
        return Certificate(
            horizon=self.horizon,
            instances=situations.shape[0],
            discretised=self.discretised,
            random=screened.random,
            constant=self.constant,
            memoryless=screened.memoryless,
            fixed=screened.fixed,
            all_maps=self.all_maps,
            blind=Bounds(low=blind.bounds.low, high=max(min(blind.bounds.high, high), blind.bounds.low)),
            bayes=Bounds(low=max(bayes.bounds.low, blind.bounds.low), high=high),
            qmdp=self.qmdp,
            oracle=screened.oracle,
            beliefs=bayes.nodes,
            reachable=float(self.reachable.mean()),
            distinguishable=distinguishable(situations),
            steps_to_90=_steps(bayes.curve - blind.curve),
            reward_density=self.reward_density,
            aliasing=self.aliasing,
        )

    @functools.cached_property
    def screened(self) -> Screened:
        random = self._earned(self._always(EVENLY))
        return Screened(
            random,
            self._best_map(self.situations.pairs).value / self.horizon,
            max(random, self._memoryless.value / self.horizon),
            float(self.situations.born @ self._worth[0].max(axis=0)) / self.horizon,
        )

    @property
    def all_maps(self) -> bool:
        """Whether the best maps are the best of all."""
        each = (choices_of(classes, self._unlike) for classes in (self.situations.looks, self.situations.pairs))
        return all(choices.maps <= MOST_MAPS for choices in each)

    @property
    def constant(self) -> float:
        return max(self._earned(self._always(action)) for action in range(len(self.situations.rewards)))

    @property
    def qmdp(self) -> float:
        """The value of who is shown the first state, acts, and then knows everything."""
        begun = np.zeros((len(self.situations.rewards), self.situations.symbols))
        for action, worth in enumerate(self._worth[0]):
            begun[action] = np.bincount(self.situations.seen, self.situations.born * worth, self.situations.symbols)
        return float(begun.max(axis=0).sum()) / self.horizon

    @property
    def reachable(self) -> NDArray[np.bool_]:
        """Whether some policy comes to a state in some instance, (S,)."""
        return self.situations.occurring.reshape(self.situations.shape).any(axis=(0, 1, 2))

    @property
    def reward_density(self) -> float:
        """The share of decisions that pay anything under random play."""
        situations = self.situations
        occupied = np.zeros((self.horizon, len(situations.born)))
        flow(self._model, self._always(EVENLY), occupied)
        paying = situations.chance * (situations.payments != 0.0)[situations.told // situations.symbols]
        total = np.concatenate([[0.0], paying.cumsum()])
        pays = (total[situations.first[:, 1:]] - total[situations.first[:, :-1]]).reshape(len(situations.first), -1)
        pays = pays.reshape(len(pays), len(situations.rewards), -1).mean(axis=1)
        return float((occupied * pays[situations.kinds]).sum()) / self.horizon

    @property
    def aliasing(self) -> float:
        """The share of pairs of reachable states that show the same, over instances."""
        instances, _, _, states = self.situations.shape
        there = np.flatnonzero(self.reachable)
        if len(there) < 2:
            return 0.0
        weights = self.situations.born.reshape(instances, -1).sum(axis=1)
        seen = self.situations.seen.reshape(instances, -1, states)[:, 0, there]
        alike = (seen[:, :, None] == seen[:, None, :]).sum(axis=(1, 2)) - len(there)
        return float(weights @ alike) / (len(there) * (len(there) - 1))

    def _believed(self, told: Numbers, signals: int, most: int, tolerances: Sequence[float]) -> Believed:
        """Return what is the best for who is told `told` (B,) of `signals`."""
        found = Believed(Bounds(low=-math.inf, high=math.inf), np.zeros(self.horizon), 0)
        for tolerance in tolerances:
            width = tolerance * self.horizon
            tree = grow(self._model, told, signals, self._worth, self._policies.earned, width, most)
            low, high = (float(tree.born @ bound[: len(tree.born)]) / self.horizon for bound in (tree.low, tree.high))
            if low > found.bounds.low:
                expected_rewards(tree, self._model, self._policies, found.curve)
            low, high = max(low, found.bounds.low), min(high, found.bounds.high)
            found = Believed(Bounds(low=low, high=max(low, high)), found.curve, len(tree.low))
            if tree.complete:
                break
        return found

    @functools.cached_property
    def _unlike(self) -> NDArray[np.bool_]:
        """Whether two actions may lead or pay differently in a situation that some policy comes to, (A, A, N)."""
        return unlike_actions(self.situations) & self.situations.occurring

    @functools.cached_property
    def _memoryless(self) -> BestMap:
        return self._best_map(self.situations.looks)

    @functools.cached_property
    def _policies(self) -> Policies:
        """Policies that need no belief: all maps from what is shown, or some where they are many, and random play."""
        situations = self.situations
        choices = choices_of(situations.seen, self._unlike)
        if choices.maps * (self.horizon + 1) * len(situations.born) <= MOST_KEPT:
            chosen = list(actions_of_maps(choices, np.arange(choices.maps))[:, situations.seen])
        else:
            chosen = [self._always(action) for action in range(len(situations.rewards))]
            chosen.append(self._memoryless.actions[situations.looks])
        return policies_of(situations, np.array([*chosen, self._always(EVENLY)]))

    def _best_map(self, classes: Numbers) -> BestMap:
        return best_map(self.situations, classes, choices_of(classes, self._unlike))

    def _always(self, action: int) -> Numbers:
        return np.full(len(self.situations.born), action)

    def _earned(self, chosen: Numbers) -> float:
        return float(self.situations.born @ earned_by(self.situations, chosen)[0]) / self.horizon


def _steps(gain: Array) -> int | None:
    """Return after how many decisions the gain (H,) over the blind policy is SHARE of what it gets to be, if any.

    The gain at a decision is the mean over a WINDOW-th of the horizon from there, or trials would show in it; what it
    gets to be is the mean of those from the middle of the horizon on.
    """
    window = max(1, len(gain) // WINDOW)
    means = np.convolve(gain, np.full(window, 1.0 / window), mode="valid")
    late = means[len(gain) // 2 :].mean()
    return int((means >= SHARE * late).argmax()) if late > 1e-9 else None
