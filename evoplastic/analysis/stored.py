"""Evaluations read from a run folder: what every version has written of them, checked before anyone relies on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from evoplastic.analysis.evaluation import FORMAT
from evoplastic.errors import UserError
from evoplastic.files import Migration, migrated

MIGRATIONS: dict[int, Migration] = {}  # version N of the `evaluate` object -> version N + 1


class _Mean(msgspec.Struct):
    mean: float | None
    low: float | None
    high: float | None
    n: int


class _Condition(msgspec.Struct):
    training: _Mean | None
    withheld: _Mean | None
    tasks: dict[str, _Mean]


class _Conditions(msgspec.Struct):
    evolved: _Condition
    generation_0: _Condition


class _Evaluation(msgspec.Struct):
    metric: str
    lives: int
    trials_scored: int
    evaluation_seed: int
    chance: float
    random_policy: float | None
    oracle: float
    withheld: list[str]
    fold: str
    privileged: str
    generation: int
    conditions: _Conditions
    gain_over_generation_0: dict[str, Any]
    lost_by_lesion: dict[str, Any]


def checked(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return an evaluation of the run in `folder` in the newest version; UserError if it is none, or damaged."""
    newest = migrated(document, FORMAT, MIGRATIONS, folder / "evaluation")
    try:
        msgspec.convert(newest, _Evaluation)
        msgspec.convert(newest["conditions"], dict[str, _Condition])
    except msgspec.ValidationError as error:
        raise UserError(f"{folder} holds an evaluation that is damaged: {error}; restore or remove it") from error
    return newest
