"""Sampled meta-tasks: the same list for ever, thresholds that hold, and filters that say what they reject."""

import functools
import json
import math
from collections import Counter

import msgspec
import pytest

from evoplastic.errors import UserError
from evoplastic.random import Purpose, stream_key
from evoplastic.tasks.meta.check import check_program
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import Reward, to_json
from evoplastic.tasks.meta.reading import parse_meta_task, read_meta_task
from evoplastic.tasks.meta.sampling import candidates, structure
from evoplastic.tasks.meta.sampling.candidates import examine, lacking
from evoplastic.tasks.meta.sampling.canonical import canonical
from evoplastic.tasks.meta.sampling.certified_draws import draw_candidate
from evoplastic.tasks.meta.sampling.coverage import Place, coverage, place_of
from evoplastic.tasks.meta.sampling.payments import without_hidden
from evoplastic.tasks.meta.sampling.sample import DUPLICATE, FULL, SampleSettings, sample
from evoplastic.tasks.meta.solvers.certify import certify
from evoplastic.tasks.meta.solvers.situations import discretised, situations_of
from evoplastic.tasks.meta.writing import as_file

SETTINGS = SampleSettings(horizon=10)
COUNT = 12


@functools.cache
def drawn(settings=SETTINGS, count=COUNT):
    return sample(settings, count)


@functools.cache
def draws(count=300, **fields):
    settings = SampleSettings(**fields)
    return [draw_candidate(stream_key(5, Purpose.TASK, 0, number), settings) for number in range(count)]


def small(**changes):
    """A t-maze, with changes to its spec."""
    return msgspec.structs.replace(read_meta_task("t-maze"), horizon=10, **changes)


def test_equal_settings_sample_equal_tasks():
    assert sample(SETTINGS, COUNT) == drawn()


def test_two_workers_sample_what_one_does():
    assert sample(SETTINGS, COUNT, workers=2) == drawn()


def test_more_tasks_begin_with_those_of_fewer():
    assert drawn().tasks[:5] == drawn(SETTINGS, 5).tasks


def test_another_seed_samples_other_tasks():
    other = sample(msgspec.structs.replace(SETTINGS, seed=1), COUNT)
    assert not {task.canonical for task in other.tasks} & {task.canonical for task in drawn().tasks}


def test_every_candidate_is_accepted_or_counted_as_rejected():
    assert drawn().examined == COUNT + sum(drawn().rejected.values())
    assert drawn().tasks[-1].number == drawn().examined - 1


def test_tell_hears_of_every_candidate():
    heard = []
    sample(SETTINGS, 3, tell=lambda *counts: heard.append(counts))
    assert [examined for examined, _ in heard] == list(range(1, len(heard) + 1))
    assert heard[-1][1] == 3


@pytest.mark.parametrize("task", drawn().tasks, ids=lambda task: task.name)
def test_an_accepted_task_keeps_its_thresholds(task):
    found = certify(decode(task.spec))
    assert found == task.certificate
    assert found.bayes.low - found.blind.high >= SETTINGS.adapting
    assert found.bayes.low - found.random >= SETTINGS.learnable
    assert found.oracle - found.fixed >= SETTINGS.adapting
    assert found.steps_to_90 <= SETTINGS.identified * SETTINGS.horizon
    assert found.instances <= SETTINGS.instances


def test_accepted_tasks_are_of_different_classes_and_names():
    classes = [canonical(decode(task.spec)) for task in drawn().tasks]
    assert classes == [task.canonical for task in drawn().tasks]
    assert len(set(classes)) == len({task.name for task in drawn().tasks}) == COUNT
    assert all(task.name.startswith(f"random-{task.canonical[:8]}") for task in drawn().tasks)


def test_an_accepted_task_survives_its_file():
    for task in drawn().tasks:
        assert parse_meta_task(json.loads(as_file(task.spec)), task.name) == task.spec


def test_a_task_can_be_drawn_again_from_its_source():
    task = drawn().tasks[-1]
    assert f"seed 0, candidate {task.number}" in task.spec.source
    assert examine(SETTINGS, task.number).spec == task.spec


def test_a_class_met_before_is_rejected(monkeypatch):
    found = examine(SETTINGS, drawn().tasks[0].number)
    monkeypatch.setattr("evoplastic.tasks.meta.sampling.sample.examine", lambda settings, number: found)
    with pytest.raises(UserError, match=rf"1 of 2 tasks .* among 5 candidates \({DUPLICATE}: 4\)"):
        sample(msgspec.structs.replace(SETTINGS, most_draws=5), 2)


