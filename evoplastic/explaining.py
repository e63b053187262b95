"""What msgspec finds wrong in a run file, as one sentence: the key's full path, what was got, what is known there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Union

import msgspec

from evoplastic.errors import nearest


def explained(message: str, raw: Mapping[str, Any], whole: type) -> str:
    """Return msgspec's message about `raw`, which is to become a `whole`."""
    problem, _, path = message.partition(" - at `$")
    keys = re.findall(r"\[[^]]*\]|[^.[\]]+", path.strip("`"))
    kind, value = _look_up(keys, raw, whole)
    where = "".join(key if key.startswith("[") else f".{key}" for key in keys).removeprefix(".")
    unknown = re.match(r"Object contains unknown field `(.*)`", problem, re.DOTALL)
    if unknown:
        full = f"{where}.{unknown[1]}" if where else unknown[1]
        if kind is None:
            return f"unknown key {full!r}"
        struct = _struct(kind, value)
        known = [*([struct.tag_field] if struct.tag else []), *(field.encode_name for field in struct.fields)]
        return f"unknown key {full!r}{nearest(unknown[1], known)} (known here: {', '.join(known)})"
    if isinstance(kind, msgspec.inspect.LiteralType) and isinstance(value, str):
        choices = sorted(map(str, kind.values))
        return f"{where}: {value!r} is unknown; choose one of {choices}{nearest(value, choices)}"
    if isinstance(value, (str, int, float)) and problem.startswith("Expected"):
        problem = f"{problem.partition(', got ')[0]}, got {value!r}"
    return f"{where}: {problem[0].lower()}{problem[1:]}" if where else problem


def _look_up(keys: list[str], value: Any, whole: type) -> tuple[Any, Any]:
    """Return the type of what may stand at a path of `whole`, and what does stand there in `value`.

    Where msgspec says [...] for an entry of a table, its name is put into `keys`.
    """
    kind: Any = msgspec.inspect.type_info(whole)
    for number, key in enumerate(keys):
        items = [item.item_type for item in _structs(kind) if isinstance(item, msgspec.inspect.VarTupleType)]
        if key == "[...]":
            name = _faulty_entry(kind, value)
            if name is None:
                return None, None
            keys[number], kind, value = name, kind.value_type, value[name]
            continue
        if key.startswith("["):
            if not items:
                return None, None
            kind, value = items[0], value[int(key[1:-1])]
            continue
        here = _struct(kind, value)
        fields = {field.encode_name: field.type for field in here.fields}
        if key == here.tag_field:
            fields[key] = msgspec.inspect.LiteralType(tuple(struct.tag for struct in _structs(kind)))
        if key not in fields:
            return None, None
        kind, value = fields[key], value.get(key)
    return kind, value


def _faulty_entry(kind: Any, table: Mapping[str, Any]) -> str | None:
    """Return the name of the first entry that does not fit in a table of tables; None if that is no such table."""
    of_entries = _structs(kind.value_type) if isinstance(kind, msgspec.inspect.DictType) else []
    structs = [known for known in of_entries if isinstance(known, msgspec.inspect.StructType)]
    if not structs:
        return None
    taken: Any = Union[tuple(struct.cls for struct in structs)]  # noqa: UP007
    for name, entry in table.items():
        try:
            msgspec.convert(entry, taken)
        except msgspec.ValidationError:
            return name
    return None


def _struct(kind: Any, value: Any) -> Any:
    """Return which of the tables that may stand somewhere `value` is, by its tag."""
    structs = _structs(kind)
    return next((struct for struct in structs if struct.tag == value.get(struct.tag_field)), structs[0])


def _structs(kind: Any) -> list[Any]:
    return list(kind.types) if isinstance(kind, msgspec.inspect.UnionType) else [kind]
