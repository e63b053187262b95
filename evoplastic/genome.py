"""The genome: named blocks of genes, laid end to end in the one vector that a strategy searches.

    element = value(gene that the element's entry in `groups` names)
    value(gene) = gene                             without bounds
                = low + (high - low) * s(gene)     with bounds; s(g) = 1/2 + g / (2 sqrt(4 + g^2))

The sigmoid s has the logistic function's slope at 0, 1/4. It needs only operations that IEEE 754 rounds correctly,
so equal genes give equal bits on every CPU, which no library's exp does.

A block's first genes depend on the seed and the block's name alone: freezing, adding or removing another block
changes nothing. D is the number of genes that evolve; all arrays are float64 unless said otherwise.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.random import Purpose, fill_normals, stream_key

Array = NDArray[np.float64]
Sharing = Literal["scalar", "cell_type", "projection", "neuron", "synapse"]


class BlockSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run file may say of a block."""

    evolve: bool = True
    initial: float = 0.0  # value of the first center
    spread: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # standard deviation of the first genes, before any bounds
    sharing: Sharing = "synapse"
    bounds: tuple[float, float] | None = None  # values stay inside, genes are searched without limit
    floor: float | None = None  # the center is kept at or above it after every update; members may be below
    step: Annotated[float, msgspec.Meta(gt=0)] = 1.0  # step size relative to the strategy's


