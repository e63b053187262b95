"""Lifetimes of a member: their mean is its fitness, and noise decides how many there are."""

import msgspec
import numpy as np
import pytest
from test_evolution import tiny
from test_strategies import CENTER, build, normals, same, sphere

from evoplastic.errors import UserError
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Search, evolve, training_jobs
from evoplastic.strategies.repeats import PACE, LifetimeSettings, reliability

MEMBERS = 400


def repeated(strategy=None, **said):
    return msgspec.convert(said, LifetimeSettings).over(strategy or build())


def told(strategy, state, noise=0.0, draw=0):
    """Return the next state after lives whose fitness is the sphere's and noise of this standard deviation."""
    candidates = strategy.ask(state)
    shape = (candidates.population, candidates.lives)
    exact = np.array([sphere(candidates.genotype(member)) for member in range(shape[0])])
    noisy = exact[:, None] + noise * normals(np.uint64(draw), shape[0] * shape[1]).reshape(shape)
    return strategy.tell(state, candidates, noisy)


def drawn(signal, noise, lives, of_lives=0.0):
    """Return fitness (MEMBERS, lives) of members that differ by `signal`, lives by `of_lives`, and noise."""
    member, life = normals(np.uint64(1), MEMBERS), normals(np.uint64(2), lives)
    rest = normals(np.uint64(3), MEMBERS * lives).reshape(MEMBERS, lives)
    return signal * member[:, None] + of_lives * life[None, :] + noise * rest


def test_one_life_of_its_own_is_the_strategy_itself():
    strategy = build()
    assert LifetimeSettings().over(strategy) is strategy


def test_the_strategy_is_told_the_mean_over_lives():
    plain, strategy = build(), repeated(per_member=3)
    state, candidates = plain.initial(CENTER), plain.ask(plain.initial(CENTER))
    fitness = normals(np.uint64(5), 60).reshape(20, 3)
    means = (fitness[:, 0] + fitness[:, 1] + fitness[:, 2]) / 3
    start = strategy.initial(CENTER)
    assert same(plain, strategy.tell(start, strategy.ask(start), fitness).inner, plain.tell(state, candidates, means))


@pytest.mark.parametrize("worst", [np.nan, np.inf, -np.inf])
def test_a_member_with_one_life_that_is_no_number_is_worst(worst):
    plain, strategy = build(), repeated(per_member=2)
    fitness, start = np.ones((20, 2)), strategy.initial(CENTER)
    fitness[:, 1] = normals(np.uint64(5), 20)
    fitness[4, 1] = worst
    means = fitness.mean(axis=1)
    means[4] = np.nan
    expected = plain.tell(plain.initial(CENTER), plain.ask(plain.initial(CENTER)), means)
    assert same(plain, strategy.tell(start, strategy.ask(start), fitness).inner, expected)


@pytest.mark.parametrize(("signal", "noise", "lives"), [(1.0, 1.0, 2), (1.0, 3.0, 4), (0.5, 0.1, 3)])
def test_reliability_is_the_share_of_differences_that_are_not_noise(signal, noise, lives):
    expected = signal**2 / (signal**2 + noise**2 / lives)
    for shared in (False, True):
        assert reliability(drawn(signal, noise, lives), shared) == pytest.approx(expected, abs=0.06)


def test_lives_of_different_difficulty_count_as_noise_only_where_members_do_not_share_them():
    hard = drawn(1.0, 0.5, 4, of_lives=10.0)
    assert reliability(hard, shared=True) == pytest.approx(1 / (1 + 0.25 / 4), abs=0.03)
    assert reliability(hard, shared=False) < 0.2


def test_members_that_all_score_alike_have_no_reliability():
    assert reliability(np.ones((5, 3)), shared=False) == 0.0


def test_lives_grow_under_noise_up_to_the_most_and_shrink_without():
    strategy = repeated(build(population=200), per_member=2, most=7)
    state = strategy.initial(CENTER)
    grown = [strategy.ask(state := told(strategy, state, 50.0, draw)).lives for draw in range(20)]
    assert grown == sorted(grown) and grown[-1] == 7
    shrunk = [strategy.ask(state := told(strategy, state)).lives for _ in range(20)]
    assert shrunk == sorted(shrunk, reverse=True) and shrunk[-1] == 2


def test_lives_change_by_no_more_than_the_pace():
    strategy = repeated(build(population=200), per_member=10, most=1000)
    state = strategy.initial(CENTER)
    assert told(strategy, state, 1e3).lives == pytest.approx(10 * PACE)


def test_the_number_of_lives_stays_where_it_meets_the_aim():
    """Members of known signal and noise: at 8 lives the reliability is the aim, 1 / (1 + 8 / 8)."""
    strategy = repeated(build(population=MEMBERS), per_member=2, most=100, reliability=0.5)
    state = strategy.initial(CENTER)
    for draw in range(60):
        candidates = strategy.ask(state)
        rest = normals(np.uint64(100 + draw), MEMBERS * candidates.lives).reshape(MEMBERS, -1)
        state = strategy.tell(state, candidates, normals(np.uint64(1), MEMBERS)[:, None] + np.sqrt(8.0) * rest)
    assert 6 <= strategy.ask(state).lives <= 10


def test_resuming_is_bit_exact():
    strategy = repeated(per_member=2, most=9)
    state = strategy.initial(CENTER)
    for draw in range(6):
        saved = strategy.arrays(state)
        assert same(strategy, told(strategy, strategy.restore(saved), 2.0, draw), told(strategy, state, 2.0, draw))
        state = told(strategy, state, 2.0, draw)


def test_the_arrays_of_a_search_without_lifetimes_are_refused():
    plain, strategy = build(), repeated(per_member=2)
    with pytest.raises(UserError, match="lifetimes"):
        strategy.restore(plain.arrays(plain.initial(CENTER)))


def test_fitness_without_a_number_for_each_life_is_refused():
    strategy = repeated(per_member=2)
    state = strategy.initial(CENTER)
    with pytest.raises(ValueError, match=r"\(20, 2\)"):
        strategy.tell(state, strategy.ask(state), np.zeros(20))


def test_noise_needs_two_lives_to_show():
    with pytest.raises(msgspec.ValidationError, match="per_member must be 2 to most = 5"):
        msgspec.convert({"most": 5}, LifetimeSettings)


def test_lives_of_a_generation_are_different_ones_and_shared_as_the_run_file_says():
    for shared, distinct in (("pair", 2), ("generation", 1)):
        search = Search.of(tiny("lifetimes.per_member=3", f"lifetimes.shared_by={shared}", "strategy.population=4"))
        candidates = search.strategy.ask(search.start())
        jobs = training_jobs(search, candidates, 0, range(4))
        assert [job.member for job in jobs] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
        assert [job.life for job in jobs[:3]] == [job.life for job in jobs[6:9]], "mirrored members meet the same"
        assert len({job.life for job in jobs}) == 3 * distinct


def test_a_run_with_several_lives_counts_them_and_keeps_its_bits_for_any_number_of_workers():
    search = Search.of(tiny("lifetimes.per_member=2", "lifetimes.most=3", generations=3))
    one, two = (list(evolve(search, Threads(search.problem, workers))) for workers in (1, 2))
    assert one[0].lives == 2 * search.strategy.ask(search.start()).population
    assert [record.state.center.tobytes() for record in one] == [record.state.center.tobytes() for record in two]
    assert one[-1].metrics["strategy"]["lives_per_member"] >= 2
