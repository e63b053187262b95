"""The command that answers what evolved."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

import typer

from evoplastic.cli.options import Address, Backend, Json, Plugin, RunName, RunsDir, Workers
from evoplastic.cli.running import INTERRUPTED
from evoplastic.cli.session import Session, open_session
from evoplastic.plugins import use_plugin


def analyze(
    run: RunName,
    html: Annotated[bool, typer.Option("--html/--no-html", help="A page with all pictures.")] = True,
    lives: Annotated[int, typer.Option(min=1, help="Lives per task and condition.")] = 16,
    record: Annotated[int, typer.Option(min=2, help="Lives that are recorded step by step.")] = 8,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of stimuli and noise.")] = 0,
    arms: Annotated[
        list[str] | None, typer.Option("--arm", help="A run or group to stand beside; else the run's own group.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Live again what was lived for an analysis before.")] = False,
    plugin: Plugin = None,
    backend: Backend = "threads",
    workers: Workers = None,
    address: Address = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Look into what evolved: scores, lesions, learning, the network, what its activity tells; pictures and a page."""
    use_plugin(plugin)
    session = open_session(backend, workers, address, None, as_json)
    from evoplastic.analyses import AnalysisRequest
    from evoplastic.analyses import analyze as analyze_run
    from evoplastic.evaluators.contract import Abandoned
    from evoplastic.launch import load_run
    from evoplastic.runs import runs_dir as resolve_runs_dir

    runs = resolve_runs_dir(runs_dir)
    found = load_run(run, runs)
    for warning in found.warnings:
        session.screen.warn(warning)
    request = AnalysisRequest(lives, record, seed, html, tuple(arms or ()), fresh)
    session.stop.patience = 1
    try:
        with session.evaluator(found.search) as evaluator, session.screen.waiting("analyzing") as tell:
            files = analyze_run(found, evaluator, request, _stoppable(session, tell), runs)
    except Abandoned:
        session.screen.say("analysis abandoned; what was lived for it is remembered")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        written = {"format": "evoplastic.analyze", "version": 1, "files": [str(file) for file in files]}
        print(json.dumps(written), file=session.out)
    for file in files:
        if file.suffix in (".png", ".html", ".json"):
            session.screen.say(str(file))


def _stoppable(session: Session, tell: Callable[[str], None]) -> Callable[[str], None]:
    """Return `tell`, which gives up between stages once a signal asked for it."""
    from evoplastic.evaluators.contract import Abandoned

    def told(stage: str) -> None:
        tell(stage)
        if session.stop.finish():
            raise Abandoned

    return told
