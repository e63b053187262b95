"""Arms of an experiment side by side: what each is worth over its seeds, and what it has over another.

An arm is all of a run but its seed. The unit of replication is the seed: a run counts as one number per condition, the
mean over its lives, and gains over generation 0 and differences between arms are paired by seed. Below ten seeds there
are the numbers and no interval. Beside a mean stands the interquartile mean (IQM), the mean of the middle half of the
seeds, which one seed that failed does not move (Agarwal et al. 2021, "Deep reinforcement learning at the edge of the
statistical precipice"; there over runs and tasks, here over seeds, since the tasks of a seed share one genome).

Arms are subtracted only if they were scored alike: on the same withheld and training tasks, over as many trials.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from evoplastic.analysis.comparison_arms import evolves_gains, lacking
from evoplastic.analysis.evaluation import EVOLVED, GENERATION_0, PARTS
from evoplastic.analysis.statistics import interquartile_mean, interval
from evoplastic.config import difference, parse_config
from evoplastic.errors import UserError
from evoplastic.files import plain

FORMAT, VERSION = "evoplastic.compare", 1
_UNLIKE = {
    "generation": "evolved for different numbers of generations",
    "lives": "evaluated on different numbers of lives per task",
    "evaluation_seed": "evaluated on different stimuli and noise, from the evaluation seeds",
    "trials_scored": "scored over different numbers of trials",
}
_OF_AN_ARM = ("metric", "chance", "random_policy", "oracle", "trials_scored", "withheld", "fold", "privileged")
_CALLED = {"chance_is": "chance", "oracle_is": "oracle"}  # and what they are where an evaluation does not say

Scores = dict[str, dict[int, float]]  # part -> seed -> score; a part is empty where there are no tasks of it


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
        "ingredients": _ingredients(arms),
        "left_out": [run._asdict() for run in missing],
        "notes": [*_other_settings(arms), *_unlike(arms), *_inexact(arms)],
    }
    return dict(plain(result))


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
    behind = {name: _summary(_minus(scores[EVOLVED], values)) for name, values in scores.items() if name != EVOLVED}
    return {
        "arm": label,
        "generations": first["generation"],
        "seeds": [run.seed for run in runs],
        "runs": [run.run for run in runs],
        "lives": sorted({evaluation["lives"] for evaluation in evaluations}),
        "evaluation_seeds": sorted({evaluation["evaluation_seed"] for evaluation in evaluations}),
        **{key: first[key] for key in _OF_AN_ARM},
        **{key: first.get(key, label) for key, label in _CALLED.items()},
        "validation": list(first.get("validation", ())),
        "evolves_gains": evolves_gains(runs[0].settings),
        "conditions": {name: _summary(values) | {"iqm": _iqm(values)} for name, values in scores.items()},
        "gain_over_generation_0": behind.pop(GENERATION_0),
        "lost_by_lesion": behind,
        "tasks": {part: [_tasks(evaluation, part) for evaluation in evaluations] for part in PARTS},
    }


def _scores(runs: Iterable[Outcome], condition: str) -> Scores:
    """Return the scores of the runs that were evaluated under a condition."""
    tables = {run.seed: run.evaluation["conditions"].get(condition) for run in runs}
    return {
        part: {seed: _mean(table[part]) for seed, table in tables.items() if table and table.get(part)}
        for part in PARTS
    }


def _tasks(evaluation: Mapping[str, Any], part: str) -> dict[str, float]:
    """Return the evolved genome's score on each task of a part."""
    held, validated = evaluation["withheld"], evaluation.get("validation", ())
    scores = evaluation["conditions"][EVOLVED]["tasks"]
    of = {task: "withheld" if task in held else "validation" if task in validated else "training" for task in scores}
    return {task: _mean(scores[task]) for task in scores if of[task] == part}


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


def _iqm(scores: Scores) -> dict[str, Any]:
    """Return for each part the interquartile mean over seeds, in the place of the mean."""
    return {part: interquartile_mean([*of.values()]).to_json() if of else None for part, of in scores.items()}


def _differences(arms: Mapping[str, Sequence[Outcome]]) -> list[dict[str, Any]]:
    """Return each arm minus the first one that was scored alike, by the seeds that both have."""
    first: dict[str, str] = {}
    told = []
    for label, runs in arms.items():
        other = first.setdefault(_scored_on(runs[0]), label)
        if other != label:
            told.append({"arm": label, "minus": other, **_paired(runs, arms[other])})
    return told


def _ingredients(arms: Mapping[str, Sequence[Outcome]]) -> list[dict[str, Any]]:
    """Return each arm minus the one that lacks one ingredient of it, evolved as long, by the seeds that both have."""
    told = []
    for (full, runs), (without, others) in itertools.permutations(arms.items(), 2):
        name = lacking(runs[0].settings, others[0].settings)
        long = runs[0].evaluation["generation"] == others[0].evaluation["generation"]
        if name and long and _scored_on(runs[0]) == _scored_on(others[0]):
            told.append({"lacks": name, "arm": full, "minus": without, **_paired(runs, others)})
    return told


def _paired(runs: Sequence[Outcome], others: Sequence[Outcome]) -> dict[str, Any]:
    """Return what evolved genomes of one arm score more than those of another, and on how many seeds they do."""
    by_part = _minus(_scores(runs, EVOLVED), _scores(others, EVOLVED))
    better = {part: sum(value > 0.0 for value in of.values()) if of else None for part, of in by_part.items()}
    return _summary(by_part) | {"better": better}


def _scored_on(run: Outcome) -> str:
    evaluation = run.evaluation
    tasks = sorted(evaluation["conditions"][EVOLVED]["tasks"])
    parts = [sorted(evaluation["withheld"]), sorted(evaluation.get("validation", ()))]
    return json.dumps([tasks, *parts, evaluation["trials_scored"]])


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
