"""The pictures of a network at work: units in an order that shows something, and numbers that say of how many."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib import style

from evoplastic.analysis.canvas import STYLE
from evoplastic.analysis.network_figures import effective, network_figures, order
from evoplastic.recordings import Recording

ROLES = ["stimulus", "bias", *["hidden"] * 8, "response"]
LIVES, TRIALS, STEPS, UNITS = 2, 24, 10, len(ROLES)


def recording(**changed):
    """Return a recording of random numbers in which hidden units 2, 4, 6, 8 go together, and 3, 5, 7, 9."""
    rng = np.random.default_rng(0)
    rates = 0.1 * rng.normal(size=(LIVES, TRIALS, STEPS, UNITS))
    for first in (2, 3):
        rates[..., first:10:2] += rng.normal(size=(LIVES, TRIALS, STEPS, 1))
    correct = (np.arange(TRIALS) % 3 > 0).astype(np.float32)
    scores = np.zeros((LIVES, TRIALS, 3), np.float32)
    scores[..., 1] = correct
    modulators = np.zeros((LIVES, TRIALS, STEPS, 1), np.float32)
    modulators[:, :, 7, 0] = np.where(correct, 0.5, -0.5)
    arrays = {
        "rates": rates.astype(np.float32),
        "modulators": modulators,
        "kinds": np.tile(np.arange(TRIALS) % 4, (LIVES, 1)),
        "scores": scores,
        "weights": rng.normal(size=(LIVES, 3, UNITS, UNITS)).astype(np.float32),
        "innate": rng.normal(size=(LIVES, UNITS, UNITS)).astype(np.float32),
        "gain": np.full((LIVES, UNITS, UNITS), 0.5, np.float32),
    } | changed
    labels = {
        "life": np.arange(LIVES),
        "trial": np.arange(TRIALS),
        "step": 20.0 * np.arange(STEPS),
        "unit": np.array(ROLES),
        "pre": np.array(ROLES),
        "post": np.array(ROLES),
        "channel": np.array(["m"]),
        "score": np.array(["loss", "correct", "cost"]),
        "sample": np.array([7, 15, 23]),
    }
    return Recording(arrays, labels, {"feedback_step": 7})


@pytest.fixture(scope="module")
def figures():
    with style.context(["default", STYLE]):
        yield network_figures(recording())


def words(figure):
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_units_keep_to_their_roles_and_those_that_go_together_stand_together():
    units = order(recording()).tolist()
    assert sorted(units) == list(range(UNITS)) and units[:2] == [0, 1] and units[-1] == 10
    assert {frozenset(units[2:6]), frozenset(units[6:10])} == {frozenset([2, 4, 6, 8]), frozenset([3, 5, 7, 9])}


def test_units_that_never_move_stand_last_among_the_hidden():
    still = recording().arrays["rates"].copy()
    still[..., 5] = 0.25
    assert order(recording(rates=still)).tolist()[-2:] == [5, 10]


def test_what_is_learned_is_scaled_by_the_gain_and_added_to_the_innate_weights():
    of = recording()
    newborn, old = effective(of, life=1)
    np.testing.assert_allclose((old - newborn)[:, 2:], 0.5 * of["weights"].values[1, -1][:, 2:], rtol=1e-5)
    np.testing.assert_array_equal(newborn[:, 2:], of["innate"].values[1][:, 2:])
    assert not old[:, :2].any(), "what reaches a clamped unit does nothing"


def test_weights_are_drawn_by_sending_and_receiving_unit(figures):
    of, innate = recording(), figures["weights"].axes[0]
    units = order(of)
    np.testing.assert_allclose(innate.images[0].get_array(), effective(of)[0][np.ix_(units, units)], rtol=1e-6)
    assert (innate.get_xlabel(), innate.get_ylabel()) == ("receiving unit", "sending unit")


def test_third_factors_are_parted_by_the_trial_s_outcome(figures):
    (axes,) = figures["modulators"].axes
    means = {text.get_text(): line.get_ydata() for text, line in zip(axes.legend_.texts, axes.lines)}
    assert list(means) == ["right, n = 32", "wrong, n = 16"]
    assert [means[name][7] for name in means] == [0.5, -0.5]
    assert all(not np.delete(mean, 7).any() for mean in means.values())


def test_trajectories_start_at_their_circles_and_say_of_how_many_trials(figures):
    early, late = figures["trajectories"].axes
    assert [text.get_text() for text in early.legend_.texts] == [f"type {kind}, n = 3" for kind in range(4)]
    assert early.get_xlim() == late.get_xlim() and early.get_ylim() == late.get_ylim()
    lines, starts = early.lines[::2], early.lines[1::2]
    assert all(line.get_xdata()[0] == start.get_xdata()[0] for line, start in zip(lines, starts))


def test_eigenvalues_are_those_of_free_units_alone(figures):
    newborn = figures["spectrum"].axes[0].lines[1]
    values = np.concatenate(
        [np.linalg.eigvals(each[2:, 2:].astype(np.float64)) for each in recording().arrays["innate"]]
    )
    np.testing.assert_allclose(np.sort(newborn.get_xdata()), np.sort(values.real), atol=1e-9)


def test_pictures_say_what_they_are_of(figures):
    assert list(figures) == ["weights", "spectrum", "activity", "modulators", "trajectories"]
    assert "first of 2 lives" in words(figures["weights"]) and "after 24 trials" in words(figures["spectrum"])
    assert "trials 4 to 23" in words(figures["activity"]) and "feedback" in words(figures["activity"])


def test_scores_that_are_no_answers_are_parted_at_their_median():
    scores = np.zeros((LIVES, TRIALS, 3), np.float32)
    scores[..., 1] = np.linspace(0.0, 0.9, TRIALS)
    axes = network_figures(recording(scores=scores))["modulators"].axes[0]
    assert [text.get_text() for text in axes.legend_.texts] == ["score above 0.45, n = 24", "others, n = 24"]


FEW = [["stimulus"] * 9 + ["bias", "response"], ["stimulus"] * 8 + ["hidden"] + ["response"] * 2]


@pytest.mark.parametrize("roles", FEW)
def test_networks_of_few_free_units_and_lives_of_one_trial_are_drawn_too(roles):
    of = recording()
    labels = {**of.labels, **dict.fromkeys(("unit", "pre", "post"), np.array(roles)), "trial": np.arange(1)}
    first = {name: of.arrays[name][:, :1] for name in ("rates", "modulators", "kinds", "scores")}
    for figure in network_figures(Recording({**of.arrays, **first}, labels, of.about)).values():
        figure.savefig(BytesIO(), format="svg")


def test_a_network_that_is_always_right_and_never_moves_is_drawn_too():
    rates = np.zeros((LIVES, TRIALS, STEPS, UNITS), np.float32)
    scores = np.ones((LIVES, TRIALS, 3), np.float32)
    for figure in network_figures(recording(rates=rates, scores=scores)).values():
        figure.savefig(BytesIO(), format="svg")
