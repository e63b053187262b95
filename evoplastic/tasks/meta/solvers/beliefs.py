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

from evoplastic.jit import making_kernel
from evoplastic.tasks.meta.solvers.growing import (
    EDGES,
    NODES,
    Spread,
    belief,
    branches_of,
    first_beliefs,
    open_node,
    with_room,
)
from evoplastic.tasks.meta.solvers.planning import EVENLY

_SLACK = 1e-12  # of comparisons between values
_SHORT_OF = 1e-9  # sums in another order may miss a value by less


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
    held: NDArray  # (nodes + 1,) int64: a node's belief begins here in the next two
    where: NDArray  # int64: situations
    weight: NDArray  # float64
    complete: bool  # whether no node was left unopened for want of room


@making_kernel
def grow(model, told, signals, worth, policies, tolerance, most):
    """Return the Tree of a model whose branches tell `told` (B,) of `signals`.

    `worth` (H, A, N) is that of `planning.plan`, `policies` (P, H + 1, N) what Policies earn that need no belief.
    Nodes whose bounds are within `tolerance` stay leaves, and all that come after the first `most`.
    """
    actions, situations = model.rewards.shape
    horizon, symbols = model.kinds.shape[0], model.seen.max() + 1
    parts = max(signals, symbols)
    spread = Spread(np.zeros((parts, situations)), np.zeros((parts, situations), np.int64), np.zeros(parts, np.int64))
    born = np.zeros(symbols)
    growing = first_beliefs(model, actions, spread, born)
    counts, begins, complete = growing.counts, np.zeros(horizon + 1, np.int64), True
    for decision in range(horizon):
        stop = counts[NODES]
        begins[decision + 1] = stop
        for node in range(begins[decision], stop):
            support, weights = belief(growing, node)
            earned = growing.earned[node]
            growing.low[node], growing.high[node] = _bounds(support, weights, worth, policies, decision, earned)
            wide = growing.high[node] - growing.low[node] > tolerance
            opened = wide and counts[NODES] < most
            complete = complete and opened == wide
            _weigh(model, support, weights, growing.low[node], earned)
            if opened:
                entries = branches_of(model, decision, support)
                growing = with_room(growing, min(entries, actions * parts), entries, stop)
                open_node(model, told, decision, node, spread, growing, stop)
            else:
                growing.edges[node * actions : (node + 1) * actions] = counts[EDGES]
            growing.edges[(node + 1) * actions] = counts[EDGES]
    tree = _trimmed(growing, begins, born[: begins[1]], complete)
    _back_up(tree)
    return tree


@making_kernel
def _bounds(support, weights, worth, policies, decision, promised):
    """Return the bounds of a belief that need no tree, and write what each action promises at most."""
    low = -np.inf
    for policy in range(policies.shape[0]):
        low = max(low, _mean(support, weights, policies[policy, decision]))
    for action in range(worth.shape[1]):
        promised[action] = _mean(support, weights, worth[decision, action])
    high = max(low, promised.max())
    return (high if decision == worth.shape[0] - 1 else low), high


@making_kernel
def _weigh(model, support, weights, low, promised):
    """Put the expected reward of each action in the place of what it promises, -inf where that is below `low`."""
    for action in range(promised.shape[0]):
        if promised[action] < low - _SLACK:
            promised[action] = -np.inf
        else:
            promised[action] = _mean(support, weights, model.rewards[action])


@making_kernel
def _mean(support, weights, values):
    total = 0.0
    for place in range(support.shape[0]):
        total += weights[place] * values[support[place]]
    return total


@making_kernel
def _trimmed(growing, begins, born, complete):
    nodes, edges = growing.counts
    return Tree(
        begins,
        growing.edges[: nodes * growing.earned.shape[1] + 1],
        growing.child[:edges],
        growing.chance[:edges],
        growing.earned[:nodes],
        growing.low[:nodes],
        growing.high[:nodes],
        born,
        growing.held[: nodes + 1],
        growing.where[: growing.held[nodes]],
        growing.weight[: growing.held[nodes]],
        complete,
    )


@making_kernel
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


@making_kernel
def _value(tree, values, node, action):
    """Return what an action is worth when the children of a node are worth `values`, -inf where it was not opened."""
    row = node * tree.earned.shape[1] + action
    if tree.edges[row] == tree.edges[row + 1]:
        return -np.inf
    total = tree.earned[node, action]
    for edge in range(tree.edges[row], tree.edges[row + 1]):
        total += tree.chance[edge] * values[tree.child[edge]]
    return total


@making_kernel
def expected_rewards(tree, model, policies, curve):
    """Fill `curve` (H,) with the expected reward of each decision under the policy that reaches the low values.

    Where it leaves the tree it goes on as one of the `policies` that the tree was grown with.
    """
    nodes, actions = tree.earned.shape
    horizon, situations = model.kinds.shape[0], model.born.shape[0]
    following = np.zeros((policies.chosen.shape[0], situations))
    reached = np.zeros(nodes)
    reached[: tree.born.shape[0]] = tree.born
    curve[:] = 0.0
    for decision in range(horizon):
        for node in range(tree.begins[decision], tree.begins[decision + 1]):
            best = _best_action(tree, node)
            if decision == horizon - 1:
                curve[decision] += reached[node] * tree.low[node]
            elif best < 0:
                _go_on(tree, node, reached[node], policies.earned[:, decision], following)
            else:
                curve[decision] += reached[node] * tree.earned[node, best]
                for edge in range(tree.edges[node * actions + best], tree.edges[node * actions + best + 1]):
                    reached[tree.child[edge]] += reached[node] * tree.chance[edge]
        curve[decision] += _follow_on(model, decision, policies.chosen, following)


@making_kernel
def _go_on(tree, node, reached, earned, following):
    """Add a node's belief to the `following` (P, N) of the policy that earns the most there."""
    support = tree.where[tree.held[node] : tree.held[node + 1]]
    weights = tree.weight[tree.held[node] : tree.held[node + 1]]
    best, best_value = 0, -np.inf
    for policy in range(earned.shape[0]):
        value = _mean(support, weights, earned[policy])
        if value > best_value + _SLACK:
            best, best_value = policy, value
    for place in range(support.shape[0]):
        following[best, support[place]] += reached * weights[place]


@making_kernel
def _follow_on(model, decision, chosen, following):
    """Carry out a decision for all that follow policies, (P, N), and return the expected reward."""
    actions, situations = model.rewards.shape
    first, total = model.first[model.kinds[decision]], 0.0
    after = np.zeros(situations)
    for policy in range(following.shape[0]):
        after[:] = 0.0
        for n in range(situations):
            if following[policy, n] == 0.0:
                continue
            evenly = chosen[policy, n] == EVENLY
            low, high = (0, actions) if evenly else (chosen[policy, n], chosen[policy, n] + 1)
            share = following[policy, n] / (high - low)
            for action in range(low, high):
                row = action * situations + n
                total += share * model.rewards[action, n]
                for branch in range(first[row], first[row + 1]):
                    after[model.into[branch]] += share * model.chance[branch]
        following[policy] = after
    return total


@making_kernel
def _best_action(tree, node):
    """Return the action that reaches a node's low value, the first of those, or -1 where going on otherwise does."""
    best, best_value = -1, tree.low[node] - _SHORT_OF
    for action in range(tree.earned.shape[1]):
        value = _value(tree, tree.low, node, action)
        if value > best_value + _SLACK:
            best, best_value = action, value
    return best
