"""Commands about plasticity rules: what there is, what one is, what a run made of it, whether one's own is sound."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evoplastic.cli.options import Json, Plugin, RunsDir
from evoplastic.errors import UserError, nearest
from evoplastic.plugins import use_plugin

if TYPE_CHECKING:
    from evoplastic.rules.contract import RuleSettings
    from evoplastic.rules.describing import Coefficient

rules_app = typer.Typer(help="Plasticity rules.", no_args_is_help=True, rich_markup_mode=None)

FORMAT, VERSION = "evoplastic.rules", 1
_SUMMARY = 88  # characters of it in the list


@rules_app.command("list")
def list_rules(plugin: Plugin = None, as_json: Json = False) -> None:
    """List the rules that a run file may name, with those of a plugin."""
    import textwrap

    use_plugin(plugin)
    from evoplastic.progress import Screen

    rules = [_described(name, kind) for name, kind in _rules().items()]
    if as_json:
        print(json.dumps(_document(rules), allow_nan=False))
        return
    rows = [("rule", "third factor", "summary")]
    for rule in rules:
        summary = textwrap.shorten(rule["summary"], _SUMMARY, placeholder=" ...")
        rows.append((rule["name"], "yes" if rule["modulated"] else "no", summary))
    width = max(len(row[-1]) for row in rows)
    Screen().table([(*row[:-1], row[-1].ljust(width)) for row in rows])


@rules_app.command("show")
def show_rule(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A rule of `rules list`.")],
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Fill in what evolved: a run folder, or its name.")
    ] = None,
    plugin: Plugin = None,
    runs_dir: RunsDir = None,
    as_json: Json = False,
) -> None:
    """Show a rule: its equation, parameters, state and references; with --run the coefficients of an evolved center."""
    use_plugin(plugin)
    from evoplastic.progress import Screen
    from evoplastic.rules.describing import coefficient_rows, in_words, parameter_rows

    rules = _rules()
    if name not in rules:
        raise UserError(f"rule {name!r} is unknown; choose one of {list(rules)}{nearest(name, rules)}")
    rule, screen = _described(name, rules[name]), Screen(to_stderr=as_json)
    evolved, coefficients = (None, []) if run is None else _evolved(name, run, runs_dir, screen.warn)
    if as_json:
        print(json.dumps(_document([rule if evolved is None else {**rule, "run": evolved}]), allow_nan=False))
        return
    screen.say(f"{in_words(rule)}\n")
    if rule["parameters"]:
        screen.table(_flush_left(parameter_rows(rule)))
    if evolved is not None:
        screen.say(f"\nin {evolved['name']}, center of generation {evolved['generation']}:\n")
        screen.say(f"  {evolved['equation']}\n  LaTeX: {evolved['latex']}\n")
        screen.table(_flush_left(coefficient_rows(coefficients)))


@rules_app.command("check")
def check_parts(
    file: Annotated[str, typer.Argument(metavar="FILE.py", help="A plugin: rules, modulations, networks, ...")],
) -> None:
    """Hold a plugin's parts to the contracts that the package's own are held to; say what was found sound.

    Every part lives short lifetimes, compiled and in plain Python, which takes up to a minute for each.
    """
    use_plugin(file)
    from evoplastic.checks import check_parts
    from evoplastic.progress import Screen

    check_parts(Screen().say)


def _rules() -> dict[str, type[RuleSettings]]:
    from evoplastic.contracts import with_plugin
    from evoplastic.rules import RULES
    from evoplastic.rules.together import TogetherSettings

    return {**with_plugin("RULES", RULES), "together": TogetherSettings}


def _described(name: str, kind: type[RuleSettings]) -> dict[str, Any]:
    from evoplastic.plugins import plugged
    from evoplastic.rules.describing import described

    return described(name, kind, "plugin" if name in plugged("RULES") else "builtin")


def _evolved(
    name: str, source: str, runs_dir: str | None, warn: Callable[[str], None]
) -> tuple[dict[str, Any], list[Coefficient]]:
    """Return what a run made of a rule: as JSON, and its coefficients; UserError if it evolved under another rule."""
    from evoplastic.launch import load_run
    from evoplastic.rules.describing import evolved_rule
    from evoplastic.runs import runs_dir as resolve_runs_dir

    run = load_run(source, resolve_runs_dir(runs_dir))
    for warning in run.warnings:
        warn(warning)
    rule = getattr(run.config.problem, "rule", None)
    if rule is None:
        raise UserError(f"run {run.folder.path.name!r} has learners with tables, and no plasticity rule")
    if rule.__struct_config__.tag != name:
        tag = rule.__struct_config__.tag
        raise UserError(f"run {run.folder.path.name!r} evolved under the rule {tag!r}, got {name!r}; show that one")
    told, coefficients = evolved_rule(rule, run.search.problem.layout, run.center)
    return {"name": run.folder.path.name, "generation": run.state.generation, **told}, coefficients


def _document(rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"format": FORMAT, "version": VERSION, "rules": rules}


def _flush_left(rows: list[Any]) -> list[tuple[str, ...]]:
    """Return rows of equally wide cells, so that a table shows them flush left."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [tuple(cell.ljust(width) if cell else "" for cell, width in zip(row, widths)) for row in rows]
