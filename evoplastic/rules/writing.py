"""Writing all plastic weights by one formula and, in the same pass over memory, sending under what was written.

    P <- clip(f(P), -bound, bound),  f one of the formulas below
    drive <- sum over pre of rates[pre] * (innate + gain P)[pre]

A loop over synapses is bound by its arithmetic as much as by memory, and a compiler wastes half of it on rows of 72,
see `vectors`. A formula is said once, in Python, and holds for rows of numpy arrays and for vectors in registers.
Nothing is flushed here: that would be a fifth of the time, and is enough now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from evoplastic.vectors import FLOAT, Changing, arrays_of, broadcast, load, products, send, store

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)


def constant(p, x, base, slope):
    """Return the unclipped P where its change does not depend on it."""
    return p + (base + x * slope)


def damped(p, x, slope, kept):
    """Return the unclipped P where its change is a part along x and a part along P."""
    return p + (x * slope + kept * p)


def linear(p, x, base, slope, kept, kept_slope):
    """Return the unclipped P where its change is linear in it."""
    return p + (base + x * slope + (kept + x * kept_slope) * p)


def followed(trace, x, y, left):
    """Return the running mean E of x y; x comes multiplied by its share, and `left` is 1 less that share."""
    return left * trace + x * y


def traced(p, trace, share):
    """Return the unclipped P where its change is along E."""
    return p + share * trace


def write_constant(network, plastic, activity, sent, sums, bound, resting):
    """Write by `constant`, base and slope being sums[0] and sums[1]; a sender of 0 is passed over unless `resting`."""
    _write(constant, network, plastic, activity, sent, sums[:2], bound, resting)


def write_damped(network, plastic, activity, sent, sums, bound, resting):
    """Write by `damped`, its last two arguments being sums[1] and sums[2]; else as `write_constant`."""
    _write(damped, network, plastic, activity, sent, sums[1:3], bound, resting)


def write_linear(network, plastic, activity, sent, sums, bound, resting):
    """Write by `linear`, its last four arguments being sums[0] to sums[3]; else as `write_constant`."""
    _write(linear, network, plastic, activity, sent, sums, bound, resting)


def write_traced(network, plastic, activity, trace, sent, sends, mixing, share, bound):
    """Let E be `followed` for x, y = sent, sends and a share of `mixing`, then write by `traced` with `share` (W,)."""
    for pre in range(plastic.shape[0]):
        trace[pre] = followed(trace[pre], mixing * sent[pre], sends, _ONE - mixing)
        plastic[pre] = np.clip(traced(plastic[pre], trace[pre], share), -bound, bound)
    send(Changing(network.innate, network.gain, plastic), activity.rates, activity.drive)


def _write(formula, network, plastic, activity, sent, rows, bound, resting):
    for pre in range(plastic.shape[0]):
        if resting or sent[pre] != _ZERO:
            plastic[pre] = np.clip(formula(plastic[pre], sent[pre], *rows), -bound, bound)
    send(Changing(network.innate, network.gain, plastic), activity.rates, activity.drive)


@overload(write_constant, jit_options={"error_model": "numpy", "forceinline": True})
def _compile_write_constant(network, plastic, activity, sent, sums, bound, resting):
    def compiled(network, plastic, activity, sent, sums, bound, resting):
        weights = (network.innate, network.gain, plastic)
        _constant(weights, activity.rates, activity.drive, sent, sums, bound, resting)

    return compiled


@overload(write_damped, jit_options={"error_model": "numpy", "forceinline": True})
def _compile_write_damped(network, plastic, activity, sent, sums, bound, resting):
    def compiled(network, plastic, activity, sent, sums, bound, resting):
        weights = (network.innate, network.gain, plastic)
        _damped(weights, activity.rates, activity.drive, sent, sums, bound, resting)

    return compiled


@overload(write_linear, jit_options={"error_model": "numpy", "forceinline": True})
def _compile_write_linear(network, plastic, activity, sent, sums, bound, resting):
    def compiled(network, plastic, activity, sent, sums, bound, resting):
        weights = (network.innate, network.gain, plastic)
        _linear(weights, activity.rates, activity.drive, sent, sums, bound, resting)

    return compiled


@overload(write_traced, jit_options={"error_model": "numpy", "forceinline": True})
def _compile_write_traced(network, plastic, activity, trace, sent, sends, mixing, share, bound):
    def compiled(network, plastic, activity, trace, sent, sends, mixing, share, bound):
        weights = (network.innate, network.gain, plastic)
        _traced(weights, activity.rates, activity.drive, sent, trace, sends, share, mixing, bound)

    return compiled


@intrinsic
def _constant(typingctx, weights, rates, drive, sent, sums, bound, resting):
    return types.void(weights, rates, drive, sent, sums, bound, resting), _affine(constant, (0, 1))


@intrinsic
def _damped(typingctx, weights, rates, drive, sent, sums, bound, resting):
    return types.void(weights, rates, drive, sent, sums, bound, resting), _affine(damped, (1, 2))


@intrinsic
def _linear(typingctx, weights, rates, drive, sent, sums, bound, resting):
    return types.void(weights, rates, drive, sent, sums, bound, resting), _affine(linear, (0, 1, 2, 3))


def _affine(formula: Callable[..., Any], rows: tuple[int, ...]) -> Callable[..., Any]:
    """Return what generates the loops of a formula of P, x and these rows of `sums`."""

    def generate(context, builder, signature, args):
        weights = arrays_of(context, builder, signature.args[0], cgutils.unpack_tuple(builder, args[0]))
        rates, drive, sent, sums = arrays_of(context, builder, signature.args[1:5], args[1:5])
        bound, resting = args[5:]
        plastic, width = weights[2], cgutils.unpack_tuple(builder, sums.shape)[1]

        def change(pre, places, lanes):
            x = builder.load(builder.gep(sent.data, [pre]))
            with builder.if_then(builder.or_(resting, builder.fcmp_unordered("!=", x, FLOAT(0.0)))):
                x = _Lanes(builder, broadcast(builder, x))
                for place, lane in zip(places, lanes, strict=True):
                    of_row = [builder.add(lane, builder.mul(width, width.type(row))) for row in rows]
                    values = [_Lanes(builder, load(builder, sums.data, at)) for at in of_row]
                    p = formula(_Lanes(builder, load(builder, plastic.data, place)), x, *values)
                    store(builder, p.clipped(bound).value, plastic.data, place)

        products(builder, weights, rates, drive, change)
        return context.get_dummy_value()

    return generate


@intrinsic
def _traced(typingctx, weights, rates, drive, sent, trace, sends, share, mixing, bound):
    def generate(context, builder, signature, args):
        weights = arrays_of(context, builder, signature.args[0], cgutils.unpack_tuple(builder, args[0]))
        rates, drive, sent, trace, sends, share = arrays_of(context, builder, signature.args[1:7], args[1:7])
        mixing, bound = args[7:]
        plastic = weights[2]

        def change(pre, places, lanes):
            x, left = builder.load(builder.gep(sent.data, [pre])), builder.fsub(FLOAT(1.0), mixing)
            x, left = (_Lanes(builder, broadcast(builder, n)) for n in (builder.fmul(mixing, x), left))
            for place, lane in zip(places, lanes, strict=True):
                e, y, p, along = (
                    _Lanes(builder, load(builder, array.data, at))
                    for array, at in ((trace, place), (sends, lane), (plastic, place), (share, lane))
                )
                e = followed(e, x, y, left)
                store(builder, e.value, trace.data, place)
                store(builder, traced(p, e, along).clipped(bound).value, plastic.data, place)

        products(builder, weights, rates, drive, change)
        return context.get_dummy_value()

    return types.void(weights, rates, drive, sent, trace, sends, share, mixing, bound), generate


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
