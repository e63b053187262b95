"""What a task is to a lifetime: what it shows, what it asks, what it feeds back.

A task is a NamedTuple of numbers and arrays with the methods below; the state of a trial is a NamedTuple returned by
value. Stimuli are drawn from (key, trial), so any trial can be replayed alone. Lesions set three of its fields:
`levels.feedback` to 0 silences the units that are fed back to; `shuffled` 1 feeds back another trial's outcome;
`reset_activity` 1 makes `resets_activity` true.

Its settings build it and say what lives and reports need to know of the family: `tables` (by task name), `withheld`,
`pairs(names)`, `folds()`, `withholding()` and `told`.
"""

from __future__ import annotations

from evoplastic.jit import open_function

LOSS, CORRECT, COST = 0, 1, 2  # columns of a lifetime's scores; the rollout fills COST
SCORE_COLUMNS = 3


@open_function
def steps_per_trial(task):
    """Return the number of steps of every trial."""


@open_function
def kinds(task):
    """Return the number of trial types, the k of a baseline per trial type."""


@open_function
def feedback_step(task):
    """Return the step at which feedback starts and, for external modulation, weights are written."""


@open_function
def age_at(task, trial):
    """Return trials since birth: 0 makes the network newborn at this trial."""


@open_function
def resets_activity(task):
    """Return whether activity goes back to rest before each trial (a lesion; never in the published task)."""


@open_function
def begin_trial(task, key, trial, scores):
    """Return the state of a trial, drawn from (key, trial); `scores` holds the trials before it."""


@open_function
def clamp(task, state, step, rates):
    """Write the units the task holds: stimuli, feedback, echo, bias, silenced responses."""


@open_function
def collect(task, state, step, rates):
    """Return the state after reading the response units."""


@open_function
def outcome(task, state):
    """Return the Outcome told to the modulation."""


@open_function
def end_trial(task, state, score):
    """Write loss and correctness of the trial into `score` (columns,)."""
