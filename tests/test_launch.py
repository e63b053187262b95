"""Runs on disk: stopped, killed, damaged or extended, a run ends in the bits of one that was never disturbed."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import PACKAGE
from test_evolution import tiny
from threadpoolctl import threadpool_info, threadpool_limits

from evoplastic import checkpoints
from evoplastic.errors import UserError
from evoplastic.evaluators.contract import Abandoned, Poisoned
from evoplastic.evaluators.threads import Threads
from evoplastic.launch import StopRequest, carry_on, load_run, note_resume, replayed, resume_differences, start_run
from evoplastic.strategies.openai_es import OpenAIES

GENERATIONS = 4


def go(run, stop=None, watch=lambda record: None, evaluator=None):
    """Carry a run on as the command line does."""
    with run.folder.lock():
        return carry_on(run, evaluator or Threads(run.search.problem, 1), stop or StopRequest(), watch)


def stop_after(generation, times=1):
    """Return a stop request and the watcher that makes it when `generation` generations are done."""
    stop = StopRequest()

    def watch(record):
        if record.state.generation == generation:
            for _ in range(times):
                stop.ask()

    return {"stop": stop, "watch": watch}


def files(path):
    """Return the bytes of all files of a run that depend on config and seed alone, and of the last checkpoint."""
    folder = path / "checkpoints"
    last = sorted(folder.glob("gen-*.npz"))[-1]
    names = [path / "metrics.jsonl", path / "config.toml", last, last.with_suffix(".sha256")]
    return {name.name: name.read_bytes() for name in names}


def generation_of(path):
    return max(int(file.stem.removeprefix("gen-")) for file in (path / "checkpoints").glob("gen-*.npz"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    ended = go(start_run(tiny(generations=GENERATIONS), tmp_path_factory.mktemp("undisturbed")))
    assert ended.finished
    return files(ended.folder.path)


@pytest.fixture
def started(tmp_path):
    return start_run(tiny(generations=GENERATIONS), tmp_path)


@pytest.fixture
def stopped(started):
    """A run stopped after two generations."""
    return go(started, **stop_after(2))


class Abandoning:
    """An evaluator that is given up in its n-th evaluation of a population."""

    def __init__(self, problem, evaluation):
        self._threads, self._left = Threads(problem, 1), evaluation

    def evaluate(self, candidates, jobs, measure="score"):
        self._left -= candidates.population > 1
        if self._left == 0:
            raise Abandoned
        return self._threads.evaluate(candidates, jobs, measure)

    def report(self):
        return self._threads.report()


class Poisoning(Abandoning):
    """An evaluator whose workers one member of one generation kills; the center's lives are as they are."""

    def __init__(self, problem, generation, member):
        super().__init__(problem, -1)
        self._poison = generation, member

    def evaluate(self, candidates, jobs, measure="score"):
        for job in jobs:
            if candidates.population > 1 and (candidates.generation, job.member) == self._poison:
                raise Poisoned(job, 3)
        return super().evaluate(candidates, jobs, measure)


# ---- members that kill their workers


def test_a_member_that_kills_its_workers_stops_the_run_after_a_checkpoint_and_can_be_replayed(started):
    with pytest.raises(UserError, match=r"generation 2: member 1 killed .* evoplastic replay .* --member 1, .* --skip"):
        go(started, evaluator=Poisoning(started.search.problem, 2, 1))
    found = load_run(started.folder.path)
    assert found.state.generation == 2
    row = replayed(found, 1)
    assert (row["generation"], row["member"]) == (2, 1) and 0.0 <= row["score"]["accuracy"] <= 1.0
    with pytest.raises(UserError, match="members are numbered 0 to 3, got 4"):
        replayed(found, 4)


def test_a_replay_scores_what_the_generation_scored(started):
    rows = {}

    class Spy(Threads):
        def evaluate(self, candidates, jobs, measure="score"):
            scores = super().evaluate(candidates, jobs, measure)
            if candidates.population > 1:
                rows[candidates.generation] = scores
            return scores

    half = go(started, **stop_after(2))
    go(load_run(half.folder.path), **stop_after(3), evaluator=Spy(started.search.problem, 1))
    assert list(replayed(half, 3)["score"].values()) == rows[2][3].tolist()


def test_a_replay_asks_with_one_thread_of_blas_as_the_generation_did(started, monkeypatch):
    ask, threads = OpenAIES.ask, set()

    def spy(strategy, state):
        threads.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return ask(strategy, state)

    monkeypatch.setattr(OpenAIES, "ask", spy)
    with threadpool_limits(2):
        replayed(started, 1)
    assert threads == {1}


