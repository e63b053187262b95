"""Meta-tasks under the rollout contract: a trial of the rollout is one decision, a few steps of the network long.

    steps 0 to decide - 1       the observation is shown; at the last of them the response units are read
    then `feedback` steps       the observation stays, feedback units carry the reward, echo and response units the
                                action taken

The action is drawn with probability exp(beta * y_a) / sum exp(beta * y_b) over the response units y, or is the largest.
Nothing that was fed back is shown again, so what a learner knows of earlier decisions is in its weights or its
activity. Scores are in units of the task, (reward - zero) / (one - zero); loss is 1 - (reward - random) / (oracle -
random), which is 1 - score where the score's units are the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evoplastic.jit import inlined_kernel
from evoplastic.modulation.contract import Outcome
from evoplastic.polynomials import exp
from evoplastic.random import FEEDBACK, below, philox, unit
from evoplastic.tasks.contract import CORRECT, LOSS, Levels, Units, age_at
from evoplastic.tasks.meta.drawing import begin_instance
from evoplastic.tasks.meta.engine import arrive, decide, draw_chances, observe
from evoplastic.tasks.meta.tables import (
    ACTIONS,
    BITS,
    HIGHEST,
    LOWEST,
    ONE,
    ORACLE,
    RANDOM,
    SLOTS,
    ZERO,
    Tables,
)
from evoplastic.tasks.meta.world import (
    BEGINS,
    CHOOSING,
    CHOSEN,
    CLAMPED_AT,
    FED,
    HEAD,
    NUMBERS_AT,
    OBSERVED_AT,
    REWARD,
    STATE,
    WITHIN,
    unborn,
)

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_NOT_YET = np.float32(np.inf)


class Blocks(NamedTuple):
    """The blocks of a life, each one instance of a meta-task."""

    tables: Tables
    units: Units
    levels: Levels
    clock: int  # the stimulus unit that tells the share of the instance that is over, or -1
    deciding: int  # steps
    feeding: int  # steps
    block_trials: int  # decisions of an instance
    newborn_blocks: int  # 1: each block starts from newborn weights
    greedy: int  # 1: the largest response is the action
    inverse_temperature: float
    shuffled: int  # 1: feedback is that of a random earlier decision since birth (lesion)
    reset_activity: int  # 1: activity goes to rest before each trial of the meta-task (arm and lesion)

    def steps_per_trial(task):
        return task.deciding + task.feeding

    def kinds(task):
        return task.tables.targets.shape[2]

    def feedback_step(task):
        return task.deciding

    def age_at(task, trial):
        return trial % task.block_trials if task.newborn_blocks else trial

    def idle(task):
        return unborn(task.tables, task.units.echo_end)

    def resets_activity(task, state):
        return task.reset_activity != 0 and state.ints[BEGINS] != 0

    def begin_trial(task, state, key, trial, scores):
        within = trial % task.block_trials
        if within == 0:
            begin_instance(task.tables, state, trial // task.block_trials, key)
        else:
            arrive(state)
        observe(state)
        _hold_observation(task, state)
        _hold_feedback(task, state, _ZERO, -1)
        draw_chances(state, key, trial)
        state.reals[FED] = _NOT_YET
        age = age_at(task, trial)
        if task.shuffled and age > 0:
            earlier = trial - age + below(philox(key, FEEDBACK, np.uint64(trial))[0], age)
            numbers = task.tables.numbers[earlier // task.block_trials]
            gain = scores[earlier, CORRECT] * (numbers[ONE] - numbers[ZERO])
            state.reals[FED] = numbers[ZERO] + gain
        return state

    def clamp(task, state, step, rates):
        # Clamped units stand before all others; they are held at what `begin_trial` and `collect` have written.
        ints, reals = state.ints, state.reals
        for unit_ in range(task.units.echo_end):
            rates[unit_] = reals[ints[CLAMPED_AT] + unit_]
        read = ints[HEAD + ACTIONS] if step == task.deciding - 1 else 0
        taken = ints[CHOSEN] if step >= task.deciding else -1
        for action in range(read, task.units.response_end - task.units.response):
            rates[task.units.response + action] = task.levels.echo if action == taken else _ZERO

    def reads(task, step):
        return step == task.deciding - 1

    def collect(task, state, step, rates):
        decide(task.tables, state, _chosen(task, state, rates))
        reals, numbers = state.reals, state.ints[NUMBERS_AT]
        if reals[FED] == _NOT_YET:
            reals[FED] = reals[REWARD]
        share = reals[FED] / max(-reals[numbers + LOWEST], reals[numbers + HIGHEST])
        _hold_feedback(task, state, task.levels.feedback * share, state.ints[CHOSEN])
        return state

    def outcome(task, state):
        reals, numbers = state.reals, state.ints[NUMBERS_AT]
        low, high = reals[numbers + LOWEST], reals[numbers + HIGHEST]
        return Outcome((high - reals[FED]) / (high - low), state.ints[STATE])

    def end_trial(task, state, score):
        reals, numbers = state.reals, state.ints[NUMBERS_AT]
        zero, random = reals[numbers + ZERO], reals[numbers + RANDOM]
        score[CORRECT] = (reals[REWARD] - zero) / (reals[numbers + ONE] - zero)
        score[LOSS] = _ONE - (reals[REWARD] - random) / (reals[numbers + ORACLE] - random)


@inlined_kernel
def _hold_observation(task, world):
    """Hold stimulus and bias units at what is observed."""
    ints, reals, units, levels = world.ints, world.reals, task.units, task.levels
    observed = ints[HEAD + SLOTS] * ints[HEAD + BITS]
    for unit_ in range(units.stimulus, units.stimulus_end):
        seen = unit_ - units.stimulus
        level = reals[ints[OBSERVED_AT] + seen] if seen < observed else _ZERO
        reals[ints[CLAMPED_AT] + unit_] = levels.stimulus * level
    if task.clock >= 0:
        over = np.float32(ints[WITHIN]) / np.float32(task.block_trials)
        reals[ints[CLAMPED_AT] + task.clock] = levels.stimulus * over
    for unit_ in range(units.bias, units.bias_end):
        reals[ints[CLAMPED_AT] + unit_] = levels.bias


@inlined_kernel
def _hold_feedback(task, world, fed, taken):
    """Hold feedback units at `fed` and the echo unit of action `taken` at its level, the others at 0."""
    ints, reals, units = world.ints, world.reals, task.units
    for unit_ in range(units.feedback, units.feedback_end):
        reals[ints[CLAMPED_AT] + unit_] = fed
    for unit_ in range(units.echo, units.echo_end):
        reals[ints[CLAMPED_AT] + unit_] = task.levels.echo if unit_ - units.echo == taken else _ZERO


@inlined_kernel
def _chosen(task, world, rates):
    """Return the action that the response units stand for, drawn by their softmax or the largest."""
    first, actions = task.units.response, world.ints[HEAD + ACTIONS]
    best = 0
    for action in range(1, actions):
        if rates[first + action] > rates[first + best]:
            best = action
    if task.greedy:
        return best
    total = _ZERO
    for action in range(actions):
        total += exp(task.inverse_temperature * (rates[first + action] - rates[first + best]))
    left = total * unit(world.ints[CHOOSING])
    for action in range(actions - 1):
        left -= exp(task.inverse_temperature * (rates[first + action] - rates[first + best]))
        if left <= _ZERO:
            return action
    return actions - 1
