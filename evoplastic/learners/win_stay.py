"""Win-stay, lose-shift: what was paid on a symbol is done there again, what was not is given up.

An action on a symbol has won if one of the `span` decisions from it on paid more than `threshold`. On that symbol it is
then repeated with chance `stay`; one that has not won makes room for another action, evenly, with chance `shift`.
Source: Robbins 1952, "Some aspects of the sequential design of experiments" (span 1, stay and shift 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.genome import Block, BlockSettings
from evoplastic.jit import pack
from evoplastic.learners.coefficients import blocks_of, coefficient, numbers_of
from evoplastic.random import below, unit
from evoplastic.tasks.meta.program import Program

_ONE = np.float32(1.0)


class WinStaySettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="win_stay"
):
    """The learner of a run file."""

    told: ClassVar[str] = "nothing else"

    threshold: BlockSettings = coefficient(0.0, -1.0, 1.0)  # a share of the largest payment or cost
    stay: BlockSettings = coefficient(0.95, 0.0, 1.0)
    shift: BlockSettings = coefficient(0.9, 0.0, 1.0)
    span: BlockSettings = coefficient(1.4, 0.5, 10.5)  # decisions, rounded

    def blocks(self) -> tuple[Block, ...]:
        """Return the genome's blocks, a number each."""
        return blocks_of({name: getattr(self, name) for name in ("threshold", "stay", "shift", "span")})

    def knows(self, program: Program, horizon: int, scored: int) -> None:
        """Return what the learner knows of a meta-task beforehand: nothing."""

    def build(self, values: Mapping[str, NDArray[np.float64]], known: Any) -> WinStay:
        """Return the packed learner with these coefficients."""
        numbers = numbers_of(values)
        return pack(WinStay(numbers["threshold"], numbers["stay"], numbers["shift"], round(numbers["span"])))


class Memory(NamedTuple):
    actions: NDArray  # (symbols,) int64: the last action, -1 for none
    taken: NDArray  # (symbols,) int64: the age at which it was taken
    won: NDArray  # (symbols,) int64: 1 if it has won
    age: NDArray  # (1,) int64, decisions
    choices: int  # actions


class WinStay(NamedTuple):
    threshold: float
    stay: float
    shift: float
    span: int  # decisions

    def newborn(learner, symbols, actions):
        none = np.full(symbols, -1, np.int64)
        return Memory(none, np.zeros(symbols, np.int64), np.zeros(symbols, np.int64), np.zeros(1, np.int64), actions)

    def choose(learner, memory, seen, words):
        actions, last = memory.choices, memory.actions[seen]
        if last < 0:
            return below(words[1], actions)
        kept = learner.stay if memory.won[seen] else _ONE - learner.shift
        if unit(words[0]) <= kept or actions == 1:
            return last
        return (last + 1 + below(words[1], actions - 1)) % actions

    def learn(learner, memory, seen, action, reward, following, ended):
        age = memory.age[0]
        memory.actions[seen], memory.taken[seen], memory.won[seen] = action, age, 0
        if reward > learner.threshold:
            for symbol in range(memory.actions.shape[0]):
                if memory.actions[symbol] >= 0 and age - memory.taken[symbol] < learner.span:
                    memory.won[symbol] = 1
        memory.age[0] += 1
