"""What one can earn who does not know the instance: a tree of beliefs over situations, with proven bounds.

A belief b (N,) is what is known after all that was shown and told so far. After action a and signal o it is

    b'[n'] = sum over n and branches (n, a) -> n' told o of b[n] chance / P(o | b, a)

and the Bayes-adaptive value over the decisions t, ..., H - 1 that are left (Bellman; Smallwood & Sondik 1973)

    V_t(b) = max over a of b . rewards[a] + sum over o of P(o | b, a) V_t+1(b')

Beliefs that are equal at the same decision are one node. A node is not opened where its bounds meet,

    low   max over policies p of b . earned_p[t]       what some policy earns that needs no belief
    high  max over a of b . worth_t[a]                 QMDP: who will know everything after this action

nor are actions whose high is below the node's low, nor any node once there are more than allowed: then the bounds of
its value are all that is given. With signals that tell less, such as none of what was paid, it is the value of who is
told less.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel

_SAME = 1e-9  # weights of beliefs this close are equal
_HASH = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)
_GRAINS = 2.0**26
_NEVER = -1
_SLOTS = 1024  # of a hash table in the beginning; a power of 2


class Tree(NamedTuple):
    """Nodes in the order of their decisions; the actions of a node have edges, unless it is a leaf."""

    begins: NDArray  # (H + 1,) int64: the first node of each decision
    edges: NDArray  # (nodes * A + 1,) int64: the edges of (node, action) begin here
    child: NDArray  # (edges,) int64
    chance: NDArray  # (edges,) float64
    earned: NDArray  # (nodes, A) float64: expected reward of each action; -inf where it is not worth looking at
    low: NDArray  # (nodes,) float64: of the rewards that are left
    high: NDArray  # (nodes,) float64
    born: NDArray  # (nodes of the first decision,) float64: probability to begin there
    complete: bool  # whether no node was left unopened for want of room


@kernel
def grow(model, told, signals, worth, policies, tolerance, most):
    """Return the Tree of a model whose branches tell `told` (B,) of `signals`.

    `worth` (H, A, N) is that of `planning.plan`, `policies` (P, H + 1, N) what policies earn that need no belief.
    Nodes whose bounds are within `tolerance` stay leaves, and all that come after the first `most`.
    """
    actions, situations = model.rewards.shape
    horizon = model.kinds.shape[0]
    begins = np.zeros(horizon + 1, np.int64)
    edges, child, chance = np.zeros(1024, np.int64), np.zeros(1024, np.int64), np.zeros(1024)
    earned, low, high = np.zeros((256, actions)), np.zeros(256), np.zeros(256)
    held, where, weight = np.zeros(257, np.int64), np.zeros(1024, np.int64), np.zeros(1024)
    table = np.full(_SLOTS, _NEVER, np.int64)
    mass = np.zeros((signals, situations))
    touched, counts = np.zeros((signals, situations), np.int64), np.zeros(signals, np.int64)

    symbols = model.seen.max() + 1
    born, nodes = np.zeros(symbols), 0
    for symbol in range(symbols):
        for n in range(situations):
            if model.seen[n] == symbol and model.born[n] > 0.0:
                mass[0, n] = model.born[n]
                touched[0, counts[0]] = n
                counts[0] += 1
        if counts[0] > 0:
            where, weight = _room(where, held[nodes] + counts[0]), _room(weight, held[nodes] + counts[0])
            born[nodes] = _take_down(mass[0], touched[0], counts[0], where, weight, held[nodes])
            held[nodes + 1] = held[nodes] + counts[0]
            counts[0] = 0
            nodes += 1
    born = born[:nodes]
    used, complete = 0, True
    for decision in range(horizon):
        start, stop = begins[decision], nodes
        begins[decision + 1] = nodes
        first = model.first[model.kinds[decision]]
        low, high, earned = _room(low, nodes), _room(high, nodes), _rows(earned, nodes)
        edges = _room(edges, nodes * actions + 1)
        for node in range(start, stop):
            support, weights = where[held[node] : held[node + 1]], weight[held[node] : held[node + 1]]
            low[node], high[node] = _bounds(support, weights, worth[decision], policies, decision, earned[node])
            last = decision == horizon - 1
            if last:
                low[node] = high[node]
            wide = high[node] - low[node] > tolerance
            complete = complete and not (wide and nodes >= most)
            opened = wide and nodes < most
            for action in range(actions):
                promising = earned[node, action] >= low[node] - 1e-12
                earned[node, action] = _paid(support, weights, model.rewards[action]) if promising else -np.inf
                edges[node * actions + action] = used
                if not opened or not promising:
                    continue
                _spread(model, told, first, support, weights, action, mass, touched, counts)
                for signal in range(signals):
                    if counts[signal] == 0:
                        continue
                    size = counts[signal]
                    held = _room(held, nodes + 2)
                    where, weight = _room(where, held[nodes] + size), _room(weight, held[nodes] + size)
                    child, chance = _room(child, used + 1), _room(chance, used + 1)
                    chance[used] = _take_down(mass[signal], touched[signal], size, where, weight, held[nodes])
                    counts[signal] = 0
                    child[used] = _find(table, held, where, weight, nodes, size, stop)
                    if child[used] == nodes:
                        held[nodes + 1] = held[nodes] + size
                        nodes += 1
                        if 2 * (nodes - stop) > table.shape[0]:
                            table = _larger(table, held, where, weight, stop, nodes)
                    used += 1
                support, weights = where[held[node] : held[node + 1]], weight[held[node] : held[node + 1]]
            edges[(node + 1) * actions] = used
    tree = Tree(
        begins,
        edges[: nodes * actions + 1],
        child[:used],
        chance[:used],
        earned[:nodes],
        low[:nodes],
        high[:nodes],
        born,
        complete,
    )
    _back_up(tree)
    return tree


@kernel
def expected_rewards(tree, curve):
    """Fill `curve` (H,) with the expected reward of each decision under the policy that reaches the low values.

    What a leaf earns is spread evenly over the decisions that are left.
    """
    nodes, actions = tree.earned.shape
    horizon = curve.shape[0]
    reached = np.zeros(nodes)
    reached[: tree.born.shape[0]] = tree.born
    curve[:] = 0.0
    for decision in range(horizon):
        for node in range(tree.begins[decision], tree.begins[decision + 1]):
            if tree.edges[node * actions] == tree.edges[(node + 1) * actions]:
                for later in range(decision, horizon):
                    curve[later] += reached[node] * tree.low[node] / (horizon - decision)
                continue
            best = _best_action(tree, node)
            curve[decision] += reached[node] * tree.earned[node, best]
            for edge in range(tree.edges[node * actions + best], tree.edges[node * actions + best + 1]):
                reached[tree.child[edge]] += reached[node] * tree.chance[edge]


@kernel
def _best_action(tree, node):
    actions = tree.earned.shape[1]
    best, best_value = 0, -np.inf
    for action in range(actions):
        value = _value(tree, tree.low, node, action)
        if value > best_value + 1e-12:
            best, best_value = action, value
    return best


@kernel
def _value(tree, values, node, action):
    """Return what an action of an opened node is worth when its children are worth `values`."""
    if tree.earned[node, action] == -np.inf:
        return -np.inf
    row = node * tree.earned.shape[1] + action
    total = tree.earned[node, action]
    for edge in range(tree.edges[row], tree.edges[row + 1]):
        total += tree.chance[edge] * values[tree.child[edge]]
    return total


@kernel
def _back_up(tree):
    """Tighten the bounds of opened nodes by those of their children, from the last decision to the first."""
    nodes, actions = tree.earned.shape
    for node in range(nodes - 1, -1, -1):
        if tree.edges[node * actions] == tree.edges[(node + 1) * actions]:
            continue
        low, high = -np.inf, -np.inf
        for action in range(actions):
            low = max(low, _value(tree, tree.low, node, action))
            high = max(high, _value(tree, tree.high, node, action))
        tree.low[node] = max(tree.low[node], low)
        tree.high[node] = max(min(tree.high[node], high), tree.low[node])


@kernel
def _bounds(support, weights, worth, policies, decision, of_actions):
    """Return the bounds of a belief that need no tree, and write what each action promises at most."""
    low = -np.inf
    for policy in range(policies.shape[0]):
        low = max(low, _paid(support, weights, policies[policy, decision]))
    for action in range(worth.shape[0]):
        of_actions[action] = _paid(support, weights, worth[action])
    return low, max(low, of_actions.max())


@kernel
def _paid(support, weights, values):
    total = 0.0
    for place in range(support.shape[0]):
        total += weights[place] * values[support[place]]
    return total


@kernel
def _spread(model, told, first, support, weights, action, mass, touched, counts):
    """Add up what an action makes of a belief, by signal."""
    situations = model.rewards.shape[1]
    for place in range(support.shape[0]):
        row = action * situations + support[place]
        for branch in range(first[row], first[row + 1]):
            signal, n = told[branch], model.into[branch]
            if mass[signal, n] == 0.0:
                touched[signal, counts[signal]] = n
                counts[signal] += 1
            mass[signal, n] += weights[place] * model.chance[branch]


@kernel
def _take_down(mass, touched, size, where, weight, at):
    """Write a belief in the order of situations from `at` on, empty `mass`, and return what it added up to."""
    where[at : at + size] = touched[:size]
    places = where[at : at + size]
    if size > 24:
        places.sort()
    else:
        for one in range(1, size):
            moved, other = places[one], one
            while other > 0 and places[other - 1] > moved:
                places[other] = places[other - 1]
                other -= 1
            places[other] = moved
    total = 0.0
    for place in range(size):
        total += mass[places[place]]
    for place in range(size):
        weight[at + place] = mass[places[place]] / total
        mass[places[place]] = 0.0
    return total


@kernel
def _find(table, held, where, weight, node, size, oldest):
    """Return the node from `oldest` on that holds the belief just written as `node`, or `node`, then known."""
    at, mask = held[node], table.shape[0] - 1
    slot = _digest(where, weight, at, size) & np.uint64(mask)
    while table[slot] >= oldest:
        other = table[slot]
        if held[other + 1] - held[other] == size and _equal(where, weight, held[other], at, size):
            return other
        slot = (slot + np.uint64(1)) & np.uint64(mask)
    table[slot] = node
    return node


@kernel
def _equal(where, weight, one, other, size):
    for place in range(size):
        if where[one + place] != where[other + place] or abs(weight[one + place] - weight[other + place]) > _SAME:
            return False
    return True


@kernel
def _digest(where, weight, at, size):
    digest = np.uint64(size)
    for place in range(size):
        digest = (digest ^ np.uint64(where[at + place])) * _HASH
        digest = (digest ^ np.uint64(weight[at + place] * _GRAINS + 0.5)) * _HASH
        digest ^= digest >> _SHIFT
    return digest


@kernel
def _larger(table, held, where, weight, oldest, nodes):
    """Return a table of twice the size that knows the nodes from `oldest` on."""
    grown = np.full(2 * table.shape[0], _NEVER, np.int64)
    mask = np.uint64(grown.shape[0] - 1)
    for node in range(oldest, nodes):
        slot = _digest(where, weight, held[node], held[node + 1] - held[node]) & mask
        while grown[slot] >= oldest:
            slot = (slot + np.uint64(1)) & mask
        grown[slot] = node
    return grown


@kernel
def _room(array, needed):
    """Return the array, or a copy twice as long where fewer than `needed` entries fit."""
    if needed <= array.shape[0]:
        return array
    grown = np.zeros(max(needed, 2 * array.shape[0]), array.dtype)
    grown[: array.shape[0]] = array
    return grown


@kernel
def _rows(array, needed):
    if needed <= array.shape[0]:
        return array
    grown = np.zeros((max(needed, 2 * array.shape[0]), array.shape[1]))
    grown[: array.shape[0]] = array
    return grown
