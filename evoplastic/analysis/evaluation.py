"""What a genome is worth: its score beside the controls without which that number says little.

Every condition (the evolved genome, the genome of generation 0, one lesion each) lives the same lives: life l has its
own stimuli and noise, shared by all tasks and all conditions. So differences are paired by life, and the unit of
replication is the life: its training score is the mean over the training tasks. A withheld task that has a negation
is always scored with it, for a response that is blind to feedback is right on the pair exactly half the time. Tasks
that are a random sample live lives of their own and are summed up in `over_tasks` too, with the task as the unit.

Lives are lived once, and their metric is kept trial by trial: a score is the mean over the last scored trials, a
learning curve the same numbers before that mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.analysis.over_tasks import summary_over_tasks
from evoplastic.analysis.statistics import Interval, interval, paired, share
from evoplastic.errors import UserError, nearest
from evoplastic.evaluators.contract import Evaluator, Job, Measure
from evoplastic.evolution import Search
from evoplastic.problems.contract import INTACT, METRIC, PLASTICITY_OFF, Problem, choose_lesions
from evoplastic.random import Purpose
from evoplastic.strategies.contract import Fixed

FORMAT, VERSION = "evoplastic.evaluate", 1
EVOLVED, GENERATION_0 = "evolved", "generation_0"
PARTS = ("training", "validation", "withheld")
NON_ADAPTING = "best non-adapting"  # what chance is called where no policy that learns nothing scores more
ACTIVITY_ALONE = 0.08  # of the way from chance to the oracle: what plasticity off keeps beyond is called learning

Array = NDArray[np.float64]
Pair = tuple[str, str]
Courses = dict[str, Array]  # task -> (lives, trials)
Scores = dict[str, Array]  # task -> (lives,)


class EvaluationRequest(NamedTuple):
    """What is to be evaluated."""

    lives: int  # per task and condition
    controls: tuple[str, ...]  # lesions, or "all" of them
    tasks: tuple[str, ...] | None = None  # None: all; a withheld one brings its negation
    seed: int = 0  # another seed, other stimuli and noise


class Evaluated(NamedTuple):
    """The `evaluate` object but for `run` and `generation`, and the learning curves of the same lives.

    `curves["conditions"]` holds for each condition the means over the tasks of each part, (lives, trials).
    """

    result: dict[str, Any]
    curves: dict[str, Any]


class Chosen(NamedTuple):
    """The tasks that are lived, in the problem's order."""

    training: list[str]
    withheld: list[str]
    training_pairs: list[Pair]
    withheld_pairs: list[Pair]
    validation: list[str]

    @property
    def parts(self) -> dict[str, list[str]]:
        return {"training": self.training, "validation": self.validation, "withheld": self.withheld}

    @property
    def tasks(self) -> list[str]:
        return self.training + self.validation + self.withheld


def evaluate(
    search: Search,
    center: Array,
    evaluator: Evaluator,
    request: EvaluationRequest,
    done: Callable[[str], None] = lambda condition: None,
) -> Evaluated:
    """Return what `center` (D,) is worth under every condition; `done` is called with the name of each once lived.

    UserError for an unknown control or task.
    """
    problem = search.problem
    chosen = choose_tasks(problem, request.tasks)
    courses = {}
    for name in condition_names(problem, request.controls):
        courses[name] = live(search, center, evaluator, request, chosen.tasks, name)
        done(name)
    measured = {"lives": request.lives, **_measured(problem, courses.values(), chosen)}
    addressed = {"seed": search.config.seed, "evaluation_seed": request.seed, "genome": "center"}
    scores = {name: _scores(lived, problem.scored_trials) for name, lived in courses.items()}
    curves = {name: _curve(lived, chosen) for name, lived in courses.items()}
    compared = _compared(scores, chosen)
    if problem.sampled:
        compared["over_tasks"] = summary_over_tasks(scores, chosen.parts, EVOLVED, GENERATION_0)
    notes = _notes(compared["conditions"], measured)
    return Evaluated(
        {"format": FORMAT, "version": VERSION, **addressed, **measured, **compared, "notes": notes},
        {**measured, "marks": dict(problem.marks), "conditions": curves},
    )


