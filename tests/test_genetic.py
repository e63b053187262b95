"""The (mu + lambda) genetic algorithm against its equations."""

import msgspec
import numpy as np
import pytest
from test_strategies import CENTER, D, build, evolved, normals, scores, space

from evoplastic.random import Purpose, stream_key
from evoplastic.strategies.genetic import GeneticSettings

STEP = np.arange(1.0, D + 1)


def genetic(**said):
    return build("genetic", **{"parents": 4, "sigma": 0.5, "genome": space(step=STEP), **said})


def test_parents_live_again_as_the_first_members():
    strategy = genetic()
    state = evolved(strategy, 2)
    candidates = strategy.ask(state)
    assert all(np.array_equal(candidates.genotype(m), state.parents[m]) for m in range(4))


def test_a_child_is_a_parent_and_its_mutation():
    strategy = genetic(seed=5)
    state = evolved(strategy, 2)
    child = strategy.ask(state).genotype(9)
    eps = normals(stream_key(5, Purpose.PERTURBATION, 2, 9), D)
    origins = [np.allclose(child, parent + 0.5 * STEP * eps, rtol=1e-14) for parent in state.parents]
    assert sum(origins) == 1


def test_every_parent_has_children_about_evenly():
    strategy = genetic(population=404)
    state = evolved(strategy, 1)
    candidates = strategy.ask(state)
    counts = np.zeros(4)
    for member in range(4, 404):
        mutation = 0.5 * STEP * normals(stream_key(0, Purpose.PERTURBATION, 1, member), D)
        distance = np.abs(candidates.genotype(member) - mutation - state.parents).sum(axis=1)
        counts[np.argmin(distance)] += 1
    assert (np.abs(counts - 100) < 5 * np.sqrt(75)).all()  # five standard deviations


def test_crossover_takes_each_gene_from_one_of_two_parents_evenly():
    strategy = genetic(population=404, crossover=1.0)
    state = evolved(strategy, 1)
    candidates = strategy.ask(state)
    alone, of_first = 0, 0
    for member in range(4, 404):
        mutation = 0.5 * STEP * normals(stream_key(0, Purpose.PERTURBATION, 1, member), D)
        source = np.isclose((candidates.genotype(member) - mutation)[None], state.parents, rtol=1e-12)
        assert source.any(axis=0).all()
        alone += source.all(axis=1).any()
        of_first += source[0].sum()
    # Both parents are the same one with probability 1/4, or one gives all six genes: 3/4 * 2^-5.
    assert abs(alone - 400 * (1 / 4 + 3 / 128)) < 5 * np.sqrt(400 * 0.27 * 0.73)
    assert abs(of_first - 400 * D / 4) < 5 * np.sqrt(400 * D * D / 4)


def test_without_crossover_no_child_has_two_parents():
    strategy = genetic()
    state = evolved(strategy, 1)
    candidates = strategy.ask(state)
    for member in range(4, 20):
        mutation = 0.5 * STEP * normals(stream_key(0, Purpose.PERTURBATION, 1, member), D)
        source = np.isclose((candidates.genotype(member) - mutation)[None], state.parents, rtol=1e-12)
        assert source.all(axis=1).any()


def test_the_best_of_parents_and_children_are_the_next_parents():
    strategy = genetic()
    state = evolved(strategy, 1)
    candidates = strategy.ask(state)
    fitness = scores(candidates)
    after = strategy.tell(state, candidates, fitness)
    best = sorted(range(20), key=lambda member: -fitness[member])[:4]
    assert np.array_equal(after.parents, [candidates.genotype(member) for member in best])
    assert np.array_equal(after.center, after.parents[0])


def test_a_parent_worse_than_its_children_this_time_is_dropped():
    strategy = genetic()
    state = evolved(strategy, 1)
    candidates = strategy.ask(state)
    fitness = np.where(np.arange(20) < 4, -1.0, 0.0)
    after = strategy.tell(state, candidates, fitness)
    assert np.array_equal(after.parents, [candidates.genotype(member) for member in range(4, 8)])


def test_members_without_a_fitness_are_no_parents():
    strategy = genetic()
    state = strategy.initial(CENTER)
    candidates = strategy.ask(state)
    fitness = np.full(20, np.nan)
    fitness[[6, 11, 3]] = 1.0, 2.0, np.inf
    first, second = candidates.genotype(11), candidates.genotype(6)
    assert np.array_equal(strategy.tell(state, candidates, fitness).parents, [first, second, first, second])


def test_all_parents_keep_to_the_floors():
    strategy = genetic(genome=space(floor=0.0))
    state = evolved(strategy, 2, lambda genotype: -genotype.sum())
    assert (state.parents >= 0.0).all()


def test_the_first_parents_are_the_center_and_mutants_of_it():
    strategy = genetic(seed=5)
    parents = strategy.initial(CENTER).parents
    eps = normals(stream_key(5, Purpose.PERTURBATION, 0, 3), D)
    assert np.array_equal(parents[0], CENTER)
    assert np.allclose(parents[3], CENTER + 0.5 * STEP * eps, rtol=1e-14)


def test_a_fifth_of_the_population_are_parents_unless_said_otherwise():
    assert GeneticSettings(population=50).mu == 10
    assert GeneticSettings(population=3).mu == 1
    assert GeneticSettings(population=50, parents=7).mu == 7


def test_more_parents_than_members_are_refused():
    with pytest.raises(msgspec.ValidationError, match=r"parents must be less than population = 20.*got 20"):
        msgspec.convert({"type": "genetic", "population": 20, "parents": 20}, GeneticSettings)
