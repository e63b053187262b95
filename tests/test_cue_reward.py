"""Cue-reward association: what a trial shows and asks, what is fed back, the ideal observer, and that it is learned."""

import itertools

import naive
import numpy as np
import pytest

from evoplastic.config import read_config
from evoplastic.errors import UserError
from evoplastic.networks.roles import RoleSettings, place
from evoplastic.problems.contract import METRIC
from evoplastic.random import Purpose
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
    resets_activity,
    steps_per_trial,
)
from evoplastic.tasks.cue_reward_settings import CueRewardSettings, observed
from evoplastic.tasks.family import LevelSettings

CODES = 6  # stream of a lifetime
ROLES = RoleSettings(stimulus=22, feedback=2, bias=1, echo=2, modulator=0, response=2)
UNITS = 30
FEEDBACK, BIAS, ECHO, RESPONSE = (
    slice(22, 24),
    24,
    slice(25, 27),
    28,
)  # units of ROLES; the bits are 0 to 19, the go cue is 20


@pytest.fixture(autouse=True)
def philox_may_wrap_around():
    with np.errstate(over="ignore"):
        yield


def built(**changes):
    return CueRewardSettings(**changes).resolve(1).build(["cue-reward"], place(ROLES, UNITS), 20.0)


def begun(task, trial, key=7, scores=None):
    scores = np.zeros((trial + 1, 3), np.float32) if scores is None else scores
    return begin_trial(task, idle(task), np.uint64(key), trial, scores)


def course(task, state, output):
    """Run one trial with the first response unit at `output`; return its last state and the rates, (steps, N)."""
    clamped = []
    for step in range(steps_per_trial(task)):
        rates = np.full(UNITS, 0.25, np.float32)
        rates[RESPONSE] = output
        clamp(task, state, step, rates)
        if reads(task, step):
            state = collect(task, state, step, rates)
        clamped.append(rates)
    return state, np.array(clamped)


def codes(key, block, cues=4, bits=20):
    """Return the codes of a block's cues as bits of -1 and 1, (cues, bits), lowest bit first."""
    found = []
    for place_ in itertools.count():
        code = naive.philox(key, CODES, (block << 32) + place_)[0] * 2**bits >> 32
        found += [code] if code not in found else []
        if len(found) == cues:
            return np.array([[1 if code >> bit & 1 else -1 for bit in range(bits)] for code in found])


def drawn(key, trial, cues=4, blanks=3):
    """Return a trial's cues in the order in which they are shown, and their slots."""
    words = naive.philox(key, naive.STIMULI, trial)
    pairs = [(early, late) for early in range(cues) for late in range(cues) if late != early]
    shown = 2 + (words[1] * (blanks + 1) >> 32)
    first = words[2] * shown >> 32
    second = [slot for slot in range(shown) if slot != first][words[3] * (shown - 1) >> 32]
    start = 1 + blanks + 2 - shown
    return pairs[words[0] * len(pairs) >> 32], (start + min(first, second), start + max(first, second))


