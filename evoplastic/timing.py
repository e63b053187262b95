"""Lifetimes, and the least that the machine must do for them: the clocks of the bench.

The bare product is the plain loop drive[post] += rate[pre] * weights[pre, post] over the network's own arrays, the
memory bound what a copy of as many bytes takes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from evoplastic.config import RunConfig
from evoplastic.jit import aligned, aligned_zeros, kernel
from evoplastic.modulation.contract import every_step
from evoplastic.problems.lesions import Body
from evoplastic.rollout import live
from evoplastic.rules.contract import continual, newborn
from evoplastic.tasks.contract import SCORE_COLUMNS

PRODUCTS = 50_000
COPIES = 2_000
SLICES = 5  # of a lifetime and bare products, whose median is told


@kernel
def bare_products(weights: Any, rates: Any, drive: Any, repeats: int) -> None:
    """Repeat the product of `rates` (N,) and `weights` (N, W) into `drive` (W,), with rates that never fade."""
    units = weights.shape[0]
    for repeat in range(repeats):
        for post in range(drive.shape[0]):
            drive[post] = np.float32(0.0)
        for pre in range(units):
            rate = rates[pre]
            for post in range(drive.shape[0]):
                drive[post] += rate * weights[pre, post]
        rates[repeat % units] = -rates[(repeat + 3) % units]


@kernel
def copies(source: Any, out: Any, repeats: int) -> None:
    """Repeat a copy of `source` (size,) to `out` (size,)."""
    for _ in range(repeats):
        for place in range(source.shape[0]):
            out[place] = source[place]


class Lifetime:
    """One lifetime of the configured problem's first center, and the bare products beside it."""

    def __init__(self, config: RunConfig, change: Callable[[Body], Body] = lambda body: body):
        problem = config.problem.build(config.seed)
        self.body = change(problem.body(problem.layout.initial(), problem.training_life(0, 0)))
        self.trials = config.problem.task.life_trials
        self.steps = self.trials * int(self.body.task.periods.trial)
        self._key = np.uint64(1)
        self.run()
        bare_products(self.body.network.innate, *self._vectors(), 1)

    def run(self) -> float:
        """Return the seconds of one lifetime."""
        self._key += np.uint64(1)
        scores = np.zeros((self.trials, SCORE_COLUMNS), np.float32)
        plastic = aligned_zeros(self.body.network.innate.shape)
        started = time.perf_counter()
        live(*self.body, self._key, plastic, scores)
        return time.perf_counter() - started

    def slice(self) -> tuple[float, float]:
        """Return microseconds of a lifetime's step and of a bare product, measured one after the other."""
        step = self.run() / self.steps
        rates, drive = self._vectors()
        started = time.perf_counter()
        bare_products(self.body.network.innate, rates, drive, PRODUCTS)
        return 1e6 * step, 1e6 * (time.perf_counter() - started) / PRODUCTS

    def traffic(self) -> int:
        """Return the bytes of the arrays over synapses that a step reads, and of those it writes once more.

        A rule that may write at every step, by itself or since its third factor acts then, reads innate weights, gains
        and its coefficients, and changes plastic weights and its traces; for others the stored weights are read.
        """
        network, rule = self.body.network, self.body.rule
        if not (continual(rule) or every_step(self.body.modulation)):
            return int(network.innate.nbytes)
        read = [network.innate, network.gain, *_over_synapses(rule, network)]
        changed = [network.innate, *_over_synapses(newborn(rule, network, 1), network)]  # one like plastic weights
        return sum(int(array.nbytes) for array in read) + 2 * sum(int(array.nbytes) for array in changed)

    def _vectors(self) -> tuple[Any, Any]:
        units, width = self.body.network.innate.shape
        return aligned(np.linspace(0.5, 1.0, units, dtype=np.float32)), aligned_zeros((width,))


def _over_synapses(struct: Any, network: Any) -> list[Any]:
    """Return the arrays of a struct that have a number for every synapse of the network."""
    arrays = [array for array in struct if isinstance(array, np.ndarray)]
    nested = [array for part in struct if isinstance(part, tuple) for array in _over_synapses(part, network)]
    return [array for array in arrays if array.ndim > 1 and array.size >= network.innate.size] + nested


def timed(config: RunConfig) -> dict[str, float]:
    """Return microseconds per step of a run's lifetime, of a bare product beside it, and of its memory traffic."""
    lifetime = Lifetime(config)
    pairs = [lifetime.slice() for _ in range(SLICES)]
    return {
        "us_per_step": statistics.median(step for step, _ in pairs),
        "bare_product_us": statistics.median(bare for _, bare in pairs),
        "step_over_bare": statistics.median(step / bare for step, bare in pairs),
        "traffic_bound_us": lifetime.traffic() * _copy_us_per_byte(lifetime.body.network.innate.size),
    }


def _copy_us_per_byte(size: int) -> float:
    """Return the microseconds in which a copy between two matrices of the network's size moves a byte."""
    source, out = aligned(np.ones(size, np.float32)), aligned_zeros((size,))
    copies(source, out, 1)
    seconds = []
    for _ in range(SLICES):
        started = time.perf_counter()
        copies(source, out, COPIES)
        seconds.append(time.perf_counter() - started)
    return 1e6 * statistics.median(seconds) / (COPIES * 2 * source.nbytes)  # read and written
