"""A finished run, analysed: what its genome does on fresh lives, in one folder of pictures, numbers and a page."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from evoplastic.analysis.evaluation import EvaluationRequest, condition_names, evaluate
from evoplastic.analysis.record import RecordRequest, record
from evoplastic.analysis.report import report_files, sections_of
from evoplastic.analysis.sections import Case
from evoplastic.champions import genes_called
from evoplastic.errors import UserError
from evoplastic.evaluators.contract import Evaluator
from evoplastic.files import write_together
from evoplastic.launch import Run
from evoplastic.problems.contract import ALL_LESIONS
from evoplastic.recordings import Recording

FOLDER = "analysis"


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
    lesions = condition_names(run.search.problem, [ALL_LESIONS])
    tell(f"{len(lesions)} conditions on {request.lives} lives per task")
    evaluated = evaluate(
        run.search,
        run.center,
        evaluator,
        EvaluationRequest(request.lives, (ALL_LESIONS,), seed=request.seed),
        done=tell,
    )

    @functools.cache
    def recorded(task: str, genome: str) -> Recording:
        tell(f"recording {request.recorded} lives of {genome} on {task}")
        asked = RecordRequest(task, lives=request.recorded, seed=request.seed)
        of = {"run": run.folder.path.name, "genome": genome}
        return record(run.search, genes_called(run, genome), asked, of)

    case = Case(run.search, run.state.generation, run.center, run.folder.metrics(), evaluated, recorded)
    sections = sections_of(case)
    tell("drawing")
    about = f"Preset {run.config.name}, seed {run.config.seed}, generation {run.state.generation}. {run.config.summary}"
    files = report_files(run.folder.path.name, about, sections, request.html)
    folder = run.folder.path / FOLDER
    folder.mkdir(exist_ok=True)
    write_together({folder / name: data for name, data in files.items()})
    return [folder / name for name in files]
