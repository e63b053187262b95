"""Rules that are sums of terms: each against its own equation in numpy, and against what theory says of it."""

import msgspec
import numpy as np
import pytest
from driven import Driven

from evoplastic.errors import UserError
from evoplastic.problems.lifetimes import LifetimesSettings
from evoplastic.rules import RULES
from evoplastic.rules.coefficients import CoefficientSettings, coefficient_blocks
from evoplastic.rules.polynomial import PolynomialSettings
from evoplastic.rules.rows import ROWS
from evoplastic.rules.term_settings import Coefficient, Term, settings_of

UNITS, STEPS, DT = 11, 60, 20.0
TRACE_TAU, MEAN_TAU = 80.0, 160.0  # k = 1/4, and 1/8 of the running means
SHAPES = {"rule": (1, 1), "unit": (1, UNITS), "synapse": (UNITS, UNITS)}

# What a rule adds to P (pre, post) in a step, from its equation: x is a column, y a row, c its coefficients.
CHANGES = {
    "abcd": lambda c, x, y, P, E, m: m * (c["A"] * x * y + c["B"] * x + c["C"] * y + c["D"]),
    "abcd_rate": lambda c, x, y, P, E, m: c["eta"] * m * (c["A"] * x * y + c["B"] * x + c["C"] * y + c["D"]),
    "anti_hebb": lambda c, x, y, P, E, m: -c["eta"] * m * x * y,
    "clipped_hebb": lambda c, x, y, P, E, m: c["eta"] * m * x * y,
    "covariance": lambda c, x, y, P, E, m: c["eta"] * m * x * y,
    "decaying_hebb": lambda c, x, y, P, E, m: c["eta"] * m * x * y - c["decay"] * P,
    "fan_out": lambda c, x, y, P, E, m: (c["u"] * m + c["c"]) * E,
    "floreano_plain": lambda c, x, y, P, E, m: c["eta"] * m * (1 - P) * x * y,
    "floreano_post": lambda c, x, y, P, E, m: c["eta"] * m * (P * (x - 1) * y + (1 - P) * x * y),
    "floreano_pre": lambda c, x, y, P, E, m: c["eta"] * m * (P * x * (y - 1) + (1 - P) * x * y),
    "hebbian": lambda c, x, y, P, E, m: c["eta"] * m * E,
    "heterosynaptic": lambda c, x, y, P, E, m: c["eta"] * m * x * y - c["beta"] * y**4 * (P - c["w0"]),
    "instar": lambda c, x, y, P, E, m: c["eta"] * m * y * (x - P),
    "oja": lambda c, x, y, P, E, m: c["eta"] * m * y * (x - y * P),
    "outstar": lambda c, x, y, P, E, m: c["eta"] * m * x * (y - P),
    "running_mean": lambda c, x, y, P, E, m: (1 - c["eta"]) * P + c["eta"] * x * y - P,
}


class ByEquation:
    """A rule among units, float64, matrices [pre, post], stepped like `Driven`."""

    def __init__(self, change, coefficients, bound, centered=False):
        self.change, self.coefficients, self.bound, self.centered = change, coefficients, bound, centered
        self.P, self.E = np.zeros((UNITS, UNITS)), np.zeros((UNITS, UNITS))
        self.xbar, self.ybar = np.zeros(UNITS), np.zeros(UNITS)

    def step(self, before, rates, *modulators):
        x, y = before - self.centered * self.xbar, rates - self.centered * self.ybar
        self.xbar, self.ybar = self.xbar + DT / MEAN_TAU * x, self.ybar + DT / MEAN_TAU * y
        self.E = (1 - DT / TRACE_TAU) * self.E + DT / TRACE_TAU * np.outer(x, y)
        m = modulators[0] if len(modulators) == 1 else modulators
        self.P += self.change(self.coefficients, x[:, None], y[None, :], self.P, self.E, m)
        self.P = np.clip(self.P, -self.bound, self.bound)
        return self.P


def rates_and_factors(seed, channels=1):
    """Yield (before, rates, *third factors) of random steps, some units silent, the third factors sometimes 0."""
    rng = np.random.default_rng(seed)
    before = rng.uniform(-1, 1, UNITS)
    for _ in range(STEPS):
        rates = np.where(rng.random(UNITS) < 0.2, 0.0, rng.uniform(-1, 1, UNITS))
        yield before, rates, *np.where(rng.random(channels) < 0.2, 0.0, rng.uniform(-1, 1, channels))
        before = rates


