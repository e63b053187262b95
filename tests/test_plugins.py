"""Plugins: chosen once, held to the contract, told apart from the package and from each other, never found in runs."""

import json
import os
import sys

import pytest
from conftest import ROOT, child

from evoplastic import jit, plugins
from evoplastic.contracts import PARTS, flaw, with_plugin
from evoplastic.errors import UserError
from evoplastic.launch import stored_config
from evoplastic.manifest import build_manifest, deciding_facts
from evoplastic.modulation import MODULATIONS
from evoplastic.networks import NETWORKS
from evoplastic.rules import RULES
from evoplastic.runs import RunFolder
from evoplastic.strategies import STRATEGIES
from evoplastic.tasks import FAMILIES

EXAMPLES = sorted((ROOT / "docs" / "examples" / "plugins").glob("*.py"))
OWN = {
    "RULES": RULES,
    "MODULATIONS": MODULATIONS,
    "NETWORKS": NETWORKS,
    "TASKS": FAMILIES,
    "STRATEGIES": STRATEGIES,
}
RULE = """
from typing import ClassVar, NamedTuple
from evoplastic.jit import pack
from evoplastic.rules.contract import Account, RuleSettings

class MineSettings(RuleSettings, frozen=True, kw_only=True, tag="mine"):
    account: ClassVar = Account("P = 0.25", "P = 0.25")
    evolvable: ClassVar = {"eta": "scalar"}
    eta: float = 1.0

    def build(self, around, values) -> "Mine":
        return pack(Mine(self.eta))

class Mine(NamedTuple):
    eta: float

    def newborn(rule, network, steps):
        return rule

    def begin_exploring(rule, state, key, trial, age, steps):
        pass

    def explore(rule, state, step, activity):
        pass

    def accumulate(rule, state, step, activity):
        pass

    def continual(rule):
        return False

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        plastic[:, : plastic.shape[0]] = 0.25
        return True

RULES = {"mine": MineSettings}
"""


@pytest.fixture
def chosen(monkeypatch, tmp_path):
    """Return a chooser of the plugin with this text, for this process and this test."""

    def forget():
        plugins.plugin.cache_clear()
        plugins._tables.cache_clear()
        sys.modules.pop(plugins.MODULE, None)
        os.environ.pop("EVOPLASTIC_PLUGIN_SHA256", None)  # set by what is tested, so monkeypatch cannot restore it

    def choose(text, name="mine.py"):
        forget()
        path = tmp_path / name
        path.write_text(text)
        monkeypatch.setenv("EVOPLASTIC_PLUGIN", str(path))
        return path

    yield choose
    forget()


@pytest.fixture
def run(tmp_path):
    """Return a maker of a run folder whose manifest records what this process uses."""
    return lambda: RunFolder.create(tmp_path, "mine", "mine", "", build_manifest([], "abc"))


# ---- tables


@pytest.mark.parametrize("table", plugins.TABLES)
def test_without_a_plugin_a_table_is_the_package_s_own(table):
    assert plugins.plugin() is None and with_plugin(table, OWN[table]) == dict(OWN[table])


def test_a_plugin_s_parts_stand_after_the_package_s_own(chosen):
    chosen(RULE)
    table = with_plugin("RULES", RULES)
    assert list(table) == [*RULES, "mine"] and table["mine"].__module__ == plugins.MODULE
    assert with_plugin("NETWORKS", NETWORKS) == NETWORKS


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_of_the_docs_fulfils_its_contract(chosen, path):
    chosen(path.read_text())
    added = [name for table in OWN for name in with_plugin(table, OWN[table]) if name not in OWN[table]]
    assert len(added) == 1


@pytest.mark.parametrize(
    ("table", "name"), [(table, name) for table in OWN for name in OWN[table] if name != "mixture"]
)
def test_the_package_s_own_parts_fulfil_the_same_contract(table, name):
    assert flaw(table, name, OWN[table][name]) is None
    assert PARTS[table].called


def test_what_was_hashed_is_what_runs_though_the_file_was_edited_in_between(chosen):
    path = chosen(RULE)
    digest = plugins.plugin().digest
    path.write_text("raise RuntimeError")
    assert list(plugins.plugged("RULES")) == ["mine"] and plugins.facts() == {"name": "mine.py", "sha256": digest}
    assert not list(path.parent.rglob("*.pyc")), "no bytecode is left behind that another content could meet"


def test_a_child_refuses_a_file_that_was_edited_since_its_parent_began(chosen):
    path = chosen(RULE)
    plugins.plugin()
    path.write_text(RULE + "\n")
    plugins.plugin.cache_clear()
    with pytest.raises(UserError, match="was edited since the command began"):
        plugins.plugin()


