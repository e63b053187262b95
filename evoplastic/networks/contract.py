"""What a network is to a lifetime: how activity starts, and how it moves one step.

A network is a NamedTuple with fields `innate` and `gain`, both (N, W) float32 indexed [pre, post], and the methods
below. N counts units; W is N, padded to a multiple of `vectors.LANES`, and padded columns stay 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel, making_open_function, open_function

_INFINITE = np.float32(np.inf)


class Activity(NamedTuple):
    """The moving state of a network; all arrays (W,) float32, mutated inside kernels only."""

    potential: NDArray  # before the nonlinearity
    rates: NDArray  # after it, with this step's clamps
    before: NDArray  # the rates of the previous step
    noise: NDArray  # what the rule adds to the potential this step
    drive: NDArray  # summed recurrent input


@making_open_function
def rest(network):
    """Return the Activity of a newborn."""


@open_function
def activate(network, activity):
    """Move `activity` one step: `rates` become those that follow from the potentials, `drive` and `noise`.

    `before` holds the rates of the step before, and `drive` what they sent: the sum over pre of
    before[pre] * weights[pre, post].
    """


@kernel
def express(network, plastic, weights):
    """Write the weights a lifetime runs on: innate + gain * plastic, all (N, W) [pre, post]."""
    for pre in range(weights.shape[0]):
        for post in range(weights.shape[1]):
            weights[pre, post] = network.innate[pre, post] + network.gain[pre, post] * plastic[pre, post]


@kernel
def finite(activity):
    """Return whether all potentials are finite numbers; one that is not stays so."""
    sound = True
    for unit in range(activity.potential.shape[0]):
        sound &= abs(activity.potential[unit]) < _INFINITE
    return sound
