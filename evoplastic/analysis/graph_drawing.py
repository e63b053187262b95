"""The picture of a meta-task without a plane: states as boxes with what is observed there, actions as arrows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, DrawingArea, OffsetBox
from matplotlib.patches import Circle, FancyBboxPatch, Polygon

from evoplastic.analysis.canvas import INK, SOFT
from evoplastic.analysis.certificate_panel import certificate_section
from evoplastic.analysis.graph_places import MOST_LAYERED, place
from evoplastic.analysis.graph_routes import Route, route
from evoplastic.analysis.state_graph import ANY_ACTION, EVERYWHERE, Edge, StateGraph, graph_of
from evoplastic.analysis.task_panel import (
    ANYTHING,
    DRAWN,
    PAID_EDGE,
    PAID_TINT,
    Array,
    action_colour,
    below,
    beside,
    cells,
    coin,
    extent,
    flag,
    note_line,
    panel,
    sign,
    text,
)
from evoplastic.analysis.task_sheet import Sheet
from evoplastic.tasks.meta.meeting import rewards_meet
from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.solvers.certificate import Certificate

MOST_NOTED = 40  # states whose notes are written out; of more there are only names
MOST_CELLS = 16  # units of a stimulus that are drawn
_PAD = 0.1  # inches within a box
_ENTRY = 0.3  # inches of the arrow of a start
_CROSSING = 0.09


def draw_graph(program: Program, name: str, certificate: Certificate | None = None) -> Figure:
    """Return the picture of a program's states, with what is proven of it if that is given."""
    graph = graph_of(program)
    size = _letters(graph.states)
    boxes = np.array([extent(_content(program, graph, state, size)) + 2 * _PAD for state in range(graph.states)])
    sizes = np.concatenate([boxes, np.full((graph.crossings, 2), _CROSSING)])
    pairs = [(edge.source, edge.target) for edge in graph.edges]
    middles = place(sizes, pairs, program.start)
    entries = [_entry(middles, sizes, state) for state in program.start]
    labels = np.array([_label_size(edge.label, size) for edge in graph.edges])
    routes = route(middles, sizes, pairs, labels, np.array([np.linspace(*entry, 6) for entry in entries]))
    corners = [middles - sizes / 2, middles + sizes / 2, *(path.points for path in routes), *map(np.array, entries)]
    corners += [path.label + half for path, label in zip(routes, labels) for half in (-label / 2, label / 2)]
    everything = np.concatenate([corner.reshape(-1, 2) for corner in corners])
    low = everything.min(axis=0)
    extents = everything.max(axis=0) - low
    sheet = Sheet(name, program.spec.summary, extents, lambda: _panel(program, graph, certificate))
    axes, shift = sheet.axes, sheet.corner - low
    for entry in entries:
        _draw_entry(axes, *(point + shift for point in entry))
    for edge, path in zip(graph.edges, routes):
        _draw_edge(axes, edge, Route(path.points + shift, path.label + shift), size)
    for crossing in middles[graph.states :] + shift:
        axes.add_patch(Circle(tuple(crossing), _CROSSING / 2, color=ANYTHING, zorder=4))
    for state in range(graph.states):
        _draw_box(axes, middles[state] + shift, sizes[state], paid=_pays(graph, state))
        content = _content(program, graph, state, size)
        axes.add_artist(AnnotationBbox(content, tuple(middles[state] + shift), frameon=False, pad=0, zorder=6))
    return sheet.figure


def _panel(program: Program, graph: StateGraph, certificate: Certificate | None) -> OffsetBox:
    heads = ("Actions", "Drawn for every instance", "Changes", "Instance")
    everywhere = graph.notes.get(EVERYWHERE, [])
    return panel(program, heads, _signs(program, graph), everywhere, certificate_section(certificate))


def _letters(states: int) -> float:
    """Return the size of letters in points: smaller where there are many states."""
    return 8.5 if states <= MOST_LAYERED else 7.0 if states <= MOST_NOTED else 4.5


def _pays(graph: StateGraph, state: int) -> bool:
    return any(note.kind == "reward" for note in graph.notes.get(state, []))


def _content(program: Program, graph: StateGraph, state: int, size: float) -> OffsetBox:
    """Return what stands in the box of a state: its name, what is observed there, and its notes."""
    lines = [text(program.states[state], size, fontweight="bold")]
    if graph.states <= MOST_NOTED:
        lines += list(_observed(program, state, size))
        lines += [note_line(note, program.actions, 0.94 * size) for note in graph.notes.get(state, [])]
    return below(lines, gap=0.4 * size, align="center")


