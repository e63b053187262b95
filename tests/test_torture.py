"""Torture: torn, altered and lost files, kills, full disks, planted pickles, two writers at once.

Whatever is done to its folder, a run ends in the bytes of an undisturbed one or says in one sentence why it cannot.
"""

import contextlib
import fcntl
import functools
import io
import itertools
import json
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
import warnings
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from conftest import PACKAGE, child
from test_checkpoints import same
from test_cli import RUN, process, snapshot
from test_evolution import tiny
from test_launch import files, stop_after
from traps import Trap, armed

from evoplastic import checkpoints, cli, lock, manifest
from evoplastic.analysis import figures
from evoplastic.checkpoints import Checkpoint, newest_checkpoint, read_checkpoint, write_checkpoint
from evoplastic.config import read_config
from evoplastic.errors import UserError
from evoplastic.evaluators.threads import Threads
from evoplastic.groups import find_group
from evoplastic.launch import carry_on, load_run, note_resume, resume_differences, start_run
from evoplastic.lock import RunLock
from evoplastic.npz import npz_bytes
from evoplastic.runs import RunFolder
from evoplastic.stop import StopRequest

__all__ = ["process"]  # a fixture

GENERATIONS = 3
PAGE = os.sysconf("SC_PAGE_SIZE")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}


def go(run, stop=None, watch=lambda record: None):
    """Carry a run on as the command line does, and leave no thread behind, so that the process may fork."""
    with run.folder.lock(), contextlib.closing(Threads(run.search.problem, 1)) as evaluator:
        return carry_on(run, evaluator, stop or StopRequest(), watch)


def resumed(path):
    """Do what `resume` does with the run at `path`, but for the pictures; return the warnings."""
    run = load_run(path)
    run.folder.evaluations(run.state.generation, run.search.problem.tasks)
    note_resume(run, [], resume_differences(run))
    go(run)
    return run.warnings


@contextlib.contextmanager
def in_a_hurry():
    """Look up only once what hundreds of short runs would spend most of their time on: the packages' versions."""
    with mock.patch.object(manifest, "_package_versions", functools.cache(manifest._package_versions)):
        yield


def is_sentence(text):
    return len(str(text).splitlines()) == 1


def incomplete(folder):
    """Return what is not whole in `folder`, the temporary files of a writer that came to no end among them."""
    wrong = []
    for path in filter(Path.is_file, folder.rglob("*")):
        try:
            read_whole(path)
        except Exception as error:
            wrong.append(f"{path.relative_to(folder)}: {error!r}")
    return wrong


