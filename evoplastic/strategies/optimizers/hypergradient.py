"""Hypergradient descent: gradient descent that also descends the loss by its own learning rate."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from evoplastic.strategies.optimizers.contract import Array, NotNegative, Positive
from evoplastic.strategies.sums import dot, norm


class Hypergradient(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="hypergradient"
):
    """Hypergradient descent of the scalar learning rate a, from two successive gradients.

        a <- a + rate * g_t . g_{t-1}                                          -d loss / da = g_t . g_{t-1}
        a <- a * (1 + rate * g_t . g_{t-1} / (|g_t| |g_{t-1}|))                if normalised
        a <- min(max(a, 0), cap * learning_rate)
        change = -a * g_t

    a starts as learning_rate; the derivative is exact, since the last point moved by -a g_{t-1}. Normalised, the rate
    has no unit and need not be tuned to the gradient's scale. Source: Baydin et al. 2018, algorithm SGD-HD and, for
    the normalised form, their multiplicative rule; the limits on a are ours: below 0 the search would ascend.
    """

    learning_rate: Positive = 0.01
    rate: NotNegative = 0.02  # of the learning rate's own descent
    normalised: bool = True
    cap: Positive = 100.0  # the highest learning rate over the first one

    def initial(self, size: int) -> dict[str, Array]:
        return {"previous": np.zeros(size), "learning_rate": np.array([self.learning_rate])}

    def update(self, state: Mapping[str, Array], gradient: Array) -> tuple[Array, dict[str, Array]]:
        previous, learning_rate = state["previous"], float(state["learning_rate"][0])
        aligned = dot(gradient, previous)
        if self.normalised:
            lengths = norm(gradient) * norm(previous)
            aligned = learning_rate * aligned / lengths if lengths > 0 else 0.0
        learning_rate = min(max(learning_rate + self.rate * aligned, 0.0), self.cap * self.learning_rate)
        return -learning_rate * gradient, {"previous": gradient.copy(), "learning_rate": np.array([learning_rate])}
