"""The commands. Each parses, calls, presents; heavy imports wait until a command needs them.

Exit codes: 0 done; 2 the user's mistake, told in one sentence; 130 interrupted, with a checkpoint written.
"""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from evoplastic import __version__
from evoplastic.cli import analyzing, groups, looking, members, rules, running, tasks, tuning
from evoplastic.errors import UserError
from evoplastic.plugins import blame

app = typer.Typer(
    help="Evolve plastic networks that learn cognitive tasks within their own lifetime.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    running.run,
    running.resume,
    running.evaluate,
    analyzing.analyze,
    members.replay,
    members.export,
    members.record,
    groups.sweep,
    groups.compare,
    tuning.tune,
    looking.presets,
    looking.bench,
    looking.plan,
):
    app.command()(command)
app.add_typer(tasks.tasks_app, name="tasks")
app.add_typer(rules.rules_app, name="rules")


def main() -> NoReturn:
    """Run the command line and exit."""
    try:
        app()
    except UserError as error:
        print(f"evoplastic: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        told = blame(error)
        if told is None:
            raise
        print(f"evoplastic: {told}", file=sys.stderr)
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
