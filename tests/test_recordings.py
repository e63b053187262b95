"""Recordings: the very life that is scored, step by step, in a file that says what its arrays are."""

import json

import numpy as np
import pytest
from conftest import Structs, small_life, structs
from test_cli_tasks import main
from test_evolution import TINY

import evoplastic
from evoplastic.analysis.record import RecordRequest, check_memory, planned, record, windowed
from evoplastic.config import read_config
from evoplastic.errors import UserError
from evoplastic.evolution import Search
from evoplastic.launch import start_run
from evoplastic.npz import content_sha256, npz_bytes
from evoplastic.problems.contract import METRIC
from evoplastic.random import Purpose
from evoplastic.recorders import Wanted, recorder_of
from evoplastic.recordings import Recording, load_recording
from evoplastic.rollout import live, live_seen
from evoplastic.tasks.contract import CORRECT, steps_per_trial

__all__ = ["main"]  # the fixture


@pytest.fixture(scope="module")
def search():
    return Search.of(read_config("quickstart", TINY, seed=3))


@pytest.fixture(scope="module")
def recording(search):
    request = RecordRequest("or", lives=2, every=3, synapses=7)
    return record(search, search.start().center, request, {"run": "tiny", "genome": "generation_0"})


def seen(life: Structs, wanted: Wanted):
    """Return a recorder, scores and plastic weights after a life."""
    recorder = recorder_of(len(life.network.innate), steps_per_trial(life.task), 1, wanted)
    scores, plastic = np.zeros((life.trials, 3), np.float32), np.zeros_like(life.network.innate)
    live_seen(*life[:5], plastic, scores, recorder)
    return recorder, scores, plastic


@pytest.mark.parametrize("modulation", ["loss", "network"])
def test_a_life_that_is_recorded_is_the_life_that_is_scored_bit_for_bit(modulation):
    life = structs(small_life(5, modulation=modulation))
    scores, plastic = np.zeros((life.trials, 3), np.float32), np.zeros_like(life.network.innate)
    live(*life[:5], plastic, scores)
    units = len(plastic)
    synapses = np.array([[0, units - 1], [units - 2, units - 1]])
    recorder, theirs, last = seen(life, Wanted(0, life.trials, 1, synapses))
    np.testing.assert_array_equal(theirs, scores)
    np.testing.assert_array_equal(last, plastic)
    np.testing.assert_array_equal(recorder.weights[-1], plastic[:, :units])
    np.testing.assert_array_equal(recorder.followed[-1, -1], plastic[synapses[:, 0], synapses[:, 1]])
    assert plastic.any() and recorder.noise.any() and recorder.modulators.any()


def test_third_factors_are_kept_where_they_act_and_are_0_elsewhere():
    recorder, _, _ = seen(structs(small_life(1, modulation="loss")), Wanted(0, 12, 1, np.zeros((0, 2), np.int64)))
    acting = recorder.modulators.any(axis=(0, 2))
    assert np.flatnonzero(acting).tolist() == [int(structs(small_life(1)).task.periods.feedback)]


def test_a_window_of_trials_is_that_part_of_the_whole():
    life, some = structs(small_life(2)), np.array([[3, 9]])
    whole, *_ = seen(life, Wanted(0, life.trials, 1, some))
    part, *_ = seen(life, Wanted(4, 6, 3, some))
    for name in ("rates", "noise", "modulators", "kinds", "followed"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[4:10], name)
    np.testing.assert_array_equal(part.weights, whole.weights[[6, 9]])


def test_two_windows_are_the_first_and_last_trials_of_the_whole():
    life, some = structs(small_life(2)), np.array([[3, 9]])
    whole, *_ = seen(life, Wanted(0, life.trials, 1, some))
    parts, *_ = seen(life, Wanted(1, 5, 2, some, gap=3))
    kept = [1, 2, 3, 7, 8]
    assert Wanted(1, 5, 2, some, gap=3).kept().tolist() == kept
    for name in ("rates", "noise", "modulators", "kinds", "followed"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name)[kept], name)
    np.testing.assert_array_equal(parts.weights, whole.weights[[2, 7]])


