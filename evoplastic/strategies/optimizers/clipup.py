"""ClipUp: steps of a length that is said, whatever the gradient's scale."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from evoplastic.strategies.optimizers.contract import Array, Decay, Positive
from evoplastic.strategies.sums import norm


class ClipUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="clipup"):
    """ClipUp: momentum over normalised gradients, the velocity clipped to a highest length.

        v <- momentum v - learning_rate * g / |g|
        v <- v * max_speed / |v|                  if |v| > max_speed
        change = v

    |.| is the Euclidean norm over all genes, 0 / |0| = 0. Only max_speed needs a choice: how far the center may go in
    one generation. Source: Toklu, Liskowski and Srivastava 2020, algorithm 1, with their rule that the step size is
    half the highest speed.
    """

    learning_rate: Positive = 0.075
    momentum: Decay = 0.9
    max_speed: Positive | None = None  # None: twice the learning rate

    def initial(self, size: int) -> dict[str, Array]:
        return {"velocity": np.zeros(size)}

    def update(self, state: Mapping[str, Array], gradient: Array) -> tuple[Array, dict[str, Array]]:
        length = norm(gradient)
        direction = gradient / length if length > 0 else np.zeros_like(gradient)
        velocity = self.momentum * state["velocity"] - self.learning_rate * direction
        speed, highest = norm(velocity), 2.0 * self.learning_rate if self.max_speed is None else self.max_speed
        if speed > highest:
            velocity *= highest / speed
        return velocity.copy(), {"velocity": velocity}
