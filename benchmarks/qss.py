"""QSS against Q-learning on a grid whose actions are redundant, relabelled or unreliable.

    python benchmarks/qss.py [--seeds 10]

The learners are those of lives on meta-tasks (`evoplastic/learners`), coefficients and all; only the world is this
file's own, since it has up to 400 actions. 11 x 11 cells, from one corner to the other, -1 a step and +1 at the goal,
at most 500 steps an episode. Action a does what a mod 4 does. Every 20 episodes the greedy policy is tried; *solved* is
the first of 5 trials in a row with the best return, -18. All that QSS uses is learned from its own steps: which cells
are neighbours, and which action leads to which. Constants: Edwards et al. 2020, arXiv 2002.09505, but for alpha .1.
Takes some minutes; writes benchmarks/QSS.md.
"""

from __future__ import annotations

import argparse
import math
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import pack, source_hash
from evoplastic.learners.contract import choose, learn, newborn
from evoplastic.learners.q_learning import QLearning
from evoplastic.learners.qss import QSS
from evoplastic.random import Purpose, below, philox, stream_key, unit

RESULTS = Path(__file__).with_name("QSS.md")
MACHINE, DATE = "2 shared virtual cores", "2026-11-21"

SIDE, CAP, BEST = 11, 500, -18.0
EVERY, IN_A_ROW = 20, 5  # episodes between trials of the greedy policy; solved trials that count
MOST_EPISODES = 20_000
TRAINED = 5_000  # episodes before actions are relabelled, and in worlds that are never solved
TRIED = 100  # greedy episodes that the return is the mean of
REDUNDANT = (4, 40, 400)
SLIPS = (0.25, 0.5, 0.75)
MIRRORED = np.array([3, 2, 1, 0], np.int64)  # what the four actions mean once they are relabelled
PLAIN = np.arange(4, dtype=np.int64)

COEFFICIENTS: dict[str, float] = {
    "alpha": 0.1,
    "gamma": 0.99,
    "optimism": 0.001,
    "epsilon": 1.0,
    "last_epsilon": 0.1,
    "exploring": 100_000.0,
}
LEARNERS: dict[str, Any] = {
    "Q-learning": pack(QLearning(**COEFFICIENTS, inverse_temperature=0.0, soft=0)),
    "QSS": pack(QSS(**COEFFICIENTS)),
}

_ACTS, _TRIES = np.uint64(0), np.uint64(1)  # streams: of learning, and of greedy trials
_WORLDS = np.uint64(2)  # so much further lie the streams of the worlds


class Grid(NamedTuple):
    """A world of SIDE x SIDE cells, numbered row by row from the top; the start is cell 0 unless there is a cliff."""

    means: NDArray[np.int64]  # (4,): 0 up, 1 down, 2 left, 3 right
    actions: int
    slip: float  # chance that an action is replaced by one drawn evenly
    cliff: int  # 1: from bottom left to bottom right; of the steps from the bottom row half, and all downward, kill


@numba.njit(nogil=True, error_model="numpy")
def step(grid, cell, action, words):
    """Return the next cell, the reward and whether the episode is over."""
    move = grid.means[action % 4]
    if unit(words[0]) <= grid.slip:
        move = below(words[1], 4)
    row, column = cell // SIDE, cell % SIDE
    goal = SIDE * SIDE - 1
    if grid.cliff and row == SIDE - 1 and (move == 1 or unit(words[2]) <= np.float32(0.5)):
        return cell, np.float32(0.0), 1
    row = min(max(row + (move == 1) - (move == 0), 0), SIDE - 1)
    column = min(max(column + (move == 3) - (move == 2), 0), SIDE - 1)
    following = row * SIDE + column
    if following == goal:
        return following, np.float32(1.0), 1
    return following, np.float32(0.0) if grid.cliff else np.float32(-1.0), 0


@numba.njit(nogil=True, error_model="numpy")
def episode(learner, memory, grid, key, stream, begin, learning):
    """Return the return of an episode and its steps; draws are addressed from `begin` on."""
    cell = (SIDE - 1) * SIDE if grid.cliff else 0
    gained, steps, over = np.float32(0.0), 0, 0
    while steps < CAP and not over:
        address = np.uint64(begin + steps)
        action = choose(learner, memory, cell, philox(key, stream, address))
        following, reward, over = step(grid, cell, action, philox(key, stream + _WORLDS, address))
        if learning:
            learn(learner, memory, cell, action, reward, following, over)
        gained += reward
        steps += 1
        cell = following
    return gained, steps


