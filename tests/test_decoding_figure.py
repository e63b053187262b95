"""The picture of decoding: axes right, chance in the middle, outlines where a label is told."""

import numpy as np
import pytest

from evoplastic.analysis.decoding import Decoding
from evoplastic.analysis.decoding_figure import decoding_figure

STEPS = 6


def decoding(chance=0.5, permutations=99, told=((4, 5), (5, 5))):
    """Return a decoding that is above its threshold where decoders of step 4 and 5 are tested at step 5, and at 4."""
    matrix = np.full((STEPS, STEPS), chance)
    for train, test in (*told, (4, 4)):
        matrix[train, test] = 0.9
    band = np.array([np.full_like(matrix, chance - 0.1), np.full_like(matrix, chance + 0.1)])
    return Decoding(matrix, chance, band, 0.8 if permutations else None, 40, 5, permutations)


@pytest.fixture(scope="module")
def figure():
    columns = {"stimulus 1": decoding(), "response": decoding(chance=0.25)}
    return decoding_figure({"early": columns, "late": columns}, 20.0, 3)


def test_rows_are_fitted_and_columns_tested_with_time_upwards_and_to_the_right(figure):
    axes = figure.axes[0]
    image = axes.images[0]
    assert image.origin == "lower" and image.get_array()[4, 5] == 0.9 and image.get_array()[5, 4] == 0.5
    assert axes.get_ylabel() == "early\nfitted at, ms" and figure.axes[2].get_xlabel() == "tested at, ms"
    assert image.get_extent() == [0, 120, 0, 120]


def test_chance_has_the_middle_colour_whatever_it_is(figure):
    for axes in figure.axes[:4]:
        assert axes.images[0].get_array()[0, 0] == 0.5
    assert figure.axes[1].images[0].get_array()[4, 5] == pytest.approx(0.5 + 0.5 * (0.9 - 0.25) / 0.75)


def test_what_is_told_is_outlined_and_the_number_of_trials_said(figure):
    axes = figure.axes[0]
    (outline,) = [collection for collection in axes.collections if len(collection.get_paths()[0].vertices)]
    across, up = outline.get_paths()[0].vertices.T
    assert across.min() > 60 and up.min() > 60, "only the last two steps are inside"
    assert axes.get_title(loc="left") == "stimulus 1, n = 40"
    assert "99 permutations" in figure.texts[1].get_text()


def test_without_permutations_nothing_is_outlined():
    figure = decoding_figure({"early": {"response": decoding(permutations=0)}}, 20.0, 3)
    assert not figure.axes[0].collections and "permutations" not in figure.texts[1].get_text()
