"""What may come of each action in each situation: next states, payments and marks, with their probabilities.

A *situation* is (instance i, joint value c of the changing variables, memory m, state s). There are N = I C M S of
them, numbered in that order, s fastest. Outcomes are as they are before variables change and trials restart; they lie
in one block of N columns, or two where events end trials, the second for ended ones; then come one column per (i, c, m)
for each set of places a reward relocates to.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, vstack

from evoplastic.tasks.meta.program import ANYTHING, Program, Rule
from evoplastic.tasks.meta.solvers.instances import chain_of, endings_by_reward, endings_matter

Array = NDArray[np.float64]


class Entries(NamedTuple):
    """Outcomes one by one, E of them."""

    payments: Array  # (L,): different amounts, ascending
    row: NDArray[np.int64]  # (E,): a N + n
    payment: NDArray[np.int64]  # (E,): which of the amounts is paid
    situation: NDArray[np.int64]  # (E,): where they lead
    ended: NDArray[np.bool_]  # (E,): whether a trial ends there
    weight: Array  # (E,): probability


class Outcomes:
    """Every instance, joint value, memory, state, action and successor at once: arrays broadcast over these axes."""

    def __init__(self, program: Program, held: Array):
        self.program, self.chain = program, chain_of(program)
        chain = self.chain
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
        weights, columns = self._destinations(self._consequential)
        kept = weights > 0.0
        moves = csr_array((weights[kept], (self._rows(kept), columns[kept])), shape=(self._situated, self._width))
        return moves, self._places()

    def entries(self) -> Entries:
        """Return all outcomes with what they pay, costs taken off, and relocations carried out."""
        values = np.array([rule.value for rule in self.program.rewards] + [0.0])
        weights, columns = self._destinations(self._consequential | (values != 0.0))
        spent = np.zeros(self.shape)
        for rule in self.program.costs:
            spent += rule.value * self._applies(rule)
        kept = weights > 0.0
        amounts = np.stack([-spent, values[self._deciding] - spent])[kept]
        payments, payment = np.unique(amounts.round(12) + 0.0, return_inverse=True)
        source, column, share = self._relocated(columns[kept])
        situations = math.prod(self.shape[:4])
        return Entries(
            payments,
            self._rows(kept)[source],
            payment[source],
            column % situations,
            column >= situations,
            weights[kept][source] * share,
        )

    def _relocated(self, column: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
        """Return the columns of the blocks that outcomes (E,) lead to: of which outcome, the column, which share."""
        if not self._sets:
            return np.arange(len(column)), column, np.ones(len(column))
        leads = csr_array(vstack([eye_array(self._columns), self._places()]))[column].tocoo()
        return leads.row, leads.col.astype(np.int64), leads.data

    def _destinations(self, splits: NDArray[np.bool_]) -> tuple[Array, NDArray[np.int64]]:
        """Return probability and column of every outcome unpaid and paid, (2, I, C, M, S, A, K) each.

        Rules (R + 1,) that do not split an outcome leave it unpaid for certain.
        """
        instances, joints, memories, _, _, _ = self.shape
        paid = self._per_outcome(np.where(splits[:, None, None], self._payments[..., 0], 0.0))
        after = np.arange(instances * joints).reshape(instances, joints, 1, 1, 1, 1) * memories + self._marked()
        taken = self._set_of[self._deciding]
        relocated = self._columns + taken * instances * joints * memories + after
        ends = endings_by_reward(self.program)
        unpaid_column = self._column(after, self.targets, paid=False)
        paid_column = np.where(taken >= 0, relocated, self._column(after, self.targets, paid=ends))
        return np.stack([self.chances * (1.0 - paid), self.chances * paid]), np.stack([unpaid_column, paid_column])

    def _rows(self, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the row, a N + n, of the outcomes that are kept."""
        row = np.arange(self._situated).reshape(self.shape[4], *self.shape[:4])
        return np.broadcast_to(np.moveaxis(row, 0, 4)[..., None], kept.shape)[kept]

    @functools.cached_property
    def _sets(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return the different sets of places that rewards relocate to, and what is left out of each."""
        return [said for said in dict.fromkeys((rule.places, rule.but) for rule in self.program.rewards) if said[0]]

    @functools.cached_property
    def _set_of(self) -> NDArray[np.int64]:
        """Return the number of each rule's set of places, (R + 1,), -1 for none."""
        each = [(rule.places, rule.but) for rule in self.program.rewards]
        return np.array([self._sets.index(said) if said[0] else -1 for said in each] + [-1])

    @property
    def _consequential(self) -> NDArray[np.bool_]:
        """Return for each rule whether its payment decides what happens next, (R + 1,)."""
        return (self._set_of >= 0) | endings_by_reward(self.program)

    @property
    def _situated(self) -> int:
        """A N."""
        return math.prod(self.shape[:5])

    @property
    def _columns(self) -> int:
        """The columns of the blocks."""
        return self.blocks * math.prod(self.shape[:4])

    @property
    def _width(self) -> int:
        """The columns of the blocks and of the sets of places."""
        return self._columns + len(self._sets) * math.prod(self.shape[:3])

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

    def _places(self) -> csr_array:
        """Return where each set of places, less those left out, leads from each (i, c, m), evenly."""
        shape = self.shape[:3]
        after = np.arange(math.prod(shape)).reshape(shape)
        if not self._sets:
            return csr_array((0, self._columns))
        entries = []
        for number, (places, but) in enumerate(self._sets):
            states = np.stack([np.broadcast_to(self._said(place)[..., 0, 0, 0], shape) for place in places])
            left = np.ones(states.shape, bool)
            for other in but:
                left &= states != self._said(other)[..., 0, 0, 0]
            rows = np.broadcast_to(number * after.size + after, states.shape)
            columns = self._column(after, states, paid=True)
            entries.append(((left / left.sum(axis=0))[left], rows[left], columns[left]))
        weights, rows, columns = (np.concatenate(parts) for parts in zip(*entries))
        return csr_array((weights, (rows, columns)), shape=(len(self._sets) * after.size, self._columns))
