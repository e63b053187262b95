"""Checkpoints come back as they were written, or are refused in one sentence."""

import contextlib
import errno
import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from evoplastic import checkpoints
from evoplastic.checkpoints import (
    Checkpoint,
    DamagedCheckpoint,
    newest_checkpoint,
    prune_checkpoints,
    read_checkpoint,
    write_checkpoint,
)
from evoplastic.errors import UserError


def a_checkpoint(generation=12, fill=0.5):
    arrays = {
        "center": np.full(7, fill),
        "counts": np.arange(3),
        "key": np.array(2**64 - 1, np.uint64),
        "bytes": np.zeros((2, 0), np.uint8),
    }
    return Checkpoint(generation, arrays, {"strategy": "openai_es", "layout": [{"name": "weights", "size": 7}]})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def same(one, other):
    assert one.generation == other.generation
    assert one.meta == other.meta
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        twin = other.arrays[name]
        assert (array.dtype, array.shape, array.tobytes()) == (twin.dtype, twin.shape, twin.tobytes())


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def forge(path, members, **options):
    """Write a zip of our own with a checksum that fits nothing in particular."""
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    path.with_suffix(".sha256").write_text("evoplastic.content_sha256 1 " + "0" * 64 + "\n")


values = arrays_of.arrays(
    st.sampled_from([np.float64, np.int64, np.uint64, np.uint8]), arrays_of.array_shapes(min_dims=0, min_side=0)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    st.integers(0, 10**9),
    st.dictionaries(st.from_regex(r"[a-z_]{1,9}(/[a-z]{1,3})?", fullmatch=True), values, max_size=4),
    st.dictionaries(st.text(), json_values, max_size=3),
)
def test_any_checkpoint_comes_back_as_it_was(generation, arrays, meta):
    checkpoint = Checkpoint(generation, {f"_{name}": array for name, array in arrays.items()}, meta)
    with tempfile.TemporaryDirectory() as folder:
        same(read_checkpoint(write_checkpoint(Path(folder), checkpoint)), checkpoint)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.data())