@pytest.mark.parametrize("trial", range(0, 60, 7))
def test_a_trial_shows_two_cues_among_blanks_and_then_the_go_cue(trial):
    task = built()
    cues, slots = drawn(7, trial)
    state, rates = course(task, begun(task, trial), 0.4)
    expected = np.zeros((9, 22))
    for cue, slot in zip(cues, slots):
        expected[slot, :20] = codes(7, trial // 30)[cue]
    expected[6:8, 20] = 1.0
    np.testing.assert_array_equal(rates[:, :22], expected)
    assert (rates[:, BIAS] == 1).all() and (rates[:, 27] == 0.25).all()
    assert (rates[:, RESPONSE] == np.float32(0.4)).all(), "the answering unit is never silenced"
    assert not rates[:, RESPONSE + 1].any()
    assert outcome(task, state).kind < kinds(task) == 12


def test_slots_and_the_go_cue_last_as_long_as_they_should():
    task = built(slot_steps=2, go_steps=3, feedback_steps=4)
    assert (feedback_step(task), steps_per_trial(task)) == (15, 19)
    _, slots = drawn(7, 0)
    _, rates = course(task, begun(task, 0), 0.4)
    assert sorted(set(np.flatnonzero(rates[:, 0]) // 2)) == list(slots) and (rates[:, 0] != 0).sum() == 4
    assert np.flatnonzero(rates[:, 20]).tolist() == [12, 13, 14]
    assert np.flatnonzero(rates[:, ECHO].any(axis=1)).tolist() == [15, 16, 17, 18]


def test_cues_are_preceded_by_a_blank_and_lie_anywhere_before_the_go_cue():
    found = {drawn(7, trial)[1] for trial in range(400)}
    task = built(trials=400)
    ours = {(state.early_slot, state.late_slot) for state in (begun(task, trial) for trial in range(400))}
    assert ours == found == {(a, b) for a in range(1, 6) for b in range(a + 1, 6)}


def test_a_network_without_a_unit_for_it_sees_no_go_cue():
    task = built()
    bare = task._replace(units=task.units._replace(stimulus_end=task.units.stimulus + 20))
    _, rates = course(bare, begun(bare, 0), 0.4)
    assert (rates[:, 20] == 0.25).all() and np.abs(rates[:, :20]).sum() == 40


@pytest.mark.parametrize(("output", "yes"), [(0.6, True), (-0.6, False), (0.0, False)])
def test_yes_is_right_where_the_target_is_shown(output, yes):
    task, seen = built(), set()
    for trial in range(20):
        target = 0 in drawn(7, trial)[0]
        state, rates = course(task, begun(task, trial), output)
        reward = 1.0 if yes == target else -1.0
        fed = np.zeros(9)
        fed[8] = reward
        np.testing.assert_array_equal(rates[:, FEEDBACK], np.stack([fed, fed], 1))
        np.testing.assert_array_equal(rates[:, ECHO], [[0, 0]] * 8 + [[yes, not yes]])
        score = np.full(3, np.nan, np.float32)
        end_trial(task, state, score)
        assert score[CORRECT] == (yes == target)
        assert score[LOSS] == pytest.approx((1 - output) / 2 if target else (1 + output) / 2)
        assert outcome(task, state).loss == 1 - reward
        seen.add(target)
    assert seen == {True, False}


def test_nothing_is_told_before_the_answer():
    task = built()
    assert outcome(task, begun(task, 3)).loss == 1, "no reward, neither good nor bad"


def test_levels_scale_what_is_clamped():
    task = built(levels=LevelSettings(stimulus=2.0, feedback=3.0, echo=4.0, bias=5.0))
    _, rates = course(task, begun(task, 0), 0.5)
    assert set(np.abs(rates[:, :21]).ravel()) == {0.0, 2.0}
    assert abs(rates[8, 22]) == 3 and rates[8, ECHO].tolist() == [4, 0] and (rates[:, BIAS] == 5).all()


def test_shuffled_feedback_is_a_coin_from_the_first_trial_on():
    task, told, true = built(shuffled=True), [], []
    for key in range(200):
        for trial in (0, 1):
            state, _ = course(task, begun(task, trial, key), 0.5)
            told.append(1 - outcome(task, state).loss)
            true.append(1.0 if state.right > 0 else -1.0)
    assert set(told) == {-1.0, 1.0}
    assert abs(np.mean(told)) < 0.2 and abs(np.mean(np.multiply(told, true))) < 0.2  # 4 standard errors of 400 coins


def test_every_task_of_a_life_has_cues_of_its_own():
    task = built(tasks_per_life=2, trials=30)
    first, second = ({begun(task, trial).early for trial in trials} for trials in (range(30), range(30, 60)))
    assert len(first) == len(second) == 4 and not first & second
    assert [age_at(task, trial) for trial in (29, 30)] == [29, 30]
    assert [age_at(built(newborn_tasks=True), trial) for trial in (29, 30)] == [29, 0]


def test_few_bits_still_give_different_cues():
    task = built(bits=2)
    for key in range(20):
        assert {begun(task, trial, key).early for trial in range(30)} == {0, 1, 2, 3}


def test_activity_is_reset_where_the_arm_says_so():
    assert not resets_activity(built(), begun(built(), 1))
    assert resets_activity(built(reset_activity=True), begun(built(), 1))


# ---- the ideal observer


def test_of_four_cues_a_third_of_the_doubt_is_left_by_each_trial():
    np.testing.assert_allclose(observed(4, 8), [0.5, *(1 - 3.0 ** -np.arange(1.0, 8.0))], rtol=1e-12)


@pytest.mark.parametrize("cues", [3, 5, 7])
def test_ideal_observer_scores_what_bayes_scores_over_all_histories(cues):
    """Weigh every sequence of three pairs and every target; the observer knows which targets the past allows."""
    pairs = list(itertools.combinations(range(cues), 2))
    right = np.zeros(3)
    for history in itertools.product(pairs, repeat=3):
        for target in range(cues):
            allowed = set(range(cues))
            for trial, pair in enumerate(history):
                yes = len(allowed & set(pair)) / len(allowed)
                right[trial] += 0.5 if yes == 0.5 else (target in pair) == (yes > 0.5)
                allowed = {cue for cue in allowed if (cue in pair) == (target in pair)}
    np.testing.assert_allclose(observed(cues, 3), right / len(pairs) ** 3 / cues, rtol=1e-12)


def test_reports_show_the_ideal_observer_but_not_where_feedback_is_shuffled():
    settings = CueRewardSettings(trials=4).resolve(2)
    assert settings.references == {"ideal observer": {"cue-reward": pytest.approx((8 / 9 + 26 / 27) / 2)}}
    assert CueRewardSettings(shuffled=True).resolve(2).references == {}
    assert settings.resolve(2) == settings


@pytest.mark.parametrize(("cues", "chance"), [(3, 2 / 3), (4, 0.5), (8, 0.75)])
def test_chance_is_always_the_better_same_answer(cues, chance):
    assert CueRewardSettings(cues=cues).scale.chance == pytest.approx(chance)


# ---- bad input


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["problem.task.bits=1"], "problem.task.bits must be at least 2 for 4 different cues, got 1"),
        (["problem.network.roles.stimulus=19"], "needs at least 20 stimulus units, got 19; set problem.network.roles"),
        (["problem.network.roles.response=0"], "needs at least 1 response units, got 0"),
        (["problem.network.responses=logistic"], 'set problem.network.responses = "tanh"'),
        (["problem.task.cues=2"], r"problem.task.cues: expected `int` >= 3"),
        (["problem.task.bits=33"], r"problem.task.bits: expected `int` <= 32"),
    ],
)
def test_what_cannot_be_lived_is_refused(changes, words):
    with pytest.raises(UserError, match=words):
        read_config("cue-reward", changes)


# ---- it is learned


def test_reward_times_trace_learns_which_cue_pays():
    """By hand: the answer's unit stays at no until a cue moves it to yes, where it stays until its echo."""
    problem = read_config("cue-reward").problem.build(0)
    places = problem.settings.network.places()
    values = {name: np.zeros((24, 24)) for name in ("innate", "gain")}
    weights = {"feedback": (-11.4, -1.4), "bias": (2.6, -2.4), "echo": (-11.1, 9.4), "response": (11.4, 5.1)}
    for role, both in (weights | {"stimulus": (0.0, 4.2)}).items():
        for name, weight in zip(values, both):
            values[name][list(places[role]), places["response"].start] = weight
    lives = problem.test_lives(Purpose.EVALUATION, (0,), 60)["cue-reward"]

    def accuracy(lesion="none", **changes):
        genotype = problem.layout.pack(values | changes)
        return np.mean([problem.score(genotype, life._replace(lesion=lesion))[METRIC] for life in lives])

    assert accuracy() > 0.9
    assert abs(accuracy("modulation_cut") - 0.5) < 0.06 and abs(accuracy("plasticity_off") - 0.5) < 0.06
    assert accuracy(gain=-values["gain"]) < 0.5
