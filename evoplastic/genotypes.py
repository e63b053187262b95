"""A genotype as a file: its genes, what they stand for, and where they come from.

An npz of float64 arrays and one uint8 array `header`:

    genes            (D,), the vector that a strategy searches
    blocks/<name>    the values of each block of the genome, those that do not evolve included
    header           JSON: format, version, content (SHA-256 of the other arrays), layout (the genome's `meta`), origin

`numpy.load(path)["blocks/innate"]` is all that a reader without this package needs. Nothing here is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.files import Migration, migrated, plain
from evoplastic.genome import GenomeLayout
from evoplastic.npz import content_sha256, npz_bytes, read_npz

FORMAT = "evoplastic.genotype"
MIGRATIONS: dict[int, Migration] = {}  # version N of the header -> version N + 1
BLOCKS = "blocks/"

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Genotype:
    """Genes with all that is needed to read them without the run that they are from."""

    genes: Array  # (D,)
    blocks: Mapping[str, Array]  # values by block
    layout: Sequence[Mapping[str, Any]]  # GenomeLayout.meta
    origin: Mapping[str, Any]  # run, which, generation, seed, scores; or what they were put together from

    @classmethod
    def of(cls, layout: GenomeLayout, genes: Array, origin: Mapping[str, Any]) -> Genotype:
        """Return the genotype whose genes (D,) are laid out so."""
        return cls(genes, layout.unpack(genes), layout.meta(), origin)

    @property
    def digest(self) -> str:
        """SHA-256 of the genes as little-endian float64: what a run file's `start` says."""
        return hashlib.sha256(np.asarray(self.genes, "<f8").tobytes()).hexdigest()

    def evolved(self) -> dict[str, Array]:
        """Return the genes by block, those of blocks that evolved."""
        facts = [block for block in self.layout if block["evolve"]]
        parts = np.split(self.genes, np.cumsum([block["genes"] for block in facts]))
        return {block["name"]: part for block, part in zip(facts, parts)}

    def to_bytes(self) -> bytes:
        """Return the genotype's file; equal genotypes give equal bytes."""
        arrays = {"genes": self.genes, **{BLOCKS + name: values for name, values in sorted(self.blocks.items())}}
        stored = {name: np.asarray(array, "<f8", order="C") for name, array in arrays.items()}
        header = {
            "format": FORMAT,
            "version": len(MIGRATIONS) + 1,
            "content": content_sha256(stored),
            "layout": self.layout,
            "origin": self.origin,
        }
        text = json.dumps(plain(header), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return npz_bytes({**stored, "header": np.frombuffer(text.encode(), np.uint8)})


def load_genotype(path: str | Path) -> Genotype:
    """Return the genotype in `path`, arrays read-only; UserError unless they are exactly what was written."""
    path = Path(path)
    if not os.path.isfile(path):  # unlike Path.is_file, also False for a name that no file can have
        raise UserError(f"{path} is missing; give a genotype's .npz file, or restore it")
    try:
        arrays = read_npz(path)
        if "header" not in arrays:
            raise ValueError("it has no header, so it is no genotype")
        document = json.loads(arrays.pop("header").tobytes())
    except Exception as error:  # whatever the zip, npy and JSON readers raise, it is the file that is at fault
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise _damaged(path, reason) from error
    header = migrated(document, FORMAT, MIGRATIONS, path)
    if header.get("content") != content_sha256(arrays):
        raise _damaged(path, "its content does not match its header")
    genes = arrays.pop("genes", np.empty(()))
    blocks = {name.removeprefix(BLOCKS): values for name, values in arrays.items()}
    if not _fits(header, genes, blocks):
        raise _damaged(path, "its arrays and the layout in its header differ")
    if not np.isfinite(genes).all():
        raise UserError(f"{path} holds genes that are not finite; give another genotype")
    return Genotype(genes, blocks, header["layout"], header["origin"])


def _fits(header: Mapping[str, Any], genes: NDArray[Any], blocks: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether a header's layout is one, and the arrays are laid out so."""
    try:
        shapes = {block["name"]: tuple(block["shape"]) for block in header["layout"]}
        count = sum(block["genes"] for block in header["layout"] if block["evolve"])
        named = isinstance(header["origin"], dict)
    except (KeyError, TypeError):
        return False
    floats = all(array.dtype.str == "<f8" for array in (genes, *blocks.values()))
    return named and floats and genes.shape == (count,) and {n: v.shape for n, v in blocks.items()} == shapes


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"genotype {path} is damaged: {reason}; restore it or export it anew")
