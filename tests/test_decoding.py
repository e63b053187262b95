"""Decoding over time: planted codes give the textbook matrices, nothing leaks, and permutations keep their promise."""

import json

import numpy as np
import pytest
from test_recordings import recording, search

from evoplastic.analysis.decoding import generalise, pairs
from evoplastic.analysis.decoding_samples import binned, early_and_late, labels_of, samples_of
from evoplastic.errors import UserError
from evoplastic.recordings import Recording
from evoplastic.tasks.contract import CORRECT

__all__ = ["recording", "search"]  # the fixtures

RNG = np.random.default_rng(11)


def noise_and_labels(rng, trials=120, steps=3, units=5, classes=2):
    return rng.normal(size=(trials, steps, units)), rng.integers(0, classes, trials)


def signs(labels):
    return 2.0 * labels[:, None] - 1.0


def planted(steps, axis_of, trials=400, units=12):
    """Return activity and labels: noise, and at each of `steps` the label along the axis `axis_of` gives it."""
    activity, labels = noise_and_labels(np.random.default_rng(2), trials, 10, units)
    for step in steps:
        activity[:, step] += 2.5 * signs(labels) * axis_of(step)
    return activity, labels


def naive_matrix(activity, labels, fold_of, scaled_by="training trials"):
    """Return accuracy [train, test] of two classes, trial by trial, from the equations, or with a leak."""
    steps, told = activity.shape[1], {}
    for fold in np.unique(fold_of):
        train, test = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        z = np.empty(activity.shape)
        for step in range(steps):
            of = train if scaled_by == "training trials" else np.arange(len(labels))
            z[:, step] = (activity[:, step] - activity[of, step].mean(0)) / activity[of, step].std(0)
            if scaled_by == "test trials":
                z[train, step] = (activity[train, step] - activity[train, step].mean(0)) / activity[train, step].std(0)
                z[test, step] = (activity[test, step] - activity[test, step].mean(0)) / activity[test, step].std(0)
        for step in range(steps):
            inverse = np.linalg.inv(naive_covariance(z[train, step]))
            means = [z[[trial for trial in train if labels[trial] == label], step].mean(0) for label in (0, 1)]
            for trial in test:
                for later in range(steps):
                    scores = [mean @ inverse @ z[trial, later] - mean @ inverse @ mean / 2 for mean in means]
                    told[step, later, trial] = scores[1] > scores[0]
    right = [
        [
            np.mean([np.mean([told[a, b, t] == label for t in np.flatnonzero(labels == label)]) for label in (0, 1)])
            for b in range(steps)
        ]
        for a in range(steps)
    ]
    return np.array(right)


def naive_covariance(z):
    """Return Ledoit and Wolf's estimate by its definition, with sums over trials."""
    s = sum(np.outer(each, each) for each in z) / len(z)
    error = sum(np.linalg.norm(np.outer(each, each) - s) ** 2 for each in z) / len(z) ** 2
    a = min(1.0, error / np.linalg.norm(s - np.eye(len(s))) ** 2)
    return (1 - a) * s + a * np.eye(len(s))


def test_a_code_that_stays_gives_a_square():
    axis = np.random.default_rng(0).normal(size=12)
    found = generalise(*planted(range(3, 8), lambda step: axis / np.linalg.norm(axis)), permutations=99)
    square = np.zeros((10, 10), bool)
    square[3:8, 3:8] = True
    assert found.matrix[square].min() > 0.95 and abs(found.matrix[~square].mean() - 0.5) < 0.05
    np.testing.assert_array_equal(found.told, square)


def test_a_code_that_moves_gives_a_diagonal():
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
    found = generalise(*planted(range(3, 8), lambda step: axes[step]), permutations=99)
    diagonal = np.zeros((10, 10), bool)
    diagonal[range(3, 8), range(3, 8)] = True
    assert found.matrix[diagonal].min() > 0.95 and found.told[diagonal].all()
    elsewhere = found.matrix[3:8, 3:8][~np.eye(5, dtype=bool)]
    assert abs(elsewhere.mean() - 0.5) < 0.05 and elsewhere.max() < 0.75


