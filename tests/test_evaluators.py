"""Evaluators: row i belongs to job i, whoever computed it and when; an error or a wish to stop ends it at once."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from evoplastic.evaluators import EVALUATORS, threads
from evoplastic.evaluators.contract import Abandoned, Job, Placement
from evoplastic.evaluators.threads import Threads, available_cores
from evoplastic.problems.contract import Life
from evoplastic.random import Purpose
from evoplastic.strategies.contract import Fixed


class Sums:
    """A problem whose score is the sum of genes and the life's number, after `work(life)`."""

    layout = SimpleNamespace(initial=lambda: np.zeros(1))

    def __init__(self, work=lambda life: None):
        self.work = work

    def training_life(self, generation, pair):
        return Life(Purpose.LIFETIME, (1_000_000,))

    def score(self, genotype, life):
        self.work(life)
        return np.array([genotype.sum(), float(life.path[0])])

    def course(self, genotype, life):
        return np.arange(3.0) * genotype.sum()


CANDIDATES = Fixed(np.arange(10.0)[:, None])


def jobs(count):
    return [Job(number % 10, Life(Purpose.LIFETIME, (number,))) for number in range(count)]


def expected(count):
    return np.array([[number % 10, number] for number in range(count)], float)


@pytest.fixture
def make():
    """Return a maker of evaluators, closed in the end. Another file's fixture of this name brings another backend."""
    made = []

    def build(problem, workers=None):
        made.append(EVALUATORS["threads"](problem, Placement(workers), lambda: False, print))
        return made[-1]

    yield build
    for evaluator in made:
        evaluator.close()


@pytest.mark.parametrize("workers", [1, 2, 7, None])
def test_each_row_is_its_job_s(make, workers):
    np.testing.assert_array_equal(make(Sums(), workers).evaluate(CANDIDATES, jobs(50)), expected(50))


def test_rows_keep_their_place_when_early_jobs_end_late(make):
    slow = Sums(lambda life: time.sleep(0.05 if life.path[0] < 2 else 0.0))
    np.testing.assert_array_equal(make(slow, 3).evaluate(CANDIDATES, jobs(12)), expected(12))


def test_a_course_has_a_row_of_trials_per_job(make):
    rows = make(Sums(), 2).evaluate(CANDIDATES, jobs(3), "course")
    np.testing.assert_array_equal(rows, np.arange(3)[:, None] * np.arange(3.0))


def test_an_evaluator_can_be_used_again(make):
    evaluator = make(Sums(), 2)
    for count in (1, 5, 30):
        np.testing.assert_array_equal(evaluator.evaluate(CANDIDATES, jobs(count)), expected(count))


def fail_at(number):
    def work(life):
        if life.path[0] == number:
            raise ZeroDivisionError(f"life {number}")

    return work


def test_an_error_in_a_life_is_raised_and_the_evaluator_lives_on(make):
    problem = Sums(fail_at(7))
    evaluator = make(problem, 2)
    with pytest.raises(ZeroDivisionError, match="life 7"):
        evaluator.evaluate(CANDIDATES, jobs(50))
    np.testing.assert_array_equal(evaluator.evaluate(CANDIDATES, jobs(5)), expected(5))


# ---- threads


def test_an_error_stops_the_other_threads():
    done = []

    def work(life):
        fail_at(0)(life)
        done.append(life)
        time.sleep(0.01)

    with pytest.raises(ZeroDivisionError):
        Threads(Sums(work), 2).evaluate(CANDIDATES, jobs(500))
    assert len(done) < 400


def test_abandoning_ends_after_the_lives_under_way():
    lived, wish = [], threading.Event()

    def work(life):
        lived.append(life)
        wish.set()
        time.sleep(0.02)

    evaluator = Threads(Sums(work), 2, abandon=wish.is_set)
    with pytest.raises(Abandoned):
        evaluator.evaluate(CANDIDATES, jobs(1000))
    count = len(lived)
    time.sleep(0.1)
    assert len(lived) == count < 500  # nothing goes on behind the caller's back


def test_no_more_threads_work_than_asked_for():
    running, most, guard = 0, 0, threading.Lock()

    def work(life):
        nonlocal running, most
        with guard:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with guard:
            running -= 1

    Threads(Sums(work), 3).evaluate(CANDIDATES, jobs(40))
    assert most <= 3


def test_closing_gives_the_threads_back():
    before = set(threading.enumerate())
    evaluator = Threads(Sums(lambda life: time.sleep(0.001)), 4)
    evaluator.evaluate(CANDIDATES, jobs(40))
    started = set(threading.enumerate()) - before
    evaluator.close()
    assert started and not any(thread.is_alive() for thread in started)


@pytest.mark.parametrize(
    ("content", "cores"),
    [("200000 100000\n", 2), ("50000 100000\n", 1), ("max 100000\n", 6), ("1000000 100000\n", 6), ("?", 6), (None, 6)],
)
def test_workers_default_to_the_cores_this_process_may_use(monkeypatch, tmp_path, content, cores):
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    quota = tmp_path / "cpu.max"
    if content is not None:
        quota.write_text(content)
    monkeypatch.setattr(threads, "Path", lambda _: quota)
    assert available_cores() == cores
    assert Threads(Sums()).workers == cores
