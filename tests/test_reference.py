"""The reference run that comes with the package: made by an earlier version, opened and reproduced by this one."""

from pathlib import Path

import numpy as np
import pytest

from evoplastic.evaluators.threads import Threads
from evoplastic.evolution import evolve
from evoplastic.launch import load_run

REFERENCE = Path(__file__).resolve().parents[1] / "runs" / "reference"


@pytest.fixture(scope="module")
def reference():
    return load_run(REFERENCE)


def test_the_reference_run_opens_at_its_end(reference):
    assert reference.finished and reference.warnings == ()
    assert np.isfinite(reference.center).all() and len(reference.center) == 9800


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
