"""Sparse regression: what is planted is found, what is not is not, and errors are those of blocks."""

import numpy as np
import pytest

from evoplastic.analysis.regression import beyond_noise, sparse_fit

NAMES = [f"c{number}" for number in range(20)]
BLOCKS = np.repeat(np.arange(20), 100)


def columns_of(seed=0, n=2000):
    """Return columns that resemble each other, of very different sizes."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 20)) + rng.normal(size=(n, 1))) * np.geomspace(1e-3, 1e3, 20)


def test_planted_terms_and_no_others_are_found_with_their_coefficients():
    columns = columns_of()
    fit = sparse_fit(columns, NAMES, 300.0 * columns[:, 2] - 0.01 * columns[:, 15], BLOCKS)
    assert [term.name for term in fit.terms] == ["c2", "c15"]
    np.testing.assert_allclose([term.coefficient for term in fit.terms], [300.0, -0.01], rtol=1e-9)
    assert fit.explained == pytest.approx(1.0)


def test_noise_alone_is_no_term_in_most_cases():
    rng = np.random.default_rng(1)
    found = [len(sparse_fit(columns_of(seed), NAMES, rng.normal(size=2000), BLOCKS).terms) for seed in range(40)]
    assert found.count(0) >= 38


def test_a_column_that_resembles_a_sum_of_the_true_ones_leaves_again():
    """Forward selection takes it first; only elimination shows that the two others make it needless."""
    rng = np.random.default_rng(2)
    columns = rng.normal(size=(2000, 20))
    columns[:, 7] = columns[:, 3] + columns[:, 4] + 0.1 * rng.normal(size=2000)
    fit = sparse_fit(columns, NAMES, columns[:, 3] + columns[:, 4] + 0.01 * rng.normal(size=2000), BLOCKS)
    assert [term.name for term in fit.terms] == ["c3", "c4"]


def test_explained_is_what_blocks_left_out_say_not_what_was_fitted():
    """A column that fits each block by another coefficient predicts no other block."""
    rng = np.random.default_rng(3)
    columns = columns_of()
    target = columns[:, 0] * np.repeat(rng.choice([-1.0, 1.0], 20), 100)
    fit = sparse_fit(columns, NAMES, target, BLOCKS)
    assert fit.explained < 0.1


def test_explained_is_about_the_mean_unless_only_a_constant_is_chosen():
    rng = np.random.default_rng(4)
    columns = np.column_stack([np.ones(2000), rng.normal(size=(2000, 1))])
    noise = rng.normal(size=2000)
    drift = sparse_fit(columns, ["1", "x"], 3.0 + 0.1 * noise, BLOCKS)
    assert [term.name for term in drift.terms] == ["1"] and drift.explained > 0.99
    weak = sparse_fit(columns, ["1", "x"], 3.0 + 0.5 * columns[:, 1] + noise, BLOCKS)
    assert weak.explained == pytest.approx(0.25 / 1.25, abs=0.05)


def test_standard_errors_are_those_of_blocks_and_cover_what_they_promise():
    """Errors that a block shares make its samples count as few: independent samples would promise a third of this."""
    inside, reported = 0, []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        column = np.repeat(rng.normal(size=20), 100)[:, None] + 0.1 * rng.normal(size=(2000, 1))
        target = column[:, 0] + np.repeat(rng.normal(size=20), 100) * 0.3
        (term,) = sparse_fit(column, ["x"], target, BLOCKS).terms
        inside += abs(term.coefficient - 1.0) < 2.09 * term.error  # Student's t of 19 degrees
        reported.append(term.error)
    assert 0.87 <= inside / 200 <= 0.99
    assert np.median(reported) > 5.0 * 0.3 / np.sqrt(2000)


def test_of_multiples_the_first_stands_for_all_and_silent_columns_are_named():
    columns = columns_of()
    columns[:, 5], columns[:, 9] = -4.0 * columns[:, 1], 0.0
    fit = sparse_fit(columns, NAMES, columns[:, 5], BLOCKS)
    assert [(term.name, round(term.coefficient, 6)) for term in fit.terms] == [("c1", -4.0)]
    assert fit.alike == {"c5": "c1"} and fit.silent == ("c9",)


def test_conditioning_is_that_of_columns_at_a_mean_square_of_1():
    rng = np.random.default_rng(5)
    columns = rng.normal(size=(2000, 3)) * [1.0, 50.0, 0.02]
    columns[:, 2] = columns[:, 0] + 0.1 * columns[:, 2] * 50.0
    fit = sparse_fit(columns, NAMES[:3], columns[:, 0] + columns[:, 1], BLOCKS)
    standard = columns / np.sqrt(np.mean(columns**2, axis=0))
    assert fit.dictionary_condition == pytest.approx(np.linalg.cond(standard), rel=1e-6)
    assert fit.condition == pytest.approx(np.linalg.cond(standard[:, :2]), rel=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"names": NAMES[:3]}, "columns must be"),
        ({"target": np.zeros(2000)}, "some target other than 0"),
        ({"target": np.full(2000, np.nan)}, "must be finite"),
        ({"blocks": np.zeros(2000, int)}, "blocks must be two or more"),
    ],
)
def test_a_caller_s_mistake_is_told(change, words):
    given = {"columns": columns_of(), "names": NAMES, "target": np.ones(2000), "blocks": BLOCKS} | change
    with pytest.raises(ValueError, match=words):
        sparse_fit(**given)


def test_errors_of_measuring_are_noise_and_what_a_model_lacks_is_not():
    rng = np.random.default_rng(6)
    target, places, moving = 3.0 * rng.normal(size=2000), np.arange(2000) + np.arange(2000) // 50, np.zeros(2000, int)
    measured, lacking = np.diff(rng.normal(size=2001)), rng.normal(size=2000)
    slow = np.convolve(rng.normal(size=2049), np.ones(50) / np.sqrt(50.0), "valid")
    assert beyond_noise(measured, target, places, moving) == 0.0
    assert 0.07 < beyond_noise(lacking, target, places, moving) < 0.12
    assert 0.25 < beyond_noise(slow, target, places, moving) < 0.35
    assert 0.03 < beyond_noise(measured + lacking, target, places, moving) < 0.12


def test_errors_of_measuring_are_seldom_taken_for_more():
    rng = np.random.default_rng(8)
    told = [
        beyond_noise(np.diff(rng.normal(size=401)), np.ones(400), np.arange(400), np.zeros(400)) for _ in range(500)
    ]
    assert np.count_nonzero(told) <= 5


def test_what_is_left_beside_steps_in_which_nothing_changed_is_no_error_of_measuring():
    rng = np.random.default_rng(7)
    target, left, places = 3.0 * rng.normal(size=2000), rng.normal(size=2000), 3 * np.arange(2000)
    assert 0.1 < beyond_noise(left, target, places, np.full(2000, 2)) < 0.125
    assert beyond_noise(left, target, places, np.zeros(2000, int)) == 0.0  # nothing is known of neighbours
