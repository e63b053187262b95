"""Several rules at once: each part does what it does alone, in order, on weights that all of them share."""

import pickle

import msgspec
import naive
import numpy as np
import pytest
from conftest import lived, replace, same_life, small_life, structs
from driven import Driven

from evoplastic.config import parse_config, read_config
from evoplastic.errors import UserError
from evoplastic.genome import groups
from evoplastic.modulation import MODULATIONS
from evoplastic.modulation.channels import channels_of
from evoplastic.rollout import live, live_plainly
from evoplastic.rules import RULES
from evoplastic.rules.contract import Around, continual, explore
from evoplastic.rules.node_perturbation import NodePerturbationSettings
from evoplastic.rules.together import together_of

TOGETHER = together_of(RULES, __name__)
UNITS, STEPS = 5, 6
HEBB = RULES["clipped_hebb"](eta=0.5, bound=0.2, channel="r")
DECAYING = RULES["decaying_hebb"](eta=0.3, decay=0.1, channel="m")
PLAIN = live_plainly


@pytest.fixture(autouse=True)
def philox_may_wrap_around():
    with np.errstate(over="ignore"):
        yield


def rates(seed=0):
    """Return rates of a life, (STEPS + 1, UNITS), and two third factors at each step, (STEPS, 2)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(STEPS + 1, UNITS)), rng.normal(size=(STEPS, 2))


def driven(kind, *, drawn=7, **settings):
    """Return a rule that lived through `rates` under third factors m and r, and the plastic weights after each step."""
    rule, (sent, factors) = Driven(kind, UNITS, channels=("m", "r"), **settings), rates()
    rule.begin_trial(key=drawn)
    weights = [rule.step(sent[step], sent[step + 1], *factors[step], at=step).copy() for step in range(STEPS)]
    return rule, np.array(weights)


def hebb(plastic, x, y, m, r):
    """P <- clip(P + eta r x y, -bound, bound)"""
    return np.clip(plastic + 0.5 * r * np.outer(x, y), -0.2, 0.2)


def decaying(plastic, x, y, m, r):
    """P <- P + eta m x y - decay P"""
    return plastic + 0.3 * m * np.outer(x, y) - 0.1 * plastic


@pytest.mark.parametrize(("names", "equations"), [("hd", (hebb, decaying)), ("hdg", (hebb, decaying, hebb))])
def test_a_part_writes_to_what_the_part_before_has_written(names, equations):
    parts = {name: {"h": HEBB, "d": DECAYING, "g": HEBB}[name] for name in names}
    (sent, factors), plastic, expected = rates(), np.zeros((UNITS, UNITS)), []
    for step in range(STEPS):
        for equation in equations:
            plastic = equation(plastic, sent[step], sent[step + 1], *factors[step])
        expected.append(plastic)
    np.testing.assert_allclose(driven(TOGETHER, parts=parts)[1], expected, rtol=1e-4, atol=1e-6)


def test_the_order_of_parts_matters():
    one, other = (
        driven(TOGETHER, parts=parts)[1] for parts in ({"h": HEBB, "d": DECAYING}, {"d": DECAYING, "h": HEBB})
    )
    assert np.abs(one - other).max() > 0.01


@pytest.mark.parametrize("name", ["hebbian", "bcm", "node_perturbation", "decaying_hebb", "consolidation"])
def test_a_rule_beside_one_that_does_nothing_is_the_rule_alone(name):
    rule = RULES[name](burn_in_trials=0)
    beside = driven(TOGETHER, parts={"it": rule, "nothing": RULES["fixed"]()})[1]
    alone = driven(name, burn_in_trials=0)[1]
    assert alone.any()
    np.testing.assert_array_equal(beside, alone)


def test_perturbations_of_the_parts_add_up_and_are_not_the_same():
    eager = NodePerturbationSettings(probability=1.0, unperturbed_ms=0.0)

    def noise(kind, drawn, **settings):
        rule = Driven(kind, UNITS, **settings)
        rule.begin_trial(key=drawn)
        explore(rule.rule, rule.state, 0, rule.activity)
        return rule.activity.noise[:UNITS]

    alone = [noise(NodePerturbationSettings, drawn, probability=1.0, unperturbed_ms=0.0) for drawn in (7, 8, 9)]
    together = noise(TOGETHER, 7, parts=dict.fromkeys("abc", eager))
    np.testing.assert_allclose(together, np.sum(alone, axis=0), rtol=1e-5)
    assert (alone[0] != alone[1]).all()


def test_a_trace_sees_its_own_part_s_perturbations_alone():
    eager = {"probability": 0.5, "unperturbed_ms": 0.0, "burn_in_trials": 0, "trace_tau_ms": 100.0}
    rule, _ = driven(TOGETHER, parts={"a": NodePerturbationSettings(**eager), "b": NodePerturbationSettings(**eager)})
    for state, drawn in ((rule.state.first, 7), (rule.state.rest.first, 8)):
        alone = driven("node_perturbation", drawn=drawn, **eager)[0].state
        assert alone.trace.any()
        np.testing.assert_array_equal(state.trace, alone.trace)
    assert not rule.activity.noise.any()


def test_one_part_that_may_always_write_lets_the_others_wait():
    """Feedback comes for r alone at the last step; before, node perturbation beside Hebb must write nothing."""
    waiting = {"eta": 1.0, "burn_in_trials": 0, "probability": 1.0, "unperturbed_ms": 0.0, "channel": "r"}
    parts = {"np": NodePerturbationSettings(**waiting), "hebb": RULES["clipped_hebb"](channel="m")}
    for name, always in (("np", False), ("hebb", True)):
        single = TOGETHER(parts={name: parts[name]}).build(Around(20.0, 100, UNITS, ("m", "r")), {})
        assert continual(single) == always
    rule, (sent, _) = Driven(TOGETHER, UNITS, channels=("m", "r"), parts=parts), rates()
    assert continual(rule.rule)
    rule.begin_trial()
    for step in range(STEPS - 1):
        before = rule.weights
        after = rule.step(sent[step], sent[step + 1], 0.0, 0.0, at=step, fed=False)
        np.testing.assert_array_equal(after, before)
    assert rule.step(sent[-2], sent[-1], 0.0, 1.0, at=STEPS - 1).any()


# ---- a whole life


class TogetherLifetime(naive.Lifetime):
    """Node perturbation under the loss, then Hebb with a trace under the reward, by the equations."""

    hebb_eta, hebb_tau, hebb_bound, hebb_baseline = 0.4, 200.0, 0.3, 0.0

    def be_born(self):
        super().be_born()
        self.hebb_trace, self.reward_baseline = np.zeros_like(self.P), 0.0

    def traced(self, E, xi, y_before, y):
        mixing = self.life.dt / self.hebb_tau
        self.hebb_trace = (1 - mixing) * self.hebb_trace + mixing * np.outer(y, y_before)
        return super().traced(E, xi, y_before, y)

    def third_factor(self, loss, kind):
        self.better = 1 - loss - self.reward_baseline
        self.reward_baseline += 0.1 * self.better
        return super().third_factor(loss, kind)

    def consolidate(self, age, m):
        super().consolidate(age, m)
        change = self.hebb_eta * self.better * self.hebb_trace
        self.P = np.clip(self.P + change, -self.hebb_bound, self.hebb_bound)


def built_together(life):
    """Return the structs of `life` with the parts of TogetherLifetime; channels stand in another order than parts."""
    channels = {"reward": MODULATIONS["reward"](), "loss": MODULATIONS["loss"]()}
    modulation = channels_of(MODULATIONS, __name__)(parts=channels)
    perturbing = NodePerturbationSettings(
        channel="loss",
        eta=life.eta,
        trace_tau_ms=life.trace_tau,
        burn_in_trials=life.burn_in,
        clip=life.clip,
        probability=life.probability,
        amplitude=life.amplitude,
        unperturbed_ms=life.unperturbed,
        quiet_trials=life.quiet,
    )
    hebb = RULES["hebbian"](
        channel="reward",
        eta=TogetherLifetime.hebb_eta,
        trace_tau_ms=TogetherLifetime.hebb_tau,
        bound=TogetherLifetime.hebb_bound,
    )
    whole = structs(life)
    around = Around(life.dt, life.trials, len(life.innate), modulation.channels)
    rule = TOGETHER(parts={"perturbing": perturbing, "hebb": hebb}).build(around, {})
    return whole._replace(rule=rule, modulation=modulation.build({}))


def test_a_life_under_two_rules_and_two_third_factors_is_the_oracle_s():
    life = small_life()
    ours = lived(built_together(life))
    same_life(ours, TogetherLifetime(life).run())
    assert ours.plastic.any()


@pytest.mark.parametrize("fault", ["hebb_eta", "hebb_tau", "hebb_bound"])
def test_the_oracle_notices_a_fault_in_the_second_part(fault):
    life = replace(small_life(), trials=8)
    faulty = TogetherLifetime(life)
    setattr(faulty, fault, -0.5 * getattr(faulty, fault) if fault == "hebb_eta" else 0.5 * getattr(faulty, fault))
    with pytest.raises(AssertionError):
        same_life(lived(built_together(life), PLAIN), faulty.run())


def test_parts_compile_once_whatever_their_numbers():
    lived(built_together(small_life()))
    before = len(live.signatures)
    lived(built_together(small_life(1, eta=0.3, tables=["0001"])))
    assert len(live.signatures) == before


# ---- in a run file


def problem(*overrides, **rule):
    short = ("problem.network.units=17", "problem.task.trials=6", "problem.scored_trials=3")
    raw = msgspec.to_builtins(read_config("quickstart", [*short, *overrides]))
    raw["problem"]["rule"] = {"type": "together", **rule}
    return raw


def parsed(raw):
    return parse_config(raw).problem.build(0)


def refused(raw):
    with pytest.raises(UserError) as caught:
        parsed(raw)
    return str(caught.value)


def test_coefficients_of_parts_evolve_under_the_parts_names():
    raw = problem(parts={"bias": {"type": "intrinsic", "eta": 0.25}, "hebb": {"type": "hebbian"}})
    raw["problem"]["genome"]["rule"] = {"bias.eta": {"sharing": "neuron"}, "hebb.eta": {"initial": 3.0}}
    built = parsed(raw)
    rows = {row.name: row for row in built.layout.describe()}
    assert rows["rule.bias.eta"].bounds == (0.0, 1.0) and rows["rule.bias.eta"].initial == 0.25
    assert rows["rule.bias.eta"].genes == 17 and rows["rule.hebb.eta"].bounds is None
    rule = built.body(built.layout.initial(), built.training_life(0, 0)).rule
    np.testing.assert_allclose(rule.first.eta[:17], 0.25, rtol=1e-6)
    np.testing.assert_allclose(rule.rest.first.coefficients[0, 0, :17], 3.0, rtol=1e-6)


def test_a_genome_s_coefficients_reach_the_part_they_are_named_after():
    around, types = Around(20.0, 100, UNITS, ("m",)), np.zeros(UNITS, np.int64)
    rule = TOGETHER(parts={"a": RULES["clipped_hebb"](eta=1.0), "ab": RULES["clipped_hebb"](eta=2.0)})
    values = {"ab.eta": groups("synapse", types, 1).astype(float)}
    built = rule.build(around, values)
    np.testing.assert_array_equal(built.first.coefficients[0, 0, :UNITS], 1.0)
    np.testing.assert_array_equal(built.rest.first.coefficients[0, :, :UNITS], values["ab.eta"])


def test_a_run_file_with_parts_is_read_back_as_it_was_written():
    raw = problem(parts={"z": {"type": "bcm"}, "a": {"type": "hebbian", "eta": 0.5}})
    rule = parse_config(raw).problem.rule
    assert list(rule.parts) == ["z", "a"]
    assert parse_config(msgspec.to_builtins(parse_config(raw))).problem.rule == rule


def test_settings_with_parts_travel_to_other_processes():
    raw = problem(parts={"a": {"type": "hebbian"}})
    raw["problem"]["modulation"] = {"type": "channels", "parts": {"m": {"type": "reward"}}}
    built = parsed(raw)
    assert pickle.loads(pickle.dumps(built)).settings == built.settings


def test_a_part_that_waits_is_refused_where_a_third_factor_comes_at_every_step():
    raw = problem(parts={"a": {"type": "hebbian"}, "b": {"type": "oja"}})
    raw["problem"]["modulation"] = {"type": "none"}
    assert "problem.rule.parts.a.every_step is false" in refused(raw)
    raw["problem"]["modulation"]["acts"] = "feedback"
    parsed(raw)


def test_what_parts_are_is_told_with_their_names():
    rule = TOGETHER(parts={"h": RULES["clipped_hebb"](), "np": NodePerturbationSettings(burn_in_trials=3)})
    account = rule.describe()
    assert account.equation.startswith("h: P <- clip(P + eta m x y)\nnp: P <- P + clip(eta m E")
    assert account.latex.count(r"\text{") == 2 and "np: trace" in account.state
    assert account.symbols["xi (np)"].startswith("the perturbation")
    assert rule.marks(100) == {3: "plasticity starts (np)", 81: "noise off (np)"}
    assert rule.listens() and not TOGETHER(parts={"bias": RULES["intrinsic"]()}).listens()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({}, "problem.rule: parts must be one or more, each a table with a name of its own, got none"),
        ({"a.b": {"type": "bcm"}}, "letters, digits and underscores, got 'a.b'"),
        ({"b": {"type": "bcm"}, "a": {"type": "ojaa"}}, "problem.rule.parts.a.type: 'ojaa' is unknown; choose one of"),
        ({"a": {"type": "ojaa"}}, "did you mean 'oja'?"),
        ({"a": {"type": "together", "parts": {}}}, "problem.rule.parts.a.type: 'together' is unknown"),
        ({"a": {"type": "bcm", "etaa": 1.0}}, "unknown key 'problem.rule.parts.a.etaa'; did you mean 'eta'?"),
        ({"a": {"type": "bcm", "eta": "x"}}, "problem.rule.parts.a.eta: expected `float`, got 'x'"),
        ({"a": {"type": "bcm", "channel": "r"}}, "problem.rule.parts.a listens to the third factor 'r'"),
        ({"a": {"type": "hebbian", "trace_tau_ms": 1.0}}, "problem.rule.parts.a.trace_tau_ms must be at least"),
        (
            {"a": {"type": "decaying_hebb", "every_step": False}, "b": {"type": "clipped_hebb"}},
            "problem.rule.parts.a.every_step is false, but terms without a third factor cannot wait for feedback "
            "beside 'b'",
        ),
    ],
)
def test_parts_that_cannot_be_are_refused_in_a_sentence(parts, words):
    assert words in refused(problem(parts=parts))


def test_a_coefficient_that_no_part_has_is_refused():
    raw = problem(parts={"a": {"type": "hebbian"}})
    raw["problem"]["genome"]["rule"] = {"eta": {}}
    assert "choose some of ['a.eta']; did you mean 'a.eta'?" in refused(raw)
