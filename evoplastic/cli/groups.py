"""Commands about many runs: evolve a group of them, compare what they came to."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from evoplastic.cli import running
from evoplastic.cli.options import Address, Backend, Generations, Grace, Json, Plugin, RunsDir, Set, Track
from evoplastic.errors import UserError
from evoplastic.plugins import use_plugin

if TYPE_CHECKING:
    from evoplastic.fleet import Fleet
    from evoplastic.groups import Group
    from evoplastic.progress import Board, Screen
    from evoplastic.stop import StopRequest
    from evoplastic.sweeps import Planned

FORMAT, VERSION = "evoplastic.sweep", 1

Over = Annotated[
    list[str] | None, typer.Option(metavar="A.B=VALUE,VALUE", help="Vary a key; given twice, all combinations.")
]
CellNumber = Annotated[
    int | None, typer.Option("--cell", min=0, help="Run this cell alone, counted from 0, as array jobs do.")
]


def sweep(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Presets' names or run files.")],
    seeds: Annotated[str, typer.Option(help="Such as 0:9, which is ten seeds, or 3,7,100:104.")],
    over: Over = None,
    folds: Annotated[str | None, typer.Option(help="Withhold tasks in turn: all, or comma-separated folds.")] = None,
    set_: Set = None,
    plugin: Plugin = None,
    generations: Generations = None,
    name: Annotated[str | None, typer.Option(help="Name of the group; one that exists is carried on.")] = None,
    backend: Backend = "threads",
    workers: Annotated[int | None, typer.Option(min=1, help="For all cells together; default: all cores.")] = None,
    address: Address = None,
    grace: Grace = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, help="Cells side by side; default: one per worker, at most one per core here.")
    ] = None,
    cell: CellNumber = None,
    track: Track = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Evolve a run for every seed, source, varied value and fold; the same command carries on what is not done."""
    use_plugin(plugin)
    stop, screen = listening(as_json)
    from evoplastic.groups import open_group
    from evoplastic.runs import runs_dir as resolve_runs_dir
    from evoplastic.sweeps import Sweep, default_name, plan

    how = How(backend, workers, address, generations, grace, track)
    how.check()
    planned = plan(Sweep(sources, seeds, over or (), folds, set_ or (), generations))
    if cell is not None and cell >= len(planned):
        raise UserError(f"--cell counts from 0 to {len(planned) - 1} here, got {cell}")
    group, planned = open_group(resolve_runs_dir(runs_dir), name or default_name(sources), planned, set_ or ())
    if cell is not None:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            screen.say(f"cell {cell} of 0 to {len(planned) - 1}: {group.path / planned[cell].cell.name}")
            if stop.finish():
                raise typer.Exit(running.INTERRUPTED)
            _run_cell(group, planned[cell], how)
    else:
        _run_all(screen, group, planned, how, parallel, stop)
    if as_json:
        print(json.dumps(_told(group, planned)))


