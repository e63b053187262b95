"""What a part must have to be used: its settings, and the methods that fill the open functions.

The package's own parts are held to it by a test, those of a plugin whenever they are put into a table. What a part does
is checked by `checks`.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import msgspec

import evoplastic.modulation.contract
import evoplastic.networks.contract
import evoplastic.rules.contract
import evoplastic.strategies.contract
import evoplastic.tasks.contract
from evoplastic.errors import UserError
from evoplastic.modulation.contract import ModulationSettings
from evoplastic.plugins import line_of, plugged
from evoplastic.rules.contract import Account, RuleSettings
from evoplastic.strategies.contract import Strategy
from evoplastic.tasks.family import Family

MOST_ARRAYS = 8  # in a struct; more were measured to cost every step


class Part(NamedTuple):
    """A kind of part: what its settings derive from, and where its open functions stand."""

    called: str
    settings: type
    contract: ModuleType
    needs: tuple[str, ...] = ("build",)  # of its settings
    fields: tuple[str, ...] = ()  # of its struct, which others set or read


PARTS: Mapping[str, Part] = {
    "RULES": Part("rule", RuleSettings, evoplastic.rules.contract),
    "MODULATIONS": Part(
        "modulation", ModulationSettings, evoplastic.modulation.contract, ("build", "told"), ("strength",)
    ),
    "NETWORKS": Part(
        "network", msgspec.Struct, evoplastic.networks.contract, ("build", "places", "blocks"), ("innate", "gain")
    ),
    "TASKS": Part(
        "task",
        Family,
        evoplastic.tasks.contract,
        (
            *("build", "resolve", "trials", "life_trials", "tasks_per_life", "newborn_tasks", "names", "withheld"),
            *("scale", "told", "training", "eligible", "pairs", "withholding", "folds"),
        ),
        ("levels", "shuffled", "reset_activity"),
    ),
    "STRATEGIES": Part("strategy", msgspec.Struct, evoplastic.strategies.contract),
}


def with_plugin(table: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table of the package's `own` parts with the plugin's after them.

    UserError for one whose name is taken, or that breaks its contract.
    """
    added = plugged(table)
    for name, settings in added.items():
        if name in own:
            raise UserError(f"{line_of(None)}: {table} has {name!r}, which comes with evoplastic; choose another name")
        wrong = flaw(table, name, settings)
        if wrong:
            raise UserError(wrong)
    return {**own, **added}


def flaw(table: str, name: str, settings: Any) -> str | None:
    """Return in a sentence the first thing that keeps a plugin's part from being used, None if nothing does."""
    part = PARTS[table]
    build = getattr(settings, "build", None)
    where = f"{line_of(build)}: {part.called} {name!r}"
    if not (inspect.isclass(settings) and issubclass(settings, part.settings)):
        base = f"{part.settings.__module__}.{part.settings.__qualname__}"
        return f"{where} must be a class derived from {base}, got {settings!r}"
    struct: Any = settings
    config = struct.__struct_config__
    if (config.tag_field, config.tag) != ("type", name) or not (config.frozen and config.forbid_unknown_fields):
        return (
            f'{where} needs settings with tag_field="type", tag={name!r}, frozen=True and forbid_unknown_fields=True, '
            f"got {config.tag_field}={config.tag!r}"
        )
    missing = [need for need in part.needs if not _has(settings, need, part.settings)]
    if missing:
        return f"{where} lacks {missing[0]} in its settings"
    wrong = _wrong_account(settings) if table == "RULES" else None
    return f"{where} {wrong}" if wrong else _wrong_struct(part, where, settings)


def built(settings: Any) -> Any:
    """Return the kernel struct, or the strategy, that settings build, by their annotation; None where none is told."""
    return typing.get_type_hints(settings.build).get("return")


def stubs(contract: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the open functions of a part's contract by name."""
    functions = inspect.getmembers(contract, inspect.isfunction)
    return {name: function for name, function in functions if hasattr(function, "__wrapped__")}


def arrays_in(struct: Any) -> Iterator[str]:
    """Yield the name of every array field of a NamedTuple, those of nested ones included."""
    for name, annotation in typing.get_type_hints(struct).items():
        if hasattr(annotation, "_fields"):
            yield from (f"{name}.{inner}" for inner in arrays_in(annotation))
        elif annotation not in (int, float):
            yield name


def _has(settings: Any, need: str, base: Any) -> bool:
    """Return whether settings have something that their base only promises."""
    return hasattr(settings, need) and getattr(settings, need) is not getattr(base, need, None)


def _wrong_account(settings: Any) -> str | None:
    """Return what a rule's settings fail to say of the rule, None if nothing."""
    account = getattr(settings, "account", None)
    if not isinstance(account, Account) or not account.equation or not account.latex:
        return "needs a class variable `account`, an Account with equation and LaTeX"
    coefficients = {field.name for field in msgspec.structs.fields(settings)}
    for name, grain in settings.evolvable.items():
        if name not in coefficients:
            return f"calls {name!r} evolvable, which is no field of its settings"
        if grain not in ("synapse", "neuron", "scalar"):
            return f"says {grain!r} of {name!r} in `evolvable`; choose synapse, neuron or scalar"
    return None


def _wrong_struct(part: Part, where: str, settings: Any) -> str | None:
    """Return what is wrong with the struct or strategy that settings build, None if nothing."""
    try:
        struct = built(settings)
    except (NameError, TypeError) as error:
        return f"{where}: the annotations of build cannot be read: {error}"
    if part.called == "strategy":
        fits = Strategy in getattr(struct, "__mro__", ())
        return None if fits else f"{where}: build must be annotated with the class it returns, derived from Strategy"
    if not hasattr(struct, "_fields"):
        return f"{where}: build must be annotated with the NamedTuple it returns, got {struct}"
    absent = next((name for name in part.fields if name not in struct._fields), None)
    if absent:
        return f"{where}: {struct.__name__} lacks the field {absent}, see {part.contract.__name__}"
    for name, stub in stubs(part.contract).items():
        method, wanted = getattr(struct, name, None), ", ".join(inspect.signature(stub).parameters)
        if not inspect.isfunction(method):
            return f"{where}: {struct.__name__} lacks the method {name}({wanted})"
        found = ", ".join(inspect.signature(method).parameters)
        if found != wanted:
            return f"{line_of(method)}: {struct.__name__}.{name} must take ({wanted}), got ({found})"
    count = len(list(arrays_in(struct)))
    return (
        f"{where}: {struct.__name__} holds {count} arrays; stack them into {MOST_ARRAYS}" * (count > MOST_ARRAYS)
        or None
    )
