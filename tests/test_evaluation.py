"""Evaluation: the promised object, controls that do what their names say, and lives that can be compared in pairs."""

import json
from dataclasses import replace

import numpy as np
import pytest

from evoplastic.analysis.evaluation import (
    EvaluationRequest,
    activity_alone,
    choose_tasks,
    condition_names,
    evaluate,
)
from evoplastic.analysis.evaluation_table import headline, rows
from evoplastic.analysis.figures import run_figures
from evoplastic.analysis.statistics import FEWEST_UNITS, share
from evoplastic.config import read_config
from evoplastic.errors import UserError
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Search, evolve
from evoplastic.problems.contract import METRIC, Life
from evoplastic.problems.lesions import LESIONS
from evoplastic.progress import Screen
from evoplastic.random import Purpose

TINY = [
    "problem.network.units=17",
    "problem.task.trials=12",
    "problem.scored_trials=6",
    "problem.rule.burn_in_trials=1",
    "problem.rule.quiet_trials=2",
    "problem.rule.eta=100.0",  # so that a short life changes the responses
    "problem.rule.clip=1.0",
    "strategy.population=4",
]
LIVES = 3


def tiny(*overrides: str) -> Search:
    return Search.of(read_config("quickstart", [*TINY, *overrides], generations=2))


def mutant(search: Search) -> np.ndarray:
    """Return a genome that is not generation 0's."""
    center = search.start().center
    return center + np.random.default_rng(0).normal(0.0, 0.1, center.shape)


def lived(search: Search, *controls, lives=LIVES, workers=1, tasks=None, seed=0, **options):
    evaluator = Threads(search.problem, workers)
    try:
        return evaluate(search, mutant(search), evaluator, EvaluationRequest(lives, controls, tasks, seed), **options)
    finally:
        evaluator.close()


def evaluated(search: Search, *controls, **options):
    return lived(search, *controls, **options).result


@pytest.fixture(scope="module")
def whole():
    return lived(tiny(), "all")


@pytest.fixture
def result(whole):
    return whole.result


def test_object_has_the_promised_keys(result):
    promised = {
        "format": "evoplastic.evaluate",
        "version": 1,
        "seed": 0,
        "genome": "center",
        "metric": "accuracy",
        "lives": LIVES,
        "trials_scored": 6,
        "chance": 0.5,
        "random_policy": 0.5,
        "oracle": 1.0,
        "withheld": ["dms", "dnms"],
        "fold": "novel class",
    }
    assert {key: result[key] for key in promised} == promised
    lesions = [name for name in LESIONS if name != "none"]
    assert list(result["conditions"]) == ["evolved", "generation_0", *lesions]
    for condition in result["conditions"].values():
        assert {"training", "withheld", "tasks", "withheld_pairs"} <= set(condition)
        (pair,) = condition["withheld_pairs"]
        assert pair["tasks"] == ["dms", "dnms"]
        for interval in (condition["training"], condition["withheld"], *condition["tasks"].values()):
            assert list(interval) == ["mean", "low", "high", "n"]
        assert {"mean", "low", "high", "n", "lean"} <= set(pair)


def test_object_survives_json(result):
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_means_are_over_training_tasks_and_over_the_withheld_pair(result):
    evolved = result["conditions"]["evolved"]
    means = {task: value["mean"] for task, value in evolved["tasks"].items()}
    assert len(means) == 14
    withheld = [means.pop("dms"), means.pop("dnms")]
    assert evolved["training"]["mean"] == pytest.approx(np.mean(list(means.values())))
    assert evolved["withheld"]["mean"] == evolved["withheld_pairs"][0]["mean"] == pytest.approx(np.mean(withheld))
    assert evolved["withheld_pairs"][0]["lean"] == pytest.approx(abs(withheld[0] - withheld[1]))


def test_gain_and_losses_are_differences_of_the_means(result):
    conditions = result["conditions"]
    for part in ("training", "withheld"):
        mean = {name: condition[part]["mean"] for name, condition in conditions.items()}
        gain = result["gain_over_generation_0"][part]["mean"]
        assert gain == pytest.approx(mean["evolved"] - mean["generation_0"])
        lost = result["lost_by_lesion"]["weights_shuffled"][part]["mean"]
        assert lost == pytest.approx(mean["evolved"] - mean["weights_shuffled"])


def test_conditions_differ_where_they_should(result):
    conditions = result["conditions"]
    assert conditions["modulation_cut"] == conditions["plasticity_off"]  # the rule has a third factor
    others = [json.dumps(table) for name, table in conditions.items() if name != "modulation_cut"]
    assert len(set(others)) == len(others)


