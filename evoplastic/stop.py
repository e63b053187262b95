"""Asking work to stop: what signal handlers count and loops look at."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # a person, a machine, a batch queue ahead of time


@dataclass
class StopRequest:
    """What a signal handler sets: finish the generation and stop; asked twice, abandon the generation."""

    grace: float | None = None  # seconds after the first request until the work under way is abandoned; None: for ever
    times: int = 0
    patience: int = 2  # requests after which the work under way is abandoned
    _first: float = field(default=0.0, repr=False)

    def ask(self) -> None:
        self._first = self._first or time.monotonic()
        self.times += 1

    def finish(self) -> bool:
        """Return whether to stop at the next generation boundary."""
        return self.times > 0

    def abandon(self) -> bool:
        """Return whether to give up the running generation."""
        late = self.grace is not None and self.finish() and time.monotonic() - self._first >= self.grace
        return late or self.times >= self.patience


def listen(stop: StopRequest) -> None:
    """Let each of SIGNALS ask `stop`, and say on stderr what that does. For programs, not for libraries."""

    def hear(number: int, frame: object) -> None:
        stop.ask()
        # Straight to the descriptor: a handler that interrupts a print must not print.
        told = b"abandoning it\n" if stop.abandon() else b"finishing this generation; interrupt again to abandon it\n"
        os.write(2, told)

    for number in SIGNALS:
        signal.signal(number, hear)