def timing(kind):
    """Return those of the time constants of the tests that a rule's settings have."""
    return {
        name: tau
        for name, tau in (("trace_tau_ms", TRACE_TAU), ("mean_tau_ms", MEAN_TAU))
        if name in kind.__struct_fields__
    }


def agree(driven, oracle, seed, channels=1):
    """Assert that a rule and its equation write the same weights at every step; return the weights."""
    for before, rates, *modulators in rates_and_factors(seed, channels):
        ours, theirs = driven.step(before, rates, *modulators), oracle.step(before, rates, *modulators)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-6 * max(1.0, np.abs(theirs).max()))
    assert not driven.plastic[:, UNITS:].any(), "padding must stay 0"
    return theirs


def test_every_row_has_an_equation_here():
    assert set(CHANGES) == {row.name for row in ROWS}


@pytest.mark.parametrize("bound", [100.0, 0.05])
@pytest.mark.parametrize("grain", SHAPES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_writes_what_its_equation_says(row, grain, bound):
    rng = np.random.default_rng(len(row.name))
    values = {}
    for name, known in row.coefficients.items():
        most = min(known.most, 0.3)
        values[name] = rng.uniform(max(known.least, -most), most, SHAPES[grain])
    kind = RULES[row.name]
    driven = Driven(kind, UNITS, values=values, bound=bound, every_step=True, dt_ms=DT, **timing(kind))
    oracle = ByEquation(CHANGES[row.name], values, bound, row.centered)
    written = np.abs(agree(driven, oracle, seed=1))
    assert (written.max() == bound) == (bound < 1), "both what is clipped and what is not must be tried"


@pytest.mark.parametrize("name", CHANGES)
def test_coefficients_that_no_genome_holds_are_those_of_the_settings(name):
    kind = RULES[name]
    row = next(row for row in ROWS if row.name == name)
    given = {known: 0.03 + 0.01 * number for number, known in enumerate(row.coefficients)}
    driven = Driven(kind, UNITS, every_step=True, dt_ms=DT, **given, **timing(kind))
    agree(driven, ByEquation(CHANGES[name], given, row.bound, row.centered), seed=2)


def general(terms):
    """Return the change of a sum of terms as a function like those of CHANGES."""

    def change(c, x, y, P, E, m):
        total = np.zeros_like(P)
        for term in terms:
            factor = c[term["name"]] * (m[int(term["channel"] == "second")] if term["gated"] else 1.0)
            local = E if term["trace"] else x ** term["pre"] * y ** term["post"] * P ** term["weight"]
            total = total + factor * local
        return total

    return change


def polynomial(terms, values, channels, **settings):
    """Return a driven rule of these terms, as a run file has them."""
    read = msgspec.convert({"type": "polynomial", "terms": terms, **settings}, PolynomialSettings)
    return Driven(lambda: read, UNITS, values=values, channels=channels, dt_ms=DT)


@pytest.mark.parametrize("grain", SHAPES)
@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("most", [1, 4])
def test_a_polynomial_writes_the_sum_of_its_terms(grain, traced, most):
    rng = np.random.default_rng(most + 10 * traced)
    terms = []
    for number in range(5):
        powers = {what: int(rng.integers(most + 1)) for what in ("pre", "post", "weight")}
        gated = number != 2
        channel = ("", "first", "second", "")[number % 4] if gated else ""
        terms.append({"name": f"t{number}", **powers, "trace": False, "gated": gated, "channel": channel})
        terms[-1]["coefficient"] = 0.0  # the genome's stand in its place
    if traced:
        terms[3] |= {"pre": 0, "post": 0, "weight": 0, "trace": True}
    values = {term["name"]: rng.uniform(-0.1, 0.1, SHAPES[grain]) for term in terms}
    driven = polynomial(terms, values, ("first", "second"), bound=0.8, trace_tau_ms=TRACE_TAU)
    agree(driven, ByEquation(general(terms), values, 0.8), seed=3, channels=2)


def test_a_polynomial_of_means_takes_them_off():
    terms = [{"name": "hebb", "pre": 1, "post": 1, "coefficient": 0.1}]
    driven = polynomial(terms, {}, ("m",), mean_tau_ms=MEAN_TAU)
    agree(driven, ByEquation(CHANGES["covariance"], {"eta": 0.1}, 100.0, centered=True), seed=4)


# ---- settings


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ([], "one or more"),
        ([{"name": "a", "coefficient": 1}, {"name": "a", "coefficient": 2}], "'a' twice"),
        ([{"name": "a", "coefficient": 1, "trace": True, "pre": 1}], "'a' has a trace and powers"),
        ([{"name": "a"}], "coefficient"),
        ([{"name": "a", "coefficient": 1, "pre": 5}], "<= 4"),
        ([{"name": "a", "coefficient": 1, "post": -1}], ">= 0"),
        ([{"name": "a b", "coefficient": 1}], "regex"),
        ([{"name": "bound", "coefficient": 1}], "cannot be named 'bound'"),
        ([{"name": "a", "coefficient": 1, "gated": False, "channel": "m"}], "'a' names channel 'm' and is not gated"),
    ],
)
def test_terms_that_make_no_sense_are_refused_in_a_sentence(terms, told):
    with pytest.raises(msgspec.ValidationError, match=told):
        msgspec.convert({"type": "polynomial", "terms": terms}, PolynomialSettings)


