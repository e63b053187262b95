"""The leaky network with another curve: a unit sends its potential, kept between 0 and 1."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import pack
from evoplastic.networks.leaky import Leaky, LeakySettings
from evoplastic.numbers import flush


class ClippedSettings(LeakySettings, frozen=True, kw_only=True, tag="clipped"):
    """Units, roles and genes of the leaky network."""

    def build(self, innate, gain) -> "Clipped":
        leaky = LeakySettings.build(self, innate, gain)
        inside = np.zeros_like(leaky.start)
        inside[: self.units] = 1.0
        return pack(Clipped(leaky.innate, leaky.gain, leaky.start, inside, leaky.leak))


class Clipped(NamedTuple):
    innate: NDArray  # (N, W) [pre, post]
    gain: NDArray  # (N, W)
    start: NDArray  # (W,)
    inside: NDArray  # (W,): 1, or 0 in padding
    leak: float

    rest = Leaky.rest

    def activate(network, activity):
        potential, rates, _, noise, drive = activity
        for post in range(drive.shape[0]):
            moved = flush(potential[post] + network.leak * (drive[post] - potential[post]) + noise[post])
            potential[post] = moved
            rates[post] = network.inside[post] * min(max(moved, np.float32(0.0)), np.float32(1.0))


NETWORKS = {"clipped": ClippedSettings}
