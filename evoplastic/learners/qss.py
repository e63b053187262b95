"""QSS: a value for every move from one symbol to the next, and, apart from it, the action that makes the move.

    Q(s, s') <- Q(s, s') + alpha [r + gamma max_{s'' in N(s')} Q(s', s'') - Q(s, s')]      no future after a trial's end
    a         = I(s, argmax_{s' in N(s)} Q(s, s'))

Neighbours N(s) and inverse dynamics I(s, s') are learned: s' is a neighbour once s led to it, with a value of
`optimism` before its first reward, and I(s, s') is the action that last led there and nowhere else since. Of equally
good neighbours it moves to one for which an action is known; where there is none it tries an action that is not known
to lead elsewhere, and with chance epsilon any. A move's value is that of its luckiest continuation, and its reward must
not depend on the action: chance in moves misleads it.
Source: Edwards et al. 2020, "Estimating Q(s, s') with deep deterministic dynamics gradients", arXiv 2002.09505.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.genome import Block, BlockSettings
from evoplastic.jit import inlined_kernel, pack
from evoplastic.learners.choosing import faded, highest_of
from evoplastic.learners.coefficients import blocks_of, coefficient, numbers_of
from evoplastic.random import below, unit
from evoplastic.tasks.meta.program import Program

_ZERO = np.float32(0.0)
_MOST_NEIGHBOURS = 64  # of a symbol; further ones are not remembered


class QSSSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="qss"):
    """The learner of a run file."""

    told: ClassVar[str] = "when a trial ends"

    alpha: BlockSettings = coefficient(0.3, 0.0, 1.0)
    gamma: BlockSettings = coefficient(0.8, 0.0, 1.0)
    optimism: BlockSettings = coefficient(0.5, -2.0, 4.0)  # the value of a move that was never paid
    epsilon: BlockSettings = coefficient(0.5, 0.0, 1.0)  # at birth
    last_epsilon: BlockSettings = coefficient(0.1, 0.0, 1.0)
    exploring: BlockSettings = coefficient(20.0, 1.0, 200.0)  # decisions until epsilon is the last one

    def blocks(self) -> tuple[Block, ...]:
        """Return the genome's blocks, a number each."""
        names = ("alpha", "gamma", "optimism", "epsilon", "last_epsilon", "exploring")
        return blocks_of({name: getattr(self, name) for name in names})

    def knows(self, program: Program, horizon: int, scored: int) -> None:
        """Return what the learner knows of a meta-task beforehand: nothing."""

    def build(self, values: Mapping[str, NDArray[np.float64]], known: Any) -> QSS:
        """Return the packed learner with these coefficients."""
        return pack(QSS(**numbers_of(values)))


class Memory(NamedTuple):
    neighbours: NDArray  # (symbols, most) int64: N(s), those found first
    found: NDArray  # (symbols,) int64: how many they are
    values: NDArray  # (symbols, most) float32: Q(s, s') for each of them
    inverse: NDArray  # (symbols, most) int64: I(s, s'), -1 where no action is known
    age: NDArray  # (1,) int64, decisions
    choices: int  # actions


class QSS(NamedTuple):
    alpha: float
    gamma: float
    optimism: float
    epsilon: float
    last_epsilon: float
    exploring: float  # decisions

    def newborn(learner, symbols, actions):
        shape = (symbols, min(symbols, _MOST_NEIGHBOURS))
        return Memory(
            np.empty(shape, np.int64),
            np.zeros(symbols, np.int64),
            np.full(shape, learner.optimism, np.float32),
            np.full(shape, -1, np.int64),
            np.zeros(1, np.int64),
            actions,
        )

    def choose(learner, memory, seen, words):
        epsilon = faded(learner.epsilon, learner.last_epsilon, learner.exploring, memory.age[0])
        if unit(words[0]) <= epsilon:
            return below(words[1], memory.choices)
        found, inverse = memory.found[seen], memory.inverse[seen]
        highest, able = _highest(memory, seen, learner.optimism), 0
        for place in range(found):
            able += memory.values[seen, place] == highest and inverse[place] >= 0
        if able == 0:
            return _untried(inverse, found, memory.choices, words[1])
        nth = below(words[2], able)
        for place in range(found):
            if memory.values[seen, place] == highest and inverse[place] >= 0:
                if nth == 0:
                    break
                nth -= 1
        return inverse[place]

    def learn(learner, memory, seen, action, reward, following, ended):
        memory.age[0] += 1
        place = _place_of(memory, seen, following)
        if place < 0:
            return
        future = _ZERO
        if not ended:
            future = learner.gamma * _highest(memory, following, learner.optimism)
        value = memory.values[seen, place]
        memory.values[seen, place] = value + learner.alpha * (reward + future - value)
        for other in range(memory.found[seen]):
            if memory.inverse[seen, other] == action:
                memory.inverse[seen, other] = -1
        memory.inverse[seen, place] = action


@inlined_kernel
def _place_of(memory, seen, following):
    """Return the place of a symbol among the neighbours of another, made now if it is new; -1 where there is none."""
    found = memory.found[seen]
    for place in range(found):
        if memory.neighbours[seen, place] == following:
            return place
    if found == memory.neighbours.shape[1]:
        return -1
    memory.neighbours[seen, found] = following
    memory.found[seen] = found + 1
    return found


@inlined_kernel
def _highest(memory, seen, optimism):
    """Return the value of the best known move; `optimism` where none is known."""
    found = memory.found[seen]
    return highest_of(memory.values[seen, :found]) if found > 0 else optimism


@inlined_kernel
def _untried(inverse, found, choices, word):
    """Return an action drawn evenly from those not known to lead anywhere, or from all where every one is."""
    known = 0
    for place in range(found):
        known += inverse[place] >= 0
    if known == choices:
        return below(word, choices)
    nth = below(word, choices - known)
    for action in range(choices):
        free = True
        for place in range(found):
            free = free and inverse[place] != action
        if free:
            if nth == 0:
                break
            nth -= 1
    return action
