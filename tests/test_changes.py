"""Lesions by degrees: one number of what lives set or multiplied, alone or together with other lesions."""

import numpy as np
import pytest
from test_evolution import TINY

from evoplastic.config import read_config
from evoplastic.errors import UserError
from evoplastic.evaluators.threads import Threads
from evoplastic.problems.changes import change_called
from evoplastic.problems.contract import INTACT
from evoplastic.random import Purpose
from evoplastic.strategies.contract import Fixed

CHANNELS = (
    'problem.modulation={type="channels", parts={told={type="reward"}, own={type="network_controlled"}}}',
    'problem.rule={type="together", parts={a={type="hebbian", channel="told"}, b={type="hebbian", channel="own"}}}',
)


def tiny(*settings, preset="quickstart"):
    return read_config(preset, [*TINY, *settings]).problem.build(0)


def life(problem, lesion=INTACT, task="dms"):
    return problem.test_lives(Purpose.EVALUATION, (0,), 1)[task][0]._replace(lesion=lesion)


def score(problem, lesion=INTACT):
    return problem.score(problem.layout.initial(), life(problem, lesion))


@pytest.fixture(scope="module")
def problem():
    return tiny("problem.rule.burn_in_trials=1", "problem.rule.quiet_trials=1", "problem.rule.eta=1.0")


@pytest.mark.parametrize("same", ["rule.eta@1", "rule.eta=1", "rule.clip@1", "third_factor@1", "units_cut=0"])
def test_a_change_to_what_is_there_changes_no_bit(problem, same):
    problem.check_lesion(same)
    assert score(problem, same).tobytes() == score(problem).tobytes()


@pytest.mark.parametrize(
    ("change", "settings"),
    [
        ("rule.eta@0.5", "problem.rule.eta=0.5"),
        ("rule.clip=0.0001", "problem.rule.clip=0.0001"),
        ("modulation.rate@3", "problem.modulation.rate=0.3"),
        ("task.periods.delay=280", "problem.task.periods.delay=280.0"),
        ("task.reset_activity=1", "problem.task.reset_activity=true"),
    ],
)
def test_a_changed_life_is_that_of_other_settings(problem, change, settings):
    others = ("problem.rule.burn_in_trials=1", "problem.rule.quiet_trials=1", "problem.rule.eta=1.0", settings)
    changed = score(problem, change)
    assert changed.tobytes() == score(tiny(*others)).tobytes() != score(problem).tobytes()


@pytest.mark.parametrize("off", ["rule.eta@0", "third_factor@0"])
def test_without_a_learning_rate_or_a_third_factor_nothing_is_written(problem, off):
    written = [
        problem.score(problem.layout.initial(), life(problem, lesion)) for lesion in (off, "plasticity_off", INTACT)
    ]
    assert written[0].tobytes() == written[1].tobytes() != written[2].tobytes()


def test_lesions_and_changes_act_together(problem):
    both = score(problem, "plasticity_off+task.periods.delay=280")
    assert both.tobytes() == score(problem, "task.periods.delay=280+plasticity_off").tobytes()
    assert all(both.tobytes() != score(problem, one).tobytes() for one in ("plasticity_off", "task.periods.delay=280"))


def test_a_reversed_life_holds_the_negation_first(problem):
    turned = problem.under("task.reversal=1+task.tasks_per_life=2")
    assert turned.tasks_of(life(problem)) == ["dnms", "dms"]
    assert len(problem.course(problem.layout.initial(), life(problem, "task.reversal=1+task.tasks_per_life=2"))) == len(
        problem.course(problem.layout.initial(), life(problem))
    )


def test_genes_of_a_coefficient_are_multiplied_one_by_one():
    problem = tiny(
        'problem.rule={type="hebbian", eta=0.1}',
        'problem.modulation={type="none"}',
        'problem.genome.rule.eta={sharing="synapse", spread=0.05, bounds=[0.0, 0.25]}',
    )
    genes = problem.layout.initial()
    before, after = (problem.body(genes, life(problem, lesion)).rule.coefficients for lesion in (INTACT, "rule.eta@2"))
    assert len(np.unique(before)) > 10
    np.testing.assert_allclose(after, np.minimum(2 * before, np.where(before == 0, 0.0, np.inf)), rtol=1e-6)


def test_a_number_that_a_coefficient_of_the_genome_does_not_take_is_refused():
    problem = tiny('problem.genome.rule.eta={sharing="scalar", bounds=[0.0, 1.0]}', "problem.rule.eta=0.5")
    problem.check_lesion("rule.eta=0.5")
    with pytest.raises(UserError, match=r"problem.rule.eta does not take -1; choose one within its range"):
        problem.check_lesion("rule.eta=-1")


def test_coefficients_of_several_rules_have_the_keys_of_a_run_file():
    assert "rule.parts.a.eta" in tiny(*CHANNELS).graded and "rule.a.eta" not in tiny(*CHANNELS).graded


def test_facts_about_tasks_are_no_numbers_to_change():
    graded = read_config("harlow").problem.build(0).graded
    assert not any(key.startswith(("task.values", "task.specs")) for key in graded)


