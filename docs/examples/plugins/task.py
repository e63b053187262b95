"""A task engine: one bit is shown, and the first response unit has to give it back after a delay.

loss = (target - y)^2, target 1 or 0; right where y is on the target's side of 1/2
"""

from typing import NamedTuple

import numpy as np

from evoplastic.jit import pack
from evoplastic.modulation.contract import Outcome
from evoplastic.random import FEEDBACK, STIMULI, below, philox
from evoplastic.tasks.contract import CORRECT, LOSS, Levels, Units, age_at
from evoplastic.tasks.family import LevelSettings
from evoplastic.tasks.single import SingleTask

ONE, ZERO = np.float32(1.0), np.float32(0.0)


class RecallSettings(SingleTask, frozen=True, kw_only=True, tag="recall"):
    """Recall of a bit after a delay."""

    trials: int = 100
    delay: int = 3  # steps
    levels: LevelSettings = LevelSettings()
    name = "recall"
    told = "how far each answer was off"

    def resolve(self, scored):
        return self

    def build(self, names, places, dt_ms) -> "Recall":
        sizes = self.delay, self.trials, int(self.newborn_tasks), 0, int(self.reset_activity)
        return pack(Recall(Units.of(places), self.levels.build(), *sizes))


class Trial(NamedTuple):
    kind: int  # the bit
    output: float
    fed: float  # the loss that is fed back


class Recall(NamedTuple):
    units: Units
    levels: Levels  # lesions silence feedback here
    delay: int
    block_trials: int
    newborn_blocks: int
    shuffled: int  # 1 by lesion: feedback of an earlier trial
    reset_activity: int  # 1 by lesion

    def steps_per_trial(task):
        return task.delay + 3

    def kinds(task):
        return 2

    def feedback_step(task):
        return task.delay + 2

    def age_at(task, trial):
        return trial % task.block_trials if task.newborn_blocks else trial

    def idle(task):
        return Trial(0, ZERO, -ONE)

    def resets_activity(task, state):
        return task.reset_activity != 0

    def begin_trial(task, state, key, trial, scores):
        age, fed = age_at(task, trial), -ONE
        if task.shuffled and age > 0:
            fed = scores[trial - age + below(philox(key, FEEDBACK, np.uint64(trial))[0], age), LOSS]
        return Trial(below(philox(key, STIMULI, np.uint64(trial))[0], 2), ZERO, fed)

    def clamp(task, state, step, rates):
        units, levels = task.units, task.levels
        rates[: units.bias_end] = ZERO
        rates[units.bias : units.bias_end] = levels.bias
        if step == 0:
            rates[units.stimulus] = levels.stimulus if state.kind else -levels.stimulus
        if step == task.delay + 2:
            rates[units.feedback : units.feedback_end] = levels.feedback * state.fed

    def reads(task, step):
        return step == task.delay + 1

    def collect(task, state, step, rates):
        off = np.float32(state.kind) - rates[task.units.response]
        return Trial(state.kind, rates[task.units.response], state.fed if state.fed >= ZERO else off * off)

    def outcome(task, state):
        return Outcome(state.fed, state.kind)

    def end_trial(task, state, score):
        off = np.float32(state.kind) - state.output
        score[LOSS] = off * off
        score[CORRECT] = ONE if abs(off) < np.float32(0.5) else ZERO


TASKS = {"recall": RecallSettings}
