"""Record lives of one genotype: fresh ones, so that what is looked at was not what evolution was scored by."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError, nearest
from evoplastic.evaluators.contract import Evaluator, Job, measuring
from evoplastic.evolution import Search
from evoplastic.jit import source_hash
from evoplastic.networks.roles import CLAMPED
from evoplastic.problems.changes import parts_of
from evoplastic.problems.contract import INTACT, Life, Problem, choose_lesions
from evoplastic.problems.lifetimes import Lifetimes
from evoplastic.random import Purpose, permutation, stream_key
from evoplastic.recorders import Wanted
from evoplastic.recordings import Recording
from evoplastic.strategies.contract import Fixed
from evoplastic.tasks.contract import steps_per_trial

SCORES = ("loss", "correct", "cost")
Array = NDArray[np.float64]


class RecordRequest(NamedTuple):
    """What is to be recorded."""

    task: str
    lives: int = 4
    first: int = 0  # trial
    trials: int | None = None  # None: all from `first` on
    every: int = 10  # trials between all plastic weights; after the last trial where there are fewer
    synapses: int = 100  # that are followed step by step, drawn at random; all where there are fewer
    lesion: str = INTACT
    seed: int = 0  # another seed, other stimuli and noise
    gap: int = 0  # trials in the middle of these that are not recorded


def planned(search: Search, request: RecordRequest) -> tuple[Wanted, int]:
    """Return what is kept of each life, and the bytes that the recording takes; UserError for what cannot be."""
    problem = _recordable(search)
    if request.task not in problem.tasks:
        raise UserError(
            f"task {request.task!r} is unknown; choose one of {list(problem.tasks)}"
            f"{nearest(request.task, problem.tasks)}"
        )
    choose_lesions(problem, [] if request.lesion == INTACT else [request.lesion])
    wanted = _wanted(problem.under(request.lesion), request)
    shapes = _shapes(problem.under(request.lesion), request)
    size = sum((8 if name == "kinds" else 4) * math.prod(shape) for name, shape in shapes.items())
    return wanted, request.lives * size


def _wanted(problem: Lifetimes, request: RecordRequest) -> Wanted:
    """Return what is kept of each life of a problem as it is under the lesion."""
    lived = _trials_of(problem, request.task)
    trials = lived - request.first - request.gap if request.trials is None else request.trials
    end = request.first + trials + request.gap
    if trials < 1 or end > lived:
        raise UserError(
            f"a life has trials 0 to {lived - 1}, and {request.first} to {end - 1} are to be recorded; choose some of "
            "them"
        )
    places = problem.settings.network.places()
    units = sum(map(len, places.values()))
    followed = _followed(problem.seed, units, places, request.synapses)
    return Wanted(request.first, trials, min(request.every, trials), followed, request.gap)


def _shapes(problem: Lifetimes, request: RecordRequest) -> dict[str, tuple[int, ...]]:
    """Return the shape that each array has for one life, in the order in which a row holds them."""
    wanted = _wanted(problem, request)
    units = sum(map(len, problem.settings.network.places().values()))
    steps, trials = steps_per_trial(problem.task_of([request.task])), wanted.trials
    return {
        "rates": (trials, steps, units),
        "noise": (trials, steps, units),
        "modulators": (trials, steps, problem.channels),
        "kinds": (trials,),
        "followed": (trials, steps, len(wanted.synapses)),
        "weights": (trials // wanted.every, units, units),
        "scores": (trials, len(SCORES)),
        "innate": (units, units),
        "gain": (units, units),
    }


def windowed(search: Search, request: RecordRequest, size: float, window: int) -> RecordRequest:
    """Return a request for all of these trials if they take at most `size` bytes, else for those at either end.

    These are `window` first and as many last ones, or fewer where they take more; one at either end at the least.
    """
    wanted, takes = planned(search, request)
    if takes <= size or wanted.trials <= 2:
        return request
    count = 2 * max(1, min(window, wanted.trials // 2, int(wanted.trials * size / takes) // 2))
    return request._replace(trials=count, gap=request.gap + wanted.trials - count)


def trials_of(search: Search, task: str) -> int:
    """Return how many trials a life has that tests this task: all of its tasks together."""
    return _trials_of(_recordable(search), task)


def _trials_of(problem: Lifetimes, task: str) -> int:
    life = problem.test_lives(Purpose.RECORDING, (0,), 1)[task][0]
    return len(problem.tasks_of(life)) * int(problem.settings.task.trials)


def check_memory(size: int) -> None:
    """Raise UserError if a recording of `size` bytes does not fit; it is held up to four times while it is made."""
    has = _memory()
    if 4 * size > has / 2:
        raise UserError(
            f"the recording takes {size / 1e9:.1f} GB and four times that while it is made, more than half of the "
            f"{has / 1e9:.0f} GB that there are; choose fewer --lives, --trials or --synapses, or a larger --every"
        )


def _memory() -> int:
    """Return the bytes that this process may hold: the machine's, or what its control group allows where it is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # not Linux, or no limit
            limits.append(int(Path(path).read_text()))
    return min(limits)