def test_a_response_blind_to_feedback_is_right_on_half_of_a_pair():
    """Without feedback and plasticity a task and its negation see the same responses: one's errors are the other's."""
    search = tiny("problem.task.levels.feedback=0.0")
    blind = evaluated(search, "plasticity_off")["conditions"]["plasticity_off"]
    pairs = blind["withheld_pairs"] + blind["training_pairs"]
    assert len(pairs) == 7
    assert [pair["mean"] for pair in pairs] == pytest.approx([0.5] * 7, abs=1e-15)
    assert any(pair["lean"] > 0.1 for pair in pairs)


def test_intervals_need_ten_lives(result):
    assert result["conditions"]["evolved"]["training"]["low"] is None
    enough = evaluated(tiny(), lives=FEWEST_UNITS, tasks=("and", "or"))
    for interval in (enough["conditions"]["evolved"]["training"], enough["gain_over_generation_0"]["training"]):
        assert interval["low"] <= interval["mean"] <= interval["high"]
        assert interval["n"] == FEWEST_UNITS


def test_number_of_workers_cannot_be_seen(result):
    assert evaluated(tiny(), "all", workers=2) == result


def test_more_controls_change_no_other_number(result):
    assert evaluated(tiny())["conditions"]["evolved"] == result["conditions"]["evolved"]


def test_another_evaluation_seed_brings_other_lives(result):
    assert evaluated(tiny(), seed=1)["conditions"]["evolved"] != result["conditions"]["evolved"]


def test_conditions_are_announced_as_they_are_done():
    announced = []
    search = tiny()
    evaluated(search, "gains_uniform", lives=1, done=announced.append)
    assert announced == condition_names(search.problem, ["gains_uniform"])
    assert announced == ["evolved", "generation_0", "gains_uniform"]


def test_controls_are_listed_once():
    assert condition_names(tiny().problem, ["feedback_cut", "all", "feedback_cut"]).count("feedback_cut") == 1


@pytest.mark.parametrize("name", ["plastcity_off", "none", "evolved"])
def test_unknown_control_is_refused_with_the_known_ones_wherever_it_is_named(name):
    sentence = rf"control '{name}' is unknown; choose some of \['all', 'plasticity_off'"
    with pytest.raises(UserError, match=f"^{sentence}"):
        evaluated(tiny(), name)
    with pytest.raises(UserError, match=rf"^evaluation\.controls: {sentence}"):
        tiny(f"evaluation.controls=['{name}']")


def test_unknown_task_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"task 'dmss' is unknown; choose some of .*did you mean 'dms'"):
        evaluated(tiny(), tasks=("dmss",))


def test_no_task_at_all_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"no task to evaluate; choose some of \['and', 'nand'"):
        evaluated(tiny(), tasks=())


def test_a_withheld_task_brings_its_negation():
    for named in ("dms", "dnms"):
        chosen = choose_tasks(tiny().problem, [named, "and"])
        assert chosen == (["and"], ["dms", "dnms"], [], [("dms", "dnms")], [])


def test_training_tasks_alone_leave_the_withheld_score_empty():
    only = evaluated(tiny(), lives=1, tasks=("and", "nand"))
    assert only["conditions"]["evolved"]["withheld"] is None
    assert only["conditions"]["evolved"]["withheld_pairs"] == []
    assert "withheld" not in headline(only)


def test_learning_through_activity_is_noted(monkeypatch):
    monkeypatch.setattr("evoplastic.analysis.evaluation.ACTIVITY_ALONE", -1.0)
    noted = evaluated(tiny(), "plasticity_off", lives=1)["notes"]
    assert len(noted) == 1 and "on dms and dnms" in noted[0] and noted[0].endswith("learning through activity.")


def test_what_activity_alone_may_reach_lies_between_chance_and_the_oracle():
    assert activity_alone({"chance": 0.5, "oracle": 1.0}) == 0.54
    assert activity_alone({"chance": 0.0, "oracle": 1.0}) == 0.08


class Maze:
    """A problem of one task without a negation, whose trials score anything; a learner's trials `reached` on average.

    What is not about scores it has from a real problem.
    """

    columns = ("fitness", "score")
    tasks, withheld, withholding = ("maze",), (), "nothing withheld"
    validation, sampled, called, references = (), False, ("chance", "oracle"), {}
    chance, random_policy, oracle, scored_trials = 0.0, 0.0, 1.0, 60
    reached = {"evolved": 0.8, "generation_0": -0.4, "plasticity_off": 0.3}

    def __init__(self, real):
        self.layout, self.lesions, self.privileged, self.marks = real.layout, real.lesions, real.privileged, real.marks
        self.check_lesion = real.check_lesion

    def pairs(self, tasks):
        return []

    def test_lives(self, purpose, path, lives):
        return {"maze": [Life(purpose, (*path, life), "maze") for life in range(lives)]}

    def course(self, genotype, life):
        newborn = np.array_equal(genotype, self.layout.initial())
        mean = self.reached.get(life.lesion, self.reached["generation_0" if newborn else "evolved"])
        return mean + np.random.default_rng(life.path).normal(0.0, 2.0, 100)


