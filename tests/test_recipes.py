"""The recipes for clusters, run as far as one machine can: in namespaces of their own, with Slurm's commands played.

`ray stop` ends every Ray of a machine, so each recipe gets process numbers and a /tmp/ray of its own.
"""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from ray_cluster import wait_until
from test_evolution import TINY, tiny
from test_launch import files, go

from evoplastic.launch import load_run, start_run

pytestmark = [pytest.mark.ray, pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")]

RECIPES = ROOT / "recipes"
SETTINGS = [f"--set={setting}" for setting in TINY]
APART = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
PLAYED = {
    "srun": 'while [[ $1 == --* ]]; do echo "$1" >> "$PLAYED"; shift; done; exec "$@"',
    "scontrol": 'if [ "$1" = show ]; then echo 127.0.0.1; else echo "$@" >> "$PLAYED"; fi',
    "evoplastic": f'exec "{sys.executable}" -m evoplastic "$@"',
    "python": f'exec "{sys.executable}" "$@"',
}


def can_be_apart():
    return subprocess.run([*APART, "true"], capture_output=True).returncode == 0


apart = pytest.mark.skipif(not can_be_apart(), reason="this system makes no namespaces for its users")


@pytest.fixture
def environment(tmp_path):
    """What a batch queue tells a job on one node with 2 CPUs, and commands played by scripts."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for name, script in PLAYED.items():
        (bin_ / name).write_text(f"#!/bin/bash\n{script}\n")
        (bin_ / name).chmod(stat.S_IRWXU)
    Path("/tmp/ray").mkdir(exist_ok=True)
    told = {
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": "node1",
        "SLURM_NNODES": "1",
        "SLURM_CPUS_PER_TASK": "2",
        "PLAYED": str(tmp_path / "played"),
        "PATH": os.pathsep.join([str(bin_), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
    }
    return {**{name: value for name, value in os.environ.items() if not name.startswith("RAY_")}, **told}


def start(environment, folder, script):
    """Start a shell script in namespaces of its own, away from the checkout."""
    words = [*APART, "bash", "-c", f"mount -t tmpfs tmpfs /tmp/ray\n{script}"]
    return subprocess.Popen(
        words, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def generations(path):
    metrics = path / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


@apart
def test_the_slurm_job_is_told_in_time_saves_and_is_queued_again(environment, tmp_path):
    run = tmp_path / "runs" / "tiny-s0"
    words = f"quickstart {' '.join(map(repr, SETTINGS))} --generations 1000000 --runs-dir {tmp_path}/runs"
    job = start(
        environment,
        tmp_path,
        f"bash {RECIPES}/slurm.sh {words} & trap 'kill -USR1 $!' USR2; echo $$ > shell; wait $!; wait $!; exit $?",
    )
    wait_until(lambda: generations(run) >= 3 or job.poll() is not None, seconds=120)
    shell = shell_of(job.pid)
    os.kill(shell, signal.SIGUSR2)
    said, _ = job.communicate(timeout=120)
    assert job.returncode == 130, said
    assert "finishing this generation" in said and "Traceback" not in said
    played = (tmp_path / "played").read_text().splitlines()
    assert played[-1] == f"requeue {environment['SLURM_JOB_ID']}" and "--cpus-per-task=2" in played
    stopped = load_run(run)
    assert stopped.state.generation == generations(run) >= 3
    undisturbed = go(start_run(tiny(generations=stopped.state.generation), tmp_path / "undisturbed"))
    ours, theirs = files(run), files(undisturbed.folder.path)
    assert {name: ours[name] for name in ours if name != "config.toml"}.items() <= theirs.items()


def shell_of(unshare):
    """Return the number, seen from outside, of the shell that a namespace began with."""
    children = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()
    return int(children[0])


@apart
def test_a_cluster_started_by_hand_evolves_from_another_folder(environment, tmp_path):
    port = 21000 + os.getpid() % 10000
    words = f"quickstart {' '.join(map(repr, SETTINGS))} --generations 3 --runs-dir runs"
    job = start(
        environment,
        tmp_path,
        f"set -e; recipe={RECIPES}/ray-cluster.sh; bash $recipe head --num-cpus=1 --port={port}\n"
        f"bash $recipe worker 127.0.0.1:{port} --num-cpus=1\n"
        f"bash $recipe run 127.0.0.1:{port} {words}\nray stop --force",
    )
    said, _ = job.communicate(timeout=200)
    assert job.returncode == 0, said
    events = [json.loads(line) for line in (tmp_path / "runs" / "tiny-s0" / "events.jsonl").read_text().splitlines()]
    assert sum(len(event.get("nodes", [])) for event in events) == 2
    undisturbed = go(start_run(tiny(generations=3), tmp_path / "undisturbed"))
    assert files(tmp_path / "runs" / "tiny-s0") == files(undisturbed.folder.path)


@apart
@pytest.mark.cluster
def test_a_job_submitted_from_another_folder_evolves_and_submitted_again_goes_on(environment, tmp_path):
    port, dashboard = 21000 + os.getpid() % 10000, 31000 + os.getpid() % 10000
    (tmp_path / "mine.toml").write_text('extends = "quickstart"\nname = "tiny"\n')
    words = f"{tmp_path}/runs mine.toml {' '.join(map(repr, SETTINGS))}"
    job = start(
        environment,
        tmp_path,
        f"set -e; ray start --head --num-cpus=2 --port={port} --dashboard-port={dashboard}\n"
        f"export RAY_API_SERVER_ADDRESS=http://127.0.0.1:{dashboard}\n"
        f"unset PYTHONPATH; cp -r {ROOT}/evoplastic {ROOT}/task_specs .\n"
        f"bash {RECIPES}/ray-job.sh {words} --generations 2; bash {RECIPES}/ray-job.sh {words} --generations 3\n"
        "ray stop --force",
    )
    said, _ = job.communicate(timeout=300)
    assert job.returncode == 0, said
    undisturbed = go(start_run(tiny(generations=3), tmp_path / "undisturbed"))
    ours, theirs = files(tmp_path / "runs" / "tiny-s0"), files(undisturbed.folder.path)
    assert {name: ours[name] for name in ours if name != "config.toml"}.items() <= theirs.items()


def test_submitting_a_job_without_the_dashboard_part_of_ray_says_what_is_missing(environment, tmp_path):
    bare = tmp_path / "bin" / "python"
    bare.write_text("#!/bin/bash\nexit 1\n")
    done = subprocess.run(
        ["bash", RECIPES / "ray-job.sh", "runs", "quickstart"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2 and "pip install 'evoplastic[cluster]'" in done.stderr


def test_a_cell_of_a_sweep_is_an_array_job(environment, tmp_path):
    job = subprocess.run(
        ["bash", RECIPES / "slurm-array.sh", "quickstart", "--seeds", "5:6", "--name", "group", "--generations", "2"]
        + [*SETTINGS, "--runs-dir", "runs"],
        env={**environment, "SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_JOB_ID": "70"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert job.returncode == 0, job.stdout + job.stderr
    assert load_run(tmp_path / "runs" / "group" / "s6").finished
    assert not (tmp_path / "runs" / "group" / "s5").exists()


def test_an_array_job_that_is_told_saves_and_is_queued_again_alone(environment, tmp_path):
    run = tmp_path / "runs" / "group" / "s5"
    words = ["quickstart", "--seeds", "5:6", "--name", "group", "--generations", "1000000", *SETTINGS]
    job = subprocess.Popen(
        ["bash", RECIPES / "slurm-array.sh", *words, "--runs-dir", "runs"],
        env={**environment, "SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_JOB_ID": "70"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(lambda: generations(run) >= 3 or job.poll() is not None)
    job.send_signal(signal.SIGUSR1)
    said, _ = job.communicate(timeout=60)
    assert job.returncode == 130, said
    assert (tmp_path / "played").read_text() == "requeue 70_0\n"
    assert load_run(run).state.generation == generations(run)


@apart
def test_a_slurm_job_whose_ray_does_not_come_up_fails(environment, tmp_path):
    (tmp_path / "bin" / "ray").write_text("#!/bin/bash\nexit 0\n")
    (tmp_path / "bin" / "ray").chmod(stat.S_IRWXU)
    job = start(environment, tmp_path, f"bash {RECIPES}/slurm.sh quickstart --runs-dir runs")
    said, _ = job.communicate(timeout=60)
    assert job.returncode == 1, said
    assert not (tmp_path / "runs").exists()
