"""PGPE against its equations."""

import msgspec
import numpy as np
import pytest
from test_strategies import CENTER, D, advance, build, evolved, normals, same, scores, space

from evoplastic.random import Purpose, stream_key
from evoplastic.strategies.optimizers import SGD, ClipUp
from evoplastic.strategies.pgpe import PGPESettings

STEP = np.arange(1.0, D + 1)


def naive_gradients(fitness, seed, sigma, generation):
    """Return g and h as algorithm 1 of Sehnke et al. 2010 says, from deviations delta, pair after pair."""
    half, baseline = len(fitness) // 2, sum(fitness) / len(fitness)
    g, h = [0.0] * D, [0.0] * D
    for pair in range(half):
        eps = normals(stream_key(seed, Purpose.PERTURBATION, generation, pair), D)
        above, below = fitness[pair], fitness[pair + half]
        for gene in range(D):
            delta = sigma[gene] * eps[gene]
            g[gene] += (above - below) / 2 * delta / half
            h[gene] += ((above + below) / 2 - baseline) * (delta**2 - sigma[gene] ** 2) / sigma[gene] / half
    return np.array(g), np.array(h)


@pytest.mark.parametrize("generation", [0, 3])
def test_the_update_is_the_naive_one(generation):
    # sphere's fitness is raw here and the rate low, so that no change of sigma is clipped
    optimizer = {"type": "sgd", "learning_rate": 0.3, "momentum": 0.0}
    said = {"shaping": "raw", "sigma_rate": 0.01, "sigma": 0.2, "optimizer": optimizer}
    strategy = build("pgpe", seed=3, genome=space(step=STEP), **said)
    state = evolved(strategy, generation)
    candidates = strategy.ask(state)
    fitness = scores(candidates)
    after = strategy.tell(state, candidates, fitness)
    g, h = naive_gradients(fitness, 3, state.sigma, generation)
    change, _ = SGD(learning_rate=0.3, momentum=0.0).update(state.optimizer, -g)
    assert np.allclose(after.center, state.center + STEP * change, rtol=1e-12)
    assert np.abs(0.01 * h / state.sigma).max() < 0.2
    assert np.allclose(after.sigma, state.sigma + 0.01 * h, rtol=1e-12)
    assert strategy.diagnostics(after)["gradient_norm"] == pytest.approx(np.linalg.norm(g), rel=1e-12)


def test_a_step_size_changes_by_a_fifth_at_most():
    strategy = build("pgpe", shaping="raw", sigma_rate=1e6)
    state = evolved(strategy, 2)
    ratio = advance(strategy, state).sigma / state.sigma
    assert np.allclose(np.abs(ratio - 1.0), 0.2, rtol=1e-12)


def test_step_sizes_grow_where_far_members_are_better():
    strategy = build("pgpe", population=200, sigma_rate=1.0)
    bowl = evolved(strategy, 5, lambda x: np.sum(np.square(x - CENTER)), CENTER)
    assert (bowl.sigma > 0.1).all()


def test_members_are_each_genes_own_step_size_away():
    strategy = build("pgpe", seed=5, sigma_rate=1.0, genome=space(step=STEP))
    state = evolved(strategy, 2)
    assert np.ptp(state.sigma) > 0
    deviation = state.sigma * STEP * normals(stream_key(5, Purpose.PERTURBATION, 2, 3), D)
    assert np.allclose(strategy.ask(state).genotype(3), state.center + deviation, rtol=1e-15)
    assert np.allclose(strategy.ask(state).genotype(13), state.center - deviation, rtol=1e-15)


def test_centered_ranks_ignore_the_scale_of_fitness():
    strategy = build("pgpe")
    state = strategy.initial(CENTER)
    candidates = strategy.ask(state)
    fitness = scores(candidates)
    one, other = (strategy.tell(state, candidates, told) for told in (fitness, 1000 * fitness - 7))
    assert same(strategy, one, other)


def test_a_lost_pair_does_not_turn_the_center():
    strategy = build("pgpe")
    state = strategy.initial(CENTER)
    candidates = strategy.ask(state)
    lost = np.zeros(20)
    lost[[4, 14]] = np.nan
    assert np.array_equal(strategy.tell(state, candidates, lost).center, state.center)


def test_the_center_moves_by_clipup_unless_said_otherwise():
    assert PGPESettings().optimizer == ClipUp()


@pytest.mark.parametrize(
    "said, sentence",
    [
        ({"population": 7}, "even.*got 7"),
        ({"sigma_change": 1.0}, "sigma_change"),
        ({"sigma_rate": -0.1}, "sigma_rate"),
        ({"optimizer": {"type": "clip"}}, "optimizer"),
    ],
)
def test_settings_out_of_range_are_refused_when_read(said, sentence):
    with pytest.raises(msgspec.ValidationError, match=sentence):
        msgspec.convert(said, PGPESettings)
