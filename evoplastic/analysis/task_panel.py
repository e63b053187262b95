"""What stands beside the picture of a meta-task: its actions, what is drawn, what changes, and signs used in it.

Text and small drawings are packed in boxes whose size is known before the picture is laid out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import DrawingArea, HPacker, OffsetBox, TextArea, VPacker
from matplotlib.patches import Circle, Rectangle
from matplotlib.text import Text
from numpy.typing import NDArray

from evoplastic.analysis.canvas import DPI, FAINT, INK, SOFT
from evoplastic.analysis.state_graph import ANY_ACTION, Note, Part
from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.words import sections

# Okabe and Ito's palette again: actions, what is drawn for every instance, and what pays.
ACTION_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#56B4E9", "#8C6D1F", "#5F3D8A")
DRAWN, PAID, PAID_EDGE, PAID_TINT, COSTS = "#A4407E", "#F0B429", "#B97F00", "#FFF7E2", "#C8553D"
ANYTHING = "#7A8288"  # edges of any action
LETTERS = 46  # of a line in the panel
SMALL = 8.0  # points

Array = NDArray[np.float64]


def action_colour(action: int) -> str:
    return ANYTHING if action == ANY_ACTION else ACTION_COLOURS[action % len(ACTION_COLOURS)]


def text(said: str, size: float = SMALL, colour: str = INK, **look: Any) -> OffsetBox:
    return TextArea(said, textprops={"fontsize": size, "color": colour, **look})


def beside(boxes: Sequence[OffsetBox], gap: float = 4.0) -> OffsetBox:
    return HPacker(children=list(boxes), align="center", pad=0, sep=gap)


def below(boxes: Sequence[OffsetBox], gap: float = 2.5, align: Any = "left") -> OffsetBox:
    return VPacker(children=list(boxes), align=align, pad=0, sep=gap)


def extent(box: OffsetBox) -> Array:
    """Return width and height of a box in inches; it cannot be drawn afterwards."""
    figure = Figure(dpi=DPI)
    box.set_figure(figure)
    bounds = box.get_bbox(FigureCanvasAgg(figure).get_renderer())
    return np.array([bounds.width, bounds.height]) / DPI


def coin(value: str, kind: str, size: float = SMALL) -> OffsetBox:
    """Return the sign of a reward or cost, with its value in it if that is short."""
    side = 1.45 * size
    area = DrawingArea(side, side)
    face, edge, ink = (PAID, PAID_EDGE, INK) if kind == "reward" else ("white", COSTS, COSTS)
    area.add_artist(Circle((side / 2, side / 2), side / 2 - 0.5, facecolor=face, edgecolor=edge, linewidth=0.8))
    inside = value if len(value) <= 2 else ""
    area.add_artist(
        Text(side / 2, side / 2, inside, fontsize=0.82 * size, color=ink, ha="center", va="center_baseline")
    )
    return area


def flag(size: float = SMALL) -> OffsetBox:
    """Return the sign of a flag or counter that is set."""
    area = DrawingArea(0.9 * size, 1.2 * size)
    area.add_artist(Line2D([1, 1], [0, 1.2 * size], color=SOFT, linewidth=1.0))
    area.add_artist(Rectangle((1, 0.6 * size), 0.75 * size, 0.55 * size, facecolor=SOFT, linewidth=0))
    return area


def note_line(note: Note, actions: Sequence[str], size: float = SMALL) -> OffsetBox:
    """Return a note as a line: its sign, then its parts in their colours."""
    sign = flag(size) if note.kind == "mark" else coin(note.value, note.kind, size)
    value = [text(note.value, size)] if len(note.value) > 2 else []
    return beside([sign, *value, *(_part(part, actions, size) for part in note.parts)], gap=0.38 * size)


def _part(part: Part, actions: Sequence[str], size: float) -> OffsetBox:
    if part.kind == "action":
        return text(part.text, size, action_colour(list(actions).index(part.text)), fontweight="bold")
    return text(part.text, size, DRAWN if part.kind == "variable" else INK)


def cells(code: Sequence[int], side: float) -> OffsetBox:
    """Return the units of a stimulus: dark on, white off, faint silent."""
    area = DrawingArea(side * len(code), side)
    for unit, level in enumerate(code):
        face = {1: INK, 0: "white"}.get(level, FAINT)
        edge = INK if level >= 0 else FAINT
        area.add_artist(
            Rectangle((unit * side + 0.6, 0.6), side - 1.2, side - 1.2, facecolor=face, edgecolor=edge, linewidth=0.6)
        )
    return area


def panel(
    program: Program,
    heads: Sequence[str],
    signs: Iterable[OffsetBox],
    notes: Sequence[Note],
    more: Mapping[str, Sequence[OffsetBox]],
) -> OffsetBox:
    """Return what stands beside a picture: its sections of these heads, notes about every state, more, and signs."""
    said = sections(program.spec)
    parts = []
    for head in heads:
        if head == "Actions":
            swatches = [_swatch(name, action_colour(number)) for number, name in enumerate(program.actions)]
            parts.append(_section(head, swatches))
        elif head in said:
            speak = _draw if head == "Drawn for every instance" else _wrapped
            parts.append(_section(head, [line for sentence in said[head] for line in speak(sentence)]))
    if notes:
        parts.append(_section("In every state", [note_line(note, program.actions) for note in notes]))
    parts += [_section(head, lines) for head, lines in more.items()]
    parts.append(_section("Signs", list(signs)))
    return below(parts, gap=9.0)


def sign(drawing: OffsetBox, meaning: str) -> OffsetBox:
    """Return a line of the list of signs."""
    return beside([drawing, text(meaning)], gap=5.0)


def swatch(colour: str, edge: str = "none") -> OffsetBox:
    area = DrawingArea(9, 9)
    area.add_artist(Rectangle((0.5, 0.5), 8, 8, facecolor=colour, edgecolor=edge, linewidth=0.8))
    return area


def _section(head: str, lines: Sequence[OffsetBox]) -> OffsetBox:
    return below([text(head, SMALL, SOFT, fontweight="bold"), *lines], gap=3.0)


def _swatch(name: str, colour: str) -> OffsetBox:
    area = DrawingArea(16, 6)
    area.add_artist(Line2D([0, 15], [3, 3], color=colour, linewidth=1.8))
    return beside([area, text(name, SMALL, colour, fontweight="bold")])


def _draw(sentence: str) -> list[OffsetBox]:
    """Return names and then what is said of them, on a line of its own where it is long."""
    names, colon, what = sentence.rstrip(".").partition(": ")
    if not colon:
        return _wrapped(sentence)
    plain = names.replace("<", "").replace(">", "")
    lines = [text(line, SMALL, DRAWN, fontweight="bold") for line in textwrap.wrap(plain, LETTERS)]
    return [*lines, *_wrapped(what, "   ")]


def _wrapped(sentence: str, indent: str = "") -> list[OffsetBox]:
    said = sentence.rstrip(".").replace("<", "").replace(">", "")
    return [text(f"{indent}{line}") for line in textwrap.wrap(said, LETTERS)]
