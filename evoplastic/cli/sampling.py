"""Commands that draw meta-tasks at random and that prove what a meta-task asks of a learner."""

from __future__ import annotations

import json
import shlex
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoplastic.cli import certificates
from evoplastic.cli.options import Json
from evoplastic.errors import UserError

if TYPE_CHECKING:
    from evoplastic.tasks.meta.sampling.sample import Sample, Sampled
    from evoplastic.tasks.meta.sampling.settings import SampleSettings
    from evoplastic.tasks.meta.solvers.certificate import Certificate

FORMAT = "evoplastic.sample"
ABOUT = "sample.json"  # written last of all but pictures, so that a folder with it is complete
_ACCOUNT = {"examined", "rejected", "occupied_bins", "bins", "tasks"}  # what it holds beside what was asked for
_SHOWN = ("random", "blind", "bayes", "oracle", "adapting", "memory")


def sample_tasks(
    count: Annotated[int, typer.Option("-n", "--n", min=1, max=100_000, help="How many.")],
    out: Annotated[str, typer.Option("-o", "--out", metavar="DIR", help="A new or empty folder.")],
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Equal seeds and settings give equal tasks.")] = 0,
    kind: Annotated[str, typer.Option(metavar="KIND", help="certified or published.")] = "certified",
    as_released: Annotated[
        bool, typer.Option("--as-released", help="The published generator with the bugs it was released with.")
    ] = False,
    horizon: Annotated[int | None, typer.Option(min=1, help="Decisions of an instance; default 20.")] = None,
    adapting: Annotated[
        float | None, typer.Option(help="Least that adapting to reward is worth per decision; default .05.")
    ] = None,
    learnable: Annotated[
        float | None, typer.Option(help="Least that the best learner earns beyond random play; default .05.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another setting, such as most_states=3.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; the tasks are the same for any number.")] = 1,
    pictures: Annotated[bool, typer.Option("--pictures", help="Draw each task into NAME.png.")] = False,
    as_json: Json = False,
) -> None:
    """Draw random meta-tasks of which it is proven that adapting pays, with their certificates; or published ones."""
    from evoplastic.progress import Screen

    named: dict[str, Any] = {"horizon": horizon, "adapting": adapting, "learnable": learnable}
    named["repaired"] = False if as_released else None
    settings = _settings(seed, kind, {key: value for key, value in named.items() if value is not None}, set_ or ())
    folder, screen = Path(out), Screen(to_stderr=as_json)
    document = _found(folder, settings, count)
    if document is None:
        document = _drawn(folder, settings, count, workers)
    else:
        print(f"{folder} holds this sample already; nothing is drawn anew", file=sys.stderr)
    if pictures:
        _draw(folder, [task["name"] for task in document["tasks"]])
    if as_json:
        print(json.dumps(document, allow_nan=False))
    screen.table(_rows(document["tasks"]))
    for line in _told(document, folder):
        screen.say(line)


