"""Compiled kernels: one decorator, one cache folder, one way to leave a kernel open to new types.

A *kernel* takes numbers and arrays (also inside NamedTuples) and is compiled by Numba on its first call.
An *open function* is the hole in a kernel that a rule, network, modulation or task fills: its body is the
like-named method of its first argument's class, found by type while compiling, so it costs nothing at run time
and the kernel has no ladder of cases.

Numba's own cache looks only at the file that holds a kernel and would go on serving old code after an edit in
another file. Ours lives in a folder named by a hash of all the package's sources, and of a plugin's where there is one,
so an edit anywhere compiles anew.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import os
import re
import secrets
import shutil
import stat
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
import platformdirs
from numba.core import caching
from numba.extending import overload
from numpy.typing import NDArray

from evoplastic.plugins import plugin

PACKAGE = Path(__file__).resolve().parent
KEPT_HASHES = 5
_VECTOR_BYTES = 32
_HASH = r"[0-9a-f]{16}(-[0-9a-f]+)?"  # what a folder of ours is called

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound=NamedTuple)


@functools.cache
def source_hash() -> str:
    """Return 16 hex digits naming the package's Python sources (paths and bytes)."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def code_hash() -> str:
    """Return the name of all code that kernels are made of: the package's hash, and a plugin's where there is one."""
    found = plugin()
    return source_hash() if found is None else f"{source_hash()}-{found.digest[:16]}"


@functools.cache
def cache_folder() -> Path:
    """Return the folder of this code's compiled kernels, made if needed, oldest hashes dropped.

    `$EVOPLASTIC_CACHE`, else the user's cache folder, else a private temporary one with a warning. A folder that
    another user owns or may write is refused: Numba's cache index is a pickle, so whoever writes it runs code here.
    """
    try:
        root = _cache_root()
        folder = _private_folder(root / code_hash())
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
        folder = Path(tempfile.mkdtemp(prefix="evoplastic-"))
        warnings.warn(
            f"compiled kernels are kept only for this process in {folder}: {error}; "
            "set EVOPLASTIC_CACHE to a folder of your own that you can write",
            stacklevel=2,
        )
    else:
        _drop_oldest(root, keep=folder)
    return folder


def cached_kernels() -> int:
    """Return how many compiled kernels the cache holds for this code."""
    return sum(1 for _ in cache_folder().rglob("*.nbc"))


def _cache_root() -> Path:
    chosen = os.environ.get("EVOPLASTIC_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else Path(platformdirs.user_cache_dir("evoplastic"))


def _private_folder(folder: Path) -> Path:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()
    for path in (folder, folder.parent):
        status = path.stat()
        if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"{path} is owned or writable by others")
    return folder


def _drop_oldest(root: Path, keep: Path) -> None:
    with contextlib.suppress(OSError):  # another process may have dropped it just now; saving makes it again
        os.utime(keep)
    made = {}
    for path in root.iterdir():
        if re.fullmatch(_HASH, path.name):
            with contextlib.suppress(OSError):  # another process may be dropping it too
                made[path] = path.stat().st_mtime
    for path in sorted(made, key=made.__getitem__)[:-KEPT_HASHES]:
        shutil.rmtree(path, ignore_errors=True)


class _Locator(caching._CacheLocator):
    """Places a kernel's cache by its module's path inside the package, so that copies of the package share it."""

    def __init__(self, function: Callable[..., Any], file: str):
        path = Path(file).resolve()
        self._folder = cache_folder() / path.relative_to(PACKAGE).with_suffix("")
        self._stamp = hashlib.sha256(path.read_bytes()).hexdigest()
        self._line = function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> _Locator:
        return cls(function, file)

    def get_cache_path(self) -> str:
        return str(self._folder)

    def ensure_cache_path(self) -> None:
        cache_folder().mkdir(mode=0o700, parents=True, exist_ok=True)  # it may have been dropped meanwhile
        super().ensure_cache_path()

    def get_source_stamp(self) -> str:
        return self._stamp

    def get_disambiguator(self) -> str:
        return str(self._line)


class _CacheImpl(caching.CompileResultCacheImpl):
    _locator_classes = [_Locator]


class _CacheFile(caching.IndexDataCacheFile):
    """A kernel's index and data files, which any number of processes may write at once.

    Numba numbers the data files, so two processes that compile for two types at one moment take the same number, and
    the index of one may then name the code of the other: a wrong answer ever after. Here every data file has a name
    of its own, and is there before an index names it. Where two indexes are written at one moment one is lost, which
    costs no more than to compile again. So does a file that a crash has torn.
    """

    def save(self, key: Any, data: Any) -> None:
        name = self._data_name(secrets.randbits(63))
        self._save_data(name, data)
        self._save_index({**self._load_index(), key: name})

    def load(self, key: Any) -> Any:
        try:
            return super().load(key)
        except Exception:  # a torn pickle may raise anything
            return None

    def _load_index(self) -> Any:
        try:
            return super()._load_index()
        except Exception:
            return {}


class _KernelCache(caching.FunctionCache):
    """A kernel's cache; a disk that takes no more makes it useless, not the kernel."""

    _impl_class = _CacheImpl

    def __init__(self, function: Callable[..., Any]):
        super().__init__(function)
        locator = self._impl.locator
        self._cache_file = _CacheFile(self._cache_path, self._impl.filename_base, locator.get_source_stamp())

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn_once(
                f"compiled kernels cannot be kept in {cache_folder()}: {error.strerror}; "
                "make room there, or set EVOPLASTIC_CACHE to a folder of your own that you can write"
            )


