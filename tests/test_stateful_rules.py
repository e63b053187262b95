"""Rules with a state of their own, each beside an oracle written from its equation: loops, float64, [pre, post]."""

import math
from itertools import pairwise

import msgspec
import naive
import numpy as np
import pytest
from driven import Driven

from evoplastic.errors import UserError
from evoplastic.rules import RULES
from evoplastic.rules.contract import Around, accumulate, consolidate, explore

UNITS, STEPS = 5, 40
GRAINS = {"scalar": (1, 1), "neuron": (1, UNITS), "synapse": (UNITS, UNITS)}
NUMBERS = np.random.default_rng(2)
INNATE = NUMBERS.normal(size=(UNITS, UNITS)).astype(np.float32).astype(float)
GAIN = NUMBERS.normal(size=(UNITS, UNITS)).astype(np.float32).astype(float)
THIRD = NUMBERS.normal(size=STEPS).astype(np.float32).astype(float)


@pytest.fixture(autouse=True)
def philox_may_wrap_around():
    with np.errstate(over="ignore"):
        yield


def drawn(*shape, low=-1.0, seed=0):
    """Return random numbers between `low` and 1 that float32 holds."""
    return np.random.default_rng(seed).uniform(low, 1.0, shape).astype(np.float32).astype(float)


def coefficients(low=0.0, **grains):
    """Return random coefficients of these granularities, as a genome holds them."""
    return {name: drawn(*GRAINS[grain], low=low, seed=seed) for seed, (name, grain) in enumerate(grains.items(), 1)}


def dense(values):
    """Return a coefficient for every synapse."""
    return np.broadcast_to(values, (UNITS, UNITS))


def same(driven, rates, third, oracle):
    """Assert that plastic weights equal the oracle's after every step; rows of `rates` follow each other in time."""
    for (before, after), m, expected in zip(pairwise(rates), third, oracle, strict=True):
        found = driven.step(before, after, m)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(expected).max() > 1e-3
    assert not driven.plastic[:, UNITS:].any(), "padding must stay 0"


# ---- bcm


def bcm(rates, third, eta, tau, bound):
    weights, theta = np.zeros((UNITS, UNITS)), np.zeros(UNITS)
    for (x, y), m in zip(pairwise(rates), third, strict=True):
        for j in range(UNITS):
            theta[j] += 20.0 / np.broadcast_to(tau, (1, UNITS))[0, j] * (y[j] ** 2 - theta[j])
            for i in range(UNITS):
                change = dense(eta)[i, j] * m * x[i] * y[j] * (y[j] - theta[j])
                weights[i, j] = np.clip(weights[i, j] + change, -bound, bound)
        yield weights.copy()


@pytest.mark.parametrize("grain", GRAINS)
def test_bcm_is_its_equation(grain):
    values = coefficients(eta=grain) | {"theta_tau_ms": np.array([[30.0, 50.0, 100.0, 200.0, 400.0]])}
    rates = drawn(STEPS + 1, UNITS)
    driven = Driven("bcm", UNITS, values=values, bound=0.3)
    same(driven, rates, THIRD, bcm(rates, THIRD, values["eta"], values["theta_tau_ms"], 0.3))
    assert np.abs(driven.weights).max() == np.float32(0.3), "the bound must have been met"


def test_bcm_learns_with_its_settings_where_no_genome_says_otherwise():
    rates = drawn(STEPS + 1, UNITS)
    driven = Driven("bcm", UNITS, eta=0.25, theta_tau_ms=80.0)
    same(driven, rates, THIRD, bcm(rates, THIRD, 0.25, 80.0, 100.0))


# ---- sanger


def sanger(rates, third, eta, first, last, bound):
    weights = np.zeros((UNITS, UNITS))
    for (x, y), m in zip(pairwise(rates), third, strict=True):
        before = weights.copy()
        for j in range(first, last):
            for i in range(UNITS):
                explained = sum(y[k] * before[i, k] for k in range(first, j + 1))
                change = dense(eta)[i, j] * m * y[j] * (x[i] - explained)
                weights[i, j] = np.clip(before[i, j] + change, -bound, bound)
        yield weights.copy()


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize(("first", "components", "last"), [(0, 0, 5), (1, 3, 4), (2, 0, 5)])
def test_sanger_is_its_equation(grain, first, components, last):
    values = coefficients(eta=grain)
    rates = drawn(STEPS + 1, UNITS)
    driven = Driven("sanger", UNITS, values=values, first_unit=first, components=components, bound=0.8)
    same(driven, rates, THIRD, sanger(rates, THIRD, values["eta"], first, last, 0.8))


