"""Addressed randomness: known answers, distributions, and no two addresses alike."""

import itertools

import naive
import numpy as np
import pytest
from scipy import stats

from evoplastic.random import Purpose, below, fill_normals, philox, stream_key, unit


def draw(key, stream, index):
    with np.errstate(over="ignore"):
        return tuple(int(word) for word in philox(np.uint64(key), np.uint64(stream), np.uint64(index)))


ALL = 2**64 - 1
KNOWN = {  # Random123's kat_vectors for philox4x32-10: (key, counter's high half, low half) -> words
    (0, 0, 0): "6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    (ALL, ALL, ALL): "408f276d 41c83b0e a20bc7c6 6d5451fd",
    (0x299F31D0A4093822, 0x0370734413198A2E, 0x85A308D3243F6A88): "d16cfe09 94fdcceb 5001e420 24126ea1",
}


@pytest.mark.parametrize("address", KNOWN)
def test_philox_gives_the_known_answers(address):
    words = tuple(int(word, 16) for word in KNOWN[address].split())
    assert draw(*address) == words
    assert naive.philox(*address) == words


def test_plain_python_philox_is_the_compiled_one():
    with np.errstate(over="ignore"):
        plain = philox.py_func(np.uint64(ALL - 5), np.uint64(3), np.uint64(7 << 32))
    assert tuple(map(int, plain)) == draw(ALL - 5, 3, 7 << 32) == naive.philox(ALL - 5, 3, 7 << 32)


def test_neighbouring_addresses_differ():
    parts = [0, 1, 2, 2**32, 2**32 + 1, 2**63]
    words = [draw(*address) for address in itertools.product(parts, repeat=3)]
    assert len(set(words)) == len(parts) ** 3


def test_unit_is_in_the_half_open_interval_that_log_can_take():
    words = np.array([0, 1, 2**31, 2**32 - 1], np.uint32)
    drawn = [unit(word) for word in words]
    assert drawn[0] > 0 and drawn[-1] == 1 and drawn == sorted(drawn)


def test_units_are_uniform():
    words = np.array([draw(5, 9, i) for i in range(5000)]).ravel()
    drawn = np.array([unit(np.uint32(word)) for word in words])
    assert stats.kstest(drawn, "uniform").pvalue > 0.01
    assert drawn.mean() == pytest.approx(0.5, abs=4 / np.sqrt(12 * drawn.size))


@pytest.mark.parametrize("n", [2, 3, 16, 400])
def test_below_is_unbiased(n):
    drawn = [below(word, n) for i in range(5000) for word in draw(6, n, i)]
    counts = np.bincount(drawn, minlength=n)
    assert len(counts) == n
    assert stats.chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize("n", [1, 3, 2**16])
def test_below_reaches_both_ends(n):
    assert below(np.uint32(0), n) == 0 and below(np.uint32(2**32 - 1), n) == n - 1


def normals(key, size, dtype=np.float32):
    out = np.empty(size, dtype)
    fill_normals(np.uint64(key), out)
    return out


def test_normals_are_normal():
    drawn = normals(11, 200_000).astype(float)
    error = 4 / np.sqrt(drawn.size)
    assert stats.kstest(drawn, "norm").pvalue > 0.01
    assert drawn.mean() == pytest.approx(0, abs=error)
    assert drawn.var() == pytest.approx(1, abs=error * np.sqrt(2))
    assert stats.skew(drawn) == pytest.approx(0, abs=error * np.sqrt(6))
    assert stats.kurtosis(drawn) == pytest.approx(0, abs=error * np.sqrt(24))


def test_normals_of_one_counter_are_uncorrelated():
    quarters = normals(12, 200_000).reshape(4, -1)
    apart = np.corrcoef(np.vstack([quarters, quarters**2]))[np.triu_indices(8, 1)]
    assert np.abs(apart).max() < 4.5 / np.sqrt(quarters.shape[1])


def test_normals_of_two_keys_are_uncorrelated():
    ours, theirs = normals(1, 100_000), normals(2, 100_000)
    assert abs(np.corrcoef(ours, theirs)[0, 1]) < 4 / np.sqrt(ours.size)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 7, 9801])
def test_normals_follow_from_their_address(size):
    quarter = -(-size // 4)
    words = [naive.philox(3, 0, i) for i in range(quarter)]
    expected = []
    for pair in (0, 1):
        radius = np.array([np.sqrt(-2 * np.log(naive.unit(word[2 * pair]))) for word in words])
        angle = np.array([2 * np.pi * ((word[2 * pair + 1] >> 8) / 2**24 - 0.125) for word in words])
        expected += [radius * np.cos(angle), radius * np.sin(angle)]
    np.testing.assert_allclose(normals(3, size), np.concatenate(expected)[:size], atol=1e-5)


def test_equal_names_give_equal_keys():
    assert stream_key(5, Purpose.LIFETIME, 1, 2) == stream_key(5, Purpose.LIFETIME, 1, 2)


def test_keys_of_different_names_differ():
    paths = [(), (0,), (5,), (5, 0), (0, 5), (5, 0, 0), (0, 0), (2**32 - 1,)]
    keys = {stream_key(seed, purpose, *path) for seed in (0, 1, 2**40) for purpose in Purpose for path in paths}
    assert len(keys) == 3 * len(Purpose) * len(paths)


def test_a_path_that_would_share_its_key_is_refused():
    # SeedSequence splits (2**32,) into the words (0, 1).
    with pytest.raises((ValueError, OverflowError)):
        stream_key(5, Purpose.TASK, 2**32)


def test_numbers_of_purposes_never_change():
    expected = {
        "INITIAL": 0,
        "PERTURBATION": 1,
        "TASK": 2,
        "LIFETIME": 3,
        "VALIDATION": 4,
        "EVALUATION": 5,
        "CONTROL": 6,
    }
    numbers = {purpose.name: int(purpose) for purpose in Purpose}
    assert {name: numbers.get(name) for name in expected} == expected


def test_a_key_never_changes():
    assert stream_key(7, Purpose.LIFETIME, 3, 1) == np.random.SeedSequence(7, spawn_key=(3, 3, 1)).generate_state(
        1, np.uint64
    )
