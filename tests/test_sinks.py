"""A live view of a run: all its numbers arrive once and at their generation, and no failure of it changes the run."""

import errno
import json
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorboardX.record_writer
from tensorboardX.proto.event_pb2 import Event, SessionLog
from test_cli import SETTINGS, main, snapshot
from test_evolution import tiny
from test_launch import go, stop_after

from evoplastic.cli.groups import How
from evoplastic.launch import load_run, start_run
from evoplastic.sinks import SINKS, scalars, tracking

__all__ = ["main"]  # a fixture

RUN = ["run", "quickstart", *SETTINGS, "--generations", 4, "--no-evaluation"]
TRACKED = [*RUN, "--track", "tensorboard"]


# ---- event files, read from the description of their format


def crc32c(data):
    """Return the Castagnoli CRC of `data` (RFC 3720): the remainder by the reflected polynomial 82F63B78, by bits."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    """Return the CRC as TFRecord files hold it: turned right by 15 bits, plus a282ead8."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events(path):
    """Return the events of a file: records of a length (8 bytes), its CRC (4), so many bytes, and their CRC (4)."""
    data, found = path.read_bytes(), []
    while data:
        (size,) = struct.unpack("<Q", data[:8])
        length, payload = data[:8], data[12 : 12 + size]
        assert struct.unpack("<I", data[8:12]) == (masked(length),)
        assert struct.unpack("<I", data[12 + size : 16 + size]) == (masked(payload),)
        found.append(Event.FromString(payload))
        data = data[16 + size :]
    return found


def told(run):
    """Return the events of each of a run's files, in the order in which TensorBoard reads them."""
    return [events(path) for path in sorted((run / "tensorboard").iterdir())]


def shown(run):
    """Return [(step, value), ...] by tag as TensorBoard shows them: a session's start voids what is not before it."""
    kept = []
    for file in told(run):
        assert file[0].file_version == "brain.Event:2"
        for event in file:
            if event.session_log.status == SessionLog.START:
                kept = [earlier for earlier in kept if earlier.step < event.step]
            kept.append(event)
    series = {}
    for event in kept:
        for value in event.summary.value:
            series.setdefault(value.tag, []).append((event.step, value.simple_value))
    return series


