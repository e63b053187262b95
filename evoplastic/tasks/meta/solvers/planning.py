"""Values of policies that see situations or parts of them, by backward dynamic programming in float64.

value_H = 0,   worth_t[a, n] = rewards[a, n] + sum over branches of chance * value_t+1[into]
value_t[n] = max_a worth_t[a, n]   who knows the situation
             mean_a worth_t[a, n]  random play
             worth_t[map(n), n]    a map, which sees some class of the situation only
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import making_kernel
from evoplastic.tasks.meta.solvers.situations import Array, Numbers, Situations

EVENLY = -1  # the action of random play
MOST_MAPS = 4_096  # tried one by one


class Policies(NamedTuple):
    """Policies whose actions depend on the situation alone."""

    chosen: NDArray  # (P, N) int64: actions, or EVENLY
    earned: NDArray  # (P, H + 1, N) float64: from each decision on, see `follow`


class BestMap(NamedTuple):
    """A map from classes of situations to actions."""

    value: float  # summed reward
    actions: Numbers  # (G,): action of each class


@making_kernel
def plan(model, worth):
    """Fill `worth` (H, A, N) with what each action is worth to who knows the situation."""
    actions, situations = model.rewards.shape
    later = np.zeros(situations)
    for decision in range(model.kinds.shape[0] - 1, -1, -1):
        first = model.first[model.kinds[decision]]
        for action in range(actions):
            for n in range(situations):
                row = action * situations + n
                total = model.rewards[action, n]
                for branch in range(first[row], first[row + 1]):
                    total += model.chance[branch] * later[model.into[branch]]
                worth[decision, action, n] = total
        for n in range(situations):
            later[n] = worth[decision, :, n].max()


@making_kernel
def follow(model, chosen, values):
    """Fill `values` (H + 1, N) with what a policy earns from each decision on that takes action chosen[n] in n."""
    actions, situations = model.rewards.shape
    horizon = model.kinds.shape[0]
    values[horizon] = 0.0
    for decision in range(horizon - 1, -1, -1):
        first, later = model.first[model.kinds[decision]], values[decision + 1]
        for n in range(situations):
            low = 0 if chosen[n] == EVENLY else chosen[n]
            high = actions if chosen[n] == EVENLY else chosen[n] + 1
            total = 0.0
            for action in range(low, high):
                row = action * situations + n
                total += model.rewards[action, n]
                for branch in range(first[row], first[row + 1]):
                    total += model.chance[branch] * later[model.into[branch]]
            values[decision, n] = total / (high - low)


@making_kernel
def flow(model, chosen, occupied):
    """Fill `occupied` (H, N) with the probability of each situation at each decision, as for `follow`."""
    actions, situations = model.rewards.shape
    occupied[:] = 0.0
    occupied[0] = model.born
    for decision in range(model.kinds.shape[0] - 1):
        first = model.first[model.kinds[decision]]
        for n in range(situations):
            here = occupied[decision, n]
            if here == 0.0:
                continue
            low = 0 if chosen[n] == EVENLY else chosen[n]
            high = actions if chosen[n] == EVENLY else chosen[n] + 1
            for action in range(low, high):
                row = action * situations + n
                for branch in range(first[row], first[row + 1]):
                    occupied[decision + 1, model.into[branch]] += here / (high - low) * model.chance[branch]


@making_kernel
def try_maps(model, classes, choices, counts):
    """Return the number of the best map.

    Map number x takes in a situation of class g the action choices[g, digit g of x], mixed radix, class 0 lowest.
    """
    situations = model.rewards.shape[1]
    maps, best, best_value = 1, 0, -np.inf
    for g in range(counts.shape[0]):
        maps *= counts[g]
    chosen, action = np.zeros(situations, np.int64), np.zeros(counts.shape[0], np.int64)
    earned = np.zeros((model.kinds.shape[0] + 1, situations))
    for number in range(maps):
        rest = number
        for g in range(counts.shape[0]):
            action[g] = choices[g, rest % counts[g]]
            rest //= counts[g]
        for n in range(situations):
            chosen[n] = action[classes[n]]
        follow(model, chosen, earned)
        value = (model.born * earned[0]).sum()
        if value > best_value + 1e-12:
            best, best_value = number, value
    return best


def best_map(situations: Situations, classes: Numbers, choices: Choices) -> BestMap:
    """Return the best map from `classes` (N,) to actions; where there are too many, what coordinate ascent finds."""
    if choices.maps > MOST_MAPS:
        return _climbed(situations, classes, choices)
    number = try_maps(situations.flat, classes, choices.actions, choices.counts)
    actions = actions_of_maps(choices, np.array([number]))[0]
    return BestMap(float(situations.born @ earned_by(situations, actions[classes])[0]), actions)


def earned_by(situations: Situations, chosen: Numbers) -> Array:
    """Return what a policy earns from each decision on in each situation, (H + 1, N); see `follow`."""
    values = np.zeros((len(situations.kinds) + 1, len(situations.born)))
    follow(situations.flat, chosen, values)
    return values


def actions_of_maps(choices: Choices, numbers: Numbers) -> Numbers:
    """Return what maps (X,) choose, numbered as in `try_maps`: the action of each class, (X, G)."""
    digits = np.array(np.unravel_index(numbers, choices.counts[::-1])[::-1])
    return choices.actions[np.arange(len(digits))[:, None], digits].T


def policies_of(situations: Situations, chosen: Numbers) -> Policies:
    """Return the policies that take the actions `chosen` (P, N)."""
    return Policies(chosen, np.array([earned_by(situations, actions) for actions in chosen]))


def _climbed(situations: Situations, classes: Numbers, choices: Choices) -> BestMap:
    """Return a map that no change of a single class improves, climbing from the best constant action."""

    def value(actions: Numbers) -> float:
        return float(situations.born @ earned_by(situations, actions[classes])[0])

    constant = [np.full(len(choices.counts), action) for action in range(len(situations.rewards))]
    best = max((BestMap(value(actions), actions) for actions in constant), key=lambda found: found.value)
    improved = True
    while improved:
        improved = False
        for group in np.flatnonzero(choices.counts > 1):
            for action in choices.actions[group, : choices.counts[group]]:
                actions = best.actions.copy()
                actions[group] = action
                tried = BestMap(value(actions), actions)
                if tried.value > best.value + 1e-9:
                    best, improved = tried, True
    return best


class Choices(NamedTuple):
    """The actions that make a difference in each class of situations."""

    actions: Numbers  # (G, A), those that count first
    counts: Numbers  # (G,)

    @property
    def maps(self) -> int:
        """How many maps differ."""
        return int(np.prod(self.counts.astype(object)))


def choices_of(classes: Numbers, unlike: NDArray[np.bool_]) -> Choices:
    """Return for each class the actions that are somewhere `unlike` (A, A, N) all lower ones, the first among them."""
    actions = len(unlike)
    groups = int(classes.max()) + 1
    chosen, counts = np.zeros((groups, actions), np.int64), np.ones(groups, np.int64)
    for group in range(groups):
        differs = np.asarray(unlike[:, :, classes == group].any(axis=2))
        fresh = [a for a in range(actions) if all(differs[a, lower] for lower in range(a))]
        chosen[group, : len(fresh)], counts[group] = fresh, len(fresh)
    return Choices(chosen, counts)


def unlike_actions(situations: Situations) -> NDArray[np.bool_]:
    """Return whether two actions may lead or pay differently, (A, A, N)."""
    actions, size = situations.rewards.shape
    differ = np.zeros((actions, actions, size), np.bool_)
    for first in situations.first:
        lengths = np.diff(first).reshape(actions, size)
        for one in range(actions):
            for other in range(one):
                differ[one, other] |= lengths[one] != lengths[other]
                same = np.flatnonzero(~differ[one, other])
                count = lengths[one, same]
                place = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
                left, right = (np.repeat(first[a * size + same], count) + place for a in (one, other))
                unequal = (
                    (situations.into[left] != situations.into[right])
                    | (situations.told[left] != situations.told[right])
                    | (np.abs(situations.chance[left] - situations.chance[right]) > 1e-12)
                )
                differ[one, other, np.repeat(same, count)[unequal]] = True
    return differ | differ.transpose(1, 0, 2)
