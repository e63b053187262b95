"""Sampling meta-tasks: candidates examined in the order of their numbers until enough are accepted.

Every candidate is a function of the settings and its number, and whether it is accepted depends on those before it
only; so equal settings give an equal list, however many processes examine the candidates.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
from collections import Counter, deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

from evoplastic.errors import UserError
from evoplastic.tasks.meta.language import MetaTask
from evoplastic.tasks.meta.sampling import candidates
from evoplastic.tasks.meta.sampling.candidates import Candidate, examine
from evoplastic.tasks.meta.sampling.coverage import POSSIBLE, Bin, Place
from evoplastic.tasks.meta.sampling.settings import SampleSettings as SampleSettings
from evoplastic.tasks.meta.solvers.certificate import Certificate

DUPLICATE = "it is one of the tasks before under other names"
FULL = "its bin is full"
_CHUNK = 16  # candidates that a process examines at a time
_AHEAD = 2  # chunks that wait for each process
_LOOSEN = {
    candidates.UNLEARNABLE: "lower learnable",
    candidates.UNGAINED: "lower learnable",
    candidates.MEMORYLESS: "lower adapting",
    candidates.UNADAPTING: "lower adapting",
    candidates.FIXED: "lower knowing, which is adapting where it is not said",
    candidates.UNIDENTIFIED: "raise identified or horizon",
    candidates.LOOSE: "raise loosest, or lower horizon or instances",
    candidates.TOO_LARGE: "lower most_states, instances or horizon",
    DUPLICATE: "raise most_states or instances",
    FULL: "raise per_bin",
}


class Sampled(NamedTuple):
    """A task of a sample."""

    name: str
    number: int  # of the candidate
    spec: MetaTask
    certificate: Certificate | None  # None: the published generator gives none
    canonical: str
    place: Place | None  # where a certified task lies in the coverage


class Sample(NamedTuple):
    """Tasks, no two of which are the same under other names, and what became of all candidates examined."""

    tasks: tuple[Sampled, ...]
    examined: int
    rejected: dict[str, int]  # how many candidates each filter rejected, most first


def sample(
    settings: SampleSettings,
    count: int,
    workers: int = 1,
    tell: Callable[[int, int], None] = lambda examined, accepted: None,
) -> Sample:
    """Return `count` tasks; UserError for settings that make no sense, or by which so many are not found.

    `tell` is told how many candidates have been examined and accepted. More than one of the `workers` are processes
    that begin anew, so a script that calls this guards its main part by `if __name__ == "__main__"`.
    """
    settings.check()
    _check_count(settings, count)
    accepted = _Accepted(settings)
    with closing(_examined(settings, workers)) as found:
        while len(accepted.tasks) < count:
            if accepted.examined == settings.most_draws:
                raise UserError(_given_up(settings, accepted, count))
            accepted.consider(next(found))
            tell(accepted.examined, len(accepted.tasks))
    return Sample(tuple(accepted.tasks), accepted.examined, dict(accepted.rejected.most_common()))


def _check_count(settings: SampleSettings, count: int) -> None:
    if count > settings.most_draws:
        raise UserError(f"most_draws must be at least the {count:,} tasks asked for, got {settings.most_draws:,}")
    if settings.kind == "certified" and settings.per_bin is not None and count > settings.per_bin * POSSIBLE:
        raise UserError(
            f"per_bin must be at least {math.ceil(count / POSSIBLE)} for {count:,} tasks, since {POSSIBLE} bins can "
            f"hold any, got {settings.per_bin}"
        )


@dataclass
class _Accepted:
    """What has become of the candidates so far."""

    settings: SampleSettings
    tasks: list[Sampled] = field(default_factory=list)
    examined: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    classes: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    bins: Counter[Bin] = field(default_factory=Counter)

    def consider(self, candidate: Candidate) -> None:
        """Count a candidate, and keep it if nothing is against it."""
        self.examined += 1
        rejected = candidate.rejected or self._against(candidate)
        if rejected:
            self.rejected[rejected] += 1
            return
        assert candidate.spec is not None
        name = self._name(candidate.canonical)
        self.classes.add(candidate.canonical)
        self.names.add(name)
        if candidate.place is not None:
            self.bins[candidate.place.bin] += 1
        known = candidate.certificate, candidate.canonical, candidate.place
        self.tasks.append(Sampled(name, candidate.number, candidate.spec, *known))

    def _against(self, candidate: Candidate) -> str:
        most, place = self.settings.per_bin, candidate.place
        if candidate.canonical in self.classes:
            return DUPLICATE
        return FULL if most is not None and place is not None and self.bins[place.bin] >= most else ""

    def _name(self, digest: str) -> str:
        """Return a name after the canonical class, of 8 digits or as many as it takes to be new."""
        kind = "random" if self.settings.kind == "certified" else "published"
        names = (f"{kind}-{digest[:digits]}" for digits in range(8, len(digest) + 1))
        return next(name for name in names if name not in self.names)


def _examined(settings: SampleSettings, workers: int) -> Generator[Candidate, None, None]:
    """Yield candidates in the order of their numbers."""
    if workers <= 1:
        yield from (examine(settings, number) for number in range(settings.most_draws))
        return
    most = settings.most_draws
    chunks = (range(first, min(first + _CHUNK, most)) for first in range(0, most, _CHUNK))
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    waiting: deque[Future[list[Candidate]]] = deque()
    try:
        for chunk in itertools.islice(chunks, workers * _AHEAD):
            waiting.append(pool.submit(_examine, settings, chunk))
        while waiting:
            yield from waiting.popleft().result()
            waiting.extend(pool.submit(_examine, settings, chunk) for chunk in itertools.islice(chunks, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _examine(settings: SampleSettings, numbers: range) -> list[Candidate]:
    return [examine(settings, number) for number in numbers]


def _given_up(settings: SampleSettings, accepted: _Accepted, count: int) -> str:
    counted = accepted.rejected.most_common()
    listed = "; ".join(f"{reason}: {times:,}" for reason, times in counted)
    loosen = next((_LOOSEN[reason] for reason, _ in counted if reason in _LOOSEN), "lower the thresholds")
    return (
        f"{len(accepted.tasks):,} of {count:,} tasks were found among {accepted.examined:,} candidates "
        f"({listed}); {loosen}, or raise most_draws = {settings.most_draws:,}"
    )