def records(run):
    return [json.loads(text) for text in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_crc_is_the_one_of_its_check_value():
    assert crc32c(b"123456789") == 0xE3069283


@pytest.fixture(scope="module")
def untracked(tmp_path_factory):
    return go(start_run(tiny(generations=4), tmp_path_factory.mktemp("untracked"))).folder.path


def bits(run):
    """Return all that must not depend on who watches."""
    return {
        name: hash_ for name, hash_ in snapshot(run).items() if name.startswith(("metrics", "checkpoints", "config"))
    }


def test_every_number_is_shown_at_its_generation(main, untracked, tmp_path):
    assert main(*TRACKED, "--runs-dir", tmp_path).code == 0
    run = tmp_path / "tiny-s0"
    series, lines = shown(run), records(run)
    assert [line["generation"] for line in lines] == [0, 1, 2, 3]

    def expected(pick, generations=(0, 1, 2, 3)):
        return [(generation, float(np.float32(pick(lines[generation])))) for generation in generations]

    assert series["training/accuracy"] == expected(lambda line: line["training"]["accuracy"])
    assert series["training/fitness_quantiles/3"] == expected(lambda line: line["training"]["fitness_quantiles"][3])
    assert series["validation/withheld"] == expected(lambda line: line["validation"]["withheld"], (0, 2))
    assert series["strategy/update_norm"] == expected(lambda line: line["strategy"]["update_norm"])
    groups = {"training", "validation", "strategy"}
    assert {tag.split("/")[0] for tag in series} == groups
    quantiles = {f"training/fitness_quantiles/{number}" for number in range(5)}
    named = {f"{group}/{name}" for group in groups for name in lines[0][group]} - {"training/fitness_quantiles"}
    assert set(series) == named | quantiles
    assert bits(run) == bits(untracked)


def test_text_and_what_is_not_finite_are_no_scalars():
    assert dict(scalars({"a": {"b": [1, None, 2.5]}, "c": "text", "d": None})) == {"a/b/0": 1.0, "a/b/2": 2.5}


def test_a_generation_can_be_read_as_soon_as_it_is_told(tmp_path):
    folder = start_run(tiny(), tmp_path).folder
    with tracking("tensorboard", folder, 0, pytest.fail) as tell:
        tell({"generation": 0, "training": {"accuracy": np.float64(0.5), "fitness": float("nan")}})
        assert shown(folder.path) == {"training/accuracy": [(0, 0.5)]}
        tell({"generation": 1, "training": {"accuracy": 0.75, "fitness": 1e300}})
        assert shown(folder.path)["training/accuracy"] == [(0, 0.5), (1, 0.75)]


def test_a_run_carried_on_from_an_earlier_generation_is_shown_without_repetition(main, untracked, tmp_path):
    run = start_run(tiny(), tmp_path)
    stop = stop_after(3)
    with tracking("tensorboard", run.folder, 0, pytest.fail) as tell:
        go(run, stop["stop"], lambda record: (stop["watch"](record), tell(record.metrics)))
    for path in run.folder.path.glob("checkpoints/gen-00000003.*"):
        path.unlink()
    assert load_run(run.folder.path).state.generation == 2
    assert main("resume", run.folder.path, "--track", "tensorboard").code == 0
    first, second = told(run.folder.path)
    assert [event.step for event in first if event.summary.value] == [0, 1, 2]
    assert [event.step for event in second if event.summary.value] == [2, 3]
    for series in shown(run.folder.path).values():
        assert [step for step, _ in series] in ([0, 1, 2, 3], [0, 2])
    assert bits(run.folder.path)["metrics.jsonl"] == bits(untracked)["metrics.jsonl"]


def test_the_cells_of_a_sweep_are_tracked(main, tmp_path):
    words = ["sweep", "quickstart", *SETTINGS, "--generations", 2, "--seeds", "5:6", "--runs-dir", tmp_path]
    assert main(*words, "--cell", 1, "--track", "tensorboard").code == 0
    (cell,) = tmp_path.glob("quickstart-sweep/*/tensorboard")
    assert [step for step, _ in shown(cell.parent)["training/accuracy"]] == [0, 1]
    given = How("threads", None, None, None, None, "tensorboard").words(1, None)
    assert given[-2:] == ["--track", "tensorboard"]


# ---- sinks that fail


class Recording:
    """A sink that keeps what it is told, and spoils it afterwards; `fails` is the call that raises."""

    library = "json"
    calls: list
    fails = None

    def __init__(self, run, generation):
        self._note(f"open at {generation}")

    def tell(self, metrics):
        self._note(metrics["generation"])
        metrics["training"].clear()
        metrics["generation"] = -1

    def close(self):
        self._note("close")

    def _note(self, call):
        self.calls.append(call)
        if call == self.fails:
            raise RuntimeError("the other side is gone")


@pytest.fixture
def sink(monkeypatch):
    """Return a sink named `mine` that can be told to fail, and what it was called with."""
    mine = type("Mine", (Recording,), {"calls": []})
    monkeypatch.setitem(SINKS, "mine", mine)
    return mine


def failures(run):
    lines = [json.loads(text) for text in (run / "events.jsonl").read_text().splitlines()]
    return [(line["sink"], line["error"]) for line in lines if line["kind"] == "untracked"]


def test_a_sink_is_told_everything_in_order_and_cannot_spoil_it(main, sink, untracked, tmp_path):
    said = main(*RUN, "--track", "mine", "--runs-dir", tmp_path)
    assert said.code == 0 and "warning" not in said.out + said.err
    assert sink.calls == ["open at 0", 0, 1, 2, 3, "close"]
    assert bits(tmp_path / "tiny-s0") == bits(untracked) and failures(tmp_path / "tiny-s0") == []


@pytest.mark.parametrize(
    ("fails", "calls"),
    [
        ("open at 0", ["open at 0"]),
        (0, ["open at 0", 0, "close"]),
        (2, ["open at 0", 0, 1, 2, "close"]),
        ("close", ["open at 0", 0, 1, 2, 3, "close"]),
    ],
)
def test_a_failing_sink_is_off_with_one_warning_and_the_run_is_what_it_would_have_been(
    main, sink, untracked, tmp_path, fails, calls
):
    sink.fails = fails
    said = main(*RUN, "--track", "mine", "--runs-dir", tmp_path)
    assert said.code == 0 and said.err == ""
    warnings = [line for line in said.out.splitlines() if "warning" in line]
    assert warnings == [
        "warning: --track mine failed and is off, the run goes on without it: RuntimeError: the other side is gone"
    ]
    assert sink.calls == calls
    assert failures(tmp_path / "tiny-s0") == [("mine", "RuntimeError: the other side is gone")]
    assert bits(tmp_path / "tiny-s0") == bits(untracked)


def test_a_sink_is_closed_when_the_run_ends_in_an_error(sink, tmp_path):
    folder = start_run(tiny(), tmp_path).folder
    with pytest.raises(KeyboardInterrupt), tracking("mine", folder, 0, pytest.fail):
        raise KeyboardInterrupt
    assert sink.calls == ["open at 0", "close"]


def test_a_disk_that_is_full_for_events_leaves_the_run_as_it_would_have_been(main, monkeypatch, untracked, tmp_path):
    taken = []

    def write(data):
        taken.append(len(data))
        if sum(taken) > 1000:
            raise OSError(errno.ENOSPC, "No space left on device")

    file = SimpleNamespace(write=write, flush=lambda: None, close=lambda: write(b""))
    monkeypatch.setattr(tensorboardX.record_writer, "open_file", lambda path: file)
    said = main(*TRACKED, "--runs-dir", tmp_path)
    assert said.code == 0 and said.out.count("warning: --track tensorboard failed") == 1
    assert len(failures(tmp_path / "tiny-s0")) == 1
    assert bits(tmp_path / "tiny-s0") == bits(untracked)


def test_a_failure_that_cannot_be_noted_stops_nothing_either(sink, monkeypatch, tmp_path):
    sink.fails = 0
    folder, warnings = start_run(tiny(), tmp_path).folder, []
    (folder.path / "events.jsonl").mkdir()  # no line can be appended to a folder
    with tracking("mine", folder, 0, warnings.append) as tell:
        tell({"generation": 0, "training": {}})
    assert len(warnings) == 1


# ---- mistakes


@pytest.mark.parametrize("command", ["run", "resume", "sweep"])
def test_a_missing_library_is_told_in_one_sentence_before_anything_is_made(main, monkeypatch, tmp_path, command):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    words = {"run": TRACKED, "resume": ["resume", "x"], "sweep": ["sweep", "quickstart", "--seeds", "0:1"]}[command]
    said = main(*words, "--track", "tensorboard", "--runs-dir", tmp_path / "runs")
    assert said.code == 2 and not (tmp_path / "runs").exists()
    assert said.err == (
        'evoplastic: --track tensorboard needs tensorboardX; install it with: pip install "evoplastic[track]"\n'
    )


def test_an_unknown_sink_is_told_with_those_that_there_are(main, tmp_path):
    said = main(*RUN, "--track", "tensorbord", "--runs-dir", tmp_path / "runs")
    assert said.code == 2 and not (tmp_path / "runs").exists()
    assert said.err == (
        "evoplastic: --track 'tensorbord' is unknown; choose one of ['tensorboard']; did you mean 'tensorboard'?\n"
    )
