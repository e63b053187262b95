"""The Boolean family's settings: what is withheld, which tasks a generation meets, timelines, lives of every k."""

import numpy as np
import pytest

from evoplastic.errors import UserError
from evoplastic.modulation.loss import LossSettings
from evoplastic.networks.leaky import LeakySettings
from evoplastic.networks.roles import RoleSettings
from evoplastic.problems.contract import METRIC
from evoplastic.problems.lifetimes import LifetimesSettings
from evoplastic.random import Purpose
from evoplastic.rules.node_perturbation import NodePerturbationSettings
from evoplastic.tasks.boolean_settings import BooleanSettings, PeriodSettings
from evoplastic.tasks.truth_tables import RandomPairs, Spec, Tables, negation

EVEN = ["and", "01", "10", "watchstim1", "antiwatchstim1", "nor"]  # of the published program, match to sample withheld
ODD = ["nand", "anti01", "anti10", "watchstim2", "antiwatchstim2", "or"]


def lifetimes(task, units=13, **changes):
    """Return the problem of short lives on `task`."""
    return LifetimesSettings(
        network=LeakySettings(units=units),
        rule=NodePerturbationSettings(burn_in_trials=1, quiet_trials=1),
        modulation=LossSettings(),
        task=task,
        scored_trials=4,
        **changes,
    )


def problem(**changes):
    return lifetimes(BooleanSettings(trials=6, **changes)).resolve().build(0)


def test_negations_are_withheld_too():
    task = BooleanSettings(withheld=("nor", "dms", "dnms")).resolve()
    assert task.withheld == ("dms", "or", "nor", "dnms")
    assert not set(task.training()) & set(task.withheld) and len(task.training()) == 10


@pytest.mark.parametrize("battery", ["boolean2", "boolean2-as-published"])
@pytest.mark.parametrize("withheld", [("nor",), ("nand", "dms"), ("dnms", "nor", "watchstim1"), ("anti10", "10")])
def test_resolving_twice_changes_nothing(battery, withheld):
    """The run file of a run folder is resolved, and resuming reads it again: another order would be another run."""
    task = BooleanSettings(battery=Spec(name=battery), withheld=withheld).resolve()
    assert task.resolve() == task


@pytest.mark.parametrize("name", ["10", "anti10", "nor"])
def test_a_task_is_withheld_with_all_that_have_its_table(name):
    task = BooleanSettings(battery=Spec(name="boolean2-as-published"), withheld=(name, "dms")).resolve()
    assert "10" in task.withheld and "nor" in task.withheld and len(task.withheld) == len(set(task.withheld)) == 5


def test_withholding_without_a_negation_is_refused():
    battery = Tables(tables={"a": "0110", "b": "0001"})
    with pytest.raises(UserError, match="'a' cannot be withheld: its negation 1001 is not in the battery"):
        BooleanSettings(battery=battery, withheld=("a",)).resolve()


def test_an_unknown_withheld_task_is_refused_with_all_names():
    with pytest.raises(UserError, match=r"task 'dmss' is unknown; choose one of \['and', .*\]; did you mean 'dms'"):
        BooleanSettings(withheld=("dmss",)).resolve()


def test_withholding_all_is_refused():
    with pytest.raises(UserError, match="leaves no task"):
        BooleanSettings(battery=Tables(tables={"a": "01", "b": "10"}), withheld=("a",)).resolve()


def test_withholding_a_whole_half_is_refused_where_halves_alternate():
    battery = Tables(tables={"a": "0110", "b": "0001", "c": "1001"})
    assert BooleanSettings(battery=battery, withheld=("a",)).resolve().training() == ["b"]
    with pytest.raises(UserError, match="leaves no task"):
        BooleanSettings(battery=battery, withheld=("a",), alternate_halves=True).resolve()


def test_pairs_of_generations_meet_the_published_halves_in_turn():
    task = BooleanSettings(withheld=("dms",), alternate_halves=True).resolve()
    assert [task.eligible(generation) for generation in range(6)] == [EVEN, EVEN, ODD, ODD, EVEN, EVEN]


def test_all_training_tasks_are_eligible_where_halves_do_not_alternate():
    task = BooleanSettings(withheld=("dms",)).resolve()
    assert task.eligible(0) == task.eligible(2) == task.training()


