"""PGPE, policy gradients with parameter-based exploration: ascend in center and step sizes, from symmetric pairs.

    member m          = center + sigma * step * eps_m        eps_m ~ N(0, 1), one pair for each m < P/2
    member m + P/2    = center - sigma * step * eps_m
    g                 = 2 / P * sum over pairs of (f+ - f-) / 2 * sigma * eps                 f: shaped fitness
    h                 = 2 / P * sum over pairs of ((f+ + f-) / 2 - b) * sigma * (eps^2 - 1)   b: mean of all f
    center           <- max(center + step * optimizer(-g), floor)
    sigma            <- clip(sigma + sigma_rate * h, (1 - sigma_change) * sigma, (1 + sigma_change) * sigma)

sigma is one number a gene. With delta = sigma * eps, g and h are the rows r_T T and r_S S of Sehnke et al. 2010,
algorithm 1, symmetric sampling without reward normalization: T = delta, S = (delta^2 - sigma^2) / sigma; the mean over
pairs takes the place of their sum, as in the library that came with the paper of ClipUp, pgpelib.

Sources: Sehnke et al. 2010; Toklu, Liskowski, Srivastava 2020 for ClipUp, centered ranks, and the limit of .2 on the
relative change of sigma; sigma_rate .1 and the first sigma .1 are pgpelib's defaults.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.strategies.contract import (
    Array,
    SearchSpace,
    Space,
    Strategy,
    all_read_only,
    check_arrays,
    check_tell,
    read_only,
)
from evoplastic.strategies.optimizers import AnyOptimizer, ClipUp, NotNegative, Positive
from evoplastic.strategies.samples import Gaussian, add_weighted_moments, compact
from evoplastic.strategies.shaping import SHAPINGS, ShapingName, effective_size
from evoplastic.strategies.sizes import described, limited, shrunk
from evoplastic.strategies.sums import norm


class PGPESettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="pgpe"):
    """What a run file may say."""

    population: Annotated[int, msgspec.Meta(ge=2, le=1_000_000)] = 500  # even: members come in pairs
    sigma: Positive = 0.1  # first standard deviation of a member around the center
    sigma_rate: NotNegative = 0.1
    sigma_change: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.2  # largest relative change of a sigma in an update
    shaping: ShapingName = "centered_rank"
    optimizer: AnyOptimizer = ClipUp()

    def __post_init__(self) -> None:
        if self.population % 2:
            raise ValueError(f"population must be even, since members come in symmetric pairs, got {self.population}")

    def build(self, space: SearchSpace, seed: int) -> PGPE:
        """Return the strategy for a genome; UserError if the genome has nothing to evolve."""
        return PGPE(self, Space.of(space), seed)


@dataclass(frozen=True, eq=False)
class PGPEState:
    center: Array  # (D,), read-only
    generation: int
    sigma: Array  # (D,), read-only: step sizes, each to be multiplied by its gene's step
    optimizer: Mapping[str, Array]  # read-only
    gradient_norm: float  # of the last g, 0 before the first
    update_norm: float  # of the last change of the center


@dataclass(frozen=True, eq=False)
class PGPE(Strategy[PGPEState, Gaussian]):
    settings: PGPESettings
    space: Space
    seed: int

    def initial(self, center: Array) -> PGPEState:
        sigma = limited(np.full(self.space.size, self.settings.sigma), self.settings.sigma)
        optimizer = all_read_only(self.settings.optimizer.initial(self.space.size))
        return PGPEState(self.space.inside(center), 0, sigma, optimizer, 0.0, 0.0)

    def ask(self, state: PGPEState) -> Gaussian:
        scale = compact(state.sigma * self.space.steps)
        return Gaussian(self.settings.population, state.center, scale, self.seed, state.generation)

    def tell(self, state: PGPEState, candidates: Gaussian, fitness: Array) -> PGPEState:
        """Return the next state. Fitness that is not finite is what `shaping` makes of it; if none of a generation's
        is finite, the generation counts but neither center nor sigma nor optimizer changes."""
        check_tell(state, candidates, fitness)
        generation = state.generation + 1
        if not np.isfinite(fitness).any():
            return replace(state, generation=generation, gradient_norm=0.0, update_norm=0.0)
        g, h = self._gradients(candidates, state.sigma, SHAPINGS[self.settings.shaping](fitness))
        change, optimizer = self.settings.optimizer.update(state.optimizer, -g)
        center = self.space.inside(state.center + self.space.steps * change)
        sigma = self._sigma(state.sigma, h)
        moved = norm(center - state.center)
        return PGPEState(center, generation, sigma, all_read_only(optimizer), norm(g), moved)

    def diagnostics(self, state: PGPEState) -> dict[str, float]:
        """Return the step sizes and the Euclidean norms of the last g, of the last update and of the center."""
        return described(state.sigma) | {
            "gradient_norm": state.gradient_norm,
            "update_norm": state.update_norm,
            "center_norm": norm(state.center),
        }

    def arrays(self, state: PGPEState) -> dict[str, NDArray[Any]]:
        return {
            "center": state.center,
            "generation": np.array(state.generation, np.int64),
            "sigma": state.sigma,
            "norms": np.array([state.gradient_norm, state.update_norm]),
            **{f"optimizer.{name}": array for name, array in state.optimizer.items()},
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> PGPEState:
        blank = self.initial(np.zeros(self.space.size))
        check_arrays(arrays, self.arrays(blank))
        center, sigma = read_only(arrays["center"]), read_only(arrays["sigma"])
        optimizer = {name: read_only(arrays[f"optimizer.{name}"]) for name in blank.optimizer}
        return PGPEState(center, int(arrays["generation"]), sigma, optimizer, *map(float, arrays["norms"]))

    def effective_size(self, state: PGPEState, fitness: Array) -> float:
        """Return the effective size of the members, each weighed by its pair's difference in shaped fitness."""
        above, below = np.split(SHAPINGS[self.settings.shaping](fitness), 2)
        return 2.0 * effective_size(above - below)

    def exhausted(self, state: PGPEState) -> str:
        return shrunk(state.sigma, self.settings.sigma)

    def memory(self) -> int:
        # vectors of an update, whatever the population, and the optimizer's numbers before and after it
        optimizer = self.settings.optimizer.initial(self.space.size)
        return 8 * 14 * self.space.size + 2 * sum(array.nbytes for array in optimizer.values())

    def _gradients(self, candidates: Gaussian, sigma: Array, shaped: Array) -> tuple[Array, Array]:
        """Return g and h (D,)."""
        half, baseline = candidates.draws, math.fsum(shaped) / len(shaped)
        above, below = shaped[:half], shaped[half:]
        g, h = np.zeros(self.space.size), np.zeros(self.space.size)
        add_weighted_moments(candidates.keys(), 0.5 * (above - below), g, 0.5 * (above + below) - baseline, h)
        return sigma * g / half, sigma * h / half

    def _sigma(self, sigma: Array, h: Array) -> Array:
        most = self.settings.sigma_change
        wanted = sigma + self.settings.sigma_rate * h
        return limited(np.clip(wanted, (1.0 - most) * sigma, (1.0 + most) * sigma), self.settings.sigma)
