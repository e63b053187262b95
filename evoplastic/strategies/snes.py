"""SNES, the separable natural evolution strategy: a normal distribution whose every gene has its own step size.

    member m          = center + scale * eps_m        scale = sigma * step, eps_m ~ N(0, 1)
    u_m               = utility of member m by its rank                              (shaping.nes_utilities)
    center           <- max(center + center_rate * scale * sum of u_m * eps_m, floor)
    sigma            <- sigma * exp(sigma_rate / 2 * sum of u_m * (eps_m^2 - 1))

If `mirrored`, member m + P/2 is member m's mirror image and shares its eps, with the sign turned. The sums run over
draws, first to last; nothing of size P x D exists.

Source: Schaul, Glasmachers, Schmidhuber 2011; Wierstra et al. 2014, algorithm 6 (the update) and table 1 (utilities,
population 4 + floor(3 ln D), center_rate 1, sigma_rate (3 + ln D) / (5 sqrt(D))).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.strategies.contract import Array, SearchSpace, Space, Strategy, check_arrays, check_tell, read_only
from evoplastic.strategies.optimizers import NotNegative, Positive
from evoplastic.strategies.samples import Gaussian, add_weighted_moments, compact
from evoplastic.strategies.shaping import effective_size, nes_utilities
from evoplastic.strategies.sizes import default_population, described, grown, limited, shrunk
from evoplastic.strategies.sums import norm


class SNESSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="snes"):
    """What a run file may say; 0 is the paper's default."""

    population: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    sigma: Positive = 0.1  # first standard deviation of a member around the center
    center_rate: Positive = 1.0
    sigma_rate: NotNegative = 0.0
    mirrored: bool = False

    def __post_init__(self) -> None:
        if self.population == 1:
            raise ValueError("population must be at least 2, or 0 for 4 + floor(3 ln D), got 1")
        if self.mirrored and self.population % 2:
            raise ValueError(f"population must be even where members are mirrored, got {self.population}")

    def build(self, space: SearchSpace, seed: int) -> SNES:
        """Return the strategy for a genome; UserError if the genome has nothing to evolve."""
        return SNES(self, Space.of(space), seed)


@dataclass(frozen=True, eq=False)
class SNESState:
    center: Array  # (D,), read-only
    generation: int
    sigma: Array  # (D,), read-only: step sizes, each to be multiplied by its gene's step
    update_norm: float  # of the last change of the center


@dataclass(frozen=True, eq=False)
class SNES(Strategy[SNESState, Gaussian]):
    settings: SNESSettings
    space: Space
    seed: int

    @property
    def population(self) -> int:
        """P, made even where members are mirrored."""
        default = default_population(self.space.size)
        return self.settings.population or default + (default % 2 if self.settings.mirrored else 0)

    @property
    def sigma_rate(self) -> float:
        """The learning rate of the step sizes."""
        genes = self.space.size
        return self.settings.sigma_rate or round((3.0 + math.log(genes)) / (5.0 * math.sqrt(genes)), 12)

    def initial(self, center: Array) -> SNESState:
        sigma = limited(np.full(self.space.size, self.settings.sigma), self.settings.sigma)
        return SNESState(self.space.inside(center), 0, sigma, 0.0)

    def ask(self, state: SNESState) -> Gaussian:
        scale = compact(state.sigma * self.space.steps)
        return Gaussian(self.population, state.center, scale, self.seed, state.generation, self.settings.mirrored)

    def tell(self, state: SNESState, candidates: Gaussian, fitness: Array) -> SNESState:
        """Return the next state; fitness that is not finite ranks worst."""
        check_tell(state, candidates, fitness)
        generation = state.generation + 1
        if not np.isfinite(fitness).any():
            return replace(state, generation=generation, update_norm=0.0)
        toward, away = self._sums(candidates, nes_utilities(fitness))
        change = self.settings.center_rate * candidates.scale * toward
        center = self.space.inside(state.center + change)
        sigma = grown(state.sigma, 0.5 * self.sigma_rate * away, self.settings.sigma)
        return SNESState(center, generation, sigma, norm(center - state.center))

    def diagnostics(self, state: SNESState) -> dict[str, float]:
        """Return the step sizes and the Euclidean norms of the last update and of the center."""
        return described(state.sigma) | {"update_norm": state.update_norm, "center_norm": norm(state.center)}

    def arrays(self, state: SNESState) -> dict[str, NDArray[Any]]:
        return {
            "center": state.center,
            "generation": np.array(state.generation, np.int64),
            "sigma": state.sigma,
            "norms": np.array([state.update_norm]),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> SNESState:
        check_arrays(arrays, self.arrays(self.initial(np.zeros(self.space.size))))
        center, sigma = read_only(arrays["center"]), read_only(arrays["sigma"])
        return SNESState(center, int(arrays["generation"]), sigma, float(arrays["norms"][0]))

    def effective_size(self, state: SNESState, fitness: Array) -> float:
        """Return the effective size of the utilities without their baseline."""
        return effective_size(nes_utilities(fitness) + 1.0 / self.population)

    def exhausted(self, state: SNESState) -> str:
        return shrunk(state.sigma, self.settings.sigma)

    def memory(self) -> int:
        # center, sigma, scale, normals, two sums and few temporaries: no more, whatever the population
        return 8 * self.space.size * 12

    def _sums(self, candidates: Gaussian, utilities: Array) -> tuple[Array, Array]:
        """Return the sums (D,) of u * eps and of u * (eps^2 - 1)."""
        weights = spreads = utilities
        if candidates.mirrored:
            half = candidates.draws
            weights, spreads = utilities[:half] - utilities[half:], utilities[:half] + utilities[half:]
        toward, away = np.zeros(self.space.size), np.zeros(self.space.size)
        add_weighted_moments(candidates.keys(), weights, toward, spreads, away)
        return toward, away
