"""SNES against its equations."""

import math

import msgspec
import numpy as np
import pytest
from test_strategies import CENTER, D, advance, build, evolved, normals, scores, space

from evoplastic.random import Purpose, stream_key
from evoplastic.strategies.snes import SNESSettings

STEP = np.arange(1.0, D + 1)


def naive_update(strategy, state, fitness, center_rate, sigma_rate):
    """Return the next center and step sizes as the equations say, member after member."""
    size, half = len(fitness), len(fitness) // 2
    logs = [max(0.0, math.log(size / 2 + 1) - math.log(k)) for k in range(1, size + 1)]
    order = sorted(range(size), key=lambda member: -fitness[member])
    toward, away = [0.0] * D, [0.0] * D
    for rank, member in enumerate(order):
        u = logs[rank] / sum(logs) - 1 / size
        draw = member % half if strategy.settings.mirrored else member
        eps = normals(stream_key(strategy.seed, Purpose.PERTURBATION, state.generation, draw), D)
        sign = -1.0 if strategy.settings.mirrored and member >= half else 1.0
        for gene in range(D):
            toward[gene] += u * sign * eps[gene]
            away[gene] += u * (eps[gene] ** 2 - 1.0)
    center = [state.center[i] + center_rate * state.sigma[i] * STEP[i] * toward[i] for i in range(D)]
    sigma = [state.sigma[i] * math.exp(sigma_rate / 2 * away[i]) for i in range(D)]
    return center, sigma


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("generation", [0, 3])
def test_the_update_is_the_naive_one(mirrored, generation):
    strategy = build(
        "snes", seed=3, sigma=0.2, center_rate=0.7, sigma_rate=0.4, mirrored=mirrored, genome=space(step=STEP)
    )
    state = evolved(strategy, generation)
    candidates = strategy.ask(state)
    fitness = scores(candidates)
    after = strategy.tell(state, candidates, fitness)
    center, sigma = naive_update(strategy, state, fitness, 0.7, 0.4)
    assert np.allclose(after.center, center, rtol=1e-10, atol=1e-12)
    assert np.allclose(after.sigma, sigma, rtol=1e-10)


def test_members_are_each_genes_own_step_size_away():
    strategy = build("snes", seed=5, genome=space(step=STEP))
    state = evolved(strategy, 2)
    assert np.ptp(state.sigma) > 0
    eps = normals(stream_key(5, Purpose.PERTURBATION, 2, 13), D)
    assert np.allclose(strategy.ask(state).genotype(13), state.center + state.sigma * STEP * eps, rtol=1e-15)


def test_members_share_a_pair_only_if_mirrored():
    for mirrored, pairs in ((False, [*range(20)]), (True, [*range(10), *range(10)])):
        strategy = build("snes", mirrored=mirrored)
        candidates = strategy.ask(strategy.initial(CENTER))
        assert [candidates.pair(member) for member in range(20)] == pairs


def test_a_gene_that_matters_more_gets_a_smaller_step_size():
    strategy = build("snes")
    state = evolved(strategy, 60, lambda x: -np.sum(np.square(x * np.array([100.0, 1, 1, 1, 1, 1]))))
    assert state.sigma[0] < 0.2 * state.sigma[1:].min()


def test_the_defaults_are_the_papers():
    strategy = build("snes", population=0, genome=space(100))
    assert strategy.population == 4 + math.floor(3 * math.log(100)) == 17
    assert strategy.sigma_rate == pytest.approx((3 + math.log(100)) / (5 * math.sqrt(100)), rel=1e-11)
    assert build("snes", population=0, mirrored=True, genome=space(100)).population == 18


def test_equal_fitness_moves_nothing():
    strategy = build("snes")
    state = evolved(strategy, 2)
    after = advance(strategy, state, lambda genotype: 1.0)
    assert np.allclose(after.center, state.center, rtol=0, atol=1e-15)
    assert np.allclose(after.sigma, state.sigma, rtol=1e-14)


def test_a_search_whose_step_sizes_are_gone_is_exhausted():
    strategy = build("snes", sigma_rate=3.0)
    state = evolved(strategy, 150, lambda x: -np.sum(np.abs(x - CENTER)))
    assert "shrunk" in strategy.exhausted(state)
    assert (state.sigma >= 1e-13 * (1 - 1e-12)).all()


@pytest.mark.parametrize(
    "said, sentence",
    [
        ({"population": 1}, "at least 2.*got 1"),
        ({"population": 7, "mirrored": True}, "even.*got 7"),
        ({"sigma": 0.0}, "sigma"),
    ],
)
def test_settings_out_of_range_are_refused_when_read(said, sentence):
    with pytest.raises(msgspec.ValidationError, match=sentence):
        msgspec.convert(said, SNESSettings)
