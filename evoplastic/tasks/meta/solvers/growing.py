"""A tree of beliefs while it grows: nodes of one decision after the other, each belief there once.

Kernels change the arrays of a Growing in place; where they are too short a Growing with longer ones takes its place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import making_kernel

NODES, EDGES = 0, 1  # what `counts` counts
_SAME = 1e-9  # weights of beliefs this close are equal
_GRAINS = 2.0**26  # of a weight, for its hash
_HASH = np.uint64(0x9E3779B97F4A7C15)
_SHIFT, _ONE = np.uint64(29), np.uint64(1)
_SHORT = 24  # so many situations are sorted by insertion
_NEVER = -1
_SLOTS = 1024  # of a hash table in the beginning; a power of 2


class Growing(NamedTuple):
    """A tree while it grows: arrays longer than what they hold, and how much that is."""

    held: NDArray  # the belief of a node lies in `where` and `weight` from held[node] to held[node + 1]
    where: NDArray  # situations, ascending
    weight: NDArray
    edges: NDArray
    child: NDArray
    chance: NDArray
    earned: NDArray
    low: NDArray
    high: NDArray
    table: NDArray  # hash table of the nodes of one decision; smaller numbers are left from those before
    counts: NDArray  # [nodes, edges]


class Spread(NamedTuple):
    """Where a belief is taken apart by signal."""

    mass: NDArray  # (signals, N)
    touched: NDArray  # (signals, N): situations that have any
    counts: NDArray  # (signals,): how many have


@making_kernel
def first_beliefs(model, actions, spread, born):
    """Return a tree of nodes for what may be shown first, and write how likely each is."""
    for n in range(model.born.shape[0]):
        if model.born[n] > 0.0:
            _add(spread, model.seen[n], n, model.born[n])
    size = 2 * model.born.shape[0] + 64
    growing = Growing(
        held=np.zeros(size + 1, np.int64),
        where=np.zeros(size, np.int64),
        weight=np.zeros(size),
        edges=np.zeros(size * actions + 1, np.int64),
        child=np.zeros(size, np.int64),
        chance=np.zeros(size),
        earned=np.zeros((size, actions)),
        low=np.zeros(size),
        high=np.zeros(size),
        table=np.full(_SLOTS, _NEVER, np.int64),
        counts=np.zeros(2, np.int64),
    )
    for symbol in range(spread.counts.shape[0]):
        if spread.counts[symbol] > 0:
            node = growing.counts[NODES]
            born[node] = _write(spread, symbol, growing, node)
            growing.counts[NODES] += 1
    return growing


@making_kernel
def belief(growing, node):
    """Return the situations of a node and their weights, views."""
    begin, end = growing.held[node], growing.held[node + 1]
    return growing.where[begin:end], growing.weight[begin:end]


@making_kernel
def open_node(model, told, decision, node, spread, growing, oldest):
    """Write the edges and children of every action of a node that is worth looking at.

    Children are nodes of the next decision, the first of which is `oldest`.
    """
    actions, situations = model.rewards.shape
    first, counts = model.first[model.kinds[decision]], growing.counts
    support, weights = belief(growing, node)
    for action in range(actions):
        growing.edges[node * actions + action] = counts[EDGES]
        if growing.earned[node, action] == -np.inf:
            continue
        for place in range(support.shape[0]):
            row = action * situations + support[place]
            for branch in range(first[row], first[row + 1]):
                _add(spread, told[branch], model.into[branch], weights[place] * model.chance[branch])
        for signal in range(spread.counts.shape[0]):
            if spread.counts[signal] > 0:
                new, edge = counts[NODES], counts[EDGES]
                growing.chance[edge] = _write(spread, signal, growing, new)
                growing.child[edge] = _find(growing, new, oldest)
                counts[NODES] += growing.child[edge] == new
                counts[EDGES] += 1


@making_kernel
def _add(spread, signal, n, mass):
    if spread.mass[signal, n] == 0.0:
        spread.touched[signal, spread.counts[signal]] = n
        spread.counts[signal] += 1
    spread.mass[signal, n] += mass


@making_kernel
def _write(spread, signal, growing, node):
    """Write what was spread to a signal as the belief of `node`, forget it, and return what it added up to."""
    size, begin = spread.counts[signal], growing.held[node]
    growing.held[node + 1] = begin + size
    growing.where[begin : begin + size] = spread.touched[signal, :size]
    places, mass, total = growing.where[begin : begin + size], spread.mass[signal], 0.0
    _sort(places)
    for place in places:
        total += mass[place]
    for place in range(size):
        growing.weight[begin + place] = mass[places[place]] / total
        mass[places[place]] = 0.0
    spread.counts[signal] = 0
    return total


@making_kernel
def _sort(places):
    if places.shape[0] > _SHORT:
        places.sort()
        return
    for one in range(1, places.shape[0]):
        moved, other = places[one], one
        while other > 0 and places[other - 1] > moved:
            places[other] = places[other - 1]
            other -= 1
        places[other] = moved


@making_kernel
def _find(growing, node, oldest):
    """Return the node from `oldest` on with the belief just written as `node`; `node` itself, then known, if none."""
    table, mask = growing.table, np.uint64(growing.table.shape[0] - 1)
    slot = _digest(growing, node) & mask
    while table[slot] >= oldest:
        if _are_equal(growing, table[slot], node):
            return table[slot]
        slot = (slot + _ONE) & mask
    table[slot] = node
    return node


@making_kernel
def _are_equal(growing, one, other):
    left, right = growing.held[one], growing.held[other]
    size = growing.held[other + 1] - right
    if growing.held[one + 1] - left != size:
        return False
    for place in range(size):
        if growing.where[left + place] != growing.where[right + place]:
            return False
        if abs(growing.weight[left + place] - growing.weight[right + place]) > _SAME:
            return False
    return True


@making_kernel
def _digest(growing, node):
    support, weights = belief(growing, node)
    digest = np.uint64(support.shape[0])
    for place in range(support.shape[0]):
        digest = (digest ^ np.uint64(support[place])) * _HASH
        digest = (digest ^ np.uint64(weights[place] * _GRAINS + 0.5)) * _HASH
        digest ^= digest >> _SHIFT
    return digest


@making_kernel
def branches_of(model, decision, support):
    """Return how many branches a belief has over all actions."""
    first, situations, total = model.first[model.kinds[decision]], model.born.shape[0], 0
    for action in range(model.rewards.shape[0]):
        for n in support:
            row = action * situations + n
            total += first[row + 1] - first[row]
    return total


@making_kernel
def with_room(growing, children, entries, oldest):
    """Return the tree with room for more children that hold so many situations; `oldest` is as in `open_node`."""
    nodes, edges = growing.counts[NODES] + children + 1, growing.counts[EDGES] + children
    entries += growing.held[growing.counts[NODES]]
    growing = _with_slots(growing, nodes, oldest)
    actions = growing.earned.shape[1]
    if nodes < growing.low.shape[0] and entries <= growing.where.shape[0] and edges <= growing.child.shape[0]:
        return growing
    earned = np.zeros((max(2 * nodes, growing.low.shape[0]), actions))
    earned[: growing.low.shape[0]] = growing.earned
    return Growing(
        _longer(growing.held, nodes + 1),
        _longer(growing.where, entries),
        _longer(growing.weight, entries),
        _longer(growing.edges, nodes * actions + 1),
        _longer(growing.child, edges),
        _longer(growing.chance, edges),
        earned,
        _longer(growing.low, nodes),
        _longer(growing.high, nodes),
        growing.table,
        growing.counts,
    )


@making_kernel
def _longer(array, needed):
    """Return a copy with room for twice what is needed."""
    grown = np.zeros(max(array.shape[0], 2 * needed), array.dtype)
    grown[: array.shape[0]] = array
    return grown


@making_kernel
def _with_slots(growing, nodes, oldest):
    """Return the tree with a hash table that is at most half full with the nodes from `oldest` to `nodes`."""
    size = growing.table.shape[0]
    if 2 * (nodes - oldest) <= size:
        return growing
    while 4 * (nodes - oldest) > size:
        size *= 2
    table, mask = np.full(size, _NEVER, np.int64), np.uint64(size - 1)
    for node in range(oldest, growing.counts[NODES]):
        slot = _digest(growing, node) & mask
        while table[slot] >= oldest:
            slot = (slot + _ONE) & mask
        table[slot] = node
    return Growing(
        growing.held,
        growing.where,
        growing.weight,
        growing.edges,
        growing.child,
        growing.chance,
        growing.earned,
        growing.low,
        growing.high,
        table,
        growing.counts,
    )
