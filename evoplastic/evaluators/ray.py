"""Lives on a Ray cluster, whose workers may die at any moment without anything to be seen in the result.

    problem     once per run            )
    candidates  once per evaluation     )  into Ray's object store, from where each node fetches them once
    jobs        chunk by chunk          ->  to a worker; AHEAD of them wait there
    rows        and the seconds taken   <-  placed by the ledger; the first answer wins

What is computed is a pure function of the job, so a chunk lost with its worker goes to another, and a late one to a
second worker. A job in which workers keep dying is Poisoned; one that went with its whole node is not to blame.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayError, RayTaskError, WorkerCrashedError

from evoplastic.evaluators.contract import Abandoned, Job, Measure, Placement, Poisoned, Row
from evoplastic.evaluators.ledger import Ledger
from evoplastic.evaluators.ray_cluster import Cluster
from evoplastic.evaluators.ray_crew import LISTEN_SECONDS, Crew, Hand
from evoplastic.problems.contract import Problem
from evoplastic.strategies.contract import Candidates

AHEAD = 2  # chunks with a worker, the first of them under way
LATE, LATE_SECONDS = 2.0, 0.1  # times its expected seconds, and so many more, until a chunk goes to a second worker
HUNG, HUNG_SECONDS = 20.0, 60.0  # times the usual seconds, and at least so many, until a chunk's worker is given up
DEATHS = (ActorDiedError, OutOfMemoryError, WorkerCrashedError)  # of a worker; other errors may be the network's
WARN_SECONDS = 60.0  # between warnings that nobody is there to work


@dataclass(eq=False)
class Evaluation:
    """One call of `evaluate`."""

    ledger: Ledger
    candidates: Any  # a reference
    jobs: Sequence[Job]
    measure: Measure


@dataclass(eq=False)
class Ticket:
    """A chunk in a worker's hands."""

    evaluation: Evaluation
    chunk: range
    issued: float  # when
    expected: float  # seconds until it is done, those of the chunks before it included; 0: nobody knows
    begun: float = 0.0  # when it became its worker's first
    copied: bool = False  # given to a second worker


@dataclass
class Counts:
    """What happened since the last report."""

    restarts: int = 0
    retried_chunks: int = 0
    copied_chunks: int = 0
    timeouts: int = 0
    busy: float = 0.0  # seconds, of all workers
    present: float = 0.0


