"""Evolution on named meta-tasks: plastic networks beside the arms without plasticity and without activity over trials.

    python benchmarks/meta_tasks.py [--runs-dir runs/meta-tasks] [--side-by-side 2] [--report-only]

Runs what is missing, one worker a run, and writes benchmarks/META_TASKS.md. Every score is (reward - random) /
(oracle - random) on fresh instances, the exact values of random play and of who knows the instance being 0 and 1;
beside it stand generation 0, lesions, and the best fixed policy, which no instance changes. Seeds were drawn after
the last change to any setting. A bound that is not met is written as such, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from evoplastic.config import deciding, difference, read_config
from evoplastic.jit import source_hash
from evoplastic.launch import load_run
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.solvers.fixed_policies import best_fixed
from evoplastic.tasks.meta.solvers.values import values

RESULTS = Path(__file__).with_name("META_TASKS.md")
TASKS = ("dependent-bandit", "t-maze", "harlow", "two-step", "key-door", "reversal", "7x7-maze")
MUST_BEAT_FIXED = ("dependent-bandit", "t-maze", "harlow")
FEWEST_SEEDS = 4  # that must beat the best fixed policy
ARMS = {"plastic": "", "fixed weights": "-fixed-weights", "activity reset": "-activity-reset"}
LEAST_ADVANTAGE = 0.02  # in score, over the best fixed policy, to speak of learning
SEEDS = (60211, 17893, 90177, 45336, 28604)


class Arm(NamedTuple):
    task: str
    name: str
    seeds: list[dict[str, Any]]  # evaluations, in the order of SEEDS

    def means(self, condition: str) -> list[float]:
        """Return a condition's score on the training task, seed by seed."""
        return [float(result["conditions"][condition]["training"]["mean"]) for result in self.seeds]

    def beating(self, fixed: float) -> int:
        """Return how many seeds are clearly above a score."""
        return sum(score > fixed + LEAST_ADVANTAGE for score in self.means("evolved"))


def main() -> int:
    """Reproduce the claims; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/meta-tasks"))
    parser.add_argument("--side-by-side", type=int, default=2)
    parser.add_argument("--report-only", action="store_true", help="report the runs that are there")
    options = parser.parse_args()
    cells = [(task + arm, seed) for seed in SEEDS for arm in ARMS.values() for task in TASKS]
    if not options.report_only:
        with ThreadPoolExecutor(options.side_by_side) as pool:
            list(pool.map(lambda cell: _run(options.runs_dir, *cell), cells))
    arms = [
        Arm(task, name, [_evaluation(options.runs_dir, task + suffix, seed) for seed in SEEDS])
        for task in TASKS
        for name, suffix in ARMS.items()
    ]
    fixed = {task: _fixed(task) for task in TASKS}
    missed = [sentence for arm in arms for sentence in _missed(arm, fixed[arm.task])]
    RESULTS.write_text(_report(arms, fixed, missed), encoding="utf-8")
    for sentence in missed:
        print(f"not met: {sentence}", file=sys.stderr)
    return 1 if missed else 0


def _run(runs: Path, preset: str, seed: int) -> None:
    command = ["run", preset, "--seed", str(seed), "--name", f"{preset}-s{seed}", "--runs-dir", str(runs)]
    command = [sys.executable, "-m", "evoplastic", *command, "--workers", "1", "--resume-if-exists"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _evaluation(runs: Path, preset: str, seed: int) -> dict[str, Any]:
    """Return the evaluation at the end of a run, which must have been made with the preset's settings."""
    folder, config = runs / f"{preset}-s{seed}", read_config(preset, seed=seed)
    run = load_run(folder)
    changed = difference(config, deciding(run.config))
    if changed or run.config.generations != config.generations:
        raise SystemExit(f"{folder} was made with other settings than preset {preset} has ({changed}); remove it")
    return run.folder.evaluations(config.generations, run.search.problem.tasks)[-1] | {
        "made_by_sources": run.folder.manifest["source_hash"]
    }