def record(
    search: Search, genes: Array, request: RecordRequest, of: dict[str, Any], evaluator: Evaluator | None = None
) -> Recording:
    """Return the recording of `genes` (D,), lived by `evaluator`, or one life after the other without one.

    `of` says in its header what they are.
    """
    lived, (wanted, _) = _recordable(search), planned(search, request)
    lives = lived.test_lives(Purpose.RECORDING, (request.seed,), request.lives)[request.task]
    jobs, measure = [Job(0, life._replace(lesion=request.lesion)) for life in lives], partial(life_row, request=request)
    if evaluator:
        rows = evaluator.evaluate(Fixed(genes[None]), jobs, measure)
    else:
        rows = np.array([measuring(lived, measure)(genes, job.life) for job in jobs])
    problem = lived.under(request.lesion)
    arrays = dict(_arrays(rows, problem, request)) | {"synapses": wanted.synapses}
    about = _about(problem, request) | {"tasks": [problem.tasks_of(life) for life in lives]}
    return Recording(arrays, _labels(problem, wanted, arrays), about | of)


def life_row(problem: Problem, genotype: Array, life: Life, request: RecordRequest) -> NDArray[np.float32]:
    """Return all that is recorded of one life as one row of numbers, which any evaluator can bring."""
    assert isinstance(problem, Lifetimes), "planned() refuses all others"
    under = problem.under(life.lesion)
    lived = under.record(genotype, life, _wanted(under, request))
    arrays = lived.recorder._asdict() | lived._asdict()
    return np.concatenate([arrays[name].ravel().astype(np.float32) for name in _shapes(under, request)])


def _arrays(
    rows: NDArray[np.float32], problem: Lifetimes, request: RecordRequest
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the recorded arrays, life by life along their first axis, from the lives' rows."""
    start = 0
    for name, shape in _shapes(problem, request).items():
        stop = start + math.prod(shape)
        values = np.ascontiguousarray(rows[:, start:stop]).reshape(len(rows), *shape)
        yield name, values.astype(np.int64) if name == "kinds" else values
        start = stop


def _recordable(search: Search) -> Lifetimes:
    if not isinstance(search.problem, Lifetimes):
        raise UserError("a recording is of networks, and this run has none; record a run of networks")
    return search.problem


def _followed(seed: int, units: int, places: dict[str, range], count: int) -> NDArray[np.int64]:
    """Return synapses (M, 2) drawn at random among those onto units that no task clamps."""
    free = np.array([unit for role, place in places.items() if role not in CLAMPED for unit in place], np.int64)
    drawn = permutation(stream_key(seed, Purpose.RECORDING), units * len(free))[:count]
    return np.column_stack([drawn // len(free), free[drawn % len(free)]]).astype(np.int64)


def _labels(problem: Lifetimes, wanted: Wanted, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return a label for every place along every axis; units are labelled with their roles."""
    network, modulation = problem.settings.network, problem.settings.modulation
    roles = np.array([role for role, place in network.places().items() for _ in place])
    trials = wanted.kept()
    lives, _, steps = arrays["rates"].shape[:3]
    return {
        "life": np.arange(lives),
        "trial": trials,
        "step": np.arange(steps) * network.dt_ms,
        "unit": roles,
        "pre": roles,
        "post": roles,
        "channel": np.array(modulation.channels),
        "score": np.array(SCORES),
        "synapse": np.arange(len(wanted.synapses)),
        "end": np.array(["pre", "post"]),
        "sample": trials[wanted.every - 1 :: wanted.every],
    }


def _about(problem: Lifetimes, request: RecordRequest) -> dict[str, Any]:
    """Return what a reader must know of the lives beside the numbers."""
    settings = problem.settings
    said: dict[str, Any] = {"task": request.task, "lesion": request.lesion, "seed": request.seed}
    said |= {"run_seed": problem.seed, "sources": source_hash(), "task_trials": int(settings.task.trials)}
    said["reset_activity"] = bool(getattr(settings.task, "reset_activity", False)) or "activity_reset" in parts_of(
        request.lesion
    )
    said["newborn_tasks"] = bool(settings.task.newborn_tasks)
    said["feedback_step"] = problem.feedback_step(request.task)
    return said | {name: msgspec.to_builtins(getattr(settings, name)) for name in ("network", "rule", "modulation")}
