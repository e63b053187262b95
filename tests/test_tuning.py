"""Tuning: which settings are tried and for how long, what is refused, who goes on, and what is said of the best."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from test_evolution import TINY

from evoplastic import tuned
from evoplastic.config import preset_names, read_config
from evoplastic.errors import UserError
from evoplastic.evolution import Search
from evoplastic.problems.contract import METRIC, choosing_tasks
from evoplastic.random import Purpose
from evoplastic.sweeps import read_over
from evoplastic.tuned import DIVERGED, Scores
from evoplastic.tuning import Asked, candidates, check_fold, plan, schedule, sizes

FOLD = 'problem.task.withheld=["and"]'
SIGMAS = "strategy.sigma=0.1,0.2,0.3,0.4"


def asked(*over, **changes):
    words = {"source": "quickstart", "over": over or (SIGMAS,), "budget": 5000, "set": (*TINY, FOLD), "lives": 1}
    return Asked(**{**words, **changes})


def drawn(count, **values):
    return candidates({key: text.split(",") for key, text in values.items()}, count)


def scored(tuning, *by_rung):
    """Return scores of a tuning of one seed: for each rung those of its candidates, by number."""
    scores = Scores(asked=tuning.asked)
    for rung, of_candidates in enumerate(by_rung):
        for number, score in of_candidates.items():
            for run, value in zip(tuning.runs(number, rung), score if isinstance(score, list) else [score]):
                scores = scores.with_score(run.cell.name, value)
    return scores


# ---- the plan


@pytest.mark.parametrize(
    ("count", "eta", "rungs"), [(27, 3, [27, 9, 3]), (4, 3, [4, 2]), (3, 3, [3]), (5, 2, [5, 3, 2]), (2, 10, [2])]
)
def test_one_in_eta_goes_on_until_the_last_rung_can_choose_one(count, eta, rungs):
    assert sizes(count, eta) == rungs


def test_every_rung_takes_an_equal_share_of_what_the_scores_leave():
    rungs = schedule(budget=27_100, aside=100, seeds=2, settings=[9, 3], fewest=10)
    lived = [rungs[0].lifetimes, rungs[1].lifetimes - rungs[0].lifetimes]
    assert [rung.settings for rung in rungs] == [9, 3]
    assert [2 * 9 * lived[0], 2 * 3 * lived[1]] == [13_500, 13_500]


def test_the_smallest_budget_that_is_named_is_enough_and_one_lifetime_less_is_not():
    with pytest.raises(UserError, match=r"--budget must be at least [0-9]+ lifetimes for 4 settings on 3 seeds, got 9"):
        plan(asked(budget=9))
    smallest = 12 + 2 * 3 * 4 * 10
    assert schedule(smallest, 12, 3, [4, 2], 10)[0].lifetimes == 10
    with pytest.raises(UserError, match=f"at least {smallest} lifetimes"):
        schedule(smallest - 1, 12, 3, [4, 2], 10)


def test_what_is_planned_is_within_the_budget_scores_included():
    tuning = plan(asked(budget=3000))
    tasks = len(choosing_tasks(tuning.config.problem.build(0)))
    assert tasks == 12  # of 14, two of which are withheld
    tests = 3 * tasks * (1 * (4 + 2) + 2 * tuning.config.evaluation.lives)
    first, second = (rung.lifetimes for rung in tuning.rungs)
    total = tests + 3 * (4 * first + 2 * (second - first))
    assert 3000 - 12 < total <= 3000


def test_settings_of_another_population_live_as_many_lifetimes_in_other_generations():
    others = [text for text in TINY if not text.startswith("strategy.population")]
    tuning = plan(asked("strategy.population=4,8", set=(*others, FOLD)))
    small, large = (tuning.runs(number, 0)[0].config.generations for number in range(2))
    assert small == tuning.rungs[0].lifetimes // 4 and large == tuning.rungs[0].lifetimes // 8


def test_a_candidate_s_runs_are_its_settings_on_every_seed_and_validate_nothing():
    tuning = plan(asked(seeds="7,100"))
    runs = tuning.runs(2, 1)
    assert [(run.config.seed, run.config.strategy.sigma, run.config.validation.every) for run in runs] == [
        (7, 0.3, 0),
        (100, 0.3, 0),
    ]
    assert [run.cell.name for run in runs] == ["sigma=0.3,s7", "sigma=0.3,s100"]


# ---- values


def test_lists_are_a_grid_of_which_a_part_may_be_asked_for():
    grid = drawn(None, a="1,2", b="3,4,5")
    assert len(grid) == 6 and grid[1] == {"a": "1", "b": "4"}
    some = drawn(4, a="1,2", b="3,4,5")
    assert len(some) == 4 and [over for over in grid if over in some] == some
    assert drawn(3, a="1,2", b="3,4,5") == [over for over in some if over in drawn(3, a="1,2", b="3,4,5")]


def test_drawn_values_lie_in_their_range_and_fill_it():
    values = [float(over["x"]) for over in drawn(400, x="2.0:6.0")]
    assert 2.0 <= min(values) < 2.1 and 5.9 < max(values) <= 6.0 and abs(np.mean(values) - 4.0) < 0.2
    powers = [math.log10(float(over["x"])) for over in drawn(400, x="log:1e-4:1")]
    assert -4.0 <= min(powers) < -3.9 and -0.1 < max(powers) <= 0.0 and abs(np.mean(powers) + 2.0) < 0.2


def test_between_whole_numbers_are_whole_numbers_and_both_ends_are_meant():
    assert {over["x"] for over in drawn(200, x="3:5")} == {"3", "4", "5"}
    assert {over["x"] for over in drawn(200, x="log:1:3")} == {"1", "2", "3"}


def test_a_drawn_value_is_an_address_so_more_candidates_and_more_keys_change_no_other():
    few, many = drawn(5, x="0.0:1.0"), drawn(9, x="0.0:1.0")
    assert many[:5] == few
    assert [over["x"] for over in drawn(5, x="0.0:1.0", y="a,b")] == [over["x"] for over in few]
    assert [over["x"] for over in few] != [over["y"] for over in drawn(5, y="0.0:1.0")]


def test_a_key_of_a_list_is_drawn_too_where_another_has_a_range():
    assert {over["y"] for over in drawn(30, x="0.0:1.0", y="a,b")} == {"a", "b"}


def test_of_a_grid_too_large_to_list_the_settings_asked_for_are_drawn():
    values = {f"k{number}": [str(value) for value in range(10)] for number in range(12)}
    some = candidates(values, 50)
    assert len(some) == 50 and all(over.keys() == values.keys() for over in some)
    assert candidates(values, 9) == some[:9]
    assert {over["k0"] for over in some} == set(values["k0"])


@pytest.mark.parametrize("over", [[f"k{number}={','.join('0123456789')}" for number in range(12)], ["k=0.0:1.0"]])
def test_more_settings_than_can_be_listed_are_refused_with_the_way_to_fewer(over):
    values, count = read_over(over), None if len(over) > 1 else 10**12
    with pytest.raises(UserError, match=r"at most 100,000 settings, got 1,000,000,000,000; say with --candidates"):
        candidates(values, count)


# ---- a type among what is varied


def test_what_is_set_holds_for_every_type_that_is_tried():
    tuning = plan(asked("strategy.type=openai_es,pgpe,snes"))
    strategies = [each.config.strategy for each in tuning.cells[:3]]
    assert [type(strategy).__name__ for strategy in strategies] == ["OpenAIESSettings", "PGPESettings", "SNESSettings"]
    assert [strategy.population for strategy in strategies] == [4, 4, 4]  # of TINY's --set


def test_what_is_varied_beside_a_type_holds_for_every_type_whichever_is_named_first():
    over = ["strategy.sigma=0.25,0.5", "strategy.type=snes,pgpe"]
    for texts in (over, over[::-1]):
        found = {
            (each.cell.over["strategy.type"], each.cell.over["strategy.sigma"], each.config.strategy.sigma)
            for each in plan(asked(*texts, budget=10_000)).cells
        }
        assert found == {(name, text, float(text)) for name in ("snes", "pgpe") for text in ("0.25", "0.5")}


def test_a_type_within_a_type_that_is_set_is_varied_in_it():
    tuning = plan(asked("strategy.optimizer.type=adam,clipup", set=("strategy.type=pgpe", *TINY, FOLD)))
    found = [each.config.strategy for each in tuning.cells[:2]]
    assert [type(strategy).__name__ for strategy in found] == ["PGPESettings"] * 2
    assert [type(strategy.optimizer).__name__ for strategy in found] == ["Adam", "ClipUp"]


def test_the_best_settings_of_another_type_are_those_that_were_tried():
    tuning = plan(asked("strategy.type=openai_es,snes"))
    assert tuned.best_settings(tuning, 1).strategy == tuning.cells[1].config.strategy


def test_a_key_that_one_of_the_types_lacks_is_told_with_the_settings_that_lack_it():
    with pytest.raises(UserError, match=r"cell 'type=snes,s100': .*shaping"):
        plan(asked("strategy.type=pgpe,snes", set=(*TINY, FOLD, "strategy.shaping=raw")))


# ---- refusals


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"over": ("strategy.sigma=0.3:0.1",)}, "must be a range from a low to a high end, got '0.3:0.1'"),
        ({"over": ("strategy.sigma=log:0:1",)}, "must be a range from above 0 from a low to a high end, got 'log:0:1'"),
        ({"over": ("strategy.sigma=log:a:1",)}, "must be values between commas or one range"),
        ({"over": ("strategy.sigma=0.1,0.2:0.3",)}, "must be values between commas or one range"),
        ({"over": ("strategy.sigma=0.1",)}, "there is one candidate and nothing to choose"),
        ({"over": ("strategy.sigma=0.1,-1",)}, "strategy.sigma: expected `float` > 0.0, got -1"),
        ({"over": ("problem.task.feedback=graded,binary",)}, "--over cannot vary problem.task.feedback"),
        ({"over": ("problem.scored_trials=2,3",)}, "--over cannot vary problem.scored_trials"),
        ({"over": (SIGMAS, "validation={every=1}")}, "--over cannot vary validation, for the runs"),
        ({"over": ("strategy.weight_decay=1:1e999",)}, "must be a range from a low to a high end, got '1:1e999'"),
        ({"over": ("problem.rule.eta=1,2",)}, "problem.rule.eta is given by --set and by --over"),
        ({"candidates": 9}, "--over spans 4 settings, --candidates asks for 9"),
        ({"seeds": "x"}, "--seeds must look like 0:9"),
    ],
)
def test_a_tuning_that_cannot_be_is_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence.replace("(", r"\(")):
        plan(asked(**changes))


def test_the_report_fold_is_refused_with_the_way_to_the_validation_fold():
    with pytest.raises(UserError, match=r"--set 'problem\.task\.withheld=\[\"and\"\]'$"):
        plan(asked(set=tuple(TINY)))
    with pytest.raises(UserError, match=r"'problem\.task\.withheld=\[\"and\"\]', or tune icml2023-small-fold-and$"):
        plan(asked(source="icml2023-small", set=tuple(TINY)))


def test_of_the_fold_presets_only_the_report_fold_is_refused():
    refused = set()
    for name in (name for name in preset_names() if name.startswith("icml2023-small-fold-")):
        try:
            check_fold(name, (), read_config(name))
        except UserError:
            refused.add(name)
    assert refused == {"icml2023-small-fold-dms"}


@pytest.mark.parametrize(("validation", "refused"), [((), True), (("a",), False)])
def test_where_there_are_validation_tasks_the_withheld_ones_are_not_looked_at_and_may_be_any(validation, refused):
    problem = SimpleNamespace(
        withholding=lambda: "novel class", build=lambda seed: SimpleNamespace(validation=validation), folds=dict
    )
    try:
        check_fold("mine", (), SimpleNamespace(problem=problem, seed=0))
        assert not refused
    except UserError as error:
        assert refused and "withheld with other tasks" in str(error)


# ---- scores


class Recorder:
    """An evaluator that keeps what it is asked and scores the members .25, .5, ... by the metric alone."""

    def __init__(self):
        self.jobs, self.genotypes = [], None

    def evaluate(self, candidates, jobs, measure="score"):
        self.jobs, self.genotypes = list(jobs), candidates.genotypes
        rows = np.full((len(jobs), 4), 9.0)
        rows[:, METRIC] = [0.25 * (job.member + 1) for job in jobs]
        return rows


@pytest.fixture
def run():
    search = Search.of(read_config("quickstart", [*TINY, FOLD]))
    return SimpleNamespace(search=search, center=search.start().center + 1.0, finished=True)


def test_a_score_is_the_center_s_metric_on_training_tasks_and_lives_of_its_own(run):
    recorder = Recorder()
    assert tuned.score(run, recorder, rung=1, lives=3) == 0.25
    assert np.array_equal(recorder.genotypes, [run.center])
    assert {job.life.task for job in recorder.jobs} == set(run.search.problem.tasks) - {"and", "nand"}
    assert len(recorder.jobs) == 3 * 12 and {job.life.purpose for job in recorder.jobs} == {Purpose.TUNING}


def test_rungs_and_the_confirmation_live_different_lives(run):
    first, second, fresh = Recorder(), Recorder(), Recorder()
    tuned.score(run, first, 0, 3), tuned.score(run, second, 1, 3)
    assert tuned.confirm(run, fresh, 3) == (0.25, 0.5)
    lives = [{job.life.path for job in recorder.jobs} for recorder in (first, second, fresh)]
    assert len(set.union(*lives)) == sum(map(len, lives)) == 9
    assert np.array_equal(fresh.genotypes, [run.center, run.search.start().center])


def test_validation_tasks_are_scored_where_there_are_any():
    problem = SimpleNamespace(tasks=("a", "b", "c"), withheld=("c",), validation=("b",))
    assert choosing_tasks(problem) == ("b",)
    problem.validation = ()
    assert choosing_tasks(problem) == ("a", "b")


def test_a_run_that_diverged_scores_less_than_any(run):
    run.finished = False
    assert tuned.score(run, Recorder(), 0, 1) == DIVERGED


# ---- who goes on


def test_the_best_go_on_and_the_last_rung_alone_chooses():
    tuning = plan(asked(seeds="100"))
    assert tuned.alive(tuning, scored(tuning, {0: 0.5, 1: 0.9, 2: 0.6})) == [[0, 1, 2, 3]]
    first = {0: 0.5, 1: 0.9, 2: 0.6, 3: 0.7}
    assert tuned.alive(tuning, scored(tuning, first)) == [[0, 1, 2, 3], [1, 3]]
    assert tuned.alive(tuning, scored(tuning, first, {1: 0.7, 3: 0.8})) == [[0, 1, 2, 3], [1, 3], [3]]


def test_of_equal_settings_the_first_go_on():
    tuning = plan(asked(seeds="100"))
    assert tuned.alive(tuning, scored(tuning, dict.fromkeys(range(4), 0.5)))[1] == [0, 1]


def test_settings_count_as_the_median_of_their_seeds_and_diverging_once_in_three_is_no_end():
    tuning = plan(asked())
    first = {0: [0.5, 0.5, 0.5], 1: [0.1, 0.6, 0.7], 2: [DIVERGED, 0.8, 0.9], 3: [DIVERGED, math.nan, 1.0]}
    scores = scored(tuning, first)
    assert [tuned.median(tuning, scores, number, 0) for number in range(4)] == [0.5, 0.6, 0.8, DIVERGED]
    assert tuned.alive(tuning, scores)[1] == [1, 2]


# ---- what is told


@pytest.fixture
def chosen():
    tuning = plan(asked(seeds="100"))
    scores = scored(tuning, {0: 0.5, 1: 0.9, 2: 0.6, 3: DIVERGED}, {1: 0.75, 2: 0.8})
    return tuning, scores, scores.with_confirmed("sigma=0.3,s100", (0.7, 0.6))


def test_there_is_no_best_before_it_is_scored_on_fresh_lives(chosen, tmp_path):
    tuning, before, after = chosen
    assert tuned.write_result(tuning, tmp_path, before)["best"] is None
    assert not (tmp_path / "best.toml").exists()
    best = tuned.write_result(tuning, tmp_path, after)["best"]
    assert (best["label"], best["median"], best["confirmed"], best["generation_0"]) == ("sigma=0.3", 0.8, 0.7, 0.6)


def test_the_best_settings_are_a_run_file_of_the_run_they_were_meant_for(chosen, tmp_path):
    tuning, _, scores = chosen
    tuned.write_result(tuning, tmp_path, scores)
    best = read_config(str(tmp_path / "best.toml"))
    meant = read_config("quickstart", [*TINY, FOLD, "strategy.sigma=0.3"])
    assert (best.strategy, best.problem, best.validation, best.seed) == (
        meant.strategy,
        meant.problem,
        meant.validation,
        meant.seed,
    )
    assert best.generations == meant.generations == 120 and best.name == "tiny-tuned"
    assert best.summary.endswith("Tuned: sigma=0.3, the best of 4 settings tried.")


def test_the_table_has_every_setting_with_those_that_came_furthest_first(chosen, tmp_path):
    rows = tuned.table(tuned.result(chosen[0], tmp_path, chosen[2]))
    assert [row[:3] for row in rows] == [
        ("settings", "rung 1", "rung 2"),
        ("sigma=0.3", "0.600", "0.800"),
        ("sigma=0.2", "0.900", "0.750"),
        ("sigma=0.1", "0.500", ""),
        ("sigma=0.4", "diverged", ""),
    ]


def test_what_is_said_of_the_best_names_how_many_were_tried_and_what_is_left_of_it(chosen, tmp_path):
    said = " ".join(tuned.sentences(tuned.result(chosen[0], tmp_path, chosen[2])))
    assert "0.800 where it was chosen, the best of 4 settings tried, so partly best by luck" in said
    assert "On fresh lives: 0.700 (generation 0: 0.600)" in said
    assert "Withheld and, nand: relabelled, never lived here." in said


def test_scores_are_read_as_they_were_written_and_only_for_the_same_words(chosen, tmp_path):
    tuning, _, scores = chosen
    assert tuned.read_scores(tmp_path, tuning.asked) == Scores(asked=tuning.asked)
    tuned.write_result(tuning, tmp_path, scores)
    assert tuned.read_scores(tmp_path, tuning.asked) == scores
    with pytest.raises(UserError, match="was begun with budget 5000, got 5001; put that back"):
        tuned.read_scores(tmp_path, asked(seeds="100", budget=5001))
    content = json.loads((tmp_path / "tune.json").read_text())
    (tmp_path / "tune.json").write_text(json.dumps({**content, "scores": 3}))
    with pytest.raises(UserError, match=r"tune\.json is damaged"):
        tuned.read_scores(tmp_path, tuning.asked)


def test_seeds_that_are_kept_for_reports_are_warned_of():
    assert tuned.warnings(plan(asked())) == []
    assert "seeds below 100 are kept for reports" in tuned.warnings(plan(asked(seeds="99:101")))[0]
