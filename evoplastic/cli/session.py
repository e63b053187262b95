"""How a command about a run works: where lives are computed, who may stop it, who is told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, NamedTuple, TextIO

if TYPE_CHECKING:
    from evoplastic.evaluators.contract import Evaluator, Placement
    from evoplastic.evolution import Search
    from evoplastic.progress import Screen
    from evoplastic.stop import StopRequest


class Session(NamedTuple):
    """How a command about a run works: where lives are computed, who may stop it, who is told."""

    screen: Screen
    stop: StopRequest
    backend: str
    placement: Placement
    skip_poison: bool
    as_json: bool
    out: TextIO
    evaluates: bool = True
    track: str | None = None

    @contextmanager
    def evaluator(self, search: Search) -> Iterator[Evaluator]:
        """Open where lives are computed; what a cluster costs is closed again whatever happens."""
        from evoplastic.evaluators import open_evaluator

        with redirect_stdout(sys.stderr) if self.as_json else nullcontext():  # Ray prints what befalls its nodes
            evaluator = open_evaluator(
                self.backend, search.problem, self.placement, self.stop.abandon, self.screen.warn
            )
            try:
                yield evaluator
            finally:
                evaluator.close()


def open_session(
    backend: str,
    workers: int | None,
    address: str | None,
    grace: float | None,
    as_json: bool,
    skip_poison: bool = False,
) -> Session:
    """Listen to signals from here on, and refuse a backend that there is not."""
    from evoplastic.stop import StopRequest, listen

    stop = StopRequest(grace)
    listen(stop)
    from evoplastic.evaluators import check_backend
    from evoplastic.evaluators.contract import Placement
    from evoplastic.progress import Screen

    check_backend(backend, Placement(workers, address))
    return Session(Screen(as_json), stop, backend, Placement(workers, address), skip_poison, as_json, sys.stdout)
