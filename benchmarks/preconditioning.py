"""A learned preconditioner against plain descent: steps on rotated quadratics under exact gradients.

    python benchmarks/preconditioning.py [--seeds 10]

A problem is 1/2 x^T H x in 20 genes, H of log-spaced eigenvalues from 1/condition to 1 in axes drawn evenly, x drawn
from N(0, 1). Each optimizer has 12 settings; the one with the fewest steps on the tuning seeds (median, then mean) is
run on fresh seeds. Writes benchmarks/PRECONDITIONING.md.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import statistics
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import cma
import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import source_hash
from evoplastic.strategies.optimizers import FOP, SGD, Adam, Hypergradient, Optimizer

RESULTS = Path(__file__).with_name("PRECONDITIONING.md")
GENES, TARGET, MOST, DIVERGED = 20, 1e-6, 500, 1e12
CONDITIONS = (100, 1_000)
FRESH = 1_000  # the first of the seeds that are reported; tuning begins at 0
SHARE = 0.5  # of the better plain descent's steps

Array = NDArray[np.float64]


def grid(build: Callable[..., Optimizer], **values: Iterable[Any]) -> list[Optimizer]:
    """Return the 12 settings that the values make."""
    settings = [build(**dict(zip(values, chosen))) for chosen in itertools.product(*values.values())]
    if len(settings) != 12:
        raise ValueError(f"each optimizer gets 12 settings, got {len(settings)}")
    return settings


def fops(**form: Any) -> list[Optimizer]:
    """Return FOP's 12 settings in a form."""
    return grid(lambda **said: FOP(**form, **said), learning_rate=(0.3, 1.0, 1.5), rate=(0.03, 0.1, 0.2, 0.3))


FULL = "FOP, full"
PLAIN = ("gradient descent", "hypergradient descent, normalised", "hypergradient descent, additive")
METHODS = {
    FULL: fops(),
    PLAIN[0]: grid(SGD, momentum=[0.0], learning_rate=np.linspace(0.85, 1.95, 12).round(2).tolist()),
    PLAIN[1]: grid(Hypergradient, learning_rate=(0.3, 1.0, 1.5), rate=(0.1, 0.3, 0.6, 0.9)),
    PLAIN[2]: grid(Hypergradient, normalised=[False], learning_rate=(0.3, 1.0, 1.9), rate=(1e-3, 1e-2, 0.1, 1.0)),
    "momentum": grid(SGD, learning_rate=(1.0, 1.9), momentum=(0.8, 0.9, 0.95), nesterov=(False, True)),
    "Adam": grid(Adam, learning_rate=(0.03, 0.1, 0.3), beta_1=(0.5, 0.9), beta_2=(0.9, 0.999)),
    "FOP, low rank (16 factors)": fops(form="low_rank", memory=16),
    "FOP, low rank (8 factors)": fops(form="low_rank", memory=8),
    "FOP, per block (of 5 genes)": fops(form="per_block", block=5),
    "FOP, diagonal": fops(form="diagonal"),
}


class Outcome(NamedTuple):
    """What an optimizer did at one condition."""

    chosen: Optimizer
    steps: list[int]  # of each fresh seed, MOST + 1 where the target was not reached


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    outcomes = {
        (name, condition): _measure(settings, condition, seeds)
        for name, settings in METHODS.items()
        for condition in CONDITIONS
    }
    searched = [[_evaluations(condition, FRESH + number) for number in range(seeds)] for condition in CONDITIONS]
    written = _report(outcomes, searched, seeds)
    RESULTS.write_text(written, encoding="utf-8")
    print(written)


def _problem(condition: int, seed: int) -> tuple[Array, Array]:
    """Return a curvature (D, D) and a first point (D,)."""
    draws = np.random.default_rng(seed)
    axes, triangle = np.linalg.qr(draws.normal(size=(GENES, GENES)))
    axes *= np.sign(np.diag(triangle))  # without the signs, axes would not be drawn evenly
    return axes * np.logspace(-np.log10(condition), 0.0, GENES) @ axes.T, draws.normal(size=GENES)


def _steps(optimizer: Optimizer, condition: int, seed: int) -> int:
    """Return the steps until the loss is TARGET times the first one."""
    curvature, x = _problem(condition, seed)
    state, gradient = optimizer.initial(GENES), curvature @ x
    first = x @ gradient
    for step in range(1, MOST + 1):
        change, state = optimizer.update(state, gradient)
        x = x + change
        gradient = curvature @ x
        loss = x @ gradient
        if loss <= TARGET * first:
            return step
        if not loss < DIVERGED * first:
            break
    return MOST + 1


