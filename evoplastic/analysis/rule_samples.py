"""What a rule saw and what it wrote, sample by sample, from a recording: followed synapses in steps in which it acts.

    change    = P after the step - P before it
    x         = what the sending unit sent in the step before, 0 at birth; y = what the receiving unit sends now
    E[x y]   <- (1 - k) E[x y] + k x y               k = dt / trace_tau, of the rule that was recorded
    E[x xi]  <- (1 - k) (E[x xi] + x xi)             xi the noise; or E + x xi, 0 when a trial begins

A sample is a synapse in a step in which a third factor acts or any weight changes. Left out, and counted: weights
within BOUNDED of their bound before or after the step and changes so near the largest at a time, which the terms of
the rule do not give; trials of the rule's burn-in; steps whose past was not recorded; and of more than MOST_SAMPLES the
rest, by whole trials of synapses.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from evoplastic.recordings import Recording
from evoplastic.tasks.contract import LOSS

MOST_SAMPLES = 200_000
BOUNDED = 0.99
WARM_UP = 7.0  # time constants after which what a trace began with is less than a thousandth
_GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)  # its multiples, mod 1, are spread evenly

Array = NDArray[np.float64]


class Trace(NamedTuple):
    """A trace that the rule may have."""

    symbol: str
    source: str  # "x y" or "x xi"
    share: float  # k; 0: of each trial alone, without decay

    def of(self, product: Array, steps: int) -> Array:
        """Return the trace (time, M) of products (time, M) in trials of so many steps."""
        if not self.share:
            return product.reshape(-1, steps, product.shape[1]).cumsum(axis=1).reshape(product.shape)
        kept = 1.0 - self.share
        filtered: Array = lfilter([self.share if self.source == "x y" else kept], [1.0, -kept], product, axis=0)
        return filtered

    def equation(self) -> str:
        """Return what the trace does in a step, in the notation of rules."""
        if not self.share:
            return f"{self.symbol} <- {self.symbol} + {self.source}, 0 when a trial begins"
        kept = f"{1.0 - self.share:.4g}"
        if self.source == "x y":
            return f"{self.symbol} <- {kept} {self.symbol} + {self.share:.4g} x y"
        return f"{self.symbol} <- {kept} ({self.symbol} + {self.source})"


class Known(NamedTuple):
    """What a recording says of its rule beside the numbers."""

    traces: tuple[Trace, ...]
    channels: tuple[str, ...]  # as they are written in terms
    burn_in: int  # trials
    bound: float  # of a weight
    clip: float  # of a change at a time


class Samples(NamedTuple):
    """Synapses in steps, those of a synapse of a life one after the other: (n,), or (n, channels) and (n, traces)."""

    x: Array
    y: Array
    weight: Array  # P before the step
    modulators: Array
    traces: Array
    change: Array
    place: NDArray[np.int64]  # in time, with a gap between synapses
    still: NDArray[np.int64]  # steps right before and after in which no third factor acts and no weight changes
    block: NDArray[np.int64]


def known_of(recording: Recording) -> Known:
    """Return what a recording says of its rule, or of the parts of it."""
    rule, channels = recording.about["rule"], recording.labels["channel"].tolist()
    rules = list(rule.get("parts", {"": rule}).values())
    dt_ms, traced = recording.about["network"]["dt_ms"], [part for part in rules if "trace_tau_ms" in part]
    shares = {0.0 if part.get("trace") == "trial" else dt_ms / part["trace_tau_ms"] for part in traced}
    sources = ["x y", "x xi"] if recording["noise"].values.any() else ["x y"]
    traces = [
        Trace(f"E{number if len(shares) > 1 else ''}[{source}]", source, share)
        for number, share in enumerate(sorted(shares), 1)
        for source in sources
    ]
    return Known(
        tuple(traces),
        ("m",) if len(channels) == 1 else tuple(channels),
        max(part.get("burn_in_trials", 0) for part in rules),
        min(part.get("bound", np.inf) for part in rules),
        min(part.get("clip", np.inf) for part in rules),
    )


def samples_of(recording: Recording, known: Known, runs: int) -> tuple[Samples, dict[str, int]]:
    """Return the samples of a recording, a block for each of `runs` runs of trials of a life, and how many are not."""
    left_out: dict[str, int] = {}
    lives = range(len(recording["followed"].values))
    parts = [_of_life(recording, known, life, runs, left_out) for life in lives]
    return Samples(*(np.concatenate(each) for each in zip(*parts))), left_out


def _of_life(recording: Recording, known: Known, life: int, runs: int, left_out: dict[str, int]) -> Samples:
    """Return the samples of a life, and count those that are left out."""
    lives, trials, steps, synapses = recording["followed"].values.shape
    pre, post = recording["synapses"].values.T
    rates, weight = _by_time(recording, "rates", life), _by_time(recording, "followed", life)
    sent, sends = _before(recording, rates)[:, pre], rates[:, post]
    earlier = np.vstack([np.zeros((1, synapses)), weight[:-1]])
    earlier[_past(recording) == 0] = np.nan
    modulators = _by_time(recording, "modulators", life)
    products = {"x y": sent * sends, "x xi": sent * _by_time(recording, "noise", life)[:, post]}
    traces = [trace.of(products[trace.source], steps) for trace in known.traces]
    idle = np.pad(~np.hstack([modulators, weight - earlier]).any(axis=1), 1)
    used = _used(recording, known, life, earlier, weight, left_out)
    kept = used & np.repeat(
        _thinned(used.reshape(trials, steps, synapses).sum(axis=1), MOST_SAMPLES // lives), steps, 0
    )
    left_out["thinned"] = left_out.get("thinned", 0) + int((used & ~kept).sum())
    synapse, time = np.nonzero(kept.T)
    at = time, synapse
    return Samples(
        x=sent[at],
        y=sends[at],
        weight=earlier[at],
        modulators=modulators[time],
        traces=np.column_stack([np.empty((len(time), 0)), *(trace[at] for trace in traces)]),
        change=weight[at] - earlier[at],
        place=(life * synapses + synapse) * (len(rates) + 1) + time,
        still=(idle[:-2].astype(np.int64) + idle[2:])[time],
        block=life * runs + time // steps * runs // trials,
    )


def _by_time(recording: Recording, name: str, life: int) -> Array:
    """Return an array of a life with its trials one after the other, (time, places)."""
    values = recording[name].values[life]
    return np.asarray(values, np.float64).reshape(values.shape[0] * values.shape[1], values.shape[2])


def _before(recording: Recording, rates: Array) -> Array:
    """Return what units (time, N) sent in the step before: nothing at birth, or when activity was put to rest."""
    before = np.vstack([np.zeros_like(rates[:1]), rates[:-1]])
    if recording.about["reset_activity"]:
        before[:: recording["rates"].values.shape[2]] = 0.0
    return before


def _past(recording: Recording) -> Array:
    """Return how many steps before each one (time,) are recorded without a gap; infinite from birth on."""
    trials, steps = recording.labels["trial"], recording["rates"].values.shape[2]
    first = np.concatenate([[True], np.diff(trials) != 1])  # of trials that follow on each other
    place = np.arange(len(trials))
    since = place - np.maximum.accumulate(np.where(first, place, 0))
    past: Array = (since[:, None] * steps + np.arange(steps)).astype(np.float64)
    past[trials == trials[0] + place] += np.inf if trials[0] == 0 else 0.0
    return past.reshape(-1)


def _used(
    recording: Recording, known: Known, life: int, earlier: Array, weight: Array, left_out: dict[str, int]
) -> NDArray[np.bool_]:
    """Return which synapses in which steps (time, M) are samples, and count the others by their first reason."""
    steps, trials = recording["rates"].values.shape[2], recording.labels["trial"]
    change, modulators = weight - earlier, _by_time(recording, "modulators", life)
    forgotten = [1.0, *(1.0 + WARM_UP / trace.share if trace.share else steps for trace in known.traces)]
    reasons = {
        "burn-in": np.repeat(trials < known.burn_in, steps),
        "nothing acts": ~np.hstack([modulators, change]).any(axis=1),
        "life ended": np.repeat(~np.isfinite(recording["scores"].values[life, :, LOSS]), steps),
        "past not recorded": _past(recording) < max(forgotten),
        "weight at its bound": np.maximum(np.abs(earlier), np.abs(weight)) >= BOUNDED * known.bound,
        "largest change": np.abs(change) >= BOUNDED * known.clip,
    }
    used = np.ones(change.shape, bool)
    for reason, here in reasons.items():
        out = used & here.reshape(len(change), -1)
        left_out[reason] = left_out.get(reason, 0) + int(out.sum())
        used &= ~out
    return used


def _thinned(counts: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Return which trials of which synapses (T, M) to keep for about `most` samples, given how many each has.

    They are spread evenly, in step with no period that trials or synapses may have.
    """
    if counts.sum() <= most:
        return np.ones(counts.shape, bool)
    number = max(1, int(counts.size * most / counts.sum()))
    kept = np.zeros(counts.size, bool)
    kept[(np.arange(number) * _GOLDEN % 1.0 * counts.size).astype(np.int64)] = True
    return kept.reshape(counts.shape)
