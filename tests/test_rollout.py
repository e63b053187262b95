"""Whole lifetimes against the oracle, and what must hold at every step of one."""

import naive
import numpy as np
import pytest
from conftest import lived, replace, same_life, small_life, structs

from evoplastic.modulation.contract import every_step, memory, modulate
from evoplastic.networks.contract import activate, express, rest
from evoplastic.rollout import live_plainly
from evoplastic.rules.contract import accumulate, begin_exploring, consolidate, continual, explore, newborn
from evoplastic.tasks.contract import (
    begin_trial,
    clamp,
    collect,
    feedback_step,
    idle,
    kinds,
    outcome,
    reads,
    steps_per_trial,
)
from evoplastic.vectors import send

# Modulations other than by loss write at full strength, so they learn enough at a smaller rate.
LIVES = {
    "loss per type": {},
    "loss": {"modulation": "loss"},
    "network": {"modulation": "network", "eta": 0.05},
    "none": {"modulation": "none", "eta": 0.05},
    "reward": {"modulation": "reward", "eta": 0.05},
    "reward per type": {"modulation": "reward per type", "eta": 0.05},
    "hebbian": {"rule": "hebbian", "modulation": "reward", "eta": 0.2},
    "hebbian, two factors": {"rule": "hebbian", "modulation": "none", "eta": 0.1, "bound": 0.1},
    "hebbian, network": {"rule": "hebbian", "modulation": "network", "eta": 0.02, "bound": 0.5},
    "binary feedback": {"binary": True},
    "one stimulus": {"tables": ["01"]},
    "three stimuli": {"tables": ["01101001"]},
    "four stimuli": {"tables": ["0110100110010110"], "modulation": "loss"},
    "no pause": {"pause": 0.0},
    "no gap, no rest": {"gap": 0.0, "rest": 0.0},
    "every unit perturbed": {"probability": 1.0, "amplitude": 0.1},
    "perturbed from the first step": {"unperturbed": 0.0},
    "short trace": {"trace_tau": 30.0, "modulation": "network", "eta": 0.5},
    "two tasks, one mind": {"tables": ["0110", "0001"], "trials": 6, "modulation": "loss"},
    "two tasks, newborn between": {
        "tables": ["0110", "0001"],
        "trials": 8,
        "newborn_blocks": True,
        "modulation": "loss",
    },
    "shuffled feedback": {"shuffled": True},
    "a single response": {"single": True},
    "noisy stimuli": {"stimulus_noise": 0.7},
    "shuffled binary feedback": {"shuffled": True, "binary": True},
    "activity at rest before each trial": {"reset_activity": True},
}


@pytest.mark.parametrize("name", LIVES)
def test_lifetime_matches_the_oracle(name):
    life = small_life(**LIVES[name])
    ours = lived(life)
    assert np.abs(ours.plastic).max() > 0.01, "the life must learn, or it tests nothing"
    same_life(ours, naive.Lifetime(life).run())


@pytest.mark.parametrize("seed", range(1, 6))
def test_lifetime_of_another_network_matches_the_oracle(seed):
    life = small_life(seed, units=12 + seed, key=1000 + seed)
    same_life(lived(life), naive.Lifetime(life).run())


class WrongSign(naive.Lifetime):
    def third_factor(self, loss, kind):
        return -super().third_factor(loss, kind)


class NoClip(naive.Lifetime):
    def clipped(self, change):
        return change


class LateBaseline(naive.Lifetime):
    def third_factor(self, loss, kind):
        super().third_factor(loss, kind)
        return -self.baselines[kind] * (loss - self.baselines[kind])


class OneBaseline(naive.Lifetime):
    def third_factor(self, loss, kind):
        return super().third_factor(loss, 0)


class DecayBeforeAccumulation(naive.Lifetime):
    def traced(self, E, xi, y_before, y):
        return (1 - self.life.dt / self.life.trace_tau) * E + np.outer(xi, y_before)


class TraceOfPresentRates(naive.Lifetime):
    def traced(self, E, xi, y_before, y):
        return super().traced(E, xi, y, y)


class TransposedTrace(naive.Lifetime):
    def traced(self, E, xi, y_before, y):
        return super().traced(E, y_before, xi, y)


