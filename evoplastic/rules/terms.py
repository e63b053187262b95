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

from evoplastic.jit import inlined_kernel, kernel
from evoplastic.numbers import flush
from evoplastic.rules.contract import NOTHING, SENT, WRITTEN, continual
from evoplastic.rules.writing import constant, damped, linear, write, write_traced

PRE, POST, WEIGHT, TRACE, CHANNEL = range(5)  # columns of `powers`; CHANNEL names the third factor
UNGATED = -1  # the channel of a term without a third factor
MOST_POWER = 4  # of x and y

_WRITES_PER_FLUSH = 16
_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)


class Memory(NamedTuple):
    trace: NDArray  # (N, W) [pre, post], E; (0, W) for a rule without
    means: NDArray  # (2, W): running means of x and y
    x: NDArray  # (W,): this step's, as the rule sees it
    powers: NDArray  # (5, W): y^0 to y^4, of this step's y; above y^1 made where they are needed
    sums: NDArray  # (4, W) scratch: what the terms with x^a P^d add up to, at a + 2 d
    change: NDArray  # (W,) scratch: of a row of synapses
    writes: NDArray  # (1,) int64: how often `add_affine` has written


class Terms(NamedTuple):
    coefficients: NDArray  # (terms, 1, W), or (terms, N, W) where one differs between synapses of a unit; padded by 0
    powers: NDArray  # (terms, 5) int64: a, b, d, e, channel
    bound: float
    mixing: float  # k of the trace
    following: float  # dt / mean_tau, 0 for a rule that is not centered
    burn_in: int  # trials
    every_step: int  # 1: may write at every step, 0: when a third factor comes
    traced: int  # 1: a term has a trace
    highest: int  # power of y in any term
    affine: int  # 1: c is one for all synapses of a unit, and either all terms have a trace or none and a, d <= 1

    def newborn(rule, network, steps):
        units, width = network.innate.shape
        return Memory(
            np.zeros((units if rule.traced else 0, width), np.float32),
            np.zeros((2, width), np.float32),
            np.zeros(width, np.float32),
            np.ones((MOST_POWER + 1, width), np.float32),
            np.zeros((4, width), np.float32),
            np.zeros(width, np.float32),
            np.zeros(1, np.int64),
        )

    def begin_exploring(rule, state, key, trial, age, steps):
        pass

    def explore(rule, state, step, activity):
        pass

    def accumulate(rule, state, step, activity):
        see(rule, state, activity)
        if rule.traced and not continual(rule):
            follow(state.trace, state.x, state.powers[1], rule.mixing)

    def continual(rule):
        return rule.every_step != 0

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        asleep = age < rule.burn_in or not awake(rule, modulators)
        if rule.affine and not asleep:
            add_affine(rule, state, network, activity, plastic, modulators)
            return SENT
        if rule.traced and continual(rule):
            follow(state.trace, state.x, state.powers[1], rule.mixing)
        if asleep:
            return NOTHING
        raise_powers(state.powers, rule.highest)
        add_terms(rule, state, plastic, modulators)
        return WRITTEN


@inlined_kernel
def see(rule, state, activity):
    """Write what the rule sees of this step's rates to `state`, and let the means follow; one loop each vectorises."""
    for unit in range(state.x.shape[0]):
        state.x[unit] = activity.before[unit] - state.means[0, unit]
    for unit in range(state.x.shape[0]):
        state.powers[1, unit] = activity.rates[unit] - state.means[1, unit]
    if rule.following > _ZERO:
        for unit in range(state.x.shape[0]):
            state.means[0, unit] = flush(state.means[0, unit] + rule.following * state.x[unit])
            state.means[1, unit] = flush(state.means[1, unit] + rule.following * state.powers[1, unit])


@inlined_kernel
def raise_powers(powers, highest):
    """Write y^2 to y^highest to the rows after y."""
    for b in range(2, highest + 1):
        for post in range(powers.shape[1]):
            powers[b, post] = powers[b - 1, post] * powers[1, post]


