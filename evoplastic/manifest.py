"""The manifest of a run: what it ran on, so that a later reader can judge whether the bits will be the same."""

from __future__ import annotations

import contextlib
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import evoplastic
from evoplastic.files import Migration, migrated, read_json
from evoplastic.plugins import facts as plugin_facts

FORMAT = "evoplastic.manifest"
MIGRATIONS: dict[int, Migration] = {}  # version N -> N + 1

_PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "cma", "msgspec", "ray")
_CPU_FEATURES = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl", "asimd", "sve", "sve2")


def build_manifest(command: list[str], source_hash: str) -> dict[str, Any]:
    """Return what a later reader needs to judge whether it can continue the run with the same bits."""
    return {
        "format": FORMAT,
        "version": len(MIGRATIONS) + 1,
        "evoplastic": evoplastic.__version__,
        "source_hash": source_hash,
        "plugin": plugin_facts(),
        "command": list(command),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": _package_versions(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "blas": _blas(),
        "lineage": [],
    }


def deciding_facts(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return those of a manifest's facts that may change a run's bits, by name."""
    facts = {key: manifest.get(key) for key in ("evoplastic", "source_hash", "python", "platform")}
    plugin = manifest.get("plugin")
    facts["plugin"] = plugin.get("sha256") if isinstance(plugin, dict) else plugin  # whatever its file is called
    return facts | {package: manifest["packages"].get(package) for package in ("numpy", "numba", "llvmlite")}


def read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    return migrated(read_json(path), FORMAT, MIGRATIONS, path)


def _package_versions() -> dict[str, str]:
    installed = {}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed[package] = metadata.version(package)
    return installed


def _cpu() -> dict[str, Any]:
    """Return the CPU's model and those of its features that change the code compiled for it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = facts.get("flags", facts.get("Features", "")).split()
    model = facts.get("model name") or platform.processor()
    return {"model": model, "features": [feature for feature in _CPU_FEATURES if feature in flags]}


def _blas() -> list[dict[str, Any]]:
    """Return the loaded linear-algebra libraries; their architecture decides the bits of what uses them."""
    import threadpoolctl

    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return [{key: pool.get(key) for key in ("internal_api", "version", "architecture")} for pool in pools]
