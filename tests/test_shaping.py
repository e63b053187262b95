"""Fitness shaping."""

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoplastic.strategies.shaping import (
    SHAPINGS,
    ShapingName,
    centered_rank,
    effective_size,
    nes_utilities,
    raw,
    z_score,
)

nan, inf = np.nan, np.inf
finite = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20)


def test_every_name_a_run_file_may_give_has_a_function():
    assert get_args(ShapingName) == tuple(SHAPINGS)


def test_raw_fitness_is_left_as_it_is():
    assert raw(np.array([3.0, -1.0, 2.0])).tolist() == [3.0, -1.0, 2.0]


def test_raw_gives_the_worst_finite_fitness_to_what_is_not_finite():
    assert raw(np.array([3.0, nan, -1.0, inf, -inf])).tolist() == [3.0, -1.0, -1.0, -1.0, -1.0]


def test_ranks_go_from_minus_a_half_to_a_half():
    assert centered_rank(np.array([10.0, -5.0, 0.0])).tolist() == [0.5, -0.5, 0.0]


def test_equal_fitness_has_the_mean_of_its_ranks():
    assert centered_rank(np.array([1.0, 0.0, 1.0, 2.0, 1.0])).tolist() == [0.0, -0.5, 0.0, 0.5, 0.0]


def test_what_is_not_finite_ranks_below_all_that_is():
    assert centered_rank(np.array([0.0, nan, -9.0, inf, 5.0])).tolist() == [0.25, -0.375, 0.0, -0.375, 0.5]


@settings(derandomize=True, max_examples=50, deadline=None)
@given(finite)
def test_ranks_are_the_share_of_members_beaten_less_the_share_that_beat(fitness):
    naive = [sum((f > other) - (f < other) for other in fitness) / 2 / (len(fitness) - 1) for f in fitness]
    assert np.allclose(centered_rank(np.array(fitness)), naive, rtol=0, atol=1e-15)


def naive_utilities(fitness):
    """Return u as its equation says, for fitness without ties."""
    size = len(fitness)
    ranks = [1 + sum(other > f for other in fitness) for f in fitness]
    logs = [max(0.0, math.log(size / 2 + 1) - math.log(k)) for k in range(1, size + 1)]
    return [logs[rank - 1] / sum(logs) - 1 / size for rank in ranks]


def test_utilities_are_those_of_the_paper():
    fitness = [3.0, -1.0, 7.5, 0.0, 2.0, -8.0, 4.0]
    assert np.allclose(nes_utilities(np.array(fitness)), naive_utilities(fitness), rtol=0, atol=1e-11)


def test_the_best_of_two_has_utility_a_half_and_the_other_minus_a_half():
    # ln 2 - ln 1 and ln 2 - ln 2, of sum ln 2; less 1/2 each
    assert nes_utilities(np.array([1.0, 4.0])).tolist() == [-0.5, 0.5]


def test_equal_fitness_has_the_mean_of_its_utilities():
    four = naive_utilities([4.0, 3.0, 2.0, 1.0])
    middle = (four[1] + four[2]) / 2
    assert np.allclose(nes_utilities(np.array([5.0, 9.0, 5.0, 1.0])), [middle, four[0], middle, four[3]], atol=1e-11)
    assert np.allclose(nes_utilities(np.zeros(7)), 0.0, atol=1e-15)


def test_what_is_not_finite_has_the_worst_utilities():
    four = naive_utilities([4.0, 3.0, 2.0, 1.0])
    last = (four[2] + four[3]) / 2
    assert np.allclose(nes_utilities(np.array([nan, 9.0, inf, 1.0])), [last, four[0], last, four[1]], atol=1e-11)


def test_z_scores_have_mean_zero_and_deviation_one():
    fitness = np.array([3.0, -1.0, 7.5, 0.0])
    assert np.allclose(z_score(fitness), (fitness - 2.375) / np.sqrt(np.mean((fitness - 2.375) ** 2)), rtol=1e-14)


def test_constant_fitness_has_z_scores_of_zero():
    assert z_score(np.full(7, 0.1)).tolist() == [0.0] * 7
    assert z_score(np.zeros(3)).tolist() == [0.0] * 3


def test_what_is_not_finite_has_the_worst_z_score_and_moves_no_other():
    assert z_score(np.array([nan, 1.0, 3.0, inf])) == pytest.approx([-1.0, -1.0, 1.0, -1.0], rel=1e-15)


def test_z_scores_do_not_overflow():
    assert z_score(np.array([1.7e308, -1.7e308])).tolist() == [1.0, -1.0]


@pytest.mark.parametrize("shape", SHAPINGS.values(), ids=SHAPINGS)
@settings(derandomize=True, max_examples=50, deadline=None)
@given(fitness=st.lists(st.floats(), min_size=1, max_size=19))
def test_shaped_fitness_is_finite_and_keeps_the_order(shape, fitness):
    fitness = np.array([*fitness, 0.0])
    shaped = shape(fitness)
    assert np.isfinite(shaped).all()
    known = np.isfinite(fitness)
    order = np.argsort(fitness[known], kind="stable")
    assert (np.diff(shaped[known][order]) >= 0).all()
    assert shaped[~known].size == 0 or shaped[~known].max() <= shaped[known].min()


def test_the_effective_size_is_the_number_of_equal_weights_and_one_for_a_single_one():
    assert effective_size(np.full(7, -0.3)) == pytest.approx(7.0)
    assert effective_size(np.array([0.0, 5.0, 0.0])) == 1.0
    assert effective_size(np.array([3.0, -1.0])) == pytest.approx(16.0 / 10.0)
    assert effective_size(np.zeros(3)) == 0.0
