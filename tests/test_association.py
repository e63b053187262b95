"""One-shot association and reversal: what is drawn, shown, told and scored, and whole lives by the equations."""

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
from evoplastic.tasks.association_settings import AssociationSettings
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
    outcome,
    reads,
    steps_per_trial,
)

STIMULI, FEEDBACK, CODES = 1, 3, 6  # streams of a lifetime
NETWORK = LeakySettings(
    units=10,
    tau_ms=20.0,
    dt_ms=20.0,
    initial_potential=0.0,
    roles=RoleSettings(stimulus=4, feedback=2, bias=1, echo=0, modulator=0, response=2),
)
HIDDEN, RESPONSE = 7, 8
SMALL = AssociationSettings(bits=4, cues=3, asked=5, steps=3, reversals=1)


@pytest.fixture(autouse=True)
def philox_may_wrap_around():
    with np.errstate(over="ignore"):
        yield


def built(**changes):
    settings = msgspec.structs.replace(SMALL, **changes)
    return settings.resolve().build(settings.names, NETWORK.places(), NETWORK.dt_ms)


def trials_of(task, count, key=7):
    """Return copies of the states of the first trials of a life."""
    state, states = idle(task), []
    for trial in range(count):
        state = begin_trial(task, state, np.uint64(key), trial, np.zeros((trial + 1, 3), np.float32))
        states.append(state._replace(**{name: getattr(state, name).copy() for name in state._fields[:4]}))
    return states


def shuffled(n, key, stream, address):
    """Return n things in the order that draws from `address` on make: each new one takes the place of an earlier."""
    items = []
    for new in range(n):
        items.append(new)
        other = naive.philox(key, stream, address + new)[0] * (new + 1) >> 32
        items[new], items[other] = items[other], new
    return items


def drawn(trial, key=7):
    """Return cues as lists of +1 and -1, their answers, and the cue of each presentation, in a life with a reversal."""
    address, numbers = (trial - trial % 2) * 2**32, []
    while len(numbers) < 3:
        number = naive.philox(key, CODES, address)[0] * 16 >> 32
        numbers += [number] if number not in numbers else []
        address += 1
    answers = [place % 2 for place in shuffled(3, key, CODES, address)]
    if trial % 2:
        answers = [1 - answer for answer in answers]
    cues = [[1.0 if number >> bit & 1 else -1.0 for bit in range(4)] for number in numbers]
    address = trial * 2**32
    asked = [naive.philox(key, STIMULI, address + 3 + i)[0] * 3 >> 32 for i in range(5)]
    return cues, answers, shuffled(3, key, STIMULI, address) + asked


def test_cues_answers_and_presentations_stand_at_their_addresses():
    for trial, state in enumerate(trials_of(built(), 6)):
        cues, answers, shown = drawn(trial)
        bits = [[1.0 if number >> bit & 1 else -1.0 for bit in range(4)] for number in state.cues]
        assert (bits, state.answers.tolist(), state.shown.tolist()) == (cues, answers, shown)


def test_cues_differ_and_answers_are_balanced():
    task = built(bits=2, cues=4, reversals=0)
    for state in trials_of(task, 30):
        assert sorted(state.cues) == [0, 1, 2, 3] and sorted(state.answers) == [0, 0, 1, 1]


def test_a_reversal_turns_every_answer_and_keeps_the_cues():
    first, second, third = trials_of(built(reversals=2), 3)
    assert (first.cues == second.cues).all() and (second.cues == third.cues).all()
    assert (first.answers + second.answers == 1).all() and (first.answers == third.answers).all()


def test_a_new_task_has_new_cues():
    states = trials_of(built(), 40)[::2]
    assert len({tuple(state.cues) for state in states}) > 15


def test_every_cue_is_told_once_and_any_may_be_asked():
    states = trials_of(built(), 40)
    assert all(sorted(state.shown[:3]) == [0, 1, 2] for state in states)
    counts = np.bincount(np.concatenate([state.shown[3:] for state in states]), minlength=3)
    assert np.abs(counts - 200 / 3).max() < 4 * np.sqrt(200 * 2 / 9)