def read_whole(path):
    """Read a file of a run folder in its format, to its end."""
    data = path.read_bytes()
    if path.suffix == ".json":
        json.loads(data)
    elif path.suffix == ".jsonl":
        assert not data or data.endswith(b"\n"), "torn"
        list(map(json.loads, data.splitlines()))
    elif path.suffix == ".toml":
        tomllib.loads(data.decode())
    elif path.suffix == ".npz":
        read_checkpoint(path)
    elif path.suffix == ".sha256":
        assert path.with_suffix(".npz").exists(), "alone"
    else:
        assert path.name == "lock", "not of a run"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return files(go(start_run(tiny(generations=GENERATIONS), tmp_path_factory.mktemp("undisturbed"))).folder.path)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run stopped after two generations, with a checkpoint of each."""
    run = start_run(tiny(generations=GENERATIONS), tmp_path_factory.mktemp("stopped"))
    return go(run, **stop_after(2)).folder.path


@pytest.fixture
def path(stopped, tmp_path):
    """The path of a copy of `stopped`."""
    return shutil.copytree(stopped, tmp_path / "tiny-s0")


# ---- torn, altered and lost files


@pytest.fixture(params=[".npz", ".sha256"])
def newest_file(request, tmp_path):
    """One of the two files of the newest of two checkpoints."""
    for generation in (5, 6):
        path = write_checkpoint(tmp_path, a_checkpoint(generation))
    return path.with_suffix(request.param)


def a_checkpoint(generation):
    return Checkpoint(generation, {"center": np.full(4, 0.5 + generation)}, {"strategy": "openai_es"})


def altered(data, position):
    """Return `data` with one bit of one byte flipped."""
    return data[:position] + bytes([data[position] ^ 1 << position % 8]) + data[position + 1 :]


def loads_the_one_before(folder):
    """Load the newest checkpoint; return whether it was passed over with a warning, else it must be what it was."""
    told = []
    found = newest_checkpoint(folder, told.append)
    if told:
        (warning,) = told
        assert "gen-00000006.npz is damaged" in warning and is_sentence(warning)
    same(found, a_checkpoint(5 if told else 6))
    return bool(told)


def test_a_checkpoint_cut_at_any_length_gives_way_to_the_one_before(newest_file):
    for length in reversed(range(newest_file.stat().st_size)):
        os.truncate(newest_file, length)
        assert loads_the_one_before(newest_file.parent)


def test_a_checkpoint_with_any_byte_altered_is_what_it_was_or_gives_way_to_the_one_before(newest_file):
    data = newest_file.read_bytes()
    for position in range(len(data)):
        newest_file.write_bytes(altered(data, position))
        loads_the_one_before(newest_file.parent)


def rewritten(path, change):
    """Put `change(data)` in the place of each member of the archive in turn, with a right check sum of the archive."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, data in members.items():
        for changed in change(data):
            with zipfile.ZipFile(path, "w") as archive:
                for other, kept in members.items():
                    archive.writestr(other, changed if other == name else kept)
            yield


def test_a_checkpoint_altered_under_a_right_archive_is_what_it_was_or_gives_way_to_the_one_before(tmp_path):
    for generation in (5, 6):
        path = write_checkpoint(tmp_path, a_checkpoint(generation))
    passed_over = 0
    with warnings.catch_warnings(record=True) as noise:
        for _ in rewritten(path, lambda data: (altered(data, position) for position in range(len(data)))):
            passed_over += loads_the_one_before(tmp_path)
    assert passed_over > 100 and noise == []


def test_a_checkpoint_with_a_monstrous_header_gives_way_to_the_one_before(tmp_path):
    for generation in (5, 6):
        path = write_checkpoint(tmp_path, a_checkpoint(generation))
    for _ in rewritten(path, lambda data: [b"\x93NUMPY\x01\x00\xff\xff" + b" " * 65535]):
        assert loads_the_one_before(tmp_path)


def test_a_checkpoint_with_a_lost_sector_gives_way_to_the_one_before(newest_file):
    data = newest_file.read_bytes()
    for start in range(0, len(data), 512):
        hole = bytes(len(data[start : start + 512]))
        newest_file.write_bytes(data[:start] + hole + data[start + 512 :])
        assert loads_the_one_before(newest_file.parent)


NEEDED = {
    ("metrics.jsonl", "lost"): "does not hold generations 0 to 1",
    ("metrics.jsonl", "emptied"): "does not hold generations 0 to 1",
    ("config.toml", "lost"): r"config\.toml could not be read",
    ("config.toml", "emptied"): "missing required field",
    ("manifest.json", "lost"): "is not a run folder",
    ("manifest.json", "emptied"): r"manifest\.json could not be read as JSON",
}
FILES = ["metrics.jsonl", "config.toml", "manifest.json", "events.jsonl", "lock"]
FILES += [f"checkpoints/gen-0000000{generation}{suffix}" for generation in (1, 2) for suffix in (".npz", ".sha256")]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("way", ["lost", "emptied"])
def test_a_run_that_lost_a_file_ends_in_the_same_bytes_or_says_why_not(path, undisturbed, name, way):
    (path / name).unlink() if way == "lost" else os.truncate(path / name, 0)
    words = NEEDED.get((name, way))
    if words is None:
        resumed(path)
        assert files(path) == undisturbed
        return
    with pytest.raises(UserError, match=words) as refused:
        resumed(path)
    assert is_sentence(refused.value)


