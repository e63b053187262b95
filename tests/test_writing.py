"""All plastic weights written by one formula, and sent under: compiled, in plain Python and from the equation."""

import numpy as np
import pytest
from driven import Driven

from evoplastic.jit import kernel
from evoplastic.networks.contract import Activity
from evoplastic.networks.leaky import LeakySettings
from evoplastic.rules.contract import SENT, accumulate, consolidate
from evoplastic.rules.writing import write_constant, write_damped, write_linear, write_traced
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
        rates, self.sent = np.where(rng.random((2, width)) < 0.3, 0, rng.normal(size=(2, width))).astype(np.float32)
        blank = np.full(width, np.nan, np.float32)
        self.activity = Activity(blank, rates, blank, blank, blank.copy())
        self.sums = rng.normal(size=(4, width)).astype(np.float32)
        self.plastic[1, :4] = np.nan

    def unclipped(self):
        """Return what each formula makes of P."""
        x, p, (base, slope, kept, kept_slope) = self.sent[: len(self.plastic), None], self.plastic, self.sums
        return {
            write_constant: p + (base + x * slope),
            write_damped: p + (x * slope + kept * p),
            write_linear: p + (base + x * slope + (kept + x * kept_slope) * p),
        }


@kernel
def compiled_constant(network, plastic, activity, sent, sums, bound, resting):
    write_constant(network, plastic, activity, sent, sums, bound, resting)


@kernel
def compiled_damped(network, plastic, activity, sent, sums, bound, resting):
    write_damped(network, plastic, activity, sent, sums, bound, resting)


@kernel
def compiled_linear(network, plastic, activity, sent, sums, bound, resting):
    write_linear(network, plastic, activity, sent, sums, bound, resting)


@kernel
def compiled_traced(network, plastic, activity, trace, sent, sends, mixing, share, bound):
    write_traced(network, plastic, activity, trace, sent, sends, mixing, share, bound)


@kernel
def compiled_send(innate, gain, plastic, rates, drive):
    send(Changing(innate, gain, plastic), rates, drive)


COMPILED = {write_constant: compiled_constant, write_damped: compiled_damped, write_linear: compiled_linear}


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
@pytest.mark.parametrize("write", COMPILED, ids=lambda write: write.__name__)
@pytest.mark.parametrize("width", WIDTHS)
def test_weights_are_written_by_their_formula_and_sent_under_bit_for_bit(width, write, resting, way):
    found = Synapses(width)
    written = np.clip(found.unclipped()[write], -BOUND, BOUND)
    if not resting:
        written = np.where(found.sent[: len(written), None] == 0, found.plastic, written)
    function = COMPILED[write] if way == "compiled" else write
    ours = found.plastic.copy()
    function(found.network, ours, found.activity, found.sent, found.sums, BOUND, resting)
    np.testing.assert_array_equal(ours, written)
    np.testing.assert_array_equal(found.activity.drive, sent_under(found, written))
    assert (np.abs(ours) == BOUND).any() and np.isnan(ours[1, :4]).all() and np.isfinite(ours[2:]).all()


@pytest.mark.parametrize("way", ["compiled", "plain"])
@pytest.mark.parametrize("mixing", [MIXING, np.float32(0.0)])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_trace_follows_and_weights_go_along_it_bit_for_bit(width, mixing, way):
    found, (sends, share) = Synapses(width), np.random.default_rng(1).normal(size=(2, width)).astype(np.float32)
    followed = (np.float32(1.0) - mixing) * found.trace + (mixing * found.sent[: width - 3, None]) * sends
    written = np.clip(found.plastic + share * followed, -BOUND, BOUND)
    function = compiled_traced if way == "compiled" else write_traced
    ours, trace = found.plastic.copy(), found.trace.copy()
    function(found.network, ours, found.activity, trace, found.sent, sends, mixing, share, BOUND)
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


def test_weights_and_traces_that_fade_are_0_before_they_are_subnormal():
    driven = Driven("fan_out", 4, u=1.0, trace_tau_ms=40.0)
    driven.step([1, 1, 1, 1], [1, 1, 1, 1])
    smallest = []
    for _ in range(300):
        driven.step(np.zeros(4), np.zeros(4), 1e-3)
        trace = driven.state.trace[:, :4]
        smallest.append(trace[trace != 0].min() if trace.any() else 0.0)
    assert smallest[-1] == 0.0 and smallest[0] > 0.1
    assert min(size for size in smallest if size) > np.finfo(np.float32).tiny
