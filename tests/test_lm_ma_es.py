"""LM-MA-ES against its equations."""

import math

import msgspec
import numpy as np
import pytest
from test_strategies import CENTER, build, evolved, normals, scores, space

from evoplastic.random import Purpose, stream_key
from evoplastic.strategies.lm_ma_es import LMMAESSettings

GENES = 40  # so many that no published rate reaches the limit of 1/2 for a population of 8


def large(**said):
    step = np.linspace(0.5, 2.0, GENES)
    return build("lm_ma_es", **{"population": 8, "vectors": 5, "seed": 3, "genome": space(GENES, step=step), **said})


def begin(strategy, generations):
    return evolved(strategy, generations, center=np.linspace(-1.0, 1.5, GENES))


def naive_transform(vectors, z):
    """Return T z, vector after vector."""
    d = list(z)
    for j, m in enumerate(vectors):
        c = 1.0 / (1.5**j * GENES)
        inner = sum(m[i] * d[i] for i in range(GENES))
        d = [(1.0 - c) * d[i] + c * m[i] * inner for i in range(GENES)]
    return d


def naive_tell(strategy, state, fitness):
    """Return the next center, path, vectors and step size as algorithm 1 says, member after member."""
    size, mu = len(fitness), len(fitness) // 2
    logs = [math.log(mu + 0.5) - math.log(k) for k in range(1, mu + 1)]
    w = [log / sum(logs) for log in logs]
    mu_w = 1.0 / sum(weight**2 for weight in w)
    best = sorted(range(size), key=lambda member: -fitness[member])[:mu]
    used = state.vectors[: min(state.generation, len(state.vectors))]
    z = [normals(stream_key(3, Purpose.PERTURBATION, state.generation, member), GENES) for member in best]
    d = [naive_transform(used, draw) for draw in z]
    mean = sum(weight * draw for weight, draw in zip(w, z))
    center = state.center + sum(
        weight * state.sigma * strategy.space.steps * np.array(draw) for weight, draw in zip(w, d)
    )
    c = 2.0 * size / GENES
    path = (1.0 - c) * state.path + math.sqrt(mu_w * c * (2.0 - c)) * mean
    rates = [size / (4.0**j * GENES) for j in range(len(state.vectors))]
    vectors = [(1 - r) * m + math.sqrt(mu_w * r * (2 - r)) * mean for r, m in zip(rates, state.vectors)]
    sigma = state.sigma[0] * math.exp(c / 2.0 * (np.sum(path**2) / GENES - 1.0))
    return center, path, vectors, sigma


@pytest.mark.parametrize("generation", [0, 1, 3, 9])
def test_the_update_is_the_naive_one(generation):
    strategy = large()
    state = begin(strategy, generation)
    candidates = strategy.ask(state)
    fitness = scores(candidates)
    after = strategy.tell(state, candidates, fitness)
    center, path, vectors, sigma = naive_tell(strategy, state, fitness)
    assert np.allclose(after.center, center, rtol=1e-10, atol=1e-12)
    assert np.allclose(after.path, path, rtol=1e-10, atol=1e-12)
    assert np.allclose(after.vectors, vectors, rtol=1e-10, atol=1e-12)
    assert after.sigma[0] == pytest.approx(sigma, rel=1e-10)


def test_members_are_transformed_draws():
    strategy = large()
    state = begin(strategy, 3)
    z = normals(stream_key(3, Purpose.PERTURBATION, 3, 6), GENES)
    d = np.array(naive_transform(state.vectors[:3], z))
    assert not np.allclose(d, z)
    assert np.allclose(strategy.ask(state).genotype(6), state.center + state.sigma * strategy.space.steps * d)


def test_a_member_is_the_same_bits_from_read_only_memory():
    candidates = large().ask(begin(large(), 3))
    genes = candidates.genotype(6)
    candidates.vectors.setflags(write=False)
    assert candidates.genotype(6).tobytes() == genes.tobytes()


def test_a_generation_without_fitness_adds_no_vector():
    strategy = large()
    state = begin(strategy, 2)
    lost = strategy.tell(state, strategy.ask(state), np.full(8, np.nan))
    assert len(strategy.ask(lost).vectors) == 2 and lost.generation == 3


def test_the_search_stays_finite_with_many_more_members_than_genes():
    for population in (7, 20, 200):
        strategy = build("lm_ma_es", population=population)
        state = evolved(strategy, 60)
        numbers = strategy.diagnostics(state)
        assert all(map(math.isfinite, numbers.values())) and numbers["sigma"] < 1.0


def test_a_slope_without_end_cannot_make_the_step_size_explode():
    strategy = build("lm_ma_es")
    state = evolved(strategy, 400, lambda genotype: genotype.sum())
    assert state.sigma[0] <= 1e5 and np.isfinite(state.center).all() and state.center.sum() > 1e4


def test_noise_alone_does_not_make_the_step_size_explode():
    strategy = build("lm_ma_es", population=0, genome=space(100))
    noise = iter(normals(np.uint64(5), 20_000))
    state = evolved(strategy, 300, lambda _: next(noise), np.zeros(100))
    assert 0.1 / 30 < state.sigma[0] < 0.1 * 30


def test_equal_fitness_is_selection_at_random():
    # Then |path|^2 / D is 1 on average, and the step size drifts neither way: its logarithm's standard error is small.
    strategy = build("lm_ma_es", population=0, genome=space(100))
    state = evolved(strategy, 300, lambda _: 0.0, np.zeros(100))
    assert 0.1 / 30 < state.sigma[0] < 0.1 * 30


def test_the_defaults_are_the_papers():
    strategy = build("lm_ma_es", population=0, genome=space(1000))
    assert strategy.population == strategy.vectors == 4 + math.floor(3 * math.log(1000)) == 24
    path, transform, vectors = strategy.rates
    assert path == pytest.approx(2 * 24 / 1000)
    assert transform[2] == pytest.approx(1 / (1.5**2 * 1000)) and vectors[2] == pytest.approx(24 / (4**2 * 1000))


def test_members_are_each_a_pair_of_their_own():
    strategy = build("lm_ma_es")
    candidates = strategy.ask(strategy.initial(CENTER))
    assert [candidates.pair(member) for member in range(20)] == [*range(20)]


def test_few_vectors_learn_a_long_axis_that_no_gene_lies_along():
    def cigar(x):
        along = np.sum(x) ** 2 / 20
        return -(1e4 * (np.sum(x * x) - along) + along)

    searches = {name: build(name, population=0, genome=space(20)) for name in ("lm_ma_es", "snes")}
    left = {name: cigar(evolved(search, 400, cigar, np.ones(20)).center) for name, search in searches.items()}
    assert left["lm_ma_es"] > 0.8 * left["snes"]


def test_one_member_is_refused():
    with pytest.raises(msgspec.ValidationError, match=r"at least 2.*got 1"):
        msgspec.convert({"population": 1}, LMMAESSettings)
