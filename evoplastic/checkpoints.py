"""Checkpoints: a strategy's state to file and back, whole or not at all.

`gen-00000012.npz` is a plain, uncompressed npz of numeric arrays and one uint8 array `meta` (canonical JSON: format,
version, generation, meta); 12 is the next generation to run. `gen-00000012.sha256` beside it names the content, and
a checkpoint whose content has another name is damaged. Nothing in either file depends on time, host or path, so
equal states give equal bytes. Nothing read here is ever executed: no pickle, and no more memory than the file is long.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evoplastic.errors import UserError, writing
from evoplastic.files import Migration, migrated, remove_leftovers, write_together

Array = npt.NDArray[Any]
FORMAT = "evoplastic.checkpoint"
MIGRATIONS: dict[int, Migration] = {}  # version N of the meta document -> version N + 1
DTYPES = ("<f8", "<i8", "<u8", "|u1")
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the zip format's first date; any fixed one keeps the bytes equal
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
        write_together({checksum: _checksum_line(arrays), path: _npz(arrays)}, before_rename)
    except BaseException:
        if checksum.exists() and not path.exists():
            checksum.unlink(missing_ok=True)
        raise
    return path


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint in `path`, arrays read-only; DamagedCheckpoint unless it is exactly what was written."""
    try:
        arrays = _read_npz(path)
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
        if little.dtype.str not in DTYPES:
            raise ValueError(f"checkpoint array {name!r} must be float64, int64, uint64 or uint8, got {little.dtype}")
        arrays[name] = little
    return dict(sorted(arrays.items()))


def _checksum_line(arrays: Mapping[str, Array]) -> bytes:
    """Return the line that names the arrays' content: SHA-256 over the sorted (name, dtype, shape, bytes)."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode() + b"\n" + array.tobytes())
    return f"evoplastic.content_sha256 1 {digest.hexdigest()}\n".encode()


def _npz(arrays: Mapping[str, Array]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", _EARLIEST)
            member.create_system = 3
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _read_checksum(path: Path) -> bytes:
    if not path.is_file():
        raise ValueError("its .sha256 file is missing")
    with path.open("rb") as file:
        return file.read(200)


def _read_npz(path: Path) -> dict[str, Array]:
    if not path.is_file():
        raise ValueError("it is missing")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        # Stored members that together fit into the file cannot unfold into more memory than the file is long.
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it has compressed members")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("its members claim to be larger than the file")
        return {member.filename.removesuffix(".npy"): _read_npy(archive.read(member)) for member in members}


def _read_npy(data: bytes) -> Array:
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("it has an array in another npy version than 1.0")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.str not in DTYPES or fortran_order:
        raise ValueError(f"it has an array of unexpected type {dtype}")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise ValueError(f"it has an array whose shape {shape} does not fit its bytes")
    file.seek(0)
    array: Array = np.lib.format.read_array(file, allow_pickle=False)
    array.setflags(write=False)
    return array
