"""Files of JSON lines: a record is appended whole or not at all, and a crash costs no more than the last one.

What a crash leaves is a torn last line. It is left out when the file is read, and taken away when the next record is
appended, so a line that is damaged anywhere else is a fault that no crash explains, and is refused.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evoplastic.errors import UserError, writing
from evoplastic.files import Migration, migrated, plain


def line(record: Mapping[str, Any]) -> bytes:
    """Return a record as a line, its keys sorted; numbers that are not finite become null."""
    text = json.dumps(plain(record), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append the record as a line of its own, or nothing; a torn last line gives way to it."""
    added = line(record)
    with writing(path), path.open("a+b", buffering=0) as file:
        added = _mended(file) + added
        end = file.seek(0, os.SEEK_END)
        try:
            if file.write(added) != len(added):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(end)
            raise


def read_lines(
    path: Path, form: str, migrations: Mapping[int, Migration], numbers: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Yield the records of a file, each of which must have the integers `numbers`; a torn last line is left out.

    UserError names any other line that is damaged.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{path} could not be read: {error.strerror}; restore it or start the run anew") from error
    for number, text in enumerate(lines, start=1):
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            if number == len(lines):
                return
            raise UserError(f"line {number} of {path} is damaged; remove the file's lines from there on") from None
        record = migrated(record, form, migrations, path)
        if not all(isinstance(record.get(key), int) for key in numbers):
            raise UserError(f"line {number} of {path} is damaged; remove the file's lines from there on")
        yield {key: value for key, value in record.items() if key not in ("format", "version")}


def sync(path: Path) -> None:
    """Wait until what was appended is on the disk."""
    with writing(path), path.open("rb") as file:
        os.fsync(file.fileno())


def _mended(file: io.FileIO) -> bytes:
    """Take a torn last line away; return what is missing of a last one that lacks nothing but its end."""
    end = file.seek(0, os.SEEK_END)
    if not end:
        return b""
    file.seek(end - 1)
    if file.read(1) == b"\n":
        return b""
    file.seek(0)
    last = file.readall().rpartition(b"\n")[2]
    try:
        json.loads(last)
    except (ValueError, RecursionError):
        file.truncate(end - len(last))
        return b""
    return b"\n"
