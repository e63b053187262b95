"""Named arrays as bytes and back: a plain, uncompressed npz that depends on nothing but the arrays.

No time, host or path enters it, so equal arrays give equal bytes. Nothing read here is ever executed: no pickle, and
no more memory than the file is long.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DTYPES = ("<f4", "<f8", "<i8", "<u8", "|u1")
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the zip format's first date; any fixed one keeps the bytes equal


def npz_bytes(arrays: Mapping[str, Array]) -> bytes:
    """Return the file of `arrays`, in their order; they are C-contiguous and of DTYPES."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", _EARLIEST)
            member.create_system = 3
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def content_sha256(arrays: Mapping[str, Array]) -> str:
    """Return the name of the arrays' content: SHA-256 over the sorted (name, dtype, shape, bytes)."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode() + b"\n" + array.tobytes())
    return digest.hexdigest()


def read_npz(path: Path) -> dict[str, Array]:
    """Return the arrays in `path`, read-only; what is raised for a damaged file is whatever its reader stumbles on."""
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
