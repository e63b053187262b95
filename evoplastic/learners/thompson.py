"""Posterior sampling: act for a while as if one instance were the true one, drawn by how likely it is by now.

    b'(n') is proportional to sum over situations n of b(n) P(n', told | n, a)

is the exact belief over situations: the instance, its changing variables, flags and counters, the state. When a trial
begins, after `every` decisions, or once the instance is refuted, an instance is drawn from the belief; the action is
the best one, for who knows that instance, in its likeliest situation. The learner knows the meta-task and the
probabilities by which instances are drawn; probabilities between bounds it takes for one of a few levels.
Source: Thompson 1933, "On the likelihood that one unknown probability exceeds another"; Strens 2000, "A Bayesian
framework for reinforcement learning".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evoplastic.errors import UserError
from evoplastic.genome import Block, BlockSettings
from evoplastic.jit import inlined_kernel, pack
from evoplastic.learners.choosing import highest_of
from evoplastic.learners.coefficients import blocks_of, coefficient, numbers_of
from evoplastic.learners.symbols import looks_of
from evoplastic.random import unit
from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.solvers.situations import Situations, discretised, situations_of
from evoplastic.tasks.meta.tables import reward_range

MOST_ACTIONS_KEPT = 2**22  # situations times decisions
_ZERO = np.float32(0.0)
_TIE = 1e-9  # actions this close are as good


class ThompsonSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="thompson"
):
    """The learner of a run file."""

    told: ClassVar[str] = "the meta-task, all its probabilities included, but not the instance"

    every: BlockSettings = coefficient(10.0, 0.5, 1000.5)  # decisions, rounded, after which it draws anew

    def blocks(self) -> tuple[Block, ...]:
        """Return the genome's blocks, a number each."""
        return blocks_of({"every": self.every})

    def knows(self, program: Program, horizon: int, scored: int) -> Known:
        """Return what the learner knows of a meta-task beforehand: all of it, and the best policy for each instance."""
        situations = situations_of(discretised(program), horizon)
        entries = len(situations.born) * horizon
        if entries > MOST_ACTIONS_KEPT:
            raise UserError(
                f"posterior sampling would keep {entries:.2g} actions for {len(situations.born)} situations over "
                f"{horizon} decisions, more than {MOST_ACTIONS_KEPT:.2g}; use a smaller task, a shorter horizon or "
                "another learner"
            )
        symbols = _symbols(program, situations)
        payment, told = np.divmod(situations.told, situations.symbols)
        lowest, highest = reward_range(program)
        return pack(
            Known(
                born=situations.born,
                seen=symbols[situations.seen],
                first=situations.first,
                leads=np.stack([situations.into, payment, symbols[told]], axis=1),
                chance=situations.chance,
                payments=situations.payments / max(-lowest, highest),
                kinds=situations.kinds,
                policy=_best_actions(situations, scored),
                instances=situations.shape[0],
            )
        )

    def build(self, values: Mapping[str, NDArray[np.float64]], known: Any) -> Thompson:
        """Return the packed learner with these coefficients."""
        return pack(Thompson(round(numbers_of(values)["every"]), known))


def _symbols(program: Program, situations: Situations) -> NDArray[np.int64]:
    """Return what a learner is shown for each symbol of the situations."""
    looks = looks_of(program)
    silent = np.flatnonzero((program.codes == -1).all(axis=1))
    stimuli = np.where(np.isin(looks[:, 1:], silent), -1, looks[:, 1:])  # as the situations have it
    number = dict(zip(map(tuple, stimuli.tolist()), looks[:, 0].tolist()))
    return np.array([number[tuple(look)] for look in situations.shows.tolist()], np.int64)


