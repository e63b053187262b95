"""The effective rule is read from recordings: the terms that made it, or that it is not in the dictionary."""

import json
from functools import lru_cache

import numpy as np
import pytest

from evoplastic.analysis import rule_samples
from evoplastic.analysis.record import RecordRequest, record
from evoplastic.analysis.rule_reading import READ, STILL, UNREAD, read_rule
from evoplastic.config import read_config
from evoplastic.errors import UserError
from evoplastic.evolution import Search
from evoplastic.recordings import Recording

LIVES, TRIALS, STEPS, UNITS, SYNAPSES = 4, 32, 5, 10, 16
FIRST, BOUND, SHARE = 4, 3.0, 0.4  # first trial that is recorded, of the weights, of traces
RULE = {"type": "polynomial", "trace_tau_ms": 50.0, "bound": BOUND, "burn_in_trials": 0}
POWERS = [(a, b, d, "") for a in range(3) for b in range(3) for d in range(2)]
TERMS = [(gated, *rest) for gated in (0, 1) for rest in [*POWERS, (0, 0, 0, "x y"), (0, 0, 0, "x xi")]]


def name_of(term):
    gated, a, b, d, trace = term
    powers = [f"{symbol}^{power}".removesuffix("^1") for symbol, power in zip("xyP", (a, b, d)) if power]
    return " ".join(["m"] * gated + powers + [f"E[{trace}]"] * bool(trace)) or "1"


def lived(rng, gated):
    """Return rates (L, time, N) that move together and slowly, third factors (L, time), and noise."""
    time = TRIALS * STEPS
    shared, own, level = np.zeros((LIVES, 3)), np.zeros((LIVES, UNITS)), 0.4 * rng.normal(size=UNITS)
    mixing, third = 0.5 * rng.normal(size=(3, UNITS)), np.zeros(LIVES)
    rates, factors = np.empty((LIVES, time, UNITS)), np.zeros((LIVES, time))
    for step in range(time):
        shared = 0.8 * shared + 0.6 * rng.normal(size=shared.shape)
        own = 0.6 * own + 0.4 * rng.normal(size=own.shape)
        third = 0.8 * third + 0.6 * rng.normal(size=LIVES)
        rates[:, step] = np.tanh(shared @ mixing + own + level)
        factors[:, step] = (0.3 + third) * (not gated or step % STEPS == STEPS - 2)
    noise = np.where(rng.random(rates.shape) < 0.1, rng.uniform(-0.5, 0.5, rates.shape), 0.0)
    return rates, factors, noise


def worth(term, x, y, weight, traces, m):
    """Return what a term of coefficient 1 adds, from its equation."""
    gated, a, b, d, trace = term
    return (m if gated else 1.0) * x**a * y**b * weight**d * (traces[trace] if trace else 1.0)


def written(rates, factors, noise, synapses, terms, coefficients, weight):
    """Return the weights (L, time, M) after each step under sums of terms, and each term's mean square where m acts."""
    before, weights, squares = np.zeros((LIVES, UNITS)), [], []
    traces = {"x y": np.zeros(weight.shape), "x xi": np.zeros(weight.shape)}
    for step in range(rates.shape[1]):
        x, y, xi = before[:, synapses[:, 0]], rates[:, step, synapses[:, 1]], noise[:, step, synapses[:, 1]]
        traces["x y"] = (1.0 - SHARE) * traces["x y"] + SHARE * x * y
        traces["x xi"] = (1.0 - SHARE) * (traces["x xi"] + x * xi)
        m = factors[:, step, None]
        if m.any():
            each = [np.broadcast_to(worth(term, x, y, weight, traces, m), weight.shape) for term in terms]
            squares.append([np.mean(one**2) for one in each])
            weight = np.clip(weight + sum(c * one for c, one in zip(coefficients, each)), -BOUND, BOUND)
            weight = weight.astype(np.float32).astype(np.float64)
        weights.append(weight)
        before = rates[:, step]
    return np.stack(weights, axis=1), np.mean(squares, axis=0)


