"""Random search: the incumbent against fresh draws."""

import numpy as np
from test_strategies import CENTER, D, advance, build, evolved, normals, same, scores, space

from evoplastic.random import Purpose, stream_key


def test_the_incumbent_lives_again_as_the_first_member():
    strategy = build("random_search")
    state = evolved(strategy, 2)
    assert not np.array_equal(state.center, CENTER)
    assert np.array_equal(strategy.ask(state).genotype(0), state.center)


def test_the_others_are_drawn_around_the_first_center_wherever_the_incumbent_is():
    step = np.arange(1.0, D + 1)
    strategy = build("random_search", seed=5, sigma=0.5, genome=space(step=step))
    state = evolved(strategy, 3)
    eps = normals(stream_key(5, Purpose.PERTURBATION, 3, 7), D)
    assert np.allclose(strategy.ask(state).genotype(7), CENTER + 0.5 * step * eps, rtol=1e-15)


def test_the_best_member_is_the_next_center():
    strategy = build("random_search")
    state = strategy.initial(CENTER)
    candidates = strategy.ask(state)
    fitness = scores(candidates)
    after = strategy.tell(state, candidates, fitness)
    assert np.array_equal(after.center, candidates.genotype(int(np.argmax(fitness))))


def test_an_incumbent_that_fails_this_generation_loses_its_place():
    strategy = build("random_search")
    state = strategy.initial(CENTER)
    candidates = strategy.ask(state)
    fitness = np.full(20, -2.0)
    fitness[[0, 4, 5]] = -3.0, np.inf, -1.0
    assert np.array_equal(strategy.tell(state, candidates, fitness).center, candidates.genotype(5))


def test_a_tie_leaves_the_incumbent_in_place():
    strategy = build("random_search")
    state = evolved(strategy, 1)
    after = strategy.tell(state, strategy.ask(state), np.ones(20))
    assert np.array_equal(after.center, state.center) and strategy.diagnostics(after)["update_norm"] == 0.0


def test_fitness_counts_in_its_own_generation_only():
    strategy = build("random_search")
    easy = advance(strategy, strategy.initial(CENTER))
    hard = advance(strategy, strategy.initial(CENTER), lambda genotype: -1000.0 - np.sum(np.square(genotype)))
    assert same(strategy, easy, hard)
