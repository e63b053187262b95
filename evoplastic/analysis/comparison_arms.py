"""What one arm of an experiment lacks that another has, read from the settings of both.

An arm without an ingredient is the full one with that ingredient switched off and nothing else changed. Only such a
pair says what the ingredient is worth; a lesion of the evolved genome does not, for evolution may have done without.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Settings = Mapping[str, Any]
_GAIN, _INNATE, _RULE = "problem.genome.gain", "problem.genome.innate", "problem.rule"
_COEFFICIENTS = "problem.genome.rule"
GAINS = "the evolved gains"
# How gains evolve, and not what they are born as: an arm frozen at another gain lacks more than evolution.
_EVOLUTION_OF_GAINS = tuple(f"{_GAIN}.{key}" for key in ("evolve", "spread", "sharing", "step", "bounds", "floor"))
_MISSING = object()


class Ingredient(NamedTuple):
    """Something that an arm can do without."""

    name: str  # of what is lacking, as a subject in a sentence
    keys: tuple[str, ...]  # of the settings that may differ, with all below them
    has: Callable[[Settings], bool]
    lacks: Callable[[Settings], bool]


def _is(key: str, value: Any) -> Callable[[Settings], bool]:
    return lambda settings: _value(settings, key, None) == value


def _frozen_and_uniform(settings: Settings) -> bool:
    frozen = _is(f"{_GAIN}.evolve", False)(settings) and not _value(settings, f"{_GAIN}.spread", 0.0)
    return frozen and bool(_value(settings, f"{_GAIN}.initial", 0.0))


def _evolves_coefficients(settings: Settings) -> bool:
    return any(block.get("evolve", True) for block in _value(settings, _COEFFICIENTS, {}).values())


def _plastic(settings: Settings) -> bool:
    return not _is(f"{_RULE}.type", "fixed")(settings)


INGREDIENTS = (
    Ingredient(GAINS, _EVOLUTION_OF_GAINS, _is(f"{_GAIN}.evolve", True), _frozen_and_uniform),
    Ingredient(
        "the evolved coefficients of the rule",
        (_COEFFICIENTS,),
        _evolves_coefficients,
        lambda settings: not _evolves_coefficients(settings),
    ),
    Ingredient("the evolved weights", (_INNATE,), _is(f"{_INNATE}.evolve", True), _is(f"{_INNATE}.evolve", False)),
    Ingredient(
        "plasticity",
        (_RULE, "problem.modulation", _GAIN, _COEFFICIENTS),
        _plastic,
        lambda settings: not _plastic(settings),
    ),
    Ingredient(
        "a gain for each synapse",
        (f"{_GAIN}.sharing",),
        lambda settings: _value(settings, f"{_GAIN}.sharing", "scalar") != "scalar",
        _is(f"{_GAIN}.sharing", "scalar"),
    ),
)


def lacking(full: str, other: str) -> str | None:
    """Return what settings `other` lack and `full` have, both told by `config.deciding`; None for no such pair."""
    one, two = _read(full), _read(other)
    if one is None or two is None:
        return None
    changed = set(_changed(one, two))
    for name, keys, has, lacks in INGREDIENTS:
        allowed = all(any(path == key or path.startswith(f"{key}.") for key in keys) for path in changed)
        if changed and allowed and has(one) and lacks(two):
            return name
    return None


def evolves_gains(settings: str) -> bool:
    """Return whether gains are among the genes."""
    return INGREDIENTS[0].has(_read(settings) or {})


def _read(settings: str) -> Settings | None:
    try:
        read = json.loads(settings)
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def _changed(one: Any, two: Any, path: str = "") -> Iterator[str]:
    """Yield the dotted keys at which two settings differ."""
    if isinstance(one, dict) and isinstance(two, dict):
        for key in {**one, **two}:
            yield from _changed(one.get(key, _MISSING), two.get(key, _MISSING), f"{path}.{key}" if path else key)
    elif one != two:
        yield path


def _value(settings: Settings, key: str, default: Any) -> Any:
    found: Any = settings
    for word in key.split("."):
        if not isinstance(found, Mapping) or word not in found:
            return default
        found = found[word]
    return found
