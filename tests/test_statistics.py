"""Intervals: Student's t over units of replication, none below ten of them, and nothing left out in silence."""

import json

import numpy as np
import pytest
from scipy import stats

from evoplastic.analysis.statistics import FEWEST_UNITS, Interval, interval, paired, share

SAMPLE = np.array([0.62, 0.71, 0.55, 0.68, 0.74, 0.59, 0.66, 0.70, 0.63, 0.61, 0.58, 0.69])


def test_interval_is_student_t_of_the_mean():
    low, high = stats.t.interval(0.95, len(SAMPLE) - 1, SAMPLE.mean(), stats.sem(SAMPLE))
    found = interval(SAMPLE)
    np.testing.assert_allclose(found, (SAMPLE.mean(), low, high, 12), rtol=1e-12)


def test_interval_of_a_hand_computed_sample():
    """0 to 9: mean 4.5, variance 55 / 6, t(.975, 9) = 2.262157."""
    half = 2.2621571628 * np.sqrt(55 / 6 / 10)
    np.testing.assert_allclose(interval(np.arange(10.0)), (4.5, 4.5 - half, 4.5 + half, 10), rtol=1e-9)


def test_interval_covers_the_true_mean_as_often_as_it_promises():
    """2,000 samples of 10: the share covered has a standard error of .005, the bound is four of them."""
    samples = np.random.default_rng(0).normal(0.3, 1.0, (2000, 10))
    covered = [found.low <= 0.3 <= found.high for found in map(interval, samples)]
    assert abs(np.mean(covered) - 0.95) < 0.02


@pytest.mark.parametrize("n", [1, 2, FEWEST_UNITS - 1])
def test_below_ten_units_there_is_a_mean_and_no_interval(n):
    assert interval(SAMPLE[:n]) == (pytest.approx(SAMPLE[:n].mean()), None, None, n)


def test_equal_values_have_an_interval_of_no_width():
    assert interval([0.1] * 12) == (0.1, 0.1, 0.1, 12)


def test_a_value_that_is_not_a_number_spoils_the_mean_and_is_null_in_json():
    found = interval([*SAMPLE, np.nan])
    assert np.isnan(found.mean) and found.n == 13
    assert json.loads(json.dumps(found.to_json())) == {"mean": None, "low": None, "high": None, "n": 13}


def test_json_of_an_interval_has_the_promised_keys_in_order():
    assert json.dumps(Interval(0.5, 0.4, 0.6, 12).to_json()) == '{"mean": 0.5, "low": 0.4, "high": 0.6, "n": 12}'


@pytest.mark.parametrize("values", [[], [[0.1, 0.2]], 0.5])
def test_values_must_be_a_list_of_at_least_one(values):
    with pytest.raises(ValueError, match=r"shape \(n,\)"):
        interval(values)


def test_pairing_takes_out_what_both_share():
    between_units = np.linspace(-10.0, 10.0, 12)
    np.testing.assert_allclose(paired(SAMPLE + between_units, between_units), interval(SAMPLE), rtol=1e-9)


def test_only_equally_many_values_can_be_paired():
    with pytest.raises(ValueError, match="one shape"):
        paired(SAMPLE, SAMPLE[:-1])


def test_an_interval_is_printed_where_there_is_one():
    assert (str(interval(SAMPLE)), str(interval(SAMPLE[1:3]))) == (".65 [.61, .68]", ".63")


@pytest.mark.parametrize(
    ("value", "text"), [(0.873, ".87"), (1.0, "1.00"), (0.0, ".00"), (-0.031, "-.03"), (-0.001, ".00"), (10.0, "10.00")]
)
def test_shares_are_written_in_two_digits(value, text):
    assert share(value) == text