def test_a_run_that_lost_all_its_checkpoints_starts_over(path, undisturbed):
    for checkpoint in (path / "checkpoints").iterdir():
        checkpoint.unlink()
    resumed(path)
    assert files(path) == undisturbed


def test_metrics_with_any_byte_altered_are_read_or_refused_in_one_sentence(path):
    folder, metrics = RunFolder(path), path / "metrics.jsonl"
    data = metrics.read_bytes()
    for position in range(len(data)):
        metrics.write_bytes(altered(data, position))
        try:
            records = folder.metrics()
        except UserError as error:
            assert is_sentence(error)
        else:
            assert all(isinstance(record["generation"], int) for record in records)


@pytest.mark.parametrize("name", ["metrics.jsonl", "skipped.jsonl"])
@pytest.mark.parametrize("line", ["{}", "[]", "null", '{"generation": "1"}', '{"generation": [1], "member": {}}'])
def test_records_that_are_none_are_refused_in_one_sentence(path, name, line):
    form = {"format": f"evoplastic.{name.removesuffix('.jsonl')}", "version": 1}
    record = json.loads(line)
    (path / name).write_text(json.dumps(form | record if isinstance(record, dict) else record) + "\n")
    with pytest.raises(UserError, match=name) as refused:
        resumed(path)
    assert is_sentence(refused.value)


@pytest.mark.parametrize("name", ["metrics.jsonl", "skipped.jsonl", "config.toml", "manifest.json"])
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence(path, name):
    (path / name).unlink(missing_ok=True)
    (path / name).mkdir()  # what nobody can read, root neither
    with pytest.raises(UserError) as refused:
        resumed(path)
    assert is_sentence(refused.value)


@pytest.mark.parametrize("value", [None, 3, "text", [1], {}])
@in_a_hurry()
def test_a_manifest_with_any_value_altered_is_read_or_refused_in_one_sentence(path, value):
    run, whole = load_run(path), json.loads((path / "manifest.json").read_bytes())
    for key in whole:
        (path / "manifest.json").write_text(json.dumps({**whole, key: value}))
        try:
            note_resume(run, [], resume_differences(run))
        except UserError as error:
            assert is_sentence(error)


# ---- killed


QUICK = ["validation.every=0", "strategy.population=2"]
CHANGES = {"os.mkdir", "os.rename", "os.remove", "open"}


