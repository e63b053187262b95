"""CMA-ES: what pycma is asked and told, and that a search resumes exactly by replaying its log."""

import subprocess
import sys
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from test_strategies import CENTER, D, advance, build, evolved, normals, same, scores, space, sphere
from threadpoolctl import threadpool_limits

from evoplastic.errors import UserError
from evoplastic.random import Purpose, stream_key
from evoplastic.strategies.cma_es import MOST_GENES, CMAESSettings

each_covariance = pytest.mark.parametrize("covariance", ["full", "diagonal"])


def cma_es(**said):
    return build("cma_es", **said)


def told(strategy, state, fitness):
    return strategy.tell(state, strategy.ask(state), np.array(fitness, float))


def valley(genotype):
    """Return minus an ellipsoid of condition 10^4 whose short axis is oblique."""
    across = np.sum(genotype) / np.sqrt(len(genotype))
    return -np.sum(np.square(genotype)) - 1e4 * across * across


@pytest.mark.parametrize("genes, population", [(1, 4), (6, 9), (100, 17)])
def test_the_population_is_pycmas_unless_it_is_given(genes, population):
    strategy = cma_es(population=0, genome=space(genes))
    assert strategy.ask(strategy.initial(np.zeros(genes))).population == population
    given = cma_es(population=7, genome=space(genes))
    assert given.ask(given.initial(np.zeros(genes))).population == 7


@pytest.mark.parametrize("population", [4, 20])  # pycma's default is to mirror some members of fewer than 6
def test_members_are_their_normals_times_a_deviation_of_each_gene_away(population):
    strategy = cma_es(seed=5, sigma=0.5, covariance="diagonal", population=population, genome=space(step=4.0))
    for generation in (0, 1, 2):
        state = evolved(strategy, generation)
        candidates = strategy.ask(state)
        eps = [normals(stream_key(5, Purpose.PERTURBATION, generation, member), D) for member in range(population)]
        deviations = [(candidates.genotype(member) - state.center) / eps[member] for member in range(population)]
        assert np.allclose(deviations, deviations[0], rtol=1e-9)
        assert generation or np.allclose(deviations, 0.5 * 4.0, rtol=1e-9)


def test_every_member_is_a_pair_of_its_own():
    strategy = cma_es()
    candidates = strategy.ask(strategy.initial(CENTER))
    assert [candidates.pair(member) for member in range(20)] == list(range(20))


@each_covariance
def test_a_search_in_units_of_the_steps_is_the_same_search(covariance):
    plain = evolved(cma_es(covariance=covariance), 10)
    scaled = cma_es(covariance=covariance, genome=space(step=4.0))
    state = scaled.initial(4.0 * CENTER)
    for _ in range(10):
        state = advance(scaled, state, lambda genotype: sphere(genotype / 4.0))
    assert np.array_equal(state.center, 4.0 * plain.center)


@each_covariance
def test_the_center_moves_to_higher_fitness(covariance):
    strategy = cma_es(covariance=covariance)
    state = evolved(strategy, 5, lambda genotype: genotype[2])
    assert state.center[2] > CENTER[2] + 0.3


def test_a_full_covariance_learns_an_oblique_valley_and_a_diagonal_one_does_not():
    reached, ratio = {}, {}
    for covariance in ("full", "diagonal"):
        strategy = cma_es(covariance=covariance)
        final = evolved(strategy, 150, valley)
        reached[covariance], ratio[covariance] = valley(final.center), strategy.diagnostics(final)["axis_ratio"]
    assert reached["full"] > -1e-9 and reached["diagonal"] < -1e-3
    assert ratio["full"] > 30 and ratio["diagonal"] < 10


@pytest.mark.parametrize("failed", [np.nan, np.inf, -np.inf])
def test_fitness_that_is_not_finite_is_worse_than_all_that_is(failed):
    strategy = cma_es()
    state = evolved(strategy, 2)
    fitness = scores(strategy.ask(state))
    best = int(np.argmax(fitness))
    without, last = fitness.copy(), fitness.copy()
    without[best], last[best] = failed, fitness.min() - 1.0
    assert np.array_equal(told(strategy, state, without).center, told(strategy, state, last).center)


def test_an_older_state_can_be_asked_and_told_again():
    strategy, undisturbed = cma_es(), cma_es()
    older = evolved(strategy, 3)
    newest = advance(strategy, advance(strategy, older))
    assert np.array_equal(strategy.ask(older).genotype(4), undisturbed.ask(evolved(undisturbed, 3)).genotype(4))
    told(strategy, older, range(20))
    assert same(strategy, advance(strategy, newest), evolved(undisturbed, 6))


def test_a_generation_without_finite_fitness_is_replayed_like_it_was():
    strategy = cma_es()
    state = evolved(strategy, 3)
    for fitness in (np.full(20, np.nan), np.arange(20), np.full(20, np.inf), -np.arange(20)):
        state = told(strategy, state, fitness)
    resumed = cma_es()
    again = resumed.restore(strategy.arrays(state))
    assert again.generation == 7 and same(strategy, advance(resumed, again), advance(strategy, state))


def test_floors_hold_the_center_and_the_members_around_it():
    strategy = cma_es(population=400, genome=space(floor=1.0))
    state = evolved(strategy, 1, lambda genotype: -genotype[0])
    assert state.center[0] == 1.0 and (state.center >= 1.0).all()
    candidates = strategy.ask(state)
    first = [candidates.genotype(member)[0] for member in range(400)]
    assert abs(np.mean(first) - 1.0) < 5 * np.std(first) / np.sqrt(400)


