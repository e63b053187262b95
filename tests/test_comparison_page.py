"""The page of a comparison: profiles against a count, no interval of few seeds anywhere, and files that stand alone."""

import base64
import json
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from test_cli import main
from test_comparison import OTHER, SCORES, arm
from test_report import Page

from evoplastic.analysis.comparison import compare
from evoplastic.analysis.comparison_lines import MOST
from evoplastic.analysis.comparison_page import SECTIONS, Compared, page_files
from evoplastic.analysis.comparison_profiles import band, profile, thresholds
from evoplastic.errors import UserError

__all__ = ["main"]  # the fixture

TASKS = ("and", "or", "nor")


def records(run):
    """Return a run's records: 9 generations, every fourth validated."""
    seed = int(run.rpartition("-s")[2])
    return [
        {
            "generation": generation,
            "training": {"accuracy": 0.5 + 0.01 * generation + 0.001 * seed},
            "validation": None if generation % 4 else {"training": 0.6 + 0.01 * seed, "withheld": None, "lives": 2},
        }
        for generation in range(9)
    ]


def arms(seeds, *labels):
    """Return a comparison of arms on the same tasks and seeds."""
    return compare(run for label, scores in zip(labels, (SCORES, OTHER) * 9) for run in arm(scores, seeds, label))


def sections(result, of=records):
    return {name: make(Compared(result, of)) for name, make in SECTIONS.items()}


@pytest.fixture(scope="module")
def few():
    return page_files(arms(range(9), "a", "b"), records, html=True)


@pytest.fixture(scope="module")
def many():
    return page_files(arms(range(12), "a", "b"), records, html=True)


# ---- profiles


def naive_share(seeds, tau):
    runs = [score for seed in seeds for score in seed.values()]
    return sum(score > tau for score in runs) / len(runs)


@pytest.mark.parametrize("n", [3, 12])
def test_a_profile_is_the_share_of_runs_above_each_threshold(n):
    draw = np.random.default_rng(n).uniform(0.4, 1.0, (n, len(TASKS)))
    seeds = [dict(zip(TASKS, scores)) for scores in draw.tolist()]
    taus = np.linspace(0.5, 1.0, 11)
    found = profile(seeds, taus)
    np.testing.assert_allclose(found["share"], [naive_share(seeds, tau) for tau in taus], atol=1e-12)
    assert (found["seeds"], found["runs"]) == (n, 3 * n) and (found["low"] is None) == (n < 10)


def test_a_score_at_the_threshold_is_not_above_it_and_one_that_is_no_number_is_above_nothing():
    found = profile([{"and": 0.5, "or": None}, {"and": 0.6, "or": 0.7}], np.array([0.4, 0.5, 0.6]))
    assert found["share"].tolist() == [0.75, 0.5, 0.25]


def test_there_is_no_profile_without_tasks():
    assert profile([{}, {}], np.array([0.5])) is None


def test_thresholds_go_from_the_lowest_chance_to_the_highest_oracle():
    runs = [*arm(SCORES, [0], chance=0.25), *arm(OTHER, [0], "b", oracle=0.9)]
    taus = thresholds(compare(runs)["arms"])
    assert (taus[0], taus[-1]) == (0.25, 1.0)


def test_the_band_of_single_tasks_is_wilson_s_at_student_s_quantile():
    """7 of 10 seeds above: p = .7, m = n = 10, q = t(.975, 9) = 2.262157."""
    low, high = band(np.repeat([[1.0], [0.0]], [7, 3], axis=0), runs=10)
    q = 2.2621571628
    half = q * np.sqrt(0.7 * 0.3 / 10 + q**2 / 400)
    expected = [(0.7 + q**2 / 20 - half) / (1 + q**2 / 10), (0.7 + q**2 / 20 + half) / (1 + q**2 / 10)]
    np.testing.assert_allclose([*low, *high], expected, rtol=1e-9)


def test_a_band_has_width_where_all_runs_agree_and_stays_in_0_to_1():
    low, high = band(np.ones((10, 2)), runs=30)
    assert (low < 0.9).all() and (low > 0.8).all() and high.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("n", [10, 30])