class NeverQuiet(naive.Lifetime):
    def noise(self, trial, age):
        return super().noise(trial, 0)


class NoiseThatStays(naive.Lifetime):
    def noise(self, trial, age):
        noise = super().noise(trial, age)
        if trial > 0:
            noise[0] += super().noise(trial - 1, age - 1)[-1]
        return noise


class HebbianTraceOfPresentRates(naive.Lifetime):
    def traced(self, E, xi, y_before, y):
        return super().traced(E, xi, y, y)


class HebbianTraceTransposed(naive.Lifetime):
    def traced(self, E, xi, y_before, y):
        return super().traced(E, xi, y, y_before)


class HebbianTraceThatOnlySums(naive.Lifetime):
    def traced(self, E, xi, y_before, y):
        return super().traced(E, xi, y_before, y) + self.life.dt / self.life.trace_tau * E


class Boundless(naive.Lifetime):
    def bounded(self, weights):
        return weights


class FeedbackOffByAThousandth(naive.Lifetime):
    def fed_back(self, trial, own):
        return super().fed_back(trial, own) + 1e-3


@pytest.mark.parametrize(
    "fault",
    [
        *(WrongSign, NoClip, LateBaseline, OneBaseline, DecayBeforeAccumulation, TraceOfPresentRates, TransposedTrace),
        *(NeverQuiet, NoiseThatStays, FeedbackOffByAThousandth),
    ],
)
def test_a_planted_fault_shows_in_the_losses_alone(fault):
    life = small_life()
    ours, faulty = lived(life), fault(life).run()
    faulty.plastic, faulty.correct = ours.plastic, ours.correct
    with pytest.raises(AssertionError, match="loss"):
        same_life(ours, faulty)


@pytest.mark.parametrize(
    "fault", [HebbianTraceOfPresentRates, HebbianTraceTransposed, HebbianTraceThatOnlySums, Boundless]
)
def test_a_planted_fault_of_the_hebbian_rule_shows_in_the_losses_alone(fault):
    life = small_life(**LIVES["hebbian, two factors"])
    ours, faulty = lived(life), fault(life).run()
    faulty.plastic, faulty.correct = ours.plastic, ours.correct
    with pytest.raises(AssertionError, match="loss"):
        same_life(ours, faulty)


def test_a_wrong_cost_of_modulation_shows():
    life = small_life(**LIVES["network"])
    with pytest.raises(AssertionError, match="cost"):
        same_life(lived(life), naive.Lifetime(replace(life, smoothness=0.271)).run())


def test_plain_python_lives_the_same_life():
    life = small_life()
    same_life(lived(life, live_plainly), lived(life))


def test_a_trial_does_not_depend_on_the_trials_after_it():
    life = structs(small_life())
    short = lived(life._replace(trials=5))
    np.testing.assert_array_equal(short.loss, lived(life).loss[:5])


def test_a_life_leaves_nothing_to_the_next():
    life = structs(small_life())
    first = lived(life)
    lived(structs(small_life(1)))
    np.testing.assert_array_equal(lived(life).loss, first.loss)


def test_arguments_other_than_the_results_are_left_alone():
    life = structs(small_life())
    before = [array.copy() for array in (life.network.innate, life.network.gain, life.network.start, life.task.tables)]
    lived(life)
    for array, copy in zip((life.network.innate, life.network.gain, life.network.start, life.task.tables), before):
        np.testing.assert_array_equal(array, copy)


def test_padding_changes_no_bit():
    narrow = structs(small_life(units=16))
    network = narrow.network
    wide = ((0, 0), (0, 24))
    padded = network._replace(
        innate=np.pad(network.innate, wide),
        gain=np.pad(network.gain, wide),
        start=np.pad(network.start, wide[1]),
        curve=np.pad(network.curve, wide),
    )
    ours, theirs = lived(narrow), lived(narrow._replace(network=padded))
    np.testing.assert_array_equal(ours.loss, theirs.loss)
    np.testing.assert_array_equal(ours.plastic, theirs.plastic)


