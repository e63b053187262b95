"""A Ray cluster for tests: logical nodes on this machine, and the processes that it is made of."""

import os
import signal
import time
from pathlib import Path

MEMORY = 80 * 2**20


def start_cluster(cpus=3):
    """Return a cluster with a head of so many CPUs."""
    from ray.cluster_utils import Cluster

    return Cluster(initialize_head=True, head_node_args=node(cpus))


def node(cpus):
    return {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": MEMORY}


def processes():
    """Return the parent and the command of every process of this machine."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if stat[0] != "Z":
            found[int(folder.name)] = int(stat[1]), command
    return found


def descendants(root):
    """Return the command of every process below `root`, by its number."""
    found, below = processes(), {root}
    for _ in range(len(found)):
        more = {pid for pid, (parent, _) in found.items() if parent in below} - below
        if not more:
            break
        below |= more
    return {pid: found[pid][1] for pid in below & found.keys() if pid != root}


def workers():
    """Return the processes of workers below this one."""
    return [pid for pid, command in descendants(os.getpid()).items() if command.startswith("ray::Worker")]


def kill_one(workers):
    """Kill the first of these processes that still lives; return how many were killed."""
    for pid in workers:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        return 1
    return 0


def wait_until(happened, seconds=120):
    give_up = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)
