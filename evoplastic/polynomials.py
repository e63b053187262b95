"""Elementary functions as float32 polynomials: vectorisable, without libm, the same bits on every CPU.

Compiled libm calls block vectorisation (35 to 57 ns per tanh) and differ between CPUs; these use only + - * / and
bit moves, in a fixed order. Measured error bounds, asserted in tests/test_polynomials.py:

    tanh(x)         relative error < 5e-7 for every x
    exp(x)          relative error < 5e-7 for x in [-80, 80]
    log(x)          absolute error < 1e-6, or relative error < 5e-7 where that is more, for normal x > 0
    sincos_turn(u)  absolute error < 5e-7 for u in [0, 1)
"""

from __future__ import annotations

import numpy as np

from evoplastic.jit import kernel

F = np.float32

_TANH_LIMIT = F(8.0)
# Minimax fit of tanh(x) / x as a quotient of polynomials in x^2 on [0, 8] (Lawson's reweighting).
_TANH_P0, _TANH_P1, _TANH_P2, _TANH_P3 = F(0.999999854), F(0.129256604), F(0.00295102101), F(1.14283948e-05)
_TANH_Q1, _TANH_Q2, _TANH_Q3, _TANH_Q4 = F(0.46258876), F(0.0238155427), F(0.000238668784), F(2.45920201e-07)
_ONE = F(1.0)
_TWO = F(2.0)


@kernel
def tanh(x):
    """Return tanh(x), float32: an odd rational function inside [-8, 8], its end value outside; NaN stays NaN."""
    x = min(max(x, -_TANH_LIMIT), _TANH_LIMIT) if x == x else x
    z = x * x
    above = x * (_TANH_P0 + z * (_TANH_P1 + z * (_TANH_P2 + z * _TANH_P3)))
    below = _ONE + z * (_TANH_Q1 + z * (_TANH_Q2 + z * (_TANH_Q3 + z * _TANH_Q4)))
    return above / below


_EXP_LIMIT = F(80.0)
_LOG2_E = F(1.4426950408889634)
_LN2_HIGH, _LN2_LOW = F(0.693359375), F(-2.12194440e-4)  # their sum is ln 2; k * _LN2_HIGH is exact
_TO_INTEGER = F(1.5 * 2**23)  # adding it leaves no digits behind the point, and the integer in the lowest bits
_E2, _E3, _E4, _E5, _E6 = F(1 / 2), F(1 / 6), F(1 / 24), F(1 / 120), F(1 / 720)
_EXPONENT_SHIFT = np.int32(23)
_ONE_BITS = np.int32(0x3F800000)


@kernel
def exp(x):
    """Return exp(x), float32, x clamped to [-80, 80], so never infinite or subnormal; NaN stays NaN.

    x = k ln2 + r with |r| <= ln2 / 2; exp x = 2^k exp r, as a Taylor series in r.
    """
    x = min(max(x, -_EXP_LIMIT), _EXP_LIMIT) if x == x else x
    shifted = x * _LOG2_E + _TO_INTEGER
    k = shifted - _TO_INTEGER
    power = np.int32((F(shifted).view(np.int32) << _EXPONENT_SHIFT) + _ONE_BITS).view(np.float32)
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    return power * (_ONE + r * (_ONE + r * (_E2 + r * (_E3 + r * (_E4 + r * (_E5 + r * _E6))))))


_LN2 = F(0.6931471805599453)
_SQRT2 = F(1.4142135623730951)
_THIRD, _FIFTH, _SEVENTH, _NINTH = F(1 / 3), F(1 / 5), F(1 / 7), F(1 / 9)
_EXPONENT_BIAS = np.int32(127)
_MANTISSA = np.int32(0x007FFFFF)


@kernel
def log(x):
    """Return the natural logarithm of a normal float32 x > 0.

    x = m 2^e with m in [1/sqrt2, sqrt2); log m = 2 atanh(s), s = (m - 1) / (m + 1), as a series in s^2 < 0.03.
    """
    bits = F(x).view(np.int32)
    exponent = F((bits >> _EXPONENT_SHIFT) - _EXPONENT_BIAS)
    mantissa = np.int32((bits & _MANTISSA) | _ONE_BITS).view(np.float32)
    large = mantissa > _SQRT2
    mantissa = mantissa * F(0.5) if large else mantissa
    exponent = exponent + _ONE if large else exponent
    s = (mantissa - _ONE) / (mantissa + _ONE)
    z = s * s
    return exponent * _LN2 + _TWO * s * (_ONE + z * (_THIRD + z * (_FIFTH + z * (_SEVENTH + z * _NINTH))))


_QUARTER_TURN = F(np.pi / 2)
_FOUR = F(4.0)
_HALF = F(0.5)
_S3, _S5, _S7, _S9 = F(-1 / 6), F(1 / 120), F(-1 / 5040), F(1 / 362880)
_C2, _C4, _C6, _C8 = F(-1 / 2), F(1 / 24), F(-1 / 720), F(1 / 40320)


@kernel
def sincos_turn(u):
    """Return (sin, cos) of the angle of u turns less an eighth of a turn, u in [0, 1): quadrant, then Taylor series."""
    quadrant = np.int32(_FOUR * u)
    angle = _QUARTER_TURN * (_FOUR * u - F(quadrant) - _HALF)
    z = angle * angle
    s = angle * (_ONE + z * (_S3 + z * (_S5 + z * (_S7 + z * _S9))))
    c = _ONE + z * (_C2 + z * (_C4 + z * (_C6 + z * _C8)))
    odd = (quadrant & np.int32(1)) != 0
    turned_s = c if odd else s
    turned_c = -s if odd else c
    back = quadrant >= np.int32(2)
    return (-turned_s if back else turned_s), (-turned_c if back else turned_c)
