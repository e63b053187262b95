"""Pattern completion: what is drawn, what is held when, what is scored, and whole episodes by the equations."""

import msgspec
import naive
import numpy as np
import pytest

from evoplastic.config import read_config
from evoplastic.errors import UserError
from evoplastic.modulation.contract import Outcome
from evoplastic.networks.leaky import LeakySettings
from evoplastic.networks.roles import RoleSettings
from evoplastic.rollout import live
from evoplastic.rules import RULES
from evoplastic.rules.contract import Around
from evoplastic.tasks.contract import (
    CORRECT,
    LOSS,
    age_at,
    begin_trial,
    clamp,
    collect,
    end_trial,
    feedback_step,
    idle,
    kinds,
    outcome,
    reads,
    steps_per_trial,
)
from evoplastic.tasks.pattern_settings import PatternSettings

CODES, STIMULI = 6, 1  # streams of a lifetime
NETWORK = LeakySettings(
    units=12,
    tau_ms=20.0,
    dt_ms=20.0,
    initial_potential=0.0,
    roles=RoleSettings(stimulus=1, feedback=0, bias=1, echo=0, modulator=0, response=0),
)
FIRST = 2  # the unit of the first bit; there are 8 bits, and two more hidden units
SMALL = PatternSettings(bits=8, patterns=3, cycles=2, shown_steps=3, blank_steps=2, test_steps=4)
STUDY = 3 * 2 * (3 + 2)


@pytest.fixture(autouse=True)
def philox_may_wrap_around():
    with np.errstate(over="ignore"):
        yield


def built(**changes):
    settings = msgspec.structs.replace(SMALL, **changes)
    return settings.resolve().build(settings.names, NETWORK.places(), NETWORK.dt_ms)


def trial_of(task, trial=0, key=7):
    return begin_trial(task, idle(task), np.uint64(key), trial, np.zeros((trial + 1, 3), np.float32))


def shuffled(n, key, stream, address):
    """Return n things in the order that draws from `address` on make: each new one takes the place of an earlier."""
    items = []
    for new in range(n):
        items.append(new)
        other = naive.philox(key, stream, address + new)[0] * (new + 1) >> 32
        items[new], items[other] = items[other], new
    return items


def drawn(trial, key=7):
    """Return a trial's patterns, their order by cycle, the bits in the order of erasure, and the one that is asked."""
    address, patterns = trial * 2**32, []
    for number in range(3):
        order = shuffled(8, key, CODES, address + 8 * number)
        patterns.append([1.0 if order.index(bit) < 4 else -1.0 for bit in range(8)])
    erased = shuffled(8, key, CODES, address + 24)
    orders = [shuffled(3, key, STIMULI, address + 3 * cycle) for cycle in range(2)]
    asked = naive.philox(key, STIMULI, address + 6)[0] * 3 >> 32
    return np.array(patterns), orders, erased, asked


def test_patterns_order_and_erasure_stand_at_their_addresses():
    for trial in range(5):
        state, (patterns, orders, erased, asked) = trial_of(built(), trial), drawn(trial)
        np.testing.assert_array_equal(state.patterns, patterns)
        np.testing.assert_array_equal(state.order, orders)
        np.testing.assert_array_equal(state.bits, erased)
        assert state.asked == asked


def test_half_of_every_pattern_is_plus_one():
    for trial in range(20):
        patterns = trial_of(built(), trial).patterns
        assert set(patterns.ravel()) == {-1.0, 1.0} and not patterns.sum(1).any()


def test_every_pattern_is_shown_once_a_cycle_and_any_may_be_asked():
    states = [trial_of(built(), trial) for trial in range(60)]
    assert all(sorted(cycle) == [0, 1, 2] for state in states for cycle in state.order.tolist())
    assert {state.asked for state in states} == {0, 1, 2}
    assert len({tuple(cycle) for state in states for cycle in state.order.tolist()}) == 6