@pytest.fixture
def maze():
    search = tiny()
    return lived(replace(search, problem=Maze(search.problem)), "plasticity_off", lives=FEWEST_UNITS)


def test_a_single_task_of_another_metric_is_evaluated(maze):
    result = maze.result
    assert (result["metric"], result["oracle_exceeded"]) == ("score", True)
    assert result["gain_over_generation_0"]["training"]["mean"] == pytest.approx(1.2)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert headline(result).endswith("+1.20 [1.20, 1.20] on training tasks.")


def test_without_pairs_what_plasticity_off_keeps_is_told_without_a_cause_that_it_cannot_know(maze, monkeypatch):
    kept = maze.result["conditions"]["plasticity_off"]["training"]["mean"]
    (note,) = maze.result["notes"]
    assert note.startswith(
        f"Plasticity off keeps {share(kept)} on the training tasks: by a policy that needs no learning"
    )
    monkeypatch.setitem(Maze.reached, "plasticity_off", -0.3)
    search = tiny()
    assert not evaluated(replace(search, problem=Maze(search.problem)), "plasticity_off")["notes"]


def test_a_table_without_withheld_tasks_has_no_column_for_them(maze, capsys):
    Screen().table([("score", "training tasks", "withheld tasks", "worst training task", "lives"), *rows(maze.result)])
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["score", "training", "tasks", "worst", "training", "task", "lives"]
    assert [line.split()[-1] for line in lines] == ["10", "10", "10", ".00", "1.00"]


def test_a_single_task_of_another_metric_can_be_drawn(tmp_path, maze):
    run_figures(tmp_path, [], maze.result | {"generation": 2}, maze.curves)
    assert "Better than generation 0 on maze" in (tmp_path / "tasks.svg").read_text()


def test_privileged_information_is_named():
    def told(*overrides: str) -> str:
        return tiny(*overrides).problem.privileged

    assert "graded error against the hidden target, with a baseline per trial type" in told()
    binary = told("problem.task.feedback=binary", "problem.modulation.baseline=single")
    assert "only whether each response was right, with one baseline for all trials" in binary
    assert "nothing from outside" in told('problem.modulation={type="network_controlled"}')
    assert "is told nothing; the" in told('problem.modulation={type="none"}')
    assert "No third factor reaches the weights; the" in told('problem.rule={type="fixed"}')


def test_fold_is_named():
    def fold(withheld: str) -> str:
        search = tiny(f"problem.task.withheld={withheld}")
        assert search.problem.withholding == search.config.problem.withholding()
        return search.problem.withholding

    assert fold('["dms"]') == "novel class"
    assert fold('["or"]') == "relabelled"
    assert fold("[]") == "nothing withheld"


def test_table_has_a_row_per_condition_then_chance_and_oracle(result):
    table = rows(result)
    assert [row[0] for row in table[:3]] == ["evolved", "generation 0", "plasticity off"]
    assert table[-2:] == [("chance", ".50", ".50", ".50", ""), ("oracle", "1.00", "1.00", "1.00", "")]
    assert len(table) == len(result["conditions"]) + 2
    _, training, withheld, worst, lives = table[0]
    assert training.startswith((".", "1")) and "[" not in training + withheld
    assert worst.split()[1] not in ("dms", "dnms") and lives == str(LIVES)


def test_a_random_policy_has_a_row_where_it_is_not_at_chance(result):
    assert rows(result | {"random_policy": 0.25})[-2] == ("random policy", ".25", ".25", ".25", "")


def test_end_of_a_learning_curve_is_the_evaluated_accuracy(whole):
    result, curves = whole
    assert curves["marks"] == {1: "plasticity starts", 10: "noise off"}
    assert list(curves["conditions"]) == list(result["conditions"])
    for name, curve in curves["conditions"].items():
        for part in ("training", "withheld"):
            assert curve[part].shape == (LIVES, 12)
            assert curve[part][:, -6:].mean() == pytest.approx(result["conditions"][name][part]["mean"])


def test_an_evaluated_accuracy_is_the_one_that_evolution_would_score(result):
    search = tiny()
    genotype, lives = mutant(search), search.problem.test_lives(Purpose.EVALUATION, (0,), LIVES)
    for task in ("or", "dms"):
        scores = [search.problem.score(genotype, life)[METRIC] for life in lives[task]]
        assert result["conditions"]["evolved"]["tasks"][task]["mean"] == np.mean(scores)


def test_what_is_evaluated_can_be_drawn(tmp_path, whole):
    search = tiny("validation.every=1", "validation.lives=1")
    metrics = [record.metrics for record in evolve(search, Threads(search.problem, 1))]
    pictures = run_figures(tmp_path, metrics, whole.result | {"generation": 2}, whole.curves)
    assert all(path.stat().st_size for path in pictures)