@numba.njit(nogil=True, error_model="numpy")
def train(learner, greedy, memory, grid, key, episodes, until_solved):
    """Learn for `episodes` episodes, or until solved; return the episode from which it was, -1 if it was not."""
    steps, row = 0, 0
    for number in range(episodes):
        if until_solved and number % EVERY == 0:
            gained, _ = episode(greedy, memory, grid, key, _TRIES, number * CAP, 0)
            row = row + 1 if gained == BEST else 0
            if row == IN_A_ROW:
                return number - (IN_A_ROW - 1) * EVERY
        _, taken = episode(learner, memory, grid, key, _ACTS, steps, 1)
        steps += taken
    return -1


@numba.njit(nogil=True, error_model="numpy")
def born(learner, actions):
    """Return the memory of a newborn."""
    return newborn(learner, SIDE * SIDE, actions)


def world(actions: int = 4, means: NDArray[np.int64] = PLAIN, slip: float = 0.0, cliff: int = 0) -> Grid:
    """Return a grid with the numbers that kernels take."""
    return Grid(means.copy(), np.int64(actions), np.float32(slip), np.int64(cliff))


def greedy_of(learner: Any) -> Any:
    """Return the learner without exploration."""
    return learner._replace(epsilon=np.float32(0.0), last_epsilon=np.float32(0.0))


def key_of(seed: int, *path: int) -> np.uint64:
    """Return the key of all draws of a run."""
    return stream_key(seed, Purpose.LIFETIME, *path)


def solved(learner: Any, actions: int, seed: int) -> int:
    """Return the episodes from birth until solved, -1 where MOST_EPISODES do not suffice."""
    memory = born(learner, np.int64(actions))
    found = train(learner, greedy_of(learner), memory, world(actions), key_of(seed, actions), MOST_EPISODES, 1)
    return int(found)


def relearned(learner: Any, actions: int, seed: int, explores_anew: bool) -> int:
    """Return the episodes until solved after TRAINED episodes and a change of what the actions mean.

    QSS keeps values and neighbours and forgets which action leads where; Q-learning keeps its table. Epsilon starts
    anew, as at birth, or goes on from where it was.
    """
    memory, greedy = born(learner, np.int64(actions)), greedy_of(learner)
    train(learner, greedy, memory, world(actions), key_of(seed, actions), TRAINED, 0)
    if hasattr(memory, "inverse"):
        memory.inverse[:] = -1
    if explores_anew:
        memory.age[:] = 0
    mirrored = world(actions, MIRRORED)
    return int(train(learner, greedy, memory, mirrored, key_of(seed, actions, 1), MOST_EPISODES, 1))


def unreliable(learner: Any, grid: Grid, seed: int) -> float:
    """Return the mean return of the greedy policy after TRAINED episodes."""
    memory, greedy, key = born(learner, grid.actions), greedy_of(learner), key_of(seed, 2)
    train(learner, greedy, memory, grid, key, TRAINED, 0)
    tries = [episode(greedy, memory, grid, key, _TRIES, number * CAP, 0)[0] for number in range(TRIED)]
    return float(np.mean(tries))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = range(parser.parse_args().seeds)
    written = "\n".join([*_opening(len(seeds)), *_redundant(seeds), *_unreliable(seeds)]) + "\n"
    RESULTS.write_text(written, encoding="utf-8")
    print(written)


def _opening(seeds: int) -> list[str]:
    numbers = ", ".join(f"{name} {value:g}" for name, value in COEFFICIENTS.items())
    return [
        "# QSS against Q-learning",
        "",
        f"Made by `python benchmarks/qss.py` on {DATE}, {MACHINE}, sources {source_hash()}. {SIDE} x {SIDE} cells, "
        f"from corner to corner, -1 a step and +1 at the goal, at most {CAP} steps; action a does what a mod 4 does. "
        f"Both learners: {numbers} (decisions until the last epsilon: exploring). Everything QSS uses is learned: the "
        f"neighbours and which action leads where. Solved: the first of {IN_A_ROW} greedy trials in a row, one every "
        f"{EVERY} episodes, with the best return {BEST:.0f}. Median (lowest to highest) of {seeds} seeds.",
        "",
    ]


