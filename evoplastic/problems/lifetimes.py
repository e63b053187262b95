"""Plastic recurrent networks that live through trials: genotype -> network and rule -> one lifetime -> score.

fitness = -(mean loss over the last scored trials of each task) - mean cost of modulation per trial
metric  = accuracy over the same trials
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Union

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.genome import BlockSettings, GenomeLayout, groups
from evoplastic.modulation import MODULATIONS
from evoplastic.networks import NETWORKS
from evoplastic.networks.roles import ROLES, cell_types
from evoplastic.problems.contract import DRAWN, Life
from evoplastic.problems.lesions import LESIONS, Body, Context
from evoplastic.random import TASKS_OF_LIFE, Purpose, below, philox, stream_key
from evoplastic.rollout import live
from evoplastic.rules import RULES
from evoplastic.tasks import TASKS
from evoplastic.tasks.contract import CORRECT, COST, LOSS, SCORE_COLUMNS
from evoplastic.tasks.truth_tables import novelty

MOST_UNITS = 5_000  # an array over synapses then takes 200 MB
SHORTEST_STEP_MS = 1e-3


class GenomeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The two blocks of a recurrent genome; innate spread is per sqrt(units)."""

    innate: BlockSettings = BlockSettings(spread=1.5)
    gain: BlockSettings = BlockSettings(initial=0.5)


class LifetimesSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="lifetimes"
):
    """The problem of a run file: what lives, under which rule, on which tasks, and what a genome may encode."""

    network: Union[tuple(NETWORKS.values())]  # type: ignore[valid-type] # noqa: UP007
    rule: Union[tuple(RULES.values())]  # type: ignore[valid-type] # noqa: UP007
    modulation: Union[tuple(MODULATIONS.values())]  # type: ignore[valid-type] # noqa: UP007
    task: Union[tuple(TASKS.values())]  # type: ignore[valid-type] # noqa: UP007
    genome: GenomeSettings = GenomeSettings()
    scored_trials: Annotated[int, msgspec.Meta(ge=1)] = 100  # at the end of each task

    def resolve(self) -> LifetimesSettings:
        """Return the settings with every outside file read in, checked for what the parts require of each other."""
        if self.scored_trials > self.task.trials:
            raise UserError(
                f"problem.scored_trials must be at most task.trials = {self.task.trials}, got {self.scored_trials}"
            )
        if self.network.dt_ms < SHORTEST_STEP_MS:
            raise UserError(f"problem.network.dt_ms must be at least {SHORTEST_STEP_MS}, got {self.network.dt_ms}")
        units = sum(map(len, self.network.places().values()))
        if units > MOST_UNITS:
            raise UserError(f"problem.network.units must be at most {MOST_UNITS}, got {units}")
        resolved = msgspec.structs.replace(self, task=self.task.resolve())
        resolved.build(seed=0).task_of(resolved.task.training()[:1] * resolved.task.tasks_per_life)
        return resolved

    def withholding(self) -> str:
        """Return whether the withheld tasks are new to evolution: 'novel class', 'relabelled' or 'nothing withheld'."""
        task = self.task
        return novelty(task.tables, task.withheld) if task.withheld else "nothing withheld"

    def build(self, seed: int) -> Lifetimes:
        """Return the problem of the run with this seed; the settings must be resolved."""
        return Lifetimes(self, seed)


class Lifetimes:
    """A pure function of (settings, seed, genotype, life). See `problems.contract.Problem`."""

    columns = ("fitness", "accuracy", "loss", "cost")
    chance = 0.5  # of two responses, whatever the task: the targets of a task and its negation cancel

    def __init__(self, settings: LifetimesSettings, seed: int):
        self.settings = settings
        self.seed = seed
        network, task = settings.network, settings.task
        blocks = network.blocks(settings.genome.innate, settings.genome.gain)
        self.layout = GenomeLayout(blocks, seed)
        trials = task.trials if task.newborn_tasks else task.life_trials
        self._rule = settings.rule.build(network.dt_ms, trials)
        self._modulation = settings.modulation.build(network.places())
        self._built: dict[tuple[str, ...], Any] = {}

    @property
    def withheld(self) -> tuple[str, ...]:
        withheld: tuple[str, ...] = self.settings.task.withheld
        return withheld

    def training_life(self, generation: int, pair: int) -> Life:
        return Life(Purpose.LIFETIME, (generation, pair))

    def test_lives(self, purpose: Purpose, path: tuple[int, ...], lives: int) -> dict[str, list[Life]]:
        return {
            name: [Life(purpose, (*path, life), name) for life in range(lives)] for name in self.settings.task.tables
        }

    def score(self, genotype: NDArray[np.float64], life: Life) -> NDArray[np.float64]:
        task = self.settings.task
        trials = self._live(genotype, life).astype(np.float64)
        blocks = trials.reshape(task.tasks_per_life, task.trials, SCORE_COLUMNS)
        tested = blocks if life.task == DRAWN else blocks[-1:]
        scored = tested[:, -self.settings.scored_trials :]
        loss, accuracy, cost = scored[..., LOSS].mean(), scored[..., CORRECT].mean(), trials[:, COST].mean()
        return np.array([-loss - cost, accuracy, loss, cost])

    def course(self, genotype: NDArray[np.float64], life: Life) -> NDArray[np.float64]:
        return self._live(genotype, life)[-self.settings.task.trials :, CORRECT].astype(np.float64)

    def _live(self, genotype: NDArray[np.float64], life: Life) -> NDArray[np.float32]:
        body = self.body(genotype, life)
        scores = np.zeros((self.settings.task.life_trials, SCORE_COLUMNS), np.float32)
        live(*body, self._key(life), np.empty_like(body.network.innate), scores)
        return scores

    def body(self, genotype: NDArray[np.float64], life: Life) -> Body:
        """Return what lives: the developed genotype and the task of this life, after the life's lesion."""
        lesion = LESIONS[life.lesion]
        values = self.layout.unpack(genotype)
        if life.lesion != "none":
            shuffle_key = stream_key(self.seed, Purpose.CONTROL, *life.path)
            values = lesion.values(values, Context(self._initial_values, self._projections, shuffle_key))
        network = self.settings.network.build(values["innate"], values["gain"])
        return lesion.body(Body(network, self._rule, self._modulation, self._task(life)))

    def _task(self, life: Life) -> Any:
        """Return the task of a life: drawn blocks, the last of them the tested task if one is named."""
        settings = self.settings.task
        tested = [] if life.task == DRAWN else [life.task]
        names = settings.eligible(life.path[0]) if life.task == DRAWN else settings.training()
        key, drawn = self._key(life), settings.tasks_per_life - len(tested)
        blocks = [names[below(philox(key, TASKS_OF_LIFE, np.uint64(b))[0], len(names))] for b in range(drawn)]
        return self.task_of(blocks + tested)

    def task_of(self, names: Sequence[str]) -> Any:
        """Return the packed task whose blocks of trials are these tasks, built once."""
        blocks, network = tuple(names), self.settings.network
        if blocks not in self._built:
            self._built[blocks] = self.settings.task.build(blocks, network.places(), network.dt_ms)
        return self._built[blocks]

    def _key(self, life: Life) -> np.uint64:
        return stream_key(self.seed, life.purpose, *life.path)

    @cached_property
    def _initial_values(self) -> dict[str, NDArray[np.float64]]:
        return self.layout.unpack(self.layout.initial())

    @cached_property
    def _projections(self) -> NDArray[np.int64]:
        return groups("projection", cell_types(self.settings.network.places()), len(ROLES))
