"""What is seen of a candidate without solving it: that nothing varies, nothing pays, or there is no way on or back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evoplastic.tasks.meta.check import resolved
from evoplastic.tasks.meta.program import ANYTHING, Program, Rule

CONSTANT = "nothing varies between instances"
STUCK = "the start cannot be left"
ENDLESS = "from some state no way leads back to the start"
UNREACHED = "some state is never reached"
UNPAID = "no reward can ever be earned"
INERT = "the action matters nowhere"


def flaw(program: Program) -> str:
    """Return the first flaw of a task without a grid, or ""."""
    if not _varies(program):
        return CONSTANT
    edges = _edges(program)
    if len(edges) > 1 and not np.delete(edges[0], 0).any():
        return STUCK
    reach = _closure(edges)
    if not reach[0].all():
        return UNREACHED
    if not reach[:, 0].all():
        return ENDLESS
    if not any(_can_pay(program, rule) for rule in program.rewards):
        return UNPAID
    return "" if _acts(program) else INERT


def _varies(program: Program) -> bool:
    """Return whether a variable stands in a rule, leads somewhere or is shown."""
    rules = (*program.rewards, *program.costs, *program.marks)
    return bool(
        (program.targets < 0).any()
        or (program.shown < -1).any()
        or any(reference < ANYTHING for rule in rules for reference in (rule.from_, rule.to, rule.action))
        or any(rule.chance.variable >= 0 for rule in program.rewards)
    )


def _edges(program: Program) -> NDArray[np.bool_]:
    """Return whether a state may lead to another, (S, S), in some instance by some action."""
    states = len(program.states)
    edges = np.zeros((states, states), np.bool_)
    possible = program.probabilities > 0
    for state in range(states):
        for target in set(program.targets[:, state][possible[:, state]].tolist()):
            edges[state, list(resolved(program, target))] = True
    return edges


def _closure(edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether some number of moves, or none, leads from a state to another."""
    reach = edges | np.eye(len(edges), dtype=np.bool_)
    for _ in range(len(edges).bit_length()):
        reach = reach @ reach
    return reach


def _can_pay(program: Program, rule: Rule) -> bool:
    if not rule.value or not rule.memories:
        return False
    chance, variable = rule.chance, rule.chance.variable
    levels = program.variables[variable].values if variable >= 0 else (0.0,)
    return any(chance.offset + chance.slope * level > 0.0 for level in levels or (0.5,))


def _acts(program: Program) -> bool:
    """Return whether some action leads elsewhere, pays or marks otherwise than another."""
    rows = (program.targets, program.probabilities)
    rules = (*program.rewards, *program.costs, *program.marks)
    return any((part != part[:, :, :1]).any() for part in rows) or any(rule.action != ANYTHING for rule in rules)
