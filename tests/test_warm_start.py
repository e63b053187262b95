"""Warm starts: another run's genes are the first center, block by block, and the run still ends in its bits."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_cli import SETTINGS, main
from test_elites import Told, keeping
from test_evolution import tiny
from test_launch import files, go, stop_after

import evoplastic
from evoplastic import evaluators
from evoplastic.config import deciding, difference, write_toml
from evoplastic.errors import UserError
from evoplastic.evolution import Search
from evoplastic.genome import Block, BlockSettings, GenomeLayout
from evoplastic.genotypes import Genotype, load_genotype
from evoplastic.launch import load_run, start_run
from evoplastic.npz import npz_bytes, read_npz
from evoplastic.warm_start import differences, put_together, warm_start

__all__ = ["main"]  # a fixture

GENERATIONS = 3


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a finished run, `tiny-s0`, and one that has no checkpoint yet, `young`."""
    folder = tmp_path_factory.mktemp("runs")
    go(start_run(keeping(generations=GENERATIONS), folder), evaluator=Told())
    start_run(tiny(), folder, "young")
    return folder


@pytest.fixture(scope="module")
def source(runs):
    return load_run("tiny-s0", runs)


@pytest.fixture
def exported(source, tmp_path):
    """A genotype's file."""
    path = tmp_path / "center.npz"
    path.write_bytes(Genotype.of(source.search.problem.layout, source.center, {"run": "tiny-s0"}).to_bytes())
    return path


def begun(runs, folder, *overrides, source="tiny-s0", fresh=(), **top_level):
    """Return a new run in `folder` that starts from `source`."""
    config = tiny("validation.every=0", *overrides, generations=GENERATIONS, **top_level)
    config, start = warm_start(config, source, fresh, runs)
    return start_run(config, folder, start=start)


def blocks(run):
    return run.search.problem.layout.unpack(run.center)


# ---- what a run starts from


def test_the_first_center_is_the_other_run_s_bit_for_bit(runs, source, tmp_path):
    run = begun(runs, tmp_path, seed=5)
    assert run.center.tobytes() == source.center.tobytes()
    assert run.center.tobytes() != Search.of(tiny(seed=5)).start().center.tobytes()


def test_changed_tasks_rule_and_strategy_take_the_same_genes(runs, source, tmp_path):
    other = ["problem.task.withheld=['or']", "problem.rule.eta=3.0", "strategy.sigma=0.1"]
    assert begun(runs, tmp_path, *other).center.tobytes() == source.center.tobytes()


def test_a_run_starts_from_the_mean_of_the_elites(runs, source, tmp_path):
    run = begun(runs, tmp_path, "problem.genome.gain.floor=-9.0", source="tiny-s0:elite")
    np.testing.assert_array_equal(run.center, source.elites.genes.mean(axis=0))


def test_genes_below_the_new_floor_are_raised_to_it(runs, source, tmp_path):
    gain = blocks(source)["gain"]
    floor = float(np.median(gain))
    run = begun(runs, tmp_path, f"problem.genome.gain.floor={floor!r}")
    np.testing.assert_array_equal(blocks(run)["gain"], np.maximum(gain, floor))
    assert load_genotype(run.folder.path / "start.npz").genes.tobytes() == run.center.tobytes()


def test_an_exported_file_starts_what_its_run_starts(runs, source, exported, tmp_path):
    assert begun(runs, tmp_path, source=str(exported)).center.tobytes() == source.center.tobytes()


def test_the_manifest_says_what_was_taken_from_where(runs, source, tmp_path):
    told = begun(runs, tmp_path, fresh=["innate"]).folder.manifest["from"]
    assert (told["source"], told["taken"], told["fresh"]) == ("tiny-s0", ["gain"], ["innate"])
    assert told["genes"] == hashlib.sha256(source.center.tobytes()).hexdigest()
    there = told["genotype"]
    assert (there["run"], there["which"], there["generation"], there["seed"]) == ("tiny-s0", "center", GENERATIONS, 0)


def test_a_run_folder_names_what_it_starts_from_without_its_place(runs, exported, tmp_path):
    for source, name in ((f"{runs}/tiny-s0/", "tiny-s0"), (f"{runs}/tiny-s0:elite", "tiny-s0:elite")):
        run = begun(runs, tmp_path / "runs", source=source)
        assert run.folder.manifest["from"]["source"] == name
    run = begun(runs, tmp_path / "runs", source=str(exported))
    assert load_genotype(run.folder.path / "start.npz").origin["source"] == "center.npz"
    for path in filter(Path.is_file, (tmp_path / "runs").rglob("*")):
        assert not any(str(place).encode() in path.read_bytes() for place in (runs, exported.parent)), path


