"""Cells as processes: side by side, tried once more, told to stop, never left behind; and a whole sweep, killed."""

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import PACKAGE
from rich.console import Console
from test_cli import SETTINGS, Process, lines, main, process, snapshot
from test_evolution import TINY, tiny
from test_launch import files, go, stop_after

from evoplastic.fleet import Fleet, Job, last_line
from evoplastic.groups import find_group, is_done, open_group
from evoplastic.launch import load_run, start_run
from evoplastic.progress import Board, Screen
from evoplastic.stop import StopRequest
from evoplastic.sweeps import Sweep, plan

__all__ = ["main", "process"]  # fixtures


@pytest.fixture
def job(tmp_path):
    """Return a maker of jobs that run Python code in a folder of their own."""

    def make(name, code, **more):
        code = f"import os, signal, sys, time\nos.chdir({str(tmp_path)!r})\n{code}"
        return Job(name, [sys.executable, "-S", "-c", code], tmp_path / f"{name}.log", **more)

    return make


def work(jobs, parallel=1, stop=None, watch=lambda fleet: None):
    """Return the fleet after its work, and what it told."""
    told = []
    fleet = Fleet(jobs, parallel, told.append)
    fleet.work(stop or StopRequest(), watch)
    return SimpleNamespace(codes=fleet.codes, waiting=[each.name for each in fleet.waiting], told=told)


# ---- processes


def test_so_many_jobs_run_side_by_side_and_no_more(job):
    most = []
    ended = work(
        [job(f"j{n}", "time.sleep(0.3)") for n in range(4)], 2, watch=lambda fleet: most.append(len(fleet.running))
    )
    assert ended.codes == dict.fromkeys(["j0", "j1", "j2", "j3"], 0) and max(most) == 2
    assert ended.told == [f"j{n} is done" for n in range(4)]


def test_output_is_appended_to_the_log(job, tmp_path):
    (tmp_path / "j.log").write_text("before\n")
    work([job("j", "print('out'); sys.stdout.flush(); print('err', file=sys.stderr)")])
    assert (tmp_path / "j.log").read_text() == "before\nout\nerr\n"


@pytest.mark.parametrize(
    ("ends", "code", "starts"),
    [
        ("sys.exit(0)", 0, 1),
        ("sys.exit(2)", 2, 1),
        ("sys.exit(130)", 130, 1),
        ("sys.exit(1)", 1, 2),
        ("1 / 0", 1, 2),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9, 2),
    ],
)
def test_a_job_that_died_is_started_once_more_and_one_that_ended_is_not(job, tmp_path, ends, code, starts):
    ended = work([job("j", f"open('starts', 'a').write('x')\nprint('here', flush=True)\n{ends}"), job("other", "")])
    assert ended.codes == {"j": code, "other": 0}
    assert (tmp_path / "starts").read_text() == "x" * starts


def test_a_job_that_comes_through_at_the_second_attempt_is_done(job):
    ended = work([job("j", "sys.exit(0 if os.path.exists('tried') else open('tried', 'w') and 1)")])
    assert ended.codes == {"j": 0} and [line.split(";")[0] for line in ended.told] == [
        "j died and is started once more",
        "j is done",
    ]


@pytest.mark.parametrize(("code", "line"), [(1, "last"), (-9, "killed by SIGKILL after: last")])
def test_what_a_job_said_last_is_the_last_line_of_its_log(tmp_path, code, line):
    (tmp_path / "log").write_bytes(b"first\n" * 5000 + b"last \n\n")
    assert last_line(tmp_path / "log", code) == line
    (tmp_path / "log").write_bytes(b"")
    assert last_line(tmp_path / "log", 1) == "nothing was said"


def test_a_request_to_stop_is_handed_on_to_all_that_run_and_starts_nothing_more(job, tmp_path):
    stop = StopRequest()

    def waits(name):
        return job(name, f"signal.signal(15, lambda *_: sys.exit(130))\nopen('{name}', 'w')\ntime.sleep(60)")

    def watch(fleet):
        if all((tmp_path / name).exists() for name in "ab") and not stop.finish():
            stop.ask()

    ended = work([waits("a"), waits("b"), job("other", "")], 2, stop, watch)
    assert ended.codes == {"a": 130, "b": 130} and ended.waiting == ["other"]
    assert ended.told == ["a stopped", "b stopped"]


def test_a_second_request_is_handed_on_too(job, tmp_path):
    stop = StopRequest()
    counts = "told = []\nsignal.signal(15, lambda *_: told.append(open(f'told{len(told)}', 'w')))\nopen('up', 'w')\n"
    counts += "while len(told) < 2: time.sleep(0.01)\nsys.exit(7)"

    def watch(fleet):
        if (tmp_path / ("told0" if stop.times else "up")).exists() and stop.times < 2:
            stop.ask()

    assert work([job("j", counts)], stop=stop, watch=watch).codes == {"j": 7}, "and it is not tried once more"