def random_rule(seed):
    """Return the coefficients by name of a random rule of 1 to 3 terms, and its recording."""
    rng = np.random.default_rng(seed)
    gated = bool(rng.integers(2))  # acts in one step of a trial
    rates, factors, noise = lived(rng, gated)
    pool = [term for term in TERMS if term[0] or not gated]
    terms = [pool[number] for number in rng.permutation(len(pool))[: rng.integers(1, 4)]]
    drawn = rng.permutation(UNITS * UNITS)[:SYNAPSES]
    synapses = np.column_stack([drawn // UNITS, drawn % UNITS])
    start = 0.7 * rng.normal(size=(LIVES, SYNAPSES))
    squares = written(rates[:, :60], factors, noise, synapses, terms, np.zeros(len(terms)), start)[1]
    size = rng.uniform(0.3, 1.0, len(terms)) * rng.choice([-1.0, 1.0], len(terms)) * (0.05 if gated else 0.01)
    coefficients = size / np.sqrt(squares)
    weights = written(rates, factors, noise, synapses, terms, coefficients, start)[0]
    truth = dict(zip(map(name_of, terms), coefficients))
    return truth, recording_of(rates, factors, noise, synapses, weights)


def recording_of(rates, factors, noise, synapses, weights, rule=RULE, first=FIRST):
    """Return a recording of what happened from trial `first` on."""

    def by_trial(values):
        return values.reshape(len(values), -1, STEPS, values.shape[-1])[:, first:].astype(np.float32)

    arrays = {
        "rates": by_trial(rates),
        "noise": by_trial(noise),
        "modulators": by_trial(factors[:, :, None]),
        "followed": by_trial(weights),
        "synapses": synapses,
    }
    arrays["scores"] = np.zeros((*arrays["rates"].shape[:2], 3), np.float32)
    lives, trials = arrays["rates"].shape[:2]
    labels = {
        "life": np.arange(lives),
        "trial": np.arange(first, first + trials),
        "step": 20.0 * np.arange(STEPS),
        "unit": np.full(UNITS, "hidden"),
        "channel": np.array(["reward"]),
        "score": np.array(["loss", "correct", "cost"]),
        "synapse": np.arange(len(synapses)),
        "end": np.array(["pre", "post"]),
    }
    return Recording(arrays, labels, {"rule": rule, "network": {"dt_ms": 20.0}, "reset_activity": False})


def changed(recording, **arrays):
    """Return a recording with other arrays, and the labels that fit them."""
    arrays = {**recording.arrays, **arrays}
    trials, synapses = arrays["followed"].shape[1], arrays["followed"].shape[3]
    labels = recording.labels | {"trial": recording.labels["trial"][:trials], "synapse": np.arange(synapses)}
    return Recording(arrays, labels, recording.about)


def noisy(recording, seed):
    """Return the recording with weights measured with errors, a twentieth of what changes are."""
    weights = recording.arrays["followed"].astype(np.float64)
    steps = np.diff(weights.reshape(LIVES, -1, weights.shape[-1]), axis=1)
    size = 0.05 * np.sqrt(np.mean(steps[steps != 0.0] ** 2))
    return changed(recording, followed=weights + size * np.random.default_rng(seed).normal(size=weights.shape))


def subsampled(recording):
    """Return the first half of the trials, and a third of the synapses."""
    halved = {name: each[:, : TRIALS // 2] for name, each in recording.arrays.items() if name != "synapses"}
    halved["followed"] = halved["followed"][..., : SYNAPSES // 3]
    return changed(recording, **halved, synapses=recording.arrays["synapses"][: SYNAPSES // 3])


CONDITIONS = {
    "clean": lambda recording, seed: recording,
    "noisy": noisy,
    "subsampled": lambda recording, seed: subsampled(recording),
}


@lru_cache
def random_rules():
    return [random_rule(seed) for seed in range(200)]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_terms_of_random_rules_and_their_coefficients_are_read(condition):
    named = false = incomplete = 0
    errors = []
    for seed, (truth, recording) in enumerate(random_rules()):
        reading = read_rule(CONDITIONS[condition](recording, seed))
        found = {term.name: term.coefficient for term in reading.terms}
        named, false = named + len(found), false + len(found.keys() - truth.keys())
        incomplete += bool(truth.keys() - found.keys())
        errors += [abs(found[name] / truth[name] - 1.0) for name in truth.keys() & found.keys()]
        assert 1.0 <= reading.dictionary_condition < 1e3
    assert false <= 0.05 * named
    assert incomplete <= 10
    assert max(errors) <= 0.05


def by_a_threshold(x, y, weight, m, hidden):
    """BCM: the threshold follows the square of what the receiving unit sends."""
    return 0.1 * m * x * y * (y - hidden), hidden + 0.1 * (y**2 - hidden)


def by_a_chain(x, y, weight, m, hidden):
    """Hebb, and a store behind the weight that it fills and that refills it."""
    return 0.05 * m * x * y - 0.1 * (weight - hidden), hidden + 0.05 * (weight - hidden)


def by_tiring(x, y, weight, m, hidden):
    """The weight is as strong as the sending unit is rested."""
    rested = hidden + 0.1 * (1.0 - hidden) - 0.3 * hidden * np.maximum(x, 0.0)
    return np.where(weight >= 0, 1.0, -1.0) * (rested - hidden), rested


@pytest.mark.parametrize("condition", ["clean", "noisy"])
@pytest.mark.parametrize("rule", [by_a_threshold, by_a_chain, by_tiring])
def test_rules_with_hidden_variables_are_not_in_the_dictionary(rule, condition):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rates, factors, noise = lived(rng, gated=seed % 2 == 1)
        drawn = rng.permutation(UNITS * UNITS)[:SYNAPSES]
        synapses = np.column_stack([drawn // UNITS, drawn % UNITS])
        weight, weights = 0.5 * rng.normal(size=(LIVES, SYNAPSES)), []
        hidden = np.zeros_like(weight)
        for step in range(rates.shape[1]):
            x, y = rates[:, step - 1, synapses[:, 0]] * (step > 0), rates[:, step, synapses[:, 1]]
            change, hidden = rule(x, y, weight, factors[:, step, None], hidden)
            weight = weight + change
            weights.append(weight)
        recording = recording_of(rates, factors, noise, synapses, np.stack(weights, axis=1))
        reading = read_rule(CONDITIONS[condition](recording, seed))
        assert (reading.verdict, reading.terms, reading.equation) == (UNREAD, (), ""), (seed, reading)


def recorded(rule, modulation, lesion="none", first=0):
    """Return what our own kernels did, in small."""
    settings = [
        "problem.network.units=13",
        "problem.task.trials=12",
        "problem.scored_trials=4",
        f"problem.rule={rule}",
        f"problem.modulation={modulation}",
    ]
    search = Search.of(read_config("quickstart", settings, seed=3))
    request = RecordRequest("or", lives=2, first=first, every=3, synapses=30, lesion=lesion)
    center = search.start().center
    return record(search, center + 0.2 * np.random.default_rng(0).normal(size=len(center)), request, {})


ALWAYS, FED = '{type="network_controlled"}', '{type="loss"}'
POLYNOMIAL = """{type="polynomial", trace_tau_ms=50.0, burn_in_trials=1, terms=[
    {name="late", coefficient=0.2, trace=true}, {name="decay", coefficient=-0.1, pre=2, weight=1},
    {name="up", coefficient=0.02, pre=1}]}""".replace("\n", "")
OURS = {
    "oja": ('{type="oja", eta=0.2}', ALWAYS, {"m x y": 0.2, "m y^2 P": -0.2}),
    "decaying_hebb": ('{type="decaying_hebb", eta=0.1, bound=0.2}', ALWAYS, {"m x y": 0.1, "P": -0.01}),
    "clipped_hebb": ('{type="clipped_hebb", eta=0.03}', ALWAYS, {"m x y": 0.03}),
    "fan_out": ('{type="fan_out", u=0.3, c=0.002}', ALWAYS, {"m E[x y]": 0.3, "E[x y]": 0.002}),
    "polynomial": (POLYNOMIAL, ALWAYS, {"m E[x y]": 0.2, "m x^2 P": -0.1, "m x": 0.02}),
    "node": ('{type="node_perturbation", eta=0.3, burn_in_trials=2, quiet_trials=1}', FED, {"m E[x xi]": 0.3}),
    "trial": (
        '{type="node_perturbation", trace="trial", eta=0.1, burn_in_trials=2, quiet_trials=1}',
        FED,
        {"m E[x xi]": 0.1},
    ),
}


@pytest.mark.parametrize("name", OURS)
def test_our_own_rules_are_read_from_what_they_do(name):
    rule, modulation, truth = OURS[name]
    reading = read_rule(recorded(rule, modulation))
    assert reading.verdict == READ
    assert {term.name: pytest.approx(term.coefficient, rel=1e-4) for term in reading.terms} == truth
    assert all(term.error < 1e-3 * abs(term.coefficient) for term in reading.terms)
    assert reading.explained > 0.999999 and reading.blocks >= 5
    left = {reason for reason, count in reading.left_out.items() if count}
    assert ("weight at its bound" in left) == (name in ("decaying_hebb", "clipped_hebb", "fan_out"))
    assert ("burn-in" in left) == (name in ("polynomial", "node", "trial"))


@pytest.mark.parametrize("rule", ["bcm", "consolidation"])
def test_our_own_rules_with_hidden_variables_are_not_in_the_dictionary(rule):
    reading = read_rule(recorded(f'{{type="{rule}"}}', ALWAYS))
    assert (reading.verdict, reading.terms, reading.equation) == (UNREAD, (), "")
    assert reading.dictionary_condition > 1.0 and reading.samples > 10_000


def test_the_equation_is_written_as_rules_are():
    oja, fan, node = (read_rule(recorded(*OURS[name][:2])).equation for name in ("oja", "fan_out", "node"))
    assert oja == "P <- clip(P + 0.2 m x y - 0.2 m y^2 P)"
    assert fan == "P <- clip(P + 0.002 E[x y] + 0.3 m E[x y]);  E[x y] <- 0.8 E[x y] + 0.2 x y"
    assert node == "P <- P + clip(0.3 m E[x xi]);  E[x xi] <- 0.98 (E[x xi] + x xi)"


def test_a_lesion_that_puts_activity_to_rest_is_read_as_such():
    """What was sent in the last step of the trial before is not what the first step's senders sent."""
    rule, modulation, truth = OURS["fan_out"]
    reading = read_rule(recorded(rule, modulation, lesion="activity_reset"))
    assert {term.name for term in reading.terms} == set(truth) and reading.explained > 0.999999


def test_a_window_leaves_out_the_steps_whose_past_it_has_not():
    rule, modulation, truth = OURS["fan_out"]
    recording = recorded(rule, modulation, first=3)
    reading = read_rule(recording)
    assert {term.name for term in reading.terms} == set(truth)
    assert reading.left_out["past not recorded"] == 2 * 30 * 36  # 1 + 7 time constants of 100 ms in steps of 20 ms


@pytest.mark.parametrize(("name", "lost"), [("fan_out", 36), ("oja", 1)])
def test_two_windows_are_read_without_what_lies_between(name, lost):
    """Lost are the steps after the gap whose past matters: 1 + 7 time constants of 100 ms in steps of 20 ms, or 1."""
    rule, modulation, truth = OURS[name]
    whole = recorded(rule, modulation)
    kept = [0, 1, 2, 3, 8, 9, 10, 11]
    arrays = {
        each: whole.arrays[each][:, kept] for each in ("rates", "noise", "modulators", "kinds", "followed", "scores")
    }
    reading = read_rule(Recording({**whole.arrays, **arrays}, whole.labels | {"trial": np.array(kept)}, whole.about))
    assert {term.name: pytest.approx(term.coefficient, rel=1e-4) for term in reading.terms} == truth
    assert reading.left_out["past not recorded"] == 2 * 30 * lost


def test_third_factors_are_called_by_their_names_where_there_are_several():
    truth, recording = random_rule(1)
    factors = recording.arrays["modulators"]
    both = np.concatenate([np.ones_like(factors), factors], axis=-1)
    labels = recording.labels | {"channel": np.array(["dopamine", "novelty"])}
    reading = read_rule(Recording({**recording.arrays, "modulators": both}, labels, recording.about))
    named = {" ".join("novelty" if word == "m" else word for word in name.split()) for name in truth}
    assert {term.name for term in reading.terms} == named
    assert reading.alike["dopamine x y"] == "x y"


def test_more_samples_than_are_fitted_are_thinned_by_whole_trials_of_synapses(monkeypatch):
    recording = recorded(*OURS["fan_out"][:2])
    whole = read_rule(recording)
    monkeypatch.setattr(rule_samples, "MOST_SAMPLES", 6000)
    part = read_rule(recording)
    assert [term.name for term in part.terms] == [term.name for term in whole.terms]
    assert 4000 < part.samples <= 6100 and part.blocks == whole.blocks
    assert part.samples + part.left_out["thinned"] == whole.samples


def test_samples_and_those_left_out_are_all_there_are():
    _, recording = random_rule(2)
    scores = recording.arrays["scores"].copy()
    scores[1, 20:] = np.nan
    reading = read_rule(changed(recording, scores=scores))
    assert reading.samples + sum(reading.left_out.values()) == recording.arrays["followed"].size
    acting = int(recording.arrays["modulators"][1, 20:].any(axis=2).sum())
    assert reading.left_out["life ended"] == acting * SYNAPSES > 0


def test_weights_that_do_not_change_are_said_to():
    _, recording = random_rule(3)
    reading = read_rule(changed(recording, followed=np.ones_like(recording.arrays["followed"])))
    assert (reading.verdict, reading.terms, reading.explained) == (STILL, (), None)


def test_a_reading_is_plain_numbers():
    reading = read_rule(random_rule(4)[1])
    told = json.loads(json.dumps(reading.to_json(), allow_nan=False))
    assert told["terms"][0].keys() == {"name", "coefficient", "error"}
    assert told["samples"] == reading.samples and told["verdict"] == READ


def test_too_few_trials_or_synapses_are_refused_in_a_sentence():
    _, recording = random_rule(5)
    arrays = recording.arrays
    short = {name: each[:1, :4] for name, each in arrays.items() if name != "synapses"}
    with pytest.raises(UserError, match=r"in 5 blocks of trials or more, got 16 synapses and \d blocks; record more"):
        read_rule(changed(recording, **short))
    with pytest.raises(UserError, match="got 0 synapses"):
        read_rule(changed(recording, followed=arrays["followed"][..., :0], synapses=arrays["synapses"][:0]))
