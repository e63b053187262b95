"""The mean of a convex piecewise linear function over a rectangle.

Such a function is the highest of finitely many planes. Where the plane that is highest at the centroid of a convex
polygon is also highest at its corners, it is so everywhere in it, and the integral is area times height at the
centroid. Otherwise the polygon is cut along the line where that plane meets one that is higher at a corner; each of
them is the highest in one part only. So cutting comes to an end, and the mean is exact.

A best policy may have very many forms, most of them hardly better than the next. The plane at the centroid is a lower
bound, and straight lines from there up to the corners are an upper one; polygons whose bounds differ by 1e-10 of the
mean all told are not cut. When there are `most` of them, a difference of 1e-6 will do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError

Array = NDArray[np.float64]
Planes = Callable[[Array], Array]  # points (P, 2) -> the highest plane at each, (P, 3): offset and two slopes

MOST_POLYGONS = 2_000
EXACT, ENOUGH = 1e-10, 1e-6  # differences of the bounds, relative to the largest offset or slope above 1
_SLIGHTLY = 1e-7  # corners are looked at this far inside, where no two planes tie


class _Piece(NamedTuple):
    """A polygon, and the mean over it of bounds of the function times its area."""

    corners: Array  # (corners, 2)
    low: float
    gap: float  # from the lower to the upper bound
    cut: Array  # where this plane is 0 the polygon is cut
    scale: float


def mean_over(planes: Planes, low: tuple[float, float], high: tuple[float, float], most: int = MOST_POLYGONS) -> float:
    """Return the mean over the rectangle from corner `low` to `high`; UserError if `most` polygons are far too few."""
    (left, bottom), (right, top) = low, high
    whole = (right - left) * (top - bottom)
    pieces = _measured(planes, [np.array([[left, bottom], [right, bottom], [right, top], [left, top]])])
    while True:
        pieces.sort(key=lambda piece: piece.gap)
        gaps = np.cumsum([piece.gap for piece in pieces])
        scale = whole * max(1.0, *(piece.scale for piece in pieces))
        if gaps[-1] <= (EXACT if len(pieces) < most else ENOUGH) * scale:
            return float((sum(piece.low for piece in pieces) + gaps[-1] / 2) / whole)
        if len(pieces) >= most:
            raise UserError(
                "the best policy takes too many forms over the probabilities between bounds for exact values; "
                "list levels for one of them"
            )
        kept = int(np.searchsorted(gaps, max(EXACT / 2 * scale, gaps[-1] / 8)))  # cut where most of the gap lies
        halves = [_kept(piece.corners, sign * piece.cut) for piece in pieces[kept:] for sign in (1, -1)]
        pieces = pieces[:kept] + _measured(planes, [half for half in halves if len(half) > 2])


def _measured(planes: Planes, polygons: Sequence[Array]) -> list[_Piece]:
    """Return the polygons with their bounds."""
    centroids = [area_and_centroid(polygon)[1] for polygon in polygons]
    probes = [np.stack([c, *(p + _SLIGHTLY * (c - p))]) for p, c in zip(polygons, centroids)]
    found = np.split(planes(np.concatenate(probes)), np.cumsum([len(probe) for probe in probes])[:-1])
    pieces = []
    for polygon, centroid, probe, highest in zip(polygons, centroids, probes, found):
        above = np.maximum(_heights(highest, probe) - _heights(highest[0], probe), 0.0)[1:]
        one, other = polygon - centroid, np.roll(polygon, -1, axis=0) - centroid
        areas = np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]) / 2
        gap = float((areas * (above + np.roll(above, -1))).sum() / 3)
        cut = highest[1 + above.argmax()] - highest[0]
        low = float(areas.sum() * _heights(highest[0], centroid))
        pieces.append(_Piece(polygon, low, gap, cut, float(np.abs(highest).max())))
    return pieces


def area_and_centroid(polygon: Array) -> tuple[float, Array]:
    """Return the area of a convex polygon (corners, 2), and where its weight lies."""
    origin = polygon[0]
    one, other = polygon[1:-1] - origin, polygon[2:] - origin
    doubled = np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])
    if not doubled.sum():
        return 0.0, polygon.mean(axis=0)
    return float(doubled.sum() / 2), origin + doubled @ (one + other) / (3 * doubled.sum())


def _heights(planes: Array, points: Array) -> Array:
    return planes[..., 0] + (planes[..., 1:] * points).sum(axis=-1)


def _kept(polygon: Array, plane: Array) -> Array:
    """Return the part of a convex polygon where a plane is at least 0."""
    height = _heights(plane, polygon)
    corners = []
    for here, there, at, ahead in zip(polygon, np.roll(polygon, -1, axis=0), height, np.roll(height, -1)):
        if at >= 0:
            corners.append(here)
        if (at > 0 > ahead) or (at < 0 < ahead):
            corners.append(here + at / (at - ahead) * (there - here))
    return np.array(corners).reshape(-1, 2)
