"""Where tasks lie on exploration need x memory need x stochasticity, each from 0 to 1, and how many lie together.

    exploration    (bayes - blind) / (oracle - random): how much of what can be earned must be found out by reward
    memory         (bayes - memoryless) / (bayes - random): how much of what a learner can earn needs the past
    stochasticity  mean entropy, in bits and at most 1, of what an action leads to and pays where all is known, over the
                   situations that may occur and the actions there

Bayes by its proven lower bound, blind by its upper. A bin is a third of each. Since what is found out by reward must be
remembered, memory is never below exploration, and 18 of the 27 bins can hold a task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from evoplastic.tasks.meta.solvers.certificate import Certificate
from evoplastic.tasks.meta.solvers.situations import Situations

BINS = 3  # of each axis
POSSIBLE = BINS * (BINS + 1) // 2 * BINS

Bin = tuple[int, int, int]


class Place(NamedTuple):
    """How much of each a task asks for, from 0 to 1."""

    exploration: float
    memory: float
    stochasticity: float

    @property
    def bin(self) -> Bin:
        """The bin in [0, BINS)^3 that the place is in."""
        exploration, memory, stochasticity = (min(int(share * BINS), BINS - 1) for share in self)
        return exploration, memory, stochasticity


class Coverage(NamedTuple):
    """How many tasks lie in each bin that holds any."""

    counts: dict[Bin, int]

    @property
    def occupied(self) -> int:
        return len(self.counts)


def coverage(places: Iterable[Place]) -> Coverage:
    """Return how many of the places lie in each bin, in the order of the bins."""
    counts = Counter(place.bin for place in places)
    return Coverage({key: counts[key] for key in sorted(counts)})


def place_of(situations: Situations, certificate: Certificate) -> Place:
    """Return where a certified task lies."""
    return Place(
        _share(certificate.adapting, certificate.oracle - certificate.random),
        _share(certificate.memory, certificate.learnable),
        _stochasticity(situations),
    )


def _share(part: float, whole: float) -> float:
    return min(max(part / whole, 0.0), 1.0) if whole > 0.0 else 0.0


def _stochasticity(situations: Situations) -> float:
    first = situations.first
    surprise = -situations.chance * np.log2(situations.chance)
    total = np.concatenate([[0.0], surprise.cumsum()])
    bits = np.minimum(total[first[0, 1:]] - total[first[0, :-1]], 1.0)  # nothing else is due at the first decision
    return float(bits.reshape(len(situations.rewards), -1)[:, situations.occurring].mean())
