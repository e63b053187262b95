"""The run folder: everything one run leaves behind, and enough to continue it bit for bit.

    runs/<name>/  config.toml    what was asked, complete
                  manifest.json  what it ran on: versions, CPU, command, lineage
                  start.npz      the genes it starts from, where other than the genome's own
                  metrics.jsonl  one record per generation, functions of config and seed alone
                  events.jsonl   what happened when: seconds, workers, restarts; never compared
                  skipped.jsonl  members left out since they kill their workers; where it is, the run is not exact
                  checkpoints/  evaluation/  analysis/  lock

Files are replaced whole or appended by whole lines, so a kill at any moment leaves a folder that can be resumed.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import itertools
import os
import re
import secrets
import shutil
import time
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from evoplastic import checkpoints
from evoplastic.checkpoints import Checkpoint
from evoplastic.errors import UserError, writing
from evoplastic.files import Migration, read_json, remove_leftovers, write_json, write_whole
from evoplastic.lines import append_line, line, read_lines, sync
from evoplastic.lock import RunLock
from evoplastic.manifest import read_manifest

METRICS = "evoplastic.metrics"
EVENTS = "evoplastic.events"
SKIPPED = "evoplastic.skipped"
START = "start.npz"
METRICS_MIGRATIONS: dict[int, Migration] = {}  # metrics record version N -> N + 1

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)  # what renaming onto another folder, or a file, says
_SUBFOLDERS = ("checkpoints", "evaluation", "analysis")


class RunFolder:
    """One run on disk. Whoever evolves it holds `lock()`; reading it and evaluating it need none."""

    def __init__(self, path: Path):
        self.path = path
        self._metrics = path / "metrics.jsonl"
        self._events = path / "events.jsonl"
        self._skipped = path / "skipped.jsonl"
        self._checkpoints = path / "checkpoints"
        self._lock: RunLock | None = None

    @classmethod
    def create(
        cls,
        runs_dir: Path,
        name: str | None,
        default_name: str,
        config_toml: str,
        manifest: Mapping[str, Any],
        start: bytes | None = None,
    ) -> RunFolder:
        """Make a run folder named `name`, which must be new, or `default_name`, then `-2`, `-3`; or leave nothing."""
        if name is not None:
            check_name(name)
        with writing(runs_dir):
            runs_dir.mkdir(parents=True, exist_ok=True)
            _remove_unfinished(runs_dir)
            made = runs_dir / f".{secrets.token_hex(8)}.tmp"
            made.mkdir()
        try:
            with writing(made):
                for subfolder in _SUBFOLDERS:
                    (made / subfolder).mkdir()
            write_whole(made / "config.toml", config_toml.encode())
            if start is not None:
                write_whole(made / START, start)
            write_json(made / "manifest.json", manifest)
            return cls(_placed(made, runs_dir, name, default_name))
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise

    @classmethod
    def find(cls, path: Path) -> RunFolder | None:
        """Return the run at `path`, None if there is none; UserError if it cannot be read."""
        if not _is_run(path):
            return None
        _read_manifest(path)  # one that cannot be read is refused here, not in the middle of a run
        return cls(path if path.name.strip(".") else path.resolve())  # a run has a name, even where it is called "."

    @classmethod
    def open(cls, path: str | Path, runs: Path | None = None) -> RunFolder:
        """Return the run at `path`, or named so in the folder `runs` (None: the default one); else UserError."""
        runs = runs or runs_dir(None)
        for candidate in (Path(path), runs / path):
            if run := cls.find(candidate):
                return run
        raise UserError(f"{str(path)!r} is not a run folder; {_nearest_runs(Path(path), runs)}")

    @property
    def config(self) -> dict[str, Any]:
        """The run file as it was resolved, not yet validated."""
        path = self.path / "config.toml"
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{path} could not be read: {error}; restore it or start the run anew") from error

    def replace_config(self, config_toml: str) -> None:
        """Make config.toml say what the run goes on with, such as another total of generations."""
        write_whole(self.path / "config.toml", config_toml.encode())

    @property
    def manifest(self) -> dict[str, Any]:
        """What the run ran on, in the newest version of the format."""
        return _read_manifest(self.path)

    def lock(self, break_lock: bool = False) -> RunLock:
        """Return the run's lock, to be entered; checkpoints are written only while no one else has taken it."""
        self._lock = RunLock(self.path, break_lock)
        return self._lock

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Append one generation's record; its values may depend on config and seed alone."""
        self._check_lock()
        if "generation" not in record:
            raise ValueError(f"a metrics record must have 'generation', got the keys {sorted(record)}")
        append_line(self._metrics, _metrics_record(record))

    def metrics(self) -> list[dict[str, Any]]:
        """Return the records, oldest first; a torn last line is left out."""
        return list(read_lines(self._metrics, METRICS, METRICS_MIGRATIONS, ("generation",)))

    def rewind_metrics(self, generation: int) -> None:
        """Keep exactly the records of generations before `generation`; done before a resumed run appends."""
        with writing(self.path):
            for folder in (self.path, *(self.path / name for name in _SUBFOLDERS)):
                remove_leftovers(folder)
        records = {record["generation"]: record for record in self.metrics()}  # a robbed writer may have repeated one
        if any(number not in records for number in range(generation)):
            raise UserError(
                f"{self._metrics} does not hold generations 0 to {generation - 1} once each; start the run anew"
            )
        kept = (records[number] for number in range(generation))
        write_whole(self._metrics, b"".join(line(_metrics_record(record)) for record in kept))

    def skip(self, generation: int, member: int) -> None:
        """Note before anything is decided by it that a member is left out, now and whenever the run is replayed."""
        self._check_lock()
        entry = {"generation": generation, "member": member, "format": SKIPPED, "version": 1}
        append_line(self._skipped, entry)
        sync(self._skipped)  # no checkpoint may outlive what it rests on

    def skipped(self) -> set[tuple[int, int]]:
        """Return the (generation, member) left out; a run with any is not a function of config and seed alone."""
        entries = read_lines(self._skipped, SKIPPED, {}, ("generation", "member"))
        return {(entry["generation"], entry["member"]) for entry in entries}

    def append_event(self, kind: str, **facts: Any) -> None:
        """Append what happened just now, with the Unix time in seconds."""
        self._check_lock()
        event = {**facts, "kind": kind, "time": time.time(), "format": EVENTS, "version": 1}
        append_line(self._events, event)

    def events(self) -> list[dict[str, Any]]:
        """Return what happened, oldest first; a generation that was lived again after a kill is there again."""
        return list(read_lines(self._events, EVENTS, {}, ()))

    @property
    def diverged(self) -> bool:
        """Whether the run came to a generation too many of whose members failed."""
        return any(event.get("kind") == "diverged" for event in self.events())

    def save_checkpoint(self, checkpoint: Checkpoint, keep_last: int = 3, keep_every: int = 0) -> Path:
        """Write the checkpoint, then drop old ones; UserError leaves those before it intact."""
        if self._metrics.exists():
            sync(self._metrics)  # no checkpoint may outlive the records that led to it
        path = checkpoints.write_checkpoint(self._checkpoints, checkpoint, self._check_lock)
        checkpoints.prune_checkpoints(self._checkpoints, keep_last, keep_every, upto=checkpoint.generation)
        return path

    def load_checkpoint(self, warn: Callable[[str], None]) -> Checkpoint:
        """Return the newest undamaged checkpoint, with one warning for each damaged one passed over."""
        return checkpoints.newest_checkpoint(self._checkpoints, warn)

    def has_checkpoints(self) -> bool:
        """Return whether there is anything to load, damaged or not."""
        return any(self._checkpoints.glob("gen-*.npz"))

    def save_evaluation(self, generation: int, result: Mapping[str, Any]) -> Path:
        """Write an evaluation of the center of `generation` under a new name; none is ever overwritten."""
        for name in _numbered(f"gen-{generation:08d}"):
            path = self.path / "evaluation" / f"{name}.json"
            if not path.exists():
                write_json(path, result)
                return path
        raise AssertionError("unreachable: names never end")

    def evaluations(self, generation: int, tasks: Collection[str]) -> list[dict[str, Any]]:
        """Return the evaluations of the center of `generation` on all of `tasks`, oldest first."""
        paths = (self.path / "evaluation").glob(f"gen-{generation:08d}*.json")
        found = {path: read_json(path) for path in sorted(paths, key=lambda path: (len(path.name), path.name))}
        return [result for path, result in found.items() if set(tasks) <= _evaluated_tasks(path, result)]

    def add_lineage(self, entry: Mapping[str, Any]) -> None:
        """Append to the manifest's lineage: what a resume changed, such as the source hash."""
        manifest = self.manifest
        write_json(self.path / "manifest.json", {**manifest, "lineage": [*manifest["lineage"], entry]})

    def _check_lock(self) -> None:
        if self._lock:
            self._lock.check()


