"""What theory says of rules with a state of their own: where they end, and how fast they forget."""

import numpy as np
import pytest
from conftest import lived, small_life, structs
from driven import Driven
from scipy.integrate import solve_ivp

from evoplastic.networks.contract import activate, express
from evoplastic.rules.contract import Around, accumulate, consolidate, explore
from evoplastic.rules.node_perturbation import NodePerturbationSettings
from evoplastic.vectors import send


def test_bcm_becomes_selective_for_one_of_two_inputs():
    """A unit answers the one pattern not at all, the other with y = theta: 1 / its share of time, as theta is slow.

    With theta <- theta + k (y^2 - theta) and patterns by turns, theta is y^2 / (2 - k) when the answered one is shown.
    """
    patterns = np.array([[1.0, 0.3, 0.0], [0.3, 1.0, 0.0]])  # units 0 and 1 send, unit 2 receives
    driven = Driven("bcm", 3, eta=0.01, theta_tau_ms=200.0)
    driven.plastic[:2, 2] = 0.5, 0.49
    for step in range(4000):
        x = patterns[step % 2]
        driven.step(x, [0.0, 0.0, x @ driven.weights[:, 2]])
    preferred, other = patterns @ driven.weights[:, 2]
    assert preferred == pytest.approx(2.0 - 20.0 / 200.0, abs=0.01)
    assert other == pytest.approx(0.0, abs=0.01)


def test_sanger_finds_the_first_three_principal_components_in_order():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(10, 10)))[0]
    spreads = np.array([2.0, 1.5, 1.1, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    inputs = rng.normal(size=(20_000, 10)) * spreads @ axes.T
    driven = Driven("sanger", 13, eta=0.002, first_unit=10, components=3)  # units 0 to 9 send, 10 to 12 receive
    driven.plastic[:10, 10:13] = rng.normal(0.0, 0.1, (10, 3))
    before, rates = np.zeros(13), np.zeros(13)
    for x in inputs:
        before[:10], rates[10:] = x, x @ driven.plastic[:10, 10:13]
        driven.step(before, rates)
    found = driven.weights[:10, 10:]
    cosines = np.abs((axes[:, :3] * found).sum(axis=0)) / np.linalg.norm(found, axis=0)
    assert (cosines > 0.99).all(), cosines
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), 1.0, atol=0.05)


def mean_rates(driven, steps, averaged, sent=1.0):
    """Return the mean rates of units 1, 2, ... in the last steps; unit 0 is held at `sent`, jittered by a half."""
    rng, weights = np.random.default_rng(1), driven.network.innate.copy()
    total = np.zeros(driven.units - 1)
    for step in range(steps):
        explore(driven.rule, driven.state, 0, driven.activity)
        send(weights, driven.activity.rates, driven.activity.drive)
        driven.activity.before[:] = driven.activity.rates
        activate(driven.network, driven.activity)
        driven.activity.rates[0] = sent * rng.uniform(0.5, 1.5)
        accumulate(driven.rule, driven.state, 0, driven.activity)
        third = np.zeros(1, np.float32)
        if consolidate(driven.rule, driven.state, 0, driven.network, driven.activity, driven.plastic, third):
            express(driven.network, driven.plastic, weights)
        if step >= steps - averaged:
            total += driven.activity.rates[1 : driven.units]
    return total / averaged


@pytest.mark.parametrize("target", [0.2, 0.6])
def test_homeostatic_scaling_brings_mean_rates_to_their_target(target):
    innate = np.random.default_rng(0).uniform(-0.05, 0.3, (6, 6))
    innate[0] = np.linspace(0.2, 0.9, 6)
    driven = Driven("homeostatic", 6, innate=innate, eta=0.02, target=target, mean_tau_ms=200.0)
    np.testing.assert_allclose(mean_rates(driven, 3000, 1000), target, rtol=0.05)


def test_homeostatic_scaling_keeps_the_proportions_of_a_unit_s_inputs():
    innate = np.random.default_rng(0).uniform(-0.3, 1.0, (6, 6))
    driven = Driven("homeostatic", 6, innate=innate, eta=0.05, target=0.0)
    for _ in range(50):
        driven.step(np.zeros(6), np.linspace(0.1, 1.0, 6))
    scales = driven.effective / innate
    np.testing.assert_allclose(scales, np.broadcast_to(scales[0], (6, 6)), rtol=1e-4)
    assert (np.diff(scales[0]) < 0).all() and scales.max() < 1 and scales.min() > 0, "the more active shrink the more"


@pytest.mark.parametrize("target", [-0.3, 0.5])
def test_intrinsic_plasticity_brings_mean_rates_to_their_target(target):
    innate = np.random.default_rng(0).normal(0.0, 0.3, (6, 6))
    driven = Driven("intrinsic", 6, innate=innate, eta=0.005, target=target)
    np.testing.assert_allclose(mean_rates(driven, 3000, 1000), target, rtol=0.05)


def test_a_bias_moves_the_resting_potential_by_itself_over_the_leak():
    driven = Driven("intrinsic", 2, eta=0.0)
    driven.state.bias[1] = 0.03
    assert mean_rates(driven, 200, 1)[0] == pytest.approx(np.tanh(0.03 / driven.network.leak), rel=1e-4)


