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

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, kron

from evoplastic.tasks.meta.program import ANYTHING, Program, Rule
from evoplastic.tasks.meta.solvers.instances import Chain, Changing, chain_of, endings_by_reward, endings_matter

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
    chain = chain_of(program)
    decision = _Decision(program, held, chain)
    moves, places = decision.moves()
    return Model(
        shape=decision.shape[:4],
        rewards=decision.rewards(),
        moves=moves,
        places=places,
        restarts=_restarts(program, decision.shape[0] * decision.shape[1]),
        changes=_changes(chain, decision.shape),
        start=program.start,
        decisions=program.ending.decisions if endings_matter(program) else 0,
        blocks=decision.blocks,
    )


class _Decision:
    """Every instance, joint value, memory, state, action and successor at once: arrays broadcast over these axes."""

    def __init__(self, program: Program, held: Array, chain: Chain):
        self.program = program
        self.held = np.where(np.isnan(chain.held), held[:, None], chain.held)  # (I, C, V)
        self.open = [
            number
            for number, variable in enumerate(program.variables)
            if variable.continuous and np.isnan(held[:, number]).any()
        ]
        layout = held[:, program.layout_variable].astype(int) if program.layout_variable >= 0 else [0] * len(held)
        targets = program.targets[layout][:, None, None]
        self.shape = (*self.held.shape[:2], program.joint_memories, *targets.shape[3:])
        self.chances = np.broadcast_to(program.probabilities[layout][:, None, None], self.shape)
        self.targets = np.broadcast_to(self._resolved(targets), self.shape)
        self.blocks = 1 if program.ending.decisions or not self._events() else 2

    def _events(self) -> bool:
        return endings_matter(self.program) and bool(self.program.ending.until or self.program.ending.rewarded)

    def _resolved(self, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return states in the place of references."""
        resolved = targets
        for reference in np.unique(targets[targets < 0]):
            resolved = np.where(targets == reference, self._said(int(reference)), resolved)
        return resolved

    def _said(self, reference: int) -> NDArray[np.int64]:
        """Return the state or action that a reference stands for, (I or 1, C or 1, 1, 1, 1, 1)."""
        if reference >= 0:
            return np.full((1,) * 6, reference)
        return self.held[:, :, -2 - reference, None, None, None, None].astype(np.int64)

    def _applies(self, rule: Rule) -> NDArray[np.bool_]:
        _, _, memories, states, actions, _ = self.shape
        state, action = np.arange(states)[:, None, None], np.arange(actions)[:, None]
        holds = ((rule.memories >> np.arange(memories)) & 1 == 1)[:, None, None, None]
        if rule.from_ != ANYTHING:
            holds = holds & (self._said(rule.from_) == state)
        if rule.action != ANYTHING:
            holds = holds & (self._said(rule.action) == action)
        if rule.to != ANYTHING:
            holds = holds & (self._said(rule.to) == self.targets)
        if rule.moved != ANYTHING:
            holds = holds & ((self.targets != state) == bool(rule.moved))
        return np.broadcast_to(holds, self.shape)

    @functools.cached_property
    def _deciding(self) -> NDArray[np.int64]:
        """Return the number of the reward rule that decides, -1 for none."""
        deciding = np.full(self.shape, -1, np.int64)
        for number, rule in enumerate(self.program.rewards):
            deciding[self._applies(rule)] = number
        return deciding

    @functools.cached_property
    def _payments(self) -> Array:
        """Return the probability that each rule pays, as 1 and the open probabilities times (R + 1, I, C, D)."""
        payments = np.zeros((len(self.program.rewards) + 1, *self.shape[:2], 1 + len(self.open)))
        for number, rule in enumerate(self.program.rewards):
            payments[number, ..., 0] = rule.chance.offset
            if rule.chance.variable in self.open:
                payments[number, ..., 1 + self.open.index(rule.chance.variable)] = rule.chance.slope
            elif rule.chance.variable >= 0:
                payments[number, ..., 0] += rule.chance.slope * self.held[:, :, rule.chance.variable]
        return payments

    def rewards(self) -> Array:
        """Return the expected reward less costs of each action, (A, N, D)."""
        values = np.array([rule.value for rule in self.program.rewards] + [0.0])
        expected = np.empty((*self.shape[:5], 1 + len(self.open)))
        for term in range(expected.shape[-1]):
            paid = values[:, None, None] * self._payments[..., term]
            expected[..., term] = (self.chances * self._per_outcome(paid)).sum(axis=-1)
        for rule in self.program.costs:
            expected[..., 0] -= rule.value * (self.chances * self._applies(rule)).sum(axis=-1)
        return np.moveaxis(expected, 4, 0).reshape(self.shape[4], -1, expected.shape[-1])

    def _per_outcome(self, of_rules: Array) -> Array:
        """Return for every outcome what `of_rules` (R + 1, I, C) has for the rule that decides."""
        instance, joint = np.ogrid[: self.shape[0], : self.shape[1]]
        return of_rules[self._deciding, instance[..., None, None, None, None], joint[..., None, None, None, None]]

    def moves(self) -> tuple[csr_array, csr_array]:
        """Return the matrices `moves` and `places` of a Model.

        A payment splits an outcome in two only where it decides what happens next.
        """
        instances, joints, memories, states, actions, _ = self.shape
        ends = endings_by_reward(self.program)
        each = [(rule.places, rule.but) for rule in self.program.rewards]
        sets = [said for said in dict.fromkeys(each) if said[0]]
        set_of = np.array([sets.index(said) if said[0] else -1 for said in each] + [-1])
        splits = (set_of >= 0) | ends
        paid = self._per_outcome(np.where(splits[:, None, None], self._payments[..., 0], 0.0))
        after = np.arange(instances * joints).reshape(instances, joints, 1, 1, 1, 1) * memories + self._marked()
        rows = instances * joints * memories  # of one set of places
        width = self.blocks * rows * states
        taken = set_of[self._deciding]
        columns = np.stack(
            [
                self._column(after, self.targets, paid=False),
                np.where(taken >= 0, width + taken * rows + after, self._column(after, self.targets, paid=ends)),
            ]
        )
        weights = np.stack([self.chances * (1.0 - paid), self.chances * paid])
        row = np.arange(actions * rows * states).reshape(actions, *self.shape[:4])
        row = np.broadcast_to(np.moveaxis(row, 0, 4)[..., None], weights.shape)
        kept = weights > 0.0
        shape = (actions * rows * states, width + len(sets) * rows)
        moves = csr_array((weights[kept], (row[kept], columns[kept])), shape=shape)
        return moves, self._places(sets, width)

    def _marked(self) -> NDArray[np.int64]:
        """Return the memory after all marks."""
        memory = np.broadcast_to(np.arange(self.shape[2])[:, None, None, None], self.shape)
        for rule in self.program.marks:
            memory = np.where(self._applies(rule), np.array(rule.marked)[memory], memory)
        return memory

    def _column(self, after: NDArray[np.int64], states: NDArray[np.int64], paid: bool) -> NDArray[np.int64]:
        """Return the column of being in these states, `after` being the number of (i, c, m)."""
        column = after * self.shape[3] + states
        if self.blocks == 1:
            return column
        ended = np.isin(states, self.program.ending.until) | (paid and self.program.ending.rewarded)
        return column + ended * math.prod(self.shape[:4])

    def _places(self, sets: list[tuple[tuple[int, ...], tuple[int, ...]]], width: int) -> csr_array:
        """Return where each set of places, less those left out, leads from each (i, c, m), evenly."""
        shape = self.shape[:3]
        after = np.arange(math.prod(shape)).reshape(shape)
        if not sets:
            return csr_array((0, width))
        entries = []
        for number, (places, but) in enumerate(sets):
            states = np.stack([np.broadcast_to(self._said(place)[..., 0, 0, 0], shape) for place in places])
            left = np.ones(states.shape, bool)
            for other in but:
                left &= states != self._said(other)[..., 0, 0, 0]
            rows = np.broadcast_to(number * after.size + after, states.shape)
            columns = self._column(after, states, paid=True)
            entries.append(((left / left.sum(axis=0))[left], rows[left], columns[left]))
        weights, rows, columns = (np.concatenate(parts) for parts in zip(*entries))
        return csr_array((weights, (rows, columns)), shape=(len(sets) * after.size, width))


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
