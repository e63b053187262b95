"""evosax's own strategies under our settings, for strategies.py. Written for evosax 0.3 (pip install evosax==0.3.2).

A search is one compiled loop of ask, evaluate and tell in float64, drawn by JAX's generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from strategies_problems import Problem

from evoplastic.strategies.contract import StrategySettings
from evoplastic.strategies.lm_ma_es import LMMAESSettings
from evoplastic.strategies.openai_es import OpenAIESSettings
from evoplastic.strategies.optimizers import Adam, AnyOptimizer, ClipUp
from evoplastic.strategies.pgpe import PGPESettings
from evoplastic.strategies.sizes import default_population
from evoplastic.strategies.snes import SNESSettings

Made = tuple[Any, Any]  # an algorithm of evosax and its parameters


def evosax(settings: StrategySettings, as_it_comes: bool = False) -> Callable[[Problem, int], float]:
    """Return evosax's search with these settings, or with its own learning rates where it comes with others."""

    def search(problem: Problem, seed: int) -> float:
        spent, best = _loop(settings, as_it_comes, problem)(seed)
        return problem.score(int(spent), float(best))

    return search


@cache
def _loop(settings: StrategySettings, as_it_comes: bool, problem: Problem) -> Callable[[int], tuple[Any, Any]]:
    """Return a compiled search: from a seed to the evaluations that it spent and the best value that it met."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    algorithm, params = _made(settings, as_it_comes, problem.genes)
    target = -math.inf if problem.target is None else problem.target

    def goes_on(carry: Any) -> Any:
        _, _, spent, best = carry
        return (spent < problem.limit) & (best > target)

    def generation(carry: Any) -> Any:
        key, state, spent, best = carry
        key, asking, telling = jax.random.split(key, 3)
        population, state = algorithm.ask(asking, state, params)
        values = jax.vmap(problem.objective)(population)
        state, _ = algorithm.tell(telling, population, values, state, params)
        return key, state, spent + len(values), jnp.minimum(best, values.min())

    @jax.jit
    def loop(seed: int) -> tuple[Any, Any]:
        key, first = jax.random.split(jax.random.key(seed))
        state = algorithm.init(first, jnp.asarray(problem.start), params)
        return jax.lax.while_loop(goes_on, generation, (key, state, 0, jnp.inf))[2:]

    return loop


def _made(settings: StrategySettings, as_it_comes: bool, genes: int) -> Made:
    import jax.numpy as jnp
    import optax
    from evosax.algorithms import PGPE, SNES, Open_ES

    blank = jnp.zeros(genes)
    match settings:
        case SNESSettings():
            population = settings.population or default_population(genes)
            snes = SNES(population, blank, optax.sgd(settings.center_rate))
            return snes, snes.default_params.replace(std_init=settings.sigma)
        case PGPESettings():
            pgpe = PGPE(settings.population, blank, _optimizer(settings.optimizer))
            spread = {
                "std_init": settings.sigma,
                "std_lr": settings.sigma_rate,
                "std_max_change": settings.sigma_change,
            }
            return pgpe, pgpe.default_params.replace(**spread)
        case OpenAIESSettings():
            constant = optax.constant_schedule(settings.sigma)
            open_es = Open_ES(settings.population, blank, True, _optimizer(settings.optimizer), constant)
            return open_es, open_es.default_params
        case LMMAESSettings():
            return _lm_ma_es(settings, as_it_comes, genes)
    raise ValueError(f"no algorithm of evosax is known for {settings}")


def _lm_ma_es(settings: LMMAESSettings, as_it_comes: bool, genes: int) -> Made:
    """Return evosax's LM-MA-ES, with the paper's step-size control and vectors unless it is to be `as_it_comes`.

    evosax takes CMA-ES's rates for the step size, and multiplies weights, best first, with the normals of the members
    in the order in which they were drawn, so that its vectors follow no selection. Sorting the members before tell
    puts that right.
    """
    import jax.numpy as jnp
    from evosax.algorithms import LM_MA_ES

    class Sorted(LM_MA_ES):  # type: ignore[misc]
        def _tell(self, key: Any, population: Any, fitness: Any, state: Any, params: Any) -> Any:
            best_first = jnp.argsort(-fitness)  # fitness is a member's weight here
            state = state.replace(z=state.z[best_first])
            return super()._tell(key, population[best_first], fitness[best_first], state, params)

    population = settings.population or default_population(genes)
    algorithm = (LM_MA_ES if as_it_comes else Sorted)(population, jnp.zeros(genes))
    params = algorithm.default_params.replace(std_init=settings.sigma)
    if not as_it_comes:
        # With these, its exp(c_std / d_std (|p| / chi_n - 1)) agrees with ours to first order in |p|.
        params = params.replace(c_std=2.0 * population / genes, d_std=1.0, chi_n=math.sqrt(genes))
    return algorithm, params


def _optimizer(optimizer: AnyOptimizer) -> Any:
    import optax
    from evosax.core.optimizer import clipup

    match optimizer:
        case Adam():
            return optax.adam(optimizer.learning_rate, optimizer.beta_1, optimizer.beta_2, optimizer.epsilon)
        case ClipUp():
            speed = 2.0 * optimizer.learning_rate if optimizer.max_speed is None else optimizer.max_speed
            return clipup(optimizer.learning_rate, speed, optimizer.momentum)
    raise ValueError(f"no optimizer of evosax or optax is known for {optimizer}")
