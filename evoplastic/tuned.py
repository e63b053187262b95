"""What a tuning came to: scores by run and rung, who goes on, the settings that are best, and how far to trust that.

A run's score is the mean of the metric over lives of its center that nothing else lives, all tasks equally often; the
same seed's lives are the same for all settings. Settings count as the median over the seeds; a run that diverged as
minus infinity. The best of many is best by luck too, so it is scored once more, on other lives, beside generation 0.

    tune.json    what was asked, the scores, and all that follows from them
    best.toml    the settings chosen, as a run file
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.analysis.evaluation_table import listed
from evoplastic.config import RunConfig, read_config, write_toml
from evoplastic.errors import UserError
from evoplastic.evaluators.contract import Evaluator, Job
from evoplastic.evolution import Search
from evoplastic.files import Migration, migrated, plain, read_json, write_json, write_whole
from evoplastic.groups import reached
from evoplastic.launch import Run
from evoplastic.problems.contract import METRIC, choosing_tasks
from evoplastic.random import Purpose
from evoplastic.runs import RunFolder
from evoplastic.strategies.contract import Fixed
from evoplastic.sweeps import Planned
from evoplastic.tuning import CONFIRMATION, REPORT_SEEDS, RUNG, Asked, Tuning, laid_over

FORMAT = "evoplastic.tune"
MIGRATIONS: dict[int, Migration] = {}  # version N -> N + 1
FILE, BEST = "tune.json", "best.toml"
DIVERGED = float("-inf")

Row = tuple[str, ...]


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """What has been scored; all else follows from it and what was asked."""

    asked: Asked
    scores: dict[str, tuple[float | None, ...]] = {}  # of each run, by rung; None: diverged
    confirmed: dict[str, tuple[float | None, float | None]] = {}  # of the best one's runs: evolved, generation 0

    def with_score(self, name: str, score: float) -> Scores:
        """Return these scores and one more, of a run in its next rung."""
        kept = score if math.isfinite(score) else None
        return msgspec.structs.replace(self, scores={**self.scores, name: (*self.scores.get(name, ()), kept)})

    def with_confirmed(self, name: str, pair: tuple[float, float]) -> Scores:
        """Return these scores and what a run of the best settings came to on fresh lives."""
        evolved, generation_0 = (value if math.isfinite(value) else None for value in pair)
        return msgspec.structs.replace(self, confirmed={**self.confirmed, name: (evolved, generation_0)})


def read_scores(folder: Path, asked: Asked) -> Scores:
    """Return the scores in a group's folder, none if it has none; UserError if they are of another tuning."""
    path = folder / FILE
    if not path.exists():
        return Scores(asked=asked)
    content = migrated(read_json(path), FORMAT, MIGRATIONS, path)
    try:
        found = msgspec.convert({name: content.get(name) for name in Scores.__struct_fields__}, Scores)
    except msgspec.ValidationError as error:
        raise UserError(f"{path} is damaged: {error}; restore it, or give the same tuning another --name") from error
    for name in Asked.__struct_fields__:
        then, now = getattr(found.asked, name), getattr(asked, name)
        if then != now:
            raise UserError(
                f"{folder} was begun with {name} {then!r}, got {now!r}; put that back, or choose another --name"
            )
    return found


def check_in_step(folder: Path, scores: Scores, rung: int, planned: Sequence[Planned]) -> None:
    """Raise UserError if a run has left the rung that it is yet to be scored in: its score is lost."""
    for each in planned:
        generation = reached(folder / each.cell.name)
        if len(scores.scores.get(each.cell.name, ())) <= rung and generation > each.config.generations:
            raise UserError(
                f"{folder / FILE} lacks the score of {each.cell.name} in rung {rung + 1}, at generation "
                f"{each.config.generations}, and the run has gone on to {generation}; restore {FILE}, or tune anew "
                "under another --name"
            )


def score(run: Run, evaluator: Evaluator, rung: int, lives: int) -> float:
    """Return what the run's center is worth at the end of a rung, on `lives` lives per task, DIVERGED if it is not."""
    if not run.finished:
        return DIVERGED
    return float(_means(run.search, run.center[None], evaluator, (RUNG, rung), lives)[0])


def confirm(run: Run, evaluator: Evaluator, lives: int) -> tuple[float, float]:
    """Return what the run's center and generation 0's are worth on lives that nothing was chosen by."""
    if not run.finished:
        return DIVERGED, DIVERGED
    centers = np.stack([run.center, run.search.start().center])
    evolved, generation_0 = _means(run.search, centers, evaluator, (CONFIRMATION,), lives)
    return float(evolved), float(generation_0)