def test_a_skipped_member_is_ranked_worst_and_skipped_again_whenever_the_run_is_replayed(tmp_path, undisturbed):
    told = []

    def poisoned(name):
        run = start_run(tiny(generations=GENERATIONS), tmp_path, name)
        with run.folder.lock():
            carry_on(run, Poisoning(run.search.problem, 2, 1), StopRequest(), skip=told.append)
        return run.folder

    folder = poisoned("skipped")
    assert folder.skipped() == {(2, 1)} and told == [
        "the run is not exact any more: member 1 of generation 2 is skipped"
    ]
    assert [record["training"]["failed"] for record in folder.metrics()] == [0, 0, 1, 0]
    left = files(folder.path)
    assert left["metrics.jsonl"] != undisturbed["metrics.jsonl"]
    for path in (folder.path / "checkpoints").glob("gen-0000000[34].*"):
        path.unlink()
    again = load_run(folder.path)
    assert "not exact: member 1 of generation 2 was skipped" in again.warnings[0]
    go(again)
    assert files(folder.path) == left


# ---- bit for bit


@pytest.mark.parametrize("generation", range(1, GENERATIONS))
def test_a_run_stopped_after_any_generation_ends_as_if_it_had_not_been(started, undisturbed, generation):
    half = go(started, **stop_after(generation))
    assert not half.finished and half.state.generation == generation_of(half.folder.path) == generation
    assert len(half.folder.metrics()) == generation
    assert go(load_run(half.folder.path)).finished
    assert files(started.folder.path) == undisturbed


def test_a_run_stopped_after_every_generation_ends_as_if_it_had_not_been(started, undisturbed):
    for generation in range(1, GENERATIONS + 1):
        go(load_run(started.folder.path) if generation > 1 else started, **stop_after(generation))
    assert files(started.folder.path) == undisturbed


def test_an_abandoned_generation_leaves_the_last_boundary(started, undisturbed):
    ended = go(started, evaluator=Abandoning(started.search.problem, 3))
    assert ended.state.generation == generation_of(ended.folder.path) == 2
    assert '"kind":"abandoned"' in (ended.folder.path / "events.jsonl").read_text()
    go(load_run(ended.folder.path))
    assert files(started.folder.path) == undisturbed


def test_a_run_abandoned_in_its_first_generation_starts_over(started, undisturbed):
    assert go(started, evaluator=Abandoning(started.search.problem, 1)).state.generation == 0
    go(load_run(started.folder.path))
    assert files(started.folder.path) == undisturbed


def test_two_threads_leave_the_same_bytes(started, undisturbed):
    go(started, evaluator=Threads(started.search.problem, 2))
    assert files(started.folder.path) == undisturbed


def test_how_often_checkpoints_are_written_changes_no_byte(tmp_path, undisturbed):
    run = start_run(tiny("checkpoints.seconds=1000", "checkpoints.keep_every=3", generations=GENERATIONS), tmp_path)
    go(run)
    assert sorted(path.stem for path in (run.folder.path / "checkpoints").glob("*.npz")) == [
        "gen-00000003",
        "gen-00000004",
    ]
    kept = files(run.folder.path)
    assert {name: kept[name] for name in kept if name != "config.toml"}.items() <= undisturbed.items()


@pytest.mark.parametrize("damaged", [1, 2])
def test_damaged_checkpoints_fall_back_to_the_one_before_and_end_in_the_same_bits(started, undisturbed, damaged):
    stopped = go(started, **stop_after(3))
    for generation in (3, 2)[:damaged]:
        path = stopped.folder.path / "checkpoints" / f"gen-{generation:08d}.npz"
        content = bytearray(path.read_bytes())
        content[content.index(b"\x93NUMPY") + 200] ^= 1  # of the first array's numbers
        path.write_bytes(content)
    run = load_run(stopped.folder.path)
    assert run.state.generation == 3 - damaged and len(run.warnings) == damaged
    assert "is damaged" in run.warnings[0]
    go(run)
    assert files(stopped.folder.path) == undisturbed


def test_a_run_without_an_undamaged_checkpoint_is_refused_and_left_alone(stopped):
    for path in (stopped.folder.path / "checkpoints").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-100])
    before = {path: path.read_bytes() for path in stopped.folder.path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"no checkpoint could be read .* all 2 in it are damaged"):
        load_run(stopped.folder.path)
    assert {path: path.read_bytes() for path in stopped.folder.path.rglob("*") if path.is_file()} == before


def test_a_run_whose_withheld_tasks_were_named_by_their_negations_can_be_resumed(tmp_path):
    run = start_run(tiny("problem.task.withheld=['nor', 'dnms', 'nand']", generations=2), tmp_path)
    go(run, **stop_after(1))
    assert go(load_run(run.folder.path)).finished


