"""Rules that are sums of terms: one compiled type for every rule whose change is a polynomial of local quantities.

    E <- (1 - k) E + k x y,  k = dt / trace_tau, every step; only where a term has e = 1   [pre, post]
    P <- clip(P + sum over terms of c * m * x^a * y^b * P^d * E^e, -bound, +bound)         with this step's E
    x  = what the sending unit sent in the step before, y = what the receiving unit sends now
    x, y less their running means, u <- u + (dt / mean_tau) (x - u), where the rule is centered

m is a third factor, or 1 for a term without. A row of numbers is a term and a coefficient c has a value for a rule, a
unit or a synapse, so rules are data: none compiles anything anew.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel
from evoplastic.numbers import flush

PRE, POST, WEIGHT, TRACE, CHANNEL = range(5)  # columns of `powers`; CHANNEL names the third factor
UNGATED = -1  # the channel of a term without a third factor
MOST_POWER = 4  # of x and y

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)


class Memory(NamedTuple):
    trace: NDArray  # (N, W) [pre, post], E; (0, W) for a rule without
    means: NDArray  # (2, W): running means of x and y
    local: NDArray  # (2, W): this step's x and y, as the rule sees them
    powers: NDArray  # (5, W) scratch: y^0 to y^4
    sums: NDArray  # (4, W) scratch: what the terms with x^a P^d add up to, at a + 2 d
    change: NDArray  # (W,) scratch: of a row of synapses


class Terms(NamedTuple):
    coefficients: NDArray  # (terms, 1, W), or (terms, N, W) where one differs between synapses of a unit; padded by 0
    powers: NDArray  # (terms, 5) int64: a, b, d, e, channel
    bound: float
    mixing: float  # k of the trace
    following: float  # dt / mean_tau, 0 for a rule that is not centered
    burn_in: int  # trials
    every_step: int  # 1: may write at every step, 0: when a third factor comes
    traced: int  # 1: a term has a trace
    affine: int  # 1: c is one for all synapses of a unit, and either all terms have a trace or none and a, d <= 1

    def newborn(rule, network, steps):
        units, width = network.innate.shape
        return Memory(
            np.zeros((units if rule.traced else 0, width), np.float32),
            np.zeros((2, width), np.float32),
            np.zeros((2, width), np.float32),
            np.ones((MOST_POWER + 1, width), np.float32),
            np.zeros((4, width), np.float32),
            np.zeros(width, np.float32),
        )

    def begin_exploring(rule, state, key, trial, age, steps):
        pass

    def explore(rule, state, step, activity):
        pass

    def accumulate(rule, state, step, activity):
        see(rule, state, activity)
        if rule.traced:
            follow(state.trace, state.local[0], state.local[1], rule.mixing)

    def continual(rule):
        return rule.every_step != 0

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        if age < rule.burn_in or not awake(rule, modulators):
            return False
        if rule.affine:
            add_affine(rule, state, plastic, modulators)
        else:
            add_terms(rule, state, plastic, modulators)
        return True


@kernel
def see(rule, state, activity):
    """Write what the rule sees of this step's rates to `state.local`, and let the means follow."""
    sent, sends = state.local[0], state.local[1]  # unpacked as a pair they would not vectorise
    for unit in range(sent.shape[0]):
        sent[unit] = activity.before[unit] - state.means[0, unit]
        sends[unit] = activity.rates[unit] - state.means[1, unit]
        if rule.following > _ZERO:
            state.means[0, unit] = flush(state.means[0, unit] + rule.following * sent[unit])
            state.means[1, unit] = flush(state.means[1, unit] + rule.following * sends[unit])


@kernel
def factor_of(rule, term, modulators):
    """Return the third factor of a term, 1 for a term without."""
    channel = rule.powers[term, CHANNEL]
    return _ONE if channel < 0 else modulators[channel]


@kernel
def awake(rule, modulators):
    """Return whether any term has a third factor that is not 0."""
    found = False
    for term in range(rule.powers.shape[0]):
        found |= factor_of(rule, term, modulators) != _ZERO
    return found


@kernel
def power(base, exponent):
    """Return base^exponent by repeated products, 1 for an exponent of 0."""
    product = _ONE
    for _ in range(exponent):
        product *= base
    return product


@kernel
def within(x, bound):
    """Return x between -bound and bound; NaN stays NaN."""
    x = bound if x > bound else x
    return flush(-bound if x < -bound else x)