def test_answers_are_told_in_the_study_and_cues_are_shown_throughout():
    levels = msgspec.structs.replace(SMALL.levels, stimulus=0.8, feedback=2.0, bias=0.6)
    task = built(levels=levels)
    cues, answers, shown = drawn(0)
    found = np.full((steps_per_trial(task), 10), 0.25, np.float32)
    (state,) = trials_of(task, 1)
    for step in range(len(found)):
        clamp(task, state, step, found[step])
    expected = np.full((24, 10), 0.25)
    for presentation, cue in enumerate(shown):
        steps = slice(3 * presentation, 3 * presentation + 3)
        expected[steps, :4] = 0.8 * np.array(cues[cue])
        expected[steps, 4:6] = 2.0 * np.eye(2)[answers[cue]] if presentation < 3 else 0.0
    expected[:, 6] = 0.6
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_what_is_asked_is_read_at_the_last_step_of_a_presentation():
    task = built()
    assert [step for step in range(24) if reads(task, step)] == [11, 14, 17, 20, 23]
    assert feedback_step(task) == 9


def test_the_score_is_the_mean_over_what_is_asked():
    task, (_, answers, shown) = built(), drawn(0)
    (state,) = trials_of(task, 1)
    rates = np.zeros(10, np.float32)
    rates[RESPONSE : RESPONSE + 2] = 0.3, 0.8  # always answers 1
    for presentation in range(3, 8):
        state = collect(task, state, 3 * presentation + 2, rates)
    score = np.full(3, np.nan, np.float32)
    end_trial(task, state, score)
    asked = [answers[cue] for cue in shown[3:]]
    losses = [(0.8 - 0.9) ** 2 + (0.3 - 0.1) ** 2 if one else (0.3 - 0.9) ** 2 + (0.8 - 0.1) ** 2 for one in asked]
    assert score[CORRECT] == pytest.approx(np.mean(asked), rel=1e-6) and 0 < np.mean(asked) < 1
    assert score[LOSS] == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_network_that_does_not_decide_is_at_chance():
    task = built()
    (state,) = trials_of(task, 1)
    rates = np.full(10, 0.5, np.float32)
    for presentation in range(3, 8):
        state = collect(task, state, 3 * presentation + 2, rates)
    assert state.correct == pytest.approx(SMALL.scale.chance)


def test_shuffled_feedback_tells_a_coin_and_asks_as_before():
    whole, lesioned = (trials_of(task, 60) for task in (built(), built()._replace(shuffled=np.int64(1))))
    told = np.concatenate([state.told for state in lesioned])
    expected = [naive.philox(7, FEEDBACK, trial * 2**32 + i)[0] * 2 >> 32 for trial in range(60) for i in range(3)]
    assert told.tolist() == expected
    assert all((one.answers == other.answers).all() for one, other in zip(whole, lesioned))


def test_a_third_factor_is_told_nothing():
    task = built()
    assert outcome(task, trials_of(task, 1)[0]) == Outcome(0.0, 0)


@pytest.mark.parametrize(("newborn", "ages"), [(True, [0, 1, 0, 1]), (False, [0, 1, 2, 3])])
def test_reversals_meet_the_weights_that_the_first_answers_made(newborn, ages):
    task = built(newborn_tasks=newborn)
    assert [age_at(task, trial) for trial in range(4)] == ages


# ---- whole lives


def lived(task, innate, gain, eta, trials):
    modulation = read_config("association").problem.modulation
    rule = RULES["clipped_hebb"](eta=eta, bound=100.0).build(Around(20.0, trials, 10, modulation.channels), {})
    network = NETWORK.build(innate, gain)
    scores, plastic = np.zeros((trials, 3), np.float32), np.zeros_like(network.innate)
    live(network, rule, modulation.build(NETWORK.places()), task, np.uint64(7), plastic, scores)
    return scores


