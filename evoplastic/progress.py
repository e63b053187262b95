"""What a person sees while a run goes on: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

from rich.console import Console
from rich.filesize import decimal
from rich.live import Live
from rich.text import Text

from evoplastic.analysis.evaluation_table import listed
from evoplastic.evolution import Record
from evoplastic.launch import Run
from evoplastic.problems.contract import METRIC

_PLAIN_SECONDS = 10.0  # between plain lines
_BOARD_SECONDS, _PLAIN_BOARD_SECONDS = 1.0, 60.0  # between looks at many runs


class Board(NamedTuple):
    """Where the runs of a group stand."""

    total: int
    done: int
    failed: int
    running: dict[str, tuple[int, int]]  # generations, and how many it will be

    def lines(self) -> list[str]:
        """Return how many there are in each state, then a line for each running one."""
        failed = f", {self.failed} failed" if self.failed else ""
        counts = f"cells {self.done}/{self.total} done, {len(self.running)} running{failed}"
        return [counts, *(f"{name} at {reached}/{total}" for name, (reached, total) in self.running.items())]

    def line(self) -> str:
        """Return all of it in one line."""
        counts, *running = self.lines()
        return f"{counts} ({', '.join(running)})" if running else counts


class Screen:
    """Writes for people: to stdout, or to stderr where stdout is for JSON."""

    def __init__(self, to_stderr: bool = False):
        self._console = Console(stderr=to_stderr, highlight=False, soft_wrap=True)

    def say(self, line: str) -> None:
        self._console.print(line, markup=False)

    def warn(self, line: str) -> None:
        self._console.print(f"warning: {line}", style="yellow", markup=False)

    def introduce(self, run: Run) -> None:
        """Say what is about to happen."""
        config, problem = run.config, run.search.problem
        withheld = f"withheld: {listed(problem.withheld)} ({problem.withholding})"
        self.say(f"{run.folder.path}: {config.summary}")
        self.say(
            f"{problem.layout.size} genes; generations {run.state.generation} to {config.generations}; "
            f"{withheld if problem.withheld else problem.withholding}"
        )
        strategy, kind = run.search.strategy, config.strategy.__struct_config__.tag
        self.say(f"strategy {kind}: {decimal(strategy.memory())} of memory beside the lifetimes")
        for note in strategy.notes(config.generations):
            self.say(note)

    @contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show that `what` is going on; yield a function that tells what has been done of it."""
        if not self._console.is_terminal:
            self.say(what)
            yield lambda done: None
            return
        with self._console.status(what) as status:
            yield lambda done: status.update(f"{what}: {done.replace('_', ' ')} done")

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Print rows of cells, the first row as the header; a narrow terminal wraps lines and loses no number.

        A column that is empty under its head is left out.
        """
        labels, *columns = zip(*rows)
        filled = [labels, *(column for column in columns if any(column[1:]))]
        label, *widths = (max(map(len, column)) for column in filled)
        for number, row in enumerate(zip(*filled)):
            cells = [row[0].ljust(label), *(cell.rjust(width) for cell, width in zip(row[1:], widths))]
            self._console.print("  ".join(cells).rstrip(), style="bold" if number == 0 else None, markup=False)

    @contextmanager
    def progress(self, run: Run) -> Iterator[Callable[[Record], None]]:
        """Yield a watcher that shows every record as it comes."""
        line = ProgressLine(run)
        if self._console.is_terminal:
            self.say("compiling kernels (the first run after an update takes some seconds longer)")
            with Live(console=self._console, refresh_per_second=8) as live:
                yield lambda record: live.update(Text(line.after(record)))
            return
        last = -_PLAIN_SECONDS

        def watch(record: Record) -> None:
            nonlocal last
            text = line.after(record)
            if time.monotonic() - last >= _PLAIN_SECONDS or record.state.generation == run.config.generations:
                last = time.monotonic()
                self.say(text)

        yield watch

    @contextmanager
    def board(self) -> Iterator[Callable[[Callable[[], Board]], None]]:
        """Yield a watcher that shows where many runs stand, and asks it only as often as it is shown."""
        terminal, last = self._console.is_terminal, time.monotonic()
        seconds = _BOARD_SECONDS if terminal else _PLAIN_BOARD_SECONDS
        with Live(console=self._console, auto_refresh=False, transient=True) if terminal else nullcontext() as live:

            def watch(look: Callable[[], Board]) -> None:
                nonlocal last
                now = time.monotonic()
                if now - last < seconds:
                    return
                last = now
                if live:
                    live.update(Text("\n  ".join(look().lines())), refresh=True)
                else:
                    self.say(look().line())

            yield watch


class ProgressLine:
    """Generation, training score, last validation with its age and n, chance, lives per second, time left."""

    def __init__(self, run: Run):
        self._total = run.config.generations
        self._metric = run.search.problem.columns[METRIC]
        self._chance = f"{run.search.problem.called[0]} {run.search.problem.chance:.2f}"
        self._validated: tuple[int, dict[str, float]] | None = None
        self._recent: deque[tuple[float, int]] = deque(maxlen=20)  # (seconds, lives) of the last generations
        self._seen = 0  # generations

    def after(self, record: Record) -> str:
        """Return the line after one more generation."""
        if record.metrics["validation"]:
            self._validated = record.generation, record.metrics["validation"]
        lives = record.lives + record.validation_lives
        if self._seen == 1:
            self._recent.clear()  # the first generation also compiled, so its seconds say nothing of the others
        self._seen += 1
        self._recent.append((record.seconds + record.validation_seconds, lives))
        seconds = sum(seconds for seconds, _ in self._recent)
        left = (self._total - record.state.generation) * seconds / len(self._recent)
        rate = sum(lives for _, lives in self._recent) / seconds
        return (
            f"generation {record.state.generation}/{self._total}  "
            f"training {record.metrics['training'][self._metric]:.3f}  "
            f"{self._validation(record.generation)}{self._chance}  "
            f"{rate:.0f} lives/s  {_duration(left)} left"
        )

    def _validation(self, generation: int) -> str:
        if self._validated is None:
            return ""
        made, scores = self._validated
        kept = {"validation tasks": scores.get("validation"), "withheld": scores["withheld"]}
        withheld = "".join(f", {part} {score:.3f}" for part, score in kept.items() if score is not None)
        age = f"{generation - made} generations ago" if generation > made else "now"
        return f"validation {scores['training']:.3f}{withheld} ({age}, {scores['lives']} lives per task)  "


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