def test_sanger_refuses_units_that_are_not_there():
    with pytest.raises(UserError, match=r"first_unit \+ components must be at most the 5 units .*, got 6"):
        Driven("sanger", UNITS, first_unit=4, components=2)


# ---- floreano


def floreano(rates, third, eta, choice):
    weights = np.zeros((UNITS, UNITS))
    for (xs, ys), m in zip(pairwise(rates), third, strict=True):
        for i, x in enumerate(xs):
            for j, y in enumerate(ys):
                w, fit = weights[i, j], math.tanh(4 * (1 - abs(x - y)) - 2)
                change = {
                    0: (1 - w) * x * y,
                    1: w * (x - 1) * y + (1 - w) * x * y,
                    2: w * x * (y - 1) + (1 - w) * x * y,
                    3: (1 - w) * fit if fit > 0 else w * fit,
                }[int(dense(choice)[i, j])]
                weights[i, j] = np.clip(w + dense(eta)[i, j] * m * change, 0, 1)
        yield weights.copy()


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("low", [0.0, -1.0])
def test_every_synapse_follows_the_floreano_rule_that_is_chosen_for_it(grain, low):
    values = coefficients(eta=grain)
    shape = GRAINS[grain]
    values["choice"] = np.linspace(3.999, 0.0, math.prod(shape)).reshape(shape)
    rates = drawn(STEPS + 1, UNITS, low=low)
    driven = Driven("floreano", UNITS, values=values)
    same(driven, rates, abs(THIRD), floreano(rates, abs(THIRD), values["eta"], values["choice"]))


@pytest.mark.parametrize("choice", [0.0, 1.0, 2.9, 3.0])
def test_settings_choose_one_floreano_rule_for_all(choice):
    rates = drawn(STEPS + 1, UNITS, low=0.0)
    driven = Driven("floreano", UNITS, choice=choice, eta=0.3)
    same(driven, rates, np.ones(STEPS), floreano(rates, np.ones(STEPS), 0.3, choice))


def test_a_choice_at_the_end_of_its_range_is_the_last_rule():
    rates = drawn(STEPS + 1, UNITS, low=0.0)
    driven = Driven("floreano", UNITS, values={"choice": np.array([[4.0]])}, eta=0.3)
    same(driven, rates, np.ones(STEPS), floreano(rates, np.ones(STEPS), 0.3, 3))


# ---- homeostatic


def test_homeostatic_scaling_is_its_equation():
    values = coefficients(eta="neuron", target="neuron") | {"mean_tau_ms": np.array([[20.0, 50.0, 100.0, 200.0, 1e4]])}
    eta, target, tau = (values[name][0] for name in ("eta", "target", "mean_tau_ms"))
    rates = drawn(STEPS + 1, UNITS)

    def oracle():
        weights, means = np.zeros((UNITS, UNITS)), target.copy()
        for y in rates[1:]:
            for j in range(UNITS):
                means[j] += 20.0 / tau[j] * (y[j] - means[j])
                for i in range(UNITS):
                    now = INNATE[i, j] + GAIN[i, j] * weights[i, j]
                    moved = weights[i, j] + eta[j] * (target[j] - means[j]) * GAIN[i, j] * now
                    weights[i, j] = np.clip(moved, -2.0, 2.0)
            yield weights.copy()

    driven = Driven("homeostatic", UNITS, values=values, innate=INNATE, gain=GAIN, bound=2.0)
    same(driven, rates, THIRD, oracle())


def test_a_newborn_at_its_target_is_not_scaled():
    driven = Driven("homeostatic", UNITS, innate=INNATE, target=0.25)
    at_target = np.full(UNITS, 0.25)
    assert not driven.step(at_target, at_target).any()


# ---- intrinsic


