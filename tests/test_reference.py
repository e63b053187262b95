"""The reference run that comes with the package: made by an earlier version, opened and reproduced by this one."""

import shutil
import subprocess

import numpy as np
import pytest
from conftest import ROOT

from evoplastic.config import deciding, difference, read_config
from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import evolve
from evoplastic.launch import load_run

REFERENCE = ROOT / "runs" / "reference"


@pytest.fixture(scope="module")
def reference():
    return load_run(REFERENCE)


def test_the_reference_run_opens_at_its_end(reference):
    assert reference.finished and reference.warnings == ()
    assert np.isfinite(reference.center).all() and len(reference.center) == 9800


def test_its_manifest_names_the_command_and_the_preset_that_made_it(reference):
    command = reference.folder.manifest["command"]
    assert command == ["evoplastic", "run", "quickstart", "--name", "reference", "--runs-dir", "runs"]
    assert not difference(read_config("quickstart"), deciding(reference.config))


def test_what_looking_into_it_leaves_is_none_of_the_checkout(reference):
    """Where it is a checkout: `analyze` and `record` write into folders that git ignores."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no checkout, or there is no git to ask")
    left = [f"runs/reference/{name}" for name in ("report/report.html", "recordings/dms.npz", "lock")]
    done = subprocess.run(["git", "check-ignore", *left], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == left


def test_its_first_generation_comes_out_as_recorded(reference):
    search = reference.search
    evaluator = Threads(search.problem)
    first = next(evolve(search, evaluator))
    evaluator.close()
    recorded = reference.folder.metrics()[0]
    for part in ("training", "validation", "strategy"):
        found = {name: first.metrics[part][name] for name in recorded[part]}  # a newer version may record more
        # 1e-9: the lives are exact, numpy's own mean over them may be summed in another order on another CPU.
        assert found == pytest.approx(recorded[part], rel=1e-9)


def test_its_evaluation_shows_what_the_readme_says(reference):
    result = reference.folder.evaluations(reference.state.generation, reference.search.problem.tasks)[-1]
    gain = result["gain_over_generation_0"]["training"]
    assert gain["low"] > 0.10
    assert abs(result["conditions"]["plasticity_off"]["withheld"]["mean"] - 0.5) < 0.04
