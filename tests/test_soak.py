"""Faults at length: what `make soak` runs and `make test` leaves out."""

import os
import random
import shutil
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.soak

TINY = [
    "--set=problem.network.units=15",
    "--set=problem.task.trials=40",
    "--set=problem.scored_trials=20",
    "--set=strategy.population=8",
    "--set=checkpoints.seconds=0.0",
    "--set=validation.every=7",
    "--set=evaluation.lives=1",
]


def command(*arguments):
    return [sys.executable, "-m", "evoplastic", *arguments]


def newest(folder):
    return sorted((folder / "checkpoints").glob("*.npz"))[-1].read_bytes(), (folder / "metrics.jsonl").read_bytes()


def test_a_run_killed_at_thirty_random_moments_ends_in_the_bits_of_an_undisturbed_one(tmp_path):
    start = ["run", "quickstart", "--generations", "600", "--runs-dir", str(tmp_path), *TINY]
    subprocess.run(command(*start, "--name", "whole"), check=True, capture_output=True)
    moments = random.Random(os.environ.get("SOAK_SEED", "1"))
    arguments = [*start, "--name", "killed"]
    for _ in range(30):
        process = subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(1.0, 5.0))
        process.kill()
        process.wait()
        if list((tmp_path / "killed" / "checkpoints").glob("*.npz")):
            arguments = ["resume", str(tmp_path / "killed"), "--workers", str(moments.randint(1, 3))]
        else:
            shutil.rmtree(tmp_path / "killed", ignore_errors=True)  # killed before there was anything to carry on
    subprocess.run(command(*arguments), check=True, capture_output=True)
    assert newest(tmp_path / "killed") == newest(tmp_path / "whole")


@pytest.mark.parametrize("workers", [1, 2, 3, 8, 32])
def test_any_number_of_workers_gives_the_same_bits(tmp_path, workers):
    for name, count in (("one", 1), ("many", workers)):
        arguments = ["run", "quickstart", "--generations", "30", "--runs-dir", str(tmp_path), *TINY]
        subprocess.run(command(*arguments, "--name", name, "--workers", str(count)), check=True, capture_output=True)
    assert newest(tmp_path / "one") == newest(tmp_path / "many")
