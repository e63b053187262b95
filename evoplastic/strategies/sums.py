"""Sums of a fixed order, first to last: the same bits on every CPU and with any number of threads, unlike BLAS."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel

Array = NDArray[np.float64]


@kernel
def sum_of_products(one: Array, other: Array) -> float:
    """Return the sum of `one` (D,) times `other` (D,), first to last."""
    total = 0.0
    for gene in range(one.shape[0]):
        total += one[gene] * other[gene]
    return total


def dot(one: Array, other: Array) -> float:
    """Return the inner product of two vectors (D,)."""
    # Copies, since a read-only array would be another type and compile the kernel again.
    return float(sum_of_products(one.copy(), other.copy()))


def norm(vector: Array) -> float:
    """Return the Euclidean norm of a vector (D,)."""
    return math.sqrt(dot(vector, vector))
