"""What may be said of a comparison, in sentences drawn from its numbers.

A difference is called one only where its paired interval over at least ten seeds excludes 0. That the evolved gains
matter is said only of an arm minus the same one with gains frozen and uniform: genes that a lesion can scramble at no
cost may still have been what evolution needed, and the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evoplastic.analysis.comparison_arms import GAINS
from evoplastic.analysis.comparison_table import parts_of, told
from evoplastic.analysis.statistics import FEWEST_UNITS
from evoplastic.problems.contract import PLASTICITY_OFF


def verdict(result: Mapping[str, Any]) -> list[str]:
    """Return what the numbers of a `compare` object bear out: of ingredients, of other differences, of each arm."""
    parts = parts_of(result)
    lines = _unanswered(result)
    for row in result["ingredients"]:
        lines += _judged(row, parts, f"{row['arm']} minus {row['minus']}", _ingredient(row["lacks"]))
    compared = {frozenset((row["arm"], row["minus"])) for row in result["ingredients"]}
    for row in result["differences"]:
        if {row["arm"], row["minus"]} not in compared:
            lines += _judged(row, parts, f"{row['arm']} minus {row['minus']}", _plain(row))
    return [*lines, *(line for arm in result["arms"] for line in _of_arm(arm, parts)), *_several(result)]


def _of_arm(arm: Mapping[str, Any], parts: list[str]) -> list[str]:
    name = arm["arm"]
    gained = (f"{name} scores more than its generation 0", f"{name} scores less than its generation 0")
    open_gain = f"That {name} scores more than its generation 0 is not shown"
    lines = _judged(arm["gain_over_generation_0"], parts, "gain", (*gained, open_gain))
    lost = arm["lost_by_lesion"].get(PLASTICITY_OFF)
    if lost:
        needs = (f"{name} scores less with plasticity off", f"{name} scores more with plasticity off")
        lines += _judged(lost, parts, "loss", (*needs, f"That {name} needs its plasticity is not shown"))
    return lines


def _ingredient(name: str) -> tuple[str, str, str]:
    subject, verb = name[0].upper() + name[1:], "matter" if name.startswith("the evolved") else "matters"
    return (
        f"{subject} {verb}",
        f"Without {name} evolution comes further",
        f"That {name} {verb} is not shown",
    )


def _plain(row: Mapping[str, Any]) -> tuple[str, str, str]:
    arm, other = row["arm"], row["minus"]
    return f"{arm} scores more than {other}", f"{arm} scores less than {other}", f"{arm} and {other} are not told apart"


def _judged(summary: Mapping[str, Any], parts: Iterable[str], what: str, claims: tuple[str, str, str]) -> list[str]:
    """Return a sentence for each of the claims (above 0, below 0, neither) with the parts that it holds on.

    Too few seeds for an interval bear out neither: there is one sentence with the numbers.
    """
    known = {part: summary[part] for part in parts if summary[part]}
    seeds = len(summary["seeds"])
    if not known:
        return [f"{what}: no seed in common."]
    if seeds < FEWEST_UNITS:
        few = "1 seed is" if seeds == 1 else f"{seeds} seeds are"
        return [f"{claims[2]}: {what} {_numbers(known)}; {few} too few for an interval."]
    held: tuple[dict[str, Any], ...] = ({}, {}, {})
    for part, value in known.items():
        held[_side(value)][part] = value
    return [
        f"{claim}: {what} {_numbers(of)}, paired over {seeds} seeds."
        for claim, of in zip(claims, held, strict=True)
        if of
    ]


def _side(value: Mapping[str, Any]) -> int:
    """Return 0 for an interval above 0, 1 for one below, 2 for all others."""
    if value["low"] is None or value["high"] is None:
        return 2
    return 0 if value["low"] > 0.0 else 1 if value["high"] < 0.0 else 2


def _numbers(known: Mapping[str, Any]) -> str:
    return ", ".join(f"{told(value, '+')} on {part} tasks" for part, value in known.items())


def _unanswered(result: Mapping[str, Any]) -> list[str]:
    """Return what no arm here can answer."""
    answered = any(row["lacks"] == GAINS for row in result["ingredients"])
    if answered or not any(arm["evolves_gains"] for arm in result["arms"]):
        return []
    return [f"Whether {GAINS} matter is not answered: that takes an arm with gains frozen and uniform, all else equal."]


def _several(result: Mapping[str, Any]) -> list[str]:
    """Return a warning where many intervals stand side by side, each with its own 5 %."""
    rows = [*result["differences"], *result["ingredients"]]
    told = sum(bool(row[part] and row[part]["low"] is not None) for row in rows for part in parts_of(result))
    if told < 3:
        return []
    return [
        f"Each of the {told} intervals of differences holds for itself alone; of twenty such, one is expected to miss."
    ]
