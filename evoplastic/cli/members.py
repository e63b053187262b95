"""Commands about one genotype of a run: live its life again, record lives of it, write it to a file."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoplastic.cli.options import Json, Plugin, RunName, RunsDir
from evoplastic.errors import UserError
from evoplastic.plugins import use_plugin

if TYPE_CHECKING:
    from pathlib import Path

    from evoplastic.analysis.record import RecordRequest
    from evoplastic.evolution import Search
    from evoplastic.progress import Screen


def replay(
    run: RunName,
    member: Annotated[int, typer.Option(min=0, help="Of the generation that the newest checkpoint starts from.")],
    plugin: Plugin = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Live one member's life again, in this process: what a member that kills its workers dies of."""
    use_plugin(plugin)
    from evoplastic.launch import load_run, replayed
    from evoplastic.progress import Screen
    from evoplastic.runs import runs_dir as resolve_runs_dir

    found = load_run(run, resolve_runs_dir(runs_dir))
    screen = Screen(to_stderr=as_json)
    screen.say(f"member {member} of generation {found.state.generation}")
    row = replayed(found, member)
    if as_json:
        print(json.dumps(row))
    screen.table([["score", "value"], *([name, f"{value:.6g}"] for name, value in row["score"].items())])


def export(
    source: Annotated[
        str,
        typer.Argument(metavar="RUN[:WHICH]", help="A run; center (the default), best of its elites, or elite mean."),
    ],
    out: Annotated[str, typer.Option("-o", "--out", metavar="FILE.npz", help="A new file.")],
    plugin: Plugin = None,
    runs_dir: RunsDir = None,
) -> None:
    """Write a genotype to a file: its blocks by name, its genes, and where it is from."""
    use_plugin(plugin)
    from pathlib import Path

    from evoplastic.champions import find_genotype
    from evoplastic.files import write_whole
    from evoplastic.progress import Screen
    from evoplastic.runs import runs_dir as resolve_runs_dir

    path, screen = Path(out), Screen()
    _check_new(out)
    genotype = find_genotype(source, resolve_runs_dir(runs_dir), screen.warn)
    write_whole(path, genotype.to_bytes())
    blocks = ", ".join(f"{name} {tuple(values.shape)}" for name, values in genotype.blocks.items())
    screen.say(f"{path}: {len(genotype.genes)} genes; {blocks}")


def record(
    run: RunName,
    task: Annotated[str, typer.Option(help="The task that the lives end on.")],
    lives: Annotated[int, typer.Option(min=1)] = 4,
    genome: Annotated[str, typer.Option(help="center, best, elite or generation_0.")] = "center",
    first: Annotated[int, typer.Option(min=0, help="Trial.")] = 0,
    trials: Annotated[int | None, typer.Option(min=1, help="Default: all from the first one on.")] = None,
    every: Annotated[int, typer.Option(min=1, help="All plastic weights are kept after so many trials each.")] = 10,
    synapses: Annotated[int, typer.Option(min=0, help="Drawn at random and followed step by step.")] = 100,
    lesion: Annotated[str, typer.Option(help="What is taken away, as for evaluate --controls.")] = "none",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of stimuli and noise.")] = 0,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="FILE.npz", help="Default: in the run's folder.")
    ] = None,
    plugin: Plugin = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Record lives of a run's genome, step by step: activity, third factors, plastic weights."""
    use_plugin(plugin)
    from pathlib import Path

    from evoplastic.analysis.record import RecordRequest
    from evoplastic.champions import genes_called
    from evoplastic.launch import load_run
    from evoplastic.progress import Screen
    from evoplastic.runs import runs_dir as resolve_runs_dir

    found, screen = load_run(run, resolve_runs_dir(runs_dir)), Screen(to_stderr=as_json)
    for warning in found.warnings:
        screen.warn(warning)
    request = RecordRequest(task, lives, first, trials, every, synapses, lesion, seed)
    generation = 0 if genome == "generation_0" else found.state.generation
    genes, of = genes_called(found, genome), {"run": found.folder.path.name, "genome": genome, "generation": generation}
    default = found.folder.path / "recordings" / f"{task}-{genome}-g{generation}-{lesion}-seed{seed}.npz"
    if out is not None:
        _check_new(out)
    path = _recorded(found.search, genes, request, of, default if out is None else Path(out), screen)
    if as_json:
        print(json.dumps({"format": "evoplastic.record", "version": 1, "file": str(path)}))


def _recorded(
    search: Search, genes: Any, request: RecordRequest, of: dict[str, Any], path: Path, screen: Screen
) -> Path:
    """Record into `path`, and tell what is there."""
    from evoplastic.analysis.record import check_memory, planned, record
    from evoplastic.files import write_whole

    size = planned(search, request)[1]
    check_memory(size)
    screen.say(f"{request.lives} lives of {request.task}: {size / 1e6:.0f} MB")
    recording = record(search, genes, request, of)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, recording.to_bytes())
    shapes = [[name, " x ".join(recording[name].axes), str(recording[name].values.shape)] for name in recording.arrays]
    screen.table([["array", "axes", "shape"], *shapes])
    screen.say(f"written to {path}; read it with evoplastic.load_recording")
    return path


def _check_new(out: str) -> None:
    """Raise UserError unless `out` is the name of an .npz file that there is not."""
    if not out.endswith(".npz"):
        raise UserError(f"what is written is an .npz file, got -o {out}; give it that ending")
    if os.path.exists(out):  # unlike Path.exists, also False for a name that no file can have
        raise UserError(f"{out} exists already; give another file with -o")
