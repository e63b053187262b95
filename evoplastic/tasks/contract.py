"""What a task is to a lifetime: what it shows, what it asks, what it feeds back.

A task is a NamedTuple of numbers and arrays with the methods below; the state of a trial is a NamedTuple returned by
value. Stimuli are drawn from (key, trial), so any trial can be replayed alone. Lesions set three of its fields:
`levels.feedback` to 0 silences the units that are fed back to; `shuffled` 1 feeds back another trial's outcome;
`reset_activity` 1 makes `resets_activity` true.

Its settings build it and say what lives and reports need to know of the family: `names` of its tasks, `withheld`,
`pairs(names)`, `folds()`, `withholding()`, `told`, and the `scale` of its metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from evoplastic.jit import making_open_function, open_function

LOSS, CORRECT, COST = 0, 1, 2  # columns of a lifetime's scores; the rollout fills COST
SCORE_COLUMNS = 3


class Units(NamedTuple):
    """First unit and one past the last of each role."""

    stimulus: int
    stimulus_end: int
    feedback: int
    feedback_end: int
    bias: int
    bias_end: int
    echo: int
    echo_end: int
    response: int
    response_end: int

    @classmethod
    def of(cls, places: Mapping[str, range]) -> Units:
        """Return where the roles lie that a task clamps or reads."""
        roles = ("stimulus", "feedback", "bias", "echo", "response")
        return cls(*(bound for role in roles for bound in (places[role].start, places[role].stop)))


class Levels(NamedTuple):
    """Outputs that clamped units are held at."""

    stimulus: float
    feedback: float
    echo: float
    bias: float


class Scale(NamedTuple):
    """What the CORRECT column of a family is called, and what it is for whom."""

    metric: str
    chance: float  # of answers that have nothing to do with the task, or of what `chance_is` says
    random_policy: float | None  # of actions drawn evenly at random; None where it differs from task to task
    oracle: float  # of who knows the task, or of what `oracle_is` says
    chance_is: str = "chance"
    oracle_is: str = "oracle"


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


@making_open_function
def idle(task):
    """Return the state of a life that no trial has begun."""


@making_open_function
def begin_trial(task, state, key, trial, scores):
    """Return the state of a trial, drawn from (key, trial) and what the one before left; `scores` holds those."""


@open_function
def resets_activity(task, state):
    """Return whether activity goes back to rest before this trial (an arm and a lesion)."""


@open_function
def clamp(task, state, step, rates):
    """Write the units the task holds: stimuli, feedback, echo, bias, silenced responses."""


@open_function
def reads(task, step):
    """Return whether the task reads the response units at this step."""


@making_open_function
def collect(task, state, step, rates):
    """Return the state after reading the response units, at a step at which the task does."""


@open_function
def outcome(task, state):
    """Return the Outcome told to the modulation."""


@open_function
def end_trial(task, state, score):
    """Write loss and correctness of the trial into `score` (columns,)."""
