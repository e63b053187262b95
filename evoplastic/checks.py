"""What parts do, held to what every part promises: short lifetimes in plain Python and compiled, a short search.

    plain = compiled     the methods mean the same to Python and to Numba; no constant without a type changes the result
    again = first        nothing is left behind by a life: equal arguments give equal bits
    padding = 0          what lies between N and W of plastic weights never gets a value
    one signature        another genome, and coefficients at any granularity, compile nothing anew

The same checks run over the package's own parts in its tests and over a plugin's in `evoplastic rules check`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.config import parse_config
from evoplastic.contracts import PARTS, with_plugin
from evoplastic.errors import UserError
from evoplastic.jit import pack
from evoplastic.modulation import MODULATIONS
from evoplastic.networks import NETWORKS
from evoplastic.plugins import blame, line_of, plugged
from evoplastic.problems.lesions import Body
from evoplastic.problems.lifetimes import Lifetimes
from evoplastic.rollout import live, live_plainly
from evoplastic.rules import RULES
from evoplastic.rules.coefficients import GRANULARITIES, limits
from evoplastic.strategies import STRATEGIES
from evoplastic.tasks import FAMILIES
from evoplastic.tasks.contract import SCORE_COLUMNS

OWN: Mapping[str, Mapping[str, Any]] = {
    "RULES": RULES,
    "MODULATIONS": MODULATIONS,
    "NETWORKS": NETWORKS,
    "TASKS": FAMILIES,
    "STRATEGIES": STRATEGIES,
}
UNITS, TRIALS = 17, 60  # units: no multiple of the padding
GENES, MEMBERS, GENERATIONS = 6, 20, 3  # of the search that a strategy is checked by
_PERIODS = {"stimulus": 40.0, "gap": 20.0, "delay": 20.0, "response": 40.0, "feedback": 40.0, "rest": 20.0}
_KEY = {"RULES": "rule", "MODULATIONS": "modulation", "NETWORKS": "network", "TASKS": "task"}


class Lived(NamedTuple):
    """What a short life came to."""

    scores: NDArray[np.float32]  # (trials, columns)
    plastic: NDArray[np.float32]  # (N, W)


def check_parts(tell: Callable[[str], None]) -> None:
    """Check all parts of the plugin, telling what was found sound; UserError for the first that is not."""
    if not any(plugged(table) for table in OWN):
        raise UserError(f"{line_of(None)} has no parts; put settings by their names into one of {', '.join(OWN)}")
    for table, own in OWN.items():
        with_plugin(table, own)  # what a part must have is checked for all before anything is compiled
    for table in OWN:
        for name in plugged(table):
            called = PARTS[table].called
            tell(f"{called} {name}: settings, methods and arrays are as the contract says")
            try:
                for found in check_part(table, name):
                    tell(f"{called} {name}: {found}")
            except AssertionError as wrong:
                raise UserError(f"{line_of(None)}: {called} {name!r}: {wrong}") from None
            except UserError:
                raise
            except Exception as error:
                raise UserError(blame(error) or f"{line_of(None)}: {called} {name!r}: {error}") from error


def check_part(table: str, name: str, **settings: Any) -> Iterator[str]:
    """Yield what a part, with these settings, was found to keep; AssertionError, in words, for what it does not."""
    if table == "STRATEGIES":
        yield from _check_strategy(name, settings)
        return
    kind = with_plugin(table, OWN[table])[name]
    idle = {"burn_in_trials": 0, "quiet_trials": 0}  # a short life is not to pass without anything written
    settings = {key: value for key, value in idle.items() if key in kind.__struct_fields__} | settings
    problem = short_problem(**{_KEY[table]: {"type": name, **settings}})
    body = _body(problem, 0)
    yield from _check_lives(body)
    signatures = _signatures()
    for other in range(1, 3):
        _live(_body(problem, other))
    if table == "RULES":
        yield from _check_coefficients(problem, name, settings)
    if _signatures() != signatures:
        raise AssertionError(f"another genome compiled anew ({_signatures() - signatures} signatures more); use pack")
    yield "other genomes compile nothing"


def short_problem(**parts: Mapping[str, Any]) -> Lifetimes:
    """Return a problem of short lives in a small network, with these parts and an ordinary one for each that is not."""
    task: dict[str, Any] = {"type": "boolean", "trials": TRIALS, "periods": _PERIODS}
    usual = {"network": {"type": "leaky", "units": UNITS}, "rule": {"type": "hebbian"}, "task": task}
    raw = {"type": "lifetimes", "modulation": {"type": "reward"}, "scored_trials": 1, **usual, **parts}
    config = parse_config({"problem": raw, "strategy": {"type": "openai_es", "population": 2}})
    problem: Lifetimes = config.problem.build(seed=1)
    return problem


def _check_lives(body: Body) -> Iterator[str]:
    """Yield what the lives of a body keep, whatever part of it is in question."""
    for part in body:
        if _kinds(pack(part)) != _kinds(part):
            raise AssertionError(
                f"build must return a packed struct: {type(part).__name__} is not; use evoplastic.jit.pack"
            )
    first, again = _live(body), _live(body)
    _same(first, again, "lived twice", rtol=0.0, atol=0.0)
    yield "the same life gives the same bits"
    if not all(np.isfinite(array).all() for array in first):
        raise AssertionError("a score or a plastic weight is not finite after a short life")
    yield f"numbers stay finite; the largest plastic weight is {np.abs(first.plastic).max():.3g}"
    if first.plastic[:, len(first.plastic) :].any():
        raise AssertionError("padding of the plastic weights, columns N to W, must stay 0")
    yield "padding stays 0"
    _same(first, _live(body, plain=True), "compiled and in plain Python", rtol=1e-3, atol=1e-4)
    yield "compiled and in plain Python a life is the same"


def _check_coefficients(problem: Lifetimes, name: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield that a rule takes each of its coefficients from a genome, at every granularity that it promises."""
    rule = problem.settings.rule
    without = _live(_body(problem, 0))
    for coefficient, grain in rule.coefficients().items():
        low, high = limits(*rule.holder(coefficient))
        value = rule.coefficient(coefficient)
        if not (low <= value <= high and math.isfinite(value)):
            raise AssertionError(f"the default of {coefficient}, {value}, is outside its limits {low} to {high}")
        for sharing in GRANULARITIES[grain]:
            held = {"rule": {coefficient: {"sharing": sharing}}}
            other = short_problem(rule={"type": name, **settings}, genome=held)
            with_it = _live(_body(other, 0, like=problem))
            _same(without, with_it, f"with {coefficient} in the genome per {sharing} and without", 1e-3, 1e-4)
        yield f"{coefficient} may be held by a genome: {', '.join(GRANULARITIES[grain])}"


