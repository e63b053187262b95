"""A user's own parts in one file outside the package: chosen, hashed and loaded once per process.

    RULES = {"mine": MineSettings}          and/or MODULATIONS, NETWORKS, TASKS, STRATEGIES

The file is chosen by `--plugin` or `$EVOPLASTIC_PLUGIN` before anything is compiled. Its bytes are read once: they name
the folder of compiled kernels, stand in the manifest as a hash, and travel to the nodes of a cluster. Processes that
this one starts find the file by the environment, and refuse it if it was edited meanwhile.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import shlex
import sys
import traceback
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, NamedTuple

from evoplastic.errors import UserError, nearest

MODULE = "evoplastic_plugin"  # what the file is called as a module, in every process
TABLES = ("RULES", "MODULATIONS", "NETWORKS", "TASKS", "STRATEGIES")
SHIPPED = Path(__file__).resolve().parent / "plugin"  # on a cluster's node; empty where the run has none

_FILE, _SHA256 = "EVOPLASTIC_PLUGIN", "EVOPLASTIC_PLUGIN_SHA256"


class Plugin(NamedTuple):
    path: str  # absolute, where it was chosen
    content: bytes

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    @property
    def digest(self) -> str:
        """The SHA-256 of the content, 64 hex digits."""
        return hashlib.sha256(self.content).hexdigest()


def use_plugin(path: str | None) -> None:
    """Choose the plugin of this process and of those that it starts; None leaves what the environment says.

    UserError if it cannot be read; RuntimeError if parts were put together already without it.
    """
    if path is None:
        return
    chosen = os.path.abspath(os.path.expanduser(path))
    if plugin.cache_info().currsize:
        found = plugin()
        if found is None or found.path != chosen:
            raise RuntimeError(
                "choose a plugin before anything else of evoplastic is used: parts are put together once"
            )
        return
    os.environ.pop(_SHA256, None)
    os.environ[_FILE] = chosen
    plugin()


@functools.cache
def plugin() -> Plugin | None:
    """Return the chosen plugin, None if there is none; UserError if it cannot be read or is not what it was."""
    if SHIPPED.is_file():
        path, _, content = SHIPPED.read_bytes().partition(b"\0")
        return Plugin(path.decode(), content) if path else None
    chosen = os.environ.get(_FILE)
    if not chosen:
        return None
    try:
        place = os.path.abspath(os.path.expanduser(chosen))
        found = Plugin(place, Path(place).read_bytes())
    except OSError as error:
        raise UserError(f"plugin {chosen} cannot be read: {error.strerror}; give the path of a .py file") from None
    if os.environ.setdefault(_SHA256, found.digest) != found.digest:
        raise UserError(f"plugin {chosen} was edited since the command began; let the command begin anew")
    return found


def shipment() -> bytes:
    """Return what a node must find at SHIPPED."""
    found = plugin()
    return b"" if found is None else found.path.encode() + b"\0" + found.content


def facts() -> dict[str, str] | None:
    """Return what a manifest records of the plugin: its name and its content's hash."""
    found = plugin()
    return None if found is None else {"name": found.name, "sha256": found.digest}


def check_plugin(wanted: Any, of: str) -> None:
    """Raise UserError unless the plugin that a manifest records, `wanted`, is the one here; `of` says whose it is.

    What was made without one may be looked at with any.
    """
    here = facts()
    if not isinstance(wanted, dict) or (here is not None and wanted.get("sha256") == here["sha256"]):
        return
    got = "none was given" if here is None else f"{here['name']} of SHA-256 {here['sha256'][:16]} was given"
    raise UserError(
        f"{of} was made with the plugin {wanted.get('name')} of SHA-256 {str(wanted.get('sha256'))[:16]}, and {got}; "
        "give that very file with --plugin"
    )


def option() -> str:
    """Return ` --plugin FILE` for a command that a user is told to type, "" without a plugin."""
    found = plugin()
    return "" if found is None else f" --plugin {shlex.quote(found.path)}"


def plugged(table: str) -> dict[str, Any]:
    """Return the plugin's parts of a table of TABLES by name; {} where it has none."""
    found = plugin()
    return {} if found is None else dict(_tables(found).get(table, {}))


def load() -> None:
    """Run the plugin's file, if there is one and it has not been run."""
    plugged(TABLES[0])


@functools.cache
def _tables(found: Plugin) -> Mapping[str, Mapping[str, Any]]:
    """Run the plugin's file as a module and return its tables; UserError in a sentence if it raises or has none."""
    loader = _Held(found)
    spec = importlib.util.spec_from_loader(MODULE, loader)
    assert spec is not None
    module = sys.modules[MODULE] = importlib.util.module_from_spec(spec)
    try:
        loader.exec_module(module)
    except BaseException as error:
        del sys.modules[MODULE]
        if isinstance(error, (Exception, SystemExit)):
            raise UserError(blame(error) or f"plugin {found.name}: {type(error).__name__}: {error}") from error
        raise
    tables = {name: getattr(module, name) for name in TABLES if hasattr(module, name)}
    if not tables:
        near = next(filter(None, (nearest(name, TABLES) for name in vars(module) if name.isupper())), "")
        raise UserError(f"plugin {found.name} defines none of {', '.join(TABLES)}{near}")
    for name, table in tables.items():
        if not isinstance(table, dict) or not all(isinstance(key, str) for key in table):
            raise UserError(f"plugin {found.name}: {name} must be a dict of settings by their names, got {table!r}")
    return tables


class _Held(SourceFileLoader):
    """Loads the bytes that were hashed, whatever the file holds by now, and keeps no bytecode of them."""

    def __init__(self, found: Plugin):
        super().__init__(MODULE, found.path)
        self._content = found.content

    def get_data(self, path: str) -> bytes:
        return self._content

    def path_stats(self, path: str) -> Mapping[str, Any]:
        raise OSError


def blame(error: BaseException) -> str | None:
    """Return in a sentence what went wrong in the plugin and in which line; None if it has no part in `error`."""
    found = plugin()
    if found is None:
        return None
    cause = getattr(error, "cause", None)  # Ray wraps what a worker raised
    raised = cause if isinstance(cause, BaseException) else error
    place = re.compile(rf'File "[^"\n]*\b{re.escape(found.name)}", line (\d+)')
    compiling = place.search(str(raised))  # Numba tells the place in its message, innermost first
    lines = [compiling[1]] if compiling else place.findall("".join(traceback.format_exception(error)))
    if not lines:
        return None
    said = str(raised)[: compiling.start()] if compiling else str(raised)
    return f"plugin {found.name}, line {lines[-1]}: {type(raised).__name__}: {_telling(said, last=bool(compiling))}"


def line_of(thing: Any) -> str:
    """Return `plugin mine.py, line 12` for a function of the plugin, or less of that where there is less to tell."""
    found = plugin()
    if found is None:
        return "evoplastic"
    code = getattr(thing, "__code__", None)
    if code is None or code.co_filename != found.path:
        return f"plugin {found.name}"
    return f"plugin {found.name}, line {code.co_firstlineno}"


def _telling(said: str, last: bool) -> str:
    """Return the first line of a message, or the last one, which of Numba's nested messages is the one that tells."""
    lines = [re.sub(r"\x1b\[\d*m", "", line).strip() for line in said.splitlines()]
    lines = [line for line in lines if line]
    return "nothing was said" if not lines else lines[-1] if last else lines[0]
