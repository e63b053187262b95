"""The generation loop: what it records, what changes no bit of it, and when it gives up."""

import dataclasses
import json

import numpy as np
import pytest
from conftest import child

import evoplastic
from evoplastic.config import read_config
from evoplastic.evaluators.contract import Job
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import Diverged, Search, evolve
from evoplastic.problems.contract import FITNESS, METRIC
from evoplastic.random import Purpose
from evoplastic.strategies.contract import Fixed

TINY = [
    "problem.network.units=13",
    "problem.task.trials=8",
    "problem.scored_trials=4",
    "problem.rule.burn_in_trials=1",
    "problem.rule.quiet_trials=1",
    "problem.rule.eta=100.0",  # so that a short life changes the responses
    "problem.rule.clip=1.0",
    "strategy.population=4",
    "validation.every=2",
    "validation.lives=2",
    "evaluation.lives=2",
    "evaluation.controls=[]",
    "checkpoints.seconds=0",
    "name=tiny",
]


def tiny(*overrides, generations=4, **top_level):
    """Return the settings of a run that takes a blink."""
    return read_config("quickstart", [*TINY, *overrides], generations=generations, **top_level)


def records(config=None, state=None, workers=1):
    return list(evoplastic.evolve(config or tiny(), state, workers))


def bits(run):
    """Return all that the evolution computed: every center, and every record but the validation."""
    metrics = [{**record.metrics, "validation": None} for record in run]
    return [record.state.center.tobytes() for record in run], json.dumps(metrics)


def with_validation(run):
    return bits(run), json.dumps([record.metrics for record in run])


@pytest.fixture(scope="module")
def undisturbed():
    return records()


class Scripted:
    """An evaluator whose fitness is `fitness(generation, members)`; everything else is 0."""

    def __init__(self, fitness):
        self.fitness, self.generation = fitness, 0

    def evaluate(self, candidates, jobs, measure="score"):
        scores = np.zeros((len(jobs), 4))
        if isinstance(candidates, Fixed):
            return scores
        scores[:, FITNESS] = self.fitness(self.generation, len(jobs))
        self.generation += 1
        return scores


# ---- records


def test_there_is_a_record_per_generation(undisturbed):
    assert [record.generation for record in undisturbed] == [0, 1, 2, 3]
    assert [record.state.generation for record in undisturbed] == [1, 2, 3, 4]
    assert [record.metrics["generation"] for record in undisturbed] == [0, 1, 2, 3]


def test_a_record_tells_training_validation_and_where_the_search_stands(undisturbed):
    for record in undisturbed:
        training = record.metrics["training"]
        assert list(training) == ["accuracy", "fitness", "fitness_best", "fitness_sd", "fitness_quantiles", "failed"]
        assert 0 <= training["accuracy"] <= 1 and training["fitness"] <= training["fitness_best"] < 0
        assert training["failed"] == 0
        assert record.metrics["strategy"]["update_norm"] > 0


def test_a_record_holds_what_json_holds(undisturbed):
    for record in undisturbed:
        assert json.loads(json.dumps(record.metrics, allow_nan=False)) == record.metrics


def test_validation_has_its_own_cadence_and_count(undisturbed):
    due = [record.metrics["validation"] is not None for record in undisturbed]
    assert due == [True, False, True, False]
    assert [record.validation_lives for record in undisturbed] == [28, 0, 28, 0]
    assert [record.lives for record in undisturbed] == [4, 4, 4, 4]
    assert all(record.seconds > 0 for record in undisturbed)


def test_validation_is_the_center_s_mean_over_fresh_lives_of_each_task():
    search = Search.of(tiny())
    (record, *_) = evolve(search, Threads(search.problem, 1))
    center, lives = search.start().center, search.problem.test_lives(Purpose.VALIDATION, (0,), 2)
    means = {task: np.mean([search.problem.score(center, life)[METRIC] for life in lives[task]]) for task in lives}
    assert search.problem.withheld == ("dms", "dnms")
    withheld = [means.pop("dms"), means.pop("dnms")]
    validation = record.metrics["validation"]
    assert validation["lives"] == 2
    assert validation["withheld"] == pytest.approx(np.mean(withheld))
    assert validation["training"] == pytest.approx(np.mean(list(means.values())))


def test_without_withheld_tasks_there_is_no_withheld_score():
    (record,) = records(tiny("problem.task.withheld=[]", generations=1))
    assert record.metrics["validation"]["withheld"] is None


def test_training_is_the_population_s_mean():
    search = Search.of(tiny(generations=1))
    (record,) = evolve(search, Threads(search.problem, 1))
    candidates = search.strategy.ask(search.start())
    rows = np.array(
        [
            search.problem.score(candidates.genotype(member), search.problem.training_life(0, candidates.pair(member)))
            for member in range(4)
        ]
    )
    assert record.metrics["training"]["accuracy"] == pytest.approx(rows[:, METRIC].mean())
    assert record.metrics["training"]["fitness_best"] == rows[:, FITNESS].max()


# ---- what changes no bit


def test_the_number_of_threads_changes_no_bit(undisturbed):
    for workers in (2, 5):
        assert with_validation(records(workers=workers)) == with_validation(undisturbed)


def test_another_process_gives_the_same_bits(undisturbed):
    code = "import test_evolution as t; print(t.bits(t.records(workers=2))[1])"
    assert child(code).strip() == bits(undisturbed)[1]