def _best_actions(situations: Situations, scored: int) -> NDArray[np.int64]:
    """Return the best action for who knows the situation, (H, N), by backward dynamic programming.

    v_H = 0,   v_t[n] = max over a of rewards[a, n], which counts in the last `scored` decisions, + sum of chance v_t+1
    """
    actions, size = situations.rewards.shape
    horizon = len(situations.kinds)
    # The branches of a kind lie between its first and its last place, so each kind is a matrix as it lies there.
    moves = [
        csr_array(
            (situations.chance[row[0] : row[-1]], situations.into[row[0] : row[-1]], row - row[0]),
            shape=(actions * size, size),
        )
        for row in situations.first
    ]
    best, later = np.empty((horizon, size), np.int64), np.zeros(size)
    for decision in range(horizon - 1, -1, -1):
        worth = (moves[situations.kinds[decision]] @ later).reshape(actions, size)
        if decision >= horizon - scored:
            worth = worth + situations.rewards
        later = worth.max(axis=0)
        best[decision] = (worth >= later - _TIE).argmax(axis=0)
    return best


class Known(NamedTuple):
    """The meta-task: N situations, I instances, A actions, H decisions of K kinds, B branches."""

    born: NDArray  # (N,) float32: probability to begin there
    seen: NDArray  # (N,) int64: symbol
    first: NDArray  # (K, A N + 1) int64: the branches of kind k, action a, situation n begin at first[k, a N + n]
    leads: NDArray  # (B, 3) int64: next situation, number of the payment, next symbol
    chance: NDArray  # (B,) float32
    payments: NDArray  # (L,) float32: shares of the largest
    kinds: NDArray  # (H,) int64
    policy: NDArray  # (H, N) int64: the best action for who knows the situation
    instances: int  # I


class Memory(NamedTuple):
    belief: NDArray  # (N,) float32
    scratch: NDArray  # (N,) float32
    age: NDArray  # (1,) int64, decisions
    drawn: NDArray  # (2,) int64: the instance acted for, -1 for none, and the decisions left for it


class Thompson(NamedTuple):
    every: int  # decisions
    known: Known

    def newborn(learner, symbols, actions):
        size = learner.known.born.shape[0]
        drawn = np.array([-1, 0])
        return Memory(learner.known.born.copy(), np.zeros(size, np.float32), np.zeros(1, np.int64), drawn)

    def choose(learner, memory, seen, words):
        known, belief, drawn = learner.known, memory.belief, memory.drawn
        if memory.age[0] == 0:
            for n in range(belief.shape[0]):
                if known.seen[n] != seen:
                    belief[n] = _ZERO
        each = belief.shape[0] // known.instances
        if drawn[0] < 0 or drawn[1] <= 0 or highest_of(belief[drawn[0] * each : (drawn[0] + 1) * each]) <= _ZERO:
            drawn[0], drawn[1] = _drawn_from(belief, words[0]) // each, learner.every
        drawn[1] -= 1
        likeliest = drawn[0] * each
        for n in range(likeliest, likeliest + each):
            if belief[n] > belief[likeliest]:
                likeliest = n
        return known.policy[min(memory.age[0], known.policy.shape[0] - 1), likeliest]

    def learn(learner, memory, seen, action, reward, following, ended):
        known, belief, later = learner.known, memory.belief, memory.scratch
        paid, size = _nearest(known.payments, reward), belief.shape[0]
        first = known.first[known.kinds[min(memory.age[0], known.kinds.shape[0] - 1)]]
        later[:] = _ZERO
        total = _ZERO
        for n in range(size):
            if belief[n] > _ZERO:
                for branch in range(first[action * size + n], first[action * size + n + 1]):
                    if known.leads[branch, 1] == paid and known.leads[branch, 2] == following:
                        share = belief[n] * known.chance[branch]
                        later[known.leads[branch, 0]] += share
                        total += share
        for n in range(size):
            belief[n] = later[n] / total if total > _ZERO else known.born[n]
        memory.age[0] += 1
        if ended:
            memory.drawn[0] = -1


@inlined_kernel
def _drawn_from(belief, word):
    """Return a situation drawn by the belief, which need not sum to 1."""
    total, last = np.float32(0.0), 0
    for share in belief:
        total += share
    left = total * unit(word)
    for n in range(belief.shape[0]):
        if belief[n] > np.float32(0.0):
            last = n
            left -= belief[n]
            if left <= np.float32(0.0):
                return n
    return last


@inlined_kernel
def _nearest(payments, reward):
    """Return the number of the payment that a reward is."""
    best = 0
    for number in range(1, payments.shape[0]):
        if abs(payments[number] - reward) < abs(payments[best] - reward):
            best = number
    return best
