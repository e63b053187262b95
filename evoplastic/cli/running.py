"""Commands about one run: start it, carry it on, evaluate it, live one member's life again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TextIO

import typer

from evoplastic.cli.options import (
    Address,
    Backend,
    BreakLock,
    Generations,
    Grace,
    Json,
    RunName,
    RunsDir,
    Set,
    SkipPoison,
    Workers,
    names,
)
from evoplastic.errors import UserError

if TYPE_CHECKING:
    from evoplastic.analysis.evaluation import EvaluationRequest
    from evoplastic.config import RunConfig
    from evoplastic.evaluators.contract import Evaluator, Placement
    from evoplastic.evolution import Search
    from evoplastic.launch import Run
    from evoplastic.progress import Screen
    from evoplastic.runs import RunFolder
    from evoplastic.stop import StopRequest

INTERRUPTED = 130


def run(
    source: Annotated[str, typer.Argument(metavar="PRESET|FILE.toml", help="A preset's name or a run file.")],
    set_: Set = None,
    name: Annotated[str | None, typer.Option(help="Name of the run's folder; must be new.")] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    generations: Generations = None,
    backend: Backend = "threads",
    workers: Workers = None,
    address: Address = None,
    grace: Grace = None,
    resume_if_exists: Annotated[
        bool, typer.Option("--resume-if-exists", help="Carry the run on if there is one; for job scripts.")
    ] = False,
    skip_poison: SkipPoison = False,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Evolve, evaluate, draw."""
    session = _session(backend, workers, address, grace, as_json, skip_poison)
    from evoplastic.config import read_config
    from evoplastic.evolution import Search
    from evoplastic.launch import default_name, start_run
    from evoplastic.runs import RunFolder
    from evoplastic.runs import runs_dir as resolve_runs_dir

    runs = resolve_runs_dir(runs_dir)
    config = read_config(source, set_ or (), seed=seed, generations=generations)
    if resume_if_exists:
        name = name or default_name(config)  # and no other: the next call must find it
        if found := RunFolder.find(runs / name):
            _same_settings(found, config)
            _resume(session, found, config.generations, extend_only=True)
            return
    with session.evaluator(
        Search.of(config)
    ) as evaluator:  # first, so that a cluster that is not there leaves no folder
        started = start_run(config, runs, name, command=["evoplastic", *sys.argv[1:]])
        with started.folder.lock():
            _evolve(session, started, evaluator)


def resume(
    run: RunName,
    generations: Generations = None,
    backend: Backend = "threads",
    workers: Workers = None,
    address: Address = None,
    grace: Grace = None,
    skip_poison: SkipPoison = False,
    runs_dir: RunsDir = None,
    exact: Annotated[bool, typer.Option("--exact", help="Refuse if code or library versions have changed.")] = False,
    break_lock: BreakLock = False,
    as_json: Json = False,
) -> None:
    """Carry on a run bit for bit from its newest checkpoint."""
    session = _session(backend, workers, address, grace, as_json, skip_poison)
    from evoplastic.runs import RunFolder
    from evoplastic.runs import runs_dir as resolve_runs_dir

    _resume(session, RunFolder.open(run, resolve_runs_dir(runs_dir)), generations, exact=exact, break_lock=break_lock)


