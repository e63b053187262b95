"""Sweeps: which cells there are and what they are called, what is refused, and the group's file."""

import json
import os
import re
import threading

import pytest
from test_cli import main, snapshot
from test_evolution import TINY, tiny
from test_launch import go, stop_after

from evoplastic.config import deciding, preset_names, read_config
from evoplastic.errors import UserError
from evoplastic.groups import find_group, is_done, is_taken, open_group
from evoplastic.launch import load_run, start_run
from evoplastic.sweeps import Sweep, default_name, plan, read_over, read_seeds

__all__ = ["main"]  # the fixture

SMALL = "icml2023-small"
FROZEN = f"{SMALL}-gains-frozen"


def names(*arguments, **options):
    return [planned.cell.name for planned in plan(Sweep(*arguments, **options))]


def sweep(seeds="0:1", sources=("quickstart",), **options):
    return plan(Sweep(sources, seeds, overrides=TINY, **options))


# ---- cells


def test_seeds_are_single_ones_and_ranges_with_both_ends():
    assert read_seeds("0:9") == list(range(10))
    assert read_seeds("3") == [3]
    assert read_seeds("3, 7,100:102") == [3, 7, 100, 101, 102]


@pytest.mark.parametrize("text", ["", "a", "1:", ":3", "9:0", "1:2:3", "-1", "1,,2", "1.5", "9" * 5000])
def test_seeds_that_are_none_are_refused(text):
    with pytest.raises(UserError, match="--seeds must look like 0:9 or 3,7,100:104"):
        read_seeds(text)


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ("0.02,0.03", ["0.02", "0.03"]),
        ('["and"],["or", "nor"]', ['["and"]', '["or", "nor"]']),
        ("{type='spec', name='a,b'}, \"x,\\\"y\"", ["{type='spec', name='a,b'}", '"x,\\"y"']),
        ("[[1, 2], [3]],[]", ["[[1, 2], [3]]", "[]"]),
    ],
)
def test_a_comma_in_brackets_or_quotes_belongs_to_its_value(values, read):
    assert read_over([f"a.b={values}"]) == {"a.b": read}


def test_a_cell_of_seeds_alone_is_called_by_its_seed():
    assert names(["quickstart"], "3,7") == ["s3", "s7"]


def test_all_arms_of_a_seed_come_before_the_next_seed():
    varied = ["strategy.sigma=0.02,0.03", "problem.rule.eta=0.03,0.1"]
    assert names(["quickstart"], "0:1", varied)[:5] == [
        "sigma=0.02,eta=0.03,s0",
        "sigma=0.02,eta=0.1,s0",
        "sigma=0.03,eta=0.03,s0",
        "sigma=0.03,eta=0.1,s0",
        "sigma=0.02,eta=0.03,s1",
    ]


