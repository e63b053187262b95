"""Problems: evolution, evaluation and figures need nothing of a problem but its contract."""

import typing
from types import SimpleNamespace

import numpy as np
import pytest

from evoplastic.analysis.evaluation import EvaluationRequest, evaluate
from evoplastic.analysis.evaluation_table import headline, rows
from evoplastic.analysis.figures import run_figures
from evoplastic.config import read_config
from evoplastic.errors import UserError
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Search, evolve
from evoplastic.genome import Block, BlockSettings, GenomeLayout
from evoplastic.problems import PROBLEMS
from evoplastic.problems.contract import DRAWN, Life, Problem, ProblemSettings, choose_lesions, unknown_lesion
from evoplastic.problems.lifetimes import MOST_PACKED
from evoplastic.random import Purpose, fill_normals, stream_key

GENES = 6


def members(contract) -> set[str]:
    return {name for name in vars(contract) if not name.startswith("_")}


class Threshold:
    """A plain function: the chance of answering "yes" is a sigmoid of the genes' sum; f wants yes, not-f wants no."""

    layout = GenomeLayout((Block("genes", (GENES,), np.arange(GENES), BlockSettings(spread=0.1)),), 0)
    columns = ("fitness", "hits")
    tasks = ("f", "not-f")
    withholding = "nothing withheld"
    validation = withheld = ()
    sampled = False
    lesions, graded = {}, {}
    marks = {}
    privileged = "The genome is told nothing."
    chance, random_policy, oracle = 0.5, 0.25, 1.0
    called, references = ("chance", "oracle"), {"half": {"f": 0.5, "not-f": 0.5}}

    def __init__(self, trials=4):
        self.trials, self.scored_trials = trials, max(1, trials // 2)

    def pairs(self, tasks):
        return [("f", "not-f")] if set(tasks) == {"f", "not-f"} else []

    def training_life(self, generation, pair):
        return Life(Purpose.LIFETIME, (generation, pair))

    def test_lives(self, purpose, path, lives):
        return {task: [Life(purpose, (*path, life), task) for life in range(lives)] for task in self.tasks}

    def check_lesion(self, lesion):
        raise unknown_lesion(lesion, self.lesions)

    def score(self, genotype, life):
        hits = self.course(genotype, life)[-self.scored_trials :].mean()
        return np.array([hits, hits])

    def course(self, genotype, life):
        noise = np.empty(self.trials)
        fill_normals(stream_key(0, life.purpose, *life.path), noise)
        yes = 1 / (1 + np.exp(-(genotype.sum() + 0.1 * noise)))
        return yes if life.task in ("f", DRAWN) else 1 - yes

    def losses(self, genotype, life):
        return 1 - self.course(genotype, life)


def search_of(problem) -> Search:
    """Return a search for `problem` with the strategy of a preset, whose own problem plays no part."""
    config = read_config("quickstart", ["validation.every=1", "strategy.population=4"], generations=2)
    return Search(config, problem, config.strategy.build(problem.layout, config.seed))


BUILT = [pytest.param(typing.get_type_hints(settings.build)["return"], id=name) for name, settings in PROBLEMS.items()]


@pytest.mark.parametrize("problem", [Threshold, *BUILT])
def test_a_problem_has_every_member_of_the_contract(problem):
    of_instances = {"layout", "scored_trials"}  # may be set by __init__
    assert {name for name in members(Problem) - of_instances if not hasattr(problem, name)} == set()


@pytest.mark.parametrize("settings", PROBLEMS.values(), ids=PROBLEMS)
def test_settings_of_a_problem_have_every_member_of_the_contract(settings):
    assert {name for name in members(ProblemSettings) if not hasattr(settings, name)} == set()


@pytest.mark.parametrize("trials", [1, 4])
def test_a_plain_function_is_evolved_evaluated_and_drawn(tmp_path, trials):
    search = search_of(Threshold(trials))
    evaluator = Threads(search.problem, 1)
    *_, last = records = list(evolve(search, evaluator))
    result, curves = evaluate(search, last.state.center, evaluator, EvaluationRequest(12, ("all",)))
    assert list(result["conditions"]) == ["evolved", "generation_0"] and result["lost_by_lesion"] == {}
    (pair,) = result["conditions"]["evolved"]["training_pairs"]
    assert pair["tasks"] == ["f", "not-f"] and pair["mean"] == pytest.approx(0.5)
    assert curves["conditions"]["evolved"]["training"].shape == (12, trials)
    assert [row[0] for row in rows(result)[2:]] == ["chance", "random policy", "half", "oracle"]
    assert "training tasks" in headline(result)
    metrics = [record.metrics for record in records]
    pictures = run_figures(tmp_path, metrics, result | {"generation": 2}, curves)
    assert len(pictures) == 10 and all(path.stat().st_size for path in pictures)


def test_a_control_of_another_problem_is_refused():
    search = search_of(Threshold())
    with pytest.raises(UserError, match=r"control 'plasticity_off' is unknown; choose some of \['all'\]"):
        evaluate(search, np.zeros(GENES), Threads(search.problem, 1), EvaluationRequest(1, ("plasticity_off",)))


def test_lesions_are_chosen_once_and_in_order():
    known = SimpleNamespace(lesions={"a": "", "b": "", "c": ""}, check_lesion=lambda name: None)
    assert choose_lesions(known, ["b", "all", "a"]) == ["b", "a", "c"]
    assert choose_lesions(known, []) == choose_lesions(SimpleNamespace(lesions={}), ["all"]) == []


# ---- lifetimes


def lifetimes(*overrides):
    return read_config("quickstart", ["problem.task.trials=100", *overrides]).problem.build(0)


RULE = ("problem.rule.burn_in_trials=30", "problem.rule.quiet_trials=20")
BORN_LATE = ("problem.task.tasks_per_life=3",)


@pytest.mark.parametrize(
    ("overrides", "marks"),
    [
        (RULE, {30: "plasticity starts", 80: "noise off"}),
        ((*RULE, *BORN_LATE), {80: "noise off"}),
        ((*RULE, *BORN_LATE, "problem.task.newborn_tasks=true"), {30: "plasticity starts", 80: "noise off"}),
        (("problem.rule.burn_in_trials=0", "problem.rule.quiet_trials=0"), {}),
        (('problem.rule={type="fixed"}',), {}),
    ],
)
def test_marks_are_trials_of_the_tested_task(overrides, marks):
    assert lifetimes(*overrides).marks == marks


def test_pairs_are_of_the_tasks_asked_for():
    problem = lifetimes()
    assert problem.pairs(["or", "nand", "dnms", "and"]) == [("and", "nand")]
    assert len(problem.pairs(problem.tasks)) == 7


def test_lesions_are_told_in_words():
    lesions = lifetimes().lesions
    assert "none" not in lesions and all(lesions.values())


def test_packed_tasks_do_not_pile_up():
    """14 tasks drawn four at a time are more sequences than a long run should keep."""
    problem = lifetimes("problem.task.tasks_per_life=4")
    for pair in range(2 * MOST_PACKED):
        problem.task_of(problem.tasks_of(problem.training_life(0, pair)))
    assert problem._packed.cache_info().currsize == MOST_PACKED
    assert problem.task_of(["or"]) is problem.task_of(("or",))
