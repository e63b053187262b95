"""Several third factors at once: each part what it is alone, in its own place, and nothing between the parts."""

import msgspec
import naive
import numpy as np
import pytest
from conftest import lived, same_life, small_life, structs

from evoplastic.config import parse_config, read_config
from evoplastic.errors import UserError
from evoplastic.modulation import MODULATIONS
from evoplastic.modulation.channels import channels_of
from evoplastic.modulation.contract import Outcome, channels, every_step, memory, modulate
from evoplastic.modulation.loss import LossSettings
from evoplastic.modulation.network import NetworkControlledSettings
from evoplastic.modulation.none import UnmodulatedSettings
from evoplastic.modulation.reward import RewardSettings
from evoplastic.modulation.td import TemporalDifferenceSettings
from evoplastic.problems.lesions import LESIONS, Body
from evoplastic.rollout import live_plainly
from evoplastic.rules.contract import Around
from evoplastic.rules.node_perturbation import NodePerturbationSettings

CHANNELS = channels_of(MODULATIONS, __name__)
PLACES = {"modulator": range(1, 4), "value": range(4, 5)}
OUTCOMES = [(0.8, 0, True), (0.3, 1, False), (0.5, 1, True), (0.1, 1, False), (0.2, 1, True), (0.9, 0, True)]
RATES = np.random.default_rng(3).normal(size=(len(OUTCOMES), 5)).astype(np.float32)
PARTS = {
    "net": NetworkControlledSettings(),
    "reward": RewardSettings(),
    "unit": NetworkControlledSettings(units=1, smoothness=0.1),
    "td": TemporalDifferenceSettings(),
    "loss": LossSettings(baseline="per_type"),
}
OWN = {"net": {"modulator": range(1, 3)}, "unit": {"modulator": range(3, 4)}, "td": {"value": range(4, 5)}}


def told(modulation):
    """Return third factors (steps, channels) and costs (steps,) of a newborn modulation over OUTCOMES."""
    remembered, factors, costs = memory(modulation, 4), [], []
    modulators = np.full(channels(modulation), np.nan, np.float32)
    for (loss, kind, fed), rates in zip(OUTCOMES, RATES):
        costs.append(modulate(modulation, remembered, Outcome(np.float32(loss), kind), fed, rates, modulators))
        factors.append(modulators.copy())
    return np.array(factors), np.array(costs)


def whole(**parts):
    return CHANNELS(parts=parts)


def test_every_part_is_in_its_place_what_it_is_alone():
    modulation = whole(**PARTS).build(PLACES)
    factors, costs = told(modulation)
    alone = {name: told(part.build(OWN.get(name, {}))) for name, part in PARTS.items()}
    for place, name in enumerate(PARTS):
        assert alone[name][0].any(), name
        np.testing.assert_array_equal(factors[:, place], alone[name][0][:, 0], name)
    np.testing.assert_allclose(costs, sum(cost for _, cost in alone.values()), rtol=1e-6)
    assert costs.any()


@pytest.mark.parametrize("name", PARTS)
def test_a_single_part_is_what_it_is_alone(name):
    single, alone = told(whole(it=PARTS[name]).build(OWN.get(name, {}))), told(PARTS[name].build(OWN.get(name, {})))
    np.testing.assert_array_equal(single[0], alone[0])
    np.testing.assert_array_equal(single[1], alone[1])


def test_what_acts_once_a_trial_is_0_at_other_steps():
    factors, _ = told(whole(**PARTS, one=UnmodulatedSettings(acts="feedback")).build(PLACES))
    fed = np.array([fed for _, _, fed in OUTCOMES])
    once = [place for place, name in enumerate(PARTS) if name not in ("net", "unit")] + [len(PARTS)]
    assert not factors[~fed][:, once].any() and factors[~fed][:, [0, 2]].all()
    np.testing.assert_array_equal(factors[:, -1], fed)


@pytest.mark.parametrize(("names", "at_every_step"), [(("reward", "loss"), False), (("reward", "net"), True)])
def test_the_whole_acts_at_every_step_as_soon_as_one_part_does(names, at_every_step):
    modulation = whole(**{name: PARTS[name] for name in names}).build({"modulator": range(1, 3)})
    assert every_step(modulation) == at_every_step and channels(modulation) == 2


