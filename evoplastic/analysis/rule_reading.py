"""The effective rule, read from a recording: which terms of rates, weight, third factor and traces made weights change.

    dP = sum over terms of c * [m] * x^a y^b P^d   a, b <= 2, d <= 1,   or   c * [m] * E

x, y, P and E are those of `rule_samples`, m a third factor or, for a term without, 1. One coefficient holds for all
synapses, lives and times. The terms are those of `regression.sparse_fit`. A rule is not in the dictionary, and no term
is named, where they explain less than ENOUGH of the variance of blocks left out, or where more than SYSTEMATIC of the
squared changes is left that errors of measuring weights cannot make: then something hidden moves them too, such as
slow stores, thresholds, or coefficients that differ between synapses. Source of the approach: Brunton, Proctor,
Kutz 2016, Discovering governing equations from data by sparse identification, PNAS 113, 3932.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.analysis.regression import Estimate, Fit, beyond_noise, sparse_fit
from evoplastic.analysis.rule_samples import Known, Samples, known_of, samples_of
from evoplastic.errors import UserError
from evoplastic.files import plain
from evoplastic.recordings import Recording

ENOUGH = 0.9  # held-out R^2 from which on terms are named
SYSTEMATIC = 1e-4  # share; a term counts from a tenth of that on
READ, UNREAD, STILL = "in the dictionary", "not in the dictionary", "no weight changed"
BLOCKS = 10  # at least; a life each, or some trials of a life where there are fewer lives
FEWEST_BLOCKS = 5

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """What a recording says of its rule."""

    verdict: str
    equation: str  # "" unless the rule is in the dictionary; no terms and no condition either
    terms: tuple[Estimate, ...]
    condition: float | None  # number of the columns of these terms, each at a root mean square of 1
    explained: float | None  # R^2 of blocks left out
    systematic: float | None  # share of the squared changes that is left and is no noise
    dictionary: tuple[str, ...]
    dictionary_condition: float | None  # number of all columns
    alike: Mapping[str, str]  # terms that no sample tells from an earlier one, which stands for both
    samples: int
    left_out: Mapping[str, int]  # samples, by reason
    blocks: int
    block_is: str  # "life" or "trials of a life"

    def to_json(self) -> dict[str, Any]:
        """Return the reading in JSON's words."""
        terms = [term._asdict() for term in self.terms]
        return dict(plain(asdict(self) | {"terms": terms}))


class _Term(NamedTuple):
    gate: int  # channel, -1 for a term without
    pre: int = 0
    post: int = 0
    weight: int = 0
    trace: int = -1  # -1 for a term without


def read_rule(recording: Recording) -> Reading:
    """Return the effective rule of a recording; UserError where weights change in too few blocks of trials."""
    lives, synapses, known = len(recording["followed"].values), len(recording["synapses"].values), known_of(recording)
    runs = -(-BLOCKS // lives)  # of trials, of a life
    samples, left_out = samples_of(recording, known, runs)
    changed, blocks = bool(samples.change.any()), len(np.unique(samples.block))
    moved = changed or bool(np.ptp(recording["followed"].values, axis=(1, 2)).any())
    if not synapses or (moved and blocks < FEWEST_BLOCKS):
        raise UserError(
            f"a rule is read from synapses whose weights change in {FEWEST_BLOCKS} blocks of trials or more, got "
            f"{synapses} synapses and {blocks} blocks; record more with --synapses, --trials or --lives"
        )
    terms = _dictionary(known)
    names = tuple(_name(term, known) for term in terms)
    fit = sparse_fit(_columns(samples, terms), names, samples.change, samples.block) if changed else None
    systematic = _systematic(samples, dict(zip(names, terms)), fit) if fit else None
    named = fit if fit and systematic is not None and fit.explained >= ENOUGH and systematic <= SYSTEMATIC else None
    return Reading(
        verdict=READ if named else UNREAD if fit else STILL,
        equation=_equation(named, known) if named else "",
        terms=named.terms if named else (),
        condition=named.condition if named else None,
        explained=fit.explained if fit else None,
        systematic=systematic,
        dictionary=names,
        dictionary_condition=fit.dictionary_condition if fit else None,
        alike=fit.alike if fit else {},
        samples=len(samples.change),
        left_out=left_out,
        blocks=blocks,
        block_is="life" if runs == 1 else "trials of a life",
    )


def _systematic(samples: Samples, terms: Mapping[str, _Term], fit: Fit) -> float:
    """Return the share of the changes that a fit leaves and that is neither noise nor rounding of weights."""
    columns = _columns(samples, [terms[each.name] for each in fit.terms])
    left = samples.change - columns @ np.array([each.coefficient for each in fit.terms])
    share = beyond_noise(left, samples.change, samples.place, samples.still)
    rounding = np.sum(np.spacing(samples.weight.astype(np.float32)).astype(np.float64) ** 2) / 6.0
    return float(max(share - rounding / np.sum(samples.change**2), 0.0))


def _dictionary(known: Known) -> list[_Term]:
    """Return all terms, simple ones first: of two that no sample tells apart the first stands for both."""
    gates = range(-1, len(known.channels))
    powers = [_Term(gate, a, b, d) for gate in gates for a in range(3) for b in range(3) for d in range(2)]
    traced = [_Term(gate, trace=trace) for gate in gates for trace in range(len(known.traces))]
    return sorted(powers + traced, key=lambda term: (term.gate, sum(term[1:4]) + 2 * (term.trace >= 0)))


def _columns(samples: Samples, terms: Sequence[_Term]) -> Array:
    """Return what each term, with a coefficient of 1, would add to the weight of each sample, (n, terms)."""
    columns = np.empty((len(samples.change), len(terms)))
    for number, term in enumerate(terms):
        product = samples.x**term.pre * samples.y**term.post * samples.weight**term.weight
        product *= samples.traces[:, term.trace] if term.trace >= 0 else 1.0
        columns[:, number] = product * (samples.modulators[:, term.gate] if term.gate >= 0 else 1.0)
    return columns


def _name(term: _Term, known: Known) -> str:
    """Return a term as rules write it: m x y^2 P."""
    powers = {"x": term.pre, "y": term.post, "P": term.weight}
    shown = [known.channels[term.gate]] if term.gate >= 0 else []
    shown += [symbol if power == 1 else f"{symbol}^{power}" for symbol, power in powers.items() if power]
    shown += [known.traces[term.trace].symbol] if term.trace >= 0 else []
    return " ".join(shown) or "1"


def _equation(fit: Fit, known: Known) -> str:
    """Return the rule in the notation of rules, with numbers."""
    signed = [
        ("-" if each.coefficient < 0 else "+", f"{abs(each.coefficient):.4g} {each.name}".removesuffix(" 1"))
        for each in fit.terms
    ]
    if np.isfinite(known.clip):
        first = "-" if signed[0][0] == "-" else ""
        change = f"+ clip({first}{' '.join(' '.join(pair) for pair in signed)[2:]})"
    else:
        change = " ".join(" ".join(pair) for pair in signed)
    rule = f"P <- clip(P {change})" if np.isfinite(known.bound) else f"P <- P {change}"
    traces = [trace.equation() for trace in known.traces if any(trace.symbol in each.name for each in fit.terms)]
    return ";  ".join([rule, *traces])