def test_an_error_ends_the_jobs_first(job, tmp_path):
    def watch(fleet):
        if (tmp_path / "up").exists():
            raise RuntimeError("the screen broke")

    with pytest.raises(RuntimeError, match="the screen broke"):
        work([job("j", "open('up', 'w')\ntime.sleep(60)\nopen('late', 'w')")], watch=watch)
    assert not (tmp_path / "late").exists()


def test_a_job_that_another_process_is_at_waits_and_one_that_it_did_is_not_started(job, tmp_path):
    taken, done = tmp_path / "taken", tmp_path / "done"
    taken.touch()

    def watch(fleet):
        if "free" in fleet.codes:
            taken.unlink(missing_ok=True)
            done.touch()

    waiting = job("busy", "", is_taken=taken.exists, is_done=done.exists)
    ended = work([waiting, job("free", "")], watch=watch)
    assert ended.codes == {"free": 0} and ended.waiting == []
    taken.touch()
    stop = StopRequest()
    ended = work([waiting], stop=stop, watch=lambda fleet: stop.ask())
    assert ended.told == ["waiting for busy: another process is at it"] and ended.waiting == ["busy"]


def test_jobs_live_in_sessions_of_their_own(job, tmp_path):
    work([job("j", "print(os.getsid(0) == os.getpid())")])
    assert (tmp_path / "j.log").read_text() == "True\n"


# ---- the display


def test_the_board_counts_cells_and_says_how_far_running_ones_are():
    board = Board(20, 3, 1, {"s3": (40, 200), "s4": (7, 200)})
    assert board.line() == "cells 3/20 done, 2 running, 1 failed (s3 at 40/200, s4 at 7/200)"
    assert board.lines() == ["cells 3/20 done, 2 running, 1 failed", "s3 at 40/200", "s4 at 7/200"]
    assert Board(2, 2, 0, {}).line() == "cells 2/2 done, 0 running"


