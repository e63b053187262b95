"""Settings of rules that are sums of terms: what a row of data says, and how a run file's numbers become `Terms`.

A row names its coefficients, its terms and what a reader should know; `settings_of` makes it the settings of a run
file, with a field for each coefficient and for what its terms need, and for nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.jit import pack
from evoplastic.plugins import plugged
from evoplastic.rules.contract import Account, Around, RuleSettings, channel_number
from evoplastic.rules.terms import MOST_POWER, UNGATED, Terms
from evoplastic.vectors import LANES

Positive = Annotated[float, msgspec.Meta(gt=0)]


class Coefficient(NamedTuple):
    """A number of a rule: its default, and the least and largest it may be."""

    default: float
    least: float = -math.inf
    most: float = math.inf


class Term(NamedTuple):
    """One summand of a rule. Its coefficient is `factor` times the coefficients named in `of`."""

    of: tuple[str, ...]
    pre: int = 0  # a, the power of x
    post: int = 0  # b, of y
    weight: int = 0  # d, of P
    trace: int = 0  # e, of E
    factor: float = 1.0
    gated: bool = True  # multiplied by a third factor
    channel: str = ""  # the third factor's name; "": what the settings say


class Row(NamedTuple):
    """A rule: its coefficients, its terms, and what a reader should know."""

    name: str
    summary: str
    coefficients: Mapping[str, Coefficient]
    terms: tuple[Term, ...]
    account: Account
    bound: float = 100.0
    every_step: bool = True
    centered: bool = False  # x and y are less their running means


class TermSettings(RuleSettings, frozen=True, kw_only=True):
    """What all sums of terms have in common.

    Those that need them have more fields: `channel`, the third factor that multiplies gated terms ("": the first),
    `trace_tau_ms`, and `mean_tau_ms` of the running means that x and y are taken less of.
    """

    bound: Positive = 100.0  # plastic weights stay between -bound and bound
    every_step: bool = True  # may write at every step, else only when a third factor comes
    burn_in_trials: Annotated[int, msgspec.Meta(ge=0)] = 0  # nothing is written before

    def summands(self) -> tuple[Term, ...]:
        """Return the terms of the sum."""
        raise NotImplementedError

    def heard(self) -> frozenset[str]:
        return frozenset(term.channel or getattr(self, "channel", "") for term in self.summands() if term.gated)

    def build(self, around: Around, values: Mapping[str, NDArray[np.float64]]) -> Terms:
        """Return the packed rule, see `RuleSettings.build`."""
        terms, table = self.summands(), self._table(around.units, values)
        traces = [term.trace for term in terms]
        simple = all(traces) or (not any(traces) and all(max(term.pre, term.weight) <= 1 for term in terms))
        powers = [(t.pre, t.post, t.weight, t.trace, self._channel(t, around.channels)) for t in terms]
        return pack(
            Terms(
                coefficients=table,
                powers=np.array(powers, np.int64).reshape(-1, 5),
                bound=self.bound,
                mixing=self._share_of_step("trace_tau_ms", around) if any(traces) else 0.0,
                following=self._share_of_step("mean_tau_ms", around),
                burn_in=self.burn_in_trials,
                every_step=int(self.every_step),
                traced=int(any(traces)),
                highest=max((term.post for term in terms), default=0),
                affine=int(simple and table.shape[1] == 1),
            )
        )

    def marks(self, trials: int) -> dict[int, str]:
        return {self.burn_in_trials: "plasticity starts"} if self.burn_in_trials else {}

    def _channel(self, term: Term, channels: tuple[str, ...]) -> int:
        """Return the number of the third factor that multiplies a term."""
        return channel_number(term.channel or getattr(self, "channel", ""), channels) if term.gated else UNGATED

    def _share_of_step(self, name: str, around: Around) -> float:
        """Return dt / tau of a time constant, 0 for one that the rule has not."""
        tau: float | None = getattr(self, name, None)
        if tau is None:
            return 0.0
        if around.dt_ms > tau:
            raise UserError(f"problem.rule.{name} must be at least problem.network.dt_ms = {around.dt_ms}, got {tau}")
        return around.dt_ms / tau

    def _table(self, units: int, values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return every term's coefficient, (terms, 1 or N, W), 0 where no unit is."""
        found = [
            term.factor * math.prod(values.get(name, np.full((1, 1), self.coefficient(name))) for name in term.of)
            for term in self.summands()
        ]
        table = np.zeros((len(found), max(map(len, found)), units + -units % LANES))
        for number, of_term in enumerate(found):
            table[number, :, :units] = of_term
        return table


class RowSettings(TermSettings, frozen=True, kw_only=True):
    """A row in a run file."""

    row: ClassVar[Row]

    def summands(self) -> tuple[Term, ...]:
        return self.row.terms

    def __reduce__(self) -> tuple[Any, tuple[str, dict[str, Any]]]:
        return _of_row, (self.row.name, msgspec.structs.asdict(self))


def settings_of(row: Row) -> type[RowSettings]:
    """Return the settings of a run file for a row: its coefficients are fields, its name the type."""
    _check(row)
    gated, traced = any(term.gated for term in row.terms), any(term.trace for term in row.terms)
    needed: list[tuple[str, Any, Any, bool]] = [
        ("channel", str, "", gated),
        ("bound", Positive, row.bound, True),
        ("trace_tau_ms", Positive, 100.0, traced),
        ("mean_tau_ms", Positive, 1000.0, row.centered),
        ("every_step", bool, row.every_step, True),
    ]
    fields = [(name, _limited(known), known.default) for name, known in row.coefficients.items()]
    fields += [(name, kind, default) for name, kind, default, used in needed if used]
    namespace = {
        "__doc__": row.summary,
        "row": row,
        "account": row.account,
        "modulated": gated,
        "evolvable": dict.fromkeys(row.coefficients, "synapse"),
    }
    return msgspec.defstruct(
        f"{row.name.title().replace('_', '')}Settings",
        fields,
        bases=(RowSettings,),
        namespace=namespace,
        module=__name__,
        frozen=True,
        kw_only=True,
        tag=row.name,
    )


def _check(row: Row) -> None:
    """Raise ValueError for a row that means nothing."""
    for term in row.terms:
        powers, known = (term.pre, term.post, term.weight), list(row.coefficients)
        if not set(term.of) <= set(known):
            raise ValueError(f"row {row.name!r}: a term's coefficients must be some of {known}, got {term.of}")
        if term.trace not in (0, 1) or (term.trace and any(powers)) or not all(0 <= p <= MOST_POWER for p in powers):
            raise ValueError(f"row {row.name!r}: a term has a trace or powers from 0 to {MOST_POWER}, got {term}")


def _of_row(name: str, values: dict[str, Any]) -> RowSettings:
    """Return a row's settings in another process, which finds their class by the row's name: no module holds it."""
    from evoplastic.rules import RULES

    kind: type[RowSettings] = (RULES | plugged("RULES"))[name]
    return kind(**values)


def _limited(known: Coefficient) -> Any:
    """Return the type of a coefficient's field."""
    low = known.least if math.isfinite(known.least) else None
    high = known.most if math.isfinite(known.most) else None
    return Annotated[float, msgspec.Meta(ge=low, le=high)] if (low, high) != (None, None) else float
