"""A run on disk: start it, carry it on, stop it well, open it again.

RunFolder (files)  +  evolve (values)  =  a run that can be killed at any moment and goes on bit for bit
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from evoplastic.checkpoints import Checkpoint
from evoplastic.config import RunConfig, deciding, difference, parse_config, write_toml
from evoplastic.elites import NO_ELITES, Elites, split
from evoplastic.errors import UserError
from evoplastic.evaluators.contract import Abandoned, Evaluator, Poisoned
from evoplastic.evolution import Diverged, Record, Search, evolve, training_jobs
from evoplastic.files import plain
from evoplastic.genotypes import Genotype, load_genotype
from evoplastic.jit import source_hash
from evoplastic.lock import is_taken
from evoplastic.manifest import build_manifest, deciding_facts
from evoplastic.plugins import check_plugin, option
from evoplastic.random import Purpose
from evoplastic.runs import START, RunFolder, legal_name
from evoplastic.stop import StopRequest
from evoplastic.strategies.contract import State

_IN_USE = "the run is being evolved right now; what is told is of generation {}, its newest checkpoint"


@dataclass(frozen=True)
class Run:
    """A run folder opened: its settings, its parts, and where it stands."""

    folder: RunFolder
    search: Search
    state: State
    warnings: tuple[str, ...] = field(default=())
    elites: Elites = NO_ELITES

    @property
    def config(self) -> RunConfig:
        return self.search.config

    @property
    def center(self) -> NDArray[np.float64]:
        """The center's genotype (D,)."""
        return self.state.center

    @property
    def finished(self) -> bool:
        return self.state.generation >= self.config.generations


def default_name(config: RunConfig) -> str:
    """Return what a run is called when nobody names it."""
    return legal_name(f"{config.name}-s{config.seed}")


def start_run(
    config: RunConfig,
    runs: Path,
    name: str | None = None,
    command: list[str] | None = None,
    start: Genotype | None = None,
) -> Run:
    """Make the run's folder and return the run at generation 0; `start` holds the genes that `config.start` names."""
    if start is not None and start.digest != config.start:
        raise ValueError("the run starts from other genes than its settings name")
    search = Search.of(config, None if start is None else start.genes)
    state = search.start()
    manifest = build_manifest(command or [], source_hash())
    given = None
    if start is not None:
        manifest["from"], given = start.origin, start.to_bytes()
    folder = RunFolder.create(runs, name, default_name(config), write_toml(config), manifest, given)
    return Run(folder, search, state)


def stored_config(folder: RunFolder) -> RunConfig:
    """Return the settings that the run in `folder` was made with; UserError without the plugin of its making."""
    check_plugin(folder.manifest.get("plugin"), f"run {folder.path.name!r}")
    raw = folder.config
    try:
        return parse_config(raw)
    except UserError as error:
        raise UserError(f"{folder.path / 'config.toml'}: {error}") from None


def load_run(path: str | Path | RunFolder, runs: Path | None = None, generations: int | None = None) -> Run:
    """Return the run in folder `path`, or named so in `runs`, at its newest undamaged checkpoint.

    A run that has none yet is at generation 0. `generations` replaces the configured total. UserError if the genome
    or the settings are not those that the checkpoint was made with, or if it is past the new total already. Who means
    to evolve it locks the folder first, and gives that folder; everyone else is warned if it is evolved meanwhile.
    """
    folder = path if isinstance(path, RunFolder) else RunFolder.open(path, runs)
    config = stored_config(folder)
    if generations is not None:
        config = msgspec.structs.replace(config, generations=generations)
    search = _search(folder, config)
    warnings = [
        f"the run is not exact: member {member} of generation {generation} was skipped"
        for generation, member in sorted(folder.skipped())
    ]
    in_use = not isinstance(path, RunFolder) and is_taken(folder.path)  # whoever evolves it gives the folder
    if not folder.has_checkpoints():
        warnings += [_IN_USE.format(0)] * in_use
        return Run(folder, search, search.start(), tuple(warnings))
    checkpoint = folder.load_checkpoint(warnings.append)
    warnings += [_IN_USE.format(checkpoint.generation)] * in_use
    other_genome = search.problem.layout.difference(checkpoint.meta.get("layout", []))
    if other_genome:
        raise UserError(f"run {folder.path.name!r} has checkpoints of another genome: {other_genome}")
    other_settings = difference(config, checkpoint.meta.get("settings", "{}"))
    if other_settings:
        raise UserError(
            f"run {folder.path.name!r} has checkpoints of other settings than its config.toml: {other_settings}; "
            "put that back, or start a new run"
        )
    if generations is not None and generations < checkpoint.generation:
        raise UserError(
            f"run {folder.path.name!r} stands at generation {checkpoint.generation}, and --generations is the total: "
            f"give at least that many, got {generations}"
        )
    arrays, elites = split(checkpoint.arrays, search.problem.layout.size)
    return Run(folder, search, search.strategy.restore(arrays), tuple(warnings), elites)


def _search(folder: RunFolder, config: RunConfig) -> Search:
    """Return the parts of the run in `folder`; UserError if its start.npz is not what it was."""
    if not config.start:
        return Search.of(config)
    start = load_genotype(folder.path / START)
    if start.digest != config.start:
        raise UserError(
            f"{folder.path / START} holds other genes than those that the run's config.toml names; restore it, or "
            "start the run anew with --from"
        )
    search = Search.of(config, start.genes)
    other_genome = search.problem.layout.difference(start.layout)
    if other_genome:
        raise UserError(f"run {folder.path.name!r} starts from genes of another genome: {other_genome}")
    return search