CHILD = """
import pathlib, test_launch
from test_evolution import tiny
test_launch.go(test_launch.start_run(tiny(generations=100_000), pathlib.Path({runs!r})))
"""


def test_a_killed_run_ends_as_if_it_had_not_been(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(runs=str(tmp_path))],
        cwd=os.path.dirname(__file__),
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )
    path, give_up = tmp_path / "tiny-s0", time.monotonic() + 100
    try:
        while not (path / "metrics.jsonl").exists() or (path / "metrics.jsonl").read_bytes().count(b"\n") < 20:
            assert child.poll() is None and time.monotonic() < give_up
            time.sleep(0.005)
    finally:
        child.kill()
    assert child.wait() == -signal.SIGKILL
    run = load_run(path)
    reached = run.state.generation
    assert reached > 15
    ended = go(load_run(path, generations=reached + 3))
    whole = go(start_run(tiny(generations=reached + 3), tmp_path / "whole"))
    assert whole.state.center.tobytes() == ended.state.center.tobytes()
    theirs, ours = files(path), files(whole.folder.path)
    del theirs["config.toml"], ours["config.toml"]
    assert theirs == ours


# ---- stopping


def test_a_request_made_before_the_start_stops_at_once_and_loses_nothing(stopped, undisturbed):
    stop = StopRequest()
    stop.ask()
    before = files(stopped.folder.path)
    assert go(load_run(stopped.folder.path), stop).state.generation == 2
    assert files(stopped.folder.path) == before
    go(load_run(stopped.folder.path))
    assert files(stopped.folder.path) == undisturbed


def test_a_stop_request_finishes_the_generation(started):
    stop = StopRequest()
    ended = go(started, stop, watch=lambda record: stop.ask())
    assert ended.state.generation == 1 and not ended.finished


def test_asking_twice_abandons():
    stop = StopRequest()
    assert not stop.finish() and not stop.abandon()
    stop.ask()
    assert stop.finish() and not stop.abandon()
    stop.ask()
    assert stop.abandon()


def test_an_error_keeps_what_was_reached(started):
    def watch(record):
        if record.state.generation == 2:
            raise RuntimeError("the screen broke")

    with pytest.raises(RuntimeError, match="the screen broke"):
        go(started, watch=watch)
    assert load_run(started.folder.path).state.generation == 2


def test_a_full_disk_stops_with_a_sentence_and_keeps_the_last_checkpoint(started, undisturbed, monkeypatch):
    def full_disk(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full, pytest.raises(UserError, match="the disk is full"):
        go(started, watch=lambda record: record.generation == 1 and full.setattr(os, "fsync", full_disk))
    assert load_run(started.folder.path).state.generation == 1
    go(load_run(started.folder.path))
    assert files(started.folder.path) == undisturbed


# ---- generations are the total


def test_a_finished_run_goes_on_to_a_larger_total(started, undisturbed, tmp_path):
    go(started)
    run = load_run(started.folder.path, generations=GENERATIONS + 2)
    note_resume(run, [], [])
    assert go(run).state.generation == GENERATIONS + 2
    go(start_run(tiny(generations=GENERATIONS + 2), tmp_path / "whole"))
    assert files(started.folder.path) == files(tmp_path / "whole" / "tiny-s0")


def test_a_finished_run_stays_as_it_is(started, undisturbed):
    go(started)
    run = load_run(started.folder.path, generations=GENERATIONS)
    assert run.finished
    go(run)
    assert files(started.folder.path) == undisturbed


def test_a_total_that_is_already_passed_is_refused(stopped):
    with pytest.raises(UserError, match=r"stands at generation 2, .* give at least that many, got 1"):
        load_run(stopped.folder.path, generations=1)


# ---- opening


def test_a_run_is_opened_where_it_stands(stopped, tmp_path):
    run = load_run("tiny-s0", tmp_path)
    assert run.state.generation == 2 and run.warnings == () and not run.finished
    np.testing.assert_array_equal(run.center, stopped.center)
    assert run.config == stopped.config


def test_a_run_killed_before_its_first_checkpoint_starts_over(started, undisturbed):
    metrics = started.folder.path / "metrics.jsonl"
    metrics.write_bytes(undisturbed["metrics.jsonl"][:1000])
    run = load_run(started.folder.path)
    assert run.state.generation == 0
    go(run)
    assert files(started.folder.path) == undisturbed


def test_a_run_without_the_records_before_its_checkpoint_is_refused(stopped):
    metrics = stopped.folder.path / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes().partition(b"\n")[2])
    with pytest.raises(UserError, match="does not hold generations 0 to 1"):
        go(load_run(stopped.folder.path))