def test_a_row_has_no_setting_that_it_does_not_use():
    with pytest.raises(msgspec.ValidationError, match="trace_tau_ms"):
        msgspec.convert({"type": "oja", "trace_tau_ms": 100.0}, RULES["oja"])
    assert RULES["hebbian"](trace_tau_ms=50.0).trace_tau_ms == 50.0


@pytest.mark.parametrize(("name", "setting"), [("oja", "eta"), ("decaying_hebb", "decay"), ("heterosynaptic", "beta")])
def test_a_share_above_one_is_refused(name, setting):
    with pytest.raises(msgspec.ValidationError, match=setting):
        msgspec.convert({"type": name, setting: 1.01}, RULES[name])


@pytest.mark.parametrize(("name", "setting"), [("fan_out", "trace_tau_ms"), ("covariance", "mean_tau_ms")])
def test_a_time_constant_shorter_than_a_step_is_refused(name, setting):
    with pytest.raises(UserError, match=rf"problem\.rule\.{setting} must be at least .*dt_ms = 20\.0, got 10"):
        Driven(name, UNITS, **{setting: 10.0})


@pytest.mark.parametrize(
    "term", [Term(("eta",), trace=1, pre=1), Term(("eta",), post=5), Term(("eta",), trace=2), Term(("rate",), pre=1)]
)
def test_a_row_that_means_nothing_is_refused(term):
    with pytest.raises(ValueError, match="row 'mine': a term"):
        settings_of(ROWS[0]._replace(name="mine", coefficients={"eta": Coefficient(0.1)}, terms=(term,)))


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({"eta": {"bounds": [-3, 7]}}, "problem.genome.rule.eta.bounds must lie in the coefficient's own, 0 to 1, got"),
        ({"eta": {"initial": 1.5}}, "problem.genome.rule.eta.initial must be 0 to 1, got 1.5"),
        ({"etaa": {}}, "did you mean 'eta'?"),
    ],
)
def test_a_coefficient_of_a_genome_stays_in_the_range_of_the_rule_s(held, told):
    rule = RULES["running_mean"]()
    settings = {name: msgspec.convert(value, CoefficientSettings) for name, value in held.items()}
    with pytest.raises(UserError) as caught:
        coefficient_blocks(rule, settings, np.zeros(UNITS, np.int64), 1)
    assert told in str(caught.value)


def test_an_unknown_third_factor_is_refused_by_name():
    with pytest.raises(UserError, match=r"'rewrad'.*did you mean 'reward'"):
        Driven("oja", UNITS, channel="rewrad", channels=("loss", "reward"))


def test_a_rule_listens_to_its_own_third_factor():
    driven = Driven("clipped_hebb", 2, eta=0.5, channel="reward", channels=("loss", "reward"))
    np.testing.assert_allclose(driven.step([1, 0], [0, 1], 0.0, 0.4)[0, 1], 0.2, rtol=1e-6)
    np.testing.assert_allclose(driven.step([1, 0], [0, 1], 9.0, 0.0)[0, 1], 0.2, rtol=1e-6)