@functools.cache
def _warn_once(text: str) -> None:
    warnings.warn(text, stacklevel=3)


def kernel(function: F) -> F:
    """Compile `function` on its first call, without the GIL, cached on disk; no fastmath, so its bits are its own.

    It borrows the arrays it is given: their references are not counted, which took a quarter of a step of 70 units and
    two thirds of a meta-task's decision. So it may make no array, nor return one, nor call what returns one;
    `making_kernel` may. What Numba builds into it, such as sums of arrays, borrows too or is refused. Outside the
    package references are always counted.
    """
    return _compiled(function, inlined=False, borrows=True)


def inlined_kernel(function: F) -> F:
    """As `kernel`, always built into the kernel that calls it: for small steps of a loop that runs in nanoseconds."""
    return _compiled(function, inlined=True, borrows=True)


def making_kernel(function: F) -> F:
    """As `kernel`, for what makes arrays or returns them, and for all that runs outside of lives."""
    return _compiled(function, inlined=False, borrows=False)


def _compiled(function: F, inlined: bool, borrows: bool) -> F:
    ours = _is_ours(function)
    options = {"nogil": True, "error_model": "numpy", "forceinline": inlined, "_nrt": not (borrows and ours)}
    dispatcher = numba.njit(**options)(function)
    if not numba.config.DISABLE_JIT and ours:
        dispatcher._cache = _KernelCache(function)
    return dispatcher  # type: ignore[no-any-return]


def _is_ours(function: Callable[..., Any]) -> bool:
    return Path(inspect.getfile(function)).resolve().is_relative_to(PACKAGE)


def open_function(stub: F) -> F:
    """Return a function whose body is the like-named method of its first argument's class.

    Compiled code resolves it by type at compile time, plain Python by type at call time. The method's parameter
    names must equal the stub's. A class without the method cannot be compiled; contract tests say so first. The body is
    always built into its caller, since a call would pass every field. It borrows its arguments as a `kernel` does;
    `making_open_function` may make arrays and return them.
    """
    return _opened(stub, borrows=True)


def making_open_function(stub: F) -> F:
    """As `open_function`, for what makes arrays or returns them."""
    return _opened(stub, borrows=False)


def _opened(stub: F, borrows: bool) -> F:
    name = stub.__name__

    def python(*args: Any) -> Any:
        return getattr(type(args[0]), name)(*args)

    for ours in (True, False):  # a body from outside the package may make arrays anywhere

        def resolve(*args: Any, ours: bool = ours) -> Any:
            found = getattr(getattr(args[0], "instance_class", None), name, None)
            return found if found is not None and _is_ours(found) is ours else None

        resolve.__signature__ = inspect.signature(stub)  # type: ignore[attr-defined]
        options = {"error_model": "numpy", "forceinline": True, "_nrt": not (borrows and ours)}
        overload(python, jit_options=options)(resolve)
    return functools.update_wrapper(python, stub)  # type: ignore[return-value]


def pack(struct: S) -> S:
    """Return `struct` with every field in its declared kind: the one border in front of kernels.

    A field declared `float` becomes float32 and one declared `int` int64, whatever number it holds; arrays of floats
    become float32 and of integers int64, contiguous, writable and `aligned`; nested structs are packed too. Anything
    else (a read-only array, a Python float) would be another Numba type and compile the kernel again.
    """
    return type(struct)(*map(_pack_field, struct, _declared(type(struct))))


@functools.cache
def _declared(kind: type[NamedTuple]) -> tuple[str, ...]:
    """Return the name of each field's declared type, however the module spells its annotations."""
    hints = [kind.__annotations__[field] for field in kind._fields]
    return tuple(str(getattr(hint, "__forward_arg__", getattr(hint, "__name__", hint))) for hint in hints)


def _pack_field(value: Any, declared: str) -> Any:
    if isinstance(value, tuple):
        return pack(value)  # type: ignore[type-var]
    scalar = {"float": np.float32, "int": np.int64}.get(declared)
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or (scalar is not None and array.ndim):
        raise TypeError(f"a kernel takes numbers and arrays, got {value!r} for a field declared {declared}")
    if scalar is not None:
        return scalar(value)
    dtype = np.float32 if array.dtype.kind == "f" else np.int64
    array = np.require(array, dtype=dtype, requirements=["C", "W", "A"])
    return array if _start(array) == 0 else aligned(array)


def aligned(array: NDArray[Any]) -> NDArray[Any]:
    """Return a copy that starts where a vector of 8 floats may, so that none of them straddles two lines of the cache.

    Every second would if the first did, and numpy is free to let it: a fifth of a step's time.
    """
    room = np.empty(array.nbytes + _VECTOR_BYTES, np.uint8)
    begin = -_start(room) % _VECTOR_BYTES
    copy = room[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def aligned_zeros(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return float32 zeros that are `aligned`."""
    return aligned(np.zeros(shape, np.float32))


def _start(array: NDArray[Any]) -> int:
    """Return how many bytes after a place for a vector an array starts."""
    address: int = array.__array_interface__["data"][0]
    return address % _VECTOR_BYTES
