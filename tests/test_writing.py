"""All plastic weights written by one formula, and sent under: compiled, in plain Python and from the equation."""

import numpy as np
import pytest
from driven import Driven

from evoplastic import rollout
from evoplastic.checks import short_problem
from evoplastic.jit import kernel
from evoplastic.networks.contract import Activity
from evoplastic.networks.leaky import LeakySettings
from evoplastic.rollout import live_plainly
from evoplastic.rules.contract import SENT, accumulate, consolidate
from evoplastic.rules.writing import constant, damped, linear, write, write_traced
from evoplastic.vectors import Changing, send

BOUND, MIXING = np.float32(0.9), np.float32(0.25)
WIDTHS = [8, 24, 80, 96]  # a vector, three, a tile of ten, a tile and two
NETWORK = LeakySettings().build(np.zeros((70, 70)), np.zeros((70, 70)))  # its type


class Synapses:
    """Random synapses of `width` - 3 senders, some of which are silent, and weights some of which are not numbers."""

    def __init__(self, width):
        rng = np.random.default_rng(width)
        innate, gain, self.plastic, self.trace = rng.normal(size=(4, width - 3, width)).astype(np.float32)
        self.network = NETWORK._replace(innate=innate, gain=gain)
        rates, self.x = np.where(rng.random((2, width)) < 0.3, 0, rng.normal(size=(2, width))).astype(np.float32)
        blank = np.full(width, np.nan, np.float32)
        self.activity = Activity(blank, rates, blank, blank, blank.copy())
        self.sums = rng.normal(size=(4, width)).astype(np.float32)
        self.plastic[1, :4] = np.nan

    def unclipped(self):
        """Return what each formula makes of P."""
        x, p, (base, slope, kept, kept_slope) = self.x[: len(self.plastic), None], self.plastic, self.sums
        return {
            constant: p + (base + x * slope),
            damped: p + (x * slope + kept * p),
            linear: p + (base + x * slope + (kept + x * kept_slope) * p),
        }


@kernel
def compiled_constant(network, plastic, activity, x, sums, bound, resting):
    write(constant, network, plastic, activity, x, sums, bound, resting)


@kernel
def compiled_damped(network, plastic, activity, x, sums, bound, resting):
    write(damped, network, plastic, activity, x, sums, bound, resting)


@kernel
def compiled_linear(network, plastic, activity, x, sums, bound, resting):
    write(linear, network, plastic, activity, x, sums, bound, resting)


@kernel
def compiled_traced(network, plastic, activity, trace, x, y, mixing, share, bound):
    write_traced(network, plastic, activity, trace, x, y, mixing, share, bound)


@kernel
def compiled_send(innate, gain, plastic, rates, drive):
    send(Changing(innate, gain, plastic), rates, drive)


COMPILED = {constant: compiled_constant, damped: compiled_damped, linear: compiled_linear}


def sent_under(found, plastic):
    """Return what the rates send under innate + gain * plastic, summed in the order of the senders."""
    weights = found.network.innate + found.network.gain * plastic
    drive = np.zeros(weights.shape[1], np.float32)
    for pre in range(len(weights)):
        if found.activity.rates[pre]:
            drive += found.activity.rates[pre] * weights[pre]
    return drive


@pytest.mark.parametrize("way", ["compiled", "plain"])
@pytest.mark.parametrize("resting", [False, True])
@pytest.mark.parametrize("formula", COMPILED, ids=lambda formula: formula.__name__)
@pytest.mark.parametrize("width", WIDTHS)
def test_weights_are_written_by_their_formula_and_sent_under_bit_for_bit(width, formula, resting, way):
    found = Synapses(width)
    written = np.clip(found.unclipped()[formula], -BOUND, BOUND)
    if not resting:
        written = np.where(found.x[: len(written), None] == 0, found.plastic, written)
    ours = found.plastic.copy()
    arguments = found.network, ours, found.activity, found.x, found.sums, BOUND, resting
    if way == "compiled":
        COMPILED[formula](*arguments)
    else:
        write(formula, *arguments)
    np.testing.assert_array_equal(ours, written)
    np.testing.assert_array_equal(found.activity.drive, sent_under(found, written))
    assert (np.abs(ours) == BOUND).any() and np.isnan(ours[1, :4]).all() and np.isfinite(ours[2:]).all()


