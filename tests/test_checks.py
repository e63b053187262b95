"""The checks that `rules check` runs: the package's rules pass them, and each of them can fail."""

import numpy as np
import pytest

from evoplastic import checks
from evoplastic.errors import UserError
from evoplastic.jit import pack
from evoplastic.networks.leaky import LeakySettings
from evoplastic.rules import RULES
from evoplastic.rules.contract import Around
from evoplastic.rules.fixed import Fixed, FixedSettings
from evoplastic.rules.term_settings import RowSettings

TYPES = [name for name, kind in RULES.items() if not issubclass(kind, RowSettings)]  # rows share one


@pytest.mark.parametrize("name", [*TYPES, "oja"])
def test_in_plain_python_every_type_of_rule_keeps_what_it_promises(monkeypatch, name):
    monkeypatch.setattr(checks, "live", checks.live_plainly)
    monkeypatch.setattr(checks, "TRIALS", 6)
    said = list(checks.check_part("RULES", name))
    assert said[-1] == "other genomes compile nothing" and len(said) == 5 + len(RULES[name]().coefficients())


def test_compiled_a_row_keeps_what_it_promises():
    assert list(checks.check_part("RULES", "oja"))[-1] == "other genomes compile nothing"


class Wrong(Fixed):
    """A rule that writes; what it does wrong is said by what is put in place of its methods."""

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        plastic[:, : plastic.shape[0]] = np.float32(0.5)
        return True


def lived(monkeypatch, **methods):
    """Return what the checks of a body say whose rule has these methods, in plain Python."""
    monkeypatch.setattr(checks, "live", checks.live_plainly)
    kind = type("Wrong", (Wrong,), {"__annotations__": {"eta": "float"}, **methods})
    body = checks._body(checks.short_problem(rule={"type": "fixed"}), 0)
    return list(checks._check_lives(body._replace(rule=kind(*body.rule))))


def test_a_sound_body_passes(monkeypatch):
    assert len(lived(monkeypatch)) == 4


def test_padding_that_is_written_is_found(monkeypatch):
    def consolidate(rule, state, age, network, activity, plastic, modulators):
        plastic[:] = np.float32(0.5)
        return True

    with pytest.raises(AssertionError, match="padding of the plastic weights"):
        lived(monkeypatch, consolidate=consolidate)


def test_a_weight_that_is_no_number_is_found(monkeypatch):
    def consolidate(rule, state, age, network, activity, plastic, modulators):
        plastic[0, 0] = np.float32(np.inf)
        return False

    with pytest.raises(AssertionError, match="not finite"):
        lived(monkeypatch, consolidate=consolidate)


def test_a_rule_that_remembers_its_last_life_is_found(monkeypatch):
    seen = []

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        seen.append(age)
        plastic[0, 0] = np.float32(len(seen))
        return False

    with pytest.raises(AssertionError, match="lived twice, the plastic of a short life differ by up to "):
        lived(monkeypatch, consolidate=consolidate)


def test_a_struct_that_is_not_packed_is_found(monkeypatch):
    monkeypatch.setattr(FixedSettings, "build", lambda self, around, values: Fixed(0.0))
    assert type(FixedSettings().build(Around(20.0, 5, 5, ("m",)), {}).eta) is not type(pack(Fixed(0.0)).eta)
    with pytest.raises(AssertionError, match=r"Fixed is not; use evoplastic\.jit\.pack"):
        list(checks._check_lives(checks._body(checks.short_problem(rule={"type": "fixed"}), 0)))


def test_weights_that_are_not_padded_are_refused(monkeypatch):
    problem = checks.short_problem()
    packed = problem.settings.network.build(np.zeros((17, 17)), np.zeros((17, 17)))
    monkeypatch.setattr(LeakySettings, "build", lambda *_: packed._replace(innate=packed.innate[:, :17]))
    with pytest.raises(UserError, match="padded to a multiple of 8 columns, got 17"):
        checks._body(problem, 0)
