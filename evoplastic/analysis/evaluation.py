"""What a genome is worth: its accuracy beside the controls without which that number says little.

Every condition (the evolved genome, the genome of generation 0, one lesion each) lives the same lives: life l has its
own stimuli and noise, shared by all tasks and all conditions. So differences are paired by life, and the unit of
replication is the life: its training score is the mean over the training tasks. A withheld task is always scored
with its negation, for a response that is blind to feedback is right on the pair exactly half the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.analysis.statistics import Interval, interval, paired, share
from evoplastic.errors import UserError, nearest
from evoplastic.evaluators.contract import Evaluator, Job, Measure
from evoplastic.evolution import Search
from evoplastic.modulation.loss import LossSettings
from evoplastic.modulation.network import NetworkControlledSettings
from evoplastic.problems.contract import METRIC
from evoplastic.problems.lesions import LESIONS
from evoplastic.problems.lifetimes import LifetimesSettings
from evoplastic.random import Purpose
from evoplastic.rules.fixed import FixedSettings
from evoplastic.strategies.contract import Fixed
from evoplastic.tasks.truth_tables import complementary_pairs, negation, negation_of

FORMAT, VERSION = "evoplastic.evaluate", 1
EVOLVED, GENERATION_0, PLASTICITY_OFF = "evolved", "generation_0", "plasticity_off"
CURVES = (EVOLVED, GENERATION_0, PLASTICITY_OFF)
ORACLE = 1.0  # knows the task: no noise enters a trial's target
ACTIVITY_ALONE = 0.54  # pair mean with plasticity off above which it is called learning

Array = NDArray[np.float64]
Pair = tuple[str, str]
Scores = dict[str, Array]  # task -> (lives,), or (lives, trials)


class Chosen(NamedTuple):
    """The tasks that are lived, in battery order."""

    training: list[str]
    withheld: list[str]
    training_pairs: list[Pair]
    withheld_pairs: list[Pair]

    @property
    def tasks(self) -> list[str]:
        return self.training + self.withheld


def evaluate(
    search: Search,
    center: Array,
    evaluator: Evaluator,
    lives: int,
    controls: Sequence[str],
    tasks: Sequence[str] | None = None,
    seed: int = 0,
    run: str = "",
    generation: int = 0,
    done: Callable[[str], None] = lambda condition: None,
) -> dict[str, Any]:
    """Return the `evaluate` object: accuracy of every condition on `tasks` (all if None) over `lives` lives.

    `controls` are lesions, or "all" of them; `seed` chooses other stimuli and noise; `run` and `generation` say whose
    `center` (D,) it is; `done` is called with each condition's name. UserError for an unknown control or task.
    """
    chosen = choose_tasks(search, tasks)
    conditions = condition_names(controls)
    scores = _live(search, center, evaluator, conditions, chosen, lives, seed, "score", done)
    accuracy = {name: {task: rows[..., METRIC] for task, rows in lived.items()} for name, lived in scores.items()}
    table = {name: _condition(accuracy[name], chosen) for name in conditions}
    lost = {name: _difference(accuracy[EVOLVED], accuracy[name], chosen) for name in conditions if name in LESIONS}
    return {
        "format": FORMAT,
        "version": VERSION,
        "run": run,
        "generation": generation,
        "seed": search.config.seed,
        "evaluation_seed": seed,
        "genome": "center",
        "lives": lives,
        **_measure_of(search),
        "conditions": table,
        "gain_over_generation_0": _difference(accuracy[EVOLVED], accuracy[GENERATION_0], chosen),
        "lost_by_lesion": lost,
        "notes": _notes(table),
    }


def learning_curves(
    search: Search,
    center: Array,
    evaluator: Evaluator,
    lives: int,
    tasks: Sequence[str] | None = None,
    seed: int = 0,
    done: Callable[[str], None] = lambda condition: None,
) -> dict[str, Any]:
    """Return how accuracy grows within a life, for the evolved genome, generation 0 and plasticity off.

    `conditions` holds for each the means over training and over withheld tasks, (lives, trials), and for each task
    the mean over lives, (trials,). The lives are those of `evaluate`.
    """
    chosen = choose_tasks(search, tasks)
    courses = _live(search, center, evaluator, CURVES, chosen, lives, seed, "course", done)
    settings: LifetimesSettings = search.config.problem
    age = 0 if settings.task.newborn_tasks else settings.task.life_trials - settings.task.trials  # at the first trial
    return {
        "lives": lives,
        "trials": settings.task.trials,
        "trials_scored": settings.scored_trials,
        "burn_in_trials": max(0, getattr(settings.rule, "burn_in_trials", 0) - age),
        "quiet_trials": getattr(settings.rule, "quiet_trials", 0),
        "chance": search.problem.chance,
        "conditions": {
            name: {
                "training": _mean_over(course, chosen.training),
                "withheld": _mean_over(course, chosen.withheld),
                "tasks": {task: course[task].mean(axis=0) for task in chosen.tasks},
            }
            for name, course in courses.items()
        },
    }


def condition_names(controls: Iterable[str]) -> list[str]:
    """Return the conditions that are evaluated, in order: evolved, generation 0, then each control once."""
    lesions = [name for name in LESIONS if name != "none"]
    names = [EVOLVED, GENERATION_0]
    for control in controls:
        if control != "all" and control not in lesions:
            known = nearest(control, lesions)
            raise UserError(f"control {control!r} is unknown; choose all or some of {lesions}{known}")
        names += [name for name in (lesions if control == "all" else [control]) if name not in names]
    return names


def choose_tasks(search: Search, tasks: Sequence[str] | None = None) -> Chosen:
    """Return the named tasks, all if None, withheld ones with their negations; UserError for an unknown name."""
    tables, held = search.config.problem.task.tables, search.problem.withheld
    for name in tasks or ():
        if name not in tables:
            raise UserError(f"task {name!r} is unknown; choose some of {list(tables)}{nearest(name, tables)}")
    wanted = set(tables if tasks is None else tasks)
    wanted |= {negation_of(tables, name) for name in wanted if name in held}
    training = [name for name in tables if name in wanted and name not in held]
    withheld = [name for name in tables if name in wanted and name in held]
    among = {name: tables[name] for name in training}  # a battery need not hold every negation
    paired_up = [name for name in training if negation(tables[name]) in among.values()]
    return Chosen(training, withheld, complementary_pairs(among, paired_up), complementary_pairs(tables, withheld))


def privileged(settings: LifetimesSettings) -> str:
    """Return in a sentence what the rule is told that a learner by trial and error would not know."""
    told = (
        "the graded error against the hidden target"
        if settings.task.feedback == "graded"
        else "only whether each response was right"
    )
    if isinstance(settings.rule, FixedSettings):
        return f"There is no rule; the network's feedback units are told {told}."
    match settings.modulation:
        case LossSettings(baseline="per_type"):
            return f"The rule is told {told}, with a baseline per trial type: it knows which stimuli were shown."
        case LossSettings():
            return f"The rule is told {told}, with one baseline for all trials."
        case NetworkControlledSettings():
            return f"The rule is told nothing from outside; the network's feedback units are told {told}."
    return f"The rule is told nothing; the network's feedback units are told {told}."


def rows(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the table of an `evaluate` object: label, training, withheld pair, worst training task, n."""
    held = {task for pair in result["conditions"][EVOLVED]["withheld_pairs"] for task in pair["tasks"]}
    table: list[tuple[str, ...]] = []
    for name, condition in result["conditions"].items():
        scores = _text(condition["training"]), _text(condition["withheld"]), _worst(condition, held)
        table.append((name.replace("_", " "), *scores, str(result["lives"])))
    for label in ("chance", "oracle"):
        table.append((label, share(result[label]), share(result[label]), share(result[label]), ""))
    return table


