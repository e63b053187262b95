"""The commands. Each parses, calls, presents; heavy imports wait until a command needs them.

Exit codes: 0 done; 2 the user's mistake, told in one sentence; 130 interrupted, with a checkpoint written.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from evoplastic import __version__
from evoplastic.errors import UserError

if TYPE_CHECKING:
    from evoplastic.analysis.evaluation import EvaluationRequest
    from evoplastic.evaluators.contract import Evaluator
    from evoplastic.launch import Run
    from evoplastic.progress import Screen
    from evoplastic.stop import StopRequest

app = typer.Typer(
    help="Evolve plastic networks that learn cognitive tasks within their own lifetime.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
tasks_app = typer.Typer(help="Task families as data.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(tasks_app, name="tasks")

INTERRUPTED = 130

Set = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a key of the run file.")]
Generations = Annotated[int | None, typer.Option(min=1, help="Total number of generations, never an increment.")]
Backend = Annotated[str, typer.Option(help="Where lives are computed.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Default: the cores this process may use.")]
RunsDir = Annotated[str | None, typer.Option(help="Folder of runs; default $EVOPLASTIC_RUNS, else ./runs.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, everything else on stderr.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or its name in the folder of runs.")]
BreakLock = Annotated[bool, typer.Option("--break-lock", help="Take the run from a process that holds it.")]


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        app()
    except UserError as error:
        print(f"evoplastic: {error}", file=sys.stderr)
        sys.exit(2)
    raise AssertionError("unreachable: the command line exits by itself")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"evoplastic {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True)] = False,
) -> None:
    pass


@app.command()
def run(
    source: Annotated[str, typer.Argument(metavar="PRESET|FILE.toml", help="A preset's name or a run file.")],
    set_: Set = None,
    name: Annotated[str | None, typer.Option(help="Name of the run's folder; must be new.")] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    generations: Generations = None,
    backend: Backend = "threads",
    workers: Workers = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Evolve, evaluate, draw."""
    stop = _listen()
    from evoplastic.config import read_config
    from evoplastic.launch import start_run
    from evoplastic.progress import Screen
    from evoplastic.runs import runs_dir as resolve_runs_dir

    _check_backend(backend)  # before there is a folder
    config = read_config(source, set_ or (), seed=seed, generations=generations)
    started = start_run(config, resolve_runs_dir(runs_dir), name, command=["evoplastic", *sys.argv[1:]])
    screen = Screen(to_stderr=as_json)
    screen.introduce(started)
    with started.folder.lock():
        _evolve(started, stop, screen, backend, workers, as_json)


@app.command()
def resume(
    run: RunName,
    generations: Generations = None,
    backend: Backend = "threads",
    workers: Workers = None,
    runs_dir: RunsDir = None,
    exact: Annotated[bool, typer.Option("--exact", help="Refuse if code or library versions have changed.")] = False,
    break_lock: BreakLock = False,
    as_json: Json = False,
) -> None:
    """Carry on a run bit for bit from its newest checkpoint."""
    stop = _listen()
    from evoplastic.launch import load_run, note_resume, resume_differences
    from evoplastic.progress import Screen
    from evoplastic.runs import RunFolder
    from evoplastic.runs import runs_dir as resolve_runs_dir

    _check_backend(backend)
    folder = RunFolder.open(run, resolve_runs_dir(runs_dir))
    screen = Screen(to_stderr=as_json)
    with folder.lock(break_lock):
        found = load_run(folder, generations=generations)
        differences = resume_differences(found)
        if exact and differences:
            raise UserError(f"--exact refuses to carry on {folder.path.name!r}: {'; '.join(differences)}")
        for warning in found.warnings:
            screen.warn(warning)
        if differences:
            screen.warn(f"the run may not go on bit for bit: {'; '.join(differences)}")
        evaluations = folder.evaluations(found.state.generation) if found.finished else []
        if evaluations:
            screen.say(f"{folder.path} is finished; its last evaluation:")
            _show(evaluations[-1], screen, as_json)
            return
        screen.introduce(found)
        note_resume(found, ["evoplastic", *sys.argv[1:]], differences)
        _evolve(found, stop, screen, backend, workers, as_json)


