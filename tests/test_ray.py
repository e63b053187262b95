"""Lives on a Ray cluster: the same bits whoever dies, and one sentence where it cannot go on."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import ray
import ray_cluster
from conftest import PACKAGE, child
from ray_cluster import descendants, kill_one, node, start_cluster, wait_until, workers
from test_evaluators import (  # the contract of evaluators, with this file's `make`
    CANDIDATES,
    Sums,
    expected,
    jobs,
    test_a_course_has_a_row_of_trials_per_job,
    test_an_error_in_a_life_is_raised_and_the_evaluator_lives_on,
    test_an_evaluator_can_be_used_again,
    test_rows_keep_their_place_when_early_jobs_end_late,
)
from test_evolution import TINY, tiny
from test_launch import files, go, stop_after
from test_mixture import BOOLEAN, META, mixture

from evoplastic.analysis.record import RecordRequest, record
from evoplastic.config import parse_config
from evoplastic.errors import UserError
from evoplastic.evaluators import EVALUATORS
from evoplastic.evaluators.contract import Abandoned, Job, Placement, Poisoned
from evoplastic.evaluators.ray_crew import on_node
from evoplastic.evaluators.ray_worker import Worker
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Search
from evoplastic.launch import load_run, start_run
from evoplastic.random import Purpose
from evoplastic.strategies.contract import Fixed

pytestmark = [pytest.mark.ray, pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")]

__all__ = [
    "test_a_course_has_a_row_of_trials_per_job",
    "test_an_error_in_a_life_is_raised_and_the_evaluator_lives_on",
    "test_an_evaluator_can_be_used_again",
    "test_rows_keep_their_place_when_early_jobs_end_late",
]

GENERATIONS = 12
LONGER = ["problem.task.trials=400", "problem.network.units=20", "strategy.population=16"]  # a tenth of a second each


def config(**changes):
    return tiny(*LONGER, generations=GENERATIONS, **changes)


@pytest.fixture(scope="module")
def cluster():
    """The one cluster of these tests: a head with 3 CPUs."""
    paths = os.pathsep.join([str(PACKAGE.parent), os.path.dirname(__file__)])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = paths  # where workers find the problems of these tests
    started = start_cluster()
    yield started
    started.shutdown()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture
def make(cluster):
    """Return a maker of evaluators on the cluster, closed in the end."""
    made = []

    def build(problem, workers=None, abandon=lambda: False, tell=lambda sentence: None):
        placement = Placement(min(workers, 3) if workers else None, cluster.address)
        made.append(EVALUATORS["ray"](problem, placement, abandon, tell))
        return made[-1]

    yield build
    for evaluator in made:
        evaluator.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What one thread leaves that nobody disturbs."""
    return files(go(start_run(config(), tmp_path_factory.mktemp("undisturbed"))).folder.path)


@pytest.fixture
def started(tmp_path):
    return start_run(config(), tmp_path)


# ---- bit for bit


def test_two_threads_leave_the_bytes_of_one(started, undisturbed):
    go(started, evaluator=Threads(started.search.problem, 2))
    assert files(started.folder.path) == undisturbed


def test_one_worker_leaves_the_bytes_of_one_thread(started, undisturbed, make):
    go(started, evaluator=make(started.search.problem, 1))
    assert files(started.folder.path) == undisturbed


def test_three_workers_of_which_one_is_killed_in_each_generation_leave_the_same_bytes(started, undisturbed, make):
    moments, told = random.Random(7), []

    def kill_soon(record):
        threading.Timer(moments.uniform(0.0, 0.1), lambda: kill_one(moments.sample(w := workers(), len(w)))).start()

    go(started, watch=kill_soon, evaluator=make(started.search.problem, 3, tell=told.append))
    assert files(started.folder.path) == undisturbed
    assert len(told) >= 6


def test_a_mixture_of_families_leaves_the_bytes_of_one_thread(tmp_path, make):
    mixed = parse_config(mixture(BOOLEAN, META))
    alone = go(start_run(mixed, tmp_path / "alone")).folder.path
    started = start_run(mixed, tmp_path / "crew")
    go(started, evaluator=make(started.search.problem, 2))
    assert files(started.folder.path) == files(alone)


