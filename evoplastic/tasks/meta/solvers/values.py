"""Exact values of a meta-task: what random play earns, and what one earns who knows the instance.

Both are mean reward per decision, undiscounted, costs counted as negative: (1/n) E[sum over the last n of H decisions],
E over instances, play and chance. Backward dynamic programming in float64 over situations and decisions:

    v_H = 0,   q_t = rewards + moves onward(v_t+1),   v_t = mean_a q_t  or  max_a q_t

who knows the instance sees its changing variables, flags, counters and state as well. Rewards before the last n do not
count, so it uses them to get into place.

Probabilities drawn between bounds enter expected rewards linearly. So the value of random play is that at their mean;
that of who knows them is the highest of the planes of all policies, whose mean `convex` takes, to 1e-10 of what a
decision pays, or to 1e-6 where the policies are too many.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.solvers.convex import MOST_POLYGONS, mean_over
from evoplastic.tasks.meta.solvers.instances import (
    MOST_WORK,
    Instance,
    check_exact,
    continuous,
    entries_of,
    instances,
    work_of,
)
from evoplastic.tasks.meta.solvers.model import Array, Model, model_of

BATCH = 2**20  # numbers that describe one decision of the instances solved together
_TIE = 1e-12  # actions this close are as good


class Values(NamedTuple):
    """Mean reward per decision."""

    random: float
    oracle: float


class Span(NamedTuple):
    """H decisions, the last `scored` of which count."""

    horizon: int
    scored: int

    def counts(self, decision: int) -> bool:
        """Return whether the reward of a decision counts; they are counted from 1."""
        return decision > self.horizon - self.scored


def span_of(program: Program, horizon: int | None, scored: int | None) -> Span:
    """Return the decisions to solve, the spec's horizon and all of them by default, if they can be solved exactly."""
    horizon = program.spec.horizon if horizon is None else horizon
    scored = horizon if scored is None else scored
    if not 1 <= scored <= horizon:
        raise UserError(f"scored must be from 1 to the horizon of {horizon} decisions, got {scored}")
    check_exact(program, horizon)
    return Span(horizon, scored)


def values(program: Program, horizon: int | None = None, scored: int | None = None) -> Values:
    """Return the exact values of a meta-task over all of its instances."""
    span = span_of(program, horizon, scored)
    means = [weights @ _values_of_each(program, held, span) for weights, held in batches(program)]
    return Values(*map(float, np.sum(means, axis=0)))


def instance_values(
    program: Program, instance: Instance, horizon: int | None = None, scored: int | None = None
) -> Values:
    """Return the values of one instance; probabilities it leaves open (NaN) are averaged over."""
    span = span_of(program, horizon, scored)
    return Values(*map(float, _values_of_each(program, np.array([instance.held]), span)[0]))


def oracle_policy(
    program: Program, instance: Instance, horizon: int | None = None, scored: int | None = None
) -> NDArray[np.int64]:
    """Return the best actions for who knows the instance, (H, C, M, S), the lowest of those that are as good.

    Probabilities that the instance leaves open (NaN) are taken at their mean; `instance._replace(held=...)` fills them.
    """
    span = span_of(program, horizon, scored)
    model = model_of(program, settled(program, np.array([instance.held])))
    chosen: list[NDArray[np.int64]] = []

    def best(worth: Array) -> Array:
        highest = worth.max(axis=0)
        as_good = worth >= highest - _TIE * np.maximum(1.0, np.abs(highest))
        chosen.append(as_good[..., 0].argmax(axis=0).reshape(model.shape[1:]))
        return highest

    solve(model, span, 1, best)
    return np.array(chosen[::-1])


def batches(program: Program) -> Iterator[tuple[Array, Array]]:
    """Yield all instances as weights (I,) and what they hold (I, V), as many at a time as are solved together."""
    waiting = instances(program)
    while some := list(itertools.islice(waiting, max(1, BATCH // entries_of(program)))):
        yield np.array([instance.weight for instance in some]), np.array([instance.held for instance in some])


def settled(program: Program, held: Array) -> Array:
    """Return what instances hold, (I, V), with probabilities left open at their mean."""
    held = held.copy()
    for number in continuous(program):
        variable = program.variables[number]
        held[np.isnan(held[:, number]), number] = (variable.low + variable.high) / 2
    return held


def solve(model: Model, span: Span, columns: int, choose: Callable[[Array], Array]) -> Array:
    """Return the value of every situation at the first decision, (N, columns); columns repeat the D of the rewards.

    `choose` makes of the worth of each action, (A, N, columns), that of the situation, (N, columns).
    """
    later = np.zeros((model.situations, columns))
    terms = model.rewards.shape[2]
    for decision in range(span.horizon, 0, -1):
        worth = (model.moves @ model.onward(later, decision)).reshape(-1, model.situations, columns // terms, terms)
        if span.counts(decision):
            worth += model.rewards[:, :, None]
        later = choose(worth.reshape(-1, model.situations, columns))
    return later


def _values_of_each(program: Program, held: Array, span: Span) -> Array:
    """Return random and oracle for each instance, (I, 2)."""
    model = model_of(program, settled(program, held))
    random = model.begun(solve(model, span, 1, lambda worth: worth.mean(axis=0)))[:, 0]
    open_ = [number for number in continuous(program) if np.isnan(held[:, number]).any()]
    if open_:
        oracle = np.array([_mean_of_best(program, one, open_, span) for one in held])
    else:
        oracle = model.begun(solve(model, span, 1, lambda worth: worth.max(axis=0)))[:, 0]
    return np.stack([random, oracle], axis=1) / span.scored


def _mean_of_best(program: Program, held: Array, open_: Sequence[int], span: Span) -> float:
    """Return the mean over the open probabilities of what the best policy for them earns in one instance."""
    model = model_of(program, held[None])
    bounds = [(program.variables[number].low, program.variables[number].high) for number in open_]
    (left, right), (bottom, top) = [*bounds, (0.0, 1.0)][:2]  # with one of them, a second that matters to nothing

    def planes(points: Array) -> Array:
        most = max(1, BATCH // model.rewards.size)
        found = [_planes(model, points[first : first + most], span) for first in range(0, len(points), most)]
        return np.concatenate(found)

    most = min(MOST_POLYGONS, 1 + int(MOST_WORK / work_of(program, span.horizon)))
    return mean_over(planes, (left, bottom), (right, top), most)


def _planes(model: Model, points: Array, span: Span) -> Array:
    """Return what the best policy at each point (P, 2) earns anywhere, as a plane (P, 3)."""
    terms = model.rewards.shape[2]
    at = np.concatenate([np.ones((len(points), 1)), points], axis=1)[:, :terms]

    def best(worth: Array) -> Array:
        planes = worth.reshape(*worth.shape[:2], len(points), terms)
        chosen = (planes * at).sum(axis=-1).argmax(axis=0)
        return np.take_along_axis(planes, chosen[None, ..., None], axis=0)[0].reshape(worth.shape[1:])

    found = model.begun(solve(model, span, at.size, best))[0].reshape(len(points), terms)
    return np.pad(found, ((0, 0), (0, 3 - terms)))
