"""Optimizers: how a strategy that estimates gradients moves. A new one is a file here and a line in OPTIMIZERS."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, Union

from evoplastic.strategies.optimizers.adam import Adam
from evoplastic.strategies.optimizers.clipup import ClipUp
from evoplastic.strategies.optimizers.contract import Array, Decay, NotNegative, Optimizer, Positive
from evoplastic.strategies.optimizers.fop import FOP
from evoplastic.strategies.optimizers.hypergradient import Hypergradient
from evoplastic.strategies.optimizers.sgd import SGD

__all__ = [
    "FOP",
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "AnyOptimizer",
    "Array",
    "ClipUp",
    "Decay",
    "Hypergradient",
    "NotNegative",
    "Optimizer",
    "Positive",
]

# The settings of each optimizer, by the `type` that a run file gives.
OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": Adam,
    "clipup": ClipUp,
    "fop": FOP,
    "hypergradient": Hypergradient,
    "sgd": SGD,
}

if TYPE_CHECKING:
    AnyOptimizer: TypeAlias = Optimizer
else:
    AnyOptimizer = Union[tuple(OPTIMIZERS.values())]  # noqa: UP007  # told apart by `type` in a run file
