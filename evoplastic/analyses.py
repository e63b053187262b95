"""A finished run, analysed: what its genome does on fresh lives, in one folder of pictures, numbers and a page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evoplastic.analysis.evaluation import EvaluationRequest, evaluate
from evoplastic.analysis.record import RecordRequest, check_memory, planned, record, trials_of
from evoplastic.analysis.report import report_files, sections_of
from evoplastic.analysis.sections import Case
from evoplastic.champions import genes_called
from evoplastic.errors import UserError, writing
from evoplastic.evaluators.contract import Evaluator
from evoplastic.files import write_together
from evoplastic.launch import Run
from evoplastic.problems.contract import ALL_LESIONS
from evoplastic.recordings import Recording

FOLDER = "report"
MOST_BYTES = 2e9  # of a recording; of longer lives fewer are recorded
FEWEST_LIVES = 2
SUFFIXES = (".png", ".svg", ".json", ".html")


class AnalysisRequest(NamedTuple):
    """How closely a run is looked at."""

    lives: int = 16  # of the evaluation, per task and condition
    recorded: int = 8  # lives that are recorded
    seed: int = 0  # another seed, other stimuli and noise
    html: bool = True


def analyze(
    run: Run, evaluator: Evaluator, request: AnalysisRequest, tell: Callable[[str], None] = lambda stage: None
) -> list[Path]:
    """Write the analysis of the run's center into its folder and return the files; `tell` is told of each stage.

    UserError for a run that has evolved nothing yet.
    """
    if run.state.generation == 0:
        raise UserError(
            f"run {run.folder.path.name!r} stands at generation 0, so nothing has evolved; carry it on with resume"
        )
    folder = run.folder.path / FOLDER
    with writing(folder):
        folder.mkdir(exist_ok=True)
    evaluated = evaluate(
        run.search,
        run.center,
        evaluator,
        EvaluationRequest(request.lives, (ALL_LESIONS,), seed=request.seed),
        done=tell,
    )

    @functools.cache
    def recorded(task: str, genome: str) -> Recording:
        recording = _recorded(run, request, task, genome)
        tell(f"recording of {task}")
        return recording

    case = Case(run.search, run.state.generation, run.center, run.folder.metrics(), evaluated, recorded)
    sections = sections_of(case)
    about = f"Preset {run.config.name}, seed {run.config.seed}, generation {run.state.generation}. {run.config.summary}"
    files = report_files(run.folder.path.name, about, sections, request.html)
    write_together({folder / name: data for name, data in files.items()})
    for stale in {path for path in folder.iterdir() if path.suffix in SUFFIXES} - {folder / name for name in files}:
        stale.unlink()
    return [folder / name for name in files]


def _recorded(run: Run, request: AnalysisRequest, task: str, genome: str) -> Recording:
    """Return a recording of the tested task, after whatever tasks the life has before it, of as many lives as fit."""
    last = trials_of(run.search, task)
    trials = int(run.config.problem.task.trials)
    asked = RecordRequest(task, lives=1, first=last - trials, seed=request.seed)
    _, size = planned(run.search, asked)
    asked = asked._replace(lives=max(FEWEST_LIVES, min(request.recorded, int(MOST_BYTES / size))))
    check_memory(asked.lives * size)
    of = {"run": run.folder.path.name, "genome": genome, "generation": run.state.generation}
    recording = record(run.search, genes_called(run, genome), asked, of)
    if not np.isfinite(recording["scores"].values).all():
        raise UserError(f"lives on {task} end in activity that is not finite")
    return recording
