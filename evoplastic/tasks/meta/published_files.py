"""Files of a published generator of meta-tasks: its JSON object, or the tables that it prints.

Source: Meta-Task-Generator (T. Miconi), the program of "Procedural generation of meta-reinforcement learning tasks",
arXiv 2302.05583. The object stands alone or at the end of all that the program prints; the oldest files are the printed
tables only, of one or several tasks. What the codes mean is in `published`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from evoplastic.errors import UserError

_HEADS = {
    "T": r"Transition table",
    "rewardconditions": r"Reward (?:rules|conditions)",
    "flagconditions": r"Flag(?: rules|-setting conditions)",
    "stimuli": r"Stimul(?:i|us for each state)",
    "statevarranges": r"Special States'",
}


class Published(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A meta-task as the generator prints it."""

    T: tuple[tuple[tuple[float, ...], ...], ...]
    rewardconditions: tuple[tuple[float, ...], ...]
    stimuli: tuple[float, ...]
    flagconditions: tuple[tuple[float, ...], ...] = ()
    statevarranges: tuple[tuple[float, ...], ...] = ()


def read_published(path: Path) -> list[Published]:
    """Return the meta-tasks of a file, in its order. UserError, one sentence, for a file of another form."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}; give a file that the generator printed") from None
    try:
        contents = list(_contents(text))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    if not contents:
        raise UserError(f"{path} holds no meta-task; expected the generator's JSON object or its printed tables")
    try:
        return [msgspec.convert(content, Published) for content in contents]
    except msgspec.ValidationError as error:
        raise UserError(f"{path} is not in the published format: {error}") from None


def _contents(text: str) -> Iterator[Any]:
    """Yield what a file holds of each task; ValueError where JSON or a printed list is broken."""
    _, printed, after = text.partition("JSON version:")
    if printed or text.lstrip().startswith("{"):
        yield json.loads(after if printed else text)
        return
    for chapter in re.split(r"(?m)^Meta-task\s+\d+\s*$", text):
        if re.search(r"(?m)^Transition table", chapter):
            yield _tables(chapter)


def _tables(chapter: str) -> dict[str, Any]:
    """Return the tables printed under their heads, in the keys of the JSON form."""
    found: dict[str, Any] = {}
    for key, head in _HEADS.items():
        if match := re.search(rf"(?m)^{head}[^\[\n]*:\s*(?=\[)", chapter):
            found[key] = _list_at(chapter, match.end())
    if single := re.findall(r"(?m)^Range for special state \d+ *: *(\[.*\])", chapter):
        found["statevarranges"] = [_list_at(listed, 0) for listed in single]
    return found


def _list_at(text: str, start: int) -> Any:
    """Return the bracketed list that begins at `start`, whether its items stand apart by commas or by blanks."""
    depth = 0
    for end in range(start, len(text)):
        depth += (text[end] == "[") - (text[end] == "]")
        if not depth:
            break
    plain = re.sub(r"np\.\w+\(([^()]*)\)", r"\1", text[start : end + 1])
    plain = re.sub(r"(?<=\d)\.(?!\d)", ".0", plain)
    plain = re.sub(r"(?<=[\d\]])\s+(?=[-\d\[])", ", ", plain)
    try:
        return json.loads(plain)
    except ValueError:
        raise ValueError(f"expected a list of numbers, got {text[start : start + 40]!r}") from None