def headline(result: dict[str, Any]) -> str:
    """Return in a sentence what evolution gained over generation 0, paired by life."""
    gain = result["gain_over_generation_0"]
    gains = {"training tasks": gain["training"], "withheld tasks": gain["withheld"]}
    told = ", ".join(f"{_signed(value)} on {where}" for where, value in gains.items() if value)
    return f"Gain over generation 0, paired by life (n = {result['lives']}): {told}."


def _measure_of(search: Search) -> dict[str, Any]:
    """Return what is measured, the scores of who knows nothing or everything, and what the learner is told."""
    settings: LifetimesSettings = search.config.problem
    return {
        "metric": search.problem.columns[METRIC],
        "trials_scored": settings.scored_trials,
        "chance": search.problem.chance,
        "random_policy": search.problem.chance,
        "oracle": ORACLE,
        "fold": settings.withholding(),
        "privileged": privileged(settings),
    }


def _live(
    search: Search,
    center: Array,
    evaluator: Evaluator,
    conditions: Iterable[str],
    chosen: Chosen,
    lives: int,
    seed: int,
    measure: Measure,
    done: Callable[[str], None],
) -> dict[str, Scores]:
    """Return for each condition and task the rows of its lives, (lives, columns) or (lives, trials)."""
    candidates = Fixed(np.stack([center, search.start().center]))
    addresses = search.problem.test_lives(Purpose.EVALUATION, (seed,), lives)
    lived = {}
    for name in conditions:
        member, lesion = int(name == GENERATION_0), name if name in LESIONS else "none"
        jobs = [Job(member, life._replace(lesion=lesion)) for task in chosen.tasks for life in addresses[task]]
        found = evaluator.evaluate(candidates, jobs, measure)
        lived[name] = dict(zip(chosen.tasks, found.reshape(len(chosen.tasks), lives, -1)))
        done(name)
    return lived


