"""Lives side by side: each lane is one life of block 0, and all lanes decide in one call of a kernel.

The worlds of N lanes are one World whose arrays have a leading axis of N. A lane's key is a function of (key, lane),
so it lives the same life however many lanes there are. An observation is

    [stimulus units: 1 on, -1 off, 0 silent]   and, where the row has room for more,
    [action just taken, one-hot | reward just got | share of the horizon that is over]
"""

from __future__ import annotations

import numpy as np

from evoplastic.jit import inlined_kernel, kernel
from evoplastic.random import philox
from evoplastic.tasks.meta.drawing import begin_instance
from evoplastic.tasks.meta.engine import arrive, decide, draw_chances, observe
from evoplastic.tasks.meta.tables import ACTIONS, BITS, SLOTS, Tables
from evoplastic.tasks.meta.world import (
    BEGINS,
    CHOSEN,
    HEAD,
    KEY,
    OBSERVED_AT,
    REWARD,
    WITHIN,
    World,
    unborn,
)

_LANES = np.uint64(0)  # a key of many lanes is used for nothing else, so any stream will do
_SHIFT = np.uint64(32)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_FIRST = np.int64(0)  # a literal 0 would compile the drawing of instances once more


def unborn_lanes(tables: Tables, lanes: int) -> World:
    """Return the worlds of `lanes` lives that are yet to begin."""
    return World(*(np.repeat(array[None], lanes, axis=0) for array in unborn(tables, 0)))


@kernel
def begin_lanes(tables, worlds, key, first, horizon, trials, observations):
    """Draw the instances of lanes `first`, `first` + 1, ... from `key` and observe where they start.

    Written are `trials` (N,) int64, the number of the trial each is in, and `observations` (N, width) float32.
    """
    for row in range(trials.shape[0]):
        words = philox(key, _LANES, np.uint64(first + row))
        own = np.uint64(words[0]) | np.uint64(words[1]) << _SHIFT
        world = World(worlds.ints[row], worlds.reals[row])  # views
        begin_instance(tables, world, _FIRST, own)
        world.ints[KEY] = np.int64(own)
        trials[row] = 0
        _observe(world, horizon, observations[row])


@kernel
def decide_lanes(tables, worlds, actions, horizon, trials, observations, rewards):
    """Carry out one action in every lane, (N,) int64; as `begin_lanes`, and `rewards` (N,) float64 are written."""
    for row in range(actions.shape[0]):
        world = World(worlds.ints[row], worlds.reals[row])  # views
        draw_chances(world, np.uint64(world.ints[KEY]), world.ints[WITHIN])
        decide(tables, world, actions[row])
        arrive(world)
        trials[row] += world.ints[BEGINS]
        rewards[row] = world.reals[REWARD]
        _observe(world, horizon, observations[row])


@inlined_kernel
def _observe(world, horizon, observation):
    ints = world.ints
    units = ints[HEAD + SLOTS] * ints[HEAD + BITS]
    observe(world)
    for unit in range(units):
        observation[unit] = world.reals[ints[OBSERVED_AT] + unit]
    if observation.shape[0] > units:
        for action in range(ints[HEAD + ACTIONS]):
            observation[units + action] = _ONE if action == ints[CHOSEN] else _ZERO
        observation[units + ints[HEAD + ACTIONS]] = world.reals[REWARD]
        observation[units + ints[HEAD + ACTIONS] + 1] = np.float32(ints[WITHIN]) / np.float32(horizon)