def die_before(step, folder):
    """Kill this process just before the `step`-th change that it makes to the files in `folder`.

    Syncing is no change: what a killed process has written is there.
    """
    steps = itertools.count()

    def watch(event, arguments):
        if event not in CHANGES or not str(arguments[0]).startswith(str(folder)):
            return
        if event == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        if event == "os.remove" and not os.path.exists(arguments[0]):
            return
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def exit_code_of_fork(act, *arguments):
    """Call `act` in a fork of this process; return the fork's exit code, or minus the signal that it died of."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        act(*arguments)
    except BaseException:
        os._exit(1)
    os._exit(0)


def lived(runs):
    """Start a run of two generations, or carry on what there is of it; return its path."""
    found = RunFolder.find(runs / "tiny-s0")
    return go(load_run(found) if found else start_run(tiny(*QUICK, generations=2), runs)).folder.path


def ending(runs):
    """Return the bytes that the run in `runs` ends in, in words; or why it does not end."""
    try:
        return {name: data.hex() for name, data in files(lived(runs)).items()}
    except UserError as error:
        return str(error)


def live_until(step, runs):
    die_before(step, runs)
    lived(runs)


@in_a_hurry()
@mock.patch.object(os, "fsync", lambda descriptor: None)
def kill_at_every_step(place):
    """Print as JSON what every kill of a run left, and how the run ended when it was carried on."""
    whole, kills = ending(Path(place) / "whole"), []
    for step in itertools.count():
        runs = Path(place) / str(step)
        runs.mkdir()
        code = exit_code_of_fork(live_until, step, runs)
        if code != -signal.SIGKILL:
            break
        left = incomplete(runs)
        wrong_end = None if (end := ending(runs)) == whole else end
        kills.append({"left": left, "wrong_end": wrong_end, "left_at_last": incomplete(runs / "tiny-s0")})
    print(json.dumps({"code_at_last": code, "kills": kills}))


@pytest.fixture(scope="module")
def kills(tmp_path_factory):
    place = tmp_path_factory.mktemp("kills")
    told = json.loads(child(f"import test_torture; test_torture.kill_at_every_step({str(place)!r})"))
    assert told["code_at_last"] == 0
    return told["kills"]


def unfinished(kills):
    """Return what kills left, without the random parts of names."""
    return {re.sub(r"\.[0-9a-f]{8,16}\.tmp", ".tmp", wrong) for kill in kills for wrong in kill["left"]}


def test_the_kills_struck_in_the_middle_of_every_file(kills):
    names = {wrong.partition(":")[0].rpartition("/")[2] for wrong in unfinished(kills)}
    once = {f".{name}.tmp" for name in ("config.toml", "manifest.json", "metrics.jsonl")}
    twice = {f".gen-0000000{generation}{suffix}.tmp" for generation in (1, 2) for suffix in (".npz", ".sha256")}
    assert names >= once | twice


def test_a_run_killed_at_any_step_ends_in_the_same_bytes(kills):
    assert not any(kill["wrong_end"] for kill in kills)


def test_a_kill_leaves_no_file_under_its_name_that_is_not_whole(kills):
    alone = {f"tiny-s0/checkpoints/gen-0000000{generation}.sha256" for generation in (1, 2)}
    assert {wrong.partition(":")[0] for wrong in unfinished(kills) if ".tmp" not in wrong} == alone


def test_a_run_carried_on_after_a_kill_holds_nothing_of_the_killed_writer(kills):
    assert not any(kill["left_at_last"] for kill in kills)


# ---- a full disk


def mount(folder, **limits):
    """Give `folder` a file system of its own with these limits, or change those that it has."""
    options = ",".join(f"{name}={value}" for name, value in limits.items())
    again = "remount," if os.path.ismount(folder) else ""
    subprocess.run(["mount", "-t", "tmpfs", "-o", again + options, "none", folder], check=True)


def make_room(disk):
    mount(disk, size="4m", nr_inodes=1000)


def leave(disk, kind, room):
    """Leave room for so many pages, or for so many files, on the disk."""
    used = os.statvfs(disk)
    if kind == "pages":
        mount(disk, size=(used.f_blocks - used.f_bfree) * used.f_frsize + room * PAGE)
    else:
        mount(disk, nr_inodes=used.f_files - used.f_ffree + room)


def command(*words):
    """Run the command line in this process; return its exit code, its stderr, and each UserError on the way there."""
    told, words = [], ["evoplastic", *map(str, words)]
    silent, err = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with mock.patch.object(sys, "argv", words), silent, err as stderr, pytest.raises(SystemExit) as ended:
        cli.main()
    error = ended.value
    while error := error.__context__:
        told += [str(error)] if isinstance(error, UserError) else []
    return {"code": ended.value.code or 0, "err": stderr.getvalue(), "told": told}


def evolved_on_a_small_disk(disk, kind, room):
    """Evolve, or carry on what is there, with so much room, then with enough; return what was seen."""
    runs = disk / "runs"
    quick = [word for setting in QUICK for word in ("--set", setting)]
    words = [*RUN, *quick, "--generations", "2", "--resume-if-exists", "--runs-dir", runs]
    leave(disk, kind, room)
    seen = command(*words)
    seen |= {"left": [str(path.relative_to(disk)) for path in runs.rglob("*")], "incomplete": incomplete(disk)}
    make_room(disk)
    return {**seen, "end": ending(runs)}


def evolved_on_disks_of_every_size(disk):
    """Return what was seen on disks of every size that is too small for a run without its pictures."""
    half = go(start_run(tiny(*QUICK, generations=2), disk / "half"), **stop_after(1)).folder.path
    disks = []
    with mock.patch.object(figures, "run_figures", lambda *_: []):
        for kind, start in (("pages", None), ("files", None), ("pages", half)):
            for room in range(100):
                if start:
                    shutil.copytree(start, disk / "runs" / start.name)
                disks.append(evolved_on_a_small_disk(disk, kind, room))
                shutil.rmtree(disk / "runs")
                if disks[-1]["code"] == 0:
                    break
    return [seen for seen in disks if seen["code"]]


def evaluated_on_a_small_disk(disk):
    """Return what was seen of a finished run with room for half of its pictures."""
    leave(disk, "pages", 60)
    seen = command("resume", lived(disk / "evaluated"))
    seen |= {
        "pictures": os.listdir(disk / "evaluated" / "tiny-s0" / "analysis"),
        "incomplete": incomplete(disk / "evaluated"),
    }
    make_room(disk)
    return seen


def recorded_on_a_small_disk(disk):
    """Return how many records a disk with little room took, and how many are there after one more with enough."""
    folder = start_run(tiny(), disk / "recorded").folder
    record = {"generation": 0, "note": "x" * 700}
    leave(disk, "pages", 2)
    taken = 0
    with contextlib.suppress(UserError):
        while True:
            folder.append_metrics(record)
            taken += 1
    left = incomplete(folder.path)
    make_room(disk)
    folder.append_metrics(record)
    return {"taken": taken, "incomplete": left, "at_last": len(folder.metrics())}


@in_a_hurry()
def fill_the_disk(place):
    """Print as JSON what is seen on small disks mounted at `place`."""
    disk = Path(place)
    make_room(disk)
    (disk / "other.toml").write_text("disk = 'never empty'")
    seen = {"whole": ending(disk / "whole")}
    seen["evolved"] = evolved_on_disks_of_every_size(disk)
    seen["evaluated"] = evaluated_on_a_small_disk(disk)
    seen["recorded"] = recorded_on_a_small_disk(disk)
    print(json.dumps(seen))


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What `fill_the_disk` prints, in a process that may mount."""
    disk = tmp_path_factory.mktemp("disk")
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    attempt = [*alone, "mount", "-t", "tmpfs", "none", disk]
    allowed = shutil.which("unshare") and subprocess.run(attempt, capture_output=True, text=True)
    if not allowed or allowed.returncode:
        pytest.skip(f"no small disk can be mounted here: {allowed.stderr if allowed else 'there is no unshare'}")
    done = subprocess.run(
        [*alone, sys.executable, "-c", f"import test_torture; test_torture.fill_the_disk({str(disk)!r})"],
        cwd=Path(__file__).parent,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tells_of_a_full_disk(said):
    *before, sentence = said["err"].splitlines()
    told = "could not be written: the disk is full" in sentence and sentence.startswith("evoplastic: ")
    return said["code"] == 2 and told and not any("Traceback" in line for line in before)


def test_a_full_disk_is_met_at_every_file_of_a_run(seen):
    told = [sentence.partition(" could not be written")[0] for said in seen["evolved"] for sentence in said["told"]]
    names = {re.sub(r"^\.[0-9a-f]{16}\.tmp", "the folder", path.rpartition("/")[2]) for path in told}
    records = {"config.toml", "manifest.json", "lock", "metrics.jsonl", "events.jsonl", "gen-00000002.json"}
    assert names == {"runs", "the folder", *records, *(f"gen-0000000{generation}.sha256" for generation in (0, 1, 2))}


def test_a_full_disk_is_told_in_one_sentence(seen):
    assert all(map(tells_of_a_full_disk, seen["evolved"]))


def test_a_full_disk_leaves_only_whole_files(seen):
    assert not any(said["incomplete"] for said in seen["evolved"])


def test_a_disk_too_full_for_a_run_folder_is_left_with_nothing(seen):
    unmade = [said["left"] for said in seen["evolved"] if "runs/tiny-s0" not in said["left"]]
    assert len(unmade) >= 7 and not any(unmade)


def test_a_run_ends_in_the_same_bytes_once_there_is_room(seen):
    assert all(said["end"] == seen["whole"] for said in seen["evolved"])


def test_a_disk_too_full_for_all_pictures_holds_none_of_them(seen):
    said = seen["evaluated"]
    assert tells_of_a_full_disk(said) and "/analysis/" in said["err"]
    assert said["pictures"] == said["incomplete"] == []


def test_a_record_that_does_not_fit_on_the_disk_is_not_begun(seen):
    recorded = seen["recorded"]
    assert recorded["taken"] > 5 and recorded["incomplete"] == []
    assert recorded["at_last"] == recorded["taken"] + 1


# ---- planted pickles


@pytest.fixture
def trap(tmp_path):
    """A trap that is checked to work, and never to have sprung in the test."""
    marker = tmp_path / "sprung"
    with armed(marker):
        yield Trap(marker)


def raw(path, trap):
    path.write_bytes(pickle.dumps(trap))


def object_array(path, trap):
    np.savez(path, center=np.array([trap], dtype=object), meta=np.array([trap], dtype=object))


def pickle_as_a_member(path, trap):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("center.npy", pickle.dumps(trap))
        archive.writestr("meta.npy", pickle.dumps(trap, protocol=0))


def pickle_as_meta(path, trap):
    """A checkpoint that is right but for its meta."""
    arrays = {**read_checkpoint(path).arrays, "meta": np.frombuffer(pickle.dumps(trap, protocol=0), np.uint8)}
    path.write_bytes(npz_bytes(arrays))
    path.with_suffix(".sha256").write_bytes(checkpoints._checksum_line(arrays))


@pytest.mark.parametrize("plant", [raw, object_array, pickle_as_a_member, pickle_as_meta])
def test_a_checkpoint_with_a_pickle_gives_way_to_the_one_before(path, trap, undisturbed, plant):
    plant(path / "checkpoints" / "gen-00000002.npz", trap)
    (warning,) = resumed(path)
    assert "gen-00000002.npz is damaged" in warning and is_sentence(warning)
    assert files(path) == undisturbed


READ = {
    "config.toml": r"config\.toml could not be read",
    "manifest.json": r"manifest\.json could not be read as JSON",
    "metrics.jsonl": r"line 1 of .*metrics\.jsonl is damaged",
    "skipped.jsonl": r"line 1 of .*skipped\.jsonl is damaged",
    "evaluation/gen-00000002.json": r"gen-00000002\.json could not be read as JSON",
}


@pytest.mark.parametrize("name", READ)
def test_a_pickle_in_the_place_of_a_file_of_the_run_is_refused_in_one_sentence(path, trap, name):
    (path / name).write_bytes(pickle.dumps(trap, protocol=0))  # the one that is text, so that decoding is no guard
    with pytest.raises(UserError, match=READ[name]) as refused:
        resumed(path)
    assert is_sentence(refused.value)


UNREAD = [
    "events.jsonl",
    "lock",
    "checkpoints/gen-00000002.pkl",
    "checkpoints/state.npy",
    "analysis/x.pkl",
    "groups.npy",
]


@pytest.mark.parametrize("name", UNREAD)
def test_a_pickle_beside_the_files_that_a_run_reads_changes_nothing(path, trap, undisturbed, name):
    raw(path / name, trap)
    assert resumed(path) == ()
    assert files(path) == undisturbed


def test_a_pickle_as_run_file_is_refused_in_one_sentence(tmp_path, trap):
    planted = tmp_path / "run.toml"
    planted.write_bytes(pickle.dumps(trap, protocol=0))
    with pytest.raises(UserError, match=r"run\.toml cannot be read") as refused:
        read_config(str(planted))
    assert is_sentence(refused.value)


def test_a_pickle_as_group_file_is_refused_in_one_sentence(tmp_path, trap):
    (tmp_path / "group.json").write_bytes(pickle.dumps(trap, protocol=0))
    with pytest.raises(UserError, match=r"group\.json could not be read as JSON") as refused:
        find_group(tmp_path)
    assert is_sentence(refused.value)


def test_a_pickle_as_task_spec_is_refused_in_one_sentence(tmp_path, trap):
    planted = tmp_path / "battery.json"
    planted.write_bytes(pickle.dumps(trap, protocol=0))
    with pytest.raises(UserError, match=r"battery\.json cannot be read") as refused:
        tiny(f"problem.task.battery.name='{planted}'")
    assert is_sentence(refused.value)


# ---- two writers


LONG = "strategy.population=2000"


@pytest.fixture
def holder(process, tmp_path):
    """A process in the middle of a long generation of `tiny-s0`: the one before it is recorded and saved."""
    evolving = process(*RUN, "--set", LONG, "--generations", 100_000, "--runs-dir", tmp_path)
    events = tmp_path / "tiny-s0" / "events.jsonl"
    evolving.wait_for(
        lambda: events.exists() and events.read_text().endswith("\n") and _last_event(events) == "checkpoint"
    )
    return evolving


def _last_event(events):
    return json.loads(events.read_text().splitlines()[-1])["kind"]


def test_a_second_process_is_refused_while_the_first_lives_be_it_stopped(holder, process, tmp_path):
    holder.signal(signal.SIGSTOP)
    before = snapshot(tmp_path)
    said = process("resume", tmp_path / "tiny-s0").end()
    assert said.code == 2 and is_sentence(said.err) and "--break-lock" in said.err
    assert f"in use by process {holder._popen.pid} on " in said.err
    assert snapshot(tmp_path) == before


def test_a_process_robbed_of_its_run_stops_in_one_sentence_and_writes_nothing(holder, process, tmp_path):
    holder.signal(signal.SIGSTOP)
    path = tmp_path / "tiny-s0"
    total = load_run(path).state.generation + 1
    assert process("resume", path, "--generations", total, "--break-lock").end().code == 0
    after = snapshot(path)
    holder.signal(signal.SIGCONT)
    said = holder.end()
    assert said.code == 2 and "taken over" in said.err.splitlines()[-1] and "Traceback" not in said.err
    assert snapshot(path) == after
    assert files(path) == files(go(start_run(tiny(LONG, generations=total), tmp_path / "whole")).folder.path)


ROBBED = """
import sys, time
from pathlib import Path
from evoplastic.errors import UserError
from evoplastic.lock import RunLock
folder = Path(sys.argv[1])
with RunLock(folder) as lock:
    print("held", flush=True)
    try:
        while True:
            lock.check()
            time.sleep(0.001)
    except UserError:
        time.sleep(0.05)
        (folder / "last").touch()
"""


@pytest.fixture
def light_holder(tmp_path):
    """A process that holds the lock of `tmp_path` until it is robbed, and then has a last thing to write."""
    with subprocess.Popen([sys.executable, "-c", ROBBED, tmp_path], stdout=subprocess.PIPE, env=ENVIRONMENT) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield holder
        holder.kill()


@pytest.mark.usefixtures("light_holder")
def test_a_robber_waits_for_the_write_that_the_robbed_process_has_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_LAST_WRITE_SECONDS", 20.0)  # a busy machine must not look like a process that hangs
    with RunLock(tmp_path, break_lock=True):
        assert (tmp_path / "last").exists()


def test_a_robber_does_not_wait_for_a_process_that_hangs(light_holder, tmp_path):
    light_holder.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    with RunLock(tmp_path, break_lock=True) as taken:
        assert time.monotonic() - began < 5
        taken.check()


def test_a_record_that_a_robbed_process_wrote_once_more_is_kept_once(path, undisturbed):
    metrics = path / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes() + metrics.read_bytes().splitlines(keepends=True)[-1])
    resumed(path)
    assert files(path) == undisturbed


