"""Runs on meta-tasks drawn at random: what is drawn, how it is parted and kept, how it is scored and told."""

import json
import tomllib

import msgspec
import numpy as np
import pytest

from evoplastic.analysis.evaluation import EvaluationRequest, evaluate
from evoplastic.analysis.evaluation_table import headline, table
from evoplastic.analysis.figures import run_figures
from evoplastic.analysis.statistics import interval, paired, share
from evoplastic.config import deciding, difference, parse_config, write_toml
from evoplastic.errors import UserError
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Search, evolve
from evoplastic.problems.contract import Life
from evoplastic.progress import ProgressLine
from evoplastic.random import Purpose
from evoplastic.tasks.meta import sampled
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.reading import read_meta_task
from evoplastic.tasks.meta.sampling.canonical import canonical
from evoplastic.tasks.meta.solvers.certify import certify

COUNTS = {"training": 4, "validation": 2, "withheld": 3}
HORIZON = 8
LIVES = 12
LISTED = {"specs": ["t-maze", "two-step"], "horizon": HORIZON}


def run_file(problem=(), **task):
    """Return a parsed run file on a small sample, or on what `task` says."""
    drawn = {} if "specs" in task else {"sampled": {**COUNTS, "horizon": HORIZON}}
    return {
        "name": "drawn",
        "generations": 2,
        "problem": {
            "type": "lifetimes",
            "scored_trials": HORIZON,
            "network": {
                "type": "leaky",
                "units": 32,
                "tau_ms": 20.0,
                "initial_potential": 0.0,
                "roles": {"stimulus": 16, "feedback": 1, "bias": 1, "echo": 2, "modulator": 0, "response": 2},
            },
            "rule": {"type": "hebbian", "eta": 0.3},
            "modulation": {"type": "reward"},
            "task": {"type": "meta_tasks", "measure": "adaptivity", **drawn, **task},
            **dict(problem),
        },
        "strategy": {"type": "openai_es", "population": 4},
        "validation": {"every": 1, "lives": 3},
    }


@pytest.fixture(scope="module")
def config():
    return parse_config(run_file())


def refused(raw):
    """Return the one sentence in which a run file is refused."""
    with pytest.raises(UserError) as refusal:
        parse_config(raw)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


# ---- what is drawn


def test_parts_hold_as_many_tasks_as_asked_for_and_share_no_class(config):
    task = config.problem.task
    parts = {"training": task.training(), "validation": task.validation, "withheld": task.withheld}
    assert {part: len(names) for part, names in parts.items()} == COUNTS
    assert [name for names in parts.values() for name in names] == list(task.names)
    classes = [canonical(decode(spec)) for spec in task.content.values()]
    assert len(set(classes)) == len(classes) == sum(COUNTS.values())


def test_equal_settings_draw_equal_tasks_and_another_seed_draws_others(config, monkeypatch, tmp_path):
    sampled._sample.cache_clear()
    monkeypatch.setattr(sampled, "cache_folder", lambda: tmp_path)
    assert parse_config(run_file()) == config  # drawn again, since nothing is kept there
    other = parse_config(run_file(sampled={**COUNTS, "horizon": HORIZON, "seed": 1}))
    assert not set(other.problem.task.names) & set(config.problem.task.names)


def test_a_sample_that_was_drawn_before_is_read(config, monkeypatch):
    parse_config(run_file())
    sampled._sample.cache_clear()
    monkeypatch.setattr("evoplastic.tasks.meta.sampling.sample.sample", None)
    assert parse_config(run_file()) == config


def test_a_stored_run_file_holds_its_tasks_and_draws_nothing(config, monkeypatch):
    stored = tomllib.loads(write_toml(config))
    monkeypatch.setattr(sampled, "_sample", None)
    monkeypatch.setattr("evoplastic.tasks.meta.value.certify", None)
    again = parse_config(stored)
    assert again == config and difference(again, deciding(config)) is None


def test_certified_values_are_those_of_the_certificate(config):
    task = config.problem.task
    for name, spec in task.content.items():
        known, proven = task.values[name], certify(decode(spec))
        assert (known.blind, known.bayes) == (proven.blind.high, proven.bayes.low)
        assert known.bayes - known.blind >= 0.05
        assert (known.random, known.fixed, known.oracle) == pytest.approx((proven.random, proven.fixed, proven.oracle))


def test_evolution_meets_training_tasks_alone(config):
    problem = config.problem.build(0)
    met = {name for pair in range(60) for name in problem.tasks_of(problem.training_life(0, pair))}
    assert met == set(config.problem.task.training())


def test_tasks_of_a_sample_live_lives_of_their_own_and_named_ones_share_theirs(config):
    lives = config.problem.build(0).test_lives(Purpose.EVALUATION, (0,), 5)
    assert len({life.path for some in lives.values() for life in some}) == 5 * sum(COUNTS.values())
    named = parse_config(run_file(**LISTED)).problem.build(0).test_lives(Purpose.EVALUATION, (0,), 5)
    assert len({life.path for some in named.values() for life in some}) == 5