@kernel
def add_affine(rule, state, plastic, modulators):
    """P += sums[0] + x sums[1] + (sums[2] + x sums[3]) P, or P += sums[0] E, the sums being over terms of c m y^b.

    A few vectors stand for all terms, made once a step; a silent sender is passed over if x stands in every term.
    """
    sums, change = state.sums, state.change
    sums[:] = _ZERO
    resting, linear = False, False
    for term in range(rule.powers.shape[0]):
        factor = factor_of(rule, term, modulators)
        if factor != _ZERO:
            a, d = rule.powers[term, PRE], rule.powers[term, WEIGHT]
            resting, linear = resting or a == 0, linear or d == 1
            for post in range(change.shape[0]):
                change[post] = factor * rule.coefficients[term, 0, post]
            for _ in range(rule.powers[term, POST]):
                for post in range(change.shape[0]):
                    change[post] *= state.local[1, post]
            for post in range(change.shape[0]):
                sums[a + 2 * d, post] += change[post]
    if rule.traced:
        for post in range(change.shape[0]):
            change[post] = flush(sums[0, post])
        write_traced(plastic, state.trace, change, rule.bound)
    elif linear:
        write_linear(plastic, state.local[0], sums, rule.bound, resting)
    else:
        write_constant(plastic, state.local[0], sums, rule.bound, resting)


@kernel
def add_terms(rule, state, plastic, modulators):
    """P += sum over terms of c m x^a y^b P^d E^e, term by term for the synapses of one sending unit."""
    change = state.change
    for b in range(1, MOST_POWER + 1):
        for post in range(change.shape[0]):
            state.powers[b, post] = state.powers[b - 1, post] * state.local[1, post]
    for pre in range(plastic.shape[0]):
        row, sent = plastic[pre], state.local[0, pre]
        change[:] = _ZERO
        for term in range(rule.powers.shape[0]):
            scale = factor_of(rule, term, modulators) * power(sent, rule.powers[term, PRE])
            if rule.powers[term, TRACE]:
                add_term(change, scale, row_of(rule, term, pre), state.trace[pre], row, 0)
            else:
                sends = state.powers[rule.powers[term, POST]]
                add_term(change, scale, row_of(rule, term, pre), sends, row, rule.powers[term, WEIGHT])
        for post in range(row.shape[0]):
            row[post] = within(row[post] + change[post], rule.bound)


@kernel
def follow(trace, sent, sends, share):
    """E <- (1 - share) E + share x y."""
    for pre in range(trace.shape[0]):
        row, x = trace[pre], share * sent[pre]
        for post in range(row.shape[0]):
            row[post] = flush(row[post] - share * row[post] + x * sends[post])


@kernel
def write_constant(plastic, sent, sums, bound, resting):
    """P <- clip(P + sums[0] + x sums[1])."""
    base, slope = sums[0], sums[1]
    for pre in range(plastic.shape[0]):
        row, x = plastic[pre], sent[pre]
        if resting or x != _ZERO:
            for post in range(row.shape[0]):
                row[post] = within(row[post] + (base[post] + x * slope[post]), bound)


@kernel
def write_linear(plastic, sent, sums, bound, resting):
    """P <- clip(P + sums[0] + x sums[1] + (sums[2] + x sums[3]) P)."""
    base, slope, kept, kept_slope = sums[0], sums[1], sums[2], sums[3]
    for pre in range(plastic.shape[0]):
        row, x = plastic[pre], sent[pre]
        if resting or x != _ZERO:
            for post in range(row.shape[0]):
                added = base[post] + x * slope[post] + (kept[post] + x * kept_slope[post]) * row[post]
                row[post] = within(row[post] + added, bound)


@kernel
def write_traced(plastic, trace, share, bound):
    """P <- clip(P + share E)."""
    for pre in range(plastic.shape[0]):
        row, along = plastic[pre], trace[pre]
        for post in range(row.shape[0]):
            row[post] = within(row[post] + share[post] * along[post], bound)


@kernel
def row_of(rule, term, pre):
    """Return a term's coefficients (W,) for the synapses of one sending unit."""
    return rule.coefficients[term, min(pre, rule.coefficients.shape[1] - 1)]


@kernel
def add_term(change, scale, coefficient, local, weights, exponent):
    """change += scale * coefficient * local * weights^exponent, all (W,)."""
    if scale == _ZERO:
        return
    if exponent == 0:
        for post in range(change.shape[0]):
            change[post] += scale * coefficient[post] * local[post]
    else:
        for post in range(change.shape[0]):
            change[post] += scale * coefficient[post] * local[post] * power(weights[post], exponent)
