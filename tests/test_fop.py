"""FOP against its equations: the hypergradient, what each form leaves out, cap and normalisation."""

import math

import numpy as np
import pytest
from test_optimizers import GRADIENTS, changes
from test_strategies import normals

from evoplastic.errors import UserError
from evoplastic.strategies.optimizers import FOP, SGD
from evoplastic.strategies.sums import times, transposed_times

SIZE = 5
LEARNED = np.eye(SIZE) + 0.3 * normals(np.uint64(90), SIZE * SIZE).reshape(SIZE, SIZE)  # an M underway


def quadratic(x):
    matrix = normals(np.uint64(91), SIZE * SIZE).reshape(SIZE, SIZE)
    curvature = matrix @ matrix.T + np.eye(SIZE)
    return 0.5 * x @ curvature @ x, curvature @ x


def log_cosh(x):
    """Return a loss without a constant curvature: sum of log cosh(A x), and its gradient."""
    matrix = normals(np.uint64(92), SIZE * SIZE).reshape(SIZE, SIZE)
    return np.log(np.cosh(matrix @ x)).sum(), matrix.T @ np.tanh(matrix @ x)


def numerical_slope(function, matrix, step=1e-6):
    """Return the derivative of `function` by each entry of `matrix`, from central differences."""
    slope = np.zeros_like(matrix)
    for entry in np.ndindex(matrix.shape):
        above, below = matrix.copy(), matrix.copy()
        above[entry] += step
        below[entry] -= step
        slope[entry] = (function(above) - function(below)) / (2 * step)
    return slope