# ---- what may not be said


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (run_file(specs=["t-maze"], sampled={"training": 1}), "specs, validation and withheld must not be given"),
        (run_file(withheld=["t-maze"]), "specs, validation and withheld must not be given"),
        (run_file(horizon=9), "set problem.task.sampled.horizon instead"),
        (run_file(sampled={"training": 0}), "problem.task.sampled.training"),
        (run_file(sampled={"training": 1, "taining": 1}), "problem.task.sampled.taining"),
        (run_file(sampled={"training": 3, "most_draws": 3}), "problem.task.sampled: 1 of 3 tasks were found among 3"),
        (run_file({"scored_trials": 4}), "adaptivity is over all decisions, got problem.scored_trials = 4 of 8"),
        (run_file(specs=["dependent-bandit"], horizon=HORIZON), "list its values, or set problem.task.measure"),
        (run_file(**LISTED, validation=["t-maze"], withheld=["t-maze"]), "validation and withheld both hold 't-maze'"),
        (run_file(**LISTED, validation=["t-mase"]), "problem.task.validation: 't-mase' is none of"),
        (run_file(**LISTED, validation=["t-maze"], withheld=["two-step"]), "leaves no task to evolve on"),
        (run_file(measure="adaptvity"), "problem.task.measure: 'adaptvity' is unknown"),
    ],
)
def test_a_bad_setting_is_refused_in_one_sentence(raw, complaint):
    assert complaint in refused(raw)


@pytest.mark.parametrize("key", ["seed", "training"])
def test_an_edited_sample_is_refused(config, key):
    stored = tomllib.loads(write_toml(config))
    stored["problem"]["task"]["sampled"][key] = 3
    assert "were edited; put that back" in refused(stored)


def test_edited_parts_of_a_sample_are_refused(config):
    stored = tomllib.loads(write_toml(config))
    task = stored["problem"]["task"]
    others = task["withheld"][1:]
    for withheld in ([], others, [task["validation"][0], *others]):
        task["withheld"] = withheld
        assert "were edited; put that back" in refused(stored)


def test_adaptivity_is_refused_among_other_families():
    raw = run_file()
    raw["problem"]["task"] = {"type": "mixture", "families": [raw["problem"]["task"]]}
    assert 'set measure = "oracle"' in refused(raw)


# ---- scores


def test_adaptivity_is_0_for_the_best_that_does_not_adapt_and_1_for_the_best_learner(config):
    task, problem = config.problem.task, config.problem.build(0)
    for name in task.names:
        known, life = task.values[name], Life(Purpose.VALIDATION, (3,), name)
        course, row = (live(problem.layout.initial(), life) for live in (problem.course, problem.score))
        rewards = known.blind + course * (known.bayes - known.blind)
        possible = {0.0, *(reward.value - cost for reward in task.content[name].rewards for cost in costs(task, name))}
        possible |= {-cost for cost in costs(task, name)}
        assert all(min(abs(reward - value) for value in possible) < 1e-4 for reward in rewards)
        loss = 1 - (rewards.mean() - known.random) / (known.oracle - known.random)
        np.testing.assert_allclose(row, [-loss, course.mean(), loss, 0], atol=1e-4)


def costs(task, name):
    """Return what a decision may be charged for: nothing, or any one cost."""
    return (0.0, *(cost.value for cost in task.content[name].costs))


def test_a_network_that_answers_nothing_scores_as_the_random_policy_is_said_to(config):
    problem, reference = config.problem.build(0), config.problem.task.references["random policy"]
    lives = problem.test_lives(Purpose.EVALUATION, (), 300)
    for name in config.problem.task.names[:4]:
        scores = np.array([problem.score(np.zeros_like(problem.layout.initial()), life)[1] for life in lives[name]])
        assert abs(scores.mean() - reference[name]) < 4.5 * scores.std() / np.sqrt(len(scores))


def test_measured_by_the_oracle_the_same_life_has_the_same_loss_and_another_score(config):
    stored = tomllib.loads(write_toml(config))
    stored["problem"]["task"]["measure"] = "oracle"
    other = parse_config(stored).problem.build(0)
    problem, life = config.problem.build(0), config.problem.build(0).training_life(0, 0)
    ours, theirs = (some.score(some.layout.initial(), life) for some in (problem, other))
    assert ours[0] == theirs[0] and ours[2] == theirs[2] and ours[1] != theirs[1]
    assert theirs[1] == pytest.approx(1 - theirs[2], abs=1e-6)
    assert (problem.columns[1], other.columns[1]) == ("adaptivity", "score")


def test_named_tasks_that_a_fixed_policy_solves_say_so():
    raw = run_file(specs=["harlow", "t-maze"], horizon=60, measure="oracle")
    raw["problem"]["scored_trials"] = 60
    known = parse_config(raw).problem.task.references["best fixed policy"]
    assert known == pytest.approx({"harlow": 0.37, "t-maze": 0.0}, abs=0.005)


