"""The meta-tasks of a run file: which specs, which are withheld, and how a network takes part in a decision."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
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
from evoplastic.tasks.meta.language import ANY, MetaTask, to_json
from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.reading import read_meta_task
from evoplastic.tasks.meta.solvers.values import values
from evoplastic.tasks.meta.tables import Bounds, tables_of

LEAST_GAIN = 1e-3  # reward per decision that knowing the instance must be worth, or a score would divide by nothing
Steps = Annotated[int, msgspec.Meta(ge=1, le=1_000)]


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task's exact mean reward per scored decision, of random play and of who knows the instance."""

    random: float
    oracle: float
    of: str  # digest of the spec, its horizon, the scored decisions and the two numbers


class MetaTaskSettings(Family, frozen=True, kw_only=True, tag="meta_tasks"):
    """Instances of meta-tasks; a trial of the run file is one decision, and a task's trials are its horizon."""

    specs: tuple[str, ...] | dict[str, MetaTask]  # names of specs or paths; in a run folder their content
    withheld: tuple[str, ...] = ()  # never met in evolution
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
        """Return the settings with specs read in and their exact values."""
        specs = self.specs if isinstance(self.specs, dict) else _read(self.specs)
        if not specs:
            raise UserError("problem.task.specs must name at least one meta-task")
        for name, spec in specs.items():
            self._check(name, spec)
        specs = {name: _in_order(spec) for name, spec in specs.items()}
        for name in self.withheld:
            if name not in specs:
                raise UserError(f"problem.task.withheld: {name!r} is none of {list(specs)}{nearest(name, specs)}")
        if not set(specs) - set(self.withheld):
            raise UserError("problem.task.withheld leaves no task to evolve on; withhold fewer tasks")
        resolved = msgspec.structs.replace(self, specs=specs)
        horizon = resolved.trials
        known = {name: self._value(name, spec, horizon, min(scored, horizon)) for name, spec in specs.items()}
        return msgspec.structs.replace(resolved, values=known)

    def _value(self, name: str, spec: MetaTask, horizon: int, scored: int) -> Value:
        known = self.values.get(name)
        if known and known.of == _digest(spec, horizon, scored, known.random, known.oracle):
            return known
        try:
            found = values(decode(spec), horizon, scored)
        except UserError as error:
            raise UserError(f"problem.task.specs: {name}: {error}") from None
        if not found.oracle - found.random >= LEAST_GAIN:
            raise UserError(
                f"problem.task.specs: {name}: knowing the instance pays {found.oracle:.4g} per decision and random "
                f"play {found.random:.4g}, so there is nothing to learn; use another task or a longer horizon"
            )
        return Value(found.random, found.oracle, _digest(spec, horizon, scored, found.random, found.oracle))

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

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.content)

    @property
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
        return Scale("score", chance=0.0, random_policy=0.0, oracle=1.0)

    @property
    def kinds_told(self) -> str:
        return "which hidden state it was in"

    @property
    def told(self) -> str:
        return "the reward of each decision"

    def training(self) -> list[str]:
        """Return the tasks that evolution may meet, in the order of the specs."""
        return [name for name in self.names if name not in self.withheld]

    def eligible(self, generation: int) -> list[str]:
        """Return the tasks that `generation` draws from: all that evolution may meet."""
        return self.training()

    def pairs(self, names: Collection[str]) -> list[tuple[str, str]]:
        """Return pairs of a task and its negation: meta-tasks have none."""
        return []

    def withholding(self) -> str:
        """Return what the withheld tasks are to evolution."""
        return "other meta-tasks" if self.withheld else "nothing withheld"

    def folds(self) -> dict[str, tuple[str, ...]]:
        """Return a fold for each task where there are several, named after it, with what withholds it."""
        names = self.names if len(self.names) > 1 else ()
        return {name: (f"problem.task.withheld={json.dumps([name], ensure_ascii=False)}",) for name in names}

    def build(self, names: Sequence[str], places: dict[str, range], dt_ms: float) -> Blocks:
        """Return the packed task of a life: one block of decisions for each of `names`."""
        programs = {name: decode(self.content[name]) for name in names}
        for name, program in programs.items():
            self._check_places(name, program, places)
        bounds = [Bounds(self.values[name].random, self.values[name].oracle) for name in names]
        return pack(
            Blocks(
                tables=tables_of([programs[name] for name in names], bounds),
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


def _digest(spec: MetaTask, *numbers: float) -> str:
    content = json.dumps([to_json(spec), *numbers], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
