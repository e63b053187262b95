"""Q-learning: a value for every action on what is seen, learned from the best value of what comes next.

    Q(o, a) <- Q(o, a) + alpha [r + gamma max_a' Q(o', a') - Q(o, a)]          no future after the end of a trial

The best action is taken but for a share epsilon, which is drawn evenly and changes evenly over the first decisions; or
actions are drawn with probability exp(beta Q) / sum exp(beta Q). Source: Watkins 1989, "Learning from delayed rewards".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.genome import Block, BlockSettings
from evoplastic.jit import pack
from evoplastic.learners.choosing import best_of, faded, highest_of, softmax_of
from evoplastic.learners.coefficients import blocks_of, coefficient, numbers_of
from evoplastic.random import below, unit
from evoplastic.tasks.meta.program import Program

_ZERO = np.float32(0.0)


class QLearningSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="q_learning"
):
    """The learner of a run file; the coefficients of the exploration that is not chosen are no genes."""

    told: ClassVar[str] = "when a trial ends"

    exploration: Literal["epsilon", "softmax"] = "epsilon"
    alpha: BlockSettings = coefficient(0.3, 0.0, 1.0)
    gamma: BlockSettings = coefficient(0.8, 0.0, 1.0)
    optimism: BlockSettings = coefficient(0.5, -2.0, 4.0)  # the value of what was never tried
    epsilon: BlockSettings = coefficient(0.2, 0.0, 1.0)  # at birth
    last_epsilon: BlockSettings = coefficient(0.05, 0.0, 1.0)
    exploring: BlockSettings = coefficient(20.0, 1.0, 200.0)  # decisions until epsilon is the last one
    inverse_temperature: BlockSettings = coefficient(5.0, 0.0, 50.0)

    def blocks(self) -> tuple[Block, ...]:
        """Return the genome's blocks, a number each."""
        names = ["alpha", "gamma", "optimism"]
        names += ["inverse_temperature"] if self.exploration == "softmax" else ["epsilon", "last_epsilon", "exploring"]
        return blocks_of({name: getattr(self, name) for name in names})

    def knows(self, program: Program, horizon: int, scored: int) -> None:
        """Return what the learner knows of a meta-task beforehand: nothing."""

    def build(self, values: Mapping[str, NDArray[np.float64]], known: Any) -> QLearning:
        """Return the packed learner with these coefficients."""
        epsilons = {"epsilon": 0.0, "last_epsilon": 0.0, "exploring": 1.0, "inverse_temperature": 0.0}
        soft = int(self.exploration == "softmax")
        return pack(QLearning(**(epsilons | numbers_of(values)), soft=soft))


class Memory(NamedTuple):
    values: NDArray  # (symbols, actions) float32: Q
    age: NDArray  # (1,) int64, decisions


class QLearning(NamedTuple):
    alpha: float
    gamma: float
    optimism: float
    epsilon: float
    last_epsilon: float
    exploring: float  # decisions
    inverse_temperature: float  # beta
    soft: int  # 1: softmax

    def newborn(learner, symbols, actions):
        return Memory(np.full((symbols, actions), learner.optimism, np.float32), np.zeros(1, np.int64))

    def choose(learner, memory, seen, words):
        values = memory.values[seen]
        if learner.soft:
            return softmax_of(values, learner.inverse_temperature, words[0])
        epsilon = faded(learner.epsilon, learner.last_epsilon, learner.exploring, memory.age[0])
        if unit(words[0]) <= epsilon:
            return below(words[1], values.shape[0])
        return best_of(values, values.shape[0], words[2])

    def learn(learner, memory, seen, action, reward, following, ended):
        future = _ZERO if ended else learner.gamma * highest_of(memory.values[following])
        value = memory.values[seen, action]
        memory.values[seen, action] = value + learner.alpha * (reward + future - value)
        memory.age[0] += 1