# ---- evolution and evaluation


@pytest.fixture(scope="module")
def ran(config):
    search = Search.of(config)
    evaluator = Threads(search.problem, 1)
    records = list(evolve(search, evaluator))
    request = EvaluationRequest(LIVES, ("plasticity_off",))
    return search, records, evaluate(search, records[-1].state.center, evaluator, request)


def test_while_evolving_withheld_tasks_are_not_met(ran):
    _, records, _ = ran
    for record in records:
        told = record.metrics["validation"]
        assert record.validation_lives == 3 * (COUNTS["training"] + COUNTS["validation"])
        assert told["withheld"] is None and np.isfinite([told["training"], told["validation"]]).all()


def test_the_progress_line_tells_the_validation_tasks(ran):
    search, records, _ = ran

    class Run:
        config = search.config

    Run.search = search
    line = ProgressLine(Run).after(records[0])
    assert "validation tasks" in line and "withheld" not in line and "best non-adapting 0.00" in line


def test_over_tasks_the_task_is_the_unit(ran):
    search, _, (result, _) = ran
    over, task = result["over_tasks"], search.config.problem.task
    parts = {"training": task.training(), "validation": task.validation, "withheld": task.withheld}
    assert over["tasks"] == COUNTS

    def means(condition, part):
        return [result["conditions"][condition]["tasks"][name]["mean"] for name in parts[part]]

    for part in parts:
        ours, null = means("evolved", part), means("generation_0", part)
        told = over["conditions"]["evolved"][part]
        assert told["mean"] == pytest.approx(interval(ours).mean) and told["n"] == COUNTS[part]
        assert (told["worst"], told["median"], told["best"]) == (min(ours), np.median(ours), max(ours))
        assert over["gain_over_generation_0"][part] == pytest.approx(paired(ours, null).to_json())
        lost = paired(ours, means("plasticity_off", part)).to_json()
        assert over["lost_by_lesion"]["plasticity_off"][part] == pytest.approx(lost)
        assert result["conditions"]["evolved"][part]["mean"] == pytest.approx(told["mean"])


def test_the_table_has_a_column_for_each_part_and_no_row_for_each_task(ran):
    search, _, (result, _) = ran
    head, *rows = table(result)
    assert head == ("adaptivity", "4 training tasks", "2 validation tasks", "3 withheld tasks")
    labels = [row[0].strip() for row in rows]
    assert labels == [
        "evolved",
        "worst, median, best task",
        "generation 0",
        "plasticity off",
        "gain over generation 0",
        "lost by plasticity off",
        "best non-adapting",
        "random policy",
        "best fixed policy",
        "oracle",
        "Bayes",
    ]
    by_label = dict(zip(labels, (row[1:] for row in rows)))
    known = search.config.problem.task.references["random policy"]
    withheld = np.mean([known[name] for name in search.problem.withheld])
    assert by_label["random policy"][2] == share(withheld) and withheld < 0
    assert by_label["best non-adapting"] == (".00",) * 3 and by_label["Bayes"] == ("1.00",) * 3
    assert all(float(cell) >= 1 for cell in by_label["oracle"])
    assert "paired by task (n = 4, 2, 3; intervals are over tasks)" in headline(result)


def test_an_evaluation_survives_json_and_is_drawn(ran, tmp_path):
    _, records, (result, curves) = ran
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    pictures = run_figures(tmp_path, [record.metrics for record in records], result | {"generation": 2}, curves)
    text = (tmp_path / "conditions.svg").read_text()
    assert len(pictures) == 10 and "best non-adapting" in text and "validation" in text and ">chance<" not in text


def test_tables_of_named_tasks_have_a_line_for_the_best_fixed_policy():
    raw = run_file(specs=["harlow", "find-the-spot"], horizon=HORIZON, measure="oracle", withheld=["find-the-spot"])
    raw["problem"]["network"] |= {"units": 48}
    raw["problem"]["network"]["roles"] |= {"echo": 4, "response": 4, "stimulus": 20}
    search = Search.of(parse_config(raw))
    evaluator = Threads(search.problem, 1)
    result = evaluate(search, search.start().center, evaluator, EvaluationRequest(1, ())).result
    (row,) = [row for row in table(result) if row[0] == "best fixed policy"]
    assert row[1] == share(search.problem.references["best fixed policy"]["harlow"])
    assert row[2] == ""  # too many maps to be sure of the best


def test_a_spec_is_kept_as_it_was_drawn(config):
    for name, spec in config.problem.task.content.items():
        assert msgspec.json.decode(msgspec.json.encode(spec), type=type(spec)) == spec
        assert "Drawn by" in spec.source and name.startswith("random-")
    assert read_meta_task("t-maze") not in config.problem.task.content.values()
