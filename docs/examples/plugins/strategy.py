"""A strategy: the center goes to the mean of the best few members of a Gaussian population."""

from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
import numpy as np

from evoplastic.strategies.contract import Array, Space, Strategy, check_arrays, check_tell, read_only
from evoplastic.strategies.samples import Gaussian


class BestFewSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="best_few"
):
    """What a run file may say."""

    population: Annotated[int, msgspec.Meta(ge=2)] = 32
    few: Annotated[int, msgspec.Meta(ge=1)] = 8
    sigma: Annotated[float, msgspec.Meta(gt=0)] = 0.1

    def build(self, space, seed) -> "BestFew":
        return BestFew(self, Space.of(space), seed)


@dataclass(frozen=True, eq=False)
class State:
    center: Array  # (D,), read-only
    generation: int


@dataclass(frozen=True, eq=False)
class BestFew(Strategy):
    settings: BestFewSettings
    space: Space
    seed: int

    def initial(self, center):
        return State(self.space.inside(center), 0)

    def ask(self, state):
        scale = self.settings.sigma * self.space.steps
        return Gaussian(self.settings.population, state.center, scale, self.seed, state.generation, mirrored=False)

    def tell(self, state, candidates, fitness):
        check_tell(state, candidates, fitness)
        if not np.isfinite(fitness).any():
            return replace(state, generation=state.generation + 1)
        ranked = np.argsort(-np.where(np.isfinite(fitness), fitness, -np.inf), kind="stable")
        total = np.zeros(self.space.size)
        for member in ranked[: self.settings.few]:
            total += candidates.genotype(int(member))
        few = min(self.settings.few, self.settings.population)
        return State(self.space.inside(total / few), state.generation + 1)

    def diagnostics(self, state):
        return {"center_norm": float(np.sqrt(np.sum(state.center * state.center)))}

    def arrays(self, state):
        return {"center": state.center, "generation": np.array(state.generation, np.int64)}

    def restore(self, arrays):
        check_arrays(arrays, self.arrays(self.initial(np.zeros(self.space.size))))
        return State(read_only(arrays["center"]), int(arrays["generation"]))

    def effective_size(self, state, fitness):
        return float(self.settings.few)

    def memory(self):
        return 8 * self.space.size * 4


STRATEGIES = {"best_few": BestFewSettings}
