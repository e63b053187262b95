"""Arms of an experiment side by side: what each is worth over its seeds, and what it has over another.

An arm is all of a run but its seed. The unit of replication is the seed: a run counts as one number per condition, the
mean over its lives, and gains over generation 0 and differences between arms are paired by seed. Below ten seeds there
are the numbers and no interval.

Arms are subtracted only if they were scored alike: on the same withheld and training tasks, over as many trials.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from evoplastic.analysis.evaluation import EVOLVED, GENERATION_0
from evoplastic.analysis.evaluation_table import listed
from evoplastic.analysis.statistics import FEWEST_UNITS, Interval, interval, share
from evoplastic.config import difference, parse_config
from evoplastic.errors import UserError
from evoplastic.files import plain
from evoplastic.problems.contract import PLASTICITY_OFF

FORMAT, VERSION = "evoplastic.compare", 1
PARTS = ("training", "withheld")
_NOT_A_NUMBER = "not a number"
_UNLIKE = {
    "generation": "evolved for different numbers of generations",
    "lives": "evaluated on different numbers of lives per task",
    "evaluation_seed": "evaluated on different stimuli and noise, from the evaluation seeds",
    "trials_scored": "scored over different numbers of trials",
}
_OF_AN_ARM = ("metric", "chance", "random_policy", "oracle", "trials_scored", "withheld", "fold", "privileged")
_CALLED = {"chance_is": "chance", "oracle_is": "oracle"}  # and what they are where an evaluation does not say

Scores = dict[str, dict[int, float]]  # part -> seed -> score; a part is empty where there are no tasks of it
Row = tuple[str, ...]


class Outcome(NamedTuple):
    """What a finished run came to."""

    run: str
    arm: str  # as people call it
    settings: str  # `config.deciding` of the run with seed 0
    seed: int
    evaluation: Mapping[str, Any]  # of all tasks, at the last generation
    skipped: int = 0  # members left out of the evolution


class LeftOut(NamedTuple):
    """A run that is not compared."""

    run: str
    reason: str


def compare(outcomes: Iterable[Outcome], left_out: Iterable[LeftOut] = ()) -> dict[str, Any]:
    """Return the `compare` object; UserError if there is nothing to compare, or not in one metric."""
    arms, missing = _arms(outcomes, left_out)
    if not arms:
        reasons = "; ".join(f"{run} is {reason}" for run, reason in missing)
        raise UserError(f"there is no finished run to compare: {reasons or 'the group is empty'}")
    told = [_arm(label, runs) for label, runs in arms.items()]
    metrics = {arm["metric"]: arm["arm"] for arm in told}
    if len(metrics) > 1:
        words = ", ".join(f"{arm} by {metric}" for metric, arm in metrics.items())
        raise UserError(f"arms are scored by different metrics ({words}); compare them apart")
    result = {
        "format": FORMAT,
        "version": VERSION,
        "metric": told[0]["metric"],
        "arms": told,
        "differences": _differences(arms),
        "left_out": [run._asdict() for run in missing],
        "notes": [*_other_settings(arms), *_unlike(arms), *_inexact(arms)],
    }
    return dict(plain(result))


def tables(result: Mapping[str, Any]) -> list[list[Row]]:
    """Return the tables of a `compare` object: arms, differences between them, and seeds where there are few."""
    made = [_arm_rows(result), _difference_rows(result["differences"]), _seed_rows(result)]
    return [table for table in made if len(table) > 1]  # all but those of a header alone


def sentences(result: Mapping[str, Any]) -> list[str]:
    """Return what a reader of the tables should know."""
    lines = {
        f"Withheld {listed(arm['withheld'])}: {arm['fold']}." if arm["withheld"] else "Nothing withheld.": None
        for arm in result["arms"]
    }
    lines |= dict.fromkeys(arm["privileged"] for arm in result["arms"])
    lines |= dict.fromkeys(result["notes"])
    return [*lines, *(f"Left out: {row['run']} ({row['reason']})." for row in result["left_out"])]


def _arms(outcomes: Iterable[Outcome], left_out: Iterable[LeftOut]) -> tuple[dict[str, list[Outcome]], list[LeftOut]]:
    """Return each arm's runs by its label, one run for each seed, and the runs that are not compared."""
    arms: dict[tuple[str, int], dict[int, Outcome]] = {}
    missing = list(left_out)
    for outcome in outcomes:
        runs = arms.setdefault((outcome.settings, outcome.evaluation["generation"]), {})
        first = runs.setdefault(outcome.seed, outcome)
        if first is not outcome:
            missing.append(LeftOut(outcome.run, f"the same run as {first.run}, which counts once"))
    labelled: dict[str, list[Outcome]] = {}
    for runs in arms.values():
        label = next(iter(runs.values())).arm
        number = next(number for number in range(1, len(arms) + 1) if _numbered(label, number) not in labelled)
        labelled[_numbered(label, number)] = [runs[seed] for seed in sorted(runs)]
    return labelled, missing


