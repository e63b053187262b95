"""The Boolean task family of a run file: which truth tables, which are withheld, the timeline of a trial."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Annotated, Literal

import msgspec
import numpy as np

from evoplastic.errors import UserError
from evoplastic.jit import pack
from evoplastic.tasks.boolean import BooleanTask, Periods
from evoplastic.tasks.contract import Scale, Units
from evoplastic.tasks.family import Family, LevelSettings
from evoplastic.tasks.truth_tables import (
    Battery,
    RandomPairs,
    Spec,
    Tables,
    complementary_pairs,
    negation,
    negation_of,
    novelty,
    stimuli_of,
)

Milliseconds = Annotated[float, msgspec.Meta(ge=0)]
MOST_STEPS = 100_000  # of a trial


class PeriodSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lengths in ms; stimulus and gap repeat for each stimulus, the last gap is replaced by the delay."""

    stimulus: Milliseconds = 160.0
    gap: Milliseconds = 40.0
    delay: Milliseconds = 140.0
    response: Milliseconds = 200.0
    pause: Milliseconds = 20.0
    feedback: Milliseconds = 200.0
    rest: Milliseconds = 80.0

    def steps(self, stimuli: int, dt_ms: float) -> Periods:
        """Return the timeline in steps of `dt_ms`; UserError if a length is no whole number of steps."""
        count = {}
        for name in self.__struct_fields__:
            length = getattr(self, name) / dt_ms
            if not length <= MOST_STEPS:
                raise UserError(
                    f"problem.task.periods.{name} must be at most {MOST_STEPS} steps of {dt_ms} ms, got {length:g}"
                )
            if abs(length - round(length)) > 1e-6:
                raise UserError(
                    f"problem.task.periods.{name} must be a multiple of {dt_ms} ms (problem.network.dt_ms), "
                    f"got {getattr(self, name)}"
                )
            count[name] = round(length)
        for name in ("stimulus", "response", "feedback"):
            if count[name] < 1:
                raise UserError(f"problem.task.periods.{name} must be at least one step of {dt_ms} ms, got 0")
        onset = count["stimulus"] + count["gap"]
        response = (stimuli - 1) * onset + count["stimulus"] + count["delay"]
        response_end = response + count["response"]
        feedback = response_end + count["pause"]
        feedback_end = feedback + count["feedback"]
        return Periods(
            stimuli,
            count["stimulus"],
            onset,
            response,
            response_end,
            feedback,
            feedback_end,
            feedback_end + count["rest"],
        )


