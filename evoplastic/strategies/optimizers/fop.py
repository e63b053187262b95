"""FOP, first-order preconditioning: gradient descent that learns, from gradients alone, which ways to go faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
import numpy as np

from evoplastic.errors import UserError
from evoplastic.jit import making_kernel
from evoplastic.strategies.optimizers.contract import Array, NotNegative, Positive
from evoplastic.strategies.sums import norm, sum_of_products, times, transposed_times

LARGEST_FULL = 2_000  # genes: a matrix of 32 MB in every state and checkpoint


class FOP(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="fop"):
    """First-order preconditioning: a matrix M (D, D) learned by descending the loss with respect to it.

        M <- M + c (g_t g_{t-1}^T + g_{t-1} g_t^T) M             M_0 = I
        c = rate * learning_rate, or rate / (|g_t| |g_{t-1}|) if normalised
        M <- M * cap / s                                         if s = sqrt(sum of squares of M / D) > cap
        change = -learning_rate * M M^T g_t

    The step is downhill for any M. With x_t = x_{t-1} - learning_rate M M^T g_{t-1} the loss at x_t has the derivative
    -learning_rate (g_t g_{t-1}^T + g_{t-1} g_t^T) M by M: without normalisation M descends it exactly. Normalised, the
    rate has no unit: M changes by at most 2 rate of itself, and below 1/2 no direction is ever lost. s is the root
    mean square of M's singular values. What a matrix of D x D costs, other forms save:

        full         one M, up to 2,000 genes: D^2 numbers
        per_block    an M for each `block` successive genes, with norms, cap and derivative of its own: D * block
        diagonal     blocks of one gene. Normalised, only the sign of g_t g_{t-1} counts, as in Rprop
        low_rank     M is the identity and a part of rank 2 * memory at most: D * (memory + 1)

    low_rank rests on M_t = F_t F_{t-1} ... F_1 with F_t = I + c_t (g_t g_{t-1}^T + g_{t-1} g_t^T), which is the first
    line unrolled. It keeps the latest `memory` factors, as gradients, and takes older ones for the identity: until
    one is left out it is the full form. M is never formed, so that `cap` bounds |M M^T g| / |g|, at cap^2.

    Source: Moskovitz et al. 2019 for M M^T and its descent; normalisation, cap and the forms are ours.
    """

    learning_rate: Positive = 0.01
    rate: NotNegative = 0.1  # of the descent of M
    normalised: bool = True
    cap: Annotated[float, msgspec.Meta(ge=1, le=1e9)] = 100.0
    form: Literal["full", "per_block", "diagonal", "low_rank"] = "full"
    block: Annotated[int, msgspec.Meta(ge=1, le=256)] = 32  # genes of a block, for per_block
    memory: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16  # factors kept, for low_rank

    def initial(self, size: int) -> dict[str, Array]:
        """Return the state before the first update; UserError if `size` is too large for the full form."""
        if self.form == "low_rank":
            return {"gradients": np.zeros((self.memory + 1, size)), "factors": np.zeros(self.memory)}
        if self.form == "full" and size > LARGEST_FULL:
            raise UserError(
                f"fop learns a matrix of genes x genes and takes up to {LARGEST_FULL:,} genes in its full form, got "
                f'{size:,}: set form to "low_rank", "per_block" or "diagonal"'
            )
        side = {"full": max(size, 1), "per_block": self.block, "diagonal": 1}[self.form]
        matrices = np.zeros((-(-size // side), side, side))
        matrices[:, range(side), range(side)] = 1.0
        return {"previous": np.zeros(size), "matrices": matrices}

    def update(self, state: Mapping[str, Array], gradient: Array) -> tuple[Array, dict[str, Array]]:
        return self._by_factors(state, gradient) if self.form == "low_rank" else self._by_matrices(state, gradient)

    def _by_matrices(self, state: Mapping[str, Array], gradient: Array) -> tuple[Array, dict[str, Array]]:
        # Copies are written into, and are of one type for the kernels, which a read-only array would not be.
        matrices, gradient, previous = state["matrices"].copy(), gradient.copy(), state["previous"].copy()
        rate = self.rate if self.normalised else self.rate * self.learning_rate
        _learn(matrices, gradient, previous, rate, self.normalised, self.cap)
        direction = np.empty_like(gradient)
        _precondition(matrices, gradient, direction)
        return -self.learning_rate * direction, {"previous": gradient, "matrices": matrices}

    def _by_factors(self, state: Mapping[str, Array], gradient: Array) -> tuple[Array, dict[str, Array]]:
        # Gradients from the oldest to this one; factor k is made of gradients k and k + 1.
        gradients = np.concatenate([state["gradients"][1:], gradient[None]])
        factors = np.append(state["factors"][1:], self._factor(gradients[-1], gradients[-2]))
        direction = gradient.copy()
        _multiply(gradients, factors, direction)
        length, longest = norm(direction), self.cap * self.cap * norm(gradient)
        if length > longest:
            direction *= longest / length
        return -self.learning_rate * direction, {"gradients": gradients, "factors": factors}

    def _factor(self, gradient: Array, previous: Array) -> float:
        if not self.normalised:
            return self.rate * self.learning_rate
        lengths = norm(gradient) * norm(previous)
        return self.rate / lengths if lengths > 0 else 0.0


@making_kernel
def _learn(matrices: Array, gradient: Array, previous: Array, rate: float, normalised: bool, cap: float) -> None:
    """Descend each block's M: `matrices` (blocks, side, side), of which the last may have fewer genes than its side."""
    side = matrices.shape[1]
    forward, backward = np.empty(side), np.empty(side)
    for number in range(matrices.shape[0]):
        one = gradient[number * side : (number + 1) * side]
        other = previous[number * side : (number + 1) * side]
        matrix = matrices[number, : one.shape[0], : one.shape[0]]
        factor = rate
        if normalised:
            lengths = np.sqrt(sum_of_products(one, one)) * np.sqrt(sum_of_products(other, other))
            factor = rate / lengths if lengths > 0.0 else 0.0
        transposed_times(matrix, other, forward)
        transposed_times(matrix, one, backward)
        squares = 0.0
        for row in range(matrix.shape[0]):
            for column in range(matrix.shape[0]):
                matrix[row, column] += factor * (one[row] * forward[column] + other[row] * backward[column])
                squares += matrix[row, column] * matrix[row, column]
        size = np.sqrt(squares / matrix.shape[0])
        if size > cap:
            matrix *= cap / size


@making_kernel
def _precondition(matrices: Array, gradient: Array, direction: Array) -> None:
    """Write M M^T gradient (D,) into `direction` (D,), block after block."""
    side = matrices.shape[1]
    turned = np.empty(side)
    for number in range(matrices.shape[0]):
        part = gradient[number * side : (number + 1) * side]
        matrix = matrices[number, : part.shape[0], : part.shape[0]]
        transposed_times(matrix, part, turned)
        times(matrix, turned, direction[number * side : (number + 1) * side])


@making_kernel
def _multiply(gradients: Array, factors: Array, vector: Array) -> None:
    """Multiply `vector` (D,) by M^T, then by M: by the factors from the latest to the oldest, and back again."""
    memory = factors.shape[0]
    for turn in range(2 * memory):
        number = memory - 1 - turn if turn < memory else turn - memory
        one, other, factor = gradients[number + 1], gradients[number], factors[number]
        along_one = factor * sum_of_products(one, vector)
        along_other = factor * sum_of_products(other, vector)
        for gene in range(vector.shape[0]):
            vector[gene] += one[gene] * along_other + other[gene] * along_one
