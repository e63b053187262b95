"""The presets: the published constants, arms that freeze what they say, and every one of them runs."""

import math
import tomllib

import numpy as np
import pytest
from conftest import memory_freed

import evoplastic
from evoplastic.config import PRESETS, preset_names, read_config, write_toml
from evoplastic.evolution import Search
from evoplastic.genome import BlockSettings
from evoplastic.tasks.truth_tables import Spec

FOLDS = ["01", "10", "and", "dms", "or", "watchstim1", "watchstim2"]
ARMS = {  # block -> (evolves, genes of 70 units)
    "icml2023-small": {"innate": (True, 4900), "gain": (True, 4900)},
    "icml2023-small-gains-frozen": {"innate": (True, 4900), "gain": (False, 4900)},
    "icml2023-small-weights-frozen": {"innate": (False, 4900), "gain": (True, 4900)},
    "icml2023-small-plasticity-absent": {"innate": (True, 4900), "gain": (False, 4900)},
    "icml2023-small-gain-scalar": {"innate": (True, 4900), "gain": (True, 1)},
    "icml2023-small-network-controlled": {"innate": (True, 4900), "gain": (True, 4900)},
    "icml2023-small-reward-only": {"innate": (True, 4900), "gain": (True, 4900)},
}
# Presets that extend no other.
ROOTS = ("association", "cue-reward", "elife2017-dnms", "icml2023", "pattern-completion", "t-maze")
SAMPLED = [name for name in preset_names() if name.startswith("certified")]
ON_META_TASKS = [
    name for name in preset_names() if name in SAMPLED or read_config(name).problem.task.scale.metric == "score"
]
ON_BOOLEAN_TASKS = [name for name in preset_names() if name.startswith(("icml2023", "quickstart"))]
FEW = [f"problem.task.sampled.{part}=1" for part in ("training", "validation", "withheld")]
QUICK = {  # a generation in a blink, by type of task or metric; what makes the preset what it is stays
    "patterns": ["problem.network.units=12", "problem.task.bits=12", "lifetimes.per_member=1"],
    "association": ["problem.task.tasks_per_life=1"],
    "cue_reward": ["problem.task.trials=6", "problem.scored_trials=3", "lifetimes.per_member=1"],
    "accuracy": ["problem.network.units=13", "problem.task.trials=6", "problem.scored_trials=3"],
    "score": ["problem.network.units=20", "problem.task.tasks_per_life=1"],
    "adaptivity": ["problem.network.units=28", "problem.task.tasks_per_life=1", *FEW],
}


def get(config, path):
    for key in path.split("."):
        config = getattr(config, key)
    return config


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_complete_and_says_what_it_is(name):
    config = read_config(name, FEW if name in SAMPLED else ())
    assert config.name == name and config.summary.endswith(".")


@pytest.mark.parametrize("name", ON_BOOLEAN_TASKS)
def test_every_preset_on_boolean_tasks_says_how_it_deviates_and_what_it_withholds(name):
    config = read_config(name)
    assert config.deviations, "whatever extends the published experiment lists how it deviates"
    assert config.problem.withholding() in ("novel class", "relabelled")
    assert tomllib.loads(write_toml(config))["problem"]["task"]["battery"]["source"] == "boolean2"


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_lives_a_generation(name):
    few = FEW if name in SAMPLED else ()
    problem = read_config(name, few).problem
    rule = tomllib.loads(write_toml(read_config(name, few)))["problem"].get("rule", {"type": "none"})["type"]
    told, tag = problem.task.scale.metric, type(problem.task).__struct_config__.tag
    quick = QUICK[tag if tag in QUICK else told] if hasattr(problem, "network") else []
    population = 4 if type(read_config(name, few).strategy).__struct_config__.tag == "cma_es" else 2
    quick = [*quick, f"strategy.population={population}", "validation.every=0"]
    quick += ["problem.rule.burn_in_trials=1"] if rule == "node_perturbation" else []
    with memory_freed():
        (record,) = evoplastic.evolve(read_config(name, quick, generations=1), workers=1)
    assert np.isfinite(record.state.center).all() and record.metrics["training"]["failed"] == 0


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_extends_instead_of_repeating(name):
    raw = tomllib.loads((PRESETS / f"{name}.toml").read_text())
    assert ("extends" in raw) == (name not in ROOTS)


@pytest.mark.parametrize("name", [name for name in ON_META_TASKS if name + "-fixed-weights" in preset_names()])
def test_an_arm_on_a_meta_task_changes_what_it_says_and_nothing_else(name):
    plastic, fixed, reset = (
        tomllib.loads(write_toml(read_config(name + arm, FEW if name in SAMPLED else ())))
        for arm in ("", "-fixed-weights", "-activity-reset")
    )
    for arm in (fixed, reset):
        arm |= {key: plastic[key] for key in ("name", "summary")}
    assert reset["problem"]["task"].pop("reset_activity") and not plastic["problem"]["task"].pop("reset_activity")
    assert reset == plastic
    assert fixed["problem"]["rule"] == {"type": "fixed"} and not fixed["problem"]["genome"]["gain"]["evolve"]
    fixed["problem"]["task"].pop("reset_activity")
    for part in ("rule", "modulation"):
        fixed["problem"][part] = plastic["problem"][part]
    fixed["problem"]["genome"]["gain"] = plastic["problem"]["genome"]["gain"]
    assert fixed == plastic


