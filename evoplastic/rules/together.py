"""Several rules at once on the same plastic weights, each a part with a name.

    P  <- what the first part writes; P <- what the second writes to that; ...
    xi  = sum of the parts' perturbations

Parts stand in the order of the run file. Each has coefficients, bounds and traces of its own, and the traces see its
own perturbations alone. A later part draws under another key than those before, so that parts of one kind explore
independently; the first explores as it would alone. As soon as one part may write at every step, all are asked at
every step: one that waits for a third factor goes on waiting. To the kernel the parts are nested pairs, so that each is
reached by its own type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Union

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.jit import pack
from evoplastic.parts import as_part, check_names
from evoplastic.rules.contract import (
    NOTHING,
    Account,
    Around,
    Grain,
    RuleSettings,
    accumulate,
    begin_exploring,
    consolidate,
    continual,
    explore,
    newborn,
)
from evoplastic.rules.fixed import Fixed
from evoplastic.rules.term_settings import TermSettings

_NEXT = np.uint64(1)


class TogetherSettings(RuleSettings, frozen=True, kw_only=True, tag="together"):
    """Named parts of a run file; `together_of` says which rules they may be."""

    account: ClassVar[Account] = Account(
        "P <- what each part writes, one after the other",
        r"P \leftarrow (f_n \circ \dots \circ f_1)(P)",
        {"P": "the plastic weight", "f_k": "what part k writes"},
        ("the parts' own",),
    )

    parts: dict[str, RuleSettings]

    def __post_init__(self) -> None:
        check_names(self.parts)

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> Both:
        """Return the packed rule, see `RuleSettings.build`; coefficients are named `part.coefficient`."""
        built = []
        for name, part in self.parts.items():
            own = {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}
            with as_part(name, "problem.rule"):
                built.append(part.build(around, own))
        self._check_times([continual(rule) for rule in built])
        last = Both(built[-1], Fixed(0.0))
        for rule in reversed(built[:-1]):
            last = Both(rule, last)
        return pack(last)

    def coefficients(self) -> Mapping[str, Grain]:
        return {
            f"{name}.{coefficient}": grain
            for name, part in self.parts.items()
            for coefficient, grain in part.coefficients().items()
        }

    def coefficient(self, name: str) -> float:
        settings, own_name = self.holder(name)
        return settings.coefficient(own_name)

    def holder(self, name: str) -> tuple[RuleSettings, str]:
        part, _, coefficient = name.partition(".")
        return self.parts[part].holder(coefficient)

    def heard(self) -> frozenset[str]:
        return frozenset().union(*(part.heard() for part in self.parts.values()))

    def describe(self) -> Account:
        """Return the parts' accounts, in their order, as one; symbols are told for each part."""
        accounts = {name: part.describe() for name, part in self.parts.items()}
        titles = {name: rf"\text{{{name}:}}\quad &".replace("_", r"\_") for name in accounts}
        lines = [f"{titles[name]} {account.latex}" for name, account in accounts.items()]
        symbols = {name: account.symbols for name, account in accounts.items()}
        return Account(
            "\n".join(f"{name}: {account.equation}" for name, account in accounts.items()),
            r"\begin{aligned} " + r" \\ ".join(lines) + r" \end{aligned}",
            {f"{symbol} ({name})": what for name in symbols for symbol, what in symbols[name].items()},
            tuple(f"{name}: {what}" for name, account in accounts.items() for what in account.state),
            tuple(dict.fromkeys(reference for account in accounts.values() for reference in account.references)),
        )

    def marks(self, trials: int) -> dict[int, str]:
        marks: dict[int, list[str]] = {}
        for name, part in self.parts.items():
            for age, label in part.marks(trials).items():
                marks.setdefault(age, []).append(f"{label} ({name})")
        return {age: ", ".join(labels) for age, labels in marks.items()}

    def _check_times(self, at_every_step: list[bool]) -> None:
        """Raise UserError for a part that is to wait for feedback, and has nothing to wait for it by."""
        restless = next((name for name, always in zip(self.parts, at_every_step) if always), None)
        for name, part in self.parts.items():
            if not restless or not isinstance(part, TermSettings) or part.every_step:
                continue
            if any(not term.gated for term in part.summands()):
                raise UserError(
                    f"problem.rule.parts.{name}.every_step is false, but terms without a third factor cannot wait for "
                    f"feedback beside {restless!r}, which may write at every step; set it to true, or gate the terms"
                )


def together_of(rules: Mapping[str, type[RuleSettings]], module: str) -> type[TogetherSettings]:
    """Return the settings of a run file whose parts are some of these rules.

    `module` holds them as TogetherSettings.
    """
    part: Any = Union[tuple(rules.values())]  # noqa: UP007
    return msgspec.defstruct(
        "TogetherSettings",
        [("parts", dict[str, part])],
        bases=(TogetherSettings,),
        namespace={"__doc__": TogetherSettings.__doc__},
        module=module,
        frozen=True,
        kw_only=True,
        tag="together",
    )


class States(NamedTuple):
    first: Any
    rest: Any


class Both(NamedTuple):
    first: Any  # a rule
    rest: Any  # the others: Both or, after the last, Fixed

    def newborn(rule, network, steps):
        return States(newborn(rule.first, network, steps), newborn(rule.rest, network, steps))

    def begin_exploring(rule, state, key, trial, age, steps):
        begin_exploring(rule.first, state.first, key, trial, age, steps)
        begin_exploring(rule.rest, state.rest, key + _NEXT, trial, age, steps)

    def explore(rule, state, step, activity):
        explore(rule.first, state.first, step, activity)
        explore(rule.rest, state.rest, step, activity)

    def accumulate(rule, state, step, activity):
        accumulate(rule.first, state.first, step, activity)
        accumulate(rule.rest, state.rest, step, activity)

    def continual(rule):
        return continual(rule.first) or continual(rule.rest)

    def consolidate(rule, state, age, network, activity, plastic, modulators):
        first = int(consolidate(rule.first, state.first, age, network, activity, plastic, modulators))
        rest = int(consolidate(rule.rest, state.rest, age, network, activity, plastic, modulators))
        return rest if rest != NOTHING else first  # what the first sent is out of date once the rest has written
