"""A run from Python: its records as columns, its center evaluated, its pictures; nothing is written."""

import json
from io import BytesIO

import numpy as np
import pytest
from test_evolution import TINY
from test_examples import contents
from test_report import evolved_in

import evoplastic
from evoplastic import UserError
from evoplastic.analysis.evaluation import EvaluationRequest
from evoplastic.analysis.figures import run_figures
from evoplastic.analysis.pictures import NAMES
from evoplastic.api import columns
from evoplastic.config import read_config
from evoplastic.evaluators.threads import Threads
from evoplastic.launch import start_run


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return evolved_in(tmp_path_factory.mktemp("runs"), "quickstart", TINY, 4)


@pytest.fixture
def run(path):
    """A run that is checked to be left as it was."""
    before = contents(path)
    yield evoplastic.load_run(path)
    assert contents(path) == before


@pytest.fixture(scope="module")
def evaluated(path):
    return evoplastic.load_run(path).evaluate(lives=3, controls="all", workers=1)


# ---- records


def test_records_become_columns_with_nan_for_what_is_not_there():
    records = [
        {"generation": 0, "a": {"b": 1.5, "list": [1, 2]}, "late": None},
        {"generation": 1, "a": None, "late": {"c": 3}},
    ]
    table = columns(records)
    assert list(table) == ["generation", "a.b", "a.list.0", "a.list.1", "late.c"]
    np.testing.assert_array_equal(table["a.b"], [1.5, np.nan])
    np.testing.assert_array_equal(table["a.list.1"], [2.0, np.nan])
    np.testing.assert_array_equal(table["late.c"], [np.nan, 3.0])
    assert columns([]) == {}


def test_the_metrics_of_a_run_are_its_records(run):
    metrics, records = run.metrics, run.folder.metrics()
    assert metrics["generation"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert metrics["training.accuracy"].tolist() == [record["training"]["accuracy"] for record in records]
    assert np.isfinite(metrics["validation.withheld"]).tolist() == [True, False, True, False], "due every 2 generations"
    quantiles = [metrics[f"training.fitness_quantiles.{place}"] for place in range(5)]
    assert (np.diff(quantiles, axis=0) >= 0.0).all()


# ---- the center


def test_an_evaluation_is_the_package_s_own(run, evaluated):
    evaluator = Threads(run.search.problem, 1)
    expected = evoplastic.evaluate(run.search, run.center, evaluator, EvaluationRequest(3, ("all",)))
    evaluator.close()
    assert evaluated.result == expected.result


def test_an_evaluation_is_of_the_run_s_own_lives_and_controls_unless_told(run):
    result = run.evaluate(workers=1).result
    assert result["lives"] == 2 and list(result["conditions"]) == ["evolved", "generation_0"]
    told = run.evaluate(lives=1, controls="plasticity_off", tasks="dms", workers=1).result
    assert list(told["conditions"]) == ["evolved", "generation_0", "plasticity_off"]
    assert list(told["conditions"]["evolved"]["tasks"]) == ["dms", "dnms"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lives": 0}, "at least one life"),
        ({"tasks": "dsm"}, "did you mean 'dms'"),
        ({"controls": ["plasticity_of"]}, "did you mean 'plasticity_off'"),
        ({"backend": "thread"}, "did you mean 'threads'"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(run, arguments, words):
    with pytest.raises(UserError, match=words):
        run.evaluate(**arguments)


# ---- pictures


def png(figure):
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def test_pictures_are_those_of_the_command(run, evaluated, tmp_path):
    result = {**evaluated.result, "generation": run.state.generation}
    run_figures(tmp_path, run.folder.metrics(), result, evaluated.curves)
    drawn = run.figures.of(evaluated)
    assert sorted(drawn) == sorted(NAMES)
    for name, figure in drawn.items():
        assert png(figure) == (tmp_path / f"{name}.png").read_bytes(), name


def test_without_an_evaluation_the_search_is_drawn_and_the_rest_says_how(run):
    assert list(run.figures) == ["search"] and len(run.figures) == 1 and "tasks" not in run.figures
    with pytest.raises(UserError, match=r"make one with evoplastic evaluate .*tiny, or take run\.figures\.of"):
        run.figures["tasks"]
    with pytest.raises(UserError, match="which no file keeps"):
        run.figures["learning"]
    with pytest.raises(UserError, match="did you mean 'tasks'"):
        run.figures["task"]


def test_stored_evaluations_of_earlier_versions_are_drawn_and_nothing_is_claimed(tmp_path, evaluated):
    path = evolved_in(tmp_path, "quickstart", TINY, 1)
    unsaid = ("validation", "blind_is_chance", "blind_is_below", "oracle_exceeded", "chance_is", "oracle_is")
    old = {key: value for key, value in evaluated.result.items() if key not in unsaid} | {"generation": 1}
    run = evoplastic.load_run(path)
    run.folder.save_evaluation(1, old)
    assert list(run.figures) == ["search", "progress", "conditions", "tasks"]
    titles = [text.get_text() for text in run.figures["progress"].texts]
    assert "Accuracy over generations" in titles


def test_a_run_at_generation_0_has_no_pictures(tmp_path):
    new = evoplastic.load_run(start_run(read_config("quickstart", TINY), tmp_path).folder.path)
    assert not new.metrics and not list(new.figures)
    with pytest.raises(UserError, match="has evolved nothing yet"):
        new.figures["search"]


# ---- opening


def test_what_is_to_be_known_of_a_run_is_warned_of(tmp_path):
    path = evolved_in(tmp_path, "quickstart", TINY, 2)
    newest = path / "checkpoints" / "gen-00000002.npz"
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.warns(UserWarning, match="gen-00000002.npz is damaged"):
        run = evoplastic.load_run(path)
    assert run.state.generation == 1 and json.loads(json.dumps(run.warnings))