def _observed(program: Program, state: int, size: float) -> Iterator[OffsetBox]:
    for reference in program.shown[0, state].tolist():
        if reference < -1:
            yield text(program.variables[-2 - reference].name, 0.94 * size, DRAWN)
        elif reference >= 0:
            code, name = program.codes[reference].tolist(), list(program.spec.stimuli)[reference]
            drawing = [cells(code, 0.85 * size)] if len(code) <= MOST_CELLS else []
            yield beside([*drawing, text(name, 0.94 * size, SOFT)], gap=3.0)


def _label_size(label: str, size: float) -> Array:
    return np.array([0.0, 0.0]) if not label else extent(text(label, 0.94 * size)) + [0.02, 0.0]


def _entry(middles: Array, sizes: Array, state: int) -> tuple[Array, Array]:
    """Return tail and head of the arrow into a start, from the side where no other state is."""
    right = middles[state, 0] > middles[:, 0].mean() + 1e-6
    head = middles[state] + np.array([1.0 if right else -1.0, 0.0]) * sizes[state] / 2
    return head + np.array([_ENTRY if right else -_ENTRY, 0.0]), head


def _draw_entry(axes: Axes, tail: Array, head: Array) -> None:
    axes.add_patch(Circle(tuple(tail), 0.045, color=INK, zorder=4))
    _draw_arrow(axes, np.linspace(tail, head, 12), INK, "-")


def _draw_edge(axes: Axes, edge: Edge, path: Route, size: float) -> None:
    colour = action_colour(edge.action)
    _draw_arrow(axes, path.points, colour, (0, (4, 2)) if edge.drawn else "-", width=1.5 if size > 7 else 1.0)
    if edge.label:
        around = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        look: dict[str, Any] = {"ha": "center", "va": "center", "bbox": around, "zorder": 5}
        axes.text(
            path.label[0],
            path.label[1],
            edge.label,
            fontsize=0.94 * size,
            color=DRAWN if edge.drawn else colour,
            **look,
        )


def _draw_arrow(axes: Axes, points: Array, colour: str, style: Any, width: float = 1.5) -> None:
    length = 0.06 + 0.025 * width
    tip = points[-1]
    apart = np.linalg.norm(points - tip, axis=1)
    base = points[apart > length][-1] if (apart > length).any() else points[0]
    along = (tip - base) / max(float(np.linalg.norm(tip - base)), 1e-9)
    across = np.array([-along[1], along[0]]) * 0.4 * length
    line = np.concatenate([points[apart > length], [tip - 0.7 * length * along]])
    axes.plot(*line.T, color=colour, linewidth=width, linestyle=style, zorder=2, solid_capstyle="butt")
    corners = [tip, tip - length * along + across, tip - length * along - across]
    axes.add_patch(Polygon(corners, color=colour, linewidth=0, zorder=3))


def _draw_box(axes: Axes, middle: Array, size: Array, paid: bool) -> None:
    axes.add_patch(
        FancyBboxPatch(
            tuple(middle - size / 2 + 0.05),
            size[0] - 0.1,
            size[1] - 0.1,
            boxstyle="round,pad=0.05",
            facecolor=PAID_TINT if paid else "white",
            edgecolor=PAID_EDGE if paid else SOFT,
            linewidth=1.0,
            zorder=4,
        )
    )


def _signs(program: Program, graph: StateGraph) -> Iterator[OffsetBox]:
    notes = [note for noted in graph.notes.values() for note in noted]
    entry = DrawingArea(16, 6)
    entry.add_artist(Circle((3, 3), 2.2, color=INK))
    entry.add_artist(Line2D([3, 15], [3, 3], color=INK, linewidth=1.5))
    yield sign(entry, "where an instance begins")
    if any(edge.action == ANY_ACTION for edge in graph.edges):
        line = DrawingArea(16, 6)
        line.add_artist(Line2D([0, 15], [3, 3], color=ANYTHING, linewidth=1.8))
        yield sign(line, "any action")
    if any(note.kind == "reward" for note in notes):
        last = "; of several the last" if rewards_meet(program) else ""
        yield sign(coin("1", "reward"), f"a decision there pays{last}")
    if any(note.kind == "cost" for note in notes):
        yield sign(coin("", "cost"), "a decision there costs")
    if any(note.kind == "mark" for note in notes):
        yield sign(flag(), "a decision there sets or counts")