def compare(
    paths: Annotated[list[str], typer.Argument(metavar="GROUP|RUN", help="Folders, or names in that of runs.")],
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="DIR", help="A folder for pictures, numbers and a page.")
    ] = None,
    html: Annotated[bool, typer.Option("--html/--no-html", help="With --out: a page with all pictures.")] = True,
    plugin: Plugin = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Compare arms of finished runs over their seeds, each beside its generation 0 and its lesions."""
    use_plugin(plugin)
    from evoplastic.analysis.comparison import compare as compared
    from evoplastic.groups import outcomes
    from evoplastic.progress import Screen
    from evoplastic.runs import runs_dir as resolve_runs_dir

    result = compared(*outcomes(paths, resolve_runs_dir(runs_dir)))
    files = _write_page(Path(out), result, html) if out else []
    if as_json:
        print(json.dumps(result, allow_nan=False))
    screen = Screen(as_json)
    _show(screen, result)
    for file in files:
        if file.suffix != ".svg":
            screen.say(str(file))


class How(NamedTuple):
    """How all cells are to be run."""

    backend: str
    workers: int | None  # of all cells together
    address: str | None
    generations: int | None
    grace: float | None
    track: str | None = None

    def check(self) -> None:
        """Raise UserError for what every single cell would refuse."""
        from evoplastic.evaluators import check_backend
        from evoplastic.evaluators.contract import Placement
        from evoplastic.sinks import check_sink

        check_backend(self.backend, Placement(self.workers, self.address))
        check_sink(self.track)

    def words(self, workers: int, address: str | None) -> list[str]:
        """Return the options of a cell that has so many workers, on the cluster at `address` if there is one."""
        words = ["--backend", self.backend, "--workers", str(workers)]
        words += ["--address", address] if address else []
        words += ["--grace", str(self.grace)] if self.grace is not None else []
        words += ["--track", self.track] if self.track else []
        return words + (["--generations", str(self.generations)] if self.generations else [])

    @contextmanager
    def opened(self) -> Iterator[tuple[int, str | None]]:
        """Yield how many workers there are, and the address of the cluster they are on; a Ray of our own is closed."""
        if self.backend != "ray":
            from evoplastic.evaluators.threads import available_cores

            yield self.workers or available_cores(), None
            return
        from evoplastic.evaluators.contract import Placement
        from evoplastic.evaluators.ray_shared import shared_cluster

        with shared_cluster(Placement(self.workers, self.address)) as shared:
            yield self.workers or shared.cpus, shared.address


def listening(as_json: bool) -> tuple[StopRequest, Screen]:
    """Listen to signals from here on, before anything heavy is imported."""
    from evoplastic.stop import StopRequest, listen

    stop = StopRequest()
    listen(stop)
    from evoplastic.progress import Screen

    return stop, Screen(as_json)


def _run_cell(group: Group, planned: Planned, how: How) -> None:
    """Run one cell in this process, which ends as its run does."""
    running.run(
        planned.cell.source,
        set_=list(planned.overrides),
        name=planned.cell.name,
        seed=planned.cell.seed,
        generations=how.generations,
        backend=how.backend,
        workers=how.workers,
        address=how.address,
        grace=how.grace,
        track=how.track,
        resume_if_exists=True,
        runs_dir=str(group.path),
    )


def _run_all(
    screen: Screen, group: Group, planned: Sequence[Planned], how: How, parallel: int | None, stop: StopRequest
) -> None:
    """Run the cells that are not done, side by side, and compare the group; or stop on a signal, and exit."""
    from evoplastic.evaluators.threads import available_cores
    from evoplastic.fleet import INTERRUPTED, Fleet, cell_job

    left = [each for each in planned if not _is_done(group, each)]
    screen.say(f"{group.path}: {len(planned)} cells, {len(planned) - len(left)} of them done")
    codes: dict[str, int] = {}
    if left:
        with how.opened() as (workers, address):
            abreast = min(parallel or min(workers, available_cores()), len(left))
            given = how.words(max(1, workers // abreast), address)
            jobs = [cell_job(group.path, each, given) for each in left]
            codes = work(screen, group, planned, Fleet(jobs, abreast, screen.say), stop)
    if stop.finish() or INTERRUPTED in codes.values():
        done = sum(_is_done(group, each) for each in planned)
        screen.say(f"stopped with {done} of {len(planned)} cells done; the same command carries on")
        raise typer.Exit(INTERRUPTED)
    _summarize(screen, group)
    complain(screen, group, codes)


def work(screen: Screen, group: Group, planned: Sequence[Planned], fleet: Fleet, stop: StopRequest) -> dict[str, int]:
    """Let the fleet run its cells, some of the planned ones, and show where all of these are; return exit codes."""
    with screen.board() as show:
        return fleet.work(stop, lambda fleet: show(lambda: _board(group, planned, fleet)))


def _is_done(group: Group, planned: Planned) -> bool:
    from evoplastic.groups import is_done

    return is_done(group.path / planned.cell.name, planned.config.generations)


def _board(group: Group, planned: Sequence[Planned], fleet: Fleet) -> Board:
    from evoplastic.fleet import DONE, INTERRUPTED
    from evoplastic.groups import reached
    from evoplastic.progress import Board

    totals = {each.cell.name: each.config.generations for each in planned}
    running = {name: (reached(group.path / name), totals[name]) for name in fleet.running}
    failed = sum(code not in (DONE, INTERRUPTED) for code in fleet.codes.values())
    stopped = sum(code == INTERRUPTED for code in fleet.codes.values())
    done = len(planned) - failed - stopped - len(running) - len(fleet.waiting)
    return Board(len(planned), done, failed, running)


def _summarize(screen: Screen, group: Group) -> None:
    """Write what the group's cells came to, as far as they are done, and show it."""
    from evoplastic.analysis.comparison import compare
    from evoplastic.files import write_json
    from evoplastic.groups import outcomes

    found, left_out = outcomes([group.path])
    if found:
        result = compare(found, left_out)
        write_json(group.path / "summary.json", result)
        _show(screen, result)
        screen.say(f"summary: {group.path / 'summary.json'}")


def complain(screen: Screen, group: Group, codes: dict[str, int]) -> None:
    """Raise UserError if cells failed, after naming them with the last line that each said."""
    from evoplastic.fleet import DONE, last_line

    failed = {name: code for name, code in codes.items() if code != DONE}
    for name, code in failed.items():
        log = group.path / f"{name}.log"
        screen.warn(f"cell {name} failed; {log} ends in: {last_line(log, code)}")
    if failed:
        raise UserError(f"{len(failed)} of {len(group.cells)} cells failed; the same command runs them again")


def _told(group: Group, planned: Sequence[Planned]) -> dict[str, Any]:
    """Return the `sweep` object: the group, and where each of its cells stands."""
    import msgspec

    from evoplastic.groups import is_taken, reached

    cells = []
    for each in planned:
        folder = group.path / each.cell.name
        state = "done" if _is_done(group, each) else "running" if is_taken(folder) else "open"
        cells.append({**msgspec.to_builtins(each.cell), "state": state, "generation": reached(folder)})
    return {"format": FORMAT, "version": VERSION, "group": str(group.path), "cells": cells}


def _write_page(folder: Path, result: dict[str, Any], html: bool) -> list[Path]:
    """Write a comparison's pictures, numbers and page into a folder, which may be there, and return the files."""
    from evoplastic.analysis.comparison_page import page_files
    from evoplastic.errors import writing
    from evoplastic.files import write_together
    from evoplastic.runs import RunFolder

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files = page_files(result, lambda run: RunFolder.open(run).metrics(), html)
    write_together({folder / name: data for name, data in files.items()})
    return [folder / name for name in files]


def _show(screen: Screen, result: dict[str, Any]) -> None:
    """Print a comparison: its tables and what it says in words."""
    from evoplastic.analysis.comparison_table import sentences, tables

    for table in tables(result):
        screen.table(table)
        screen.say("")
    for line in sentences(result):
        screen.say(line)
