"""Several families in one run: every life is lived in one of them, drawn evenly, and all are measured on one scale.

    score = (metric - random policy) / (oracle - random policy)

Fitness stays what each family calls it, minus the loss and cost of its lives: only scores are on the common scale. A
family compiles its own kernel; the network, the rule and the number of trials of a task are common.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from evoplastic.errors import UserError
from evoplastic.tasks.boolean_settings import BooleanSettings
from evoplastic.tasks.contract import Scale
from evoplastic.tasks.family import Family
from evoplastic.tasks.meta.settings import MetaTaskSettings

_COMMON = ("trials", "tasks_per_life", "newborn_tasks")


class MixtureSettings(Family, frozen=True, kw_only=True, tag="mixture"):
    """Families side by side; their tasks need different names, their lives one shape."""

    families: tuple[BooleanSettings | MetaTaskSettings, ...]

    def resolve(self, scored: int) -> MixtureSettings:
        """Return the settings with every family resolved; UserError where families do not go together."""
        if not self.families:
            raise UserError("problem.task.families must hold at least one family")
        families: list[BooleanSettings | MetaTaskSettings] = []
        for number, family in enumerate(self.families):
            try:
                families.append(family.resolve(scored))
            except UserError as error:
                raise UserError(f"problem.task.families[{number}]: {error}") from None
        for key in _COMMON:
            said = [getattr(family, key) for family in families]
            if len(set(said)) > 1:
                raise UserError(f"problem.task.families must agree on {key}, got {said}")
        if any(family.scale.random_policy is None for family in families):
            raise UserError('problem.task.families are measured by random policy and oracle; set measure = "oracle"')
        names = [name for family in families for name in family.names]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"problem.task.families: two tasks are called {twice!r}; rename one")
        return msgspec.structs.replace(self, families=tuple(families))

    @property
    def trials(self) -> int:
        return int(self.families[0].trials)

    @property
    def tasks_per_life(self) -> int:
        return int(self.families[0].tasks_per_life)

    @property
    def newborn_tasks(self) -> bool:
        return bool(self.families[0].newborn_tasks)

    @property
    def life_trials(self) -> int:
        return self.trials * self.tasks_per_life

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for family in self.families for name in family.names)

    @property
    def withheld(self) -> tuple[str, ...]:
        return tuple(name for family in self.families for name in family.withheld)

    @property
    def validation(self) -> tuple[str, ...]:
        return tuple(name for family in self.families for name in family.validation)

    @property
    def references(self) -> Mapping[str, Mapping[str, float]]:
        known: dict[str, dict[str, float]] = {}
        for family in self.families:
            for label, scores in family.references.items():
                known.setdefault(label, {}).update(scores)
        return known

    @property
    def scale(self) -> Scale:
        return Scale("score", chance=0.0, random_policy=0.0, oracle=1.0)

    @property
    def kinds_told(self) -> str:
        return ", or ".join(dict.fromkeys(family.kinds_told for family in self.families))

    @property
    def signed(self) -> bool:
        return any(family.signed for family in self.families)

    @property
    def told(self) -> str:
        return ", or ".join(dict.fromkeys(family.told for family in self.families))

    def training(self) -> list[str]:
        """Return the tasks that evolution may meet, family by family."""
        return [name for family in self.families for name in family.training()]

    def eligible(self, generation: int) -> list[str]:
        """Return the tasks that `generation` draws from."""
        return [name for family in self.families for name in family.eligible(generation)]

    def pairs(self, names: Collection[str]) -> list[tuple[str, str]]:
        """Return each task of `names` with its negation where that is one of them too."""
        return [pair for family in self.families for pair in family.pairs([n for n in names if n in family.names])]

    def withholding(self) -> str:
        """Return what the withheld tasks are to evolution, family by family."""
        told = dict.fromkeys(family.withholding() for family in self.families if family.withheld)
        return ", ".join(told) or "nothing withheld"

    def folds(self) -> Mapping[str, tuple[str, ...]]:
        """Return no folds: a list of families cannot be set key by key."""
        return {}

    def together(self, names: Sequence[str], share: float) -> list[str]:
        mine = [[name for name in names if name in family.names] for family in self.families]
        mine = [family for family in mine if family]
        return mine[min(int(share * len(mine)), len(mine) - 1)]

    def beside(self, names: Sequence[str], tested: str) -> list[str]:
        return [name for name in names if name in self.family(tested).names]

    def sequence(self, drawn: Sequence[str]) -> list[str]:
        """Return the tasks of a life in which these were drawn."""
        return list(self.family(drawn[-1]).sequence(drawn))

    def measured(self, name: str, metric: Any) -> Any:
        """Return on the common scale what a family's metric says of task `name`."""
        scale = self.family(name).scale
        return (metric - scale.random_policy) / (scale.oracle - scale.random_policy)

    def family(self, name: str) -> Any:
        """Return the family of a task."""
        return next(family for family in self.families if name in family.names)

    def build(self, names: Sequence[str], places: dict[str, range], dt_ms: float) -> Any:
        """Return the packed task of a life, whose tasks are of one family."""
        return self.family(names[0]).build(names, places, dt_ms)
