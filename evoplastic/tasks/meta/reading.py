"""Meta-tasks as files: read, checked, and written again."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from evoplastic.errors import UserError, nearest
from evoplastic.tasks.meta.check import check_program
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import (
    FORMAT,
    ORDER,
    Change,
    Cost,
    Grid,
    Mark,
    Mazes,
    MetaTask,
    Part,
    Reward,
    Trial,
    Uniform,
    Variable,
)
from evoplastic.tasks.specs import read_spec

LONGEST = 600  # characters of a complaint
_PARTS: dict[str, type[Part]] = {
    "trial": Trial,
    "grid": Grid,
    "mazes": Mazes,
    "variables": Variable,
    "change": Change,
    "probability": Uniform,
    "rewards": Reward,
    "costs": Cost,
    "marks": Mark,
}
_LEAST = {"format": FORMAT, "version": 1, "order": ORDER, "summary": "", "horizon": 1, "rewards": ()}


def read_meta_task(name: str) -> MetaTask:
    """Return the checked meta-task of a spec's name or path; UserError, naming file and place, for what is wrong."""
    return parse_meta_task(read_spec(name, FORMAT), f"task spec {name}")


def parse_meta_task(content: Mapping[str, Any], where: str) -> MetaTask:
    """Return the checked meta-task that `content` spells; `where` it stands begins every complaint."""
    try:
        spec = msgspec.convert(content, MetaTask)
        check_program(decode(spec))
    except msgspec.ValidationError as error:
        raise UserError(_sentence(f"{where}: {_explained(str(error), content)}")) from None
    except UnicodeEncodeError as error:
        raise UserError(_sentence(f"{where}: expected valid Unicode text, got {error.object!r}")) from None
    except UserError as error:
        raise UserError(_sentence(f"{where}: {error}")) from None
    return spec


def _sentence(text: str) -> str:
    """Return a complaint as one line of bearable length, whatever names it quotes."""
    line = "".join(sign if sign.isprintable() else "?" for sign in text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"


def _explained(message: str, content: Mapping[str, Any]) -> str:
    """Return msgspec's complaint led by its place, with what stands there and what is known there."""
    problem, _, path = message.partition(" - at `$")
    steps = re.findall(r"\w+|\.\.\.", path)
    place, found = _find(steps, message, content)
    part = next((_PARTS[step] for step in reversed(steps) if step in _PARTS), MetaTask)
    unknown = re.match(r"Object contains unknown field `(.*)`", problem, re.DOTALL)
    if unknown:
        known = [field.encode_name for field in msgspec.structs.fields(part)]
        full = f"{place}.{unknown[1]}" if place else unknown[1]
        return f"{full}: unknown key{nearest(unknown[1], known)} (known here: {', '.join(known)})"
    choices = _choices(_PARTS.get(steps[-2], MetaTask) if len(steps) > 1 else MetaTask, steps[-1] if steps else "")
    if choices and not isinstance(found, (list, dict)):
        return f"{place}: {found!r} is unknown; choose one of {choices}{nearest(str(found), map(str, choices))}"
    if isinstance(found, (str, int, float)) and problem.startswith("Expected"):
        problem = f"{problem.partition(', got ')[0]}, got {found!r}"
    return f"{place}: {problem[0].lower()}{problem[1:]}" if place else problem


def _find(steps: list[str], message: str, content: Any) -> tuple[str, Any]:
    """Return the place that the steps of msgspec's path lead to, and what stands there.

    It writes `...` for a key of a table: that key is meant which alone draws the same complaint.
    """
    place, here = "", content
    around: list[tuple[Any, str]] = []  # what stands beside each step, from the outside in
    for step in steps:
        if isinstance(here, (list, tuple)):
            around.append((list(here[: int(step)]), step))
            place, here = f"{place}[{step}]", here[int(step)]
            continue
        key = step
        if step == "...":
            alone = (key for key in here if _complaint(_within([*around, ({}, key)], here[key])) == message)
            key = next(alone, step)
        if key not in here:
            return f"{place}.{step}", None
        around.append(({} if step == "..." else here if place else _LEAST, key))
        place, here = f"{place}.{key}" if place else key, here[key]
    return place, here


def _within(around: Sequence[tuple[Any, str]], value: Any) -> Any:
    for beside, key in reversed(around):
        value = [*beside, value] if isinstance(beside, list) else {**beside, key: value}
    return value


def _complaint(content: Any) -> str:
    try:
        msgspec.convert(content, MetaTask)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        return str(error)
    return ""


def _choices(part: type[Part], name: str) -> list[Any]:
    """Return the words among which a field must be, if it is such a field."""
    types = [field.type for field in msgspec.structs.fields(part) if field.encode_name == name]
    words = [*types, *(inner for kind in types for inner in typing.get_args(kind))]
    return [word for kind in words if typing.get_origin(kind) is Literal for word in typing.get_args(kind)]