# ---- blocks that differ


def test_every_differing_block_is_named_with_how_to_go_on(runs, tmp_path):
    with pytest.raises(UserError) as told:
        begun(runs, tmp_path, "problem.network.units=14")
    words = str(told.value)
    for name in ("innate", "gain"):
        assert f"block '{name}' differs in shape: [13, 13] there, [14, 14] here" in words
    assert words.endswith("go on without them with --fresh innate,gain")
    assert list(tmp_path.iterdir()) == []


def test_fresh_blocks_are_the_new_run_s_own_and_the_others_are_taken(runs, source, tmp_path):
    run = begun(runs, tmp_path, seed=5, fresh=["innate"])
    own = Search.of(tiny(seed=5)).problem.layout
    np.testing.assert_array_equal(blocks(run)["gain"], blocks(source)["gain"])
    np.testing.assert_array_equal(blocks(run)["innate"], own.unpack(own.initial())["innate"])
    assert not np.array_equal(blocks(run)["innate"], blocks(source)["innate"])


def test_all_starts_freshly_what_differs_and_nothing_else(runs, source, tmp_path):
    run = begun(runs, tmp_path, "problem.genome.gain.sharing='scalar'", fresh=["all"])
    np.testing.assert_array_equal(blocks(run)["innate"], blocks(source)["innate"])
    assert run.folder.manifest["from"]["fresh"] == ["gain"]


def test_a_block_that_is_only_there_is_left_out_and_starts_nothing_freshly(source, tmp_path):
    there = GenomeLayout((*source.search.problem.layout.blocks, block("b")), 0)
    path = tmp_path / "more.npz"
    path.write_bytes(Genotype.of(there, np.zeros(there.size), {}).to_bytes())
    warm = warm_start(tiny(), str(path), ["all"])
    assert warm.start.origin["fresh"] == [] and warm.in_words() == "starts from more.npz: innate, gain"


def test_nothing_in_common_is_refused(runs, tmp_path):
    with pytest.raises(UserError, match="nothing is left to start from: no block that evolves is taken from tiny-s0"):
        begun(runs, tmp_path, "problem.network.units=14", fresh=["all"])


def test_a_block_that_there_is_not_cannot_be_fresh(runs, tmp_path):
    with pytest.raises(UserError, match=r"--fresh names block 'gian'; choose some of .*did you mean 'gain'"):
        begun(runs, tmp_path, fresh=["gian"])


def block(name="a", size=3, genes=None, **settings):
    groups = np.arange(size) if genes is None else np.asarray(genes, np.int64)
    return Block(name, (size,), groups, BlockSettings(**settings))


def layout(*members, seed=0):
    return GenomeLayout(members, seed)


SHARED = {"genes": [0, 0, 1], "sharing": "neuron"}
FROZEN = {"evolve": False, "spread": 1.0}


@pytest.mark.parametrize(
    ("there", "here", "words"),
    [
        (layout(block()), layout(block(size=4)), r"differs in shape: \[3\] there, \[4\] here"),
        (layout(block(bounds=(0.0, 1.0), initial=0.5)), layout(block(bounds=(0.0, 2.0), initial=0.5)), "in bounds"),
        (layout(block()), layout(block(bounds=(-1.0, 1.0))), r"in bounds: None there, \[-1\.0, 1\.0\] here"),
        (layout(block(**SHARED)), layout(block(genes=[0, 1, 1], sharing="neuron")), "shares its genes otherwise"),
        (layout(block(**SHARED)), layout(block()), "differs in genes: 2 there, 3 here"),
        (layout(block()), layout(block(evolve=False)), "evolved there and does not evolve here"),
        (layout(block(**FROZEN)), layout(block(**FROZEN), seed=1), "differs in seed: 0 there, 1 here"),
        (layout(block(evolve=False)), layout(block(evolve=False, initial=1.0)), "differs in initial"),
        (layout(block()), layout(block(), block("b")), "block 'b' is only here"),
        (layout(block(), block("b")), layout(block()), "block 'b' is only there"),
    ],
)
def test_a_block_whose_genes_mean_something_else_differs(there, here, words):
    (told,) = differences(here.meta(), json.loads(json.dumps(there.meta()))).values()
    assert re.search(words, told), told


