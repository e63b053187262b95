"""Adam: steps of about the learning rate, whatever the gradient's scale."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from evoplastic.strategies.optimizers.contract import Array, Decay, Positive


class Adam(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="adam"):
    """Adam: steps of about the learning rate, whatever the gradient's scale.

        m <- beta_1 m + (1 - beta_1) g,     v <- beta_2 v + (1 - beta_2) g^2
        change = -learning_rate * (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)

    Source: Kingma and Ba 2015, algorithm 1, epsilon outside the root as there and in PyTorch.
    """

    learning_rate: Positive = 0.01
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Positive = 1e-8

    def initial(self, size: int) -> dict[str, Array]:
        return {"mean": np.zeros(size), "square": np.zeros(size), "powers": np.ones(2)}

    def update(self, state: Mapping[str, Array], gradient: Array) -> tuple[Array, dict[str, Array]]:
        mean = self.beta_1 * state["mean"] + (1.0 - self.beta_1) * gradient
        square = self.beta_2 * state["square"] + (1.0 - self.beta_2) * gradient * gradient
        # beta^t is carried as a product: a library's power function may differ between CPUs in the last bit.
        powers = state["powers"] * np.array([self.beta_1, self.beta_2])
        direction = (mean / (1.0 - powers[0])) / (np.sqrt(square / (1.0 - powers[1])) + self.epsilon)
        return -self.learning_rate * direction, {"mean": mean, "square": square, "powers": powers}