def _numbered(label: str, number: int) -> str:
    return label if number == 1 else f"{label} #{number}"


def _arm(label: str, runs: Sequence[Outcome]) -> dict[str, Any]:
    """Return what an arm is worth under each condition, and what evolution gained."""
    evaluations = [run.evaluation for run in runs]
    first = evaluations[0]
    names = dict.fromkeys(name for evaluation in evaluations for name in evaluation["conditions"])
    scores = {name: _scores(runs, name) for name in names}
    return {
        "arm": label,
        "generations": first["generation"],
        "seeds": [run.seed for run in runs],
        "runs": [run.run for run in runs],
        "lives": sorted({evaluation["lives"] for evaluation in evaluations}),
        "evaluation_seeds": sorted({evaluation["evaluation_seed"] for evaluation in evaluations}),
        **{key: first[key] for key in _OF_AN_ARM},
        **{key: first.get(key, label) for key, label in _CALLED.items()},
        "conditions": {name: _summary(values) for name, values in scores.items()},
        "gain_over_generation_0": _summary(_minus(scores[EVOLVED], scores[GENERATION_0])),
    }


def _scores(runs: Iterable[Outcome], condition: str) -> Scores:
    """Return the scores of the runs that were evaluated under a condition."""
    tables = {run.seed: run.evaluation["conditions"].get(condition) for run in runs}
    return {
        part: {seed: _mean(table[part]) for seed, table in tables.items() if table and table[part]} for part in PARTS
    }


def _mean(told: Mapping[str, Any]) -> float:
    return float("nan") if told["mean"] is None else float(told["mean"])


def _minus(scores: Scores, others: Scores) -> Scores:
    """Return the differences for the seeds that both have."""
    return {
        part: {seed: value - others[part][seed] for seed, value in scores[part].items() if seed in others[part]}
        for part in PARTS
    }


def _summary(scores: Scores) -> dict[str, Any]:
    """Return the scores in JSON's words: the seeds, for each part the interval over them, and the numbers."""
    numbers = {part: list(by_seed.values()) for part, by_seed in scores.items() if by_seed}
    means = {part: interval(numbers[part]).to_json() if part in numbers else None for part in PARTS}
    return {"seeds": list(scores["training"]), **means, "by_seed": {part: numbers.get(part) for part in PARTS}}


def _differences(arms: Mapping[str, Sequence[Outcome]]) -> list[dict[str, Any]]:
    """Return each arm minus the first one that was scored alike, by the seeds that both have."""
    first: dict[str, str] = {}
    told = []
    for label, runs in arms.items():
        other = first.setdefault(_scored_on(runs[0]), label)
        if other != label:
            paired = _minus(_scores(runs, EVOLVED), _scores(arms[other], EVOLVED))
            told.append({"arm": label, "minus": other, **_summary(paired)})
    return told


def _scored_on(run: Outcome) -> str:
    evaluation = run.evaluation
    tasks = sorted(evaluation["conditions"][EVOLVED]["tasks"])
    return json.dumps([tasks, sorted(evaluation["withheld"]), evaluation["trials_scored"]])


