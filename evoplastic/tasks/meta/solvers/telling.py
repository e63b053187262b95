"""Which instances a learner could ever tell apart: those in which something it may be told has another probability.

Two instances are alike if every sequence of actions makes every sequence of signals as likely in one as in the other.
The probabilities of all sequences are the coefficients of one polynomial in weights r that belong to (decision,
action, signal),

    f_H = 1,   f_t[n] = mean over a of sum over branches of r_t[a, told] chance f_t+1[into]

so instances are alike if their polynomials are, and polynomials that differ do so at almost every point (Schwartz
1980, Zippel 1979): the logarithm of each instance's is taken at two fixed points.
"""

from __future__ import annotations

import numpy as np

from evoplastic.jit import making_kernel
from evoplastic.tasks.meta.solvers.situations import Situations

POINTS = 2
_GOLDEN = (5.0**0.5 - 1.0) / 2.0
_ALIKE = 1e-9


def distinguishable(situations: Situations) -> int:
    """Return the number of classes of instances that a learner could tell apart."""
    instances = situations.shape[0]
    marks = np.zeros((instances, POINTS))
    for point in range(POINTS):
        values, logs = np.zeros(len(situations.born)), np.zeros(instances)
        first = _weights(point, 0, situations.symbols)
        size = (len(situations.kinds), len(situations.rewards), situations.signals)
        weights = _weights(point, situations.symbols, int(np.prod(size))).reshape(size)
        _sum_up(situations.flat, situations.told, weights, values, logs)
        born = situations.born.reshape(instances, -1)
        seen = (born * (first[situations.seen] * values).reshape(instances, -1)).sum(axis=1)
        marks[:, point] = logs + np.log(seen / born.sum(axis=1))
    return len(np.unique((marks / _ALIKE).round(), axis=0))


def _weights(point: int, begin: int, count: int) -> np.ndarray:
    """Return fixed numbers in [.5, 1.5) without pattern."""
    place = np.arange(begin, begin + count, dtype=np.float64) + 1.0
    return 0.5 + (place**2 * (_GOLDEN + point) * 0.7548776662466927 + place * 0.5698402909980532) % 1.0


@making_kernel
def _sum_up(model, told, weights, values, logs):
    """Fill `values` (N,) with f_0 over the largest of its instance, and `logs` (I,) with the logarithm of that."""
    actions, situations = model.rewards.shape
    size = situations // logs.shape[0]
    later = np.ones(situations)
    for decision in range(model.kinds.shape[0] - 1, -1, -1):
        first = model.first[model.kinds[decision]]
        for n in range(situations):
            total = 0.0
            for action in range(actions):
                row = action * situations + n
                for branch in range(first[row], first[row + 1]):
                    weight = weights[decision, action, told[branch]]
                    total += weight * model.chance[branch] * later[model.into[branch]]
            values[n] = total / actions
        for instance in range(logs.shape[0]):
            own = slice(instance * size, (instance + 1) * size)
            largest = values[own].max()
            values[own] /= largest
            logs[instance] += np.log(largest)
        later[:] = values
