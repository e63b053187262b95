"""Meta-tasks of a run drawn at random: how many of which kind, drawn once and from then on kept with the run.

A sample holds no two tasks of one canonical class, so however it is parted, the parts are disjoint by class. The tasks
that come first are evolved on, those after them validate, and the last are met in the evaluation at the end alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, NamedTuple

import msgspec

from evoplastic.errors import UserError
from evoplastic.files import write_whole
from evoplastic.jit import cache_folder
from evoplastic.tasks.meta.language import MetaTask, to_json
from evoplastic.tasks.meta.sampling.settings import SampleSettings
from evoplastic.tasks.meta.solvers.certificate import Certificate

MOST_KEPT = 4  # samples: the arms of an experiment share theirs

Count = Annotated[int, msgspec.Meta(ge=0, le=4096)]


class SampledTasks(SampleSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many meta-tasks are drawn, beside what is asked of each."""

    training: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    validation: Count = 0  # never met in evolution; settings may be chosen by them
    withheld: Count = 0  # never met before the evaluation
    of: str = ""  # digest of these settings and of the tasks; filled in with the tasks

    @property
    def count(self) -> int:
        return self.training + self.validation + self.withheld


class Kept(msgspec.Struct, frozen=True):
    """What is kept of a task that was drawn."""

    name: str
    spec: MetaTask
    certificate: Certificate | None


class Drawn(NamedTuple):
    """A sample in its parts."""

    specs: dict[str, MetaTask]  # in the order of training, validation, withheld
    validation: tuple[str, ...]
    withheld: tuple[str, ...]
    certificates: Mapping[str, Certificate]


def drawn(settings: SampledTasks) -> Drawn:
    """Return the tasks of these settings; UserError if there are not as many to be found."""
    try:
        tasks = _sample(msgspec.structs.replace(settings, of=""))
    except UserError as error:
        raise UserError(f"problem.task.sampled: {error}") from None
    return Drawn(
        {task.name: task.spec for task in tasks},
        *parts_of(settings, [task.name for task in tasks]),
        {task.name: task.certificate for task in tasks if task.certificate},
    )


def parts_of(settings: SampledTasks, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which of the tasks, in the order in which they were drawn, validate and which are withheld."""
    validated = settings.training + settings.validation
    return tuple(names[settings.training : validated]), tuple(names[validated:])


def digest(settings: SampledTasks, specs: Mapping[str, MetaTask]) -> str:
    """Return what tells these settings and the tasks that were drawn by them from all others."""
    told = msgspec.to_builtins(msgspec.structs.replace(settings, of=""))
    content = json.dumps([told, [[name, to_json(spec)] for name, spec in specs.items()]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@lru_cache(MOST_KEPT)
def _sample(settings: SampledTasks) -> tuple[Kept, ...]:
    """Return the sample, from the folder of these sources' kernels if it was drawn before."""
    file = cache_folder() / "samples" / f"{digest(settings, {})}.json"
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(file.read_bytes(), type=tuple[Kept, ...])
    from evoplastic.tasks.meta.sampling.sample import sample  # few runs draw their tasks

    found = sample(settings, settings.count).tasks
    content = msgspec.json.encode([Kept(task.name, task.spec, task.certificate) for task in found])
    with contextlib.suppress(OSError, UserError):  # a disk that takes no more costs seconds the next time
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(file, content)
    return msgspec.json.decode(content, type=tuple[Kept, ...])