@pytest.mark.parametrize(
    ("there", "here"),
    [
        (layout(block(initial=1.0, spread=2.0, step=3.0)), layout(block(floor=0.0), seed=1)),
        (layout(block(bounds=(0.0, 1.0), initial=0.2)), layout(block(bounds=(0.0, 1.0), initial=0.5))),
        (layout(block(evolve=False, initial=1.0)), layout(block(evolve=False, initial=1.0), seed=1)),
        (layout(block(**FROZEN)), layout(block())),
        (layout(block(), block("b")), layout(block("b"), block())),
    ],
)
def test_a_block_whose_genes_mean_the_same_does_not_differ(there, here):
    assert differences(here.meta(), json.loads(json.dumps(there.meta()))) == {}


def test_blocks_are_taken_by_name_not_by_place():
    there, here = layout(block(), block("b")), layout(block("b"), block())
    genotype = Genotype.of(there, np.arange(6.0), {})
    genes, taken = put_together(here, genotype, ())
    assert (genes.tolist(), taken) == ([3.0, 4.0, 5.0, 0.0, 1.0, 2.0], ["b", "a"])


def test_a_block_that_did_not_evolve_there_is_taken_as_it_was():
    there = layout(block("b"), block(**FROZEN), seed=7)
    genes, taken = put_together(layout(block(), block("b")), Genotype.of(there, np.arange(3.0), {}), ())
    np.testing.assert_array_equal(genes[:3], block(**FROZEN).initial_genes(7))
    assert genes[3:].tolist() == [0.0, 1.0, 2.0] and taken == ["a", "b"]


# ---- the same bits


@pytest.fixture(scope="module")
def undisturbed(runs, tmp_path_factory):
    return files(go(begun(runs, tmp_path_factory.mktemp("undisturbed")), evaluator=Told()).folder.path)


@pytest.mark.parametrize("generation", range(1, GENERATIONS))
def test_a_warm_run_stopped_after_any_generation_ends_as_if_it_had_not_been(runs, tmp_path, undisturbed, generation):
    run = begun(runs, tmp_path)
    go(run, **stop_after(generation), evaluator=Told())
    go(load_run(run.folder.path), evaluator=Told())
    assert files(run.folder.path) == undisturbed


def test_a_warm_run_goes_on_from_its_own_copy_without_the_run_it_is_from(runs, tmp_path, undisturbed):
    run = begun(runs, tmp_path)
    found = load_run(run.folder.path)
    assert found.state.generation == 0 and found.center.tobytes() == run.center.tobytes()
    go(found, evaluator=Told())
    assert files(run.folder.path) == undisturbed
    assert load_run(run.folder.path).search.start().center.tobytes() == run.center.tobytes()


def test_the_genes_a_run_starts_from_are_part_of_what_decides_it(runs, tmp_path):
    warm, cold = begun(runs, tmp_path).config, tiny("validation.every=0", generations=GENERATIONS)
    assert warm.start and f'start = "{warm.start}"' in write_toml(warm)
    assert difference(warm, deciding(warm)) is None
    assert difference(warm, deciding(cold)) == f"start was '', is '{warm.start}'"


def test_a_start_key_edited_after_a_checkpoint_is_refused(runs, tmp_path):
    run = go(begun(runs, tmp_path), evaluator=Told())
    path = run.folder.path / "config.toml"
    path.write_text(path.read_text().replace(run.config.start, ""))
    with pytest.raises(UserError, match=r"other settings than its config\.toml: start was"):
        load_run(run.folder.path)


def test_settings_that_only_name_their_genes_are_refused(runs, tmp_path):
    config = begun(runs, tmp_path).config
    with pytest.raises(UserError, match=r"names genes that are not here, .* --from, such as the start\.npz"):
        next(evoplastic.evolve(config))
    with pytest.raises(ValueError, match="starts from other genes than its settings name"):
        start_run(tiny(start="0" * 64), tmp_path, start=load_genotype(tmp_path / "tiny-s0" / "start.npz"))


# ---- a start file, or an exported one, that is not what was written


def altered(path, change):
    """Write the file anew with its arrays changed."""
    arrays = {name: np.array(array) for name, array in read_npz(path).items()}
    change(arrays)
    path.write_bytes(npz_bytes(arrays))


def header(arrays, **changes):
    document = {**json.loads(arrays["header"].tobytes()), **changes}
    arrays["header"] = np.frombuffer(json.dumps(document).encode(), np.uint8)


