"""How fast certified tasks are drawn and how often one comes twice.

    python benchmarks/sampling.py [--draws 10000] [--seed 0]

One process. Prints candidates examined per second through the cheap screen and through everything, certificates per
second, the share of candidates that each filter rejects, duplicates by canonical class among accepted candidates and
among all, coverage, and what the accepted tasks are made of.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from evoplastic.random import Purpose, stream_key
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.sampling.candidates import Candidate, examine
from evoplastic.tasks.meta.sampling.canonical import canonical
from evoplastic.tasks.meta.sampling.certified_draws import draw_candidate
from evoplastic.tasks.meta.sampling.coverage import POSSIBLE, coverage
from evoplastic.tasks.meta.sampling.settings import SampleSettings
from evoplastic.tasks.meta.sampling.structure import flaw
from evoplastic.tasks.meta.solvers.certify import certify, screen

TIMED = 500  # candidates for the parts


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = SampleSettings(seed=options.seed)
    _parts(settings)
    begun = time.process_time()
    found = [examine(settings, number) for number in range(options.draws)]
    spent = time.process_time() - begun
    accepted = [candidate for candidate in found if not candidate.rejected]
    print(f"everything   {options.draws / spent:8.0f} candidates/s, {len(accepted) / spent:.1f} accepted/s")
    for reason, count in Counter(candidate.rejected or "accepted" for candidate in found).most_common():
        print(f"{count / len(found):8.2%}  {reason}")
    print(f"duplicates   {_twice(candidate.canonical for candidate in accepted):.2%} of the accepted candidates")
    every = (_program(settings, number) for number in range(options.draws))
    print(f"             {_twice(map(canonical, every)):.2%} of all candidates")
    _describe(accepted)


def _parts(settings: SampleSettings) -> None:
    """Time what every candidate and what some candidates go through, on one core."""
    full = SampleSettings(seed=settings.seed, fewest_states=settings.most_states)
    programs = [_program(full, number) for number in range(-TIMED, 0)]  # kernels are compiled on the way
    for program in programs[:50]:
        screen(program)
        certify(program)
    print(f"draw, decode {_per_second(lambda number: _program(full, number)):8.0f} candidates/s")
    print(f"screened     {_per_second(lambda number: _screened(_program(full, number))):8.0f} candidates/s, 4 states")
    begun = time.process_time()
    for program in programs[:100]:
        certify(program)
    print(f"certified    {100 / (time.process_time() - begun):8.1f} candidates/s, none screened out before")


def _per_second(work: Callable[[int], Any]) -> float:
    begun = time.process_time()
    for number in range(TIMED):
        work(number)
    return TIMED / (time.process_time() - begun)


def _program(settings: SampleSettings, number: int) -> Program:
    return decode(draw_candidate(stream_key(settings.seed, Purpose.TASK, 0, number % 2**31), settings))


def _screened(program: Program) -> None:
    if not flaw(program):
        screen(program)


def _twice(classes: Iterable[str]) -> float:
    """Return the share that is of a class met before."""
    counts = Counter(classes)
    return 1.0 - len(counts) / max(1, counts.total())


def _describe(accepted: list[Candidate]) -> None:
    covered = coverage(candidate.place for candidate in accepted if candidate.place)
    print(f"coverage     {covered.occupied} of {POSSIBLE} possible bins, {covered.counts}")
    certificates = [candidate.certificate for candidate in accepted if candidate.certificate]
    for name in ("adapting", "memory", "learnable", "instances", "steps_to_90", "aliasing", "reward_density"):
        quantiles = np.quantile([getattr(one, name) for one in certificates], [0.0, 0.1, 0.5, 0.9, 1.0])
        print(f"{name:15} least, 10 %, median, 90 %, most: {np.round(quantiles, 3).tolist()}")
    specs = [candidate.spec for candidate in accepted if candidate.spec]
    made_of = {
        "variable state pays": [("goal" in spec.variables) for spec in specs],
        "variable action pays": [("good action" in spec.variables) for spec in specs],
        "variable chance": [("p" in spec.variables) for spec in specs],
        "variable way": [("left way" in spec.variables) for spec in specs],
        "variable signs": [("one sign" in spec.variables) for spec in specs],
        "flag": [bool(spec.flags) for spec in specs],
        "change": [any(variable.change for variable in spec.variables.values()) for spec in specs],
        "cost": [bool(spec.costs) for spec in specs],
        "exact": [one.bayes.exact and one.blind.exact for one in certificates],
    }
    print(", ".join(f"{name} {np.mean(there):.0%}" for name, there in made_of.items()))


if __name__ == "__main__":
    main()
