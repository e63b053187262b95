"""The problem of learners with a table: the lives of networks, the same bits wherever they are lived, run files."""

import tomllib
from collections import Counter

import numpy as np
import pytest
from test_evolution import bits, with_validation
from test_launch import go, stop_after
from test_learners import run_file, scores_of, tabular
from test_meta_lifetimes import lifetimes, refused

import evoplastic
from evoplastic.analysis.evaluation import EvaluationRequest, evaluate
from evoplastic.analysis.evaluation_table import headline
from evoplastic.analysis.figures import run_figures
from evoplastic.bench import measure
from evoplastic.config import parse_config, read_config, write_toml
from evoplastic.errors import UserError
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Search
from evoplastic.launch import load_run, start_run
from evoplastic.learners import LEARNERS
from evoplastic.learners.life import live_tabular
from evoplastic.problems.contract import DRAWN, Life
from evoplastic.random import Purpose


def config_of(*specs, **changes):
    return parse_config(run_file(*specs, **changes))


TWO_TASKS = {"tasks_per_life": 2, "newborn_tasks": True}


# ---- lives


def test_a_table_lives_the_tasks_that_a_network_of_its_seed_lives():
    specs = ("t-maze", "dependent-bandit", "two-step")
    table, network = tabular(*specs, seed=7, **TWO_TASKS), lifetimes(*specs, seed=7, **TWO_TASKS)
    assert (table.columns, table.tasks) == (network.columns, network.tasks)
    for life in [table.training_life(3, pair) for pair in range(20)] + [Life(Purpose.VALIDATION, (1, 2), "t-maze")]:
        assert table.tasks_of(life) == network.tasks_of(life) and table.key(life) == network.key(life)


def test_a_life_scores_the_mean_over_its_tasks():
    problem = tabular("t-maze", "dependent-bandit", **TWO_TASKS)
    genotype, life = problem.layout.initial(), problem.training_life(0, 5)
    names = problem.tasks_of(life)
    course = problem.course(genotype, life)
    fitness, metric, loss, cost = problem.score(genotype, life)
    assert len(course) == 40 and len(names) == 2 and life.task == DRAWN
    trials = problem._live(genotype, life, names)
    assert metric == pytest.approx(trials[:, 1].mean()) and loss == pytest.approx(1 - metric, abs=1e-6)
    assert fitness == -loss and cost == 0
    np.testing.assert_array_equal(course, trials[40:, 1])


def test_only_the_last_decisions_count():
    whole, late = (tabular("t-maze", learner="thompson", scored=scored) for scored in (40, 10))
    assert scores_of(whole, "t-maze", 100).mean() < 0.95 < scores_of(late, "t-maze", 100).mean()


def test_what_a_table_is_told_is_named():
    assert "told the meta-task" in tabular("t-maze", learner="thompson").privileged
    assert "told when a trial ends" in tabular("t-maze").privileged


# ---- the same bits, and one kernel


def test_threads_change_no_bit_of_an_evolution():
    config = config_of("t-maze", "dependent-bandit", **TWO_TASKS)
    alone, together = (list(evoplastic.evolve(config, None, workers)) for workers in (1, 2))
    assert with_validation(together) == with_validation(alone)
    assert len({record.state.center.tobytes() for record in alone}) == 3


def test_a_stopped_run_resumes_to_the_same_bits(tmp_path):
    config = config_of("dependent-bandit")
    whole = list(evoplastic.evolve(config, None, 1))
    run = start_run(config, tmp_path, "stopped")
    assert go(run, **stop_after(1)).state.generation == 1
    assert go(load_run(run.folder.path)).state.center.tobytes() == whole[-1].state.center.tobytes()
    assert bits(whole)[0][-1] == whole[-1].state.center.tobytes()


def test_tasks_and_coefficients_of_a_learner_share_one_kernel():
    for learner in LEARNERS:
        for name in ("bandit", "two-step", "patch-foraging"):
            scores_of(tabular(name, learner=learner), name, 1)
    tabular("t-maze", "harlow", **TWO_TASKS).score(np.zeros(6), Life(Purpose.LIFETIME, (0, 0)))
    kinds = Counter(signature[0].instance_class.__name__ for signature in live_tabular.signatures)
    assert kinds == {"QLearning": 1, "QSS": 1, "Thompson": 1, "WinStay": 1}


# ---- evolution, evaluation, figures


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_is_evolved_evaluated_and_drawn(tmp_path, learner):
    config = config_of("dependent-bandit", "t-maze", withheld=["t-maze"], learner=learner)
    records = list(evoplastic.evolve(config, None, 1))
    search = Search.of(config)
    evaluator = Threads(search.problem, 1)
    result, curves = evaluate(search, records[-1].state.center, evaluator, EvaluationRequest(12, ("all",)))
    assert list(result["conditions"]) == ["evolved", "generation_0", "plasticity_off"]
    assert "training tasks" in headline(result)
    pictures = run_figures(tmp_path, [record.metrics for record in records], result | {"generation": 3}, curves)
    assert pictures and all(path.stat().st_size for path in pictures)


def test_evolution_improves_coefficients():
    """Of a learner born without curiosity, greed or memory."""
    poor = {"alpha": {"initial": 0.02, "bounds": [0.0, 1.0]}, "optimism": {"initial": -1.9, "bounds": [-2.0, 4.0]}}
    raw = run_file("dependent-bandit", tasks_per_life=8, newborn_tasks=True)
    raw["problem"]["learner"] |= poor
    raw |= {"generations": 30}
    raw["strategy"] |= {"population": 32, "sigma": 0.5, "optimizer": {"type": "adam", "learning_rate": 0.5}}
    raw["validation"]["every"] = 0
    config = parse_config(raw)
    problem = config.problem.build(0)
    *_, last = evoplastic.evolve(config, None, 1)
    lives = problem.test_lives(Purpose.EVALUATION, (0,), 200)["dependent-bandit"]
    born, evolved = (
        np.mean([problem.score(genotype, life)[1] for life in lives])
        for genotype in (problem.layout.initial(), last.state.center)
    )
    assert evolved > born + 0.1


# ---- run files


def test_a_stored_run_file_reads_back():
    config = config_of("t-maze", "two-step", withheld=["two-step"])
    assert parse_config(tomllib.loads(write_toml(config))) == config


def test_another_learner_is_one_key_away():
    config = read_config("dependent-bandit-q-learning", ["problem.learner.type=win_stay"])
    assert type(config.problem.learner) is LEARNERS["win_stay"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks_per_life": 2}, "problem.task.newborn_tasks must be true where a life holds several tasks"),
        ({"reset_activity": True}, "problem.task.reset_activity is an arm of networks"),
        ({"scored": 41}, "problem.scored_trials must be at most the 40 decisions of a task, got 41"),
        ({"learner": "sarsa"}, "problem.learner.type: 'sarsa' is unknown; choose one of"),
        ({"type": "boolean"}, "problem.task"),
    ],
)
def test_what_no_table_can_do_is_refused_in_one_sentence(changes, words):
    assert words in refused(run_file("t-maze", **changes))


def test_the_bench_of_networks_refuses_a_table_in_one_sentence():
    with pytest.raises(UserError, match="'dependent-bandit-q-learning' has none"):
        measure("dependent-bandit-q-learning")