def certify_tasks(
    names: Annotated[
        list[str], typer.Argument(metavar="SPEC ...", help="Names of meta-tasks, or spec files.", show_default=False)
    ],
    full: Annotated[
        bool, typer.Option("--full", help="Grow the solution as far as memory goes before giving bounds.")
    ] = False,
    horizon: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Decisions of an instance; default: the spec's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Prove what each meta-task asks of a learner: what adapting to reward, memory and knowledge are worth."""
    import msgspec

    from evoplastic.progress import Screen
    from evoplastic.tasks.meta.decode import decode
    from evoplastic.tasks.meta.reading import read_meta_task
    from evoplastic.tasks.meta.solvers.certify import certify

    specs = {name: read_meta_task(name) for name in names}
    screen, found = Screen(to_stderr=as_json), {}
    for name, spec in specs.items():
        program = decode(spec if horizon is None else msgspec.structs.replace(spec, horizon=horizon))
        try:
            with Screen(to_stderr=True).waiting(f"certifying {name}"):
                found[name] = certify(program, full)
        except UserError as error:
            print(f"evoplastic: {name}: {error}", file=sys.stderr)
            continue
        _say(screen, name, found[name])
    if as_json:
        print(json.dumps({name: certificates.as_json(certificate) for name, certificate in found.items()}))
    if len(found) < len(specs):
        raise typer.Exit(2)


def _settings(seed: int, kind: str, named: dict[str, Any], others: Sequence[str]) -> SampleSettings:
    from evoplastic.tasks.meta.sampling.parsing import parse_settings

    settings = {"seed": seed, "kind": kind, **named}
    for other in others:
        key, equals, text = (part.strip() for part in other.partition("="))
        if not equals:
            raise UserError(f"--set must look like most_states=3, got {other!r}")
        if key in settings:
            raise UserError(f"--set {other}: {key} is given twice, or has an option of its own; give it once, by that")
        try:
            settings[key] = tomllib.loads(f"value = {text}")["value"]
        except ValueError:
            settings[key] = text
    found = parse_settings(settings)
    if found.kind != "published" and not found.repaired:
        raise UserError("--as-released is said of the published generator; add --kind published, or leave it out")
    return found


def _asked(settings: SampleSettings, count: int) -> dict[str, Any]:
    """Return what decides a sample, in the words of JSON."""
    import msgspec

    return {"format": FORMAT, "version": 1, "count": count, "settings": msgspec.to_builtins(settings)}


def _found(folder: Path, settings: SampleSettings, count: int) -> dict[str, Any] | None:
    """Return what a folder says of the very sample asked for; None if it is new or empty; else UserError."""
    from evoplastic.files import read_json

    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    asked = _asked(settings, count)
    found = read_json(folder / ABOUT) if (folder / ABOUT).is_file() else {}
    if isinstance(found, dict) and {key: found.get(key) for key in asked} == asked and found.keys() >= _ACCOUNT:
        _check_specs(folder, found)
        return found
    holds = "a sample of other settings" if found else "something else"
    raise UserError(f"{folder} holds {holds}; choose a new folder with -o, or empty this one")


def _check_specs(folder: Path, document: dict[str, Any]) -> None:
    """Raise UserError where a spec of a sample is gone."""
    for task in document["tasks"]:
        if not (folder / f"{task['name']}.json").is_file():
            raise UserError(f"{folder} lacks {task['name']}.json of its sample; put it back, or empty the folder")


def _drawn(folder: Path, settings: SampleSettings, count: int, workers: int) -> dict[str, Any]:
    """Draw the sample, write all of it into the folder and return what is said of it."""
    from evoplastic.errors import writing
    from evoplastic.files import write_together
    from evoplastic.progress import Screen
    from evoplastic.tasks.meta.sampling.sample import sample
    from evoplastic.tasks.meta.writing import as_file

    with Screen(to_stderr=True).waiting("examining candidates") as tell:
        drawn = sample(settings, count, workers, lambda examined, accepted: tell(f"{accepted} accepted, {examined}"))
    document = {**_asked(settings, count), **_account(drawn)}
    files: dict[Path, bytes] = {}
    for task in drawn.tasks:
        path = folder / f"{task.name}.json"
        files[path] = as_file(task.spec).encode()
        if task.certificate is not None:
            files[certificates.certificate_path(path)] = certificates.as_file(task.certificate)
    files[folder / ABOUT] = f"{json.dumps(document, indent=2, allow_nan=False)}\n".encode()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_together(files)
    return document


def _account(drawn: Sample) -> dict[str, Any]:
    """Return what is said of a sample, in the words of JSON."""
    from evoplastic.tasks.meta.sampling.coverage import coverage

    covered = coverage(task.place for task in drawn.tasks if task.place is not None)
    return {
        "examined": drawn.examined,
        "rejected": drawn.rejected,
        "occupied_bins": covered.occupied,
        "bins": [{"bin": place, "tasks": number} for place, number in covered.counts.items()],
        "tasks": [_task(task) for task in drawn.tasks],
    }


def _task(task: Sampled) -> dict[str, Any]:
    values = None if task.certificate is None else _values(task.certificate)
    place = None if task.place is None else task.place._asdict()
    return {"name": task.name, "number": task.number, "class": task.canonical, "values": values, "place": place}


def _values(certificate: Certificate) -> dict[str, Any]:
    return {**certificate.proven, "memory": certificate.memory, "steps_to_90": certificate.steps_to_90}


def _draw(folder: Path, names: Sequence[str]) -> None:
    """Draw the pictures that are not there yet."""
    from evoplastic.analysis.task_figures import draw_task
    from evoplastic.progress import Screen
    from evoplastic.tasks.meta.reading import read_meta_task

    missing = [name for name in names if not (folder / f"{name}.png").exists()]
    with Screen(to_stderr=True).waiting("drawing") as tell:
        for number, name in enumerate(missing):
            file = str(folder / f"{name}.json")
            spec = read_meta_task(file)
            draw_task(spec, name, folder / f"{name}.png", certificates.certificate_beside(file, spec))
            tell(f"{number + 1} of {len(missing)}")


def _rows(tasks: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    rows = []
    for task in tasks:
        values = task["values"]
        shown = [f"{values[name]:.3f}" for name in _SHOWN] if values else [""] * len(_SHOWN)
        rows.append((task["name"], *shown, str(values["steps_to_90"]) if values else ""))
    return [("name", *_SHOWN, "steps"), *rows]


def _told(document: dict[str, Any], folder: Path) -> list[str]:
    """Return the lines below the table: what was rejected for what, and how to go on."""
    first = folder / f"{document['tasks'][0]['name']}.json"
    quoted = shlex.quote(str(first))
    held = "specs and" if document["tasks"][0]["values"] is None else "specs, certificates, and"
    return [
        f"{document['count']} of {document['examined']} candidates; the others, by the first reason to reject them:",
        *(f"    {number:6}  {reason}" for reason, number in document["rejected"].items()),
        f"In {folder}: {held} {ABOUT}. To look at one, to prove its values, to evolve on it:",
        f"    evoplastic tasks show {quoted}",
        f"    evoplastic tasks certify {quoted}",
        f"    {_run(first)}",
    ]


def _run(file: Path) -> str:
    """Return a command that evolves on a task as a preset does on another, with units for its stimuli and actions."""
    from evoplastic.tasks.meta.decode import decode
    from evoplastic.tasks.meta.reading import read_meta_task

    program = decode(read_meta_task(str(file)))
    roles = {"stimulus": program.units, "echo": len(program.actions), "response": len(program.actions)}
    changes = {"task.specs": json.dumps([str(file)]), "scored_trials": program.spec.horizon}
    changes |= {f"network.roles.{role}": units for role, units in roles.items() if units}
    sets = (shlex.quote(f"problem.{key}={value}") for key, value in changes.items())
    return " ".join(["evoplastic run t-maze --name", file.stem, *(f"--set {change}" for change in sets)])


def _say(screen: Any, name: str, certificate: Certificate) -> None:
    """Print a certificate: what follows from it, the table of policies, and whether the sampler would take the task."""
    from evoplastic.tasks.meta.phrases import filled

    screen.say(f"{name}\n")
    screen.table(certificates.policies(certificate))
    screen.say("")
    for sentence in certificates.explained(certificate):
        screen.say(filled(sentence))
    screen.say("")