def test_nodes_that_go_and_come_in_mid_run_leave_the_same_bytes(started, undisturbed, cluster, make):
    first, _ = (cluster.add_node(**node(1)) for _ in range(2))

    evaluator = make(started.search.problem)
    center = Fixed(started.center[None])
    life = Job(0, started.search.problem.training_life(0, 0))

    def five_are_up():
        evaluator.evaluate(center, [life] * 50)
        return evaluator.report()["workers"] == 5

    wait_until(five_are_up)

    def change(record):
        if record.generation == 3:
            cluster.remove_node(first, allow_graceful=False)
        if record.generation == 6:
            cluster.add_node(**node(2))

    go(started, watch=change, evaluator=evaluator)
    for added in set(cluster.worker_nodes):
        cluster.remove_node(added)
    assert files(started.folder.path) == undisturbed
    present = [event["workers"] for event in events(started.folder.path)]
    assert present[0] == 5 and min(present[4:]) <= 4
    assert sum(event["restarts"] for event in events(started.folder.path)) >= 1


def test_a_run_taken_from_threads_to_workers_and_back_leaves_the_same_bytes(started, undisturbed, make):
    half = go(started, **stop_after(4))
    evaluator = make(half.search.problem, 2)
    more = go(load_run(half.folder.path), **stop_after(8), evaluator=evaluator)
    assert more.state.generation == 8
    assert go(load_run(half.folder.path)).finished
    assert files(started.folder.path) == undisturbed


def command(*words):
    return [sys.executable, "-m", "evoplastic", *map(str, words)]


def on_ray(tmp_path, address, *words):
    """Return the command that starts or carries on the run of `config()` as `tmp_path`/run on a cluster."""
    settings = [f"--set={setting}" for setting in (*TINY, *LONGER)]
    where = ["--runs-dir", tmp_path, "--name", "run", "--resume-if-exists", "--backend", "ray", "--address", address]
    return command("run", "quickstart", *settings, "--generations", GENERATIONS, *where, *words)


def start(words, **more):
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def wait_for_generations(path, count, driver):
    """Wait until a run has recorded so many generations, or ended."""
    metrics = path / "metrics.jsonl"
    wait_until(lambda: driver.poll() is not None or (metrics.exists() and metrics.read_bytes().count(b"\n") >= count))


def test_a_driver_killed_at_random_moments_and_started_again_leaves_the_same_bytes(tmp_path, undisturbed, cluster):
    moments = random.Random(3)
    for generations in (1, 6):
        driver = start(on_ray(tmp_path, cluster.address))
        wait_for_generations(tmp_path / "run", generations, driver)
        time.sleep(moments.uniform(0.0, 0.1))
        driver.kill()
        driver.communicate()
    done = subprocess.run(on_ray(tmp_path, cluster.address), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "run") == undisturbed


def test_a_run_whose_head_is_killed_says_so_and_goes_on_with_another_to_the_same_bytes(tmp_path, undisturbed, cluster):
    doomed = start_cluster(2)
    driver = start(on_ray(tmp_path, doomed.address))
    wait_for_generations(tmp_path / "run", 3, driver)
    doomed.head_node.kill_gcs_server(check_alive=False)  # first: without its own daemon Ray may end the driver at once
    time.sleep(2.0)
    doomed.head_node.kill_all_processes(check_alive=False, allow_graceful=False)
    said, _ = driver.communicate(timeout=200)
    assert driver.returncode == 2 and "has not answered for 20 s and is given up" in said, said
    assert "Traceback" not in said
    done = subprocess.run(on_ray(tmp_path, cluster.address), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "run") == undisturbed


def events(path):
    told = map(json.loads, (path / "events.jsonl").read_text().splitlines())
    return [event for event in told if event["kind"] == "generation"]


# ---- losses


