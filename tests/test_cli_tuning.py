"""The tune command: interrupted, killed and carried on, it lives nothing twice and ends in a run file."""

import json
import shutil
import signal
from types import SimpleNamespace

import numpy as np
import pytest
from test_cli import SETTINGS, Process, lines, main, snapshot
from test_evolution import TINY, Scripted, tiny
from test_launch import files, go, stop_after

from evoplastic import tuned
from evoplastic.config import read_config
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Diverged
from evoplastic.groups import is_evolved
from evoplastic.launch import load_run, start_run
from evoplastic.tuning import Asked, plan

__all__ = ["main"]  # the fixture

SETS = ['problem.task.withheld=["and"]', "problem.task.trials=100"]  # a rung takes long enough to be interrupted in
OVER = "strategy.sigma=0.03,0.1,0.3"
WORDS = {"source": "quickstart", "over": (OVER,), "budget": 1000, "seeds": "100", "eta": 2, "lives": 1}
TUNE = ["tune", "quickstart", *SETTINGS, *(word for text in SETS for word in ("--set", text)), "--over", OVER]
TUNE += ["--budget", 1000, "--seeds", "100", "--eta", 2, "--lives", 1, "--name", "t", "--workers", 2, "--parallel", 1]


# ---- a whole tuning


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A tuning that is interrupted in its first run, carried on, killed in the second, and carried on again."""
    runs = tmp_path_factory.mktemp("runs")
    seen = SimpleNamespace(runs=runs, group=runs / "t", plan=plan(Asked(**WORDS, set=(*TINY, *SETS))))

    def start_and(end, cell, *more):
        path, running = seen.group / cell / "metrics.jsonl", Process(*TUNE, *more, "--runs-dir", runs)
        try:
            if end:
                running.wait_for(lambda: lines(path) > 3)
                running.signal(end)
            return running.end()
        finally:
            running.kill()

    seen.interrupted = start_and(signal.SIGTERM, "sigma=0.03,s100")
    seen.saved = load_run(seen.group / "sigma=0.03,s100").state.generation
    seen.killed = start_and(signal.SIGKILL, "sigma=0.1,s100")
    seen.finished = start_and(None, "", "--json")
    return seen


def test_a_signal_stops_the_runs_and_says_how_to_go_on(done):
    assert done.interrupted.code == 130 and "Traceback" not in done.interrupted.err
    assert "stopped; carry on with:\n    evoplastic tune quickstart --set problem.network.units=13" in (
        done.interrupted.out
    )
    assert 3 < done.saved < done.plan.runs(0, 0)[0].config.generations
    assert done.killed.code == -signal.SIGKILL


def test_runs_that_go_on_have_the_bytes_and_scores_of_runs_that_were_never_stopped(done, tmp_path):
    assert done.finished.code == 0, done.finished.err
    scores = json.loads(done.finished.out)["scores"]
    twice = [name for name, by_rung in scores.items() if len(by_rung) == 2]
    assert len(scores) == 3 and len(twice) == 2
    for number in range(3):
        (run,) = done.plan.runs(number, int(done.plan.cells[number].cell.name in twice))
        plain = go(start_run(run.config, tmp_path, f"plain{number}"))
        assert files(done.group / run.cell.name) == files(plain.folder.path)
        by_rung = scores[run.cell.name]
        with_threads = Threads(plain.search.problem, 1)
        assert by_rung[-1] == tuned.score(plain, with_threads, len(by_rung) - 1, 1)


def test_the_lifetimes_told_are_those_lived_once_and_within_the_budget(done):
    told = json.loads(done.finished.out)
    lived = sum(4 * lines(done.group / name / "metrics.jsonl") for name in told["scores"])
    tasks, evaluation_lives = 12, 2
    assert told["lifetimes"] == lived + tasks * (3 + 2 + 2 * evaluation_lives) <= 1000


def test_a_finished_tuning_tells_its_table_again_and_starts_nothing(done, main):
    before = snapshot(done.runs)
    said = main(*TUNE, "--runs-dir", done.runs)
    assert said.code == 0 and "the best of 3 settings tried" in said.out and "On fresh lives" in said.out
    assert {name: text for name, text in snapshot(done.runs).items() if name != "t/lock"} == {
        name: text for name, text in before.items() if name != "t/lock"
    }
    assert json.loads((done.group / "tune.json").read_text()) == json.loads(done.finished.out)


def test_the_best_settings_are_a_run_file(done):
    best = json.loads(done.finished.out)["best"]
    config = read_config(str(done.group / "best.toml"))
    assert f"sigma={config.strategy.sigma}" == best["label"] and config.problem.withholding() == "relabelled"


def test_no_withheld_task_is_evaluated_by_any_run(done):
    assert list(done.group.glob("*/evaluation/*")) == []
    for name in ("sigma=0.03,s100", "sigma=0.1,s100", "sigma=0.3,s100"):
        assert all(record["validation"] is None for record in load_run(done.group / name).folder.metrics())


def test_lost_scores_are_told_with_the_file_and_the_way_on_and_nothing_is_changed(done, main, tmp_path):
    shutil.copytree(done.runs, tmp_path / "runs")
    (tmp_path / "runs" / "t" / "tune.json").unlink()
    before = snapshot(tmp_path)
    said = main(*TUNE, "--runs-dir", tmp_path / "runs")
    assert said.code == 2 and said.err.count("\n") == 1
    assert "tune.json lacks the score of sigma=" in said.err and "restore tune.json, or tune anew" in said.err
    assert {name for name, text in snapshot(tmp_path).items() if before.get(name) != text} <= {"runs/t/lock"}


def test_a_torn_last_event_does_not_stop_a_tuning(done, main, tmp_path):
    shutil.copytree(done.runs, tmp_path / "runs")
    events = tmp_path / "runs" / "t" / "sigma=0.1,s100" / "events.jsonl"
    events.write_bytes(events.read_bytes() + b'{"kind":"gen')
    said = main(*TUNE, "--json", "--runs-dir", tmp_path / "runs")
    assert said.code == 0, said.err
    assert json.loads(said.out)["lifetimes"] == json.loads(done.finished.out)["lifetimes"]


# ---- runs that are not evaluated, or diverge


def test_a_run_without_evaluation_is_evolved_and_no_more(main, tmp_path):
    said = main("run", "quickstart", *SETTINGS, "--generations", 2, "--no-evaluation", "--runs-dir", tmp_path)
    path = tmp_path / "tiny-s0"
    assert said.code == 0 and list(path.glob("evaluation/*")) == []
    assert is_evolved(path, 2) and not is_evolved(path, 3) and not is_evolved(tmp_path / "missing", 1)
    said = main("run", "quickstart", *SETTINGS, "--no-evaluation", "--json", "--runs-dir", tmp_path)
    assert said.code == 2 and "--no-evaluation leaves out" in said.err


def test_a_run_that_diverged_is_as_far_as_it_goes(tmp_path):
    run = start_run(tiny(), tmp_path)
    failing = Scripted(lambda generation, members: np.full(members, np.nan if generation else 1.0))
    failing.report = dict
    with pytest.raises(Diverged):
        go(run, evaluator=failing)
    assert is_evolved(run.folder.path, 4) and load_run(run.folder.path).folder.diverged
    other = go(start_run(tiny(), tmp_path, "stopped"), **stop_after(2))
    assert not is_evolved(other.folder.path, 4) and not other.folder.diverged


# ---- mistakes

MISTAKES = {
    "report fold": (["--set", 'problem.task.withheld=["dms"]'], "withholds the report fold, by which no settings may"),
    "small budget": (["--budget", "100"], "--budget must be at least"),
    "other words": (["--lives", "2"], "was begun with lives 1, got 2; put that back, or choose another --name"),
    "other values": (["--over", "strategy.weight_decay=0.1"], "was begun with over"),
    "bad name": (["--name", "../up"], "a run cannot be named '../up'"),
    "unknown backend": (["--backend", "rya"], "did you mean 'ray'?"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_sentence_and_changes_nothing(main, done, mistake):
    words, sentence = MISTAKES[mistake]
    before = snapshot(done.runs)
    said = main(*TUNE, *words, "--runs-dir", done.runs)
    assert said.code == 2 and said.out == "" and sentence in said.err
    assert said.err.startswith("evoplastic: ") and said.err.count("\n") == 1
    assert snapshot(done.runs) == before