def test_rows_are_steps_of_fitting_and_columns_steps_of_testing():
    """A faint code is at both steps, a strong one at step 1 only: who learns from step 1 finds nothing at step 0."""
    rng = np.random.default_rng(4)
    activity, labels = noise_and_labels(rng, trials=400, steps=2, units=2)
    activity[:, :, 0] += signs(labels)
    activity[:, 1, 1] = signs(labels)[:, 0] + 0.05 * rng.normal(size=400)
    matrix = generalise(activity, labels, permutations=0).matrix
    assert matrix[0, 1] == pytest.approx(0.84, abs=0.05)  # the normal distribution's share below 1
    assert matrix[1, 0] < 0.65 and matrix[1, 1] > 0.99


def leaky_data():
    """Return activity, labels and blocks whose spread and mean differ, so that leaks show."""
    rng = np.random.default_rng(8)
    activity, labels = noise_and_labels(rng, trials=48, steps=3, units=6)
    blocks = np.repeat(np.arange(4), 12)
    activity += 0.8 * signs(labels)[:, None] * rng.normal(size=(3, 6)) + rng.normal(size=(4, 1, 6))[blocks]
    return activity * rng.uniform(0.5, 2.0, (4, 1, 6))[blocks], labels, blocks


def test_the_matrix_is_that_of_the_equations_trial_by_trial():
    activity, labels, blocks = leaky_data()
    found = generalise(activity, labels, blocks, folds=4, permutations=0)
    np.testing.assert_allclose(found.matrix, naive_matrix(activity, labels, blocks), atol=1e-9)


@pytest.mark.parametrize("leak", ["all trials", "test trials", "parted blocks"])
def test_the_oracle_tells_every_leak_from_none(leak):
    activity, labels, blocks = leaky_data()
    found = generalise(activity, labels, blocks, folds=4, permutations=0)
    if leak == "parted blocks":
        leaky = naive_matrix(activity, labels, np.arange(48) % 4)
    else:
        leaky = naive_matrix(activity, labels, blocks, scaled_by=leak)
    assert np.abs(found.matrix - leaky).max() > 0.02


def test_held_out_trials_are_scaled_by_others():
    """A block far off is all told as one class; scaled by its own mean it would be told right."""
    labels = np.arange(80) % 2
    activity = np.random.default_rng(1).normal(size=(80, 1, 3)) * 0.1 + signs(labels)[:, None]
    blocks = np.repeat([0, 1], 40)
    assert generalise(activity, labels, blocks, folds=2, permutations=0).matrix.item() == 1.0
    activity[blocks == 1] += 100.0
    assert generalise(activity, labels, blocks, folds=2, permutations=0).matrix.item() == 0.5


def test_folds_never_part_a_block():
    """Each block has a code of its own: nothing that one teaches holds in another, and within one all is told."""
    rng = np.random.default_rng(3)
    activity, labels = noise_and_labels(rng, trials=240, steps=1, units=40)
    blocks = np.repeat(np.arange(6), 40)
    activity[:, 0] += 4.0 * signs(labels) * rng.normal(size=(6, 40))[blocks]
    apart, parted = (generalise(activity, labels, among, permutations=0).matrix.item() for among in (blocks, None))
    assert apart < 0.7 and parted > 0.9


def test_what_all_trials_share_says_nothing_and_hides_nothing():
    """Another zero and another scale for each unit and step, alike for all trials, leave every decision as it was."""
    axis = np.random.default_rng(0).normal(size=12) / np.sqrt(12)
    activity, labels = planted(range(3, 8), lambda step: 0.3 * axis)
    moved = activity * RNG.uniform(0.1, 10.0, (10, 12)) + RNG.normal(0.0, 20.0, (10, 12))
    plain, other = (generalise(each, labels, permutations=0).matrix for each in (activity, moved))
    np.testing.assert_allclose(other, plain, atol=0.015)  # a trial or two on the edge
    assert plain[3:8, 3:8].mean() > 0.6


def test_units_that_never_change_are_as_if_they_were_not():
    activity, labels, blocks = leaky_data()
    last_bit = np.float32(0.1) + np.spacing(np.float32(0.1)) * labels.astype(np.float32)  # rounding, told or not
    flat = np.stack([last_bit, np.full(48, 0.1), np.zeros(48)], axis=1)
    more = np.concatenate([activity, np.repeat(flat[:, None], 3, axis=1)], axis=2)
    wanted = generalise(activity, labels, blocks, folds=4, permutations=0).matrix
    np.testing.assert_array_equal(generalise(more, labels, blocks, folds=4, permutations=0).matrix, wanted)


