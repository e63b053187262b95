"""Where the nodes of a graph stand, so that its edges cross little and its boxes do not overlap; lengths in inches.

Everything is a function of its arguments: equal graphs give equal drawings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path

Array = NDArray[np.float64]
Pair = tuple[int, int]

GAP_ACROSS, GAP_DOWN = 0.95, 0.55  # between boxes of neighbouring layers and within one
SMALLEST = 0.3  # side of a box that is a state; a smaller one is a crossing of ways
MOST_LAYERED = 12  # nodes that are placed by layers or on a circle; more by their distances
MOST_ORDERS = 6_000  # orders of the nodes within layers that are tried
CLEAR = 0.07  # between an edge or a box and another box


def place(sizes: Array, pairs: Sequence[Pair], starts: Sequence[int]) -> Array:
    """Return the middles (n, 2) of boxes of these sizes (n, 2), y upwards; `pairs` are directed edges."""
    count = len(sizes)
    if count == 1:
        return np.zeros((1, 2))
    if count > MOST_LAYERED:
        return _by_distance(sizes, pairs)
    layers = _layers(count, pairs, starts)
    joined = {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}
    alike = len(layers[0]) == (sizes.max(axis=1) >= SMALLEST).sum()
    if alike or (count > 3 and len(joined) > 1.5 * count):
        return _on_circle(sizes, sorted(joined))
    return _in_layers(sizes, sorted(joined), layers)


def _layers(count: int, pairs: Sequence[Pair], starts: Sequence[int]) -> list[list[int]]:
    """Return the nodes by their number of moves from a start; those that no start leads to stand last."""
    depth = dict.fromkeys(starts, 0)
    for level in range(count):
        for source, target in pairs:
            if depth.get(source) == level:
                depth.setdefault(target, level + 1)
    last = max(depth.values()) + 1
    deep = [depth.get(node, last) for node in range(count)]
    return [[node for node in range(count) if deep[node] == level] for level in sorted(set(deep))]


def _in_layers(sizes: Array, joined: Sequence[Pair], layers: list[list[int]]) -> Array:
    """Return the best of all orders within the layers, or of the first ones tried."""
    orders = itertools.product(*(itertools.permutations(layer) for layer in layers))
    tried = (_columns(sizes, order) for order in itertools.islice(orders, MOST_ORDERS))
    return min(tried, key=lambda middles: _tangle(middles, sizes, joined))


def _columns(sizes: Array, layers: Sequence[Sequence[int]]) -> Array:
    middles = np.zeros_like(sizes)
    across = 0.0
    for layer in layers:
        width = sizes[list(layer), 0].max()
        down = (sizes[list(layer), 1].sum() + GAP_DOWN * (len(layer) - 1)) / 2
        for node in layer:
            middles[node] = across + width / 2, down - sizes[node, 1] / 2
            down -= sizes[node, 1] + GAP_DOWN
        across += width + GAP_ACROSS
    return middles


def _tangle(middles: Array, sizes: Array, joined: Sequence[Pair]) -> float:
    """Return how much straight edges cross each other and run through boxes, and how long they are."""
    cost = 0.0
    for one, other in itertools.combinations(joined, 2):
        if not set(one) & set(other):
            cost += _cross(*middles[list(one)], *middles[list(other)])
    for source, target in joined:
        cost += 0.05 * math.dist(middles[source], middles[target])
        steps = np.linspace(middles[source], middles[target], 20)
        for node in range(len(middles)):
            if node not in (source, target):
                cost += 0.5 * bool(inside(steps, middles[node], sizes[node], 0.0).any())
    return cost


def _cross(a: Array, b: Array, c: Array, d: Array) -> bool:
    def side(p: Array, q: Array, r: Array) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def _on_circle(sizes: Array, joined: Sequence[Pair]) -> Array:
    """Return places on an ellipse, from the left clockwise, in an order with few crossings.

    A single small box, a crossing of ways, stands in its middle.
    """
    small = sizes.max(axis=1) < SMALLEST
    around: list[int] = np.flatnonzero(~small).tolist() if small.sum() == 1 else list(range(len(sizes)))
    angles = np.pi - 2 * np.pi * np.arange(len(around)) / len(around)
    if len(around) == 4:
        angles += np.pi / 4
    width, height = sizes.max(axis=0)
    spread = max(1.0, len(around) / 5)
    radii = np.array([(width + GAP_ACROSS) * 0.78, (height + 1.6 * GAP_DOWN) * 0.78]) * spread
    places = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii

    def middles(order: Sequence[int]) -> Array:
        found = np.zeros_like(sizes)
        found[list(order)] = places
        return found

    best, cost, better = around, _tangle(middles(around), sizes, joined), True
    while better:
        better = False
        for one, other in itertools.combinations(range(1, len(best)), 2):
            order = list(best)
            order[one], order[other] = order[other], order[one]
            if (tried := _tangle(middles(order), sizes, joined)) < cost - 1e-9:
                best, cost, better = order, tried, True
    return middles(best)


def _by_distance(sizes: Array, pairs: Sequence[Pair]) -> Array:
    """Return places whose distances are like the numbers of moves between nodes (stress majorisation, from an MDS)."""
    count = len(sizes)
    sources, targets = np.array([pair for pair in pairs if pair[0] != pair[1]]).reshape(-1, 2).T
    graph = coo_array((np.ones(len(sources)), (sources, targets)), shape=(count, count)).tocsr()
    moves = shortest_path(graph, directed=False, unweighted=True)
    far = np.where(np.isfinite(moves), moves, moves[np.isfinite(moves)].max() + 1.0)
    centred = np.eye(count) - 1.0 / count
    values, vectors = np.linalg.eigh(-0.5 * centred @ far**2 @ centred)
    middles = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 1e-9))
    middles += 1e-3 * np.stack([np.cos(np.arange(count)), np.sin(np.arange(count))], axis=1)  # no two at one place
    weights = 1.0 / np.maximum(far, 1.0) ** 2
    np.fill_diagonal(weights, 0.0)
    laplacian = np.diag(weights.sum(axis=1)) - weights
    inverse = np.linalg.pinv(laplacian)
    for _ in range(150):
        apart = np.maximum(np.linalg.norm(middles[:, None] - middles[None], axis=2), 1e-9)
        pull = -weights * far / apart
        np.fill_diagonal(pull, 0.0)
        np.fill_diagonal(pull, -pull.sum(axis=1))
        middles = inverse @ (pull @ middles)
    order = np.argsort(-np.ptp(middles, axis=0))
    return _parted(middles[:, order] * (1.2 * sizes.max(axis=0) + 0.35), sizes)


def _parted(middles: Array, sizes: Array) -> Array:
    """Return the places with boxes that overlap pushed apart along the shorter way."""
    wanted = (sizes[:, None] + sizes[None]) / 2 + 2 * CLEAR
    apart = middles.copy()
    for _ in range(200):
        between = apart[:, None] - apart[None]
        short = wanted - np.abs(between)
        hit = np.asarray((short > 0).all(axis=2))
        np.fill_diagonal(hit, False)
        if not hit.any():
            break
        along = short.argmin(axis=2)
        push = np.where(hit, short.min(axis=2), 0.0)
        side = np.sign(np.take_along_axis(between, along[..., None], axis=2)[..., 0])
        for axis in range(2):
            apart[:, axis] += 0.3 * np.where(along == axis, push * side, 0.0).sum(axis=1)
    return apart


def inside(points: Array, middles: Array, sizes: Array, margin: Array | float) -> NDArray[np.bool_]:
    """Return whether points (..., 2) lie in boxes (..., 2) that are `margin` larger on each side."""
    return np.asarray(np.all(np.abs(points - middles) < sizes / 2 + margin, axis=-1))
