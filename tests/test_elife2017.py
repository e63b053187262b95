"""The 2017 delayed non-match task: published constants, output units like all others, inputs apart from all others."""

import math

import numpy as np
import pytest

from evoplastic.config import read_config
from evoplastic.errors import UserError
from evoplastic.genome import BlockSettings, GenomeLayout
from evoplastic.networks.contract import activate, rest
from evoplastic.networks.leaky import LeakySettings
from evoplastic.networks.roles import RoleSettings

PUBLISHED = {
    "problem.network.tau_ms": 30.0,
    "problem.network.dt_ms": 1.0,
    "problem.network.responses": "tanh",
    "problem.network.stimulus_weights": 1.0,
    "problem.network.roles.bias": 3,
    "problem.network.roles.response": 1,
    "problem.modulation.rate": 0.25,
    "problem.modulation.baseline": "per_type",
    "problem.rule.burn_in_trials": 101,
    "problem.rule.probability": 0.003,
    "problem.rule.quiet_trials": 0,
    "problem.task.trials": 3000,
    "problem.task.answer": "single",
    "problem.task.coding": "one_hot",
    "problem.task.reset_activity": True,
    "problem.task.feedback": "graded",
}
ROLES = RoleSettings(stimulus=2, feedback=0, bias=3, echo=0, modulator=0, response=1)


def blocks(units=20, **said):
    settings = LeakySettings(units=units, roles=ROLES, stimulus_weights=1.0, **said)
    free = BlockSettings(spread=1.5), BlockSettings(initial=1.0)
    return {block.name: block for block in settings.blocks(*free)}


@pytest.mark.parametrize("preset", ["elife2017-dnms", "elife2017-dnms-node-perturbation"])
@pytest.mark.parametrize("path", PUBLISHED)
def test_published_constant(preset, path):
    value = read_config(preset)
    for key in path.split("."):
        value = getattr(value, key)
    assert value == PUBLISHED[path]


def test_the_fluctuation_rule_has_the_published_rate_and_bound():
    rule = read_config("elife2017-dnms").problem.rule
    assert (rule.eta, rule.clip, rule.mixing, rule.untraced_ms) == (0.1, 3e-4, 0.95, 3.0)


def test_a_trial_takes_a_second_and_a_step():
    config = read_config("elife2017-dnms").problem
    periods = config.task.periods.steps(2, config.network.dt_ms)
    assert (periods.stimulus, periods.onset, periods.response, periods.response_end) == (200, 400, 800, 1000)
    assert (periods.feedback, periods.trial) == (1000, 1001)


def test_perturbations_are_16_of_the_input():
    for preset in ("elife2017-dnms", "elife2017-dnms-node-perturbation"):
        assert read_config(preset).problem.rule.amplitude == pytest.approx(16 / 30, rel=1e-6)


def test_spread_of_200_recurrent_units_is_the_published_one():
    config = read_config("elife2017-dnms").problem
    recurrent = config.network.units - 2
    spread = config.genome.innate.spread / math.sqrt(config.network.units)
    assert recurrent == 200 and spread == pytest.approx(1.5 / math.sqrt(200), rel=1e-4)


def test_input_weights_are_even_and_their_gains_zero():
    made = blocks(units=400)
    innate = made["innate"].develop(made["innate"].initial_genes(3))
    gain = made["gain"].develop(made["gain"].initial_genes(3))
    inputs = innate[:2, 5:]
    assert np.abs(inputs).max() <= 1 and inputs.var() == pytest.approx(1 / 3, rel=0.15)
    assert abs(np.quantile(inputs, 0.25) + 0.5) < 0.1 and len(np.unique(inputs)) > 700
    assert not innate[:, :5].any(), "clamped units take no input"
    assert innate[5:, 5:].std() == pytest.approx(1.5 / 20, rel=0.02)
    assert not gain[:2].any() and (gain[2:] == 1).all()


def test_input_weights_follow_the_seed_and_leave_all_others_alone():
    block = blocks()["innate"]
    (plain, _) = LeakySettings(units=20, roles=ROLES).blocks(BlockSettings(spread=1.5), BlockSettings(initial=1.0))
    first, second = (block.develop(block.initial_genes(seed)) for seed in (1, 2))
    assert (first[:2, 5:] != second[:2, 5:]).all()
    np.testing.assert_array_equal(first[2:], plain.develop(plain.initial_genes(1))[2:])


@pytest.mark.parametrize("changes", [{"sharing": "projection"}, {"bounds": (-2.0, 2.0)}, {"floor": 0.0}])
def test_input_weights_of_their_own_need_a_free_gene_each(changes):
    settings = LeakySettings(units=20, roles=ROLES, stimulus_weights=1.0)
    with pytest.raises(UserError, match="stimulus_weights draws weights of their own for some synapses"):
        settings.blocks(BlockSettings(**changes), BlockSettings())


@pytest.mark.parametrize(("responses", "output"), [("tanh", math.tanh(0.7)), ("logistic", 1 / (1 + math.exp(-0.7)))])
def test_response_units_squash_as_the_settings_say(responses, output):
    settings = LeakySettings(units=8, tau_ms=20.0, dt_ms=20.0, initial_potential=0.0, roles=ROLES, responses=responses)
    network = settings.build(np.zeros((8, 8)), np.zeros((8, 8)))
    activity = rest(network)
    activity.drive[7] = 0.7
    activate(network, activity)
    assert activity.rates[7] == pytest.approx(output, rel=1e-5)


def test_projections_onto_clamped_units_share_one_gene():
    settings = LeakySettings(units=20, roles=ROLES)
    shared = BlockSettings(sharing="projection")
    layout = GenomeLayout(settings.blocks(shared, shared), seed=0)
    assert [row.genes for row in layout.describe()] == [9, 9], "from 4 kinds of units to 2 that are free, and one"
    values = layout.unpack(np.arange(18.0))["innate"]
    assert len(np.unique(values[:, :5])) == 1 and values[0, 0] not in values[:, 5:]
