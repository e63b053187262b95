"""Commands that only look: presets, this machine's speed and what a larger one would do."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from evoplastic.cli.options import Json, Plugin, Set
from evoplastic.plugins import use_plugin


def presets() -> None:
    """List the presets, with the novelty of what each withholds."""
    from evoplastic.config import preset_names, read_config

    for name in preset_names():
        config = read_config(name)
        print(f"{name:34} {config.summary} [{config.problem.withholding()}]")


def bench(
    preset: Annotated[str, typer.Argument(metavar="PRESET")] = "icml2023",
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Measure this machine: steps, lifetimes, generations, compilation, memory."""
    use_plugin(plugin)
    from evoplastic.bench import measure, rows
    from evoplastic.progress import Screen

    screen = Screen(to_stderr=as_json)
    result = measure(preset, tell=screen.say)
    if as_json:
        print(json.dumps(result))
    else:
        screen.table(rows(result))


def plan(
    source: Annotated[str, typer.Argument(metavar="PRESET|FILE.toml", help="A preset's name or a run file.")],
    workers: Annotated[int, typer.Option(min=1, help="How many are thought of.")],
    cores_per_node: Annotated[int | None, typer.Option(min=1, help="Default: those of this machine.")] = None,
    set_: Set = None,
    plugin: Plugin = None,
    as_json: Json = False,
) -> None:
    """Predict seconds and bytes of a generation on more workers, from what is measured here in a minute."""
    use_plugin(plugin)
    from evoplastic.config import read_config
    from evoplastic.evaluators.threads import available_cores
    from evoplastic.plan import notes, plan, rows
    from evoplastic.progress import Screen

    screen = Screen(to_stderr=as_json)
    result = plan(read_config(source, set_ or ()), workers, cores_per_node or available_cores(), screen.say)
    if as_json:
        print(json.dumps(result))
    screen.table(rows(result))
    for note in notes(result):
        screen.say(note)
