"""Synaptic consolidation: a chain of ever larger and slower stores behind each weight, filled by it and refilling it.

    C_1 du_1/dt = g_1 (u_2 - u_1) + C_1 eta m x y / dt                            u_1 = P, [pre, post]
    C_k du_k/dt = g_(k-1) (u_(k-1) - u_k) + g_k (u_(k+1) - u_k)                   k = 2 .. variables
    C_k = 2^(k-1),  g_k = 2^(1-k) / tau,  u_(variables+1) = 0

One Euler step of dt, all stores at once. x is what the sending unit sent in the step before, y what the receiving unit
sends now, m the third factor (1 without modulation); with eta = 0 others write P, and the chain keeps it. A change of P
decays as t^(-1/2) from tau to about 4^variables tau, then leaks out of the last store, where a single store of that
strength would have lost it exponentially. Source: Benna and Fusi 2016.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.jit import inlined_kernel, kernel, pack
from evoplastic.numbers import flush
from evoplastic.rules.contract import Account, Around, Grain, channel_number
from evoplastic.rules.tables import GatedSettings, Milliseconds, Positive, bounded, factor, table

MOST_VARIABLES = 10  # a slower store would move by less than float32 resolves


class ConsolidationSettings(GatedSettings, frozen=True, kw_only=True, tag="consolidation"):
    """The chain in a run file."""

    evolvable: ClassVar[Mapping[str, Grain]] = {"eta": "synapse"}
    account: ClassVar[Account] = Account(
        "C_k du_k/dt = g_(k-1) (u_(k-1) - u_k) + g_k (u_(k+1) - u_k), u_1 = P;  P <- clip(P + eta m x y)",
        r"C_k \dot u_k = g_{k-1} (u_{k-1} - u_k) + g_k (u_{k+1} - u_k), \qquad "
        r"P = u_1 \leftarrow \mathrm{clip}(u_1 + \eta\, m\, x\, y)",
        {
            "P": "the plastic weight",
            "u_k": "the stores behind it, k = 2 .. variables; the one after the last is 0",
            "C_k": "2^(k-1)",
            "g_k": "2^(1-k) / tau",
            "m": "the third factor",
            "x": "what the sending unit sent a step before",
            "y": "what the receiving unit sends",
        },
        ("stores",),
        ("Benna and Fusi 2016",),
    )

    eta: float = 0.01  # 0: others write, the chain keeps
    variables: Annotated[int, msgspec.Meta(ge=2, le=MOST_VARIABLES)] = 6
    tau_ms: Milliseconds = 1000.0  # of the weight's own store
    bound: Positive = 100.0  # plastic weights stay between -bound and bound

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> Consolidation:
        """Return the packed rule, see `RuleSettings.build`; UserError for a tau that is too short for the step."""
        if around.dt_ms > self.tau_ms:
            raise UserError(
                f"problem.rule.tau_ms must be at least problem.network.dt_ms = {around.dt_ms}, got {self.tau_ms}"
            )
        halving = 0.5 ** np.arange(self.variables)
        return pack(
            Consolidation(
                eta=table(self, "eta", values, around.units),
                flows=around.dt_ms / self.tau_ms * halving,
                shares=halving,
                bound=self.bound,
                burn_in=self.burn_in_trials,
                channel=channel_number(self.channel, around.channels),
            )
        )


class Stores(NamedTuple):
    stores: NDArray  # (N, variables - 1, W): u_2, u_3, ...
    inflow: NDArray  # (W,) scratch: what comes into a store from the one before


class Consolidation(NamedTuple):
    eta: NDArray  # (1 or N, W), padded by 0
    flows: NDArray  # (variables,) dt g_k
    shares: NDArray  # (variables,) 1 / C_k
    bound: float
    burn_in: int  # trials
    channel: int  # of the third factor

    def newborn(rule, network, steps):
        units, width = network.innate.shape
        stores = np.zeros((units, rule.flows.shape[0] - 1, width), np.float32)
        return Stores(stores, np.zeros(width, np.float32))

    def begin_exploring(rule, state, key, trial, age, steps):
        pass

    def explore(rule, state, step, activity):
        pass

    def accumulate(rule, state, step, activity):
        pass

    def continual(rule):
        return True

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        move(rule, state, factor(rule, age, modulators), activity, plastic)
        return True


@kernel
def move(rule, state, m, activity, plastic):
    """Let every chain take in eta m x y and move one step."""
    stores, inflow = state.stores, state.inflow
    for pre in range(plastic.shape[0]):
        sent, eta = m * activity.before[pre], rule.eta[min(pre, rule.eta.shape[0] - 1)]
        for post in range(inflow.shape[0]):
            inflow[post] = eta[post] * sent * activity.rates[post]
        pass_on(plastic[pre], stores[pre, 0], inflow, rule.flows[0], rule.shares[0])
        last = stores.shape[1] - 1
        for level in range(last):
            pass_on(stores[pre, level], stores[pre, level + 1], inflow, rule.flows[level + 1], rule.shares[level + 1])
        leak(stores[pre, last], inflow, rule.flows[last + 1], rule.shares[last + 1])
        row = plastic[pre]
        for post in range(row.shape[0]):
            row[post] = bounded(row[post], rule.bound)


@inlined_kernel
def pass_on(store, following, inflow, flow, share):
    """Let a store (W,) take `inflow` in and pass some on to the one that follows, whose inflow that becomes."""
    for post in range(store.shape[0]):
        outflow = flow * (store[post] - following[post])
        store[post] = flush(store[post] + share * (inflow[post] - outflow))
        inflow[post] = outflow


@inlined_kernel
def leak(store, inflow, flow, share):
    """Let the last store (W,) take `inflow` in and leak."""
    for post in range(store.shape[0]):
        store[post] = flush(store[post] + share * (inflow[post] - flow * store[post]))