@pytest.mark.parametrize("generation", [0, 1, 2, 3, 40, 42])
def test_lives_draw_from_their_generation_s_half_and_from_all_of_it(generation):
    lives = problem(withheld=("dms",), alternate_halves=True)
    drawn = [name for pair in range(200) for name in lives.tasks_of(lives.training_life(generation, pair))]
    assert set(drawn) == set(ODD if generation // 2 % 2 else EVEN)


def test_a_test_life_ends_with_the_tested_task_after_training_tasks():
    lives = problem(withheld=("dms",), tasks_per_life=3)
    tested = lives.test_lives(Purpose.VALIDATION, (0,), 20)
    assert list(tested) == list(lives.settings.task.tables)
    for name in ("dms", "or"):
        for life in tested[name]:
            *before, last = lives.tasks_of(life)
            assert last == name and len(before) == 2 and not set(before) & {"dms", "dnms"}
    assert [lives.tasks_of(life)[:-1] for life in tested["dms"]] == [lives.tasks_of(life)[:-1] for life in tested["or"]]


def test_reversal_alternates_a_task_and_its_negation_up_to_the_tested_one():
    lives = problem(withheld=("dms",), tasks_per_life=3, reversal=True)
    assert lives.tasks_of(lives.test_lives(Purpose.VALIDATION, (0,), 1)["dms"][0]) == ["dms", "dnms", "dms"]
    for pair in range(20):
        first, second, third = lives.tasks_of(lives.training_life(0, pair))
        assert first == third and negation(lives.settings.task.tables[first]) == lives.settings.task.tables[second]


@pytest.mark.parametrize("changes", [{}, {"tasks_per_life": 2, "newborn_tasks": True}])
def test_a_reversal_that_no_life_would_meet_is_refused(changes):
    with pytest.raises(UserError, match="reversal needs tasks_per_life of at least 2"):
        BooleanSettings(reversal=True, **changes).resolve()


# ---- the timeline


@pytest.mark.parametrize(("stimuli", "response"), [(1, 15), (2, 25), (3, 35), (4, 45)])
def test_each_stimulus_comes_with_a_gap_and_the_delay_replaces_the_last(stimuli, response):
    periods = PeriodSettings().steps(stimuli, 20.0)
    assert (periods.stimuli, periods.stimulus, periods.onset) == (stimuli, 8, 10)
    assert (periods.response, periods.response_end) == (response, response + 10)
    assert (periods.feedback, periods.feedback_end, periods.trial) == (response + 11, response + 21, response + 25)


def test_a_finer_clock_gives_more_steps():
    assert PeriodSettings().steps(2, 10.0).trial == 100 and PeriodSettings().steps(2, 4.0).trial == 250


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"delay": 25.0}, r"problem.task.periods.delay must be a multiple of 20.0 ms .*, got 25.0"),
        ({"stimulus": 0.0}, r"task.periods.stimulus must be at least one step"),
        ({"response": 0.0}, r"task.periods.response must be at least one step"),
        ({"feedback": 1e-9}, r"task.periods.feedback must be at least one step"),
        ({"rest": 1e300}, r"task.periods.rest must be at most 100000 steps"),
        ({"rest": float("inf")}, r"task.periods.rest must be at most 100000 steps"),
        ({"rest": float("nan")}, r"task.periods.rest must be at most 100000 steps"),
    ],
)
def test_a_timeline_that_no_clock_keeps_is_refused(changes, words):
    with pytest.raises(UserError, match=words):
        PeriodSettings(**changes).steps(2, 20.0)


@pytest.mark.parametrize("name", ["gap", "delay", "pause", "rest"])
def test_silent_periods_may_be_left_out(name):
    assert PeriodSettings(**{name: 0.0}).steps(2, 20.0).trial < 50


# ---- lives


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ({"stimulus": 1}, r"needs at least 2 stimulus units, got 1"),
        ({"response": 1}, r"needs at least 2 response units, got 1"),
        ({"echo": 1}, r"needs at least 2 echo units, got 1"),
    ],
)
def test_roles_that_the_task_cannot_use_are_refused(roles, words):
    settings = lifetimes(BooleanSettings(trials=6))
    network = LeakySettings(units=17, roles=RoleSettings(**roles))
    with pytest.raises(UserError, match=words):
        LifetimesSettings(
            network=network, rule=settings.rule, modulation=settings.modulation, task=settings.task, scored_trials=4
        ).resolve()


@pytest.mark.parametrize("stimuli", [1, 2, 3, 4])
def test_a_random_battery_of_k_stimuli_is_lived_and_scored(stimuli):
    lives = problem(battery=RandomPairs(stimuli=stimuli, pairs=1, seed=1))
    center = lives.layout.initial()
    table, negated = lives.settings.task.tables.values()
    assert negated == negation(table)
    tested = lives.test_lives(Purpose.EVALUATION, (0,), 2).values()
    rows = [lives.score(center, life) for lives_on_task in tested for life in lives_on_task]
    assert np.isfinite(rows).all() and all(0 <= row[METRIC] <= 1 for row in rows)
    assert len(lives.course(center, lives.training_life(0, 0))) == 6


@pytest.mark.parametrize("newborn", [False, True])
def test_several_tasks_a_life_score_each_task_s_last_trials(newborn):
    lives = problem(tasks_per_life=3, newborn_tasks=newborn)
    center = lives.layout.initial()
    life = lives.training_life(0, 0)
    trials = lives._live(center, life, lives.tasks_of(life))
    assert trials.shape[0] == 18
    expected = trials.reshape(3, 6, 3)[:, -4:, 1].mean()
    assert lives.score(center, life)[METRIC] == pytest.approx(expected)


def test_a_test_life_is_scored_on_its_tested_task_alone():
    lives = problem(tasks_per_life=3)
    center = lives.layout.initial()
    life = lives.test_lives(Purpose.EVALUATION, (0,), 1)["or"][0]
    trials = lives._live(center, life, lives.tasks_of(life))
    assert lives.score(center, life)[METRIC] == pytest.approx(trials[-4:, 1].mean())
    np.testing.assert_array_equal(lives.course(center, life), trials[-6:, 1])
