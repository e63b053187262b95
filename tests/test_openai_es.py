"""Antithetic OpenAI-ES against its equations."""

import math

import msgspec
import numpy as np
import pytest
from test_strategies import CENTER, D, advance, build, evolved, normals, same, scores, space

from evoplastic.analysis.search_figure import PANELS
from evoplastic.random import Purpose, stream_key
from evoplastic.strategies.openai_es import OpenAIESSettings
from evoplastic.strategies.optimizers import OPTIMIZERS, Adam
from evoplastic.strategies.sums import dot, norm


def test_pairs_sum_to_twice_the_center_within_one_ulp():
    size = 1000
    scattered = normals(np.uint64(3), size) * np.exp(10 * normals(np.uint64(4), size))
    strategy = build(genome=space(size), population=40)
    candidates = strategy.ask(strategy.initial(scattered))
    for pair in range(20):
        above, below = candidates.genotype(pair), candidates.genotype(pair + 20)
        error = [math.fsum(terms) for terms in zip(above, below, -scattered, -scattered)]
        assert (np.abs(error) <= np.spacing(np.maximum(np.abs(above), np.abs(below)))).all()


def test_members_are_sigma_and_step_times_their_normals_away():
    strategy = build(seed=5, sigma=0.5, genome=space(step=np.arange(1.0, D + 1)))
    candidates = strategy.ask(strategy.initial(CENTER))
    eps = normals(stream_key(5, Purpose.PERTURBATION, 0, 3), D)
    assert np.allclose(candidates.genotype(3), CENTER + 0.5 * np.arange(1.0, D + 1) * eps, rtol=1e-15)
    assert np.allclose(candidates.genotype(13), CENTER - 0.5 * np.arange(1.0, D + 1) * eps, rtol=1e-15)


def test_the_two_members_of_a_pair_have_its_number():
    strategy = build()
    candidates = strategy.ask(strategy.initial(CENTER))
    assert [candidates.pair(member) for member in range(20)] == [*range(10), *range(10)]


def naive_gradient(fitness, seed, sigma, generation):
    """Return g as its equation says, member after member in plain float64."""
    half = len(fitness) // 2
    total = np.zeros(D)
    for pair in range(half):
        eps = normals(stream_key(seed, Purpose.PERTURBATION, generation, pair), D)
        for gene in range(D):
            total[gene] = total[gene] + (fitness[pair] - fitness[pair + half]) * eps[gene]
    return total / (len(fitness) * sigma)


@pytest.mark.parametrize("generation", [0, 2])
def test_the_update_is_adams_on_the_naive_gradient_to_the_bit(generation):
    strategy = build(seed=3, weight_decay=0.0, sigma=0.1)
    state = evolved(strategy, generation)
    fitness = scores(strategy.ask(state))
    g = naive_gradient(fitness, 3, 0.1, generation)
    change, _ = Adam().update(state.optimizer, -g)
    after = strategy.tell(state, strategy.ask(state), fitness)
    assert np.array_equal(after.center, state.center + change)
    assert strategy.diagnostics(after)["gradient_norm"] == pytest.approx(np.linalg.norm(g), rel=1e-14)


def test_the_gradient_of_a_linear_fitness_is_its_slope():
    strategy = build(population=20_000)
    state = strategy.initial(CENTER)
    candidates = strategy.ask(state)
    slope = np.arange(1.0, D + 1)
    g = strategy._fitness_gradient(candidates, scores(candidates, lambda genotype: slope @ genotype))
    # An entry's standard error is sqrt(|slope|^2 + slope_i^2) / sqrt(pairs), at most 0.12 here.
    assert np.allclose(g, slope, atol=0.5)


def test_the_step_size_is_logged_under_the_name_that_the_search_page_draws():
    strategy = build(sigma=0.25)
    assert strategy.diagnostics(evolved(strategy, 2))["sigma"] == 0.25
    assert "sigma" in PANELS["Step sizes"]