# ---- the published experiment (reference 1.2)

PUBLISHED = {
    "problem.network.units": 70,
    "problem.network.tau_ms": 100.0,
    "problem.network.dt_ms": 20.0,
    "problem.network.initial_potential": 0.1,
    "problem.network.roles.stimulus": 2,
    "problem.network.roles.feedback": 2,
    "problem.network.roles.bias": 1,
    "problem.network.roles.echo": 2,
    "problem.network.roles.modulator": 2,
    "problem.network.roles.response": 2,
    "problem.rule.eta": 0.03,
    "problem.rule.clip": 0.01,
    "problem.rule.trace_tau_ms": 1000.0,
    "problem.rule.probability": 0.1,
    "problem.rule.amplitude": 0.5,
    "problem.rule.unperturbed_ms": 40.0,  # from step 2 on
    "problem.rule.burn_in_trials": 31,  # trial index > 30
    "problem.rule.quiet_trials": 19,  # trial index > 380 of 400
    "problem.modulation.baseline": "per_type",
    "problem.modulation.rate": 0.1,
    "problem.task.levels.stimulus": 3.0,
    "problem.task.levels.feedback": 3.0,
    "problem.task.levels.echo": 3.0,
    "problem.task.levels.bias": 1.0,
    "problem.task.periods.stimulus": 160.0,
    "problem.task.periods.gap": 40.0,
    "problem.task.periods.delay": 140.0,
    "problem.task.periods.response": 200.0,
    "problem.task.periods.pause": 20.0,
    "problem.task.periods.feedback": 200.0,
    "problem.task.periods.rest": 80.0,
    "problem.task.feedback": "graded",
    "problem.task.trials": 400,
    "problem.task.tasks_per_life": 1,
    "problem.task.alternate_halves": True,
    "problem.task.withheld": ("dms", "dnms"),
    "problem.scored_trials": 100,
    "problem.genome.innate.initial": 0.0,
    "problem.genome.innate.spread": 1.5,  # per sqrt(units)
    "problem.genome.innate.floor": None,
    "problem.genome.gain.initial": 0.5,
    "problem.genome.gain.spread": 0.0,
    "problem.genome.gain.floor": 0.0,
    "strategy.population": 500,
    "strategy.sigma": 0.03,
    "strategy.shaping": "raw",
    "strategy.weight_decay": 3e-4,
    "strategy.optimizer.learning_rate": 0.01,
    "strategy.optimizer.beta_1": 0.9,
    "strategy.optimizer.beta_2": 0.999,
    "generations": 1000,
}


@pytest.mark.parametrize("path", PUBLISHED)
def test_published_constant(path):
    assert get(read_config("icml2023"), path) == PUBLISHED[path]


def test_published_genome_starts_as_published():
    layout = Search.of(read_config("icml2023")).problem.layout
    values = layout.unpack(layout.initial())
    assert layout.size == 9800 and (values["gain"] == 0.5).all()
    innate = values["innate"]  # [pre, post]
    blank = [0, 1, 2, 3, 4, 5, 6, 66, 67]
    assert not innate[:, blank].any()
    rest = np.delete(innate, blank, axis=1)
    assert abs(rest.std() * math.sqrt(70) / 1.5 - 1) < 0.05 and abs(rest.mean()) < 0.01


def test_published_trials_take_a_second_in_fifty_steps():
    config = read_config("icml2023")
    periods = config.problem.task.periods.steps(2, config.problem.network.dt_ms)
    assert (periods.trial, periods.response, periods.response_end, periods.feedback) == (50, 25, 35, 36)
    assert (periods.feedback_end, periods.onset, periods.stimulus) == (46, 10, 8)


@pytest.mark.parametrize(
    "words",
    ["anti10", "shared by an antithetic pair", "every tenth generation", "members 0 and 250", "validation lives"],
)
def test_deviations_from_the_published_program_are_listed(words):
    assert sum(words in deviation for deviation in read_config("icml2023").deviations) == 1


def test_published_battery_can_be_had():
    config = read_config("icml2023", ["problem.task.battery.name=boolean2-as-published"])
    assert config.problem.task.tables == Spec(name="boolean2-as-published").resolve().tables


def test_network_controlled_constants_are_the_published_ones():
    for name in ("icml2023-network-controlled", "icml2023-small-network-controlled"):
        problem = read_config(name).problem
        assert problem.modulation.smoothness == 0.27
        assert (problem.rule.eta, problem.rule.clip, problem.rule.burn_in_trials) == (3e-4, 0.01, 11)  # index > 10
        assert (problem.rule.trace_tau_ms, problem.rule.quiet_trials) == (1000.0, 19)


