"""Elites: the best members of all generations are kept, and lives of their own say which of them is best."""

import json
import zlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from test_evolution import Scripted, tiny
from test_launch import files, go, stop_after

from evoplastic import champions, checkpoints
from evoplastic.elites import NO_ELITES, rejudged, split
from evoplastic.errors import UserError
from evoplastic.evolution import Search, evolve
from evoplastic.launch import load_run, start_run
from evoplastic.problems.contract import Life
from evoplastic.random import Purpose
from evoplastic.strategies.contract import Fixed
from evoplastic.strategies.samples import Gaussian

GENERATIONS = 4


class Told:
    """An evaluator without lives: a score is the mean gene, and in training a draw of luck larger than all of that.

    `fitness(generation, member)`, where given, is the training fitness.
    """

    def __init__(self, fitness=None):
        self.fitness, self.evaluated = fitness, []

    def evaluate(self, candidates, jobs, measure="score"):
        self.evaluated.append((candidates, jobs))
        scores = np.array([self.score(candidates, job) for job in jobs])
        return np.repeat(scores[:, None], 8 if measure == "course" else 4, axis=1)

    def score(self, candidates, job):
        worth = float(candidates.genotype(job.member).mean())
        if job.life.purpose != Purpose.LIFETIME:
            return worth
        if self.fitness:
            return self.fitness(candidates.generation, job.member)
        return worth + zlib.crc32(repr((job.life, job.member)).encode()) / 2**32

    def report(self):
        return {}

    def close(self):
        pass


def keeping(keep=3, *overrides, **top_level):
    """Return the settings of a tiny run that keeps so many."""
    return tiny(f"elites.keep={keep}", "elites.lives=2", "validation.every=0", *overrides, **top_level)


def evolved(config, evaluator=None):
    """Return (search, elites, all members) after the run: members as (fitness, generation, member, genes)."""
    evaluator = evaluator or Told()
    search = Search.of(config)
    elites, members = NO_ELITES, []
    for record in evolve(search, evaluator):
        elites = elites.after(record, config.elites.keep)
        candidates, jobs = evaluator.evaluated[-1]
        for job in jobs:
            genes = candidates.genotype(job.member)
            members.append((evaluator.score(candidates, job), record.generation, job.member, genes))
    return search, elites, members


@pytest.fixture
def run(tmp_path):
    """A finished run with three elites."""
    return go(start_run(keeping(generations=GENERATIONS), tmp_path), evaluator=Told())


# ---- who is kept


@pytest.mark.parametrize("keep", [1, 3, 9])
def test_the_best_members_of_all_generations_are_kept_with_their_genes_best_first(keep):
    _, elites, members = evolved(keeping(keep))
    bests = [max((one for one in members if one[1] == generation), key=lambda one: one[0]) for generation in range(4)]
    wanted = sorted(bests, key=lambda one: -one[0])[:keep]
    assert elites.fitness.tolist() == [one[0] for one in wanted]
    assert elites.born.tolist() == [[one[1], one[2]] for one in wanted]
    np.testing.assert_array_equal(elites.genes, [one[3] for one in wanted])


def test_of_equal_fitness_the_earlier_generation_and_the_first_member_stay():
    _, elites, _ = evolved(keeping(2), Told(lambda generation, member: 1.0))
    assert elites.born.tolist() == [[0, 0], [1, 0]]


def test_a_failed_member_is_never_kept():
    _, elites, _ = evolved(keeping(9), Told(lambda generation, member: [np.nan, 1.0, np.inf, 2.0][member]))
    assert elites.born.tolist() == [[generation, 3] for generation in range(4)]


def test_a_skipped_member_is_never_kept():
    search = Search.of(keeping(1, generations=1))
    (record,) = evolve(search, Told(lambda generation, member: float(member)), skipped={(0, 3)})
    assert (record.best.member, record.best.fitness) == (2, 2.0)