@each_covariance
@pytest.mark.parametrize("genes", [10, 100, 300])
def test_resuming_is_bit_exact_whatever_the_threads_of_blas(genes, covariance):
    said = {"covariance": covariance, "population": 0, "genome": space(genes)}
    whole, stopped, resumed = (cma_es(**said) for _ in range(3))
    start = np.linspace(-1.0, 1.5, genes)
    with threadpool_limits(1):
        final = state = whole.initial(start)
        for generation in range(60):
            final = advance(whole, final, valley)
            state = final if generation == 29 else state
        saved = stopped.arrays(state)
    with threadpool_limits(2):
        state = resumed.restore(saved)
    with threadpool_limits(1):
        for _ in range(30):
            state = advance(resumed, state, valley)
    assert same(whole, state, final)
    assert resumed.diagnostics(state) == whole.diagnostics(final)


def test_a_replay_that_ends_elsewhere_is_refused():
    strategy = cma_es()
    saved = dict(strategy.arrays(evolved(strategy, 4)))
    saved["center"] = np.nextafter(saved["center"], np.inf)
    with pytest.raises(UserError, match="replaying the 4 generations"):
        cma_es().restore(saved)


def test_a_checkpoint_is_plain_numbers_and_holds_the_fitness_of_every_tell():
    strategy = cma_es()
    state = told(strategy, told(strategy, strategy.initial(CENTER), range(20)), range(20, 40))
    arrays = strategy.arrays(state)
    assert np.array_equal(arrays["fitness"], np.arange(40.0).reshape(2, 20))
    assert all(array.dtype in (np.float64, np.int64) for array in arrays.values())


def test_diagnostics_do_not_depend_on_what_was_asked_since():
    strategy = cma_es()
    state = evolved(strategy, 5)
    before = strategy.diagnostics(state)
    strategy.ask(state)
    assert strategy.diagnostics(state) == before


def test_diagnostics_tell_deviations_in_units_of_the_steps():
    strategy = cma_es(sigma=0.5, genome=space(step=4.0))
    first = strategy.diagnostics(strategy.initial(CENTER))
    assert first["sigma"] == 0.5 and first["axis_ratio"] == pytest.approx(1.0, rel=1e-3)
    assert first["sigma_min"] == pytest.approx(0.5, rel=1e-3) and first["sigma_max"] == pytest.approx(0.5, rel=1e-3)


def test_a_search_at_its_optimum_is_exhausted():
    strategy = cma_es()
    state = strategy.initial(CENTER)
    assert strategy.exhausted(state) == "" and strategy.exhausted(evolved(strategy, 20)) == ""
    assert "recent generations" in strategy.exhausted(evolved(strategy, 200))


def test_flat_fitness_exhausts_in_its_second_generation_however_often_it_is_asked():
    strategy = cma_es()
    once = told(strategy, strategy.initial(CENTER), np.zeros(20))
    assert [strategy.exhausted(once) for _ in range(3)] == [""] * 3
    twice = told(strategy, once, np.zeros(20))
    assert "same fitness" in strategy.exhausted(twice)


def test_pycma_leaves_no_files_reads_none_and_is_silent(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cma_signals.in").write_text('{"tolx": 1e9}')  # pycma's default is to heed it
    strategy = cma_es()
    state = evolved(strategy, 3)
    state = told(strategy, state, [np.nan, *range(19)])
    assert strategy.exhausted(state) == ""
    assert [path.name for path in tmp_path.iterdir()] == ["cma_signals.in"]
    assert capfd.readouterr() == ("", "")


def test_pycma_is_imported_where_it_is_used_only():
    program = "import sys, evoplastic.config; sys.exit('cma' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_a_full_covariance_of_many_genes_is_refused_and_a_diagonal_one_is_not():
    large = SimpleNamespace(size=MOST_GENES + 1, floors=np.zeros(MOST_GENES + 1), steps=np.ones(MOST_GENES + 1))
    with pytest.raises(UserError, match=r"1501 genes.*diagonal"):
        CMAESSettings().build(large, 0)
    CMAESSettings(covariance="diagonal").build(large, 0)
    CMAESSettings().build(space(MOST_GENES), 0)


@pytest.mark.parametrize("said", [{"population": 3}, {"population": -1}, {"sigma": 0.0}, {"covariance": "block"}])
def test_settings_that_do_not_fit_are_refused(said):
    with pytest.raises(msgspec.ValidationError, match=next(iter(said))):
        msgspec.convert({"type": "cma_es", **said}, CMAESSettings)


def test_a_long_replay_is_told_with_its_remedy():
    large = cma_es(population=0, genome=space(1000))
    assert large.notes(10) == []
    (note,) = large.notes(100_000)
    assert "min" in note and "diagonal" in note
    (other,) = cma_es(population=0, covariance="diagonal", genome=space(1000)).notes(10_000_000)
    assert "diagonal" not in other


def test_memory_counts_the_matrices_of_a_full_covariance():
    full, diagonal = (cma_es(covariance=name, genome=space(1000)).memory() for name in ("full", "diagonal"))
    assert full - diagonal >= 3 * 8 * 1000**2


def test_a_fitness_that_rises_for_ever_stays_finite():
    strategy = build("cma_es", population=6)
    state = strategy.initial(CENTER)
    for _ in range(3_500):
        state = advance(strategy, state, lambda genotype: float(genotype.sum()))
    assert np.isfinite(state.center).all() and strategy.diagnostics(state)["sigma"] <= 0.3e6
