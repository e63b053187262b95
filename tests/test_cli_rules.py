"""The commands about rules: what they print, what evolved in a run, and what they refuse."""

import json

import pytest
from conftest import ROOT, child
from test_cli_tasks import main

from evoplastic.config import read_config
from evoplastic.launch import start_run
from evoplastic.rules import RULES
from evoplastic.rules.describing import Coefficient, coefficients_of, described, filled, filled_latex

__all__ = ["main"]  # the fixture

UNITS = 17
HELD = [
    f"problem.network.units={UNITS}",
    "problem.rule={type = 'abcd_rate', A = 0.5, D = -2.0}",
    "problem.genome.rule.eta={sharing = 'scalar', initial = 0.25}",
    "problem.genome.rule.B={sharing = 'neuron', spread = 1.0}",
    "problem.genome.rule.C={evolve = false, initial = 3.0}",
]


def of(name, value, sharing="", count=1):
    return Coefficient(name, sharing, bool(sharing), count, value, value, value)


@pytest.fixture
def run(tmp_path):
    """Return the folder of a run at generation 0 whose genome holds coefficients of a rule."""
    return start_run(read_config("quickstart", HELD), tmp_path / "runs", "held").folder.path


def test_every_rule_is_listed_with_its_summary(main):
    said = main("rules", "list")
    rows = {line.split()[0]: line for line in said.out.splitlines()}
    assert said.code == 0 and list(rows) == ["rule", *RULES, "together"]
    assert rows["fixed"].split()[1] == "no" and rows["node_perturbation"].split()[1] == "yes"
    assert all(len(rows[name].split()) > 3 for name in RULES), "a rule without a summary"


def test_a_rule_is_shown_with_equation_parameters_and_references(main):
    said = main("rules", "show", "node_perturbation")
    assert said.code == 0 and not said.err
    assert "  P <- P + clip(eta m E, -clip, clip)" in said.out and r"\leftarrow" in said.out
    rows = [line.split() for line in said.out.splitlines()]
    assert ["eta", "0.03", ">=", "0", "scalar"] in rows and ["clip", "0.01", ">", "0"] in rows
    assert ["remembers:", "trace"] in rows and ["Miconi", "2023"] in rows


def test_a_trace_of_a_trial_is_shown_without_decay():
    running, trial = (RULES["node_perturbation"](trace=trace).describe() for trace in ("running", "trial"))
    assert "E <- (1 - dt / trace_tau)" in running.equation and "0 when a trial begins" not in running.equation
    assert "dt" not in trial.equation and trial.equation.endswith("E <- E + x xi, 0 when a trial begins")


@pytest.mark.parametrize("name", RULES)
def test_json_has_the_stated_keys(main, name):
    said = main("rules", "show", name, "--json")
    document = json.loads(said.out)
    assert (said.code, document["format"], document["version"]) == (0, "evoplastic.rules", 1)
    (rule,) = document["rules"]
    assert (rule["name"], rule["source"]) == (name, "builtin")
    assert rule["summary"] and rule["equation"] and rule["latex"] and "plastic weights" in rule["records"]
    assert {known["name"] for known in rule["parameters"] if known["granularity"]} == set(RULES[name].evolvable)


def test_limits_of_parameters_are_those_of_the_settings():
    known = {each["name"]: each for each in described("x", RULES["node_perturbation"], "builtin")["parameters"]}
    assert (known["probability"]["low"], known["probability"]["high"]) == (1e-6, 1)
    assert (known["clip"]["low"], known["clip"]["above_low"], known["clip"]["high"]) == (0, True, None)
    assert not known["eta"]["above_low"]


def test_one_value_stands_in_the_equation_and_several_get_an_index():
    equation = "P <- P + eta m A x;  E <- (1 - dt / trace_tau) E + clip(beta, -clip, clip)"
    known = [of("eta", -0.5, "scalar"), of("A", 2.0, "neuron", 9), of("trace_tau_ms", 100.0), of("clip", 0.01)]
    assert filled(equation, known) == (
        "P <- P + (-0.5) m A[post] x;  E <- (1 - dt / 100 ms) E + clip(beta, -0.01, 0.01)"
    )
    latex = r"P \leftarrow P + \eta\, m\, A\, x + \beta \mathrm{clip}(E, \mathrm{clip})"
    known = [*known, of("beta", 3.0, "synapse", 81)]
    assert filled_latex(latex, known) == (
        r"P \leftarrow P + (-0.5)\, m\, A_{\mathrm{post}}\, x + \beta_{\mathrm{pre, post}} \mathrm{clip}(E, 0.01)"
    )


