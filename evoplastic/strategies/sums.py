"""Sums of a fixed order, first to last: the same bits on every CPU and with any number of threads, unlike BLAS."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import making_kernel

Array = NDArray[np.float64]


@making_kernel
def sum_of_products(one: Array, other: Array) -> float:
    """Return the sum of `one` (D,) times `other` (D,), first to last."""
    total = 0.0
    for gene in range(one.shape[0]):
        total += one[gene] * other[gene]
    return total


@making_kernel
def times(matrix: Array, vector: Array, out: Array) -> None:
    """Write `matrix` (n, n) times `vector` (n or more,) into `out` (n or more,)."""
    for row in range(matrix.shape[0]):
        total = 0.0
        for column in range(matrix.shape[1]):
            total += matrix[row, column] * vector[column]
        out[row] = total


@making_kernel
def transposed_times(matrix: Array, vector: Array, out: Array) -> None:
    """Write `matrix`^T times `vector` (n or more,) into `out` (n or more,), adding row after row of `matrix` (n, n)."""
    for column in range(matrix.shape[1]):
        out[column] = 0.0
    for row in range(matrix.shape[0]):
        for column in range(matrix.shape[1]):
            out[column] += matrix[row, column] * vector[row]


def dot(one: Array, other: Array) -> float:
    """Return the inner product of two vectors (D,)."""
    # Copies, since a read-only array would be another type and compile the kernel again.
    return float(sum_of_products(one.copy(), other.copy()))


def norm(vector: Array) -> float:
    """Return the Euclidean norm of a vector (D,)."""
    return math.sqrt(dot(vector, vector))
