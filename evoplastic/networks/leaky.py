"""Leaky continuous-time recurrent network, one Euler step of length dt.

    x <- x + (dt / tau) * (-x + W' y) + xi          W = innate + gain * plastic, [pre, post]
    y  = tanh(x), or 1 / (1 + exp(-x)) for response units

y on the right is the previous step's output, xi the rule's perturbation. The task then clamps its input units over y.
Source: Miconi 2023, "Learning to acquire novel cognitive tasks with evolution, plasticity and meta-meta-learning".
"""

from __future__ import annotations

import functools
import math
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.genome import Block, BlockSettings, groups
from evoplastic.jit import pack
from evoplastic.networks.contract import Activity
from evoplastic.networks.roles import CLAMPED, ROLES, RoleSettings, cell_types, place
from evoplastic.numbers import flush
from evoplastic.polynomials import tanh
from evoplastic.vectors import LANES, add_product

_SILENT = np.float32(0.0)


class LeakySettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="leaky"
):
    """The network of a run file."""

    units: Annotated[int, msgspec.Meta(ge=1)] = 70
    tau_ms: Annotated[float, msgspec.Meta(gt=0)] = 100.0
    dt_ms: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    initial_potential: float = 0.1
    roles: RoleSettings = RoleSettings()

    def __post_init__(self) -> None:
        place(self.roles, self.units)
        if self.dt_ms > self.tau_ms:
            raise ValueError(f"dt_ms must be at most tau_ms = {self.tau_ms}, or a step overshoots, got {self.dt_ms}")

    def places(self) -> dict[str, range]:
        """Return the range of unit indices of each role."""
        return place(self.roles, self.units)

    def blocks(self, innate: BlockSettings, gain: BlockSettings) -> tuple[Block, ...]:
        """Return the genome's blocks `innate` and `gain`, (N, N) [pre, post].

        The spread of innate weights is per sqrt(N), so that it means the same in a larger network. Clamped and
        modulatory units start without input.
        """
        places, types = self.places(), cell_types(self.places())
        shape = (self.units, self.units)
        born = np.ones(shape, bool)
        for role in (*CLAMPED, "modulator"):
            born[:, list(places[role])] = False
        innate = msgspec.structs.replace(innate, spread=innate.spread / math.sqrt(self.units))
        return (
            Block("innate", shape, groups(innate.sharing, types, len(ROLES)), innate, born),
            Block("gain", shape, groups(gain.sharing, types, len(ROLES)), gain, None),
        )

    def build(self, innate: NDArray, gain: NDArray) -> Leaky:
        """Return the packed network with these (N, N) weights and gains."""
        network = _empty(self)
        weights = np.zeros((2, *network.innate.shape), np.float32)
        weights[0, :, : self.units] = innate
        weights[1, :, : self.units] = gain
        return network._replace(innate=weights[0], gain=weights[1])


@functools.lru_cache(maxsize=8)
def _empty(settings: LeakySettings) -> Leaky:
    """Return the packed network of these settings with all weights 0."""
    places, units = settings.places(), settings.units
    width = units + -units % LANES
    start = np.zeros(width)
    start[places["hidden"].start : units] = settings.initial_potential  # clamped units stand before
    curve = np.zeros((3, width))
    curve[1:, :units] = 1.0
    curve[:, list(places["response"])] = 0.5  # 1 / (1 + exp(-x)) = 1/2 + 1/2 tanh(x / 2)
    blank = np.zeros((units, width))
    return pack(Leaky(blank, blank, start, curve, settings.dt_ms / settings.tau_ms))


class Leaky(NamedTuple):
    innate: NDArray  # (N, W) [pre, post]
    gain: NDArray  # (N, W) [pre, post]
    start: NDArray  # (W,) potential of a newborn
    curve: NDArray  # (3, W): offset, height and slope of rate = offset + height * tanh(slope * potential)
    leak: float  # dt / tau

    def rest(network):
        width = network.start.shape[0]
        return Activity(
            network.start.copy(),
            np.zeros(width, np.float32),
            np.zeros(width, np.float32),
            np.zeros(width, np.float32),
            np.zeros(width, np.float32),
        )

    def activate(network, activity, weights):
        potential, rates, before, noise, drive = activity
        for post in range(drive.shape[0]):
            before[post] = rates[post]
            drive[post] = _SILENT
        add_product(weights, before, drive)  # silent units add nothing: the clamped ones are, most of a trial
        for post in range(drive.shape[0]):
            moved = flush(potential[post] + network.leak * (drive[post] - potential[post]) + noise[post])
            potential[post] = moved
            rates[post] = network.curve[0, post] + network.curve[1, post] * tanh(network.curve[2, post] * moved)