def test_a_flipped_bit_is_refused_or_harmless(data):
    with tempfile.TemporaryDirectory() as folder:
        path = write_checkpoint(Path(folder), a_checkpoint())
        mangled = bytearray(path.read_bytes())
        mangled[data.draw(st.integers(0, len(mangled) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(mangled)
        with contextlib.suppress(DamagedCheckpoint):
            same(read_checkpoint(path), a_checkpoint())


def test_equal_states_give_equal_bytes(tmp_path):
    one, other = a_checkpoint(), a_checkpoint()
    reordered = Checkpoint(12, dict(reversed(other.arrays.items())), dict(reversed(other.meta.items())))
    for folder, checkpoint in (("one", one), ("other", reordered)):
        (tmp_path / folder).mkdir()
        write_checkpoint(tmp_path / folder, checkpoint)
    for name in ("gen-00000012.npz", "gen-00000012.sha256"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_the_memory_order_of_an_array_does_not_matter(tmp_path):
    table = np.arange(6.0).reshape(2, 3)
    plain = write_checkpoint(tmp_path, Checkpoint(1, {"table": table}, {})).read_bytes()
    assert write_checkpoint(tmp_path, Checkpoint(1, {"table": np.asfortranarray(table)}, {})).read_bytes() == plain


def test_any_npz_reader_can_open_a_checkpoint(tmp_path):
    path = write_checkpoint(tmp_path, a_checkpoint())
    with np.load(path, allow_pickle=False) as opened:
        assert np.array_equal(opened["center"], np.full(7, 0.5))
        meta = json.loads(opened["meta"].tobytes())
    assert (meta["format"], meta["version"], meta["generation"]) == ("evoplastic.checkpoint", 1, 12)


def test_arrays_read_back_are_read_only(tmp_path):
    with pytest.raises(ValueError):
        read_checkpoint(write_checkpoint(tmp_path, a_checkpoint())).arrays["center"][0] = 1


@pytest.mark.parametrize("array", [np.array([None]), np.zeros(2, np.float32), np.array(["a"]), np.zeros(1, "f8,i8")])
def test_other_types_of_array_are_not_written(tmp_path, array):
    with pytest.raises(ValueError, match="float64, int64, uint64 or uint8"):
        write_checkpoint(tmp_path, Checkpoint(0, {"x": array}, {}))


@pytest.mark.parametrize("name", ["meta", "", "../x", "/x"])
def test_an_array_cannot_have_a_reserved_name(tmp_path, name):
    with pytest.raises(ValueError, match="cannot be named"):
        write_checkpoint(tmp_path, Checkpoint(0, {name: np.zeros(1)}, {}))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(tmp_path, share):
    path = write_checkpoint(tmp_path, a_checkpoint())
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(DamagedCheckpoint, match="is damaged"):
        read_checkpoint(path)


def test_a_checkpoint_without_its_checksum_is_refused(tmp_path):
    path = write_checkpoint(tmp_path, a_checkpoint())
    path.with_suffix(".sha256").unlink()
    with pytest.raises(DamagedCheckpoint, match=r"\.sha256 file is missing"):
        read_checkpoint(path)


def test_a_checkpoint_with_anothers_checksum_is_refused(tmp_path):
    path = write_checkpoint(tmp_path, a_checkpoint(12))
    other = write_checkpoint(tmp_path, a_checkpoint(13, fill=0.25))
    os.replace(other.with_suffix(".sha256"), path.with_suffix(".sha256"))
    with pytest.raises(DamagedCheckpoint, match="does not match"):
        read_checkpoint(path)


def test_a_renamed_checkpoint_is_refused(tmp_path):
    path = write_checkpoint(tmp_path, a_checkpoint(12))
    for suffix in (".npz", ".sha256"):
        os.replace(path.with_suffix(suffix), (tmp_path / "gen-00000099").with_suffix(suffix))
    with pytest.raises(DamagedCheckpoint, match="generation 12"):
        read_checkpoint(tmp_path / "gen-00000099.npz")


def test_a_compressed_member_is_refused_before_it_unfolds(tmp_path):
    path = tmp_path / "gen-00000001.npz"
    forge(path, {"meta.npy": bytes(50_000_000)}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(DamagedCheckpoint, match="compressed"):
        read_checkpoint(path)


def test_a_member_that_claims_more_than_the_file_holds_is_refused(tmp_path):
    path = tmp_path / "gen-00000001.npz"
    forge(path, {"meta.npy": bytes(1000)})
    claimed = path.read_bytes().replace((1000).to_bytes(4, "little"), (2**31).to_bytes(4, "little"))
    path.write_bytes(claimed)
    with pytest.raises(DamagedCheckpoint, match="larger than the file"):
        read_checkpoint(path)


def test_an_array_that_claims_more_than_its_bytes_is_refused(tmp_path):
    header = {"descr": "<f8", "fortran_order": False, "shape": (2**40,)}
    with (tmp_path / "huge.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    forge(tmp_path / "gen-00000001.npz", {"meta.npy": (tmp_path / "huge.npy").read_bytes()})
    with pytest.raises(DamagedCheckpoint, match="does not fit its bytes"):
        read_checkpoint(tmp_path / "gen-00000001.npz")


def test_a_pickled_object_is_refused_and_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.save(tmp_path / "trap.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    forge(tmp_path / "gen-00000001.npz", {"meta.npy": (tmp_path / "trap.npy").read_bytes()})
    with pytest.raises(DamagedCheckpoint, match="unexpected type object"):
        read_checkpoint(tmp_path / "gen-00000001.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_newer_version_is_refused_by_name_and_not_passed_over(tmp_path, monkeypatch):
    write_checkpoint(tmp_path, a_checkpoint(1))
    with monkeypatch.context() as newer:
        newer.setattr(checkpoints, "MIGRATIONS", {1: dict})
        write_checkpoint(tmp_path, a_checkpoint(2))
    with pytest.raises(UserError, match="written by a newer evoplastic"):
        newest_checkpoint(tmp_path, warn=pytest.fail)


def test_an_older_version_is_migrated_step_by_step(tmp_path, monkeypatch):
    path = write_checkpoint(tmp_path, a_checkpoint())

    def rename_strategy(document):
        return {**document, "meta": {"algorithm": document["meta"]["strategy"]}}

    def shout(document):
        return {**document, "meta": {"algorithm": document["meta"]["algorithm"].upper()}}

    monkeypatch.setattr(checkpoints, "MIGRATIONS", {1: rename_strategy, 2: shout})
    assert read_checkpoint(path).meta == {"algorithm": "OPENAI_ES"}


def test_the_newest_checkpoint_is_found(tmp_path):
    for generation in (5, 100_000_000, 12):
        write_checkpoint(tmp_path, a_checkpoint(generation))
    assert newest_checkpoint(tmp_path, warn=pytest.fail).generation == 100_000_000


def test_damaged_checkpoints_are_passed_over_with_one_warning_each(tmp_path):
    for generation in (5, 10, 15):
        write_checkpoint(tmp_path, a_checkpoint(generation))
    (tmp_path / "gen-00000015.npz").write_bytes(b"torn")
    (tmp_path / "gen-00000010.sha256").unlink()
    warnings = []
    assert newest_checkpoint(tmp_path, warnings.append).generation == 5
    assert ["gen-00000015" in warnings[0], "gen-00000010" in warnings[1]] == [True, True]
    assert len(warnings) == 2


def test_no_checkpoint_at_all_is_the_users_to_know(tmp_path):
    with pytest.raises(UserError, match="it holds none"):
        newest_checkpoint(tmp_path, warn=pytest.fail)


def test_only_damaged_checkpoints_are_the_users_to_know(tmp_path):
    write_checkpoint(tmp_path, a_checkpoint()).write_bytes(b"")
    with pytest.raises(UserError, match="all 1 in it are damaged"):
        newest_checkpoint(tmp_path, warn=lambda _: None)


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("n_before", [0, 1, 2])
def test_a_failure_at_any_point_leaves_the_checkpoints_before_intact(tmp_path, monkeypatch, call, n_before):
    write_checkpoint(tmp_path, a_checkpoint(5))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    both = [f"gen-0000000{generation}{suffix}" for generation in (5, 6) for suffix in (".npz", ".sha256")]
    original, calls = getattr(os, call), []

    def fail_later(*arguments):
        calls.append(arguments)
        return original(*arguments) if len(calls) <= n_before else full_disk()

    with monkeypatch.context() as failing:
        failing.setattr(os, call, fail_later)
        with contextlib.suppress(UserError):
            write_checkpoint(tmp_path, a_checkpoint(6))
    assert all(path.read_bytes() == data for path, data in before.items())
    assert names(tmp_path) in (both[:2], both)
    assert newest_checkpoint(tmp_path, warn=pytest.fail).generation in (5, 6)


def test_a_full_disk_is_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(UserError, match="could not be written: the disk is full"):
        write_checkpoint(tmp_path, a_checkpoint())


def test_an_interrupt_in_the_middle_of_a_write_leaves_no_trace(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path, a_checkpoint())
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="could not be written"):
        write_checkpoint(tmp_path / "file" / "checkpoints", a_checkpoint())


def test_nothing_is_renamed_if_the_last_check_objects(tmp_path):
    def object_to_it():
        raise UserError("taken over")

    with pytest.raises(UserError, match="taken over"):
        write_checkpoint(tmp_path, a_checkpoint(), before_rename=object_to_it)
    assert names(tmp_path) == []


def test_pruning_keeps_the_last_and_every_nth(tmp_path):
    for generation in range(1, 11):
        write_checkpoint(tmp_path, a_checkpoint(generation))
    prune_checkpoints(tmp_path, keep_last=2, keep_every=4)
    assert names(tmp_path) == [f"gen-{g:08d}{suffix}" for g in (4, 8, 9, 10) for suffix in (".npz", ".sha256")]


def test_pruning_removes_what_killed_writers_left(tmp_path):
    write_checkpoint(tmp_path, a_checkpoint(1))
    (tmp_path / ".gen-00000002.npz.abcd.tmp").touch()
    (tmp_path / "gen-00000002.sha256").touch()
    prune_checkpoints(tmp_path, keep_last=1, keep_every=0)
    assert names(tmp_path) == ["gen-00000001.npz", "gen-00000001.sha256"]


def test_pruning_does_not_count_a_later_checkpoint_that_a_resume_passed_over(tmp_path):
    for generation in (3, 4, 9):
        write_checkpoint(tmp_path, a_checkpoint(generation))
    prune_checkpoints(tmp_path, keep_last=1, keep_every=0, upto=4)
    assert names(tmp_path)[::2] == ["gen-00000004.npz", "gen-00000009.npz"]


def test_pruning_away_everything_is_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="keep_last must be >= 1"):
        prune_checkpoints(tmp_path, keep_last=0, keep_every=0)
