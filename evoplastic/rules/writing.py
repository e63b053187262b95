"""How weights are written row by row, in LLVM's vector types of eight lanes, see `vectors`.

Left to itself a compiler asks for every row whether arrays overlap, and does the last lanes one by one. Each function
is here twice, in numpy, as what it means, and in lanes; the bits are the same. All arrays are float32 and contiguous,
and widths W must be multiples of LANES.
"""

from __future__ import annotations

from contextlib import contextmanager

import llvmlite.ir as ir
import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

from evoplastic.numbers import SMALLEST
from evoplastic.vectors import FLOAT, INDEX, LANES, VECTOR, arrays_of, broadcast, load, store

_BIT = ir.IntType(1)


def follow(trace, sent, sends, share):
    """Let `trace` E (N, W) follow the outer product of `sent` (>= N,) and `sends` (W,): E <- (1 - share) E + share x y.

    What is small enough is flushed, see `numbers`.
    """
    for pre in range(trace.shape[0]):
        moved = trace[pre] - share * trace[pre] + (share * sent[pre]) * sends
        trace[pre] = _flushed(moved)


def write_constant(matrix, sent, sums, bound, resting):
    """Write M <- clip(M + sums[0] + x sums[1]) to `matrix` M (N, W), x being `sent` (>= N,), `sums` (2 or more, W).

    What is written lies between -bound and bound, and is 0 where it is small enough to be flushed, see `numbers`. Rows
    whose x is 0 are passed over unless `resting`.
    """
    for pre in range(matrix.shape[0]):
        if resting or sent[pre] != np.float32(0.0):
            matrix[pre] = _clipped(matrix[pre] + (sums[0] + sent[pre] * sums[1]), bound)


def write_linear(matrix, sent, sums, bound, resting):
    """As `write_constant`: M <- clip(M + sums[0] + x sums[1] + (sums[2] + x sums[3]) M)."""
    for pre in range(matrix.shape[0]):
        if resting or sent[pre] != np.float32(0.0):
            kept = matrix[pre]
            added = sums[0] + sent[pre] * sums[1] + (sums[2] + sent[pre] * sums[3]) * kept
            matrix[pre] = _clipped(kept + added, bound)


def write_traced(matrix, trace, row, bound):
    """As `write_constant`: M <- clip(M + row E), with `trace` E (N, W) and `row` (W,)."""
    matrix[:] = _clipped(matrix + row * trace, bound)


def _clipped(values, bound):
    return _flushed(np.clip(values, -bound, bound))


def _flushed(values):
    return np.where(np.abs(values) < SMALLEST, np.float32(0.0), values)


@overload(follow, jit_options={"error_model": "numpy"})
def _compile_follow(trace, sent, sends, share):
    def compiled(trace, sent, sends, share):
        _follow(trace, sent, sends, np.float32(share))

    return compiled


@overload(write_constant, jit_options={"error_model": "numpy"})
def _compile_write_constant(matrix, sent, sums, bound, resting):
    def compiled(matrix, sent, sums, bound, resting):
        _write_sums(matrix, sent, sums, np.float32(bound), resting, False)

    return compiled


@overload(write_linear, jit_options={"error_model": "numpy"})
def _compile_write_linear(matrix, sent, sums, bound, resting):
    def compiled(matrix, sent, sums, bound, resting):
        _write_sums(matrix, sent, sums, np.float32(bound), resting, True)

    return compiled


@overload(write_traced, jit_options={"error_model": "numpy"})
def _compile_write_traced(matrix, trace, row, bound):
    def compiled(matrix, trace, row, bound):
        _write_traced(matrix, trace, row, np.float32(bound))

    return compiled


@intrinsic
def _follow(typingctx, trace, sent, sends, share):
    def generate(context, builder, signature, args):
        trace, sent, sends = arrays_of(context, builder, signature.args[:3], args[:3])
        share = broadcast(builder, args[3])
        with _rows(builder, trace, sent, ir.Constant(_BIT, 1)) as (x, place, lane):
            kept = load(builder, trace.data, place)
            added = builder.fmul(builder.fmul(share, x), load(builder, sends.data, lane))
            moved = builder.fadd(builder.fsub(kept, builder.fmul(share, kept)), added)
            store(builder, _flush(builder, moved), trace.data, place)
        return context.get_dummy_value()

    return types.void(trace, sent, sends, share), generate


@intrinsic(prefer_literal=True)
def _write_sums(typingctx, matrix, sent, sums, bound, resting, linear):
    def generate(context, builder, signature, args):
        matrix, sent, vectors = arrays_of(context, builder, signature.args[:3], args[:3])
        width = cgutils.unpack_tuple(builder, vectors.shape)[1]
        with _rows(builder, matrix, sent, args[4]) as (x, place, lane):

            def sum_of(first):
                """Return sums[first] + x sums[first + 1]."""
                base, slope = (
                    load(builder, vectors.data, builder.add(lane, builder.mul(width, INDEX(number))))
                    for number in (first, first + 1)
                )
                return builder.fadd(base, builder.fmul(x, slope))

            kept = load(builder, matrix.data, place)
            added = sum_of(0)
            if linear.literal_value:
                added = builder.fadd(added, builder.fmul(sum_of(2), kept))
            store(builder, _within(builder, builder.fadd(kept, added), args[3]), matrix.data, place)
        return context.get_dummy_value()

    return types.void(matrix, sent, sums, bound, types.boolean, linear), generate


@intrinsic
def _write_traced(typingctx, matrix, trace, row, bound):
    def generate(context, builder, signature, args):
        matrix, trace, row = arrays_of(context, builder, signature.args[:3], args[:3])
        with _rows(builder, matrix, row, ir.Constant(_BIT, 1)) as (_, place, lane):
            added = builder.fmul(load(builder, row.data, lane), load(builder, trace.data, place))
            kept = load(builder, matrix.data, place)
            store(builder, _within(builder, builder.fadd(kept, added), args[3]), matrix.data, place)
        return context.get_dummy_value()

    return types.void(matrix, trace, row, bound), generate


@contextmanager
def _rows(builder, matrix, sent, always):
    """Loop over all places of a matrix (N, W), rows whose `sent` is 0 passed over unless `always`.

    Yields the row's `sent` in all lanes, the place in the matrix and the place in a row.
    """
    units, width = cgutils.unpack_tuple(builder, matrix.shape)
    with cgutils.for_range(builder, units) as loop:
        x = builder.load(builder.gep(sent.data, [loop.index]))
        with builder.if_then(builder.or_(always, builder.fcmp_unordered("!=", x, FLOAT(0.0)))):
            row, x = builder.mul(loop.index, width), broadcast(builder, x)
            with cgutils.for_range(builder, builder.udiv(width, INDEX(LANES))) as across:
                lane = builder.mul(across.index, INDEX(LANES))
                yield x, builder.add(row, lane), lane


def _within(builder, values, bound):
    """Return values between -bound and bound, flushed; NaN stays."""
    most, least = broadcast(builder, bound), broadcast(builder, builder.fneg(bound))
    values = builder.select(builder.fcmp_ordered(">", values, most), most, values)
    values = builder.select(builder.fcmp_ordered("<", values, least), least, values)
    return _flush(builder, values)


def _flush(builder, values):
    """Return values, and 0 for those that are to be flushed; NaN stays."""
    below = builder.fcmp_ordered("<", values, _splat(float(SMALLEST)))
    above = builder.fcmp_ordered(">", values, _splat(-float(SMALLEST)))
    return builder.select(builder.and_(below, above), _splat(0.0), values)


def _splat(number):
    return ir.Constant(VECTOR, [number] * LANES)
