"""An analysis as files: every picture, `summary.json`, and one page that needs nothing but itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import style

from evoplastic.analysis.canvas import STYLE
from evoplastic.analysis.figures import figure_files
from evoplastic.analysis.sections import SECTIONS, Case, Section
from evoplastic.errors import UserError
from evoplastic.files import plain

FORMAT, VERSION = "evoplastic.analysis", 1


def sections_of(case: Case) -> dict[str, Section]:
    """Return what every section says of a run; one that cannot answer for it says why in a sentence."""
    with style.context(["default", STYLE]):
        return {name: _answer(name, make, case) for name, make in SECTIONS.items()}


def _answer(name: str, make: Callable[[Case], Section], case: Case) -> Section:
    try:
        return make(case)
    except UserError as error:
        return Section(name.capitalize(), [f"Not answered: {error}."])


def report_files(
    title: str, about: str, sections: Mapping[str, Section], html: bool, head: Mapping[str, Any] | None = None
) -> dict[str, bytes]:
    """Return the files of an analysis by name; with `html` the page too. Equal arguments give equal bytes.

    `head` is what `summary.json` says beside the sections; None where they are of the run called `title`.
    """
    with style.context(["default", STYLE]):
        drawn = {
            name: {stem: dict(figure_files(figure, stem)) for stem, figure in section.figures.items()}
            for name, section in sections.items()
        }
    files = {file: data for by_stem in drawn.values() for both in by_stem.values() for file, data in both.items()}
    files["summary.json"] = _summary(head or {"format": FORMAT, "version": VERSION, "run": title}, sections)
    if html:
        files["report.html"] = _page(title, about, sections, drawn).encode()
    return files


def _summary(head: Mapping[str, Any], sections: Mapping[str, Section]) -> bytes:
    told = {
        name: {"title": section.title, "sentences": list(section.sentences), **section.numbers}
        for name, section in sections.items()
    }
    return json.dumps(plain({**head, "sections": told}), indent=1, allow_nan=False).encode() + b"\n"


def _page(title: str, about: str, sections: Mapping[str, Section], drawn: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("evoplastic.analysis", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    pictures = {
        name: {stem: base64.b64encode(both[f"{stem}.png"]).decode() for stem, both in by_stem.items()}
        for name, by_stem in drawn.items()
    }
    template = environment.get_template("report.html.j2")
    return template.render(title=title, about=about, sections=sections, pictures=pictures)
