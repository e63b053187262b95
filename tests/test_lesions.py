"""Lesions: each takes away what its name says and nothing else, and none compiles a kernel."""

import typing
from collections import Counter

import numpy as np
import pytest
from conftest import lived, replace, same_life, small_life, structs
from naive import Lifetime

from evoplastic.config import read_config
from evoplastic.genome import groups
from evoplastic.modulation import MODULATIONS
from evoplastic.problems.contract import INTACT, Life
from evoplastic.problems.lesions import LESIONS, Body, Context
from evoplastic.random import Purpose
from evoplastic.rollout import live
from evoplastic.tasks import TASKS

UNITS = 12
CHANGED = {  # what each lesion changes of a body
    "plasticity_off": {"network.gain"},
    "gains_uniform": {"network.gain"},
    "gains_shuffled": {"network.gain"},
    "weights_shuffled": {"network.innate"},
    "initial_weights": {"network.innate"},
    "feedback_cut": {"task.levels.feedback"},
    "modulation_cut": {"modulation.strength"},
    "feedback_shuffled": {"task.shuffled"},
    "activity_reset": {"task.reset_activity"},
}
IN_WORDS_OF_THE_ORACLE = {
    "feedback_cut": {"feedback_level": 0.0},
    "modulation_cut": {"eta": 0.0},  # what a third factor of 0 leaves of a three-factor rule
    "feedback_shuffled": {"shuffled": True},
    "activity_reset": {"reset_activity": True},
}


def tiny(*overrides):
    short = [f"problem.{key}" for key in ("network.units=17", "task.trials=12", "scored_trials=6")]
    rule = [f"problem.rule.{key}" for key in ("burn_in_trials=1", "quiet_trials=2", "eta=100.0", "clip=1.0")]
    return read_config("quickstart", [*short, *rule, *overrides]).problem.build(0)


def mutant(problem):
    center = problem.layout.initial()
    return center + np.random.default_rng(0).normal(0.0, 0.1, center.shape)


def address(problem, lesion=INTACT):
    return problem.test_lives(Purpose.EVALUATION, (0,), 1)["dms"][0]._replace(lesion=lesion)


def leaves(value, path=""):
    """Yield (path, number or array) of a nest of NamedTuples."""
    if hasattr(value, "_fields"):
        for name in value._fields:
            yield from leaves(getattr(value, name), f"{path}.{name}" if path else name)
    else:
        yield path, value


@pytest.mark.parametrize("lesion", CHANGED)
def test_a_lesion_changes_what_it_is_about_and_nothing_else(lesion):
    problem = tiny()
    before, after = (dict(leaves(problem.body(mutant(problem), address(problem, name)))) for name in (INTACT, lesion))
    assert {path for path in before if not np.array_equal(before[path], after[path])} == CHANGED[lesion]
    assert [np.asarray(value).dtype for value in before.values()] == [np.asarray(x).dtype for x in after.values()]


def test_every_lesion_is_tested():
    assert list(LESIONS) == [INTACT, *CHANGED]


# ---- lesions of values