@inlined_kernel
def flush_now_and_then(state, plastic):
    """Flush weights and trace at every 16th write: what fades slower than 1e23 in between is never subnormal."""
    state.writes[0] += 1
    if state.writes[0] % _WRITES_PER_FLUSH == 0:
        flush_all(plastic)
        flush_all(state.trace)


@kernel
def flush_all(matrix):
    """Flush all numbers of a matrix."""
    for pre in range(matrix.shape[0]):
        for post in range(matrix.shape[1]):
            matrix[pre, post] = flush(matrix[pre, post])


@inlined_kernel
def factor_of(rule, term, modulators):
    """Return the third factor of a term, 1 for a term without."""
    channel = rule.powers[term, CHANNEL]
    return _ONE if channel < 0 else modulators[channel]


@inlined_kernel
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


@inlined_kernel
def add_affine(rule, state, network, activity, plastic, modulators):
    """P += sums[0] + x sums[1] + (sums[2] + x sums[3]) P, or P += sums[0] E, the sums being over terms of c m y^b.

    A few vectors stand for all terms, made once a step; a silent sender is passed over if x stands in every term. What
    the rates send under the new weights is in `activity.drive` afterwards. A continual rule's trace follows here, in
    the pass that writes.
    """
    flush_now_and_then(state, plastic)
    raise_powers(state.powers, rule.highest)
    sums, x, y, bound = state.sums, state.x, state.powers[1], rule.bound
    sums[:] = _ZERO
    based, kept, kept_slope = False, False, False  # which rows of `sums` any term adds to
    for term in range(rule.powers.shape[0]):
        factor = factor_of(rule, term, modulators)
        if factor != _ZERO:
            a, b, d = rule.powers[term, PRE], rule.powers[term, POST], rule.powers[term, WEIGHT]
            based, kept, kept_slope = based or a + d == 0, kept or a < d, kept_slope or a + d == 2
            for post in range(sums.shape[1]):
                sums[a + 2 * d, post] += factor * rule.coefficients[term, 0, post] * state.powers[b, post]
    resting = based or kept
    if rule.traced:
        mixing = rule.mixing if continual(rule) else _ZERO  # else E has followed already
        write_traced(network, plastic, activity, state.trace, x, y, mixing, sums[0], bound)
    elif kept_slope or (kept and based):
        write(linear, network, plastic, activity, x, sums, bound, resting)
    elif kept:
        write(damped, network, plastic, activity, x, sums, bound, resting)
    else:
        write(constant, network, plastic, activity, x, sums, bound, resting)


@kernel
def add_terms(rule, state, plastic, modulators):
    """P += sum over terms of c m x^a y^b P^d E^e, term by term for the synapses of one sending unit."""
    change = state.change
    for pre in range(plastic.shape[0]):
        row, sent = plastic[pre], state.x[pre]
        change[:] = _ZERO
        for term in range(rule.powers.shape[0]):
            coefficient = rule.coefficients[term, min(pre, rule.coefficients.shape[1] - 1)]
            scale = factor_of(rule, term, modulators) * power(sent, rule.powers[term, PRE])
            if rule.powers[term, TRACE]:
                add_term(change, scale, coefficient, state.trace[pre], row, 0)
            else:
                sends = state.powers[rule.powers[term, POST]]
                add_term(change, scale, coefficient, sends, row, rule.powers[term, WEIGHT])
        for post in range(row.shape[0]):
            row[post] = within(row[post] + change[post], rule.bound)


@kernel
def follow(trace, sent, sends, share):
    """E <- (1 - share) E + share x y."""
    left = _ONE - share
    for pre in range(trace.shape[0]):
        row, x = trace[pre], share * sent[pre]
        for post in range(row.shape[0]):
            row[post] = flush(left * row[post] + x * sends[post])


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