@app.command()
def evaluate(
    run: RunName,
    tasks: Annotated[str | None, typer.Option(help="Comma-separated task names; default: all.")] = None,
    lives: Annotated[int | None, typer.Option(min=1, help="Lives per task and condition.")] = None,
    controls: Annotated[str | None, typer.Option(help="all, or comma-separated lesions.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the evaluation's stimuli and noise.")] = 0,
    backend: Backend = "threads",
    workers: Workers = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Score the evolved center on training and withheld tasks, beside generation 0 and lesions."""
    stop = _listen()
    from evoplastic.analysis.evaluation import EvaluationRequest
    from evoplastic.launch import load_run
    from evoplastic.progress import Screen
    from evoplastic.runs import runs_dir as resolve_runs_dir

    _check_backend(backend)
    found = load_run(run, resolve_runs_dir(runs_dir))
    screen = Screen(to_stderr=as_json)
    for warning in found.warnings:
        screen.warn(warning)
    settings = found.config.evaluation
    chosen = settings.controls if controls is None else _names(controls)
    request = EvaluationRequest(lives or settings.lives, chosen, None if tasks is None else _names(tasks), seed)
    _evaluate(found, _evaluator(backend, found, workers, stop), stop, request, screen, as_json)


@app.command()
def presets() -> None:
    """List the presets, with the novelty of what each withholds."""
    from evoplastic.config import preset_names, read_config

    for name in preset_names():
        config = read_config(name)
        print(f"{name:34} {config.summary} [{config.problem.withholding()}]")


@app.command()
def bench(
    preset: Annotated[str, typer.Argument(metavar="PRESET")] = "icml2023",
    as_json: Json = False,
) -> None:
    """Measure this machine: steps, lifetimes, generations, compilation, memory."""
    from evoplastic.bench import measure, rows
    from evoplastic.progress import Screen

    screen = Screen(to_stderr=as_json)
    result = measure(preset, tell=screen.say)
    if as_json:
        print(json.dumps(result))
    else:
        screen.table(rows(result))


@tasks_app.command("list")
def list_tasks() -> None:
    """List the batteries and their tasks."""
    from evoplastic.tasks.specs import spec_names
    from evoplastic.tasks.truth_tables import Spec

    for name in spec_names():
        tables = Spec(name=name).resolve().tables
        print(f"{name}: {', '.join(tables)}")


@tasks_app.command("show")
def show_tasks(name: Annotated[str, typer.Argument(metavar="SPEC", help="A battery's name or a spec file.")]) -> None:
    """Show a battery's truth tables, the negation of each task, and whether withholding the pair is novel."""
    from evoplastic.tasks.truth_tables import Spec, describe

    print(describe(Spec(name=name).resolve().tables))


def _evolve(run: Run, stop: StopRequest, screen: Screen, backend: str, workers: int | None, as_json: bool) -> None:
    """Evolve to the end, then evaluate and draw; or stop on a signal, save, say how to go on, and exit."""
    from evoplastic.analysis.evaluation import EvaluationRequest
    from evoplastic.launch import carry_on

    evaluator = _evaluator(backend, run, workers, stop)
    with screen.progress(run) as watch:
        ended = carry_on(run, evaluator, stop, watch)
    if not ended.finished:
        screen.say(f"stopped at generation {ended.state.generation}; carry on with:")
        screen.say(f"    evoplastic resume {ended.folder.path}")
        raise typer.Exit(INTERRUPTED)
    settings = ended.config.evaluation
    _evaluate(ended, evaluator, stop, EvaluationRequest(settings.lives, settings.controls), screen, as_json)


def _evaluate(
    run: Run, evaluator: Evaluator, stop: StopRequest, request: EvaluationRequest, screen: Screen, as_json: bool
) -> None:
    """Evaluate, write evaluation/ and, unless only some tasks were asked for, analysis/; show the table."""
    from evoplastic.analysis.evaluation import evaluate
    from evoplastic.analysis.figures import run_figures
    from evoplastic.evaluators.contract import Abandoned

    stop.patience = 1
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
    _show(result, screen, as_json)
    screen.say(f"evaluation: {written}")
    for picture in pictures:
        if picture.suffix == ".png":
            screen.say(f"picture:    {picture}")


def _show(result: dict[str, Any], screen: Screen, as_json: bool) -> None:
    """Print an evaluation: its table and what it says in words; as JSON too if asked."""
    from evoplastic.analysis.evaluation import headline, rows

    if as_json:
        print(json.dumps(result, allow_nan=False))
    screen.table([("accuracy", "training tasks", "withheld tasks", "worst training task", "lives"), *rows(result)])
    withheld = (
        f"Withheld {', '.join(result['withheld'])}: {result['fold']}." if result["withheld"] else "Nothing withheld."
    )
    for line in (headline(result), withheld, result["privileged"], *result["notes"]):
        screen.say(line)


def _listen() -> StopRequest:
    """Let Ctrl-C and SIGTERM finish the work under way, and asked again abandon it; return where they are counted."""
    import os
    import signal

    from evoplastic.stop import StopRequest

    stop = StopRequest()

    def hear(number: int, frame: object) -> None:
        stop.ask()
        # Straight to the descriptor: a handler that interrupts a print must not print.
        told = b"abandoning it\n" if stop.abandon() else b"finishing this generation; interrupt again to abandon it\n"
        os.write(2, told)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hear)
    return stop


def _check_backend(backend: str) -> None:
    from evoplastic.errors import nearest
    from evoplastic.evaluators import EVALUATORS

    if backend not in EVALUATORS:
        known = list(EVALUATORS)
        raise UserError(f"backend {backend!r} is unknown; choose one of {known}{nearest(backend, known)}")


def _evaluator(backend: str, run: Run, workers: int | None, stop: StopRequest) -> Evaluator:
    from evoplastic.evaluators import EVALUATORS

    return EVALUATORS[backend](run.search.problem, workers, stop.abandon)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