def test_each_of_several_third_factors_is_cut_alone():
    problem = tiny(*CHANNELS)
    assert {"third_factor.told", "third_factor.own"} <= set(problem.graded) and "third_factor" not in problem.graded
    body = problem.body(problem.layout.initial(), life(problem, "third_factor.own@0"))
    assert (body.modulation.first.strength, body.modulation.rest.first.strength) == (1.0, 0.0)
    assert type(body.modulation.rest.first.strength) is np.float32


def test_cut_units_send_and_receive_nothing_and_are_others_in_every_life():
    problem = tiny("problem.network.units=31")
    lives = problem.test_lives(Purpose.EVALUATION, (0,), 6)["dms"]
    hidden = np.array(problem.settings.network.places()["hidden"])
    cut = []
    for each in lives:
        network = problem.body(problem.layout.initial(), each._replace(lesion="units_cut=0.25")).network
        lost = [unit for unit in hidden if not network.innate[unit].any() and not network.innate[:, unit].any()]
        assert len(lost) == round(0.25 * len(hidden))
        assert not network.gain[lost].any() and not network.gain[:, lost].any()
        cut.append(tuple(lost))
    assert len(set(cut)) > 1


def test_no_change_compiles_a_kernel(problem):
    from evoplastic.rollout import live_seen

    score(problem)
    before = len(getattr(live_seen, "signatures", ()))
    for change in ("rule.eta@2", "task.periods.delay=280", "units_cut=0.5", "third_factor@0.5", "rule.clip@2"):
        score(problem, change)
    assert len(getattr(live_seen, "signatures", ())) == before


@pytest.mark.parametrize(
    ("lesion", "words"),
    [
        ("rule.etta@2", "'rule.etta' is no number of what lives.*did you mean 'rule.eta'"),
        ("network.units=10", "'network.units' is no number of what lives"),
        ("genome.gain.initial=0", "is no number of what lives"),
        ("rule.clip@-1", r"problem.rule.clip: expected `float` > 0.0, got -"),
        ("rule.probability=0", "problem.rule.probability: expected"),
        ("rule.burn_in_trials@0.3", "problem.rule.burn_in_trials must be a whole number, got 0.3"),
        ("task.reset_activity=2", "problem.task.reset_activity must be 0 or 1, got 2"),
        ("task.periods.delay=141", "problem.task.periods.delay must be a multiple of 20"),
        ("units_cut=1.5", "units_cut is a share of the hidden units"),
        ("units_cut@0.5", "units_cut is a share of the hidden units"),
        ("task.reversal=1", "problem.task.reversal needs tasks_per_life of at least 2"),
        ("plasticity_of", "control 'plasticity_of' is unknown.*KEY=NUMBER.*did you mean 'plasticity_off'"),
        ("plasticity_off+nothing", "control 'nothing' is unknown"),
        ("rule.eta=1e+3+nothing", "control 'nothing' is unknown"),
        ("rule.eta=-1", "problem.rule.eta: expected"),
        ("rule.eta@nan", "control 'rule.eta@nan' is unknown"),
        ("", "control '' is unknown"),
    ],
)
def test_what_is_no_change_is_refused_in_a_sentence(problem, lesion, words):
    with pytest.raises(UserError, match=words):
        problem.check_lesion(lesion)


def test_a_change_is_read_as_it_is_written():
    assert change_called("a.b@0.5")._asdict() == {"key": "a.b", "scales": True, "number": 0.5}
    assert change_called("a=-2e-3")._asdict() == {"key": "a", "scales": False, "number": -0.002}
    assert [change_called(text) for text in ("a", "a=", "=1", "a@b", "a=1=2", "a@inf")] == [None] * 6


def test_changed_lives_are_the_same_by_any_number_of_threads(problem):
    from evoplastic.evaluators.contract import Job

    candidates = Fixed(problem.layout.initial()[None])
    lesions = ["rule.eta@2", "task.periods.delay=280", "units_cut=0.5", "rule.clip@2"]
    jobs = [Job(0, life(problem, lesion)) for lesion in lesions]
    rows = []
    for workers in (1, 3):
        evaluator = Threads(problem, workers)
        rows.append(evaluator.evaluate(candidates, jobs))
        evaluator.close()
    assert rows[0].tobytes() == rows[1].tobytes()


def test_a_run_file_may_ask_for_changes_as_controls():
    config = read_config("quickstart", [*TINY, 'evaluation.controls=["rule.eta@0", "plasticity_off"]'])
    assert config.evaluation.controls == ("rule.eta@0", "plasticity_off")
    with pytest.raises(UserError, match=r"evaluation\.controls: 'rule.etta' is no number"):
        read_config("quickstart", [*TINY, 'evaluation.controls=["rule.etta@0"]'])


def test_noise_of_stimuli_is_off_unless_it_is_asked_for(problem):
    assert problem.graded["task.stimulus_noise"] == 0.0
    assert score(problem, "task.stimulus_noise=0").tobytes() == score(problem).tobytes()
    assert score(problem, "task.stimulus_noise=2").tobytes() != score(problem).tobytes()
