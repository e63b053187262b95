"""What of a lifetime is kept beside its scores: nothing, or all that moved, step by step.

The rollout tells a recorder what happens; which one it is decides at compile time what that costs, and `Unseen`, which
keeps nothing, costs nothing. So a life that is recorded is the very life that was scored: there is one loop.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel, open_function, pack


@open_function
def note_noise(recorder, trial, step, noise):
    """Keep what the rule adds to the potentials in this step, (W,), before it is spent."""


@open_function
def note_step(recorder, trial, step, rates, modulators, acts, plastic):
    """Keep the rates (W,), the third factors, if they act in this step, and plastic weights (N, W) at its end."""


@open_function
def note_trial(recorder, trial, kind, plastic):
    """Keep the trial's type and the plastic weights (N, W) at its end."""


class Unseen(NamedTuple):
    """Nothing is kept."""

    nothing: int

    def note_noise(recorder, trial, step, noise):
        pass

    def note_step(recorder, trial, step, rates, modulators, acts, plastic):
        pass

    def note_trial(recorder, trial, kind, plastic):
        pass


@kernel
def place(trial, first, gap, trials):
    """Return the place of a trial among the `trials` that are kept from `first` on, -1 if it is not one of them.

    In their middle `gap` trials are not kept.
    """
    at, early = trial - first, trials - trials // 2
    if at >= early:
        at = at - gap if at >= early + gap else -1
    return at if at < trials else -1


class Recorder(NamedTuple):
    """Keeps T trials of a life; arrays that have no step or no synapse keep none of that."""

    first: int
    gap: int  # trials in the middle that are not kept
    every: int  # trials between weights that are kept
    rates: NDArray  # (T, S, N) float32
    noise: NDArray  # (T, S, N)
    modulators: NDArray  # (T, S, channels)
    kinds: NDArray  # (T,) int64
    synapses: NDArray  # (M, 2) int64: sending and receiving unit of those that are followed
    followed: NDArray  # (T, S, M): their plastic weights
    weights: NDArray  # (K, N, N): all plastic weights, after every `every`th trial that is kept

    def note_noise(recorder, trial, step, noise):
        at = place(trial, recorder.first, recorder.gap, recorder.noise.shape[0])
        if at >= 0:
            for unit in range(recorder.noise.shape[2]):
                recorder.noise[at, step, unit] = noise[unit]

    def note_step(recorder, trial, step, rates, modulators, acts, plastic):
        at = place(trial, recorder.first, recorder.gap, recorder.rates.shape[0])
        if at >= 0:
            for unit in range(recorder.rates.shape[2]):
                recorder.rates[at, step, unit] = rates[unit]
            for channel in range(recorder.modulators.shape[2] if acts else 0):
                recorder.modulators[at, step, channel] = modulators[channel]
            for synapse in range(recorder.synapses.shape[0]):
                pre, post = recorder.synapses[synapse]
                recorder.followed[at, step, synapse] = plastic[pre, post]

    def note_trial(recorder, trial, kind, plastic):
        at = place(trial, recorder.first, recorder.gap, recorder.kinds.shape[0])
        if at >= 0:
            recorder.kinds[at] = kind
            number, rest = divmod(at + 1, recorder.every)
            if rest == 0 and number <= recorder.weights.shape[0]:
                units = recorder.weights.shape[1]
                for pre in range(units):  # element by element: assigning a slice would make an array
                    for post in range(units):
                        recorder.weights[number - 1, pre, post] = plastic[pre, post]


def recorder_of(units: int, steps: int, channels: int, wanted: Wanted) -> Recorder:
    """Return an empty recorder for trials of `steps` steps of a network with so many units and third factors."""
    trials = wanted.trials
    return pack(
        Recorder(
            wanted.first,
            wanted.gap,
            wanted.every,
            np.zeros((trials, steps, units), np.float32),
            np.zeros((trials, steps, units), np.float32),
            np.zeros((trials, steps, channels), np.float32),
            np.zeros(trials, np.int64),
            wanted.synapses,
            np.zeros((trials, steps, len(wanted.synapses)), np.float32),
            np.zeros((trials // wanted.every, units, units), np.float32),
        )
    )


class Wanted(NamedTuple):
    """What is to be kept of a life."""

    first: int  # trial
    trials: int  # T
    every: int  # trials between weights
    synapses: NDArray[np.int64]  # (M, 2)
    gap: int = 0  # trials in the middle of these that are not kept

    def kept(self) -> NDArray[np.int64]:
        """Return the trials that are kept, (T,)."""
        place = np.arange(self.trials)
        return self.first + place + self.gap * (place >= self.trials - self.trials // 2)
