"""What a meta-task's scores are measured by: what those earn who know nothing, everything, or all that can be learned.

    measure      0 is                                    1 is
    oracle       actions drawn evenly at random          who knows the instance
    adaptivity   the best that is never told a reward    the best learner there can be (Bayes-adaptive)

Where the certificate holds bounds, adaptivity takes the upper one of the first and the lower one of the second: what is
above 0 has been learned from reward. Losses, which evolution goes by, are from random play to oracle in both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from evoplastic.errors import UserError
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import MetaTask, to_json
from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.solvers.certificate import Certificate
from evoplastic.tasks.meta.solvers.certify import certify
from evoplastic.tasks.meta.solvers.fixed_policies import best_fixed
from evoplastic.tasks.meta.solvers.values import values
from evoplastic.tasks.meta.tables import Bounds

ADAPTIVITY = "adaptivity"
LEAST_GAIN = 1e-3  # reward per decision between 0 and 1 of a measure, or a score would divide by nothing
MOST_PLACES = 12  # states times memories up to which the best fixed policy is found in no time

Measure = Literal["oracle", "adaptivity"]


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task's exact mean reward per scored decision, of random play and of who knows the instance, and what else."""

    random: float
    oracle: float
    of: str  # digest of the spec, its horizon, the scored decisions and the numbers
    fixed: float | None = None  # of the best fixed policy, where it is known
    blind: float | None = None  # of the best that is never told a reward, an upper bound
    bayes: float | None = None  # of the best learner, a lower bound

    def bounds(self, measure: Measure) -> Bounds:
        """Return what counts as 0 and as 1."""
        if measure == ADAPTIVITY:
            assert self.blind is not None and self.bayes is not None, "resolve() the settings first"
            return Bounds(self.blind, self.bayes, self.random, self.oracle)
        return Bounds(self.random, self.oracle)

    def references(self, measure: Measure) -> dict[str, float]:
        """Return the known scores of others by their labels, but for the two that 0 and 1 are."""
        zero, one, *_ = self.bounds(measure)
        known = {
            "random policy": self.random,
            "best fixed policy": self.fixed,
            "best non-adapting": self.blind,
            "Bayes": self.bayes,
            "oracle": self.oracle,
        }
        apart = ("best non-adapting", "Bayes") if measure == ADAPTIVITY else ("random policy", "oracle")
        return {
            label: (worth - zero) / (one - zero)
            for label, worth in known.items()
            if worth is not None and label not in apart
        }


class Asked(NamedTuple):
    """What values are asked of."""

    horizon: int
    scored: int  # decisions at the end
    measure: Measure


def value_of(spec: MetaTask, asked: Asked, known: Value | None, certificate: Certificate | None) -> Value:
    """Return the value of a task, the known one where it still is one; UserError where a score would mean nothing."""
    if known and known.of == _digest(spec, asked, known) and (asked.measure != ADAPTIVITY or known.bayes is not None):
        return known
    program = decode(msgspec.structs.replace(spec, horizon=asked.horizon))
    found = _certified(program, asked, certificate) if asked.measure == ADAPTIVITY else _solved(program, asked)
    found = msgspec.structs.replace(found, of=_digest(spec, asked, found))
    zero, one, *_ = found.bounds(asked.measure)
    if not one - zero >= LEAST_GAIN:
        who, nobody = ("the best learner earns", "who is never told a reward")
        if asked.measure != ADAPTIVITY:
            who, nobody = ("knowing the instance pays", "random play")
        raise UserError(
            f"{who} {one:.4g} per decision and {nobody} {zero:.4g}, so there is nothing to learn; use another task or "
            "a longer horizon"
        )
    return found


def references_of(known: Mapping[str, Value], measure: Measure) -> dict[str, dict[str, float]]:
    """Return label -> task -> score, for the tasks of which it is known."""
    told: dict[str, dict[str, float]] = {}
    for name, value in known.items():
        for label, score in value.references(measure).items():
            told.setdefault(label, {})[name] = score
    return told


def _solved(program: Program, asked: Asked) -> Value:
    exact = values(program, asked.horizon, asked.scored)
    fixed = None
    if len(program.states) * program.joint_memories <= MOST_PLACES:
        found = best_fixed(program, asked.horizon, asked.scored)
        fixed = found.value if found.exact else None
    return Value(exact.random, exact.oracle, "", fixed)


def _certified(program: Program, asked: Asked, certificate: Certificate | None) -> Value:
    if asked.scored != asked.horizon:
        raise UserError(
            f"adaptivity is over all decisions, got problem.scored_trials = {asked.scored} of {asked.horizon}; score "
            'them all, or set problem.task.measure = "oracle"'
        )
    certificate = certificate or certify(program)
    if certificate.discretised:
        raise UserError(
            "adaptivity is not known where a probability lies anywhere between bounds; list its values, or set "
            'problem.task.measure = "oracle"'
        )
    low, high = certificate.bayes.low, certificate.blind.high
    fixed = certificate.fixed if certificate.all_maps else None
    return Value(certificate.random, certificate.oracle, "", fixed, high, low)


def _digest(spec: MetaTask, asked: Asked, value: Value) -> str:
    more = [number for number in (value.fixed, value.blind, value.bayes) if number is not None]
    numbers = [asked.horizon, asked.scored, value.random, value.oracle, *more]
    content = json.dumps([to_json(spec), *numbers], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