def alive(tuning: Tuning, scores: Scores) -> list[list[int]]:
    """Return the candidates of each rung as far as scores decide, and at last the best one alone."""
    found = [list(range(len(tuning.candidates)))]
    for keep in [*(rung.settings for rung in tuning.rungs[1:]), 1]:
        medians = {number: median(tuning, scores, number, len(found) - 1) for number in found[-1]}
        if None in medians.values():
            break
        ranked = sorted(medians, key=lambda number: -medians[number])  # type: ignore[operator]
        found.append(sorted(ranked[:keep]))
    return found


def best_runs(tuning: Tuning, scores: Scores) -> list[Planned]:
    """Return the runs of the best settings, once all rungs are scored."""
    return tuning.runs(alive(tuning, scores)[-1][0], len(tuning.rungs) - 1)


def converges(tuning: Tuning, scores: Scores) -> bool:
    """Return whether the best settings have a score, once all rungs are scored."""
    best = alive(tuning, scores)[-1][0]
    return median(tuning, scores, best, len(tuning.rungs) - 1) != DIVERGED


def median(tuning: Tuning, scores: Scores, candidate: int, rung: int) -> float | None:
    """Return the candidate's median over the seeds in a rung, None if it is not scored on all of them yet."""
    found = [scores.scores.get(each.cell.name, ()) for each in tuning.runs(candidate, rung)]
    if any(len(by_rung) <= rung for by_rung in found):
        return None
    return statistics.median(_rank(by_rung[rung]) for by_rung in found)


def best_settings(tuning: Tuning, candidate: int) -> RunConfig:
    """Return the settings of a candidate as the run that they were meant for."""
    tried = tuning.candidates[candidate]
    config = read_config(tuning.asked.source, laid_over(tuning.asked.set, tried.over))
    said = f"{config.summary} Tuned: {tried.label}, the best of {len(tuning.candidates)} settings tried.".strip()
    return msgspec.structs.replace(config, name=f"{config.name}-tuned", summary=said)


def write_result(tuning: Tuning, folder: Path, scores: Scores) -> dict[str, Any]:
    """Write tune.json and, once the best settings are known, best.toml; return what the former says."""
    told = result(tuning, folder, scores)
    if told["best"]:
        write_whole(folder / BEST, write_toml(best_settings(tuning, told["best"]["candidate"])).encode())
    write_json(folder / FILE, told)
    return told


def result(tuning: Tuning, folder: Path, scores: Scores) -> dict[str, Any]:
    """Return the `tune` object."""
    problem = tuning.config.problem.build(tuning.config.seed)
    tasks, rounds = choosing_tasks(problem), alive(tuning, scores)
    told = {
        "format": FORMAT,
        "version": len(MIGRATIONS) + 1,
        "group": str(folder),
        "metric": problem.columns[METRIC],
        "chance": problem.chance,
        "oracle": problem.oracle,
        "scored_on": "validation" if problem.validation else "training",
        "tasks": list(tasks),
        "withheld": list(problem.withheld),
        "fold": problem.withholding,
        "rungs": [rung._asdict() for rung in tuning.rungs],
        "candidates": [_candidate(tuning, folder, scores, rounds, number, len(tasks)) for number in rounds[0]],
        "best": _best(tuning, scores, rounds),
        **msgspec.to_builtins(scores),
    }
    told["lifetimes"] = sum(candidate["lifetimes"] for candidate in told["candidates"])
    return dict(plain(told))


def table(told: Mapping[str, Any]) -> list[Row]:
    """Return the candidates of a `tune` object, those that came furthest first, each with its score in each rung."""
    rows: list[Row] = [("settings", *(f"rung {n + 1}" for n in range(len(told["rungs"]))), "generations", "lifetimes")]
    ranked = sorted(told["candidates"], key=lambda each: [-_rank(value) for value in reversed(_padded(told, each))])
    for each in ranked:
        scores = [_text(value, n < len(each["medians"])) for n, value in enumerate(_padded(told, each))]
        rows.append((each["label"], *scores, str(each["generations"]), str(each["lifetimes"])))
    return rows