def test_without_elites_nothing_is_kept_and_no_checkpoint_has_their_arrays(tmp_path):
    ended = go(start_run(keeping(0), tmp_path), evaluator=Told())
    assert ended.elites is NO_ELITES
    saved = checkpoints.read_checkpoint(ended.folder.path / "checkpoints" / "gen-00000004.npz")
    assert not [name for name in saved.arrays if name.startswith("elites.")]


def test_genes_of_the_best_are_made_only_where_they_are_asked_for(monkeypatch):
    made = []
    monkeypatch.setattr(Gaussian, "genotype", lambda candidates, member: made.append(member) or candidates.center)
    scripted = Scripted(lambda generation, members: np.arange(members))
    record = next(evolve(Search.of(keeping(0)), scripted))
    NO_ELITES.after(record, 0)
    assert made == []
    NO_ELITES.after(record, 1)
    assert made == [3]


def test_elites_change_nothing_in_the_evolution():
    def centers(keep):
        return [record.state.center.tobytes() for record in evolve(Search.of(keeping(keep)), Told())]

    assert centers(0) == centers(3)


# ---- kept over stops and resumes


@pytest.mark.parametrize("generation", range(1, GENERATIONS))
def test_a_run_stopped_after_any_generation_keeps_the_same_elites_bit_for_bit(run, tmp_path, generation):
    started = start_run(keeping(generations=GENERATIONS), tmp_path / "stopped")
    half = go(started, **stop_after(generation), evaluator=Told())
    assert not half.finished
    go(load_run(half.folder.path), evaluator=Told())
    assert files(half.folder.path) == files(run.folder.path)


def test_a_loaded_run_has_the_elites_it_was_saved_with(run):
    elites = load_run(run.folder.path).elites
    for name in ("genes", "fitness", "born"):
        np.testing.assert_array_equal(getattr(elites, name), getattr(run.elites, name))
    assert elites.genes.shape == (3, run.search.problem.layout.size)


def test_another_number_to_keep_is_refused_once_there_is_a_checkpoint(run):
    path = run.folder.path / "config.toml"
    path.write_text(path.read_text().replace("keep = 3", "keep = 4"))
    with pytest.raises(UserError, match=r"elites\.keep was 3, is 4"):
        load_run(run.folder.path)


def test_lives_of_the_elites_may_be_edited_for_they_decide_nothing(run):
    path = run.folder.path / "config.toml"
    text = path.read_text()
    assert "keep = 3\nlives = 2" in text
    path.write_text(text.replace("keep = 3\nlives = 2", "keep = 3\nlives = 5"))
    assert load_run(run.folder.path).config.elites.lives == 5


def test_elites_of_another_genome_are_refused(run):
    with pytest.raises(UserError, match="saved elites are not of this search"):
        split(run.elites.arrays(), 7)


# ---- who is best


def judged(config, evaluator=None):
    search, elites, _ = evolved(config)
    evaluator = evaluator or Told()
    state = search.start()
    return search, elites, state, evaluator, rejudged(search, evaluator, elites, state)


def test_best_is_who_scores_best_in_lives_of_its_own_never_the_luckiest_in_training():
    _, elites, state, _, told = judged(keeping(4))
    worth = elites.genes.mean(axis=1)
    assert np.argmax(worth) != 0, "luck must have put another first"
    assert told["best"] == int(np.argmax(worth))
    np.testing.assert_allclose([one["score"] for one in told["kept"]], worth, rtol=1e-12)
    np.testing.assert_allclose([told["center"], told["elite"]], [state.center.mean(), worth.mean()], rtol=1e-9)
    assert [[one["generation"], one["member"]] for one in told["kept"]] == elites.born.tolist()


