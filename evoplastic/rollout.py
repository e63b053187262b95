"""THE hot kernel: one lifetime of one phenotype on one task, from newborn weights to the last trial.

Everything that varies (network, rule, modulation, task) is an open function resolved by type, so this file never
changes when one of them is added.
"""

from __future__ import annotations

import numpy as np

from evoplastic.jit import kernel
from evoplastic.modulation.contract import every_step, memory, modulate
from evoplastic.networks.contract import activate, express, rest
from evoplastic.rules.contract import accumulate, begin_exploring, consolidate, explore, newborn
from evoplastic.tasks.contract import (
    COST,
    age_at,
    begin_trial,
    clamp,
    collect,
    end_trial,
    feedback_step,
    idle,
    kinds,
    outcome,
    reads,
    resets_activity,
    steps_per_trial,
)


@kernel
def live(network, rule, modulation, task, key, plastic, scores):
    """Run one lifetime from newborn weights.

    Fills `scores` (trials, 3) float32 with loss, correct (0 or 1) and cost of modulation of each trial, and leaves in
    `plastic` (N, W) float32 [pre, post] the plastic weights at death.
    """
    steps = steps_per_trial(task)
    activity = rest(network)
    traces = newborn(rule, network, steps)
    remembered = memory(modulation, kinds(task))
    plastic[:] = np.float32(0.0)
    weights = network.innate.copy()
    modulators = np.zeros(1, np.float32)
    state = idle(task)
    for trial in range(scores.shape[0]):
        age = age_at(task, trial)
        if age == 0 and trial > 0:
            activity = rest(network)
            traces = newborn(rule, network, steps)
            remembered = memory(modulation, kinds(task))
            plastic[:] = np.float32(0.0)
            weights[:] = network.innate
        state = begin_trial(task, state, key, trial, scores)
        if trial > 0 and resets_activity(task, state):
            activity = rest(network)
        begin_exploring(rule, traces, key, trial, age, steps)
        cost = np.float32(0.0)
        for step in range(steps):
            explore(rule, traces, step, activity)
            activate(network, activity, weights)
            clamp(task, state, step, activity.rates)
            accumulate(rule, traces, step, activity)
            if reads(task, step):
                state = collect(task, state, step, activity.rates)
            if every_step(modulation) or step == feedback_step(task):
                cost += modulate(modulation, remembered, outcome(task, state), activity.rates, modulators)
                if consolidate(rule, traces, age, plastic, modulators):
                    express(network, plastic, weights)
        end_trial(task, state, scores[trial])
        scores[trial, COST] = cost
