"""The two loops that a compiler cannot vectorise well by itself, written in LLVM's vector types of eight lanes.

A compiler keeps the running sums of `drive[post] += rate * weights[pre, post]` in memory, since it cannot know that
the arrays do not overlap, and then waits for its own stores; here they stay in registers: .18 us instead of .37 us
for 70 units. A transpose it does element by element; here it goes tile by tile. Multiply, then add, in the plain
loop's order: the bits are the plain loop's on every CPU, since where registers are narrower LLVM splits the lanes.
Widths must be multiples of LANES.
"""

from __future__ import annotations

import llvmlite.ir as ir
import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic, overload

LANES = 8
_MOST_SUMS = 10  # vector registers for sums: 10 of the 16 that x86-64 has

_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_INDEX = ir.IntType(64)


def add_product(weights, rates, drive):
    """Add the product of `rates` (>= N,) and `weights` (N, W) [pre, post] to `drive` (W,), all float32, contiguous.

    W must be a multiple of LANES.
    Equals, for each pre in order whose rate is not 0: drive += rates[pre] * weights[pre].
    """
    for pre in range(weights.shape[0]):
        if rates[pre] != np.float32(0.0):
            drive += rates[pre] * weights[pre]


def transpose(matrix, out):
    """Write the transpose of `matrix` (W, W) to `out` (W, W), float32: out[:] = matrix.T."""
    out[:] = matrix.T


@overload(add_product, jit_options={"error_model": "numpy"})
def _compile_add_product(weights, rates, drive):
    def compiled(weights, rates, drive):
        _add_product(weights, rates, drive)

    return compiled


@overload(transpose, jit_options={"error_model": "numpy"})
def _compile_transpose(matrix, out):
    def compiled(matrix, out):
        _transpose(matrix, out)

    return compiled


@intrinsic
def _add_product(typingctx, weights, rates, drive):
    def generate(context, builder, signature, args):
        weights, rates, drive = (
            context.make_array(kind)(context, builder, value) for kind, value in zip(signature.args, args, strict=True)
        )
        units, width = cgutils.unpack_tuple(builder, weights.shape)

        def add_tile(start, vectors):
            """Add the product to the lanes from `start`, `vectors` vectors wide, with all their sums in registers."""
            lanes = [builder.add(start, _INDEX(LANES * number)) for number in range(vectors)]
            sums = [cgutils.alloca_once_value(builder, _load(builder, drive.data, lane)) for lane in lanes]
            with cgutils.for_range(builder, units) as loop:
                rate = builder.load(builder.gep(rates.data, [loop.index]))
                with builder.if_then(builder.fcmp_unordered("!=", rate, _FLOAT(0.0))):
                    row, rate = builder.mul(loop.index, width), _broadcast(builder, rate)
                    for lane, total in zip(lanes, sums, strict=True):
                        weight = _load(builder, weights.data, builder.add(row, lane))
                        builder.store(builder.fadd(builder.load(total), builder.fmul(rate, weight)), total)
            for lane, total in zip(lanes, sums, strict=True):
                _store(builder, builder.load(total), drive.data, lane)

        tile = _INDEX(LANES * _MOST_SUMS)
        with cgutils.for_range(builder, builder.udiv(width, tile)) as loop:
            add_tile(builder.mul(loop.index, tile), _MOST_SUMS)
        rest = builder.urem(width, tile)
        for vectors in range(1, _MOST_SUMS):
            with builder.if_then(builder.icmp_unsigned("==", rest, _INDEX(LANES * vectors))):
                add_tile(builder.sub(width, rest), vectors)
        return context.get_dummy_value()

    return types.void(weights, rates, drive), generate


@intrinsic
def _transpose(typingctx, matrix, out):
    def generate(context, builder, signature, args):
        matrix, out = (
            context.make_array(kind)(context, builder, value) for kind, value in zip(signature.args, args, strict=True)
        )
        width = cgutils.unpack_tuple(builder, matrix.shape)[1]
        tiles = builder.udiv(width, _INDEX(LANES))

        def place(tile_row, tile_column, line):
            row = builder.add(builder.mul(tile_row, _INDEX(LANES)), _INDEX(line))
            return builder.add(builder.mul(row, width), builder.mul(tile_column, _INDEX(LANES)))

        with cgutils.for_range(builder, tiles) as down, cgutils.for_range(builder, tiles) as across:
            lines = [_load(builder, matrix.data, place(down.index, across.index, line)) for line in range(LANES)]
            for line, vector in enumerate(_transposed(builder, lines)):
                _store(builder, vector, out.data, place(across.index, down.index, line))
        return context.get_dummy_value()

    return types.void(matrix, out), generate


def _transposed(builder, lines):
    """Return the columns of an 8 x 8 tile given as its lines: three rounds of interleaving line i with line i + 4."""
    low = [lane + LANES * side for lane in range(LANES // 2) for side in (0, 1)]
    high = [lane + LANES // 2 for lane in low]
    for _ in range(3):
        halves = LANES // 2
        lines = [
            builder.shuffle_vector(lines[line], lines[line + halves], _lanes(order))
            for line in range(halves)
            for order in (low, high)
        ]
    return lines


def _lanes(order):
    return ir.Constant(ir.VectorType(ir.IntType(32), LANES), order)


def _at(builder, data, index):
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _load(builder, data, index):
    vector = builder.load(_at(builder, data, index))
    vector.align = 4
    return vector


def _store(builder, vector, data, index):
    builder.store(vector, _at(builder, data, index)).align = 4


def _broadcast(builder, scalar):
    single = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.IntType(32)(0))
    return builder.shuffle_vector(single, single, _lanes([0] * LANES))