@pytest.mark.parametrize("terminal", [True, False])
def test_the_board_is_drawn_now_and_then(monkeypatch, terminal):
    screen, out, asked = Screen(), io.StringIO(), []
    screen._console = Console(file=out, force_terminal=terminal, width=200)
    seconds = itertools.count(0.0, 0.5)
    monkeypatch.setattr("evoplastic.progress.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    with screen.board() as show:
        for _ in range(240):
            show(lambda: asked.append(1) or Board(999, len(asked), 0, {"s3": (5, 8)}))
    assert len(asked) == (120 if terminal else 2)
    assert f"cells {len(asked)}/999 done, 1 running" in out.getvalue() and "s3 at 5/8" in out.getvalue()


# ---- a whole sweep

GENERATIONS = 60
LONGER = "problem.task.trials=100"  # thirty generations a second
SWEEP = ["sweep", "quickstart", *SETTINGS, "--set", LONGER, "--seeds", "0:1", "--over", "strategy.sigma=0.05"]
SWEEP += ["--generations", GENERATIONS, "--name", "g", "--workers", 2, "--parallel", 1]
CELLS = ["sigma=0.05,s0", "sigma=0.05,s1"]


def holder(folder):
    """Return the process that holds the lock of a run."""
    return json.loads((folder / "lock").read_text())["pid"]


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep that is interrupted in its first cell, carried on by the same command, killed, and carried on again."""
    runs = tmp_path_factory.mktemp("runs")
    seen = SimpleNamespace(runs=runs, cells=[runs / "g" / name for name in CELLS])
    first = seen.cells[0]

    def start_and(end):
        before, sweep = lines(first / "metrics.jsonl"), Process(*SWEEP, "--runs-dir", runs)
        try:
            sweep.wait_for(lambda: lines(first / "metrics.jsonl") > before + 3)
            pid = holder(first)
            sweep.signal(end)
            return sweep.end(), pid
        finally:
            sweep.kill()

    seen.interrupted, _ = start_and(signal.SIGTERM)
    seen.saved = load_run(first).state.generation, lines(first / "metrics.jsonl")
    seen.killed, orphan = start_and(signal.SIGKILL)
    give_up = time.monotonic() + 60
    while is_alive(orphan):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    seen.orphaned = load_run(first).state.generation, lines(first / "metrics.jsonl")
    seen.finished = Process(*SWEEP, "--runs-dir", runs, "--json").end()
    return seen


def test_a_signal_to_a_sweep_stops_its_cells_and_says_how_to_go_on(swept):
    ended = swept.interrupted
    assert ended.code == 130 and "Traceback" not in ended.err
    assert "stopped with 0 of 2 cells done; the same command carries on" in ended.out
    assert swept.saved[0] == swept.saved[1] > 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_the_cells_of_a_killed_sweep_save_and_stop(swept):
    assert swept.killed.code == -signal.SIGKILL
    generation, count = swept.orphaned
    assert swept.saved[0] < generation == count < GENERATIONS


def test_the_same_command_finishes_what_was_killed_with_the_bytes_of_plain_runs(swept, tmp_path):
    assert swept.finished.code == 0, swept.finished.err
    for seed, cell in enumerate(swept.cells):
        config = tiny(LONGER, "strategy.sigma=0.05", seed=seed, generations=GENERATIONS)
        assert files(cell) == files(go(start_run(config, tmp_path)).folder.path)


def test_a_sweep_tells_its_cells_and_leaves_logs_and_a_summary(swept):
    told = json.loads(swept.finished.out)
    assert (told["format"], told["version"], told["group"]) == ("evoplastic.sweep", 1, str(swept.runs / "g"))
    assert [(cell["name"], cell["state"], cell["generation"]) for cell in told["cells"]] == [
        (name, "done", GENERATIONS) for name in CELLS
    ]
    assert "sigma=0.05,s0 is done" in swept.finished.err and "gain over generation 0" in swept.finished.err
    summary = json.loads((swept.runs / "g" / "summary.json").read_text())
    assert summary["format"] == "evoplastic.compare" and summary["arms"][0]["seeds"] == [0, 1]
    logs = [(swept.runs / "g" / f"{name}.log").read_text() for name in CELLS]
    assert [log.count("; generations ") for log in logs] == [3, 1] and "carry on with:" in logs[0]


def test_a_finished_group_is_compared_and_nothing_is_started(main, swept):
    before = snapshot(swept.runs)
    said = main(*SWEEP, "--runs-dir", swept.runs)
    assert said.code == 0 and "2 cells, 2 of them done" in said.out and "seed 1" in said.out
    assert snapshot(swept.runs) == before
    compared = main("compare", "g", "--runs-dir", swept.runs, "--json")
    assert json.loads(compared.out) == json.loads((swept.runs / "g" / "summary.json").read_text())


# ---- cells that fail, cells alone


def damaged(runs):
    """Leave a group whose first cell has lost its first records."""
    open_group(runs, "g", plan(Sweep(["quickstart"], "0:1", overrides=TINY, generations=2)), TINY)
    go(start_run(tiny(generations=2), runs / "g", "s0"), **stop_after(1))
    (runs / "g" / "s0" / "metrics.jsonl").write_bytes(b"")
    return ["sweep", "quickstart", *SETTINGS, "--generations", 2, "--seeds", "0:1", "--name", "g", "--runs-dir", runs]


def test_a_cell_that_fails_is_named_with_its_last_line_and_the_others_go_on(main, tmp_path):
    command = damaged(tmp_path)
    said = main(*command, "--json")
    assert said.code == 2 and said.out == "" and is_done(tmp_path / "g" / "s1", 2)
    assert f"cell s0 failed; {tmp_path / 'g' / 's0.log'} ends in: evoplastic: " in said.err
    assert "does not hold generations 0 to 0" in said.err
    assert said.err.endswith("evoplastic: 1 of 2 cells failed; the same command runs them again\n")
    summary = json.loads((tmp_path / "g" / "summary.json").read_text())
    assert summary["arms"][0]["seeds"] == [1] and "unfinished" in summary["left_out"][0]["reason"]
    alone = main(*command, "--cell", 0)
    assert (
        alone.code == 2
        and "start the run anew" in alone.err
        and f"cell 0 of 0 to 1: {tmp_path / 'g' / 's0'}" in alone.out
    )


def test_cells_of_an_array_may_all_start_at_once(process, tmp_path):
    command = ["sweep", "quickstart", *SETTINGS, "--generations", 2, "--seeds", "5:6", "--runs-dir", tmp_path]
    started = [process(*command, "--cell", number, *json_) for number, json_ in ((0, ["--json"]), (1, []))]
    first, second = (each.end() for each in started)
    assert (first.code, second.code) == (0, 0), first.err + second.err
    group = find_group(tmp_path / "quickstart-sweep")
    assert [is_done(group.path / cell.name, 2) for cell in group.cells] == [True, True]
    assert json.loads(first.out)["cells"][0]["state"] == "done" and "cell 0 of 0 to 1" in first.err
    assert "cell 1 of 0 to 1" in second.out and not list(group.path.glob("*.log"))


@pytest.mark.ray
def test_cells_share_one_ray_and_leave_the_bytes_of_plain_runs(tmp_path):
    command = [
        "sweep",
        "quickstart",
        *SETTINGS,
        "--generations",
        2,
        "--seeds",
        "0:1",
        "--backend",
        "ray",
        "--workers",
        2,
    ]
    done = subprocess.run(
        [sys.executable, "-m", "evoplastic", *map(str, command), "--runs-dir", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for seed in range(2):
        ours = files(tmp_path / "quickstart-sweep" / f"s{seed}")
        assert ours == files(go(start_run(tiny(seed=seed, generations=2), tmp_path / "plain")).folder.path)
