"""The workers on a cluster's nodes, which may come and go: nodes are looked at, compile, and get workers.

    a node appears  ->  inspect: would it compute the same bits?  ->  compile: one life  ->  workers, one per CPU
    a worker dies   ->  what it was doing is reported to `on_loss`; another is hired at the next look
    a node is unfit ->  it is left out if others work; the run ends if not, or if it was there in the beginning

Everything that is waited for is a reference with a function to call when it is there.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from evoplastic.errors import UserError
from evoplastic.evaluators import ray_worker
from evoplastic.evaluators.ray_cluster import Cluster, brief, differences, worker_environment
from evoplastic.problems.contract import Problem

LISTEN_SECONDS = 0.1  # how long to wait for anything to happen
MUSTER_SECONDS = 1.0  # between looks at the cluster
PATIENCE_SECONDS = 30.0  # to wait for a CPU of a node before another node is tried
MOST_FAILURES = 3  # of a node in a row: workers that never came up, or no answer to what it is

T = TypeVar("T")


@dataclass(eq=False)
class Hand(Generic[T]):
    """A worker: an actor, the node it is on, and what it has to do, oldest first."""

    actor: Any
    node: str
    hired: float  # when
    up: bool = False
    tickets: list[T] = field(default_factory=list)


class Crew(Generic[T]):
    """As many workers as the cluster has CPUs, at most `most`.

    `on_loss(hand, died)` is told of every one that is lost, and whether it died of itself, not with its node.
    """

    def __init__(
        self,
        cluster: Cluster,
        problem: Problem,
        most: int | None,
        on_loss: Callable[[Hand[T], bool], None],
        tell: Callable[[str], None],
    ):
        self.prepared: list[dict[str, Any]] = []  # nodes since the last report: host, seconds, compiled
        self._cluster, self._most, self._on_loss, self._tell = cluster, most, on_loss, tell
        self._problem = ray.put(problem)
        self._facts = ray_worker.inspect()
        self._waiting: dict[Any, Callable[[Any], None]] = {}
        self._nodes: dict[str, bool] = {}  # whether its workers may start
        self._founders: set[str] = set()  # nodes that were there in the beginning
        self._hands: list[Hand[T]] = []
        self._dismissed: list[Any] = []  # actors to be ended once the head can be told
        self._tried: dict[str, float] = {}  # when a node was last found to be busy with others' work
        self._failures: Counter[str] = Counter()  # of each node
        self._mustered = -MUSTER_SECONDS

    @property
    def working(self) -> list[Hand[T]]:
        """The workers that are up."""
        return [hand for hand in self._hands if hand.up]

    def wait_for(self, ref: Any, then: Callable[[Any], None]) -> None:
        """Call `then(ref)` from `listen` once `ref` is there."""
        self._waiting[ref] = then

    def listen(self) -> None:
        """Wait a moment for anything to happen, and see to all that has."""
        refs = list(self._waiting)
        if not refs:
            time.sleep(LISTEN_SECONDS)
        elif ray.wait(refs, num_returns=1, timeout=LISTEN_SECONDS)[0]:
            for ref in ray.wait(refs, num_returns=len(refs), timeout=0)[0]:
                self._waiting.pop(ref)(ref)

    def muster(self) -> None:
        """Look at the cluster now and then: ask new nodes in, and hire where CPUs are free."""
        now = time.monotonic()
        if now - self._mustered < MUSTER_SECONDS or not self._cluster.answers(look_now=True):
            return
        self._mustered = now
        while self._dismissed:
            ray.kill(self._dismissed.pop())
        cpus = self._cluster.nodes()
        self._founders = self._founders or set(cpus)
        self._nodes = {node: ready for node, ready in self._nodes.items() if node in cpus}
        for node in cpus.keys() - self._nodes.keys():
            self._ask_in(node)
        self._withdraw(now)
        free = {node: count - sum(hand.node == node for hand in self._hands) for node, count in cpus.items()}
        wanted = min(self._most or sum(cpus.values()), sum(cpus.values()))
        while len(self._hands) < wanted:
            ready = [node for node in free if free[node] > 0 and self._nodes[node]]
            if not ready:
                break
            node = max(ready, key=lambda node: (-self._tried.get(node, 0.0), free[node]))
            free[node] -= 1
            self._hire(node)

    def lose(self, hand: Hand[T], died: bool) -> None:
        """Give up a worker that died, or that cannot be reached any more."""
        if hand in self._hands:
            self._hands.remove(hand)
            self._dismissed.append(hand.actor)
            self._on_loss(hand, died and self._is_alive(hand.node))

    def dismiss(self) -> None:
        """End all workers of a cluster that goes on without this process."""
        for hand in self._hands:
            ray.kill(hand.actor)
        self._hands, self._waiting = [], {}

    def _withdraw(self, now: float) -> None:
        """Stop waiting for CPUs that others keep busy, where there is a node that was not tried since."""
        for hand in [hand for hand in self._hands if not hand.up and now - hand.hired > PATIENCE_SECONDS]:
            self._tried[hand.node] = now
            if any(ready and self._tried.get(node, 0.0) < hand.hired for node, ready in self._nodes.items()):
                self._hands.remove(hand)
                self._dismissed.append(hand.actor)

    def _ask_in(self, node: str) -> None:
        self._nodes[node] = False
        inspect = on_node(node, ray_worker.inspect, num_cpus=0, max_retries=0)
        self.wait_for(inspect.remote(), lambda ref: self._inspected(node, ref))

    def _inspected(self, node: str, ref: Any) -> None:
        """A node has said what it is: let it compile, unless it would compute other bits."""
        try:
            other = differences(self._facts, ray.get(ref))
        except RayTaskError as error:
            self._leave_out(
                node, f"cannot run evoplastic: {error.cause}; set it up as this machine", node in self._founders
            )
        except RayError as error:
            self._failed(node, error)
        else:
            if other:
                said = f"has {', '.join(other)}, and would compute other bits; set it up as this machine"
                self._leave_out(node, said, node in self._founders)
                return
            compile_kernels = on_node(node, ray_worker.compile_kernels, num_cpus=0, max_retries=0)
            self.wait_for(compile_kernels.remote(self._problem), lambda ref: self._compiled(node, ref))

    def _compiled(self, node: str, ref: Any) -> None:
        """A node has every kernel: its workers may start."""
        try:
            self.prepared.append({"node": node[:8], **ray.get(ref)})
        except RayTaskError:  # an error in a life, not in the cluster
            self._nodes.pop(node, None)  # it may also have gone meanwhile
            raise
        except RayError as error:
            self._failed(node, error)
        else:
            self._nodes[node] = True
            self._mustered = -MUSTER_SECONDS

    def _hire(self, node: str) -> None:
        actor = on_node(node, ray_worker.Worker, num_cpus=1, max_restarts=0, max_task_retries=0)
        hand: Hand[T] = Hand(actor.remote(self._problem), node, time.monotonic())
        self._hands.append(hand)
        self.wait_for(hand.actor.greet.remote(), lambda ref: self._greeted(hand, ref))

    def _greeted(self, hand: Hand[T], ref: Any) -> None:
        """A worker is up, unless it was withdrawn meanwhile or never came."""
        if hand not in self._hands:
            return
        try:
            ray.get(ref)
        except RayError as error:
            self.lose(hand, died=False)
            self._failed(hand.node, error)
        else:
            hand.up = True
            del self._failures[hand.node]

    def _failed(self, node: str, error: RayError) -> None:
        """A node went while it was asked in, or a worker never came up: try again, but not for ever."""
        self._failures[node] += 1
        if self._failures[node] >= MOST_FAILURES:
            self._leave_out(node, f"failed {MOST_FAILURES} times in a row: {brief(error)}; see to that and resume")
        elif not self._nodes.get(node):
            self._nodes.pop(node, None)  # asked again when mustered

    def _leave_out(self, node: str, why: str, refused: bool = False) -> None:
        """Go on without a node as long as there are others; UserError if not, or if it is to be refused."""
        if refused or not self.working:
            self._nodes.pop(node, None)
            raise UserError(f"node {node[:8]} of the cluster {why}")
        self._nodes[node] = False
        self._tell(f"node {node[:8]} is left out: it {why}")

    def _is_alive(self, node: str) -> bool:
        return self._cluster.answers(look_now=True) and node in self._cluster.nodes()


def on_node(node: str, work: Any, **options: Any) -> Any:
    """Return `work` as a Ray task or actor on that node and no other, with a worker's environment."""
    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(**options)(work).options(
        scheduling_strategy=strategy, runtime_env={"env_vars": worker_environment()}
    )