def _other_settings(arms: Mapping[str, Sequence[Outcome]]) -> list[str]:
    """Return for each arm that shares its label with another what it has otherwise."""
    notes = []
    for label, (run, *_) in arms.items():
        other = arms[run.arm][0]
        if other is run or label == run.arm:
            continue
        config = parse_config({**json.loads(run.settings), "generations": run.evaluation["generation"]})
        generations = f"generations was {other.evaluation['generation']}, is {config.generations}"
        notes.append(f"{label} is not {run.arm}: {difference(config, other.settings) or generations}.")
    return notes


def _unlike(arms: Mapping[str, Sequence[Outcome]]) -> list[str]:
    """Return in sentences how runs were evaluated differently."""
    evaluations = [run.evaluation for runs in arms.values() for run in runs]
    different = {key: sorted({evaluation[key] for evaluation in evaluations}) for key in _UNLIKE}
    notes = [
        f"Runs were {_UNLIKE[key]}: {', '.join(map(str, values))}." for key, values in different.items() if values[1:]
    ]
    if len({_scored_on(runs[0]) for runs in arms.values()}) > 1:
        notes.append("Arms that withhold other tasks, or score other trials, are not subtracted from each other.")
    return notes


def _inexact(arms: Mapping[str, Sequence[Outcome]]) -> list[str]:
    return [
        f"{run.run} is not exact: {run.skipped} members were left out of its evolution."
        for runs in arms.values()
        for run in runs
        if run.skipped
    ]


def _arm_rows(result: Mapping[str, Any]) -> list[Row]:
    rows: list[Row] = [(result["metric"], "training tasks", "withheld tasks", "seeds")]
    for arm in result["arms"]:
        rows.append((arm["arm"], "", arm["fold"], ""))
        rows += [_row(f"  {name.replace('_', ' ')}", table) for name, table in arm["conditions"].items()]
        rows.append(_row("  gain over generation 0", arm["gain_over_generation_0"], "+"))
    for key in ("chance", "random_policy", "oracle"):
        rows += [(name, share(bound), share(bound), "") for name, bound in _bounds(result["arms"], key).items()]
    return rows


def _bounds(arms: Iterable[Mapping[str, Any]], key: str) -> dict[str, float]:
    """Return a bound by its label, one for each value that it has among the arms; a random policy only if telling."""
    told: dict[float, list[str]] = {}
    label = key.replace("_", " ")
    for arm in arms:
        label = arm.get(f"{key}_is", label)
        if key != "random_policy" or arm[key] not in (arm["chance"], None):
            told.setdefault(arm[key], []).append(arm["arm"])
    return {label if len(told) == 1 else f"{label} of {', '.join(names)}": bound for bound, names in told.items()}


def _difference_rows(differences: Iterable[Mapping[str, Any]]) -> list[Row]:
    header = ("evolved, paired by seed", "training tasks", "withheld tasks", "seeds")
    return [header, *(_row(f"{row['arm']} minus {row['minus']}", row, "+") for row in differences)]


def _seed_rows(result: Mapping[str, Any]) -> list[Row]:
    """Return the numbers of each seed for every arm that has too few of them, or of paired ones, for an interval."""
    against = {row["arm"]: row for row in result["differences"]}
    columns = [EVOLVED, GENERATION_0, PLASTICITY_OFF]
    rows: list[Row] = [("training/withheld", *(name.replace("_", " ") for name in columns), "gain", "difference")]
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


def _of_seed(summary: Mapping[str, Any] | None, seed: int, plus: str = "") -> str:
    """Return a seed's numbers, '' where it has none."""
    if summary is None or seed not in summary["seeds"]:
        return ""
    place = summary["seeds"].index(seed)
    values = [summary["by_seed"][part][place] for part in PARTS if summary["by_seed"][part]]
    return "/".join(_NOT_A_NUMBER if value is None else _sign(value, plus) + share(value) for value in values)


def _row(label: str, summary: Mapping[str, Any], plus: str = "") -> Row:
    return label, *(_text(summary[part], plus) for part in PARTS), str(len(summary["seeds"]))


def _text(told: Mapping[str, Any] | None, plus: str) -> str:
    if told is None:
        return ""
    return _NOT_A_NUMBER if told["mean"] is None else _sign(told["mean"], plus) + str(Interval(**told))


def _sign(value: float, plus: str) -> str:
    return plus if value >= 0 else ""