@pytest.mark.parametrize("name", ["openai_es", "pgpe"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_nothing_can_be_written_into_an_optimizer_s_state(name, optimizer):
    strategy = build(name, optimizer={"type": optimizer})
    first, second = strategy.initial(CENTER), evolved(strategy, 2)
    for state in (first, second, strategy.restore(strategy.arrays(second))):
        assert not any(array.flags.writeable for array in state.optimizer.values())


def test_a_small_step_slows_its_genes_alone():
    genome = space(step=np.array([1.0] * 3 + [0.01] * 3))
    strategy = build(genome=genome, weight_decay=0.0)
    moved = np.abs(evolved(strategy, 1).center - CENTER)
    assert np.allclose(moved[:3], 0.01, rtol=1e-3) and np.allclose(moved[3:], 0.0001, rtol=1e-3)


def test_weight_decay_pulls_the_center_to_zero_through_adam():
    strategy = build(weight_decay=0.1, genome=space(step=0.5))
    state = strategy.initial(CENTER)
    after = strategy.tell(state, strategy.ask(state), np.zeros(20))
    assert np.allclose(after.center, CENTER - 0.5 * 0.01 * np.sign(CENTER), atol=1e-6)
    # The penalty is on genes, its slope by gene / step: 0.1 * 0.5 * center, of which Adam's mean takes a tenth.
    assert np.allclose(after.optimizer["mean"], 0.1 * 0.1 * 0.5 * CENTER, rtol=1e-14)


def test_the_floor_holds_for_the_center_and_not_for_members():
    strategy = build(genome=space(floor=0.0))
    state = strategy.initial(np.zeros(D))
    for _ in range(3):
        state = advance(strategy, state, lambda genotype: -genotype.sum())
        assert (state.center >= 0).all()
    candidates = strategy.ask(state)
    assert min(candidates.genotype(member).min() for member in range(20)) < 0


def test_raw_shaping_treats_a_lost_member_as_the_worst_finite_one():
    strategy = build()
    state = strategy.initial(CENTER)
    candidates = strategy.ask(state)
    lost, worst = scores(candidates), scores(candidates)
    lost[[2, 13]] = np.nan, np.inf
    worst[[2, 13]] = np.delete(worst, [2, 13]).min()
    assert same(strategy, strategy.tell(state, candidates, lost), strategy.tell(state, candidates, worst))


def test_ranked_shaping_ignores_the_scale_of_fitness():
    strategy = build(shaping="centered_rank")
    state = strategy.initial(CENTER)
    candidates = strategy.ask(state)
    fitness = scores(candidates)
    assert same(
        strategy,
        strategy.tell(state, candidates, fitness),
        strategy.tell(state, candidates, 1000 * fitness - 7),
    )


def test_the_defaults_are_those_of_the_published_program():
    assert OpenAIESSettings() == OpenAIESSettings(
        population=500,
        sigma=0.03,
        shaping="raw",
        weight_decay=3e-4,
        optimizer=Adam(learning_rate=0.01, beta_1=0.9, beta_2=0.999, epsilon=1e-8),
    )


@pytest.mark.parametrize(
    "said, sentence",
    [
        ({"population": 7}, "even.*got 7"),
        ({"population": 0}, "population"),
        ({"sigma": -0.1}, "sigma"),
        ({"sigma": math.nan}, "sigma"),
        ({"sigma": math.inf}, "sigma"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"shaping": "ranks"}, "shaping"),
        ({"optimizer": {"type": "adm"}}, r"'adm'.*optimizer\.type"),
        ({"optimizer": {"type": "adam", "beta_1": 1.0}}, "beta_1"),
        ({"sigmaa": 0.1}, "sigmaa"),
    ],
)
def test_settings_out_of_range_are_refused_when_read(said, sentence):
    with pytest.raises(msgspec.ValidationError, match=sentence):
        msgspec.convert(said, OpenAIESSettings)


def test_sums_run_first_to_last():
    one, other = normals(np.uint64(9), 1001), normals(np.uint64(10), 1001)
    total = 0.0
    for left, right in zip(one.tolist(), other.tolist()):
        total = total + left * right
    assert dot(one, other) == total and norm(one) == math.sqrt(dot(one, one))
