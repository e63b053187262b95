"""A run folder that others made, or broke: answered for, or refused in a sentence, and nothing in it is executed."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import PACKAGE
from test_cli_tasks import main
from test_evolution import TINY
from test_report import evolved_in
from traps import Trap, armed

from evoplastic import cli
from evoplastic.runs import RunFolder

__all__ = ["main"]  # the fixture

COMMANDS = {
    "analyze": ["analyze", "RUN", "--lives", 1, "--record", 2, "--workers", 1, "--no-html"],
    "evaluate": ["evaluate", "RUN", "--lives", 1, "--workers", 1],
    "record": ["record", "RUN", "--task", "dms", "--lives", 1, "--every", 4, "-o", "dms.npz"],
    "export": ["export", "RUN", "-o", "evolved.npz"],
    "compare": ["compare", "RUN"],
    "rules show": ["rules", "show", "node_perturbation", "--run", "RUN"],
}
LOADING = [name for name in COMMANDS if name != "compare"]  # those that open a checkpoint


@pytest.fixture(scope="module")
def evolved(tmp_path_factory):
    """A run of two generations, evaluated and analysed."""
    path = evolved_in(tmp_path_factory.mktemp("runs"), "quickstart", [*TINY, "checkpoints.keep_every=1"], 2)
    with pytest.MonkeyPatch.context() as patch:
        for command in ("evaluate", "analyze"):
            words = (str(path if word == "RUN" else word) for word in COMMANDS[command])
            patch.setattr(sys, "argv", ["evoplastic", *words])
            with pytest.raises(SystemExit):
                cli.main()
    return path


@pytest.fixture
def run(evolved, tmp_path):
    """A copy to be broken."""
    return Path(shutil.copytree(evolved, tmp_path / "stranger"))


@pytest.fixture
def call(main):
    """Return a caller of one of COMMANDS on a folder."""

    def call(command, path):
        return main(*(path if word == "RUN" else word for word in COMMANDS[command]))

    return call


def refused(said, words):
    """Return whether a command ended in one sentence that holds these words."""
    return (said.code, said.err.count("\n")) == (2, 1) and said.err.startswith("evoplastic: ") and words in said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_is_whole_is_answered_for(call, run, command):
    said = call(command, run)
    assert said.code == 0 and "warning" not in said.out + said.err, said.err


# ---- what is no run


def empty(path):
    path.mkdir()


def foreign(path):
    path.mkdir()
    (path / "notes.txt").write_text("not a run")


def a_file(path):
    path.write_text("not a folder")


def of_another_program(path):
    path.mkdir()
    (path / "manifest.json").write_text(json.dumps({"name": "An app", "manifest_version": 3}))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("make", [empty, foreign, a_file, of_another_program])
def test_what_is_no_run_is_refused_in_a_sentence(call, tmp_path, command, make):
    make(tmp_path / "other")
    words = "is not in the format evoplastic.manifest" if make is of_another_program else "is not a run folder"
    assert refused(call(command, tmp_path / "other"), words)


# ---- what is damaged


def torn(name):
    def damage(path):
        whole = (path / name).read_bytes()
        (path / name).write_bytes(whole[: len(whole) // 3])

    damage.__name__ = f"torn {name}"
    return damage


def bytes_that_are_no_text(path):
    (path / "config.toml").write_bytes(b"\xff\xfe\x00" * 9)


def an_unknown_key(path):
    with (path / "config.toml").open("a") as file:
        file.write("\n[of_another_time]\nx = 1\n")


def all_checkpoints(path):
    for checkpoint in (path / "checkpoints").glob("*.npz"):
        checkpoint.write_bytes(b"PK" + checkpoint.read_bytes()[2:300])


def a_line_in_the_middle(path):
    lines = (path / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (path / "metrics.jsonl").write_bytes(lines[0][:20] + b"\n" + lines[1])


def evaluation(change):
    """Return a damage that changes the stored evaluation."""

    def damage(path):
        (file,) = (path / "evaluation").glob("*.json")
        result = json.loads(file.read_text())
        file.write_text(json.dumps(change(result)))

    damage.__name__ = f"evaluation {change.__name__}"
    return damage


def that_is_a_list(result):
    return [result]


def without_tasks(result):
    return {**result, "conditions": {"evolved": {}}}


def without_numbers(result):
    named = {key: result[key] for key in ("format", "version", "generation")}
    return {**named, "conditions": {"evolved": {"tasks": result["conditions"]["evolved"]["tasks"]}}}


def without_generation_0(result):
    return {**result, "conditions": {"evolved": result["conditions"]["evolved"]}}


def of_words(result):
    return {**result, "lives": "many", "chance": "none"}


torn_evaluation = torn("evaluation/gen-00000002.json")
DAMAGES = {  # what is broken -> who refuses, and with which words; the others answer
    torn("config.toml"): (list(COMMANDS), "config.toml"),
    bytes_that_are_no_text: (list(COMMANDS), "config.toml could not be read"),
    an_unknown_key: (list(COMMANDS), "unknown key 'of_another_time'"),
    torn("manifest.json"): (list(COMMANDS), "manifest.json could not be read as JSON"),
    all_checkpoints: (LOADING, "no checkpoint could be read"),
    a_line_in_the_middle: (["analyze", "evaluate"], "line 1 of "),
    torn_evaluation: (["export", "compare"], "could not be read as JSON"),
    evaluation(that_is_a_list): (["export", "compare"], "is no evaluation"),
    evaluation(without_tasks): (["export", "compare"], "is no evaluation"),
    evaluation(without_numbers): (["export", "compare"], "holds an evaluation that is damaged"),
    evaluation(without_generation_0): (["export", "compare"], "holds an evaluation that is damaged"),
    evaluation(of_words): (["export", "compare"], "holds an evaluation that is damaged"),
}


# An analysis takes seconds, so where nobody doubts that it answers it is not asked.
CASES = [
    pytest.param(damage, command, id=f"{damage.__name__}-{command}")
    for damage, (refusing, _) in DAMAGES.items()
    for command in COMMANDS
    if command in refusing or command != "analyze" or damage is torn_evaluation
]


@pytest.mark.parametrize(("damage", "command"), CASES)
def test_a_damaged_run_is_refused_in_a_sentence_by_those_who_read_what_is_damaged(call, run, command, damage):
    refusing, words = DAMAGES[damage]
    damage(run)
    said = call(command, run)
    assert refused(said, words) if command in refusing else said.code == 0, said.err


@pytest.mark.parametrize("command", [name for name in LOADING if name != "analyze"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before_with_a_warning(call, run, command):
    torn("checkpoints/gen-00000002.npz")(run)
    said = call(command, run)
    assert said.code == 0 and "gen-00000002.npz is damaged" in said.out + said.err, said.err


def test_a_recording_that_does_not_fit_is_refused_in_a_sentence(main, run):
    said = main("record", run, "--task", "dms", "--lives", 10**8, "--every", 4)
    assert refused(said, "choose fewer --lives")


# ---- a run that is evolved meanwhile


@pytest.mark.parametrize("command", LOADING)
def test_a_run_that_is_being_evolved_is_answered_for_at_its_newest_checkpoint_and_says_so(call, run, command):
    with RunFolder(run).lock():
        said = call(command, run)
    assert said.code == 0, said.err
    assert (
        "the run is being evolved right now; what is told is of generation 2, its newest checkpoint"
        in said.out + said.err
    )


# ---- traps


@pytest.fixture
def sprung(tmp_path):
    """The file that a trap makes, checked to be made by unpickling, and never in the test."""
    marker = tmp_path / "sprung"
    with armed(marker):
        yield marker


def pickled(path, marker):
    """Make `path` an npz whose arrays are objects to be unpickled."""
    np.savez(path, rows=np.array([Trap(marker)], dtype=object), meta=np.array([Trap(marker)], dtype=object))


@pytest.mark.parametrize("command", COMMANDS)
def test_pickles_in_arrays_are_not_unpickled(call, run, sprung, command):
    kept = [path for path in run.rglob("*.npz") if path.parent.name != "checkpoints"]
    for path in [*kept, run / "start.npz", run / "checkpoints" / "gen-00000002.npz"]:
        pickled(path, sprung)
    assert call(command, run).code == 0


def test_a_recording_of_pickles_is_refused(sprung, tmp_path):
    import evoplastic

    pickled(tmp_path / "dms.npz", sprung)
    with pytest.raises(evoplastic.UserError, match="is damaged"):
        evoplastic.load_recording(tmp_path / "dms.npz")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_plugin_that_the_folder_brings_along_is_named_and_not_run(call, run, sprung, command):
    code = f"from pathlib import Path\nPath({str(sprung)!r}).touch()\nRULES = {{}}\n"
    (run / "plugin.py").write_text(code)
    manifest = json.loads((run / "manifest.json").read_text())
    own = {"name": "plugin.py", "path": str(run / "plugin.py"), "sha256": hashlib.sha256(code.encode()).hexdigest()}
    (run / "manifest.json").write_text(json.dumps({**manifest, "plugin": own}))
    assert refused(call(command, run), "give that very file with --plugin")


SHADOWS = ["conftest", "evoplastic", "json", "matplotlib", "numpy", "plugin", "sitecustomize", "usercustomize", "yaml"]


def test_nothing_is_imported_from_the_folder_one_stands_in(run, sprung, tmp_path):
    """The installed command is a script elsewhere, and there Python looks for modules, not where one stands."""
    code = f"from pathlib import Path\nPath({str(sprung)!r}).touch()\n"
    for name in SHADOWS:
        (run / f"{name}.py").write_text(code)
        (run / name).mkdir()
        (run / name / "__init__.py").write_text(code)
    (run / "matplotlibrc").write_text("backend: module://plugin\ntext.usetex: True\n")
    (run / ".numba_config.yaml").write_text(f"cache_dir: {run}\n")
    script = tmp_path / "bin" / "evoplastic"
    script.parent.mkdir()
    calls = [["." if word == "RUN" else str(word) for word in COMMANDS[name]] for name in ("analyze", "compare")]
    script.write_text(
        "import sys\nfrom evoplastic.cli import main\n"
        f"for words in {calls!r}:\n"
        "    sys.argv = ['evoplastic', *words]\n"
        "    try:\n        main()\n"
        "    except SystemExit as ended:\n        assert not ended.code, ended.code\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, script], cwd=run, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((run / "report" / "summary.json").read_text())["run"] == "stranger"
    assert not list(run.rglob("*.nbi")) and not list(run.rglob("*.pyc"))


def test_an_analysis_does_not_follow_a_link_out_of_the_folder(call, run, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "holiday.png").write_bytes(b"")
    shutil.rmtree(run / "report")
    (run / "report").symlink_to(mine)
    assert refused(call("analyze", run), "is a link")
    assert [path.name for path in mine.iterdir()] == ["holiday.png"]
