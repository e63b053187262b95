"""The benchmark of QSS: its world is the one it says, its claims hold on a small scale, and its table is whole."""

import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import qss

ABOVE = np.array([2**32 - 1] * 4, np.uint32)  # words of a step in which nothing is left to chance
UP, DOWN, LEFT, RIGHT = range(4)


def moved(cell, action, grid=None, words=ABOVE):
    following, reward, over = qss.step(qss.world() if grid is None else grid, cell, action, tuple(words))
    return int(following), float(reward), int(over)


def test_the_grid_is_walled_and_pays_at_the_goal():
    assert [moved(0, action)[0] for action in (UP, DOWN, LEFT, RIGHT)] == [0, 11, 0, 1]
    assert moved(60, UP) == (49, -1.0, 0)
    assert moved(119, RIGHT) == moved(109, DOWN) == (120, 1.0, 1)


def test_redundant_actions_do_what_their_remainder_does():
    grid = qss.world(400)
    assert {moved(60, action, grid)[0] for action in range(1, 400, 4)} == {71}


def test_relabelled_actions_do_what_the_opposite_number_did():
    grid = qss.world(means=qss.MIRRORED)
    assert [moved(60, action, grid) for action in range(4)] == [moved(60, 3 - action) for action in range(4)]


def test_a_slip_replaces_the_action():
    grid, low = qss.world(slip=0.5), np.array([0, 0, 0, 0], np.uint32)
    assert moved(60, RIGHT, grid, low)[0] == moved(60, UP)[0] and moved(60, RIGHT, grid)[0] == 61


def test_the_bottom_row_of_the_cliff_is_deadly():
    grid, gust = qss.world(cliff=1), np.array([0, 0, 0, 0], np.uint32)
    assert moved(112, RIGHT, grid) == (113, 0.0, 0) and moved(112, DOWN, grid) == (112, 0.0, 1)
    assert moved(112, RIGHT, grid, gust) == (112, 0.0, 1) and moved(101, RIGHT, grid, gust) == (102, 0.0, 0)
    assert moved(109, DOWN, grid, gust) == (120, 1.0, 1)


@pytest.mark.parametrize("actions", qss.REDUNDANT)
def test_qss_learns_all_it_uses_whatever_the_redundancy(actions):
    assert 0 < qss.solved(qss.LEARNERS["QSS"], actions, 3) <= 1_500


def test_q_learning_is_slowed_down_by_redundancy():
    assert qss.solved(qss.LEARNERS["Q-learning"], 40, 3) > 10 * qss.solved(qss.LEARNERS["QSS"], 40, 3)


def test_relabelled_actions_are_relearned_quickly_where_values_are_kept():
    learner = qss.LEARNERS["QSS"]
    assert 0 < qss.relearned(learner, 4, 3, True) <= 0.1 * qss.solved(learner, 4, 3)


def test_qss_is_misled_by_slips():
    q, moves = (qss.unreliable(learner, qss.world(slip=0.5), 3) for learner in qss.LEARNERS.values())
    assert moves < q - 10


def test_what_is_not_solved_is_said_so():
    assert qss._spread([-1, -1]) == "not in 20,000"
    assert qss._spread([100, 300, -1]) == "300 (100 to 300; 1 unsolved)"
    assert qss._share([-1, -1, 5], [10, 20, 30]) == "" and qss._share([5, 5, 5], [50, 50, 50]) == ", 10%"
