"""A task while it is drawn: what has been decided so far, and how many instances may still be told apart."""

from __future__ import annotations

from dataclasses import dataclass, field

from evoplastic.tasks.meta.language import Change, Cost, Mark, Reward, Variable
from evoplastic.tasks.meta.sampling.dice import Dice
from evoplastic.tasks.meta.sampling.settings import ACTIONS, STATES, SampleSettings

_FORK = 0.7  # chance that two states are such that an action chooses between them
_CHANCES = (0.05, 0.1, 0.2)  # of a change


@dataclass
class Draft:
    """Parts of a spec under way; `varying` says in words what instances differ in."""

    dice: Dice
    settings: SampleSettings
    states: tuple[str, ...]
    uncertain: bool
    variables: dict[str, Variable] = field(default_factory=dict)
    instances: int = 1  # as a learner meets them, changing values included
    varying: list[str] = field(default_factory=list)
    forks: list[tuple[str, ...]] = field(default_factory=list)  # pairs of states between which an action chooses
    flags: tuple[str, ...] = ()
    rewards: list[Reward] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    @property
    def actions(self) -> tuple[str, ...]:
        return ACTIONS[: self.settings.actions]

    @property
    def places(self) -> tuple[str, ...]:
        """The states where something may pay: not the start, where there are enough others."""
        return self.states[1:] if len(self.states) > 2 else self.states

    def affords(self, values: int) -> bool:
        """Return whether one more variable of so many values leaves few enough instances."""
        return self.instances * values <= self.settings.instances

    def pair(self) -> tuple[str, ...]:
        """Return two states: mostly two that an action chooses between."""
        if self.forks and self.dice.chance(_FORK):
            return self.dice.one_of(self.forks)
        return self.dice.some_of(self.places, 2)

    def vary(self, name: str, variable: Variable, values: int, what: str) -> str:
        """Add a variable of so many values; `what` it is, in words. Return its name."""
        self.variables[name] = variable
        self.instances *= values
        self.varying.append(f"{what} at first" if variable.change else what)
        return name

    def change(self, levels: int = 2) -> Change | None:
        """Return how a variable of so many levels changes: mostly not; at most one does."""
        settings, dice = self.settings, self.dice
        if not dice.chance(settings.changing) or any(variable.change for variable in self.variables.values()):
            return None
        if levels == 2 and dice.chance(0.2):
            return Change(at=(max(1, settings.horizon // 2),))
        return Change(
            to="neighbour" if levels > 2 and dice.chance(0.7) else "other",
            every="trial" if dice.chance(0.5) else "decision",
            chance=dice.one_of(_CHANCES),
        )


def begun(dice: Dice, settings: SampleSettings) -> Draft:
    """Return a draft with states and nothing else; of two numbers of states drawn the larger is taken."""
    span = settings.most_states - settings.fewest_states + 1
    count = settings.fewest_states + max(dice.below(span), dice.below(span))
    return Draft(dice, settings, STATES[:count], dice.chance(settings.uncertain))
