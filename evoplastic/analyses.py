"""A finished run, analysed: what its genome does on fresh lives, in one folder of pictures, numbers and a page."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evoplastic.analysis.comparison import compare
from evoplastic.analysis.evaluation import EVOLVED, Courses, EvaluationRequest, evaluate, live
from evoplastic.analysis.record import RecordRequest, check_memory, planned, record, trials_of, windowed
from evoplastic.analysis.report import report_files, sections_of
from evoplastic.analysis.sections import Case
from evoplastic.champions import genes_called
from evoplastic.config import deciding
from evoplastic.errors import UserError, writing
from evoplastic.evaluators.contract import Evaluator, Measure
from evoplastic.files import write_together
from evoplastic.groups import find_group, outcomes
from evoplastic.jit import source_hash
from evoplastic.launch import Run
from evoplastic.problems.contract import ALL_LESIONS
from evoplastic.recordings import Recording
from evoplastic.remembered import Remembered

FOLDER, LIVES = "report", "lives"
MOST_BYTES = 2e9  # of a recording; of longer lives fewer are recorded
FEWEST_LIVES = 2
WINDOW = 100  # first trials and as many last ones, of lives of which not even so few fit whole
SUFFIXES = (".png", ".svg", ".json", ".html")


class AnalysisRequest(NamedTuple):
    """How closely a run is looked at."""

    lives: int = 16  # of the evaluation, per task and condition
    recorded: int = 8  # lives that are recorded
    seed: int = 0  # another seed, other stimuli and noise
    html: bool = True
    arms: tuple[str, ...] = ()  # runs and groups beside which the run stands; none: those of its own group
    fresh: bool = False  # whether to live again what was lived before


def analyze(
    run: Run,
    evaluator: Evaluator,
    request: AnalysisRequest,
    tell: Callable[[str], None] = lambda stage: None,
    runs: Path | None = None,
) -> list[Path]:
    """Write the analysis of the run's center into its folder and return the files; `tell` is told of each stage.

    What was lived for an analysis of the same genes, settings and sources is not lived again. UserError for a run that
    has evolved nothing yet.
    """
    if run.state.generation == 0:
        raise UserError(
            f"run {run.folder.path.name!r} stands at generation 0, so nothing has evolved; carry it on with resume"
        )
    folder = run.folder.path / FOLDER
    if folder.is_symlink() or (folder / LIVES).is_symlink():  # what an earlier analysis left in it is removed
        raise UserError(f"{folder} is a link, or has one in it, out of the run's folder; remove the link")
    with writing(folder):
        folder.mkdir(exist_ok=True)
    remembered = Remembered(evaluator, folder / LIVES, json.dumps([deciding(run.config), source_hash()]), request.fresh)
    case = _case(run, remembered, request, tell, _arms(run, request, runs))
    sections = sections_of(case)
    about = f"Preset {run.config.name}, seed {run.config.seed}, generation {run.state.generation}. {run.config.summary}"
    files = report_files(run.folder.path.name, about, sections, request.html)
    write_together({folder / name: data for name, data in files.items()})
    for stale in {path for path in folder.iterdir() if path.suffix in SUFFIXES} - {folder / name for name in files}:
        stale.unlink()
    remembered.forget()
    return [folder / name for name in files]


def _case(
    run: Run,
    evaluator: Evaluator,
    request: AnalysisRequest,
    tell: Callable[[str], None],
    arms: Callable[[], Mapping[str, Any] | None],
) -> Case:
    """Return all that sections may look at; what they ask for is lived when they do."""
    metrics = run.folder.metrics()  # a damaged record is refused before anything is lived
    asked = EvaluationRequest(request.lives, (ALL_LESIONS,), seed=request.seed)
    evaluated = evaluate(run.search, run.center, evaluator, asked, done=tell)

    def lived(tasks: Sequence[str], condition: str = EVOLVED, measure: Measure = "course") -> Courses:
        courses = live(run.search, run.center, evaluator, asked, tasks, condition, measure)
        tell(condition)
        return courses

    @functools.cache
    def recorded(task: str, genome: str) -> Recording:
        recording = _recorded(run, request, task, genome, evaluator)
        tell(f"recording of {task}")
        return recording

    return Case(run.search, run.state.generation, run.center, metrics, evaluated, lived, recorded, arms)


def _arms(run: Run, request: AnalysisRequest, runs: Path | None) -> Callable[[], Mapping[str, Any] | None]:
    """Return what compares the arms that the run stands among, or tells that it stands alone by None.

    UserError at once for runs that were named and cannot be compared; for those of the run's group when it is asked.
    """
    if request.arms:
        named = compare(*outcomes([run.folder.path, *request.arms], runs))
        return lambda: named

    def of_group() -> Mapping[str, Any] | None:
        group = run.folder.path.parent
        return None if find_group(group) is None else compare(*outcomes([group], runs))

    return of_group


def _recorded(run: Run, request: AnalysisRequest, task: str, genome: str, evaluator: Evaluator) -> Recording:
    """Return a recording of the tested task, after whatever tasks the life has before it, of as many lives as fit.

    Where not even FEWEST_LIVES fit, it is of the first and last trials on that task.
    """
    last = trials_of(run.search, task)
    trials = int(run.config.problem.task.trials)
    asked = RecordRequest(task, lives=1, first=last - trials, seed=request.seed)
    asked = windowed(run.search, asked, MOST_BYTES / FEWEST_LIVES, WINDOW)
    _, size = planned(run.search, asked)
    asked = asked._replace(lives=max(FEWEST_LIVES, min(request.recorded, int(MOST_BYTES / size))))
    check_memory(asked.lives * size)
    of = {"run": run.folder.path.name, "genome": genome, "generation": run.state.generation}
    recording = record(run.search, genes_called(run, genome), asked, of, evaluator)
    if not np.isfinite(recording["scores"].values).all():
        raise UserError(f"lives on {task} end in activity that is not finite")
    return recording
