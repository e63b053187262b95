"""Files that are whole or not there: written beside their place, synced, renamed; and what versions of them mean."""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evoplastic.errors import UserError, writing

Migration = Callable[[dict[str, Any]], dict[str, Any]]


def write_whole(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, or leave it as it was and raise."""
    write_together({path: data})


def write_together(files: Mapping[Path, bytes], before_rename: Callable[[], None] = lambda: None) -> None:
    """Write files of one folder: all bytes reach the disk before the first file, in the given order, gets its name."""
    temporary = {path: path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp") for path in files}
    with writing(next(iter(files))):
        try:
            for path, data in files.items():
                with temporary[path].open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            before_rename()
            for path in files:
                os.replace(temporary[path], path)
            _sync_folder(next(iter(files)).parent)
        finally:
            for leftover in temporary.values():
                leftover.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed; call it only while holding the run's lock."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems have no notion of syncing a folder
            raise
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Make the file hold `value` as JSON, or leave it as it was; non-finite numbers become null."""
    write_whole(path, (json.dumps(plain(value), indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Return what the JSON file holds; UserError if it is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} could not be read as JSON: {error}; restore it or choose another run") from error


def plain(value: Any) -> Any:
    """Return `value` in the words of JSON: mappings, lists, text, numbers; a number that is not finite is null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def migrated(document: Any, form: str, migrations: Mapping[int, Migration], path: Path) -> dict[str, Any]:
    """Return a document read from `path` in the newest version of format `form`, one migration at a time.

    UserError if it is of another format, or newer than `migrations` lead to.
    """
    newest = len(migrations) + 1
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(version, int) or version < 1 or document.get("format") != form:
        raise UserError(f"{path} is not in the format {form}; give a file that evoplastic wrote")
    if version > newest:
        raise UserError(
            f"{path} was written by a newer evoplastic ({form} version {version}, this one reads up to {newest}); "
            "update evoplastic to read it"
        )
    for number in range(version, newest):
        document = {**migrations[number](document), "version": number + 1}
    return dict(document)
