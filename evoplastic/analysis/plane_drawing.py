"""The picture of a meta-task on a plane: walls, where the learner begins, where what is drawn may lie, and a find.

One instance is shown as an example; where each instance has a maze of its own, some of the mazes side by side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import DrawingArea, OffsetBox
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle
from numpy.typing import NDArray

from evoplastic.analysis.canvas import FAINT, INK, SOFT
from evoplastic.analysis.certificate_panel import certificate_section
from evoplastic.analysis.task_panel import DRAWN, PAID, PAID_EDGE, PAID_TINT, Array, panel, sign, swatch
from evoplastic.analysis.task_sheet import Sheet
from evoplastic.tasks.meta.program import ANYTHING, Program
from evoplastic.tasks.meta.solvers.certificate import Certificate

MOST_MAZES, MAZES_ACROSS = 6, 3
WALL, DRAWN_TINT, SEEN = "#56606A", "#F6E3EE", "#0072B2"
_LARGEST, _CELL, _MAZE = 3.7, 0.58, 1.75  # inches of a plane, at most of a cell, and of one of several mazes
_THIN = 0.25  # of a maze's walls, in rooms
_FEW = 4  # starts or places of a relocation that are drawn one by one
_UNIT = 0.07  # inches of a sign for a unit of place
Look = dict[str, Any]
_STEPS = (1, 3, 2)  # an example's place among the values of its variable


class _Ruler(NamedTuple):
    """Where the squares of a plane begin, in inches from its upper left corner."""

    rows: Array  # (height + 1,)
    columns: Array  # (width + 1,)

    @property
    def size(self) -> Array:
        return np.array([self.columns[-1], self.rows[-1]])

    def corner(self, row: int, column: int) -> Array:
        """Return the lower left corner of a square, y upwards from the plane's lower left corner."""
        return np.array([self.columns[column], self.rows[-1] - self.rows[row + 1]])

    def extent(self, row: int, column: int) -> Array:
        return np.array([np.diff(self.columns)[column], np.diff(self.rows)[row]])

    def middle(self, place: tuple[int, int]) -> Array:
        return self.corner(*place) + self.extent(*place) / 2


def draw_plane(program: Program, name: str, certificate: Certificate | None = None) -> Figure:
    """Return the picture of a program whose states are cells of a plane, with what is proven of it if that is given."""
    plane = program.plane
    assert plane is not None
    shown = min(len(plane.walls), MOST_MAZES)
    ruler = _ruler(program, alone=shown == 1)
    across, down = min(shown, MAZES_ACROSS), math.ceil(shown / MAZES_ACROSS)
    apart = ruler.size + 0.3
    margin = np.array([0.0, 0.0]) if not _places_shown(program) else np.array([2.2, 2.2]) * _UNIT
    size = apart * (across, down) - 0.3 + margin
    sheet = Sheet(name, program.spec.summary, size, lambda: _panel(program, certificate))
    for layout in range(shown):
        row, column = divmod(layout, MAZES_ACROSS)
        corner = sheet.corner + apart * (column, down - 1 - row) + [margin[0], 0.0]
        _Drawing(sheet.axes, program, ruler, corner, layout).draw()
    return sheet.figure


def _ruler(program: Program, alone: bool) -> _Ruler:
    assert program.plane is not None and program.spec.grid is not None
    _, height, width = program.plane.walls.shape
    thin = program.spec.grid.mazes is not None
    rows, columns = (np.where(thin & (np.arange(count) % 2 == 0), _THIN, 1.0) for count in (height, width))
    side = min(_CELL, (_LARGEST if alone else _MAZE) / max(rows.sum(), columns.sum()))
    return _Ruler(*(side * np.concatenate([[0.0], lengths.cumsum()]) for lengths in (rows, columns)))


def _places_shown(program: Program) -> bool:
    return program.spec.grid is not None and program.spec.grid.observe == "unique"


def _paid(program: Program) -> set[int]:
    """Return the variables whose place is asked for by a reward."""
    return {-2 - place for rule in program.rewards for place in (rule.from_, rule.to) if place < ANYTHING}


def _example(program: Program, layout: int) -> dict[int, int]:
    """Return a state for each variable that is one, as some instance may draw them."""
    drawn: dict[int, int] = {}
    for number, variable in enumerate(program.variables):
        if variable.kind != "state":
            continue
        values = [int(value) for value in variable.values if int(value) not in {drawn.get(o) for o in variable.unlike}]
        if variable.other >= 0:
            values = [value for value in values if value != drawn[variable.other]]
        drawn[number] = values[int(len(values) * ((0.3 + 0.62 * number + 0.37 * layout) % 1.0))]
    return drawn