def test_every_bit_is_erased_as_often_as_any_other():
    erased = np.concatenate([trial_of(built(), trial).bits.copy()[:4] for trial in range(400)])
    counts = np.bincount(erased, minlength=8)
    assert np.abs(counts - 200).max() < 4 * np.sqrt(400 * 0.25)


def test_a_pattern_is_held_while_it_is_shown_and_the_rest_runs_free():
    task = built(levels=msgspec.structs.replace(SMALL.levels, stimulus=0.8, bias=0.6))
    patterns, orders, erased, asked = drawn(0)
    expected = np.full((steps_per_trial(task), 12), 0.25)
    expected[:, 0], expected[:, 1] = 0.0, 0.6  # an unused stimulus unit, bias
    for number, pattern in enumerate([*orders[0], *orders[1]]):
        expected[5 * number : 5 * number + 3, FIRST : FIRST + 8] = 0.8 * patterns[pattern]
    for bit in erased[4:]:
        expected[STUDY:, FIRST + bit] = 0.8 * patterns[asked, bit]
    state, found = trial_of(task), np.full(expected.shape, 0.25, np.float32)
    for step in range(len(found)):
        clamp(task, state, step, found[step])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def answered(task, rates):
    """Return the scores of a trial in which the network has `rates` (8,) at its end."""
    state, score = trial_of(task), np.full(3, np.nan, np.float32)
    all_rates = np.full(12, 0.7, np.float32)
    all_rates[FIRST : FIRST + 8] = rates
    end_trial(task, collect(task, state, steps_per_trial(task) - 1, all_rates), score)
    return score


def test_only_erased_bits_are_scored():
    patterns, _, erased, asked = drawn(0)
    target = patterns[asked]
    rates = 0.4 * target
    rates[erased[4:]] *= -1  # the shown half all wrong
    rates[erased[0]] *= -1  # and one erased bit
    score = answered(built(), rates)
    assert score[CORRECT] == 0.75
    assert score[LOSS] == pytest.approx((3 * 0.6**2 + 1.4**2) / 4, rel=1e-6)


def test_a_silent_network_is_at_chance():
    score = answered(built(), np.zeros(8))
    assert (score[CORRECT], score[LOSS]) == (SMALL.scale.chance, 1.0)


@pytest.mark.parametrize(("share", "count"), [(0.25, 2), (0.5, 4), (1.0, 8)])
def test_as_many_bits_are_erased_as_the_share_says(share, count):
    task = built(erased=share)
    rates = np.full(12, 0.25, np.float32)
    clamp(task, trial_of(task), STUDY, rates)
    assert (rates[FIRST : FIRST + 8] == 0.25).sum() == count


def test_it_is_read_at_the_last_step_and_feedback_begins_with_the_test():
    task = built()
    assert steps_per_trial(task) == STUDY + 4 and feedback_step(task) == STUDY and kinds(task) == 1
    assert [step for step in range(STUDY + 4) if reads(task, step)] == [STUDY + 3]


def test_a_third_factor_is_told_nothing():
    assert outcome(built(), trial_of(built())) == Outcome(0.0, 0)


@pytest.mark.parametrize(("newborn", "ages"), [(True, [0, 1, 0, 1]), (False, [0, 1, 2, 3])])
def test_a_task_starts_from_newborn_weights_if_it_says_so(newborn, ages):
    task = built(episodes=2, newborn_tasks=newborn)
    assert [age_at(task, trial) for trial in range(4)] == ages


# ---- whole episodes