def test_a_process_that_only_looks_whether_a_run_is_taken_keeps_nobody_from_it(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_LOOK_SECONDS", 20.0)
    with (tmp_path / "lock").open("w") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        threading.Timer(0.03, fcntl.flock, [looked_at, fcntl.LOCK_UN]).start()
        with RunLock(tmp_path) as taken:
            taken.check()


# ---- at length


def rob(path):
    """Take the run at `path` from whoever has it, and evolve it until robbed."""
    with contextlib.suppress(UserError):
        folder = RunFolder(path)
        with folder.lock(break_lock=True):
            run = load_run(folder)
            carry_on(run, Threads(run.search.problem, 1), StopRequest())


def rob_again_and_again(place):
    """Let processes take a run from each other, kill the last, and print as JSON how they and the run ended."""
    path = go(start_run(tiny(generations=100_000), Path(place) / "robbed"), **stop_after(1)).folder.path
    moments, robbers = random.Random(os.environ.get("SOAK_SEED", "1")), []
    for _ in range(300):
        robbers.append(os.fork())
        if not robbers[-1]:
            rob(path)
            os._exit(0)
        time.sleep(moments.uniform(0.02, 0.15))
    os.kill(robbers.pop(), signal.SIGKILL)
    codes = [os.waitstatus_to_exitcode(os.waitpid(robber, 0)[1]) for robber in robbers]
    total = load_run(path).state.generation + 1
    go(load_run(path, generations=total))
    whole = go(start_run(tiny(generations=total), Path(place) / "whole")).folder.path
    names = ("metrics.jsonl", f"gen-{total:08d}.npz")
    print(json.dumps({"codes": codes, "same": [files(path)[name] == files(whole)[name] for name in names]}))


@pytest.mark.soak
def test_a_run_that_processes_take_from_each_other_ends_in_the_same_bytes(tmp_path):
    told = json.loads(child(f"import test_torture; test_torture.rob_again_and_again({str(tmp_path)!r})"))
    assert told == {"codes": [0] * 299, "same": [True, True]}


@in_a_hurry()
@mock.patch.object(os, "fsync", lambda descriptor: None)
def kill_twice(place):
    """Print as JSON what was wrong at the end of runs killed at any step, and again at any step when carried on."""
    whole, wrong = ending(Path(place) / "whole"), []
    for first in itertools.count():
        once = Path(place) / str(first)
        once.mkdir()
        if exit_code_of_fork(live_until, first, once) == 0:
            break
        for second in itertools.count():
            twice = shutil.copytree(once, Path(place) / f"{first}-{second}")
            code = exit_code_of_fork(live_until, second, twice)
            if ending(twice) != whole or incomplete(twice / "tiny-s0"):
                wrong.append([first, second, code, incomplete(twice)])
            shutil.rmtree(twice)
            if code != -signal.SIGKILL:
                break
    print(json.dumps({"kills": first, "wrong": wrong}))


@pytest.mark.soak
def test_a_run_killed_twice_ends_in_the_same_bytes(tmp_path):
    told = json.loads(child(f"import test_torture; test_torture.kill_twice({str(tmp_path)!r})"))
    assert told["kills"] > 20 and told["wrong"] == []