@pytest.mark.parametrize("luck", [0.0, 0.05, 0.15])
def test_bands_cover_however_much_the_tasks_of_a_seed_share(n, luck):
    """4 tasks, 1,000 samples, a genome's luck on all of them: pointwise where the true share is .05 to .95."""
    rng, taus = np.random.default_rng(n), np.linspace(0.4, 1.0, 25)

    def shares(count, seeds):
        level = 0.75 + np.array([0.1, 0.0, -0.05, 0.03]) + rng.normal(0.0, luck, (count, seeds, 1))
        return (level[..., None] + rng.normal(0.0, 0.05, (count, seeds, 4, 1)) > taus).mean(axis=2)

    true = shares(40_000, 1).mean(axis=(0, 1))
    bounds = np.array([band(sample, runs=4 * n) for sample in shares(1000, n)])
    covered = ((bounds[:, 0] <= true) & (true <= bounds[:, 1])).mean(axis=0)[(true > 0.05) & (true < 0.95)]
    assert covered.min() > 0.9 and np.median(covered) > 0.94


# ---- the page


def test_the_page_stands_alone(many):
    text = many["report.html"].decode()
    page = Page(text)
    assert all(to.startswith(("data:image/png;base64,", "#")) for to in page.references)
    assert not re.search(r"url\(|@import|https?:", text) and page.open == [] and "script" not in page.tags
    assert [to for to in page.references if to.startswith("#")] == [f"#{name}" for name in SECTIONS]


def test_every_picture_of_the_page_decodes(many):
    pictures = [to for to in Page(many["report.html"].decode()).references if to.startswith("data:")]
    assert len(pictures) == sum(name.endswith(".png") for name in many) == 6
    for picture in pictures:
        assert imread(BytesIO(base64.b64decode(picture.partition(",")[2]))).std() > 0
    assert {name.removesuffix(".svg") for name in many if name.endswith(".svg")} == {
        name.removesuffix(".png") for name in many if name.endswith(".png")
    }


def bounds_in(told):
    """Yield every lower and upper bound of intervals and bands, wherever it stands."""
    if isinstance(told, dict):
        for key, value in told.items():
            if key in ("low", "high"):
                yield value
            else:
                yield from bounds_in(value)
    elif isinstance(told, list):
        for value in told:
            yield from bounds_in(value)


def test_no_interval_of_fewer_than_ten_seeds_is_anywhere(few):
    text = re.sub(r"data:[^\"]*|<style>.*?</style>", "", few["report.html"].decode(), flags=re.DOTALL)
    assert not re.search(r"\[[-+.\d]", text)
    bounds = list(bounds_in(json.loads(few["summary.json"])))
    assert bounds and not any(bounds)


def test_intervals_of_ten_seeds_are_there(many):
    assert len(re.findall(r"\[[-.\d]", many["report.html"].decode())) > 20
    assert all(
        value is not None
        for value in bounds_in(json.loads(many["summary.json"])["arms"][0]["conditions"]["evolved"]["withheld"])
    )


def keys(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize(("n", "drawn"), [(9, False), (10, True)])
def test_pictures_have_bars_and_bands_from_ten_seeds_on(n, drawn):
    made = sections(arms(range(n), "a", "b"))
    for name, stem in (("reached", "reached"), ("gains", "gains"), ("differences", "differences")):
        assert ("95 % interval of the mean" in keys(made[name].figures[stem])) is drawn
    for name in ("profiles", "course"):
        bands = [band for axes in made[name].figures[name].axes for band in axes.collections]
        assert bool(bands) is drawn


def test_the_numbers_of_the_page_are_the_compare_object_with_the_sections(many):
    told = json.loads(many["summary.json"])
    result = arms(range(12), "a", "b")
    assert {key: told[key] for key in result} == json.loads(json.dumps(result))
    assert list(told["sections"]) == list(SECTIONS) and told["format"] == "evoplastic.compare"
    profile_of_b = told["sections"]["profiles"]["profiles"]["b"]["training"]
    assert profile_of_b["share"][0] == naive_share(result["arms"][1]["tasks"]["training"], 0.5)


def test_equal_comparisons_give_equal_files_and_the_page_is_left_out_on_request():
    result = arms(range(2), "a")
    made = page_files(result, records, html=False)
    assert made == page_files(result, records, html=False) and "report.html" not in made


def test_every_seed_is_a_dot_in_the_picture_of_what_arms_reach():
    figure = sections(arms(range(7), "a"))["reached"].figures["reached"]
    for axes, part in zip(figure.axes, (0, 1)):
        dots = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 7]
        np.testing.assert_allclose(sorted(dots[1]), sorted(SCORES["evolved"][:7, part]))
        np.testing.assert_allclose(sorted(dots[0]), sorted(SCORES["generation_0"][:7, part]))


