"""Pattern completion: binary patterns are shown to be remembered, then one of them with some bits erased.

    study   every pattern in turn, in a new order each cycle: held for `shown` steps, then nothing for `blank` steps
    test    one pattern without its erased bits for `test` steps; at the last one the erased bits are read

A bit is a hidden unit of the network. What is shown is held at +-level, an erased bit and every bit in a blank run
free. Half of a pattern's bits are +1. Only erased bits count, since those that are shown come for nothing:

    loss    = mean over erased bits of (y - bit)^2          correct = share of erased bits whose y has the bit's sign

A y of 0 counts half, so that a silent network is at chance. Every trial has patterns of its own. Source: Miconi, Clune,
Stanley 2018, "Differentiable plasticity", which counts all bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel
from evoplastic.modulation.contract import Outcome
from evoplastic.random import CODES, STIMULI, below, philox
from evoplastic.tasks.contract import CORRECT, LOSS, Levels, Units

_ZERO = np.float32(0.0)
_HALF = np.float32(0.5)
_ONE = np.float32(1.0)
_ADDRESSES = np.uint64(2**32)  # of a trial


class Study(NamedTuple):
    """How long things last, in steps, and how often."""

    patterns: int
    cycles: int
    shown: int
    blank: int
    test: int


class Episode(NamedTuple):
    patterns: NDArray  # (patterns, bits) float32 of +1 and -1
    order: NDArray  # (cycles, patterns) int64: the patterns in the order in which they are shown
    bits: NDArray  # (bits,) int64: the bits in the order in which they are erased
    asked: int  # the pattern of the test
    loss: float
    correct: float


class PatternTask(NamedTuple):
    study: Study
    units: Units
    levels: Levels
    first: int  # unit of the first bit
    bits: int
    erased: int  # bits
    block_trials: int
    newborn_blocks: int  # 1: each block starts from newborn weights
    shuffled: int  # nothing is fed back, so nothing to shuffle
    reset_activity: int  # 1: activity goes to rest before each trial (arm and lesion)

    def steps_per_trial(task):
        return study_steps(task.study) + task.study.test

    def kinds(task):
        return 1

    def feedback_step(task):
        return study_steps(task.study)

    def age_at(task, trial):
        return trial % task.block_trials if task.newborn_blocks else trial

    def idle(task):
        patterns, cycles = task.study.patterns, task.study.cycles
        return Episode(
            np.zeros((patterns, task.bits), np.float32),
            np.zeros((cycles, patterns), np.int64),
            np.zeros(task.bits, np.int64),
            0,
            _ZERO,
            _ZERO,
        )

    def resets_activity(task, state):
        return task.reset_activity != 0

    def begin_trial(task, state, key, trial, scores):
        address = np.uint64(trial) * _ADDRESSES
        for pattern in range(task.study.patterns):
            address = shuffle(state.bits, key, CODES, address)
            for place in range(task.bits):
                state.patterns[pattern, state.bits[place]] = _ONE if place < task.bits // 2 else -_ONE
        shuffle(state.bits, key, CODES, address)
        address = np.uint64(trial) * _ADDRESSES
        for cycle in range(task.study.cycles):
            address = shuffle(state.order[cycle], key, STIMULI, address)
        asked = below(philox(key, STIMULI, address)[0], task.study.patterns)
        return Episode(state.patterns, state.order, state.bits, asked, _ZERO, _ZERO)

    def clamp(task, state, step, rates):
        units, study, level = task.units, task.study, task.levels.stimulus
        for unit in range(units.echo_end):
            rates[unit] = _ZERO
        for unit in range(units.bias, units.bias_end):
            rates[unit] = task.levels.bias
        if step < study_steps(study):
            shown, within = step // (study.shown + study.blank), step % (study.shown + study.blank)
            pattern = state.patterns[state.order[shown // study.patterns, shown % study.patterns]]
            if within < study.shown:
                for bit in range(task.bits):
                    rates[task.first + bit] = level * pattern[bit]
        else:
            pattern = state.patterns[state.asked]
            for place in range(task.erased, task.bits):
                bit = state.bits[place]
                rates[task.first + bit] = level * pattern[bit]

    def reads(task, step):
        return step == study_steps(task.study) + task.study.test - 1

    def collect(task, state, step, rates):
        loss, correct = _ZERO, _ZERO
        for place in range(task.erased):
            bit = state.bits[place]
            target, completed = state.patterns[state.asked, bit], rates[task.first + bit]
            loss += (completed - target) * (completed - target)
            agreement = completed * target
            correct += _ONE if agreement > _ZERO else (_HALF if agreement == _ZERO else _ZERO)
        erased = np.float32(task.erased)
        return Episode(state.patterns, state.order, state.bits, state.asked, loss / erased, correct / erased)

    def outcome(task, state):
        return Outcome(_ZERO, 0)

    def end_trial(task, state, score):
        score[LOSS] = state.loss
        score[CORRECT] = state.correct


@kernel
def study_steps(study):
    """Return the steps before the test."""
    return study.cycles * study.patterns * (study.shown + study.blank)


@kernel
def shuffle(items, key, stream, address):
    """Put 0 ... n - 1 into `items` (n,) in random order, drawn from `address` on; return the first address left."""
    for place in range(items.shape[0]):
        other = below(philox(key, stream, address)[0], place + 1)
        address += np.uint64(1)
        items[place] = items[other]
        items[other] = place
    return address
