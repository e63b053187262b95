"""Several families in one run: each life is of one of them, each family compiles its own kernel, one scale for all."""

import tomllib

import numpy as np
import pytest
from scipy import stats
from test_evolution import bits
from test_meta_lifetimes import refused, run_file

import evoplastic
from evoplastic.analysis.evaluation import EvaluationRequest, evaluate
from evoplastic.analysis.evaluation_table import headline, rows
from evoplastic.config import deciding, difference, parse_config, write_toml
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Search
from evoplastic.problems.contract import Life
from evoplastic.random import Purpose
from evoplastic.rollout import live

BOOLEAN = {"type": "boolean", "trials": 40, "periods": {"stimulus": 40, "delay": 40, "response": 40, "feedback": 40}}
META = {"type": "meta_tasks", "specs": ["t-maze", "two-step"], "horizon": 40}


def mixture(*families):
    """Return a parsed run file of these families."""
    raw = run_file("t-maze")
    raw["problem"]["task"] = {"type": "mixture", "families": list(families)}
    return raw


@pytest.fixture(scope="module")
def config():
    held = {"withheld": ["dms"]}, {"withheld": ["two-step"]}
    return parse_config(mixture(BOOLEAN | held[0], META | held[1]))


@pytest.fixture(scope="module")
def problem(config):
    return config.problem.build(0)


def family_of(problem, names):
    """Return the number of the family of these tasks, which must be one."""
    (number,) = {int(name in META["specs"]) for name in names}
    return number


# ---- lives


def test_lives_are_drawn_evenly_from_families(problem):
    drawn = [family_of(problem, problem.tasks_of(problem.training_life(0, pair))) for pair in range(400)]
    assert stats.chisquare(np.bincount(drawn)).pvalue > 1e-4


def test_tasks_are_drawn_evenly_within_a_family(problem):
    drawn = [problem.tasks_of(problem.training_life(3, pair))[0] for pair in range(1200)]
    boolean = [name for name in drawn if name != "t-maze"]
    assert set(boolean) == set(problem.tasks) - {"t-maze", "two-step", "dms", "dnms"}
    assert stats.chisquare([boolean.count(name) for name in set(boolean)]).pvalue > 1e-4


@pytest.mark.parametrize("tested", ["dms", "two-step", "and"])
def test_a_life_of_several_tasks_stays_in_one_family(tested):
    several = {"tasks_per_life": 3}
    problem = parse_config(mixture(BOOLEAN | several, META | several | {"withheld": ["two-step"]})).problem.build(0)
    for life in range(40):
        assert len(problem.tasks_of(problem.training_life(0, life))) == 3
        family_of(problem, problem.tasks_of(problem.training_life(0, life)))
        names = problem.tasks_of(Life(Purpose.VALIDATION, (life,), tested))
        assert names[-1] == tested and "two-step" not in names[:2]
        assert family_of(problem, names) == family_of(problem, [tested])


def test_every_family_has_its_own_kernel_and_only_one(problem):
    for life in [*(problem.training_life(0, pair) for pair in range(8)), Life(Purpose.VALIDATION, (0,), "two-step")]:
        assert np.isfinite(problem.score(problem.layout.initial(), life)).all()
    kinds = [tuple(kind.instance_class.__name__ for kind in signature[:4]) for signature in live.signatures]
    for task in ("BooleanTask", "Blocks"):
        assert kinds.count(("Leaky", "Terms", "Reward", task)) == 1


def test_a_task_is_lived_as_in_a_run_of_its_family_alone(problem):
    for family, name in ((BOOLEAN, "and"), (META, "two-step")):
        raw = run_file("t-maze")
        raw["problem"]["task"] = family
        alone, life = parse_config(raw).problem.build(0), Life(Purpose.VALIDATION, (5,), name)
        fitness, metric, *rest = problem.score(problem.layout.initial(), life)
        theirs = alone.score(problem.layout.initial(), life)
        scale = alone.settings.task.scale
        np.testing.assert_array_equal([fitness, *rest], theirs[[0, 2, 3]])
        assert metric == (theirs[1] - scale.random_policy) / (scale.oracle - scale.random_policy)


# ---- one scale