def test_intrinsic_plasticity_is_its_equation_and_writes_no_weight():
    values = coefficients(eta="neuron", target="neuron")
    rates, bias = drawn(STEPS + 1, UNITS), np.zeros(UNITS)
    driven = Driven("intrinsic", UNITS, values=values, innate=INNATE, bound=0.7)
    for before, after in pairwise(rates):
        driven.activity.noise[0] = 0.5  # another rule's perturbation
        explore(driven.rule, driven.state, 0, driven.activity)
        expected = bias + np.eye(UNITS)[0] * 0.5
        np.testing.assert_allclose(driven.activity.noise[:UNITS], expected, rtol=1e-5, atol=1e-6)
        driven.activity.before[:UNITS], driven.activity.rates[:UNITS] = before, after
        accumulate(driven.rule, driven.state, 0, driven.activity)
        assert not driven.activity.noise.any(), "noise is spent"
        bias = np.clip(bias + values["eta"][0] * (values["target"][0] - after), -0.7, 0.7)
        assert not driven.step(before, before * 0 + values["target"][0]).any()  # at its target no bias moves
    assert np.abs(bias).max() == 0.7, "the bound must have been met"


# ---- short-term plasticity


def short_term(rates, release, facilitation, depression, peak_hz, dt):
    u, r = np.broadcast_to(release, UNITS).copy(), np.ones(UNITS)
    for x in rates[:-1]:
        for i in range(UNITS):
            most, s = np.broadcast_to(release, UNITS)[i], peak_hz / 1000 * max(x[i], 0.0)
            back = 1 / np.broadcast_to(facilitation, UNITS)[i]
            full = 1 / np.broadcast_to(depression, UNITS)[i]
            u[i] = (u[i] + dt * (back * most + most * s)) / (1 + dt * (back + most * s))
            r[i] = (r[i] + dt * full) / (1 + dt * (full + u[i] * s))
        yield u * r / release


def test_short_term_plasticity_is_its_equation():
    values = {
        "release": np.array([[0.1, 0.3, 0.5, 0.7, 1.0]]),
        "facilitation_tau_ms": np.array([[1500.0, 500.0, 100.0, 50.0, 20.0]]),
        "depression_tau_ms": np.array([[200.0, 300.0, 400.0, 500.0, 10.0]]),
    }
    rates = drawn(STEPS + 1, UNITS)
    driven = Driven("short_term", UNITS, values=values, innate=INNATE, gain=GAIN)
    strengths = short_term(rates, *(value[0] for value in values.values()), 50.0, 20.0)
    for (x, y), f in zip(pairwise(rates), strengths, strict=True):
        driven.step(x, y, fed=False)
        np.testing.assert_allclose(driven.weights, INNATE * (f - 1)[:, None], rtol=1e-5, atol=1e-6)
        scaled = INNATE * (1 - GAIN + GAIN * f[:, None])
        np.testing.assert_allclose(driven.effective, scaled, rtol=1e-5, atol=1e-6)
    assert np.ptp(f) > 0.5
    assert not driven.plastic[:, UNITS:].any()


def test_short_term_plasticity_leaves_what_another_rule_has_written():
    rates = drawn(STEPS + 1, UNITS)
    alone, beside = (Driven("short_term", UNITS, innate=INNATE) for _ in range(2))
    beside.plastic[:, :UNITS] = 0.5
    for x, y in pairwise(rates):
        np.testing.assert_allclose(beside.step(x, y), alone.step(x, y) + 0.5, atol=1e-5)


def test_synapses_of_units_that_never_sent_are_not_written():
    driven = Driven("short_term", UNITS, innate=INNATE)
    silent, third = np.zeros(UNITS), np.ones(1, np.float32)
    driven.step(silent, silent)
    wrote = consolidate(driven.rule, driven.state, 0, driven.network, driven.activity, driven.plastic, third)
    assert not wrote and not driven.plastic.any()


# ---- consolidation


def consolidation(rates, third, eta, variables, dt_over_tau, bound):
    u = np.zeros((variables + 1, UNITS, UNITS))  # the last stays 0
    for (x, y), m in zip(pairwise(rates), third, strict=True):
        before = u.copy()
        for k in range(1, variables + 1):
            flow = 2.0 ** (1 - k) * (before[k] - before[k - 1]) if k < variables else -(2.0 ** (1 - k)) * before[k - 1]
            if k > 1:
                flow = flow + 2.0 ** (2 - k) * (before[k - 2] - before[k - 1])
            u[k - 1] += dt_over_tau * flow / 2.0 ** (k - 1)
        u[0] = np.clip(u[0] + eta * m * np.outer(x, y), -bound, bound)
        yield u[0].copy()


