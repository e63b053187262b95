"""Writing all plastic weights by one formula and, in the same pass over memory, sending under what was written.

    P <- clip(f(P), -bound, bound),  f one of the formulas below
    drive <- sum over pre of rates[pre] * (innate + gain P)[pre]

A loop over synapses is bound by its arithmetic as much as by memory, and what a compiler makes of rows of 72 takes
twice as long. A formula is said once, in Python, and holds for rows of numpy arrays and for vectors in registers.
Nothing is flushed here: that would be a fifth of the time, and is enough now and then.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from evoplastic.jit import kernel
from evoplastic.vectors import FLOAT, Changing, arrays_of, broadcast, load, products, send, store

_ROWS = ("base", "slope", "kept", "kept_slope")  # of `sums`
_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)


@kernel
def constant(p, x, base, slope):
    """Return the unclipped P where its change does not depend on it."""
    return p + (base + x * slope)


@kernel
def damped(p, x, slope, kept):
    """Return the unclipped P where its change is a part along x and a part along P."""
    return p + (x * slope + kept * p)


@kernel
def linear(p, x, base, slope, kept, kept_slope):
    """Return the unclipped P where its change is linear in it."""
    return p + (base + x * slope + (kept + x * kept_slope) * p)


def followed(trace, x, y, left):
    """Return the running mean E of x y; x comes multiplied by its share, and `left` is 1 less that share."""
    return left * trace + x * y


def traced(p, trace, share):
    """Return the unclipped P where its change is along E."""
    return p + share * trace


def write(formula, network, plastic, activity, x, sums, bound, resting):
    """Write by a formula of P, x and rows of `sums`; a sender whose x is 0 is passed over unless `resting`."""
    formula = getattr(formula, "py_func", formula)
    rows = [sums[row] for row in _rows_of(formula)]
    for pre in range(plastic.shape[0]):
        if resting or x[pre] != _ZERO:
            plastic[pre] = np.clip(formula(plastic[pre], x[pre], *rows), -bound, bound)
    send(Changing(network.innate, network.gain, plastic), activity.rates, activity.drive)


def _rows_of(formula):
    """Return the rows of `sums` that a formula takes, by the names of its arguments."""
    return [_ROWS.index(name) for name in list(inspect.signature(formula).parameters)[2:]]


def write_traced(network, plastic, activity, trace, x, y, mixing, share, bound):
    """Let E be `followed` for x, y and a share of `mixing`, then write by `traced` with `share` (W,)."""
    for pre in range(plastic.shape[0]):
        trace[pre] = followed(trace[pre], mixing * x[pre], y, _ONE - mixing)
        plastic[pre] = np.clip(traced(plastic[pre], trace[pre], share), -bound, bound)
    send(Changing(network.innate, network.gain, plastic), activity.rates, activity.drive)


@overload(write, jit_options={"error_model": "numpy", "forceinline": True})
def _compile_write(formula, network, plastic, activity, x, sums, bound, resting):
    def compiled(formula, network, plastic, activity, x, sums, bound, resting):
        weights = (network.innate, network.gain, plastic)
        _write(formula, weights, activity.rates, activity.drive, x, sums, bound, resting)

    return compiled


@overload(write_traced, jit_options={"error_model": "numpy", "forceinline": True})
def _compile_write_traced(network, plastic, activity, trace, x, y, mixing, share, bound):
    def compiled(network, plastic, activity, trace, x, y, mixing, share, bound):
        weights = (network.innate, network.gain, plastic)
        _write_traced(weights, activity.rates, activity.drive, trace, x, y, mixing, share, bound)

    return compiled


@intrinsic
def _write(typingctx, formula, weights, rates, drive, x, sums, bound, resting):
    function = formula.dispatcher.py_func
    rows = _rows_of(function)

    def generate(context, builder, signature, args):
        weights = arrays_of(context, builder, signature.args[1], cgutils.unpack_tuple(builder, args[1]))
        rates, drive, sender, sums = arrays_of(context, builder, signature.args[2:6], args[2:6])
        bound, resting = args[6:]
        plastic, width = weights[2], cgutils.unpack_tuple(builder, sums.shape)[1]

        def change(pre, places, lanes):
            x = builder.load(builder.gep(sender.data, [pre]))
            with builder.if_then(builder.or_(resting, builder.fcmp_unordered("!=", x, FLOAT(0.0)))):
                x = _Lanes(builder, broadcast(builder, x))
                for place, lane in zip(places, lanes, strict=True):
                    of_row = [builder.add(lane, builder.mul(width, width.type(row))) for row in rows]
                    values = [_Lanes(builder, load(builder, sums.data, at)) for at in of_row]
                    p = function(_Lanes(builder, load(builder, plastic.data, place)), x, *values)
                    store(builder, p.clipped(bound).value, plastic.data, place)

        products(builder, weights, rates, drive, change)
        return context.get_dummy_value()

    return types.void(formula, weights, rates, drive, x, sums, bound, resting), generate


@intrinsic
def _write_traced(typingctx, weights, rates, drive, trace, x, y, mixing, share, bound):
    def generate(context, builder, signature, args):
        weights = arrays_of(context, builder, signature.args[0], cgutils.unpack_tuple(builder, args[0]))
        rates, drive, trace, sender, receiver = arrays_of(context, builder, signature.args[1:6], args[1:6])
        (share,) = arrays_of(context, builder, signature.args[7:8], args[7:8])
        mixing, bound, plastic = args[6], args[8], weights[2]

        def change(pre, places, lanes):
            x, left = builder.load(builder.gep(sender.data, [pre])), builder.fsub(FLOAT(1.0), mixing)
            x, left = (_Lanes(builder, broadcast(builder, n)) for n in (builder.fmul(mixing, x), left))
            for place, lane in zip(places, lanes, strict=True):
                e, y, p, along = (
                    _Lanes(builder, load(builder, array.data, at))
                    for array, at in ((trace, place), (receiver, lane), (plastic, place), (share, lane))
                )
                e = followed(e, x, y, left)
                store(builder, e.value, trace.data, place)
                store(builder, traced(p, e, along).clipped(bound).value, plastic.data, place)

        products(builder, weights, rates, drive, change)
        return context.get_dummy_value()

    return types.void(weights, rates, drive, trace, x, y, mixing, share, bound), generate


class _Lanes(NamedTuple):
    """A vector in a register, with the arithmetic that formulas are written in; NaN stays NaN."""

    builder: Any
    value: Any

    def __add__(self, other: Any) -> _Lanes:
        return _Lanes(self.builder, self.builder.fadd(self.value, other.value))

    def __mul__(self, other: Any) -> _Lanes:
        return _Lanes(self.builder, self.builder.fmul(self.value, other.value))

    def clipped(self, bound: Any) -> _Lanes:
        builder = self.builder
        most, least = broadcast(builder, bound), broadcast(builder, builder.fsub(FLOAT(-0.0), bound))
        low = builder.select(builder.fcmp_ordered(">", self.value, most), most, self.value)
        return _Lanes(builder, builder.select(builder.fcmp_ordered("<", low, least), least, low))
