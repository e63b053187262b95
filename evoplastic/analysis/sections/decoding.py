"""Where and when does activity tell stimuli and response, and does the code stay or move?"""

from __future__ import annotations

from typing import Any

from evoplastic.analysis.decoding import Decoding, early_and_late, generalise, samples_of
from evoplastic.analysis.decoding_figure import decoding_figure
from evoplastic.analysis.sections.contract import Case, Section
from evoplastic.analysis.statistics import share
from evoplastic.errors import UserError
from evoplastic.problems.contract import choosing_tasks
from evoplastic.recordings import Recording

TITLE = "What activity tells"
WINDOW, PERMUTATIONS = 100, 100  # trials at either end of a life, orders of their labels


def decoding(case: Case) -> Section:
    """Decode the tested task early and late in life; a family without truth tables has no labels to decode."""
    problem = case.search.problem
    settings = getattr(problem, "settings", None)
    tables = getattr(getattr(settings, "task", None), "tables", None)
    if tables is None:
        return Section(TITLE, ["Tasks of this family have no truth tables, so there are no labels to decode."])
    task = (problem.withheld or choosing_tasks(problem))[0]
    recording = case.recorded(task, "center")
    early, late = early_and_late(recording, min(WINDOW, len(recording.labels["trial"]) // 2))
    found, missing = {}, []
    for name, trials in (("early", early), ("late", late)):
        try:
            found[name] = _decoded(recording, tables, trials)
        except UserError as error:  # such as a network that always gives the same answer
            missing.append(f"{name.capitalize()} trials: {error}.")
    if not found:
        return Section(TITLE, missing)
    step = float(recording.labels["step"][1])
    return Section(
        TITLE,
        [*_best(found, recording), *missing],
        {"decoding": decoding_figure(found, step, recording.about["feedback_step"])},
        numbers={name: {label: _numbers(each) for label, each in row.items()} for name, row in found.items()},
    )


def _decoded(recording: Recording, tables: Any, trials: range) -> dict[str, Decoding]:
    samples = samples_of(recording, tables, trials)
    folds = min(5, len(recording.labels["life"]))
    return {
        label: generalise(samples.activity, labels, samples.lives, folds=folds, permutations=PERMUTATIONS)
        for label, labels in samples.labels.items()
    }


def _best(found: dict[str, dict[str, Decoding]], recording: Recording) -> list[str]:
    """Return in a sentence for each row how well each label is told at the best step before feedback tells it."""
    task, before = recording.about["task"], recording.about["feedback_step"]
    return [
        f"{name.capitalize()} in life on {task}: "
        + ", ".join(f"{label} {share(float(each.matrix.diagonal()[:before].max()))}" for label, each in row.items())
        + " at the best step before feedback (balanced accuracy on lives that the decoder was not fitted to)."
        for name, row in found.items()
    ]


def _numbers(decoding: Decoding) -> dict[str, Any]:
    """Return a decoding without its band, which is as large as the matrix and is in the picture."""
    return {key: value for key, value in decoding.to_json().items() if key not in ("band", "told")}
