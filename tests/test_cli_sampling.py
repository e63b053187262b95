"""The commands that draw random meta-tasks and certify them: what they write, what they say, and what they refuse."""

import json
import pickle
import shlex
import sys
from types import SimpleNamespace

import msgspec
import pytest

from evoplastic import cli
from evoplastic.cli.certificates import certificate_path, explained, headline
from evoplastic.config import read_config
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import FORMAT
from evoplastic.tasks.meta.reading import read_meta_task
from evoplastic.tasks.meta.solvers.certificate import Bounds, Certificate
from evoplastic.tasks.meta.solvers.certify import certify
from evoplastic.tasks.meta.writing import as_file
from evoplastic.tasks.specs import read_spec

SMALL = ["sample", "-n", 2, "--seed", 3, "--horizon", 8, "--set", "most_states=3"]
CERTIFICATE = Certificate(
    all_maps=True,
    horizon=20,
    instances=2,
    discretised=False,
    random=0.25,
    constant=0.25,
    memoryless=0.25,
    fixed=0.5,
    blind=Bounds(low=0.49, high=0.49),
    bayes=Bounds(low=0.61, high=0.61),
    qmdp=0.7,
    oracle=0.75,
    beliefs=9,
    reachable=1.0,
    distinguishable=2,
    steps_to_90=4,
    reward_density=0.25,
    aliasing=0.0,
)


