"""What one decision of a meta-task does, in expectation, as sparse matrices over situations.

A *situation* is (instance i, joint value c of the changing variables, memory m, state s). There are N = I C M S of
them, numbered in that order, s fastest. With the value v (N,) of the situations after a decision t, the worth of each
action in each situation before it is

    q[a, n] = rewards[a, n] + (moves onward(v, t))[a, n]

where `onward` tells what it is worth to leave a decision at a situation: variables change, trials end. It has one block
of N columns, or two where events end trials, the second for ended ones; then one row per (i, c, m) for each set of
places a reward relocates to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, kron

from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.solvers.instances import Chain, Changing, endings_matter
from evoplastic.tasks.meta.solvers.outcomes import Outcomes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Model:
    """The decisions of I instances; D is 1 and one more for each probability left open."""

    shape: tuple[int, int, int, int]  # I, C, M, S
    rewards: Array  # (A, N, D): expected reward less costs; 1 and the open probabilities times these
    moves: csr_array  # (A N, columns)
    places: csr_array  # (columns behind the blocks, columns of the blocks): where relocations lead
    restarts: csr_array  # (N, N): what the end of a trial does to memory and state
    changes: tuple[tuple[Changing, csr_array], ...]
    start: tuple[int, ...]
    decisions: int  # of a trial; 0: not so ended
    blocks: int

    @property
    def situations(self) -> int:
        """N."""
        return int(self.restarts.shape[0])

    def onward(self, later: Array, decision: int) -> Array:
        """Return what each column of `moves` is worth, (columns, X), when situations are worth `later` (N, X) next."""
        parts = [self._followed(later, decision, ended) for ended in self._endings(decision)]
        after = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return np.concatenate([after, self.places @ after]) if self.places.shape[0] else after

    def back(self, flow: Array, decision: int) -> Array:
        """Return how much reaches each situation, (N,), when `flow` (columns,) leaves the decision: onward, turned."""
        split = self.places.shape[1]
        flow = flow[:split] + self.places.T @ flow[split:]
        parts = zip(np.split(flow, self.blocks), self._endings(decision))
        return np.sum([self._arrived(part, decision, ended) for part, ended in parts], axis=0)

    def begun(self, values: Array) -> Array:
        """Return the mean of `values` (N, ...) over the situations that each instance begins in, (I, ...)."""
        values = values.reshape(*self.shape, *values.shape[1:])
        return values[:, :, 0, list(self.start)].mean(axis=(1, 2))

    def _endings(self, decision: int) -> tuple[bool, ...]:
        """Return for each block whether a trial ends there."""
        if self.blocks == 2:
            return False, True
        return (self.decisions > 0 and decision % self.decisions == 0,)

    def _followed(self, later: Array, decision: int, ended: bool) -> Array:
        for changing, matrix in self.changes:
            if changing.due(decision, ended):
                later = matrix @ later
        return self.restarts @ later if ended else later

    def _arrived(self, flow: Array, decision: int, ended: bool) -> Array:
        flow = self.restarts.T @ flow if ended else flow
        for changing, matrix in self.changes:
            if changing.due(decision, ended):
                flow = matrix.T @ flow
        return flow


def model_of(program: Program, held: Array) -> Model:
    """Return the model of instances that hold `held` (I, V); a probability that is NaN stays open in all of them."""
    outcomes = Outcomes(program, held)
    moves, places = outcomes.moves()
    return Model(
        shape=outcomes.shape[:4],
        rewards=outcomes.rewards(),
        moves=moves,
        places=places,
        restarts=_restarts(program, outcomes.shape[0] * outcomes.shape[1]),
        changes=_changes(outcomes.chain, outcomes.shape),
        start=program.start,
        decisions=program.ending.decisions if endings_matter(program) else 0,
        blocks=outcomes.blocks,
    )


def _restarts(program: Program, instances: int) -> csr_array:
    """Return the (N, N) matrix of what the end of a trial does: a start, evenly, for the state and 0 for the memory."""
    memories, states = program.joint_memories, len(program.states)
    memory, state = eye_array(memories), eye_array(states)
    if program.ending.clear:
        memory = csr_array(np.eye(1, memories).repeat(memories, axis=0))
    if program.ending.restart:
        state = csr_array(
            np.bincount(program.start, minlength=states)[None].repeat(states, axis=0) / len(program.start)
        )
    return csr_array(kron(eye_array(instances), kron(memory, state)))


def _changes(chain: Chain, shape: tuple[int, ...]) -> tuple[tuple[Changing, csr_array], ...]:
    """Return for each variable that changes the (N, N) matrix of its change."""
    instances, joints, memories, states = shape[:4]
    before, changes = instances, []
    behind = joints * memories * states
    for changing in chain.changing:
        behind //= len(changing.kernel)
        matrix = kron(eye_array(before), kron(csr_array(changing.kernel), eye_array(behind)))
        changes.append((changing, csr_array(matrix)))
        before *= len(changing.kernel)
    return tuple(changes)