def test_weights_change_where_rates_and_third_factor_say_so():
    """The rule is clipped Hebb, so each change of a followed synapse follows from what is recorded beside it."""
    life = structs(small_life(3, rule="hebbian", modulation="network", eta=0.01, bound=1.0, trace_tau=60.0))
    synapses = np.array([[pre, post] for pre in (0, 4, 9) for post in (9, 11)])
    recorder, *_ = seen(life, Wanted(0, life.trials, 1, synapses))
    rates = recorder.rates.reshape(-1, recorder.rates.shape[2]).astype(np.float64)
    before = np.vstack([np.zeros_like(rates[:1]), rates[:-1]])
    m, weights = recorder.modulators.reshape(-1), recorder.followed.reshape(-1, len(synapses)).astype(np.float64)
    share = 20.0 / 60.0
    trace = np.zeros(len(synapses))
    changed = np.diff(weights, axis=0, prepend=0.0)
    burn_in = recorder.rates.shape[1] * int(life.rule.burn_in)
    for step in range(len(rates)):
        trace += share * (before[step, synapses[:, 0]] * rates[step, synapses[:, 1]] - trace)
        if step > burn_in:
            np.testing.assert_allclose(changed[step], 0.01 * m[step] * trace, rtol=1e-3, atol=1e-6)
    assert np.abs(changed).max() > 1e-3


def test_a_recording_says_what_its_arrays_are(recording, search):
    shapes = {name: recording[name].values.shape for name in recording.arrays}
    steps = shapes["rates"][2]
    assert shapes == {
        "rates": (2, 8, steps, 13),
        "noise": (2, 8, steps, 13),
        "modulators": (2, 8, steps, 1),
        "kinds": (2, 8),
        "scores": (2, 8, 3),
        "synapses": (7, 2),
        "followed": (2, 8, steps, 7),
        "weights": (2, 2, 13, 13),
        "innate": (2, 13, 13),
        "gain": (2, 13, 13),
    }
    assert recording["weights"].labels["sample"].tolist() == [2, 5]
    assert recording["rates"].labels["step"][:3].tolist() == [0.0, 20.0, 40.0]
    assert recording["rates"].select(unit="response").values.shape == (2, 8, steps, 2)
    assert recording["scores"].select(trial=range(4, 8), score="correct").values.shape == (2, 4, 1)
    assert (recording.about["task"], recording.about["run"], recording.about["rule"]["eta"]) == ("or", "tiny", 100.0)


def test_what_is_recorded_was_lived_on_fresh_lives_of_the_task(recording, search):
    lives = search.problem.test_lives(Purpose.RECORDING, (0,), 2)["or"]
    accuracy = [search.problem.score(search.start().center, life)[METRIC] for life in lives]
    scored = recording["scores"].values[:, -4:, CORRECT]
    np.testing.assert_allclose(scored.mean(axis=1), accuracy, rtol=1e-6)


def test_followed_synapses_end_on_units_that_no_task_clamps(recording):
    roles = recording.labels["unit"]
    ends = roles[recording["synapses"].values[:, 1]]
    assert set(ends) <= {"hidden", "modulator", "response"}
    assert len(np.unique(recording["synapses"].values, axis=0)) == 7


def test_weights_at_the_end_are_kept_where_fewer_trials_are_recorded_than_lie_between(search):
    recording = record(search, search.start().center, RecordRequest("or", lives=1, first=2, trials=5, every=10), {})
    assert recording["weights"].labels["sample"].tolist() == [6]


