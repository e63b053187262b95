"""What an optimizer is: from a gradient to the change of a center, descending.

An optimizer is its settings; its state is a mapping of named float64 arrays, never written into. D is the number of
genes. Arithmetic is elementwise and sums have a fixed order, so that results are the same on every CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# The upper limits keep infinity out.
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e9)]
NotNegative = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Decay = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class Optimizer(Protocol):
    def initial(self, size: int) -> dict[str, Array]:
        """Return the state before the first update of `size` numbers."""

    def update(self, state: Mapping[str, Array], gradient: Array) -> tuple[Array, dict[str, Array]]:
        """Return the change (D,) to add to what is optimised, and the next state."""
