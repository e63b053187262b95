"""Commands about one run: start it, carry it on, evaluate it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoplastic.cli.options import (
    Address,
    Backend,
    BreakLock,
    Fresh,
    From,
    Generations,
    Grace,
    Json,
    Plugin,
    RunName,
    RunsDir,
    Set,
    SkipPoison,
    Track,
    Workers,
    names,
)
from evoplastic.cli.session import Session, open_session
from evoplastic.errors import UserError
from evoplastic.plugins import option, use_plugin

if TYPE_CHECKING:
    from evoplastic.analysis.evaluation import EvaluationRequest
    from evoplastic.config import RunConfig
    from evoplastic.evaluators.contract import Evaluator
    from evoplastic.evolution import Record
    from evoplastic.genotypes import Genotype
    from evoplastic.launch import Run
    from evoplastic.runs import RunFolder

INTERRUPTED = 130


def run(
    source: Annotated[str, typer.Argument(metavar="PRESET|FILE.toml", help="A preset's name or a run file.")],
    set_: Set = None,
    plugin: Plugin = None,
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
    track: Track = None,
    no_evaluation: Annotated[bool, typer.Option("--no-evaluation", help="Evolve and no more.")] = False,
    from_: From = None,
    fresh: Fresh = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Evolve, evaluate, draw."""
    use_plugin(plugin)
    if no_evaluation and as_json:
        raise UserError("--json tells the evaluation, which --no-evaluation leaves out; give one of the two")
    session = open_session(backend, workers, address, grace, as_json, skip_poison)
    session = session._replace(evaluates=not no_evaluation, track=track)
    from evoplastic.config import read_config
    from evoplastic.evolution import Search
    from evoplastic.launch import default_name, start_run
    from evoplastic.runs import RunFolder
    from evoplastic.runs import runs_dir as resolve_runs_dir
    from evoplastic.sinks import check_sink

    check_sink(track)
    runs = resolve_runs_dir(runs_dir)
    config = read_config(source, set_ or (), seed=seed, generations=generations)
    if fresh is not None and from_ is None:
        raise UserError("--fresh says which blocks --from leaves out; give --from too")
    if resume_if_exists:
        name = name or default_name(config)  # and no other: the next call must find it
        if found := RunFolder.find(runs / name):
            _same_settings(found, config, from_, names(fresh or ""))
            _resume(session, found, config.generations, extend_only=True)
            return
    config, start = _warm_start(session, config, from_, fresh, runs)
    # First the evaluator, so that a cluster that is not there leaves no folder.
    with session.evaluator(Search.of(config)) as evaluator:
        started = start_run(config, runs, name, ["evoplastic", *sys.argv[1:]], start)
        with started.folder.lock():
            _evolve(session, started, evaluator)


def resume(
    run: RunName,
    generations: Generations = None,
    plugin: Plugin = None,
    backend: Backend = "threads",
    workers: Workers = None,
    address: Address = None,
    grace: Grace = None,
    skip_poison: SkipPoison = False,
    track: Track = None,
    runs_dir: RunsDir = None,
    exact: Annotated[bool, typer.Option("--exact", help="Refuse if code or library versions have changed.")] = False,
    break_lock: BreakLock = False,
    as_json: Json = False,
) -> None:
    """Carry on a run bit for bit from its newest checkpoint."""
    use_plugin(plugin)
    session = open_session(backend, workers, address, grace, as_json, skip_poison)._replace(track=track)
    from evoplastic.runs import RunFolder
    from evoplastic.runs import runs_dir as resolve_runs_dir
    from evoplastic.sinks import check_sink

    check_sink(track)
    _resume(session, RunFolder.open(run, resolve_runs_dir(runs_dir)), generations, exact=exact, break_lock=break_lock)


