"""Where lives are computed. A new backend is a file here and a line in EVALUATORS.

Each entry opens a backend from (problem, placement, abandon, tell): `abandon` is asked now and then whether to give
up, `tell` is told of losses in a sentence each.
"""

from __future__ import annotations

from collections.abc import Callable

from evoplastic.errors import UserError, nearest
from evoplastic.evaluators.contract import Evaluator, Placement
from evoplastic.problems.contract import Problem

Abandon = Callable[[], bool]
Tell = Callable[[str], None]


def check_backend(backend: str, placement: Placement) -> None:
    """Raise UserError for a backend that there is not, or one that is not placed so."""
    if backend not in EVALUATORS:
        known = list(EVALUATORS)
        raise UserError(f"backend {backend!r} is unknown; choose one of {known}{nearest(backend, known)}")
    if placement.address and backend != "ray":
        raise UserError(f"only a Ray cluster has an address, got {placement.address!r}; add --backend ray")


def open_evaluator(
    backend: str,
    problem: Problem,
    placement: Placement,
    abandon: Abandon = lambda: False,
    tell: Tell = lambda sentence: None,
) -> Evaluator:
    """Open a backend by name; UserError if there is none of that name, or it cannot be had."""
    check_backend(backend, placement)
    return EVALUATORS[backend](problem, placement, abandon, tell)


def _threads(problem: Problem, placement: Placement, abandon: Abandon, tell: Tell) -> Evaluator:
    from evoplastic.evaluators.threads import Threads

    return Threads(problem, placement.workers, abandon)


def _ray(problem: Problem, placement: Placement, abandon: Abandon, tell: Tell) -> Evaluator:
    from evoplastic.evaluators.ray_cluster import set_out

    set_out(placement)
    from evoplastic.evaluators.ray import RayWorkers  # imports Ray, which takes a second and reads what was set out

    return RayWorkers(problem, placement, abandon, tell)


EVALUATORS: dict[str, Callable[[Problem, Placement, Abandon, Tell], Evaluator]] = {"threads": _threads, "ray": _ray}