def test_a_plugin_comes_too_late_where_another_choice_was_read(chosen, tmp_path):
    chosen(RULE)
    plugins.plugin()
    with pytest.raises(RuntimeError, match="before anything else"):
        plugins.use_plugin(str(tmp_path / "other.py"))


# ---- refusals

LINE = RULE[: RULE.index("    def consolidate")].count("\n") + 1
REFUSED = {
    "raises": ("x = 1\nraise ValueError('no')\n", "plugin mine.py, line 2: ValueError: no"),
    "is no Python": ("x = 1\ndef broken(:\n", "plugin mine.py, line 2: SyntaxError"),
    "has no table": ("RULE = {}\n", "defines none of RULES, MODULATIONS, .*; did you mean 'RULES'"),
    "has a list": ("RULES = []\n", "RULES must be a dict of settings by their names"),
    "takes a name": (RULE.replace('"mine"', '"oja"'), "RULES has 'oja', which comes with evoplastic"),
    "has another tag": (
        RULE.replace('tag="mine"', 'tag="yours"'),
        "rule 'mine' needs settings with .*got type='yours'",
    ),
    "is no settings": (
        RULE.replace("MineSettings}", "Mine}"),
        "rule 'mine' must be a class derived from .*RuleSettings",
    ),
    "has no account": (RULE.replace("    account", "    other"), "needs a class variable `account`"),
    "evolves nothing": (RULE.replace('{"eta":', '{"beta":'), "calls 'beta' evolvable, which is no field"),
    "has another grain": (RULE.replace('"scalar"', '"unit"'), "says 'unit' of 'eta' in `evolvable`"),
    "builds who knows what": (RULE.replace(' -> "Mine"', ""), "build must be annotated with the NamedTuple"),
    "builds what is not there": (RULE.replace(' -> "Mine"', ' -> "Yours"'), "the annotations of build cannot be read"),
    "lacks a method": (
        RULE.replace("def accumulate", "def collect"),
        r"lacks the method accumulate\(rule, state, step",
    ),
    "names parameters": (
        RULE.replace("consolidate(rule", "consolidate(self"),
        rf"plugin mine.py, line {LINE}: Mine.consolidate must take \(rule, .*got \(self, ",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_plugin_is_refused_in_a_sentence_that(chosen, name):
    text, complaint = REFUSED[name]
    chosen(text)
    with pytest.raises(UserError, match=complaint) as refused:
        with_plugin("RULES", RULES)
    assert "\n" not in str(refused.value)


def test_nine_arrays_are_refused(chosen):
    fields = "\n".join(f"    a{number}: NDArray" for number in range(9))
    chosen("from numpy.typing import NDArray\n" + RULE.replace("    eta: float\n\n    def", f"{fields}\n\n    def"))
    with pytest.raises(UserError, match="Mine holds 9 arrays; stack them into 8"):
        with_plugin("RULES", RULES)


def test_a_plugin_that_is_not_there_is_told(chosen):
    chosen(RULE).unlink()
    with pytest.raises(UserError, match=r"mine\.py cannot be read: No such file"):
        plugins.plugin()


def test_an_error_in_the_plugin_is_told_with_its_line(chosen):
    chosen(RULE.replace("return pack(Mine(self.eta))", "return 1 / 0"))
    kind = with_plugin("RULES", RULES)["mine"]
    try:
        kind().build(None, {})
    except ZeroDivisionError as error:
        said = plugins.blame(error)
    assert said == f"plugin mine.py, line {RULE[: RULE.index('return pack')].count(chr(10)) + 1}: " + (
        "ZeroDivisionError: division by zero"
    )
    assert plugins.blame(ValueError("elsewhere")) is None


def test_of_numba_s_message_the_line_that_tells_is_told(chosen):
    chosen(RULE)
    nested = (
        "Failed in nopython mode pipeline\n No implementation of function\n Unknown attribute 'best'\n\n"
        'File "../mine.py", line 7:\n def f():\n\nDuring: typing\n\nFile "../mine.py", line 30:\n'
    )
    assert plugins.blame(TypeError(nested)) == "plugin mine.py, line 7: TypeError: Unknown attribute 'best'"


# ---- runs


def test_a_manifest_records_name_and_hash_and_no_more(chosen):
    assert build_manifest([], "abc")["plugin"] is None
    chosen(RULE)
    manifest = build_manifest([], "abc")
    assert manifest["plugin"] == {"name": "mine.py", "sha256": plugins.plugin().digest}
    renamed = manifest | {"plugin": manifest["plugin"] | {"name": "yours.py"}}
    assert deciding_facts(renamed) == deciding_facts(manifest), "its name decides nothing"
    assert "MineSettings" not in json.dumps(build_manifest([], "abc"))


def test_a_run_wants_the_very_plugin_that_it_was_made_with(chosen, run):
    chosen(RULE)
    digest, made = plugins.plugin().digest, run()
    chosen(RULE + "\n")
    with pytest.raises(
        UserError, match=rf"was made with the plugin mine\.py of SHA-256 {digest[:16]}, and mine\.py of"
    ):
        stored_config(made)
    chosen(RULE)
    with pytest.raises(UserError, match=r"config\.toml"):  # it goes on to the next thing, an empty file
        stored_config(made)


def test_a_run_with_a_plugin_is_refused_without(chosen, run, monkeypatch):
    chosen(RULE)
    made = run()
    monkeypatch.delenv("EVOPLASTIC_PLUGIN")
    plugins.plugin.cache_clear()
    with pytest.raises(UserError, match="and none was given; give that very file with --plugin"):
        stored_config(made)


def test_a_plain_run_may_be_looked_at_with_any_plugin(chosen, run):
    made = run()
    chosen(RULE)
    with pytest.raises(UserError, match=r"config\.toml"):
        stored_config(made)


# ---- kernels and nodes


def test_compiled_kernels_of_a_plugin_lie_apart(chosen):
    plain = jit.code_hash()
    assert plain == jit.source_hash()
    chosen(RULE)
    one = jit.code_hash()
    chosen(RULE + "\n")
    assert len({plain, one, jit.code_hash()}) == 3 and one.startswith(f"{plain}-")


def test_a_node_uses_what_was_shipped_and_nothing_else(chosen, tmp_path, monkeypatch):
    chosen(RULE)
    shipped = tmp_path / "plugin"
    shipped.write_bytes(plugins.shipment())
    digest = plugins.plugin().digest
    chosen(RULE + "\n", "other.py")
    monkeypatch.setattr(plugins, "SHIPPED", shipped)
    assert (plugins.plugin().name, plugins.plugin().digest) == ("mine.py", digest)
    plugins.plugin.cache_clear()
    shipped.write_bytes(b"")
    assert plugins.plugin() is None, "a run without a plugin has none on a node either"


LIFE = """
from evoplastic.checks import _body, _live, short_problem
plastic = _live(_body(short_problem(rule={"type": %r}, modulation={"type": "none"}), 0)).plastic
print(float(abs(plastic).max()))
"""


def test_run_with_a_plugin_edit_it_run_without_and_each_answer_is_right(tmp_path):
    path = tmp_path / "mine.py"
    for written in (0.25, 0.5):
        path.write_text(RULE.replace("= 0.25\n        return", f"= {written}\n        return"))
        assert float(child(LIFE % "mine", EVOPLASTIC_PLUGIN=str(path))) == written
    assert float(child(LIFE % "fixed")) == 0.0


TINY = """
extends = "icml2023-small"
generations = 2
[problem]
rule = {type = "mine"}
network.units = 17
task.trials = 4
scored_trials = 2
[strategy]
type = "openai_es"
population = 2
[validation]
every = 0
"""


def evolved(tmp_path, backend):
    """Return the metrics of a tiny run with a plugin, in a process of its own and in plain Python."""
    (tmp_path / "mine.py").write_text(RULE)
    (tmp_path / "tiny.toml").write_text(TINY)
    code = (
        "import sys; from evoplastic import cli; "
        f"sys.argv = ['evoplastic', 'run', {str(tmp_path / 'tiny.toml')!r}, '--plugin', {str(tmp_path / 'mine.py')!r}, "
        f"'--name', {backend!r}, '--runs-dir', {str(tmp_path)!r}, '--backend', {backend!r}, '--workers', '1', "
        "'--no-evaluation']; cli.main()"
    )
    child(code, NUMBA_DISABLE_JIT="1")
    return (tmp_path / backend / "metrics.jsonl").read_bytes()


def test_a_run_with_a_plugin_records_it_and_is_refused_without_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.delenv("EVOPLASTIC_PLUGIN", raising=False)
    assert evolved(tmp_path, "threads").count(b"\n") == 2
    folder = RunFolder.open(tmp_path / "threads")
    assert folder.manifest["plugin"]["name"] == "mine.py"
    with pytest.raises(UserError, match="and none was given"):
        stored_config(folder)
    assert not [path for path in (tmp_path / "threads").rglob("*") if b"MineSettings" in _bytes(path)]


@pytest.mark.ray
def test_ray_workers_get_the_content_and_compute_the_same_bits(tmp_path):
    assert evolved(tmp_path, "ray") == evolved(tmp_path, "threads")


def _bytes(path):
    return path.read_bytes() if os.path.isfile(path) else b""
