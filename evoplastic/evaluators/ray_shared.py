"""One Ray for several runs: opened here if none is named, and joined by each run at its address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from evoplastic.evaluators.contract import Placement
from evoplastic.evaluators.ray_cluster import Cluster, set_out


class Shared(NamedTuple):
    """Where runs find the cluster, and how many workers it has room for."""

    address: str
    cpus: int


@contextmanager
def shared_cluster(placement: Placement) -> Iterator[Shared]:
    """Yield the named cluster or one of our own, which is there until the end; its token is in the environment."""
    set_out(placement)
    import ray  # reads what was set out

    cluster = Cluster(placement)
    try:
        shared = Shared(ray.get_runtime_context().gcs_address, sum(cluster.nodes().values()))
        if cluster.joined:
            cluster.close()  # a connection that does nothing would end this process if the cluster went away
        yield shared
    finally:
        cluster.close()