def test_a_recording_of_two_windows_is_labelled_with_their_trials(search, recording, tmp_path):
    request = RecordRequest("or", lives=2, trials=4, every=2, synapses=7, gap=4)
    parts = record(search, search.start().center, request, {})
    assert parts.labels["trial"].tolist() == [0, 1, 6, 7] and parts.labels["sample"].tolist() == [1, 7]
    whole = recording["rates"].select(trial=[0, 1, 6, 7])
    np.testing.assert_array_equal(parts["rates"].values, whole.values)
    np.testing.assert_array_equal(parts["scores"].values, recording["scores"].values[:, [0, 1, 6, 7]])
    path = tmp_path / "windows.npz"
    path.write_bytes(parts.to_bytes())
    np.testing.assert_array_equal(load_recording(path)["rates"].select(trial=range(6, 8)).values, whole.values[:, 2:])


def test_as_many_first_and_last_trials_are_asked_for_as_fit(search):
    asked = RecordRequest("or", lives=1, every=1)
    size = planned(search, asked)[1]
    assert windowed(search, asked, size, 2) == asked
    assert windowed(search, asked, size - 1, 2)[3:4] + windowed(search, asked, size - 1, 2)[-1:] == (4, 4)
    assert windowed(search, asked, size - 1, 100).trials == 6
    assert windowed(search, asked, 1, 100).trials == 2
    some = asked._replace(first=2, trials=4)
    assert windowed(search, some, 1, 1)[2:4] == (2, 2) and windowed(search, some, 1, 1).gap == 2


def test_a_lesion_is_recorded_too(search):
    request = RecordRequest("or", lives=1, trials=4, every=4, lesion="modulation_cut")
    assert not record(search, search.start().center, request, {})["modulators"].values.any()


def test_a_file_gives_back_what_was_written(recording, tmp_path):
    path = tmp_path / "or.npz"
    path.write_bytes(recording.to_bytes())
    again = evoplastic.load_recording(path)
    assert again.about["network"] and again.to_bytes() == recording.to_bytes()
    for name in recording.arrays:
        np.testing.assert_array_equal(again[name].values, recording[name].values)
    assert not again["rates"].values.flags.writeable
    assert np.load(path)["kinds"].shape == (2, 8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:100], "is damaged"),
        (lambda data: data[:-5000] + b"x" + data[-4999:], "is damaged"),
        (lambda data: Recording({"kinds": np.zeros((2, 3), np.int64)}, {}, {}).to_bytes(), "other arrays than"),
        (lambda data: Recording({"secret": np.zeros(3)}, {}, {}).to_bytes(), "other arrays than"),
    ],
)
def test_a_damaged_file_is_refused(recording, tmp_path, change, words):
    path = tmp_path / "bad.npz"
    path.write_bytes(change(recording.to_bytes()))
    with pytest.raises(UserError, match=words):
        load_recording(path)


@pytest.mark.parametrize(
    "wrong", [[], {"life": 3}, {"life": [[0], [1, 2]]}, {"life": [0]}], ids=["list", "scalar", "ragged", "short"]
)
def test_labels_that_fit_no_array_are_refused(recording, tmp_path, wrong):
    labels = {axis: each.tolist() for axis, each in recording.labels.items()}
    header = {
        "format": "evoplastic.recording",
        "version": 1,
        "content": content_sha256(recording.arrays),
        "labels": {**labels, **wrong} if wrong else wrong,
        "about": {},
    }
    path = tmp_path / "bad.npz"
    path.write_bytes(npz_bytes({**recording.arrays, "header": np.frombuffer(json.dumps(header).encode(), np.uint8)}))
    with pytest.raises(UserError, match="its arrays and its labels differ"):
        load_recording(path)


