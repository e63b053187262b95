"""The effective rule of each group of synapses, where a genome holds coefficients that differ between groups.

One regression over all synapses then finds no common coefficient, and names nothing. Synapses of one projection, or
onto one type of unit, do share theirs: each such group is read by itself. Coefficients of each unit or synapse leave
too few samples for that, and are told as they are set, by their quartiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.analysis.rule_reading import READ, Reading, read_rule
from evoplastic.errors import UserError
from evoplastic.genome import Sharing
from evoplastic.networks.roles import CLAMPED
from evoplastic.problems.lifetimes import Lifetimes
from evoplastic.recordings import Recording
from evoplastic.rules.coefficients import coefficients_in

READABLE: tuple[Sharing, ...] = ("cell_type", "projection")  # the finer of two can be read for both
FEWEST = 10  # samples, for each term that there may be


class Quartiles(NamedTuple):
    """A coefficient as it is set, over synapses onto free units, or over these units."""

    name: str
    sharing: Sharing
    low: float
    median: float
    high: float

    def __str__(self) -> str:
        one = {"cell_type": "type of unit", "neuron": "unit"}.get(self.sharing, self.sharing)
        return f"{self.name} {self.median:.3g} (quartiles {self.low:.3g} and {self.high:.3g}, one for each {one})"


@dataclass(frozen=True)
class Grouped:
    """What is set, and what of it is seen in each group of synapses."""

    as_set: Sequence[Quartiles]  # coefficients that differ
    readings: Mapping[str, Reading]  # by group, such as "hidden -> response"; none where each unit or synapse differs
    unread: Mapping[str, str]  # by group, why it has no reading

    def sentences(self) -> list[str]:
        """Return in sentences what is set, and which groups could be read."""
        said = [f"Coefficients differ between synapses; as they are set: {'; '.join(map(str, self.as_set))}."]
        if not self.readings and not self.unread:
            return said
        read = [name for name, reading in self.readings.items() if reading.verdict == READ]
        of = len(self.readings) + len(self.unread)
        said.append(f"As it is seen in each group of synapses by itself: {len(read)} of {of} groups can be read.")
        others = {name: reading.verdict for name, reading in self.readings.items() if reading.verdict != READ}
        others |= self.unread
        return said + ([f"Others: {', '.join(f'{name} ({why})' for name, why in others.items())}."] if others else [])

    def rows(self) -> list[tuple[str, ...]]:
        """Return the table of terms by group, header first; nothing where no group is read."""
        rows = [
            (name, _also(each.name, reading), f"{each.coefficient:.4g}", f"{each.error:.2g}")
            for name, reading in self.readings.items()
            for each in reading.terms
        ]
        return [("synapses", "term", "coefficient", "standard error"), *rows] if rows else []

    def to_json(self) -> dict[str, Any]:
        """Return it in JSON's words."""
        readings = {name: reading.to_json() for name, reading in self.readings.items()}
        return asdict(self) | {"as_set": [each._asdict() for each in self.as_set], "readings": readings}


def grouped_rule(recording: Recording, problem: Lifetimes, genes: NDArray[np.float64]) -> Grouped | None:
    """Return the rule of each group of synapses; None if all synapses share the coefficients that the genome holds."""
    held = {name: each.sharing for name, each in problem.settings.genome.rule.items() if each.sharing != "scalar"}
    if not held:
        return None
    values = coefficients_in(problem.layout.unpack(genes))
    free = ~np.isin(recording.labels["unit"], CLAMPED)
    as_set = [_quartiles(name, sharing, values[name][:, free]) for name, sharing in held.items()]
    sharings = set(held.values())
    if not sharings <= set(READABLE):
        return Grouped(as_set, {}, {})
    return Grouped(as_set, *read_groups(recording, "projection" if "projection" in sharings else "cell_type"))


def read_groups(recording: Recording, sharing: Sharing) -> tuple[dict[str, Reading], dict[str, str]]:
    """Return the reading of each group of the followed synapses, by name, and of others why there is none."""
    readings, unread = {}, {}
    names = _groups(recording, sharing)
    for name in sorted(set(names)):
        try:
            reading = read_rule(_only(recording, np.array([each == name for each in names])))
        except UserError:
            unread[name] = "too few samples"
            continue
        if reading.explained is not None and reading.samples < FEWEST * len(reading.dictionary):
            unread[name] = "too few samples"
        else:
            readings[name] = reading
    return readings, unread


def _groups(recording: Recording, sharing: Sharing) -> list[str]:
    """Return the group of each followed synapse, (M,)."""
    roles = recording.labels["unit"]
    pre, post = roles[recording["synapses"].values].T.tolist()
    senders = pre if sharing == "projection" else ["all"] * len(post)
    return [f"{sender} -> {receiver}" for sender, receiver in zip(senders, post)]


def _only(recording: Recording, chosen: NDArray[np.bool_]) -> Recording:
    """Return the recording with these of the followed synapses (M,) alone."""
    arrays = {**recording.arrays, "followed": recording["followed"].values[..., chosen]}
    arrays["synapses"] = recording["synapses"].values[chosen]
    return Recording(arrays, {**recording.labels, "synapse": np.arange(chosen.sum())}, recording.about)


def _quartiles(name: str, sharing: Sharing, values: NDArray[np.float64]) -> Quartiles:
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return Quartiles(name, sharing, low, median, high)


def _also(name: str, reading: Reading) -> str:
    """Return a term with those that no sample of this group tells from it."""
    others = [other for other, stands in reading.alike.items() if stands == name]
    return f"{name} (or {', '.join(others)})" if others else name