def _redundant(seeds: range) -> list[str]:
    """Return the lines on redundant and on relabelled actions."""
    lines = [
        f"| actions | learner | episodes until solved | after {TRAINED} episodes relabelled, epsilon anew | the same, "
        "epsilon goes on |",
        "|---|---|---|---|---|",
    ]
    medians: dict[str, list[float]] = {name: [] for name in LEARNERS}
    for actions in REDUNDANT:
        for name, learner in LEARNERS.items():
            first = [solved(learner, actions, seed) for seed in seeds]
            again = [[relearned(learner, actions, seed, anew) for seed in seeds] for anew in (True, False)]
            medians[name].append(_median(first))
            share = [f"{_spread(found)}{_share(found, first)}" for found in again]
            lines.append(f"| {actions} | {name} | {_spread(first)} | {share[0]} | {share[1]} |")
    ours, theirs = medians["QSS"], medians["Q-learning"]
    slower = ", ".join(
        f"{actions} actions {'more than ' if math.isinf(their) else ''}{min(their, MOST_EPISODES) / our:.1f}"
        for actions, our, their in zip(REDUNDANT, ours, theirs)
    )
    return [
        *lines,
        "",
        "Percentages are of the median from birth. After the change QSS keeps values and neighbours and forgets which "
        "action leads where; Q-learning keeps its table.",
        "",
        f"- QSS, longest over shortest median: {max(ours) / min(ours):.2f}. Q-learning takes as many times as long as "
        f"QSS: {slower}.",
        "- At 4 actions neither is the better learner from birth: what QSS gains, it gains from redundancy.",
        "- Q-learning gains from its old table too where it solves the world at all: the best value of a cell is what "
        "it was, and only which action has it is learned anew.",
        "",
    ]


def _unreliable(seeds: range) -> list[str]:
    """Return the lines on worlds in which QSS backs up the luckiest move."""
    worlds = {f"slip {slip}": world(slip=slip) for slip in SLIPS} | {"windy cliff": world(cliff=1)}
    lines = [
        f"What QSS cannot do: 4 actions that do not always do the same. Mean return of the greedy policy over {TRIED} "
        f"episodes after {TRAINED} of learning.",
        "",
        "| world | Q-learning | QSS |",
        "|---|---|---|",
    ]
    for name, grid in worlds.items():
        found = {label: [unreliable(learner, grid, seed) for seed in seeds] for label, learner in LEARNERS.items()}
        cells = [f"{np.median(each):.2f} ({min(each):.2f} to {max(each):.2f})" for each in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [
        *lines,
        "",
        "With chance `slip` an action is replaced by one drawn evenly. On the windy cliff, from bottom left to bottom "
        "right, half of the steps from the bottom row fall to death, as all downward ones do; only the goal pays, 1. A "
        "move's value is that of its luckiest continuation, and the action that made it last need not make it again.",
    ]


def _median(found: list[int]) -> float:
    """Return the median, infinite where most are unsolved."""
    return float(statistics.median(math.inf if episodes < 0 else episodes for episodes in found))


def _spread(found: list[int]) -> str:
    unsolved = sum(episodes < 0 for episodes in found)
    if unsolved == len(found):
        return f"not in {MOST_EPISODES:,}"
    middle, solved_ = _median(found), [episodes for episodes in found if episodes >= 0]
    told = f"not in {MOST_EPISODES:,}" if math.isinf(middle) else f"{middle:,.0f}"
    rest = f"; {unsolved} unsolved" if unsolved else ""
    return f"{told} ({min(solved_):,} to {max(solved_):,}{rest})"


def _share(found: list[int], first: list[int]) -> str:
    middle, whole = _median(found), _median(first)
    return "" if math.isinf(middle) or math.isinf(whole) else f", {middle / whole:.0%}"


if __name__ == "__main__":
    main()