def test_another_seed_gives_other_bits(undisturbed):
    assert bits(records(tiny(seed=1)))[0] != bits(undisturbed)[0]


@pytest.mark.parametrize("every", [0, 1, 3])
def test_the_cadence_of_validation_changes_no_bit_of_the_evolution(undisturbed, every):
    run = records(tiny(f"validation.every={every}", "validation.lives=1"))
    assert bits(run) == bits(undisturbed)
    assert sum(record.metrics["validation"] is not None for record in run) == {0: 0, 1: 4, 3: 2}[every]


def test_validating_more_often_changes_no_earlier_score(undisturbed):
    often = records(tiny("validation.every=1"))
    for seldom, record in zip(undisturbed[::2], often[::2]):
        assert seldom.metrics == record.metrics


def test_more_generations_change_no_earlier_bit(undisturbed):
    assert with_validation(records(tiny(generations=6))[:4]) == with_validation(undisturbed)


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_evolution_goes_on_from_any_state_bit_for_bit(undisturbed, generation):
    rest = records(state=undisturbed[generation - 1].state)
    assert with_validation(rest) == with_validation(undisturbed[generation:])


def test_a_finished_state_has_nothing_left(undisturbed):
    assert records(state=undisturbed[-1].state) == []


def test_the_order_of_members_changes_no_row():
    search = Search.of(tiny())
    candidates = search.strategy.ask(search.start())
    jobs = [Job(member, search.problem.training_life(0, candidates.pair(member))) for member in range(4)]
    evaluator = Threads(search.problem, 2)
    order = [2, 0, 3, 1]
    rows = evaluator.evaluate(candidates, jobs)
    np.testing.assert_array_equal(evaluator.evaluate(candidates, [jobs[i] for i in order]), rows[order])
    assert len(np.unique(rows, axis=0)) > 1


def test_a_pair_shares_its_life_and_pairs_do_not():
    problem = Search.of(tiny()).problem
    lives = {problem.training_life(generation, pair) for generation in range(3) for pair in range(3)}
    assert len(lives) == len({problem.key(life) for life in lives}) == 9


def test_training_validation_and_evaluation_never_share_a_life():
    problem = Search.of(tiny()).problem
    lives = [problem.training_life(0, 0)]
    lives += [problem.test_lives(purpose, (0,), 1)["or"][0] for purpose in (Purpose.VALIDATION, Purpose.EVALUATION)]
    assert len({problem.key(life) for life in lives}) == 3


# ---- failure


def with_failures(*failed, kind=np.nan):
    def fitness(generation, members):
        values = -np.arange(1.0, members + 1)
        values[list(failed)] = kind
        return values

    return Scripted(fitness)


@pytest.mark.parametrize("kind", [np.nan, np.inf, -np.inf])
def test_failed_members_are_counted_and_left_out_of_the_means(kind):
    search = Search.of(tiny(generations=2))
    run = list(evolve(search, with_failures(1, 2, kind=kind)))
    assert [record.metrics["training"]["failed"] for record in run] == [2, 2]
    assert run[0].metrics["training"]["fitness"] == -2.5  # of -1 and -4
    assert all(np.isfinite(record.state.center).all() for record in run)
    json.dumps([record.metrics for record in run], allow_nan=False)


def test_a_generation_of_which_more_than_half_failed_stops_the_run():
    search = Search.of(tiny())
    with pytest.raises(Diverged, match="generation 0: 3 of 4 members had a fitness that is not a number; start"):
        next(evolve(search, with_failures(0, 1, 3)))


def test_genomes_that_overflow_diverge_and_say_so():
    search = Search.of(tiny("problem.task.levels.feedback=1e12", "problem.genome.innate.spread=1e12"))
    poisoned = Fixed(np.full((1, search.problem.layout.size), np.nan))
    assert np.isnan(search.problem.score(poisoned.genotype(0), search.problem.training_life(0, 0))[FITNESS])
    with pytest.raises(Diverged, match="4 of 4"):
        next(evolve(broken(search, range(4)), Threads(search.problem, 1)))


def test_lifetimes_whose_activity_is_not_a_number_are_counted_and_the_run_goes_on():
    search = broken(Search.of(tiny(generations=3)), [2])
    run = list(evolve(search, Threads(search.problem, 1)))
    assert [record.metrics["training"]["failed"] for record in run] == [1, 1, 1]
    assert all(np.isfinite(record.state.center).all() and record.best.member != 2 for record in run)
    assert not np.array_equal(run[0].state.center, run[-1].state.center)


def broken(search, members):
    """Return the search with members whose genes, and so whose activity, are not numbers."""
    return dataclasses.replace(search, strategy=Broken(search.strategy, members))


class Broken:
    def __init__(self, strategy, members):
        self._strategy, self._members = strategy, members

    def __getattr__(self, name):
        return getattr(self._strategy, name)

    def ask(self, state):
        return BrokenCandidates(self._strategy.ask(state), self._members)

    def tell(self, state, candidates, fitness):
        return self._strategy.tell(state, candidates.whole, fitness)


class BrokenCandidates:
    def __init__(self, whole, members):
        self.whole, self._members = whole, members

    def __getattr__(self, name):
        return getattr(self.whole, name)

    def genotype(self, member):
        genes = self.whole.genotype(member)
        return np.full_like(genes, np.nan) if member in self._members else genes
