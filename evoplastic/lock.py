"""The lock of a run folder: one writer at a time, and none for ever.

The file `lock` is held by flock, which the operating system drops when the process dies, and says who holds it:
host, pid, start and a nonce. Where the file system has no flock the words alone are the lock, so a crash leaves it
held until `--break-lock`. Either way a writer that was robbed of its lock finds another nonce there and stops.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evoplastic.errors import UserError, writing

_HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_LAST_WRITE_SECONDS = 0.3
_LOOK_SECONDS = 0.1  # for those who take the flock for a moment, only to see whether it is free
_UNSUPPORTED = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS)


class RunLock:
    """Context manager: the right to write into the run folder `folder`; UserError names who has it already.

    `break_lock` takes the lock from whoever has it, alive or not.
    """

    def __init__(self, folder: Path, break_lock: bool = False):
        self._path = folder / "lock"
        self._break_lock = break_lock
        self._descriptor: int | None = None
        self._nonce: str | None = None

    def __enter__(self) -> RunLock:
        with writing(self._path):
            robbed = self._rob() if self._break_lock else None
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                self._claim(descriptor)
                if robbed is not None:
                    _outlast(robbed)
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor = descriptor
        os.register_at_fork(after_in_child=self._forget)  # a child that outlives us must not keep the lock
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None and self._holder().get("nonce") == self._nonce:
            os.ftruncate(self._descriptor, 0)
            with contextlib.suppress(OSError):  # a child between fork and exec still shares it: closing is not enough
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._forget()

    def check(self) -> None:
        """Raise UserError if the run is in another process's hands; cheap enough before every rename."""
        holder = self._holder()
        if holder.get("nonce") != self._nonce:
            raise UserError(
                f"run {self._path.parent.name!r} was taken over by {_who(holder)}; "
                "this process stops without writing, continue there"
            )

    def _rob(self) -> int | None:
        """Take the lock file's name from it; return its descriptor, None if there was no file that can be read."""
        descriptor = None
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, os.O_RDONLY)
        self._path.unlink(missing_ok=True)  # the robbed holder keeps its flock, on a file without a name
        return descriptor

    def _claim(self, descriptor: int) -> None:
        give_up = time.monotonic() + _LOOK_SECONDS
        while not self._is_free(descriptor):
            if time.monotonic() > give_up:
                raise UserError(
                    f"run {self._path.parent.name!r} is in use by {_who(self._holder())}; "
                    "wait for it to end, or take the run from it with --break-lock"
                )
            time.sleep(0.01)
        self._nonce = secrets.token_hex(16)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_words(self._nonce)).encode() + b"\n", 0)
        os.fsync(descriptor)

    def _is_free(self, descriptor: int) -> bool:
        """Take the flock, if nobody has it; where there is none, nobody's words may stand in the file."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except OSError as error:
            if error.errno not in _HELD + _UNSUPPORTED:
                raise
            return error.errno in _UNSUPPORTED and not self._holder()

    def _holder(self) -> dict[str, Any]:
        """Return what the lock file says, {} if it is empty, half-written or gone."""
        try:
            holder = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return holder if isinstance(holder, dict) else {}

    def _forget(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = self._nonce = None


def is_taken(folder: Path) -> bool:
    """Return whether a process evolves the run in `folder` right now."""
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no run yet, or no flock here: its own lock will tell
        return False
    return False


def _outlast(robbed: int) -> None:
    """Wait for a robbed holder to let go, but not for long: to end the write that it had looked up its lock for.

    Whoever read the run before that would carry it on beside a record or a checkpoint that it does not know.
    """
    give_up = time.monotonic() + _LAST_WRITE_SECONDS
    try:
        while os.fstat(robbed).st_size and time.monotonic() < give_up:
            with contextlib.suppress(OSError):
                fcntl.flock(robbed, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.01)
    finally:
        os.close(robbed)


def _words(nonce: str) -> dict[str, Any]:
    return {
        "format": "evoplastic.lock",
        "version": 1,
        "host": platform.node(),
        "pid": os.getpid(),
        "start": datetime.now(UTC).isoformat(timespec="seconds"),
        "nonce": nonce,
    }


def _who(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process"
    return f"process {holder.get('pid')} on {holder.get('host')} since {holder.get('start')}"
