"""Jobs as processes of their own, some side by side: started, watched, told to stop, and never left behind.

    waiting  ->  running  ->  its exit code
                    |  died of a signal or a bug: started once more, at once

What a stop means is each job's own business: every request is handed on as SIGTERM, and all jobs are waited for. They
live in sessions of their own, so a terminal's Ctrl-C reaches them through here and once. On Linux they get SIGTERM too
when this process is gone, whatever it died of.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from evoplastic.errors import writing
from evoplastic.groups import is_done, is_taken
from evoplastic.stop import StopRequest
from evoplastic.sweeps import Planned

DONE, MISTAKE, INTERRUPTED = 0, 2, 130
POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1  # of Linux's prctl
_TAIL = 8192  # bytes of a log in which its last line is looked for


class Job(NamedTuple):
    """A command, and where its output is appended."""

    name: str
    command: list[str]
    log: Path
    is_taken: Callable[[], bool] = lambda: False  # another process is at it: wait
    is_done: Callable[[], bool] = lambda: False  # by another process, in the meantime


class Fleet:
    """Some jobs, at most `parallel` of them running."""

    def __init__(self, jobs: Iterable[Job], parallel: int, tell: Callable[[str], None] = lambda sentence: None):
        self.waiting = list(jobs)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.codes: dict[str, int] = {}  # of jobs that ended, in the order in which they did
        self._jobs = {job.name: job for job in self.waiting}
        self._parallel, self._tell = parallel, tell
        self._tried_again: set[str] = set()
        self._handed_on = 0  # requests to stop
        self._told_of_taken = False

    def work(self, stop: StopRequest, watch: Callable[[Fleet], None] = lambda fleet: None) -> dict[str, int]:
        """Run the jobs until all have ended or, once `stop` is asked, those that run; return their exit codes.

        `watch` is called several times a second.
        """
        try:
            while self.running or (self.waiting and not stop.finish()):
                self._hand_on(stop)
                self._fill(stop)
                watch(self)
                time.sleep(POLL_SECONDS)
                self._collect(stop)
            watch(self)
        finally:
            for process in self.running.values():  # an error is on its way
                process.terminate()
            for process in self.running.values():
                process.wait()
        return self.codes

    def _hand_on(self, stop: StopRequest) -> None:
        while self._handed_on < stop.times:
            self._handed_on += 1
            for process in self.running.values():
                process.terminate()

    def _fill(self, stop: StopRequest) -> None:
        """Start waiting jobs that nobody else is at while there is room."""
        for job in list(self.waiting):
            if stop.finish() or len(self.running) >= self._parallel:
                return
            if job.is_taken():
                continue
            self.waiting.remove(job)
            if not job.is_done():
                self._start(job)
        if self.waiting and not self.running and not self._told_of_taken:
            self._told_of_taken = True
            self._tell(f"waiting for {', '.join(job.name for job in self.waiting)}: another process is at it")

    def _start(self, job: Job) -> None:
        with writing(job.log):
            log = job.log.open("ab")
        with log:
            self.running[job.name] = subprocess.Popen(
                job.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_bound_to(os.getpid()),
            )

    def _collect(self, stop: StopRequest) -> None:
        """Note which jobs have ended; one that died is started again, if this is the first time."""
        for name, process in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            del self.running[name]
            died = code not in (DONE, MISTAKE, INTERRUPTED)
            if code == MISTAKE and (self._jobs[name].is_taken() or self._jobs[name].is_done()):
                self.waiting.append(self._jobs[name])  # another process was quicker to take it
            elif died and name not in self._tried_again and not stop.finish():
                self._tried_again.add(name)
                self._tell(f"{name} died and is started once more; it said {last_line(self._jobs[name].log, code)}")
                self._start(self._jobs[name])
            else:
                self.codes[name] = code
                stopped = code == INTERRUPTED or stop.finish()
                self._tell(f"{name} {'is done' if code == DONE else 'stopped' if stopped else 'failed'}")


def cell_job(
    group: Path, planned: Planned, given: Iterable[str], is_done: Callable[[Path, int], bool] = is_done
) -> Job:
    """Return the job that runs a group's cell or carries it on, with the options `given` to all cells."""
    cell, overrides, config = planned
    folder = group / cell.name
    words = ["run", cell.source, "--name", cell.name, "--runs-dir", str(group), "--seed", str(cell.seed)]
    words += [word for override in overrides for word in ("--set", override)]
    return Job(
        cell.name,
        [sys.executable, "-m", "evoplastic", *words, *given, "--resume-if-exists"],
        group / f"{cell.name}.log",
        is_taken=lambda: is_taken(folder),
        is_done=lambda: is_done(folder, config.generations),
    )


def last_line(log: Path, code: int) -> str:
    """Return what a job that ended with `code` said last, and the signal that it died of."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        lines = file.read().decode(errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing was said")
    return f"killed by {signal.Signals(-code).name} after: {said}" if code < 0 else said


def _bound_to(parent: int) -> Callable[[], None] | None:
    """Return what a child does before it starts so as to get SIGTERM when `parent` is gone; None where nothing can."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # gone already
            os._exit(INTERRUPTED)

    return bind