def test_activity_that_says_nothing_at_all_is_chance():
    silent, labels = np.zeros((40, 2, 3)), np.arange(40) % 4 == 0
    np.testing.assert_array_equal(generalise(silent, labels, permutations=39).matrix, 0.5)


def test_units_that_all_do_the_same_can_be_decoded():
    labels = np.arange(40) % 2
    activity = np.repeat(signs(labels)[:, None], 5, axis=2)
    np.testing.assert_array_equal(generalise(activity, labels, permutations=0).matrix, 1.0)


def test_chance_is_a_half_however_rare_a_class_is():
    """One trial in ten is of class 1; who always said 0 would be right nine times in ten."""
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found.append(generalise(rng.normal(size=(200, 1, 4)), np.arange(200) % 10 == 0, permutations=0).matrix.item())
    assert abs(np.mean(found) - 0.5) < 0.04


def test_a_rare_class_is_told_as_well_as_a_common_one():
    labels = (np.arange(400) % 10 == 0).astype(int)
    activity = np.random.default_rng(5).normal(size=(400, 1, 1)) + signs(labels)[:, None]
    assert generalise(activity, labels, permutations=0).matrix.item() == pytest.approx(0.84, abs=0.08)


def test_three_classes_are_told_and_their_chance_is_a_third():
    activity, labels = noise_and_labels(np.random.default_rng(6), trials=150, steps=2, units=6, classes=3)
    activity[:, 1] += 4.0 * np.eye(6)[labels]
    found = generalise(activity, np.array(["a", "b", "c"])[labels], permutations=99)
    assert found.chance == pytest.approx(1 / 3) and found.matrix[1, 1] > 0.95
    assert abs(found.matrix[0, 0] - 1 / 3) < 0.15 and 1 / 3 < found.threshold < 0.6


def false_alarms(data_of, sets=200):
    """Return how often null data lie beyond the band at a point, and above the threshold anywhere."""
    points, anywhere = [], []
    for seed in range(sets):
        found = generalise(*data_of(np.random.default_rng(1000 + seed)), folds=3, permutations=39, seed=seed)
        points.append(((found.matrix < found.band[0]) | (found.matrix > found.band[1])).mean())
        anywhere.append(found.matrix.max() > found.threshold)
    return np.mean(points), np.mean(anywhere)


def lives_that_lean(rng):
    """Return lives of which each leans to one label and to some activity; within a life the two are unrelated."""
    blocks = np.repeat(np.arange(6), 20)
    labels = (rng.random(120) < np.where(rng.random(6) < 0.5, 0.2, 0.8)[blocks]).astype(int)
    return rng.normal(size=(120, 3, 4)) + 2.0 * rng.normal(size=(6, 1, 4))[blocks], labels, blocks


@pytest.mark.parametrize("data_of", [noise_and_labels, lives_that_lean])
def test_bands_and_thresholds_are_passed_by_chance_as_often_as_promised(data_of):
    """Of 200 data sets; one share has a standard error of .015, and counted accuracies can only make it smaller."""
    pointwise, anywhere = false_alarms(data_of)
    assert 0.02 < pointwise < 0.06 and 0.02 < anywhere < 0.09


def test_labels_permuted_across_lives_would_pass_too_often():
    """So the test above would notice it."""

    def as_one(rng):
        activity, labels, _ = lives_that_lean(rng)
        return activity, labels

    assert false_alarms(as_one, sets=100)[1] > 0.15


def test_a_decoder_fitted_to_noise_is_never_said_to_tell_what_a_later_step_has():
    """A strong code at step 2 only: noise at steps 0 and 1 points along it by luck, often beyond the threshold."""
    above, told = [], []
    for seed in range(60):
        activity, labels = noise_and_labels(np.random.default_rng(seed))
        activity[:, 2, 0] += 3.0 * signs(labels)[:, 0]
        found = generalise(activity, labels, permutations=39, seed=seed)
        above.append((found.matrix[:2, 2] > found.threshold).any())
        told.append(found.told[:2].any() or found.told[:, :2].any())
        assert found.told[2, 2]
    assert np.mean(above) > 0.3 and np.mean(told) < 0.12


def test_the_highest_point_has_a_higher_threshold_than_each_point():
    found = generalise(*noise_and_labels(np.random.default_rng(0), steps=6), permutations=199)
    assert found.threshold > found.band[1].mean() > 0.5 > found.band[0].mean()
    assert found.band.shape == (2, 6, 6)