@pytest.mark.parametrize("grain", GRAINS)
@pytest.mark.parametrize("variables", [2, 5])
def test_consolidation_is_its_equation(grain, variables):
    values = coefficients(eta=grain)
    rates = drawn(STEPS + 1, UNITS)
    driven = Driven("consolidation", UNITS, values=values, variables=variables, tau_ms=50.0, bound=0.6)
    same(driven, rates, THIRD, consolidation(rates, THIRD, values["eta"], variables, 0.4, 0.6))


def test_the_chain_moves_when_no_third_factor_comes():
    driven = Driven("consolidation", UNITS, eta=0.0, tau_ms=40.0)
    driven.plastic[:, :UNITS] = 1.0
    silent = np.zeros(UNITS)
    np.testing.assert_allclose(driven.step(silent, silent, 0.0, fed=False), 0.5)
    np.testing.assert_allclose(driven.step(silent, silent, 0.0, fed=False), 0.5 - 0.5 * (0.5 - 0.25))


# ---- cubed fluctuations


def fluctuating(trials, steps, **settings):
    """Yield a driven rule, its rates and potentials, at each step of each trial."""
    driven = Driven("fluctuation", UNITS, probability=0.3, quiet_trials=0, unperturbed_ms=20.0, **settings)
    rates, potentials = drawn(trials, steps + 1, UNITS), drawn(trials, steps, UNITS, seed=1)
    for trial in range(trials):
        driven.begin_trial(steps=steps)
        for step in range(steps):
            driven.activity.potential[:UNITS] = potentials[trial, step]
            yield driven, trial, step, rates[trial, step], potentials[trial, step]


