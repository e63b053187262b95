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
from evoplastic.strategies.contract import Fixed, Listed

D = 6
CENTER = np.linspace(-1.0, 1.5, D)
SETTINGS = {  # what a strategy needs to climb these hills in a few hundred generations
    "genetic": {"parents": 4, "sigma": 0.1},
    "random_search": {"sigma": 0.5},
}
MIRRORED = {"openai_es": {}, "pgpe": {}, "snes": {"mirrored": True}}
each_strategy = pytest.mark.parametrize("name", STRATEGIES)


def space(size=D, floor=-np.inf, step=1.0):
    return SimpleNamespace(
        size=size, floors=np.broadcast_to(floor, size).astype(float), steps=np.broadcast_to(step, size).astype(float)
    )


def build(name="openai_es", seed=0, population=20, genome=None, **said):
    said = {"type": name, "population": population, **SETTINGS.get(name, {}), **said}
    return msgspec.convert(said, STRATEGIES[name]).build(genome or space(), seed)


def sphere(genotype):
    return -np.sum(np.square(genotype))


def scores(candidates, score=sphere):
    return np.array([score(candidates.genotype(member)) for member in range(candidates.population)])


def advance(strategy, state, score=sphere):
    candidates = strategy.ask(state)
    return strategy.tell(state, candidates, scores(candidates, score))


def evolved(strategy, generations, score=sphere, center=CENTER):
    state = strategy.initial(center)
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
    swapped = fitness[::-1].copy()
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
    deviations = [strategy.ask(s).genotype(19) - s.center for s in (state, flat)]
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


@each_strategy
def test_candidates_of_another_generation_are_refused(name):
    strategy = build(name)
    state = strategy.initial(CENTER)
    with pytest.raises(ValueError, match="generation 0, the state of 1"):
        strategy.tell(advance(strategy, state), strategy.ask(state), np.zeros(20))


@each_strategy
def test_a_center_of_another_size_is_refused(name):
    with pytest.raises(ValueError, match=r"\(6,\)"):
        build(name).initial(np.zeros(D + 1))


@each_strategy
def test_a_genome_without_genes_is_refused(name):
    with pytest.raises(UserError, match="nothing to evolve"):
        build(name, genome=space(0))


@each_strategy
def test_one_gene_is_searched_or_refused_in_a_sentence(name):
    try:
        strategy = build(name, genome=space(1))
    except UserError as refusal:
        assert "gene" in str(refusal) and "\n" not in str(refusal)
        return
    state = strategy.initial(np.ones(1))
    for _ in range(20):
        state = advance(strategy, state)
        assert np.isfinite(state.center).all()


@pytest.mark.parametrize("name", MIRRORED)
def test_mirrored_pairs_sum_to_twice_the_center_within_one_ulp(name):
    strategy = build(name, **MIRRORED[name])
    state = evolved(strategy, 2)
    candidates = strategy.ask(state)
    for pair in range(10):
        above, below = candidates.genotype(pair), candidates.genotype(pair + 10)
        error = [math.fsum(terms) for terms in zip(above, below, -state.center, -state.center)]
        assert (np.abs(error) <= np.spacing(np.maximum(np.abs(above), np.abs(below)))).all()
        assert candidates.pair(pair) == candidates.pair(pair + 10)


@each_strategy
def test_the_center_keeps_to_its_floors_for_fifty_generations(name):
    strategy = build(name, genome=space(floor=np.array([0.5] * 3 + [-np.inf] * 3)))
    state = strategy.initial(CENTER)
    for _ in range(50):
        assert (state.center[:3] >= 0.5).all()
        state = advance(strategy, state, lambda genotype: -genotype.sum())
    assert state.center[3:].sum() < CENTER[3:].sum()


@each_strategy
def test_a_step_is_its_genes_unit(name):
    step = np.array([0.01, 0.1, 0.3, 1.0, 3.0, 10.0])
    said = {"weight_decay": 0.0} if name == "openai_es" else {}  # its penalty is on genes themselves
    scaled, plain = build(name, genome=space(step=step), **said), build(name, **said)
    there = evolved(scaled, 5, lambda genotype: sphere(genotype / step), step * CENTER)
    here = evolved(plain, 5)
    assert np.allclose(there.center, step * here.center, rtol=1e-9)
    assert not np.allclose(here.center, CENTER)


@each_strategy
def test_memory_grows_with_the_genome(name):
    small, large = build(name).memory(), build(name, genome=space(1000)).memory()
    assert 0 < small < large


@each_strategy
def test_a_strategy_at_its_first_center_is_not_exhausted(name):
    strategy = build(name)
    assert strategy.exhausted(strategy.initial(CENTER)) == ""


def test_given_genotypes_share_one_pair():
    genotypes = np.arange(12.0).reshape(2, 6)
    candidates = Fixed(genotypes)
    assert candidates.population == 2 and np.array_equal(candidates.genotype(1), genotypes[1])
    assert candidates.pair(0) == candidates.pair(1)


def test_listed_members_are_each_a_pair_of_their_own():
    candidates = Listed(np.arange(12.0).reshape(2, 6), generation=3)
    assert (candidates.population, candidates.generation, candidates.pair(0), candidates.pair(1)) == (2, 3, 0, 1)


@each_strategy
def test_the_effective_size_counts_members_at_most(name):
    strategy = build(name)
    state = evolved(strategy, 1)
    size = strategy.effective_size(state, scores(strategy.ask(state)))
    assert 1.0 <= size <= 20.0
