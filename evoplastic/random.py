"""Randomness that is addressed, never consumed: every draw is a function of (key, stream, index).

A *key* names one independent source (run seed, purpose, generation, ...), a *stream* one consumer inside a
lifetime, an *index* one draw. Skipping, reordering or adding draws shifts no other draw, any trial can be replayed
alone, and there is no generator state to save. The generator is Philox4x32-10 (Salmon et al. 2011, "Parallel random
numbers: as easy as 1, 2, 3").
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import kernel, making_kernel
from evoplastic.polynomials import log, sincos_turn


class Purpose(IntEnum):
    """What a key is for. Numbers are part of every published result: never renumber."""

    INITIAL = 0
    PERTURBATION = 1
    TASK = 2
    LIFETIME = 3
    VALIDATION = 4
    EVALUATION = 5
    CONTROL = 6
    RESTART = 7
    ELITES = 8
    TUNING = 9
    RECORDING = 10


def stream_key(run_seed: int, purpose: Purpose, *path: int) -> np.uint64:
    """Return the 64-bit key named by the run's seed, a purpose and a path such as (generation, pair).

    Parts of the path must be below 2^32, since SeedSequence spells a larger one like two parts; a part known to be
    larger goes in as its low and high half.
    """
    if any(not 0 <= part < 2**32 for part in path):
        raise ValueError(f"parts of a key's path must be in [0, 2^32), got {path}")
    sequence = np.random.SeedSequence(run_seed, spawn_key=(int(purpose), *path))
    return sequence.generate_state(1, np.uint64)[0]


_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint32(0x9E3779B9)
_WEYL_1 = np.uint32(0xBB67AE85)
_SHIFT = np.uint64(32)


@kernel
def philox(key, stream, index):
    """Return four independent uint32 words, Philox4x32-10 of the 128-bit counter (index, stream)."""
    k0, k1 = np.uint32(key), np.uint32(key >> _SHIFT)
    c0, c1 = np.uint32(index), np.uint32(index >> _SHIFT)
    c2, c3 = np.uint32(stream), np.uint32(stream >> _SHIFT)
    for _ in range(10):
        product_0 = _MULTIPLIER_0 * np.uint64(c0)
        product_1 = _MULTIPLIER_1 * np.uint64(c2)
        c0, c1, c2, c3 = (
            np.uint32(product_1 >> _SHIFT) ^ c1 ^ k0,
            np.uint32(product_1),
            np.uint32(product_0 >> _SHIFT) ^ c3 ^ k1,
            np.uint32(product_0),
        )
        k0 = np.uint32(k0 + _WEYL_0)
        k1 = np.uint32(k1 + _WEYL_1)
    return c0, c1, c2, c3


# Streams of a lifetime, one per consumer. Part of every published result: never renumber.
STIMULI = np.uint64(1)
NOISE = np.uint64(2)
FEEDBACK = np.uint64(3)
TASKS_OF_LIFE = np.uint64(4)
INSTANCES = np.uint64(5)
CODES = np.uint64(6)
WORLD = np.uint64(7)
CHANGES = np.uint64(8)
FAMILY = np.uint64(9)
CHOICES = np.uint64(10)
STIMULUS_NOISE = np.uint64(11)

_TO_UNIT = np.float32(2.0**-32)


@kernel
def unit(word):
    """Map a uint32 word to a float32 in (0, 1]: never 0, so its logarithm is finite."""
    return (np.float32(word) + np.float32(0.5)) * _TO_UNIT


@kernel
def below(word, n):
    """Map a uint32 word to an integer in [0, n), by multiplication (bias below n / 2^32)."""
    return np.int64((np.uint64(word) * np.uint64(n)) >> _SHIFT)


@kernel
def _box_muller(word, turn):
    """Map two uint32 words to two standard normals."""
    radius = np.sqrt(np.float32(-2.0) * log(unit(word)))
    s, c = sincos_turn(np.float32(turn >> np.uint32(8)) * np.float32(2.0**-24))
    return radius * c, radius * s


@kernel
def normal_pair(words):
    """Map the first two of a counter's words to two standard normals, by Box and Muller's transform."""
    return _box_muller(words[0], words[1])


@making_kernel
def fill_normals(key, out):
    """Fill `out` (D,) with standard normals addressed by (key, position), by Box and Muller's transform.

    Four normals a counter; a quarter of `out` holds each counter's first, second, ... so that every loop is contiguous.
    """
    quarter = (out.shape[0] + 3) // 4
    words = np.empty((4, quarter), np.uint32)
    for i in range(quarter):
        words[0, i], words[1, i], words[2, i], words[3, i] = philox(key, np.uint64(0), np.uint64(i))
    normals = np.empty((4, quarter), np.float32)
    for pair in range(2):
        for i in range(quarter):
            normals[2 * pair, i], normals[2 * pair + 1, i] = _box_muller(words[2 * pair, i], words[2 * pair + 1, i])
    out[:] = normals.reshape(4 * quarter)[: out.shape[0]]


def permutation(key: np.uint64, n: int) -> NDArray[np.int64]:
    """Return a random order of n things, addressed by `key`."""
    draws = np.empty(n)
    fill_normals(key, draws)
    return np.argsort(draws, kind="stable")
