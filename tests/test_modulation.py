"""Third factors by hand: what is told to the rule, what is remembered, what it costs."""

import numpy as np
import pytest

from evoplastic.errors import UserError
from evoplastic.genome import BlockSettings, GenomeLayout
from evoplastic.modulation import MODULATIONS
from evoplastic.modulation.contract import Outcome, every_step, memory, modulate
from evoplastic.modulation.loss import LossSettings
from evoplastic.modulation.network import NetworkControlledSettings
from evoplastic.modulation.none import UnmodulatedSettings
from evoplastic.modulation.reward import RewardSettings
from evoplastic.modulation.td import TemporalDifferenceSettings
from evoplastic.networks.leaky import LeakySettings
from evoplastic.networks.roles import RoleSettings

PLACES = {"modulator": range(1, 3), "value": range(3, 4)}
PUBLISHED = LossSettings().build(PLACES)
SINGLE = LossSettings(baseline="single").build(PLACES)
NETWORK = NetworkControlledSettings().build(PLACES)
NONE = UnmodulatedSettings().build(PLACES)
REWARD = RewardSettings().build(PLACES)
REWARD_PER_TYPE = RewardSettings(baseline="per_type").build(PLACES)
BARE_REWARD = RewardSettings(baseline="none").build(PLACES)
TD = TemporalDifferenceSettings(discount=0.5).build(PLACES)


def told(modulation, outcomes, rates=None, fed=None):
    """Return the third factors and costs that a newborn modulation gives for (loss, kind) after (loss, kind).

    Feedback starts at all steps, or at those of `fed`.
    """
    remembered, modulators, told = memory(modulation, 4), np.zeros(1, np.float32), []
    for step, (loss, kind) in enumerate(outcomes):
        row = np.zeros(4, np.float32) if rates is None else np.array(rates[step], np.float32)
        feeds = fed is None or fed[step]
        cost = modulate(modulation, remembered, Outcome(np.float32(loss), kind), feeds, row, modulators)
        told.append((modulators[0], cost))
    return np.array(told)


def test_external_factor_is_the_improvement_over_the_baseline_times_the_baseline():
    # L_0: 0 -> .08 -> .122; m = -L_0 (L - L_0), with the baseline before its update
    expected = [0.0, -0.08 * (0.5 - 0.08), -0.122 * (0.0 - 0.122)]
    np.testing.assert_allclose(told(PUBLISHED, [(0.8, 0), (0.5, 0), (0.0, 0)])[:, 0], expected, rtol=1e-5)


def test_baseline_per_type_does_not_hear_of_other_types():
    alone = told(PUBLISHED, [(0.8, 3), (0.5, 3)])[-1, 0]
    between = told(PUBLISHED, [(0.8, 3), (0.1, 0), (0.9, 2), (0.5, 3)])[-1, 0]
    assert between == alone != 0


def test_single_baseline_does_not_know_the_type():
    losses = [0.8, 0.1, 0.9, 0.5]
    one = told(SINGLE, [(loss, 0) for loss in losses])
    np.testing.assert_array_equal(told(SINGLE, list(zip(losses, [3, 0, 2, 1]))), one)
    np.testing.assert_array_equal(told(PUBLISHED, [(loss, 0) for loss in losses]), one)


def test_better_than_expected_is_positive():
    better, worse = (told(PUBLISHED, [(0.8, 0), (loss, 0)])[-1, 0] for loss in (0.01, 0.5))
    assert better > 0 > worse


def test_reward_factor_is_the_improvement_over_the_baseline():
    # Rbar: 0 -> .02 -> .068; m = R - Rbar, with the baseline before its update
    expected = [0.2, 0.5 - 0.02, 1.0 - 0.068]
    np.testing.assert_allclose(told(REWARD, [(0.8, 0), (0.5, 0), (0.0, 0)])[:, 0], expected, rtol=1e-5)


def test_reward_of_a_type_is_compared_with_that_type_s_only_where_that_is_told():
    between = [(0.8, 3), (0.1, 0), (0.9, 2), (0.5, 3)]
    assert told(REWARD_PER_TYPE, between)[-1, 0] == told(REWARD_PER_TYPE, [(0.8, 3), (0.5, 3)])[-1, 0]
    np.testing.assert_array_equal(told(REWARD, between), told(REWARD, [(loss, 0) for loss, _ in between]))


def test_more_reward_than_expected_is_positive():
    earned = [(0.4, 0)] * 30
    better, worse = (told(REWARD, [*earned, (loss, 0)])[-1, 0] for loss in (0.2, 0.6))
    assert better > 0 > worse


def test_reward_without_a_baseline_is_the_factor():
    np.testing.assert_allclose(told(BARE_REWARD, [(0.8, 0), (0.5, 1), (1.0, 0)])[:, 0], [0.2, 0.5, 0.0], rtol=1e-6)


def test_only_a_baseline_per_type_is_privileged_to_know_the_stimuli():
    baselines = ("single", "per_type", "none")
    single, per_type, none = (
        RewardSettings(baseline=baseline).told("the outcome", "which stimuli were shown") for baseline in baselines
    )
    assert per_type.endswith("over a baseline per trial type: it knows which stimuli were shown.")
    assert single == "The rule is told the outcome, as reward over one baseline for all trials."
    assert none == "The rule is told the outcome, as reward without a baseline."


