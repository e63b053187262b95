"""Figures: written, not blank, the same bytes every time, and no title that the numbers do not bear out."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from evoplastic.analysis import figures
from evoplastic.analysis.canvas import canvas, label_ends
from evoplastic.analysis.figures import run_figures
from evoplastic.analysis.search_figure import search_figure
from evoplastic.analysis.statistics import interval, paired
from evoplastic.errors import UserError

NAMES = ("progress", "learning", "conditions", "tasks", "search")
TRIALS, SCORED = 60, 20
MEANS = {"evolved": 0.85, "generation_0": 0.6, "plasticity_off": 0.5, "gains_uniform": 0.84}


def scores(mean: float, lives: int, seed: int) -> np.ndarray:
    return mean + np.random.default_rng(seed).normal(0.0, 0.02, lives)


def evaluation(lives: int = 12, withheld: bool = True, means=MEANS) -> dict:
    """Return what `evaluate` would of conditions with these means."""
    held = ["dms", "dnms"] if withheld else []
    of = {
        name: {task: scores(mean, lives, seed) for seed, task in enumerate(["and", "nand", *held])}
        for name, mean in means.items()
    }

    def parts(summary, *conditions):
        return {
            "training": summary(*(values["and"] for values in conditions)).to_json(),
            "validation": None,
            "withheld": summary(*(values["dms"] for values in conditions)).to_json() if withheld else None,
            "tasks": {task: summary(*(values[task] for values in conditions)).to_json() for task in conditions[0]},
        }

    lesions = [name for name in means if name not in ("evolved", "generation_0")]
    return {
        "metric": "accuracy",
        "lives": lives,
        "generation": 40,
        "trials_scored": SCORED,
        "chance": 0.5,
        "chance_is": "chance",
        "oracle": 1.0,
        "oracle_exceeded": False,
        "blind_is_chance": True,
        "blind_is_below": False,
        "validation": [],
        "withheld": held,
        "conditions": {name: parts(interval, values) for name, values in of.items()},
        "gain_over_generation_0": parts(paired, of["evolved"], of["generation_0"]),
        "lost_by_lesion": {name: parts(paired, of["evolved"], of[name]) for name in lesions},
    }


def courses(lives: int = 12, withheld: bool = True, end: float = 0.85) -> dict:
    """Return the curves that `evaluate` would of networks whose accuracy rises to `end` (evolved) or .6."""

    def course(last: float, seed: int) -> np.ndarray:
        return np.linspace(0.5, last, TRIALS) + scores(0.0, lives, seed)[:, None]

    ends = {"evolved": end, "generation_0": 0.6, "plasticity_off": 0.5}
    return {
        "metric": "accuracy",
        "lives": lives,
        "trials_scored": SCORED,
        "marks": {10: "plasticity starts", 55: "noise off"},
        "chance": 0.5,
        "chance_is": "chance",
        "oracle": 1.0,
        "oracle_exceeded": False,
        "blind_is_chance": True,
        "blind_is_below": False,
        "conditions": {
            name: {
                "training": course(last, seed),
                "validation": None,
                "withheld": course(last, seed + 9) if withheld else None,
            }
            for seed, (name, last) in enumerate(ends.items())
        },
    }


def records(validated: bool = True) -> list[dict]:
    return [
        {
            "generation": generation,
            "training": {
                "accuracy": 0.6 + 0.005 * generation,
                "fitness_best": -0.5 + 0.01 * generation,
                "fitness_quantiles": [-0.9, -0.8, -0.7, -0.65 + 0.005 * generation, -0.6 + 0.008 * generation],
            },
            "strategy": {
                "gradient_norm": 2.0 - 0.03 * generation,
                "center_norm": 10.0,
                "sigma": 0.1,
                "axis_ratio": 3.0,
            },
            "validation": {"lives": 2, "training": 0.6 + 0.006 * generation, "withheld": None}
            if validated and generation % 10 == 0
            else None,
        }
        for generation in range(40)
    ]


def title(figure) -> str:
    return figure.texts[0].get_text()


def ink(path) -> float:
    """Return the share of pixels that are not white."""
    return float((imread(path)[..., :3].min(axis=-1) < 0.95).mean())


def test_every_picture_is_written_as_png_and_svg(tmp_path):
    paths = run_figures(tmp_path, records(), evaluation(), courses())
    assert paths == [tmp_path / f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")]
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_no_picture_is_blank_and_all_are_large_enough_to_read(tmp_path):
    run_figures(tmp_path, records(), evaluation(), courses())
    for name in NAMES:
        assert 0.01 < ink(tmp_path / f"{name}.png") < 0.5
        assert imread(tmp_path / f"{name}.png").shape[1] >= 1400


def test_equal_data_give_equal_files(tmp_path):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        run_figures(tmp_path / folder, records(), evaluation(), courses())
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name


def test_svg_has_no_date(tmp_path):
    run_figures(tmp_path, records(), evaluation(), courses())
    assert "<dc:date>" not in (tmp_path / "learning.svg").read_text()


def test_drawing_leaves_the_global_settings_alone(tmp_path):
    with matplotlib.rc_context({"font.size": 23.0, "svg.hashsalt": "mine"}):
        before = dict(matplotlib.rcParams)
        run_figures(tmp_path, records(), evaluation(), courses())
        assert dict(matplotlib.rcParams) == before


def test_neither_pyplot_nor_a_display_is_needed():
    code = "import sys, evoplastic.analysis.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_pictures_are_all_refreshed_or_none(tmp_path, monkeypatch):
    paths = run_figures(tmp_path, records(), evaluation(), courses())
    before = {path: path.read_bytes() for path in paths}

    def fail(result):
        raise ZeroDivisionError

    monkeypatch.setattr(figures, "tasks", fail)
    with pytest.raises(ZeroDivisionError):
        run_figures(tmp_path, records(), evaluation(means=MEANS | {"evolved": 0.9}), courses())
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def words(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_learning_curve_marks_the_trials_it_is_told_of():
    assert {"plasticity starts", "noise off"} <= set(words(figures.learning(courses())))


def test_a_lesion_that_was_not_lived_is_not_drawn():
    curves = courses()
    assert "plasticity off" in words(figures.learning(curves))
    del curves["conditions"]["plasticity_off"]
    assert "plasticity off" not in words(figures.learning(curves))


def test_another_metric_has_its_own_name():
    result, curves = evaluation() | {"metric": "reward"}, courses(lives=2) | {"metric": "reward"}
    drawn = [figures.learning(curves), figures.conditions(result), figures.tasks(result)]
    assert title(drawn[0]) == "Reward within a lifetime"
    assert [figure.axes[0].get_xlabel() for figure in drawn] == ["Trial", "Reward", "Reward"]


@pytest.mark.parametrize(("metrics", "withheld"), [([], False), (records(validated=False), True)])
def test_runs_without_records_validation_or_withheld_tasks_are_drawn(tmp_path, metrics, withheld):
    assert len(run_figures(tmp_path, metrics, evaluation(2, withheld), courses(2, withheld))) == 10


SCORE = {"metric": "score", "chance": 0.0, "oracle": 1.0, "oracle_exceeded": True, "blind_is_chance": False}


def ends(result: dict, curves: dict) -> list[tuple[float, float]]:
    """Return where the metric's axis begins and ends in each picture."""
    over_time = figures.progress([], result), figures.learning(curves)
    in_rows = figures.conditions(result), figures.tasks(result)
    return [figure.axes[0].get_ylim() for figure in over_time] + [figure.axes[0].get_xlim() for figure in in_rows]


