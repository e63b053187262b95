"""Where the third factor comes from: the outcome of a trial, the network itself, or nowhere.

A modulation is a NamedTuple of coefficients with the methods below. Third factors are "higher is better". Its field
`strength` multiplies every third factor: 1, or 0 where a lesion cuts the modulation.

Its settings build it and say `told(fed, kinds)`: in a sentence what the rule learns by it, `kinds` being what it knows
who is told the trial type, and that the network's feedback units carry `fed` if that is another way in.
"""

from __future__ import annotations

from typing import NamedTuple

from evoplastic.jit import open_function


class Outcome(NamedTuple):
    """What a task tells the modulation about the trial."""

    loss: float  # graded or binary, lower is better
    kind: int  # trial type, in [0, kinds)


@open_function
def every_step(modulation):
    """Return whether the third factor acts at every step (else once a trial, when feedback starts)."""


@open_function
def memory(modulation, kinds):
    """Return the modulation's own (m,) float32 memory at birth, for a task of `kinds` trial types."""


@open_function
def modulate(modulation, memory, outcome, rates, modulators):
    """Write the third factors into `modulators` (channels,), updating `memory`; return this step's cost."""
