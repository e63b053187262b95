"""Boolean functions of stimuli shown one after another: a truth table is a task.

A trial shows k binary stimuli in turn, waits, reads two mirror-symmetric response units, then feeds back. Bit 1 puts
+level on the first stimulus unit and -level on the second, bit 0 the opposite; or, with one unit for each bit, +level
on the first, or on the second, and 0 on the other. Stimulus noise s adds s z to both units at every step of a stimulus,
z a standard normal of its own. Graded loss, over the response period:

    L = mean over steps of sum over the two response units of (y - target)^2,   target .9 for the asked unit, .1 other

or, of a single response unit y in (-1, 1), which is never silenced and answers by its sign,

    L = mean over steps of |y - target|,            target .98 or -.98

Feedback units carry level * L (published) or +-level for correct or not (binary). The echo unit of the chosen response
carries level, so the network knows what it did. Source: Miconi 2023, in the trial format of Yang et al. 2019; for the
single response unit Miconi 2017, eLife 6:e20899.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.modulation.contract import Outcome
from evoplastic.random import FEEDBACK, STIMULI, STIMULUS_NOISE, below, normal_pair, philox
from evoplastic.tasks.contract import CORRECT, LOSS, Levels, Units, age_at

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_TWO = np.float32(2.0)
_HIGH, _LOW = np.float32(0.9), np.float32(0.1)
_FAR = np.float32(0.98)


class Trial(NamedTuple):
    kind: int  # the stimuli as a binary number, first stimulus highest
    target: int  # the response that is right
    response: int  # the response given, once the response period is over
    loss: float
    evidence: float  # summed output of response unit 1 minus unit 0, or of the single one
    fed_loss: float  # what is fed back: the loss, or its binary form, or another trial's
    key: int  # uint64: of all that is drawn within the life
    number: int  # of the trial within the life


class Periods(NamedTuple):
    """The trial's timeline, in steps. Stimulus i is on during [i * onset, i * onset + stimulus)."""

    stimuli: int  # how many, k
    stimulus: int
    onset: int
    response: int
    response_end: int
    feedback: int
    feedback_end: int
    trial: int


class BooleanTask(NamedTuple):
    tables: NDArray  # (blocks, 2^k) int64 of 0 and 1: one truth table per block of trials
    units: Units
    periods: Periods
    levels: Levels
    noise: float  # standard deviation of what is added to stimuli
    block_trials: int
    newborn_blocks: int  # 1: each block starts from newborn weights
    one_hot: int  # 1: a stimulus unit for each bit, 0: two that are opposite
    single: int  # 1: one response unit, 0: two
    binary: int  # 1: feedback tells only right or wrong
    shuffled: int  # 1: feedback is that of a random earlier trial since birth (lesion)
    reset_activity: int  # 1: activity goes to rest before each trial (arm and lesion)

    def steps_per_trial(task):
        return task.periods.trial

    def kinds(task):
        return task.tables.shape[1]

    def feedback_step(task):
        return task.periods.feedback

    def age_at(task, trial):
        return trial % task.block_trials if task.newborn_blocks else trial

    def idle(task):
        return Trial(0, 0, 0, _ZERO, _ZERO, _ZERO, np.uint64(0), 0)

    def resets_activity(task, state):
        return task.reset_activity != 0

    def begin_trial(task, state, key, trial, scores):
        kind = below(philox(key, STIMULI, np.uint64(trial))[0], task.tables.shape[1])
        target = task.tables[trial // task.block_trials, kind]
        fed_loss = -_ONE
        age = age_at(task, trial)
        if task.shuffled and age > 0:
            earlier = trial - age + below(philox(key, FEEDBACK, np.uint64(trial))[0], age)
            fed_loss = _ONE - scores[earlier, CORRECT] if task.binary else scores[earlier, LOSS]
        return Trial(kind, target, 0, _ZERO, _ZERO, fed_loss, key, trial)

    def clamp(task, state, step, rates):
        units, periods, levels = task.units, task.periods, task.levels
        level, shows = _ZERO, False
        if step < periods.stimuli * periods.onset:
            shown, within = step // periods.onset, step % periods.onset
            shows = within < periods.stimulus
            if shows:
                level = levels.stimulus if (state.kind >> (periods.stimuli - 1 - shown)) & 1 else -levels.stimulus
        rates[units.stimulus] = max(level, _ZERO) if task.one_hot else level
        rates[units.stimulus + 1] = max(-level, _ZERO) if task.one_hot else -level
        if shows and task.noise > _ZERO:
            at = np.uint64(state.number) * np.uint64(periods.trial) + np.uint64(step)
            first, second = normal_pair(philox(state.key, STIMULUS_NOISE, at))
            rates[units.stimulus] += task.noise * first
            rates[units.stimulus + 1] += task.noise * second
        for unit in range(units.stimulus + 2, units.stimulus_end):
            rates[unit] = _ZERO
        for unit in range(units.bias, units.bias_end):
            rates[unit] = levels.bias
        feeding = periods.feedback <= step < periods.feedback_end
        fed = _ZERO
        if feeding:
            fed = levels.feedback * (_ONE - _TWO * state.fed_loss if task.binary else state.fed_loss)
        for unit in range(units.feedback, units.feedback_end):
            rates[unit] = fed
        for unit in range(units.echo, units.echo_end):
            rates[unit] = levels.echo if feeding and unit - units.echo == state.response else _ZERO
        silent = units.response
        if task.single:
            silent += 1
        elif periods.response <= step < periods.response_end:
            silent += 2
        for unit in range(silent, units.response_end):
            rates[unit] = _ZERO

    def reads(task, step):
        return task.periods.response <= step < task.periods.response_end

    def collect(task, state, step, rates):
        steps = np.float32(task.periods.response_end - task.periods.response)
        if task.single:
            toward = rates[task.units.response]
            off = abs(toward - (_FAR if state.target else -_FAR))
        else:
            no, yes = rates[task.units.response], rates[task.units.response + 1]
            off_no = no - (_LOW if state.target else _HIGH)
            off_yes = yes - (_HIGH if state.target else _LOW)
            toward, off = yes - no, off_no * off_no + off_yes * off_yes
        loss = state.loss + off / steps
        evidence = state.evidence + toward
        response = 1 if evidence > _ZERO else 0
        fed_loss = state.fed_loss
        if step == task.periods.response_end - 1 and fed_loss < _ZERO:
            fed_loss = (_ZERO if response == state.target else _ONE) if task.binary else loss
        return Trial(state.kind, state.target, response, loss, evidence, fed_loss, state.key, state.number)

    def outcome(task, state):
        return Outcome(state.fed_loss, state.kind)

    def end_trial(task, state, score):
        score[LOSS] = state.loss
        score[CORRECT] = _ONE if state.response == state.target else _ZERO
