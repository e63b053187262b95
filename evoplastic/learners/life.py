"""The hot kernel of learners without a network: one newborn on one instance of a meta-task, decision by decision.

A life has the instance, the draws, the scores and the losses of a network's on the same key, see `tasks.meta.blocks`.
"""

from __future__ import annotations

import numpy as np

from evoplastic.jit import making_kernel
from evoplastic.learners.contract import choose, learn, newborn
from evoplastic.learners.symbols import symbol_now
from evoplastic.random import CHOICES, philox
from evoplastic.tasks.contract import CORRECT, COST, LOSS
from evoplastic.tasks.meta.drawing import begin_instance
from evoplastic.tasks.meta.engine import arrive, decide, draw_chances
from evoplastic.tasks.meta.tables import ACTIONS, HIGHEST, LOWEST, ONE, ORACLE, RANDOM, STATES, VARIABLES, ZERO
from evoplastic.tasks.meta.world import BEGINS, HEAD, NUMBERS_AT, REWARD, unborn

_NO_UNITS = np.int64(0)
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


@making_kernel
def live_tabular(learner, tables, block, looks, key, learning, scores):
    """Live block `block` of a life as a newborn, and fill `scores` (decisions, 3) float32 with loss, score and cost 0.

    `looks` (looks, 1 + slots) int64 are those of the block's program; `learning` 0 keeps from the learner what came of
    its actions.
    """
    world = unborn(tables, _NO_UNITS)
    begin_instance(tables, world, block, key)
    ints, reals = world.ints, world.reals
    labels = np.full(ints[HEAD + VARIABLES] + 1, -1, np.int64)
    labels[-1] = 0
    met = np.full(ints[HEAD + STATES], -1, np.int64)
    numbers = ints[NUMBERS_AT]
    zero, one = reals[numbers + ZERO], reals[numbers + ONE]
    random, oracle = reals[numbers + RANDOM], reals[numbers + ORACLE]
    largest = max(-reals[numbers + LOWEST], reals[numbers + HIGHEST])
    memory = newborn(learner, looks[:, 0].max() + 1, ints[HEAD + ACTIONS])
    seen = symbol_now(world, looks, labels, met)
    for decision in range(scores.shape[0]):
        address = block * scores.shape[0] + decision
        draw_chances(world, key, address)
        action = choose(learner, memory, seen, philox(key, CHOICES, np.uint64(address)))
        decide(tables, world, action)
        arrive(world)
        following = symbol_now(world, looks, labels, met)
        if learning:
            learn(learner, memory, seen, action, reals[REWARD] / largest, following, ints[BEGINS])
        seen = following
        scores[decision, CORRECT] = (reals[REWARD] - zero) / (one - zero)
        scores[decision, LOSS] = _ONE - (reals[REWARD] - random) / (oracle - random)
        scores[decision, COST] = _ZERO
