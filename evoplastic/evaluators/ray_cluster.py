"""A Ray cluster of our own or one to join: what is shipped to it, which nodes it has, whether it is still there.

Ray is the engine; here is only what it leaves to its users. The package is shipped with the run, so nodes need the
libraries but not evoplastic. When the head is gone, `ray.nodes()` and the like block for a minute and then end the
process; when this node's own daemon is gone, `ray.put` ends it at once. So both doors are knocked at before such calls.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from evoplastic.errors import UserError
from evoplastic.evaluators.contract import Placement
from evoplastic.evaluators.ray_worker import ONE_THREAD
from evoplastic.evaluators.threads import available_cores
from evoplastic.jit import PACKAGE
from evoplastic.plugins import SHIPPED, shipment
from evoplastic.tasks.specs import spec_folder

LOCAL = "local"  # the address of a Ray of our own, also where the environment names another
KNOCK_SECONDS = 1.0  # between looks at the head
LOST_SECONDS = 20.0  # of silence, after which the cluster is given up; Ray itself would end this process after 60
_ANSWER_SECONDS = 5.0  # to wait for a connection
_OBJECT_STORE_BYTES = 256 * 2**20  # a generation ships little more than its center


class Cluster:
    """A connection to Ray. Whoever opens it closes it."""

    def __init__(self, placement: Placement):
        import ray

        self._ray = ray
        self.joined = _address(placement) is not None
        self._entered = not ray.is_initialized()
        if self._entered:
            _connect(_address(placement), placement.workers or available_cores())
        self._head = _host_and_port(ray.get_runtime_context().gcs_address)
        self._doors = [self._head, self._daemon()]
        self._looked = 0.0
        self._silent_since: float | None = None
        cpus = sum(self.nodes().values())  # none at all may be a head whose nodes are still to come
        if cpus < (placement.workers or 0):
            self.close()
            raise UserError(f"the Ray cluster has {cpus} CPUs, --workers asks for {placement.workers}; ask for fewer")

    def nodes(self) -> dict[str, int]:
        """Return the CPUs of each living node that has any, by the node's id, in the order of ids."""
        alive = (node for node in self._ray.nodes() if node["Alive"])
        cpus = {node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in alive}
        return {node: count for node, count in sorted(cpus.items()) if count}

    def answers(self, look_now: bool = False) -> bool:
        """Return whether the cluster is there, looking at most every KNOCK_SECONDS; UserError once it is given up."""
        now = time.monotonic()
        if look_now or now - self._looked >= KNOCK_SECONDS:
            self._looked = now
            if all(map(_is_open, self._doors)):
                self._silent_since = None
            elif self._silent_since is None:
                self._silent_since = now
            elif now - self._silent_since >= LOST_SECONDS:
                raise UserError(
                    f"the Ray cluster at {self._head[0]}:{self._head[1]} has not answered for {LOST_SECONDS:.0f} s and "
                    "is given up; what was reached is saved, carry the run on with resume where there is a cluster"
                )
        return self._silent_since is None

    def _daemon(self) -> tuple[str, int]:
        """Return where this node's daemon listens."""
        here = self._ray.get_runtime_context().get_node_id()
        (node,) = (node for node in self._ray.nodes() if node["NodeID"] == here)
        return node["NodeManagerAddress"], node["NodeManagerPort"]

    def close(self) -> bool:
        """Leave the cluster if we joined it, end it if it is of our own; return whether that was so.

        Ray ends the workers of whoever leaves.
        """
        if self._entered:
            self._ray.shutdown()
        return self._entered


def worker_environment() -> dict[str, str]:
    """Return the environment variables of a worker: one thread, and Numba's settings of this process."""
    numba = {name: value for name, value in os.environ.items() if name.startswith("NUMBA_")}
    return {**numba, **dict.fromkeys(ONE_THREAD, "1")}


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Return in words what a node has in another version than this process."""
    return [f"{name} {theirs.get(name)} instead of {ours[name]}" for name in ours if ours[name] != theirs.get(name)]


def set_out(placement: Placement) -> None:
    """Set what Ray reads from the environment when it is imported; UserError if there is no cluster to join.

    It is to report nothing home. A Ray of our own gets a token of its own, or it would leave one in the home folder;
    a cluster started with `ray start` asks for the one that lies there, and one that asks for none does not mind it.
    """
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"):
        os.environ.setdefault(name, "0")
    address = _address(placement)
    if address:
        _check_reachable(address)
    else:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    kept = os.environ.get("RAY_AUTH_TOKEN_PATH") or Path("~/.ray/auth_token").expanduser()
    if os.environ.get("RAY_AUTH_TOKEN") or Path(kept).is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def brief(error: BaseException, most: int = 300) -> str:
    """Return the beginning of Ray's long messages, on one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= most else text[:most] + " ..."


def _address(placement: Placement) -> str | None:
    """Return where to join a cluster, None to start one."""
    address = placement.address or os.environ.get("RAY_ADDRESS")
    return None if address == LOCAL else address


def _check_reachable(address: str) -> None:
    if "://" in address:
        raise UserError(f"--address must be HOST:PORT or auto, got {address!r}; run it on the cluster")
    if address != "auto" and not _is_open(_host_and_port(address)):
        raise UserError(f"no Ray cluster answers at {address}; start one with ray start --head, or give its HOST:PORT")


def _connect(address: str | None, cpus: int) -> None:
    import ray

    place: dict[str, Any] = {"address": address}
    if address is None:
        place = {"address": "local", "num_cpus": cpus, "object_store_memory": _OBJECT_STORE_BYTES}
        place["include_dashboard"] = False
    try:
        with tempfile.TemporaryDirectory(prefix="evoplastic-") as folder:
            shipped = {"py_modules": [ship(folder)]}
            _in_a_lasting_thread(
                lambda: ray.init(**place, runtime_env=shipped, log_to_driver=False, logging_level=logging.ERROR)
            )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"joined at {address}" if address else "started"
        raise UserError(f"Ray could not be {where}: {brief(error)}") from error


def _in_a_lasting_thread(work: Callable[[], object]) -> None:
    """Do `work` in another thread, and keep that thread.

    In the main thread Ray would put a handler of its own in the place of ours, and SIGTERM would end this process in
    the middle of starting others. What it starts dies with the thread that started it, so the thread stays.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)  # it warns that it has set no handler
    done: Future[object] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)
        threading.Event().wait()

    threading.Thread(target=run, name="ray", daemon=True).start()
    done.result()


def ship(folder: str | Path) -> str:
    """Copy the package with its task families and the plugin into `folder`, unlike any other copy; return where it is.

    Ray names what is shipped by its content and drops it when its last run ends, also when the next run has just
    found it there and did not send it again.
    """
    copy = Path(folder) / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(spec_folder(), copy / "task_specs", dirs_exist_ok=True)
    (copy / SHIPPED.name).write_bytes(shipment())
    (copy / "shipment").write_text(secrets.token_hex(16))
    return str(copy)


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"--address must be HOST:PORT or auto, got {address!r}")
    return host.strip("[]"), int(port)


def _is_open(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=_ANSWER_SECONDS).close()
    except OSError:
        return False
    return True
