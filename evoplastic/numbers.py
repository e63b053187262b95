"""Small numbers: flushing what decays before it becomes subnormal.

Subnormal floats cost up to 50 times a normal one. The CPU's own flush flag belongs to a thread, so the flush is code.
"""

from __future__ import annotations

import numpy as np

from evoplastic.jit import kernel

SMALLEST = np.float32(1e-15)
_ZERO = np.float32(0.0)


@kernel
def flush(x):
    """Return x, or 0 where |x| < 1e-15."""
    return _ZERO if abs(x) < SMALLEST else x
