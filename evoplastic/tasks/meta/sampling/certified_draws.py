"""Small meta-tasks drawn at random, so that adapting to reward is likely to be worth something.

A task has a few states, of which the first is the start: a trial ends on coming back to it, which clears a flag if
there is one. Every other state is entered from an earlier one; otherwise half of all ways lead back. One theme says
what pays and varies: a state, an action, or the chances of two arms. Besides, it may vary which action leads where,
which signs are shown, and which state gives a key. Whether adapting is really worth something is not decided here: a
candidate becomes a task by its certificate, see `sample`.
"""

from __future__ import annotations

import numpy as np

from evoplastic.tasks.meta.language import FORMAT, ORDER, MetaTask, Trial
from evoplastic.tasks.meta.sampling.dice import Dice
from evoplastic.tasks.meta.sampling.draft import Draft, begun
from evoplastic.tasks.meta.sampling.payments import draw_payments, without_hidden
from evoplastic.tasks.meta.sampling.places import UNITS, draw_observations, draw_transitions
from evoplastic.tasks.meta.sampling.settings import SampleSettings

VERSION = 1  # of the generator: counted up whenever a key draws another task


def draw_candidate(key: np.uint64, settings: SampleSettings) -> MetaTask:
    """Return the task that a key draws; it can always be decoded, but rules may contradict each other."""
    draft = begun(Dice(key), settings)
    transitions = draw_transitions(draft)
    draw_payments(draft)
    stimuli, observations = draw_observations(draft)
    drawn = any(variable.stimulus == "drawn" for variable in draft.variables.values())
    return MetaTask(
        format=FORMAT,
        version=1,
        order=ORDER,
        summary=_summary(draft),
        source=f"Drawn by the certified generator, version {VERSION}",
        horizon=settings.horizon,
        trial=Trial(until=draft.states[0], clear=bool(draft.flags)),
        states=draft.states,
        actions=draft.actions,
        stimuli=stimuli,
        stimulus_units=UNITS if drawn and not stimuli else None,
        observations=observations,
        variables=draft.variables,
        flags=draft.flags,
        transitions=transitions,
        rewards=tuple(without_hidden(draft.rewards)),
        costs=tuple(draft.costs),
        marks=tuple(draft.marks),
    )


def _summary(draft: Draft) -> str:
    *others, last = draft.varying
    varying = f"{', '.join(others)} and {last}" if others else last
    return f"{len(draft.states)} states and {len(draft.actions)} actions; every instance draws {varying}."
