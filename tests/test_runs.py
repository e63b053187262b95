"""The run folder: made whole or not at all, appended by whole lines, found by name."""

import errno
import json
import os
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from evoplastic import manifest, runs
from evoplastic.checkpoints import Checkpoint
from evoplastic.errors import UserError, nearest
from evoplastic.files import read_json, write_json
from evoplastic.manifest import build_manifest
from evoplastic.runs import RunFolder, runs_dir

CONFIG = 'preset = "demo"\n[evolution]\nsigma = 0.1\n'


def a_run(folder, name=None, default_name="demo-s0"):
    return RunFolder.create(folder, name, default_name, CONFIG, build_manifest(["evoplastic", "run", "demo"], "abc123"))


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_new_run_holds_its_config_and_manifest(tmp_path):
    run = a_run(tmp_path / "runs")
    assert run.path == tmp_path / "runs" / "demo-s0"
    assert run.config == {"preset": "demo", "evolution": {"sigma": 0.1}}
    assert (run.manifest["source_hash"], run.manifest["lineage"]) == ("abc123", [])
    assert {path.name for path in run.path.iterdir() if path.is_dir()} == {"checkpoints", "evaluation", "analysis"}


def test_default_names_count_upwards(tmp_path):
    assert [a_run(tmp_path).path.name for _ in range(3)] == ["demo-s0", "demo-s0-2", "demo-s0-3"]


def test_runs_started_at_once_get_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: a_run(tmp_path).path, range(16)))
    assert len(set(paths)) == 16


def test_an_explicit_existing_name_is_refused(tmp_path):
    path = a_run(tmp_path, name="mine").path
    before = (path / "manifest.json").read_bytes()
    with pytest.raises(UserError, match=r"named 'mine' exists .* another --name"):
        a_run(tmp_path, name="mine")
    assert (path / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/abs", "-x", ".hidden", "a\n", "x" * 300])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="cannot be named"):
        a_run(tmp_path, name=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("default", "name"), [("my task/../x-s1", "my-task-..-x-s1"), ("../x", "x"), ("", "run")])
def test_a_default_name_is_made_a_plain_one(tmp_path, default, name):
    assert a_run(tmp_path, default_name=default).path == tmp_path / name


def test_a_runs_dir_that_cannot_be_written_is_told_in_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="could not be written"):
        a_run(tmp_path / "file" / "runs")


