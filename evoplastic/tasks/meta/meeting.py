"""Which rules may apply to one and the same decision, so that it matters which is listed last."""

from __future__ import annotations

import itertools

from evoplastic.tasks.meta.check import resolved
from evoplastic.tasks.meta.program import ANYTHING, Program, Rule


def rewards_meet(program: Program) -> bool:
    """Return whether two rewards of different places in the spec may apply to one decision of some instance."""
    pairs = itertools.combinations(program.rewards, 2)
    return any(one.place != other.place and _meet(program, one, other) for one, other in pairs)


def _meet(program: Program, one: Rule, other: Rule) -> bool:
    if not one.memories & other.memories or {one.moved, other.moved} == {0, 1}:
        return False
    pairs = ((one.from_, other.from_), (one.to, other.to), (one.action, other.action))
    return all(_may_equal(program, *pair) for pair in pairs)


def _may_equal(program: Program, one: int, other: int) -> bool:
    """Return whether two conditions on a state or action may hold together."""
    if ANYTHING in (one, other) or one == other:
        return True
    twins = [program.variables[-2 - reference].other for reference in (one, other) if reference < ANYTHING]
    if any(twin >= 0 and -2 - twin in (one, other) for twin in twins):
        return False
    return bool(set(resolved(program, one)) & set(resolved(program, other)))