def evaluate(
    run: RunName,
    tasks: Annotated[str | None, typer.Option(help="Comma-separated task names; default: all.")] = None,
    lives: Annotated[int | None, typer.Option(min=1, help="Lives per task and condition.")] = None,
    controls: Annotated[str | None, typer.Option(help="all, or comma-separated lesions.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the evaluation's stimuli and noise.")] = 0,
    backend: Backend = "threads",
    workers: Workers = None,
    address: Address = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Score the evolved center on training and withheld tasks, beside generation 0 and lesions."""
    session = _session(backend, workers, address, None, as_json)
    from evoplastic.analysis.evaluation import EvaluationRequest
    from evoplastic.launch import load_run
    from evoplastic.runs import runs_dir as resolve_runs_dir

    found = load_run(run, resolve_runs_dir(runs_dir))
    for warning in found.warnings:
        session.screen.warn(warning)
    settings = found.config.evaluation
    chosen = settings.controls if controls is None else names(controls)
    request = EvaluationRequest(lives or settings.lives, chosen, None if tasks is None else names(tasks), seed)
    with session.evaluator(found.search) as evaluator:
        _evaluate(session, found, evaluator, request)


def replay(
    run: RunName,
    member: Annotated[int, typer.Option(min=0, help="Of the generation that the newest checkpoint starts from.")],
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Live one member's life again, in this process: what a member that kills its workers dies of."""
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


class Session(NamedTuple):
    """How a command about a run works: where lives are computed, who may stop it, who is told."""

    screen: Screen
    stop: StopRequest
    backend: str
    placement: Placement
    skip_poison: bool
    as_json: bool
    out: TextIO

    @contextmanager
    def evaluator(self, search: Search) -> Iterator[Evaluator]:
        """Open where lives are computed; what a cluster costs is closed again whatever happens."""
        from evoplastic.evaluators import open_evaluator

        with redirect_stdout(sys.stderr) if self.as_json else nullcontext():  # Ray prints what befalls its nodes
            evaluator = open_evaluator(
                self.backend, search.problem, self.placement, self.stop.abandon, self.screen.warn
            )
            try:
                yield evaluator
            finally:
                evaluator.close()


def _session(
    backend: str,
    workers: int | None,
    address: str | None,
    grace: float | None,
    as_json: bool,
    skip_poison: bool = False,
) -> Session:
    """Listen to signals from here on, and refuse a backend that there is not."""
    from evoplastic.stop import StopRequest, listen

    stop = StopRequest(grace)
    listen(stop)
    from evoplastic.evaluators import check_backend
    from evoplastic.evaluators.contract import Placement
    from evoplastic.progress import Screen

    check_backend(backend, Placement(workers, address))
    return Session(Screen(as_json), stop, backend, Placement(workers, address), skip_poison, as_json, sys.stdout)


def _same_settings(folder: RunFolder, config: RunConfig) -> None:
    """Raise UserError if the run in `folder` is of other settings than those of the command that would resume it."""
    from evoplastic.config import deciding, difference
    from evoplastic.launch import stored_config

    other = difference(config, deciding(stored_config(folder)))
    if other:
        raise UserError(
            f"run {folder.path.name!r} exists with other settings: {other}; choose another --name, or put that back"
        )


def _resume(
    session: Session,
    folder: RunFolder,
    generations: int | None,
    extend_only: bool = False,
    exact: bool = False,
    break_lock: bool = False,
) -> None:
    """Carry the run in `folder` on to `generations` in total; with `extend_only` never to fewer than it had."""
    from evoplastic.launch import load_run, note_resume, resume_differences, stored_config

    screen = session.screen
    with folder.lock(break_lock):
        if extend_only and generations is not None:
            generations = max(generations, stored_config(folder).generations)
        found = load_run(folder, generations=generations)
        differences = resume_differences(found)
        if exact and differences:
            raise UserError(f"--exact refuses to carry on {folder.path.name!r}: {'; '.join(differences)}")
        for warning in found.warnings:
            screen.warn(warning)
        if differences:
            screen.warn(f"the run may not go on bit for bit: {'; '.join(differences)}")
        evaluations = folder.evaluations(found.state.generation, found.search.problem.tasks) if found.finished else []
        if evaluations:
            screen.say(f"{folder.path} is finished; its last evaluation:")
            _show(session, evaluations[-1])
            return
        with session.evaluator(found.search) as evaluator:
            note_resume(found, ["evoplastic", *sys.argv[1:]], differences)
            _evolve(session, found, evaluator)


def _evolve(session: Session, run: Run, evaluator: Evaluator) -> None:
    """Evolve to the end, then evaluate and draw; or stop on a signal, save, say how to go on, and exit."""
    from evoplastic.analysis.evaluation import EvaluationRequest
    from evoplastic.launch import carry_on

    session.screen.introduce(run)
    with session.screen.progress(run) as watch:
        ended = carry_on(run, evaluator, session.stop, watch, session.screen.warn if session.skip_poison else None)
    if not ended.finished:
        session.screen.say(f"stopped at generation {ended.state.generation}; carry on with:")
        session.screen.say(f"    evoplastic resume {ended.folder.path}")
        raise typer.Exit(INTERRUPTED)
    settings = ended.config.evaluation
    _evaluate(session, ended, evaluator, EvaluationRequest(settings.lives, settings.controls))


def _evaluate(session: Session, run: Run, evaluator: Evaluator, request: EvaluationRequest) -> None:
    """Evaluate, write evaluation/ and, unless only some tasks were asked for, analysis/; show the table."""
    from evoplastic.analysis.evaluation import evaluate
    from evoplastic.analysis.figures import run_figures
    from evoplastic.evaluators.contract import Abandoned

    screen = session.screen
    session.stop.patience = 1
    try:
        with screen.waiting("evaluating the evolved center") as tell:
            evaluated = evaluate(run.search, run.center, evaluator, request, done=lambda condition: tell(condition))
    except Abandoned:
        screen.say(f"evaluation abandoned; repeat it with:\n    evoplastic evaluate {run.folder.path}")
        raise typer.Exit(INTERRUPTED) from None
    generation = run.state.generation
    result = {"run": run.folder.path.name, "generation": generation, **evaluated.result}
    written = run.folder.save_evaluation(generation, result)
    pictures = []
    if request.tasks is None:
        pictures = run_figures(run.folder.path / "analysis", run.folder.metrics(), result, evaluated.curves)
    _show(session, result)
    screen.say(f"evaluation: {written}")
    for picture in pictures:
        if picture.suffix == ".png":
            screen.say(f"picture:    {picture}")


def _show(session: Session, result: dict[str, Any]) -> None:
    """Print an evaluation: its table and what it says in words; as JSON too if asked."""
    from evoplastic.analysis.evaluation_table import headline, listed, table

    if session.as_json:
        print(json.dumps(result, allow_nan=False), file=session.out)
    session.screen.table(table(result))
    withheld = (
        f"Withheld {listed(result['withheld'])}: {result['fold']}." if result["withheld"] else "Nothing withheld."
    )
    for line in (headline(result), withheld, result["privileged"], *result["notes"]):
        session.screen.say(line)