def test_a_read_only_runs_dir_is_told_in_one_sentence(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(UserError, match="read-only"):
        a_run(tmp_path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_run_that_cannot_be_made_whole_leaves_nothing(tmp_path, monkeypatch, call):
    with monkeypatch.context() as full:
        full.setattr(os, call, full_disk)
        with pytest.raises(UserError, match="the disk is full"):
            a_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_maker_left_is_removed_an_hour_later(tmp_path):
    old, young = (tmp_path / f".{digit * 16}.tmp" for digit in "ab")
    for folder in (old, young):
        (folder / "checkpoints").mkdir(parents=True)
    os.utime(old, (0, 0))
    a_run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [young.name, "demo-s0"]


def test_an_interrupted_making_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "write_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        a_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_opens_by_path_and_by_name(tmp_path):
    path = a_run(tmp_path).path
    assert RunFolder.open(path).path == path
    assert RunFolder.open("demo-s0", tmp_path).path == path


def test_a_run_opens_by_name_in_the_default_runs_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("EVOPLASTIC_RUNS", str(tmp_path))
    assert RunFolder.open(a_run(tmp_path).path.name).path == tmp_path / "demo-s0"


def test_what_is_no_run_is_refused_with_the_nearest_runs(tmp_path):
    for name in ("xor-s0", "demo-s1", "demo-s2", "demo-s3", "demo-s4", "demo-s5"):
        a_run(tmp_path, name=name)
    with pytest.raises(UserError, match="'demo-s' is not a run folder") as refused:
        RunFolder.open("demo-s", tmp_path)
    assert str(refused.value).count("demo-s") == 6
    assert "xor" not in str(refused.value)


@pytest.mark.parametrize("name", ["nothing", "x" * 5000, "a\0b", ""])
def test_what_is_no_run_is_refused_where_there_are_none(tmp_path, name):
    with pytest.raises(UserError, match="there are no runs"):
        RunFolder.open(name, tmp_path / "empty")


def test_a_damaged_manifest_is_refused_when_opening(tmp_path):
    path = a_run(tmp_path).path
    (path / "manifest.json").write_text('{"format": "evopl')
    with pytest.raises(UserError, match="could not be read as JSON"):
        RunFolder.open(path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"version": 1}', '{"version": "1", "format": "evoplastic.manifest"}'])
def test_a_foreign_manifest_is_refused_when_opening(tmp_path, text):
    path = a_run(tmp_path).path
    (path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"not in the format evoplastic\.manifest"):
        RunFolder.open(path)


def test_a_run_of_a_newer_version_is_refused_when_opening(tmp_path):
    run = a_run(tmp_path)
    write_json(run.path / "manifest.json", {**run.manifest, "version": 2})
    with pytest.raises(UserError, match=r"written by a newer evoplastic .*version 2, this one reads up to 1"):
        RunFolder.open(run.path)


def test_a_manifest_of_an_older_version_is_migrated(tmp_path, monkeypatch):
    run = a_run(tmp_path)
    monkeypatch.setattr(manifest, "MIGRATIONS", {1: lambda document: {**document, "added": True}})
    assert run.manifest["added"]
    assert run.manifest["version"] == 2


def test_a_damaged_config_is_told_in_one_sentence(tmp_path):
    run = a_run(tmp_path)
    (run.path / "config.toml").write_text("sigma = = 3")
    with pytest.raises(UserError, match=r"config\.toml could not be read"):
        run.config  # noqa: B018


def test_metrics_are_one_sorted_object_per_line(tmp_path):
    run = a_run(tmp_path)
    run.append_metrics({"score": np.float32(0.5), "generation": 0, "spread": float("nan")})
    line = '{"format":"evoplastic.metrics","generation":0,"score":0.5,"spread":null,"version":1}\n'
    assert (run.path / "metrics.jsonl").read_text() == line
    assert run.metrics() == [{"generation": 0, "score": 0.5, "spread": None}]


def test_a_run_without_generations_has_no_metrics(tmp_path):
    assert a_run(tmp_path).metrics() == []


def test_a_metrics_record_without_a_generation_is_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="must have 'generation'"):
        a_run(tmp_path).append_metrics({"score": 1})


def test_a_torn_last_line_is_left_out(tmp_path):
    run = a_run(tmp_path)
    for generation in range(3):
        run.append_metrics({"generation": generation})
    path = run.path / "metrics.jsonl"
    os.truncate(path, path.stat().st_size - 5)
    assert [record["generation"] for record in run.metrics()] == [0, 1]


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    run = a_run(tmp_path)
    run.append_metrics({"generation": 0})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write("{torn\n")
    run.append_metrics({"generation": 1})
    with pytest.raises(UserError, match="line 2 of"):
        run.metrics()


def test_rewound_metrics_are_those_of_a_run_that_got_no_further(tmp_path):
    short, long = a_run(tmp_path), a_run(tmp_path)
    for generation in range(5):
        record = {"generation": generation, "score": 1 / (generation + 3)}
        long.append_metrics(record)
        if generation < 3:
            short.append_metrics(record)
    with (long.path / "metrics.jsonl").open("a") as file:
        file.write('{"generation": 5, "sc')
    long.rewind_metrics(3)
    assert (long.path / "metrics.jsonl").read_bytes() == (short.path / "metrics.jsonl").read_bytes()


def test_a_failed_rewind_leaves_the_metrics_as_they_were(tmp_path, monkeypatch):
    run = a_run(tmp_path)
    for generation in range(3):
        run.append_metrics({"generation": generation})
    before = (run.path / "metrics.jsonl").read_bytes()
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(UserError, match="the disk is full"):
        run.rewind_metrics(1)
    assert (run.path / "metrics.jsonl").read_bytes() == before
    assert not list(run.path.glob(".*.tmp"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_metrics_on_a_full_disk_are_told_in_one_sentence(tmp_path):
    run = a_run(tmp_path)
    (run.path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(UserError, match="the disk is full"):
        run.append_metrics({"generation": 0})


def test_a_line_that_does_not_fit_on_the_disk_is_not_begun(tmp_path):
    run = a_run(tmp_path)
    run.append_metrics({"generation": 0})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(UserError, match="the disk is full"):
            run.append_metrics({"generation": 1, "note": "x" * 200})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (run.path / "metrics.jsonl").read_text().count("\n") == 1
    assert run.metrics() == [{"generation": 0}]


def test_events_carry_their_kind_and_time(tmp_path):
    run = a_run(tmp_path)
    run.append_event("generation", seconds=1.5, workers=2)
    event = json.loads((run.path / "events.jsonl").read_text())
    assert event.pop("time") > 1.7e9
    expected = {"kind": "generation", "seconds": 1.5, "workers": 2, "format": "evoplastic.events", "version": 1}
    assert event == expected


@pytest.mark.parametrize("torn", ['{"kind":"gen', "{", "\0\0\0", '{"kind":"é'.encode()[:-1].decode("latin-1")])
def test_the_next_event_takes_the_place_of_one_that_a_crash_tore(tmp_path, torn):
    run = a_run(tmp_path)
    run.append_event("generation")
    with (run.path / "events.jsonl").open("a", encoding="latin-1") as file:
        file.write(torn)
    assert [event["kind"] for event in run.events()] == ["generation"]
    run.append_event("resume")
    run.append_event("checkpoint")
    assert [event["kind"] for event in run.events()] == ["generation", "resume", "checkpoint"]


def test_an_event_that_lacks_only_its_end_of_line_is_kept(tmp_path):
    run = a_run(tmp_path)
    run.append_event("generation")
    path = run.path / "events.jsonl"
    os.truncate(path, path.stat().st_size - 1)
    run.append_event("resume")
    assert [event["kind"] for event in run.events()] == ["generation", "resume"]


def test_a_damaged_event_in_the_middle_is_refused_by_its_line(tmp_path):
    run = a_run(tmp_path)
    run.append_event("generation")
    with (run.path / "events.jsonl").open("a") as file:
        file.write("{torn\n")
    run.append_event("resume")
    with pytest.raises(UserError, match=r"line 2 of .*events\.jsonl is damaged"):
        run.events()


def test_a_member_left_out_after_a_torn_line_is_left_out(tmp_path):
    run = a_run(tmp_path)
    (run.path / "skipped.jsonl").write_text('{"generation":1,"mem')
    run.skip(3, 7)
    assert run.skipped() == {(3, 7)}


def test_the_last_checkpoints_are_kept_and_the_newest_loaded(tmp_path):
    run = a_run(tmp_path)
    run.append_metrics({"generation": 0})
    with run.lock():
        for generation in range(1, 7):
            run.save_checkpoint(Checkpoint(generation, {"center": np.zeros(2)}, {}), keep_last=2, keep_every=3)
    kept = sorted(path.name for path in (run.path / "checkpoints").glob("*.npz"))
    assert kept == ["gen-00000003.npz", "gen-00000005.npz", "gen-00000006.npz"]
    assert run.load_checkpoint(warn=pytest.fail).generation == 6


def test_a_run_that_was_taken_over_writes_no_checkpoint(tmp_path):
    run = a_run(tmp_path)
    with run.lock(), RunFolder.open(run.path).lock(break_lock=True), pytest.raises(UserError, match="taken over"):
        run.save_checkpoint(Checkpoint(1, {}, {}))
    assert list((run.path / "checkpoints").iterdir()) == []


def test_lineage_is_appended_to_the_manifest(tmp_path):
    run = a_run(tmp_path)
    before = run.manifest
    for source in ("one", "two"):
        run.add_lineage({"source_hash": source})
    assert run.manifest == {**before, "lineage": [{"source_hash": "one"}, {"source_hash": "two"}]}


def test_runs_go_where_the_user_said_then_where_the_environment_says(monkeypatch):
    monkeypatch.delenv("EVOPLASTIC_RUNS", raising=False)
    assert runs_dir(None) == Path("runs")
    monkeypatch.setenv("EVOPLASTIC_RUNS", "elsewhere")
    assert runs_dir(None) == Path("elsewhere")
    assert runs_dir("here") == Path("here")


def test_the_manifest_names_versions_and_hardware_but_no_place():
    manifest = build_manifest(["evoplastic", "run"], "abc")
    assert (manifest["format"], manifest["version"]) == ("evoplastic.manifest", 1)
    assert manifest["packages"]["numpy"] == np.__version__
    assert manifest["cpu"].keys() == {"model", "features"}
    assert str(Path.cwd()) not in json.dumps(manifest)


def test_json_says_null_for_what_is_not_finite(tmp_path):
    write_json(tmp_path / "x.json", {"a": [np.inf, np.float32("nan"), 1.5], "b": np.arange(2), "c": (True, None)})
    assert read_json(tmp_path / "x.json") == {"a": [None, None, 1.5], "b": [0, 1], "c": [True, None]}


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    write_json(tmp_path / "x.json", 1)
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(UserError, match="the disk is full"):
        write_json(tmp_path / "x.json", 2)
    assert read_json(tmp_path / "x.json") == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_json_file_is_told_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match="could not be read as JSON"):
        read_json(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("word", "hint"), [("sgima", "; did you mean 'sigma'?"), ("SIGMA", "; did you mean 'sigma'?"), ("xyz", "")]
)
def test_the_nearest_choice_is_suggested(word, hint):
    assert nearest(word, ["sigma", "population"]) == hint