@pytest.mark.parametrize(("preset", "task", "trials"), [("t-maze", "t-maze", 60), ("association", "association", 1)])
def test_lives_of_newborn_tasks_are_recorded_as_long_as_they_are(tmp_path, preset, task, trials):
    search = Search.of(read_config(preset, ["problem.network.units=40"]))
    request = RecordRequest(task, lives=1, every=20, synapses=3)
    path = tmp_path / "lives.npz"
    path.write_bytes(record(search, search.start().center, request, {}).to_bytes())
    again = load_recording(path)
    assert again["scores"].values.shape == (1, trials, 3) and again.about["tasks"] == [[task]]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (RecordRequest("orr"), "task 'orr' is unknown; choose one of .*; did you mean 'or'"),
        (RecordRequest("or", first=8), "a life has trials 0 to 7, and 8 to 7 are to be recorded"),
        (RecordRequest("or", first=2, trials=7), "a life has trials 0 to 7, and 2 to 8"),
        (RecordRequest("or", first=2, trials=4, gap=3), "a life has trials 0 to 7, and 2 to 8"),
        (RecordRequest("or", every=1, lesion="gain"), "control 'gain' is unknown"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_a_sentence(search, request_, words):
    with pytest.raises(UserError, match=words):
        planned(search, request_)


def test_arrays_axes_and_labels_that_are_not_there_are_named(recording):
    with pytest.raises(UserError, match=r"array 'rate' is not recorded; .* did you mean 'rates'"):
        recording["rate"]
    with pytest.raises(UserError, match=r"axis 'units' is unknown; .* did you mean 'unit'"):
        recording["rates"].select(units="response")
    with pytest.raises(UserError, match="axis 'unit' has no place labelled 'respond'"):
        recording["rates"].select(unit="respond")
    with pytest.raises(UserError, match="axis 'trial' has no place labelled 8"):
        recording["rates"].select(trial=range(4, 10))


def test_memory_is_asked_for_before_it_is_used():
    check_memory(1_000_000)
    with pytest.raises(UserError, match=r"takes 4000\.0 GB and four times that .* choose fewer --lives"):
        check_memory(4 * 10**12)


def test_the_memory_that_is_planned_is_what_the_arrays_take(search, recording):
    size = planned(search, RecordRequest("or", lives=2, every=3, synapses=7))[1]
    assert size == sum(array.nbytes for name, array in recording.arrays.items() if name != "synapses")


def test_a_tabular_run_has_nothing_to_record():
    search = Search.of(read_config("dependent-bandit-q-learning"))
    with pytest.raises(UserError, match="a recording is of networks"):
        planned(search, RecordRequest("dependent-bandit"))


def test_the_command_writes_into_the_run_s_folder(main, tmp_path):
    run = start_run(read_config("quickstart", TINY), tmp_path / "runs", "tiny").folder.path
    said = main("record", run, "--task", "dms", "--lives", 1, "--genome", "generation_0", "--every", 4, "--json")
    assert said.code == 0, said.err
    path = json.loads(said.out)["file"]
    assert path == str(run / "recordings" / "dms-generation_0-g0-none-seed0.npz")
    assert load_recording(path).about["task"] == "dms" and "life x trial x step x unit" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--genome", "centre"], "genome 'centre' is unknown; choose one of"),
        (["--genome", "center"], "has no checkpoint yet, so it has no center"),
        (["--genome", "generation_0", "--lives", "100000000"], "choose fewer --lives"),
    ],
)
def test_the_command_refuses_in_a_sentence(main, tmp_path, words, sentence):
    run = start_run(read_config("quickstart", TINY), tmp_path / "runs", "tiny").folder.path
    said = main("record", run, "--task", "dms", "--every", 4, *words)
    assert said.code == 2 and sentence in said.err and said.err.count("\n") == 1


def test_a_recording_under_several_lesions_says_that_activity_was_reset(search):
    for lesion, reset in (("activity_reset+rule.eta@0.5", True), ("rule.eta@0.5", False)):
        request = RecordRequest("or", lives=1, trials=2, lesion=lesion)
        about = record(search, search.start().center, request, {}).about
        assert (about["reset_activity"], about["lesion"]) == (reset, lesion)


def test_a_recording_under_a_longer_delay_has_more_steps(search):
    plain, longer = (
        record(search, search.start().center, RecordRequest("or", lives=1, trials=2, lesion=lesion), {})
        for lesion in ("none", "task.periods.delay=280")
    )
    steps = [recording["rates"].values.shape[2] for recording in (plain, longer)]
    assert steps[1] - steps[0] == 7 and longer.about["feedback_step"] - plain.about["feedback_step"] == 7
