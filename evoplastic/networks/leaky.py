"""Leaky continuous-time recurrent network, one Euler step of length dt.

    x <- x + (dt / tau) * (-x + W' y) + xi          W = innate + gain * plastic, [pre, post]
    y  = tanh(x), or 1 / (1 + exp(-x)) for response units that are logistic

y on the right is the previous step's output, xi the rule's perturbation. The task then clamps its input units over y.
Source: Miconi 2023, "Learning to acquire novel cognitive tasks with evolution, plasticity and meta-meta-learning"; for
response units like all others and weights of inputs apart from all others Miconi 2017, eLife 6:e20899.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.genome import Block, BlockSettings, Sharing, groups
from evoplastic.jit import aligned_zeros, pack
from evoplastic.networks.contract import Activity
from evoplastic.networks.roles import BORN_WITHOUT_INPUT, CLAMPED, ROLES, RoleSettings, cell_types, place
from evoplastic.numbers import flush
from evoplastic.polynomials import tanh
from evoplastic.random import Purpose, philox, stream_key, unit
from evoplastic.vectors import LANES

FreeRole = Literal["hidden", "modulator", "value", "response"]

_INPUTS = 1  # names the key of input weights; those of blocks have two parts


class LeakySettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="leaky"
):
    """The network of a run file."""

    units: Annotated[int, msgspec.Meta(ge=1)] = 70
    tau_ms: Annotated[float, msgspec.Meta(gt=0)] = 100.0
    dt_ms: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    initial_potential: float = 0.1
    responses: Literal["logistic", "tanh"] = "logistic"  # outputs in (0, 1), or in (-1, 1) as of all other units
    stimulus_weights: Annotated[float, msgspec.Meta(ge=0)] | None = None  # half range of input weights; None: as all
    roles: RoleSettings = RoleSettings()
    born_unplastic: tuple[FreeRole, ...] = ()  # roles of units whose inputs start with a gain of 0

    def __post_init__(self) -> None:
        place(self.roles, self.units)
        if self.dt_ms > self.tau_ms:
            raise ValueError(f"dt_ms must be at most tau_ms = {self.tau_ms}, or a step overshoots, got {self.dt_ms}")

    def places(self) -> dict[str, range]:
        """Return the range of unit indices of each role."""
        return place(self.roles, self.units)

    def blocks(self, innate: BlockSettings, gain: BlockSettings) -> tuple[Block, ...]:
        """Return the genome's blocks `innate` and `gain`, (N, N) [pre, post].

        The spread of innate weights is per sqrt(N), so that it means the same in a larger network. Clamped, modulatory
        and value units start without input. With `stimulus_weights` a, weights from stimulus units are drawn evenly
        from [-a, a] instead, and start with a gain of 0; they need a gene for each synapse. Inputs of units whose role
        is in `born_unplastic` start with a gain of 0 too. All projections onto clamped units share a gene, since they
        reach nothing.
        """
        places = self.places()
        shape = (self.units, self.units)
        born = np.ones(shape, bool)
        for role in BORN_WITHOUT_INPUT:
            born[:, list(places[role])] = False
        innate = msgspec.structs.replace(innate, spread=innate.spread / math.sqrt(self.units))
        of_innate, of_gain = (_genes(block.sharing, places) for block in (innate, gain))
        plastic = np.ones(shape, bool)
        plastic[:, [unit for role in self.born_unplastic for unit in places[role]]] = False
        shared = len(np.intersect1d(of_gain[plastic], of_gain[~plastic]))
        if shared or (self.born_unplastic and (gain.floor or 0.0) > 0.0):
            raise UserError(
                f"problem.network.born_unplastic = {list(self.born_unplastic)} wants gains of their own that may be 0; "
                'set problem.genome.gain.sharing = "synapse" and no floor above 0'
            )
        if self.stimulus_weights is None:
            return (
                Block("innate", shape, of_innate, innate, born),
                Block("gain", shape, of_gain, gain, plastic if self.born_unplastic else None),
            )
        for name, block in (("innate", innate), ("gain", gain)):
            if block.sharing != "synapse" or block.bounds or block.floor is not None:
                raise UserError(
                    "problem.network.stimulus_weights draws weights of their own for some synapses, so "
                    f'problem.genome.{name} needs sharing = "synapse", no bounds and no floor'
                )
        inputs = np.zeros(shape, bool)
        inputs[list(places["stimulus"])] = True
        return (
            InnateBlock("innate", shape, of_innate, innate, born, inputs & born, self.stimulus_weights),
            Block("gain", shape, of_gain, gain, plastic & ~inputs),
        )

    def build(self, innate: NDArray, gain: NDArray) -> Leaky:
        """Return the packed network with these (N, N) weights and gains."""
        network = _empty(self)
        weights = aligned_zeros((2, *network.innate.shape))
        weights[0, :, : self.units] = innate
        weights[1, :, : self.units] = gain
        return network._replace(innate=weights[0], gain=weights[1])


def _genes(sharing: Sharing, places: dict[str, range]) -> NDArray[np.int64]:
    """Return which gene each synapse reads, (N, N) [pre, post], see `genome.groups`."""
    genes = groups(sharing, cell_types(places), len(ROLES))
    if sharing == "projection":
        genes[:, [unit for role in CLAMPED for unit in places[role]]] = genes.size
        genes = np.unique(genes, return_inverse=True)[1].reshape(genes.shape)
    return genes


@dataclass(frozen=True, eq=False)
class InnateBlock(Block):
    """Innate weights some of which are inputs (bool, of `shape`), born even in [-reach, reach]."""

    inputs: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), bool))
    reach: float = 0.0

    def initial_genes(self, seed: int) -> NDArray[np.float64]:
        values = self.develop(super().initial_genes(seed)).copy()
        key = stream_key(seed, Purpose.INITIAL, _INPUTS)
        drawn = [float(unit(philox(key, np.uint64(0), np.uint64(i))[0])) for i in range(int(self.inputs.sum()))]
        values[self.inputs] = self.reach * (2.0 * np.array(drawn) - 1.0)
        return self.encode(values)


@functools.lru_cache(maxsize=8)
def _empty(settings: LeakySettings) -> Leaky:
    """Return the packed network of these settings with all weights 0."""
    places, units = settings.places(), settings.units
    width = units + -units % LANES
    start = np.zeros(width)
    start[places["hidden"].start : units] = settings.initial_potential  # clamped units stand before
    curve = np.zeros((3, width))
    curve[1:, :units] = 1.0
    if settings.responses == "logistic":
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

    def activate(network, activity):
        potential, rates, _, noise, drive = activity
        for post in range(drive.shape[0]):
            moved = flush(potential[post] + network.leak * (drive[post] - potential[post]) + noise[post])
            potential[post] = moved
            rates[post] = network.curve[0, post] + network.curve[1, post] * tanh(network.curve[2, post] * moved)
