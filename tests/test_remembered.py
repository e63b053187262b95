"""Lives that were lived before are not lived again, and nothing else is taken for them."""

from functools import partial

import numpy as np
import pytest
from test_evolution import TINY

from evoplastic.config import read_config
from evoplastic.errors import UserError
from evoplastic.evaluators.contract import Job
from evoplastic.npz import content_sha256, npz_bytes
from evoplastic.problems.contract import Life
from evoplastic.random import Purpose
from evoplastic.remembered import MOST_BYTES, Remembered
from evoplastic.strategies.contract import Fixed

GENES = np.arange(6.0).reshape(2, 3)
JOBS = [Job(0, Life(Purpose.EVALUATION, (0, 1), "a")), Job(1, Life(Purpose.EVALUATION, (0, 2), "a"))]


class Counting:
    """An evaluator that says what it was asked, and answers with it."""

    def __init__(self):
        self.asked = 0
        self.closed = False

    def evaluate(self, candidates, jobs, measure="score"):
        self.asked += 1
        return np.array([[candidates.genotype(job.member).sum(), len(job.life.task), self.asked] for job in jobs])

    def report(self):
        return {"workers": 7}

    def close(self):
        self.closed = True


def row(problem, genotype, life, times=1):
    return genotype


@pytest.fixture
def evaluator():
    return Counting()


@pytest.fixture
def remembered(evaluator, tmp_path):
    return Remembered(evaluator, tmp_path / "lives", "settings")


def test_what_was_answered_is_answered_again_without_asking(remembered, evaluator, tmp_path):
    first = remembered.evaluate(Fixed(GENES), JOBS)
    assert remembered.evaluate(Fixed(GENES), JOBS).tobytes() == first.tobytes()
    assert (evaluator.asked, remembered.lived) == (1, 2)
    later = Remembered(evaluator, tmp_path / "lives", "settings")
    assert later.evaluate(Fixed(GENES), JOBS).tobytes() == first.tobytes()
    assert (evaluator.asked, later.lived) == (1, 0)


def other_life(**changes):
    return [JOBS[0]._replace(life=JOBS[0].life._replace(**changes)), JOBS[1]]


@pytest.mark.parametrize(
    ("genes", "jobs", "measure"),
    [
        (GENES + 1e-12, JOBS, "score"),
        (GENES, JOBS[:1], "score"),
        (GENES, JOBS[::-1], "score"),
        (GENES, other_life(task="b"), "score"),
        (GENES, other_life(lesion="rule.eta@2"), "score"),
        (GENES, other_life(path=(0, 3)), "score"),
        (GENES, other_life(purpose=Purpose.RECORDING), "score"),
        (GENES, JOBS, "course"),
        (GENES, JOBS, row),
        (GENES, JOBS, partial(row, times=2)),
    ],
)
def test_another_question_is_asked_anew(remembered, evaluator, genes, jobs, measure):
    remembered.evaluate(Fixed(GENES), JOBS)
    remembered.evaluate(Fixed(genes), jobs, measure)
    assert evaluator.asked == 2


def test_only_the_tasks_that_are_new_are_asked_for(remembered, evaluator):
    remembered.evaluate(Fixed(GENES), JOBS)
    other = JOBS[0]._replace(life=JOBS[0].life._replace(task="bb"))
    both = [JOBS[0], other, JOBS[1]]
    rows = remembered.evaluate(Fixed(GENES), both)
    assert (evaluator.asked, remembered.lived) == (2, 3)
    assert rows[:, 1].tolist() == [len(job.life.task) for job in both]


def test_partial_functions_are_told_apart_by_what_they_were_given(remembered, evaluator):
    for times in (1, 2, 1):
        remembered.evaluate(Fixed(GENES), JOBS, partial(row, times=times))
    assert evaluator.asked == 2


def test_other_settings_or_sources_are_asked_anew(remembered, evaluator, tmp_path):
    remembered.evaluate(Fixed(GENES), JOBS)
    Remembered(evaluator, tmp_path / "lives", "other settings").evaluate(Fixed(GENES), JOBS)
    assert evaluator.asked == 2


