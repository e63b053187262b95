"""The picture of decoding: axes right, chance in the middle, outlines where a label is told."""

import numpy as np
import pytest
from matplotlib import colormaps

from evoplastic.analysis.decoding import Decoding
from evoplastic.analysis.decoding_figure import COLOURS, Clock, decoding_figure

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
    return decoding_figure({"early": columns, "late": columns}, Clock(20.0, 60.0, 120.0))


def test_rows_are_fitted_and_columns_tested_with_time_upwards_and_to_the_right(figure):
    axes = figure.axes[0]
    image = axes.images[0]
    assert image.origin == "lower" and image.get_array()[4, 5] == 0.9 and image.get_array()[5, 4] == 0.5
    assert axes.get_ylabel() == "early, n = 40\nfitted at, ms" and figure.axes[2].get_xlabel() == "tested at, ms"
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
    assert axes.get_title(loc="left") == "stimulus 1"
    assert "99 orders of the labels" in figure.texts[1].get_text()


def test_without_permutations_nothing_is_outlined():
    figure = decoding_figure({"early": {"response": decoding(permutations=0)}}, Clock(20.0, 60.0, 120.0))
    assert not figure.axes[0].collections and "orders" not in figure.texts[1].get_text()


def test_a_row_without_a_label_has_an_empty_panel_that_says_so():
    rows = {"early": {"stimulus 1": decoding(), "response": decoding()}, "late": {"stimulus 1": decoding()}}
    panels = decoding_figure(rows, Clock(20.0, 60.0, 120.0)).axes
    assert [len(axes.images) for axes in panels[:4]] == [1, 1, 1, 0]
    assert panels[3].texts[0].get_text() == "nothing to tell"


def test_feedback_and_the_trial_s_end_stay_where_they_are_when_bins_are_wide():
    """A trial of 110 ms in bins of 20: the last one is cut where the trial ends."""
    axes = decoding_figure({"late": {"stimulus 1": decoding()}}, Clock(20.0, 70.0, 110.0)).axes[0]
    assert axes.get_xlim() == axes.get_ylim() == (0, 110) and axes.images[0].get_extent() == [0, 120, 0, 120]
    assert {line.get_xdata()[0] for line in axes.lines} == {0, 70.0}


def test_colours_are_in_order_of_lightness_without_colours():
    shades = colormaps[COLOURS](np.linspace(0, 1, 50))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(shades) > 0).all()
