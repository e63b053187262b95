"""Intervals: Student's t and BCa over units of replication, none below ten of them, nothing left out in silence."""

import json

import numpy as np
import pytest
from scipy import stats

from evoplastic.analysis import statistics
from evoplastic.analysis.statistics import FEWEST_UNITS, Interval, interquartile_mean, interval, paired, share

SAMPLE = np.array([0.62, 0.71, 0.55, 0.68, 0.74, 0.59, 0.66, 0.70, 0.63, 0.61, 0.58, 0.69])


def test_interval_is_student_t_of_the_mean():
    low, high = stats.t.interval(0.95, len(SAMPLE) - 1, SAMPLE.mean(), stats.sem(SAMPLE))
    found = interval(SAMPLE)
    np.testing.assert_allclose(found, (SAMPLE.mean(), low, high, 12), rtol=1e-12)


def test_interval_of_a_hand_computed_sample():
    """0 to 9: mean 4.5, variance 55 / 6, t(.975, 9) = 2.262157."""
    half = 2.2621571628 * np.sqrt(55 / 6 / 10)
    np.testing.assert_allclose(interval(np.arange(10.0)), (4.5, 4.5 - half, 4.5 + half, 10), rtol=1e-9)


POPULATIONS = {  # a sampler, and what its mean and its interquartile mean are
    "normal": (lambda rng, shape: rng.normal(0.3, 1.0, shape), 0.3),
    "two-peaked": (lambda rng, shape: rng.choice([0.5, 0.9], shape) + rng.normal(0.0, 0.03, shape), 0.7),
    "heavy-tailed": (lambda rng, shape: rng.standard_t(3, shape), 0.0),
}


def covered(summary, population, count, n):
    """Return how often the interval of `count` samples of `n` holds the true value."""
    draw, true = POPULATIONS[population]
    found = map(summary, draw(np.random.default_rng(n), (count, n)))
    return np.mean([low <= true <= high for _, low, high, _ in found])


@pytest.mark.parametrize("n", [10, 30])
@pytest.mark.parametrize("population", POPULATIONS)
def test_interval_covers_the_true_mean_as_often_as_it_promises(population, n):
    """Of 8,000 samples, a share that has a standard error of .0024."""
    assert 0.93 < covered(interval, population, 8000, n) < 0.97


@pytest.mark.parametrize("n", [10, 30])
@pytest.mark.parametrize("population", POPULATIONS)
def test_the_interval_of_an_interquartile_mean_covers_as_often_as_it_promises(population, n, monkeypatch):
    """Of 400 samples, with a bootstrap of 499: a standard error of .011, hence a bound of two more than that."""
    monkeypatch.setattr(statistics, "RESAMPLES", 499)
    assert abs(covered(interquartile_mean, population, 400, n) - 0.95) < 0.04


def test_interquartile_mean_of_a_hand_computed_sample():
    """Of eleven floor(11 / 4) = 2 are left out at each end: (2 + 3 + 4 + 5 + 6 + 7 + 8) / 7."""
    sample = [4.0, 1e6, 2.0, 8.0, 6.0, -1e6, 5.0, 3.0, 7.0, 99.0, -99.0]
    assert interquartile_mean(sample).mean == 5.0
    assert interquartile_mean(SAMPLE).mean == pytest.approx(stats.trim_mean(SAMPLE, 0.25))
    assert [interquartile_mean(sample[:n]).mean for n in (1, 3, 4)] == [4.0, pytest.approx(1000006 / 3), 6.0]


def test_the_interval_of_an_interquartile_mean_is_bca_at_student_s_quantile():
    """Bias from the share of resamples below, acceleration from the jackknife, both into the levels (Efron 1987)."""
    of = lambda values: stats.trim_mean(values, 0.25, axis=-1)  # noqa: E731
    sample, n, rng = np.append(SAMPLE, 0.2), 13, np.random.default_rng(3)
    resampled = of(sample[rng.integers(n, size=(200_000, n))])
    bias = stats.norm.ppf((np.mean(resampled < of(sample)) + np.mean(resampled <= of(sample))) / 2)
    left = np.array([of(np.delete(sample, unit)) for unit in range(n)])
    away = left.mean() - left
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    quantiles = bias + stats.t.ppf([0.025, 0.975], n - 1)
    levels = stats.norm.cdf(bias + quantiles / (1 - acceleration * quantiles))
    found = interquartile_mean(sample)
    np.testing.assert_allclose(found[1:3], np.quantile(resampled, levels), atol=0.006)
    assert found == interquartile_mean(sample)


def test_an_interquartile_mean_that_no_unit_moves_has_no_interval():
    assert interquartile_mean([1.0] * 9 + [0.5]) == (1.0, None, None, 10)


@pytest.mark.parametrize("n", [1, 2, FEWEST_UNITS - 1])
def test_below_ten_units_there_is_a_mean_and_no_interval(n):
    assert interval(SAMPLE[:n]) == (pytest.approx(SAMPLE[:n].mean()), None, None, n)
    assert interquartile_mean(SAMPLE[:n])[1:] == (None, None, n)


@pytest.mark.parametrize("summary", [interval, interquartile_mean])
def test_equal_values_have_an_interval_of_no_width(summary):
    assert summary([0.1] * 12) == (0.1, 0.1, 0.1, 12)


@pytest.mark.parametrize("summary", [interval, interquartile_mean])
def test_a_value_that_is_not_a_number_spoils_the_mean_and_is_null_in_json(summary):
    found = summary([*SAMPLE, np.nan])
    assert np.isnan(found.mean) and found.n == 13
    assert json.loads(json.dumps(found.to_json())) == {"mean": None, "low": None, "high": None, "n": 13}


def test_json_of_an_interval_has_the_promised_keys_in_order():
    assert json.dumps(Interval(0.5, 0.4, 0.6, 12).to_json()) == '{"mean": 0.5, "low": 0.4, "high": 0.6, "n": 12}'


@pytest.mark.parametrize("summary", [interval, interquartile_mean])
@pytest.mark.parametrize("values", [[], [[0.1, 0.2]], 0.5])
def test_values_must_be_a_list_of_at_least_one(values, summary):
    with pytest.raises(ValueError, match=r"shape \(n,\)"):
        summary(values)


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