def test_genes_that_no_job_is_about_do_not_matter(remembered, evaluator):
    remembered.evaluate(Fixed(GENES), JOBS[:1])
    remembered.evaluate(Fixed(np.vstack([GENES[0], GENES[1] + 1.0])), JOBS[:1])
    assert evaluator.asked == 1


def forged(rows):
    """Return a file that holds these rows, and says that they are whole."""
    content = np.frombuffer(content_sha256({"rows": rows}).encode(), np.uint8)
    return npz_bytes({"rows": rows, "content": content})


DAMAGE = {
    "empty": b"",
    "no npz": b"no npz",
    "cut": None,
    "no axis": forged(np.array(1.0)),
    "one axis": forged(np.zeros(2)),
    "too few": forged(np.zeros((1, 3))),
    "no numbers that lives come to": forged(np.zeros((2, 3), np.int64)),
    "other rows than it says": npz_bytes({"rows": np.zeros((2, 3)), "content": np.zeros(64, np.uint8)}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_answer_is_asked_for_again_and_mended(remembered, evaluator, tmp_path, damage):
    remembered.evaluate(Fixed(GENES), JOBS)
    (file,) = (tmp_path / "lives").iterdir()
    broken = file.read_bytes()[:-40] if DAMAGE[damage] is None else DAMAGE[damage]
    file.write_bytes(broken)
    again = remembered.evaluate(Fixed(GENES), JOBS)
    assert evaluator.asked == 2 and again.tobytes() == remembered.evaluate(Fixed(GENES), JOBS).tobytes()
    assert evaluator.asked == 2


def test_what_nobody_asked_for_is_forgotten(remembered, evaluator, tmp_path):
    remembered.evaluate(Fixed(GENES), JOBS)
    later = Remembered(evaluator, tmp_path / "lives", "settings")
    later.evaluate(Fixed(GENES), JOBS[:1])
    assert len(list((tmp_path / "lives").iterdir())) == 2
    later.forget()
    later.evaluate(Fixed(GENES), JOBS[:1])
    assert len(list((tmp_path / "lives").iterdir())) == 1 and evaluator.asked == 2


def test_fresh_lives_are_lived_anew_but_only_once(remembered, evaluator, tmp_path):
    remembered.evaluate(Fixed(GENES), JOBS)
    fresh = Remembered(evaluator, tmp_path / "lives", "settings", fresh=True)
    rows = [fresh.evaluate(Fixed(GENES), JOBS) for _ in range(2)]
    assert evaluator.asked == 2 and rows[0].tobytes() == rows[1].tobytes()


def test_huge_answers_are_not_kept(evaluator, tmp_path, monkeypatch):
    monkeypatch.setattr("evoplastic.remembered.MOST_BYTES", 8)
    remembered = Remembered(evaluator, tmp_path / "lives", "settings")
    remembered.evaluate(Fixed(GENES), JOBS)
    remembered.evaluate(Fixed(GENES), JOBS)
    assert evaluator.asked == 2 and not (tmp_path / "lives").exists() and MOST_BYTES > 1e6


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(evaluator, tmp_path):
    (tmp_path / "lives").write_text("in the way")
    with pytest.raises(UserError, match="could not be written"):
        Remembered(evaluator, tmp_path / "lives", "settings").evaluate(Fixed(GENES), JOBS)


def test_it_is_an_evaluator_like_the_one_that_it_asks(remembered, evaluator):
    assert remembered.report() == {"workers": 7}
    remembered.close()
    assert evaluator.closed


def test_recordings_are_remembered_by_what_is_recorded(evaluator, tmp_path):
    from evoplastic.analysis.record import RecordRequest, record
    from evoplastic.evaluators.threads import Threads
    from evoplastic.evolution import Search

    search = Search.of(read_config("quickstart", TINY))
    threads = Threads(search.problem, 2)
    remembered = Remembered(threads, tmp_path / "lives", "settings")
    genes = search.start().center
    recordings = [record(search, genes, RecordRequest("or", 2, trials=n), {}, remembered) for n in (3, 3, 4)]
    alone = record(search, genes, RecordRequest("or", 2, trials=3), {})
    threads.close()
    assert remembered.lived == 4
    assert recordings[0].to_bytes() == recordings[1].to_bytes() == alone.to_bytes() != recordings[2].to_bytes()
