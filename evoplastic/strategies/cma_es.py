"""CMA-ES: members drawn from a normal distribution whose mean, step size and covariance are learned; through pycma.

    z        = gene / step                                  what pycma searches, so sigma is in units of a gene's step
    member   = step * (mean + sigma * C^(1/2) * eps)        eps ~ N(0, 1), one draw for each member
    center   <- max(step * mean, floor)

The update is pycma's: weighted recombination with negative weights for the worse half, cumulative step-size adaptation,
rank-one and rank-mu updates of C, which is either full (D x D) or diagonal. Where the floors moved the center, pycma's
mean is set to it after the tell and its paths are left as they are: while floors hold the center back, the step size
does not shrink. Source: Hansen 2016, "The CMA Evolution Strategy: A Tutorial"; Ros and Hansen 2008 for the diagonal.

A state is a value although pycma's object is not: it holds the fitness of every tell, and the object is made again by
replaying them wherever the one at hand stands elsewhere. A checkpoint is that log, without pickle; resuming is exact on
an equal CPU with equal libraries, since pycma's products and eigenvectors come from BLAS, and refused elsewhere. Ask
and tell with BLAS limited to one thread, as `evolve` does: of some sizes, two threads give other bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from evoplastic.errors import UserError
from evoplastic.random import Purpose, fill_normals, stream_key
from evoplastic.strategies.contract import (
    Array,
    Listed,
    SearchSpace,
    Space,
    Strategy,
    check_arrays,
    check_tell,
    read_only,
)
from evoplastic.strategies.optimizers import Positive
from evoplastic.strategies.shaping import by_rank, effective_size, log_weights
from evoplastic.strategies.sizes import LARGEST, default_population
from evoplastic.strategies.sums import norm

FEWEST = 4  # members that pycma can weigh
MOST_GENES = 1_500  # of a full covariance: 18 MB a matrix, of which pycma holds several
LONG_REPLAY = 60.0  # seconds

# pycma's reasons to stop that are heeded. Left out are limits on iterations, evaluations and time, tests whose window
# grows with the iterations (tolstagnation, tolxstagnation), growth of the step size (tolfacupx, tolupsigma), which is
# no end of progress, and tolfun, which one flat first generation meets.
ENDINGS = {
    "noeffectaxis": "a tenth of a standard deviation along an axis is lost in the rounding of the center",
    "noeffectcoord": "a fifth of a gene's standard deviation is lost in the rounding of the center",
    "tolconditioncov": "the variance along the longest axis is 1e14 times that along the shortest",
    "tolflatfitness": "three quarters of the members had the same fitness, two generations in a row",
    "tolfunhist": "fitness of the best members of recent generations differed by less than 1e-12",
    "tolx": "every standard deviation is below 1e-11 steps",
}


class CMAESSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="cma_es"
):
    """What a run file may say."""

    population: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0  # 0: 4 + floor(3 ln D)
    sigma: Positive = 0.3  # first standard deviation of a member around the center, in units of each gene's step
    covariance: Literal["full", "diagonal"] = "full"

    def __post_init__(self) -> None:
        if 0 < self.population < FEWEST:
            raise ValueError(f"population must be 0, which chooses one, or at least {FEWEST}, got {self.population}")

    def build(self, space: SearchSpace, seed: int) -> CMAES:
        """Return the strategy for a genome; UserError if nothing evolves or the genome is too large."""
        if self.covariance == "full" and space.size > MOST_GENES:
            raise UserError(
                f"a full covariance of {space.size} genes is too large, at most {MOST_GENES} are accepted; set "
                'strategy.covariance = "diagonal"'
            )
        return CMAES(self, Space.of(space), seed)


@dataclass(frozen=True, eq=False)
class CMAESState:
    start: Array  # (D,), read-only: generation 0's center
    center: Array  # (D,), read-only
    generation: int
    log: tuple[tuple[int, Array], ...]  # generation and fitness (P,) of every tell with any finite fitness


@dataclass(frozen=True, eq=False)
class CMAES(Strategy[CMAESState, Listed]):
    settings: CMAESSettings
    space: Space
    seed: int
    _at_hand: list[tuple[CMAESState, Pycma]] = field(default_factory=list, init=False, repr=False)  # one at most

    @property
    def population(self) -> int:
        return self.settings.population or default_population(self.space.size)

    def initial(self, center: Array) -> CMAESState:
        center = self.space.inside(center)
        return CMAESState(center, center, 0, ())

    def ask(self, state: CMAESState) -> Listed:
        return Listed(self._pycma(state).ask(state.generation), state.generation)

    def tell(self, state: CMAESState, candidates: Listed, fitness: Array) -> CMAESState:
        """Return the next state; fitness that is not finite reaches pycma as the worst there is."""
        check_tell(state, candidates, fitness)
        generation = state.generation + 1
        if not np.isfinite(fitness).any():
            return replace(state, generation=generation)
        pycma = self._pycma(state)
        self._at_hand.clear()  # should pycma raise, its object is no state's
        log = (*state.log, (state.generation, read_only(fitness)))
        told = CMAESState(state.start, pycma.tell(*log[-1]), generation, log)
        self._at_hand.append((told, pycma))
        return told

    def diagnostics(self, state: CMAESState) -> dict[str, float]:
        """Return pycma's step size, the smallest and the largest standard deviation of a gene (these in units of its
        step), the longest axis over the shortest as last decomposed, and the Euclidean norm of the center."""
        return self._pycma(state).numbers | {"center_norm": norm(state.center)}

    def arrays(self, state: CMAESState) -> dict[str, NDArray[Any]]:
        return {
            "start": state.start,
            "center": state.center,
            "generation": np.array(state.generation, np.int64),
            "tells": np.array([generation for generation, _ in state.log], np.int64),
            "fitness": np.array([fitness for _, fitness in state.log]).reshape(len(state.log), self.population),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> CMAESState:
        """Return the state after replaying its log; UserError also if the replay ends at another center."""
        tells = np.shape(arrays.get("tells", ()))[:1]
        blank = self.arrays(self.initial(np.zeros(self.space.size)))
        blank |= {"tells": np.empty(tells), "fitness": np.empty((*tells, self.population))}
        check_arrays(arrays, blank)
        log = tuple(zip(map(int, arrays["tells"]), map(read_only, arrays["fitness"])))
        state = CMAESState(read_only(arrays["start"]), read_only(arrays["center"]), int(arrays["generation"]), log)
        if self._pycma(state).center.tobytes() != state.center.tobytes():
            self._at_hand.clear()
            raise UserError(
                f"replaying the {state.generation} generations of this CMA-ES search led to another center than the "
                "saved one: the CPU, or the version of cma, numpy or BLAS, is not the one it ran on; resume it there"
            )
        return state

    def effective_size(self, state: CMAESState, fitness: Array) -> float:
        """Return mu_w of the positive weights, ln((P + 1) / 2) - ln k for the k-th best: Hansen 2016, eq. 49."""
        members = self.population
        return effective_size(by_rank(fitness, log_weights(members, members // 2, (members + 1) / 2.0)))

    def exhausted(self, state: CMAESState) -> str:
        """Return pycma's reasons to stop, those of ENDINGS."""
        return self._pycma(state).ending

    def memory(self) -> int:
        # members as drawn, as sent, as pycma's two archives keep them and as told; the covariance, its eigenvectors
        # and the temporaries of their update. The log grows by 8 bytes a member and generation.
        members, genes = self.population, self.space.size
        matrices = 8 * genes * genes if self.settings.covariance == "full" else 0
        return 8 * (12 * members * genes + matrices)

    def notes(self, generations: int) -> list[str]:
        full = self.settings.covariance == "full"
        seconds = generations * replay_seconds(self.space.size, self.population, full)
        if seconds <= LONG_REPLAY:
            return []
        note = f"resuming at generation {generations} replays the search, which takes about {seconds / 60:.0f} min"
        diagonal = generations * replay_seconds(self.space.size, self.population, False)
        return [note + f'; with strategy.covariance = "diagonal" {diagonal / 60:.1f} min' * full]

    def _pycma(self, state: CMAESState) -> Pycma:
        """Return pycma's object where `state` stands: the one at hand, or one that replays the state's log."""
        for held, pycma in self._at_hand:
            if held.start is state.start and held.log is state.log:
                return pycma
        with threadpool_limits(1):
            pycma = Pycma(self, state.start)
            for generation, fitness in state.log:
                pycma.tell(generation, fitness)
        self._at_hand[:] = [(state, pycma)]
        return pycma


