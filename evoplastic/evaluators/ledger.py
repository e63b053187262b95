"""The books of one evaluation whose workers may die: which jobs are to do, which are done, which are to blame.

Jobs are known by their place 0 .. count - 1, a chunk is a range of places. A place may be given out more than once,
after a loss or to a second worker; the first row wins, so nobody can see in the result who computed it.
"""

from __future__ import annotations

import math
from collections import Counter, deque

import numpy as np

from evoplastic.evaluators.contract import Row

LONGEST_SECONDS, SHORTEST_SECONDS = 0.25, 0.02  # of a chunk
DISPATCH_SECONDS = 0.001  # of the driver for a chunk; `evoplastic plan` measures it
MOST_DEATHS = 3  # of workers, by one job


class Ledger:
    """Gives out chunks and collects rows until every place has one."""

    def __init__(self, count: int):
        self._rows: list[Row | None] = [None] * count
        self._left = count  # places without a row
        self._untouched = 0  # places from here on were never given out
        self._returned: deque[range] = deque()
        self._deaths: Counter[int] = Counter()

    @property
    def finished(self) -> bool:
        return self._left == 0

    @property
    def rows(self) -> Row:
        """Every place's row, (count, columns)."""
        return np.array(self._rows)

    def take(self, workers: int, seconds_per_job: float | None) -> range | None:
        """Return the next chunk for one of `workers` workers, None if all places have been given out."""
        while self._returned:
            chunk = self._returned.popleft()
            if self.wants(chunk):
                return chunk
        start, count = self._untouched, len(self._rows)
        if start == count:
            return None
        self._untouched = min(count, start + chunk_size(count - start, workers, seconds_per_job))
        return range(start, self._untouched)

    def wants(self, chunk: range) -> bool:
        """Return whether any place of the chunk has no row yet."""
        return any(self._rows[place] is None for place in chunk)

    def put(self, chunk: range, rows: Row) -> None:
        """Keep the rows of places that have none yet."""
        for place, row in zip(chunk, rows, strict=True):
            if self._rows[place] is None:
                self._rows[place] = row
                self._left -= 1

    def give_back(self, chunk: range) -> None:
        """Take back a chunk that was never begun."""
        self._returned.append(chunk)

    def died_in(self, chunk: range) -> int | None:
        """Take back, job by job, a chunk in which a worker died; return a place that alone has killed MOST_DEATHS."""
        for place in chunk:
            if self._rows[place] is None:
                self._deaths[place] += len(chunk) == 1  # of several nobody knows which it was
                self._returned.append(range(place, place + 1))
        return next((place for place in chunk if self._deaths[place] >= MOST_DEATHS), None)

    def deaths(self, place: int) -> int:
        """Return how many workers died of this place alone."""
        return self._deaths[place]


def chunk_size(left: int, workers: int, seconds_per_job: float | None) -> int:
    """Return how many of `left` jobs make the next chunk; one while nobody knows how long a job takes.

    Chunks shrink towards the end, so that the last workers finish together: half of a fair share of what is left, but
    no shorter than the driver needs to serve all the others meanwhile, and never more than a fair share.
    """
    if not seconds_per_job:
        return 1
    longest = int(LONGEST_SECONDS / seconds_per_job)
    shortest = int(max(SHORTEST_SECONDS, DISPATCH_SECONDS * workers) / seconds_per_job)
    return max(1, min(longest, max(shortest, left // (2 * workers)), math.ceil(left / workers)))