@pytest.mark.parametrize("evolved", [0.85, 0.995])
def test_accuracies_are_drawn_from_below_chance_to_perfection_whatever_an_interval_says(evolved):
    assert ends(evaluation(means=MEANS | {"evolved": evolved}), courses(end=evolved)) == [(0.4, 1.005)] * 4


def test_the_axis_of_another_metric_reaches_from_below_its_chance_to_above_its_oracle():
    assert ends(evaluation() | SCORE, courses() | SCORE) == [(-0.2, 1.01)] * 4


def test_scores_worse_than_chance_and_better_than_the_oracle_are_drawn_whole():
    means = MEANS | {"evolved": 1.15, "generation_0": -0.33, "plasticity_off": -7.3}
    drawn = ends(evaluation(means=means) | SCORE, courses(end=1.3) | SCORE)
    np.testing.assert_allclose(drawn, [(-0.2, 1.2), (-0.2, 1.4), (-7.4, 1.2), (-0.4, 1.2)])


@pytest.mark.parametrize(("lowest", "ticks"), [(0.45, 7), (0.05, 11), (-0.3, 14), (-40.0, 14)])
def test_ticks_do_not_crowd(lowest, ticks):
    axes = figures.conditions(evaluation(means=MEANS | {"plasticity_off": lowest})).axes[0]
    shown = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
    assert 4 <= len(shown) <= ticks


def test_titles_say_what_intervals_show():
    assert title(figures.progress(records(), evaluation())) == "Evolution finds networks that learn"
    assert title(figures.learning(courses())) == "Evolved networks learn within a lifetime"
    assert title(figures.conditions(evaluation())) == "Learning needs plasticity"
    assert title(figures.tasks(evaluation())) == "Better than generation 0 on 4 of 4 tasks"


