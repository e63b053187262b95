"""Lives that were lived before: an evaluator that keeps what it is answered, and asks anew only what it has not.

What a life comes to depends on the settings, the sources, the genes and the life's address, and on nothing else. Their
hash names a file; so a later checkpoint, other settings or an edited package asks for other files. Answers of more than
MOST_BYTES, such as long recordings, are not kept: to live them again takes less than to read them from a disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evoplastic.errors import writing
from evoplastic.evaluators.contract import Evaluator, Job, Measure, Row
from evoplastic.files import write_whole
from evoplastic.npz import npz_bytes, read_npz
from evoplastic.strategies.contract import Candidates

MOST_BYTES = 64e6


class Remembered:
    """See `evaluators.contract.Evaluator`; answers lie in `folder`.

    `about` is all that decides a life beside genes and address: settings and sources. With `fresh` nothing is taken
    from the folder.
    """

    def __init__(self, evaluator: Evaluator, folder: Path, about: str, fresh: bool = False):
        self._evaluator = evaluator
        self._folder = folder
        self._about = about
        self._fresh = fresh
        self._asked: set[Path] = set()
        self.lived = 0  # jobs that were not known

    def evaluate(self, candidates: Candidates, jobs: Sequence[Job], measure: Measure = "score") -> Row:
        path = self._folder / f"{self._named(candidates, jobs, measure)}.npz"
        rows = None if self._fresh and path not in self._asked else _known(path, len(jobs))
        self._asked.add(path)
        if rows is None:
            rows = np.ascontiguousarray(self._evaluator.evaluate(candidates, jobs, measure))
            self.lived += len(jobs)
            if rows.nbytes <= MOST_BYTES:
                with writing(self._folder):
                    self._folder.mkdir(exist_ok=True)
                write_whole(path, npz_bytes({"rows": rows}))
        return rows

    def forget(self) -> None:
        """Remove the answers that nobody asked for since this was made."""
        for path in set(self._folder.glob("*.npz")) - self._asked:
            path.unlink(missing_ok=True)

    def report(self) -> dict[str, Any]:
        return self._evaluator.report()

    def close(self) -> None:
        self._evaluator.close()

    def _named(self, candidates: Candidates, jobs: Sequence[Job], measure: Measure) -> str:
        genes = {job.member: candidates.genotype(job.member) for job in jobs}
        asked = [[job.member, int(job.life.purpose), *map(int, job.life.path), *job.life[2:]] for job in jobs]
        digest = hashlib.sha256(json.dumps([self._about, _words(measure), asked]).encode())
        for member in sorted(genes):
            digest.update(f"{member}:".encode() + np.ascontiguousarray(genes[member]).tobytes())
        return digest.hexdigest()[:32]


def _words(measure: Measure) -> str:
    """Return what is measured: a name or, of a partial function, its name and what it was given."""
    if isinstance(measure, partial):
        return f"{_words(measure.func)} {measure.args} {sorted(measure.keywords.items())}"
    return f"{measure.__module__}.{measure.__qualname__}" if callable(measure) else measure


def _known(path: Path, count: int) -> Row | None:
    """Return the rows in a file; None if there is none, or none that can be read."""
    try:
        rows = read_npz(path)["rows"]
    except Exception:  # whatever its readers raise, the lives are lived again and the file is written anew
        return None
    return rows if len(rows) == count else None
