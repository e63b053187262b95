"""The section on decoding: four rows of when and whose, long trials in bins, and what cannot be told is said."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from evoplastic.analysis.sections.decoding import decoding
from evoplastic.errors import UserError
from evoplastic.recordings import Recording

LIVES, TRIALS, ROLES = 5, 40, np.array(["stimulus", *["hidden"] * 4, "response", "response"])


def recording(steps, seed=0, always_right=False):
    """Return lives whose first hidden unit tells the first stimulus, and whose second one the response, from step 2."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 4, (LIVES, TRIALS))
    correct = np.ones(kinds.shape) if always_right else (rng.random(kinds.shape) < 0.6).astype(float)
    response = np.where(correct > 0.5, kinds == 1, kinds != 1)
    rates = rng.normal(size=(LIVES, TRIALS, steps, len(ROLES)))
    rates[:, :, :, 1] += 6.0 * (kinds >> 1)[..., None]
    rates[:, :, 2:, 2] += 6.0 * response[..., None]
    scores = np.stack([correct, correct, correct], axis=-1).astype(np.float32)
    trials = np.concatenate([np.arange(TRIALS // 2), np.arange(980, 1000)])  # both ends of long lives
    labels = {
        "life": np.arange(LIVES),
        "trial": trials,
        "step": 20.0 * np.arange(steps),
        "unit": ROLES,
        "score": np.array(["loss", "correct", "cost"]),
    }
    arrays = {"rates": rates.astype(np.float32), "kinds": kinds, "scores": scores}
    return Recording(arrays, labels, {"task": "01", "feedback_step": steps - 1, "network": {"dt_ms": 20.0}})


def case(center, initial):
    """Return a case of a run whose genomes did what is recorded, or raised an error."""

    def recorded(task, genome):
        found = {"center": center, "generation_0": initial}[genome]
        if isinstance(found, Exception):
            raise found
        return found

    task = SimpleNamespace(tables={"01": "0100"})
    problem = SimpleNamespace(withheld=("01",), settings=SimpleNamespace(task=task))
    return SimpleNamespace(search=SimpleNamespace(problem=problem), recorded=recorded)


def test_early_and_late_evolved_and_initial_are_rows_of_one_picture():
    section = decoding(case(recording(4), recording(4, seed=1)))
    axes = section.figures["decoding"].axes
    assert len(axes) == 4 * 4 + 1 and axes[0].get_ylabel().startswith("evolved, early, n = 100")
    assert section.numbers.keys() == {"early", "late", "initial", "trials", "bin_ms"}
    assert section.numbers["initial"].keys() == {"early", "late"}
    assert section.numbers["trials"] == {"early": [0, 19], "late": [980, 999]} and section.numbers["bin_ms"] == 20.0
    assert "Evolved, late in life on 01 (trials 980 to 999): stimulus 1 1.00" in section.sentences[1]
    json.dumps(section.numbers, allow_nan=False)


def test_the_response_is_held_against_chance_beyond_the_stimuli_alone():
    told = decoding(case(recording(4), recording(4, seed=1))).numbers["late"]
    assert told["response"]["threshold"] is None and told["response beyond stimuli"]["threshold"] > 0.5
    assert told["response beyond stimuli"]["matrix"][3][3] > told["response beyond stimuli"]["threshold"]
    assert told["stimulus 2"]["matrix"][3][3] < 0.8 < told["stimulus 1"]["matrix"][3][3]


def test_long_trials_are_averaged_over_bins_and_say_so():
    section = decoding(case(recording(250), UserError("lives on 01 end in activity that is not finite")))
    matrix = section.numbers["late"]["stimulus 1"]["matrix"]
    assert len(matrix) == 84 and section.numbers["bin_ms"] == 60.0
    assert "Activity is averaged over bins of 3 steps, 60 ms." in section.sentences
    assert section.sentences[-1] == "Initial genome: lives on 01 end in activity that is not finite."
    axes = section.figures["decoding"].axes[0]
    assert axes.get_xlim() == (0, 5000) and {line.get_xdata()[0] for line in axes.lines} == {0, 249 * 20.0}


def test_a_network_that_is_always_right_tells_nothing_beyond_the_stimuli():
    section = decoding(case(recording(4, always_right=True), recording(4)))
    assert "response beyond stimuli" not in section.numbers["late"] and "response" in section.numbers["late"]
    said = [each for each in section.sentences if "always labelled alike" in each or "all labelled alike" in each]
    assert len(said) == 2 and said[0].startswith("Evolved, early, response beyond stimuli:")


@pytest.mark.parametrize("tables", [None, 3])
def test_tasks_without_truth_tables_have_nothing_to_decode(tables):
    settings = SimpleNamespace(task=SimpleNamespace(tables=tables))
    search = SimpleNamespace(problem=SimpleNamespace(settings=settings))
    assert "no truth tables" in decoding(SimpleNamespace(search=search)).sentences[0]
