"""THE hot kernel: one lifetime of one phenotype on one task, from newborn weights to the last trial.

Everything that varies (network, rule, modulation, task) is an open function resolved by type, so this file never
changes when one of them is added.
"""

from __future__ import annotations

import numpy as np

from evoplastic.jit import making_kernel
from evoplastic.modulation.contract import channels, every_step, memory, modulate
from evoplastic.networks.contract import activate, express, finite, rest
from evoplastic.recorders import Unseen, note_noise, note_step, note_trial
from evoplastic.rules.contract import SENT, accumulate, begin_exploring, consolidate, continual, explore, newborn
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
from evoplastic.vectors import Changing, copy, send


@making_kernel
def live(network, rule, modulation, task, key, plastic, scores):
    """Run one lifetime from newborn weights.

    Fills `scores` (trials, 3) float32 with loss, correct (0 or 1) and cost of modulation of each trial, and leaves in
    `plastic` (N, W) float32 [pre, post] the plastic weights at death. Activity that is not finite ends the life:
    the scores of that trial and all later ones are NaN.
    """
    live_seen(network, rule, modulation, task, key, plastic, scores, Unseen(0))


def live_plainly(network, rule, modulation, task, key, plastic, scores):
    """Run the lifetime that `live` runs in plain Python: slowly, and with bounds and errors that can be looked at."""
    plain = getattr(live_seen, "py_func", live_seen)
    plain(network, rule, modulation, task, key, plastic, scores, Unseen(0))


@making_kernel
def live_seen(network, rule, modulation, task, key, plastic, scores, recorder):
    """Run the lifetime that `live` runs, and tell `recorder` what happens."""
    steps = steps_per_trial(task)
    activity = rest(network)
    traces = newborn(rule, network, steps)
    remembered = memory(modulation, kinds(task))
    plastic[:] = np.float32(0.0)
    weights = network.innate.copy()
    stale = False  # whether plastic weights have changed since, and may at every step
    sent = False  # whether `activity.drive` holds already what the present rates send
    restless = every_step(modulation) or continual(rule)
    modulators = np.zeros(channels(modulation), np.float32)
    state = idle(task)
    for trial in range(scores.shape[0]):
        age = age_at(task, trial)
        if age == 0 and trial > 0:
            activity = rest(network)
            traces = newborn(rule, network, steps)
            remembered = memory(modulation, kinds(task))
            plastic[:] = np.float32(0.0)
            weights[:] = network.innate
            stale, sent = False, False
        state = begin_trial(task, state, key, trial, scores)
        if trial > 0 and resets_activity(task, state):
            activity = rest(network)
            sent = False
        begin_exploring(rule, traces, key, trial, age, steps)
        cost = np.float32(0.0)
        for step in range(steps):
            explore(rule, traces, step, activity)
            note_noise(recorder, trial, step, activity.noise)
            if not sent:
                if stale:
                    send(Changing(network.innate, network.gain, plastic), activity.rates, activity.drive)
                else:
                    send(weights, activity.rates, activity.drive)
            sent = False
            copy(activity.rates, activity.before)
            activate(network, activity)
            clamp(task, state, step, activity.rates)
            accumulate(rule, traces, step, activity)
            if reads(task, step):
                state = collect(task, state, step, activity.rates)
            fed = step == feedback_step(task)
            acts = fed or restless
            if acts:
                cost += modulate(modulation, remembered, outcome(task, state), fed, activity.rates, modulators)
                written = consolidate(rule, traces, age, network, activity, plastic, modulators)
                sent = written == SENT
                if (written and not restless) or (stale and not written):
                    express(network, plastic, weights)
                stale = bool(written) and restless
            note_step(recorder, trial, step, activity.rates, modulators, acts, plastic)
        note_trial(recorder, trial, outcome(task, state).kind, plastic)
        end_trial(task, state, scores[trial])
        scores[trial, COST] = cost
        if not finite(activity):
            scores[trial:] = np.float32(np.nan)
            return
