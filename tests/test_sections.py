"""Sections of an analysis on planted lives: what they ask to be lived, and what they say of it."""

import re

import numpy as np
import pytest

from evoplastic.analysis.degrees import accepted, means
from evoplastic.analysis.evaluation import EVOLVED, GENERATION_0, Evaluated
from evoplastic.analysis.learning_figure import by_task
from evoplastic.analysis.sections import SECTIONS, Case
from evoplastic.analysis.sections.arms import arms
from evoplastic.analysis.sections.generalisation import generalisation
from evoplastic.analysis.sections.relearning import relearning
from evoplastic.analysis.sections.sensitivity import numbers_of_rule, sensitivity, some_tasks
from evoplastic.analysis.statistics import FEWEST_UNITS
from evoplastic.config import read_config
from evoplastic.evolution import Search

TRIALS = 400
SEARCH = Search.of(read_config("quickstart"))


class Planted:
    """Lives whose metric is planted: `course(condition, task)` is a mean by trial, with a little noise of each life."""

    def __init__(self, course, lives=FEWEST_UNITS, search=SEARCH):
        self.course, self.lives, self.search = course, lives, search
        self.asked = []

    def __call__(self, tasks, condition=EVOLVED, measure="course"):
        self.asked.append(condition)
        noise = np.random.default_rng(7).normal(0.0, 0.01, (self.lives, 1))  # of a life, whatever the condition
        return {task: np.full(TRIALS, self.course(condition, task)) + noise for task in tasks}

    def case(self):
        problem = self.search.problem
        facts = {
            "metric": "accuracy",
            "trials_scored": problem.scored_trials,
            "lives": self.lives,
            "chance": 0.5,
            "chance_is": "chance",
            "oracle": 1.0,
            "oracle_exceeded": True,
            "validation": [],
            "withheld": list(problem.withheld),
        }
        return Case(
            self.search, 1, self.search.start().center, [], Evaluated({}, facts), self, lambda task, genome: None
        )


def only_eta_matters(condition, task):
    return 0.5 if condition == "rule.eta@0" else 0.7 if condition == "rule.eta@0.25" else 0.9


def test_a_number_that_matters_is_named_and_what_its_loss_costs_is_told():
    section = sensitivity(Planted(only_eta_matters).case())
    assert "Scores fall without rule.eta." in section.sentences
    (idle,) = [said for said in section.sentences if said.startswith("No change that was tried")]
    assert "rule.eta" not in idle and all(key in idle for key in ("rule.amplitude", "modulation.rate", "third_factor"))
    rows = {row[0]: row for row in section.table}
    assert rows["rule.eta"][1] == "0.03" and rows["rule.eta"][2].startswith("+.40 [.40")
    assert section.numbers["lost"]["rule.eta"]["x 0.25"]["mean"] == pytest.approx(0.2)
    assert section.numbers["lost"]["rule.clip"].keys() == {"x 0.25", "x 0.5", "x 2", "x 4"}, "a clip of 0 is refused"


def test_below_ten_lives_no_number_is_said_to_matter():
    section = sensitivity(Planted(only_eta_matters, lives=FEWEST_UNITS - 1).case())
    assert any("Too few units" in said for said in section.sentences)
    assert not any("Scores fall" in said for said in section.sentences)
    assert "[" not in "".join(cell for row in section.table for cell in row)


def test_lives_that_are_no_numbers_at_one_degree_silence_no_other():
    def course(condition, task):
        return np.nan if condition == "rule.clip@4" else only_eta_matters(condition, task)

    said = " ".join(sensitivity(Planted(course).case()).sentences)
    assert "Scores fall without rule.eta." in said and "not a number with rule.clip x 4." in said


def test_a_coefficient_of_the_genome_is_told_as_it_evolved():
    held = 'problem.genome.rule.eta={sharing="scalar", initial=0.0}'
    search = Search.of(read_config("quickstart", [held]))
    planted = Planted(only_eta_matters, search=search)
    assert "rule.eta" not in numbers_of_rule(planted.case()), "it is 0, and stays 0 whatever multiplies it"
    other = Search.of(read_config("quickstart", [held.replace("initial=0.0", "initial=0.25")]))
    evolved = planted.case()._replace(center=other.start().center)
    assert numbers_of_rule(evolved)["rule.eta"].mean == pytest.approx(0.25)
    row = next(row for row in sensitivity(evolved).table if row[0] == "rule.eta")
    assert row[1] == "0.25" and row[2].startswith("+.40")


def test_no_degree_is_told_at_which_numbers_would_be_cut_off():
    planted = Planted(only_eta_matters, search=Search.of(read_config("quickstart", ['problem.rule={type="bcm"}'])))
    section = sensitivity(planted.case())
    assert "rule.theta_tau_ms@0" not in planted.asked and "rule.theta_tau_ms@2" in planted.asked
    assert not any(row[0] == "rule.theta_tau_ms" and row[2] for row in section.table)


def test_a_code_is_no_number_to_multiply():
    search = Search.of(read_config("quickstart", ['problem.rule={type="floreano"}']))
    assert not any("choice" in key for key in numbers_of_rule(Planted(only_eta_matters, search=search).case()))


def test_settings_are_not_chosen_by_withheld_tasks():
    assert not set(some_tasks(SEARCH.problem)) & set(SEARCH.problem.withheld)
    validated = Search.of(read_config("quickstart", ['problem.task.withheld=["and"]'])).problem
    assert some_tasks(validated)[0] != "and"


