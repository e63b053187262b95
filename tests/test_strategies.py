"""Strategies: what every one of them promises."""

import math
import pickle
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from evoplastic.errors import UserError
from evoplastic.random import fill_normals
from evoplastic.strategies import STRATEGIES
from evoplastic.strategies.contract import Fixed

D = 6
CENTER = np.linspace(-1.0, 1.5, D)
each_strategy = pytest.mark.parametrize("name", STRATEGIES)


def space(size=D, floor=-np.inf, step=1.0):
    return SimpleNamespace(size=size, floors=np.full(size, floor), steps=np.broadcast_to(step, size).astype(float))


def build(name="openai_es", seed=0, population=20, genome=None, **said):
    settings = msgspec.convert({"type": name, "population": population, **said}, STRATEGIES[name])
    return settings.build(genome or space(), seed)


def sphere(genotype):
    return -np.sum(np.square(genotype))


def scores(candidates, score=sphere):
    return np.array([score(candidates.genotype(member)) for member in range(candidates.population)])


def advance(strategy, state, score=sphere):
    candidates = strategy.ask(state)
    return strategy.tell(state, candidates, scores(candidates, score))


def evolved(strategy, generations, score=sphere):
    state = strategy.initial(CENTER)
    for _ in range(generations):
        state = advance(strategy, state, score)
    return state


def same(strategy, one, other):
    ours, theirs = strategy.arrays(one), strategy.arrays(other)
    return ours.keys() == theirs.keys() and all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in zip(ours.values(), theirs.values())
    )


def normals(key, size):
    out = np.empty(size)
    fill_normals(key, out)
    return out


@each_strategy
def test_a_search_begins_at_its_center_in_generation_zero(name):
    state = build(name).initial(CENTER)
    assert state.generation == 0 and np.array_equal(state.center, CENTER)


@each_strategy
def test_every_tell_is_one_generation(name):
    strategy = build(name)
    assert evolved(strategy, 3).generation == 3


@each_strategy
def test_asking_twice_gives_the_same_candidates(name):
    strategy = build(name)
    state = evolved(strategy, 1)
    one, other = strategy.ask(state), strategy.ask(state)
    assert one.population == other.population == 20
    assert all(np.array_equal(one.genotype(m), other.genotype(m)) for m in range(20))


@each_strategy
def test_candidates_are_the_same_bits_in_another_process(name):
    strategy = build(name)
    candidates = strategy.ask(evolved(strategy, 1))
    sent = pickle.loads(pickle.dumps(candidates))
    assert all(sent.genotype(m).tobytes() == candidates.genotype(m).tobytes() for m in range(20))
    assert [sent.pair(m) for m in range(20)] == [candidates.pair(m) for m in range(20)]


@each_strategy
def test_neither_ask_nor_tell_alters_a_state(name):
    strategy = build(name)
    state = evolved(strategy, 2)
    before = {key: array.copy() for key, array in strategy.arrays(state).items()}
    advance(strategy, state)
    assert all(np.array_equal(before[key], array) for key, array in strategy.arrays(state).items())
    with pytest.raises(ValueError, match="read-only"):
        state.center[0] = 0.0


@each_strategy
def test_the_order_of_evaluation_does_not_matter(name):
    strategy = build(name)
    state = evolved(strategy, 1)
    candidates, fitness = strategy.ask(state), np.empty(20)
    for member in np.argsort(normals(np.uint64(7), 20)):
        fitness[member] = sphere(candidates.genotype(int(member)))
    assert same(strategy, strategy.tell(state, candidates, fitness), advance(strategy, state))


@each_strategy
def test_fitness_belongs_to_its_member(name):
    strategy = build(name)
    state = strategy.initial(CENTER)
    candidates = strategy.ask(state)
    fitness = scores(candidates)
    swapped = fitness.copy()
    swapped[[0, 1]] = fitness[[1, 0]]
    assert not same(strategy, strategy.tell(state, candidates, fitness), strategy.tell(state, candidates, swapped))