def condition_names(problem: Problem, controls: Iterable[str]) -> list[str]:
    """Return the conditions that are evaluated, in order: evolved, generation 0, then each control once."""
    return [EVOLVED, GENERATION_0, *choose_lesions(problem, controls)]


def in_words(condition: str) -> str:
    """Return what a condition is called; the keys of changes stay as they can be typed."""
    return condition if "=" in condition or "@" in condition else condition.replace("_", " ")


def choose_tasks(problem: Problem, tasks: Sequence[str] | None = None) -> Chosen:
    """Return the named tasks, all if None, withheld ones with their negations; UserError for unknown or no names."""
    known, held = problem.tasks, problem.withheld
    for name in tasks or ():
        if name not in known:
            raise UserError(f"task {name!r} is unknown; choose some of {list(known)}{nearest(name, known)}")
    if tasks is not None and not tasks:
        raise UserError(f"there is no task to evaluate; choose some of {list(known)}")
    wanted = set(known if tasks is None else tasks)
    wanted = wanted.union(*(pair for pair in problem.pairs(held) if wanted.intersection(pair)))
    validation = [name for name in known if name in wanted and name in problem.validation]
    training = [name for name in known if name in wanted and name not in held and name not in validation]
    withheld = [name for name in known if name in wanted and name in held]
    return Chosen(training, withheld, problem.pairs(training), problem.pairs(withheld), validation)


def activity_alone(measured: dict[str, Any]) -> float:
    """Return the score with plasticity off above which a genome is said to learn through activity."""
    return float(measured["chance"] + ACTIVITY_ALONE * (measured["oracle"] - measured["chance"]))


def _measured(problem: Problem, lived: Iterable[Courses], chosen: Chosen) -> dict[str, Any]:
    """Return what is measured, the scores of who knows nothing or everything, and what the learner is told."""
    courses = [course for tasks in lived for course in tasks.values()]
    return {
        "metric": problem.columns[METRIC],
        "trials_scored": problem.scored_trials,
        "chance": problem.chance,
        "random_policy": problem.random_policy,
        "oracle": problem.oracle,
        "chance_is": problem.called[0],
        "oracle_is": problem.called[1],
        "references": _references(problem, chosen),
        "blind_is_chance": bool(problem.pairs(problem.tasks)),  # what scores more than chance has learned
        "blind_is_below": problem.called[0] == NON_ADAPTING,  # the same, though who learns nothing may score less
        "oracle_exceeded": any(bool((course > problem.oracle).any()) for course in courses),  # in some trial
        "validation": list(problem.validation),
        "withheld": list(problem.withheld),
        "fold": problem.withholding,
        "privileged": problem.privileged,
    }


def _references(problem: Problem, chosen: Chosen) -> dict[str, Any]:
    """Return what others are known to score: by task, and the mean over a part if it is known of all its tasks."""
    told = {}
    for label, known in problem.references.items():
        parts = {part: [known.get(task) for task in tasks] for part, tasks in chosen.parts.items()}
        means = {part: float(np.mean(of)) if of and None not in of else None for part, of in parts.items()}  # type: ignore[arg-type]
        told[label] = {**means, "tasks": {task: known[task] for task in chosen.tasks if task in known}}
    return told


def live(
    search: Search,
    center: Array,
    evaluator: Evaluator,
    request: EvaluationRequest,
    tasks: Sequence[str],
    condition: str,
    measure: Measure = "course",
) -> Courses:
    """Return what is measured of one condition's lives on each task, (lives, trials); a lesion is a condition too."""
    candidates = Fixed(np.stack([center, search.start().center]))
    member = int(condition == GENERATION_0)
    lesion = INTACT if condition in (EVOLVED, GENERATION_0) else condition
    addresses = search.problem.test_lives(Purpose.EVALUATION, (request.seed,), request.lives)
    jobs = [Job(member, life._replace(lesion=lesion)) for task in tasks for life in addresses[task]]
    lived = evaluator.evaluate(candidates, jobs, measure)
    return dict(zip(tasks, lived.reshape(len(tasks), request.lives, -1)))


