"""A comparison in tables and sentences: arms under every condition, differences between them, seeds where few.

Parts of the tasks stand across. Means have intervals from ten seeds on, and below that every seed's numbers are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evoplastic.analysis.evaluation import EVOLVED, GENERATION_0, PARTS, in_words
from evoplastic.analysis.evaluation_table import listed
from evoplastic.analysis.statistics import FEWEST_UNITS, Interval, share
from evoplastic.problems.contract import PLASTICITY_OFF

FEWEST_CUT = 4  # seeds, of which the middle half is fewer
_NOT_A_NUMBER = "not a number"

Row = tuple[str, ...]


def tables(result: Mapping[str, Any]) -> list[list[Row]]:
    """Return the tables of a `compare` object that have more than a header."""
    made = [arm_rows(result), difference_rows(result), seed_rows(result)]
    return [table for table in made if len(table) > 1]


def sentences(result: Mapping[str, Any]) -> list[str]:
    """Return what a reader of the tables should know."""
    lines = {
        f"Withheld {listed(arm['withheld'])}: {arm['fold']}." if arm["withheld"] else "Nothing withheld.": None
        for arm in result["arms"]
    }
    lines |= dict.fromkeys(arm["privileged"] for arm in result["arms"])
    lines |= dict.fromkeys(result["notes"])
    return [*lines, *(f"Left out: {row['run']} ({row['reason']})." for row in result["left_out"])]


def parts_of(result: Mapping[str, Any]) -> list[str]:
    """Return the parts that have a column: validation only where there is one."""
    validated = any(arm["validation"] for arm in result["arms"])
    return [part for part in PARTS if part != "validation" or validated]


def scored_parts(result: Mapping[str, Any]) -> list[str]:
    """Return the parts on which any arm was scored."""
    return [part for part in parts_of(result) if any(arm["conditions"][EVOLVED][part] for arm in result["arms"])]


def arm_rows(result: Mapping[str, Any]) -> list[Row]:
    """Return a row for each condition of each arm and for each bound, header first."""
    parts = parts_of(result)
    rows: list[Row] = [(result["metric"], *_heads(parts), "seeds")]
    for arm in result["arms"]:
        rows.append((arm["arm"], *("" for _ in parts[1:]), arm["fold"], ""))
        for name, condition in arm["conditions"].items():
            rows.append(_row(f"  {in_words(name)}", condition, parts))
            if name == EVOLVED and len(condition["seeds"]) >= FEWEST_CUT:
                rows.append(_row("  evolved, IQM", condition["iqm"] | {"seeds": condition["seeds"]}, parts))
        rows.append(_row("  gain over generation 0", arm["gain_over_generation_0"], parts, "+"))
    for key in ("chance", "random_policy", "oracle"):
        for name, bound in bounds_of(result["arms"], key).items():
            rows.append((name, *(share(bound) for _ in parts), ""))
    return rows


def difference_rows(result: Mapping[str, Any]) -> list[Row]:
    """Return a row for each difference between arms, header first."""
    parts = parts_of(result)
    header = ("evolved, paired by seed", *_heads(parts), "seeds")
    return [header, *(_row(f"{row['arm']} minus {row['minus']}", row, parts, "+") for row in result["differences"])]


def seed_rows(result: Mapping[str, Any]) -> list[Row]:
    """Return the numbers of each seed for every arm that has too few of them, or of paired ones, for an interval."""
    against = {row["arm"]: row for row in result["differences"]}
    columns, parts = [EVOLVED, GENERATION_0, PLASTICITY_OFF], parts_of(result)
    rows: list[Row] = [("/".join(parts), *(name.replace("_", " ") for name in columns), "gain", "difference")]
    for arm in result["arms"]:
        if min(len(arm["seeds"]), len(against.get(arm["arm"], arm)["seeds"])) >= FEWEST_UNITS:
            continue
        scores = [arm["conditions"].get(name) for name in columns]
        paired = [arm["gain_over_generation_0"], against.get(arm["arm"])]
        rows.append((arm["arm"], *[""] * (len(scores) + len(paired))))
        for seed in arm["seeds"]:
            numbers = [*(_of_seed(table, seed) for table in scores), *(_of_seed(table, seed, "+") for table in paired)]
            rows.append((f"  seed {seed}", *numbers))
    return rows


def bounds_of(arms: Iterable[Mapping[str, Any]], key: str) -> dict[str, float]:
    """Return a bound by its label, one for each value that it has among the arms; a random policy only if telling."""
    told: dict[float, list[str]] = {}
    label = key.replace("_", " ")
    for arm in arms:
        label = arm.get(f"{key}_is", label)
        if key != "random_policy" or arm[key] not in (arm["chance"], None):
            told.setdefault(arm[key], []).append(arm["arm"])
    return {label if len(told) == 1 else f"{label} of {', '.join(names)}": bound for bound, names in told.items()}


def told(value: Mapping[str, Any] | None, plus: str = "") -> str:
    """Return a mean with its interval, if it has one; '' for none, and `plus` before what is not negative."""
    if value is None:
        return ""
    return _NOT_A_NUMBER if value["mean"] is None else _sign(value["mean"], plus) + str(Interval(**value))


def _of_seed(summary: Mapping[str, Any] | None, seed: int, plus: str = "") -> str:
    """Return a seed's numbers, '' where it has none."""
    if summary is None or seed not in summary["seeds"]:
        return ""
    place = summary["seeds"].index(seed)
    values = [of[place] for of in summary["by_seed"].values() if of]
    return "/".join(_NOT_A_NUMBER if value is None else _sign(value, plus) + share(value) for value in values)


def _heads(parts: Iterable[str]) -> list[str]:
    return [f"{part} tasks" for part in parts]


def _row(label: str, summary: Mapping[str, Any], parts: Iterable[str], plus: str = "") -> Row:
    return label, *(told(summary[part], plus) for part in parts), str(len(summary["seeds"]))


def _sign(value: float, plus: str) -> str:
    return plus if value >= 0 else ""
