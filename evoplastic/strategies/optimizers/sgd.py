"""Gradient descent with momentum, of the heavy ball or Nesterov's."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from evoplastic.strategies.optimizers.contract import Array, Decay, Positive


class SGD(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="sgd"):
    """Gradient descent: steps of the learning rate times a sum of gradients, each older one weighing less.

        v <- momentum v + g
        change = -learning_rate * v                          the heavy ball (Polyak 1964)
               = -learning_rate * (g + momentum v)           if nesterov

    A gradient that stands still moves by learning_rate / (1 - momentum) times itself. Nesterov's form is the one of
    Sutskever et al. 2013, equations 3 and 4, told of the point where the gradient is taken, as in PyTorch.
    """

    learning_rate: Positive = 0.01
    momentum: Decay = 0.9  # 0: plain gradient descent
    nesterov: bool = False

    def initial(self, size: int) -> dict[str, Array]:
        return {"velocity": np.zeros(size)}

    def update(self, state: Mapping[str, Array], gradient: Array) -> tuple[Array, dict[str, Array]]:
        velocity = self.momentum * state["velocity"] + gradient
        direction = gradient + self.momentum * velocity if self.nesterov else velocity
        return -self.learning_rate * direction, {"velocity": velocity}
