"""The books of an evaluation: every place gets one row, whatever is lost, and nobody innocent is blamed."""

import numpy as np
import pytest

from evoplastic.evaluators.ledger import LONGEST_SECONDS, MOST_DEATHS, Ledger, chunk_size


def rows(chunk):
    return np.array([[float(place)] for place in chunk])


def chunks(ledger, workers=2, seconds=0.01):
    while (chunk := ledger.take(workers, seconds)) is not None:
        yield chunk


def test_all_places_are_given_out_once_and_in_order():
    given = list(chunks(Ledger(100)))
    assert [place for chunk in given for place in chunk] == list(range(100))


def test_rows_lie_at_their_places_in_whatever_order_they_come():
    ledger = Ledger(50)
    for chunk in reversed(list(chunks(ledger))):
        assert not ledger.finished
        ledger.put(chunk, rows(chunk))
    assert ledger.finished
    np.testing.assert_array_equal(ledger.rows, rows(range(50)))


def test_the_first_row_of_a_place_wins():
    ledger = Ledger(3)
    ledger.put(range(3), rows(range(3)))
    ledger.put(range(1, 3), np.full((2, 1), 9.0))
    np.testing.assert_array_equal(ledger.rows, rows(range(3)))


def test_what_is_given_back_is_given_out_again_before_anything_new():
    ledger = Ledger(100)
    first = ledger.take(2, 0.01)
    ledger.give_back(first)
    assert ledger.take(2, 0.01) == first


def test_a_chunk_that_was_answered_meanwhile_is_not_given_out_again():
    ledger = Ledger(4)
    chunk = ledger.take(1, 1e-6)
    ledger.give_back(chunk)
    ledger.put(chunk, rows(chunk))
    assert ledger.take(1, 1e-6) is None


def test_a_chunk_in_which_a_worker_died_comes_back_job_by_job():
    ledger = Ledger(4)
    chunk = ledger.take(1, 1e-6)
    assert len(chunk) == 4 and ledger.died_in(chunk) is None
    assert list(chunks(ledger)) == [range(place, place + 1) for place in range(4)]


def test_only_the_place_in_which_workers_keep_dying_is_named():
    ledger = Ledger(4)
    assert ledger.died_in(ledger.take(1, 1e-6)) is None
    killed = []
    while (chunk := ledger.take(1, 1e-6)) is not None:
        if 2 in chunk:
            killed.append(ledger.died_in(chunk))
        else:
            ledger.put(chunk, rows(chunk))
        if killed[-1:] == [2]:
            break
    assert killed == [None] * (MOST_DEATHS - 1) + [2] and ledger.deaths(2) == MOST_DEATHS


@pytest.mark.parametrize(
    ("left", "workers", "seconds", "size"),
    [
        (500, 2, None, 1),  # nobody knows how long a job takes
        (500, 2, 0.01, 25),  # the longest chunk
        (20, 2, 0.01, 5),  # half of a fair share
        (4, 2, 0.01, 2),  # no shorter than the driver needs, no more than a fair share
        (500, 64, 0.01, 6),  # so many workers that the driver would be late with shorter ones
        (500, 1000, 0.01, 1),
        (5, 2, 10.0, 1),
    ],
)
def test_chunks_are_as_long_as_they_may_be(left, workers, seconds, size):
    assert chunk_size(left, workers, seconds) == size


@pytest.mark.parametrize("seconds", [1e-6, 1e-3, 0.1, 0.3, 5.0])
def test_no_chunk_is_longer_than_it_may_be_unless_a_single_job_is(seconds):
    sizes = [len(chunk) for chunk in chunks(Ledger(10_000), 3, seconds)]
    assert all(size == 1 or size * seconds <= LONGEST_SECONDS for size in sizes)
