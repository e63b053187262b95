"""A rule whose terms a run file writes down: P <- clip(P + sum over terms of c * m * x^a * y^b * P^d * E^e).

Each term has a name, and its coefficient, which a genome may hold under that name; the numbers in front of powers and
third factors are all that tells rules of this family apart, so none compiles anything anew. See `terms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec

from evoplastic.rules.contract import Account, Grain
from evoplastic.rules.term_settings import Positive, Term, TermSettings
from evoplastic.rules.terms import MOST_POWER

Power = Annotated[int, msgspec.Meta(ge=0, le=MOST_POWER)]
_SYMBOLS = ("x", "y", "P", "E", "m", "k")  # of the equation
Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z][A-Za-z0-9_]*$")]


class TermOfFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A term of a run file."""

    name: Name
    coefficient: float
    pre: Power = 0
    post: Power = 0
    weight: Power = 0
    trace: bool = False  # of the product x y; in place of powers
    gated: bool = True  # multiplied by a third factor
    channel: str = ""  # the third factor's name; "": the first

    def __post_init__(self) -> None:
        if self.trace and (self.pre or self.post or self.weight):
            raise ValueError(
                f"term {self.name!r} has a trace and powers pre = {self.pre}, post = {self.post}, weight = "
                f"{self.weight}; leave the powers away, or write two terms"
            )
        if self.channel and not self.gated:
            raise ValueError(f"term {self.name!r} names channel {self.channel!r} and is not gated; leave one away")

    def factors(self, called: str, raised: str) -> list[str]:
        """Return what stands beside the coefficient: a third factor, written as `called`, and powers, as `raised`."""
        powers = {"x": self.pre, "y": self.post, "P": self.weight, "E": int(self.trace)}
        shown = [symbol if power == 1 else raised.format(symbol, power) for symbol, power in powers.items() if power]
        third = [called.format(self.channel) if self.channel else "m"] if self.gated else []
        return third + shown


class PolynomialSettings(TermSettings, frozen=True, kw_only=True, tag="polynomial"):
    """A sum of terms, in a run file."""

    terms: tuple[TermOfFile, ...] = (TermOfFile(name="hebb", coefficient=0.01, pre=1, post=1),)
    trace_tau_ms: Positive = 100.0
    mean_tau_ms: Positive | None = None  # x and y are less their running means; None: they are not

    account: ClassVar[Account] = Account(
        "P <- clip(P + sum of c m x^a y^b P^d E^e);  E <- (1 - k) E + k x y",
        r"P \leftarrow \mathrm{clip}\left(P + \sum c\, m\, x^a y^b P^d E^e\right), \qquad "
        r"E \leftarrow (1 - k) E + k\, x y",
        {
            "x": "what the sending unit sent a step before",
            "y": "what the receiving unit sends",
            "P": "the plastic weight",
            "E": "the trace of x y",
            "k": "dt / trace_tau",
            "m": "the third factor of a term, 1 for a term that is not gated",
            "c": "the coefficient of a term",
        },
        ("trace", "mean of x", "mean of y"),
    )

    def __post_init__(self) -> None:
        names = [term.name for term in self.terms]
        if not names:
            raise ValueError("terms of a polynomial must be one or more, got none")
        taken = next((name for name in names if name in (*self.__struct_fields__, *_SYMBOLS)), None)
        if taken:
            raise ValueError(f"a term cannot be named {taken!r}, which the rule uses itself; choose another name")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"terms must have names of their own, got {twice!r} twice")

    def summands(self) -> tuple[Term, ...]:
        return tuple(
            Term(
                (term.name,),
                term.pre,
                term.post,
                term.weight,
                int(term.trace),
                gated=term.gated,
                channel=term.channel,
            )
            for term in self.terms
        )

    def describe(self) -> Account:
        """Return the account with the terms in their places."""
        plain = " + ".join(" ".join([term.name, *term.factors("{}", "{}^{}")]) for term in self.terms)
        latex = " + ".join(
            r"\, ".join([rf"\mathrm{{{term.name}}}", *term.factors(r"\mathrm{{{}}}", "{}^{{{}}}")])
            for term in self.terms
        )
        general, traced = self.account, any(term.trace for term in self.terms)
        equation = general.equation.replace("sum of c m x^a y^b P^d E^e", plain)
        written = general.latex.replace(r"\sum c\, m\, x^a y^b P^d E^e", latex)
        return general._replace(
            equation=equation if traced else equation.partition(";")[0],
            latex=written if traced else written.partition(",")[0],
        )

    def coefficients(self) -> Mapping[str, Grain]:
        return {term.name: "synapse" for term in self.terms}

    def coefficient(self, name: str) -> float:
        return next(term.coefficient for term in self.terms if term.name == name)
