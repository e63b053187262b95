"""The best fixed policy: one that sees state, flags and counters, but neither the instance nor anything of the past.

A task that a fixed policy solves asks for no learning; the gap from here to the oracle is what adapting can be worth.
Of deterministic maps from (memory, state) to actions the best is found by trying all that differ, if they are few.
Otherwise a lower bound is given: the best of acting evenly at random and of ascents along the exact gradient of

    J(theta) = E over instances of the value of pi(a | m, s) = softmax of theta[m, s]

from fixed beginnings, by L-BFGS (scipy). Stochastic fixed policies can be better than all deterministic ones, in a maze
for example, where acting at random finds a goal that a map runs past for ever.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import softmax

from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.solvers.model import Array, Model, model_of
from evoplastic.tasks.meta.solvers.values import Span, batches, settled, solve, span_of

MOST_MAPS = 65_536
MOST_TRIED = 2**33  # products for all maps; 20 s on one core
MOST_CLIMBED = 2**30  # products for all ascents; 10 s
ASCENTS, LEAST_STEPS, MOST_STEPS = 3, 10, 200  # beginnings, fewer where there is no time for the least steps from each
_TOGETHER = 2**18  # worths of actions under the maps that are tried at once
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_SAME = 1e-12


class FixedPolicy(NamedTuple):
    """A policy that does not depend on the instance."""

    value: float  # mean reward per decision over all instances
    actions: Array  # (M, S, A): probability of each action
    exact: bool  # whether it is the best of all deterministic maps; else a lower bound of the best fixed policy


class Family(NamedTuple):
    """All instances of a meta-task: models of a batch each, and the weights of its instances."""

    models: tuple[Model, ...]
    weights: tuple[Array, ...]
    span: Span

    @property
    def pairs(self) -> int:
        """M S, the number of (memory, state)."""
        return math.prod(self.models[0].shape[2:])

    @property
    def actions(self) -> int:
        """A."""
        return len(self.models[0].rewards)

    @property
    def work(self) -> int:
        """How many products one pass over all decisions takes."""
        return sum(model.moves.nnz for model in self.models) * self.span.horizon


def best_fixed(program: Program, horizon: int | None = None, scored: int | None = None) -> FixedPolicy:
    """Return the best deterministic map from (memory, state) to actions, or what ascent finds where they are many.

    `horizon` and `scored` are as in `values`; probabilities between bounds count at their mean, which is exact.
    """
    family = family_of(program, horizon, scored)
    differing = _differing(family)
    maps = math.prod(differing.sum(axis=1).tolist())
    exact = maps <= MOST_MAPS and maps * family.work <= MOST_TRIED
    value, policy = _best_map(family, differing) if exact else _climbed(family, differing)
    shape = (*family.models[0].shape[2:], family.actions)
    return FixedPolicy(value / family.span.scored, policy.reshape(shape), exact)


def family_of(program: Program, horizon: int | None, scored: int | None) -> Family:
    """Return all instances of a meta-task, solvable exactly over these decisions."""
    span = span_of(program, horizon, scored)
    models = [(model_of(program, settled(program, held)), weights) for weights, held in batches(program)]
    return Family(tuple(model for model, _ in models), tuple(weights for _, weights in models), span)


def _differing(family: Family) -> NDArray[np.bool_]:
    """Return the actions that differ from all lower ones, (M S, A); the lowest only where none is ever reached."""
    differing = np.ones((family.pairs, family.actions), np.bool_)
    reached = [_reached(model, family.span) for model in family.models]
    for action in range(family.actions):
        for lower in range(action):
            unlike = np.zeros(family.pairs, np.bool_)
            for model, there in zip(family.models, reached):
                unlike |= (_unlike(model, action, lower) & there).reshape(-1, family.pairs).any(axis=0)
            differing[:, action] &= unlike
    return differing


def _unlike(model: Model, one: int, other: int) -> NDArray[np.bool_]:
    """Return the situations in which two actions pay or move differently, (N,)."""
    moves = [model.moves[action * model.situations : (action + 1) * model.situations] for action in (one, other)]
    moved = abs(moves[0] - moves[1]).sum(axis=1)
    paid = np.abs(model.rewards[one] - model.rewards[other]).sum(axis=1)
    return np.asarray(moved + paid > _SAME)


def _reached(model: Model, span: Span) -> NDArray[np.bool_]:
    """Return the situations that some policy can come to, (N,)."""
    reached = np.zeros(model.situations, np.bool_)
    even = np.ones((len(model.rewards), model.situations))
    for flow in _flows(model, np.ones(model.shape[0]), even, span, certain=True):
        reached |= flow > 0
    return reached


def _flows(model: Model, weights: Array, chances: Array, span: Span, certain: bool = False) -> Iterator[Array]:
    """Yield the probability of each situation, (N,), at every decision, actions taken with `chances` (A, N).

    Where `certain`, what is possible counts as 1, so that nothing is lost to underflow.
    """
    _, joints, _, _ = model.shape
    begun = np.zeros(model.shape)
    for start in model.start:
        begun[:, :, 0, start] += weights[:, None] / (joints * len(model.start))
    flow, turned = begun.ravel(), model.moves.T.tocsr()
    for decision in range(1, span.horizon + 1):
        flow = (flow > 0).astype(float) if certain else flow
        yield flow
        flow = model.back(turned @ (chances * flow).ravel(), decision)


def _best_map(family: Family, differing: NDArray[np.bool_]) -> tuple[float, Array]:
    """Return the value of the best map and the map, (M S, A), the first of those that are as good."""
    choices = [np.flatnonzero(row) for row in differing]
    sizes = [len(choice) for choice in choices]
    maps = math.prod(sizes)
    largest = max(model.rewards.size for model in family.models)
    together = max(1, _TOGETHER // largest)
    best, best_actions = -math.inf, np.zeros(family.pairs, np.int64)
    for first in range(0, maps, together):
        digits = np.unravel_index(np.arange(first, min(first + together, maps)), sizes)
        actions = np.array([choice[digit] for choice, digit in zip(choices, digits)])  # (M S, maps)
        values = _values_of_maps(family, actions)
        top = int(values.argmax())
        if values[top] > best + _SAME:
            best, best_actions = float(values[top]), actions[:, top]
    return best, np.eye(family.actions)[best_actions]


def _values_of_maps(family: Family, actions: NDArray[np.int64]) -> Array:
    """Return the summed reward of maps, given as (M S, maps)."""
    total = np.zeros(actions.shape[1])
    chosen = [actions == action for action in range(family.actions)]
    for model, weights in zip(family.models, family.weights):

        def act(worth: Array) -> Array:
            by_pair = worth.reshape(family.actions, -1, *actions.shape)
            for action in range(1, family.actions):
                np.copyto(by_pair[0], by_pair[action], where=chosen[action])
            return worth[0]

        found = solve(model, family.span, actions.shape[1], act)
        total += weights @ model.begun(found)
    return total


def _climbed(family: Family, differing: NDArray[np.bool_]) -> tuple[float, Array]:
    """Return the best of random play, of ascents and of the maps nearest to where they end."""
    candidates = [np.full(differing.shape, 1.0 / family.actions)]
    steps = MOST_CLIMBED // (2 * family.work)
    ascents = min(ASCENTS, steps // LEAST_STEPS)

    def descent(theta: Array) -> tuple[float, Array]:
        policy = _policy(theta, differing)
        value, slope = value_and_slope(family, policy)
        return -value, -(policy * (slope - (policy * slope).sum(axis=1, keepdims=True))).ravel()

    for ascent in range(1, ascents + 1):
        begin = 2.0 * (np.arange(1, differing.size + 1) * ascent * _GOLDEN % 1.0) - 1.0  # spread evenly over [-1, 1)
        options = {"maxiter": MOST_STEPS, "maxfun": min(MOST_STEPS, steps // ascents)}
        end = minimize(descent, begin, jac=True, method="L-BFGS-B", options=options).x
        policy = _policy(end, differing)
        candidates += [policy, np.eye(family.actions)[policy.argmax(axis=1)]]
    values = [value_and_slope(family, policy)[0] for policy in candidates]
    best = int(np.argmax(values))
    return values[best], candidates[best]


def _policy(theta: Array, differing: NDArray[np.bool_]) -> Array:
    return np.asarray(softmax(np.where(differing, theta.reshape(differing.shape), -np.inf), axis=1))


def value_and_slope(family: Family, policy: Array) -> tuple[float, Array]:
    """Return the summed reward of a policy (M S, A), and how it rises with each of its probabilities.

    The slope is the sum over decisions of how often a situation occurs times what an action is worth there.
    """
    value, slope = 0.0, np.zeros(policy.shape)
    for model, weights in zip(family.models, family.weights):
        chances = np.tile(policy, (model.situations // family.pairs, 1)).T
        flows = list(_flows(model, weights, chances, family.span))
        rising = np.zeros(chances.shape)

        def act(worth: Array, chances: Array = chances, flows: list[Array] = flows, rising: Array = rising) -> Array:
            rising[:] += flows.pop() * worth[..., 0]
            return np.einsum("an,anx->nx", chances, worth)

        value += float((weights @ model.begun(solve(model, family.span, 1, act)))[0])
        slope += rising.T.reshape(-1, *policy.shape).sum(axis=0)
    return value, slope