def _scores(courses: Courses, scored_trials: int) -> Scores:
    return {task: course[:, -scored_trials:].mean(axis=1) for task, course in courses.items()}


def _curve(courses: Courses, chosen: Chosen) -> dict[str, Array | None]:
    return {part: _mean_over(courses, tasks) for part, tasks in chosen.parts.items()}


def _compared(scores: dict[str, Scores], chosen: Chosen) -> dict[str, Any]:
    """Return every condition's table, and its differences from the evolved genome life by life."""
    table = {name: _condition(lived, chosen) for name, lived in scores.items()}
    behind = {name: _difference(scores[EVOLVED], lived, chosen) for name, lived in scores.items() if name != EVOLVED}
    gain = behind.pop(GENERATION_0)
    return {"conditions": table, "gain_over_generation_0": gain, "lost_by_lesion": behind}


def _mean_over(scores: Scores, tasks: Iterable[str]) -> Array | None:
    """Return the mean over tasks, life by life; None without tasks."""
    values = [scores[task] for task in tasks]
    return np.mean(values, axis=0) if values else None


def _condition(scores: Scores, chosen: Chosen) -> dict[str, Any]:
    return {
        **{part: _json(interval, _mean_over(scores, tasks)) for part, tasks in chosen.parts.items()},
        "tasks": {task: interval(scores[task]).to_json() for task in chosen.tasks},
        "withheld_pairs": [_pair(scores, pair) for pair in chosen.withheld_pairs],
        "training_pairs": [_pair(scores, pair) for pair in chosen.training_pairs],
    }


def _pair(scores: Scores, pair: Pair) -> dict[str, Any]:
    """Return a task and its negation: their mean, and how far the genome leans to one of the two."""
    one, other = scores[pair[0]], scores[pair[1]]
    mean = interval((one + other) / 2).to_json()
    return {"tasks": list(pair), **mean, "lean": abs(float(one.mean() - other.mean()))}


def _difference(scores: Scores, other: Scores, chosen: Chosen) -> dict[str, Any]:
    return {
        **{
            part: _json(paired, _mean_over(scores, tasks), _mean_over(other, tasks))
            for part, tasks in chosen.parts.items()
        },
        "tasks": {task: paired(scores[task], other[task]).to_json() for task in chosen.tasks},
    }


def _json(summary: Callable[..., Interval], *values: Array | None) -> dict[str, Any] | None:
    return None if values[0] is None else summary(*values).to_json()


def _notes(table: dict[str, Any], measured: dict[str, Any]) -> list[str]:
    """Return what a reader of the table should know, in sentences.

    Plasticity off is judged by its pair means where tasks come in pairs, for there it may lean to one of the two, else
    by the interval of its mean over the training tasks.
    """
    lesioned, lean, in_pairs = table.get(PLASTICITY_OFF), activity_alone(measured), measured["blind_is_chance"]
    if lesioned is None:
        return []
    if in_pairs:
        pairs = lesioned["withheld_pairs"] + lesioned["training_pairs"]
        means = {" and ".join(pair["tasks"]): pair["mean"] for pair in pairs}
    else:
        training = lesioned["training"]
        clear = training and training["low"] is not None and training["low"] > lean
        means = {"the training tasks": training["mean"]} if clear else {}
    kept = [f"{share(mean)} on {tasks}" for tasks, mean in means.items() if mean > lean]
    proven = in_pairs or measured["blind_is_below"]
    cause = "learning through activity" if proven else "by a policy that needs no learning, or through activity"
    return [f"Plasticity off keeps {', '.join(kept)}: {cause}."] if kept else []
