"""Finding and reading task specs: JSON files that describe tasks as data."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from evoplastic.errors import UserError, nearest

PACKAGE_DATA = Path(__file__).resolve().parents[1] / "task_specs"
CHECKOUT = Path(__file__).resolve().parents[2] / "task_specs"


def find_spec(name: str, kind: str | None = None) -> Path:
    """Return the spec file `name`: an explicit path, else packaged data, else the checkout's `task_specs/`.

    UserError, naming those of format `kind`, if there is none.
    """
    if name.endswith(".json"):
        if not os.path.isfile(name):
            names = spec_names(kind)
            raise UserError(f"task spec {name} does not exist; give the path of a .json file or one of {names}")
        return Path(name)
    for folder in (PACKAGE_DATA, CHECKOUT):
        path = folder / f"{name}.json"
        if os.path.isfile(path):  # unlike Path.is_file, also False for a name that no file can have
            return path
    names = spec_names(kind)
    raise UserError(f"task spec {name!r} is unknown; choose one of {names}{nearest(name, names)}")


def spec_names(kind: str | None = None) -> list[str]:
    """Return the names of the specs that come with the package, of format `kind` or of any."""
    paths = spec_folder().glob("*.json")
    return sorted(path.stem for path in paths if kind is None or json.loads(path.read_bytes()).get("format") == kind)


def spec_folder() -> Path:
    """Return where those specs are."""
    return PACKAGE_DATA if PACKAGE_DATA.is_dir() else CHECKOUT


def read_spec(name: str, kind: str) -> dict[str, Any]:
    """Return the content of spec `name`, whose format must be `kind`, version 1."""
    path = find_spec(name, kind)
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_each_once)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"task spec {path} cannot be read: {error}") from error
    found = (content.get("format"), content.get("version")) if isinstance(content, dict) else (None, None)
    if found != (kind, 1):
        raise UserError(f"task spec {path} must be of format {kind!r} version 1, got {found[0]!r} version {found[1]!r}")
    return content


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object; ValueError for a key that stands there twice, where JSON would lose one."""
    keys = Counter(key for key, _ in pairs)
    twice = [key for key, count in keys.items() if count > 1]
    if twice:
        raise ValueError(f"key {twice[0]!r} stands twice in one object")
    return dict(pairs)
