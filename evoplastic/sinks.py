"""A live view of a run: each generation's metrics are told to a sink as they come, and no failure of it harms the run.

    with tracking("tensorboard", run.folder, run.state.generation, warn) as tell:
        tell(record.metrics)

A sink is a class with a line in SINKS.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Protocol

from evoplastic.errors import UserError, nearest
from evoplastic.files import plain
from evoplastic.runs import RunFolder

Tell = Callable[[Mapping[str, Any]], None]


class Sink(Protocol):
    """Is told of every generation once and in order, in the run's own thread: a slow one slows the run."""

    library: ClassVar[str]  # what it imports, from the extra [track]

    def __init__(self, run: Path, generation: int):
        """Open it for the run in folder `run`, which goes on from `generation`; later ones told before are void."""

    def tell(self, metrics: Mapping[str, Any]) -> None:
        """Take a generation's record of metrics.jsonl, as a copy; numbers that are not finite are None."""

    def close(self) -> None:
        """Finish; called once, also after an error of the run or of the sink."""


class TensorBoard:
    """Event files in the run's folder `tensorboard`, one for each time that the run was begun or carried on.

    The step is the generation and the tag is a number's path in the record, such as `training/accuracy`; an item of a
    list has its index for a name.
    """

    library: ClassVar[str] = "tensorboardX"

    def __init__(self, run: Path, generation: int):
        # Not through SummaryWriter: it writes in a thread of its own, and once that has died, of a full disk for
        # example, whoever tells it more waits for ever.
        from tensorboardX import RecordWriter
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        folder = run / "tensorboard"
        folder.mkdir(exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names.
        number = len(list(folder.glob("events.out.tfevents.*")))
        self._records = RecordWriter(str(folder / f"events.out.tfevents.{number:06d}"))
        self._write(file_version="brain.Event:2")
        # The start of a session at a step makes TensorBoard drop what it has been told of that step and later ones.
        self._write(step=generation, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START))
        self._records.flush()

    def tell(self, metrics: Mapping[str, Any]) -> None:
        values = [{"tag": tag, "simple_value": value} for tag, value in scalars(metrics) if tag != "generation"]
        self._write(step=metrics["generation"], summary=self._summary(value=values))
        self._records.flush()

    def close(self) -> None:
        self._records.close()

    def _write(self, **what: Any) -> None:
        self._records.write(self._event(wall_time=time.time(), **what).SerializeToString())


SINKS: dict[str, type[Sink]] = {"tensorboard": TensorBoard}


def scalars(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Yield the path and the value of every number in plain mappings and lists, as in ("training/accuracy", .8)."""
    if isinstance(value, int | float):
        yield path, float(value)
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from scalars(part, f"{path}/{name}" if path else str(name))


def check_sink(name: str | None) -> None:
    """Raise UserError if there is no sink of that name, or its library is not installed; None is no sink."""
    if name is None:
        return
    if name not in SINKS:
        raise UserError(f"--track {name!r} is unknown; choose one of {list(SINKS)}{nearest(name, SINKS)}")
    library = SINKS[name].library
    if importlib.util.find_spec(library) is None:
        raise UserError(f'--track {name} needs {library}; install it with: pip install "evoplastic[track]"')


@contextmanager
def tracking(name: str | None, folder: RunFolder, generation: int, warn: Callable[[str], None]) -> Iterator[Tell]:
    """Yield what tells sink `name`, or with None nobody, of the run in `folder`, which goes on from `generation`.

    The caller holds the folder's lock. A sink that raises is switched off: `warn` is told once, `events.jsonl` gets a
    line, and the run goes on.
    """
    if name is None:
        yield lambda metrics: None
        return
    guarded = _Guarded(name, folder, warn)
    guarded.open(generation)
    try:
        yield guarded.tell
    finally:
        guarded.close()


class _Guarded:
    """A sink none of whose exceptions get out; after the first it is off."""

    def __init__(self, name: str, folder: RunFolder, warn: Callable[[str], None]):
        self._name, self._folder, self._warn = name, folder, warn
        self._sink: Sink | None = None

    def open(self, generation: int) -> None:
        with self._harmless():
            self._sink = SINKS[self._name](self._folder.path, generation)

    def tell(self, metrics: Mapping[str, Any]) -> None:
        if self._sink:
            with self._harmless():
                self._sink.tell(plain(metrics))

    def close(self) -> None:
        sink, self._sink = self._sink, None
        if sink:
            with self._harmless():
                sink.close()

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            sink, self._sink = self._sink, None
            if sink:
                with suppress(Exception):
                    sink.close()
            said = f"{type(error).__name__}: {error}"
            self._warn(f"--track {self._name} failed and is off, the run goes on without it: {said}")
            with suppress(UserError):  # a full disk, or a lock that is lost: the run will find that out itself
                self._folder.append_event("untracked", sink=self._name, error=said)
