"""Every claim that evolves something: run what is missing, evaluate, compare with the stated bounds, write RESULTS.md.

    python benchmarks/claims.py [--runs-dir runs/claims] [--only PRESET]

Runs are kept and carried on, so it can be stopped at any time and started again. A bound that is not met is printed
and written as such, and the exit code is 1. Seeds were drawn after the last change to any setting.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from evoplastic import bench
from evoplastic.config import deciding, difference, read_config
from evoplastic.jit import source_hash
from evoplastic.launch import load_run
from evoplastic.problems import lesions

LIVES = 16
RESULTS = Path(__file__).with_name("RESULTS.md")
LESIONS = tuple(name for name in lesions.LESIONS if name != "none")


class Bounds(NamedTuple):
    """What a preset must reach over its seeds; report fold, last 100 trials."""

    training_each: float = 0.0
    withheld_mean: float = 0.0
    withheld_each: float = 0.0
    training_gain: float | None = None  # over generation 0, paired by life


class Claim(NamedTuple):
    preset: str
    seeds: tuple[int, ...]
    bounds: Bounds = Bounds()
    controls: tuple[str, ...] = LESIONS


SEEDS = (41954, 3527, 36545)
CLAIMS = (
    Claim("quickstart", (0,), Bounds(training_gain=0.10)),
    Claim("icml2023-small", SEEDS, Bounds(training_each=0.85, withheld_mean=0.66, withheld_each=0.58)),
    Claim("icml2023-small-gains-frozen", SEEDS, controls=("plasticity_off",)),
    Claim("icml2023-small-plasticity-absent", SEEDS, controls=("plasticity_off",)),
    Claim("icml2023", (0,), Bounds(training_each=0.94, withheld_mean=0.88, withheld_each=0.88)),
)


def main() -> int:
    """Reproduce the claims; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/claims"))
    parser.add_argument("--only", choices=[claim.preset for claim in CLAIMS])
    options = parser.parse_args()
    claims = [claim for claim in CLAIMS if options.only in (None, claim.preset)]
    results = {claim: [_evaluated(options.runs_dir, claim, seed) for seed in claim.seeds] for claim in claims}
    missed = [sentence for claim, evaluations in results.items() for sentence in _missed(claim, evaluations)]
    if options.only is None:
        RESULTS.write_text(_report(results, missed), encoding="utf-8")
    for sentence in missed:
        print(f"not met: {sentence}", file=sys.stderr)
    return 1 if missed else 0


def _evaluated(runs: Path, claim: Claim, seed: int) -> dict[str, Any]:
    """Return the evaluation of the finished run of the claim's preset with `seed`, running what is missing of it."""
    config, name = read_config(claim.preset, seed=seed), f"{claim.preset}-s{seed}"
    folder = runs / name
    if not (folder / "manifest.json").exists():
        _evoplastic("run", claim.preset, "--seed", str(seed), "--name", name, "--runs-dir", str(runs))
    run = load_run(folder)
    changed = difference(config, deciding(run.config))
    if changed or run.config.generations != config.generations:
        raise SystemExit(f"{folder} was made with other settings than preset {claim.preset} has ({changed}); remove it")
    if not run.finished:
        _evoplastic("resume", str(folder))
    if not _complete(folder, claim, config.generations):
        _evoplastic("evaluate", str(folder), "--controls", ",".join(claim.controls), "--lives", str(LIVES))
    made = run.folder.manifest["source_hash"]
    return {**_complete(folder, claim, config.generations)[-1], "made_by_sources": made}


def _complete(folder: Path, claim: Claim, generations: int) -> list[dict[str, Any]]:
    """Return the evaluations of the last center that have the claim's lives and controls."""
    run = load_run(folder)
    found = run.folder.evaluations(generations, run.search.problem.tasks)
    return [result for result in found if result["lives"] == LIVES and set(claim.controls) <= set(result["conditions"])]


def _evoplastic(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "evoplastic", *arguments], check=True)