def one_gene(arrays):
    arrays["genes"][0] += 1.0


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-50]), "is damaged"),
        (lambda path: path.write_bytes(b""), "is damaged"),
        (lambda path: altered(path, one_gene), "is damaged: its content does not match its header"),
        (lambda path: altered(path, lambda arrays: arrays.pop("header")), "is damaged: it has no header"),
        (lambda path: altered(path, lambda arrays: header(arrays, layout=[])), "its arrays and the layout .* differ"),
        (lambda path: altered(path, lambda arrays: header(arrays, layout=3)), "its arrays and the layout .* differ"),
        (lambda path: altered(path, lambda arrays: header(arrays, version=99)), "written by a newer evoplastic"),
        (lambda path: altered(path, lambda arrays: header(arrays, format="x")), "not in the format"),
    ],
)
@pytest.mark.parametrize("reached", [0, 2])
def test_a_start_file_that_is_missing_or_damaged_is_refused(runs, tmp_path, damage, words, reached):
    run = begun(runs, tmp_path)
    if reached:
        go(run, **stop_after(reached), evaluator=Told())
    damage(run.folder.path / "start.npz")
    with pytest.raises(UserError, match=words):
        load_run(run.folder.path)


def test_a_start_file_of_other_genes_is_refused(runs, source, tmp_path):
    run = begun(runs, tmp_path)
    other = Genotype.of(source.search.problem.layout, source.center + 1.0, {})
    (run.folder.path / "start.npz").write_bytes(other.to_bytes())
    with pytest.raises(UserError, match=r"start\.npz holds other genes than those that the run's config\.toml names"):
        load_run(run.folder.path)


def test_genes_that_are_not_finite_are_refused(source, exported):
    other = Genotype.of(source.search.problem.layout, np.full_like(source.center, np.nan), {})
    exported.write_bytes(other.to_bytes())
    with pytest.raises(UserError, match="holds genes that are not finite"):
        load_genotype(exported)


def test_nothing_of_a_genotype_is_unpickled(exported):
    np.savez(exported, genes=np.array([print], dtype=object))
    with pytest.raises(UserError, match="is damaged"):
        load_genotype(exported)


# ---- files


def test_a_genotype_is_read_back_bit_for_bit(source, exported):
    told = evoplastic.load_genotype(exported)
    assert told.genes.tobytes() == source.center.tobytes() and told.origin == {"run": "tiny-s0"}
    for name, values in source.search.problem.layout.unpack(source.center).items():
        assert told.blocks[name].tobytes() == np.ascontiguousarray(values).tobytes()
    assert source.search.problem.layout.difference(told.layout) is None


def test_any_npz_reader_can_open_a_genotype(source, exported):
    with np.load(exported, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["genes"], source.center)
        np.testing.assert_array_equal(arrays["blocks/gain"], blocks(source)["gain"])
        assert json.loads(arrays["header"].tobytes())["format"] == "evoplastic.genotype"


def test_equal_genotypes_are_equal_files(source, exported):
    told = load_genotype(exported)
    assert told.to_bytes() == exported.read_bytes()


# ---- commands


@pytest.fixture
def commands(main, runs, monkeypatch):
    """Return a caller of the command line that lives no life."""
    monkeypatch.setattr(evaluators, "open_evaluator", lambda *_, **__: Told())

    def call(*words, folder=runs):
        return main(*words, "--runs-dir", folder)

    return call


KEEPING = [word for setting in ("elites.keep=2", "elites.lives=2") for word in ("--set", setting)]


def run_words(*words):
    """Return the words that start a tiny run."""
    return ["run", "quickstart", *SETTINGS, *KEEPING, "--generations", 2, *words]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nosuch"], "'nosuch' is not a run folder; the nearest runs in"),
        (["young"], "run 'young' has no checkpoint yet, so it has no center; carry it on with resume"),
        (["tiny-s0:bset"], "'tiny-s0:bset' ends in :bset, which no run has; choose one of "),
        (["tiny-s0:best"], "the elites of run 'tiny-s0' at generation 3 were not scored yet"),
        (["nosuch.npz"], "nosuch.npz is missing"),
        (["x" * 300 + ".npz"], "x.npz is missing"),
        (["nosuch.npz:best"], "nosuch.npz holds one genotype; leave :best away"),
    ],
)
def test_what_is_not_there_is_told_in_one_sentence(commands, runs, tmp_path, words, said):
    before = sorted(runs.iterdir())
    for call in (run_words("--from", *words), ["export", *words, "-o", tmp_path / "x.npz"]):
        told = commands(*call)
        assert told.code == 2 and told.err.startswith("evoplastic: ") and said in told.err, told.err
        assert len(told.err.splitlines()) == 1
    assert sorted(runs.iterdir()) == before and not (tmp_path / "x.npz").exists()


