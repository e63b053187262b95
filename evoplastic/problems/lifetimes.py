"""Plastic recurrent networks that live through trials: genotype -> network and rule -> one lifetime -> score.

fitness = -(mean loss over the last scored trials of each task) - mean cost of modulation per trial
metric  = accuracy over the same trials, or what the task family calls its own

A life may hold several tasks, each a block of trials, see `lives`. Fitness is the mean over the last scored trials of
every block, or of the tested one alone. The cost averages over the whole life.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, NamedTuple, Union

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.contracts import with_plugin
from evoplastic.errors import UserError
from evoplastic.genome import BlockSettings, GenomeLayout, groups
from evoplastic.jit import aligned_zeros
from evoplastic.modulation import MODULATIONS
from evoplastic.modulation.channels import channels_of
from evoplastic.networks import NETWORKS
from evoplastic.networks.roles import ROLES, cell_types
from evoplastic.problems import conditions
from evoplastic.problems.contract import INTACT, Life
from evoplastic.problems.lesions import LESIONS, Body, Context, lesions_called
from evoplastic.problems.lives import Lives
from evoplastic.random import Purpose, stream_key
from evoplastic.recorders import Recorder, Wanted, recorder_of
from evoplastic.rollout import live, live_seen
from evoplastic.rules import RULES
from evoplastic.rules.coefficients import CoefficientSettings, coefficient_blocks, coefficients_in
from evoplastic.rules.contract import Around, continual
from evoplastic.rules.together import together_of
from evoplastic.tasks import FAMILIES
from evoplastic.tasks.contract import SCORE_COLUMNS, feedback_step, steps_per_trial
from evoplastic.vectors import LANES

MOST_UNITS = 5_000  # an array over synapses then takes 200 MB
SHORTEST_STEP_MS = 1e-3
MOST_CHANGED = 64  # problems with changed settings that are kept ready
MOST_PACKED = 256  # sequences of tasks kept ready: every life of one task, not every draw of several

_RULES, _MODULATIONS = with_plugin("RULES", RULES), with_plugin("MODULATIONS", MODULATIONS)
# Here by name, since a pickle of settings finds their class by module and name.
TogetherSettings, ChannelsSettings = together_of(_RULES, __name__), channels_of(_MODULATIONS, __name__)


class GenomeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The blocks of a recurrent genome; innate spread is per sqrt(units)."""

    innate: BlockSettings = BlockSettings(spread=1.5)
    gain: BlockSettings = BlockSettings(initial=0.5)
    rule: dict[str, CoefficientSettings] = {}  # the rule's coefficients that a genome holds
    innate_drawn: Literal["once", "every_life"] = "once"  # every_life: by chance for each life; innate may not evolve


class LifetimesSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="lifetimes"
):
    """The problem of a run file: what lives, under which rule, on which tasks, and what a genome may encode.

    With `task.tasks_per_life` above 1, fitness averages the last `scored_trials` of every task of the life, and a test
    scores the last task alone; plastic weights carry over unless `task.newborn_tasks`.
    """

    network: Union[tuple(with_plugin("NETWORKS", NETWORKS).values())]  # type: ignore[valid-type] # noqa: UP007
    rule: Union[(*_RULES.values(), TogetherSettings)]  # type: ignore[valid-type]
    modulation: Union[(*_MODULATIONS.values(), ChannelsSettings)]  # type: ignore[valid-type]
    task: Union[tuple(with_plugin("TASKS", FAMILIES).values())]  # type: ignore[valid-type] # noqa: UP007
    genome: GenomeSettings = GenomeSettings()
    scored_trials: Annotated[int, msgspec.Meta(ge=1)] = 100  # at the end of each task

    def resolve(self) -> LifetimesSettings:
        """Return the settings with every outside file read in, checked for what the parts require of each other."""
        if self.network.dt_ms < SHORTEST_STEP_MS:
            raise UserError(f"problem.network.dt_ms must be at least {SHORTEST_STEP_MS}, got {self.network.dt_ms}")
        units = sum(map(len, self.network.places().values()))
        if units > MOST_UNITS:
            raise UserError(f"problem.network.units must be at most {MOST_UNITS}, got {units}")
        if self.genome.innate_drawn == "every_life" and self.genome.innate.evolve:
            raise UserError(
                "problem.genome.innate_drawn = 'every_life' draws innate weights by chance for each life, so they "
                "cannot evolve; set problem.genome.innate.evolve = false"
            )
        resolved = msgspec.structs.replace(self, task=self.task.resolve(self.scored_trials))
        trials = resolved.task.trials
        if self.scored_trials > trials:
            raise UserError(
                f"problem.scored_trials must be at most the {trials} trials (decisions of a meta-task) of a task, "
                f"got {self.scored_trials}"
            )
        if resolved.task.signed and getattr(self.network, "responses", "tanh") == "logistic":
            raise UserError(
                'problem.task is answered by the sign of a response unit; set problem.network.responses = "tanh"'
            )
        resolved.build(seed=0).check()
        return resolved

    def withholding(self) -> str:
        """Return whether the withheld tasks are new to evolution: 'novel class', 'relabelled' or 'nothing withheld'."""
        told: str = self.task.withholding()
        return told

    def folds(self) -> Mapping[str, tuple[str, ...]]:
        """Return the folds of the task family, each with what makes it; the settings must be resolved."""
        folds: Mapping[str, tuple[str, ...]] = self.task.folds()
        return folds

    @property
    def lesions(self) -> Mapping[str, str]:
        """What can be taken away from an evolved genome, each with its summary."""
        return {name: lesion.summary for name, lesion in LESIONS.items() if name != INTACT}

    @property
    def graded(self) -> Mapping[str, float]:
        """What can be changed by degrees, each with what the settings say that it is."""
        return conditions.graded(self)

    def check_lesion(self, lesion: str) -> None:
        """Raise UserError for what is no lesion of networks."""
        conditions.check_lesion(self, lesion)

    def build(self, seed: int) -> Lifetimes:
        """Return the problem of the run with this seed; the settings must be resolved."""
        return Lifetimes(self, seed)


