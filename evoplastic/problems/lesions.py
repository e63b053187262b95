"""Lesions of one evolved genome: what is taken away, and everything else kept.

A lesion changes developed values (innate weights, gains) or the body that lives (network, rule, modulation, task);
only numbers change, so no lesion compiles a kernel anew. A new one is a function and a line in LESIONS, or in GRADED if
it has a degree, such as `units_cut=0.1`. Lesions of the body set fields that the contracts of modulation and tasks
promise for every modulation and task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.problems.changes import Change, change_called, parts_of
from evoplastic.problems.contract import INTACT, PLASTICITY_OFF
from evoplastic.random import permutation

Values = dict[str, NDArray[np.float64]]  # block name -> (N, N) [pre, post]


class Body(NamedTuple):
    """What lives one lifetime, packed."""

    network: Any
    rule: Any
    modulation: Any
    task: Any


class Context(NamedTuple):
    """What a lesion of values may look at."""

    initial: Values  # of the genome's own first genes
    projections: NDArray[np.int64]  # (N, N): number of the projection (type to type) of each synapse
    hidden: NDArray[np.int64]  # units that neither the task nor a modulation clamps or reads
    key: np.uint64  # for shuffles


class Lesion(NamedTuple):
    summary: str
    values: Callable[[Values, Context], Values] = lambda values, context: values
    body: Callable[[Body], Body] = lambda body: body


def _plasticity_off(values: Values, context: Context) -> Values:
    return values | {"gain": np.zeros_like(values["gain"])}


def _gains_uniform(values: Values, context: Context) -> Values:
    """Give synapses the mean of their gains, but those that alone are born unplastic, with a gain of 0."""
    born = np.abs(context.initial["gain"]) > 1e-12  # bounds turn 0 into a rounding error
    plastic = born if born.any() else ~born
    return values | {"gain": np.where(plastic, values["gain"][plastic].mean(), values["gain"])}


def _gains_shuffled(values: Values, context: Context) -> Values:
    """Permute the sizes of gains within each projection; every synapse keeps its sign."""
    gain = values["gain"].copy()
    sizes = np.abs(gain)
    order = permutation(context.key, gain.size).reshape(gain.shape)
    for projection in np.unique(context.projections):
        inside = context.projections == projection
        sizes[inside] = sizes[inside][np.argsort(order[inside], kind="stable")]
    return values | {"gain": np.where(gain < 0, -sizes, sizes)}


def _weights_shuffled(values: Values, context: Context) -> Values:
    innate = values["innate"]
    return values | {"innate": innate.ravel()[permutation(context.key, innate.size)].reshape(innate.shape)}


def _initial_weights(values: Values, context: Context) -> Values:
    return values | {"innate": context.initial["innate"]}


def _feedback_cut(body: Body) -> Body:
    levels = body.task.levels._replace(feedback=np.float32(0.0))
    return body._replace(task=body.task._replace(levels=levels))


def _modulation_cut(body: Body) -> Body:
    return body._replace(modulation=body.modulation._replace(strength=np.float32(0.0)))


def _feedback_shuffled(body: Body) -> Body:
    return body._replace(task=body.task._replace(shuffled=np.int64(1)))


def _activity_reset(body: Body) -> Body:
    return body._replace(task=body.task._replace(reset_activity=np.int64(1)))


def _units_cut(change: Change) -> Lesion:
    """Silence a share of the hidden units, drawn anew for each life: nothing leaves them, nothing reaches them."""
    if change.scales or not 0.0 <= change.number <= 1.0:
        raise UserError(f"units_cut is a share of the hidden units, such as units_cut=0.1, got {change.number:g}")

    def cut(values: Values, context: Context) -> Values:
        count = round(change.number * len(context.hidden))
        lost = context.hidden[permutation(context.key, len(context.hidden))[:count]]
        cut = {name: values[name].copy() for name in ("innate", "gain")}
        for matrix in cut.values():
            matrix[lost] = 0.0
            matrix[:, lost] = 0.0
        return values | cut

    return Lesion("a share of the hidden units silent", values=cut)


LESIONS = {
    INTACT: Lesion("the genome as it is"),
    PLASTICITY_OFF: Lesion(
        "all gains 0: plastic weights do nothing, adapting thresholds go on", values=_plasticity_off
    ),
    "gains_uniform": Lesion("gains of all synapses that are born plastic their mean", values=_gains_uniform),
    "gains_shuffled": Lesion("gains shuffled within each projection, signs kept", values=_gains_shuffled),
    "weights_shuffled": Lesion("innate weights shuffled over all synapses", values=_weights_shuffled),
    "initial_weights": Lesion("innate weights as first drawn from the seed, evolved gains", values=_initial_weights),
    "feedback_cut": Lesion("feedback units silent, third factor kept", body=_feedback_cut),
    "modulation_cut": Lesion("third factor 0, feedback units kept", body=_modulation_cut),
    "feedback_shuffled": Lesion("feedback and third factor from a random earlier trial", body=_feedback_shuffled),
    "activity_reset": Lesion("activity at rest before every trial", body=_activity_reset),
}

GRADED: dict[str, Callable[[Change], Lesion]] = {"units_cut": _units_cut}


def lesions_called(text: str) -> list[Lesion]:
    """Return the lesions that a condition names, one after the other; its changes of settings are none of them."""
    changes = {part: change_called(part) for part in parts_of(text)}
    graded = [GRADED[change.key](change) for change in changes.values() if change and change.key in GRADED]
    return [LESIONS[part] for part, change in changes.items() if change is None] + graded
