"""The random numbers of a key, one after the other.

How many a task takes depends on what is drawn, so they are consumed, unlike elsewhere; but a key is that of one task,
and no other draw depends on how many were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from evoplastic.jit import making_kernel
from evoplastic.random import philox

Item = TypeVar("Item")
_COUNTERS = 16  # counters drawn at a time, of four words each
_STREAM = np.uint64(0)


@making_kernel
def fill_words(key, first, out):
    """Fill `out` (counters, 4) with the words of a key's counters from `first` on."""
    for i in range(out.shape[0]):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = philox(key, _STREAM, first + np.uint64(i))


class Dice:
    """What a key draws."""

    def __init__(self, key: np.uint64):
        self._key = key
        self._counter = 0
        self._left: list[int] = []

    def unit(self) -> float:
        """Return a number in [0, 1), a multiple of 2^-32."""
        if not self._left:
            words = np.empty((_COUNTERS, 4), np.uint32)
            fill_words(self._key, np.uint64(self._counter), words)
            self._counter += _COUNTERS
            self._left = words.ravel()[::-1].tolist()
        return self._left.pop() * 2.0**-32

    def chance(self, probability: float) -> bool:
        return self.unit() < probability

    def below(self, count: int) -> int:
        """Return a number in [0, count)."""
        return int(self.unit() * count)

    def one_of(self, items: Sequence[Item]) -> Item:
        return items[self.below(len(items))]

    def some_of(self, items: Sequence[Item], count: int) -> tuple[Item, ...]:
        """Return `count` of the items, none twice, in their own order."""
        left = list(range(len(items)))
        picked = sorted(left.pop(self.below(len(left))) for _ in range(count))
        return tuple(items[number] for number in picked)

    def in_any_order(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """Return all items, every order alike."""
        left = list(items)
        return tuple(left.pop(self.below(len(left))) for _ in items)
