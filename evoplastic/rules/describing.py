"""A rule in words and numbers: its equation, its parameters with their limits, what they are in an evolved genome."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.genome import Block, GenomeLayout
from evoplastic.rules.coefficients import GRANULARITIES, PREFIX, limits
from evoplastic.rules.contract import RuleSettings

WEIGHTS, FACTORS = "plastic weights", "third factors"  # what can be recorded of every rule, of a modulated one
_INDEX = {"cell_type": "type", "neuron": "post", "projection": "type, type", "synapse": "pre, post"}
_GREEK = "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi rho sigma tau phi chi psi omega"


class Coefficient(NamedTuple):
    """What a parameter of a rule is in a genome."""

    name: str
    sharing: str  # the tier of its genes, "" for one that no genome holds
    evolved: bool
    count: int  # of values
    mean: float
    low: float
    high: float


def described(name: str, kind: type[RuleSettings], source: str) -> dict[str, Any]:
    """Return a rule as JSON has it; `source` is builtin or plugin."""
    account = kind.account
    return {
        "name": name,
        "source": source,
        "summary": _summary(kind, source),
        "equation": account.equation,
        "latex": account.latex,
        "symbols": dict(account.symbols),
        "modulated": kind.modulated,
        "parameters": [_parameter(kind, field) for field in msgspec.structs.fields(kind)],
        "state": list(account.state),
        "records": [WEIGHTS, *account.state, *([FACTORS] if kind.modulated else [])],
        "references": list(account.references),
    }


def evolved_rule(
    rule: RuleSettings, layout: GenomeLayout, genotype: NDArray[np.float64]
) -> tuple[dict[str, Any], list[Coefficient]]:
    """Return a rule with the numbers of a genotype (D,) in its equation, as JSON has it, and these numbers."""
    parts = {f"{part}.": own for part, own in getattr(rule, "parts", {}).items()} or {"": rule}
    found = {part: coefficients_of(own, layout, genotype, part) for part, own in parts.items()}
    coefficients = [known._replace(name=part + known.name) for part, own in found.items() for known in own]
    titles = {part: f"{part[:-1]}: " if part else "" for part in parts}
    told = {
        "equation": "\n".join(titles[p] + filled(own.describe().equation, found[p]) for p, own in parts.items()),
        "latex": "\n".join(titles[p] + filled_latex(own.describe().latex, found[p]) for p, own in parts.items()),
        "coefficients": [known._asdict() for known in coefficients],
    }
    return told, coefficients


def coefficients_of(
    rule: RuleSettings, layout: GenomeLayout, genotype: NDArray[np.float64], part: str = ""
) -> list[Coefficient]:
    """Return what every number among a rule's parameters is for a genotype (D,).

    `part` is what the rule's coefficients are called after in the genome, such as `hebb.`, where it is one of several.
    """
    held = {block.name.removeprefix(PREFIX): block for block in layout.blocks if block.name.startswith(PREFIX)}
    values = layout.unpack(genotype)
    found = []
    fields, coefficients = rule.__struct_fields__, rule.coefficients()
    for name in dict.fromkeys([*fields, *coefficients]):
        if part + name in held:
            found.append(_held(name, held[part + name], values[PREFIX + part + name]))
            continue
        value = rule.coefficient(name) if name in coefficients else getattr(rule, name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found.append(Coefficient(name, "", False, 1, float(value), float(value), float(value)))
    return found


def filled(equation: str, coefficients: list[Coefficient]) -> str:
    """Return an equation in plain text with numbers for what has one value, and an index to what has several."""
    shown = {}
    for known in coefficients:
        symbol = known.name.removesuffix("_ms")
        unit = " ms" if symbol != known.name else ""
        shown[symbol] = f"{_number(known.mean)}{unit}" if known.count == 1 else f"{symbol}[{_INDEX[known.sharing]}]"
    symbols = "|".join(map(re.escape, shown))
    return re.sub(rf"\b({symbols})\b(?! *\()", lambda match: shown[match[1]], equation) if shown else equation


def filled_latex(latex: str, coefficients: list[Coefficient]) -> str:
    """Return LaTeX with numbers for what has one value, and an index to what has several."""
    for known in coefficients:
        name = known.name
        if name in _GREEK.split():
            symbol = rf"\\{name}(?![A-Za-z_])"
        elif len(name) == 1:
            symbol = rf"(?<![\\A-Za-z_{{]){name}(?![A-Za-z_}}])"
        else:
            symbol = rf"\\mathrm\{{{re.escape(name)}\}}(?!\()"
        for match in reversed(list(re.finditer(symbol, latex))):
            index = rf"_{{\mathrm{{{_INDEX.get(known.sharing, '')}}}}}"
            shown = _number(known.mean) if known.count == 1 else f"{match[0]}{index}"
            latex = f"{latex[: match.start()]}{shown}{latex[match.end() :]}"
    return latex


def in_words(rule: Mapping[str, Any]) -> str:
    """Return the paragraphs about a rule that `described` returned, all but its table of parameters."""
    symbols = [f"  {symbol:10} {what}" for symbol, what in rule["symbols"].items()]
    told = {
        "remembers": rule["state"],
        "can be recorded": rule["records"],
        "third factor": ["decides what is written" if rule["modulated"] else "none"],
    }
    lists = [f"{what}: {', '.join(items)}" for what, items in told.items() if items]
    references = [f"  {reference}" for reference in rule["references"]]
    head = f"{rule['name']}{' (of the plugin)' if rule['source'] == 'plugin' else ''}"
    lines = [head, "", rule["summary"], "", f"  {rule['equation']}", f"  LaTeX: {rule['latex']}", "", *symbols, ""]
    return "\n".join([*lines, *lists, *(["references:", *references] if references else [])])


def parameter_rows(rule: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return the table of a rule's parameters, header first."""
    rows = [("parameter", "default", "range", "in a genome")]
    for known in rule["parameters"]:
        default = known["default"]
        shown = _number(default) if isinstance(default, float) else str(default)
        rows.append((known["name"], shown, _range(known), ", ".join(known["granularity"])))
    return rows