def test_scores_are_shares_of_the_way_from_random_play_to_the_oracle(problem):
    assert problem.columns == ("fitness", "score", "loss", "cost")
    assert (problem.chance, problem.random_policy, problem.oracle) == (0, 0, 1)
    course = problem.course(problem.layout.initial(), Life(Purpose.VALIDATION, (0,), "and"))
    assert set(course) == {-1, 1}, "right is 1 and wrong is -1 where one of two answers is right"
    assert problem.settings.task.measured("and", 0.75) == 0.5
    assert problem.settings.task.measured("two-step", 0.75) == 0.75


def test_who_answers_nothing_scores_0_in_every_family(problem):
    genotype = np.zeros_like(problem.layout.initial())
    lives = problem.test_lives(Purpose.EVALUATION, (), 60)
    for tasks in (["and", "nand"], ["t-maze"]):
        scores = [problem.score(genotype, life)[1] for task in tasks for life in lives[task]]
        assert abs(np.mean(scores)) < 4.5 * np.std(scores) / np.sqrt(len(scores)) + 0.01


def test_what_a_report_needs_is_told_of_all_families(config, problem):
    assert problem.withheld == ("dms", "dnms", "two-step")
    assert problem.withholding == "novel class, other meta-tasks"
    assert problem.pairs(["and", "nand", "t-maze"]) == [("and", "nand")]
    assert "the graded error against the hidden target, or the reward of each decision" in problem.privileged
    assert config.problem.folds() == {}


# ---- runs


def test_a_mixture_is_evolved_and_evaluated(config):
    alone, together = (list(evoplastic.evolve(config, None, workers)) for workers in (1, 2))
    assert bits(alone) == bits(together)
    problem = config.problem.build(0)
    search = Search(config, problem, config.strategy.build(problem.layout, config.seed))
    request = EvaluationRequest(2, ("plasticity_off",))
    result, curves = evaluate(search, alone[-1].state.center, Threads(problem, 1), request)
    assert "on training tasks" in headline(result) and "on withheld tasks" in headline(result)
    assert set(result["conditions"]["evolved"]["tasks"]) == set(problem.tasks)
    assert [row[0] for row in rows(result)] == ["evolved", "generation 0", "plasticity off", "chance", "oracle"]
    assert curves["conditions"]["evolved"]["training"].shape[1] == 40


def test_a_stored_mixture_reads_back_equal(config):
    again = parse_config(tomllib.loads(write_toml(config)))
    assert again == config
    assert difference(again, deciding(config)) is None


# ---- refusals


@pytest.mark.parametrize(
    ("families", "complaint"),
    [
        ((), "problem.task.families must hold at least one family"),
        ((BOOLEAN, META | {"horizon": 30}), "problem.task.families must agree on trials, got [40, 30]"),
        ((BOOLEAN | {"tasks_per_life": 2}, META), "problem.task.families must agree on tasks_per_life, got [2, 1]"),
        (
            (BOOLEAN | {"newborn_tasks": True}, META),
            "problem.task.families must agree on newborn_tasks, got [True, False]",
        ),
        ((BOOLEAN, BOOLEAN), "problem.task.families: two tasks are called 'and'; rename one"),
        ((META, META), "problem.task.families: two tasks are called 't-maze'; rename one"),
        (
            (BOOLEAN, META | {"withheld": ["t-maze", "two-step"]}),
            "problem.task.families[1]: problem.task.withheld leaves no task to evolve on; withhold fewer tasks",
        ),
        ((META | {"specs": ["t-mase"]}, BOOLEAN), "problem.task.families[0]: task spec 't-mase' is unknown"),
        ((BOOLEAN, META | {"horizon": "long"}), "problem.task.families[1].horizon"),
        ((BOOLEAN, {"type": "mixture", "families": []}), "problem.task.families[1].type: "),
        ((BOOLEAN, {"horizon": 40}), "problem.task.families[1]: object missing required field `type`"),
    ],
)
def test_families_that_do_not_go_together_are_refused_in_one_sentence(families, complaint):
    assert complaint in refused(mixture(*families))


def test_a_network_without_room_for_one_of_the_families_is_refused():
    raw = mixture(BOOLEAN, META)
    raw["problem"]["network"]["roles"]["stimulus"] = 2
    assert "needs at least 3 stimulus units, got 2; set problem.network.roles.stimulus = 3" in refused(raw)
