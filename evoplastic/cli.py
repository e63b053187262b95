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
    from evoplastic.evaluators.contract import Evaluator
    from evoplastic.launch import Run, StopRequest
    from evoplastic.progress import Screen

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
    from evoplastic.config import read_config
    from evoplastic.launch import start_run
    from evoplastic.progress import Screen
    from evoplastic.runs import runs_dir as resolve_runs_dir

    _check_backend(backend)  # before there is a folder
    config = read_config(source, set_ or (), seed=seed, generations=generations)
    started = start_run(config, resolve_runs_dir(runs_dir), name, command=["evoplastic", *sys.argv[1:]])
    screen = Screen(to_stderr=as_json)
    screen.introduce(started)
    _evolve(started, screen, backend, workers, break_lock=False, as_json=as_json)


@app.command()
def resume(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or its name in the folder of runs.")],
    generations: Generations = None,
    backend: Backend = "threads",
    workers: Workers = None,
    runs_dir: RunsDir = None,
    exact: Annotated[bool, typer.Option("--exact", help="Refuse if code or library versions have changed.")] = False,
    break_lock: BreakLock = False,
    as_json: Json = False,
) -> None:
    """Carry on a run bit for bit from its newest checkpoint."""
    from evoplastic.launch import load_run, note_resume, resume_differences
    from evoplastic.progress import Screen
    from evoplastic.runs import runs_dir as resolve_runs_dir

    found = load_run(run, resolve_runs_dir(runs_dir), generations)
    differences = resume_differences(found)
    if exact and differences:
        raise UserError(f"--exact refuses to carry on {found.folder.path.name!r}: {'; '.join(differences)}")
    screen = Screen(to_stderr=as_json)
    for warning in found.warnings:
        screen.warn(warning)
    if differences:
        screen.warn(f"the run may not go on bit for bit: {'; '.join(differences)}")
    screen.introduce(found)
    note = lambda: note_resume(found, ["evoplastic", *sys.argv[1:]], differences)  # noqa: E731
    _evolve(found, screen, backend, workers, break_lock, as_json, when_locked=note)


@app.command()
def evaluate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or its name in the folder of runs.")],
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
    from evoplastic.launch import load_run
    from evoplastic.progress import Screen
    from evoplastic.runs import runs_dir as resolve_runs_dir

    found = load_run(run, resolve_runs_dir(runs_dir))
    screen = Screen(to_stderr=as_json)
    for warning in found.warnings:
        screen.warn(warning)
    settings = found.config.evaluation
    chosen = _names(controls) if controls is not None else list(settings.controls)
    evaluator = _evaluator(backend, found, workers)
    _present(found, evaluator, screen, lives or settings.lives, chosen, _names(tasks), seed, as_json)


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


def _evolve(
    started: Run,
    screen: Screen,
    backend: str,
    workers: int | None,
    break_lock: bool,
    as_json: bool,
    when_locked: Any = lambda: None,
) -> None:
    """Evolve to the end, then evaluate and draw; or stop on a signal, save, say how to go on, and exit."""
    from evoplastic.evaluators.contract import Abandoned
    from evoplastic.launch import StopRequest, carry_on

    stop = StopRequest()
    evaluator = _evaluator(backend, started, workers, stop)
    with started.folder.lock(break_lock):
        when_locked()
        _listen(stop, screen)
        with screen.progress(started) as watch:
            ended = carry_on(started, evaluator, stop, watch)
        if not ended.finished:
            screen.say(f"stopped at generation {ended.state.generation}; carry on with:")
            screen.say(f"    evoplastic resume {ended.folder.path}")
            raise typer.Exit(INTERRUPTED)
        settings = ended.config.evaluation
        try:
            _present(ended, evaluator, screen, settings.lives, list(settings.controls), None, 0, as_json)
        except Abandoned:
            screen.say(f"evaluation abandoned; repeat it with:\n    evoplastic evaluate {ended.folder.path}")
            raise typer.Exit(INTERRUPTED) from None


def _listen(stop: StopRequest, screen: Screen) -> None:
    """Let Ctrl-C and SIGTERM finish the generation; a second one abandons it."""
    import signal

    def hear(number: int, frame: object) -> None:
        stop.ask()
        screen.say("abandoning it" if stop.abandon() else "finishing this generation; interrupt again to abandon it")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hear)


def _check_backend(backend: str) -> None:
    from evoplastic.errors import nearest
    from evoplastic.evaluators import EVALUATORS

    if backend not in EVALUATORS:
        known = list(EVALUATORS)
        raise UserError(f"backend {backend!r} is unknown; choose one of {known}{nearest(backend, known)}")


def _evaluator(backend: str, run: Run, workers: int | None, stop: StopRequest | None = None) -> Evaluator:
    from evoplastic.evaluators import EVALUATORS

    _check_backend(backend)
    abandon = stop.abandon if stop else lambda: False
    return EVALUATORS[backend](run.search.problem, workers, abandon)


def _present(
    run: Run,
    evaluator: Evaluator,
    screen: Screen,
    lives: int,
    controls: list[str] | None,
    tasks: list[str] | None,
    seed: int,
    as_json: bool,
) -> None:
    """Evaluate, write evaluation/ and analysis/, show the table and where the pictures are."""
    from evoplastic.analysis.evaluation import evaluate, headline, learning_curves, rows
    from evoplastic.analysis.figures import run_figures
    from evoplastic.files import write_json

    with screen.waiting("evaluating the evolved center"):
        result = evaluate(
            run.search,
            run.center,
            evaluator,
            lives,
            controls or (),
            tasks,
            seed,
            run=run.folder.path.name,
            generation=run.state.generation,
        )
        curves = learning_curves(run.search, run.center, evaluator, lives, tasks, seed)
    folder = run.folder.path
    written = folder / "evaluation" / f"gen-{run.state.generation:08d}-seed{seed}.json"
    write_json(written, result)
    with screen.waiting("drawing"):
        pictures = run_figures(folder / "analysis", run.folder.metrics(), result, curves)
    if as_json:
        print(json.dumps(result))
    screen.table([("accuracy", "training tasks", "withheld pair", "worst training task", "lives"), *rows(result)])
    told = f"Withheld: {result['fold']}. {result['privileged']}"
    for line in (headline(result), told, *result["notes"]):
        screen.say(line)
    screen.say(f"evaluation: {written}")
    for picture in pictures:
        if picture.suffix == ".png":
            screen.say(f"picture:    {picture}")


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
