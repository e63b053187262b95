"""What the single and the vector environment share: lives of one meta-task side by side, each with an address.

    (seed, episode, lane)  ->  one instance, and all that is left to chance in its life

So an episode is the same whatever was lived before it, alone or beside others.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError, nearest
from evoplastic.random import Purpose, stream_key
from evoplastic.tasks.meta.check import check_program
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.lanes import begin_lanes, decide_lanes, unborn_lanes
from evoplastic.tasks.meta.language import MetaTask
from evoplastic.tasks.meta.program import Decoded, Program
from evoplastic.tasks.meta.reading import read_meta_task
from evoplastic.tasks.meta.solvers.values import Values, values
from evoplastic.tasks.meta.tables import Bounds, tables_of
from evoplastic.tasks.meta.world import STATE, World, code_at, held_at, level_at

LONGEST = 100_000  # decisions, as in a spec
_BESIDES = 2  # entries of an extended observation that are neither stimulus nor action: reward and share of the horizon

Floats = NDArray[np.float32]


class Address(NamedTuple):
    """Which life it is; in a vector environment the lane of its first one."""

    seed: int
    episode: int
    lane: int


class Lives:
    """`lanes` lives of one meta-task that begin, decide and end together."""

    def __init__(
        self, spec: str | os.PathLike[str] | MetaTask, horizon: int | None = None, extended: bool = True, lanes: int = 1
    ):
        read = _read(spec)
        self.horizon = _whole("horizon", read.horizon if horizon is None else horizon, 1, LONGEST)
        self.lanes = _whole("num_envs", lanes, 1, 2**31)
        self.program = decode(msgspec.structs.replace(read, horizon=self.horizon))
        if not extended and not self.program.units:
            raise UserError("this meta-task shows no stimulus, so with extended=False there is nothing to observe")
        self.extended = extended
        self.address: Address | None = None
        self.decided = 0  # decisions of the present lives
        self._tables = tables_of([self.program], [Bounds(0.0, 1.0)])
        self._worlds = unborn_lanes(self._tables, self.lanes)
        self._trials = np.zeros(self.lanes, np.int64)
        self._states = np.array(self.program.states, dtype=object)

    @property
    def over(self) -> bool:
        """Whether the lives have made all of their decisions."""
        return self.decided >= self.horizon

    @property
    def observed(self) -> tuple[Floats, Floats]:
        """The lowest and the highest that each entry of an observation can be, (width,) both."""
        units, actions = self.program.units, len(self.program.actions)
        lowest, highest = _reward_bounds(self.program)
        low, high = [-1.0] * units, [1.0] * units
        if self.extended:
            low, high = [*low, *[0.0] * actions, lowest, 0.0], [*high, *[1.0] * actions, highest, 1.0]
        return np.array(low, np.float32), np.array(high, np.float32)

    def begin(self, seed: int | None, options: Mapping[str, Any] | None) -> Floats:
        """Begin the lives of the next address, and return what is observed."""
        self.address = next_address(self.address, seed, options)
        self.decided = 0
        observations = self._unseen()
        key = stream_key(self.address.seed, Purpose.EVALUATION, self.address.episode)
        begin_lanes(self._tables, self._worlds, key, self.address.lane, self.horizon, self._trials, observations)
        return observations

    def decide(self, actions: NDArray[np.int64]) -> tuple[Floats, NDArray[np.float64]]:
        """Carry out an action in each lane, all in range; return observations (lanes, width) and rewards (lanes,)."""
        observations, rewards = self._unseen(), np.empty(self.lanes)
        decide_lanes(self._tables, self._worlds, actions, self.horizon, self._trials, observations, rewards)
        self.decided += 1
        return observations, rewards

    def hidden(self) -> dict[str, NDArray[Any]]:
        """Return by name what no observation tells, (lanes,) each: the state's name and the trial's number from 0."""
        return {"state": self._states[self._worlds.ints[:, STATE]], "trial": self._trials.copy()}

    def instance(self, lane: int) -> dict[str, str | float]:
        """Return what each variable of a lane's instance is now: a name, a probability, or a layout's number."""
        return {
            variable.name: self._held(World(*(array[lane] for array in self._worlds)), number, variable)
            for number, variable in enumerate(self.program.variables)
        }

    @functools.cached_property
    def values(self) -> Values:
        """Exact mean reward per decision of random play and of who knows the instance; may take seconds."""
        return values(self.program)

    def _unseen(self) -> Floats:
        width = self.program.units + self.extended * (len(self.program.actions) + _BESIDES)
        return np.empty((self.lanes, width), np.float32)

    def _held(self, world: World, number: int, variable: Decoded) -> str | float:
        what = int(world.ints[held_at(world, number)])
        match variable.kind:
            case "state":
                return self.program.states[what]
            case "action":
                return self.program.actions[what]
            case "stimulus":
                names = tuple(self.program.spec.stimuli)
                code = slice(code_at(world, what, 0), code_at(world, what + 1, 0))
                return names[what] if what < len(names) else _digits(world.reals[code])
            case "probability":
                return float(world.reals[level_at(world, number)])
            case _:
                return what


def next_address(last: Address | None, seed: int | None, options: Mapping[str, Any] | None) -> Address:
    """Return the first episode of a seed, or with None the one after the last.

    `options` may name another `episode` or `lane`. A lane stays chosen until the next seed.
    """
    asked = _asked(options)
    if seed is not None:
        return Address(seed, 0, 0)._replace(**asked)
    assert last is not None, "the first lives need a seed"
    return last._replace(episode=last.episode + 1)._replace(**asked)


def _read(spec: str | os.PathLike[str] | MetaTask) -> MetaTask:
    if not isinstance(spec, MetaTask):
        return read_meta_task(os.fspath(spec))
    check_program(decode(spec))
    return spec


def _asked(options: Mapping[str, Any] | None) -> dict[str, int]:
    """Return the parts of an address that the options of a reset name."""
    known = ("episode", "lane")
    for name in options or {}:
        if name not in known:
            raise UserError(f"options: {name!r} is unknown; choose among {', '.join(known)}{nearest(str(name), known)}")
    return {name: _whole(f"options[{name!r}]", value, 0, 2**32 - 1) for name, value in (options or {}).items()}


def _whole(name: str, value: Any, least: int, most: int) -> int:
    if not isinstance(value, (int, np.integer)) or not least <= value <= most:
        raise UserError(f"{name} must be a whole number from {least} to {most}, got {value!r}")
    return int(value)


def _digits(code: Floats) -> str:
    return "".join("1" if level > 0 else "0" for level in code.tolist())


def _reward_bounds(program: Program) -> tuple[float, float]:
    """Return bounds of what a decision can pay, rounded as the engine rounds it, so that none lies outside."""
    values = np.array([0.0, *(rule.value for rule in program.rewards)], np.float32)
    costs = np.array([0.0, *(rule.value for rule in program.costs)], np.float32)
    most, least = (np.cumsum(kept, dtype=np.float32)[-1] for kept in (np.maximum(costs, 0), np.minimum(costs, 0)))
    return float(values.min() - most), float(values.max() - least)