def _evaluated_tasks(path: Path, result: Any) -> set[str]:
    try:
        return set(result["conditions"]["evolved"]["tasks"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is no evaluation: it lacks {error}; restore or remove it") from error


def runs_dir(chosen: str | None) -> Path:
    """Return where runs go: `--runs-dir`, `$EVOPLASTIC_RUNS`, else `./runs`."""
    return Path(chosen or os.environ.get("EVOPLASTIC_RUNS") or "runs").expanduser()


def check_name(name: str) -> None:
    """Raise UserError if no run, and no group of runs, can be named so."""
    if not re.fullmatch(r"\w[\w.+=,-]{0,199}", name):
        raise UserError(f"a run cannot be named {name!r}; use letters, digits and _ . + = , - after the first letter")


def _remove_unfinished(runs_dir: Path) -> None:
    """Remove the folders of makers that were killed; whoever makes one now takes no hour for it."""
    for folder in runs_dir.glob(".????????????????.tmp"):
        with contextlib.suppress(OSError):  # another process may be removing it too
            if time.time() - folder.stat().st_mtime > 3600.0:
                shutil.rmtree(folder, ignore_errors=True)


def _placed(made: Path, runs_dir: Path, name: str | None, default_name: str) -> Path:
    """Give a folder that is whole its name, the first free one of `default_name`, `-2`, ... if `name` is None."""
    with writing(runs_dir):
        for candidate in [name] if name is not None else _numbered(default_name):
            try:
                os.rename(made, runs_dir / candidate)
                return runs_dir / candidate
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
    raise UserError(f"a run named {name!r} exists in {runs_dir}; choose another --name, or continue it with resume")


def legal_name(name: str) -> str:
    """Return what a folder is called that is meant to be called `name`."""
    return re.sub(r"[^\w.+=,-]", "-", name).lstrip(".-")[:190] or "run"


def _numbered(default_name: str) -> Iterator[str]:
    base = legal_name(default_name)
    yield base
    yield from (f"{base}-{number}" for number in itertools.count(2))


def _is_run(path: Path) -> bool:
    try:
        return (path / "manifest.json").is_file()
    except (OSError, ValueError):  # a name that no folder can have
        return False


def _nearest_runs(path: Path, runs: Path) -> str:
    names = sorted(path.name for path in runs.glob("[!.]*") if _is_run(path)) if runs.is_dir() else []
    if not names:
        return f"there are no runs in {runs}; start one with: evoplastic run"
    return f"the nearest runs in {runs} are {', '.join(difflib.get_close_matches(path.name, names, n=5, cutoff=0.0))}"


def _metrics_record(record: Mapping[str, Any]) -> dict[str, Any]:
    return {**record, "format": METRICS, "version": len(METRICS_MIGRATIONS) + 1}


def _read_manifest(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    packages, lineage = manifest.get("packages"), manifest.get("lineage")
    if not isinstance(packages, dict) or not isinstance(lineage, list) or not all(isinstance(e, dict) for e in lineage):
        raise UserError(f"{folder / 'manifest.json'} is damaged: it tells no packages or no lineage; restore it")
    return manifest
