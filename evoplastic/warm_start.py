"""Warm start: a run whose first center is another genotype, block by block.

A block is taken by name if its genes mean the same in both genomes: equal shape, bounds and sharing of genes. Every
other block has to be named as fresh, and starts from the genome's own first genes. Tasks, rule and strategy may be
others. Genes below the new genome's floors are raised to them, as after every update.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.champions import find_genotype
from evoplastic.config import RunConfig
from evoplastic.errors import UserError, nearest
from evoplastic.genome import GenomeLayout
from evoplastic.genotypes import Genotype
from evoplastic.runs import RunFolder

ALL = "all"
_EVOLVED = ("shape", "genes", "bounds", "groups")  # what a gene's meaning rests on
_FROZEN = ("shape", "initial", "spread", "bounds", "groups", "born")  # what the values of a block that stays rest on


class WarmStart(NamedTuple):
    """A run's settings and the genes that they name."""

    config: RunConfig
    start: Genotype

    def in_words(self) -> str:
        """Return in a sentence what is taken from where."""
        origin = self.start.origin
        fresh = f", fresh: {', '.join(origin['fresh'])}" if origin["fresh"] else ""
        return f"starts from {origin['source']}: {', '.join(origin['taken'])}{fresh}"


def warm_start(
    config: RunConfig,
    source: str,
    fresh: Collection[str] = (),
    runs: Path | None = None,
    warn: Callable[[str], None] = lambda warning: None,
) -> WarmStart:
    """Return `config` started from the genotype that `source` names, but for the blocks `fresh` ("all": as needed).

    UserError names every block that differs and is not to be fresh, and says how to go on.
    """
    there = find_genotype(source, runs, warn)
    layout = config.problem.build(config.seed).layout
    reasons = differences(layout.meta(), there.layout)
    _check_fresh(fresh, [facts["name"] for facts in (*layout.meta(), *there.layout)])
    left = {} if ALL in fresh else {name: why for name, why in reasons.items() if name not in fresh}
    if left:
        raise UserError(
            f"the genome is not that of {source}: {'; '.join(left.values())}; go on without "
            f"{'it' if len(left) == 1 else 'them'} with --fresh {','.join([*fresh, *left])}"
        )
    own = {*reasons, *fresh}
    anew = [block.name for block in layout.blocks if block.name in own]
    genes, taken = put_together(layout, there, own)
    if not taken:
        raise UserError(
            f"nothing is left to start from: no block that evolves is taken from {source}; leave --from away"
        )
    told = {"source": source_name(source), "genes": there.digest, "genotype": there.origin}
    origin = {**told, "taken": taken, "fresh": anew}
    start = Genotype.of(layout, genes, origin)
    return WarmStart(msgspec.structs.replace(config, start=start.digest), start)


def source_name(source: str) -> str:
    """Return what `source` is called wherever it lies, such as first:best: a run folder tells no paths."""
    return os.path.basename(os.path.abspath(source))


def check_same_start(folder: RunFolder, source: str, fresh: Collection[str]) -> None:
    """Raise UserError unless the run in `folder` says that it began so; what `source` is by now is not looked at."""
    told = folder.manifest.get("from", {})
    theirs, taken, anew = told.get("source"), told.get("taken", ()), told.get("fresh", ())
    if theirs is None or source_name(theirs) != source_name(source):
        theirs = f"starts from {theirs or 'no other'}"
    elif ALL not in fresh and {*fresh} & {*taken, *anew} != {*anew}:
        theirs = f"started freshly {', '.join(anew) or 'no block'}"
    else:
        return
    raise UserError(
        f"run {folder.path.name!r} exists and {theirs}, got --from {source}"
        f"{' --fresh ' + ','.join(fresh) if fresh else ''}; choose another --name, or put that back"
    )


def differences(here: Sequence[Mapping[str, Any]], there: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return, by name, in words, each block of two layouts' `meta` whose genes do not mean the same in both."""
    mine, theirs = ({facts["name"]: facts for facts in layout} for layout in (here, there))
    reasons = {name: _reason(mine.get(name), theirs.get(name)) for name in [*mine, *theirs]}
    return {name: f"block {name!r} {reason}" for name, reason in reasons.items() if reason}


def _reason(here: Mapping[str, Any] | None, there: Mapping[str, Any] | None) -> str | None:
    if here is None or there is None:
        return f"is only {'there' if here is None else 'here'}"
    if there["evolve"] and not here["evolve"]:
        return "evolved there and does not evolve here"
    keys = _EVOLVED if here["evolve"] else _FROZEN + (("seed",) if here["spread"] else ())
    for key in keys:
        mine, other = here[key], there.get(key)
        if mine != other:
            if key == "groups":
                return "shares its genes otherwise"
            return f"differs in {key}: {other!r} there, {mine!r} here"
    return None


def put_together(layout: GenomeLayout, there: Genotype, own: Collection[str]) -> tuple[NDArray[np.float64], list[str]]:
    """Return the first center (D,), and the names of its blocks that are from `there`: all but `own` ones."""
    evolved, parts, taken = there.evolved(), [], []
    for block in layout.blocks:
        if not block.settings.evolve:
            continue
        if block.name in own:
            parts.append(block.initial_genes(layout.seed))
            continue
        # A block that did not evolve there has no genes, but its values have.
        genes = evolved[block.name] if block.name in evolved else block.encode(there.blocks[block.name])
        parts.append(genes)
        taken.append(block.name)
    return np.maximum(np.concatenate([np.empty(0), *parts]), layout.floors), taken


def _check_fresh(fresh: Collection[str], known: Sequence[str]) -> None:
    choices = [ALL, *dict.fromkeys(known)]
    for name in fresh:
        if name not in choices:
            raise UserError(f"--fresh names block {name!r}; choose some of {choices}{nearest(name, choices)}")