def test_coefficients_are_those_of_the_genome_and_else_of_the_settings():
    config = read_config("quickstart", HELD)
    problem = config.problem.build(3)
    genes = problem.layout.initial()
    values = problem.layout.unpack(genes)["rule.B"]
    known = {each.name: each for each in coefficients_of(config.problem.rule, problem.layout, genes)}
    assert known["eta"][1:] == ("scalar", True, 1, 0.25, 0.25, 0.25)
    assert known["B"][1:4] == ("neuron", True, UNITS)
    assert known["B"].mean == pytest.approx(values.mean()) and known["B"].low == values.min() < known["B"].high
    assert known["C"][1:] == ("scalar", False, 1, 3.0, 3.0, 3.0)
    assert known["A"][1:] == ("", False, 1, 0.5, 0.5, 0.5)


def test_what_evolved_in_a_run_is_filled_in(main, run):
    said = main("rules", "show", "abcd_rate", "--run", run)
    assert said.code == 0 and "in held, center of generation 0:" in said.out
    assert "P <- clip(P + 0.25 m (0.5 x y + B[post] x + 3 y + (-2)))" in said.out
    (row,) = (line.split() for line in said.out.splitlines() if f"{UNITS} x neuron" in line)
    assert row[0] == "B" and float(row[2].strip("()")) != float(row[3].strip("()"))
    (rule,) = json.loads(main("rules", "show", "abcd_rate", "--run", run, "--json").out)["rules"]
    assert rule["run"]["name"] == "held" and rule["run"]["generation"] == 0
    assert [each["mean"] for each in rule["run"]["coefficients"] if each["name"] == "eta"] == [0.25]


REFUSED = {
    "an unknown rule": (["show", "ojas"], "rule 'ojas' is unknown; choose one of"),
    "another rule than the run's": (["show", "fixed", "--run", "{run}"], "evolved under the rule 'abcd_rate'"),
    "a run that is not there": (["show", "fixed", "--run", "nowhere"], "'nowhere' is not a run folder"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mistake_is_told_in_a_sentence(main, run, name):
    words, complaint = REFUSED[name]
    said = main("rules", *(word.format(run=run) for word in words))
    assert said.code == 2 and complaint in said.err and len(said.err.splitlines()) == 1


CHECK = """
import sys
from evoplastic import cli
sys.argv = ["evoplastic", "rules", *%r]
try:
    cli.main()
except SystemExit as ended:
    print("exit", ended.code or 0)
"""


def test_a_plugin_s_rule_is_shown_as_one():
    path = str(ROOT / "docs" / "examples" / "plugins" / "rule.py")
    said = child(CHECK % ["show", "peak", "--plugin", path, "--json"], NUMBA_DISABLE_JIT="1")
    (rule,) = json.loads(said.splitlines()[0])["rules"]
    assert (rule["name"], rule["source"], rule["state"]) == ("peak", "plugin", ["trace"])


@pytest.mark.parametrize("stem", ["modulation", "row", "strategy", "task"])
def test_an_example_of_the_docs_passes_its_checks(stem):
    path = str(ROOT / "docs" / "examples" / "plugins" / f"{stem}.py")
    said = child(CHECK % ["check", path], NUMBA_DISABLE_JIT="1").splitlines()
    assert said[-1] == "exit 0" and len(said) > 4


def test_what_a_check_finds_wrong_is_told_and_exits_with_2(tmp_path):
    path = tmp_path / "mine.py"
    example = (ROOT / "docs" / "examples" / "plugins" / "rule.py").read_text()
    path.write_text(example.replace("return Trace(np.zeros_like(network.innate))", "return Trace(1 / 0)"))
    said = child(f"import sys; sys.stderr = sys.stdout\n{CHECK % ['check', str(path)]}", NUMBA_DISABLE_JIT="1")
    line = example[: example.index("return Trace(")].count("\n") + 1
    assert said.splitlines()[-2:] == [
        f"evoplastic: plugin mine.py, line {line}: ZeroDivisionError: division by zero",
        "exit 2",
    ]
