"""The commands about tasks: what they print, what they write, and what they refuse."""

import json
import sys
from types import SimpleNamespace

import pytest
from conftest import ROOT

from evoplastic import cli
from evoplastic.errors import UserError
from evoplastic.tasks.meta.language import FORMAT
from evoplastic.tasks.meta.reading import read_meta_task
from evoplastic.tasks.specs import read_spec, spec_names

EXAMPLE = ROOT / "tests" / "data" / "published" / "example-2.json"


@pytest.fixture
def main(monkeypatch, capsys, tmp_path):
    """Return a caller of the command line in an empty folder: exit code, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["evoplastic", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=said.out, err=said.err)

    return call


# ---- list and show


def test_batteries_and_meta_tasks_are_listed_with_their_sizes(main):
    said = main("tasks", "list")
    rows = {line.split()[0]: line for line in said.out.splitlines()}
    assert said.code == 0 and list(rows) == ["name", *spec_names()]
    assert "battery" in rows["boolean2"] and "14 non-constant Boolean functions" in rows["boolean2"]
    assert rows["t-maze"].split()[1:5] == ["meta-task", "4", "2", "60"]
    assert rows["full-maze"].split()[2] == "16", "the states of a grid are its cells"


def test_a_battery_is_shown_with_negations(main):
    said = main("tasks", "show", "boolean2")
    assert said.code == 0 and ["dms", "1001", "dnms", "novel", "class"] in map(str.split, said.out.splitlines())


def test_a_meta_task_is_shown_in_words_with_its_values_and_its_file(main):
    said = main("tasks", "show", "t-maze")
    assert said.code == 0 and not said.err
    words, file = said.out.split("\nFile\n")
    assert "In junction, left leads to left arm; right leads to right arm." in words
    assert ["acting at random", "0.1667"] in [line.strip().rsplit(maxsplit=1) for line in words.splitlines()]
    assert ["who knows the instance", "0.3333"] in [line.strip().rsplit(maxsplit=1) for line in words.splitlines()]
    assert json.loads(file) == read_spec("t-maze", FORMAT)


def test_values_that_cannot_be_exact_are_told_instead(main, monkeypatch):
    def refuse(*_):
        raise UserError("it is too large")

    monkeypatch.setattr("evoplastic.tasks.meta.solvers.values.values", refuse)
    said = main("tasks", "show", "t-maze")
    assert said.code == 0 and "not computed: it is too large" in said.out


@pytest.mark.parametrize("name", ["t-maze", "boolean2"])
def test_json_is_the_spec_and_nothing_else(main, name):
    said = main("tasks", "show", name, "--json")
    content = json.loads(said.out)
    assert said.code == 0 and content == read_spec(name, content["format"])


def test_a_spec_file_is_shown_by_its_path(main, tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(read_spec("bandit", FORMAT)))
    said = main("tasks", "show", "mine.json")
    assert said.code == 0 and said.out.startswith("mine\n\n")


# ---- plot


def test_a_picture_is_drawn_into_the_folder_or_where_it_is_said(main, tmp_path):
    assert main("tasks", "plot", "bandit").out == "bandit.png\n"
    assert main("tasks", "plot", "dark-room", "-o", "room.svg").out == "room.svg\n"
    assert (tmp_path / "bandit.png").stat().st_size > 1000 and (tmp_path / "room.svg").stat().st_size > 1000


# ---- import


def test_a_published_task_becomes_a_spec_and_what_is_left_out_is_told(main, tmp_path):
    said = main("tasks", "import", EXAMPLE, "-o", "mine.json", "--horizon", 30)
    assert (said.code, said.out) == (0, "mine.json\n")
    assert said.err.splitlines() == [
        "mine.json: rewardconditions[0] is left out: rewardconditions[1] always overrides it",
        "mine.json: flagconditions are left out: no reward reads the flag (2 of them)",
    ]
    assert read_meta_task("mine.json").horizon == 30
    assert main("tasks", "show", "mine.json").code == 0


def test_name_of_an_import_is_that_of_the_file_unless_given(main):
    assert main("tasks", "import", EXAMPLE).out == "example-2-imported.json\n"
    assert main("tasks", "import", EXAMPLE, "--name", "second").out == "second.json\n"


def test_tasks_of_one_file_are_numbered(main, tmp_path):
    table = "Transition table:\n [[[1.]]]\nReward rules (...):\n [[0, -1, -1, 1.0, 1.0]]\nStimuli:\n [-1]\n"
    (tmp_path / "printed.txt").write_text(f"Meta-task 1\n{table}\nMeta-task 2\n{table}")
    said = main("tasks", "import", "printed.txt", "--name", "task")
    assert said.out.split() == ["task-1.json", "task-2.json"]
    assert read_meta_task("task-2.json").source.startswith("imported from printed.txt-2")


REFUSED = {
    "battery to plot": (["plot", "boolean2"], "boolean2 is a battery of truth tables"),
    "picture of another kind": (["plot", "bandit", "-o", "x.pdf"], "a picture is a .png or .svg file"),
    "unknown task": (["show", "bandits"], "did you mean 'bandit'?"),
    "file of another format": (["show", "other.json"], "must be of format 'evoplastic.task' version 1"),
    "no json": (["show", "broken.json"], "cannot be read"),
    "import of nothing": (["import", "none.json"], "none.json cannot be read"),
    "import into another kind": (["import", EXAMPLE, "-o", "x.toml"], "a spec is a .json file"),
    "import over itself": (["import", "own.json", "-o", "own.json"], "own.json exists already"),
    "import over another": (["import", EXAMPLE, "--name", "own"], "own.json exists already"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mistake_is_told_in_a_sentence(main, tmp_path, name):
    (tmp_path / "own.json").write_bytes(EXAMPLE.read_bytes())
    (tmp_path / "other.json").write_text('{"format": "other"}')
    (tmp_path / "broken.json").write_text("{")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    words, complaint = REFUSED[name]
    said = main("tasks", *words)
    assert said.code == 2 and complaint in said.err and len(said.err.splitlines()) == 1
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize("command", ["list", "show", "plot", "import"])
def test_command_has_help(main, command):
    assert main("tasks", command, "--help").code == 0