@pytest.fixture
def main(monkeypatch, capsys, tmp_path):
    """Return a caller of `evoplastic tasks` in an empty folder: exit code, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["evoplastic", "tasks", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=said.out, err=said.err)

    return call


@pytest.fixture
def sampled(main, tmp_path):
    """Return what `sample` said of two small tasks, the folder, and what stands in sample.json."""
    said = main(*SMALL, "-o", "drawn")
    assert said.code == 0
    return SimpleNamespace(
        out=said.out, folder=tmp_path / "drawn", about=json.loads((tmp_path / "drawn" / "sample.json").read_text())
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---- sample


def test_every_task_of_a_sample_is_a_spec_with_its_certificate_beside_it(sampled):
    names = [task["name"] for task in sampled.about["tasks"]]
    assert len(set(names)) == 2
    assert contents(sampled.folder).keys() == {
        "sample.json",
        *(f"{name}{ending}" for name in names for ending in (".json", ".certificate.json")),
    }
    for name in names:
        path = sampled.folder / f"{name}.json"
        spec = read_meta_task(str(path))
        certificate = msgspec.json.decode(certificate_path(path).read_bytes(), type=Certificate)
        assert spec.horizon == certificate.horizon == 8
        assert certificate.adapting >= 0.05 and certificate == certify(decode(spec))


def test_file_of_a_sample_tells_settings_rejections_and_values(sampled):
    about = sampled.about
    assert (about["count"], about["settings"]["seed"], about["settings"]["most_states"]) == (2, 3, 3)
    assert about["examined"] == 2 + sum(about["rejected"].values())
    assert sum(filled["tasks"] for filled in about["bins"]) == 2 and about["occupied_bins"] == len(about["bins"])
    for task in about["tasks"]:
        values = task["values"]
        assert task["number"] < about["examined"] and task["class"].startswith(task["name"].removeprefix("random-"))
        assert values["adapting"] == values["bayes"] - values["blind"] >= 0.05


@pytest.mark.parametrize("lost", ["spec", "account"])
def test_sample_that_has_lost_something_is_refused(main, sampled, lost):
    if lost == "spec":
        (sampled.folder / f"{sampled.about['tasks'][1]['name']}.json").unlink()
    else:
        (sampled.folder / "sample.json").write_text(
            json.dumps({k: v for k, v in sampled.about.items() if k != "tasks"})
        )
    said = main(*SMALL, "-o", "drawn")
    assert said.code == 2 and not said.out and said.err.startswith("evoplastic: drawn ")


@pytest.mark.parametrize("name", ["t-maze", "reversal", "7x7-maze", "harlow"])
def test_task_from_another_process_is_written_as_one_from_this(name):
    spec = read_meta_task(name)
    assert as_file(pickle.loads(pickle.dumps(spec))) == as_file(spec)


def test_table_of_a_sample_has_a_line_for_each_task(sampled):
    lines = {line.split()[0]: line.split()[1:] for line in sampled.out.splitlines()[:3]}
    assert lines["name"] == ["random", "blind", "bayes", "oracle", "adapting", "memory", "steps"]
    for task in sampled.about["tasks"]:
        assert lines[task["name"]][4] == f"{task['values']['adapting']:.3f}"


def test_run_that_is_proposed_can_be_read(sampled):
    (line,) = (line for line in sampled.out.splitlines() if "evoplastic run" in line)
    _, _, preset, _, name, *sets = shlex.split(line)
    config = read_config(preset, sets[1::2])
    assert set(sets[::2]) == {"--set"} and config.problem.task.training() == [name]


def test_equal_sample_is_not_drawn_again(main, sampled):
    before = contents(sampled.folder)
    said = main(*SMALL, "-o", "drawn")
    assert said.code == 0 and "drawn holds this sample already" in said.err and said.out == sampled.out
    assert contents(sampled.folder) == before


def test_json_is_one_object_on_stdout(main, sampled):
    said = main(*SMALL, "-o", "again", "--json")
    assert json.loads(said.out) == sampled.about
    assert contents(sampled.folder.with_name("again")) == contents(sampled.folder)


def test_pictures_are_drawn_on_request_and_later_too(main, sampled):
    names = [task["name"] for task in sampled.about["tasks"]]
    assert main(*SMALL, "-o", "drawn", "--pictures").code == 0
    assert all((sampled.folder / f"{name}.png").stat().st_size > 1000 for name in names)


@pytest.mark.parametrize("released", [[], ["--as-released"]])
def test_published_tasks_have_no_certificates(main, tmp_path, released):
    said = main("sample", "-n", 2, "--kind", "published", *released, "-o", "drawn")
    about = json.loads((tmp_path / "drawn" / "sample.json").read_text())
    assert said.code == 0 and about["settings"]["repaired"] == (not released)
    names = [task["name"] for task in about["tasks"]]
    assert contents(tmp_path / "drawn").keys() == {"sample.json", *(f"{name}.json" for name in names)}
    assert all(read_meta_task(str(tmp_path / "drawn" / f"{name}.json")).horizon == 20 for name in names)


REFUSED = {
    "unknown kind": (["--kind", "proven"], "kind: expected certified or published, got 'proven'"),
    "threshold of tasks without certificates": (
        ["--kind", "published", "--adapting", 0.1],
        "says nothing of published",
    ),
    "bugs of another generator": (["--as-released"], "add --kind published"),
    "unknown setting": (["--set", "most_stats=3"], "did you mean 'most_states'"),
    "setting without value": (["--set", "most_states"], "must look like most_states=3"),
    "setting given twice": (["--horizon", 9, "--set", "horizon=8"], "horizon is given twice"),
    "setting out of range": (["--adapting", 11], "adapting: expected `float` <= 10.0, got 11.0"),
    "settings that contradict": (["--set", "fewest_states=4", "--set", "most_states=2"], "at most most_states = 2"),
    "threshold that nothing keeps": (
        ["--adapting", 5, "--set", "most_draws=40"],
        "0 of 2 tasks were found among 40 candidates",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_sample_that_cannot_be_is_refused_in_a_sentence_and_leaves_nothing(main, tmp_path, name):
    words, complaint = REFUSED[name]
    said = main("sample", "-n", 2, *words, "-o", "drawn")
    assert said.code == 2 and complaint in said.err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_folder_of_another_sample_is_left_alone(main, sampled):
    before = contents(sampled.folder)
    said = main("sample", "-n", 3, "--seed", 3, "--horizon", 8, "-o", "drawn")
    assert said.code == 2 and "drawn holds a sample of other settings" in said.err
    assert contents(sampled.folder) == before


def test_folder_of_other_things_is_left_alone(main, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    said = main(*SMALL, "-o", ".")
    assert said.code == 2 and "holds something else" in said.err
    assert contents(tmp_path) == {"notes.txt": b"mine"}


# ---- certify


def test_certificate_is_a_table_and_sentences(main):
    said = main("certify", "t-maze", "--horizon", 8)
    lines = [line.split() for line in said.out.splitlines() if line]
    proven = certify(decode(msgspec.structs.replace(read_meta_task("t-maze"), horizon=8)))
    assert said.code == 0 and lines[0] == ["t-maze"]
    earned = {line[0]: line[1] for line in lines[2:10]}
    assert earned["bayes"] == f"{proven.bayes.low:.4f}" and earned["oracle"] == f"{proven.oracle:.4f}"
    assert f"Adapting to reward is worth {proven.adapting:.3f}".replace("0.", ".") in said.out


def test_certificates_as_json_are_one_object(main):
    said = main("certify", "t-maze", "context-choice", "--horizon", 6, "--json")
    found = json.loads(said.out)
    assert list(found) == ["t-maze", "context-choice"]
    assert all(msgspec.convert(content, Certificate).horizon == 6 for content in found.values())


def test_sampled_task_is_certified_by_its_path(main, sampled):
    path = f"drawn/{sampled.about['tasks'][0]['name']}.json"
    found = json.loads(main("certify", path, "--full", "--json").out)[path]
    assert found["bayes"]["low"] == pytest.approx(sampled.about["tasks"][0]["values"]["bayes"], abs=1e-9)


@pytest.mark.parametrize("words", [["boolean2"], ["none.json"], ["t-maze", "t-mase"], ["broken.json"]])
def test_file_that_is_no_meta_task_is_refused_before_anything_is_certified(main, tmp_path, words):
    (tmp_path / "broken.json").write_text("{")
    said = main("certify", *words)
    assert said.code == 2 and not said.out and len(said.err.splitlines()) == 1


def test_task_too_large_is_refused_with_an_estimate_and_the_others_are_certified(main, tmp_path):
    arms = ["one", "two", "three", "four"]
    content = read_spec("bandit", FORMAT) | {
        "actions": arms,
        "variables": {f"p {arm}": {"probability": [level / 100 for level in range(100)]} for arm in arms},
        "rewards": [{"action": arm, "probability": f"p {arm}"} for arm in arms],
    }
    (tmp_path / "large.json").write_text(json.dumps(content))
    said = main("certify", "large.json", "t-maze", "--horizon", 6, "--json")
    assert said.code == 2 and list(json.loads(said.out)) == ["t-maze"]
    (complaint,) = (line for line in said.err.splitlines() if line.startswith("evoplastic: large.json: "))
    assert "1e+08 instances" in complaint


# ---- what a certificate says


def changed(**values):
    return msgspec.structs.replace(CERTIFICATE, **values)


SAID = {
    "exact": (changed(), "Adapting to reward is worth .120 per decision: the best learner earns .610, the best that"),
    "bounded": (
        changed(bayes=Bounds(low=0.6, high=0.7)),
        "worth at least .110 per decision: the best learner earns .600 to",
    ),
    "nothing": (changed(bayes=Bounds(low=0.49, high=0.49)), "Nothing is gained by adapting to reward: the best"),
    "open": (changed(blind=Bounds(low=0.4, high=0.65)), "It is not proven that anything is gained by adapting"),
}


@pytest.mark.parametrize("name", SAID)
def test_sentence_says_what_adapting_is_worth(name):
    certificate, said = SAID[name]
    assert said in headline(certificate)


JUDGED = {
    "taken": (changed(), "would take such a task."),
    "unadapting": (changed(blind=Bounds(low=0.58, high=0.58)), "adapting to reward is worth too little."),
    "late": (changed(steps_to_90=11), "no learner could identify the instance in time."),
    "loose": (changed(bayes=Bounds(low=0.6, high=0.7)), "bounds of its values are too far apart."),
    "fixed": (changed(fixed=0.72), "one fixed policy is nearly as good"),
}


@pytest.mark.parametrize("name", JUDGED)
def test_last_sentence_says_whether_a_sample_would_take_it(name):
    certificate, said = JUDGED[name]
    assert said in list(explained(certificate))[-1]


# ---- certificates beside specs


def certificate_of_t_maze(**values):
    return msgspec.structs.replace(certify(decode(read_meta_task("t-maze"))), **values)


def test_certificate_beside_a_spec_is_shown_and_drawn(main, sampled, tmp_path):
    name = sampled.about["tasks"][0]["name"]
    adapting = f"{sampled.about['tasks'][0]['values']['adapting']:.3f}".removeprefix("0")
    assert f"Adapting to reward is worth {adapting}" in " ".join(main("show", f"drawn/{name}.json").out.split())
    assert main("plot", f"drawn/{name}.json", "-o", "with.svg").code == 0
    certificate_path(sampled.folder / f"{name}.json").unlink()
    assert "Certified" not in main("show", f"drawn/{name}.json").out
    assert main("plot", f"drawn/{name}.json", "-o", "without.svg").code == 0
    assert (tmp_path / "with.svg").stat().st_size > (tmp_path / "without.svg").stat().st_size


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "cannot be read as a certificate"),
        (msgspec.json.encode(changed(format="other")).decode(), "must be of format 'evoplastic.certificate' version 1"),
        (msgspec.json.encode(changed(horizon=60)).decode(), "certifies another task"),
        (msgspec.json.encode(changed(horizon=20)).decode(), "certifies another task"),
        (msgspec.json.encode(certificate_of_t_maze(bayes=Bounds(low=0.33, high=0.33))).decode(), "certifies another"),
    ],
)
def test_certificate_that_is_not_of_the_spec_is_refused(main, tmp_path, content, complaint):
    (tmp_path / "mine.json").write_text(json.dumps(read_spec("t-maze", FORMAT)))
    (tmp_path / "mine.certificate.json").write_text(content)
    for command in ("show", "plot"):
        said = main(command, "mine.json")
        assert said.code == 2 and complaint in said.err and len(said.err.splitlines()) == 1 and not said.out


@pytest.mark.parametrize("command", ["sample", "certify"])
def test_command_has_help(main, command):
    assert main(command, "--help").code == 0