class RayWorkers:
    """See `evaluators.contract.Evaluator`; `tell` is told of losses."""

    def __init__(
        self,
        problem: Problem,
        placement: Placement,
        abandon: Callable[[], bool] = lambda: False,
        tell: Callable[[str], None] = lambda sentence: None,
    ):
        self._abandon, self._tell = abandon, tell
        self._cluster = Cluster(placement)
        self._crew: Crew[Ticket] = Crew(self._cluster, problem, placement.workers, self._lost, tell)
        self._current: Evaluation | None = None
        self._seconds_per_job: float | None = None
        self._counts = Counts()
        self._losses: list[int] = []  # lives to live again, for each worker lost since that was last told
        self._idle_since = self._watched = time.monotonic()

    def evaluate(self, candidates: Candidates, jobs: Sequence[Job], measure: Measure = "score") -> Row:
        while not self._cluster.answers(look_now=True):  # Ray would end this process over a put without a head
            if self._abandon():
                raise Abandoned
            time.sleep(LISTEN_SECONDS)
        evaluation = self._current = Evaluation(Ledger(len(jobs)), ray.put(candidates), jobs, measure)
        while not evaluation.ledger.finished:
            self._crew.muster()
            self._hand_out(evaluation)
            self._crew.listen()
            self._look_around()
            if self._abandon():
                raise Abandoned
        return evaluation.ledger.rows

    def report(self) -> dict[str, Any]:
        counts, self._counts = self._counts, Counts()
        nodes, self._crew.prepared = self._crew.prepared, []
        return {
            "workers": len(self._crew.working),
            "idle_fraction": 1.0 - counts.busy / counts.present if counts.present else 0.0,
            "restarts": counts.restarts,
            "retried_chunks": counts.retried_chunks,
            "copied_chunks": counts.copied_chunks,
            "timeouts": counts.timeouts,
            **({"nodes": nodes} if nodes else {}),
        }

    def close(self) -> None:
        self._current = None
        if not self._cluster.close():
            self._crew.dismiss()

    def _hand_out(self, evaluation: Evaluation) -> None:
        """Keep AHEAD chunks with every worker; when there are none left, a late one goes to an idle worker too."""
        working = self._crew.working
        for depth in range(AHEAD):
            for hand in working:
                if len(hand.tickets) > depth:
                    continue
                chunk = evaluation.ledger.take(len(working), self._seconds_per_job)
                if chunk is None and depth == 0:
                    chunk = self._late(evaluation)
                if chunk is None:
                    return
                self._issue(hand, evaluation, chunk)

    def _issue(self, hand: Hand[Ticket], evaluation: Evaluation, chunk: range) -> None:
        ahead = sum(len(ticket.chunk) for ticket in hand.tickets) + len(chunk)
        ticket = Ticket(evaluation, chunk, time.monotonic(), ahead * (self._seconds_per_job or 0.0))
        self._hold(hand, [*hand.tickets, ticket])
        jobs = evaluation.jobs[chunk.start : chunk.stop]
        ref = hand.actor.live.remote(evaluation.candidates, evaluation.measure, jobs)
        self._crew.wait_for(ref, lambda ref: self._answered(hand, ticket, ref))

    def _late(self, evaluation: Evaluation) -> range | None:
        """Return the oldest chunk that is late and with one worker only."""
        now = time.monotonic()
        tickets = [ticket for hand in self._crew.working for ticket in hand.tickets]
        late = [
            ticket
            for ticket in tickets
            if ticket.evaluation is evaluation and not ticket.copied
            if now - ticket.issued > LATE * ticket.expected + LATE_SECONDS and evaluation.ledger.wants(ticket.chunk)
        ]
        if not late or self._seconds_per_job is None:
            return None
        oldest = min(late, key=lambda ticket: ticket.issued)
        oldest.copied = True
        self._counts.copied_chunks += 1
        return oldest.chunk

    def _answered(self, hand: Hand[Ticket], ticket: Ticket, ref: Any) -> None:
        try:
            rows, seconds = ray.get(ref)
        except RayTaskError:
            self._hold(hand, [other for other in hand.tickets if other is not ticket])
            if ticket.evaluation is self._current:
                raise  # an error in a life
        except RayError as error:
            self._crew.lose(hand, isinstance(error, DEATHS))
        else:
            self._hold(hand, [other for other in hand.tickets if other is not ticket])
            self._counts.busy += seconds
            self._learn(seconds / len(ticket.chunk))
            ticket.evaluation.ledger.put(ticket.chunk, rows)

    def _hold(self, hand: Hand[Ticket], tickets: list[Ticket]) -> None:
        """Put these into a worker's hands; it is at the first."""
        if tickets and tickets[0] not in hand.tickets[:1]:
            tickets[0].begun = time.monotonic()
        hand.tickets = tickets

    def _learn(self, seconds_per_job: float) -> None:
        """Remember how long a job takes; at once if it is less, for a worker's first chunk also loads the kernels."""
        known = self._seconds_per_job
        slower = known and seconds_per_job > known
        self._seconds_per_job = 0.8 * known + 0.2 * seconds_per_job if known and slower else seconds_per_job

    def _lost(self, hand: Hand[Ticket], died: bool) -> None:
        """A worker is lost: its chunks go to others, and if it died of itself the first of them is under suspicion."""
        self._counts.restarts += 1
        tickets, hand.tickets = hand.tickets, []
        wanted = [
            ticket
            for ticket in tickets
            if ticket.evaluation is self._current and ticket.evaluation.ledger.wants(ticket.chunk)
        ]
        self._counts.retried_chunks += len(wanted)
        self._losses.append(sum(len(ticket.chunk) for ticket in wanted))
        for ticket in wanted:
            ledger, jobs = ticket.evaluation.ledger, ticket.evaluation.jobs
            if not died or ticket is not tickets[0]:
                ledger.give_back(ticket.chunk)
                continue
            killer = ledger.died_in(ticket.chunk)
            if killer is not None:
                raise Poisoned(jobs[killer], ledger.deaths(killer))

    def _look_around(self) -> None:
        """Give up workers that hang, count who is there, tell of losses and of nobody being there."""
        now, working = time.monotonic(), self._crew.working
        for hand in working:
            first = hand.tickets[0] if hand.tickets else None
            usual = self._seconds_per_job
            if first and usual and now - first.begun > max(HUNG_SECONDS, HUNG * usual * len(first.chunk)):
                self._counts.timeouts += 1
                self._crew.lose(hand, died=True)
        self._counts.present += len(working) * (now - self._watched)
        self._watched = now
        if self._losses:
            lost, lives, self._losses = len(self._losses), sum(self._losses), []
            self._tell(f"{lost} worker{'s' * (lost > 1)} lost; {lives} lives go to others")
        if working:
            self._idle_since = now
        elif now - self._idle_since > WARN_SECONDS:
            self._idle_since = now
            self._tell("no worker is up: waiting for free CPUs in the cluster")
