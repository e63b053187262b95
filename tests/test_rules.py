"""Plasticity rules, each hook on its own in plain Python: perturbations, traces, consolidation."""

import msgspec
import naive
import numpy as np
import pytest
from conftest import small_life, structs

from evoplastic.errors import UserError
from evoplastic.networks.contract import rest
from evoplastic.rules import RULES
from evoplastic.rules.contract import Around, accumulate, begin_exploring, consolidate, explore, newborn
from evoplastic.rules.fixed import FixedSettings
from evoplastic.rules.node_perturbation import NodePerturbationSettings

STEPS = 19
PUBLISHED = NodePerturbationSettings()
AROUND = Around(dt_ms=20.0, trials=12, units=17, channels=("m",))


@pytest.fixture(autouse=True)
def philox_may_wrap_around():
    with np.errstate(over="ignore"):
        yield


def body(**changes):
    """Return a network of 17 units and a rule with the settings of a small life, `changes` apart."""
    built = structs(small_life(**changes))
    return built.network, built.rule


def written(rule, network, traces, age, plastic, m):
    """Let the rule write `plastic` at this age under a third factor; return whether it did."""
    return bool(consolidate(rule, traces, age, network, rest(network), plastic, np.array([m], np.float32)))


def explored(rule, network, traces, trial, age=0, key=7, steps=STEPS, activity=None):
    """Return the noise of every step of a trial, (steps, N)."""
    activity = activity or rest(network)
    begin_exploring(rule, traces, np.uint64(key), trial, age, steps)
    noise = []
    for step in range(steps):
        explore(rule, traces, step, activity)
        noise.append(activity.noise[: len(network.innate)].copy())
        accumulate(rule, traces, step, activity)
    return np.array(noise)