def test_equal_arguments_give_equal_bits_and_another_seed_others():
    data = noise_and_labels(np.random.default_rng(9))
    one, two, other = (generalise(*data, permutations=39, seed=seed) for seed in (1, 1, 2))
    assert one.to_json() == two.to_json() != other.to_json()


def test_json_holds_what_a_picture_needs():
    found = generalise(*noise_and_labels(np.random.default_rng(9)), folds=4, permutations=39)
    read = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert list(read) == ["matrix", "chance", "band", "threshold", "trials", "folds", "permutations", "told"]
    assert read["told"] == found.told.tolist()
    assert (read["matrix"], read["chance"]) == (found.matrix.tolist(), 0.5)
    assert (read["trials"], read["folds"], read["permutations"]) == (120, 4, 39)
    without = generalise(*noise_and_labels(np.random.default_rng(9)), permutations=0).to_json()
    assert [without[name] for name in ("band", "threshold", "told")] == [None] * 3


LIVES, TRIALS = 8, 100


def responding(rng, code=0.0, stimuli=True, drift=True):
    """Return activity (n, 3, 6), responses, lives and kinds; `code` is what the response adds at the last step.

    Activity and responses go with stimuli, and they drift, alike in all lives and in each on its own.
    """
    kinds = rng.integers(0, 4, (LIVES, TRIALS))
    right = 2.0 * np.isin(kinds, (1, 2)) - 1.0
    activity, leaning = rng.normal(size=(LIVES, TRIALS, 3, 6)), np.zeros((LIVES, TRIALS))
    if stimuli:
        activity += rng.normal(size=(4, 3, 6))[kinds]
        leaning += 1.5 * right
    if drift:
        learned = 1.0 - 2.0 * np.exp(-np.arange(TRIALS) / 40.0)[:, None]
        alone = np.cumsum(rng.normal(size=(2, LIVES, TRIALS, 6)), axis=2) / 5.0
        activity += (learned * rng.normal(size=6) + alone[0])[:, :, None]
        leaning += 1.5 * learned[:, 0] + alone[1, :, :, 0]
    responses = rng.random((LIVES, TRIALS)) < 1.0 / (1.0 + np.exp(-leaning))
    activity[:, :, 2, 0] += code * (2.0 * responses - 1.0)
    lives = np.repeat(np.arange(LIVES), TRIALS)
    return activity.reshape(-1, 3, 6), responses.reshape(-1).astype(int), lives, kinds.reshape(-1)


def exceeded(within, sets=100, **planted):
    """Return in which share of data sets the threshold is passed anywhere, and at the last step."""
    found = []
    for seed in range(sets):
        activity, labels, lives, kinds = responding(np.random.default_rng(2000 + seed), **planted)
        told = generalise(activity, labels, lives, 4, 39, seed, kinds if within else None)
        found.append((told.matrix.max() > told.threshold, told.matrix[2, 2] > told.threshold))
    return np.mean(found, axis=0)


@pytest.mark.parametrize(("stimuli", "drift"), [(True, False), (False, True), (True, True)])
def test_responses_that_go_with_stimuli_and_drift_are_not_told_beyond_them(stimuli, drift):
    """Of 200 data sets; a share of .05 has a standard error of .015."""
    assert exceeded(True, sets=200, stimuli=stimuli, drift=drift)[0] <= 0.09


@pytest.mark.parametrize(("stimuli", "drift"), [(True, False), (False, True)])
def test_orders_within_lives_would_find_stimuli_and_drift(stimuli, drift):
    """So the test above would notice it."""
    assert exceeded(False, sets=30, stimuli=stimuli, drift=drift)[0] > 0.3


def test_a_response_is_told_beyond_stimuli_and_drift_where_activity_has_it():
    assert exceeded(True, sets=30, code=1.2)[1] > 0.9


def test_what_tells_the_kind_alone_tells_nothing_beyond_it():
    activity, labels, lives, kinds = responding(np.random.default_rng(0), drift=False)
    plain, beyond = (generalise(activity, labels, lives, 4, 0, given=of).matrix for of in (None, kinds))
    assert plain.diagonal().min() > 0.65 and abs(beyond - 0.5).max() < 0.08


