"""What a network is to a lifetime: how activity starts, and how it moves one step.

A network is a NamedTuple with fields `innate` and `gain`, both (N, W) float32 indexed [pre, post], and the methods
below. N counts units; W >= N is N padded for the machine's vectors, and padded columns stay 0.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import NDArray

from evoplastic.jit import kernel, open_function


class Activity(NamedTuple):
    """The moving state of a network; all arrays (W,) float32, mutated inside kernels only."""

    potential: NDArray  # before the nonlinearity
    rates: NDArray  # after it, with this step's clamps
    before: NDArray  # the rates of the previous step
    noise: NDArray  # what the rule adds to the potential this step
    drive: NDArray  # scratch: summed recurrent input


@open_function
def rest(network):
    """Return the Activity of a newborn."""


@open_function
def activate(network, activity, weights):
    """Move `activity` one step under `weights` (N, W) [pre, post]; `rates` before the call end up in `before`."""


@kernel
def express(network, plastic, weights):
    """Write the weights a lifetime runs on: innate + gain * plastic, all (N, W) [pre, post]."""
    for pre in range(weights.shape[0]):
        for post in range(weights.shape[1]):
            weights[pre, post] = network.innate[pre, post] + network.gain[pre, post] * plastic[pre, post]