def die_at(number):
    def work(life):
        if life.path[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return work


def test_a_member_that_kills_its_workers_is_named_and_the_evaluator_lives_on(make):
    evaluator = make(Sums(die_at(17)), 2)
    with pytest.raises(Poisoned, match="member 7 killed its worker 3 times") as poison:
        evaluator.evaluate(CANDIDATES, jobs(40))
    assert poison.value.job == jobs(40)[17]
    assert evaluator.report()["restarts"] >= 3  # more if it was met among others, or late and given to a second worker
    np.testing.assert_array_equal(evaluator.evaluate(CANDIDATES, jobs(10)), expected(10))


def test_a_worker_that_hangs_is_worked_around_and_then_given_up(make, monkeypatch):
    evaluator = make(Sums(lambda life: time.sleep(0.02)), 2)
    wait_until(lambda: evaluator.evaluate(CANDIDATES, jobs(10)).any() and evaluator.report()["workers"] == 2)
    wait_until(lambda: len(workers()) == 2)  # those of the test before have gone
    stopped = workers()[0]
    os.kill(stopped, signal.SIGSTOP)
    try:
        np.testing.assert_array_equal(evaluator.evaluate(CANDIDATES, jobs(40)), expected(40))
        assert evaluator.report()["copied_chunks"] >= 1
        monkeypatch.setattr("evoplastic.evaluators.ray.HUNG_SECONDS", 0.5)
        monkeypatch.setattr("evoplastic.evaluators.ray.HUNG", 1.0)
        evaluator.evaluate(CANDIDATES, jobs(100))
        assert evaluator.report()["timeouts"] >= 1  # more if this machine paused another as long
    finally:
        os.kill(stopped, signal.SIGCONT)


def test_abandoning_leaves_an_evaluator_that_can_be_used_again(make):
    wish = threading.Event()
    evaluator = make(Sums(lambda life: time.sleep(0.05)), 2, abandon=wish.is_set)
    evaluator.evaluate(CANDIDATES, jobs(4))
    threading.Timer(0.3, wish.set).start()
    with pytest.raises(Abandoned):
        evaluator.evaluate(CANDIDATES, jobs(1000))
    wish.clear()
    np.testing.assert_array_equal(evaluator.evaluate(CANDIDATES, jobs(7)), expected(7))


def test_a_node_that_others_keep_busy_is_left_for_one_that_is_free(make, cluster, monkeypatch):
    monkeypatch.setattr("evoplastic.evaluators.ray_crew.PATIENCE_SECONDS", 5.0)
    free = cluster.add_node(**node(1))
    try:
        evaluator = make(Sums(), 1)
        hog = on_node(cluster.head_node.node_id, Worker, num_cpus=3).remote(Sums())
        ray.get(hog.greet.remote())
        np.testing.assert_array_equal(evaluator.evaluate(CANDIDATES, jobs(10)), expected(10))
    finally:
        cluster.remove_node(free)


# ---- workers


class Signatures:
    """A problem whose score is how many signatures of the rollout kernel its process has compiled."""

    def __init__(self, problem):
        self.problem, self.layout, self.training_life = problem, problem.layout, problem.training_life

    def __reduce__(self):
        return Signatures, (self.problem,)

    def score(self, genotype, life):
        from evoplastic.rollout import live

        self.problem.score(genotype, life)
        return np.array([len(live.signatures)], float)


def test_recordings_and_lives_under_changed_settings_are_those_of_this_process(make):
    search = Search.of(config())
    genes, request = search.start().center, RecordRequest("or", lives=3, trials=2, lesion="task.periods.delay=280")
    alone = record(search, genes, request, {})
    assert record(search, genes, request, {}, make(search.problem, 2)).to_bytes() == alone.to_bytes()


def test_a_worker_compiles_one_signature(make):
    search = Search.of(tiny())
    candidates = search.strategy.ask(search.start())
    problem = Signatures(search.problem)
    (tested,) = search.problem.test_lives(Purpose.EVALUATION, (0,), 1)["or"]
    lived = [
        search.problem.training_life(0, 0),
        search.problem.training_life(2, 1),
        tested,
        tested._replace(lesion="plasticity_off"),
    ]
    counts = make(problem, 1).evaluate(candidates, [Job(member, life) for member, life in enumerate(lived)])
    np.testing.assert_array_equal(counts, 1.0)


def test_a_process_with_more_threads_than_one_is_no_worker():
    code = "from evoplastic.evaluators.ray_worker import check_one_thread; check_one_thread()"
    one = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    child(code, **one)
    with pytest.raises(AssertionError, match=r"must have one thread, got \{'numba': 2\}"):
        child(code, **one | {"NUMBA_NUM_THREADS": "2"})


def test_a_plan_is_made_from_what_is_measured_here_and_checked():
    settings = [f"--set={setting}" for setting in TINY]
    done = subprocess.run(
        command("plan", "quickstart", *settings, "--workers", 6, "--cores-per-node", 2, "--json"),
        env={**os.environ, "RAY_ADDRESS": "127.0.0.1:1"},  # where nobody is: what is measured is this machine
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert [row["workers"] for row in plan["predictions"]] == [1, 2, 4, 6] and plan["predictions"][-1]["nodes"] == 3
    assert [check["workers"] for check in plan["checks"]] == [1, 2]
    assert all(value > 0 for value in plan["costs"].values())


# ---- what cannot go on


def test_a_node_with_another_library_version_is_refused_by_name(make, cluster, tmp_path):
    (tmp_path / "numpy-9.9.9.dist-info").mkdir()
    (tmp_path / "numpy-9.9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 9.9.9\n")
    other = cluster.add_node(**node(1), env_vars={"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"})
    try:
        with pytest.raises(UserError, match=r"node \w+ of the cluster has numpy 9.9.9 instead of"):
            make(Sums(lambda life: time.sleep(0.1))).evaluate(CANDIDATES, jobs(1000))
    finally:
        cluster.remove_node(other)


def test_a_node_that_would_run_other_sources_is_refused_by_name(make, tmp_path, monkeypatch):
    copy = shutil.copytree(PACKAGE, tmp_path / "evoplastic", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "numbers.py").write_text((copy / "numbers.py").read_text() + "\n")
    monkeypatch.chdir(tmp_path)  # Ray puts the driver's folder before what is shipped
    with pytest.raises(UserError, match="source_hash"):
        make(Sums()).evaluate(CANDIDATES, jobs(10))


def test_the_package_travels_with_the_run(make, cluster, tmp_path, monkeypatch):
    broken = tmp_path / "evoplastic"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('not the one that was shipped')")
    paths = os.pathsep.join([str(tmp_path), os.path.dirname(__file__)])
    bare = cluster.add_node(**node(1), env_vars={"PYTHONPATH": paths})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # Ray puts the driver's folder first
    try:
        evaluator = make(Sums(lambda life: time.sleep(0.05)))
        wait_until(lambda: evaluator.evaluate(CANDIDATES, jobs(40)).any() and evaluator.report()["workers"] == 4)
    finally:
        cluster.remove_node(bare)


def test_a_node_that_joins_and_fails_is_left_out_and_told(make, cluster, tmp_path):
    told = []
    evaluator = make(Sums(lambda life: time.sleep(0.05)), tell=told.append)
    evaluator.evaluate(CANDIDATES, jobs(10))
    (tmp_path / "numpy-9.9.9.dist-info").mkdir()
    (tmp_path / "numpy-9.9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 9.9.9\n")
    other = cluster.add_node(**node(1), env_vars={"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}"})
    try:
        wait_until(lambda: evaluator.evaluate(CANDIDATES, jobs(40)).any() and told)
        assert "is left out: it has numpy 9.9.9 instead of" in told[0]
        assert evaluator.report()["workers"] == 3
    finally:
        cluster.remove_node(other)


def test_a_life_longer_than_a_worker_may_hang_is_waited_for(make, monkeypatch):
    monkeypatch.setattr("evoplastic.evaluators.ray.HUNG_SECONDS", 0.3)
    rows = make(Sums(lambda life: time.sleep(1.0)), 2).evaluate(CANDIDATES, jobs(5))
    np.testing.assert_array_equal(rows, expected(5))


@pytest.mark.parametrize(
    ("address", "workers", "sentence"),
    [
        ("127.0.0.1:1", "1", "no Ray cluster answers at 127.0.0.1:1"),
        ("somewhere", "1", "--address must be HOST:PORT or auto, got 'somewhere'"),
        ("ray://127.0.0.1:10001", "1", "--address must be HOST:PORT"),
        (None, "99", "the Ray cluster has 3 CPUs, --workers asks for 99"),
    ],
)
def test_a_cluster_that_will_not_do_is_told_in_one_sentence(tmp_path, cluster, address, workers, sentence):
    done = subprocess.run(
        on_ray(tmp_path, address or cluster.address, "--workers", workers), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "") and sentence in done.stderr and done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_address_without_ray_is_refused(tmp_path):
    words = command("run", "quickstart", "--address", "1.2.3.4:5", "--runs-dir", tmp_path)
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2 and "add --backend ray" in done.stderr


# ---- a Ray of its own


def alone(tmp_path):
    settings = [f"--set={setting}" for setting in (*TINY, *LONGER)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    words = command(
        "run", "quickstart", *settings, "--generations", "1000000", "--runs-dir", tmp_path, "--backend", "ray"
    )
    return start([*words, "--workers", "2"], env=environment, start_new_session=True)


def still_there(pids):
    return [pid for pid in pids if pid in ray_cluster.processes()]


@pytest.mark.parametrize(
    ("number", "sight"), [(signal.SIGINT, "gcs_server"), (signal.SIGTERM, "raylet"), (signal.SIGUSR1, "ray::")]
)
def test_a_signal_during_start_up_leaves_no_process(tmp_path, number, sight):
    driver, below = alone(tmp_path), {}

    def seen():
        below.update(descendants(driver.pid))
        return any(sight in command for command in below.values())

    wait_until(seen)
    os.killpg(driver.pid, number) if number == signal.SIGINT else driver.send_signal(number)
    said, _ = driver.communicate(timeout=200)
    assert driver.returncode == 130, said
    assert "Traceback" not in said
    wait_until(lambda: not still_there(below))


def test_a_killed_driver_leaves_no_process(tmp_path):
    driver = alone(tmp_path)
    wait_for_generations(tmp_path / "tiny-s0", 2, driver)
    # Ray's agents stay a minute longer, trying to tell the head that is gone.
    below = [pid for pid, command in descendants(driver.pid).items() if "Agent" not in command]
    assert len(below) > 4
    driver.kill()
    driver.communicate()
    wait_until(lambda: not still_there(below))
