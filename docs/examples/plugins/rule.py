"""A rule with a trace of its own: P <- P + eta m E, where E remembers the best product x y of late.

E <- max(x y, keep E), every step
"""

from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import pack
from evoplastic.numbers import flush
from evoplastic.rules.contract import Account, RuleSettings


class PeakSettings(RuleSettings, frozen=True, kw_only=True, tag="peak"):
    """Writes the largest product of the last steps when a third factor comes."""

    evolvable: ClassVar = {"eta": "scalar"}
    account: ClassVar = Account(
        equation="P <- P + eta m E;  E <- max(x y, keep E)",
        latex=r"P \leftarrow P + \eta\, m\, E, \qquad E \leftarrow \max(x y, \mathrm{keep}\, E)",
        symbols={"P": "the plastic weight", "E": "the trace", "m": "the third factor"},
        state=("trace",),
    )
    eta: float = 0.05
    keep: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.9

    def build(self, around, values) -> "Peak":
        return pack(Peak(eta=values["eta"][0, 0] if "eta" in values else self.eta, keep=self.keep))


class Trace(NamedTuple):
    trace: NDArray  # (N, W) [pre, post]


class Peak(NamedTuple):
    eta: float
    keep: float

    def newborn(rule, network, steps):
        return Trace(np.zeros_like(network.innate))

    def begin_exploring(rule, state, key, trial, age, steps):
        pass

    def explore(rule, state, step, activity):
        pass

    def accumulate(rule, state, step, activity):
        trace = state.trace
        for pre in range(trace.shape[0]):
            for post in range(trace.shape[1]):
                product = activity.before[pre] * activity.rates[post]
                trace[pre, post] = flush(max(product, rule.keep * trace[pre, post]))

    def continual(rule):
        return False

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        factor = rule.eta * modulators[0]
        for pre in range(plastic.shape[0]):
            for post in range(plastic.shape[1]):
                plastic[pre, post] = flush(plastic[pre, post] + factor * state.trace[pre, post])
        return True


RULES = {"peak": PeakSettings}
