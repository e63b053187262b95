"""The same bits: on a plain CPU, in another thread, in another order."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import child, lived, lived_in_a_thread, memory_freed, small_life, structs
from test_meta_lifetimes import lifetimes, run

from evoplastic.jit import kernel
from evoplastic.random import fill_normals
from evoplastic.vectors import send


def bits(record):
    return b"".join(np.ascontiguousarray(part).tobytes() for part in (record.loss, record.cost, record.plastic))


def digest():
    """Return a hash of normals, of lives of several lengths in networks of several widths, and of one on meta-tasks."""
    out = np.empty(1001, np.float32)
    fill_normals(np.uint64(3), out)
    digest = hashlib.sha256(out.tobytes())
    for seed, units in enumerate((13, 17, 70, 90)):
        digest.update(bits(lived(small_life(seed, units=units, trials=40))))
    digest.update(bits(lived(small_life(5, modulation="network", eta=0.05))))
    tasks = ["two-step", "full-maze", "harlow"]
    for left in run(lifetimes(*tasks, tasks_per_life=3), tasks):
        digest.update(left.tobytes())
    return digest.hexdigest()


def test_a_cpu_without_vector_extensions_gives_the_same_bits():
    printed = child(
        "import test_same_bits; print(test_same_bits.digest())", NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES=""
    )
    assert printed.strip() == digest()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_no_bit(threads):
    lives = [structs(small_life(seed, trials=40)) for seed in range(8)]
    alone = [bits(lived(life)) for life in lives]
    with memory_freed(), ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(lambda life: bits(lived_in_a_thread(life)), lives)) == alone


def test_order_of_lives_changes_no_bit():
    lives = [structs(small_life(seed)) for seed in range(6)]
    forth, back = [bits(lived(life)) for life in lives], [bits(lived(life)) for life in reversed(lives)]
    assert forth == back[::-1]
    assert len(set(forth)) == len(forth)


def test_the_memory_a_life_finds_changes_no_bit():
    life = structs(small_life())
    first = bits(lived(life))
    litter = [np.full(size, np.nan, np.float32) for size in (24, 72, 408, 17 * 24, 4096)]
    del litter
    assert bits(lived(life)) == first


@kernel
def compiled_product(weights, rates, drive):
    send(weights, rates, drive)


def test_vector_product_is_the_plain_sum_bit_for_bit():
    rng = np.random.default_rng(0)
    for width in range(8, 8 * 24, 8):  # two tiles of ten vectors, and every rest
        units = max(1, width - int(rng.integers(8)))
        weights = rng.normal(size=(units, width)).astype(np.float32)
        rates = rng.normal(size=width).astype(np.float32)
        rates[rng.random(width) < 0.3] = 0
        expected = np.zeros(width, np.float32)
        for pre in range(units):
            expected += rates[pre] * weights[pre]
        for function in (compiled_product, send):
            out = np.full(width, np.nan, np.float32)
            function(weights, rates, out)
            np.testing.assert_array_equal(out, expected, f"width {width}")
