"""What is predicted of a generation: the sum of its parts, and nothing better than sharing its lives evenly."""

import pickle

import numpy as np
import pytest
from test_evolution import tiny

from evoplastic.evolution import Search, training_jobs
from evoplastic.plan import Costs, makespan, notes, predict, rows

COSTS = Costs(
    lives=500,
    life=0.01,
    life_beside=0.02,
    update=0.05,
    chunk=0.001,
    put=0.002,
    put_byte=1e-9,
    node_bytes=125_000,
    job_bytes=30_000,
)


def test_one_worker_lives_all_lives_one_after_another():
    made = predict(COSTS, 1, 1)
    assert made.makespan == pytest.approx(500 * 0.01, rel=0.01)
    assert made.seconds == pytest.approx(0.05 + 0.002 + 125_000e-9 + made.makespan)
    assert made.efficiency == pytest.approx(5.0 / made.seconds) and made.limits == []


def test_several_workers_share_a_machine_s_slower_lives():
    assert predict(COSTS, 2, 1).makespan == pytest.approx(500 * 0.02 / 2, rel=0.02)


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 64, 500, 2000])
def test_nothing_is_faster_than_sharing_evenly_or_than_one_life(workers):
    span = makespan(COSTS, workers, 0.02)
    assert span >= max(500 * 0.02 / workers, 0.02)


def test_the_driver_serves_one_chunk_after_another():
    slow = COSTS._replace(chunk=0.1)
    assert makespan(slow, 500, 0.02) >= 500 * 0.1


def test_each_node_fetches_once_and_the_driver_s_own_is_free():
    near, far = predict(COSTS, 8, 1), predict(COSTS, 8, 9)
    assert far.broadcast - near.broadcast == pytest.approx(8 * 125_000 / 125e6)


def test_what_takes_a_good_part_is_named():
    assert predict(COSTS._replace(update=10.0), 8, 1).limits == ["driver update"]
    assert "broadcast" in predict(COSTS, 1000, 500).limits


def shipped(units):
    search = Search.of(tiny(f"problem.network.units={units}"))
    candidates = search.strategy.ask(search.start())
    jobs = training_jobs(search, candidates, 0, range(candidates.population))
    return search.problem.layout.size, len(pickle.dumps(candidates)), len(pickle.dumps(jobs))


def test_a_generation_s_message_is_its_center_and_little_else():
    (small_genes, small, small_jobs), (large_genes, large, large_jobs) = shipped(13), shipped(40)
    assert large - small == 8 * (large_genes - small_genes)
    assert small - 8 * small_genes < 1000
    assert large_jobs == small_jobs


def test_genes_of_different_steps_are_shipped_with_their_steps():
    search = Search.of(tiny("problem.genome.gain.step=0.5"))
    candidates = search.strategy.ask(search.start())
    assert candidates.scale.shape == candidates.center.shape
    np.testing.assert_array_equal(np.unique(candidates.scale), search.config.strategy.sigma * np.array([0.5, 1.0]))


def test_a_plan_is_told_with_what_it_rests_on():
    row = {"workers": 8, "nodes": 4, "seconds": 1.5, "efficiency": 0.97, "limits": [], "bytes": 530_000}
    check = {"workers": 2, "predicted_s": 5.0, "measured_s": 5.5}
    result = {"predictions": [row], "checks": [check], "costs": COSTS._asdict(), "cores_per_node": 2}
    result["bandwidth_bytes_per_s"] = 125e6
    assert rows(result)[1] == ("8", "4", "1.5", "97 %", "0.53", "lives")
    assert any("Measured on 2 here: 5.5 s, 1.10 of what is said above" in note for note in notes(result))