@pytest.mark.parametrize("probability", [0.001, 0.1, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("trial", [0, 400])
def test_perturbations_stand_at_their_addresses(probability, trial):
    network, rule = body(probability=probability)
    noise = explored(rule, network, newborn(rule, network, STEPS), trial)
    expected = np.zeros_like(noise)
    for step, unit, size in naive.perturbations(7, trial, noise.shape[1], STEPS, 2, probability, 0.5):
        expected[step, unit] = size
    np.testing.assert_allclose(noise, expected, rtol=1e-6)


def test_a_perturbation_lasts_one_step_even_at_the_end_of_a_trial():
    network, rule = body(probability=0.5)
    traces, activity = newborn(rule, network, STEPS), rest(network)
    assert explored(rule, network, traces, 0, activity=activity)[-1].any()
    noise = explored(rule, network, traces, 1, activity=activity)
    assert not noise[:2].any(), "noise of the last trial is still there"


@pytest.mark.parametrize(("age", "perturbed"), [(9, True), (10, False), (11, False)])
def test_the_last_trials_of_a_life_are_quiet(age, perturbed):
    network, rule = body()
    assert explored(rule, network, newborn(rule, network, STEPS), 7, age).any() == perturbed


def test_trials_are_perturbed_differently():
    network, rule = body()
    traces = newborn(rule, network, STEPS)
    first, second = explored(rule, network, traces, 0), explored(rule, network, traces, 1)
    assert (first != second).any()
    np.testing.assert_array_equal(explored(rule, network, traces, 0), first)


def test_perturbations_are_as_many_and_as_large_as_stated():
    network, rule = body(probability=0.1, amplitude=0.5, unperturbed=0.0)
    steps = 2000
    noise = explored(rule, network, newborn(rule, network, steps), 0, steps=steps)
    hit = noise != 0
    places, hits = hit.size, hit.sum()
    assert hits / places == pytest.approx(0.1, abs=4 * np.sqrt(0.1 * 0.9 / places))
    sizes = noise[hit]
    assert np.abs(sizes).max() <= 0.5
    assert sizes.mean() == pytest.approx(0, abs=4 * 0.5 / np.sqrt(3 * hits))
    assert sizes.var() == pytest.approx(0.25 / 3, rel=4 * np.sqrt(0.8 / hits))
    neighbours = (hit[:, 1:] & hit[:, :-1]).mean()
    assert neighbours == pytest.approx(0.01, abs=4 * np.sqrt(0.01 / places))


@pytest.mark.parametrize("probability", [0.0, 1e-12, 1e-7, 1.5])
def test_a_probability_that_a_gap_cannot_hold_is_refused(probability):
    with pytest.raises(msgspec.ValidationError, match="probability"):
        msgspec.convert({"type": "node_perturbation", "probability": probability}, NodePerturbationSettings)


def test_the_longest_gap_of_the_least_probability_fits_its_integer():
    rule = NodePerturbationSettings(probability=1e-6).build(AROUND, {})
    assert rule.gap * np.log(2.0**-33) < 2**31


@pytest.mark.parametrize("decay", [0.98, 0.5, 0.1])
def test_trace_is_the_dense_sum_of_decayed_products(decay):
    network, rule = body()
    rule = rule._replace(decay=np.float32(decay))
    traces, activity = newborn(rule, network, STEPS), rest(network)
    units = len(network.innate)
    rates = np.random.default_rng(1).normal(size=(3, STEPS, units))
    dense = np.zeros((units, units))
    for trial in range(3):
        noise = explored(rule, network, newborn(rule, network, STEPS), trial)
        begin_exploring(rule, traces, np.uint64(7), trial, trial, STEPS)
        for step in range(STEPS):
            explore(rule, traces, step, activity)
            activity.before[:units] = rates[trial, step]
            accumulate(rule, traces, step, activity)
            dense = decay * (dense + np.outer(noise[step], rates[trial, step]))
            eligibility = traces.scale * traces.trace[:units, :units]
            np.testing.assert_allclose(eligibility, dense, rtol=1e-4, atol=1e-6)
    assert dense.any()


@pytest.mark.parametrize(
    ("m", "expected"),
    [
        (0.5, [[0.01, -0.01], [0.003, 0.0]]),  # eta m E = .3 * .5 * E, clipped at .01
        (-0.5, [[-0.01, 0.01], [-0.003, 0.0]]),
        (0.0, [[0.0, 0.0], [0.0, 0.0]]),
    ],
)
def test_consolidation_by_hand(m, expected):
    network, rule = body(eta=0.3, clip=0.01)
    traces = newborn(rule, network, STEPS)
    traces.trace[:2, :2] = [[1.0, -4.0], [0.02, 0.0]]  # [post, pre]
    plastic = np.zeros_like(network.innate)
    written(rule, network, traces, 2, plastic, m)
    np.testing.assert_allclose(plastic[:2, :2].T, expected, rtol=1e-6)
    plastic[:2, :2] = 0
    assert not plastic.any()


@pytest.mark.parametrize(("age", "writes"), [(0, False), (1, False), (2, True)])
def test_nothing_is_written_before_the_burn_in_is_over(age, writes):
    network, rule = body(burn_in=2)
    traces = newborn(rule, network, STEPS)
    traces.trace[:] = 1.0
    plastic = np.zeros_like(network.innate)
    written(rule, network, traces, age, plastic, 1.0)
    assert plastic.any() == writes


def test_published_settings_become_the_published_numbers():
    rule = PUBLISHED.build(AROUND._replace(trials=400), {})
    assert (rule.first_step, rule.burn_in, rule.quiet_from) == (2, 31, 381)
    numbers = [rule.eta, rule.clip, rule.decay, rule.amplitude, rule.gap]
    np.testing.assert_allclose(numbers, [0.03, 0.01, 0.98, 0.5, 1 / np.log(0.9)], rtol=1e-6)


# ---- hebbian


def hebbian(**changes):
    """Return a network of 17 units and a Hebbian rule."""
    network, _ = body()
    return network, RULES["hebbian"](**changes).build(AROUND, {})


def test_the_hebbian_trace_is_the_running_mean_of_products_of_before_and_after():
    network, rule = hebbian(trace_tau_ms=80.0)
    traces, activity = newborn(rule, network, STEPS), rest(network)
    units = len(network.innate)
    rates = np.random.default_rng(1).normal(size=(STEPS + 1, units)).astype(np.float32)
    mean = np.zeros((units, units))
    for step in range(STEPS):
        activity.before[:units], activity.rates[:units] = rates[step], rates[step + 1]
        accumulate(rule, traces, step, activity)
        mean = 0.75 * mean + 0.25 * np.outer(rates[step], rates[step + 1])
        np.testing.assert_allclose(traces.trace[:units, :units], mean, rtol=1e-4, atol=1e-6)


def test_a_hebbian_trace_outlasts_the_trial():
    network, rule = hebbian()
    traces = newborn(rule, network, STEPS)
    traces.trace[:] = 0.5
    begin_exploring(rule, traces, np.uint64(7), 1, 1, STEPS)
    explore(rule, traces, 0, rest(network))
    assert (traces.trace == 0.5).all()


@pytest.mark.parametrize(
    ("m", "expected"),
    [
        (0.5, [[0.35, -0.5], [0.0, 0.0]]),  # P + eta m E = [[.2, .1], [0, 0]] + .3 * .5 * E, within .5
        (-1.0, [[-0.1, 0.5], [0.0, 0.0]]),
        (0.0, [[0.2, 0.1], [0.0, 0.0]]),
    ],
)
def test_hebbian_consolidation_by_hand(m, expected):
    network, rule = hebbian(eta=0.3, bound=0.5)
    traces = newborn(rule, network, STEPS)
    traces.trace[:2, :2] = [[1.0, -4.0], [0.0, 0.0]]
    plastic = np.zeros_like(network.innate)
    plastic[0, :2] = 0.2, 0.1
    wrote = written(rule, network, traces, 2, plastic, m)
    np.testing.assert_allclose(plastic[:2, :2], expected, rtol=1e-6)
    assert wrote == (m != 0)


@pytest.mark.parametrize(("age", "writes"), [(0, False), (1, False), (2, True)])
def test_no_hebbian_weight_is_written_before_the_burn_in_is_over(age, writes):
    network, rule = hebbian(burn_in_trials=2)
    traces = newborn(rule, network, STEPS)
    traces.trace[:] = 1.0
    plastic = np.zeros_like(network.innate)
    assert written(rule, network, traces, age, plastic, 1.0) == writes == plastic.any()
    assert RULES["hebbian"](burn_in_trials=2).marks(12) == {2: "plasticity starts"}


def test_a_hebbian_trace_shorter_than_a_step_is_refused():
    with pytest.raises(UserError, match=r"problem\.rule\.trace_tau_ms must be at least .*dt_ms = 20\.0, got 10"):
        RULES["hebbian"](trace_tau_ms=10.0).build(AROUND, {})


# ---- all rules


def test_a_fixed_network_writes_nothing():
    network, _ = body()
    rule = FixedSettings().build(AROUND, {})
    activity, plastic = rest(network), np.zeros_like(network.innate)
    traces = newborn(rule, network, STEPS)
    begin_exploring(rule, traces, np.uint64(1), 5, 5, STEPS)
    explore(rule, traces, 3, activity)
    accumulate(rule, traces, 3, activity)
    assert not written(rule, network, traces, 5, plastic, 1.0)
    assert not plastic.any() and not activity.noise.any()


def test_rules_are_named_by_their_tags():
    assert {name: settings.__struct_config__.tag for name, settings in RULES.items()} == {name: name for name in RULES}