def resume_differences(run: Run) -> list[str]:
    """Return in words what differs between the run's making and this process, among what may change its bits."""
    before = run.folder.manifest
    if before["lineage"]:
        before = before | before["lineage"][-1].get("now", {})
    then, now = deciding_facts(before), deciding_facts(build_manifest([], source_hash()))
    return [f"{name} was {then[name]}, is {now[name]}" for name in now if then[name] != now[name]]


def replayed(run: Run, member: int) -> dict[str, Any]:
    """Return what a member of the generation that the run stands at scores, lived in this process."""
    search, state = run.search, run.state
    with threadpool_limits(1):  # as in `evolve`: CMA-ES draws other members with more
        candidates = search.strategy.ask(state)
    if member >= candidates.population:
        raise UserError(f"members are numbered 0 to {candidates.population - 1}, got {member}")
    jobs = training_jobs(search, candidates, state.generation, [member])
    row = np.mean([search.problem.score(candidates.genotype(member), job.life) for job in jobs], axis=0)
    score = dict(zip(search.problem.columns, plain(row), strict=True))
    told = {"run": run.folder.path.name, "generation": state.generation, "member": member, "score": score}
    return {"format": "evoplastic.replay", "version": 1, **told}


def note_resume(run: Run, command: list[str], differences: list[str]) -> None:
    """Write into the folder that the run goes on now: lineage, and the total it goes on to."""
    now = build_manifest(command, source_hash())
    run.folder.add_lineage({"generation": run.state.generation, "differences": differences, "now": now})
    run.folder.replace_config(write_toml(run.config))


def carry_on(
    run: Run,
    evaluator: Evaluator,
    stop: StopRequest,
    watch: Callable[[Record], None] = lambda record: None,
    skip: Callable[[str], None] | None = None,
) -> Run:
    """Evolve from the run's state to its configured total, or until stopped; the folder is locked by the caller.

    Every generation is recorded; a checkpoint is written at the end, at a stop, and otherwise at most every
    `checkpoints.seconds`. A member that keeps killing its workers stops the run, or is left out and `skip` told.
    Returns the run where it now stands.
    """
    folder, settings = run.folder, run.config.checkpoints
    state, elites, saved, saved_at = run.state, run.elites, -1, time.monotonic()
    folder.rewind_metrics(state.generation)
    if stop.finish():
        return run
    try:
        for record in _records(run, evaluator, skip):
            folder.append_metrics(record.metrics)
            folder.append_event("generation", **_costs(record), **evaluator.report())
            elites, state = elites.after(record, run.config.elites.keep), record.state
            watch(record)
            kept = settings.keep_every and state.generation % settings.keep_every == 0
            if kept or time.monotonic() - saved_at >= settings.seconds:
                _save(run, state, elites)
                saved, saved_at = state.generation, time.monotonic()
            if stop.finish():
                break
    except Abandoned:
        folder.append_event("abandoned", generation=state.generation)
    except Diverged:
        folder.append_event("diverged", generation=state.generation)
        raise
    finally:
        # Also after an error: what was reached is kept, and the error goes on its way.
        if saved != state.generation:
            _save(run, state, elites)
    return Run(folder, run.search, state, run.warnings, elites)


def _records(run: Run, evaluator: Evaluator, skip: Callable[[str], None] | None) -> Iterator[Record]:
    """Yield the records of the run from where it stands; a generation in which a member is left out starts over."""
    state = run.state
    while True:
        try:
            for record in evolve(run.search, evaluator, state, run.folder.skipped()):
                state = record.state
                yield record
            return
        except Poisoned as poison:
            job = poison.job
            run.folder.append_event("poisoned", generation=state.generation, member=job.member, **evaluator.report())
            if job.life.purpose != Purpose.LIFETIME:
                raise
            if skip is None:
                raise UserError(
                    f"generation {state.generation}: {poison}; live it again with evoplastic replay {run.folder.path} "
                    f"--member {job.member}{option()}, or leave it out with evoplastic resume {run.folder.path} "
                    f"--skip-poison{option()}"
                ) from poison
            run.folder.skip(state.generation, job.member)
            skip(f"the run is not exact any more: member {job.member} of generation {state.generation} is skipped")


def _save(run: Run, state: State, elites: Elites) -> None:
    started = time.perf_counter()
    search, settings = run.search, run.config.checkpoints
    meta: dict[str, Any] = {
        "layout": search.problem.layout.meta(),
        "settings": deciding(run.config),
    }
    checkpoint = Checkpoint(state.generation, {**search.strategy.arrays(state), **elites.arrays()}, meta)
    run.folder.save_checkpoint(checkpoint, settings.keep_last, settings.keep_every)
    run.folder.append_event("checkpoint", generation=state.generation, seconds=time.perf_counter() - started)


def _costs(record: Record) -> dict[str, Any]:
    """Return what a generation cost: seconds and rates, never part of the metrics."""
    return {
        "generation": record.generation,
        "seconds": record.seconds,
        "lives": record.lives,
        "lives_per_second": record.lives / record.seconds,
        "validation_seconds": record.validation_seconds,
        "validation_lives": record.validation_lives,
    }
