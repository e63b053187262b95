"""Elementary functions keep the error bounds that their docstring states."""

import numpy as np
import pytest

from evoplastic.jit import kernel
from evoplastic.polynomials import exp, log, sincos_turn, tanh

TINY, HUGE = np.finfo(np.float32).smallest_normal, np.finfo(np.float32).max


@kernel
def tanh_of_each(x, out):
    for i in range(x.shape[0]):
        out[i] = tanh(x[i])


@kernel
def exp_of_each(x, out):
    for i in range(x.shape[0]):
        out[i] = exp(x[i])


@kernel
def log_of_each(x, out):
    for i in range(x.shape[0]):
        out[i] = log(x[i])


@kernel
def sincos_turn_of_each(u, out):
    for i in range(u.shape[0]):
        out[0, i], out[1, i] = sincos_turn(u[i])


def each(function, x):
    out = np.empty_like(x)
    function(x, out)
    return out


POSITIVE = np.exp(np.linspace(np.log(float(TINY)), np.log(float(HUGE)), 1_000_000)).astype(np.float32).clip(TINY, HUGE)
ROUND_ONE = np.linspace(0.5, 2.0, 1_000_001).astype(np.float32)
NUMBERS = np.concatenate([-POSITIVE, POSITIVE, np.linspace(-12, 12, 1_000_001)]).astype(np.float32)


def test_tanh_is_relatively_exact_to_5e_7_everywhere():
    x = NUMBERS[NUMBERS != 0]
    exact = np.tanh(x.astype(float))
    assert np.abs(each(tanh_of_each, x) / exact - 1).max() < 5e-7


def test_tanh_is_odd_and_stays_within_one():
    y = each(tanh_of_each, NUMBERS)
    np.testing.assert_array_equal(y, -each(tanh_of_each, -NUMBERS))
    assert np.abs(y).max() <= 1


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (np.inf, 1.0), (-np.inf, -1.0), (HUGE, 1.0)])
def test_tanh_of_the_extremes(x, y):
    assert tanh(np.float32(x)) == pytest.approx(y, abs=5e-7)


@pytest.mark.parametrize("function", [tanh, tanh.py_func, exp, exp.py_func])
def test_nan_stays_nan(function):
    assert np.isnan(function(np.float32(np.nan)))


def test_exp_is_relatively_exact_to_5e_7_between_its_limits():
    x = np.concatenate([NUMBERS[np.abs(NUMBERS) <= 80], np.linspace(-80, 80, 1_000_001, dtype=np.float32)])
    assert np.abs(each(exp_of_each, x) / np.exp(x.astype(float)) - 1).max() < 5e-7


@pytest.mark.parametrize(("x", "y"), [(80, 80), (-80, -80), (HUGE, 80), (-HUGE, -80), (np.inf, 80), (-np.inf, -80)])
def test_exp_of_the_extremes_is_a_normal_number(x, y):
    assert exp(np.float32(x)) == pytest.approx(np.exp(y), rel=5e-7)
    assert TINY <= exp(np.float32(x)) <= HUGE


def test_exp_of_zero_is_one():
    assert exp(np.float32(0.0)) == exp(np.float32(-0.0)) == 1


def test_exp_has_the_same_bits_in_plain_python():
    x = np.linspace(-90, 90, 10_001, dtype=np.float32)
    np.testing.assert_array_equal(each(exp_of_each, x), [exp.py_func(value) for value in x])


@pytest.mark.parametrize("x", [POSITIVE, ROUND_ONE], ids=["all", "round one"])
def test_log_is_exact_to_1e_6_or_relatively_to_5e_7(x):
    exact = np.log(x.astype(float))
    error = np.abs(each(log_of_each, x) - exact)
    assert (error < np.maximum(1e-6, 5e-7 * np.abs(exact))).all()


def test_log_of_one_is_zero_and_of_less_is_negative():
    assert log(np.float32(1.0)) == 0
    below = ROUND_ONE[ROUND_ONE < 1]
    assert each(log_of_each, below).max() < 0


def test_sincos_turn_is_exact_to_5e_7():
    u = np.unique(np.concatenate([np.linspace(0, 1, 1_000_001)[:-1], [np.nextafter(np.float32(1), np.float32(0))]]))
    u = u.astype(np.float32)
    u = u[u < 1]
    out = np.empty((2, len(u)), np.float32)
    sincos_turn_of_each(u, out)
    angle = 2 * np.pi * (u.astype(float) - 0.125)
    assert np.abs(out - [np.sin(angle), np.cos(angle)]).max() < 5e-7


@pytest.mark.parametrize("function", [tanh, exp, log])
def test_results_are_float32(function):
    assert isinstance(function.py_func(np.float32(0.3)), np.float32)
    function(np.float32(0.3))
    assert [str(function.nopython_signatures[0].return_type)] == ["float32"]