@dataclass(frozen=True, eq=False)
class Block:
    """One named array of the genome.

    `groups` (int64, of `shape`) names the gene that each element reads, 0 to genes - 1. A gene none of whose elements
    is in `born` (bool, of `shape`; None: all are) starts at value 0 instead of `initial` and `spread`.
    UserError if the settings contradict each other.
    """

    name: str
    shape: tuple[int, ...]
    groups: NDArray[np.int64]
    settings: BlockSettings
    born: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        _check_settings(self.name, self.settings, self.born)
        for array, dtype in ((self.groups, np.int64), (self.born, np.bool_)):
            if array is not None and (array.shape != self.shape or array.dtype != dtype):
                raise ValueError(f"block {self.name!r}: groups and born must have shape {self.shape}, int64 and bool")
        if not self._elements_per_gene.all():
            raise ValueError(f"block {self.name!r}: groups must use every number from 0 to {self.genes - 1}")

    @property
    def genes(self) -> int:
        """How many genes the block has."""
        return len(self._elements_per_gene)

    @cached_property
    def _elements_per_gene(self) -> NDArray[np.int64]:
        return np.bincount(self.groups.ravel())

    def initial_genes(self, seed: int) -> Array:
        """Return the block's first genes (genes,): normal around `initial`, one draw a gene, kept above `floor`."""
        settings = self.settings
        digest = hashlib.sha256(self.name.encode()).digest()
        name = (int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little"))
        genes = np.empty(self.genes)
        fill_normals(stream_key(seed, Purpose.INITIAL, *name), genes)
        genes = _gene(settings, np.float64(settings.initial)) + settings.spread * genes
        if self.born is not None:
            born = np.zeros(self.genes, np.bool_)
            born[self.groups[self.born]] = True
            genes[~born] = _gene(settings, np.float64(0.0))
        return genes if settings.floor is None else np.maximum(genes, settings.floor)

    def develop(self, genes: Array) -> Array:
        """Return the values (shape) that `genes` (genes,) stand for."""
        values = _value(self.settings, genes)
        # In reading order the genes are the values: no need to pick each by its number.
        return values.reshape(self.shape) if self.settings.sharing == "synapse" else np.asarray(values[self.groups])

    def encode(self, values: Array) -> Array:
        """Return the genes (genes,) of `values` (shape), a shared gene from its elements' mean; inverse of develop."""
        if values.shape != self.shape:
            raise ValueError(f"block {self.name!r} must have shape {self.shape}, got {values.shape}")
        groups, values = self.groups.ravel(), values.ravel()
        first = np.empty(self.genes)
        first[groups] = values
        # The mean is taken of what differs from one element, so that equal elements give back exactly their value.
        rest = np.bincount(groups, values - first[groups], self.genes)
        return np.asarray(_gene(self.settings, first + rest / self._elements_per_gene))


class Row(NamedTuple):
    """One line of a genome's table."""

    name: str
    shape: tuple[int, ...]
    sharing: str
    genes: int
    evolve: bool
    initial: float
    spread: float
    bounds: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class GenomeLayout:
    """The blocks in their order, and the seed of their first genes.

    A block that does not evolve has no place in the vector: it keeps the values that its first genes stand for.
    """

    blocks: tuple[Block, ...]
    seed: int

    def __post_init__(self) -> None:
        names = [block.name for block in self.blocks]
        if len(set(names)) != len(names):
            raise ValueError(f"blocks need different names, got {names}")

    @cached_property
    def size(self) -> int:
        """D, the number of genes that evolve."""
        return sum(block.genes for block in self._evolved)

    @cached_property
    def floors(self) -> Array:
        """(D,): the lowest value of each gene of the center, -inf where there is none."""
        floors = [block.settings.floor for block in self._evolved]
        return self._per_gene([-math.inf if floor is None else floor for floor in floors])

    @cached_property
    def steps(self) -> Array:
        """(D,): each gene's step size relative to the strategy's."""
        return self._per_gene([block.settings.step for block in self._evolved])

    def initial(self) -> Array:
        """Return generation 0's center (D,)."""
        return np.concatenate([np.empty(0), *(block.initial_genes(self.seed) for block in self._evolved)])

    def unpack(self, genotype: Array) -> dict[str, Array]:
        """Return every block's values by name; those of blocks that do not evolve are shared and read-only."""
        if genotype.shape != (self.size,):
            raise ValueError(f"a genotype of this genome has shape ({self.size},), got {genotype.shape}")
        parts = np.split(genotype, np.cumsum([block.genes for block in self._evolved]))
        return {block.name: block.develop(genes) for block, genes in zip(self._evolved, parts)} | self._fixed

    def pack(self, values: Mapping[str, Array]) -> Array:
        """Return the genotype (D,) whose blocks have these values; blocks that do not evolve are not read.

        Inverse of unpack, up to rounding where there are bounds.
        """
        return np.concatenate([np.empty(0), *(block.encode(values[block.name]) for block in self._evolved)])

    def describe(self) -> list[Row]:
        """Return the genome's table, one row a block."""
        said = [(block, block.settings) for block in self.blocks]
        return [Row(b.name, b.shape, s.sharing, b.genes, s.evolve, s.initial, s.spread, s.bounds) for b, s in said]

    def meta(self) -> list[dict[str, Any]]:
        """Return what JSON can say of the layout: equal for two layouts whose genotypes mean the same."""
        return [_facts(block, self.seed) for block in self.blocks]

    def difference(self, meta: Sequence[Mapping[str, Any]]) -> str | None:
        """Return None if `meta` is this layout's, else one sentence naming the first block that differs and how."""
        here = {facts["name"]: facts for facts in self.meta()}
        there = {facts.get("name"): facts for facts in meta}
        for name in [*here, *there]:
            if name not in there or name not in here:
                return f"block {name!r} is only {'here' if name in here else 'there'}"
            for key in here[name]:
                mine, other = here[name][key], there[name].get(key)
                if mine != other:
                    return f"block {name!r} differs in {key}: {other!r} there, {mine!r} here"
        if list(here) != list(there):
            moved = next(mine for mine, other in zip(here, there) if mine != other)
            return f"block {moved!r} has place {list(there).index(moved)} there, {list(here).index(moved)} here"
        return None

    @cached_property
    def _evolved(self) -> tuple[Block, ...]:
        return tuple(block for block in self.blocks if block.settings.evolve)

    @cached_property
    def _fixed(self) -> dict[str, Array]:
        blocks = [block for block in self.blocks if not block.settings.evolve]
        fixed = {block.name: block.develop(block.initial_genes(self.seed)) for block in blocks}
        for values in fixed.values():
            values.setflags(write=False)
        return fixed

    def _per_gene(self, numbers: list[float]) -> Array:
        per_gene = np.repeat(np.asarray(numbers, np.float64), [block.genes for block in self._evolved])
        per_gene.setflags(write=False)
        return per_gene


def groups(sharing: Sharing, cell_types: NDArray[np.int64], n_types: int) -> NDArray[np.int64]:
    """Return which gene each synapse reads, (N, N) int64 [pre, post], for a tier of sharing.

        scalar       one gene for all synapses
        cell_type    one for each type of the receiving unit
        projection   one for each pair (type of the sending unit, type of the receiving unit)
        neuron       one for each receiving unit
        synapse      one for each synapse, in reading order

    `cell_types` (N,) holds each unit's type, 0 to n_types - 1. Types and pairs that no synapse has get no gene: the
    genes are numbered 0 to k - 1 in the order of the tier's types, pairs or units.
    """
    if cell_types.size and not (cell_types.min() >= 0 and cell_types.max() < n_types):
        raise ValueError(f"cell types must be 0 to {n_types - 1}, got {cell_types.min()} to {cell_types.max()}")
    n = len(cell_types)
    units = np.arange(n)
    pre, post = cell_types[:, None], cell_types[None, :]
    genes = {
        "scalar": np.zeros((n, n), np.int64),
        "cell_type": post,
        "projection": n_types * pre + post,
        "neuron": units[None, :],
        "synapse": n * units[:, None] + units[None, :],
    }[sharing]
    dense = np.unique(np.broadcast_to(genes, (n, n)), return_inverse=True)[1]
    return np.asarray(dense.reshape(n, n), np.int64)


_LARGEST_GENE = 1e8  # s is 0 or 1 to the last bit beyond it, and its square does not overflow


def _value(settings: BlockSettings, gene: Array) -> Array:
    if settings.bounds is None:
        return gene
    low, high = settings.bounds
    gene = np.clip(gene, -_LARGEST_GENE, _LARGEST_GENE)
    value = low + (high - low) * (0.5 + 0.5 * gene / np.sqrt(4.0 + gene * gene))
    return np.clip(value, low, high)  # low + (high - low) may round to more than high


def _gene(settings: BlockSettings, value: Array | np.float64) -> Array | np.float64:
    """Return the inverse of _value, s^-1(p) = (2p - 1) / sqrt(p (1 - p)), finite also at the bounds themselves."""
    if settings.bounds is None:
        return value
    low, high = settings.bounds
    if np.any((value < low) | (value > high)):
        raise ValueError(f"values must lie in the bounds {low} to {high}, got {np.min(value)} to {np.max(value)}")
    share = np.clip((value - low) / (high - low), 1e-16, 1.0 - 2.0**-53)
    return np.asarray((2.0 * share - 1.0) / np.sqrt(share * (1.0 - share)))


def _check_settings(name: str, settings: BlockSettings, born: NDArray[np.bool_] | None) -> None:
    numbers = (settings.initial, settings.spread, settings.step, settings.floor or 0.0, *(settings.bounds or ()))
    if not all(map(math.isfinite, numbers)):
        raise UserError(f"block {name!r}: every number must be finite, got {settings}")
    if settings.bounds is None:
        return
    low, high = settings.bounds
    if settings.floor is not None:
        raise UserError(f"block {name!r} has bounds and a floor; give one of them")
    if not low < high:
        raise UserError(f"block {name!r}: bounds must be [low, high] with low < high, got [{low}, {high}]")
    starts = (settings.initial,) if born is None or born.all() else (settings.initial, 0.0)
    for start in starts:
        if not low < start < high:
            raise UserError(f"block {name!r} starts at {start}, which is not inside its bounds {low} to {high}")


def _facts(block: Block, seed: int) -> dict[str, Any]:
    """Return a block's line of `meta`; the seed counts only where it decides values that no checkpoint holds."""
    settings = block.settings
    return {
        "name": block.name,
        "shape": list(block.shape),
        "genes": block.genes,
        **msgspec.to_builtins(settings),
        "bounds": None if settings.bounds is None else list(settings.bounds),
        "seed": None if settings.evolve else seed,
        "groups": _digest(block.groups),
        "born": None if block.born is None else _digest(block.born),
    }


def _digest(array: NDArray[Any]) -> str:
    little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    return hashlib.sha256(little.tobytes()).hexdigest()[:16]
