"""How the edges of a graph run between its boxes, so that neither hides the other; lengths in inches.

Every edge takes, of some arcs, the one least in conflict with boxes, labels and the edges before it. Everything is a
function of its arguments: equal graphs give equal drawings.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from evoplastic.analysis.graph_places import CLEAR, Array, Pair, inside

MOST_SEARCHED, MOST_CURVED = 120, 500  # edges for which all arcs are tried; for which some are, else the first
_POINTS, _FINE = 48, 240  # of a curve, and where it is cut at a border
_APART = 0.1  # from other edges
_BOWS = (0.0, *(side * bow for bow in (0.1, 0.16, 0.22, 0.3, 0.4, 0.52, 0.68, 0.9, 1.2) for side in (1, -1)))
_FEW_BOWS = 3

Way = tuple[float, Array]  # what it costs by itself, and its points


class Route(NamedTuple):
    """An edge as it is drawn: points (P, 2) from border to border, and the middle of its label."""

    points: Array
    label: Array


def route(middles: Array, sizes: Array, edges: Sequence[Pair], labels: Array, blocked: Array) -> list[Route]:
    """Return how the edges run, each by the way that is least in conflict with boxes and with the edges before it.

    `labels` (edges, 2) are the sizes of their labels, 0 for none; `blocked` (points, 2) are places to keep free.
    """
    tried = len(_BOWS) if len(edges) <= MOST_SEARCHED else _FEW_BOWS if len(edges) <= MOST_CURVED else 1
    router = _Router(middles, sizes, blocked, tried)
    order = sorted(
        range(len(edges)), key=lambda edge: (edges[edge][0] == edges[edge][1], _distance(middles, edges[edge]))
    )
    routes: dict[int, Route] = {}
    for edge in order:
        source, target = edges[edge]
        twins = sum({source, target} == {*other} for other in edges) > 1
        ways = router.loops(source) if source == target else router.bows(source, target, twins)
        ways = ways[:1] if tried == 1 else ways
        routes[edge] = router.choose(ways, labels[edge], (source, target))
    return [routes[edge] for edge in range(len(edges))]


def _distance(middles: Array, edge: Pair) -> float:
    return math.dist(middles[edge[0]], middles[edge[1]])


class _Router:
    """Remembers where edges and labels lie."""

    def __init__(self, middles: Array, sizes: Array, blocked: Array, tried: int):
        self.middles, self.sizes, self.tried = middles, sizes, tried
        self.taken = blocked.reshape(-1, 2)
        self.labels: list[tuple[Array, Array]] = []
        self.tree: cKDTree | None = None

    def bows(self, source: int, target: int, twins: bool) -> list[Way]:
        """Return arcs from one box to another, bent to either side; boxes that touch leave a straight line."""
        start, end = self.middles[source], self.middles[target]
        along = end - start
        across = np.array([along[1], -along[0]])  # to the right
        steps = np.linspace(0.0, 1.0, _FINE)[:, None]
        ways = []
        for bow in _BOWS[: self.tried]:
            first, last = (start + share * along + 0.7 * bow * across for share in (0.18, 0.82))
            curve = _bezier(steps, start, first, last, end)
            shut = inside(curve, start, self.sizes[source], 0.0) | inside(curve, end, self.sizes[target], 0.035)
            seen = np.flatnonzero(~shut)
            if len(seen) > 3:
                # Where there are several edges, each keeps to its right, so that two opposite ones part.
                ways.append(
                    (
                        2.5 * abs(bow) + (0.6 if twins and bow <= 0 else 0.0),
                        curve[seen[np.linspace(0, len(seen) - 1, _POINTS).round().astype(int)]],
                    )
                )
        return ways or [(0.0, np.linspace(start, end, _POINTS))]

    def loops(self, node: int) -> list[Way]:
        """Return loops above, below and beside a box."""
        half = self.sizes[node] / 2
        steps = np.linspace(0.0, 1.0, _POINTS)[:, None]
        ways = []
        for number, (outward, extent) in enumerate(
            [((0, 1), half[0]), ((0, -1), half[0]), ((1, 0), half[1]), ((-1, 0), half[1])]
        ):
            out = np.array(outward, float)
            side = np.array([out[1], -out[0]])
            for shift, reach in itertools.product((0.0, 0.6, -0.6), (0.5, 0.75)):
                base = self.middles[node] + out * np.abs(out @ half) + side * shift * max(extent - 0.2, 0.0)
                foot = min(0.13, 0.7 * extent)
                first, last = base - side * foot, base + side * foot + out * 0.035
                bends = (first + out * reach - side * 0.22, last + out * reach + side * 0.22)
                curve = _bezier(steps, first, *bends, last)
                ways.append((0.25 * number + 0.4 * abs(shift) + 0.5 * reach, curve))
        return ways

    def choose(self, ways: Sequence[Way], label: Array, ends: Pair) -> Route:
        """Return the way of least cost with the best place of its label, and remember them."""
        if len(ways) == 1:
            return Route(ways[0][1], ways[0][1][_POINTS // 2])
        self.tree = cKDTree(self.taken) if len(self.taken) else None
        costs = [own + self._conflicts(points, ends) for own, points in ways]
        best: tuple[float, Array, Array] | None = None
        for cost, (_, points) in sorted(zip(costs, ways), key=lambda way: way[0]):
            if best is not None and cost > best[0]:
                break  # its label cannot make up for it
            for place_cost, place in self._label_places(points, label, ends):
                if best is None or cost + place_cost < best[0]:
                    best = cost + place_cost, points, place
        assert best is not None
        _, points, place = best
        self.taken = np.concatenate([self.taken, points])
        if label.any():
            self.labels.append((place, label))
        return Route(points, place)

    def _conflicts(self, points: Array, ends: Pair) -> float:
        clear = np.full((len(self.middles), 1), CLEAR)
        clear[list(ends)] = -0.02
        cost = 1.5 * float(inside(points[:, None], self.middles, self.sizes, clear).sum())
        for place, label in self.labels:
            cost += 0.5 * float(inside(points, place, label, 0.01).sum())
        if self.tree is not None:
            cost += 0.22 * float(np.isfinite(self.tree.query(points, distance_upper_bound=_APART)[0]).sum())
        return cost

    def _label_places(self, points: Array, label: Array, ends: Pair) -> list[tuple[float, Array]]:
        if not label.any():
            return [(0.0, points[len(points) // 2])]
        places = []
        for share in (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74):
            place = points[int(share * (len(points) - 1))]
            cost = 1.2 * abs(share - 0.5)
            cost += 6.0 * float(inside(place, self.middles, self.sizes + label, 0.02).sum())
            cost += 6.0 * sum(bool(inside(place, other, size + label, 0.02)) for other, size in self.labels)
            cost += 0.25 * float(inside(self.taken, place, label, 0.0).sum())
            places.append((cost, place))
        return places


def _bezier(steps: Array, start: Array, first: Array, last: Array, end: Array) -> Array:
    """Return the cubic curve from start to end whose tangents there point to and from the two bends."""
    back = 1.0 - steps
    return back**3 * start + 3 * steps * back**2 * first + 3 * steps**2 * back * last + steps**3 * end