def test_cutting_the_modulation_silences_every_part_and_leaves_the_cost():
    modulation = whole(**PARTS).build(PLACES)
    body = LESIONS["modulation_cut"].body(Body(None, None, modulation, None))
    (factors, costs), (_, intact) = told(body.modulation), told(modulation)
    assert not factors.any()
    np.testing.assert_array_equal(costs, intact)


def test_channels_are_named_after_the_parts_in_their_order():
    settings = whole(**PARTS)
    assert settings.channels == ("net", "reward", "unit", "td", "loss")
    assert dict(settings.takes()) == {"modulator": 3, "value": 1}


def test_what_the_rule_is_told_is_what_the_parts_tell():
    sentence = whole(reward=RewardSettings(), loss=LossSettings()).told("the outcome", "the stimuli")
    assert sentence == (
        "Third factor 'reward': The rule is told the outcome, as reward over one baseline for all trials. "
        "Third factor 'loss': The rule is told the outcome, with a baseline per trial type: it knows the stimuli."
    )


# ---- a whole life


@pytest.mark.parametrize("channel", ["net", "reward"])
def test_a_rule_hears_the_channel_that_it_names(channel):
    """Alone, the oracle knows the network's m and the reward; beside each other they must stay the same."""
    life = small_life(modulation="network" if channel == "net" else "reward", smoothness=0.0, eta=0.2)
    modulation = whole(reward=RewardSettings(), net=NetworkControlledSettings(smoothness=0.0))
    built = structs(life)
    rule = NodePerturbationSettings(
        channel=channel,
        eta=life.eta,
        clip=life.clip,
        trace_tau_ms=life.trace_tau,
        probability=life.probability,
        amplitude=life.amplitude,
        unperturbed_ms=life.unperturbed,
        burn_in_trials=life.burn_in,
        quiet_trials=life.quiet,
    ).build(Around(life.dt, life.trials, len(life.innate), modulation.channels), {})
    places = {role: range(units[0], units[-1] + 1) for role, units in life.roles.items() if units}
    ours = lived(built._replace(rule=rule, modulation=modulation.build(places)), live_plainly)
    same_life(ours, naive.Lifetime(life).run())
    assert ours.plastic.any()


# ---- in a run file


def problem(parts, **roles):
    short = ("problem.network.units=17", "problem.task.trials=6", "problem.scored_trials=3")
    raw = msgspec.to_builtins(read_config("quickstart", short))
    raw["problem"]["modulation"] = {"type": "channels", "parts": parts}
    raw["problem"]["network"]["roles"] |= roles
    return raw


def test_a_run_file_names_parts_and_the_rule_listens_by_name():
    raw = problem({"z": {"type": "reward"}, "a": {"type": "network_controlled", "units": 1}}, modulator=1)
    raw["problem"]["rule"] |= {"channel": "a"}
    config = parse_config(raw)
    built = config.problem.build(0)
    assert built.body(built.layout.initial(), built.training_life(0, 0)).rule.channel == 1
    assert built.privileged.startswith("Third factor 'a': The rule is told nothing from outside")
    assert "'z'" not in built.privileged, "a third factor that the rule does not listen to tells it nothing"
    raw["problem"]["rule"] |= {"channel": ""}
    assert parse_config(raw).problem.build(0).privileged.startswith("Third factor 'z': The rule is told the graded")
    assert parse_config(msgspec.to_builtins(config)).problem.modulation == config.problem.modulation


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({}, "problem.modulation: parts must be one or more, each a table with a name of its own, got none"),
        ({"a b": {"type": "loss"}}, "letters, digits and underscores, got 'a b'"),
        ({"a": {"type": "channels", "parts": {}}}, "problem.modulation.parts.a.type: 'channels' is unknown"),
        (
            {"a": {"type": "network_controlled"}, "b": {"type": "network_controlled", "units": 1}},
            "modulation by these parts needs 3 modulator units, got 2; set problem.network.roles.modulator = 3",
        ),
        ({"a": {"type": "td"}}, "needs 1 value unit, got 0; set problem.network.roles.value = 1"),
    ],
)
def test_parts_that_cannot_be_are_refused_in_a_sentence(parts, words):
    with pytest.raises(UserError) as caught:
        parse_config(problem(parts))
    assert words in str(caught.value)
