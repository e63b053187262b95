"""Data never compiles: one type combination, one signature, once on this machine."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
from conftest import UNITS, child, lived, small_life, structs

from evoplastic.jit import cache_folder
from evoplastic.rollout import live
from evoplastic.rules import RULES
from evoplastic.rules.contract import Around
from evoplastic.rules.fixed import FixedSettings


def lives():
    """Yield lives of three genomes, two tasks, two truth-table sizes, two network sizes, with and without lesions."""
    yield small_life(0)
    yield small_life(1, tables=["0001"])
    yield small_life(2, tables=["0110", "0001"], newborn_blocks=True)
    yield small_life(0, tables=["01101001"], trials=3)
    yield small_life(0, units=30)
    yield small_life(0, shuffled=True, reset_activity=True, binary=True)
    yield small_life(0, modulation="loss")


def combinations():
    """Count the compiled signatures of `live` by the classes of its first four arguments."""
    return Counter(tuple(kind.instance_class.__name__ for kind in signature[:4]) for signature in live.signatures)


def test_data_adds_no_signature():
    for life in lives():
        lived(life)
    assert combinations()["Leaky", "NodePerturbation", "Loss", "BooleanTask"] == 1


@pytest.mark.parametrize("modulation", ["network", "none"])
def test_another_modulation_adds_one_signature(modulation):
    lived(small_life(0, modulation=modulation))
    lived(small_life(1, modulation=modulation, tables=["01101001"]))
    assert set(combinations().values()) == {1}


def test_another_rule_adds_one_signature():
    life, rule = structs(small_life()), FixedSettings().build(Around(20.0, 12, UNITS, ("m",)), {})
    for trials in (12, 5):
        assert not lived(life._replace(rule=rule, trials=trials)).plastic.any()
    assert combinations()["Leaky", "Fixed", "Loss", "BooleanTask"] == 1


def test_rules_that_are_sums_of_terms_are_one_signature_at_any_granularity():
    for changes in ({}, {"tables": ["01101001"], "trials": 3}, {"bound": 0.1, "trace_tau": 60.0, "units": 30}):
        lived(small_life(0, rule="hebbian", modulation="reward", **changes))
    life, around = structs(small_life(0, modulation="reward")), Around(20.0, 12, UNITS, ("m",))
    for name in ("abcd", "covariance", "oja", "polynomial"):
        for values in ({}, {"A": np.full((1, UNITS), 0.1)}, {"eta": np.full((UNITS, UNITS), 0.1)}):
            lived(life._replace(rule=RULES[name]().build(around, values)))
    assert combinations()["Leaky", "Terms", "Reward", "BooleanTask"] == 1


def report():
    """Print what this process compiled to live `lives`."""
    for life in lives():
        lived(life)
    stats = live.stats
    counts = {"hits": sum(stats.cache_hits.values()), "misses": sum(stats.cache_misses.values())}
    print(json.dumps(counts | {"signatures": len(live.signatures)}))


def test_a_second_process_compiles_nothing(tmp_path):
    lived(small_life())
    # A copy of the cache, index first, since other test processes may be writing theirs into the original.
    ours, theirs = cache_folder(), tmp_path / cache_folder().name
    (theirs / "rollout").mkdir(parents=True)
    for pattern in ("*.nbi", "*.nbc"):
        for path in (ours / "rollout").glob(pattern):
            shutil.copy2(path, theirs / "rollout")
    copied = {path.name: path.read_bytes() for path in theirs.rglob("*.nb?")}
    printed = child("import test_compilation; test_compilation.report()", EVOPLASTIC_CACHE=str(tmp_path))
    assert json.loads(printed) == {"signatures": 1, "hits": 1, "misses": 0}
    assert {path.name: path.read_bytes() for path in theirs.rglob("*.nb?")} == copied


def test_results_of_a_kernel_from_the_cache_are_finite():
    assert np.isfinite(lived(small_life()).loss).all()
