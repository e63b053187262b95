"""A meta-task under Gymnasium's contract: one environment, and many lanes of it in one.

Observation: the stimulus units, 1 on, -1 off, 0 silent; unless `extended=False` followed by the action just taken
(one-hot, all 0 at the first), its reward, and the share of the horizon that is over, which is what a learner that has
no other way to see its rewards needs (Duan et al. 2016, "RL^2", arXiv 1611.02779). Reward: the task's, less costs.
`info["hidden"]` holds the true state and the number of the trial, for analysis: a learner must not see it.
"""

from __future__ import annotations

import os
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.gym.lives import Address, Floats, Lives
from evoplastic.tasks.meta.language import MetaTask
from evoplastic.tasks.meta.solvers.values import Values

Spec = str | os.PathLike[str] | MetaTask
Info = dict[str, Any]


class MetaTaskEnv(gymnasium.Env[Floats, np.int64]):
    """One life of a meta-task after the other.

    `reset(seed=s)` begins episode 0 of seed s, whatever was lived before, and every reset without a seed the next
    episode. `options={"episode": e, "lane": n}` jumps to any other; lane n is what the vector environment lives there.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(
        self, spec: Spec, *, horizon: int | None = None, extended: bool = True, render_mode: str | None = None
    ):
        """Take a spec's name, path or content; `horizon`: decisions of an episode, where not those of the spec."""
        _check_render_mode(render_mode)
        self._lives = Lives(spec, horizon, extended)
        self.observation_space, self.action_space = _spaces(self._lives)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, Info]:
        """Begin a life in another instance."""
        super().reset(seed=seed)
        observations = self._lives.begin(own_seed(self, seed), options)
        return observations[0], self._info()

    def step(self, action: np.int64) -> tuple[Floats, float, bool, bool, Info]:
        """Make a decision; the one that fills the horizon truncates the episode."""
        _check_running(self._lives)
        if not self.action_space.contains(action):
            raise UserError(f"an action must be in {self.action_space}, got {action!r}")
        observations, rewards = self._lives.decide(np.array([action], np.int64))
        return observations[0], float(rewards[0]), False, self._lives.over, self._info()

    def instance(self) -> dict[str, str | float]:
        """Return what each variable of the present instance is now: hidden truth, for analysis."""
        return self._lives.instance(0)

    @property
    def address(self) -> Address | None:
        """Which life is being lived: seed, episode and lane."""
        return self._lives.address

    @property
    def values(self) -> Values:
        """Exact mean reward per decision of random play and of who knows the instance; may take seconds."""
        return self._lives.values

    def _info(self) -> Info:
        return {"hidden": {name: found.item(0) for name, found in self._lives.hidden().items()}}


class MetaTaskVectorEnv(VectorEnv[Floats, NDArray[np.int64], NDArray[Any]]):
    """Many lives of a meta-task at once, all decisions in one call of a kernel.

    They begin and end together, and the step after their last decision begins the next episode. Lane n of
    `reset(seed=s)` lives, bit for bit, what the single environment lives after `reset(seed=s, options={"lane": n})`;
    `options={"lane": n}` of this one says which its first lane is, so that several environments can share a seed.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(
        self,
        spec: Spec,
        num_envs: int = 1,
        *,
        horizon: int | None = None,
        extended: bool = True,
        render_mode: str | None = None,
    ):
        """As the single environment's, and the number of lanes."""
        _check_render_mode(render_mode)
        self._lives = Lives(spec, horizon, extended, num_envs)
        self.num_envs = self._lives.lanes
        self.single_observation_space, self.single_action_space = _spaces(self._lives)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, Info]:
        """Begin a life in another instance in every lane."""
        super().reset(seed=seed)
        return self._lives.begin(own_seed(self, seed), options), self._infos()

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Floats, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Info]:
        """Make a decision in every lane; after the last one of their lives actions are ignored and new lives begin."""
        lives = self._lives
        if lives.address is not None and lives.over:
            observations, rewards = lives.begin(None, None), np.zeros(self.num_envs)
        else:
            _check_running(lives)
            observations, rewards = lives.decide(self._checked(actions))
        terminated, truncated = np.zeros(self.num_envs, np.bool_), np.full(self.num_envs, lives.over)
        return observations, rewards, terminated, truncated, self._infos()

    def instance(self, lane: int) -> dict[str, str | float]:
        """Return what each variable of a lane's present instance is now: hidden truth, for analysis."""
        return self._lives.instance(lane)

    @property
    def address(self) -> Address | None:
        """Which lives are being lived: seed, episode and first lane."""
        return self._lives.address

    @property
    def values(self) -> Values:
        """Exact mean reward per decision of random play and of who knows the instance; may take seconds."""
        return self._lives.values

    def _checked(self, actions: Any) -> NDArray[np.int64]:
        found = np.asarray(actions)
        most = len(self._lives.program.actions) - 1
        whole = found.dtype.kind in "iu" and found.shape == (self.num_envs,)
        if not whole or found.min() < 0 or found.max() > most:
            raise UserError(f"actions must be {self.num_envs} whole numbers from 0 to {most}, got {actions!r}")
        return np.ascontiguousarray(found, np.int64)

    def _infos(self) -> Info:
        """Return infos as Gymnasium batches them: beside each key a mask of the lanes that have it, which is all."""
        hidden = self._lives.hidden()
        masks = {f"_{name}": np.ones(self.num_envs, np.bool_) for name in (*hidden, "hidden")}
        return {"_hidden": masks.pop("_hidden"), "hidden": {**hidden, **masks}}


def _spaces(lives: Lives) -> tuple[Box[np.float32], Discrete]:
    low, high = lives.observed
    return Box(low, high, dtype=np.float32), Discrete(len(lives.program.actions))


def own_seed(env: MetaTaskEnv | MetaTaskVectorEnv, seed: int | None) -> int | None:
    """Return the seed of a reset; one of the environment's own where none was ever given; None to go on."""
    if seed is not None or env.address is not None:
        return seed
    own = env.np_random_seed
    known = own is not None and own >= 0  # not so where the user put in a generator of their own
    return own if known else int(env.np_random.integers(2**63))


def _check_render_mode(mode: str | None) -> None:
    if mode is not None:
        raise UserError(f"render_mode must be None, since a meta-task draws no pictures of a life, got {mode!r}")


def _check_running(lives: Lives) -> None:
    if lives.address is None or lives.over:
        raise ResetNeeded("there is no life to decide in: call reset() first, and again after an episode was truncated")
