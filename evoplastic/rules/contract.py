"""What a plasticity rule is to a lifetime: what a step leaves in its traces, what a third factor writes into weights.

A rule is a NamedTuple of coefficients with the methods below; its state is a NamedTuple of arrays that the methods
change in place. `age` counts trials since birth. `modulators` is a (channels,) float32 array of third factors, higher
meaning better.

Its settings are a frozen struct whose fields are its coefficients. They build it, and say whether it is `modulated`,
that is, whether a third factor decides what it writes; which coefficients a genome may hold, and how finely
(`evolvable`); what the rule is (`account`); and `marks(trials)`: the ages, in a life of `trials` trials, at which
something changes, each with its label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError, nearest
from evoplastic.jit import making_open_function, open_function

NOTHING, WRITTEN, SENT = range(3)  # see `consolidate`

Grain = Literal["synapse", "neuron", "scalar"]  # the finest that a coefficient can be: one a synapse, a unit, a rule


class Around(NamedTuple):
    """What a rule is built for."""

    dt_ms: float
    trials: int  # of a life
    units: int  # N
    channels: tuple[str, ...]  # names of the third factors, in the order of `modulators`


class Account(NamedTuple):
    """What a reader should know of a rule: equation and LaTeX in the same symbols."""

    equation: str
    latex: str
    symbols: Mapping[str, str] = {}  # of the equation, each with what it is; coefficients have their own names
    state: tuple[str, ...] = ()  # what the rule remembers beside the plastic weights
    references: tuple[str, ...] = ()


class RuleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """A rule of a run file."""

    modulated: ClassVar[bool] = True
    evolvable: ClassVar[Mapping[str, Grain]] = {}
    codes: ClassVar[tuple[str, ...]] = ()  # coefficients that name something, of which twice as much means nothing
    account: ClassVar[Account]

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> NamedTuple:
        """Return the packed rule.

        `values` holds the coefficients that a genome has, (1, 1) for a scalar, (1, N) a unit, (N, N) [pre, post] a
        synapse; all others have the values of the settings. UserError for coefficients that contradict each other.
        """
        raise NotImplementedError

    def coefficients(self) -> Mapping[str, Grain]:
        """Return the coefficients that a genome may hold, and how finely: `evolvable`, or what the settings name."""
        return self.evolvable

    def coefficient(self, name: str) -> float:
        """Return the value that the settings give a coefficient that a genome may hold."""
        return float(getattr(self, name))

    def holder(self, name: str) -> tuple[RuleSettings, str]:
        """Return the settings that a coefficient belongs to, and what it is called there."""
        return self, name

    def heard(self) -> frozenset[str]:
        """Return the names of the third factors that decide what is written, "" standing for the first one."""
        return frozenset([getattr(self, "channel", "")] if self.modulated else [])

    def listens(self) -> bool:
        """Return whether a third factor decides what is written."""
        return bool(self.heard())

    def describe(self) -> Account:
        """Return what a reader should know of the rule with these settings: `account`, or that of what they name."""
        return self.account

    def marks(self, trials: int) -> dict[int, str]:
        """Return the ages, in a life of `trials` trials, at which something changes, each with its label."""
        return {}


def channel_number(name: str, channels: tuple[str, ...]) -> int:
    """Return the place of a third factor, the first one's for ""; UserError if there is none of this name."""
    if name and name not in channels:
        raise UserError(
            f"problem.rule listens to the third factor {name!r}, and problem.modulation has {list(channels)}"
            f"{nearest(name, channels)}"
        )
    return channels.index(name) if name else 0


@making_open_function
def newborn(rule, network, steps):
    """Return the rule's state at birth, for trials of `steps` steps."""


@open_function
def begin_exploring(rule, state, key, trial, age, steps):
    """Make the state ready for a trial of `steps` steps; draws are addressed by (key, trial)."""


@open_function
def explore(rule, state, step, activity):
    """Add this step's perturbation to `activity.noise`."""


@open_function
def accumulate(rule, state, step, activity):
    """Let this step's `before`, `rates` and `noise` go into the traces; the noise is spent: leave it 0."""


@open_function
def continual(rule):
    """Return whether the rule may write at every step, else only when a third factor comes.

    Then `consolidate` follows each `accumulate` exactly once, and may do part of its work.
    """


@open_function
def consolidate(rule, state, age, network, activity, plastic, modulators):
    """Write the plastic weights (N, W) [pre, post] from the traces and the third factors.

    Return whether any was written, NOTHING or WRITTEN (False or True will do, a count will not); or SENT if
    `activity.drive` then holds, too, what the present rates send under the new weights, which spares the next step a
    pass over all synapses. Nothing else changes rates or weights before that step.
    """
