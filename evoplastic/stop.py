"""Asking work to stop: what signal handlers count and loops look at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class StopRequest:
    """What a signal handler sets: finish the generation and stop; asked twice, abandon the generation."""

    times: int = 0
    patience: int = 2  # requests after which the work under way is abandoned

    def ask(self) -> None:
        self.times += 1

    def finish(self) -> bool:
        """Return whether to stop at the next generation boundary."""
        return self.times > 0

    def abandon(self) -> bool:
        """Return whether to give up the running generation."""
        return self.times >= self.patience
