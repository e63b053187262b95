"""Pieces of sentences: lists, plurals, groups of names of which the same is said, and text in lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from evoplastic.tasks.meta.language import Change

WIDTH = 100  # columns


def change(change: Change) -> str:
    often = f"after every {change.every}"
    if change.at:
        often = f"after decision{'s' if len(change.at) > 1 else ''} {joined(map(str, change.at))}"
    chance = f" with chance {amount(change.chance)}" if change.chance < 1.0 else ""
    values = {"other": "to another value", "neighbour": "to the next value up or down, where there is one"}
    return f"{often}{chance} {values[change.to]}"


def grouped(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Return (what is said, the names it is said of) from (name, what is said of it)."""
    groups: dict[str, list[str]] = {}
    for name, said in pairs:
        groups.setdefault(said, []).append(name)
    return list(groups.items())


def amount(number: Any) -> str:
    """Return a number such as .5, or a fraction as it is spelled."""
    said = number if isinstance(number, str) else f"{number:g}"
    return said[1:] if said.startswith("0.") else said


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def verb(stem: str, subjects: Sequence[str]) -> str:
    return stem if len(subjects) > 1 else f"{stem}s"


def joined(names: Iterable[str], word: str = "and") -> str:
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."


def filled(text: str, indent: int = 0) -> str:
    gap = " " * indent
    return textwrap.fill(text, WIDTH, initial_indent=gap, subsequent_indent=gap + "  " * bool(indent))