def edit(run, old, new):
    path = run.folder.path / "config.toml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "units = 13",
            "units = 14",
            r"another genome: block 'innate' differs in shape: \[13, 13\] there, \[14, 14\] here",
        ),
        ("floor = 0.0", "floor = -1.0", "another genome: block 'gain' differs in floor: 0.0 there, -1.0 here"),
        ("sigma = 0.03", "sigma = 0.04", "of other settings than its config.toml: strategy.sigma was 0.03, is 0.04"),
        ("seed = 0", "seed = 1", "of other settings than its config.toml: seed was 0, is 1"),
        ("sigma = 0.03", "sigma = -0.04", "strategy.sigma: expected `float` > 0.0, got -0.04"),
        ("sigma = 0.03", "sigma = ", "could not be read"),
        ("[strategy]", "[strateg]", "unknown key 'strateg'"),
    ],
)
def test_a_run_folder_of_another_genome_or_other_settings_is_refused(stopped, old, new, words):
    edit(stopped, old, new)
    before = files(stopped.folder.path)
    with pytest.raises(UserError, match=words):
        load_run(stopped.folder.path)
    assert files(stopped.folder.path) == before


def test_a_battery_in_another_order_is_refused(tmp_path):
    battery = "problem.task.battery={type='tables', tables={a='01', b='10'}}"
    run = start_run(tiny(battery, "problem.task.withheld=[]", generations=2), tmp_path)
    go(run, **stop_after(1))
    edit(run, 'a = "01"\nb = "10"', 'b = "10"\na = "01"')
    with pytest.raises(UserError, match=r"battery\.tables was"):
        load_run(run.folder.path)


@pytest.mark.parametrize("change", [("seconds = 0", "seconds = 5"), ("lives = 2", "lives = 3"), ('"tiny"', '"other"')])
def test_how_a_run_is_watched_may_be_edited(stopped, change):
    path = stopped.folder.path / "config.toml"
    path.write_text(path.read_text().replace(*change))
    assert load_run(stopped.folder.path).config != stopped.config


def test_a_checkpoint_that_says_nothing_of_its_genome_is_refused(stopped):
    folder = stopped.folder.path / "checkpoints"
    newest = checkpoints.read_checkpoint(folder / "gen-00000002.npz")
    checkpoints.write_checkpoint(folder, checkpoints.Checkpoint(2, newest.arrays, {}))
    with pytest.raises(UserError, match="block 'innate' is only here"):
        load_run(stopped.folder.path)


def test_a_missing_run_is_refused_with_the_nearest(stopped, tmp_path):
    with pytest.raises(UserError, match=r"'tiny-s1' is not a run folder; the nearest runs in .* are tiny-s0"):
        load_run("tiny-s1", tmp_path)


# ---- starting, and the record of what resumed it


def test_starting_writes_the_complete_run_file_and_takes_no_one_s_folder(tmp_path):
    paths = [start_run(tiny(), tmp_path).folder.path for _ in range(2)]
    assert [path.name for path in paths] == ["tiny-s0", "tiny-s0-2"]
    assert load_run(go(start_run(tiny(), tmp_path)).folder.path).config == tiny()
    with pytest.raises(UserError, match="a run named 'tiny-s0' exists"):
        start_run(tiny(), tmp_path, "tiny-s0")


def test_a_run_that_cannot_be_built_leaves_no_folder(tmp_path):
    with pytest.raises(UserError, match="there is nothing to evolve"):
        start_run(tiny("problem.genome.gain.evolve=false", "problem.genome.innate.evolve=false"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_resuming_enters_the_lineage_and_the_new_total(stopped):
    run = load_run(stopped.folder.path, generations=9)
    note_resume(run, ["evoplastic", "resume"], ["numpy was 1, is 2"])
    (entry,) = stopped.folder.manifest["lineage"]
    assert (entry["generation"], entry["differences"]) == (2, ["numpy was 1, is 2"])
    assert entry["now"]["command"] == ["evoplastic", "resume"]
    assert load_run(stopped.folder.path).config.generations == 9


def test_what_may_change_bits_is_told_against_the_last_resume(stopped):
    assert resume_differences(stopped) == []
    path = stopped.folder.path / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "source_hash": "before", "python": "2.7"}))
    differences = resume_differences(stopped)
    assert [difference.split()[0] for difference in differences] == ["source_hash", "python"]
    note_resume(stopped, [], differences)
    assert resume_differences(stopped) == []