def _fixed(task: str) -> tuple[float, bool]:
    """Return the score of the best fixed policy, and whether it is exact."""
    program = decode(read_config(task).problem.task.content[task])
    found, known = best_fixed(program), values(program)
    return (found.value - known.random) / (known.oracle - known.random), found.exact


def _missed(arm: Arm, fixed: tuple[float, bool]) -> list[str]:
    if arm.task not in MUST_BEAT_FIXED or arm.name != "plastic":
        return []
    better = arm.beating(fixed[0])
    said = f"{arm.task}: {better} of {len(SEEDS)} seeds beat the best fixed policy, fewer than {FEWEST_SEEDS}"
    return [said] if better < FEWEST_SEEDS else []


def _report(arms: list[Arm], fixed: dict[str, tuple[float, bool]], missed: list[str]) -> str:
    made = sorted({result["made_by_sources"] for arm in arms for result in arm.seeds})
    lives = arms[0].seeds[0]["lives"]
    lines = [
        "# Evolution on named meta-tasks",
        "",
        f"Made by `python benchmarks/meta_tasks.py` on {date.today()}, {platform.machine()}, Python "
        f"{platform.python_version()}; runs by sources {', '.join(made)}, reported by {source_hash()}. Score = (reward "
        f"- random) / (oracle - random), both exact, over the whole life; {lives} lives on fresh instances per "
        f"condition. One number per seed, in the order {', '.join(map(str, SEEDS))}; no interval over fewer than ten "
        "seeds. The oracle knows the instance from its first decision, so no learner reaches 1 where something has to "
        "be found out; in the maze it walks the shortest path to the goal.",
        "",
        *(["Bounds not met:", "", *(f"- {sentence}" for sentence in missed), ""] if missed else []),
        "| task | best fixed | arm | evolved, by seed | median | generation 0 | plasticity off | activity reset |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(arm, fixed[arm.task]) for arm in arms),
        "",
        "`plasticity off` and `activity reset` are lesions of the evolved genome (medians over seeds); the arms are "
        "evolved from generation 0 at equal lifetimes. A best fixed policy marked ≥ is a lower bound: more maps from "
        "states to actions exist than can be tried.",
        "",
        "## What does the work",
        "",
        *(f"- {_verdict(task, [arm for arm in arms if arm.task == task], fixed[task])}" for task in TASKS),
        "",
        "    evoplastic run TASK[-fixed-weights|-activity-reset] --seed SEED",
        "",
    ]
    return "\n".join(lines)


def _row(arm: Arm, fixed: tuple[float, bool]) -> str:
    evolved = arm.means("evolved")
    medians = (statistics.median(arm.means(name)) for name in ("generation_0", "plasticity_off", "activity_reset"))
    cells = [
        arm.task,
        ("" if fixed[1] else "≥ ") + f"{fixed[0]:.2f}",
        arm.name,
        ", ".join(f"{score:.2f}" for score in evolved),
        f"{statistics.median(evolved):.2f}",
        *(f"{score:.2f}" for score in medians),
    ]
    return f"| {' | '.join(cells)} |"


def _verdict(task: str, arms: list[Arm], fixed: tuple[float, bool]) -> str:
    """Return in two sentences what each arm reaches over the best fixed policy, and what does the work."""
    plastic, activity, weights = (statistics.median(arm.means("evolved")) for arm in arms)
    better = ", ".join(f"{arm.beating(fixed[0])} {arm.name}" for arm in arms)
    told = (
        f"**{task}**: both together reach {plastic:.2f}, recurrent activity alone {activity:.2f}, plastic weights "
        f"alone {weights:.2f}, the best fixed policy {fixed[0]:.2f}; seeds of {len(SEEDS)} that beat it: {better}. "
    )
    if max(plastic, activity, weights) <= fixed[0] + LEAST_ADVANTAGE:
        return told + "Nothing beyond a fixed policy is learned."
    gained, active = max(plastic, weights) - fixed[0], activity - fixed[0]
    if active < gained / 4:
        return told + "Plasticity does the work."
    if active > 3 * gained / 4:
        return told + "Recurrent activity alone can do most of the work."
    return told + "Recurrent activity alone does part of it, plasticity more."


if __name__ == "__main__":
    sys.exit(main())