def test_a_gated_network_is_born_without_a_third_factor_and_without_a_way_to_it():
    layout = Search.of(read_config("icml2023-small-network-gated")).problem.layout
    values = layout.unpack(layout.initial())
    assert not values["innate"][:, 66:68].any()
    assert not values["gain"][:, 66:68].any()


# ---- sizes, folds, arms

QUICK_CONSTANTS = {  # those of benchmarks/sample_efficiency.py
    "problem.rule.eta",
    "problem.rule.clip",
    "problem.rule.probability",
    "problem.modulation.rate",
    "problem.genome.innate.spread",
    "strategy.optimizer.learning_rate",
}


def differing(name, base):
    """Return the dotted paths at which two presets' complete run files differ."""

    def flat(value, prefix=""):
        for key, item in value.items():
            if isinstance(item, dict) and key != "tables":
                yield from flat(item, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", item

    ours, theirs = (dict(flat(tomllib.loads(write_toml(read_config(preset))))) for preset in (name, base))
    told = {"name", "summary"}
    return {path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)} - told


@pytest.mark.parametrize(
    ("name", "base", "paths"),
    [
        ("icml2023-small", "icml2023", {"strategy.population", "generations"}),
        ("icml2023-small-network-controlled", "icml2023-network-controlled", {"strategy.population", "generations"}),
        ("icml2023-quick", "quickstart", QUICK_CONSTANTS | {"generations", "strategy.population", "validation.every"}),
        ("icml2023-small-gains-frozen", "icml2023-small", {"problem.genome.gain.evolve"}),
        ("icml2023-small-weights-frozen", "icml2023-small", {"problem.genome.innate.evolve"}),
        ("icml2023-small-gain-scalar", "icml2023-small", {"problem.genome.gain.sharing"}),
        ("icml2023-small-reward-only", "icml2023-small", {"problem.task.feedback", "problem.modulation.baseline"}),
        ("icml2023-small-fold-dms", "icml2023-small", set()),
        *[
            (f"icml2023-small-fold-{fold}", "icml2023-small", {"problem.task.withheld"})
            for fold in FOLDS
            if fold != "dms"
        ],
    ],
)
def test_a_variant_differs_in_what_it_is_about_alone(name, base, paths):
    assert differing(name, base) == paths


def test_plasticity_absent_has_no_rule_and_no_gain():
    config = read_config("icml2023-small-plasticity-absent")
    assert config.problem.genome.gain == BlockSettings(evolve=False, initial=0.0, floor=0.0)
    assert type(config.problem.rule).__struct_config__.tag == "fixed"
    paths = differing("icml2023-small-plasticity-absent", "icml2023-small")
    assert {path for path in paths if not path.startswith("problem.rule.")} == {
        "problem.genome.gain.evolve",
        "problem.genome.gain.initial",
    }


@pytest.mark.parametrize("name", ARMS)
def test_an_arm_evolves_and_freezes_what_it_says(name):
    rows = Search.of(read_config(name)).problem.layout.describe()
    assert {row.name: (row.evolve, row.genes) for row in rows} == ARMS[name]


def test_frozen_weights_are_the_random_ones_that_evolution_starts_from():
    frozen, free = (
        Search.of(read_config(name, seed=3)).problem.layout
        for name in ("icml2023-small-weights-frozen", "icml2023-small")
    )
    weights = frozen.unpack(frozen.initial())["innate"]
    np.testing.assert_array_equal(weights, free.unpack(free.initial())["innate"])
    assert weights.any()


def test_seven_folds_withhold_every_task_once():
    names = [name for name in preset_names() if "-fold-" in name]
    assert names == [f"icml2023-small-fold-{fold}" for fold in FOLDS]
    withheld = [read_config(name).problem.task.withheld for name in names]
    assert sorted(task for pair in withheld for task in pair) == sorted(Spec(name="boolean2").resolve().tables)


@pytest.mark.parametrize("fold", FOLDS)
def test_only_one_fold_is_a_novel_class(fold):
    expected = "novel class" if fold == "dms" else "relabelled"
    assert read_config(f"icml2023-small-fold-{fold}").problem.withholding() == expected


# ---- drawn at random


def test_certified_presets_withhold_as_many_meta_tasks_as_they_train_on():
    for name in SAMPLED:
        drawn = tomllib.loads((PRESETS / "certified.toml").read_text())["problem"]["task"]["sampled"]
        config = read_config(name, FEW)
        assert (drawn["training"], drawn["withheld"]) == (64, 64) and drawn["validation"] > 0
        assert config.problem.task.measure == "adaptivity" and config.problem.withholding().startswith("other meta")
        assert config.problem.scored_trials == config.problem.task.trials


def test_certified_arms_meet_the_same_tasks():
    tasks = [read_config(name, FEW).problem.task for name in SAMPLED]
    assert len(SAMPLED) == 3 and all(task.content == tasks[0].content for task in tasks)
