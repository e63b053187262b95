"""Commands about tasks as data: what there is, what it is in words and in a picture, and tasks of another's format."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoplastic.cli import certificates, sampling
from evoplastic.cli.options import Json
from evoplastic.errors import UserError

if TYPE_CHECKING:
    from evoplastic.tasks.meta.language import MetaTask

tasks_app = typer.Typer(help="Task families as data.", no_args_is_help=True, rich_markup_mode=None)
tasks_app.command("sample")(sampling.sample_tasks)
tasks_app.command("certify")(sampling.certify_tasks)

Spec = Annotated[str, typer.Argument(metavar="SPEC", help="The name of a battery or meta-task, or a spec file.")]
_SUMMARY = 72  # characters of it in the list


@tasks_app.command("list")
def list_tasks() -> None:
    """List the batteries and meta-tasks that come with the package."""
    from evoplastic.progress import Screen
    from evoplastic.tasks.specs import spec_names

    rows = [_row(name) for name in spec_names()]
    head = ("name", "kind", "states", "actions", "decisions", "summary")
    width = max(len(row[-1]) for row in rows)
    Screen().table([(*row[:-1], row[-1].ljust(width)) for row in (head, *rows)])


@tasks_app.command("show")
def show_task(name: Spec, as_json: Json = False) -> None:
    """Show a battery's truth tables, or a meta-task in words, with its exact values and its file."""
    from evoplastic.tasks.meta.language import to_json
    from evoplastic.tasks.meta.reading import read_meta_task
    from evoplastic.tasks.meta.words import describe
    from evoplastic.tasks.meta.writing import as_file
    from evoplastic.tasks.truth_tables import Spec as Battery
    from evoplastic.tasks.truth_tables import describe as describe_battery

    if _is_battery(_content(name)):
        battery = Battery(name=name).resolve()
        print(json.dumps(_content(name)) if as_json else describe_battery(battery.tables))
        return
    spec = read_meta_task(name)
    if as_json:
        print(json.dumps(to_json(spec)))
        return
    certified = _certified(name, spec)
    print(f"{Path(name).stem}\n\n{describe(spec)}\n\nReward per decision", flush=True)  # may take half a minute
    print(f"{_values(spec)}\n{certified}\nFile\n{as_file(spec)}", end="")


@tasks_app.command("plot")
def plot_task(
    name: Spec,
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="FILE", help="A .png or .svg; default ./<name>.png.")
    ] = None,
) -> None:
    """Draw a meta-task: its states and where actions lead, or its plane; what is drawn, what pays. Print the path.

    The certificate that `tasks sample` put beside a spec is drawn too.
    """
    from evoplastic.analysis.task_figures import draw_task
    from evoplastic.tasks.meta.reading import read_meta_task

    if _is_battery(_content(name)):
        raise UserError(f"{name} is a battery of truth tables and has no states to draw; see `evoplastic tasks show`")
    path = Path(out or f"{Path(name).stem}.png")
    spec = read_meta_task(name)
    draw_task(spec, Path(name).stem, path, certificates.certificate_beside(name, spec))
    print(path)


@tasks_app.command("import")
def import_task(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What the published generator printed, JSON or text.")],
    out: Annotated[
        str | None, typer.Option("-o", "--out", metavar="OUT.json", help="Default ./<name>.json; never replaced then.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Default: that of FILE and '-imported'.")] = None,
    horizon: Annotated[int, typer.Option(min=1, help="Decisions of an instance; the format has none.")] = 100,
) -> None:
    """Translate meta-tasks of the published generator's format into specs. Print the paths; what is left out on stderr.

    Where a file holds several tasks, their numbers are added to the name.
    """
    from evoplastic.files import write_whole
    from evoplastic.tasks.meta.published import translated
    from evoplastic.tasks.meta.published_files import read_published
    from evoplastic.tasks.meta.writing import as_file

    source = Path(file)
    target = Path(out or f"{name or f'{source.stem}-imported'}.json")
    if target.suffix != ".json":
        raise UserError(f"a spec is a .json file, got -o {target}; give it that ending")
    published = read_published(source)
    numbers = [""] if len(published) == 1 else [f"-{number}" for number in range(1, len(published) + 1)]
    tasks = [translated(task, f"{source.name}{number}", horizon) for task, number in zip(published, numbers)]
    paths = [target.with_name(f"{target.stem}{number}.json") for number in numbers]
    for path in paths:
        if path.exists() and (out is None or path.samefile(source)):
            raise UserError(f"{path} exists already; give another file with -o")
    for task, path in zip(tasks, paths):
        write_whole(path, as_file(task.spec).encode())
        for note in task.notes:
            print(f"{path}: {note}", file=sys.stderr)
        print(path)


def _content(name: str) -> Any:
    """Return what a spec's file holds; None where it is no JSON, which its reader will tell."""
    from evoplastic.tasks.specs import find_spec

    try:
        return json.loads(find_spec(name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _is_battery(content: Any) -> bool:
    from evoplastic.tasks.truth_tables import FORMAT

    return isinstance(content, dict) and content.get("format") == FORMAT


def _row(name: str) -> tuple[str, ...]:
    import textwrap

    from evoplastic.tasks.meta.decode import decode
    from evoplastic.tasks.meta.reading import read_meta_task

    content = _content(name)
    summary = textwrap.shorten(str(content.get("summary", "")), _SUMMARY, placeholder=" ...")
    if _is_battery(content):
        return name, "battery  ", "", "", "", summary
    program = decode(read_meta_task(name))
    sizes = len(program.states), len(program.actions), program.spec.horizon
    return name, "meta-task", *map(str, sizes), summary


def _certified(name: str, spec: MetaTask) -> str:
    """Return the paragraph about the certificate that lies beside a spec, if there is one."""
    from evoplastic.tasks.meta.phrases import filled

    certificate = certificates.certificate_beside(name, spec)
    return "" if certificate is None else f"\nCertified\n{filled(certificates.headline(certificate), 2)}\n"


def _values(spec: MetaTask) -> str:
    """Return what play at random, the best fixed policy and one who knows the instance earn, or why that is open."""
    from evoplastic.tasks.meta.decode import decode
    from evoplastic.tasks.meta.solvers.fixed_policies import best_fixed
    from evoplastic.tasks.meta.solvers.values import values

    program = decode(spec)
    try:
        exact, fixed = values(program), best_fixed(program)
    except UserError as error:
        return f"  not computed: {error}"
    bound = "" if fixed.exact else " or more"
    return (
        f"  {'acting at random':28} {exact.random:.4f}\n"
        f"  {'best fixed policy':28} {fixed.value:.4f}{bound}\n"
        f"  {'who knows the instance':28} {exact.oracle:.4f}"
    )
