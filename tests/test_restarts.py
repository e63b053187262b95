"""Restarts: what is stuck begins anew, with the population of its schedule, and the best center is kept."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from test_strategies import CENTER, D, advance, build, each_strategy, same, scores, space, sphere

from evoplastic.errors import UserError
from evoplastic.strategies import STRATEGIES
from evoplastic.strategies.restarts import RestartSettings

PATIENCE = 6


def restarting(schedule="same", seed=0, population=8, name="openai_es", **said):
    strategy = msgspec.convert({"type": name, "population": population, "sigma": 0.1}, STRATEGIES[name])
    settings = msgspec.convert({"schedule": schedule, "patience": PATIENCE, **said}, RestartSettings)
    return settings.build(strategy, space(), seed)


def flat(genotype):
    return 1.0


def lived(strategy, generations, score=flat, state=None):
    """Return the states after each generation."""
    states = [state or strategy.initial(CENTER)]
    for _ in range(generations):
        states.append(advance(strategy, states[-1], score))
    return states


def test_without_a_schedule_there_is_only_the_strategy():
    assert type(restarting("none")) is type(build())


def test_the_first_run_is_the_strategy_without_restarts():
    plain = build(population=8, sigma=0.1)
    state, ours = plain.initial(CENTER), lived(restarting(), 3, sphere)
    for own in ours:
        assert same(plain, own.inner, state)
        state = advance(plain, state, sphere)


def test_a_flat_fitness_starts_anew_after_the_patience_and_no_generation_is_lost():
    states = lived(restarting(), 2 * PATIENCE)
    assert [state.run.number for state in states] == [0] * PATIENCE + [1] * PATIENCE + [2]
    assert [state.generation for state in states] == list(range(2 * PATIENCE + 1))
    assert np.array_equal(states[PATIENCE].inner.center, CENTER)


def test_a_search_that_gets_better_goes_on():
    climbing = iter(range(10_000))
    assert lived(restarting(), 5 * PATIENCE, lambda genotype: float(next(climbing)))[-1].run.number == 0


def test_runs_differ_in_their_draws():
    strategy = restarting()
    states = lived(strategy, PATIENCE)
    assert not np.allclose(strategy.ask(states[0]).genotype(0), strategy.ask(states[-1]).genotype(0))


@pytest.mark.parametrize(("schedule", "populations"), [("same", [8, 8, 8, 8]), ("ipop", [8, 16, 32, 64])])
def test_populations_follow_the_schedule(schedule, populations):
    states = lived(restarting(schedule), 3 * PATIENCE)
    assert [state.run.population for state in states[::PATIENCE]] == populations


@pytest.mark.parametrize(
    ("schedule", "populations"), [("same", [5, 5, 5]), ("ipop", [5, 10, 20]), ("bipop", [5, 10, 5])]
)
def test_no_run_has_fewer_members_than_the_first_also_if_that_is_odd(schedule, populations):
    states = lived(restarting(schedule, population=5, name="random_search"), 2 * PATIENCE)
    assert [state.run.population for state in states[::PATIENCE]] == populations


def test_no_population_grows_beyond_a_thousand_times_the_first():
    states = lived(restarting("ipop", population=2, growth=16.0), 4 * PATIENCE)
    assert [state.run.population for state in states[::PATIENCE]] == [2, 32, 512, 2000, 2000]


def test_bipop_spends_as_many_members_on_small_runs_as_on_large_ones():
    strategy = restarting("bipop")
    states = lived(strategy, 30 * PATIENCE)
    runs = {state.run.number: state.run for state in states}
    large = [run.population for run in runs.values() if not run.is_small]
    small = [run for run in runs.values() if run.is_small]
    assert large == [8 * 2**k for k in range(len(large))] and len(large) > 2 and len(small) > 2
    assert all(run.population <= large[-1] and 0.001 <= run.sigma <= 0.1 for run in small)
    assert len({run.sigma for run in small}) == len(small)
    last = states[-1].run
    assert last.cost_small <= last.cost_large + 2 * PATIENCE * large[-1]


def test_the_center_is_that_of_the_run_that_was_worth_most():
    strategy = restarting()
    worth = iter([1.0] * PATIENCE + [0.0] * (PATIENCE - 1) + [5.0, 6.0, 7.0, 8.0])
    state = strategy.initial(CENTER)
    centers = []
    for value in worth:
        state = advance(strategy, state, lambda genotype, value=value: value)
        centers.append(state)
    first, poor, rich = centers[PATIENCE - 1], centers[PATIENCE], centers[-1]
    assert poor.run.number == 1 and poor.center is first.best
    assert rich.center is rich.inner.center


def plateaus(genotype):
    return np.round(sphere(genotype))


@each_strategy
def test_resuming_after_any_generation_is_bit_exact(name):
    strategy = restarting("bipop", name=name)
    states = lived(strategy, 5 * PATIENCE, plateaus)
    assert states[-1].run.number > 0
    for state, after in pairwise(states):
        again = restarting("bipop", name=name)
        assert same(again, advance(again, again.restore(strategy.arrays(state)), plateaus), after)


def test_an_older_state_can_be_asked_again():
    strategy = restarting("ipop")
    states = lived(strategy, 2 * PATIENCE)
    assert [scores(strategy.ask(state)).tobytes() for state in states] == [
        scores(strategy.ask(state)).tobytes() for state in lived(restarting("ipop"), 2 * PATIENCE)
    ]


def test_the_arrays_of_another_search_are_refused():
    plain = build()
    with pytest.raises(UserError, match="restarts"):
        restarting().restore(plain.arrays(plain.initial(np.zeros(D))))


def test_all_that_fails_does_not_count_as_stagnation():
    states = lived(restarting(), PATIENCE + 2, lambda genotype: np.nan)
    assert states[-1].run.number == 0 and states[-1].generation == PATIENCE + 2
