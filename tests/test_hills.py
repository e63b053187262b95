"""Strategies climb: four functions of 10 genes, 200 generations of 20 members, honest targets."""

import numpy as np
import pytest
from test_strategies import build, each_strategy, evolved, normals, space

GENES, GENERATIONS = 10, 200
STRETCH = 1000.0 ** (np.arange(GENES) / (GENES - 1))  # condition 1,000
START = np.linspace(-1.0, 1.5, GENES)
HILLS = ("sphere", "ellipsoid", "rosenbrock", "noisy sphere")
SETTINGS = {
    "openai_es": {"sigma": 0.1, "weight_decay": 0.0, "optimizer": {"type": "adam", "learning_rate": 0.03}},
    "pgpe": {"optimizer": {"type": "clipup", "learning_rate": 0.02}},
}
# The share of the first loss that may be left: three times and more what the worst of four seeds leaves, of random
# search one and a half times and more, which is far weaker: it learns nothing. A step size or speed that does not
# shrink (genetic, PGPE with ClipUp) stops at its own size, and only a covariance gets along Rosenbrock's bent valley.
MOST_LEFT = {
    "openai_es": (1e-6, 1e-2, 0.08, 0.05),
    "cma_es": (1e-15, 1e-14, 0.01, 0.12),
    "genetic": (0.01, 5e-3, 0.45, 0.3),
    "lm_ma_es": (1e-11, 3e-4, 0.06, 0.1),
    "pgpe": (3e-3, 1e-4, 0.05, 0.1),
    "random_search": (0.7, 0.3, 0.5, 0.8),
    "snes": (1e-12, 1e-12, 0.06, 0.1),
}


def loss(hill, x):
    """Return the noiseless loss, 0 at best."""
    if hill == "ellipsoid":
        return float(np.sum(STRETCH * x * x))
    if hill == "rosenbrock":
        return float(np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2))
    return float(np.sum(x * x))


def share_left(name, hill, seed=0):
    """Return the loss of the last center as a share of the first one's."""
    noise = iter(normals(np.uint64(1000 + seed), GENERATIONS * 20))
    # The noise of a fitness, 0.5, is a fourteenth of the first loss and many times the last.
    score = {"noisy sphere": lambda x: 0.5 * next(noise) - loss(hill, x)}.get(hill, lambda x: -loss(hill, x))
    strategy = build(name, seed=seed, genome=space(GENES), **SETTINGS.get(name, {}))
    final = evolved(strategy, GENERATIONS, score, START)
    return loss(hill, final.center) / loss(hill, START)


@pytest.mark.parametrize("hill", HILLS)
@each_strategy
def test_the_hill_is_climbed(name, hill):
    assert share_left(name, hill) < MOST_LEFT[name][HILLS.index(hill)]