def values_and_context(key=3):
    draw = np.random.default_rng(0).normal
    values = {"innate": draw(0.0, 1.0, (UNITS, UNITS)), "gain": draw(0.2, 1.0, (UNITS, UNITS))}
    initial = {"innate": draw(0.0, 1.0, (UNITS, UNITS)), "gain": np.ones((UNITS, UNITS))}
    types = np.repeat([0, 1, 2], UNITS // 3)
    return values, Context(initial, groups("projection", types, 3), np.arange(1, UNITS), np.uint64(key))


def after(lesion, key=3):
    values, context = values_and_context(key)
    return LESIONS[lesion].values(values, context)


def test_shuffled_gains_stay_in_their_projection_and_keep_their_signs():
    values, context = values_and_context()
    before, shuffled = values["gain"], after("gains_shuffled")["gain"]
    np.testing.assert_array_equal(np.sign(shuffled), np.sign(before))
    for projection in np.unique(context.projections):
        inside = context.projections == projection
        sizes, shuffled_sizes = np.abs(before[inside]), np.abs(shuffled[inside])
        np.testing.assert_array_equal(np.sort(shuffled_sizes), np.sort(sizes))
        assert (shuffled_sizes != sizes).any()


def test_shuffled_weights_are_the_same_weights_elsewhere():
    before, shuffled = values_and_context()[0]["innate"], after("weights_shuffled")["innate"]
    np.testing.assert_array_equal(np.sort(shuffled, axis=None), np.sort(before, axis=None))
    assert np.mean(shuffled != before) > 0.9


@pytest.mark.parametrize(("lesion", "block"), [("gains_shuffled", "gain"), ("weights_shuffled", "innate")])
def test_another_key_shuffles_otherwise(lesion, block):
    np.testing.assert_array_equal(after(lesion)[block], after(lesion)[block])
    assert (after(lesion)[block] != after(lesion, key=4)[block]).any()


def test_uniform_gains_are_the_mean():
    np.testing.assert_array_equal(after("gains_uniform")["gain"], values_and_context()[0]["gain"].mean())


def test_uniform_gains_leave_inputs_unplastic_that_are_born_so():
    problem = tiny("problem.network.born_unplastic=['response']")
    body = problem.body(problem.layout.initial() + 0.25, address(problem, "gains_uniform"))
    gain, responses = body.network.gain, list(problem.settings.network.places()["response"])
    units = problem.settings.network.units
    assert (gain[:, responses] == 0.25).all()
    assert (np.delete(gain[:, :units], responses, axis=1) == 0.75).all()


def test_without_plasticity_every_gain_is_0():
    assert not after("plasticity_off")["gain"].any()


def test_initial_weights_are_those_of_generation_0():
    problem = tiny()
    lesioned = problem.body(mutant(problem), address(problem, "initial_weights")).network
    np.testing.assert_array_equal(
        lesioned.innate, problem.body(problem.layout.initial(), address(problem)).network.innate
    )


@pytest.mark.parametrize("lesion", LESIONS)
def test_a_genome_s_own_values_are_left_alone(lesion):
    values, context = values_and_context()
    LESIONS[lesion].values(values, context)
    untouched, _ = values_and_context()
    assert all(np.array_equal(values[name], untouched[name]) for name in untouched)


# ---- lesions of the body


def fields(settings):
    """Return the paths of all fields of the struct that a settings class builds."""

    def paths(struct, path):
        for name, kind in typing.get_type_hints(struct).items():
            yield f"{path}{name}"
            if hasattr(kind, "_fields"):
                yield from paths(kind, f"{path}{name}.")

    return set(paths(typing.get_type_hints(settings.build)["return"], ""))


@pytest.mark.parametrize("name", MODULATIONS)
def test_every_modulation_has_the_field_that_lesions_set(name):
    assert "strength" in fields(MODULATIONS[name])


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_the_fields_that_lesions_set(name):
    assert {"levels.feedback", "shuffled", "reset_activity"} <= fields(TASKS[name])


@pytest.mark.parametrize("lesion", IN_WORDS_OF_THE_ORACLE)
def test_a_lesioned_body_lives_as_the_oracle_says(lesion):
    life = small_life()
    whole = structs(life)
    lesioned = lived(whole._replace(**LESIONS[lesion].body(Body(*whole[:4]))._asdict()))
    same_life(lesioned, Lifetime(replace(life, **IN_WORDS_OF_THE_ORACLE[lesion])).run())
    assert not np.array_equal(lesioned.loss, lived(life).loss)


def test_shuffled_feedback_changes_only_what_is_fed_back():
    problem = tiny()
    scores = np.random.default_rng(0).random((12, 3)).astype(np.float32)
    own, shuffled = (
        problem.body(mutant(problem), address(problem, name)).task for name in (INTACT, "feedback_shuffled")
    )
    for trial in range(1, 12):
        before, after = (task.begin_trial(task.idle(), np.uint64(5), trial, scores) for task in (own, shuffled))
        assert after.fed_loss in scores[:trial, 0]
        assert after._replace(fed_loss=before.fed_loss) == before


@pytest.mark.parametrize("modulation", ["loss", "network_controlled", "reward"])
def test_a_three_factor_rule_without_its_third_factor_is_no_plasticity(modulation):
    problem = tiny(f'problem.modulation={{type="{modulation}"}}')
    cut, off, whole = (
        problem.score(mutant(problem), address(problem, name)) for name in ("modulation_cut", "plasticity_off", INTACT)
    )
    np.testing.assert_array_equal(cut, off)
    assert (cut != whole).any()


def test_no_lesion_compiles_a_kernel():
    problem = tiny()
    for lesion in LESIONS:
        problem.course(mutant(problem), address(problem, lesion))
    combinations = Counter(tuple(kind.instance_class for kind in signature[:4]) for signature in live.signatures)
    assert set(combinations.values()) == {1}


@pytest.mark.parametrize("lesion", ["weights_shuffled", "initial_weights"])
def test_lesions_of_weights_reach_weights_that_are_drawn_for_each_life(lesion):
    drawn = ("problem.genome.innate.evolve=false", "problem.genome.innate_drawn=every_life", "problem.network.units=17")
    problem = read_config("quickstart", drawn).problem.build(0)
    life, genotype = Life(Purpose.EVALUATION, (0, 0), "and"), problem.layout.initial()
    intact = problem.body(genotype, life).network.innate
    assert (problem.body(genotype, life._replace(lesion=lesion)).network.innate != intact).any()