def claims(result: dict, curves: dict) -> list[str]:
    progress, learning = figures.progress([], result), figures.learning(curves)
    return [title(figure) for figure in (progress, learning, figures.conditions(result), figures.tasks(result))]


MODEST = ["Accuracy over generations", "Accuracy within a lifetime", "What each condition scores"]


def test_titles_claim_nothing_without_intervals():
    assert claims(evaluation(lives=9), courses(lives=9)) == [*MODEST, "From generation 0 to evolved"]


def test_titles_claim_nothing_of_networks_that_learned_no_more_than_generation_0():
    unchanged = dict.fromkeys(MEANS, 0.6)
    assert claims(evaluation(means=unchanged), courses(end=0.6)) == [*MODEST, "From generation 0 to evolved"]


def test_plasticity_is_not_needed_where_activity_alone_stays_above_chance():
    through_activity = MEANS | {"plasticity_off": 0.7}
    assert title(figures.conditions(evaluation(means=through_activity))) == "What each condition scores"


def test_what_plasticity_off_may_keep_depends_on_chance_and_oracle():
    for kept, claim in ((0.05, "Learning needs plasticity"), (0.3, "What each condition scores")):
        result = evaluation(means=MEANS | {"plasticity_off": kept}) | SCORE | {"blind_is_chance": True}
        assert title(figures.conditions(result)) == claim


def test_titles_claim_nothing_where_a_policy_that_learns_nothing_scores_more_than_chance():
    blind = {"blind_is_chance": False}
    assert claims(evaluation() | blind, courses() | blind)[:3] == MODEST


def test_labels_at_line_ends_do_not_overlap():
    axes = canvas(7.0, 4.0, "", "").axes[0]
    label_ends(axes, [(0.5, "a", "k"), (0.51, "b", "k"), (0.9, "c", "k")])
    heights = [text.xy[1] for text in axes.texts]
    assert min(np.diff(heights)) >= 0.059
    assert heights[-1] == 0.9


def test_many_tasks_are_cut_to_the_weakest():
    result = evaluation()
    for table in (*result["conditions"].values(), result["gain_over_generation_0"]):
        template = table["tasks"]["and"]
        table["tasks"] = {f"f{i}": template | {"mean": i / 100} for i in range(60)}
    figure = figures.tasks(result)
    labels = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert labels == [f"f{i}" for i in range(figures.MOST_TASKS)][::-1]
    assert title(figure).endswith("; the 40 lowest")


def test_a_folder_that_does_not_exist_is_told(tmp_path):
    with pytest.raises(UserError, match="could not be written"):
        run_figures(tmp_path / "absent", records(), evaluation(), courses())


def test_the_search_page_draws_every_number_that_is_logged_and_says_its_last_value():
    said = {text for axes in search_figure(records()).axes for text in words_of(axes)}
    assert {"best", "median", "10-90 %", "gradient norm 0.83", "center norm 10", "sigma 0.1", "axis ratio 3"} <= said


def test_the_search_page_writes_thousands_in_full_and_small_and_huge_numbers_short():
    logged = {"population": 2000.0, "axis_ratio": 3.2e7, "reliability": 0.00012345}
    figure = search_figure([record | {"strategy": logged} for record in records()])
    said = {text for axes in figure.axes for text in words_of(axes)}
    assert {"population 2,000", "axis ratio 3.2e+07", "reliability 0.000123"} <= said


def test_a_label_of_the_search_page_stands_where_its_line_ends():
    figure = search_figure(records())
    movement = next(axes for axes in figure.axes if "gradient norm 0.83" in words_of(axes))
    ends = {"gradient norm 0.83": 0.83, "center norm 10": 10.0}
    for text in movement.texts:
        height = movement.transAxes.inverted().transform(movement.transData.transform((0.0, ends[text.get_text()])))[1]
        assert text.xy[1] == pytest.approx(height, abs=1e-6)


def test_a_run_recorded_before_quantiles_were_is_drawn_too():
    old = [record | {"training": {"accuracy": 0.5, "fitness_best": 0.0}, "strategy": {}} for record in records()]
    said = {text for axes in search_figure(old).axes for text in words_of(axes)}
    assert "the strategy logs none" in said


@pytest.mark.parametrize(
    ("last", "scale"), [([30.0, 56.0], "linear"), ([0.1, 56.0], "log"), ([0.0, 56.0], "symlog"), ([0.0, 0.5], "linear")]
)
def test_a_panel_of_the_search_page_has_decades_only_where_its_numbers_span_some(last, scale):
    logged = [record | {"strategy": dict(zip(("one", "other"), last, strict=True))} for record in records()]
    shape = next(
        axes for axes in search_figure(logged).axes if any(text.startswith("other") for text in words_of(axes))
    )
    assert shape.get_yscale() == scale


def words_of(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]
