"""Cue-reward association: which of a life's random cues is the target has to be found out by trial and error.

A life has a few cues of random bits, each bit +level or -level on a stimulus unit; one of them is the target. A trial
shows two of them one after the other, then a go cue, and asks whether the target was among them:

    slots    blank, then 2 cues among b blanks in any order, then the go cue; before them as many more blanks as make
             all trials equally long; b is drawn evenly from 0 to `blanks`
    y        output of the response unit, a tanh, at the last step of the go cue
    answer   yes if y > 0, else no
    R        +1 if the answer is right, else -1; feedback units carry level * R; the first echo unit carries level
             after yes, the second one after no
    L        (1 - t y) / 2, t = 1 where yes is right, else -1: the errors of who says yes with chance (1 + y) / 2

The go cue is the stimulus unit after the bits, if there is one; without, the network has the trial's length to go by.
Two of n cues are shown, so yes is right in 2 / n of the trials. Source: Miconi, Rawal, Clune, Stanley 2019,
Backpropamine, arXiv 2002.10585; the order of events in a trial is that of the program published with it, which differs
from the paper's text in the number of steps a life has.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evoplastic.jit import kernel, making_kernel
from evoplastic.modulation.contract import Outcome
from evoplastic.random import CODES, FEEDBACK, STIMULI, below, philox
from evoplastic.tasks.contract import CORRECT, LOSS, Levels, Units

_ZERO = np.float32(0.0)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_BLOCK_SHIFT = np.uint64(32)
TARGET = 0  # the number of the target among a life's cues


class Trial(NamedTuple):
    kind: int  # the number of the ordered pair of cues
    early: int  # bits of the cue shown first
    late: int  # bits of the other
    early_slot: int
    late_slot: int
    right: float  # +1 where yes is right, else -1
    output: float  # y, once it is read
    reward: float  # what is fed back: R, or another trial's; 0 before


class CueReward(NamedTuple):
    units: Units
    levels: Levels
    cues: int  # n of a life
    bits: int
    blanks: int  # at most, among the cues of a trial
    slot_steps: int
    go_steps: int
    feedback_steps: int
    block_trials: int
    newborn_blocks: int  # 1: each block starts from newborn weights
    shuffled: int  # 1: feedback is a coin (arm and lesion)
    reset_activity: int  # 1: activity goes to rest before each trial (arm and lesion)

    def steps_per_trial(task):
        return feedback_at(task) + task.feedback_steps

    def kinds(task):
        return task.cues * (task.cues - 1)

    def feedback_step(task):
        return feedback_at(task)

    def age_at(task, trial):
        return trial % task.block_trials if task.newborn_blocks else trial

    def idle(task):
        return Trial(0, 0, 0, 0, 0, _ZERO, _ZERO, _ZERO)

    def resets_activity(task, state):
        return task.reset_activity != 0

    def begin_trial(task, state, key, trial, scores):
        pair, blanks, one, other = philox(key, STIMULI, np.uint64(trial))
        kind = below(pair, task.cues * (task.cues - 1))
        early, late = kind // (task.cues - 1), kind % (task.cues - 1)
        late += 1 if late >= early else 0
        shown = below(blanks, task.blanks + 1) + 2
        first, second = below(one, shown), below(other, shown - 1)
        second += 1 if second >= first else 0
        start = task.blanks + 3 - shown
        reward = _ZERO
        if task.shuffled:  # a coin: an earlier trial's would be the truth itself at the start
            reward = _ONE if below(philox(key, FEEDBACK, np.uint64(trial))[0], 2) else -_ONE
        codes = codes_of(task, key, trial // task.block_trials)
        right = _ONE if early == TARGET or late == TARGET else -_ONE
        slots = start + min(first, second), start + max(first, second)
        return Trial(kind, codes[early], codes[late], slots[0], slots[1], right, _ZERO, reward)

    def clamp(task, state, step, rates):
        units, levels = task.units, task.levels
        slot, go = step // task.slot_steps, go_slot(task)
        for unit in range(units.stimulus, units.stimulus_end):
            rates[unit] = _ZERO
        if slot == state.early_slot or slot == state.late_slot:
            code = state.early if slot == state.early_slot else state.late
            for bit in range(task.bits):
                rates[units.stimulus + bit] = levels.stimulus if (code >> bit) & 1 else -levels.stimulus
        feeding = step >= feedback_at(task)
        sign = units.stimulus + task.bits
        if slot >= go and not feeding and sign < units.stimulus_end:
            rates[sign] = levels.stimulus
        for unit in range(units.bias, units.bias_end):
            rates[unit] = levels.bias
        for unit in range(units.feedback, units.feedback_end):
            rates[unit] = levels.feedback * state.reward if feeding else _ZERO
        given = units.echo if state.output > _ZERO else units.echo + 1
        for unit in range(units.echo, units.echo_end):
            rates[unit] = levels.echo if feeding and unit == given else _ZERO
        for unit in range(units.response + 1, units.response_end):
            rates[unit] = _ZERO

    def reads(task, step):
        return step == feedback_at(task) - 1

    def collect(task, state, step, rates):
        output = rates[task.units.response]
        reward = state.reward
        if reward == _ZERO:
            reward = _ONE if is_right(state.right, output) else -_ONE
        shown = state.kind, state.early, state.late, state.early_slot, state.late_slot
        return Trial(*shown, state.right, output, reward)

    def outcome(task, state):
        return Outcome(_ONE - state.reward, state.kind)

    def end_trial(task, state, score):
        score[LOSS] = _HALF * (_ONE - state.right * state.output)
        score[CORRECT] = _ONE if is_right(state.right, state.output) else _ZERO


@kernel
def go_slot(task):
    """Return the number of the slot that the go cue begins with: a blank, the cues and all blanks are before it."""
    return task.blanks + 3


@kernel
def feedback_at(task):
    """Return the step after the go cue's last."""
    return go_slot(task) * task.slot_steps + task.go_steps


@kernel
def is_right(right, output):
    """Return whether the answer by the sign of `output` is the right one."""
    return (output > _ZERO) == (right > _ZERO)


@making_kernel
def codes_of(task, key, block):
    """Return the bits of each cue of a block of trials, (cues,) int64, no two alike."""
    codes = np.empty(task.cues, np.int64)
    found, place = 0, np.uint64(block) << _BLOCK_SHIFT
    while found < task.cues:
        code = below(philox(key, CODES, place)[0], 1 << task.bits)
        place += np.uint64(1)
        if not (codes[:found] == code).any():
            codes[found] = code
            found += 1
    return codes
