"""Fitness shaping."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoplastic.strategies.shaping import SHAPINGS, ShapingName, centered_rank, raw

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
