"""Checkpoints: a strategy's state to file and back, whole or not at all.

`gen-00000012.npz` is a plain, uncompressed npz of numeric arrays and one uint8 array `meta` (canonical JSON: format,
version, generation, meta); 12 is the next generation to run. `gen-00000012.sha256` beside it names the content, and
a checkpoint whose content has another name is damaged. Nothing in either file depends on time, host or path, so
equal states give equal bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evoplastic.errors import UserError, writing
from evoplastic.files import Migration, migrated, remove_leftovers, write_together
from evoplastic.npz import Array, content_sha256, npz_bytes, read_npz

FORMAT = "evoplastic.checkpoint"
MIGRATIONS: dict[int, Migration] = {}  # version N of the meta document -> version N + 1
KEPT = ("<f8", "<i8", "<u8", "|u1")  # types of a search's arrays
_NAME = re.compile(r"\w[\w./-]*")


class DamagedCheckpoint(UserError):
    """A checkpoint that is not what was written: torn, altered, or without its checksum."""


@dataclass(frozen=True)
class Checkpoint:
    """A strategy's state at a generation boundary.

    `generation` is the next one to run; `arrays` are float64, int64, uint64 or uint8; `meta` is what JSON can say
    and must not depend on time, host, path or backend.
    """

    generation: int
    arrays: Mapping[str, Array]
    meta: Mapping[str, Any]


def write_checkpoint(folder: Path, checkpoint: Checkpoint, before_rename: Callable[[], None] = lambda: None) -> Path:
    """Write the checkpoint into `folder` and return its path; on any failure the folder is as it was.

    `before_rename` is called when all bytes are on disk and nothing has its name yet; what it raises stops the write.
    """
    arrays = _encode(checkpoint)
    path = _path(folder, checkpoint.generation)
    checksum = path.with_suffix(".sha256")
    try:
        # The checksum gets its name first: a kill between the two leaves a lone checksum, which is no checkpoint.
        write_together({checksum: _checksum_line(arrays), path: npz_bytes(arrays)}, before_rename)
    except BaseException:
        if checksum.exists() and not path.exists():
            checksum.unlink(missing_ok=True)
        raise
    return path


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint in `path`, arrays read-only; DamagedCheckpoint unless it is exactly what was written."""
    try:
        arrays = read_npz(path)
        if _read_checksum(path.with_suffix(".sha256")) != _checksum_line(arrays):
            raise ValueError("its content does not match its .sha256 file")
        document = json.loads(arrays.pop("meta").tobytes())
    except Exception as error:  # whatever the zip, npy and JSON readers raise, it is the file that is at fault
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DamagedCheckpoint(f"checkpoint {path} is damaged: {reason}") from error
    document = migrated(document, FORMAT, MIGRATIONS, path)
    generation, meta = document.get("generation"), document.get("meta")
    if not isinstance(generation, int) or not isinstance(meta, dict) or path != _path(path.parent, generation):
        raise DamagedCheckpoint(f"checkpoint {path} is damaged: its name and its generation {generation!r} differ")
    return Checkpoint(generation, arrays, meta)


def newest_checkpoint(folder: Path, warn: Callable[[str], None]) -> Checkpoint:
    """Return the newest undamaged checkpoint in `folder`, with one warning for each damaged one passed over."""
    generations = _generations(folder)
    for generation in reversed(generations):
        try:
            return read_checkpoint(_path(folder, generation))
        except DamagedCheckpoint as error:
            warn(f"{error}; the one before it is used instead")
    found = f"all {len(generations)} in it are damaged" if generations else "it holds none"
    raise UserError(f"no checkpoint could be read from {folder}: {found}; start the run anew under another name")


def prune_checkpoints(folder: Path, keep_last: int, keep_every: int, upto: int | None = None) -> None:
    """Keep the last `keep_last` checkpoints and those of every `keep_every`-th generation (0: none), remove the rest.

    Checkpoints later than generation `upto` (None: there are none) neither count nor go: a resume that passed over
    a damaged newest file must not lose its good ones to it. What killed writers left behind is removed too.
    """
    if keep_last < 1 or keep_every < 0:
        raise ValueError(f"keep_last must be >= 1 and keep_every >= 0, got {keep_last} and {keep_every}")
    generations = [g for g in _generations(folder) if upto is None or g <= upto]
    with writing(folder):
        for generation in generations[:-keep_last]:
            if keep_every == 0 or generation % keep_every:
                _path(folder, generation).unlink(missing_ok=True)
        for checksum in folder.glob("gen-*.sha256"):
            if not checksum.with_suffix(".npz").exists():
                checksum.unlink(missing_ok=True)
        remove_leftovers(folder)


def _path(folder: Path, generation: int) -> Path:
    return folder / f"gen-{generation:08d}.npz"


def _generations(folder: Path) -> list[int]:
    matches = (re.fullmatch(r"gen-(\d{8,})\.npz", path.name) for path in folder.glob("gen-*.npz"))
    return sorted(int(match[1]) for match in matches if match)


def _encode(checkpoint: Checkpoint) -> dict[str, Array]:
    """Return every array of the file, sorted by name, C-contiguous and little-endian, `meta` among them."""
    if checkpoint.generation < 0:
        raise ValueError(f"a checkpoint's generation must be >= 0, got {checkpoint.generation}")
    document = {
        "format": FORMAT,
        "version": len(MIGRATIONS) + 1,
        "generation": checkpoint.generation,
        "meta": dict(checkpoint.meta),
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    arrays = {"meta": np.frombuffer(text.encode(), np.uint8)}
    for name, value in checkpoint.arrays.items():
        little = np.asarray(value, dtype=np.asarray(value).dtype.newbyteorder("<"), order="C")
        if name == "meta" or not _NAME.fullmatch(name):
            raise ValueError(f"a checkpoint's array cannot be named {name!r}")
        if little.dtype.str not in KEPT:
            raise ValueError(f"checkpoint array {name!r} must be float64, int64, uint64 or uint8, got {little.dtype}")
        arrays[name] = little
    return dict(sorted(arrays.items()))


def _checksum_line(arrays: Mapping[str, Array]) -> bytes:
    """Return the line that names the arrays' content."""
    return f"evoplastic.content_sha256 1 {content_sha256(arrays)}\n".encode()


def _read_checksum(path: Path) -> bytes:
    if not path.is_file():
        raise ValueError("its .sha256 file is missing")
    with path.open("rb") as file:
        return file.read(200)
