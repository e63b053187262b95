"""Choices that learners share: the best of several values, ties broken evenly; softmax; a schedule of exploration."""

from __future__ import annotations

import numpy as np

from evoplastic.jit import inlined_kernel
from evoplastic.polynomials import exp
from evoplastic.random import below, unit

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@inlined_kernel
def highest_of(values):
    """Return the highest of some values; numba's values.max() makes an array."""
    highest = values[0]
    for value in values:
        highest = max(highest, value)
    return highest


@inlined_kernel
def best_of(values, count, word):
    """Return the place of the highest of the first `count` values; `word` decides evenly among equal ones."""
    highest, ties = values[0], 0
    for value in values[:count]:
        if value > highest:
            highest, ties = value, 0
        if value == highest:
            ties += 1
    nth = below(word, ties)
    for place in range(count):
        if values[place] == highest:
            if nth == 0:
                return place
            nth -= 1
    return 0  # values that are not numbers


@inlined_kernel
def softmax_of(values, inverse_temperature, word):
    """Return a place drawn with probability exp(b v) / sum exp(b v)."""
    highest = highest_of(values)
    total = _ZERO
    for value in values:
        total += exp(inverse_temperature * (value - highest))
    left = total * unit(word)
    for place in range(values.shape[0] - 1):
        left -= exp(inverse_temperature * (values[place] - highest))
        if left <= _ZERO:
            return place
    return values.shape[0] - 1


@inlined_kernel
def faded(first, last, decisions, age):
    """Return what changes evenly from `first` at birth to `last` after so many decisions, and stays there."""
    return last + (first - last) * max(_ZERO, _ONE - np.float32(age) / decisions)
