"""Kernels: the cache folder, edits that must be noticed, open functions, and the border `pack`."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import pytest
from conftest import PACKAGE, memory_freed
from numba.core.caching import NullCache

from evoplastic import jit
from evoplastic.jit import kernel, open_function, pack

# ---- a package of two files: the kernel in one, the rule that it calls in the other

RULE = """
from typing import NamedTuple
class Rule(NamedTuple):
    eta: float
    def change(rule, x):
        return rule.eta * x * 2
"""
HOT = """
from evoplastic.jit import kernel, open_function
@open_function
def change(rule, x):
    "Return the change."
@kernel
def run(rule, x):
    return change(rule, x)
"""
MAIN = """
import numpy as np
from evoplastic.hot import run
from evoplastic.rule import Rule
result = run(Rule(np.float32(3)), np.float32(1))
misses = sum(run.stats.cache_misses.values()) if hasattr(run, "stats") else None
print(float(result), misses)
"""


@pytest.fixture
def small_package(tmp_path):
    """Return a folder with a package `evoplastic` of our jit.py, one kernel and one rule."""
    package = tmp_path / "install" / "evoplastic"
    package.mkdir(parents=True)
    for name in ("jit", "plugins", "errors"):  # the last two are what the first needs
        shutil.copy(PACKAGE / f"{name}.py", package)
    for name, text in {"__init__": "", "rule": RULE, "hot": HOT}.items():
        (package / f"{name}.py").write_text(text)
    return package


def child(package, tmp_path, **environment):
    """Run MAIN against `package` in a new process; return (result, kernels compiled)."""
    paths = {"PYTHONPATH": str(package.parent), "EVOPLASTIC_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", MAIN],
        env={**os.environ, **paths, **environment},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    result, compiled = done.stdout.split()
    return float(result), None if compiled == "None" else int(compiled)


def test_an_edit_in_another_file_is_noticed_and_its_reversal_found_again(small_package, tmp_path):
    assert child(small_package, tmp_path) == (6.0, 1)
    assert child(small_package, tmp_path) == (6.0, 0), "a second process compiles nothing"
    (small_package / "rule.py").write_text(RULE.replace("* 2", "* 5"))
    assert child(small_package, tmp_path) == (15.0, 1)
    (small_package / "rule.py").write_text(RULE)
    assert child(small_package, tmp_path) == (6.0, 0)


def test_a_copy_of_the_package_elsewhere_finds_the_same_cache(small_package, tmp_path):
    child(small_package, tmp_path)
    copy = tmp_path / "elsewhere" / "evoplastic"
    shutil.copytree(small_package, copy)
    os.utime(copy / "hot.py", (0, 0))
    assert child(copy, tmp_path) == (6.0, 0)


def test_kernels_run_without_compiler(small_package, tmp_path):
    assert child(small_package, tmp_path, NUMBA_DISABLE_JIT="1") == (6.0, None)


# ---- the cache folder


@pytest.fixture
def folder_of(monkeypatch):
    """Return a function: the cache folder of a fresh process with this source hash and EVOPLASTIC_CACHE."""

    def folder(root, source="0123456789abcdef"):
        monkeypatch.setattr(jit, "source_hash", lambda: source)
        if root is None:
            monkeypatch.delenv("EVOPLASTIC_CACHE", raising=False)
        else:
            monkeypatch.setenv("EVOPLASTIC_CACHE", str(root))
        found = jit.cache_folder.__wrapped__()
        if root is None or not found.is_relative_to(Path(root).absolute()):
            made.append(found)
        return found

    made = []
    yield folder
    for path in made:
        shutil.rmtree(path, ignore_errors=True)


def is_private(path):
    return stat.S_IMODE(path.stat().st_mode) == 0o700


def test_cache_lies_where_the_variable_says(folder_of, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folder = folder_of(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b" / "0123456789abcdef"
    assert is_private(folder)


def test_cache_stays_in_place_when_the_process_moves(folder_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert folder_of("relative").is_absolute()


def test_cache_works_under_the_umask_of_shared_groups(folder_of, tmp_path):
    before = os.umask(0o002)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert folder_of(tmp_path / "new" / "root").is_relative_to(tmp_path)
    finally:
        os.umask(before)


def test_a_folder_that_others_may_write_is_refused(folder_of, tmp_path):
    tmp_path.chmod(0o777)
    with pytest.warns(UserWarning, match="writable by others"):
        folder = folder_of(tmp_path)
    assert not folder.is_relative_to(tmp_path)
    assert is_private(folder)


def test_a_folder_of_another_user_is_refused(folder_of, tmp_path, monkeypatch):
    monkeypatch.setattr(jit.os, "getuid", lambda: os.stat(tmp_path).st_uid + 1)
    with pytest.warns(UserWarning, match="owned"):
        assert is_private(folder_of(tmp_path))


def test_a_place_that_cannot_be_written_is_replaced(folder_of, tmp_path):
    (tmp_path / "file").write_text("")  # also root cannot make a folder inside a file
    with pytest.warns(UserWarning, match="EVOPLASTIC_CACHE"):
        assert is_private(folder_of(tmp_path / "file" / "cache"))


def test_a_user_without_home_gets_a_private_folder(folder_of, monkeypatch):
    def no_such_user(uid):
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_such_user)
    with pytest.warns(UserWarning, match="EVOPLASTIC_CACHE"):
        assert is_private(folder_of(None))


def test_five_source_hashes_are_kept_the_newest_among_them(folder_of, tmp_path):
    hashes = [f"{number:016x}" for number in range(8)]
    for age, source in enumerate(hashes):
        folder = folder_of(tmp_path, source)
        os.utime(folder, (age, age))
    folder_of(tmp_path, hashes[-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == hashes[-5:]


def test_a_hash_in_use_again_counts_as_new(folder_of, tmp_path):
    for age in range(5):
        os.utime(folder_of(tmp_path, f"{age:016x}"), (age, age))
    folder_of(tmp_path, f"{0:016x}")
    folder_of(tmp_path, "f" * 16)
    assert {f"{0:016x}", "f" * 16} < {path.name for path in tmp_path.iterdir()}


def test_folders_that_are_not_ours_are_never_dropped(folder_of, tmp_path):
    theirs = [tmp_path / f"my-thesis-part-{number}" for number in range(8)]  # 16 letters, like a hash
    for path in theirs:
        path.mkdir()
        os.utime(path, (0, 0))
    folder_of(tmp_path)
    assert all(path.is_dir() for path in theirs)


def test_a_folder_dropped_by_another_process_meanwhile_does_no_harm(folder_of, tmp_path, monkeypatch):
    for age in range(7):
        (tmp_path / f"{age:016x}").mkdir()
    stat_of = Path.stat

    def vanished(path, **options):
        if path.name == f"{3:016x}":
            raise FileNotFoundError(path)
        return stat_of(path, **options)

    monkeypatch.setattr(Path, "stat", vanished)
    monkeypatch.setattr(Path, "is_dir", lambda path: True)
    assert folder_of(tmp_path).parent == tmp_path


def test_kernels_outside_the_package_are_not_cached():
    assert isinstance(kernel(lambda x: x)._cache, NullCache)


# ---- open functions


class Mixed(NamedTuple):  # Numba calls it a NamedTuple
    eta: float
    times: int

    def change(rule, x):
        return rule.eta * x + rule.times


class Uniform(NamedTuple):  # and this one, of equal fields, a NamedUniTuple
    eta: float
    bias: float

    def change(rule, x):
        return rule.eta * x - rule.bias


class Making(NamedTuple):  # outside the package a body may make arrays
    eta: float

    def change(rule, x):
        return np.full(2, rule.eta * x).sum()


class Without(NamedTuple):
    eta: float


@open_function
def change(rule, x):
    """Return the change."""


@kernel
def run(rule, x):
    return change(rule, x)


@pytest.mark.parametrize(("rule", "expected"), [(Mixed(2.0, 1), 7.0), (Uniform(2.0, 1.0), 5.0), (Making(2.0), 12.0)])
@pytest.mark.parametrize("way", [run, run.py_func, change], ids=["compiled", "plain", "called directly"])
def test_open_function_finds_the_method_of_its_first_argument(rule, expected, way):
    assert way(pack(rule), np.float32(3)) == expected


def test_a_type_without_the_method_is_refused():
    with pytest.raises(AttributeError, match="change"):
        run.py_func(Without(1.0), np.float32(3))
    with pytest.raises(Exception, match="change"):
        run(pack(Without(1.0)), np.float32(3))


def test_open_function_keeps_the_words_of_its_stub():
    assert (change.__name__, change.__doc__) == ("change", "Return the change.")


@numba.njit(_nrt=True)
def makes(size):
    return np.ones(size)


@numba.njit(_nrt=False)
def borrows(size):
    return makes(size)[0]


def test_a_kernel_that_borrows_and_calls_what_makes_an_array_is_found_to_keep_it():
    with pytest.raises(AssertionError, match="that were freed, and made"), memory_freed():
        borrows(3)


# ---- pack


class Part(NamedTuple):
    level: float
    count: int


class Whole(NamedTuple):
    weights: np.ndarray
    table: np.ndarray
    eta: float
    trials: int
    part: Part


def read_only(array):
    array.flags.writeable = False
    return array


PLAIN = Whole(np.ones((3, 8), np.float32), np.zeros(4, np.int64), np.float32(0.2), np.int64(3), Part(0.5, 1))
MESSY = {
    "float64 array": PLAIN._replace(weights=np.ones((3, 8))),
    "Fortran order": PLAIN._replace(weights=np.asfortranarray(PLAIN.weights)),
    "strided": PLAIN._replace(weights=np.ones((6, 16), np.float32)[::2, ::2]),
    "read-only": PLAIN._replace(weights=read_only(np.ones((3, 8), np.float32)), table=read_only(np.zeros(4, np.int64))),
    "broadcast": PLAIN._replace(weights=np.broadcast_to(np.float32(1), (3, 8))),
    "unaligned": PLAIN._replace(
        weights=np.frombuffer(b"\0" + np.ones(24, np.float32).tobytes(), "<f4", 24, 1).reshape(3, 8)
    ),
    "big-endian": PLAIN._replace(weights=np.ones((3, 8), ">f4")),
    "list": PLAIN._replace(table=[0, 0, 0, 0]),
    "int32 array": PLAIN._replace(table=np.zeros(4, np.int32)),
    "bool array": PLAIN._replace(table=np.zeros(4, bool)),
    "Python float": PLAIN._replace(eta=0.2),
    "float64": PLAIN._replace(eta=np.float64(0.2)),
    "0-d array": PLAIN._replace(eta=np.array(0.2)),
    "Python int": PLAIN._replace(trials=3),
    "int32": PLAIN._replace(trials=np.int32(3)),
    "nested": PLAIN._replace(part=Part(np.float64(0.5), np.int32(1))),
    "int for a float": PLAIN._replace(part=Part(1, 1), eta=2),
    "float for an int": PLAIN._replace(trials=3.0),
}


@kernel
def taste(whole):
    return whole.weights[0, 0] * whole.eta * whole.part.level + whole.trials + whole.table[0] + whole.part.count


@pytest.mark.parametrize("name", MESSY)
def test_whatever_is_packed_has_one_signature(name):
    taste(pack(PLAIN))
    taste(pack(MESSY[name]))
    assert len(taste.signatures) == 1


def test_packed_arrays_are_contiguous_writable_aligned_float32_or_int64():
    for messy in MESSY.values():
        packed = pack(messy)
        assert packed.weights.dtype == np.dtype(np.float32) and packed.table.dtype == np.dtype(np.int64)
        for array in (packed.weights, packed.table):
            assert array.flags.c_contiguous and array.flags.writeable and array.flags.aligned


def test_packing_keeps_values_and_type():
    packed = pack(MESSY["Fortran order"])
    assert type(packed) is Whole and type(packed.part) is Part
    np.testing.assert_array_equal(packed.weights, PLAIN.weights)
    assert packed.eta == np.float32(0.2) and packed.part.count == 1


def test_packing_a_packed_struct_copies_nothing():
    packed = pack(PLAIN)
    assert pack(packed).weights is packed.weights


def test_a_read_only_array_is_copied_not_opened():
    array = read_only(np.ones((3, 8), np.float32))
    pack(PLAIN._replace(weights=array)).weights[0, 0] = 5
    assert array[0, 0] == 1


@pytest.mark.parametrize("value", ["name", None, {"a": 1}, 1j], ids=str)
def test_what_a_kernel_cannot_take_is_refused(value):
    with pytest.raises(TypeError, match="numbers and arrays"):
        pack(PLAIN._replace(eta=value))
