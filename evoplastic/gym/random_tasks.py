"""A pool of certified random meta-tasks as one environment: every episode is one life in a task drawn evenly from it.

The pool is sampled when the environment is made, from a seed of its own, and stays what it is; which task an episode
is in depends on the address of the episode alone. Spaces are those of the whole pool: the stimulus units of the task
that has most of them, which stay silent (0) where a task has fewer. `info["task"]` names the task and
`info["certified"]` holds what is proven of it, mean rewards per decision; a learner must see neither.
"""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from evoplastic.errors import UserError
from evoplastic.gym.environments import Info, MetaTaskEnv, own_seed
from evoplastic.gym.lives import Address, Floats, Lives, next_address
from evoplastic.random import Purpose, stream_key
from evoplastic.tasks.meta.sampling.parsing import parse_settings
from evoplastic.tasks.meta.sampling.sample import Sampled, sample
from evoplastic.tasks.meta.sampling.settings import SampleSettings

MOST_TASKS = 10_000


class RandomTaskEnv(MetaTaskEnv):
    """One life after the other, each in a task drawn from the pool; resets and addresses as a single task's.

    The episode of an address is, but for silent units, the one that the drawn task's own environment lives there.
    """

    def __init__(
        self,
        *,
        tasks: int = 16,
        pool_seed: int = 0,
        extended: bool = True,
        render_mode: str | None = None,
        **sampling: Any,
    ):
        """Sample the pool: seconds. `sampling` are settings of the sampler such as `horizon=40` or `adapting=0.1`."""
        if "seed" in sampling:
            raise UserError(f"the seed of the pool is called pool_seed, got seed={sampling['seed']!r}")
        self.pool = _pool(parse_settings({"seed": pool_seed, **sampling}), _count(tasks))
        super().__init__(self.pool[0].spec, extended=extended, render_mode=render_mode)
        others = (Lives(sampled.spec, extended=extended) for sampled in self.pool[1:])
        self._tasks = (self._lives, *others)
        self._number = 0  # of the task that is lived in
        self._certified = [sampled.certificate.proven if sampled.certificate else {} for sampled in self.pool]
        self._units = max(lives.program.units for lives in self._tasks)
        self.observation_space, self.action_space = self._spaces()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, Info]:
        """Draw a task and begin a life in an instance of it."""
        gymnasium.Env.reset(self, seed=seed)
        address = next_address(self.address, own_seed(self, seed), options)
        self._number = _drawn(address, len(self._tasks))
        self._lives = self._tasks[self._number]
        observations = self._lives.begin(address.seed, {"episode": address.episode, "lane": address.lane})
        return self._widened(observations[0]), self._info()

    def step(self, action: np.int64) -> tuple[Floats, float, bool, bool, Info]:
        """Make a decision; the one that fills the horizon truncates the episode."""
        observation, reward, terminated, truncated, info = super().step(action)
        return self._widened(observation), reward, terminated, truncated, info

    def _info(self) -> Info:
        return {
            **super()._info(),
            "task": self.pool[self._number].name,
            "certified": dict(self._certified[self._number]),
        }

    def _widened(self, observation: Floats) -> Floats:
        return _with_silent(observation, self._lives.program.units, self._units)

    def _spaces(self) -> tuple[Box[np.float32], Discrete]:
        actions = {len(lives.program.actions) for lives in self._tasks}
        assert len(actions) == 1, "tasks of one sample have equally many actions"
        bounds = [
            [_with_silent(bound, lives.program.units, self._units) for bound in lives.observed] for lives in self._tasks
        ]
        lows, highs = zip(*bounds)
        return Box(np.min(lows, axis=0), np.max(highs, axis=0), dtype=np.float32), Discrete(actions.pop())


def _with_silent(observation: Floats, units: int, most: int) -> Floats:
    """Return an observation of `units` stimulus units as one of `most`, the last of them silent."""
    return np.concatenate([observation[:units], np.zeros(most - units, np.float32), observation[units:]])


@functools.lru_cache(maxsize=4)
def _pool(settings: SampleSettings, tasks: int) -> tuple[Sampled, ...]:
    """Return the pool; environments side by side, as in a vector of them, share one."""
    return sample(settings, tasks).tasks


def _count(tasks: int) -> int:
    if type(tasks) is not int or not 1 <= tasks <= MOST_TASKS:
        raise UserError(f"tasks must be a whole number from 1 to {MOST_TASKS}, got {tasks!r}")
    return tasks


def _drawn(address: Address, tasks: int) -> int:
    """Return which task the episode of an address is in, each with equal chance."""
    key = stream_key(address.seed, Purpose.EVALUATION, address.episode, address.lane)
    return int(key) * tasks >> 64