def test_a_genome_may_hold_the_coefficients_of_named_terms():
    problem = {
        "type": "lifetimes",
        "network": {"type": "leaky", "units": 12},
        "rule": {"type": "polynomial", "terms": [{"name": "hebb", "pre": 1, "post": 1, "coefficient": 0.25}]},
        "modulation": {"type": "none"},
        "task": {"type": "boolean"},
        "genome": {"rule": {"hebb": {"sharing": "neuron"}}},
    }
    layout = msgspec.convert(problem, LifetimesSettings).resolve().build(0).layout
    assert np.unique(layout.unpack(layout.initial())["rule.hebb"]).tolist() == [0.25]
    problem["genome"]["rule"] = {"heb": {}}
    with pytest.raises(UserError, match="did you mean 'hebb'"):
        msgspec.convert(problem, LifetimesSettings).resolve().build(0)


def test_a_polynomial_tells_its_own_equation():
    terms = [
        {"name": "hebb", "coefficient": 0.1, "pre": 1, "post": 2},
        {"name": "decay", "coefficient": -0.1, "weight": 1, "gated": False},
        {"name": "late", "coefficient": 0.1, "trace": True, "channel": "reward"},
    ]
    rule = msgspec.convert({"type": "polynomial", "terms": terms}, PolynomialSettings)
    told = "P <- clip(P + hebb m x y^2 + decay P + late reward E);  E <- (1 - k) E + k x y"
    assert rule.describe().equation == told
    assert rule.listens()
    assert not msgspec.structs.replace(rule, terms=rule.terms[1:2]).listens()


# ---- theory


def gaussian(rng, dimensions=10):
    """Return a covariance (D, D) with a first eigenvalue of its own, and its eigenvectors [:, number]."""
    vectors = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    values = np.array([1.0, *np.linspace(0.5, 0.1, dimensions - 1)])
    return (vectors * values) @ vectors.T, vectors


def linear_unit(name, inputs, weights, **settings):
    """Let a linear unit (the last) learn from `inputs` (steps, D), from `weights` (D,); return its weights (D,)."""
    dimensions = inputs.shape[1]
    driven = Driven(name, dimensions + 1, **settings)
    driven.plastic[:dimensions, dimensions] = weights
    rates = np.zeros(dimensions + 1)
    for x in inputs:
        rates[dimensions] = x @ driven.plastic[:dimensions, dimensions]
        driven.step([*x, 0.0], rates)
    return driven.weights[:dimensions, dimensions]


def test_hebb_grows_as_fast_as_its_first_eigenvalue_says():
    rng = np.random.default_rng(0)
    covariance, vectors = gaussian(rng, 4)
    inputs = np.tile(np.linalg.cholesky(covariance).T * 2.0, (150, 1))  # their mean x x' is the covariance
    w, eta = 1e-6 * vectors[:, 0], 0.01
    grown = linear_unit("clipped_hebb", inputs, w, eta=eta, bound=1e6)
    assert np.log(np.linalg.norm(grown) / 1e-6) == pytest.approx(eta * len(inputs), rel=0.03)
    assert abs(grown @ vectors[:, 0]) / np.linalg.norm(grown) > 0.99


def test_oja_finds_the_first_principal_component_and_norm_one():
    rng = np.random.default_rng(1)
    covariance, vectors = gaussian(rng)
    inputs = rng.multivariate_normal(np.zeros(10), covariance, 4000)
    w = linear_unit("oja", inputs, rng.normal(0, 0.1, 10), eta=0.005)
    assert abs(w @ vectors[:, 0]) / np.linalg.norm(w) > 0.99
    assert np.linalg.norm(w) == pytest.approx(1, abs=0.1)


def paired(name, eta, steps=4000):
    """Return P from unit 0 to unit 1 and all that they sent, (steps,) each, in random pairs that are 0 or more."""
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 1, steps)
    y = np.where(x > 0.5, 1.0, 0.2) * rng.uniform(0.5, 1, steps)
    driven = Driven(name, 2, eta=eta)
    for sent, sends in zip(x, y, strict=True):
        driven.step([sent, 0], [0, sends])
    return driven.weights[0, 1], x, y


def test_instar_holds_the_mean_of_what_is_sent_while_it_is_active():
    weight, x, y = paired("instar", 0.005)
    assert weight == pytest.approx((x * y).mean() / y.mean(), abs=0.03)
    assert abs(weight - x.mean()) > 0.1


def test_outstar_holds_the_mean_of_what_its_targets_send_while_it_sends():
    weight, x, y = paired("outstar", 0.005)
    assert weight == pytest.approx((x * y).mean() / x.mean(), abs=0.03)
    assert abs(weight - y.mean()) > 0.05