def blocks_of(matrix, side):
    """Return the (number, side, side) blocks on the diagonal, the last filled up as the first state is."""
    filled = np.eye(-(-len(matrix) // side) * side)
    filled[: len(matrix), : len(matrix)] = matrix
    return np.array([filled[at : at + side, at : at + side] for at in range(0, len(filled), side)])


def block_diagonal(blocks, size):
    side = blocks.shape[1]
    whole = np.zeros((len(blocks) * side,) * 2)
    for number, block in enumerate(blocks):
        whole[number * side : (number + 1) * side, number * side : (number + 1) * side] = block
    return whole[:size, :size]


@pytest.mark.parametrize("problem", [quadratic, log_cosh])
@pytest.mark.parametrize("form, side", [("full", SIZE), ("per_block", 2), ("diagonal", 1)])
def test_m_descends_the_loss_by_the_hypergradient(problem, form, side):
    x, rate = normals(np.uint64(93), SIZE), 1e-3
    optimizer = FOP(form=form, block=2, learning_rate=0.1, rate=rate, normalised=False, cap=1e9)
    blocks, previous = blocks_of(LEARNED, side), problem(x)[1]

    def moved(blocks):
        matrix = block_diagonal(blocks, SIZE)
        return x - 0.1 * matrix @ matrix.T @ previous

    gradient = problem(moved(blocks))[1]
    _, after = optimizer.update({"previous": previous, "matrices": blocks}, gradient)
    expected = -numerical_slope(lambda blocks: problem(moved(blocks))[0], blocks)
    found = (after["matrices"] - blocks) / rate
    assert np.abs(found - expected).max() < 1e-6 * max(1.0, np.abs(expected).max())


def naive_full(gradients, learning_rate, rate, normalised, cap):
    """Return the changes of the full form, entry after entry as its equations say, and M."""
    size = len(gradients[0])
    every = range(size)
    matrix = [[float(row == column) for column in every] for row in every]
    previous, found = [0.0] * size, []
    for g in gradients:
        lengths = math.sqrt(sum(a * a for a in g)) * math.sqrt(sum(b * b for b in previous))
        c = (rate / lengths if lengths else 0.0) if normalised else rate * learning_rate
        bracket = [[c * (g[row] * previous[column] + previous[row] * g[column]) for column in every] for row in every]
        matrix = [
            [matrix[row][column] + sum(bracket[row][k] * matrix[k][column] for k in every) for column in every]
            for row in every
        ]
        size_of_m = math.sqrt(sum(entry * entry for line in matrix for entry in line) / size)
        if size_of_m > cap:
            matrix = [[entry * cap / size_of_m for entry in line] for line in matrix]
        turned = [sum(matrix[k][row] * g[k] for k in every) for row in every]
        found.append([-learning_rate * sum(matrix[row][k] * turned[k] for k in every) for row in every])
        previous = g
    return np.array(found), np.array(matrix)


@pytest.mark.parametrize(
    "rate, normalised, cap", [(0.2, True, 1e9), (0.01, False, 1e9), (0.5, True, 1.1), (0.4, False, 2.0)]
)
def test_the_full_form_is_its_equation(rate, normalised, cap):
    found, state = changes(FOP(learning_rate=0.1, rate=rate, normalised=normalised, cap=cap), GRADIENTS)
    expected, matrix = naive_full(GRADIENTS, 0.1, rate, normalised, cap)
    assert np.allclose(found, expected, rtol=1e-12, atol=1e-14)
    assert np.allclose(state["matrices"], [matrix], rtol=1e-12, atol=1e-14)
    uncapped, _ = naive_full(GRADIENTS, 0.1, rate, normalised, 1e9)
    assert np.allclose(found, uncapped) == (cap > 100)


@pytest.mark.parametrize("normalised", [True, False])
def test_each_block_is_a_full_form_of_its_own(normalised):
    settings = {"learning_rate": 0.1, "rate": 0.1, "normalised": normalised, "cap": 1.2}
    found, _ = changes(FOP(form="per_block", block=2, **settings), GRADIENTS)
    for genes in (slice(0, 2), slice(2, 4), slice(4, 5)):  # the last block has a single gene
        alone, _ = changes(FOP(**settings), [gradient[genes] for gradient in GRADIENTS])
        assert np.array_equal(found[:, genes], alone)


def test_the_diagonal_form_multiplies_each_gene_by_its_own_number():
    found, _ = changes(FOP(form="diagonal", learning_rate=0.1, rate=0.5, normalised=False, cap=1e9), GRADIENTS)
    for gene in range(SIZE):
        m, previous = 1.0, 0.0
        for gradient, change in zip(GRADIENTS, found):
            m += 2 * 0.5 * 0.1 * gradient[gene] * previous * m
            previous = gradient[gene]
            assert change[gene] == pytest.approx(-0.1 * m * m * gradient[gene], rel=1e-13)


@pytest.mark.parametrize("normalised, rate", [(True, 0.2), (False, 0.05)])
def test_low_rank_is_the_full_form_until_it_forgets(normalised, rate):
    settings = {"learning_rate": 0.1, "rate": rate, "normalised": normalised, "cap": 1e4}
    found, _ = changes(FOP(form="low_rank", memory=3, **settings), GRADIENTS)
    full, _ = changes(FOP(**settings), GRADIENTS)
    assert np.allclose(found[:4], full[:4], rtol=1e-12, atol=1e-14)
    assert not np.allclose(found[4], full[4], rtol=1e-3)


def test_low_rank_keeps_the_latest_factors():
    found, _ = changes(FOP(form="low_rank", memory=3, learning_rate=0.1, rate=0.2, cap=1e4), GRADIENTS)
    # From the third gradient on nothing is left of what came before: M starts from the identity there.
    kept, _ = naive_full(GRADIENTS[2:], 0.1, 0.2, True, 1e9)
    assert np.allclose(found[-1], kept[-1], rtol=1e-12, atol=1e-14)


def test_low_rank_stretches_no_gradient_beyond_its_cap():
    gradient = np.full(SIZE, 2.0)
    found, _ = changes(FOP(form="low_rank", learning_rate=0.1, rate=1.0, cap=3.0), [gradient] * 8)
    assert found[0] == pytest.approx(-0.1 * gradient) and found[-1] == pytest.approx(-0.1 * 9.0 * gradient, rel=1e-14)


@pytest.mark.parametrize("form", ["full", "per_block", "diagonal", "low_rank"])
def test_normalised_it_does_not_see_the_gradients_scale(form):
    one, _ = changes(FOP(form=form), GRADIENTS)
    other, _ = changes(FOP(form=form), [1024.0 * gradient for gradient in GRADIENTS])
    assert np.array_equal(1024.0 * one, other)


def test_the_full_form_refuses_a_large_genome_and_names_the_others():
    assert FOP().initial(2_000)["matrices"].shape == (1, 2_000, 2_000)
    with pytest.raises(UserError, match=r'2,000 genes.*got 2,001.*"low_rank", "per_block" or "diagonal"'):
        FOP().initial(2_001)
    for form in ("low_rank", "per_block", "diagonal"):
        assert FOP(form=form).initial(2_001)


def steps_to_a_millionth(optimizer, most=400):
    """Return the steps on a rotated quadratic of condition 100 with 8 genes."""
    axes, _ = np.linalg.qr(normals(np.uint64(94), 64).reshape(8, 8))
    curvature = axes * np.logspace(-2, 0, 8) @ axes.T
    x, state = normals(np.uint64(95), 8), optimizer.initial(8)
    target = 1e-6 * x @ curvature @ x
    for step in range(1, most + 1):
        change, state = optimizer.update(state, curvature @ x)
        x = x + change
        if x @ curvature @ x <= target:
            return step
    return most + 1


def test_learned_preconditioning_takes_less_than_half_of_the_steps_of_the_best_plain_descent():
    plain = min(steps_to_a_millionth(SGD(learning_rate=rate, momentum=0.0)) for rate in (1.0, 1.5, 1.9))
    assert steps_to_a_millionth(FOP(learning_rate=1.5, rate=0.2)) <= 0.5 * plain
    assert steps_to_a_millionth(FOP(learning_rate=1.5, rate=0.2, form="low_rank")) <= 0.5 * plain


def test_products_of_matrix_and_vector_run_first_to_last():
    matrix, vector = normals(np.uint64(96), 77 * 77).reshape(77, 77), normals(np.uint64(97), 77)
    out, turned = np.empty(77), np.empty(77)
    times(matrix, vector, out)
    transposed_times(matrix, vector, turned)
    for found, rows in ((out, matrix.tolist()), (turned, matrix.T.tolist())):
        for number, row in zip(found, rows):
            total = 0.0
            for left, right in zip(row, vector.tolist()):
                total = total + left * right
            assert number == total