@each_strategy
def test_resuming_after_any_generation_is_bit_exact(name):
    whole = build(name)
    final = evolved(whole, 5)
    for stop in range(6):
        stopped = build(name)
        saved = {key: array.copy() for key, array in stopped.arrays(evolved(stopped, stop)).items()}
        resumed = build(name)
        state = resumed.restore(saved)
        assert state.generation == stop
        for _ in range(5 - stop):
            state = advance(resumed, state)
        assert same(whole, state, final)
        assert resumed.diagnostics(state) == whole.diagnostics(final)


@each_strategy
def test_the_arrays_of_another_search_are_refused(name):
    strategy, larger = build(name), build(name, genome=space(D + 1))
    with pytest.raises(UserError, match="center"):
        strategy.restore(larger.arrays(larger.initial(np.zeros(D + 1))))


@each_strategy
def test_seed_zero_is_a_seed(name):
    first, again, other = (build(name, seed=seed) for seed in (0, 0, 1))
    assert same(first, evolved(first, 2), evolved(again, 2))
    assert not same(first, evolved(first, 2), evolved(other, 2))


@each_strategy
def test_each_generation_has_its_own_members(name):
    strategy = build(name)
    state = strategy.initial(CENTER)
    flat = strategy.tell(state, strategy.ask(state), np.zeros(20))
    deviations = [strategy.ask(s).genotype(0) - s.center for s in (state, flat)]
    assert not np.allclose(*deviations)


@each_strategy
@pytest.mark.parametrize("worst", [np.nan, np.inf, -np.inf])
def test_a_state_stays_finite_whatever_members_return(name, worst):
    strategy = build(name)
    state = evolved(strategy, 1)
    candidates = strategy.ask(state)
    fitness = scores(candidates)
    fitness[[0, 3, 10]] = worst
    assert np.isfinite(strategy.tell(state, candidates, fitness).center).all()


@each_strategy
def test_without_any_finite_fitness_only_the_generation_changes(name):
    strategy = build(name)
    state = evolved(strategy, 1)
    before, after = (
        strategy.arrays(state),
        strategy.arrays(strategy.tell(state, strategy.ask(state), np.full(20, np.nan))),
    )
    assert after["generation"] == before["generation"] + 1
    assert all(np.array_equal(before[k], after[k]) for k in before if k not in ("generation", "norms"))


@each_strategy
def test_the_sphere_is_climbed(name):
    assert sphere(evolved(build(name), 300).center) > 0.05 * sphere(CENTER)


@each_strategy
def test_the_noisy_sphere_is_climbed(name):
    draws = iter(normals(np.uint64(11), 4000))
    # Pairs of this noise do not cancel; its standard deviation is four times that of the first generation's fitness.
    final = evolved(build(name, seed=1), 200, lambda genotype: sphere(genotype) + 0.5 * next(draws))
    assert sphere(final.center) > 0.3 * sphere(CENTER)


@each_strategy
def test_diagnostics_are_finite_numbers(name):
    strategy = build(name)
    for generations in (0, 2):
        assert all(math.isfinite(value) for value in strategy.diagnostics(evolved(strategy, generations)).values())


@each_strategy
def test_nothing_is_drawn_from_numpys_own_generators(name, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("np.random was used")

    for attribute in dir(np.random):
        if attribute != "SeedSequence" and attribute[0] != "_" and callable(getattr(np.random, attribute)):
            monkeypatch.setattr(np.random, attribute, refuse)
    evolved(build(name), 2)


@each_strategy
@pytest.mark.parametrize("fitness", [np.zeros(19), np.zeros((20, 1))])
def test_fitness_of_another_shape_is_refused(name, fitness):
    strategy = build(name)
    state = strategy.initial(CENTER)
    with pytest.raises(ValueError, match=r"\(20,\)"):
        strategy.tell(state, strategy.ask(state), fitness)


def test_given_genotypes_share_one_pair():
    genotypes = np.arange(12.0).reshape(2, 6)
    candidates = Fixed(genotypes)
    assert candidates.population == 2 and np.array_equal(candidates.genotype(1), genotypes[1])
    assert candidates.pair(0) == candidates.pair(1)
