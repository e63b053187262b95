"""What networks can live under: named lesions, and changes of the numbers of settings, genome and third factors.

A number stands in one of three places, and is changed there: in the settings, of which a changed problem is built; in
the genome, gene by gene; in the packed modulation, whose strength is no setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.problems.changes import change_called, changed, changes_in, check_key, numbers_in, parts_of
from evoplastic.problems.contract import unknown_lesion
from evoplastic.problems.lesions import GRADED, lesions_called
from evoplastic.rules.coefficients import keys_of, limits, takes

THIRD_FACTOR = "third_factor"  # what the strength of the modulation is called

Coefficients = dict[str, NDArray[np.float64]]


def graded(settings: Any) -> dict[str, float]:
    """Return what can be changed by degrees of lives with these settings, each with what they say that it is."""
    coefficients = {key: settings.rule.coefficient(name) for key, name in keys_of(settings.rule).items()}
    strengths = dict.fromkeys(third_factors(settings), 1.0)
    return dict.fromkeys(GRADED, 0.0) | strengths | coefficients | numbers_in(settings)


def check_lesion(settings: Any, lesion: str) -> None:
    """Raise UserError for what is no lesion, no change of a number, nor several joined by a +."""
    for part in parts_of(lesion):
        if change_called(part) is None and part not in settings.lesions:
            raise unknown_lesion(part, [*settings.lesions, "KEY=NUMBER", "KEY@FACTOR"])
    known, names = graded(settings), held(settings)
    for change in changes_in(lesion):
        check_key(change, known)
        if change.key not in names or change.scales:
            continue
        owner, own_name = settings.rule.holder(names[change.key])
        if not takes(owner, own_name, change.number):
            raise UserError(f"problem.{change.key} does not take {change.number:g}; choose one within its range")
    lesions_called(lesion)
    under(settings, lesion)


def under(settings: Any, lesion: str) -> Any:
    """Return the settings of a life with this lesion; UserError for numbers that they do not take."""
    changes = changes_in(lesion)
    elsewhere = {*GRADED, *third_factors(settings), *held(settings)} if changes else set()
    of_settings = [change for change in changes if change.key not in elsewhere]
    return changed(settings, of_settings).resolve() if of_settings else settings


def held(settings: Any) -> dict[str, str]:
    """Return the coefficients of the rule that are no numbers of its settings: by their keys, their names."""
    numbers = numbers_in(settings)
    keys = keys_of(settings.rule).items()
    return {key: name for key, name in keys if name in settings.genome.rule or key not in numbers}


def third_factors(settings: Any) -> dict[str, str]:
    """Return the sources of third factors by the keys under which they are scaled."""
    return {f"{THIRD_FACTOR}.{name}" if name else THIRD_FACTOR: name for name in settings.modulation.sources()}


def changed_coefficients(settings: Any, found: Coefficients, lesion: str) -> Coefficients:
    """Return what a genome holds of the rule, `found`, after a lesion; genes stay within what the rule takes."""
    rule, changes = settings.rule, changes_in(lesion)
    names: Mapping[str, str] = held(settings) if changes else {}
    values = dict(found)
    for change in changes:
        if change.key in names:
            name = names[change.key]
            present = values.get(name, np.full((1, 1), rule.coefficient(name)))
            values[name] = np.clip(change.of(present), *limits(*rule.holder(name)))
    return values


def changed_modulation(settings: Any, packed: Any, lesion: str) -> Any:
    """Return a packed modulation after a lesion."""
    changes = changes_in(lesion)
    sources: Mapping[str, str] = third_factors(settings) if changes else {}
    for change in changes:
        if change.key in sources:
            packed = settings.modulation.scaled(packed, sources[change.key], change.of(1.0))
    return packed