class _Drawing:
    """One plane on the sheet, its lower left corner at `corner`."""

    def __init__(self, axes: Axes, program: Program, ruler: _Ruler, corner: Array, layout: int):
        assert program.plane is not None
        self.axes, self.program, self.ruler, self.corner = axes, program, ruler, corner
        self.walls: NDArray[np.bool_] = program.plane.walls[layout]
        self.places = program.plane.places
        self.example = _example(program, layout)
        self.learner = self._learner(layout)
        self.cell = ruler.extent(*self.places[0])

    def draw(self) -> None:
        self._ground()
        for number in self.example:
            self._range(number)
        self._grid_lines()
        if self.program.spec.grid is not None:
            {"local": self._view, "unique": self._units, "none": lambda: None}[self.program.spec.grid.observe]()
        self._finds()
        for number, state in self.example.items():
            self._mark(state, number)
        self._start()

    def _learner(self, layout: int) -> int:
        """Return a start that is nothing else in this example."""
        taken = set(self.example.values())
        free = [state for state in self.program.start if state not in taken] or list(self.program.start)
        return free[int(len(free) * ((0.25 + 0.43 * layout) % 1.0))]

    def _middle(self, state: int) -> Array:
        return self.corner + self.ruler.middle(self.places[state])

    def _square(self, row: int, column: int, inset: float = 0.0, **look: Any) -> None:
        low, size = self.corner + self.ruler.corner(row, column), self.ruler.extent(row, column)
        self.axes.add_patch(Rectangle(tuple(low + inset * size), *(size * (1 - 2 * inset)), **look))

    def _ground(self) -> None:
        self.axes.add_patch(
            Rectangle(tuple(self.corner), *self.ruler.size, facecolor=self._colour_of_all(), edgecolor="none", zorder=1)
        )
        for row, column in np.argwhere(self.walls).tolist():
            self._square(row, column, facecolor=WALL, edgecolor=WALL, linewidth=0.4, zorder=3)

    def _colour_of_all(self) -> str:
        """Return the tint of the first variable that may be any cell, which passages between rooms share."""
        wide = [number for number in self.example if len(self.program.variables[number].values) == len(self.places)]
        return self._tint(wide[0]) if wide else "white"

    def _tint(self, number: int) -> str:
        return PAID_TINT if number in _paid(self.program) else DRAWN_TINT

    def _range(self, number: int) -> None:
        """Tint the cells that a variable may be; those of a second one a little smaller, so that both are seen."""
        before = list(self.example).index(number)
        for value in self.program.variables[number].values:
            row, column = self.places[int(value)]
            self._square(
                row, column, min(0.12 * before, 0.36), facecolor=self._tint(number), edgecolor="none", zorder=1.5
            )

    def _grid_lines(self) -> None:
        grid = self.program.spec.grid
        assert grid is not None
        if grid.mazes is None:
            for row, column in self.places:
                self._square(row, column, facecolor="none", edgecolor="#C9CED2", linewidth=0.6, zorder=2)
        style = (0, (3, 2)) if grid.wrap else "-"
        look: Look = {"facecolor": "none", "edgecolor": WALL, "linewidth": 1.4, "linestyle": style, "zorder": 4}
        self.axes.add_patch(Rectangle(tuple(self.corner), *self.ruler.size, **look))

    def _view(self) -> None:
        """Frame the eight squares around the learner, which are what it sees."""
        row, column = self.places[self.learner]
        low = self.corner + self.ruler.corner(row, column)
        high = low + self.ruler.extent(row, column)
        if row + 1 < len(self.walls) and column > 0:
            low = self.corner + self.ruler.corner(row + 1, column - 1)
        if row > 0 and column + 1 < self.walls.shape[1]:
            high = self.corner + self.ruler.corner(row - 1, column + 1) + self.ruler.extent(row - 1, column + 1)
        look: Look = {"facecolor": "none", "edgecolor": SEEN, "linewidth": 1.4, "linestyle": (0, (2, 1.2)), "zorder": 7}
        self.axes.add_patch(Rectangle(tuple(low), *(high - low), **look))

    def _units(self) -> None:
        """Show the units of rows and columns beside the plane, those of the learner's place on."""
        for axis, low in ((0, self.corner - [2.2 * _UNIT, 0.0]), (1, self.corner + [0.0, self.ruler.size[1] + _UNIT])):
            for place in sorted({place[axis] for place in self.places}):
                along = self.ruler.middle((place, 0) if axis == 0 else (0, place))
                middle = low + (np.array([_UNIT / 2, along[1]]) if axis == 0 else np.array([along[0], _UNIT / 2]))
                on = place == self.places[self.learner][axis]
                low_corner = tuple(middle - 0.75 * _UNIT)
                face = SEEN if on else FAINT
                self.axes.add_patch(
                    Rectangle(low_corner, 1.5 * _UNIT, 1.5 * _UNIT, facecolor=face, linewidth=0, zorder=5)
                )

    def _mark(self, state: int, number: int) -> None:
        paid = number in _paid(self.program)
        marker, face, edge = ("*", PAID, PAID_EDGE) if paid else ("D", DRAWN, DRAWN)
        points = 72 * float(self.cell.min()) * (0.62 if paid else 0.36)
        self.axes.plot(
            *self._middle(state), marker, markersize=points, markerfacecolor=face, markeredgecolor=edge, zorder=9
        )

    def _start(self) -> None:
        few = len(self.program.start) <= _FEW
        for state in self.program.start if few else [self.learner]:
            look: Look = {"facecolor": INK if few else "white", "edgecolor": INK, "linewidth": 1.3, "zorder": 8}
            self.axes.add_patch(Circle(tuple(self._middle(state)), 0.2 * float(self.cell.min()), **look))

    def _finds(self) -> None:
        """Draw where a paid reward takes the learner: to its few places, or to three of many."""
        for rule in self.program.rewards:
            at = rule.to if rule.to != ANYTHING else rule.from_
            if not rule.places or at == ANYTHING:
                continue
            origin = self._stood_for(at)
            but = [*map(self._stood_for, rule.but)]
            places = [place for place in map(self._stood_for, rule.places) if place not in but]
            if len(places) > _FEW:
                count = len(places)
                alone = self.program.layout_variable < 0
                places = [places[(count * step // 4 + count // 9) % count] for step in _STEPS[: None if alone else 1]]
            for place in places:
                if place != origin:
                    self._jump(origin, place)

    def _stood_for(self, reference: int) -> int:
        return reference if reference >= 0 else self.example[-2 - reference]

    def _jump(self, origin: int, place: int) -> None:
        self.axes.add_patch(
            FancyArrowPatch(
                tuple(self._middle(origin)),
                tuple(self._middle(place)),
                connectionstyle="arc3,rad=0.22",
                arrowstyle="-|>",
                mutation_scale=7,
                shrinkA=3,
                shrinkB=72 * 0.24 * float(self.cell.min()) if place in self.program.start else 1.5,
                color=PAID_EDGE,
                linewidth=0.9,
                linestyle=(0, (3, 2)),
                zorder=6,
            )
        )


def _panel(program: Program, certificate: Certificate | None) -> OffsetBox:
    heads = ("Drawn for every instance", "Observed", "Pays", "Remembered", "Changes", "Instance")
    return panel(program, heads, _signs(program), (), certificate_section(certificate))


def _signs(program: Program) -> Iterator[OffsetBox]:
    few = len(program.start) <= _FEW
    yield sign(
        _glyph("o", INK if few else "white", INK, 6), "where an instance begins" + ("" if few else ", for example")
    )
    paid = _paid(program)
    for number, variable in enumerate(program.variables):
        if variable.kind == "state":
            look = ("*", PAID, PAID_EDGE, 9) if number in paid else ("D", DRAWN, DRAWN, 5)
            yield sign(_glyph(*look), f"{variable.name}, for example")
            if len(variable.values) < len(program.states):
                yield sign(swatch(PAID_TINT if number in paid else DRAWN_TINT, SOFT), f"where {variable.name} may be")
    if any(rule.places for rule in program.rewards):
        line = DrawingArea(16, 6)
        line.add_artist(Line2D([0, 15], [3, 3], color=PAID_EDGE, linewidth=0.9, linestyle=(0, (3, 2))))
        many = any(len(rule.places) > _FEW for rule in program.rewards)
        yield sign(line, "where a reward takes it" + (", for example" if many else ""))
    if program.spec.grid is not None and program.spec.grid.observe != "none":
        seen = {"local": "what is seen from there", "unique": "the units that are on there"}
        yield sign(
            swatch("none" if program.spec.grid.observe == "local" else SEEN, SEEN), seen[program.spec.grid.observe]
        )
    if program.plane is not None and len(program.plane.walls) > MOST_MAZES:
        yield sign(swatch(WALL), f"walls; {MOST_MAZES} of {len(program.plane.walls)} mazes")


def _glyph(marker: str, face: str, edge: str, size: float) -> OffsetBox:
    area = DrawingArea(11, 11)
    area.add_artist(
        Line2D(
            [5.5], [5.5], marker=marker, markersize=size, markerfacecolor=face, markeredgecolor=edge, linestyle="none"
        )
    )
    return area
