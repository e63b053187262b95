"""The commands: exit codes, one sentence for each mistake, one object for --json, and signals that lose nothing."""

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from conftest import PACKAGE, child
from rich.console import Console
from test_evolution import TINY, tiny
from test_launch import files, go, stop_after

import evoplastic
from evoplastic import cli
from evoplastic.config import preset_names
from evoplastic.errors import UserError
from evoplastic.launch import load_run, start_run
from evoplastic.progress import ProgressLine, Screen, _duration

SETTINGS = [word for setting in TINY for word in ("--set", setting)]
HEAVY = ["numba", "ray", "matplotlib", "cma", "numpy", "scipy", "msgspec"]


@pytest.fixture
def main(monkeypatch, capsys):
    """Return a caller of the command line: exit code, stdout and stderr. Signal handlers are put back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setenv("COLUMNS", "300")

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["evoplastic", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=said.out, err=said.err)

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


def snapshot(folder):
    """Return what the folder's files hold, short enough that a difference can be read in a log."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with one run, `tiny-s0`, stopped after two of four generations."""
    folder = tmp_path_factory.mktemp("runs")
    go(start_run(tiny(), folder), **stop_after(2))
    return folder


@pytest.fixture
def my_runs(runs, tmp_path):
    return shutil.copytree(runs, tmp_path / "runs")