def test_impossible_thresholds_say_which_filter_rejects_most_and_what_to_loosen():
    settings = msgspec.structs.replace(SETTINGS, learnable=3.0, most_draws=60)
    with pytest.raises(UserError, match=r"0 of 4 tasks were found among 60 candidates") as error:
        sample(settings, 4)
    listed = str(error.value).partition("(")[2].partition(")")[0]
    first, *others = [part.rpartition(": ") for part in listed.split("; ")]
    assert first[0] == candidates.UNLEARNABLE
    assert all(int(count) <= int(first[2]) for _, _, count in others)
    assert "lower learnable" in str(error.value)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"adapting": 9.0, "knowing": 0.0}, candidates.MEMORYLESS),
        ({"knowing": 9.0}, candidates.FIXED),
        ({"learnable": 9.0}, candidates.UNLEARNABLE),
    ],
)
def test_a_threshold_too_high_is_named_by_its_filter(fields, reason):
    number = drawn().tasks[0].number
    assert examine(msgspec.structs.replace(SETTINGS, **fields), number).rejected == reason


def test_a_candidate_that_cannot_be_solved_is_rejected_as_too_large(monkeypatch):
    def refuse(program):
        raise UserError("too many outcomes")

    monkeypatch.setattr(candidates, "Solution", refuse)
    assert examine(SETTINGS, drawn().tasks[0].number).rejected == candidates.TOO_LARGE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"bayes": {"low": 0.3, "high": 0.4}}, candidates.LOOSE),
        ({"blind": {"low": 0.48, "high": 0.48}}, candidates.UNADAPTING),
        ({"random": 0.49}, candidates.UNGAINED),
        ({"steps_to_90": 6}, candidates.UNIDENTIFIED),
        ({"steps_to_90": None}, candidates.UNIDENTIFIED),
    ],
)
def test_a_certificate_names_the_threshold_it_lacks(change, reason):
    fields = {"bayes": {"low": 0.5, "high": 0.5}, "blind": {"low": 0.3, "high": 0.3}, "random": 0.2, "steps_to_90": 2}
    known = msgspec.to_builtins(drawn().tasks[0].certificate)
    certificate = msgspec.convert({**known, **fields, **change}, type(drawn().tasks[0].certificate))
    assert lacking(SETTINGS, certificate) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"variables": {}, "rewards": (Reward(from_="left arm"),)}, structure.CONSTANT),
        ({"transitions": {state: state for state in ("start", "junction", "left arm", "right arm")}}, structure.STUCK),
        (
            {"transitions": {"start": "junction", "junction": {"left": "left arm", "right": "right arm"}}
            | {"left arm": "start", "right arm": "right arm"}},
            structure.ENDLESS,
        ),
        (
            {"transitions": {"start": "junction", "junction": "left arm", "left arm": "start", "right arm": "start"}},
            structure.UNREACHED,
        ),
        ({"rewards": (Reward(from_="baited", probability=0.0),)}, structure.UNPAID),
        (
            {"transitions": {"start": "junction", "junction": {"left arm": 0.5, "right arm": 0.5}}
            | {"left arm": "start", "right arm": "start"}},
            structure.INERT,
        ),
    ],
)  # fmt: skip
def test_a_flaw_is_seen_without_solving(changes, reason):
    assert structure.flaw(decode(small(**changes))) == reason


def test_candidates_can_be_decoded_and_drawn_again():
    for number, spec in enumerate(draws(fewest_states=1, horizon=7)):
        decode(spec)
        again = draw_candidate(stream_key(5, Purpose.TASK, 0, number), SampleSettings(fewest_states=1, horizon=7))
        assert spec == again


def test_candidates_without_a_flaw_are_sound_and_survive_their_file():
    for spec in draws():
        program = decode(spec)
        if not structure.flaw(program):
            check_program(program)
            assert parse_meta_task(to_json(spec), "candidate") == spec


@pytest.mark.parametrize("instances", [2, 6, 16])
def test_candidates_have_no_more_instances_than_asked(instances):
    for spec in draws(count=150, instances=instances, actions=2, routed=1.0):
        first, second, *_ = situations_of(discretised(decode(spec))).shape
        assert first * second <= instances


def test_candidates_have_the_states_and_actions_asked_for():
    for spec in draws(count=100, fewest_states=3, most_states=5, actions=3, flagged=0.0):
        assert 3 <= len(spec.states) <= 5
        assert len(spec.actions) == 3
        assert not spec.flags


