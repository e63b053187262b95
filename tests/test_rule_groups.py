"""Rules whose coefficients differ between synapses are read group by group, or told as they are set."""

import json

import numpy as np
import pytest
from test_rule_reading import LIVES, SYNAPSES, TERMS, lived, name_of, noisy, recording_of, written

from evoplastic.analysis.record import RecordRequest, record
from evoplastic.analysis.rule_groups import grouped_rule, read_groups
from evoplastic.analysis.rule_reading import READ, UNREAD, read_rule
from evoplastic.config import read_config
from evoplastic.evolution import Search
from evoplastic.recordings import Recording

ROLES = np.array(["hidden"] * 5 + ["response"] * 5)
RULES = 12


def planted(seed, gated):
    """Return the coefficients by projection and term of a random rule, and its recording."""
    rng = np.random.default_rng(seed)
    rates, factors, noise = lived(rng, gated)
    pool = [term for term in TERMS if term[0] or not gated]
    terms = [pool[number] for number in rng.permutation(len(pool))[: rng.integers(1, 4)]]
    blocks = [(pre, post) for pre in (0, 5) for post in (0, 5)]
    each = [rng.permutation(25)[: SYNAPSES // 2] for _ in blocks]
    synapses = np.concatenate(
        [np.column_stack([pre + drawn // 5, post + drawn % 5]) for (pre, post), drawn in zip(blocks, each)]
    )
    of = np.repeat(np.arange(4), SYNAPSES // 2)
    start = 0.7 * rng.normal(size=(LIVES, len(synapses)))
    squares = written(rates[:, :60], factors, noise, synapses, terms, np.zeros(len(terms)), start)[1]
    size = rng.uniform(0.3, 1.0, (len(terms), 4)) * rng.choice([-1.0, 1.0], (len(terms), 4))
    coefficients = size * (0.05 if gated else 0.01) / np.sqrt(squares)[:, None]
    weights = written(rates, factors, noise, synapses, terms, coefficients[:, of], start)[0]
    whole = recording_of(rates, factors, noise, synapses, weights)
    names = [f"{ROLES[pre]} -> {ROLES[post]}" for pre, post in blocks]
    truth = {group: dict(zip(map(name_of, terms), coefficients[:, column])) for column, group in enumerate(names)}
    return truth, Recording(whole.arrays, whole.labels | {"unit": ROLES}, whole.about)


@pytest.mark.parametrize("condition", ["clean", "noisy"])
def test_coefficients_of_projections_are_read_projection_by_projection(condition):
    named = false = incomplete = one_for_all = 0
    errors = []
    for seed in range(RULES):
        truth, recording = planted(seed, gated=seed % 2 == 1)
        recording = noisy(recording, seed) if condition == "noisy" else recording
        one_for_all += read_rule(recording).verdict == READ
        readings, unread = read_groups(recording, "projection")
        assert not unread and readings.keys() == truth.keys()
        for group, reading in readings.items():
            found = {term.name: term.coefficient for term in reading.terms}
            named, false = named + len(found), false + len(found.keys() - truth[group].keys())
            incomplete += bool(truth[group].keys() - found.keys())
            errors += [abs(found[name] / truth[group][name] - 1.0) for name in truth[group].keys() & found.keys()]
    assert false <= 0.05 * named
    assert incomplete <= 0.05 * 4 * RULES
    assert max(errors) <= 0.05
    assert one_for_all <= 0.05 * RULES


def test_coefficients_of_receiving_types_are_read_by_receiving_type():
    _, recording = planted(1, gated=False)
    readings, _ = read_groups(recording, "cell_type")
    assert readings.keys() == {"all -> hidden", "all -> response"}
    assert {reading.verdict for reading in readings.values()} == {UNREAD}, "projections differ within these"


def test_a_group_with_too_few_samples_is_said_to_be_one():
    _, recording = planted(1, gated=True)
    arrays = {**recording.arrays, "followed": recording.arrays["followed"][..., 7:9]}
    arrays["synapses"] = recording.arrays["synapses"][7:9]
    readings, unread = read_groups(
        Recording(arrays, recording.labels | {"synapse": np.arange(2)}, recording.about), "projection"
    )
    assert not readings and unread == dict.fromkeys(["hidden -> hidden", "hidden -> response"], "too few samples")


def searched(sharing):
    settings = [
        "problem.network.units=16",
        "problem.task.trials=12",
        "problem.scored_trials=4",
        'problem.rule={type="oja", eta=0.2}',
        'problem.modulation={type="network_controlled"}',
        f'problem.genome.rule.eta={{sharing="{sharing}", initial=0.2, spread=0.1}}',
    ]
    search = Search.of(read_config("quickstart", settings, seed=3))
    center = search.start().center
    center = center + 0.1 * np.random.default_rng(0).normal(size=len(center))
    return search, center, record(search, center, RecordRequest("or", lives=2, every=3, synapses=200), {})


@pytest.mark.parametrize("sharing", ["cell_type", "projection"])
def test_our_own_rule_with_coefficients_of_groups_is_read_in_each(sharing):
    search, center, recording = searched(sharing)
    assert read_rule(recording).verdict == UNREAD
    told = grouped_rule(recording, search.problem, center)
    eta = np.broadcast_to(search.problem.layout.unpack(center)["rule.eta"], (16, 16))
    roles = recording.labels["unit"].tolist()
    assert [(each.name, each.sharing) for each in told.as_set] == [("eta", sharing)]
    read = {name: reading for name, reading in told.readings.items() if reading.verdict == READ}
    assert len(read) >= 3
    for group, reading in read.items():
        sender, receiver = group.split(" -> ")
        pre = 0 if sender == "all" else roles.index(sender)
        for term in reading.terms:
            assert abs(term.coefficient) == pytest.approx(eta[pre, roles.index(receiver)], rel=0.05)
    assert "as they are set: eta" in told.sentences()[0] and f"{len(read)} of" in told.sentences()[1]
    assert told.rows()[0] == ("synapses", "term", "coefficient", "standard error") and len(told.rows()) > len(read)
    assert json.loads(json.dumps(told.to_json(), allow_nan=False))["as_set"][0]["sharing"] == sharing


@pytest.mark.parametrize("sharing", ["neuron", "synapse"])
def test_coefficients_of_units_and_synapses_are_told_by_quartiles(sharing):
    search, center, recording = searched(sharing)
    told = grouped_rule(recording, search.problem, center)
    eta = search.problem.layout.unpack(center)["rule.eta"]
    free = np.isin(recording.labels["unit"], ["hidden", "modulator", "response"])
    np.testing.assert_allclose(told.as_set[0][2:], np.quantile(eta[:, free], (0.25, 0.5, 0.75)))
    assert not told.readings and not told.rows() and len(told.sentences()) == 1


def test_one_coefficient_for_all_is_nothing_to_group():
    search, center, recording = searched("scalar")
    assert grouped_rule(recording, search.problem, center) is None
