"""Faults at length: what `make soak` runs and `make test` leaves out."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray_cluster
from conftest import PACKAGE

from evoplastic.launch import load_run

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


def resident_mb(pid):
    """Return the memory of a process that is its own, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def generations_of(folder):
    metrics = folder / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def test_workers_and_drivers_killed_twenty_times_in_200_generations_change_no_bit(tmp_path, monkeypatch):
    changes = ("strategy.population=128", "validation.every=20", "problem.network.units=15", "evaluation.lives=1")
    settings = [f"--set={setting}" for setting in changes]
    start = command("run", "icml2023-small", *settings, "--generations", "200", "--runs-dir", str(tmp_path))
    subprocess.run([*start, "--name", "whole"], check=True, capture_output=True)
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE.parent))
    cluster = ray_cluster.start_cluster(3)
    moments = random.Random(os.environ.get("SOAK_SEED", "1"))
    killing = [*start, "--name", "killed", "--resume-if-exists", "--backend", "ray", "--address", cluster.address]
    folder, kills = tmp_path / "killed", 0
    try:
        while kills < 20:
            driver = subprocess.Popen(killing, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            reached = generations_of(folder)
            ray_cluster.wait_until(lambda reached=reached: generations_of(folder) > reached + 1)  # it is at work
            for _ in range(moments.randint(2, 6)):  # workers, then the driver
                time.sleep(moments.uniform(0.5, 2.0))
                kills += ray_cluster.kill_one(moments.sample(alive := ray_cluster.workers(), len(alive)))
            assert driver.poll() is None, "the run ended before it was killed often enough"
            driver.kill()
            driver.wait()
            kills += 1
        subprocess.run(killing, check=True, capture_output=True)
    finally:
        cluster.shutdown()
    assert newest(folder) == newest(tmp_path / "whole")
    assert (folder / "metrics.jsonl").read_bytes().count(b"\n") == 200
    lost = sum(json.loads(line).get("restarts", 0) for line in (folder / "events.jsonl").read_text().splitlines())
    assert lost >= 5 and len(load_run(folder).folder.manifest["lineage"]) >= 3, "workers and drivers died at work"


def test_the_memory_of_a_driver_stays_flat(tmp_path):
    """Ten thousand evaluations: what a generation ships must not stay."""
    start = command("run", "quickstart", *TINY, "--generations", "4000", "--runs-dir", str(tmp_path), "--name", "flat")
    driver = subprocess.Popen([*start, "--backend", "ray", "--workers", "2"], stdout=subprocess.DEVNULL)
    metrics, memory = tmp_path / "flat" / "metrics.jsonl", []
    while driver.poll() is None:
        done = metrics.read_bytes().count(b"\n") if metrics.exists() else 0
        if done >= 500 * (1 + len(memory)) and done < 4000:
            memory.append(resident_mb(driver.pid))
        time.sleep(0.1)
    assert driver.returncode == 0 and len(memory) >= 5
    assert max(memory[1:]) - min(memory[1:]) < 8.0, memory


def test_a_killed_driver_leaves_not_even_ray_s_agents(tmp_path):
    words = ["--generations", "1000000", "--runs-dir", str(tmp_path), "--name", "dead", "--backend", "ray"]
    driver = subprocess.Popen(command("run", "quickstart", *TINY, *words, "--workers", "2"), stdout=subprocess.DEVNULL)
    ray_cluster.wait_until((tmp_path / "dead" / "metrics.jsonl").exists)
    below = ray_cluster.descendants(driver.pid)
    driver.kill()
    driver.wait()
    ray_cluster.wait_until(lambda: not below.keys() & ray_cluster.processes().keys(), seconds=180)