def _check_strategy(name: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a strategy keeps in a short search."""
    kind = {**OWN["STRATEGIES"], **plugged("STRATEGIES")}[name]
    given = {"population": MEMBERS} if "population" in kind.__struct_fields__ else {}
    space = SimpleNamespace(size=GENES, floors=np.full(GENES, -np.inf), steps=np.ones(GENES))

    def build(seed: int) -> Any:
        return msgspec.convert({"type": name, **given, **settings}, kind).build(space, seed)

    strategy = build(0)
    states = [strategy.initial(np.linspace(-1.0, 1.5, GENES))]
    for _ in range(GENERATIONS):
        states.append(_step(strategy, states[-1]))
    if [state.generation for state in states] != list(range(GENERATIONS + 1)):
        raise AssertionError(f"every tell is one generation, got {[state.generation for state in states]}")
    one, other = _members(strategy, states[1]), _members(strategy, states[1])
    if one.tobytes() != other.tobytes():
        raise AssertionError("asking twice must give the same candidates")
    if _arrays(strategy, _step(strategy, states[1])) != _arrays(strategy, states[2]):
        raise AssertionError("telling twice must give the same state, and alter none")
    yield "ask and tell alter nothing and give the same bits"
    resumed = build(0)
    saved = {key: array.copy() for key, array in strategy.arrays(states[1]).items()}
    if _arrays(resumed, _step(resumed, resumed.restore(saved))) != _arrays(strategy, states[2]):
        raise AssertionError("a state restored from its arrays must go on bit for bit")
    yield "a restored state goes on bit for bit"
    if _members(build(1), states[0]).tobytes() == _members(strategy, states[0]).tobytes():
        raise AssertionError("another seed must draw other members")
    _check_failures(strategy, states[1])
    yield "members that failed leave the center finite"


def _check_failures(strategy: Any, state: Any) -> None:
    """Raise AssertionError where fitness that is not finite gets into a strategy's state or its accounts."""
    candidates = strategy.ask(state)
    fitness = np.array([_hill(genotype) for genotype in _members(strategy, state)])
    size = strategy.effective_size(state, fitness)
    numbers = [size, strategy.memory(), *strategy.diagnostics(state).values()]
    if not (np.isfinite(numbers).all() and size > 0):
        raise AssertionError("effective_size, memory and diagnostics must be finite numbers")
    for failed in (fitness[:3], fitness):
        failed[:] = np.nan
        after = strategy.tell(state, candidates, fitness)
        if after.generation != state.generation + 1 or not np.isfinite(after.center).all():
            raise AssertionError("fitness that is not a number must count as worst, and the center stay finite")


def _body(problem: Lifetimes, number: int, like: Lifetimes | None = None) -> Body:
    """Return what lives: the first genome of a seed, with the values of `like` for the blocks that both have."""
    layout = problem.layout
    genes = layout.initial() if number == 0 else layout.initial() + 0.1 * np.cos(number * np.arange(layout.size))
    if like is not None:
        genes = layout.pack({**layout.unpack(genes), **like.layout.unpack(like.layout.initial())})
    return problem.body(genes, problem.training_life(0, 0))


def _live(body: Body, plain: bool = False) -> Lived:
    """Return what a short life of a body comes to, compiled or in plain Python."""
    scores = np.zeros((TRIALS, SCORE_COLUMNS), np.float32)
    plastic = np.full_like(body.network.innate, np.nan)
    run = live_plainly if plain else live
    with np.errstate(over="ignore"):  # plain Python's Philox wraps around, as it must
        run(*body, np.uint64(7), plastic, scores)
    return Lived(scores, plastic)


def _same(one: Lived, other: Lived, how: str, rtol: float, atol: float) -> None:
    for name in Lived._fields:
        ours, theirs = getattr(one, name), getattr(other, name)
        if not np.allclose(ours, theirs, rtol, atol, equal_nan=True):
            off = float(np.nanmax(np.abs(ours.astype(np.float64) - theirs)))
            raise AssertionError(f"{how}, the {name} of a short life differ by up to {off:.3g}")


def _signatures() -> int:
    return len(getattr(live, "signatures", ()))


def _kinds(struct: Any) -> list[Any]:
    """Return what Numba tells apart of a struct's fields."""
    if hasattr(struct, "_fields"):
        return [type(struct), *(_kinds(value) for value in struct)]
    if isinstance(struct, np.ndarray):
        return [struct.dtype, struct.ndim, struct.flags.c_contiguous, struct.flags.writeable, struct.flags.aligned]
    return [type(struct)]


def _hill(genotype: NDArray[np.float64]) -> float:
    return -float(np.sum(np.square(genotype)))


def _members(strategy: Any, state: Any) -> NDArray[np.float64]:
    candidates = strategy.ask(state)
    return np.array([candidates.genotype(member) for member in range(candidates.population)])


def _step(strategy: Any, state: Any) -> Any:
    fitness = np.array([_hill(genotype) for genotype in _members(strategy, state)])
    return strategy.tell(state, strategy.ask(state), fitness)


def _arrays(strategy: Any, state: Any) -> dict[str, Any]:
    return {name: (array.dtype, array.tobytes()) for name, array in strategy.arrays(state).items()}
