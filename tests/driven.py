"""A rule on its own: rates go in step by step, plastic weights come out. No network moves, no task asks."""

import numpy as np

from evoplastic.networks.contract import rest
from evoplastic.networks.leaky import LeakySettings
from evoplastic.networks.roles import RoleSettings
from evoplastic.rules import RULES
from evoplastic.rules.contract import (
    Around,
    accumulate,
    begin_exploring,
    consolidate,
    continual,
    explore,
    newborn,
)

NO_ROLES = RoleSettings(stimulus=0, feedback=0, bias=0, echo=0, modulator=0, response=0)


class Driven:
    """A rule among `units` units, driven from outside. Matrices are [pre, post]."""

    def __init__(self, name, units, *, values=None, innate=None, gain=None, dt_ms=20.0, channels=("m",), **settings):
        network = LeakySettings(units=units, dt_ms=dt_ms, roles=NO_ROLES)
        zeros, ones = np.zeros((units, units)), np.ones((units, units))
        self.units = units
        self.network = network.build(zeros if innate is None else innate, ones if gain is None else gain)
        kind = RULES[name] if isinstance(name, str) else name
        self.rule = kind(**settings).build(Around(dt_ms, 1000, units, channels), values or {})
        self.state = newborn(self.rule, self.network, 10)
        self.activity = rest(self.network)
        self.plastic = np.zeros_like(self.network.innate)
        self.age = 0

    def begin_trial(self, key=7, steps=10):
        """Let a new trial begin; the first one counts as age 0."""
        begin_exploring(self.rule, self.state, np.uint64(key), self.age, self.age, steps)
        self.age += 1

    def step(self, before, rates, *modulators, at=0, fed=True):
        """Let the rule see one step, `before` and `rates` (N,), and write if it may; return the plastic weights."""
        units = self.units
        explore(self.rule, self.state, at, self.activity)
        self.activity.before[:units], self.activity.rates[:units] = before, rates
        accumulate(self.rule, self.state, at, self.activity)
        if fed or continual(self.rule):
            third = np.array(modulators or (1.0,), np.float32)
            consolidate(self.rule, self.state, self.age, self.network, self.activity, self.plastic, third)
        return self.weights

    @property
    def weights(self):
        """The plastic weights (N, N) [pre, post], float64."""
        return self.plastic[:, : self.units].astype(np.float64)

    @property
    def effective(self):
        """Innate weights plus gain times plastic ones, (N, N) [pre, post]."""
        network, units = self.network, self.units
        return (network.innate + network.gain * self.plastic)[:, :units].astype(np.float64)
