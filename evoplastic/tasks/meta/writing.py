"""Specs as the text of files that a person can read and edit."""

from __future__ import annotations

import json
from typing import Any

from evoplastic.tasks.meta.language import MetaTask, to_json

WIDTH = 100  # columns


def as_file(spec: MetaTask) -> str:
    """Return the text of the spec's file: parts that are short stand on one line."""
    return f"{_laid_out(json.loads(json.dumps(to_json(spec))))}\n"


def _laid_out(value: Any, indent: int = 0) -> str:
    short = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or (indent and len(short) + indent <= WIDTH):
        return short
    gap = " " * (indent + 2)
    if isinstance(value, dict):
        items = [f"{json.dumps(key, ensure_ascii=False)}: {_laid_out(item, indent + 2)}" for key, item in value.items()]
    else:
        items = [_laid_out(item, indent + 2) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f",\n{gap}".join([f"{opening}\n{gap}{items[0]}", *items[1:]]) + f"\n{' ' * indent}{closing}"