def replay_seconds(genes: int, members: int, full: bool) -> float:
    """Return about how long a generation takes to replay, on one core of a busy virtual machine.

    Fitted to within a third to: diagonal 1.0, 1.2, 2.7 and 25 ms at 10, 100, 1,000 and 10,000 genes, 16 ms at 1,000
    with 200 members; full 1.2, 2.4, 6.3, 18, 45 and 135 ms at 10, 100, 300, 600, 1,000 and 1,500 genes, 6.1 and 46 ms
    at 100 and 600 with 100 members; elsewhere with the default population. pycma 4.5.0.
    """
    if full:
        return 1e-3 + members * (3e-7 * genes + 9e-10 * genes**2) + 2.5e-11 * genes**3
    return 1e-3 + 8e-8 * members * genes


class Pycma:
    """pycma's object, its draws addressed, genes in and out. A generation without a tell leaves no trace in it."""

    def __init__(self, strategy: CMAES, start: Array) -> None:
        import cma  # takes a second, so only where it is used

        self.space, self.center, self.ending = strategy.space, start, ""
        self._draws = Draws(strategy.seed)
        self._largest = LARGEST * strategy.settings.sigma
        self._asked: tuple[int, list[Array]] = (-1, [])  # generation, its members z
        self._diagonal = strategy.settings.covariance == "diagonal"
        options = {
            "popsize": strategy.population,
            "randn": self._draws,
            "seed": math.nan,  # numpy's global generator is left alone
            "AdaptSigma": cma.sigma_adaptation.CMAAdaptSigmaCSA,  # the default may be one that draws
            "CMA_diagonal": self._diagonal,
            "CMA_mirrors": 0,  # every member is one draw, also in small populations
            "conditioncov_alleviate": [1e8, 0],  # genes may be scaled within pycma, but z stays what it searches
            "verbose": -9,
            "verb_log": 0,  # no folder
            "signals_filename": "",  # options are read from no file
        }
        self._es = cma.CMAEvolutionStrategy(start / self.space.steps, strategy.settings.sigma, options)
        self.numbers = self._numbers()

    def ask(self, generation: int) -> Array:
        """Return the genes (P, D) of a generation's members, read-only."""
        if self._asked[0] != generation:
            self._draws.generation = generation
            self._asked = (generation, self._es.ask())
        return read_only(self.space.steps * self._asked[1])

    def tell(self, generation: int, fitness: Array) -> Array:
        """Return the center (D,) after the fitness (P,) of that generation's members."""
        self.ask(generation)
        cost = np.where(np.isfinite(fitness), -fitness, np.inf)  # pycma minimises, and takes NaN for the median
        self._es.tell(self._asked[1], cost.tolist())
        self._es.sigma = min(self._es.sigma, self._largest)  # where fitness rises for ever, pycma would overflow
        center = self.space.steps * self._es.mean
        self.center = self.space.inside(center)
        low = center < self.space.floors
        if low.any():
            self._es.mean = np.where(low, self.space.floors / self.space.steps, self._es.mean)
        # Once a tell, not whenever somebody wants to know: some of pycma's tests count how often they are made.
        self.ending = "; ".join(ENDINGS[name] for name in sorted(self._es.stop()) if name in ENDINGS)
        self.numbers = self._numbers()
        return self.center

    def _numbers(self) -> dict[str, float]:
        """Return what diagnostics tell of the distribution; the next ask may already refresh pycma's axes."""
        es = self._es
        deviations = es.sigma * es.sigma_vec.scaling * np.sqrt(es.dC)
        axes = deviations if self._diagonal else es.D
        return {
            "sigma": float(es.sigma),
            "sigma_min": float(deviations.min()),
            "sigma_max": float(deviations.max()),
            "axis_ratio": float(axes.max() / axes.min()),
        }


@dataclass
class Draws:
    """What pycma draws its members from: standard normals addressed by generation and member."""

    seed: int
    generation: int = 0

    def __call__(self, members: int, genes: int) -> Array:
        """Return normals (members, genes)."""
        normals = np.empty((members, genes))
        for member in range(members):
            fill_normals(stream_key(self.seed, Purpose.PERTURBATION, self.generation, member), normals[member])
        return normals