def _measure(settings: list[Optimizer], condition: int, seeds: int) -> Outcome:
    def cost(optimizer: Optimizer) -> tuple[float, float]:
        steps = [_steps(optimizer, condition, seed) for seed in range(seeds)]
        return statistics.median(steps), statistics.mean(steps)

    chosen = min(settings, key=cost)
    return Outcome(chosen, [_steps(chosen, condition, FRESH + number) for number in range(seeds)])


def _evaluations(condition: int, seed: int) -> int:
    """Return the evaluations that CMA-ES as pycma has it takes, from the same first point with sigma 1."""
    curvature, x = _problem(condition, seed)
    said = {"ftarget": TARGET * (x @ curvature @ x), "seed": seed, "verbose": -9, "maxfevals": 1e6}
    said |= {"tolfun": 0.0, "tolfunhist": 0.0, "tolx": 0.0}  # nothing but the target ends it
    return int(cma.fmin2(lambda point: point @ curvature @ point, x, 1.0, said)[1].countevals)


def _report(outcomes: dict[tuple[str, int], Outcome], searched: list[list[int]], seeds: int) -> str:
    heads = [f"condition {condition:,} | its setting" for condition in CONDITIONS]
    rows = []
    for name in METHODS:
        found = [outcomes[name, condition] for condition in CONDITIONS]
        rows.append(f"| {name} | {' | '.join(f'{_spread(o.steps)} | {_said(o)}' for o in found)} |")
    evaluations = " | ".join(f"{_spread(found)} evaluations | sigma 1" for found in searched)
    return "\n".join(
        [
            "# A learned preconditioner on rotated quadratics",
            "",
            f"Made by `python benchmarks/preconditioning.py` on {date.today()}, {platform.machine()}, Python "
            f"{platform.python_version()}, sources {source_hash()}. {GENES} genes, eigenvalues log-spaced up to 1, "
            f"exact gradients; steps until the loss is {TARGET:g} of the first, at most {MOST}. Of each optimizer's 12 "
            f"settings the one with the fewest steps on {seeds} tuning seeds; median (lowest to highest) of {seeds} "
            "fresh seeds.",
            "",
            f"| optimizer | {' | '.join(heads)} |",
            f"|---|{'---|---|' * len(heads)}",
            *rows,
            f"| CMA-ES (pycma, as it comes) | {evaluations} |",
            "",
            "A step takes one gradient. CMA-ES sees none: its evaluations are another unit.",
            "",
            *(_verdict(outcomes, condition) for condition in CONDITIONS),
            "",
        ]
    )


def _verdict(outcomes: dict[tuple[str, int], Outcome], condition: int) -> str:
    """Return how the full form stands to plain descent and to momentum."""
    steps = {name: outcomes[name, condition].steps for name in METHODS}
    medians = {name: statistics.median(found) for name, found in steps.items()}
    best = min(PLAIN, key=medians.__getitem__)
    reached = {name: sum(step <= MOST for step in found) for name, found in steps.items()}
    return (
        f"- Condition {condition:,}: FOP takes {medians[FULL] / medians[best]:.2f} of the steps of the better plain "
        f"descent, {best} (over {MOST} counts as {MOST + 1}; aim: at most {SHARE}), and "
        f"{medians[FULL] / medians['momentum']:.2f} of momentum's. Within {MOST} steps it solves {reached[FULL]} of "
        f"{len(steps[FULL])} seeds, the plain descents {', '.join(str(reached[name]) for name in PLAIN)}."
    )


def _said(outcome: Outcome) -> str:
    """Return what was tuned of the optimizer, "" if it made no difference."""
    if min(outcome.steps) > MOST:
        return ""
    names = ("learning_rate", "rate", "momentum", "nesterov", "beta_1", "beta_2")
    values = [(name, getattr(outcome.chosen, name)) for name in names if hasattr(outcome.chosen, name)]
    return ", ".join(f"{name} {value:g}" if value is not True else name for name, value in values if value is not False)


def _spread(steps: list[int]) -> str:
    if min(steps) == MOST + 1:
        return f"over {MOST}"
    numbers = (statistics.median(steps), min(steps), max(steps))
    middle, low, high = (f"over {MOST}" if number == MOST + 1 else f"{number:,.0f}" for number in numbers)
    return f"{middle} ({low} to {high})"


if __name__ == "__main__":
    main()