def naive_beyond(activity, labels, kinds, fold_of):
    """Return accuracy [train, test] within kinds: regress activity on kind and label, trial by trial."""
    steps, right = activity.shape[1], np.zeros((activity.shape[1],) * 2 + (len(labels),))
    for fold in np.unique(fold_of):
        train, test = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        design = np.column_stack([np.eye(4)[kinds[train]], labels[train]])
        levels = [np.linalg.lstsq(np.eye(4)[kinds[train]], activity[train, s], rcond=None)[0] for s in range(steps)]
        spread = [(activity[train, s] - levels[s][kinds[train]]).std(0) for s in range(steps)]
        for a in range(steps):
            z = (activity[train, a] - levels[a][kinds[train]]) / spread[a]
            shift = np.linalg.lstsq(design, z, rcond=None)[0][4]
            axis = np.linalg.inv(naive_covariance(z)) @ shift
            for t in test:
                p = labels[train][kinds[train] == kinds[t]].mean()
                for b in range(steps):
                    score = axis @ ((activity[t, b] - levels[b][kinds[t]]) / spread[b])
                    right[a, b, t] = (score > (0.5 - p) * axis @ shift) == labels[t]
    weight, accuracy = 0.0, 0.0
    for kind in range(4):
        of = [np.flatnonzero((kinds == kind) & (labels == label)) for label in (0, 1)]
        worth = len(of[0]) * len(of[1]) / (len(of[0]) + len(of[1]))
        weight += worth
        accuracy += worth * (right[..., of[0]].mean(-1) + right[..., of[1]].mean(-1)) / 2
    return accuracy / weight


def test_the_matrix_beyond_kinds_is_that_of_a_regression_on_kinds_and_labels():
    activity, labels, lives, kinds = (each[:320] for each in responding(np.random.default_rng(3), code=0.5))
    found = generalise(activity, labels, lives, 4, 0, given=kinds).matrix  # as many folds as lives
    np.testing.assert_allclose(found, naive_beyond(activity, labels, kinds, lives), atol=1e-9)


def test_pairs_are_neighbours_of_one_kind_in_one_block():
    blocks, kinds = np.array([0] * 8 + [1] * 3), np.array([5, 7, 5, 7, 7, 5, 9, 5, 5, 5, 5])
    found = pairs(blocks, kinds)
    same = [np.flatnonzero(found == group).tolist() for group in np.unique(found)]
    assert sorted(same) == [[0, 2], [1, 3, 4], [5, 7], [6], [8, 9, 10]]


def test_bins_are_means_of_equal_width_and_the_last_one_of_what_is_left():
    activity = np.arange(2 * 7 * 1, dtype=np.float32).reshape(2, 7, 1)
    np.testing.assert_array_equal(binned(activity, 3)[..., 0], [[1, 4, 6], [8, 11, 13]])
    np.testing.assert_array_equal(binned(activity, 1), activity)


ACTIVITY, LABELS = np.random.default_rng(0).normal(size=(20, 2, 3)), np.arange(20) % 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"labels": np.zeros(20)}, "all trials are labelled 0.0; give trials of two"),
        ({"folds": 21}, "21 folds need as many trials, got 20; choose fewer folds"),
        ({"blocks": np.arange(20) // 5}, "5 folds need as many blocks of trials, got 4"),
        ({"blocks": LABELS, "folds": 2}, "labels never differ within a block"),
        ({"activity": np.where(ACTIVITY.max() == ACTIVITY, np.nan, ACTIVITY)}, "got 1 of 120 values that are not"),
        ({"labels": np.arange(20) == 3}, "trials labelled True are in one of 5 folds only"),
        (
            {"labels": np.arange(20) % 2, "blocks": np.arange(20) // 4, "given": np.arange(20) % 2},
            "neighbouring trials of equal kind are all labelled alike",
        ),
        (
            {"labels": np.arange(20) < 2, "blocks": np.arange(20) // 4},
            "trials labelled True are in one of 5 folds only",
        ),
    ],
)
def test_data_that_cannot_be_decoded_are_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        generalise(**{"activity": ACTIVITY, "labels": LABELS, **arguments})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"activity": ACTIVITY[0]}, r"activity must have shape \(trials, steps, units\)"),
        ({"activity": ACTIVITY[:, :, :0]}, "none of them 0"),
        ({"labels": LABELS[1:]}, r"labels must have shape \(20,\)"),
        ({"blocks": LABELS[1:]}, r"blocks must have shape \(20,\)"),
        ({"folds": 1}, "folds must be at least 2"),
        ({"given": LABELS}, "there must be blocks and two classes"),
        ({"given": LABELS[1:]}, r"given must have shape \(20,\)"),
        ({"permutations": 38}, "permutations must be 0 or at least 39"),
    ],
)
def test_shapes_and_numbers_that_cannot_be_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        generalise(**{"activity": ACTIVITY, "labels": LABELS, **arguments})


