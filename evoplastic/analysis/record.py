"""Record lives of one genotype: fresh ones, so that what is looked at was not what evolution was scored by."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError, nearest
from evoplastic.evolution import Search
from evoplastic.jit import source_hash
from evoplastic.networks.roles import CLAMPED
from evoplastic.problems.contract import INTACT, choose_lesions
from evoplastic.problems.lifetimes import Lifetimes
from evoplastic.random import Purpose, permutation, stream_key
from evoplastic.recorders import Recorder, Wanted
from evoplastic.recordings import Recording
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


def planned(search: Search, request: RecordRequest) -> tuple[Wanted, int]:
    """Return what is kept of each life, and the bytes that the recording takes; UserError for what cannot be."""
    problem = _recordable(search)
    if request.task not in problem.tasks:
        raise UserError(
            f"task {request.task!r} is unknown; choose one of {list(problem.tasks)}"
            f"{nearest(request.task, problem.tasks)}"
        )
    choose_lesions(problem.lesions, [] if request.lesion == INTACT else [request.lesion])
    lived = trials_of(search, request.task)
    trials = lived - request.first if request.trials is None else request.trials
    if trials < 1 or request.first + trials > lived:
        raise UserError(
            f"a life has trials 0 to {lived - 1}, and {request.first} to {request.first + trials - 1} are to be "
            "recorded; choose some of them"
        )
    every = min(request.every, trials)
    network = problem.settings.network
    units, places = sum(map(len, network.places().values())), network.places()
    wanted = Wanted(request.first, trials, every, _followed(problem.seed, units, places, request.synapses))
    steps = steps_per_trial(problem.task_of([request.task]))
    return wanted, request.lives * (wanted.bytes_of(units, steps, problem.channels) + 8 * units * units + 12 * trials)


def trials_of(search: Search, task: str) -> int:
    """Return how many trials a life has that tests this task: all of its tasks together."""
    problem = _recordable(search)
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
    search: Search,
    genes: Array,
    request: RecordRequest,
    of: dict[str, Any],
    done: Callable[[int], None] = lambda n: None,
) -> Recording:
    """Return the recording of `genes` (D,); `of` says in its header what they are, `done` is called with lives done."""
    problem, (wanted, _) = _recordable(search), planned(search, request)
    lives = problem.test_lives(Purpose.RECORDING, (request.seed,), request.lives)[request.task]
    parts: dict[str, list[NDArray[Any]]] = {}
    for number, life in enumerate(lives, 1):
        lived = problem.record(genes, life._replace(lesion=request.lesion), wanted)
        kept = {name: getattr(lived.recorder, name) for name in Recorder._fields if name not in _SHARED}
        for name, array in (kept | {"scores": lived.scores, "innate": lived.innate, "gain": lived.gain}).items():
            parts.setdefault(name, []).append(array)
        done(number)
    arrays = {name: np.stack(each) for name, each in parts.items()} | {"synapses": wanted.synapses}
    about = _about(problem, request) | {"tasks": [problem.tasks_of(life) for life in lives]}
    return Recording(arrays, _labels(problem, wanted, arrays), about | of)


_SHARED = ("first", "every", "synapses")


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
    trials = np.arange(wanted.first, wanted.first + wanted.trials)
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
    said["reset_activity"] = bool(getattr(settings.task, "reset_activity", False)) or request.lesion == "activity_reset"
    said["newborn_tasks"] = bool(settings.task.newborn_tasks)
    said["feedback_step"] = problem.feedback_step(request.task)
    return said | {name: msgspec.to_builtins(getattr(settings, name)) for name in ("network", "rule", "modulation")}