class BooleanSettings(Family, frozen=True, kw_only=True, tag="boolean"):
    """Boolean functions of stimuli shown in turn; defaults are the published timeline."""

    battery: Spec | RandomPairs | Tables = Spec(name="boolean2")
    withheld: tuple[str, ...] = ()  # never met in evolution; their negations are withheld with them
    alternate_halves: bool = False  # pairs of generations meet the even, then the odd tasks of the battery
    trials: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 400  # per task
    tasks_per_life: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    newborn_tasks: bool = False  # each task of a life starts from newborn weights
    reversal: bool = False  # the tasks of a life are one task and its negation in turn
    feedback: Literal["graded", "binary"] = "graded"
    coding: Literal["opposite", "one_hot"] = "opposite"  # of a bit, by the first two stimulus units
    answer: Literal["pair", "single"] = "pair"  # of two response units, or by the sign of one
    stimulus_noise: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # deviation of what stimulus units show, per step
    reset_activity: bool = False  # activity goes to rest before each trial: an arm
    periods: PeriodSettings = PeriodSettings()
    levels: LevelSettings = LevelSettings()

    def resolve(self, scored: int = 1) -> BooleanSettings:
        """Return the settings with truth tables written out and withheld tasks completed by their negations."""
        battery = self.battery.resolve()
        named = [*self.withheld, *(negation_of(battery.tables, name) for name in self.withheld)]
        held = {battery.tables[name] for name in named}
        withheld = tuple(name for name, table in battery.tables.items() if table in held)
        resolved = msgspec.structs.replace(self, battery=battery, withheld=withheld)
        if self.reversal and (self.tasks_per_life < 2 or self.newborn_tasks):
            raise UserError("problem.task.reversal needs tasks_per_life of at least 2 and newborn_tasks = false")
        if self.reversal:
            for name in battery.tables:
                negation_of(battery.tables, name)
        for generation in (0, 2):
            if not resolved.eligible(generation):
                raise UserError("problem.task.withheld leaves no task to evolve on; withhold fewer tasks")
        return resolved

    @property
    def tables(self) -> Battery:
        """The battery's truth tables; the settings must be resolved."""
        assert isinstance(self.battery, Tables), "resolve() the settings first"
        return self.battery.tables

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.tables)

    @property
    def scale(self) -> Scale:
        """Chance is that of two responses, whatever the task: the targets of a task and its negation cancel."""
        return Scale("accuracy", chance=0.5, random_policy=0.5, oracle=1.0)

    @property
    def stimuli(self) -> int:
        return stimuli_of(next(iter(self.tables.values())))

    @property
    def life_trials(self) -> int:
        return self.trials * self.tasks_per_life

    def training(self) -> list[str]:
        """Return the tasks that evolution may meet, in battery order."""
        return [name for name in self.tables if name not in self.withheld]

    def eligible(self, generation: int) -> list[str]:
        """Return the tasks that `generation` draws from."""
        if not self.alternate_halves:
            return self.training()
        half = (generation // 2) % 2
        return [name for number, name in enumerate(self.tables) if number % 2 == half and name not in self.withheld]

    def pairs(self, names: Collection[str]) -> list[tuple[str, str]]:
        """Return each task of `names` with its negation where that is one of them too, in battery order."""
        among = {name: table for name, table in self.tables.items() if name in names}
        return complementary_pairs(among, [name for name in among if negation(among[name]) in among.values()])

    def withholding(self) -> str:
        """Return whether the withheld tasks are new to evolution: 'novel class', 'relabelled' or 'nothing withheld'."""
        return novelty(self.tables, self.withheld) if self.withheld else "nothing withheld"

    def sequence(self, drawn: Sequence[str]) -> list[str]:
        """Return the drawn tasks, or with `reversal` the last one after its negation, after itself, and so on."""
        if not self.reversal:
            return list(drawn)
        last = drawn[-1]
        turned = negation_of(self.tables, last)
        return [last if (len(drawn) - 1 - block) % 2 == 0 else turned for block in range(len(drawn))]

    def folds(self) -> dict[str, tuple[str, ...]]:
        """Return a fold for each pair of a task and its negation, named after the first, with what withholds them."""
        names = (first for first, _ in self.pairs(self.tables))
        return {name: (f"problem.task.withheld={json.dumps([name], ensure_ascii=False)}",) for name in names}

    @property
    def told(self) -> str:
        """What feedback tells of a trial, in words."""
        graded = self.feedback == "graded"
        return "the graded error against the hidden target" if graded else "only whether each response was right"

    @property
    def signed(self) -> bool:
        return self.answer == "single"

    def build(self, names: Sequence[str], places: dict[str, range], dt_ms: float) -> BooleanTask:
        """Return the packed task of a life: one block of trials for each of `names`."""
        for role, least in (("stimulus", 2), ("response", 1 if self.signed else 2), ("echo", 2)):
            if len(places[role]) < least and (role != "echo" or places[role]):
                raise UserError(f"the boolean task needs at least {least} {role} units, got {len(places[role])}")
        rows = np.array([[int(digit) for digit in self.tables[name]] for name in names])
        return pack(
            BooleanTask(
                tables=rows,
                units=Units.of(places),
                periods=self.periods.steps(self.stimuli, dt_ms),
                levels=self.levels.build(),
                noise=self.stimulus_noise,
                block_trials=self.trials,
                newborn_blocks=int(self.newborn_tasks),
                one_hot=int(self.coding == "one_hot"),
                single=int(self.signed),
                binary=int(self.feedback == "binary"),
                shuffled=0,
                reset_activity=int(self.reset_activity),
            )
        )