def coefficient_rows(coefficients: list[Coefficient]) -> list[tuple[str, str, str, str, str]]:
    """Return the table of what parameters are in a genome, header first."""
    rows = [("parameter", "value or mean", "from", "to", "of")]
    for known in coefficients:
        several = (_number(known.low), _number(known.high)) if known.count > 1 else ("", "")
        of = f"{known.count} x {known.sharing}" if known.count > 1 else known.sharing
        fixed = "" if known.evolved else "not evolved"
        rows.append((known.name, _number(known.mean), *several, ", ".join(filter(None, (of, fixed)))))
    return rows


def _held(name: str, block: Block, values: NDArray[np.float64]) -> Coefficient:
    """Return what a coefficient is, one value for each of its genes."""
    first = np.unique(block.groups, return_index=True)[1]
    each = values.ravel()[first]
    mean, low, high = float(each.mean()), float(each.min()), float(each.max())
    return Coefficient(name, block.settings.sharing, block.settings.evolve, len(each), mean, low, high)


def _parameter(kind: type[RuleSettings], field: Any) -> dict[str, Any]:
    told: Any = msgspec.inspect.type_info(field.type)
    counts = isinstance(told, (msgspec.inspect.IntType, msgspec.inspect.FloatType))
    bounds = limits(kind, field.name) if counts else (-math.inf, math.inf)
    low, high = (bound if math.isfinite(bound) else None for bound in bounds)
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return {
        "name": field.name,
        "default": None if default is msgspec.NODEFAULT else msgspec.to_builtins(default),
        "low": low,
        "high": high,
        "above_low": counts and told.gt is not None,
        "below_high": counts and told.lt is not None,
        "granularity": list(GRANULARITIES[kind.evolvable[field.name]]) if field.name in kind.evolvable else [],
    }


def _range(known: Mapping[str, Any]) -> str:
    """Return the range of a parameter in words, "" where it has none."""
    low, high = known["low"], known["high"]
    told = [f"{'>' if known['above_low'] else '>='} {low:g}"] if low is not None else []
    told += [f"{'<' if known['below_high'] else '<='} {high:g}"] if high is not None else []
    return ", ".join(told)


def _summary(kind: type[RuleSettings], source: str) -> str:
    """Return a rule in a sentence: a row's own, a plugin's class's, or that of the file that holds the rule."""
    row = getattr(kind, "row", None)
    told = row.summary if row else inspect.getdoc(kind if source == "plugin" else inspect.getmodule(kind))
    return (told or "").partition("\n\n")[0].replace("\n", " ")


def _number(value: float) -> str:
    return f"{value:.4g}" if value >= 0 else f"({value:.4g})"