def test_several_sources_are_named_in_their_cells(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "quickstart"\n[strategy]\nsigma = 0.5\n')
    assert names([SMALL, str(path)], "0", folds="and") == [f"{SMALL},fold=and,s0", "mine,fold=and,s0"]
    assert default_name([SMALL, str(path)]) == f"{SMALL}+mine-sweep"


def test_a_key_is_named_by_its_last_part_unless_two_share_it():
    assert names(["quickstart"], "0", ["strategy.sigma=0.1"]) == ["sigma=0.1,s0"]
    varied = ["problem.genome.innate.evolve=true", "problem.genome.gain.evolve=false"]
    (name,) = names(["quickstart"], "0", varied)
    assert name == "problem.genome.innate.evolve=true,problem.genome.gain.evolve=false,s0"


def test_what_no_folder_can_be_called_is_left_out_of_a_name_and_long_values_are_cut():
    assert names(["quickstart"], "0", ['problem.task.withheld=["and"],["or","01"],[]']) == [
        "withheld=and,s0",
        "withheld=or+01,s0",
        "withheld=,s0",
    ]
    tables = "{type='tables',tables={a='0001',b='1110',c='0110',d='1001',e='0111'}}"
    (name,) = names(["quickstart"], "0", [f"problem.task.battery={tables}"], overrides=["problem.task.withheld=[]"])
    assert re.fullmatch(r"battery=type-tables\+tables-a-000-[0-9a-f]{8},s0", name)


def test_names_that_come_out_alike_are_told_apart():
    tables = [f"{{type='tables',tables={{{name}='01',c='10'}}}}" for name in ("ab", "'a b'")]
    alike = names(
        ["quickstart"], "0", [f"problem.task.battery={','.join(tables)}"], overrides=["problem.task.withheld=[]"]
    )
    assert len(set(alike)) == 2 and all(name.startswith("battery=type-tables+tables-ab-01+c-10-") for name in alike)


def test_a_cell_s_settings_are_those_of_the_same_run_command():
    (planned,) = sweep("3", over=["strategy.sigma=0.5"], folds="or", generations=7)
    assert planned.config == tiny("strategy.sigma=0.5", "problem.task.withheld=['or']", seed=3, generations=7)
    assert planned.overrides == (*TINY, "strategy.sigma=0.5", 'problem.task.withheld=["or"]')


# ---- folds


def test_all_folds_are_those_of_the_presets():
    planned = {each.cell.fold: each.config for each in plan(Sweep([SMALL], "3", folds="all"))}
    presets = {name.rpartition("-")[2]: name for name in preset_names() if name.startswith(f"{SMALL}-fold-")}
    assert planned.keys() == presets.keys() and len(presets) == 7
    for fold, preset in presets.items():
        assert deciding(planned[fold]) == deciding(read_config(preset, seed=3))


def test_folds_of_any_battery_are_its_pairs_of_negations():
    battery = "problem.task.battery={type='tables',tables={a='01',b='11',c='10',d='00'}}"
    overrides = [battery, "problem.task.withheld=[]", "problem.task.alternate_halves=false"]
    planned = plan(Sweep(["quickstart"], "0", folds="all", overrides=overrides))
    assert [(each.cell.fold, each.config.problem.task.withheld) for each in planned] == [
        ("a", ("a", "c")),
        ("b", ("b", "d")),
    ]


def test_a_problem_without_folds_says_so():
    battery = "problem.task.battery={type='tables',tables={a='01',b='11'}}"
    with pytest.raises(UserError, match=r"quickstart has no folds, for none of its tasks can be withheld"):
        plan(Sweep(["quickstart"], "0", folds="all", overrides=[battery, "problem.task.withheld=[]"]))


# ---- refusals

REFUSED = {
    "seed twice": (["--seeds", "0:3,2"], "seed 2 is named twice"),
    "source twice": (["quickstart", "--seeds", "0"], "source quickstart is named twice"),
    "too many cells": (["--seeds", "0:100000"], "a group holds at most 10000 cells, got the seeds 0 to 100000"),
    "too many cells of arms": (["--seeds", "0:9000", "--folds", "all"], "at most 10000 cells, got 63007"),
    "key twice": (["--over", "a.b=1", "--over", "a.b=2"], "--over a.b is given twice"),
    "value twice": (["--over", "strategy.sigma=0.1,0.1"], "value of strategy.sigma 0.1 is named twice"),
    "no value": (["--over", "strategy.sigma=0.1,"], "--over must look like strategy.sigma=0.02,0.03, got"),
    "seed varied": (["--over", "seed=1,2"], "--over cannot vary the seed; name seeds with --seeds"),
    "set and varied": (
        ["--set", "strategy.sigma=0.1", "--over", "strategy.sigma=0.1"],
        "strategy.sigma is given by --set and by --over",
    ),
    "fold and varied": (
        ["--folds", "all", "--over", "problem.task.withheld=[]"],
        "problem.task.withheld is given by --folds and by --over",
    ),
    "invalid cell": (
        ["--over", "strategy.sigma=0.1,-1"],
        "cell 'sigma=-1,s0': strategy.sigma: expected `float` > 0.0, got -1",
    ),
    "unknown key": (["--over", "strategy.sigm=0.1"], "unknown key 'strategy.sigm'; did you mean 'sigma'?"),
    "same run twice": (
        ["--over", "evaluation.lives=3,4"],
        "cells 'lives=3,s0' and 'lives=4,s0' would be the same run, for nothing that decides its bits differs",
    ),
    "unknown fold": (["--folds", "an"], "fold 'an' of quickstart is unknown; choose some of ['and', '01',"),
    "unknown preset": (["quickstrat", "--seeds", "0"], "preset 'quickstrat' is unknown"),
    "bad name": (["--name", "../up"], "a run cannot be named '../up'"),
    "name of a run": (["--name", "tiny-s0"], "is a run and no group; choose another --name"),
    "no such cell": (["--cell", "2"], "--cell counts from 0 to 1 here, got 2"),
    "unknown backend": (["--backend", "rya"], "did you mean 'ray'?"),
    "address of threads": (["--address", "localhost:1"], "only a Ray cluster has an address"),
    "another --set": (["--name", "group"], "group 'group' was made with --set: --set"),
    "cells left out": (["--name", "group", "--seeds", "1:2", "as made"], "also has cell s0, which are left out here"),
    "settings of a cell": (["--name", "other", "as made"], "started with other settings: strategy.sigma was 0.03, is"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run, a group of two open cells, and a folder that has a cell of other settings."""
    folder = tmp_path_factory.mktemp("runs")
    go(start_run(tiny(), folder), **stop_after(2))
    open_group(folder, "group", sweep(), TINY)
    go(start_run(tiny(), folder / "other", "s0"), **stop_after(2))
    return folder


@pytest.mark.parametrize("case", REFUSED)
def test_a_sweep_that_cannot_be_is_refused_in_one_sentence_and_nothing_is_written(main, runs, case):
    options, sentence = REFUSED[case]
    made = ["--set", "strategy.sigma=0.5"] if case == "settings of a cell" else []
    made += [word for setting in TINY for word in ("--set", setting)] if "as made" in options else []
    options = [option for option in options if option != "as made"] + made
    before = snapshot(runs)
    seeds = [] if "--seeds" in options else ["--seeds", "0:1"]
    said = main("sweep", "quickstart", *options, *seeds, "--runs-dir", runs)
    assert said.code == 2 and said.out == ""
    assert sentence in said.err and said.err.startswith("evoplastic: ") and said.err.count("\n") == 1
    assert snapshot(runs) == before


# ---- the group's file


def test_a_group_is_written_and_read_again(tmp_path):
    group, planned = open_group(tmp_path, "g", sweep(over=["strategy.sigma=0.1,0.2"], folds="and"), TINY)
    assert find_group(tmp_path / "g") == group and [each.cell for each in planned] == group.cells
    content = json.loads((tmp_path / "g" / "group.json").read_text())
    assert (content["format"], content["version"], content["set"]) == ("evoplastic.group", 1, TINY)
    assert content["cells"][1] == {
        "name": "sigma=0.2,fold=and,s0",
        "source": "quickstart",
        "seed": 0,
        "over": {"strategy.sigma": "0.2"},
        "fold": "and",
    }


def test_the_same_sweep_leaves_its_file_alone(tmp_path):
    for _ in range(2):
        open_group(tmp_path, "g", sweep(), TINY)
        os.utime(tmp_path / "g" / "group.json", (1, 1))
    open_group(tmp_path, "g", sweep(), TINY)
    assert (tmp_path / "g" / "group.json").stat().st_mtime == 1


def test_more_seeds_and_sources_extend_a_group_whose_cells_keep_their_names(tmp_path):
    open_group(tmp_path, "g", sweep(), TINY)
    group, planned = open_group(tmp_path, "g", sweep("0:2", ["quickstart", FROZEN], generations=3), TINY)
    assert [cell.name for cell in group.cells] == [
        *("s0", f"{FROZEN},s0"),
        *("s1", f"{FROZEN},s1"),
        *("quickstart,s2", f"{FROZEN},s2"),
    ]
    assert [each.config.seed for each in planned] == [0, 0, 1, 1, 2, 2]
    assert find_group(tmp_path / "g") == group


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"version": 1', '"version": 2', "was written by a newer evoplastic"),
        ("evoplastic.group", "evoplastic.run", r"is not in the format evoplastic\.group"),
        ('"seed": 0', '"seed": "x"', r"group\.json is damaged: Expected `int`, got `str` - at `\$\[0\]\.seed`"),
        ('"cells"', '"cell"', r"group\.json is damaged"),
        ("}", "", "could not be read as JSON"),
    ],
)
def test_a_group_s_file_that_is_newer_or_damaged_is_refused(tmp_path, old, new, sentence):
    open_group(tmp_path, "g", sweep(), TINY)
    path = tmp_path / "g" / "group.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=sentence):
        open_group(tmp_path, "g", sweep(), TINY)


def test_any_number_of_processes_may_make_a_group_at_once(tmp_path):
    planned, groups = sweep(), []
    threads = [
        threading.Thread(target=lambda: groups.append(open_group(tmp_path, "g", planned, TINY)[0])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert groups == [find_group(tmp_path / "g")] * 8
    assert [path.name for path in (tmp_path / "g").iterdir()] == ["group.json"]


# ---- where cells stand


def test_a_run_is_done_when_it_is_evaluated_at_its_last_generation(tmp_path):
    run = go(start_run(tiny(generations=2), tmp_path))
    path = run.folder.path
    assert not is_done(path, 2)
    whole, part = ({"conditions": {"evolved": {"tasks": tasks}}} for tasks in (run.search.problem.tasks, ["or"]))
    run.folder.save_evaluation(1, whole)
    run.folder.save_evaluation(2, part)
    assert not is_done(path, 2)
    run.folder.save_evaluation(2, whole)
    assert is_done(path, 2) and is_done(path, 1) and not is_done(path, 3)
    (path / "manifest.json").write_text("{")
    assert not is_done(path, 2) and not is_done(tmp_path / "missing", 2)


def test_a_run_is_taken_while_its_lock_is_held(tmp_path):
    path = start_run(tiny(), tmp_path).folder.path
    assert not is_taken(path)
    with load_run(path).folder.lock():
        assert is_taken(path)
    assert not is_taken(path)
