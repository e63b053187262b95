"""Changes by degrees: one number of what lives set, or multiplied, for as long as a life lasts.

    rule.eta@0.5                            half the learning rate, gene by gene where the genome holds it
    task.periods.delay=280                  a delay of 280 ms
    task.reversal=1+task.tasks_per_life=2   both at once

Keys are those of a run file below `problem`, without `problem.genome`, which says what a genome starts from and not
what lives. Only numbers change, so no change compiles a kernel anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np

from evoplastic.errors import UserError, nearest
from evoplastic.explaining import explained

PARTS = ("network", "rule", "modulation", "task")

S = TypeVar("S", bound=msgspec.Struct)


class Change(NamedTuple):
    """A number that takes the place of another, or multiplies it."""

    key: str
    scales: bool
    number: float

    def of(self, value: Any) -> Any:
        """Return what becomes of a number, or of an array of them."""
        return value * self.number if self.scales else value * 0.0 + self.number


def parts_of(lesion: str) -> list[str]:
    """Return the parts of a lesion, which a + joins; that of an exponent, as in 1e+3, joins nothing."""
    return re.split(r"(?<!\d[eE])\+", lesion)


def change_called(text: str) -> Change | None:
    """Return the change that `text` names, None if it names none."""
    found = re.fullmatch(r"([^@=]+)([@=])([^@=]+)", text)
    try:
        number = float(found[3]) if found else np.nan
    except ValueError:
        return None
    return Change(found[1], found[2] == "@", number) if found and np.isfinite(number) else None


def changes_in(lesion: str) -> list[Change]:
    """Return the changes among the parts of a lesion, in their order."""
    return [change for part in parts_of(lesion) if (change := change_called(part))]


def numbers_in(settings: msgspec.Struct) -> dict[str, float]:
    """Return every number of a problem's settings that a change may name, by its key.

    What a network counts, such as its units, decides what a genome is, so that no life can have it otherwise.
    """
    found = [each for part in PARTS for each in _numbers(getattr(settings, part), part)]
    return {key: value for key, value in found if isinstance(value, float) or not key.startswith("network.")}


def changed(settings: S, changes: list[Change]) -> S:
    """Return settings with these changes, not yet resolved; UserError, naming the key, for what they do not take."""
    content = msgspec.to_builtins(settings)
    for change in changes:
        *above, last = change.key.split(".")
        place = content
        for key in above:
            place = place[key]
        place[last] = _as_there(change, place[last])
    try:
        return msgspec.convert(content, type(settings))
    except msgspec.ValidationError as error:
        raise UserError(f"problem.{explained(str(error), content, type(settings))}") from None


def check_key(change: Change, known: Mapping[str, float]) -> None:
    """Raise UserError for a change of a number that is not among the known ones."""
    if change.key not in known:
        raise UserError(
            f"{change.key!r} is no number of what lives; choose one of {list(known)}{nearest(change.key, known)}"
        )


def _numbers(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield the numbers of structs within structs and of named parts; tables of a task's own are facts about it."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _numbers(getattr(value, name), f"{key}.{name}")
    elif isinstance(value, dict) and key.endswith(".parts"):
        for name, part in value.items():
            yield from _numbers(part, f"{key}.{name}")
    elif isinstance(value, (bool, int, float)):
        yield key, value


def _as_there(change: Change, value: Any) -> Any:
    """Return what becomes of a number of a run file, of the type that it has there."""
    number = change.of(float(value))
    if isinstance(value, float):
        return number
    if number != round(number) or (isinstance(value, bool) and number not in (0, 1)):
        wanted = "0 or 1" if isinstance(value, bool) else "a whole number"
        raise UserError(f"problem.{change.key} must be {wanted}, got {number:g}")
    return type(value)(round(number))
