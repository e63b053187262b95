"""A recording as a file: what moved in some lives of one genotype, step by step, as arrays with named axes.

An npz of arrays and one uint8 array `header`; L lives, T trials of S steps, N units, C third factors:

    rates            (L, T, S, N)  float32   outputs, with what the task clamps
    noise            (L, T, S, N)  float32   what the rule adds to potentials
    modulators       (L, T, S, C)  float32   third factors, 0 in steps in which none acts
    kinds            (L, T)        int64     types of trials
    scores           (L, T, 3)     float32   loss, correct, cost
    synapses         (M, 2)        int64     sending and receiving unit of the synapses that are followed
    followed         (L, T, S, M)  float32   their plastic weights, after each step
    weights          (L, K, N, N)  float32   all plastic weights [pre, post], after every `every`th recorded trial
    innate, gain     (L, N, N)     float32   what the plastic weights are added to, and scaled by

    header           JSON: format, version, content (SHA-256 of the other arrays), labels (axis -> one for each place),
                     about (run, genome, task, lesion, rule, modulation, times of events)

The labels of trials have a gap where only the first and last trials of a life were recorded.
`numpy.load(path)["rates"]` is all that a reader without this package needs. Nothing here is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError, nearest
from evoplastic.files import Migration, migrated, plain
from evoplastic.npz import content_sha256, npz_bytes, read_npz

FORMAT = "evoplastic.recording"
MIGRATIONS: dict[int, Migration] = {}  # version N of the header -> version N + 1
AXES = {
    "rates": ("life", "trial", "step", "unit"),
    "noise": ("life", "trial", "step", "unit"),
    "modulators": ("life", "trial", "step", "channel"),
    "kinds": ("life", "trial"),
    "scores": ("life", "trial", "score"),
    "synapses": ("synapse", "end"),
    "followed": ("life", "trial", "step", "synapse"),
    "weights": ("life", "sample", "pre", "post"),
    "innate": ("life", "pre", "post"),
    "gain": ("life", "pre", "post"),
}

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Labelled:
    """An array whose axes have names, and whose places along an axis have labels."""

    values: Array
    axes: tuple[str, ...]
    labels: Mapping[str, Array]  # axis -> (its length,): numbers or words, not always different from each other

    def select(self, **wanted: Any) -> Labelled:
        """Return the places whose labels are wanted, such as `unit="response"` or `trial=range(300, 400)`.

        No axis is dropped. UserError for an axis that is not there, or labels that no place has.
        """
        values, labels = self.values, dict(self.labels)
        for axis, which in wanted.items():
            if axis not in self.axes:
                raise UserError(f"axis {axis!r} is unknown; choose among {list(self.axes)}{nearest(axis, self.axes)}")
            several = np.asarray(which if isinstance(which, (list, tuple, range, np.ndarray)) else [which])
            missing = several[~np.isin(several, labels[axis])].tolist() if len(several) else [which]
            if missing:
                raise UserError(f"axis {axis!r} has no place labelled {missing[0]!r}")
            chosen = np.flatnonzero(np.isin(labels[axis], several))
            values = values.take(chosen, self.axes.index(axis))
            labels[axis] = labels[axis][chosen]
        return Labelled(values, self.axes, labels)


@dataclass(frozen=True, eq=False)
class Recording:
    """What was recorded, and of what."""

    arrays: Mapping[str, Array]  # those of AXES
    labels: Mapping[str, Array]  # by axis
    about: Mapping[str, Any]

    def __getitem__(self, name: str) -> Labelled:
        if name not in self.arrays:
            known = list(self.arrays)
            raise UserError(f"array {name!r} is not recorded; choose one of {known}{nearest(name, known)}")
        return Labelled(self.arrays[name], AXES[name], {axis: self.labels[axis] for axis in AXES[name]})

    def to_bytes(self) -> bytes:
        """Return the recording's file; equal recordings give equal bytes."""
        header = {
            "format": FORMAT,
            "version": len(MIGRATIONS) + 1,
            "content": content_sha256(self.arrays),
            "labels": {axis: labels.tolist() for axis, labels in self.labels.items()},
            "about": self.about,
        }
        text = json.dumps(plain(header), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return npz_bytes({**self.arrays, "header": np.frombuffer(text.encode(), np.uint8)})


def load_recording(path: str | Path) -> Recording:
    """Return the recording in `path`, arrays read-only; UserError unless they are exactly what was written."""
    path = Path(path)
    try:
        arrays = read_npz(path)
        if "header" not in arrays:
            raise ValueError("it has no header, so it is no recording")
        document = json.loads(arrays.pop("header").tobytes())
    except Exception as error:  # whatever the zip, npy and JSON readers raise, it is the file that is at fault
        raise _damaged(path, (str(error) or type(error).__name__).splitlines()[0]) from error
    header = migrated(document, FORMAT, MIGRATIONS, path)
    if header.get("content") != content_sha256(arrays):
        raise _damaged(path, "its content does not match its header")
    if not isinstance(header.get("about"), dict) or arrays.keys() != AXES.keys():
        raise _damaged(path, "it has other arrays than a recording, or says nothing about them")
    try:
        labels = {axis: np.array(header["labels"][axis]) for axes in AXES.values() for axis in axes}
        fits = all(array.shape == tuple(len(labels[axis]) for axis in AXES[name]) for name, array in arrays.items())
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise _damaged(path, "its arrays and its labels differ")
    return Recording(arrays, labels, header["about"])


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(f"recording {path} is damaged: {reason}; record the run anew")
