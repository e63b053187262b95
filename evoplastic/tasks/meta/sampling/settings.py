"""What a sample of meta-tasks is drawn from, and what a task must keep to be in it."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec

from evoplastic.errors import UserError
from evoplastic.tasks.meta.program import MOST_ACTIONS, MOST_STATES
from evoplastic.tasks.meta.solvers.planning import MOST_MAPS

MOST_CANDIDATES = 2**31
PUBLISHED = ("kind", "repaired", "seed", "horizon", "most_draws")  # what may be said of published tasks
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
PerDecision = Annotated[float, msgspec.Meta(ge=0, le=10)]


class SampleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run file may say of a sample; equal settings sample equal tasks."""

    kind: Literal["certified", "published"] = "certified"
    repaired: bool = True  # published: without the bugs that the generator was released with
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    horizon: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 20  # decisions of an instance
    most_draws: Annotated[int, msgspec.Meta(ge=1, lt=MOST_CANDIDATES)] = 100_000  # candidates before giving up

    # What a certified task must keep, per decision; values of policies as in `solvers.certificate`.
    adapting: PerDecision = 0.05  # least bayes (low) - blind (high); nor is oracle - memoryless below it
    learnable: PerDecision = 0.05  # least bayes (low) - random; nor is oracle - random below it
    knowing: PerDecision | None = None  # least oracle - fixed; default: as adapting
    loosest: PerDecision = 0.02  # most that bounds may lie apart where a value is not exact
    identified: Share = 0.5  # share of the horizon in which a Bayesian has gained 90 % of what it ever gains
    per_bin: Annotated[int, msgspec.Meta(ge=1)] | None = None  # most tasks in each of the bins of `coverage`

    # What certified tasks are drawn from.
    fewest_states: Annotated[int, msgspec.Meta(ge=1, le=MOST_STATES)] = 2
    most_states: Annotated[int, msgspec.Meta(ge=1, le=MOST_STATES)] = 4
    actions: Annotated[int, msgspec.Meta(ge=2, le=MOST_ACTIONS)] = 2
    instances: Annotated[int, msgspec.Meta(ge=2, le=256)] = 16  # most, meanings of stimuli and changing values included
    uncertain: Share = 0.6  # of tasks that have chances where others are certain: payments, and as often transitions
    aliased: Share = 0.7  # of tasks that do not show every state by a stimulus of its own
    flagged: Share = 0.3  # of tasks with a flag that a place sets and the reward asks for
    routed: Share = 0.2  # of tasks where it varies which action leads where
    changing: Share = 0.15  # of tasks where what pays changes within an instance, by reversal or drift
    costly: Share = 0.15  # of tasks with a cost

    def check(self) -> None:
        """Raise UserError for settings that contradict each other, or tasks whose exact solution would not fit."""
        if self.kind == "published":
            self._check_published()
            return
        if not self.repaired:
            raise UserError(
                "repaired = false is said of the published generator; add kind = 'published', or leave it out"
            )
        if self.fewest_states > self.most_states:
            raise UserError(
                f"fewest_states must be at most most_states = {self.most_states}, got {self.fewest_states}; "
                "lower it or raise the other"
            )
        if self.most_states > len(STATES) or self.actions > len(ACTIONS) or self.maps > MOST_MAPS:
            raise UserError(
                f"exact values of up to {self.most_states} states and {self.actions} actions"
                f"{' with a flag' if self.flagged else ''} would compare {self.maps:.2g} fixed policies, more than "
                f"{MOST_MAPS:.2g}; use fewer states or actions{', or flagged = 0' if self.flagged else ''} (at most "
                f"{len(STATES)} states and {len(ACTIONS)} actions)"
            )

    def _check_published(self) -> None:
        """Raise UserError for what only certified tasks are asked for."""
        for field in msgspec.structs.fields(SampleSettings):
            if field.name not in PUBLISHED and getattr(self, field.name) != field.default:
                raise UserError(
                    f"{field.name} = {getattr(self, field.name)} says nothing of published tasks, which have no "
                    "certificates; leave it out, or choose kind = 'certified'"
                )

    @property
    def maps(self) -> float:
        """How many maps there are from (flag, state) to actions."""
        exponent = self.most_states * (2 if self.flagged else 1)
        return math.exp(min(exponent * math.log(self.actions), 700.0))

    @property
    def least_knowing(self) -> float:
        """What knowing the instance must be worth beyond the best fixed policy."""
        return self.adapting if self.knowing is None else self.knowing


STATES = ("start", "hall", "garden", "cellar", "attic", "tower")
ACTIONS = ("left", "right", "up", "down")