def test_counts_and_zeros_are_no_numbers_to_multiply():
    numbers = numbers_of_rule(Planted(only_eta_matters).case())
    assert {"rule.eta", "rule.amplitude", "modulation.rate", "third_factor"} <= numbers.keys()
    assert not any(key.startswith(("network.", "task.")) or key.endswith("_trials") for key in numbers)


def test_generalisation_tells_what_each_degree_costs_on_training_and_withheld_tasks():
    planted = Planted(lambda condition, task: 0.6 if condition == "task.periods.delay=280" and task == "dms" else 0.9)
    section = generalisation(planted.case())
    assert section.table[0] == ("condition", "training tasks: lost", "withheld tasks: lost")
    (longer,) = [row for row in section.table if "delay, ms 280" in row[0]]
    assert longer[1].startswith(".00") and longer[2].startswith("+.15")
    assert {"units_cut=0.1", "task.stimulus_noise=1.5", "task.levels.stimulus@0.5"} <= set(planted.asked)


def test_noisier_is_noisier_than_what_evolution_met():
    search = Search.of(read_config("quickstart", ["problem.task.stimulus_noise=1.0"]))
    planted = Planted(lambda condition, task: 0.9, search=search)
    section = generalisation(planted.case())
    assert "task.stimulus_noise=0.75" not in planted.asked and "task.stimulus_noise=1.5" in planted.asked
    assert any("noise over level 0.5" in row[0] for row in section.table)


def test_shares_of_units_that_are_no_unit_are_left_out():
    search = Search.of(read_config("quickstart", ["problem.network.units=15"]))
    planted = Planted(lambda condition, task: 0.9, search=search)
    generalisation(planted.case())
    cut = [condition for condition in planted.asked if "units_cut" in condition]
    assert cut == ["units_cut=0.2", "units_cut=0.4"] * 2


def back_to(level, only=None):
    """Return a course that is wrong after a reversal, and then at `level`, or so on one task `only`."""

    def course(condition, task):
        after = np.where(np.arange(TRIALS) < 100, 0.2, level if only in (None, task) else 0.2)
        return after if "reversal" in condition else 0.9

    return course


@pytest.mark.parametrize(
    ("level", "words"), [(0.85, "It learns each"), (0.2, "That it learns"), (0.4, "That it learns")]
)
def test_learning_again_is_told_from_staying_where_it_was(level, words):
    section = relearning(Planted(back_to(level)).case())
    assert section.sentences[-1].startswith(words)
    assert section.numbers["tasks"]["and"]["first"]["mean"] == pytest.approx(0.2, abs=0.02)
    assert section.numbers["tasks"]["and"]["last"]["mean"] == pytest.approx(level, abs=0.02)


def test_coming_back_to_one_of_a_pair_alone_is_what_relaxing_does_too():
    section = relearning(Planted(back_to(0.85, only="and")).case())
    assert section.sentences[-1].startswith("It comes back to and and not measurably to nand")


def test_scoring_well_from_the_first_trials_on_is_not_called_learning_again():
    section = relearning(Planted(lambda condition, task: np.where(np.arange(TRIALS) < 100, 0.96, 0.95)).case())
    assert section.sentences[-1] == "That it learns any of them again is not shown."


def test_below_ten_lives_nothing_is_said_to_be_learned_again():
    section = relearning(Planted(back_to(0.85), lives=3).case())
    assert section.sentences[-1].startswith("Too few lives")


@pytest.mark.parametrize("preset", ["harlow", "elife2017-dnms"])
def test_tasks_without_a_negation_are_not_turned_round(preset):
    planted = Planted(lambda condition, task: 0.5, search=Search.of(read_config(preset)))
    assert not relearning(planted.case()).figures and planted.asked == []


def test_a_run_that_stands_alone_claims_nothing_of_what_evolution_needed():
    (said,) = arms(Planted(only_eta_matters).case()).sentences
    assert "stands alone" in said and "--arm" in said


def test_degrees_that_the_settings_refuse_are_left_out():
    from evoplastic.analysis.degrees import Degree

    degrees = [Degree("0", "rule.clip@0"), Degree("1", EVOLVED), Degree("2", "rule.clip@2")]
    assert [degree.label for degree in accepted(SEARCH.problem, degrees, [EVOLVED])] == ["1", "2"]


def test_units_are_lives_or_where_tasks_are_sampled_tasks():
    courses = {"a": np.array([[0.0, 1.0], [0.0, 3.0]]), "b": np.array([[0.0, 2.0], [0.0, 4.0]])}
    assert means(courses, 1, sampled=False).tolist() == [1.5, 3.5]
    assert means(courses, 1, sampled=True).tolist() == [2.0, 3.0]


def test_every_task_has_a_panel_with_both_genomes():
    planted = Planted(only_eta_matters)
    tasks = ["and", "nand", "dms"]
    figure = by_task(planted(tasks, GENERATION_0), planted(tasks), planted.case().evaluated.curves, "course")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["and", "nand", "dms (withheld)"]
    assert all(len(axes.lines) == 3 for axes in shown), "both genomes and chance"


def test_figures_say_how_many_lives_they_rest_on():
    case = Planted(only_eta_matters).case()
    for make in (sensitivity, generalisation, relearning):
        for figure in make(case).figures.values():
            assert re.search(rf"\b{FEWEST_UNITS} lives\b", " ".join(text.get_text() for text in figure.texts))


def test_the_sections_stand_in_the_order_of_a_readers_questions():
    assert list(SECTIONS)[:2] == ["course", "learning"] and list(SECTIONS)[-1] == "decoding"
