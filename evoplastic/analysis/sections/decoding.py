"""Where and when does activity tell stimuli and response, does the code stay or move, and what of it has evolved?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from evoplastic.analysis.decoding import Decoding, generalise
from evoplastic.analysis.decoding_figure import Clock, decoding_figure
from evoplastic.analysis.decoding_samples import BEYOND, RESPONSE, early_and_late, samples_of
from evoplastic.analysis.sections.contract import Case, Section
from evoplastic.analysis.statistics import share
from evoplastic.errors import UserError
from evoplastic.problems.contract import choosing_tasks
from evoplastic.recordings import Recording

TITLE = "What activity tells"
WINDOW, PERMUTATIONS = 100, 39  # trials at either end of a life, orders of their labels
MOST_BINS = 100  # of a trial; where there are more steps, activity is averaged over several
ORDERS = (
    "Permuted: the accuracy that 1 of 20 orders of the labels reaches anywhere in the matrix. Stimuli are permuted "
    "within lives. The response goes with the stimuli and may drift as activity does, so it has no outline; beyond the "
    "stimuli it is told among trials of equal stimuli, and permuted between neighbours."
)


def decoding(case: Case) -> Section:
    """Decode the tested task early and late in life; a family without truth tables has no labels to decode."""
    problem = case.search.problem
    settings = getattr(problem, "settings", None)
    tables = getattr(getattr(settings, "task", None), "tables", None)
    if not isinstance(tables, Mapping):
        return Section(TITLE, ["Tasks of this family have no truth tables, so there are no labels to decode."])
    task = (problem.withheld or choosing_tasks(problem))[0]
    recordings = {"evolved": case.recorded(task, "center")}
    said, missing, found = [], [], {}
    try:
        recordings["initial"] = case.recorded(task, "generation_0")
    except UserError as error:
        missing.append(f"Initial genome: {error}.")
    clock = _clock(recordings["evolved"])
    for genome, recording in recordings.items():
        for when, trials in zip(("early", "late"), _windows(recording)):
            row = f"{genome}, {when}"
            found[row], undecodable = _decoded(recording, tables, trials)
            said += [_best(row, found[row], recording, trials)] if found[row] else []
            missing += [f"{row.capitalize()}, {told}." for told in undecodable]
    if not any(found.values()):
        return Section(TITLE, missing)
    return Section(
        TITLE,
        [*said, *_averaged(recordings["evolved"]), ORDERS, *missing],
        {"decoding": decoding_figure(found, clock)},
        numbers=_numbers(found, recordings["evolved"], clock),
    )


def _windows(recording: Recording) -> tuple[range, range]:
    return early_and_late(recording, min(WINDOW, len(recording.labels["trial"]) // 2))


def _width(recording: Recording) -> int:
    """Return how many steps are averaged over."""
    return -(-len(recording.labels["step"]) // MOST_BINS)


def _clock(recording: Recording) -> Clock:
    steps = recording.labels["step"]
    step = float(steps[1] - steps[0]) if len(steps) > 1 else float(recording.about["network"]["dt_ms"])
    return Clock(_width(recording) * step, recording.about["feedback_step"] * step, len(steps) * step)


def _decoded(recording: Recording, tables: Any, trials: range) -> tuple[dict[str, Decoding], list[str]]:
    """Return each label's decoding, and why others have none, such as a network that always gives one answer."""
    samples = samples_of(recording, tables, trials, _width(recording))
    folds, found, missing = min(5, len(recording.labels["life"])), {}, []
    for name, labels in {**samples.labels, BEYOND: samples.labels[RESPONSE]}.items():
        permutations, given = 0 if name == RESPONSE else PERMUTATIONS, samples.kinds if name == BEYOND else None
        try:
            found[name] = generalise(samples.activity, labels, samples.lives, folds, permutations, given=given)
        except UserError as error:
            missing.append(f"{name}: {error}")
    return found, missing


def _best(row: str, found: dict[str, Decoding], recording: Recording, trials: range) -> str:
    """Return in a sentence how well each label is told at the best step before feedback tells it."""
    before, lives = recording.about["feedback_step"] // _width(recording), len(recording.labels["life"])
    return (
        f"{row.capitalize()} in life on {recording.about['task']} (trials {trials[0]} to {trials[-1]}): "
        + ", ".join(f"{label} {_highest(each, before)}" for label, each in found.items())
        + f" at the best step before feedback (balanced accuracy on other lives than those fitted, n = {lives} lives)."
    )


def _highest(decoding: Decoding, before: int) -> str:
    """Return the best accuracy beside what permuted labels reach anywhere in the matrix, in 1 of 20 orders."""
    best = share(float(decoding.matrix.diagonal()[: max(before, 1)].max()))
    return best if decoding.threshold is None else f"{best} (permuted {share(decoding.threshold)})"


def _averaged(recording: Recording) -> list[str]:
    """Say that activity is averaged over steps, where it is."""
    width = _width(recording)
    return [f"Activity is averaged over bins of {width} steps, {_clock(recording).bin:g} ms."] if width > 1 else []


def _numbers(found: dict[str, dict[str, Decoding]], recording: Recording, clock: Clock) -> dict[str, Any]:
    """Return the rows of decodings by label, evolved ones by when alone, and what trials and times they are of."""
    rows = {row: {label: _plain(each) for label, each in by_label.items()} for row, by_label in found.items()}
    of = {
        genome: {when: rows[row] for when in ("early", "late") if (row := f"{genome}, {when}") in rows}
        for genome in ("evolved", "initial")
    }
    windows = dict(zip(("early", "late"), ([trials[0], trials[-1]] for trials in _windows(recording))))
    return of["evolved"] | {"initial": of["initial"], "trials": windows, "bin_ms": clock.bin}


def _plain(decoding: Decoding) -> dict[str, Any]:
    """Return a decoding without what its other numbers tell, or nobody reads."""
    told = {key: value for key, value in decoding.to_json().items() if key not in ("band", "told")}
    return told | {"matrix": np.round(decoding.matrix, 4).tolist()}
