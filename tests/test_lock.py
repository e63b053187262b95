"""One writer at a time: who has the lock keeps it until it lets go, dies, or is robbed by name."""

import errno
import fcntl
import json
import os
import subprocess
import sys

import pytest

from evoplastic.errors import UserError
from evoplastic.lock import RunLock

HOLD = """
import os, signal, sys
from pathlib import Path
from evoplastic.lock import RunLock
with RunLock(Path(sys.argv[1])):
    {then}
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder, then="pass"):
    """Start a process that takes the lock of `folder` and keeps it until it is killed or its stdin is closed."""
    program = [sys.executable, "-c", HOLD.format(then=then), str(folder)]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def other_process(tmp_path):
    process = hold(tmp_path)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def no_flock(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)


def words(folder):
    return json.loads((folder / "lock").read_text())


def test_the_lock_says_who_holds_it(tmp_path):
    with RunLock(tmp_path):
        assert words(tmp_path).keys() == {"format", "version", "host", "pid", "start", "nonce"}
        assert words(tmp_path)["pid"] == os.getpid()


def test_a_lock_held_by_another_process_is_refused_naming_it(tmp_path, other_process):
    with pytest.raises(UserError, match=rf"process {other_process.pid} on .* --break-lock"), RunLock(tmp_path):
        pass


def test_a_lock_is_refused_to_a_second_holder_in_one_process(tmp_path):
    with RunLock(tmp_path), pytest.raises(UserError, match="in use"), RunLock(tmp_path):
        pass


def test_a_refused_lock_leaves_the_holder_undisturbed(tmp_path):
    with RunLock(tmp_path) as lock:
        with pytest.raises(UserError), RunLock(tmp_path):
            pass
        lock.check()


def test_a_lock_let_go_can_be_taken_again(tmp_path):
    for _ in range(2):
        with RunLock(tmp_path) as lock:
            lock.check()
    assert (tmp_path / "lock").read_bytes() == b""


def test_the_lock_of_a_killed_process_is_free(tmp_path, other_process):
    other_process.kill()
    other_process.wait()
    with RunLock(tmp_path) as lock:
        lock.check()


def test_breaking_the_lock_stops_the_one_who_held_it(tmp_path):
    with RunLock(tmp_path) as robbed, RunLock(tmp_path, break_lock=True) as robber:
        robber.check()
        with pytest.raises(UserError, match="taken over by process"):
            robbed.check()


def test_letting_go_of_a_broken_lock_leaves_the_new_holder_its_own(tmp_path):
    robbed = RunLock(tmp_path)
    robbed.__enter__()
    with RunLock(tmp_path, break_lock=True) as robber:
        robbed.__exit__(None, None, None)
        robber.check()
        with pytest.raises(UserError, match="in use"), RunLock(tmp_path):
            pass


def test_a_child_that_outlives_a_killed_holder_does_not_keep_the_lock(tmp_path):
    holder = hold(tmp_path, then="os.fork() and signal.pause()")
    holder.kill()
    holder.wait()
    with RunLock(tmp_path) as lock:
        lock.check()
    holder.communicate()


@pytest.mark.usefixtures("no_flock")
class TestWithoutFlock:
    def test_the_words_alone_are_the_lock(self, tmp_path):
        with RunLock(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()} on"), RunLock(tmp_path):
            pass

    def test_a_lock_let_go_can_be_taken_again(self, tmp_path):
        for _ in range(2):
            with RunLock(tmp_path) as lock:
                lock.check()

    def test_a_changed_nonce_stops_the_process(self, tmp_path):
        with RunLock(tmp_path) as lock:
            (tmp_path / "lock").write_text(json.dumps({**words(tmp_path), "host": "elsewhere", "nonce": "other"}))
            with pytest.raises(UserError, match="on elsewhere"):
                lock.check()

    def test_the_lock_of_a_crash_is_taken_over_explicitly(self, tmp_path):
        (tmp_path / "lock").write_text('{"host": "gone", "nonce": "old", "pid": 1}')
        with pytest.raises(UserError, match="process 1 on gone"), RunLock(tmp_path):
            pass
        with RunLock(tmp_path, break_lock=True) as lock:
            lock.check()


def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="could not be written"), RunLock(tmp_path / "file"):
        pass


def test_a_full_disk_leaves_the_lock_free(tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", full_disk)
        with pytest.raises(UserError, match="the disk is full"), RunLock(tmp_path):
            pass
    with RunLock(tmp_path) as lock:
        lock.check()