def test_network_controls_its_own_factor_and_pays_for_jumps():
    rates = [[9, 0.5, 0.1, 9], [9, -0.2, 0.4, 9], [9, -0.2, 0.4, 9]]
    factors, costs = told(NETWORK, [(1.0, 0)] * 3, rates).T
    np.testing.assert_allclose(factors, [0.4, -0.6, -0.6], rtol=1e-6)
    np.testing.assert_allclose(costs, [0.27 * 0.4**2, 0.27 * 1.0**2, 0.0], rtol=1e-6)


EMITTED = [[9, y_0, y_1, 9] for y_0, y_1 in ((0.5, 0.1), (0.2, -0.4), (0.7, 0.3), (-0.6, 0.2), (0.1, 0.6), (0.3, 0.0))]


def emitted(fed, **settings):
    """Return the third factors and costs of network control over EMITTED, feedback starting at the steps of `fed`."""
    modulation = NetworkControlledSettings(**settings).build({"modulator": range(1, 1 + settings.get("units", 2))})
    return told(modulation, [(1.0, 0)] * len(EMITTED), EMITTED, fed).T


def test_one_modulatory_unit_is_the_factor_itself():
    factors, costs = emitted([False] * 6, units=1, smoothness=0.5)
    rates = np.array(EMITTED)[:, 1]
    np.testing.assert_allclose(factors, rates, rtol=1e-6)
    np.testing.assert_allclose(costs, 0.5 * np.diff(rates, prepend=0.0) ** 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("gate_steps", "opened"), [(0, [1, 1, 1, 1, 1, 1]), (1, [0, 1, 0, 0, 1, 0]), (2, [0, 1, 1, 0, 1, 1])]
)
def test_a_gate_lets_through_what_is_emitted_from_feedback_s_start_on(gate_steps, opened):
    fed = [False, True, False, False, True, False]
    always, gated = emitted([False] * 6), emitted(fed, gate_steps=gate_steps)
    assert always[0].all()
    np.testing.assert_array_equal(gated[0], always[0] * opened)
    np.testing.assert_array_equal(gated[1], always[1])


def test_feedback_that_comes_again_keeps_the_gate_open_for_as_long_again():
    assert np.flatnonzero(emitted([True, True, False, False, False, False], gate_steps=3)[0]).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("gate_steps", [0, 2])
def test_an_emitted_factor_is_what_it_is_above_its_running_mean_while_the_gate_is_open(gate_steps):
    fed, mean, expected = [False, True, False, False, True, False], 0.0, []
    for y_0, y_1, is_open in zip(np.array(EMITTED)[:, 1], np.array(EMITTED)[:, 2], [0, 1, 1, 0, 1, 1]):
        m = y_0 - y_1 - mean if is_open or not gate_steps else 0.0
        mean += 0.25 * m
        expected.append(m)
    np.testing.assert_allclose(emitted(fed, gate_steps=gate_steps, baseline_rate=0.25)[0], expected, rtol=1e-5)


def test_network_control_that_is_gated_is_told_when_feedback_starts():
    sentence = NetworkControlledSettings(gate_steps=3).told("the loss", "")
    assert sentence.startswith("The rule is told nothing from outside but when feedback starts;")


def test_temporal_difference_is_what_came_and_is_expected_over_what_was_expected():
    # R + .5 V - V_before, V = .4, -.2, .8 and R = .2, .5, 1; V_before starts at 0
    outcomes, rates = [(0.8, 0), (0.5, 1), (0.0, 0)], [[9, 9, 9, value] for value in (0.4, -0.2, 0.8)]
    expected = [0.2 + 0.5 * 0.4, 0.5 - 0.5 * 0.2 - 0.4, 1.0 + 0.5 * 0.8 + 0.2]
    np.testing.assert_allclose(told(TD, outcomes, rates)[:, 0], expected, rtol=1e-5)


def test_temporal_difference_neither_acts_nor_expects_between_feedbacks():
    values = (0.4, 0.9, -0.2)
    factors = told(TD, [(0.8, 0)] * 3, [[9, 9, 9, value] for value in values], [True, False, True])[:, 0]
    np.testing.assert_allclose(factors, [0.2 + 0.5 * 0.4, 0.0, 0.2 - 0.5 * 0.2 - 0.4], rtol=1e-5)


def test_reward_that_was_expected_is_no_surprise():
    settled = told(TD, [(0.5, 0)] * 4, [[9, 9, 9, 1.0]] * 4)[:, 0]  # V = R / (1 - discount)
    np.testing.assert_allclose(settled[1:], 0.0, atol=1e-6)


def test_unmodulated_factor_is_one():
    np.testing.assert_array_equal(told(NONE, [(0.0, 0), (2.0, 3)]), [[1, 0], [1, 0]])
    np.testing.assert_array_equal(told(NONE, [(0.0, 0), (2.0, 3)], fed=[False, True])[:, 0], [1, 1])
    gated = UnmodulatedSettings(acts="feedback").build(PLACES)
    np.testing.assert_array_equal(told(gated, [(0.0, 0), (2.0, 3)], fed=[False, True])[:, 0], [0, 1])


