"""Colors: which situations of a meta-task behave alike, and which actions and stimuli play the same part.

A color is a 64-bit hash of what is known of a situation, an action or a listed stimulus so far, made from no number
that a renaming changes. Each round adds to it

    of a situation   the colors of what it shows; for every action its color, and the probability of each payment
                     together with each next color
    of an action     what it does in situations of each color
    of a stimulus    which colors of situations show it, and where

Once a round parts no class, situations of one color behave alike for ever. An action and a stimulus collect the
different colors only, not how often each occurs, so that a situation is as good as its twin.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SCALE = 1e9  # probabilities and amounts are told apart to its inverse
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)
_SHIFTS = np.array([30, 27, 31], np.uint64)

Colors = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Reals = NDArray[np.float64]


class Graph(NamedTuple):
    """The N situations that can be reached, all instances together; A actions, K kinds of decisions, B branches."""

    rows: Numbers  # (B,): (k A + a) N + n, ascending
    into: Numbers  # (B,)
    chance: Reals  # (B,)
    paid: Colors  # (B,): hash of the amount
    shape: tuple[int, int, int]  # K, A, N
    shown: Numbers  # (N, slots): number of a listed stimulus that is seen, listed + label of a new one, -1 none
    listed: int
    born: Reals  # (N,): probability to begin there, the weight of the instance included
    instance: Numbers  # (N,)
    kinds: Numbers  # (H,): kind of each decision


class Colored(NamedTuple):
    """Colors of situations, of actions and of listed stimuli; and of what each action does, (K, A, N)."""

    situations: Colors
    actions: Colors
    stimuli: Colors
    rows: Colors

    @property
    def classes(self) -> tuple[int, ...]:
        return tuple(len(np.unique(colors)) for colors in self[:3])


def mixed(*parts: Colors) -> Colors:
    """Return a hash of what all parts have at a place, in their order (finish of SplitMix64, Steele et al. 2014)."""
    total = np.full(1, _GOLDEN)
    for part in parts:
        total = (total ^ part) * _MULTIPLIERS[0] + _GOLDEN
        total = (total ^ (total >> _SHIFTS[0])) * _MULTIPLIERS[0]
        total = (total ^ (total >> _SHIFTS[1])) * _MULTIPLIERS[1]
        total = total ^ (total >> _SHIFTS[2])
    return total


def uncolored(graph: Graph) -> tuple[Colors, Colors]:
    """Return one color for all actions and one for all listed stimuli."""
    return np.zeros(graph.shape[1], np.uint64), np.zeros(graph.listed, np.uint64)


def refined(graph: Graph, actions: Colors, stimuli: Colors) -> Colored:
    """Return the colors that no further round tells apart, from first colors of actions (A,) and stimuli (F,)."""
    colored = Colored(np.zeros(graph.shape[2], np.uint64), actions, stimuli, np.zeros(0, np.uint64))
    before: tuple[int, ...] = ()
    while colored.classes != before:
        before = colored.classes
        colored = _round(graph, colored)
    return colored


def _round(graph: Graph, colored: Colored) -> Colored:
    kinds, actions, _ = graph.shape
    rows = _row_colors(graph, colored.situations)
    kind = np.arange(kinds, dtype=np.uint64)[:, None, None]
    done = mixed(rows, colored.actions[:, None], kind).sum(axis=(0, 1))
    looks = _look_colors(graph, colored.stimuli)
    situations = mixed(colored.situations, done, looks)
    acting = np.broadcast_to(np.arange(actions)[:, None], rows.shape)
    told = mixed(rows, colored.situations, kind)
    there, slot = np.nonzero((graph.shown >= 0) & (graph.shown < graph.listed))
    seen = mixed(colored.situations[there], slot.astype(np.uint64))
    return Colored(
        situations,
        mixed(colored.actions, _sum_of_different(acting.ravel(), told.ravel(), actions)),
        mixed(colored.stimuli, _sum_of_different(graph.shown[there, slot], seen, graph.listed)),
        rows,
    )


def _row_colors(graph: Graph, situations: Colors) -> Colors:
    """Return a hash of what each action leads to, (K, A, N): of each payment and next color, and its probability."""
    outcome = mixed(graph.paid, situations[graph.into])
    order, first = grouped(graph.rows, outcome)
    rows, outcome = graph.rows[order], outcome[order]
    colors = mixed(outcome[first], as_colors(np.add.reduceat(graph.chance[order], first)))
    begins = np.searchsorted(rows[first], np.arange(math.prod(graph.shape)))
    return np.add.reduceat(colors, begins).reshape(graph.shape)


def _look_colors(graph: Graph, stimuli: Colors) -> Colors:
    """Return a hash of what each situation shows, (N,)."""
    new = np.arange(graph.shown.max(initial=-1) + 1 - graph.listed, dtype=np.uint64)
    colors = np.concatenate([[np.uint64(0)], mixed(stimuli), mixed(new, new)])
    slots = np.arange(graph.shown.shape[1], dtype=np.uint64)
    return mixed(colors[graph.shown + 1], slots).sum(axis=1)


def _sum_of_different(groups: Numbers, colors: Colors, count: int) -> Colors:
    """Return the sum of the different colors in each of `count` groups, so that twins count once."""
    sums = np.zeros(count, np.uint64)
    order, first = grouped(groups, colors)
    np.add.at(sums, groups[order[first]], colors[order[first]])
    return sums


def grouped(groups: Numbers, colors: Colors) -> tuple[Numbers, Numbers]:
    """Return an order that puts equal pairs side by side, and where in it each different pair begins."""
    order = np.lexsort((colors, groups))
    groups, colors = groups[order], colors[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (groups[1:] != groups[:-1]) | (colors[1:] != colors[:-1])
    return order, np.flatnonzero(new)


def as_colors(shares: Reals) -> Colors:
    return np.rint(shares * SCALE).astype(np.uint64)
