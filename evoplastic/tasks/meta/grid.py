"""Grids as plain states: cells, where a move leads from each, and what is seen there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from evoplastic.errors import UserError
from evoplastic.random import Purpose, philox, stream_key, unit
from evoplastic.tasks.meta.language import Grid, Mazes

ACTIONS = ("north", "east", "south", "west")
_STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))
_AROUND = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]
MOST_CELLS = 1024

Walls = NDArray[np.bool_]  # (height, width) of the drawn plane


class Plane(NamedTuple):
    """A grid as states; L layouts of the same S cells."""

    states: tuple[str, ...]
    places: tuple[tuple[int, int], ...]  # (row, column) of each state in `walls`
    walls: NDArray[np.bool_]  # (L, height, width)
    targets: NDArray[np.int64]  # (L, S, 4): where each action leads
    views: NDArray[np.int64]  # (L, S, bits): what is seen, 1 on, 0 off, -1 silent; bits is 0 where nothing is


def lay_out(grid: Grid) -> Plane:
    """Return the cells of a grid; UserError for a map that is none."""
    if (grid.mazes is None) == (not grid.map):
        raise UserError("grid: give either a map or mazes")
    if grid.mazes is not None:
        walls = np.stack([_maze(grid.mazes, layout) for layout in range(grid.mazes.count)])
        places = [
            (2 * row + 1, 2 * column + 1) for row in range(grid.mazes.rows) for column in range(grid.mazes.columns)
        ]
        names = [f"{row // 2},{column // 2}" for row, column in places]
        stride = 2
    else:
        walls, places, names = _read_map(grid.map)
        stride = 1
    if grid.wrap and stride == 2:
        raise UserError("grid.wrap: mazes have an outer wall and cannot wrap; leave wrap out")
    targets = np.stack([_moves(wall, places, stride, grid.wrap) for wall in walls])
    return Plane(tuple(names), tuple(places), walls, targets, _views(grid, walls, places))


def _read_map(lines: tuple[str, ...]) -> tuple[Walls, list[tuple[int, int]], list[str]]:
    widths = {len(line) for line in lines}
    if len(widths) != 1 or 0 in widths:
        raise UserError(f"grid.map: lines must have one length above 0, got {sorted(widths)}")
    if len(lines) * len(lines[0]) > MOST_CELLS:
        raise UserError(f"grid.map must have at most {MOST_CELLS} squares, got {len(lines) * len(lines[0])}")
    names: dict[tuple[int, int], str] = {}
    for row, line in enumerate(lines):
        for column, sign in enumerate(line):
            if sign != "#" and sign != "." and not (sign.isascii() and sign.isalpha()):
                raise UserError(f"grid.map[{row}]: expected '#', '.' or a letter, got {sign!r} at column {column}")
            if sign != "#":
                names[row, column] = f"{row},{column}" if sign == "." else sign
    if len(set(names.values())) != len(names):
        raise UserError("grid.map: a letter names one cell, but one stands at several")
    if not names:
        raise UserError("grid.map has walls only; leave at least one cell")
    walls = np.array([[sign == "#" for sign in line] for line in lines])
    return walls[None], list(names), list(names.values())


def _maze(mazes: Mazes, layout: int) -> Walls:
    """Return the walls of a perfect maze: a spanning tree of the rooms, of least random weight."""
    rooms = np.arange(mazes.rows * mazes.columns).reshape(mazes.rows, mazes.columns)
    pairs = np.concatenate(
        [
            np.stack([rooms[:, :-1].ravel(), rooms[:, 1:].ravel()], axis=1),
            np.stack([rooms[:-1].ravel(), rooms[1:].ravel()], axis=1),
        ]
    )
    key = stream_key(mazes.seed, Purpose.TASK, mazes.rows, mazes.columns, layout)
    weights = [float(unit(philox(key, np.uint64(0), np.uint64(pair))[0])) for pair in range(len(pairs))]
    size = rooms.size
    tree = minimum_spanning_tree(coo_array((weights, (pairs[:, 0], pairs[:, 1])), shape=(size, size)).tocsr()).tocoo()
    walls = np.ones((2 * mazes.rows + 1, 2 * mazes.columns + 1), np.bool_)
    walls[1::2, 1::2] = False
    for one, other in zip(tree.row, tree.col):
        (row, column), (below, right) = divmod(int(one), mazes.columns), divmod(int(other), mazes.columns)
        walls[row + below + 1, column + right + 1] = False
    return walls


def _moves(walls: Walls, places: list[tuple[int, int]], stride: int, wrap: bool) -> NDArray[np.int64]:
    """Return where the four moves lead from each cell, (S, 4); into a wall or over an edge is nowhere."""
    number = {place: state for state, place in enumerate(places)}
    height, width = walls.shape
    targets = np.empty((len(places), len(_STEPS)), np.int64)
    for state, (row, column) in enumerate(places):
        for action, (down, right) in enumerate(_STEPS):
            between, beyond = (row + down, column + right), (row + stride * down, column + stride * right)
            if wrap:
                between = beyond = (beyond[0] % height, beyond[1] % width)
            open_ = beyond in number and not walls[between]
            targets[state, action] = number[beyond] if open_ else state
    return targets


def _views(grid: Grid, walls: NDArray[np.bool_], places: list[tuple[int, int]]) -> NDArray[np.int64]:
    layouts, height, width = walls.shape
    if grid.observe == "none":
        return np.empty((layouts, len(places), 0), np.int64)
    if grid.observe == "unique":
        rows, columns = (sorted({place[axis] for place in places}) for axis in (0, 1))
        unique = np.full((len(places), len(rows) + len(columns)), -1, np.int64)
        for state, (row, column) in enumerate(places):
            unique[state, rows.index(row)] = unique[state, len(rows) + columns.index(column)] = 1
        return np.repeat(unique[None], layouts, axis=0)
    local = np.empty((layouts, len(places), len(_AROUND)), np.int64)
    for state, (row, column) in enumerate(places):
        for seen, (down, right) in enumerate(_AROUND):
            across, along = row + down, column + right
            if grid.wrap:
                across, along = across % height, along % width
            outside = not (0 <= across < height and 0 <= along < width)
            local[:, state, seen] = True if outside else walls[:, across, along]
    return np.where(local == 1, 1, -1)