def _mean_over(scores: Scores, tasks: Iterable[str]) -> Array | None:
    """Return the mean over tasks, life by life; None without tasks."""
    values = [scores[task] for task in tasks]
    return np.mean(values, axis=0) if values else None


def _condition(accuracy: Scores, chosen: Chosen) -> dict[str, Any]:
    return {
        "training": _json(interval, _mean_over(accuracy, chosen.training)),
        "withheld": _json(interval, _mean_over(accuracy, chosen.withheld)),
        "tasks": {task: interval(accuracy[task]).to_json() for task in chosen.tasks},
        "withheld_pairs": [_pair(accuracy, pair) for pair in chosen.withheld_pairs],
        "training_pairs": [_pair(accuracy, pair) for pair in chosen.training_pairs],
    }


def _pair(accuracy: Scores, pair: Pair) -> dict[str, Any]:
    """Return a task and its negation: their mean, and how far the genome leans to one of the two."""
    one, other = accuracy[pair[0]], accuracy[pair[1]]
    mean = interval((one + other) / 2).to_json()
    return {"tasks": list(pair), **mean, "lean": abs(float(one.mean() - other.mean()))}


def _difference(accuracy: Scores, other: Scores, chosen: Chosen) -> dict[str, Any]:
    return {
        "training": _json(paired, _mean_over(accuracy, chosen.training), _mean_over(other, chosen.training)),
        "withheld": _json(paired, _mean_over(accuracy, chosen.withheld), _mean_over(other, chosen.withheld)),
        "tasks": {task: paired(accuracy[task], other[task]).to_json() for task in chosen.tasks},
    }


def _json(summary: Callable[..., Interval], *values: Array | None) -> dict[str, Any] | None:
    return None if values[0] is None else summary(*values).to_json()


def _notes(table: dict[str, Any]) -> list[str]:
    """Return what a reader of the table should know, in sentences."""
    notes = []
    lesioned = table.get(PLASTICITY_OFF)
    pairs = lesioned["withheld_pairs"] + lesioned["training_pairs"] if lesioned else []
    kept = [
        f"{share(pair['mean'])} on {' and '.join(pair['tasks'])}" for pair in pairs if pair["mean"] > ACTIVITY_ALONE
    ]
    if kept:
        notes.append(f"Plasticity off keeps {', '.join(kept)}: learning through activity.")
    return notes


def _text(value: dict[str, Any] | None) -> str:
    return "" if value is None else str(Interval(**value))


def _signed(value: dict[str, Any]) -> str:
    return ("+" if value["mean"] >= 0 else "") + _text(value)


def _worst(condition: dict[str, Any], held: set[str]) -> str:
    """Return the task with the lowest mean, those of `held` left out where there are others."""
    means = {task: value["mean"] for task, value in condition["tasks"].items()}
    worst = min([task for task in means if task not in held] or list(means), key=lambda task: means[task])
    return f"{share(means[worst])} {worst}"