# ---- a run from beginning to end


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A whole run with --json in a process of its own."""
    folder = tmp_path_factory.mktemp("whole")
    command = ["run", "quickstart", *SETTINGS, "--generations", "3", "--seed", "4", "--json", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "evoplastic", *command, "--runs-dir", str(folder)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
    )
    return SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr, path=folder / "tiny-s4")


def test_json_is_one_object_and_alone_on_stdout(whole):
    assert whole.code == 0, whole.err
    result = json.loads(whole.out)
    assert (result["format"], result["version"], result["run"]) == ("evoplastic.evaluate", 1, "tiny-s4")
    assert (result["generation"], result["seed"]) == (3, 4)
    assert "generation 3/3" in whole.err and "Traceback" not in whole.err


def test_a_whole_run_leaves_scores_and_pictures_and_says_where(whole):
    (written,) = whole.path.glob("evaluation/*.json")
    assert json.loads(written.read_text()) == json.loads(whole.out)
    assert str(written) in whole.err
    for picture in whole.path.glob("analysis/*.png"):
        assert f"picture:    {picture}" in whole.err
    assert len(list(whole.path.glob("analysis/*.png"))) >= 1


def test_a_run_s_settings_are_the_command_s(whole):
    run = load_run(whole.path)
    assert run.finished and run.config == tiny(generations=3, seed=4)
    assert run.folder.manifest["command"][:3] == ["evoplastic", "run", "quickstart"]


def test_evaluating_again_gives_the_same_scores_and_a_table(main, whole, tmp_path):
    path = shutil.copytree(whole.path, tmp_path / "tiny-s4")
    before = snapshot(path)
    said = main("evaluate", path, "--tasks", "or,dms", "--lives", 2, "--controls", "plasticity_off", "--json")
    assert said.code == 0
    for words in ("evolved", "generation 0", "plasticity off", "chance"):
        assert words in said.err
    first = json.loads(whole.out)["conditions"]["evolved"]["tasks"]
    tasks = json.loads(said.out)["conditions"]["evolved"]["tasks"]
    assert set(tasks) == {"or", "dms", "dnms"} and tasks == {task: first[task] for task in tasks}
    assert before.items() <= snapshot(path).items(), "an evaluation of some tasks overwrites nothing"


def test_resuming_a_finished_run_shows_what_it_found(main, whole, tmp_path):
    path = shutil.copytree(whole.path, tmp_path / "tiny-s4")
    said = main("resume", path, "--json")
    assert said.code == 0 and json.loads(said.out) == json.loads(whole.out)
    assert "is finished; its last evaluation:" in said.err
    said = main("resume", path)
    assert said.code == 0 and said.err == "" and "evolved" in said.out


# ---- mistakes

RUN = ["run", "quickstart", *SETTINGS]
MISTAKES = {
    "misspelt key": ([*RUN, "--set", "strategy.sigm=1"], "unknown key 'strategy.sigm'; did you mean 'sigma'?"),
    "wrong type": ([*RUN, "--set", "strategy.sigma=wide"], "strategy.sigma: expected `float`, got 'wide'"),
    "odd population": ([*RUN, "--set", "strategy.population=5"], "population must be even"),
    "negative sigma": ([*RUN, "--set", "strategy.sigma=-1"], "strategy.sigma: expected `float` > 0.0, got -1"),
    "unknown preset": (["run", "quickstrat"], "choose one of ['7x7-maze',"),
    "unknown preset in bench": (["bench", "quickstrat"], "choose one of ['7x7-maze',"),
    "missing file": (["run", "missing.toml"], "run file missing.toml does not exist"),
    "unknown task": ([*RUN, "--set", "problem.task.withheld=['dsm']"], "choose one of ['and', 'nand',"),
    "unknown battery": ([*RUN, "--set", "problem.task.battery.name=boolean9"], "['boolean2', 'boolean2-as-published']"),
    "unknown control": ([*RUN, "--set", "evaluation.controls=['off']"], "control 'off' is unknown; choose some of"),
    "unknown backend": ([*RUN, "--backend", "thread"], "choose one of ['threads', 'ray']; did you mean 'threads'?"),
    "address without ray": ([*RUN, "--address", "1.2.3.4:5"], "only a Ray cluster has an address"),
    "not an assignment": ([*RUN, "--set", "sigma"], "--set must look like strategy.sigma=0.02, got 'sigma'"),
    "nothing to evolve": (
        [*RUN, "--set", "problem.genome.gain.evolve=false", "--set", "problem.genome.innate.evolve=false"],
        "there is nothing to evolve",
    ),
    "huge seed": ([*RUN, "--seed", 2**62 + 1], "seed: expected `int` <= "),
    "existing name": ([*RUN, "--name", "tiny-s0"], "a run named 'tiny-s0' exists"),
    "name that leads elsewhere": ([*RUN, "--name", "../tiny"], "a run cannot be named '../tiny'"),
    "missing run": (["resume", "tiny-s1"], "'tiny-s1' is not a run folder; the nearest runs in"),
    "missing run to evaluate": (["evaluate", "tiny-s1"], "'tiny-s1' is not a run folder; the nearest runs in"),
    "passed total": (["resume", "tiny-s0", "--generations", 1], "stands at generation 2"),
    "unknown backend of a resume": (["resume", "tiny-s0", "--backend", "x"], "choose one of ['threads', 'ray']"),
    "member that there is not": (["replay", "tiny-s0", "--member", 4], "members are numbered 0 to 3, got 4"),
    "existing run of other settings": (
        [*RUN, "--resume-if-exists", "--set", "strategy.sigma=0.5"],
        "run 'tiny-s0' exists with other settings: strategy.sigma was",
    ),
    "unknown task to evaluate": (["evaluate", "tiny-s0", "--tasks", "dsm"], "did you mean 'dms'?"),
    "unknown lesion": (["evaluate", "tiny-s0", "--controls", "gain"], "control 'gain' is unknown"),
    "unknown spec": (["tasks", "show", "boolean3"], "task spec 'boolean3' is unknown; choose one of"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_sentence_and_changes_nothing(main, runs, mistake):
    words, sentence = MISTAKES[mistake]
    before = snapshot(runs)
    said = main(*words, *(["--runs-dir", runs] if words[0] in ("run", "resume", "evaluate", "replay") else []))
    assert said.code == 2
    assert sentence in said.err and "Traceback" not in said.err
    assert said.err.startswith("evoplastic: ") and said.err.count("\n") == 1
    after = snapshot(runs)
    after.pop("tiny-s0/lock", None), before.pop("tiny-s0/lock", None)
    assert after == before


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["rnu", "quickstart"],
        ["run", "quickstart", "--generations", "0"],
        ["run", "quickstart", "--generations", "many"],
        ["run", "quickstart", "--workers", "0"],
        ["run", "quickstart", "--seed", "-1"],
        ["run", "quickstart", "--generatoins", "3"],
        ["evaluate", "tiny-s0", "--lives", "0"],
        ["evaluate", "tiny-s0", "--seed", str(2**32)],
    ],
)
def test_a_command_that_is_none_exits_with_2(main, words):
    said = main(*words)
    assert said.code == 2 and said.out == "" and said.err and "Traceback" not in said.err


def damage(path):
    path.write_bytes(path.read_bytes()[:-1])


def newest(folder):
    return sorted(folder.glob("checkpoints/*.npz"))[-1]


def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(main, my_runs, tmp_path):
    damage(newest(my_runs / "tiny-s0"))
    said = main("resume", "tiny-s0", "--runs-dir", my_runs, "--json")
    assert said.code == 0 and json.loads(said.out)["generation"] == 4
    assert "warning: checkpoint" in said.err and "gen-00000002.npz is damaged" in said.err
    whole = go(start_run(tiny(), tmp_path / "whole"))
    assert files(my_runs / "tiny-s0") == files(whole.folder.path)


def test_a_run_of_damaged_checkpoints_only_is_refused(main, my_runs):
    for path in my_runs.glob("tiny-s0/checkpoints/*.npz"):
        damage(path)
    before = snapshot(my_runs)
    said = main("resume", "tiny-s0", "--runs-dir", my_runs)
    assert said.code == 2 and "no checkpoint could be read" in said.err and said.err.count("\n") == 1
    assert snapshot(my_runs) == before


def test_a_run_of_another_genome_is_refused_by_the_block_s_name(main, my_runs):
    path = my_runs / "tiny-s0" / "config.toml"
    path.write_text(path.read_text().replace("units = 13", "units = 15"))
    before = snapshot(my_runs)
    said = main("resume", "tiny-s0", "--runs-dir", my_runs)
    assert said.code == 2 and "checkpoints of another genome: block 'innate'" in said.err
    assert snapshot(my_runs) == before


def test_a_runs_dir_that_cannot_be_written_is_refused(main, tmp_path):
    (tmp_path / "file").touch()
    said = main(*RUN, "--runs-dir", tmp_path / "file" / "runs")
    assert said.code == 2 and "could not be written" in said.err and said.err.count("\n") == 1


def test_a_full_disk_leaves_no_folder(main, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", refusing(errno.ENOSPC))
    said = main(*RUN, "--runs-dir", tmp_path)
    assert said.code == 2 and "the disk is full" in said.err and said.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def refusing(number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_read_only_run_folder_is_refused_and_left_alone(main, my_runs, monkeypatch):
    before = snapshot(my_runs)
    opened = os.open

    def read_only(path, *rest, **more):
        return (refusing(errno.EROFS) if str(path).endswith("lock") else opened)(path, *rest, **more)

    monkeypatch.setattr(os, "open", read_only)
    said = main("resume", "tiny-s0", "--runs-dir", my_runs)
    assert said.code == 2 and "read-only" in said.err and said.err.count("\n") == 1
    assert snapshot(my_runs) == before


def test_a_run_in_use_is_refused(main, my_runs):
    with load_run(my_runs / "tiny-s0").folder.lock():
        before = snapshot(my_runs)
        said = main("resume", "tiny-s0", "--runs-dir", my_runs)
        assert said.code == 2 and f"in use by process {os.getpid()}" in said.err and "--break-lock" in said.err
        assert snapshot(my_runs) == before


def test_exact_refuses_other_code(main, my_runs):
    path = my_runs / "tiny-s0" / "manifest.json"
    path.write_text(path.read_text().replace('"source_hash": "', '"source_hash": "x'))
    said = main("resume", "tiny-s0", "--exact", "--runs-dir", my_runs)
    assert said.code == 2 and "--exact refuses to carry on 'tiny-s0': source_hash was x" in said.err


# ---- signals


class Process:
    """The command line in a process of its own."""

    def __init__(self, *words):
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "evoplastic", *map(str, words)],
            env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, happened):
        give_up = time.monotonic() + 120
        while not happened():
            assert self._popen.poll() is None and time.monotonic() < give_up, self._popen.communicate()
            time.sleep(0.01)

    def signal(self, number):
        self._popen.send_signal(number)

    def end(self):
        out, err = self._popen.communicate(timeout=120)
        return SimpleNamespace(code=self._popen.returncode, out=out, err=err)

    def kill(self):
        self._popen.kill()
        self._popen.communicate()


@pytest.fixture
def process():
    started = []

    def start(*words):
        started.append(Process(*words))
        return started[-1]

    yield start
    for running in started:
        running.kill()


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize(
    ("number", "json_"), [(signal.SIGINT, []), (signal.SIGTERM, ["--json"]), (signal.SIGUSR1, ["--grace", "600"])]
)
def test_a_signal_finishes_the_generation_and_says_how_to_go_on(process, main, tmp_path, number, json_):
    path = tmp_path / "tiny-s0"
    running = process(*RUN, "--generations", 100_000, "--runs-dir", tmp_path, *json_)
    running.wait_for(lambda: lines(path / "metrics.jsonl") > 3)
    running.signal(number)
    ended = running.end()
    assert ended.code == 130 and "Traceback" not in ended.err
    assert "finishing this generation" in ended.err
    assert f"evoplastic resume {path}" in (ended.err if "--json" in json_ else ended.out)
    assert "--json" not in json_ or ended.out == ""
    run = load_run(path)
    assert run.state.generation == lines(path / "metrics.jsonl") > 3 and run.warnings == ()

    total = run.state.generation + 1
    resumed = main("resume", path, "--generations", total, "--json")
    assert resumed.code == 0 and json.loads(resumed.out)["generation"] == total
    assert load_run(path).folder.manifest["lineage"][0]["generation"] == total - 1
    whole = go(start_run(tiny(generations=total), tmp_path / "whole"))
    assert files(path) == files(whole.folder.path)


def test_a_second_signal_abandons_the_generation(process, tmp_path):
    path = tmp_path / "tiny-s0"
    long = ["--set", "problem.task.trials=20000", "--set", "strategy.population=4000", "--set", "validation.every=0"]
    running = process(*RUN, *long, "--runs-dir", tmp_path, "--workers", "1")
    running.wait_for((path / "metrics.jsonl").exists)
    time.sleep(0.2)
    running.signal(signal.SIGINT)
    time.sleep(0.2)
    running.signal(signal.SIGINT)
    ended = running.end()
    assert ended.code == 130 and "Traceback" not in ended.err
    assert "abandoning" in ended.err and f"evoplastic resume {path}" in ended.out
    assert load_run(path).state.generation == 0 and lines(path / "metrics.jsonl") == 0


def test_a_signal_abandons_the_generation_when_its_grace_is_over(process, tmp_path):
    path = tmp_path / "tiny-s0"
    long = ["--set", "problem.task.trials=20000", "--set", "strategy.population=4000", "--set", "validation.every=0"]
    running = process(*RUN, *long, "--runs-dir", tmp_path, "--workers", "1", "--grace", "0.3")
    running.wait_for((path / "metrics.jsonl").exists)
    running.signal(signal.SIGTERM)
    ended = running.end()
    assert ended.code == 130 and load_run(path).state.generation == 0


# ---- for job scripts


def test_the_same_command_starts_carries_on_and_shows_a_run(main, my_runs, tmp_path):
    words = ["run", "quickstart", *SETTINGS, "--generations", 4, "--runs-dir", my_runs, "--resume-if-exists", "--json"]
    carried_on = main(*words)
    assert carried_on.code == 0 and json.loads(carried_on.out)["generation"] == 4
    whole = go(start_run(tiny(), tmp_path / "whole"))
    assert files(my_runs / "tiny-s0") == files(whole.folder.path)
    before = snapshot(my_runs)
    shown = main(*words)
    assert shown.code == 0 and json.loads(shown.out) == json.loads(carried_on.out)
    assert snapshot(my_runs) == before
    started = main(*words, "--seed", 7, "--generations", 1)
    assert started.code == 0 and (my_runs / "tiny-s7").is_dir()


def test_an_evaluation_of_some_tasks_does_not_finish_a_run(main, my_runs):
    words = ["run", "quickstart", *SETTINGS, "--generations", 4, "--runs-dir", my_runs, "--resume-if-exists", "--json"]
    whole = json.loads(main(*words).out)
    for path in (my_runs / "tiny-s0" / "evaluation").glob("*.json"):
        path.unlink()
    assert main("evaluate", "tiny-s0", "--tasks", "or", "--runs-dir", my_runs).code == 0
    assert json.loads(main(*words).out) == whole


def test_the_same_command_never_shortens_a_run_that_was_extended(main, my_runs):
    assert main("resume", "tiny-s0", "--generations", 5, "--runs-dir", my_runs).code == 0
    words = ["run", "quickstart", *SETTINGS, "--generations", 3, "--runs-dir", my_runs, "--resume-if-exists", "--json"]
    assert json.loads(main(*words).out)["generation"] == 5


def test_a_member_s_life_is_lived_again(main, my_runs):
    said = main("replay", "tiny-s0", "--member", 1, "--runs-dir", my_runs, "--json")
    assert said.code == 0 and json.loads(said.out)["score"].keys() == {"fitness", "accuracy", "loss", "cost"}


# ---- what only tells


def test_help_imports_nothing_heavy():
    code = f"""