@pytest.mark.parametrize(
    ("field", "has"),
    [
        ("flagged", lambda spec: bool(spec.flags)),
        ("changing", lambda spec: any(variable.change for variable in spec.variables.values())),
        ("costly", lambda spec: bool(spec.costs)),
        ("routed", lambda spec: "left way" in spec.variables),
    ],
)
def test_a_share_sets_how_many_candidates_have_something(field, has):
    count = 200
    none, half = (sum(map(has, draws(count=count, **{field: share}))) for share in (0.0, 0.5))
    assert none == 0
    assert half <= count * (0.5 + 4 * math.sqrt(0.25 / count))
    assert half >= count * (0.2 if field == "routed" else 0.5 - 4 * math.sqrt(0.25 / count))


def test_a_rule_that_a_later_one_overrides_is_left_out():
    kept = Reward(action="left"), Reward(from_="hall")
    assert without_hidden([Reward(from_="hall", action="left"), *kept]) == list(kept)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"fewest_states": 5}, "fewest_states must be at most most_states = 4, got 5"),
        ({"most_states": 6, "actions": 4}, "would compare 1.7e+07 fixed policies"),
        ({"most_states": 50}, "would compare"),
    ],
)
def test_sizes_that_cannot_be_solved_are_refused(fields, named):
    with pytest.raises(UserError) as error:
        sample(SampleSettings(**fields), 1)
    assert named in str(error.value)


def test_more_tasks_than_candidates_are_refused():
    with pytest.raises(UserError, match="most_draws must be at least the 9 tasks asked for, got 8"):
        sample(SampleSettings(most_draws=8), 9)


def test_more_tasks_than_bins_can_hold_are_refused():
    with pytest.raises(UserError, match="per_bin must be at least 2 for 19 tasks, since 18 bins can hold any, got 1"):
        sample(SampleSettings(per_bin=1), 19)


@pytest.mark.parametrize("repaired", [True, False])
def test_published_tasks_are_sampled_without_certificates(repaired):
    found = sample(SampleSettings(kind="published", repaired=repaired, horizon=30), 10)
    assert len({task.canonical for task in found.tasks}) == 10
    for task in found.tasks:
        assert task.certificate is None
        assert task.spec.horizon == 30
        assert parse_meta_task(to_json(task.spec), task.name) == task.spec
    assert sum(found.rejected.values()) == found.examined - 10


def test_published_codes_that_mean_nothing_are_counted():
    assert candidates.UNDEFINED in sample(SampleSettings(kind="published", repaired=False), 60).rejected


def test_a_place_falls_into_a_third_of_each_axis():
    assert Place(0.0, 0.34, 1.0).bin == (0, 1, 2)
    assert Place(0.33, 0.67, 0.99).bin == (0, 2, 2)


def test_coverage_counts_the_occupied_bins():
    covered = coverage([Place(0.1, 0.1, 0.1), Place(0.2, 0.2, 0.2), Place(0.9, 0.9, 0.9)])
    assert covered.counts == {(0, 0, 0): 2, (2, 2, 2): 1}
    assert covered.occupied == 2


def test_a_certain_task_has_no_stochasticity_and_coin_tosses_have_all():
    certain = decode(small())
    tossed = decode(small(rewards=(Reward(probability=0.5),)))
    certificate = certify(certain)
    assert place_of(situations_of(certain), certificate).stochasticity == 0.0
    assert place_of(situations_of(tossed), certificate).stochasticity == pytest.approx(1.0)


def test_places_follow_from_certificates():
    for task in drawn().tasks:
        values, place = task.certificate, task.place
        assert place == place_of(situations_of(decode(task.spec)), values)
        assert place.exploration == pytest.approx(values.adapting / (values.oracle - values.random))
        assert place.memory == pytest.approx(values.memory / values.learnable)
        assert 0.0 <= min(place) <= max(place) <= 1.0
        assert place.memory >= place.exploration


def test_bins_can_be_kept_from_filling_up():
    balanced = sample(msgspec.structs.replace(SETTINGS, per_bin=1), 8)
    assert coverage(task.place for task in balanced.tasks).occupied == 8
    assert balanced.rejected[FULL] > 0


def test_what_a_sign_looks_like_says_nothing_of_where_it_is_shown():
    """A sign is called after the place that it is drawn for, so its code must not be."""
    codes = Counter()
    for number in range(400):
        spec = draw_candidate(stream_key(5, Purpose.TASK, 0, number), SETTINGS)
        codes.update(
            [spec.stimuli[spec.observations["start"]]] if spec.observations.get("start") in spec.stimuli else []
        )
    assert len(codes) == 6
    assert max(codes.values()) < 0.25 * codes.total()
