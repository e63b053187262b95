"""Where the third factor comes from: the outcome of a trial, the network itself, or nowhere.

A modulation is a NamedTuple of coefficients with the methods below. Third factors are "higher is better". Its field
`strength` multiplies every third factor: 1, or 0 where a lesion cuts the modulation.

Its settings build it, name its `channels`, and say what the rule learns by it and which units of the network it takes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np

from evoplastic.errors import UserError
from evoplastic.jit import making_open_function, open_function


class ModulationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """A modulation of a run file."""

    channels: ClassVar[tuple[str, ...]] = ("m",)  # names of its third factors

    def build(self, places: dict[str, range]) -> NamedTuple:
        """Return the packed modulation for a network with these roles."""
        raise NotImplementedError

    def takes(self) -> Mapping[str, int]:
        """Return the roles of units that emit its third factors, each with how many; the network has just those."""
        return {}

    def only(self, heard: Collection[str]) -> ModulationSettings:
        """Return the modulation with those of its parts alone whose third factors are heard, "" being the first one."""
        return self

    def sources(self) -> tuple[str, ...]:
        """Return what its sources of third factors are called, each of which can be scaled; "" for one alone."""
        return ("",)

    def scaled(self, packed: Any, source: str, factor: float) -> Any:
        """Return the packed modulation with the third factors of one of its sources multiplied."""
        return packed._replace(strength=np.float32(packed.strength * factor))

    def told(self, fed: str, kinds: str) -> str:
        """Return in a sentence what the rule learns.

        The task feeds back `fed`; who is told the trial type knows `kinds`.
        """
        raise NotImplementedError


def emitters(called: str, places: Mapping[str, range], role: str, count: int) -> range:
    """Return the units of a role that emits third factors; UserError if they are not `count`."""
    units = places[role]
    if len(units) != count:
        raise UserError(
            f"{called} needs {count} {role} unit{'' if count == 1 else 's'}, got {len(units)}; "
            f"set problem.network.roles.{role} = {count}"
        )
    return units


class Outcome(NamedTuple):
    """What a task tells the modulation about the trial."""

    loss: float  # graded or binary, lower is better
    kind: int  # trial type, in [0, kinds)


@open_function
def channels(modulation):
    """Return how many third factors there are."""


@open_function
def every_step(modulation):
    """Return whether the third factor acts at every step (else once a trial, when feedback starts)."""


@making_open_function
def memory(modulation, kinds):
    """Return the modulation's own (m,) float32 memory at birth, or a nest of them, for `kinds` trial types."""


@open_function
def modulate(modulation, memory, outcome, fed, rates, modulators):
    """Write the third factors into `modulators` (channels,), updating `memory`; return this step's cost.

    `fed` says whether feedback starts at this step. What acts once a trial is 0 and remembers nothing elsewhere.
    """