@pytest.mark.parametrize("way", ["compiled", "plain"])
@pytest.mark.parametrize("mixing", [MIXING, np.float32(0.0)])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_trace_follows_and_weights_go_along_it_bit_for_bit(width, mixing, way):
    found, (y, share) = Synapses(width), np.random.default_rng(1).normal(size=(2, width)).astype(np.float32)
    followed = (np.float32(1.0) - mixing) * found.trace + (mixing * found.x[: width - 3, None]) * y
    written = np.clip(found.plastic + share * followed, -BOUND, BOUND)
    function = compiled_traced if way == "compiled" else write_traced
    ours, trace = found.plastic.copy(), found.trace.copy()
    function(found.network, ours, found.activity, trace, found.x, y, mixing, share, BOUND)
    np.testing.assert_array_equal(trace, followed)
    np.testing.assert_array_equal(ours, written)
    np.testing.assert_array_equal(found.activity.drive, sent_under(found, written))
    assert np.array_equal(trace, found.trace) == (mixing == 0)


@pytest.mark.parametrize("way", ["compiled", "plain"])
@pytest.mark.parametrize("width", WIDTHS)
def test_changing_weights_send_as_stored_ones_do_bit_for_bit(width, way):
    found = Synapses(width)
    found.plastic[1, :4] = 0.5
    drive = np.full(width, np.nan, np.float32)
    if way == "compiled":
        compiled_send(found.network.innate, found.network.gain, found.plastic, found.activity.rates, drive)
    else:
        send(Changing(found.network.innate, found.network.gain, found.plastic), found.activity.rates, drive)
    np.testing.assert_array_equal(drive, sent_under(found, found.plastic))


@pytest.mark.parametrize("name", ["clipped_hebb", "oja", "outstar", "fan_out"])
def test_a_rule_that_says_it_has_sent_leaves_the_next_steps_drive(name):
    rng = np.random.default_rng(3)
    driven = Driven(name, 11, innate=rng.normal(size=(11, 11)), gain=rng.normal(size=(11, 11)))
    driven.activity.before[:11], driven.activity.rates[:11] = rng.normal(size=(2, 11))
    accumulate(driven.rule, driven.state, 0, driven.activity)
    third = np.ones(1, np.float32)
    told = consolidate(driven.rule, driven.state, 0, driven.network, driven.activity, driven.plastic, third)
    assert told == SENT and driven.plastic.any()
    np.testing.assert_array_equal(driven.activity.drive, sent_under(driven, driven.plastic))


@pytest.mark.parametrize(("name", "fading"), [("decaying_hebb", "plastic"), ("fan_out", "trace")])
def test_what_fades_is_0_before_it_is_subnormal(name, fading):
    settings = {"decay": 0.4} if name == "decaying_hebb" else {"u": 1.0, "trace_tau_ms": 40.0}
    driven = Driven(name, 4, **settings)
    driven.step([1, 1, 1, 1], [1, 1, 1, 1])
    smallest = []
    for _ in range(300):
        driven.step(np.zeros(4), np.zeros(4), 1e-3)
        numbers = (driven.plastic if fading == "plastic" else driven.state.trace)[:, :4]
        smallest.append(numbers[numbers != 0].min() if numbers.any() else 0.0)
    assert smallest[-1] == 0.0 and smallest[0] > 1e-3
    assert min(size for size in smallest if size) > np.finfo(np.float32).tiny


HOMEOSTATIC = {"type": "together", "parts": {"first": {"type": "oja"}, "then": {"type": "homeostatic"}}}
TWO_SUMS = {"type": "together", "parts": {"first": {"type": "oja"}, "then": {"type": "clipped_hebb"}}}
WAITING = {"type": "together", "parts": {"first": {"type": "oja"}, "then": {"type": "hebbian", "burn_in_trials": 3}}}


@pytest.mark.parametrize("task", [{}, {"tasks_per_life": 2, "newborn_tasks": True}, {"reset_activity": True}])
@pytest.mark.parametrize("rule", [{"type": "oja"}, {"type": "fan_out"}, HOMEOSTATIC, TWO_SUMS, WAITING])
def test_a_life_is_the_same_whether_what_is_sent_comes_with_the_writing_or_after(rule, task, monkeypatch):
    short = {"type": "boolean", "trials": 8, "periods": {"stimulus": 40.0, "gap": 20.0, "delay": 20.0}}
    problem = short_problem(rule=rule, task=short | task, network={"type": "leaky", "units": 14})
    body, key = problem.body(problem.layout.initial(), problem.training_life(0, 0)), np.uint64(3)

    def life():
        scores = np.zeros((8 * task.get("tasks_per_life", 1), 3), np.float32)
        plastic = np.zeros_like(body.network.innate)
        live_plainly(*body, key, plastic, scores)
        return scores, plastic

    scores, plastic = life()
    monkeypatch.setattr(rollout, "SENT", -1)  # nothing is taken for sent
    for found, expected in zip(life(), (scores, plastic)):
        np.testing.assert_array_equal(found, expected)
    assert plastic.any()
