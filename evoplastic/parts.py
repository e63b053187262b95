"""Wholes made of parts that a run file names, such as several rules at once: what names may be, what errors say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from evoplastic.errors import UserError


def check_names(names: Iterable[str]) -> None:
    """Raise ValueError unless there are names, each of which can be part of a longer one, `name.key`."""
    names = list(names)
    if not names:
        raise ValueError("parts must be one or more, each a table with a name of its own, got none")
    wrong = next((name for name in names if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name)), None)
    if wrong is not None:
        raise ValueError(f"a part's name must be a letter, then letters, digits and underscores, got {wrong!r}")


@contextmanager
def as_part(name: str, whole: str) -> Iterator[None]:
    """Let a UserError about keys of `whole`, such as problem.rule, tell those of its part `name`."""
    try:
        yield
    except UserError as error:
        raise UserError(re.sub(rf"\b{re.escape(whole)}\b", f"{whole}.parts.{name}", str(error))) from None
