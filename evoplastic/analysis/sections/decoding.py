"""Where and when does activity tell stimuli and response, and does the code stay or move?"""

from __future__ import annotations

from collections.abc import Mapping
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
MOST_STEPS = 200  # of a trial
CAUTION = (
    "The response goes with the stimuli, and drifts as activity does while a network learns; orders of the labels "
    "within lives know neither, so that its outline promises less than its 5 %."
)


def decoding(case: Case) -> Section:
    """Decode the tested task early and late in life; a family without truth tables has no labels to decode."""
    problem = case.search.problem
    settings = getattr(problem, "settings", None)
    tables = getattr(getattr(settings, "task", None), "tables", None)
    if not isinstance(tables, Mapping):
        return Section(TITLE, ["Tasks of this family have no truth tables, so there are no labels to decode."])
    task = (problem.withheld or choosing_tasks(problem))[0]
    recording = case.recorded(task, "center")
    if recording["rates"].values.shape[2] > MOST_STEPS:
        return Section(TITLE, [f"Trials have more than {MOST_STEPS} steps: too many to decode one by one."])
    early, late = early_and_late(recording, min(WINDOW, len(recording.labels["trial"]) // 2))
    found, missing = {}, []
    for name, trials in (("early", early), ("late", late)):
        found[name], undecodable = _decoded(recording, tables, trials)
        missing += [f"{name.capitalize()} in life, {told}." for told in undecodable]
    common = set.intersection(*(set(row) for row in found.values()))
    found = {name: {label: each for label, each in row.items() if label in common} for name, row in found.items()}
    if not common:
        return Section(TITLE, missing)
    step = float(recording.labels["step"][1])
    return Section(
        TITLE,
        [*_best(found, recording), CAUTION, *missing],
        {"decoding": decoding_figure(found, step, recording.about["feedback_step"])},
        numbers={name: {label: _numbers(each) for label, each in row.items()} for name, row in found.items()},
    )


def _decoded(recording: Recording, tables: Any, trials: range) -> tuple[dict[str, Decoding], list[str]]:
    """Return each label's decoding, and why others have none, such as a network that always gives one answer."""
    samples = samples_of(recording, tables, trials)
    folds, found, missing = min(5, len(recording.labels["life"])), {}, []
    for label, labels in samples.labels.items():
        try:
            found[label] = generalise(samples.activity, labels, samples.lives, folds=folds, permutations=PERMUTATIONS)
        except UserError as error:
            missing.append(f"{label}: {error}")
    return found, missing


def _best(found: dict[str, dict[str, Decoding]], recording: Recording) -> list[str]:
    """Return in a sentence for each row how well each label is told at the best step before feedback tells it."""
    task, before, lives = recording.about["task"], recording.about["feedback_step"], len(recording.labels["life"])
    return [
        f"{name.capitalize()} in life on {task}: "
        + ", ".join(f"{label} {_highest(each, before)}" for label, each in row.items())
        + f" at the best step before feedback (balanced accuracy on other lives than those fitted, n = {lives} lives)."
        for name, row in found.items()
    ]


def _highest(decoding: Decoding, before: int) -> str:
    """Return the best accuracy beside what permuted labels reach anywhere in the matrix, in 1 of 20 orders."""
    best = share(float(decoding.matrix.diagonal()[: max(before, 1)].max()))
    return best if decoding.threshold is None else f"{best} (permuted {share(decoding.threshold)})"


def _numbers(decoding: Decoding) -> dict[str, Any]:
    """Return a decoding without what its other numbers tell, or nobody reads."""
    return {key: value for key, value in decoding.to_json().items() if key not in ("band", "told")}
