"""Evolve plastic networks that learn cognitive tasks within their own lifetime.

    config = evoplastic.read_config("quickstart", generations=20)
    for record in evoplastic.evolve(config):
        print(record.generation, record.metrics["training"])

    run = evoplastic.load_run("runs/quickstart-s0")
    run.metrics["training.accuracy"], run.evaluate(lives=32).result, run.figures["tasks"]

One word per loop: a *generation* changes the genome, a *lifetime* (one phenotype on one task, from newborn plastic
weights) changes plastic weights, a *trial* ends in feedback, a *step* moves activity.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "EvaluationRequest": "analysis.evaluation",
    "Genotype": "genotypes",
    "Record": "evolution",
    "Recording": "recordings",
    "Run": "api",
    "RunConfig": "config",
    "Search": "evolution",
    "UserError": "errors",
    "evaluate": "analysis.evaluation",
    "evolve": "api",
    "load_genotype": "genotypes",
    "load_recording": "recordings",
    "load_run": "api",
    "read_config": "config",
    "use_plugin": "plugins",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing the package costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'evoplastic' has no attribute {name!r}")
    return getattr(importlib.import_module(f"evoplastic.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
