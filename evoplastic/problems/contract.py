"""What a problem is to evolution: genotypes in, scores out; nothing of networks or tasks shows."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from evoplastic.genome import GenomeLayout
from evoplastic.random import Purpose

FITNESS, METRIC = 0, 1  # the first two columns of every score row

DRAWN = ""  # the task of a life that draws its own


class Life(NamedTuple):
    """The address of one life: with the run's seed it fixes tasks, stimuli and noise, whoever computes it, wherever."""

    purpose: Purpose
    path: tuple[int, ...]
    task: str = DRAWN
    lesion: str = "none"


class Problem(Protocol):
    """A kind of life. Pure: equal arguments give equal bits."""

    @property
    def layout(self) -> GenomeLayout:
        """The genome."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of a score row's columns; the first is `fitness` (higher is better), the second the reported metric."""

    @property
    def withheld(self) -> tuple[str, ...]:
        """Tasks never met in evolution."""

    @property
    def chance(self) -> float:
        """The metric of a random policy."""

    def training_life(self, generation: int, pair: int) -> Life:
        """Return the life that the members of `pair` live in `generation`."""

    def test_lives(self, purpose: Purpose, path: tuple[int, ...], lives: int) -> dict[str, list[Life]]:
        """Return `lives` lives on each task, by task name; life l shares stimuli and noise over tasks."""

    def score(self, genotype: NDArray[np.float64], life: Life) -> NDArray[np.float64]:
        """Return the score row (columns,) of one life."""

    def course(self, genotype: NDArray[np.float64], life: Life) -> NDArray[np.float64]:
        """Return the reported metric trial by trial, (trials,)."""
