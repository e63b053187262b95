"""Commands about one genotype of a run: live its life again, write it to a file."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from evoplastic.cli.options import Json, Plugin, RunName, RunsDir
from evoplastic.errors import UserError
from evoplastic.plugins import use_plugin


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
    if path.suffix != ".npz":
        raise UserError(f"a genotype is an .npz file, got -o {out}; give it that ending")
    if os.path.exists(path):  # unlike Path.exists, also False for a name that no file can have
        raise UserError(f"{path} exists already; give another file with -o")
    genotype = find_genotype(source, resolve_runs_dir(runs_dir), screen.warn)
    write_whole(path, genotype.to_bytes())
    blocks = ", ".join(f"{name} {tuple(values.shape)}" for name, values in genotype.blocks.items())
    screen.say(f"{path}: {len(genotype.genes)} genes; {blocks}")
