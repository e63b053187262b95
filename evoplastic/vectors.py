"""The loops that a compiler cannot vectorise well by itself, written in LLVM's vector types of eight lanes.

A compiler keeps the running sums of `drive[post] += rate * weights[pre, post]` in memory, since it cannot know that
the arrays do not overlap, and then waits for its own stores; here they stay in registers: .18 us instead of .37 us
for 70 units. A transpose it does element by element; here it goes tile by tile. Multiply, then add, in the plain
loop's order: the bits are the plain loop's on every CPU, since where registers are narrower LLVM splits the lanes.
All is float32 and contiguous, and widths W must be multiples of LANES. `products` lets other files change the weights
in the same pass over memory.
"""

from __future__ import annotations

from typing import NamedTuple

import llvmlite.ir as ir
import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from evoplastic.jit import kernel

LANES = 8
_MOST_SUMS = 10  # vector registers for sums: 10 of the 16 that x86-64 has

FLOAT = ir.FloatType()
VECTOR = ir.VectorType(FLOAT, LANES)
INDEX = ir.IntType(64)


class Changing(NamedTuple):
    """Weights innate + gain * plastic that are not worth storing, since they change at every step; all (N, W)."""

    innate: NDArray
    gain: NDArray
    plastic: NDArray


@kernel
def copy(vector, out):
    """Write a vector to `out`, both (W,); numba's out[:] = vector takes four times as long."""
    for lane in range(out.shape[0]):
        out[lane] = vector[lane]


def send(weights, rates, drive):
    """Write to `drive` (W,) the product of `rates` (>= N,) and `weights`, (N, W) [pre, post] or Changing: what is sent.

    Equals drive[:] = 0 and, for each pre in order whose rate is not 0: drive += rates[pre] * weights[pre].
    """
    if isinstance(weights, Changing):
        weights = weights.innate + weights.gain * weights.plastic
    drive[:] = np.float32(0.0)
    for pre in range(weights.shape[0]):
        if rates[pre] != np.float32(0.0):
            drive += rates[pre] * weights[pre]


def transpose(matrix, out):
    """Write the transpose of `matrix` (W, W) to `out` (W, W), float32: out[:] = matrix.T."""
    out[:] = matrix.T


@overload(send, jit_options={"error_model": "numpy"})
def _compile_send(weights, rates, drive):
    def stored(weights, rates, drive):
        _send((weights,), rates, drive)

    def changing(weights, rates, drive):
        _send((weights.innate, weights.gain, weights.plastic), rates, drive)

    return stored if isinstance(weights, types.Array) else changing


@overload(transpose, jit_options={"error_model": "numpy"})
def _compile_transpose(matrix, out):
    def compiled(matrix, out):
        _transpose(matrix, out)

    return compiled


@intrinsic
def _send(typingctx, weights, rates, drive):
    def generate(context, builder, signature, args):
        weights = arrays_of(context, builder, signature.args[0], cgutils.unpack_tuple(builder, args[0]))
        rates, drive = arrays_of(context, builder, signature.args[1:], args[1:])
        products(builder, weights, rates, drive)
        return context.get_dummy_value()

    return types.void(weights, rates, drive), generate


def products(builder, weights, rates, drive, change=lambda pre, places, lanes: None):
    """Generate the loops of `send` for weights stored, in one matrix, or changing, in three.

    Before the lanes of a row are sent, `change` may generate what changes the row there. It is given the sending unit,
    and of each vector its place in a matrix and its first lane, which is its place in a (W,) array.
    """
    units, width = cgutils.unpack_tuple(builder, weights[0].shape)

    def weight_at(place):
        first, *others = [load(builder, matrix.data, place) for matrix in weights]
        return builder.fadd(first, builder.fmul(*others)) if others else first

    def send_tile(start, vectors):
        """Send to the lanes from `start`, `vectors` vectors wide, with all their sums in registers."""
        lanes = [builder.add(start, INDEX(LANES * number)) for number in range(vectors)]
        sums = [cgutils.alloca_once_value(builder, ir.Constant(VECTOR, [0.0] * LANES)) for _ in lanes]
        with cgutils.for_range(builder, units) as loop:
            row = builder.mul(loop.index, width)
            places = [builder.add(row, lane) for lane in lanes]
            change(loop.index, places, lanes)
            rate = builder.load(builder.gep(rates.data, [loop.index]))
            with builder.if_then(builder.fcmp_unordered("!=", rate, FLOAT(0.0))):
                rate = broadcast(builder, rate)
                for place, total in zip(places, sums, strict=True):
                    sent = builder.fmul(rate, weight_at(place))
                    builder.store(builder.fadd(builder.load(total), sent), total)
        for lane, total in zip(lanes, sums, strict=True):
            store(builder, builder.load(total), drive.data, lane)

    tile = INDEX(LANES * _MOST_SUMS)
    with cgutils.for_range(builder, builder.udiv(width, tile)) as loop:
        send_tile(builder.mul(loop.index, tile), _MOST_SUMS)
    rest = builder.urem(width, tile)
    for vectors in range(1, _MOST_SUMS):
        with builder.if_then(builder.icmp_unsigned("==", rest, INDEX(LANES * vectors))):
            send_tile(builder.sub(width, rest), vectors)


@intrinsic
def _transpose(typingctx, matrix, out):
    def generate(context, builder, signature, args):
        matrix, out = arrays_of(context, builder, signature.args, args)
        width = cgutils.unpack_tuple(builder, matrix.shape)[1]
        tiles = builder.udiv(width, INDEX(LANES))

        def place(tile_row, tile_column, line):
            row = builder.add(builder.mul(tile_row, INDEX(LANES)), INDEX(line))
            return builder.add(builder.mul(row, width), builder.mul(tile_column, INDEX(LANES)))

        with cgutils.for_range(builder, tiles) as down, cgutils.for_range(builder, tiles) as across:
            lines = [load(builder, matrix.data, place(down.index, across.index, line)) for line in range(LANES)]
            for line, vector in enumerate(_transposed(builder, lines)):
                store(builder, vector, out.data, place(across.index, down.index, line))
        return context.get_dummy_value()

    return types.void(matrix, out), generate


def arrays_of(context, builder, kinds, values):
    """Return the array structs that an intrinsic's arguments are."""
    return [context.make_array(kind)(context, builder, value) for kind, value in zip(kinds, values, strict=True)]


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
    return builder.bitcast(builder.gep(data, [index]), VECTOR.as_pointer())


def load(builder, data, index):
    """Return the lanes from a place on."""
    vector = builder.load(_at(builder, data, index))
    vector.align = 4
    return vector


def store(builder, vector, data, index):
    """Write lanes from a place on."""
    builder.store(vector, _at(builder, data, index)).align = 4


def broadcast(builder, scalar):
    """Return a number in all lanes."""
    single = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), scalar, ir.IntType(32)(0))
    return builder.shuffle_vector(single, single, _lanes([0] * LANES))