def test_fresh_without_from_is_refused(commands):
    told = commands(*run_words("--fresh", "gain"))
    assert told.code == 2 and "--fresh says which blocks --from leaves out" in told.err


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("x.json", "is an .npz file, got -o"),
        ("old.npz", "exists already"),
        ("x" * 300 + ".npz", "could not be written"),
        ("none/x.npz", "could not be written"),
    ],
)
def test_an_export_takes_no_other_file_s_place(commands, tmp_path, out, said):
    (tmp_path / "old.npz").write_bytes(b"mine")
    told = commands("export", "tiny-s0", "-o", tmp_path / out)
    assert told.code == 2 and said in told.err and (tmp_path / "old.npz").read_bytes() == b"mine"


def test_a_run_is_exported_and_starts_another(commands, source, tmp_path):
    path = tmp_path / "center.npz"
    told = commands("export", "tiny-s0", "-o", path)
    assert told.code == 0 and "innate (13, 13), gain (13, 13)" in told.out
    genotype = load_genotype(path)
    assert genotype.genes.tobytes() == source.center.tobytes()
    assert (genotype.origin["run"], genotype.origin["generation"], genotype.origin["scores"]) == ("tiny-s0", 3, None)


def test_a_command_evolves_from_a_run_judges_its_elites_and_exports_the_best(commands, runs, source, tmp_path):
    told = commands(*run_words("--from", "tiny-s0:elite", "--fresh", "gain", "--name", "warm", "--json"))
    assert told.code == 0, told.err
    assert "starts from tiny-s0:elite: innate, fresh: gain" in told.err
    judged = json.loads(told.out)["elites"]
    assert f"best of 2 {judged['kept'][judged['best']]['score']:.3f} (generation" in told.err
    run = load_run("warm", runs)
    np.testing.assert_array_equal(
        run.search.problem.layout.unpack(run.search.start().center)["innate"],
        source.search.problem.layout.unpack(source.elites.mean())["innate"],
    )
    assert commands("export", "warm:best", "-o", tmp_path / "best.npz").code == 0
    best = load_genotype(tmp_path / "best.npz")
    assert best.genes.tobytes() == run.elites.genes[judged["best"]].tobytes()
    assert best.origin["elites"] == judged and best.origin["scores"] is None
    again = commands(*run_words("--name", "warm", "--resume-if-exists"))
    assert again.code == 2 and "run 'warm' exists with other settings: start was" in again.err


@pytest.fixture
def warm(commands, runs, tmp_path):
    """Return a caller of a command that starts the run `again` from a run, or carries it on; called once already."""
    shutil.copytree(runs, tmp_path / "runs")

    def call(*words):
        return commands(*run_words("--name", "again", "--resume-if-exists", *words), folder=tmp_path / "runs")

    assert call("--from", "tiny-s0", "--fresh", "gain").code == 0
    return call


def test_a_run_that_is_there_goes_on_without_a_look_at_what_it_started_from(warm, tmp_path):
    shutil.rmtree(tmp_path / "runs" / "tiny-s0")
    for fresh in ("gain", "all"):
        told = warm("--from", "tiny-s0", "--fresh", fresh, "--generations", 3)
        assert told.code == 0, told.err
    assert load_run("again", tmp_path / "runs").state.generation == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "tiny-s0:elite", "--fresh", "gain"], "run 'again' exists and starts from tiny-s0, got --from tiny"),
        (["--from", "tiny-s0"], "run 'again' exists and started freshly gain, got --from tiny-s0; choose another"),
        (["--from", "tiny-s0", "--fresh", "innate"], "started freshly gain, got --from tiny-s0 --fresh innate;"),
        (["--fresh", "gain"], "--fresh says which blocks --from leaves out"),
        ([], "run 'again' exists with other settings: start was"),
        (["--from", "tiny-s0", "--fresh", "gain", "--seed", "3"], "run 'again' exists with other settings: seed"),
        (["--from", "young", "--name", "tiny-s0"], "run 'tiny-s0' exists and starts from no other, got --from young"),
    ],
)
def test_a_run_that_is_there_and_began_otherwise_is_not_carried_on(warm, words, said):
    told = warm(*words)
    assert told.code == 2 and said in told.err, told.err