def by_the_equations(innate, gain, eta, trials):
    """Return loss and correct of every trial: y = tanh(W' y) or the sigmoid, clamped, then P += eta x y [pre, post]."""
    scores = []
    for trial in range(trials):
        cues, answers, shown = drawn(trial)
        if trial % 2 == 0:
            y, plastic = np.zeros(10), np.zeros((10, 10))
        losses, rights = [], []
        for presentation, cue in enumerate(shown):
            for _ in range(3):
                before = y
                drive = [sum(before * (innate[:, j] + gain[:, j] * plastic[:, j])) for j in range(10)]
                y = np.array([np.tanh(x) if j < RESPONSE else 1 / (1 + np.exp(-x)) for j, x in enumerate(drive)])
                y[:4], y[4:6], y[6] = cues[cue], 0.0, 1.0
                if presentation < 3:
                    y[4 + answers[cue]] = 1.0
                plastic = plastic + eta * np.outer(before, y)
            if presentation >= 3:
                right, wrong = y[RESPONSE + answers[cue]], y[RESPONSE + 1 - answers[cue]]
                losses.append((right - 0.9) ** 2 + (wrong - 0.1) ** 2)
                rights.append(right > wrong)
        scores.append((np.mean(losses), np.mean(rights)))
    return np.array(scores)


def test_a_life_with_reversals_is_as_the_equations_say():
    rng = np.random.default_rng(5)
    innate, gain = rng.normal(0.0, 0.5, (10, 10)), rng.normal(0.0, 0.3, (10, 10))
    scores, expected = lived(built(), innate, gain, 0.05, 4), by_the_equations(innate, gain, 0.05, 4)
    np.testing.assert_allclose(scores[:, LOSS], expected[:, 0], rtol=1e-3)
    np.testing.assert_allclose(scores[:, CORRECT], expected[:, 1], rtol=1e-5)
    assert scores[:, LOSS].std() > 0.01


def by_hand(gain):
    """Return weights and gains of a network with one unit that remembers, whose asked answer has the gain's sign."""
    innate, gains = np.zeros((10, 10)), np.zeros((10, 10))
    innate[4:6, HIDDEN] = -10.0, 10.0  # told 0 or 1, it is -1 or +1
    gains[:4, HIDDEN] = gain
    innate[HIDDEN, RESPONSE : RESPONSE + 2] = np.array([-30.0, 30.0]) * np.sign(gain)
    return innate, gains


def test_negative_gains_reverse_and_positive_ones_hold_on_to_what_they_learned_first():
    task = built(cues=2, asked=8)
    negative, positive = (
        lived(task, *by_hand(gain), 0.02, 400)[:, CORRECT].reshape(-1, 2).mean(0) for gain in (-1.5, 1.5)
    )
    assert min(negative) > 0.85
    assert positive[0] > 0.9 and positive[1] < 0.2


# ---- what the family answers


def test_the_family_is_one_task_that_is_never_withheld():
    for reversals, name in ((0, "association"), (1, "reversal")):
        settings = msgspec.structs.replace(SMALL, reversals=reversals)
        assert settings.names == (name,) == tuple(settings.training()) == tuple(settings.eligible(3))
        assert settings.trials == 1 + reversals
        assert (settings.withheld, settings.pairs(settings.names), settings.folds()) == ((), [], {})


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("problem.task.bits=1\nproblem.task.cues=3", "must be at most the 2 different ones of 1 bits, got 3"),
        ("problem.task.bits=9", "needs at least 9 stimulus units, got 8; set problem.network.roles.stimulus = 9"),
        ("problem.network.roles.feedback=1", "needs at least 2 feedback units, got 1"),
        ("problem.network.roles.response=1", "needs at least 2 response units, got 1"),
        ("problem.task.steps=1", "problem.task.steps"),
        ("problem.task.cues=1", "problem.task.cues"),
        ("problem.scored_trials=2", "must be at most the 1 trials"),
    ],
)
def test_a_bad_value_is_told_in_one_sentence(override, words):
    with pytest.raises(UserError) as told:
        read_config("association", override.split("\n"))
    assert words in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["association", "association-reversal"])
def test_the_arm_without_negative_gains_differs_in_nothing_else(name):
    free, arm = (read_config(preset).problem for preset in (name, f"{name}-no-negative-gains"))
    floored = msgspec.structs.replace(free.genome.gain, floor=0.0)
    assert arm == msgspec.structs.replace(free, genome=msgspec.structs.replace(free.genome, gain=floored))