def sent_for(driven, sent, steps):
    """Let every unit send at a constant rate, and return u and r of the first."""
    for _ in range(steps):
        driven.step(sent, sent)
    return driven.state.release[0], driven.state.resources[0]


@pytest.mark.parametrize("sent", [0.1, 0.5, 3.0])
def test_constant_sending_brings_synapses_to_their_steady_state(sent):
    driven = Driven("short_term", 1, innate=np.ones((1, 1)), release=0.2, facilitation_tau_ms=800.0, peak_hz=50.0)
    u, r = sent_for(driven, np.array([sent]), 2000)
    s = 0.05 * sent
    expected = 0.2 * (1 + 800 * s) / (1 + 0.2 * 800 * s)
    assert u == pytest.approx(expected, rel=1e-4)
    assert r == pytest.approx(1 / (1 + 200 * expected * s), rel=1e-4)
    assert driven.effective[0, 0] == pytest.approx(u * r / 0.2, rel=1e-4)


def test_short_steps_follow_the_differential_equations():
    driven = Driven("short_term", 1, dt_ms=0.5, release=0.3, facilitation_tau_ms=100.0, depression_tau_ms=150.0)
    s = 0.04

    def moved(t, y):
        u, r = y
        return [(0.3 - u) / 100 + 0.3 * (1 - u) * s, (1 - r) / 150 - u * r * s]

    exact = solve_ivp(moved, (0, 60), [0.3, 1.0], rtol=1e-8).y[:, -1]
    np.testing.assert_allclose(sent_for(driven, np.array([0.8]), 120), exact, rtol=0.005)


@pytest.mark.parametrize(
    ("release", "facilitation", "depression", "stronger"), [(0.1, 1000.0, 50.0, True), (0.6, 20.0, 800.0, False)]
)
def test_synapses_facilitate_or_depress_by_their_constants_and_recover(release, facilitation, depression, stronger):
    constants = {"facilitation_tau_ms": facilitation, "depression_tau_ms": depression}
    driven = Driven("short_term", 1, innate=np.ones((1, 1)), release=release, **constants)
    sent_for(driven, np.array([0.5]), 15)
    used = driven.effective[0, 0]
    assert used > 1.3 if stronger else used < 0.5
    sent_for(driven, np.array([-1.0]), 500)  # a negative rate sends nothing
    assert driven.effective[0, 0] == pytest.approx(1.0, abs=1e-3)


def impulse(variables, steps):
    """Return the weight at steps 1, 2, ... after one change by 1, and what the chain holds; a step is tau."""
    driven = Driven("consolidation", 1, eta=0.0, tau_ms=20.0, variables=variables)
    driven.plastic[0, 0] = 1.0
    weights = [driven.step([0.0], [0.0])[0, 0] for _ in range(steps)]
    stores = np.append(weights[-1], driven.state.stores[0, :, 0])
    return np.array(weights), stores @ 2.0 ** np.arange(variables)


def test_a_change_is_forgotten_by_a_power_law_of_exponent_a_half_over_three_decades():
    weights, _ = impulse(variables=10, steps=5000)
    times = np.arange(1, 5001)
    slopes = [
        np.polyfit(np.log(times[first:last]), np.log(weights[first:last]), 1)[0]
        for first, last in [(5, 50), (50, 500), (500, 5000), (5, 5000)]
    ]
    np.testing.assert_allclose(slopes, -0.5, atol=0.06)


def test_the_chain_holds_what_it_was_given_until_it_leaks():
    assert impulse(variables=10, steps=1000)[1] == pytest.approx(1.0, abs=1e-4)
    assert impulse(variables=3, steps=1000)[1] < 1e-6


def perturbed_lives(trials, **changes):
    """Return lives of many short trials, each from rest, under a rule that never moves weights enough to matter."""
    none = dict.fromkeys(("gap", "pause", "rest"), 0.0)
    periods = {"stimulus": 60.0, "delay": 20.0, "response": 40.0, "feedback": 20.0, **none}
    life = small_life(trials=trials, tables=["01"], modulation="reward per type", reset_activity=True, **periods)
    rule = NodePerturbationSettings(
        trace="trial", amplitude=0.3, clip=1e9, unperturbed_ms=20.0, burn_in_trials=0, quiet_trials=0, **changes
    )
    return structs(life)._replace(rule=rule.build(Around(life.dt, trials, len(life.innate), ("m",)), {}))


def test_node_perturbation_climbs_the_gradient_of_the_expected_loss():
    """The summed updates of many trials against finite differences of the mean loss, perturbed alike on both sides."""
    update = lived(perturbed_lives(10_000, eta=1e-6)).plastic.T
    still, gradient, h = perturbed_lives(100, eta=0.0), np.zeros_like(update), 0.02
    for place in np.ndindex(*gradient.shape):
        sides = []
        for moved in (h, -h):
            innate = still.network.innate.copy()
            innate[place] += moved
            sides.append(lived(still._replace(network=still.network._replace(innate=innate))).loss.astype(float).mean())
        gradient[place] = (sides[0] - sides[1]) / (2 * h)
    cosine = -(update * gradient).sum() / (np.linalg.norm(update) * np.linalg.norm(gradient))
    assert cosine > 0.9, cosine
