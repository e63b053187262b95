"""A group on disk: run folders that belong together, and a file that says what each of them is.

    runs/<group>/  group.json    the cells, and what --set laid over all of them
                   <cell>/       a run folder like any other
                   <cell>.log    what its process said
                   summary.json  the comparison of the group's arms

How far a cell is stands in its run folder and nowhere else, so nothing here can be wrong after a crash, and several
processes may work on one group.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from evoplastic.analysis.comparison import LeftOut, Outcome
from evoplastic.analysis.stored import checked
from evoplastic.config import RunConfig, deciding, difference
from evoplastic.errors import UserError, writing
from evoplastic.files import Migration, migrated, read_json, write_json
from evoplastic.launch import stored_config
from evoplastic.lock import is_taken as is_taken
from evoplastic.runs import RunFolder, check_name, runs_dir
from evoplastic.sweeps import Cell, Planned

FORMAT = "evoplastic.group"
MIGRATIONS: dict[int, Migration] = {}  # version N -> N + 1
_MOST_NAMED = 5  # cells in a sentence
_PUT_BACK = "put that back, or choose another --name"


class Group(NamedTuple):
    """A group's folder and what its file says."""

    path: Path
    cells: list[Cell]
    overrides: tuple[str, ...]


def find_group(path: Path) -> Group | None:
    """Return the group in folder `path`, None if there is none; UserError if it cannot be read."""
    file = path / "group.json"
    if not os.path.isfile(file):  # unlike Path.is_file, also False for a name that no file can have
        return None
    content = migrated(read_json(file), FORMAT, MIGRATIONS, file)
    try:
        cells = msgspec.convert(content.get("cells"), list[Cell])
        return Group(path, cells, msgspec.convert(content.get("set", ()), tuple[str, ...]))
    except msgspec.ValidationError as error:
        raise UserError(f"{file} is damaged: {error}; restore it, or give the same sweep another --name") from error


def open_group(
    runs: Path, name: str, planned: Sequence[Planned], overrides: Sequence[str]
) -> tuple[Group, list[Planned]]:
    """Return the group `name` in `runs`, made or extended to hold the planned cells, and these under their names there.

    A cell that is there already keeps its name. UserError, and nothing written, if the group there is of other cells or
    settings. Any number of processes may open a group with equal cells at once.
    """
    check_name(name)
    path = runs / name
    found = find_group(path)
    if found:
        planned = _named_as_there(found, planned, tuple(overrides))
    elif RunFolder.find(path):
        raise UserError(f"{path} is a run and no group; choose another --name")
    for cell, _, config in planned:
        _check_settings(path / cell.name, config)
    group = Group(path, [cell for cell, _, _ in planned], tuple(overrides))
    if group != found:
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        write_json(path / "group.json", _content(group))
    return group, list(planned)


def is_done(folder: Path, generations: int) -> bool:
    """Return whether the run in `folder` is evaluated at its last generation, which is `generations` or a later one.

    Where that cannot be read the run is not done; it will say why once it is carried on.
    """
    try:
        run = RunFolder.find(folder)
        if run is None:
            return False
        config = stored_config(run)
        return bool(run.evaluations(max(generations, config.generations), _tasks(config)))
    except UserError:
        return False


def is_evolved(folder: Path, generations: int) -> bool:
    """Return whether the run in `folder` has a checkpoint at `generations` or later, or has diverged before."""
    try:
        run = RunFolder.find(folder)
        if run is None or not run.has_checkpoints():
            return False
        return run.load_checkpoint(lambda sentence: None).generation >= generations or run.diverged
    except UserError:
        return False


def reached(folder: Path) -> int:
    """Return the generations that the metrics hold, by counting lines: it is asked for again and again."""
    try:
        return (folder / "metrics.jsonl").read_bytes().count(b"\n")
    except OSError:
        return 0


def outcomes(paths: Iterable[str | Path], runs: Path | None = None) -> tuple[list[Outcome], list[LeftOut]]:
    """Return what the named groups and runs came to, and why some of their runs came to nothing yet."""
    runs = runs or runs_dir(None)
    found: list[Outcome | LeftOut] = []
    for path in paths:
        group = find_group(Path(path)) or find_group(runs / path)
        if group:
            found += [_cell_outcome(group.path, cell) for cell in group.cells]
        else:
            found.append(_outcome(RunFolder.open(path, runs)))
    outcomes = [outcome for outcome in found if isinstance(outcome, Outcome)]
    return outcomes, [outcome for outcome in found if isinstance(outcome, LeftOut)]


def _named_as_there(found: Group, planned: Sequence[Planned], overrides: tuple[str, ...]) -> list[Planned]:
    """Return the planned cells, those of the group under the names they have there; UserError for another sweep."""
    if found.overrides != overrides:
        there, here = (" ".join(f"--set {text}" for text in texts) or "none" for texts in (found.overrides, overrides))
        raise UserError(f"group {found.path.name!r} was made with --set: {there}, got: {here}; {_PUT_BACK}")
    names = {cell.address: cell.name for cell in found.cells}
    missing = [names[address] for address in names if address not in {cell.address for cell, _, _ in planned}]
    if missing:
        raise UserError(f"group {found.path.name!r} also has {_some(missing)}, which are left out here; {_PUT_BACK}")
    new = [cell.name for cell, _, _ in planned if cell.address not in names and cell.name in names.values()]
    if new:
        raise UserError(f"group {found.path.name!r} has another {_some(new)}; {_PUT_BACK}")
    return [
        each._replace(cell=msgspec.structs.replace(each.cell, name=names.get(each.cell.address, each.cell.name)))
        for each in planned
    ]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"cell{'s' * (len(names) > 1)} {', '.join(names[:_MOST_NAMED])}{more}"


def _check_settings(folder: Path, wanted: RunConfig) -> None:
    """Raise UserError if the cell has been started with other settings; one that cannot be read is not judged here."""
    try:
        run = RunFolder.find(folder)
        other = run and difference(wanted, deciding(stored_config(run)))
    except UserError:
        return
    if other:
        raise UserError(f"{folder} was started with other settings: {other}; {_PUT_BACK}")


def _content(group: Group) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": len(MIGRATIONS) + 1,
        "set": list(group.overrides),
        "cells": [msgspec.to_builtins(cell) for cell in group.cells],
    }


def _cell_outcome(group: Path, cell: Cell) -> Outcome | LeftOut:
    folder = group / cell.name
    try:
        run = RunFolder.find(folder)
        return _outcome(run, cell.name.rpartition(",")[0]) if run else LeftOut(str(folder), "not started")
    except UserError as error:
        return LeftOut(str(folder), str(error))


def _tasks(config: RunConfig) -> tuple[str, ...]:
    tasks: tuple[str, ...] = config.problem.build(config.seed).tasks
    return tasks


def _outcome(run: RunFolder, arm: str = "") -> Outcome | LeftOut:
    """Return what a run came to, as one of an arm; '' for the arm of the run's own name."""
    config, path = stored_config(run), str(run.path)
    made = run.evaluations(config.generations, _tasks(config))
    if made:
        settings = deciding(msgspec.structs.replace(config, seed=0))
        newest = checked(made[-1], run.path)
        return Outcome(path, arm or config.name, settings, config.seed, newest, len(run.skipped()))
    generation = reached(run.path)
    if generation < config.generations:
        return LeftOut(path, f"unfinished, at generation {generation} of {config.generations}")
    return LeftOut(path, f"not evaluated on all tasks; do that with evoplastic evaluate {path}")