def small_recording():
    """Return 2 lives of trials 10 to 15 of a task whose table is 0100, answered right in every other trial."""
    roles = np.array(["stimulus", "stimulus", "bias", "hidden", "modulator", "response"])
    kinds = np.array([[0, 1, 2, 3, 1, 2], [3, 3, 2, 2, 1, 0]])
    scores = np.zeros((2, 6, 3), np.float32)
    scores[:, ::2, 1] = 1.0
    rates = np.arange(2 * 6 * 3 * 6, dtype=np.float32).reshape(2, 6, 3, 6)
    labels = {"life": np.arange(2), "trial": np.arange(10, 16), "step": np.arange(3) * 20.0, "unit": roles}
    labels["score"] = np.array(["loss", "correct", "cost"])
    return Recording({"rates": rates, "kinds": kinds, "scores": scores}, labels, {"task": "01"})


def test_labels_are_the_bits_of_a_trial_s_type_and_the_response_that_was_given():
    found = labels_of(small_recording(), {"01": "0100"})
    assert {name: each.tolist() for name, each in found.items()} == {
        "stimulus 1": [[0, 0, 1, 1, 0, 1], [1, 1, 1, 1, 0, 0]],
        "stimulus 2": [[0, 1, 0, 1, 1, 0], [1, 1, 0, 0, 1, 0]],
        "response": [[0, 0, 0, 1, 1, 1], [0, 1, 0, 1, 1, 1]],
    }


def test_samples_are_trials_of_all_lives_and_units_that_decide():
    whole, rates = small_recording(), small_recording()["rates"].values
    late = early_and_late(whole, 2)[1]
    found = samples_of(whole, {"01": "0100"}, late)
    assert list(late) == [14, 15] and found.lives.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(found.activity, rates[:, 4:, :, 3:5].reshape(4, 3, 2))
    assert found.labels["response"].tolist() == [1, 1, 1, 1] and found.labels["stimulus 2"].tolist() == [1, 0, 1, 0]
    assert found.kinds.tolist() == [1, 2, 1, 0]
    assert len(samples_of(whole, {"01": "0100"}).activity) == 12
    wide = samples_of(whole, {"01": "0100"}, width=2).activity
    np.testing.assert_array_equal(wide[0], [rates[0, 0, :2, 3:5].mean(axis=0), rates[0, 0, 2, 3:5]])


def test_early_and_late_trials_are_different_trials():
    assert early_and_late(small_recording(), 3) == (range(10, 13), range(13, 16))
    for count in (0, 4):
        with pytest.raises(UserError, match=f"must be 1 to 3 trials each, as 6 are recorded, got {count}"):
            early_and_late(small_recording(), count)


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ({"or": "0111"}, r"task '01' has no truth table, .* one of \['or'\]"),
        ({"01": "01"}, "types of trials must be 0 to 1 .* got 0 to 3"),
    ],
)
def test_a_recording_of_another_task_is_refused(tables, sentence):
    with pytest.raises(UserError, match=sentence):
        labels_of(small_recording(), tables)


def test_labels_of_a_recorded_life_are_what_its_units_show_and_answer(recording, search):
    """The first stimulus unit is positive for bit 1, and the response unit with the larger sum is the response."""
    task = search.problem.task_of(["or"])
    found, rates = labels_of(recording, search.problem.settings.task.tables), recording["rates"].values
    periods, response = task.periods, recording["rates"].select(unit="response").values
    np.testing.assert_array_equal(found["stimulus 1"] == 1, rates[:, :, 0, 0] > 0)
    np.testing.assert_array_equal(found["stimulus 2"] == 1, rates[:, :, periods.onset, 0] > 0)
    read = response[:, :, periods.response : periods.response_end].sum(axis=2)
    np.testing.assert_array_equal(found["response"] == 1, read[..., 1] > read[..., 0])
    assert 0.0 < recording["scores"].values[..., CORRECT].mean() < 1.0