def sentences(told: Mapping[str, Any]) -> list[str]:
    """Return how the table is to be read, and what the best settings are worth."""
    asked, best = told["asked"], told["best"]
    lines = [
        f"Median over seeds {asked['seeds']} of {told['metric']} on {len(told['tasks'])} {told['scored_on']} tasks, "
        f"{asked['lives']} lives each (chance {told['chance']:.2f}, oracle {told['oracle']:.2f}); "
        f"{told['lifetimes']} of {asked['budget']} lifetimes lived.",
        f"Withheld {listed(told['withheld'])}: {told['fold']}, never lived here."
        if told["withheld"]
        else "Nothing withheld.",
    ]
    if not best:
        return lines
    return [
        *lines,
        f"Best: {best['label']}, {_text(best['median'], True)} where it was chosen, the best of "
        f"{len(told['candidates'])} settings tried, so partly best by luck.",
        f"On fresh lives: {_text(best['confirmed'], True)} (generation 0: {_text(best['generation_0'], True)}). The "
        "luck of these seeds is still in it: before any claim, run the settings on other seeds.",
    ]


def warnings(tuning: Tuning) -> list[str]:
    """Return what a user should know before it starts."""
    low = [seed for seed in tuning.seeds if seed < REPORT_SEEDS]
    told = f"seeds below {REPORT_SEEDS} are kept for reports; tune on others, such as 100:102, got {tuning.asked.seeds}"
    return [told] if low else []


def _means(
    search: Search, centers: NDArray[np.float64], evaluator: Evaluator, path: tuple[int, ...], lives: int
) -> NDArray[np.float64]:
    """Return each center's mean metric (k,) over the scored tasks, all on the same lives."""
    addresses = search.problem.test_lives(Purpose.TUNING, path, lives)
    lived = [life for task in choosing_tasks(search.problem) for life in addresses[task]]
    jobs = [Job(member, life) for member in range(len(centers)) for life in lived]
    scores = evaluator.evaluate(Fixed(centers), jobs)[:, METRIC].reshape(len(centers), len(lived))
    means: NDArray[np.float64] = scores.mean(axis=1)
    return means


def _candidate(
    tuning: Tuning, folder: Path, scores: Scores, rounds: Sequence[Sequence[int]], number: int, tasks: int
) -> dict[str, Any]:
    tried = tuning.candidates[number]
    medians = [median(tuning, scores, number, rung) for rung in range(len(tuning.rungs))]
    known = [value for value in medians if value is not None]
    last = max(rung for rung in range(len(tuning.rungs)) if rung < len(rounds) and number in rounds[rung])
    runs = tuning.runs(number, last)
    tests = sum(tuning.asked.lives * sum(x is not None for x in scores.scores.get(run.cell.name, ())) for run in runs)
    tests += sum(2 * tuning.config.evaluation.lives * (run.cell.name in scores.confirmed) for run in runs)
    return {
        "label": tried.label,
        "over": tried.over,
        "medians": known,
        "generations": runs[0].config.generations,
        "lifetimes": sum(_lived(folder / run.cell.name) for run in runs) + tests * tasks,
    }


def _lived(folder: Path) -> int:
    """Return the lifetimes that the evolution of a run has taken; those lived again after a kill count once."""
    run = RunFolder.find(folder)
    events = run.events() if run else []
    return sum({event["generation"]: event["lives"] for event in events if event.get("kind") == "generation"}.values())


def _best(tuning: Tuning, scores: Scores, rounds: Sequence[Sequence[int]]) -> dict[str, Any] | None:
    """Return what the best settings came to, None as long as they are not known and confirmed."""
    if len(rounds) <= len(tuning.rungs):
        return None
    number, last = rounds[-1][0], len(tuning.rungs) - 1
    names = [run.cell.name for run in best_runs(tuning, scores)]
    confirmed = [scores.confirmed[name] for name in names if name in scores.confirmed]
    if len(confirmed) < len(tuning.seeds):
        return None
    evolved, unevolved = ([_rank(value) for value in values] for values in zip(*confirmed))
    tried = tuning.candidates[number]
    return {
        "candidate": number,
        "label": tried.label,
        "over": tried.over,
        "median": median(tuning, scores, number, last),
        "confirmed": statistics.median(evolved),
        "generation_0": statistics.median(unevolved),
        "lives": tuning.config.evaluation.lives,
    }


def _padded(told: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[float | None]:
    return [*candidate["medians"], *[None] * (len(told["rungs"]) - len(candidate["medians"]))]


def _rank(value: float | None) -> float:
    return DIVERGED if value is None else value


def _text(value: float | None, scored: bool) -> str:
    return (f"{value:.3f}" if value is not None else "diverged") if scored else ""