@pytest.mark.parametrize("grain", GRAINS)
def test_the_trace_is_the_sum_of_cubed_products_of_a_trial(grain):
    means, clip = np.zeros(UNITS), 0.02
    expected, trace = np.zeros((UNITS, UNITS)), np.zeros((UNITS, UNITS))
    values = coefficients(eta=grain)
    for driven, trial, step, x, v in fluctuating(
        3, 8, values=values, untraced_ms=60.0, burn_in_trials=0, mixing=0.7, clip=clip
    ):
        if step == 0:
            trace = np.zeros((UNITS, UNITS))
        moved = v - means
        means = means + 0.7 * moved
        if step >= 3:
            trace = trace + np.outer(x, moved) ** 3
        fed = step == 6
        found = driven.step(x, x[::-1], THIRD[trial], at=step, fed=fed)
        if fed:
            expected = expected + np.clip(dense(values["eta"]) * THIRD[trial] * trace, -clip, clip)
        np.testing.assert_allclose(driven.state.trace[:, :UNITS], trace, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert (np.abs(expected) > clip).any() and not driven.plastic[:, UNITS:].any()


def test_fluctuations_are_perturbed_as_node_perturbation_is():
    for driven, trial, step, _, _ in fluctuating(2, 8):
        explore(driven.rule, driven.state, step, driven.activity)
        expected = np.zeros(UNITS)
        for at, unit, size in naive.perturbations(7, trial, UNITS, 8, 1, 0.3, 16 / 30):
            if at == step:
                expected[unit] = size
        np.testing.assert_allclose(driven.activity.noise[:UNITS], expected, rtol=1e-5)
        accumulate(driven.rule, driven.state, step, driven.activity)
        assert not driven.activity.noise.any()


def test_published_fluctuation_settings_become_the_published_numbers():
    rule = RULES["fluctuation"]().build(Around(1.0, 3000, 200, ("m",)), {})
    assert (rule.first_traced, rule.first_step, rule.burn_in, rule.quiet_from) == (3, 4, 101, 3000)
    numbers = [rule.eta[0, 0], rule.clip, rule.mixing, rule.amplitude, rule.gap]
    np.testing.assert_allclose(numbers, [0.1, 3e-4, 0.95, 16 / 30, 1 / np.log(0.997)], rtol=1e-5)


# ---- a trace per trial


def test_node_perturbation_can_sum_each_trial_alone():
    driven = Driven("node_perturbation", UNITS, trace="trial", probability=0.5, burn_in_trials=0, clip=9.0, eta=1.0)
    expected, rates = np.zeros((UNITS, UNITS)), drawn(2, 10, UNITS)
    for trial in range(2):
        driven.begin_trial()
        trace = np.zeros((UNITS, UNITS))
        for step, unit, size in naive.perturbations(7, trial, UNITS, 10, 2, 0.5, 0.5):
            trace[:, unit] += rates[trial, step] * size
        expected += THIRD[trial] * trace
        for step in range(10):
            before = rates[trial, step]
            found = driven.step(before, before[::-1], THIRD[trial], at=step, fed=step == 9)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert trace.any()


def test_a_trace_of_a_trial_needs_no_time_constant():
    driven = Driven("node_perturbation", UNITS, trace="trial", trace_tau_ms=1.0)
    assert driven.rule.decay == 1.0


# ---- borders


GATED = ["bcm", "sanger", "floreano", "consolidation", "fluctuation"]


def gated(name, **settings):
    """Return a rule that learns under a third factor, its potentials off their mean, and rates to learn from."""
    driven = Driven(name, UNITS, **settings, **({"untraced_ms": 0.0} if name == "fluctuation" else {}))
    driven.activity.potential[:UNITS] = 1.0
    return driven, drawn(2, UNITS, low=0.5)


@pytest.mark.parametrize("name", GATED)
def test_nothing_is_learned_before_the_burn_in_is_over(name):
    driven, rates = gated(name, burn_in_trials=2)
    wrote = []
    for _ in range(3):
        driven.begin_trial()
        wrote.append(bool(driven.step(*rates).any()))
    assert wrote == [False, True, True]  # the second trial counts as age 2 when it writes
    assert RULES[name](burn_in_trials=2).marks(12)[2] == "plasticity starts"


@pytest.mark.parametrize("name", GATED)
def test_a_rule_hears_the_third_factor_that_it_names(name):
    driven, rates = gated(name, channel="b", channels=("a", "b"), burn_in_trials=0)
    driven.begin_trial()
    assert not driven.step(*rates, 1.0, 0.0).any()
    driven.begin_trial()
    assert driven.step(*rates, 0.0, 1.0).any()
    with pytest.raises(UserError, match="third factor 'c'"):
        Driven(name, UNITS, channel="c", channels=("a", "b"))


@pytest.mark.parametrize("name", ["bcm", "sanger", "floreano"])
def test_a_rule_can_keep_to_the_times_of_feedback(name):
    driven = Driven(name, UNITS, every_step=False)
    rates = drawn(2, UNITS, low=0.5)
    assert not driven.step(*rates, fed=False).any()
    assert driven.step(*rates, fed=True).any()


@pytest.mark.parametrize(
    ("name", "tau"), [("bcm", "theta_tau_ms"), ("homeostatic", "mean_tau_ms"), ("consolidation", "tau_ms")]
)
def test_a_time_constant_shorter_than_a_step_is_refused(name, tau):
    with pytest.raises(UserError, match=rf"problem\.rule\.{tau} must be at least .*dt_ms = 20\.0, got 10\.0"):
        Driven(name, UNITS, **{tau: 10.0})


@pytest.mark.parametrize("name", ["bcm", "homeostatic"])
def test_a_genome_s_time_constant_shorter_than_a_step_follows_at_once(name):
    tau = "theta_tau_ms" if name == "bcm" else "mean_tau_ms"
    driven = Driven(name, UNITS, values={tau: np.zeros((1, 1))})
    assert (driven.rule.following == 1).all()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("floreano", {"choice": 4.0}),
        ("floreano", {"eta": 1.5}),
        ("short_term", {"release": 0.0}),
        ("short_term", {"depression_tau_ms": 0.0}),
        ("consolidation", {"variables": 1}),
        ("consolidation", {"variables": 11}),
        ("fluctuation", {"probability": 0.0}),
        ("node_perturbation", {"trace": "life"}),
        ("homeostatic", {"eta": -0.1}),
        ("sanger", {"first_unit": -1}),
        ("bcm", {"bound": 0.0}),
    ],
)
def test_a_coefficient_out_of_its_range_is_refused(name, wrong):
    with pytest.raises(msgspec.ValidationError, match=next(iter(wrong))):
        msgspec.convert({"type": name, **wrong}, RULES[name])