import sys
from evoplastic.cli import main
for words in (["--help"], ["run", "--help"], ["--version"]):
    sys.argv = ["evoplastic", *words]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code
print([name for name in {HEAVY} if name in sys.modules])
"""
    printed = child(code)
    assert printed.splitlines()[-1] == "[]" and f"evoplastic {evoplastic.__version__}" in printed


def test_every_command_has_help(main):
    for command in (["run"], ["resume"], ["evaluate"], ["replay"], ["presets"], ["bench"], ["tasks", "list"]):
        assert main(*command, "--help").code == 0


def test_no_command_at_all_shows_help(main):
    assert "Evolve plastic networks" in (said := main()).out + said.err


def test_presets_are_listed_with_the_novelty_of_what_they_withhold(main):
    said = main("presets")
    assert said.code == 0 and [line.split()[0] for line in said.out.splitlines()] == preset_names()
    novel = {line.split()[0]: line.rpartition("[")[2] for line in said.out.splitlines()}
    assert novel["icml2023-small-fold-dms"] == "novel class]" and novel["icml2023-small-fold-or"] == "relabelled]"


def test_a_bug_shows_its_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["evoplastic", "presets"])
    monkeypatch.setattr("evoplastic.config.preset_names", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main()


# ---- the progress line


def record(generation, validation=None, seconds=1.0, lives=10):
    return SimpleNamespace(
        generation=generation,
        state=SimpleNamespace(generation=generation + 1),
        metrics={"training": {"accuracy": 0.6125}, "validation": validation},
        lives=lives,
        validation_lives=0,
        seconds=seconds,
        validation_seconds=0.0,
    )


def run_of(generations=10):
    problem = SimpleNamespace(columns=("fitness", "accuracy"), chance=0.5, called=("chance", "oracle"))
    config = SimpleNamespace(generations=generations)
    return SimpleNamespace(config=config, search=SimpleNamespace(problem=problem))


def test_the_line_tells_scores_chance_speed_and_time_left():
    line = ProgressLine(run_of()).after(record(0))
    assert line.split("  ") == ["generation 1/10", "training 0.613", "chance 0.50", "10 lives/s", "0:09 left"]


def test_the_line_tells_the_age_and_n_of_a_validation_score():
    line = ProgressLine(run_of())
    scores = {"training": 0.7, "withheld": 0.65, "lives": 2}
    assert "validation 0.700, withheld 0.650 (now, 2 lives per task)" in line.after(record(0, scores))
    assert "(3 generations ago, 2 lives per task)" in line.after(record(3))
    assert "withheld" not in line.after(record(4, {**scores, "withheld": None}))


def test_the_time_left_forgets_the_generation_that_compiled_and_averages_the_others():
    line = ProgressLine(run_of(generations=100))
    line.after(record(0, seconds=60.0))
    line.after(record(1, seconds=1.0))
    assert line.after(record(2, seconds=3.0)).endswith("5 lives/s  3:14 left")  # 97 generations of 2 seconds


def test_durations():
    assert [_duration(seconds) for seconds in (0, 59.4, 61)] == ["0:00", "0:59", "1:01"]
    assert [_duration(seconds) for seconds in (3600, 90_061)] == ["1:00:00", "25:01:01"]


@pytest.mark.parametrize(("terminal", "shown"), [(True, 3), (False, 2)])
def test_a_terminal_shows_every_generation_and_a_file_the_first_and_last(terminal, shown):
    screen, out = Screen(), io.StringIO()
    screen._console = Console(file=out, force_terminal=terminal, width=200)
    with screen.progress(run_of(generations=3)) as watch:
        for generation in range(3):
            watch(record(generation))
            time.sleep(0.3 if terminal else 0.0)  # the live line is drawn eight times a second
    assert sum(f"generation {number}/3" in out.getvalue() for number in (1, 2, 3)) == shown


# ---- from Python


def test_public_names_are_all_there():
    for name in evoplastic.__all__:
        assert getattr(evoplastic, name) is not None and name in dir(evoplastic)
    with pytest.raises(AttributeError, match="has no attribute 'evolv'"):
        evoplastic.evolv  # noqa: B018


def test_a_mistake_in_python_is_a_user_error():
    with pytest.raises(UserError, match="did you mean 'quickstart'"):
        evoplastic.read_config("quickstar")
