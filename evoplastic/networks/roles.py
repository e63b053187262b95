"""Unit roles: which units the task clamps, which it reads, which modulate or expect; the rest are hidden.

Units stand in the order stimulus, feedback, bias, echo, hidden, modulator, value, response.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

Count = Annotated[int, msgspec.Meta(ge=0)]

ROLES = ("stimulus", "feedback", "bias", "echo", "hidden", "modulator", "value", "response")
CLAMPED = ROLES[:4]  # units that tasks hold stand before all others
BORN_WITHOUT_INPUT = (*CLAMPED, "modulator", "value")


class RoleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many units play each role; hidden units are what is left of the network."""

    stimulus: Count = 2
    feedback: Count = 2
    bias: Count = 1
    echo: Count = 2
    modulator: Count = 2
    value: Count = 0
    response: Count = 2


def place(settings: RoleSettings, units: int) -> dict[str, range]:
    """Return the range of unit indices of each role in a network of `units`; ValueError if they do not fit."""
    counts = {role: getattr(settings, role) for role in ROLES if role != "hidden"}
    hidden = units - sum(counts.values())
    if hidden < 0:
        raise ValueError(f"units must be at least {sum(counts.values())} to hold the roles {counts}, got {units}")
    counts["hidden"] = hidden
    places, start = {}, 0
    for role in ROLES:
        places[role] = range(start, start + counts[role])
        start += counts[role]
    return places


def cell_types(places: dict[str, range]) -> NDArray[np.int64]:
    """Return each unit's role as its number in ROLES, (N,)."""
    return np.concatenate([np.full(len(places[role]), number) for number, role in enumerate(ROLES)])