def test_nothing_is_carried_into_a_newborn_block():
    # Without stimuli and perturbations all blocks are alike, so only what is carried over could tell them apart.
    life = small_life(tables=["0000", "0000"], trials=5, stimulus_level=0.0, amplitude=0.0)
    carried, newborn = lived(life).loss, lived(replace(life, newborn_blocks=True)).loss
    assert (carried[:5] != carried[5:]).any()
    np.testing.assert_array_equal(newborn[:5], newborn[5:])


def test_zero_strength_cuts_the_modulation():
    life = structs(small_life())
    assert not lived(life._replace(modulation=life.modulation._replace(strength=np.float32(0.0)))).plastic.any()


def test_zero_gain_hides_what_was_written():
    life = small_life()
    silent = lived(replace(life, gain=np.zeros_like(life.gain)))
    unwritten = lived(replace(life, eta=0.0))
    assert silent.plastic.any() and not unwritten.plastic.any()
    np.testing.assert_array_equal(silent.loss, unwritten.loss)


def test_activity_that_is_not_finite_ends_the_life():
    life = structs(small_life(rule="hebbian", modulation="none", eta=3e38, bound=3e38))
    ours = lived(life)
    end = int(np.isnan(ours.loss).argmax())
    assert end == 2, "the first two trials write nothing"
    assert all(np.isnan(left[end:]).all() for left in (ours.loss, ours.correct, ours.cost))
    np.testing.assert_array_equal(ours.loss[:end], lived(life._replace(trials=end)).loss)


def states(life):
    """Yield (step of life, name, array) for every state after every step, by the loop of `live` in plain Python."""
    network, rule, modulation, task, key, trials = structs(life)
    steps = steps_per_trial(task)
    activity, traces, remembered = rest(network), newborn(rule, network, steps), memory(modulation, kinds(task))
    plastic, weights = np.zeros_like(network.innate), network.innate.copy()
    modulators, scores = np.zeros(1, np.float32), np.zeros((trials, 3), np.float32)
    at = 0
    for trial in range(trials):
        state = begin_trial(task, idle(task), key, trial, scores)
        begin_exploring(rule, traces, key, trial, trial, steps)
        for step in range(steps):
            explore(rule, traces, step, activity)
            send(weights, activity.rates, activity.drive)
            activity.before[:] = activity.rates
            activate(network, activity)
            clamp(task, state, step, activity.rates)
            accumulate(rule, traces, step, activity)
            if reads(task, step):
                state = collect(task, state, step, activity.rates)
            fed = step == feedback_step(task)
            if fed or every_step(modulation) or continual(rule):
                modulate(modulation, remembered, outcome(task, state), fed, activity.rates, modulators)
                consolidate(rule, traces, trial, network, activity, plastic, modulators)
                express(network, plastic, weights)
            at += 1
            for name in ("potential", "rates", "before", "noise", "drive"):
                yield at, name, getattr(activity, name)
            yield at, "trace", traces.trace
            yield at, "scale", getattr(traces, "scale", traces.trace)
            yield at, "memory", remembered
            yield at, "plastic", plastic
            yield at, "weights", weights


def fading(unconnected):
    """Return a life of two trials; after the second, which is quiet, the network falls silent for 300 steps."""
    life = small_life(trials=2, rest=6000.0, trace_tau=60.0, quiet=1, burn_in=0, modulation="network")
    rng = np.random.default_rng(3)
    silent = rng.permutation(len(life.innate))[: round(unconnected * len(life.innate))]
    weights = 0.3 * life.innate
    weights[silent, :] = weights[:, silent] = 0.0
    return replace(life, innate=weights, bias_level=0.0)


@pytest.mark.parametrize("unconnected", [0.0, 0.3])
@pytest.mark.parametrize("rule", ["node perturbation", "hebbian"])
def test_no_state_is_ever_subnormal_while_a_network_fades_out(unconnected, rule):
    smallest = np.finfo(np.float32).smallest_normal
    faded = False
    with np.errstate(over="ignore"):
        for step, name, array in states(replace(fading(unconnected), rule=rule)):
            small = array[(array != 0) & (np.abs(array) < smallest)]
            assert not small.size, f"{name} holds {small[0]} after step {step}"
            faded |= name == "rates" and step > 400 and not array.any()
    assert faded, "the network must fall silent, or it tests nothing"
