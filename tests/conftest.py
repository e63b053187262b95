"""What kernel tests share: one small network, its lifetimes in the oracle's terms, and the same as kernel structs."""

import contextlib
import gc
import os
import secrets
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import naive
import numpy as np
from numba.core.runtime import _nrt_python, rtsys

import evoplastic
from evoplastic.modulation.loss import LossSettings
from evoplastic.modulation.network import NetworkControlledSettings
from evoplastic.modulation.none import UnmodulatedSettings
from evoplastic.modulation.reward import RewardSettings
from evoplastic.networks.leaky import LeakySettings
from evoplastic.networks.roles import place
from evoplastic.rollout import live
from evoplastic.rules import RULES
from evoplastic.rules.contract import Around, RuleSettings
from evoplastic.rules.node_perturbation import NodePerturbationSettings
from evoplastic.tasks.boolean_settings import BooleanSettings, LevelSettings, PeriodSettings
from evoplastic.tasks.truth_tables import Tables

os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # before Ray is imported, which reads them
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(evoplastic.__file__).resolve().parent
UNITS = 17  # 6 hidden ones; no multiple of the padding
MODULATIONS = {
    "loss per type": LossSettings(baseline="per_type"),
    "loss": LossSettings(baseline="single"),
    "network": NetworkControlledSettings(),
    "none": UnmodulatedSettings(),
    "reward per type": RewardSettings(baseline="per_type"),
    "reward": RewardSettings(baseline="single"),
}


class Structs(NamedTuple):
    """The first arguments of `live`, and what else it needs."""

    network: Any
    rule: Any
    modulation: Any
    task: Any
    key: Any
    trials: int


def small_life(seed=0, units=UNITS, **changes) -> naive.Life:
    """Return a short life of a random network that learns, with `changes`."""
    rng = np.random.default_rng(seed)
    roles = {role: list(units) for role, units in place(LeakySettings().roles, units).items()}
    innate = rng.normal(0.0, 1.0 / np.sqrt(units), (units, units))
    gain = rng.normal(0.5, 0.2, (units, units))
    return naive.Life(innate, gain, roles, **changes)


def structs(life: naive.Life) -> Structs:
    """Return the structs that run `life`, built from the settings of a run file."""
    trials = life.trials * (1 if life.newborn_blocks else len(life.tables))
    network = LeakySettings(
        units=len(life.innate),
        tau_ms=life.tau,
        dt_ms=life.dt,
        initial_potential=life.start,
        responses="tanh" if life.single else "logistic",
    )
    names = [f"task{number}" for number in range(len(life.tables))]
    periods = ("stimulus", "gap", "delay", "response", "pause", "feedback", "rest")
    task = BooleanSettings(
        battery=Tables(tables=dict(zip(names, life.tables))),
        trials=life.trials,
        tasks_per_life=len(life.tables),
        newborn_tasks=life.newborn_blocks,
        feedback="binary" if life.binary else "graded",
        stimulus_noise=life.stimulus_noise,
        answer="single" if life.single else "pair",
        periods=PeriodSettings(**{period: getattr(life, period) for period in periods}),
        levels=LevelSettings(
            stimulus=life.stimulus_level, feedback=life.feedback_level, echo=life.echo_level, bias=life.bias_level
        ),
    ).build(names, network.places(), life.dt)
    modulation = MODULATIONS[life.modulation]
    lesions = {"shuffled": np.int64(life.shuffled), "reset_activity": np.int64(life.reset_activity)}
    return Structs(
        network.build(life.innate.T, life.gain.T),
        rule_of(life).build(Around(life.dt, trials, len(life.innate), modulation.channels), {}),
        modulation.build(network.places()),
        task._replace(**lesions),
        np.uint64(life.key),
        life.trials * len(life.tables),
    )


def rule_of(life: naive.Life) -> RuleSettings:
    """Return the settings of a life's rule."""
    both = {"eta": life.eta, "trace_tau_ms": life.trace_tau, "burn_in_trials": life.burn_in}
    if life.rule == "hebbian":
        return RULES["hebbian"](**both, bound=life.bound)
    return NodePerturbationSettings(
        **both,
        clip=life.clip,
        probability=life.probability,
        amplitude=life.amplitude,
        unperturbed_ms=life.unperturbed,
        quiet_trials=life.quiet,
    )


@contextlib.contextmanager
def memory_freed():
    """Assert that compiled code frees all arrays that it makes; what only borrows would not free those it is given."""
    _nrt_python.memsys_enable_stats()
    gc.disable()  # what it would collect was made before
    before = rtsys.get_allocation_stats()
    try:
        yield
    finally:
        gc.enable()
    made, freed = np.subtract(rtsys.get_allocation_stats(), before).reshape(2, 2).T
    np.testing.assert_array_equal(freed, made, "allocations and arrays that were freed, and made")


def lived(life: naive.Life | Structs, kernel=live) -> naive.Record:
    """Return what `kernel` makes of a life."""
    with memory_freed():
        return lived_in_a_thread(life, kernel)


def lived_in_a_thread(life: naive.Life | Structs, kernel=live) -> naive.Record:
    """Return what `lived` does where others may live at the same time, so that nobody can say whose memory is whose."""
    built = structs(life) if isinstance(life, naive.Life) else life
    scores = np.full((built.trials, 3), np.nan, np.float32)
    plastic = np.full_like(built.network.innate, np.nan)
    with np.errstate(over="ignore"):  # plain Python's Philox wraps around, as it must
        kernel(*built[:5], plastic, scores)
    units = plastic.shape[0]
    assert not plastic[:, units:].any(), "padding must stay 0"
    return naive.Record(*scores.T, plastic[:, :units].T)


def same_life(ours: naive.Record, theirs: naive.Record) -> None:
    """Assert that two records of a life agree as closely as float32 lets them."""
    np.testing.assert_array_equal(ours.correct, theirs.correct, "correct")
    for name in ("loss", "cost", "plastic"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-4, atol=1e-6, err_msg=name)


def child(code: str, **environment: str) -> str:
    """Return what `code` prints in a new Python process that can import these tests and the same package."""
    paths = {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        env={**os.environ, **paths, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


__all__ = ["PACKAGE", "ROOT", "Structs", "child", "lived", "replace", "same_life", "small_life", "structs"]
