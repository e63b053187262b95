"""One-shot association and its reversal: cues are shown once with their answers, then asked for without.

    study   every cue in turn, in random order, with its answer on the feedback units
    asked   cues drawn evenly, without: at the last step of each the response units are read

A presentation holds the cue's bits, +-level, on the stimulus units for `steps` steps. Half of the cues have answer 0,
half answer 1. The trials of a block are about the same cues, and in every second one all answers are the other ones:
that is a reversal. Graded loss, over what is asked:

    L = mean over presentations of sum over the two response units of (y - target)^2

with target .9 for the right unit and .1 for the other; correct is the share of presentations in which the right unit
is above the other, equality counting half. Source: Miconi 2016, "Learning to learn with backpropagation of Hebbian
plasticity", whose two cues alternate and whose layers are feedforward; here a net could know alternation by heart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel
from evoplastic.modulation.contract import Outcome
from evoplastic.random import CODES, FEEDBACK, STIMULI, below, philox
from evoplastic.tasks.contract import CORRECT, LOSS, Levels, Units
from evoplastic.tasks.patterns import shuffle

_ZERO = np.float32(0.0)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_HIGH, _LOW = np.float32(0.9), np.float32(0.1)
_ADDRESSES = np.uint64(2**32)  # of a trial


class Phase(NamedTuple):
    cues: NDArray  # (cues,) int64: each cue's bits as a binary number
    answers: NDArray  # (cues,) int64 of 0 and 1
    shown: NDArray  # (cues + asked,) int64: the cue of each presentation
    told: NDArray  # (cues,) int64: the answer that is fed back in each presentation of the study
    loss: float
    correct: float


class AssociationTask(NamedTuple):
    units: Units
    levels: Levels
    bits: int
    cues: int
    asked: int  # presentations without an answer
    steps: int  # of a presentation
    block_trials: int
    newborn_blocks: int  # 1: each block starts from newborn weights
    shuffled: int  # 1: a random answer is fed back, as that of any other trial would be (lesion)
    reset_activity: int  # 1: activity goes to rest before each trial (arm and lesion)

    def steps_per_trial(task):
        return (task.cues + task.asked) * task.steps

    def kinds(task):
        return 1

    def feedback_step(task):
        return task.cues * task.steps

    def age_at(task, trial):
        return trial % task.block_trials if task.newborn_blocks else trial

    def idle(task):
        cues = task.cues
        return Phase(
            np.zeros(cues, np.int64),
            np.zeros(cues, np.int64),
            np.zeros(cues + task.asked, np.int64),
            np.zeros(cues, np.int64),
            _ZERO,
            _ZERO,
        )

    def resets_activity(task, state):
        return task.reset_activity != 0

    def begin_trial(task, state, key, trial, scores):
        address = np.uint64(trial) * _ADDRESSES
        if trial % task.block_trials == 0:
            draw_cues(task, state, key, address)
        else:
            for cue in range(task.cues):
                state.answers[cue] = 1 - state.answers[cue]
        address = shuffle(state.shown[: task.cues], key, STIMULI, address)
        for presentation in range(task.cues, task.cues + task.asked):
            state.shown[presentation] = below(philox(key, STIMULI, address)[0], task.cues)
            address += np.uint64(1)
        address = np.uint64(trial) * _ADDRESSES
        for presentation in range(task.cues):
            answer = state.answers[state.shown[presentation]]
            if task.shuffled:
                answer = below(philox(key, FEEDBACK, address)[0], 2)
                address += np.uint64(1)
            state.told[presentation] = answer
        return Phase(state.cues, state.answers, state.shown, state.told, _ZERO, _ZERO)

    def clamp(task, state, step, rates):
        units, levels, presentation = task.units, task.levels, step // task.steps
        for unit in range(units.echo_end):
            rates[unit] = _ZERO
        for unit in range(units.bias, units.bias_end):
            rates[unit] = levels.bias
        cue = state.cues[state.shown[presentation]]
        for bit in range(task.bits):
            rates[units.stimulus + bit] = levels.stimulus if (cue >> bit) & 1 else -levels.stimulus
        if presentation < task.cues:
            rates[units.feedback + state.told[presentation]] = levels.feedback
        for unit in range(units.response + 2, units.response_end):
            rates[unit] = _ZERO

    def reads(task, step):
        return step >= task.cues * task.steps and step % task.steps == task.steps - 1

    def collect(task, state, step, rates):
        answer = state.answers[state.shown[step // task.steps]]
        right = rates[task.units.response + answer]
        wrong = rates[task.units.response + 1 - answer]
        off_right, off_wrong = right - _HIGH, wrong - _LOW
        share = _ONE / np.float32(task.asked)
        loss = state.loss + (off_right * off_right + off_wrong * off_wrong) * share
        point = _ONE if right > wrong else (_HALF if right == wrong else _ZERO)
        return Phase(state.cues, state.answers, state.shown, state.told, loss, state.correct + point * share)

    def outcome(task, state):
        return Outcome(_ZERO, 0)

    def end_trial(task, state, score):
        score[LOSS] = state.loss
        score[CORRECT] = state.correct


@kernel
def draw_cues(task, state, key, address):
    """Draw different cues, and answers of which half are 1; an odd number of cues has one more 0."""
    for cue in range(task.cues):
        again = True
        while again:
            state.cues[cue] = below(philox(key, CODES, address)[0], 1 << task.bits)
            address += np.uint64(1)
            again = False
            for earlier in range(cue):
                again = again or state.cues[earlier] == state.cues[cue]
    shuffle(state.answers, key, CODES, address)
    for cue in range(task.cues):
        state.answers[cue] %= 2
