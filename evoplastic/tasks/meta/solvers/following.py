"""From the outcomes of a decision to the situations that the next one begins in: variables change, trials end.

Each event turns one digit of a situation's number (i, c, m, s), by a chance from every value to every other: a change
one of the digits of c, the end of a trial the memory, which is cleared, or the state, which starts again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evoplastic.tasks.meta.solvers.instances import endings_matter
from evoplastic.tasks.meta.solvers.outcomes import Entries, Outcomes

Array = NDArray[np.float64]


class Following:
    """What follows the outcomes of an instance's decisions, counted from 1."""

    def __init__(self, outcomes: Outcomes):
        program = outcomes.program
        self._changing, self._shape = outcomes.chain.changing, outcomes.shape[:4]
        self._decisions = program.ending.decisions if endings_matter(program) else 0
        memories, states = self._shape[2:]
        self._at_the_end: list[tuple[Array, int]] = []
        if program.ending.clear and memories > 1:
            self._at_the_end.append((np.eye(1, memories).repeat(memories, axis=0), states))
        if program.ending.restart:
            start = np.bincount(program.start, minlength=states) / len(program.start)
            self._at_the_end.append((start[None].repeat(states, axis=0), 1))

    def kind(self, decision: int) -> tuple[object, ...]:
        """Return what is due at a decision, where a trial does not end and where it does."""
        due = [tuple(changing.due(decision, ended) for changing in self._changing) for ended in (False, True)]
        return (self._ends(decision), *due)

    def of(self, entries: Entries, decision: int) -> Entries:
        """Return the outcomes of a decision with the situations that the next one begins in, each once a row."""
        entries = entries._replace(ended=entries.ended | self._ends(decision))
        behind = self._shape[1] * self._shape[2] * self._shape[3]
        for changing in self._changing:
            behind //= len(changing.kernel)
            due = np.where(entries.ended, changing.due(decision, True), changing.due(decision, False))
            entries = _turned(entries, due, changing.kernel, behind)
        for chances, behind in self._at_the_end:
            entries = _turned(entries, entries.ended, chances, behind)
        return _each_once(entries, math.prod(self._shape))

    def _ends(self, decision: int) -> bool:
        """Return whether a trial ends because of the number of its decisions."""
        return self._decisions > 0 and decision % self._decisions == 0


def _turned(entries: Entries, due: NDArray[np.bool_], chances: Array, behind: int) -> Entries:
    """Return the outcomes after one digit has turned where it is `due` (E,); `behind` is the product of those after it.

    From value x it turns to y with chances[x, y].
    """
    if not due.any():
        return entries
    digit = entries.situation // behind % len(chances)
    ways = np.where(due[:, None], chances[digit], np.eye(len(chances))[digit])
    source, value = np.nonzero(ways)
    return Entries(
        entries.payments,
        entries.row[source],
        entries.payment[source],
        entries.situation[source] + (value - digit[source]) * behind,
        entries.ended[source],
        entries.weight[source] * ways[source, value],
    )


def _each_once(entries: Entries, situations: int) -> Entries:
    """Return the outcomes in the order of rows, payments and situations, those that are equal added up."""
    number = (entries.row * len(entries.payments) + entries.payment) * situations + entries.situation
    numbers, place = np.unique(number, return_inverse=True)
    rest, situation = np.divmod(numbers, situations)
    row, payment = np.divmod(rest, len(entries.payments))
    weight = np.bincount(place, entries.weight)
    return Entries(entries.payments, row, payment, situation, np.zeros(len(row), np.bool_), weight)