def evaluate(
    run: RunName,
    tasks: Annotated[str | None, typer.Option(help="Comma-separated task names; default: all.")] = None,
    lives: Annotated[int | None, typer.Option(min=1, help="Lives per task and condition.")] = None,
    controls: Annotated[str | None, typer.Option(help="all, or lesions such as plasticity_off,rule.eta@0.5.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the evaluation's stimuli and noise.")] = 0,
    plugin: Plugin = None,
    backend: Backend = "threads",
    workers: Workers = None,
    address: Address = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Score the evolved center on training and withheld tasks, beside generation 0 and lesions."""
    use_plugin(plugin)
    session = open_session(backend, workers, address, None, as_json)
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


def _warm_start(
    session: Session, config: RunConfig, source: str | None, fresh: str | None, runs: Path
) -> tuple[RunConfig, Genotype | None]:
    """Return the settings, and the genes they start from where those are of `source`."""
    if source is None:
        return config, None
    from evoplastic.warm_start import warm_start

    warm = warm_start(config, source, names(fresh or ""), runs, session.screen.warn)
    session.screen.say(warm.in_words())
    return warm.config, warm.start


def _same_settings(folder: RunFolder, config: RunConfig, source: str | None, fresh: Sequence[str]) -> None:
    """Raise UserError if the run in `folder` is of other settings than those of the command that would resume it."""
    import msgspec

    from evoplastic.config import deciding, difference
    from evoplastic.launch import stored_config
    from evoplastic.warm_start import check_same_start

    stored = stored_config(folder)
    if source is not None:
        check_same_start(folder, source, fresh)
        config = msgspec.structs.replace(config, start=stored.start)
    other = difference(config, deciding(stored))
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
    from evoplastic.sinks import tracking

    screen = session.screen
    screen.introduce(run)
    with (
        screen.progress(run) as show,
        tracking(session.track, run.folder, run.state.generation, screen.warn) as tell,
    ):

        def watch(record: Record) -> None:
            show(record)
            tell(record.metrics)

        ended = carry_on(run, evaluator, session.stop, watch, screen.warn if session.skip_poison else None)
    if not ended.finished:
        screen.say(f"stopped at generation {ended.state.generation}; carry on with:")
        screen.say(f"    evoplastic resume {ended.folder.path}{option()}")
        raise typer.Exit(INTERRUPTED)
    if not session.evaluates:
        return
    settings = ended.config.evaluation
    _evaluate(session, ended, evaluator, EvaluationRequest(settings.lives, settings.controls))


def _evaluate(session: Session, run: Run, evaluator: Evaluator, request: EvaluationRequest) -> None:
    """Evaluate, write evaluation/ and, unless only some tasks were asked for, analysis/; show the table."""
    from evoplastic.analysis.evaluation import evaluate
    from evoplastic.analysis.figures import run_figures
    from evoplastic.champions import judge
    from evoplastic.evaluators.contract import Abandoned

    screen = session.screen
    session.stop.patience = 1
    try:
        with screen.waiting("evaluating the evolved center") as tell:
            evaluated = evaluate(run.search, run.center, evaluator, request, done=lambda condition: tell(condition))
            judged = judge(run, evaluator)
    except Abandoned:
        screen.say(f"evaluation abandoned; repeat it with:\n    evoplastic evaluate {run.folder.path}{option()}")
        raise typer.Exit(INTERRUPTED) from None
    generation = run.state.generation
    result = {"run": run.folder.path.name, "generation": generation, **evaluated.result}
    if judged:
        result["elites"] = judged
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
    from evoplastic.champions import in_words

    if session.as_json:
        print(json.dumps(result, allow_nan=False), file=session.out)
    session.screen.table(table(result))
    withheld = (
        f"Withheld {listed(result['withheld'])}: {result['fold']}." if result["withheld"] else "Nothing withheld."
    )
    elites = [in_words(result["elites"])] if "elites" in result else []
    for line in (headline(result), withheld, result["privileged"], *result["notes"], *elites):
        session.screen.say(line)