@pytest.mark.parametrize(
    ("modulation", "at_every_step"),
    [(PUBLISHED, False), (SINGLE, False), (NETWORK, True), (NONE, False), (REWARD, False), (TD, False)],
)
def test_only_the_network_acts_at_every_step(modulation, at_every_step):
    assert every_step(modulation) == at_every_step


@pytest.mark.parametrize("modulation", [PUBLISHED, SINGLE, NETWORK, NONE, REWARD, REWARD_PER_TYPE, BARE_REWARD, TD])
def test_strength_scales_the_factor_and_nothing_else(modulation):
    outcomes, rates = [(0.8, 0), (0.5, 0), (0.1, 0)], [[0, 0.5, 0.1, 0], [0, -0.2, 0.4, 0], [0, 0.1, 0.1, 0]]
    whole = told(modulation, outcomes, rates)
    cut = told(modulation._replace(strength=np.float32(0.0)), outcomes, rates)
    assert whole[:, 0].any() and not cut[:, 0].any()
    np.testing.assert_array_equal(cut[:, 1], whole[:, 1])


@pytest.mark.parametrize(("modulation", "later_loss"), [(PUBLISHED, 0.0), (SINGLE, 0.0), (REWARD, 1.0)])
def test_a_baseline_that_decays_never_becomes_subnormal(modulation, later_loss):
    remembered, modulators = memory(modulation, 4), np.zeros(1, np.float32)
    for trial in range(1200):
        loss = later_loss if trial else 1.0 - later_loss
        modulate(modulation, remembered, Outcome(np.float32(loss), 0), True, np.zeros(4, np.float32), modulators)
        for value in (remembered[0], modulators[0]):
            assert value == 0 or abs(value) >= np.finfo(np.float32).smallest_normal, f"after trial {trial}"


@pytest.mark.parametrize("units", [0, 1, 3])
def test_network_control_without_its_two_units_is_refused(units):
    with pytest.raises(UserError, match=f"needs 2 modulator units, got {units}"):
        NetworkControlledSettings().build({"modulator": range(units)})


def test_a_value_unit_stands_before_the_responses_and_is_born_without_input():
    network = LeakySettings(units=17, roles=RoleSettings(value=1))
    places = network.places()
    assert (places["modulator"], places["value"], places["response"]) == (range(12, 14), range(14, 15), range(15, 17))
    layout = GenomeLayout(network.blocks(BlockSettings(spread=1.0), BlockSettings()), 0)
    assert not layout.unpack(layout.initial())["innate"][:, 14].any()


def test_inputs_of_units_that_are_born_unplastic_start_with_a_gain_of_zero_and_may_evolve():
    network = LeakySettings(units=15, born_unplastic=("modulator",))
    layout = GenomeLayout(network.blocks(BlockSettings(spread=1.0), BlockSettings(initial=0.5)), 0)
    gain, modulators = layout.unpack(layout.initial())["gain"], list(network.places()["modulator"])
    assert not gain[:, modulators].any()
    assert (np.delete(gain, modulators, axis=1) == 0.5).all()
    assert layout.size == 2 * 15 * 15


def test_stimulus_weights_and_units_born_unplastic_go_together():
    network = LeakySettings(units=15, stimulus_weights=1.0, born_unplastic=("response",))
    layout = GenomeLayout(network.blocks(BlockSettings(spread=1.0), BlockSettings(initial=0.5)), 0)
    gain, places = layout.unpack(layout.initial())["gain"], network.places()
    assert not gain[list(places["stimulus"])].any()
    assert not gain[:, list(places["response"])].any()
    assert (gain[places["bias"].start :, places["hidden"].start : places["modulator"].stop] == 0.5).all()


@pytest.mark.parametrize("gain", [BlockSettings(sharing="scalar", initial=0.5), BlockSettings(floor=0.1, initial=0.5)])
def test_units_are_born_unplastic_only_where_their_inputs_may_have_gains_of_0(gain):
    network = LeakySettings(units=15, born_unplastic=("modulator",))
    with pytest.raises(UserError, match=r"born_unplastic = \['modulator'\] wants gains of their own that may be 0"):
        network.blocks(BlockSettings(), gain)


@pytest.mark.parametrize("units", [0, 2])
def test_modulation_by_one_unit_of_a_role_wants_just_one(units):
    places = {"modulator": range(units), "value": range(units)}
    with pytest.raises(UserError, match=f"needs 1 modulator unit, got {units}"):
        NetworkControlledSettings(units=1).build(places)
    with pytest.raises(UserError, match=f"needs 1 value unit, got {units}; set problem.network.roles.value = 1"):
        TemporalDifferenceSettings().build(places)


def test_modulations_are_named_by_their_tags():
    tags = {name: settings.__struct_config__.tag for name, settings in MODULATIONS.items()}
    assert tags == {name: name for name in MODULATIONS}