def _missed(claim: Claim, evaluations: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for every bound that the evaluations do not meet."""
    training = [_mean(result, "evolved", "training") for result in evaluations]
    withheld = [_mean(result, "evolved", "withheld") for result in evaluations]
    gains = [result["gain_over_generation_0"]["training"]["mean"] for result in evaluations]
    bounds, missed = claim.bounds, []
    if min(training) < bounds.training_each:
        missed.append(f"{claim.preset}: training {min(training):.3f} is below {bounds.training_each}")
    if statistics.mean(withheld) < bounds.withheld_mean:
        mean = statistics.mean(withheld)
        missed.append(f"{claim.preset}: mean withheld pair {mean:.3f} is below {bounds.withheld_mean}")
    if min(withheld) < bounds.withheld_each:
        missed.append(f"{claim.preset}: withheld pair {min(withheld):.3f} is below {bounds.withheld_each}")
    if bounds.training_gain is not None and min(gains) < bounds.training_gain:
        missed.append(f"{claim.preset}: gain on training tasks {min(gains):.3f} is below {bounds.training_gain}")
    return missed


def _mean(result: dict[str, Any], condition: str, part: str) -> float:
    return float(result["conditions"][condition][part]["mean"])


def _report(results: dict[Claim, list[dict[str, Any]]], missed: list[str]) -> str:
    """Return RESULTS.md."""
    made = sorted({result["made_by_sources"] for evaluations in results.values() for result in evaluations})
    lines = [
        "# Measured results",
        "",
        f"Made by `make science` on {date.today()}, {platform.machine()}, Python {platform.python_version()}; "
        f"runs by sources {', '.join(made)}, evaluated by {source_hash()}. "
        f"Accuracy over the last 100 trials of a life, {LIVES} lives per task and condition; the withheld pair is the "
        "mean of DMS and DNMS, which no training task resembles. One number per seed, in the order of the seeds; no "
        "interval over fewer than ten seeds. Chance and a random policy score .5, an oracle 1.",
        "",
        *(["Bounds not met:", "", *(f"- {sentence}" for sentence in missed), ""] if missed else []),
        "| preset | seeds | training tasks | withheld pair | generation 0, training | generation 0, pair | "
        "gain on training | gain on pair |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for claim, evaluations in results.items():
        gains = [result["gain_over_generation_0"] for result in evaluations]
        cells = [
            _numbers(_mean(result, "evolved", "training") for result in evaluations),
            _numbers(_mean(result, "evolved", "withheld") for result in evaluations),
            _numbers(_mean(result, "generation_0", "training") for result in evaluations),
            _numbers(_mean(result, "generation_0", "withheld") for result in evaluations),
            _numbers((gain["training"]["mean"] for gain in gains), signed=True),
            _numbers((gain["withheld"]["mean"] for gain in gains), signed=True),
        ]
        seeds = ", ".join(map(str, claim.seeds))
        lines.append(f"| `{claim.preset}` | {seeds} | " + " | ".join(cells) + " |")
    for claim, evaluations in results.items():
        lines += ["", f"## Lesions: `{claim.preset}`", "", *_lesions(claim, evaluations)]
        lines += ["", f"    evoplastic run {claim.preset} --seed {claim.seeds[0]}"]
        controls = "all" if claim.controls == LESIONS else ",".join(claim.controls)
        lines += [f"    evoplastic evaluate {claim.preset}-s{claim.seeds[0]} --controls {controls} --lives {LIVES}"]
    lines += ["", "## Speed", "", "    evoplastic bench", "", *_speed()]
    return "\n".join(lines) + "\n"


def _speed() -> list[str]:
    """Return the bench of this machine as a table; what it measures is told in `evoplastic/bench.py`."""
    header, *body = bench.rows(bench.measure("icml2023"))
    return [f"| {header[0]} | {header[1]} |", "|---|---|", *(f"| {label} | {value} |" for label, value in body)]


def _lesions(claim: Claim, evaluations: list[dict[str, Any]]) -> list[str]:
    lines = ["| condition | training tasks | withheld pair |", "|---|---|---|"]
    for condition in ("evolved", "generation_0", *claim.controls):
        training = _numbers(_mean(result, condition, "training") for result in evaluations)
        withheld = _numbers(_mean(result, condition, "withheld") for result in evaluations)
        lines.append(f"| {condition.replace('_', ' ')} | {training} | {withheld} |")
    return lines


def _numbers(values: Any, signed: bool = False) -> str:
    return ", ".join(f"{value:+.3f}" if signed else f"{value:.3f}" for value in values)


if __name__ == "__main__":
    sys.exit(main())
