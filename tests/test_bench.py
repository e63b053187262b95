"""The bench measures what it says and prints the keys that are promised; how fast anything is, no test says."""

import pytest
from test_evolution import tiny

from evoplastic import bench, timing
from evoplastic.rules import RULES

KEYS = {
    "format",
    "version",
    "preset",
    "cores",
    "units",
    "steps_per_lifetime",
    "lifetime_us_per_step",
    "bare_product_us",
    "step_over_bare",
    "generation_s",
    "lifetimes_per_generation",
    "lifetimes_per_s",
    "overhead_fraction",
    "peak_rss_mb",
    "compile_cold_s",
    "compile_warm_s",
    "first_generation_warm_s",
    "rules",
}


TIMED = {"fixed", "hebbian", "node_perturbation", "oja"}  # kernels of three kinds


@pytest.fixture(scope="module")
def result():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "ROUNDS", 8)
        patch.setattr(timing, "PRODUCTS", 10)
        patch.setattr(bench, "GENERATIONS", 1)
        patch.setattr(timing, "COPIES", 10)
        patch.setattr(bench, "RULES", {name: RULES[name] for name in TIMED})
        patch.setattr(bench, "read_config", lambda preset: tiny())
        start_up = dict.fromkeys(("compile_cold_s", "compile_warm_s", "first_generation_warm_s"), 1.0)
        patch.setattr(bench, "_start_up", lambda preset: start_up)
        return bench.measure("tiny")


def test_the_promised_keys_are_there(result):
    assert set(result) >= KEYS
    assert set(result["step_over_bare"]) == {"median", "p10", "p90", "rounds"}
    assert set(result["rules"]) == TIMED


def test_a_lifetime_counts_all_its_steps(result):
    assert result["steps_per_lifetime"] == 8 * 50
    assert result["lifetimes_per_generation"] == 4


def test_every_measurement_is_positive(result):
    ratio = result["step_over_bare"]
    assert 0 < ratio["p10"] <= ratio["median"] <= ratio["p90"]
    assert min(result[key] for key in ("lifetime_us_per_step", "bare_product_us", "generation_s", "peak_rss_mb")) > 0
    assert min(result["silence_over_dense"].values()) > 0


def test_every_rule_is_timed_beside_the_bare_product_and_the_memory_it_moves(result):
    for rule in result["rules"].values():
        assert set(rule) == {"us_per_step", "bare_product_us", "step_over_bare", "traffic_bound_us"}
        assert min(rule.values()) > 0


def test_memory_is_counted_as_often_as_it_is_read_or_written():
    matrix = timing.Lifetime(bench._with(tiny(), rule="fixed")).traffic()
    kinds = {"hebbian": 6, "oja": 4, "node_perturbation": 1}  # innate, gain, and twice plastic weights and trace
    for name, matrices in kinds.items():
        assert timing.Lifetime(bench._with_rule(tiny(), RULES[name])).traffic() == matrices * matrix, name


def test_every_line_of_the_table_has_two_cells(result):
    assert all(len(row) == 2 and all(isinstance(cell, str) for cell in row) for row in bench.rows(result))
