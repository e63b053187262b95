"""Evolution on certified random meta-tasks: plastic networks beside arms without an ingredient, and learners.

    python benchmarks/certified_tasks.py [--arms plastic q_learning ...] [--seeds 71093 ...] [--workers 1]
    python benchmarks/certified_tasks.py --report-only

Runs what is missing of the arms and seeds named (default: all) and writes benchmarks/CERTIFIED_TASKS.md from every run
that is there, so parts may be run apart. Adaptivity is (reward - best non-adapting) / (Bayes - best non-adapting): no
policy that is never told a reward scores above 0, no learner above 1. Networks and learners evolve on the same tasks,
over the same generations, populations and lives; posterior sampling is told the meta-task and taken as it is. Seeds
were drawn after the last change to any setting.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from evoplastic.analysis.statistics import Interval, interval, share
from evoplastic.config import RunConfig, deciding, difference, parse_config, read_config, write_toml
from evoplastic.errors import UserError
from evoplastic.files import write_whole
from evoplastic.jit import source_hash
from evoplastic.launch import load_run

RESULTS = Path(__file__).with_name("CERTIFIED_TASKS.md")
PRESET = "certified"
MACHINE = "2 shared virtual cores"
NETWORKS = {"plastic": "", "fixed weights": "-fixed-weights", "activity reset": "-activity-reset"}  # arm -> preset
TUNED = ("q_learning", "win_stay", "qss")  # learners whose coefficients evolve with the budget of the networks
AS_IT_IS = "thompson"
ARMS = (*NETWORKS, *TUNED, AS_IT_IS)
PARTS = ("training", "validation", "withheld")
SEEDS = (71093, 24518, 98340, 15377, 60852)


class Arm(NamedTuple):
    name: str
    results: dict[int, dict[str, Any]]  # seed -> evaluation

    @property
    def condition(self) -> str:
        return "generation_0" if self.name == AS_IT_IS else "evolved"

    def tasks(self, part: str, condition: str | None = None) -> np.ndarray:
        """Return adaptivity by seed and task of a part, (seeds, tasks)."""
        rows = []
        for result in self.results.values():
            scores = result["conditions"][condition or self.condition]["tasks"]
            rows.append([scores[task]["mean"] for task in tasks_of(result, part)])
        return np.array(rows, np.float64)

    def has(self, condition: str) -> bool:
        return all(condition in result["conditions"] for result in self.results.values())


def tasks_of(result: dict[str, Any], part: str) -> list[str]:
    """Return the tasks of a part, in the order of the evaluation."""
    kept = {name: part for part in PARTS[1:] for name in result[part]}
    return [name for name in result["conditions"]["evolved"]["tasks"] if kept.get(name, "training") == part]


def main() -> int:
    """Run, collect, report; return the exit code."""
    options = _options()
    configs = {arm: _config(arm, tuple(options.set)) for arm in ARMS}
    cells = [(arm, seed) for seed in options.seeds for arm in options.arms]
    if not options.report_only:
        with ThreadPoolExecutor(options.side_by_side) as pool:
            list(pool.map(lambda cell: _run(options, configs[cell[0]], *cell), cells))
    arms = [Arm(arm, _evaluations(options.runs_dir, configs[arm], arm)) for arm in ARMS]
    arms = [arm for arm in arms if arm.results]
    if not arms:
        raise SystemExit(f"there is no finished run in {options.runs_dir}")
    report = _report(arms, configs["plastic"])
    if options.set:
        print(report)
    else:
        RESULTS.write_text(report, encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/certified-tasks"))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS, metavar="ARM", help=f"of {', '.join(ARMS)}")
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=SEEDS, metavar="SEED")
    parser.add_argument("--workers", type=int, default=1, help="threads of a run")
    parser.add_argument("--side-by-side", type=int, default=2, help="runs at a time")
    parser.add_argument("--report-only", action="store_true", help="report the runs that are there")
    parser.add_argument("--set", action="append", default=[], help="over every arm, for a trial; prints the table")
    return parser.parse_args()


def _config(arm: str, overrides: Sequence[str]) -> RunConfig:
    """Return an arm's settings: a preset's, or a learner's on the preset's very tasks."""
    if arm in NETWORKS:
        return read_config(PRESET + NETWORKS[arm], overrides)
    raw: dict[str, Any] = msgspec.to_builtins(read_config(PRESET, overrides))
    task, scored = raw["problem"]["task"], raw["problem"]["scored_trials"]
    raw["problem"] = {"type": "tabular", "learner": {"type": arm}, "task": task, "scored_trials": scored}
    raw["evaluation"]["controls"] = ["plasticity_off"]
    told = {"name": arm, "summary": f"The learner {arm} on the tasks of preset {PRESET}."}
    return parse_config(raw | told | ({"generations": 1} if arm == AS_IT_IS else {}))


def _name(arm: str, seed: int) -> str:
    return f"{arm.replace(' ', '-')}-s{seed}"


def _run(options: argparse.Namespace, config: RunConfig, arm: str, seed: int) -> None:
    """Evolve and evaluate one cell, with the tasks that are drawn already."""
    folder = options.runs_dir / "run-files"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{_name(arm, seed)}.toml"
    write_whole(file, write_toml(msgspec.structs.replace(config, seed=seed)).encode())
    command = ["run", str(file), "--name", _name(arm, seed), "--runs-dir", str(options.runs_dir)]
    command = [sys.executable, "-m", "evoplastic", *command, "--workers", str(options.workers), "--resume-if-exists"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print(f"{arm}, seed {seed}: done", file=sys.stderr)


def _evaluations(runs: Path, config: RunConfig, arm: str) -> dict[int, dict[str, Any]]:
    """Return the last evaluation, as its settings ask for it, of every finished run of an arm, which must have them."""
    found = {}
    for seed in SEEDS:
        folder = runs / _name(arm, seed)
        if not folder.is_dir():
            continue
        try:
            run = load_run(folder)
        except UserError as error:
            raise SystemExit(str(error)) from None
        changed = difference(msgspec.structs.replace(config, seed=seed), deciding(run.config))
        if changed or run.config.generations != config.generations:
            raise SystemExit(f"{folder} was made with other settings than arm {arm} has ({changed}); remove it")
        evaluations = run.folder.evaluations(config.generations, run.search.problem.tasks)
        asked = config.evaluation.lives, 0
        if evaluations := [made for made in evaluations if (made["lives"], made["evaluation_seed"]) == asked]:
            told = {"made_by_sources": run.folder.manifest["source_hash"], "seconds": _seconds(run.folder.path)}
            found[seed] = evaluations[-1] | told
    return found


def _seconds(folder: Path) -> float:
    """Return what all generations of a run took, validation included."""
    events = map(msgspec.json.decode, (folder / "events.jsonl").read_bytes().splitlines())
    return sum(event["seconds"] + event["validation_seconds"] for event in events if event["kind"] == "generation")


def _report(arms: Sequence[Arm], config: RunConfig) -> str:
    first = next(iter(arms[0].results.values()))
    made = sorted({result["made_by_sources"] for arm in arms for result in arm.results.values()})
    counts = ", ".join(f"{len(tasks_of(first, part))} {part}" for part in PARTS)
    task = config.problem.task  # type: ignore[union-attr]
    budget = config.generations * config.strategy.population * task.tasks_per_life  # type: ignore[union-attr]
    lines = [
        "# Evolution on certified random meta-tasks",
        "",
        f"Made by `python benchmarks/certified_tasks.py` on {date.today()}, {MACHINE}, Python "
        f"{platform.python_version()}; runs by sources {', '.join(made)}, reported by {source_hash()}. {counts} tasks "
        f"of horizon {task.trials}, no two of one canonical class; {first['lives']} lives per task and condition, on "
        f"instances that evolution never met. Every tuned arm lived {budget:,} instances.",
        "",
        "Adaptivity = (reward - best non-adapting) / (Bayes - best non-adapting), from proven bounds: above 0 something"
        " was learned from reward, and no learner is above 1. Scores are means over tasks; withheld tasks were met "
        "nowhere before. Brackets hold the 95 % interval over tasks (Student's t) of the mean over seeds: what is "
        "expected of tasks drawn alike, for these seeds. By seed in the order "
        f"{', '.join(map(str, dict.fromkeys(seed for arm in arms for seed in arm.results)))}.",
        "",
        "| arm | training tasks, new instances | validation tasks | withheld tasks | withheld, by seed | generation 0, "
        "withheld | plasticity off | activity reset | minutes a seed |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(arm) for arm in arms),
        *_reference_rows(first),
        "",
        f"Coefficients of {', '.join(TUNED)} evolved with the budget of the networks; {AS_IT_IS} is taken as it is. "
        "`plasticity off` and `activity reset` are lesions of the evolved genome, on withheld tasks (medians over "
        "seeds).",
        "",
        "## What each is told",
        "",
        *(f"- {arm.name}: {next(iter(arm.results.values()))['privileged']}" for arm in arms),
        "",
        "## What the evidence says",
        "",
        *(f"- {sentence}" for sentence in _verdicts(arms)),
        "",
    ]
    return "\n".join(lines)


def _row(arm: Arm) -> str:
    medians = (_median(arm, name) for name in ("generation_0", "plasticity_off", "activity_reset"))
    minutes = statistics.median(result["seconds"] for result in arm.results.values()) / 60
    cells = [
        arm.name,
        *(str(_over_tasks(arm.tasks(part))) for part in PARTS),
        ", ".join(share(score) for score in arm.tasks("withheld").mean(axis=1)),
        *medians,
        f"{minutes:.1f}" if arm.name != AS_IT_IS else "",
    ]
    return f"| {' | '.join(cells)} |"


def _median(arm: Arm, condition: str) -> str:
    if not arm.has(condition):
        return ""
    return share(float(np.median(arm.tasks("withheld", condition).mean(axis=1))))


def _over_tasks(scores: np.ndarray) -> Interval:
    """Return the mean over seeds and tasks, (seeds, tasks), with its interval over tasks."""
    return interval(scores.mean(axis=0))


def _reference_rows(result: dict[str, Any]) -> list[str]:
    told = {result["chance_is"]: dict.fromkeys(PARTS, result["chance"]), **result["references"]}
    told |= {result["oracle_is"]: dict.fromkeys(PARTS, result["oracle"])}
    return [
        f"| *{label}* | {' | '.join('' if by[part] is None else share(by[part]) for part in PARTS)} | | | | | |"
        for label, by in told.items()
    ]


def _verdicts(arms: Sequence[Arm]) -> list[str]:
    """Return in sentences what intervals over tasks show, and what seeds agree on."""
    told = []
    for arm in arms:
        for part in ("training", "withheld"):
            known = _over_tasks(arm.tasks(part))
            told.append(f"{arm.name} on {part} tasks: {_claim(known)} ({known}).")
    plastic = next((arm for arm in arms if arm.name == "plastic"), None)
    for other in arms if plastic else ():
        seeds = [seed for seed in plastic.results if seed in other.results] if plastic else []
        if other is plastic or plastic is None or not seeds:
            continue
        ours, theirs = (_by_seed(arm, seeds) for arm in (plastic, other))
        over = interval((ours - theirs).mean(axis=0))
        better = int((ours.mean(axis=1) > theirs.mean(axis=1)).sum())
        told.append(
            f"plastic minus {other.name}, withheld, paired by task: {over}; more in {better} of {len(seeds)} seeds."
        )
    return [
        *told,
        f"These intervals are over tasks, for these seeds; {len(SEEDS)} seeds are too few for one over seeds.",
    ]


def _claim(known: Interval) -> str:
    if known.low is None or known.high is None:
        return "too few tasks to tell"
    if known.low > 0:
        return "adapts beyond any policy that is never told a reward"
    return "worse than the best that does not adapt" if known.high < 0 else "no adapting is shown"


def _by_seed(arm: Arm, seeds: Sequence[int]) -> np.ndarray:
    order = list(arm.results)
    return arm.tasks("withheld")[[order.index(seed) for seed in seeds]]


if __name__ == "__main__":
    sys.exit(main())
