"""Coefficients of learners as genes: each a block of one number between bounds, so that no gene leaves its range."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from evoplastic.genome import Block, BlockSettings


def coefficient(initial: float, low: float, high: float) -> BlockSettings:
    """Return the settings of a coefficient that starts at `initial` and stays between two bounds."""
    return BlockSettings(initial=initial, bounds=(low, high))


def blocks_of(coefficients: Mapping[str, BlockSettings]) -> tuple[Block, ...]:
    """Return one block of shape (1,) for each coefficient."""
    place = np.zeros(1, np.int64)
    return tuple(Block(name, (1,), place, settings) for name, settings in coefficients.items())


def numbers_of(values: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """Return the one number of every block by its name."""
    return {name: float(value[0]) for name, value in values.items()}
