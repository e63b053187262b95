"""Meta-tasks as Gymnasium environments; importing this registers `evoplastic/TMaze-v0` and all others of the package.

    gymnasium.make("evoplastic/TMaze-v0")
    gymnasium.make_vec("evoplastic/TMaze-v0", num_envs=64)              # all lanes in one call of a kernel
    gymnasium.make("evoplastic/MetaTask-v0", spec="my-task.json")       # any spec
    gymnasium.make("evoplastic/Random-v0", tasks=32, pool_seed=1)       # certified random tasks, one each episode

An episode is one life: `horizon` decisions in one instance of the task, then `truncated`. Every reset draws another
instance, so what is learned across episodes is how to learn within one.
"""

from __future__ import annotations

try:
    import gymnasium
except ImportError as error:
    raise ImportError("evoplastic.gym needs Gymnasium; install it with: pip install 'evoplastic[gym]'") from error

from evoplastic.gym.environments import MetaTaskEnv, MetaTaskVectorEnv
from evoplastic.gym.random_tasks import RandomTaskEnv
from evoplastic.tasks.meta.language import FORMAT
from evoplastic.tasks.specs import spec_names

__all__ = ["MetaTaskEnv", "MetaTaskVectorEnv", "RandomTaskEnv", "environment_id"]


def environment_id(name: str) -> str:
    """Return the id under which a spec of the package is registered: `evoplastic/TMaze-v0` for t-maze."""
    return f"evoplastic/{''.join(part[:1].upper() + part[1:] for part in name.split('-'))}-v0"


def _register(id_: str, **kwargs: str) -> None:
    gymnasium.register(
        id_,
        entry_point="evoplastic.gym.environments:MetaTaskEnv",
        vector_entry_point="evoplastic.gym.environments:MetaTaskVectorEnv",
        kwargs=kwargs,
    )


_register(environment_id("meta-task"))
gymnasium.register(environment_id("random"), entry_point="evoplastic.gym.random_tasks:RandomTaskEnv")
for _name in spec_names(FORMAT):
    _register(environment_id(_name), spec=_name)
