"""Trials as samples for decoding: what activity was, what was shown and answered, and which trials are alike.

Stimuli are drawn afresh for every trial, so that where activity does not tell them, any order of them within a life is
as likely as any other. The response is another matter: it goes with the stimuli, and it drifts as activity does while a
network learns, in all lives alike or in each in its own way. Beyond the stimuli it is told among trials of equal
stimuli, and its orders exchange the two trials of a pair, which follow on each other in one life: these share the
drift. Measured on stimuli and drift that are planted, seven kinds of data and 150 sets of each (of pairs 400), the
threshold that 5 % may pass was passed anywhere in the matrix, where responses were permuted

    within lives                      in 13 to 100 %        in life and type, among 10, 6, 4    in  3 to 79, 21, 9 %
    by cyclic shifts (Harris 2020)    in  6 to 100 %        in pairs                            in  4 to 7 %, mean 5.3 %
    as whole sequences, over lives    in  4 to 100 %        in life and type                    in  3 to 100 %
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.networks.roles import CLAMPED
from evoplastic.recordings import Recording
from evoplastic.tasks.truth_tables import stimuli_of

RESPONSE, BEYOND = "response", "response beyond stimuli"

Array = NDArray[Any]


class Samples(NamedTuple):
    """Trials of a recording, life after life: n trials of S steps or bins of them, U units that decide."""

    activity: Array  # (n, S, U)
    lives: Array  # (n,)
    kinds: Array  # (n,) types of trials
    labels: dict[str, Array]  # name -> (n,)


def samples_of(recording: Recording, tables: Mapping[str, str], trials: range | None = None, width: int = 1) -> Samples:
    """Return the `trials` (None: all) of each life with the labels of `labels_of`, and the units that decide.

    Those are units that no task clamps and that are not read as the response. Activity is its mean over bins of `width`
    steps, of which the last may have fewer. UserError for trials not recorded.
    """
    wanted = {} if trials is None else {"trial": trials}
    roles = sorted(set(recording.labels["unit"].tolist()) - {*CLAMPED, "response"})
    rates = recording["rates"].select(unit=roles, **wanted)
    chosen = np.isin(recording.labels["trial"], rates.labels["trial"])
    labels = {name: of[:, chosen].reshape(-1) for name, of in labels_of(recording, tables).items()}
    lives, count, steps, units = rates.values.shape
    activity = binned(rates.values.reshape(-1, steps, units), width)
    kinds = recording["kinds"].values[:, chosen].reshape(-1)
    return Samples(activity, np.repeat(np.arange(lives), count), kinds, labels)


def binned(activity: Array, width: int) -> Array:
    """Return the means of activity (n, S, U) over bins of `width` steps, the last one of what is left."""
    if width == 1:
        return activity
    starts = np.arange(0, activity.shape[1], width)
    sizes = np.diff(starts, append=activity.shape[1]).astype(activity.dtype)
    means: Array = np.add.reduceat(activity, starts, axis=1) / sizes[:, None]
    return means


def labels_of(recording: Recording, tables: Mapping[str, str]) -> dict[str, Array]:
    """Return (L, T) labels 0 and 1: "stimulus 1", ..., "stimulus k" and "response", the one that was given.

    `tables` are the truth tables of a battery; of a task of stimuli in turn, a trial's type is their bits, the first
    one highest, and it was answered by its table's digit if correct. Each life must be of one task. Where a table leans
    to one digit, stimuli and response go together, and decoding one is decoding the other in part.
    UserError if the recording's task has no table among them, or trials have types that the table has not.
    """
    task, kinds = recording.about["task"], recording["kinds"].values
    if task not in tables:
        raise UserError(f"task {task!r} has no truth table, so its trials have no labels; record one of {list(tables)}")
    if kinds.min() < 0 or kinds.max() >= len(tables[task]):
        raise UserError(
            f"types of trials must be 0 to {len(tables[task]) - 1} as in the truth table of {task!r}, "
            f"got {kinds.min()} to {kinds.max()}; give the tables of the run that was recorded"
        )
    stimuli = stimuli_of(tables[task])
    labels = {f"stimulus {number + 1}": kinds >> (stimuli - 1 - number) & 1 for number in range(stimuli)}
    correct = recording["scores"].select(score="correct").values[..., 0] > 0.5
    target = np.array([int(digit) for digit in tables[task]])[kinds]
    return labels | {RESPONSE: np.where(correct, target, 1 - target)}


def early_and_late(recording: Recording, count: int) -> tuple[range, range]:
    """Return the first and the last `count` trials that are recorded; UserError if there are not twice as many."""
    recorded = recording.labels["trial"]
    if not 1 <= count <= len(recorded) // 2:
        most = f"{len(recorded) // 2} trials each, as {len(recorded)} are recorded"
        raise UserError(f"early and late must be 1 to {most}, got {count}; choose fewer or record more")
    first, last = int(recorded[0]), int(recorded[-1])
    return range(first, first + count), range(last + 1 - count, last + 1)
