"""Boolean tasks: truth tables, the timeline of a trial, what is clamped, what is asked, what is fed back."""

import naive
import numpy as np
import pytest
from conftest import small_life, structs

from evoplastic.tasks import TASKS
from evoplastic.tasks.boolean import CORRECT, LOSS
from evoplastic.tasks.boolean_settings import BooleanSettings
from evoplastic.tasks.contract import (
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
from evoplastic.tasks.truth_tables import Spec

TABLES = {  # responses to 00, 01, 10, 11
    "and": "0001",
    "nand": "1110",
    "01": "0100",
    "anti01": "1011",
    "10": "0010",
    "anti10": "1101",
    "watchstim1": "0011",
    "watchstim2": "0101",
    "dms": "1001",
    "antiwatchstim2": "1010",
    "antiwatchstim1": "1100",
    "or": "0111",
    "nor": "1000",
    "dnms": "0110",
}
PUBLISHED_WRONG = TABLES | {"anti10": "0010", "nor": "1101"}
PUBLISHED_PERIODS = {
    "stimulus": 160.0,
    "gap": 40.0,
    "delay": 140.0,
    "response": 200.0,
    "pause": 20.0,
    "feedback": 200.0,
    "rest": 80.0,
}


@pytest.fixture(autouse=True)
def philox_may_wrap_around():
    with np.errstate(over="ignore"):
        yield


@pytest.mark.parametrize(("name", "tables"), [("boolean2", TABLES), ("boolean2-as-published", PUBLISHED_WRONG)])
def test_batteries_hold_the_published_tables(name, tables):
    battery = Spec(name=name).resolve().tables
    assert battery == tables
    assert list(battery) == list(tables), "the order decides which tasks alternate"


def test_correct_battery_is_all_functions_but_the_constants():
    assert set(TABLES.values()) == {format(number, "04b") for number in range(1, 15)}


def trial_of(task, trial=0, key=7, scores=None):
    scores = np.zeros((trial + 1, 3), np.float32) if scores is None else scores
    return begin_trial(task, idle(task), np.uint64(key), trial, scores)


def course(task, state, outputs):
    """Run one trial with the response units at `outputs`; return its states and rates, (steps, N)."""
    states, clamped = [], []
    for step in range(steps_per_trial(task)):
        rates = np.full(17, 0.25, np.float32)
        rates[15:17] = outputs
        clamp(task, state, step, rates)
        if reads(task, step):
            state = collect(task, state, step, rates)
        states.append(state)
        clamped.append(rates)
    return states, np.array(clamped)


def with_stimuli(task, bits):
    """Return the first trial that shows `bits`."""
    trials = (trial_of(task, trial) for trial in range(400))
    return next(state for state in trials if state.kind == int(bits, 2))


PUBLISHED = structs(small_life(tables=["0110"], trials=400, **PUBLISHED_PERIODS)).task


def test_published_trial_has_the_published_steps():
    assert steps_per_trial(PUBLISHED) == 50 and feedback_step(PUBLISHED) == 36 and kinds(PUBLISHED) == 4


@pytest.mark.parametrize("bits", ["00", "01", "10", "11"])
def test_published_timeline(bits):
    levels = [3.0 if bit == "1" else -3.0 for bit in bits]
    target = int(TABLES["dnms"][int(bits, 2)])
    states, rates = course(PUBLISHED, with_stimuli(PUBLISHED, bits), (0.2, 0.7))
    expected = np.full((50, 17), 0.25)
    expected[:, 0] = [levels[0]] * 8 + [0] * 2 + [levels[1]] * 8 + [0] * 32
    expected[:, 1] = -expected[:, 0]
    on, off = (0.7 - 0.9, 0.2 - 0.1) if target else (0.7 - 0.1, 0.2 - 0.9)
    loss = on**2 + off**2
    expected[:, 2:4] = np.array([0] * 36 + [3 * loss] * 10 + [0] * 4)[:, None]
    expected[:, 4] = 1.0
    expected[:, 5] = 0.0
    expected[:, 6] = [0] * 36 + [3.0] * 10 + [0] * 4
    expected[:, 15] = [0] * 25 + [0.2] * 10 + [0] * 15
    expected[:, 16] = [0] * 25 + [0.7] * 10 + [0] * 15
    np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-7)
    assert (states[-1].response, states[-1].target) == (1, target)
    assert outcome(PUBLISHED, states[36]).loss == pytest.approx(loss, rel=1e-5)
    assert outcome(PUBLISHED, states[36]).kind == int(bits, 2)


@pytest.mark.parametrize(("outputs", "response"), [((0.2, 0.7), 1), ((0.7, 0.2), 0), ((0.5, 0.5), 0)])
def test_response_is_the_unit_with_more_output(outputs, response):
    states, rates = course(PUBLISHED, with_stimuli(PUBLISHED, "01"), outputs)
    assert states[-1].response == response
    np.testing.assert_array_equal(rates[40, 5:7], np.eye(2)[response] * 3)
    score = np.full(3, np.nan, np.float32)
    end_trial(PUBLISHED, states[-1], score)
    assert score[CORRECT] == response  # 01 asks for 1
    assert score[LOSS] == pytest.approx((outputs[1] - 0.9) ** 2 + (outputs[0] - 0.1) ** 2, rel=1e-5)


