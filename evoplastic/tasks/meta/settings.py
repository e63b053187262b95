"""The meta-tasks of a run file: which specs, which are withheld, and how a network takes part in a decision."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from evoplastic.errors import UserError, nearest
from evoplastic.jit import pack
from evoplastic.tasks.contract import Scale, Units
from evoplastic.tasks.family import Family, LevelSettings
from evoplastic.tasks.meta.blocks import Blocks
from evoplastic.tasks.meta.check import check_program
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import ANY, MetaTask
from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.reading import read_meta_task
from evoplastic.tasks.meta.sampled import SampledTasks, digest, drawn, parts_of
from evoplastic.tasks.meta.solvers.certificate import Certificate
from evoplastic.tasks.meta.tables import Tables, tables_of
from evoplastic.tasks.meta.value import ADAPTIVITY, Asked, Measure, Value, references_of, value_of

Steps = Annotated[int, msgspec.Meta(ge=1, le=1_000)]


class MetaTaskSettings(Family, frozen=True, kw_only=True, tag="meta_tasks", dict=True):
    """Instances of meta-tasks; a trial of the run file is one decision, and a task's trials are its horizon."""

    specs: tuple[str, ...] | dict[str, MetaTask] = ()  # names of specs or paths; in a run folder their content
    sampled: SampledTasks | None = None  # draws specs, validation and withheld instead
    validation: tuple[str, ...] = ()  # never met in evolution; settings may be chosen by them
    withheld: tuple[str, ...] = ()  # never met in evolution, nor, where there are validation tasks, before its end
    measure: Measure = "oracle"  # what 0 and 1 are: random play and the oracle, or no adapting and Bayes
    horizon: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None  # decisions; default: what the specs say
    tasks_per_life: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    newborn_tasks: bool = False  # each task of a life starts from newborn weights
    decide_steps: Steps = 3  # steps of the network from an observation to the action
    feedback_steps: Steps = 1
    action: Literal["softmax", "greedy"] = "softmax"
    inverse_temperature: Annotated[float, msgspec.Meta(gt=0, le=1e3)] = 10.0
    clock: bool = False  # one more stimulus unit tells the share of the horizon that is over
    reset_activity: bool = False  # activity goes to rest before each trial: an arm
    levels: LevelSettings = LevelSettings(stimulus=1.0, feedback=1.0, echo=1.0, bias=1.0)
    values: dict[str, Value] = {}  # filled in when a run file is read

    def resolve(self, scored: int) -> MetaTaskSettings:
        """Return the settings with specs read in, or drawn, and their exact values."""
        resolved, certificates = self._with_specs()
        specs = resolved.content
        for name, spec in specs.items():
            self._check(name, spec)
        resolved._check_parts()
        horizon = resolved.trials
        asked = Asked(horizon, min(scored, horizon), self.measure)
        known: dict[str, Value] = {}
        for name, spec in specs.items():
            try:
                known[name] = value_of(spec, asked, self.values.get(name), certificates.get(name))
            except UserError as error:
                raise UserError(f"problem.task.specs: {name}: {error}") from None
        return msgspec.structs.replace(resolved, values=known)

    def _with_specs(self) -> tuple[MetaTaskSettings, Mapping[str, Certificate]]:
        """Return the settings with the content of their specs, and the certificates of those that are drawn now."""
        if self.sampled:
            return self._with_sample(self.sampled)
        specs = self.specs if isinstance(self.specs, dict) else _read(self.specs)
        if not specs:
            raise UserError("problem.task.specs must name at least one meta-task, or problem.task.sampled draw some")
        return msgspec.structs.replace(self, specs={name: _in_order(spec) for name, spec in specs.items()}), {}

    def _with_sample(self, asked: SampledTasks) -> tuple[MetaTaskSettings, Mapping[str, Certificate]]:
        if self.horizon is not None:
            raise UserError("problem.task.horizon is that of sampled tasks; set problem.task.sampled.horizon instead")
        if asked.of and isinstance(self.specs, dict):  # a run folder's: nothing is drawn again
            specs = {name: _in_order(spec) for name, spec in self.specs.items()}
            parts = parts_of(asked, list(specs))
            if digest(asked, specs) != asked.of or (self.validation, self.withheld) != parts:
                raise UserError(
                    "problem.task.sampled or the tasks drawn by it were edited; put that back, or remove "
                    "problem.task.specs, validation, withheld and sampled.of to draw anew"
                )
            return msgspec.structs.replace(self, specs=specs), {}
        if self.specs or self.validation or self.withheld:
            raise UserError(
                "problem.task.sampled draws the tasks and parts them, so specs, validation and withheld must not be "
                "given beside it"
            )
        found = drawn(asked)
        specs = {name: _in_order(spec) for name, spec in found.specs.items()}
        settings = msgspec.structs.replace(
            self,
            specs=specs,
            validation=found.validation,
            withheld=found.withheld,
            sampled=msgspec.structs.replace(asked, of=digest(asked, specs)),
        )
        return settings, found.certificates

    def _check_parts(self) -> None:
        """Raise UserError for tasks kept from evolution that there are not, are kept twice, or leave none."""
        specs = self.content
        for part in ("validation", "withheld"):
            for name in getattr(self, part):
                if name not in specs:
                    raise UserError(f"problem.task.{part}: {name!r} is none of {list(specs)}{nearest(name, specs)}")
        if both := set(self.validation) & set(self.withheld):
            raise UserError(f"problem.task.validation and withheld both hold {min(both)!r}; keep it for one of them")
        if not self.training():
            raise UserError("problem.task.withheld leaves no task to evolve on; withhold fewer tasks")

    def _check(self, name: str, spec: MetaTask) -> None:
        """Raise UserError for a spec that is none, or not with the horizon and the arm of these settings."""
        try:
            program = decode(msgspec.structs.replace(spec, horizon=self.horizon or spec.horizon))
            check_program(program)
        except UserError as error:
            raise UserError(f"problem.task.specs.{name}: {error}") from None
        ending = program.ending
        if self.reset_activity and not (ending.decisions or ending.until or ending.rewarded):
            raise UserError(
                f"problem.task.reset_activity: meta-task {name!r} has no trials between which activity could go to "
                "rest; say in its spec when a trial ends"
            )

    @property
    def content(self) -> Mapping[str, MetaTask]:
        """The specs by name; the settings must be resolved."""
        assert isinstance(self.specs, dict), "resolve() the settings first"
        return self.specs

    @cached_property
    def programs(self) -> dict[str, Program]:
        return {name: decode(spec) for name, spec in self.content.items()}

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.content)}

    @cached_property
    def _tables(self) -> Tables:
        """All tasks packed once; a life takes its rows, since every life may draw others."""
        bounds = [self.values[name].bounds(self.measure) for name in self.content]
        return tables_of(list(self.programs.values()), bounds)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.content)

    @cached_property
    def trials(self) -> int:
        """Decisions of an instance."""
        if self.horizon is not None:
            return self.horizon
        if not isinstance(self.specs, dict):
            return msgspec.structs.replace(self, specs=_read(self.specs)).trials
        horizons = {name: spec.horizon for name, spec in self.specs.items()}
        if len(set(horizons.values())) > 1:
            raise UserError(f"problem.task.horizon must be given where those of the specs differ, got {horizons}")
        return next(iter(horizons.values()))

    @property
    def life_trials(self) -> int:
        return self.trials * self.tasks_per_life

    @property
    def scale(self) -> Scale:
        if self.measure == ADAPTIVITY:
            return Scale(ADAPTIVITY, 0.0, None, 1.0, chance_is="best non-adapting", oracle_is="Bayes")
        return Scale("score", chance=0.0, random_policy=0.0, oracle=1.0)

    @property
    def random_sample(self) -> bool:
        return self.sampled is not None

    @property
    def references(self) -> Mapping[str, Mapping[str, float]]:
        return references_of(self.values, self.measure)

    @property
    def kinds_told(self) -> str:
        return "which hidden state it was in"

    @property
    def told(self) -> str:
        return "the reward of each decision"

    def training(self) -> list[str]:
        """Return the tasks that evolution may meet, in the order of the specs."""
        kept = {*self.validation, *self.withheld}
        return [name for name in self.names if name not in kept]

    def eligible(self, generation: int) -> list[str]:
        """Return the tasks that `generation` draws from: all that evolution may meet."""
        return self.training()

    def pairs(self, names: Collection[str]) -> list[tuple[str, str]]:
        """Return pairs of a task and its negation: meta-tasks have none."""
        return []

    def withholding(self) -> str:
        """Return what the withheld tasks are to evolution."""
        alike = "other meta-tasks, drawn alike" if self.sampled else "other meta-tasks"
        return alike if self.withheld else "nothing withheld"

    def folds(self) -> dict[str, tuple[str, ...]]:
        """Return a fold for each task where there are several named ones, with what withholds it."""
        names = self.names if len(self.names) > 1 and not self.sampled else ()
        return {name: (f"problem.task.withheld={json.dumps([name], ensure_ascii=False)}",) for name in names}

    def build(self, names: Sequence[str], places: dict[str, range], dt_ms: float) -> Blocks:
        """Return the packed task of a life: one block of decisions for each of `names`."""
        for name in names:
            self._check_places(name, self.programs[name], places)
        return pack(
            Blocks(
                tables=self.tables(names),
                units=Units.of(places),
                levels=self.levels.build(),
                clock=places["stimulus"].stop - 1 if self.clock else -1,
                deciding=self.decide_steps,
                feeding=self.feedback_steps,
                block_trials=self.trials,
                newborn_blocks=int(self.newborn_tasks),
                greedy=int(self.action == "greedy"),
                inverse_temperature=self.inverse_temperature,
                shuffled=0,
                reset_activity=int(self.reset_activity),
            )
        )

    def tables(self, names: Sequence[str]) -> Tables:
        """Return the tables of a life with a block of decisions for each of `names`; the settings must be resolved."""
        rows = [self._rows[name] for name in names]
        return pack(Tables(*(of_all[rows] for of_all in self._tables)))

    def _check_places(self, name: str, program: Program, places: dict[str, range]) -> None:
        actions = len(program.actions)
        for role, needed in (("stimulus", program.units + self.clock), ("response", actions)):
            if len(places[role]) < needed:
                raise UserError(
                    f"meta-task {name!r} needs at least {needed} {role} units, got {len(places[role])}; "
                    f"set problem.network.roles.{role} = {needed}"
                )
        if 0 < len(places["echo"]) < actions:
            raise UserError(
                f"meta-task {name!r} needs one echo unit for each of its {actions} actions, or none at all, got "
                f"{len(places['echo'])}; set problem.network.roles.echo = {actions}"
            )


def _read(names: Sequence[str]) -> dict[str, MetaTask]:
    specs: dict[str, MetaTask] = {}
    for name in names:
        stem = Path(name).stem if name.endswith(".json") else name
        if stem in specs:
            raise UserError(f"problem.task.specs: there are two tasks called {stem!r}; rename one of the files")
        specs[stem] = read_meta_task(name)
    return specs


def _in_order(spec: MetaTask) -> MetaTask:
    """Return the spec with its rows in the order of states and actions; a run file puts tables behind plain names."""
    rows = dict(spec.transitions)
    for state, said in rows.items():
        if isinstance(said, dict) and not {ANY, *spec.actions}.isdisjoint(said):
            rows[state] = {action: said[action] for action in (*spec.actions, ANY) if action in said}
    return msgspec.structs.replace(spec, transitions={state: rows[state] for state in spec.states if state in rows})
