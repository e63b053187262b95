"""What a plasticity rule is to a lifetime: what a step leaves in its traces, what a third factor writes into weights.

A rule is a NamedTuple of coefficients with the methods below; its state is a NamedTuple of arrays that the methods
change in place (a state returned by value each step was measured 6 % slower). `age` counts trials since birth.
`modulators` is a (channels,) float32 array of third factors, higher meaning better.

Its settings build it and say whether it is `modulated`, that is, whether the third factor decides what it writes; and
`marks(trials)`: the ages, in a life of `trials` trials, at which something changes, each with its label.
"""

from __future__ import annotations

from evoplastic.jit import open_function


@open_function
def newborn(rule, network, steps):
    """Return the rule's state at birth, for trials of `steps` steps."""


@open_function
def begin_exploring(rule, state, key, trial, age, steps):
    """Make the state ready for a trial of `steps` steps; draws are addressed by (key, trial)."""


@open_function
def explore(rule, state, step, activity):
    """Write this step's perturbation to `activity.noise`."""


@open_function
def accumulate(rule, state, step, activity):
    """Let this step's `before`, `rates` and `noise` go into the traces; the noise is spent: leave it 0."""


@open_function
def consolidate(rule, state, age, plastic, modulators):
    """Write the plastic weights (N, W) [pre, post] from the traces and the third factor; return whether any was."""