def test_all_of_them_live_the_same_lives_under_a_purpose_of_their_own_on_training_tasks():
    search, _, _, evaluator, told = judged(keeping(2))
    ((candidates, jobs),) = evaluator.evaluated
    assert isinstance(candidates, Fixed) and candidates.population == 4
    by_member = [[job.life for job in jobs if job.member == member] for member in range(4)]
    assert all(lives == by_member[0] for lives in by_member)
    assert {life.purpose for life in by_member[0]} == {Purpose.ELITES}
    tasks = {life.task for life in by_member[0]}
    assert tasks == set(search.problem.tasks) - set(search.problem.withheld) and search.problem.withheld
    assert len(by_member[0]) == 2 * len(tasks) and (told["part"], told["lives"]) == ("training", 2)


def test_where_there_are_validation_tasks_the_elites_live_those_and_no_others():
    search, elites, _ = evolved(keeping(2))
    problem = SimpleNamespace(
        validation=("v", "u"),
        withheld=("w",),
        tasks=("t", "u", "v", "w"),
        columns=search.problem.columns,
        test_lives=lambda purpose, path, lives: {task: [Life(purpose, path, task)] * lives for task in "tuvw"},
    )
    evaluator = Told()
    told = rejudged(replace(search, problem=problem), evaluator, elites, search.start())
    assert {job.life.task for job in evaluator.evaluated[0][1]} == {"u", "v"} and told["part"] == "validation"


def test_an_elite_whose_score_is_not_a_number_is_not_best():
    class Failing(Told):
        def score(self, candidates, job):
            return np.nan if job.member == 2 else float(job.member)

    *_, told = judged(keeping(3), Failing())
    assert told["best"] == 2 and told["kept"][0]["score"] is None


def test_another_seed_gives_the_elites_other_lives():
    def lives(seed):
        *_, evaluator, _ = judged(keeping(1, seed=seed))
        return [job.life for job in evaluator.evaluated[0][1]]

    assert lives(0) == lives(0)
    search, other = Search.of(keeping(1)), Search.of(keeping(1, seed=1))
    life, genes = lives(0)[0], search.start().center
    assert search.problem.score(genes, life).tolist() != other.problem.score(genes, life).tolist()


# ---- one genotype for a run


def save_judgement(run, told):
    tasks = {"evolved": {"tasks": {}}}
    run.folder.save_evaluation(run.state.generation, {"conditions": tasks, "elites": told})


def test_best_and_elite_are_told_from_the_center(run):
    told = champions.judge(run, Told())
    save_judgement(run, told)
    genes = {which: champions.genotype_of(run, which).genes for which in champions.WHICH}
    np.testing.assert_array_equal(genes["center"], run.center)
    np.testing.assert_array_equal(genes["best"], run.elites.genes[told["best"]])
    np.testing.assert_array_equal(genes["elite"], run.elites.genes.mean(axis=0))
    assert champions.genotype_of(run, "best").origin["elites"]["best"] == told["best"]


def test_a_judgement_of_the_generation_is_lived_once(run):
    save_judgement(run, champions.judge(run, Told()))
    evaluator = Told()
    assert champions.judge(run, evaluator) == json.loads(json.dumps(champions.judgement(run)))
    assert evaluator.evaluated == []


def test_nobody_is_best_before_the_elites_were_scored(run):
    with pytest.raises(UserError, match=r"elites of run 'tiny-s0' at generation 4 were not scored yet.* evaluate"):
        champions.genotype_of(run, "best")


def test_a_run_without_elites_has_no_best(tmp_path):
    ended = go(start_run(keeping(0), tmp_path), evaluator=Told())
    assert champions.judge(ended, Told()) is None
    for which in ("best", "elite"):
        with pytest.raises(UserError, match=f"keeps no elites, so it has no {which}; .* elites.keep=5"):
            champions.genotype_of(ended, which)


def test_a_judgement_is_told_in_a_sentence_even_where_a_score_is_missing():
    kept = [{"generation": 3, "member": 1, "fitness": 2.0, "score": 0.75}]
    told = {"part": "validation", "center": None, "elite": 0.5, "kept": kept, "best": 0}
    assert champions.in_words(told) == (
        "Elites, on validation tasks: best of 1 0.750 (generation 3, member 1), their mean 0.500, center none; "
        "take one with --from or export."
    )