@pytest.mark.parametrize(("outputs", "fed", "loss"), [((0.2, 0.7), 3.0, 0.0), ((0.7, 0.2), -3.0, 1.0)])
def test_binary_feedback_tells_only_right_or_wrong(outputs, fed, loss):
    task = PUBLISHED._replace(binary=np.int64(1))
    states, rates = course(task, with_stimuli(task, "01"), outputs)
    np.testing.assert_array_equal(rates[36:46, 2:4], fed)
    assert outcome(task, states[36]).loss == loss


def test_stimuli_may_have_a_unit_each():
    _, rates = course(PUBLISHED._replace(one_hot=np.int64(1)), with_stimuli(PUBLISHED, "10"), (0.2, 0.7))
    np.testing.assert_array_equal(rates[:, 0], [3] * 8 + [0] * 42)
    np.testing.assert_array_equal(rates[:, 1], [0] * 10 + [3] * 8 + [0] * 32)


@pytest.mark.parametrize(("output", "response", "loss"), [(0.5, 1, 0.48), (-0.3, 0, 1.28), (0.0, 0, 0.98)])
def test_a_single_response_answers_by_its_sign(output, response, loss):
    task = PUBLISHED._replace(single=np.int64(1))
    states, rates = course(task, with_stimuli(task, "01"), (output, 0.7))
    assert (rates[:, 15] == np.float32(output)).all(), "it is never silenced"
    assert not rates[:, 16].any()
    assert (states[-1].response, states[-1].target) == (response, 1)
    assert states[-1].loss == outcome(task, states[36]).loss == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(rates[36:46, 2], 3 * loss, rtol=1e-5)


def test_a_single_response_that_should_be_no_is_far_below_zero():
    task = PUBLISHED._replace(single=np.int64(1))
    states, _ = course(task, with_stimuli(task, "00"), (-0.9, 0.7))
    assert states[-1].response == states[-1].target == 0
    assert states[-1].loss == pytest.approx(0.08, rel=1e-4)


@pytest.mark.parametrize("table", ["01", "0110", "01101001", "0110100110010110"])
def test_stimuli_stand_at_their_addresses(table):
    task = structs(small_life(tables=[table], trials=50)).task
    stimuli = len(table).bit_length() - 1
    for trial in range(50):
        kind = naive.stimulus(7, trial, stimuli)
        state = trial_of(task, trial)
        assert (state.kind, state.target) == (kind, int(table[kind]))


def test_all_stimuli_come_equally_often():
    counts = np.bincount([naive.stimulus(8, trial, 2) for trial in range(4000)])
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(4000 * 0.25 * 0.75)


def test_three_stimuli_are_shown_in_order():
    life = small_life(tables=["00000010"], trials=50)
    task = structs(life).task
    state = next(state for state in (trial_of(task, trial) for trial in range(50)) if state.kind == 0b110)
    assert state.target == 1
    _, rates = course(task, state, (0.5, 0.5))
    shown = [3] * 3 + [0] + [3] * 3 + [0] + [-3] * 3 + [0] * (life.steps - 11)
    np.testing.assert_array_equal(rates[:, 0], shown)


def test_shuffled_feedback_is_that_of_an_earlier_trial():
    task = PUBLISHED._replace(shuffled=np.int64(1))
    scores = np.zeros((30, 3), np.float32)
    scores[:, LOSS] = np.arange(30) / 10
    fed = []
    for trial in range(1, 30):
        states, rates = course(task, trial_of(task, trial, scores=scores), (0.2, 0.7))
        assert rates[40, 2] == pytest.approx(3 * scores[naive.earlier_trial(7, trial, trial), LOSS])
        fed.append(outcome(task, states[40]).loss)
    assert len(set(fed)) > 10


def test_first_trial_of_a_shuffled_life_gets_its_own_feedback():
    task = PUBLISHED._replace(shuffled=np.int64(1))
    states, _ = course(task, trial_of(task, 0), (0.2, 0.7))
    assert outcome(task, states[40]).loss == states[40].loss > 0


@pytest.mark.parametrize(("newborn", "ages"), [(False, [0, 1, 2, 3, 4, 5]), (True, [0, 1, 2, 0, 1, 2])])
def test_age_starts_anew_only_with_newborn_blocks(newborn, ages):
    task = structs(small_life(tables=["0110", "0001"], trials=3, newborn_blocks=newborn)).task
    assert [age_at(task, trial) for trial in range(6)] == ages


def test_each_block_asks_for_its_own_table():
    task = structs(small_life(tables=["0000", "1111"], trials=3)).task
    assert [trial_of(task, trial).target for trial in range(6)] == [0, 0, 0, 1, 1, 1]


def test_a_network_without_echo_feedback_or_bias_units_can_live():
    task = structs(small_life()).task
    bare = task.units._replace(feedback_end=task.units.feedback, bias_end=task.units.bias, echo_end=task.units.echo)
    _, rates = course(task._replace(units=bare), trial_of(task), (0.2, 0.7))
    assert (rates[:, 2:7] == 0.25).all()


def test_published_periods_are_the_default():
    assert BooleanSettings().periods.steps(2, 20.0) == PUBLISHED.periods


def test_tasks_are_named_by_their_tags():
    assert {name: settings.__struct_config__.tag for name, settings in TASKS.items()} == {name: name for name in TASKS}
