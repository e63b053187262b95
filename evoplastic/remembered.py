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
from evoplastic.npz import content_sha256, npz_bytes, read_npz
from evoplastic.strategies.contract import Candidates

MOST_BYTES = 64e6


class Remembered:
    """See `evaluators.contract.Evaluator`; answers lie in `folder`.

    `about` is all that decides a life beside genes and address: settings and sources. With `fresh` nothing is taken
    from the folder. Each task's lives are answered, and kept, by themselves.
    """

    def __init__(self, evaluator: Evaluator, folder: Path, about: str, fresh: bool = False):
        self._evaluator = evaluator
        self._folder = folder
        self._about = about
        self._fresh = fresh
        self._asked: set[Path] = set()
        self.lived = 0  # jobs that were not known

    def evaluate(self, candidates: Candidates, jobs: Sequence[Job], measure: Measure = "score") -> Row:
        by_task: dict[str, list[int]] = {}
        for place, job in enumerate(jobs):
            by_task.setdefault(job.life.task, []).append(place)
        files = {task: self._file(candidates, [jobs[p] for p in places], measure) for task, places in by_task.items()}
        found = {task: self._known(file, len(by_task[task])) for task, file in files.items()}
        rows = {task: known for task, known in found.items() if known is not None}
        new = [task for task in files if task not in rows]
        asked = [jobs[place] for task in new for place in by_task[task]]
        lived = iter(self._evaluator.evaluate(candidates, asked, measure) if asked else ())
        self.lived += len(asked)
        for task in new:
            rows[task] = np.array([next(lived) for _ in by_task[task]])
            self._keep(files[task], rows[task])
        self._asked |= set(files.values())
        placed = {place: row for task, places in by_task.items() for place, row in zip(places, rows[task])}
        return np.array([placed[place] for place in range(len(jobs))])

    def forget(self) -> None:
        """Remove the answers that nobody asked for since this was made."""
        for path in set(self._folder.glob("*.npz")) - self._asked:
            path.unlink(missing_ok=True)

    def report(self) -> dict[str, Any]:
        return self._evaluator.report()

    def close(self) -> None:
        self._evaluator.close()

    def _file(self, candidates: Candidates, jobs: Sequence[Job], measure: Measure) -> Path:
        """Return the file whose name says all that decides what these jobs come to."""
        genes = {job.member: candidates.genotype(job.member) for job in jobs}
        asked = [[job.member, int(job.life.purpose), *map(int, job.life.path), *job.life[2:]] for job in jobs]
        digest = hashlib.sha256(json.dumps([self._about, _words(measure), asked]).encode())
        for member in sorted(genes):
            digest.update(f"{member}:".encode() + np.ascontiguousarray(genes[member]).tobytes())
        return self._folder / f"{digest.hexdigest()[:32]}.npz"

    def _known(self, file: Path, count: int) -> Row | None:
        """Return the rows in a file; None if there is none, or none that was written here."""
        if self._fresh and file not in self._asked:
            return None
        try:
            arrays = read_npz(file)
            rows, content = arrays["rows"], arrays["content"].tobytes().decode()
        except Exception:  # whatever its readers raise, the lives are lived again and the file is written anew
            return None
        whole = rows.ndim == 2 and len(rows) == count and rows.dtype.kind == "f"
        return rows if whole and content == content_sha256({"rows": rows}) else None

    def _keep(self, file: Path, rows: Row) -> None:
        if rows.nbytes > MOST_BYTES:
            return
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
        content = np.frombuffer(content_sha256({"rows": rows}).encode(), np.uint8)
        write_whole(file, npz_bytes({"rows": rows, "content": content}))


def _words(measure: Measure) -> str:
    """Return what is measured: a name or, of a partial function, its name and what it was given."""
    if isinstance(measure, partial):
        return f"{_words(measure.func)} {measure.args} {sorted(measure.keywords.items())}"
    return f"{measure.__module__}.{measure.__qualname__}" if callable(measure) else measure
