"""Coefficients of rules in the genome: which, how finely, and where they start.

A coefficient that a genome holds is a block named `rule.<name>`, (1, 1) for one of the whole rule, (1, N) for one of
each receiving unit or type of unit, (N, N) [pre, post] for one of each projection or synapse. One that is not held is
what the rule's settings say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError, nearest
from evoplastic.genome import Block, BlockSettings, Sharing, groups
from evoplastic.rules.contract import Grain, RuleSettings

PREFIX = "rule."
GRANULARITIES: Mapping[Grain, tuple[Sharing, ...]] = {
    "scalar": ("scalar",),
    "neuron": ("scalar", "cell_type", "neuron"),
    "synapse": ("scalar", "cell_type", "neuron", "projection", "synapse"),
}


class CoefficientSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run file may say of a coefficient in the genome; see `genome.BlockSettings`."""

    evolve: bool = True
    initial: float | None = None  # None: what the rule's settings say
    spread: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    sharing: Sharing = "scalar"
    bounds: tuple[float, float] | None = None  # None: the coefficient's own, if it has both
    step: Annotated[float, msgspec.Meta(gt=0)] = 1.0


def coefficient_blocks(
    rule: RuleSettings, held: Mapping[str, CoefficientSettings], types: NDArray[np.int64], n_types: int
) -> tuple[Block, ...]:
    """Return the genome's blocks of a rule's coefficients, for units of these types (N,).

    UserError for one that the rule does not have, or not so finely.
    """
    return tuple(_block(rule, name, settings, types, n_types) for name, settings in held.items())


def coefficients_in(values: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return the coefficients among a genotype's values, by their own names."""
    return {name.removeprefix(PREFIX): block for name, block in values.items() if name.startswith(PREFIX)}


def keys_of(rule: RuleSettings) -> dict[str, str]:
    """Return the coefficients of a rule by the keys that they have in a run file."""
    names = rule.coefficients()
    return {f"rule.parts.{name}" if hasattr(rule, "parts") else f"rule.{name}": name for name in names}


def limits(rule: RuleSettings | type[RuleSettings], name: str) -> tuple[float, float]:
    """Return the bounds of what a rule's settings take for a coefficient, infinite where there are none."""
    told = _told(rule, name)
    low = next((bound for bound in (told.ge, told.gt) if bound is not None), -math.inf) if told else -math.inf
    high = next((bound for bound in (told.le, told.lt) if bound is not None), math.inf) if told else math.inf
    return low, high


def takes(rule: RuleSettings | type[RuleSettings], name: str, value: float) -> bool:
    """Return whether a rule's settings take a value for a coefficient, which may exclude its bounds."""
    told, (low, high) = _told(rule, name), limits(rule, name)
    outside = told and ((told.gt is not None and value <= low) or (told.lt is not None and value >= high))
    return low <= value <= high and not outside


def _told(rule: RuleSettings | type[RuleSettings], name: str) -> Any:
    """Return what the type of a coefficient's field says of its bounds, None for one that the settings name."""
    field = next((field for field in msgspec.structs.fields(rule) if field.name == name), None)
    return None if field is None else msgspec.inspect.type_info(field.type)


def _block(
    rule: RuleSettings, name: str, settings: CoefficientSettings, types: NDArray[np.int64], n_types: int
) -> Block:
    key = f"problem.genome.rule.{name}"
    evolvable = rule.coefficients()
    if name not in evolvable:
        raise UserError(
            f"{key}: rule {rule.__struct_config__.tag!r} has no such coefficient for a genome, "
            f"choose some of {list(evolvable)}{nearest(name, evolvable)}"
        )
    allowed = GRANULARITIES[evolvable[name]]
    if settings.sharing not in allowed:
        raise UserError(f"{key}.sharing must be one of {list(allowed)} for this rule, got {settings.sharing!r}")
    least, most = limits(*rule.holder(name))
    bounds = settings.bounds or (least, most)
    if not least <= bounds[0] <= bounds[1] <= most:
        raise UserError(f"{key}.bounds must lie in the coefficient's own, {least:g} to {most:g}, got {list(bounds)}")
    if settings.initial is not None and not least <= settings.initial <= most:
        raise UserError(f"{key}.initial must be {least:g} to {most:g}, got {settings.initial}")
    block = BlockSettings(
        evolve=settings.evolve,
        initial=rule.coefficient(name) if settings.initial is None else settings.initial,
        spread=settings.spread,
        sharing=settings.sharing,
        bounds=bounds if all(map(math.isfinite, bounds)) else None,
        step=settings.step,
    )
    of_units = groups(settings.sharing, types, n_types)
    shown = {"scalar": of_units[:1, :1], "cell_type": of_units[:1], "neuron": of_units[:1]}
    chosen = np.ascontiguousarray(shown.get(settings.sharing, of_units))
    return Block(PREFIX + name, chosen.shape, chosen, block)