def test_seeds_of_two_arms_are_joined():
    figure = sections(arms(range(3), "a", "b"))["differences"].figures["seeds"]
    joined = sorted(list(line.get_xdata()) for line in figure.axes[1].lines if line.get_linestyle() == "-")
    np.testing.assert_allclose(joined, sorted(zip(SCORES["evolved"][:3, 1], OTHER["evolved"][:3, 1])))


def test_folds_are_drawn_with_what_each_withholds():
    runs = [*arm(SCORES, [0, 1], "dms"), *arm(OTHER, [0, 1], "or", withheld=["or"], fold="relabelled")]
    made = sections(compare(runs))
    labels = [label.get_text() for label in made["reached"].figures["reached"].axes[0].get_yticklabels()]
    assert labels == ["dms\nwithheld: dms\nn = 2 seeds", "or\nwithheld: or\nn = 2 seeds"]
    assert not made["differences"].figures and "nothing to pair" in made["differences"].sentences[0]


def test_more_arms_than_can_be_told_apart_go_on_in_another_picture():
    made = sections(arms(range(2), *"abcdefgh"[: MOST + 1]))
    assert list(made["profiles"].figures) == ["profiles", "profiles-2"]
    assert keys(made["profiles"].figures["profiles-2"]) == [f"{'abcdefgh'[MOST]} (n = 2)"]


def test_the_course_is_the_median_over_seeds_at_the_generations_that_all_have():
    told = sections(arms(range(11), "a"), lambda run: records(run)[int(run.endswith("s3")) :])["course"].numbers
    courses = told["courses"]["a"]
    assert list(courses) == ["Population, training tasks", "Center, training tasks"]
    assert courses["Population, training tasks"]["generations"].tolist() == list(range(1, 9))
    np.testing.assert_allclose(courses["Population, training tasks"]["median"], 0.5 + 0.01 * np.arange(1, 9) + 0.005)
    assert courses["Center, training tasks"]["generations"].tolist() == [4, 8]
    np.testing.assert_allclose(courses["Center, training tasks"]["quartiles"], [[0.625] * 2, [0.675] * 2])


def test_arms_whose_records_are_missing_are_named_and_the_page_is_made():
    def gone(run):
        if run.startswith("b"):
            raise UserError(f"{run} is gone")
        return records(run)

    made = sections(arms(range(2), "a", "b"), gone)["course"]
    assert list(made.numbers["courses"]) == ["a"] and "b is left out: b-s0 is gone." in made.sentences
    nothing = sections(arms(range(2), "a"), lambda run: [])["course"]
    assert nothing.figures == {} and nothing.sentences == ["No run has records of its generations."]


def test_scores_that_are_no_numbers_do_not_stop_the_page():
    runs = arm(SCORES, range(3))
    for run in runs:
        run.evaluation["conditions"]["evolved"]["withheld"]["mean"] = None
    text = page_files(compare([*runs, *arm(OTHER, range(3), "b")]), records, html=True)["report.html"].decode()
    assert "not a number" in text


# ---- the command


@pytest.fixture(scope="module")
def reference():
    return Path(__file__).resolve().parents[1] / "runs" / "reference"


def test_compare_writes_a_page_only_where_it_is_told_to(main, reference, tmp_path, monkeypatch):
    said = main("compare", reference, "--json")
    alone = json.loads(said.out)
    said = main("compare", reference, "--json", "-o", tmp_path / "new" / "page")
    assert said.code == 0 and json.loads(said.out) == alone
    files = {path.name for path in (tmp_path / "new" / "page").iterdir()}
    assert {"report.html", "summary.json", "reached.png", "profiles.svg", "course.png"} <= files
    told = json.loads((tmp_path / "new" / "page" / "summary.json").read_text())
    assert {key: told[key] for key in alone} == alone
    assert len(told["sections"]["course"]["courses"]["quickstart"]["Population, training tasks"]["median"]) == 120


def test_the_page_is_left_out_on_request_and_other_files_stay(main, reference, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    assert main("compare", reference, "--out", tmp_path, "--no-html").code == 0
    files = {path.name for path in tmp_path.iterdir()}
    assert "mine.txt" in files and "summary.json" in files and "report.html" not in files


def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(main, reference, tmp_path):
    (tmp_path / "file").write_text("")
    said = main("compare", reference, "--out", tmp_path / "file")
    assert said.code == 2 and said.err.count("\n") == 1 and said.out == ""
    assert said.err.startswith(f"evoplastic: {tmp_path / 'file'} could not be written: ")