def by_the_equations(innate, gain, eta, trials, key=7):
    """Return loss and correct of every trial: y = tanh(W' y), clamped, then P += eta y (x - y P), all [pre, post]."""
    scores = []
    y, plastic = np.zeros(12), np.zeros((12, 12))
    for trial in range(trials):
        patterns, orders, erased, asked = drawn(trial, key)
        for step in range(STUDY + 4):
            before = y
            y = np.array([np.tanh(sum(before * (innate[:, j] + gain[:, j] * plastic[:, j]))) for j in range(12)])
            y[0], y[1] = 0.0, 1.0
            if step < STUDY:
                number, within = divmod(step, 5)
                if within < 3:
                    y[FIRST : FIRST + 8] = patterns[[*orders[0], *orders[1]][number]]
            else:
                for bit in erased[4:]:
                    y[FIRST + bit] = patterns[asked, bit]
            for j in range(12):
                plastic[:, j] += eta * y[j] * (before - y[j] * plastic[:, j])
        off = [y[FIRST + bit] - patterns[asked, bit] for bit in erased[:4]]
        right = [y[FIRST + bit] * patterns[asked, bit] > 0 for bit in erased[:4]]
        scores.append((np.mean(np.square(off)), np.mean(right)))
    return np.array(scores)


def lived(task, innate, gain, eta, trials):
    modulation = read_config("pattern-completion").problem.modulation
    rule = RULES["oja"](eta=eta).build(Around(NETWORK.dt_ms, trials, 12, modulation.channels), {})
    network = NETWORK.build(innate, gain)
    scores, plastic = np.zeros((trials, 3), np.float32), np.zeros_like(network.innate)
    live(network, rule, modulation.build(NETWORK.places()), task, np.uint64(7), plastic, scores)
    return scores


def test_a_life_of_several_episodes_is_as_the_equations_say():
    rng = np.random.default_rng(3)
    innate, gain = rng.normal(0.0, 0.3, (12, 12)), rng.normal(0.1, 0.1, (12, 12))
    scores = lived(built(episodes=4), innate, gain, 0.1, 4)
    expected = by_the_equations(innate, gain, 0.1, 4)
    np.testing.assert_allclose(scores[:, LOSS], expected[:, 0], rtol=1e-3)
    np.testing.assert_allclose(scores[:, CORRECT], expected[:, 1], rtol=1e-6)
    assert scores[:, LOSS].std() > 0.01


@pytest.mark.parametrize(("gain", "low", "high"), [(0.3, 0.8, 1.0), (0.0, 0.5, 0.5), (-0.3, 0.0, 0.4)])
def test_a_rule_that_remembers_completes_and_no_gain_is_chance(gain, low, high):
    task = built(patterns=1, episodes=1)
    scores = lived(task, np.zeros((12, 12)), np.full((12, 12), gain), 0.1, 50)
    assert low <= scores[:, CORRECT].mean() <= high


# ---- what the family answers


def test_the_family_is_one_task_that_is_never_withheld():
    settings = read_config("pattern-completion").problem.task
    assert settings.names == ("completion",) == tuple(settings.training()) == tuple(settings.eligible(3))
    assert (settings.withheld, settings.pairs(settings.names), settings.folds()) == ((), [], {})
    assert settings.withholding() == "nothing withheld" and settings.told == "nothing"


def test_what_activity_alone_can_keep_is_told():
    assert PatternSettings(patterns=5).references == {"the last pattern kept in mind": {"completion": 0.6}}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("problem.task.bits=199", "must be even, since half of a pattern's bits are +1, got 199"),
        ("problem.task.bits=202", "needs a hidden unit for each of 202 bits, got 200"),
        ("problem.task.erased=0.001", "must be at least one of 200 bits, got a share of 0.001"),
        ("problem.task.erased=0.0", "problem.task.erased"),
        ("problem.task.patterns=0", "problem.task.patterns"),
        ("problem.scored_trials=2", "must be at most the 1 trials"),
    ],
)
def test_a_bad_value_is_told_in_one_sentence(override, words):
    with pytest.raises(UserError) as told:
        read_config("pattern-completion", [override])
    assert words in str(told.value) and "\n" not in str(told.value)


def test_the_arm_without_gain_differs_in_nothing_else():
    whole, arm = (read_config(name).problem for name in ("pattern-completion", "pattern-completion-fixed-weights"))
    frozen = msgspec.structs.replace(whole.genome.gain, evolve=False, initial=0.0)
    assert arm == msgspec.structs.replace(whole, genome=msgspec.structs.replace(whole.genome, gain=frozen))