class Recorded(NamedTuple):
    """What moved in a life, with the scores of its trials and the weights it was born with."""

    recorder: Recorder
    scores: NDArray[np.float32]  # (T, SCORE_COLUMNS)
    innate: NDArray[np.float32]  # (N, N)
    gain: NDArray[np.float32]  # (N, N)


class Lifetimes(Lives[LifetimesSettings]):
    """A pure function of (settings, seed, genotype, life). See `problems.contract.Problem`."""

    def __init__(self, settings: LifetimesSettings, seed: int):
        super().__init__(settings, seed)
        network, task = settings.network, settings.task
        genome, types = settings.genome, cell_types(network.places())
        coefficients = coefficient_blocks(settings.rule, genome.rule, types, len(ROLES))
        self.layout = GenomeLayout((*network.blocks(genome.innate, genome.gain), *coefficients), seed)
        self._oldest = task.trials if task.newborn_tasks else task.life_trials  # age that plastic weights reach
        self._around = Around(network.dt_ms, self._oldest, len(types), settings.modulation.channels)
        self._rule = settings.rule.build(self._around, {})
        self._modulation = settings.modulation.build(network.places())
        self._packed = lru_cache(MOST_PACKED)(self._pack)
        self._changed = lru_cache(MOST_CHANGED)(self._change)

    @property
    def privileged(self) -> str:
        settings = self.settings
        fed: str = settings.task.told
        rules = getattr(settings.rule, "parts", {"": settings.rule}).values()
        silent = min(getattr(rule, "burn_in_trials", 0) for rule in rules) >= self._oldest
        never = f" It never writes: burn_in_trials is not below the {self._oldest} trials of a life." if silent else ""
        if settings.rule.listens():
            heard = settings.modulation.only(settings.rule.heard())
            return str(heard.told(fed, settings.task.kinds_told)) + never
        return f"No third factor reaches the weights; the network's feedback units are told {fed}." + never

    @property
    def marks(self) -> Mapping[int, str]:
        born = self._oldest - self.settings.task.trials  # age at the first trial of the last task
        marks = self.settings.rule.marks(self._oldest)
        return {age - born: label for age, label in marks.items() if born < age < self._oldest}

    def _live(self, genotype: NDArray[np.float64], life: Life, names: Sequence[str]) -> NDArray[np.float32]:
        body = self.body(genotype, life, names)
        scores = np.zeros((len(names) * self.settings.task.trials, SCORE_COLUMNS), np.float32)
        live(*body, self.key(life), aligned_zeros(body.network.innate.shape), scores)
        return scores

    def record(self, genotype: NDArray[np.float64], life: Life, wanted: Wanted) -> Recorded:
        """Return what moves in a life of this problem, which is the one under the life's lesion, and its scores."""
        body, names = self.body(genotype, life), self.tasks_of(life)
        units, steps = len(body.network.innate), steps_per_trial(body.task)
        recorder = recorder_of(units, steps, self.channels, wanted)
        scores = np.zeros((len(names) * self.settings.task.trials, SCORE_COLUMNS), np.float32)
        live_seen(*body, self.key(life), aligned_zeros(body.network.innate.shape), scores, recorder)
        lived = scores[wanted.kept()]
        return Recorded(recorder, lived, body.network.innate[:, :units], body.network.gain[:, :units])

    def feedback_step(self, task: str) -> int:
        """Return the step of a trial of this task at which feedback starts."""
        return int(feedback_step(self.task_of([task])))

    @property
    def channels(self) -> int:
        """How many third factors there are."""
        return len(self.settings.modulation.channels)

    def under(self, lesion: str) -> Lifetimes:
        return self._changed(lesion)

    def _change(self, lesion: str) -> Lifetimes:
        settings = conditions.under(self.settings, lesion)
        return self if settings is self.settings else settings.build(self.seed)

    def body(self, genotype: NDArray[np.float64], life: Life, names: Sequence[str] | None = None) -> Body:
        """Return what lives: the developed genotype and the tasks of this life, after the life's lesions."""
        lesions = lesions_called(life.lesion)
        values = self.layout.unpack(genotype)
        if self.settings.genome.innate_drawn == "every_life":
            values = values | {"innate": self._drawn_innate(life)}
        if life.lesion != INTACT:
            shuffle_key = stream_key(self.seed, Purpose.CONTROL, *life.path)
            context = Context(self._initial_values, self._projections, self._hidden, shuffle_key)
            for lesion in lesions:
                values = lesion.values(values, context)
        network = self.settings.network.build(values["innate"], values["gain"])
        columns = network.innate.shape[1]
        if columns % LANES:
            raise UserError(f"weights of a network must be padded to a multiple of {LANES} columns, got {columns}")
        task = self.task_of(self.tasks_of(life) if names is None else names)
        body = Body(
            network,
            self._rule_of(values, life.lesion),
            conditions.changed_modulation(self.settings, self._modulation, life.lesion),
            task,
        )
        for lesion in lesions:
            body = lesion.body(body)
        return body

    def _rule_of(self, values: Mapping[str, NDArray[np.float64]], lesion: str) -> Any:
        """Return the rule with the coefficients that the genome holds, after a lesion."""
        held = conditions.changed_coefficients(self.settings, coefficients_in(values), lesion)
        return self.settings.rule.build(self._around, held) if held else self._rule

    def _drawn_innate(self, life: Life) -> NDArray[np.float64]:
        """Return innate weights that this life alone is born with."""
        block = next(block for block in self.layout.blocks if block.name == "innate")
        return block.develop(block.initial_genes(int(self.key(life))))

    def task_of(self, names: Sequence[str]) -> Any:
        """Return the packed task whose blocks of trials are these tasks."""
        return self._packed(tuple(names))

    def check(self) -> None:
        """Raise UserError for a task that the network has no place for, or a rule that cannot wait as it is told to."""
        self._check_waiting_parts()
        for name in self.tasks:
            self.task_of([name])

    def _check_waiting_parts(self) -> None:
        """Raise UserError for a part of the rule that is to wait for a third factor, and gets one at every step."""
        rule, modulation = self.settings.rule, self.settings.modulation
        waiting = next(
            (n for n, part in getattr(rule, "parts", {}).items() if not getattr(part, "every_step", True)), None
        )
        factors = getattr(modulation, "parts", {"": modulation}).values()
        if waiting and continual(self._rule) and any(getattr(factor, "acts", "") == "always" for factor in factors):
            raise UserError(
                f"problem.rule.parts.{waiting}.every_step is false, but beside a part that acts at every step the "
                'third factor of modulation "none" comes at every step; set problem.modulation.acts = "feedback"'
            )

    def _pack(self, names: tuple[str, ...]) -> Any:
        network = self.settings.network
        return self.settings.task.build(names, network.places(), network.dt_ms)

    @cached_property
    def _initial_values(self) -> dict[str, NDArray[np.float64]]:
        return self.layout.unpack(self.layout.initial())

    @cached_property
    def _hidden(self) -> NDArray[np.int64]:
        return np.array(self.settings.network.places()["hidden"], np.int64)

    @cached_property
    def _projections(self) -> NDArray[np.int64]:
        return groups("projection", cell_types(self.settings.network.places()), len(ROLES))
