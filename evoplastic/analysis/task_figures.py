"""The picture of a meta-task: the graph of its states, or the plane they lie in, with what an instance draws.

Colour says whose doing it is: each action has its own, purple is drawn for every instance, amber pays.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from matplotlib import style

from evoplastic.analysis.canvas import STYLE
from evoplastic.analysis.graph_drawing import draw_graph
from evoplastic.analysis.plane_drawing import draw_plane
from evoplastic.errors import UserError
from evoplastic.files import write_whole
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import MetaTask
from evoplastic.tasks.meta.solvers.certificate import Certificate

_KINDS = {".png": {"Software": None}, ".svg": {"Date": None}}  # without what changes from one time to the next


def draw_task(spec: MetaTask, name: str, path: Path, certificate: Certificate | None = None) -> None:
    """Draw a checked spec, and what is proven of it, into `path`, a .png or .svg. Equal arguments give equal files."""
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise UserError(f"a picture is a {' or '.join(_KINDS)} file, got {path}; give it one of these endings")
    program = decode(spec)
    with style.context(["default", STYLE, {"text.parse_math": False}]):  # a name may hold any sign
        draw = draw_graph if program.plane is None else draw_plane
        figure = draw(program, name, certificate)
        buffer = BytesIO()
        figure.savefig(buffer, format=kind[1:], metadata=_KINDS[kind])
    write_whole(path, buffer.getvalue())
