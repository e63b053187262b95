"""One genotype to stand for a run: its center, the best of its elites, or their mean.

RUN, RUN:center    the center where the run stands
RUN:best           the elite with the highest score in lives of their own, never the luckiest in training
RUN:elite          the mean of the elites
FILE.npz           a genotype written before
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoplastic.analysis.stored import checked
from evoplastic.elites import rejudged
from evoplastic.errors import UserError, nearest
from evoplastic.evaluators.contract import Evaluator
from evoplastic.genotypes import Genotype, load_genotype
from evoplastic.launch import Run, load_run

CENTER, BEST, ELITE = "center", "best", "elite"
WHICH = (CENTER, BEST, ELITE)
GENERATION_0 = "generation_0"  # what evolution started from


def find_genotype(text: str, runs: Path | None = None, warn: Callable[[str], None] = lambda warning: None) -> Genotype:
    """Return the genotype that `text` names, runs by path or by name in `runs`; UserError if there is none.

    `warn` is told what is to be known of the run, such as damaged checkpoints passed over.
    """
    if text.endswith(".npz"):
        return load_genotype(text)
    name, colon, which = text.rpartition(":")
    if not colon or "/" in which:
        name, which = text, CENTER
    if which not in WHICH:
        raise UserError(
            f"{text!r} ends in :{which}, which no run has; choose one of {list(WHICH)}{nearest(which, WHICH)}"
        )
    if name.endswith(".npz"):
        raise UserError(f"{name} holds one genotype; leave :{which} away")
    run = load_run(name, runs)
    for warning in run.warnings:
        warn(f"{name}: {warning}")
    return genotype_of(run, which)


def genotype_of(run: Run, which: str = CENTER) -> Genotype:
    """Return one of WHICH of a run that has reached some generation; UserError where the run has none such."""
    name, generation = run.folder.path.name, run.state.generation
    if not run.folder.has_checkpoints():
        raise UserError(f"run {name!r} has no checkpoint yet, so it has no {which}; carry it on with resume")
    judged = judgement(run)
    genes, scores = run.center, _scores(run)
    if which != CENTER:
        if not len(run.elites.fitness):
            raise UserError(f"run {name!r} keeps no elites, so it has no {which}; evolve with --set elites.keep=5")
        genes, scores = run.elites.mean(), None
    if which == BEST:
        if judged is None:
            raise UserError(
                f"the elites of run {name!r} at generation {generation} were not scored yet, so none is best; "
                f"run evoplastic evaluate {run.folder.path}"
            )
        genes = run.elites.genes[judged["best"]]
    origin = {"run": name, "which": which, "generation": generation, "seed": run.config.seed}
    return Genotype.of(run.search.problem.layout, genes, {**origin, "scores": scores, "elites": judged})


def genes_called(run: Run, name: str) -> NDArray[np.float64]:
    """Return the genes (D,) of one of WHICH of a run, or those of generation 0; UserError where there are none such."""
    if name == GENERATION_0:
        return np.asarray(run.search.start().center)
    if name not in WHICH:
        known = [*WHICH, GENERATION_0]
        raise UserError(f"genome {name!r} is unknown; choose one of {known}{nearest(name, known)}")
    if name == CENTER and run.folder.has_checkpoints():
        return run.center  # whatever was said of it
    return genotype_of(run, name).genes


def judge(run: Run, evaluator: Evaluator) -> dict[str, Any] | None:
    """Return what center and elites score on lives of their own, None without elites; lived once for a generation."""
    if not len(run.elites.fitness):
        return None
    return judgement(run) or rejudged(run.search, evaluator, run.elites, run.state)


def judgement(run: Run) -> dict[str, Any] | None:
    """Return what the run's evaluations say of its elites where it stands, None if they say nothing."""
    found = [result.get("elites") for result in run.folder.evaluations(run.state.generation, ())]
    lives = run.config.elites.lives
    return next((told for told in reversed(found) if told and told["lives"] == lives), None)


def in_words(judged: dict[str, Any]) -> str:
    """Return a judgement as a sentence."""
    best = judged["kept"][judged["best"]]
    return (
        f"Elites, on {judged['part']} tasks: best of {len(judged['kept'])} {_number(best['score'])} "
        f"(generation {best['generation']}, member {best['member']}), their mean {_number(judged['elite'])}, "
        f"center {_number(judged['center'])}; take one with --from or export."
    )


def _number(score: float | None) -> str:
    return "none" if score is None else f"{score:.3f}"


def _scores(run: Run) -> dict[str, Any] | None:
    """Return what the newest whole evaluation says of the center where the run stands."""
    found = run.folder.evaluations(run.state.generation, run.search.problem.tasks)
    if not found:
        return None
    newest = checked(found[-1], run.folder.path)
    evolved = newest["conditions"]["evolved"]
    return {
        "metric": newest["metric"],
        **{part: evolved.get(part) for part in ("training", "validation", "withheld")},
    }