def test_the_covariance_rule_sums_up_the_covariance():
    rng = np.random.default_rng(3)
    steps, eta = 4000, 1e-3
    x = rng.normal(0.7, 0.3, steps)
    y = 0.5 * x + rng.normal(-0.4, 0.2, steps)
    driven = Driven("covariance", 2, eta=eta, mean_tau_ms=4000.0)
    for sent, sends in zip(x, y, strict=True):
        driven.step([sent, 0], [0, sends])
    # A mean that follows with share k differs from each new value by 2 / (2 - k) of the variance; the start is off.
    assert driven.weights[0, 1] / (eta * steps) == pytest.approx(np.cov(x, y)[0, 1], rel=0.15)


@pytest.mark.parametrize("m", [1.0, -0.5])
def test_decaying_hebb_rests_where_growth_and_decay_are_equal(m):
    driven = Driven("decaying_hebb", 2, eta=0.02, decay=0.05)
    for _ in range(400):
        driven.step([0.5, 0], [0, 0.8], m)
    assert driven.weights[0, 1] == pytest.approx(0.02 * m * 0.5 * 0.8 / 0.05, rel=1e-3)
    driven.step([0, 0], [0, 0], 0.0)
    assert driven.weights[0, 1] == pytest.approx(0.95 * 0.008 * m / 0.05, rel=1e-3), "decay asks for no third factor"


def test_heterosynaptic_weights_rest_at_w0_and_what_hebb_adds():
    driven = Driven("heterosynaptic", 3, eta=0.01, beta=0.1, w0=0.3)
    for _ in range(600):
        driven.step([0.5, 0, 0], [0, 0, 0.8])
    assert driven.weights[0, 2] == pytest.approx(0.3 + 0.01 * 0.5 * 0.8 / (0.1 * 0.8**4), rel=1e-3)
    assert driven.weights[1, 2] == pytest.approx(0.3, rel=1e-3), "a silent sender's synapse goes to w0"
    assert driven.weights[0, 1] == 0, "a silent receiver's synapses stay"


@pytest.mark.parametrize("delay", [0, 1, 5, 20])
def test_a_trace_bridges_a_delay(delay):
    tau = 400.0
    driven = Driven("hebbian", 2, eta=0.5, trace_tau_ms=tau, every_step=True)
    driven.step([0.6, 0], [0, 0.5], float(delay == 0))
    for step in range(1, delay + 1):
        driven.step([0, 0], [0, 0], float(step == delay))
    k = DT / tau
    written = driven.weights[0, 1]
    assert written == pytest.approx(0.5 * k * 0.6 * 0.5 * (1 - k) ** delay, rel=1e-5)
    assert written == pytest.approx(0.5 * k * 0.3 * np.exp(-delay * DT / tau), rel=0.03)


def test_retroactive_modulation_writes_the_discounted_sum_of_third_factors_to_come():
    rng = np.random.default_rng(5)
    m, pulse, k, eta = rng.uniform(-1, 1, 300), 7, 0.05, 0.2
    driven = Driven("hebbian", 2, eta=eta, trace_tau_ms=DT / k, every_step=True, bound=10.0)
    for step, factor in enumerate(m):
        driven.step([0.9 * (step == pulse), 0], [0, 0.7 * (step == pulse)], factor)
    to_come = sum((1 - k) ** (step - pulse) * k * m[step] for step in range(pulse, len(m)))
    assert driven.weights[0, 1] == pytest.approx(eta * 0.9 * 0.7 * to_come, rel=1e-4)


def test_a_constant_drift_moves_every_synapse_alike_and_no_padding():
    driven = Driven("abcd", UNITS, A=0.0, B=0.0, C=0.0, D=0.25)
    driven.step(np.zeros(UNITS), np.zeros(UNITS), 0.5)
    assert (driven.weights == 0.125).all()
    assert not driven.plastic[:, UNITS:].any()


@pytest.mark.parametrize("name", ["clipped_hebb", "outstar", "floreano_pre", "floreano_plain"])
def test_a_silent_sender_changes_nothing_where_x_stands_in_every_term(name):
    driven = Driven(name, 3)
    driven.plastic[:, :3] = 0.4
    driven.plastic[1, :3] = np.nan  # what is touched would show
    driven.step([0.5, 0, 0.5], [0.5, 0.5, 0.5])
    assert np.isnan(driven.weights[1]).all() and np.isfinite(driven.weights[[0, 2]]).all()
    assert (driven.weights[0] != 0.4).all()
