"""Batteries of Boolean functions: truth tables as data, their negations, and which of them are relabelled twins.

A table of k stimuli is a string of 2^k digits 0 and 1: the right response to the stimuli 0...00, 0...01, ..., 1...11.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec

from evoplastic.errors import UserError, nearest
from evoplastic.random import Purpose, below, philox, stream_key
from evoplastic.tasks.specs import read_spec

FORMAT = "evoplastic.truth_tables"
MOST_STIMULI = 4

Battery = dict[str, str]  # name of task -> truth table


class Tables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="tables"):
    """Truth tables written out: what every battery is resolved to in a run folder."""

    tables: Battery
    source: str = ""

    def __post_init__(self) -> None:
        check_battery(self.tables)

    def resolve(self) -> Tables:
        return self


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="spec"):
    """A battery of `task_specs/`, by name, or any spec file, by path."""

    name: str

    def resolve(self) -> Tables:
        tables = read_spec(self.name, FORMAT).get("tables")
        if not isinstance(tables, dict) or not all(isinstance(table, str) for table in tables.values()):
            raise UserError(f"task spec {self.name} must have an object `tables` of name: '0110...', got {tables!r}")
        try:
            return Tables(tables=tables, source=self.name)
        except ValueError as error:
            raise UserError(f"task spec {self.name}: {error}") from error


class RandomPairs(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="random_pairs"
):
    """`pairs` different random functions of `stimuli` stimuli, each with its negation; no constants."""

    stimuli: Annotated[int, msgspec.Meta(ge=1, le=MOST_STIMULI)]
    pairs: Annotated[int, msgspec.Meta(ge=1)]
    seed: Annotated[int, msgspec.Meta(ge=0)] = 0

    def resolve(self) -> Tables:
        columns = 2**self.stimuli
        available = 2 ** (columns - 1) - 1
        if self.pairs > available:
            raise UserError(f"pairs must be at most {available} for {self.stimuli} stimuli, got {self.pairs}")
        key = stream_key(self.seed, Purpose.TASK, self.stimuli)
        tables: Battery = {}
        drawn: set[str] = set()
        for draw in itertools.count():
            table = format(int(below(philox(key, 0, draw)[0], 2**columns)), f"0{columns}b")
            if is_constant(table) or table in drawn:
                continue
            name = f"f{int(table, 2):0{columns // 4 or 1}x}"
            tables[name], tables[f"not-{name}"] = table, negation(table)
            drawn |= {table, negation(table)}
            if len(tables) == 2 * self.pairs:
                source = f"{self.pairs} random pairs of {self.stimuli} stimuli, seed {self.seed}"
                return Tables(tables=tables, source=source)
        raise AssertionError("unreachable: the draws never end")


def check_battery(tables: Mapping[str, str]) -> None:
    """Raise ValueError unless all tables are 0/1 strings of one length 2^k, k in 1 to 4."""
    if not tables:
        raise ValueError("a battery needs at least one truth table, got none")
    lengths = {2**k for k in range(1, MOST_STIMULI + 1)}
    if "" in tables:
        raise ValueError("every task needs a name, got ''")
    for name, table in tables.items():
        if set(table) - set("01") or len(table) not in lengths:
            raise ValueError(f"truth table of {name!r} must be {sorted(lengths)} digits 0 or 1, got {table!r}")
    if len({len(table) for table in tables.values()}) > 1:
        raise ValueError(f"all truth tables of a battery must have one length, got {dict(tables)}")


def stimuli_of(table: str) -> int:
    """Return k, the number of stimuli a table of 2^k digits is about."""
    return len(table).bit_length() - 1


def is_constant(table: str) -> bool:
    return len(set(table)) == 1


def negation(table: str) -> str:
    """Return the table with every response flipped."""
    return table.translate(str.maketrans("01", "10"))


def complementary_pairs(tables: Mapping[str, str], names: Iterable[str]) -> list[tuple[str, str]]:
    """Return each name of `names` with a task of the negated table, each pair once, in battery order."""
    wanted = set(names)
    pairs: list[tuple[str, str]] = []
    for name in tables:
        if name in wanted and not any(name in pair for pair in pairs):
            pairs.append((name, negation_of(tables, name)))
    return pairs


def negation_of(tables: Mapping[str, str], name: str) -> str:
    """Return the name of the task that negates task `name`; UserError if the battery has none."""
    if name not in tables:
        raise UserError(f"task {name!r} is unknown; choose one of {list(tables)}{nearest(name, tables)}")
    for other, table in tables.items():
        if table == negation(tables[name]):
            return other
    raise UserError(f"task {name!r} cannot be withheld: its negation {negation(tables[name])} is not in the battery")


def npn_class(table: str) -> str:
    """Return the canonical table under negation and permutation of inputs and negation of the output (NPN).

    The non-constant functions of 2 / 3 / 4 inputs form 3 / 13 / 221 classes; two tables of one class are the same task
    with stimuli or responses relabelled.
    """
    k = stimuli_of(table)
    forms = []
    for order in itertools.permutations(range(k)):
        for flips in range(2**k):
            columns = (flips ^ sum((column >> i & 1) << order[i] for i in range(k)) for column in range(2**k))
            form = "".join(table[column] for column in columns)
            forms += [form, negation(form)]
    return min(forms)


def novelty(tables: Mapping[str, str], withheld: Iterable[str]) -> str:
    """Return 'novel class' if no training task is a relabelled twin of a withheld one, else 'relabelled'."""
    held = set(withheld)
    trained = {npn_class(table) for name, table in tables.items() if name not in held}
    return "relabelled" if any(npn_class(tables[name]) in trained for name in held) else "novel class"


def describe(tables: Mapping[str, str]) -> str:
    """Return the battery as lines: name, table, its negation's name, and what withholding the pair would mean."""
    names = {table: name for name, table in tables.items()}
    lines = [f"{'task':16} {'responses to 0...0 to 1...1':{max(27, 2 + len(next(iter(tables.values()))))}} negation"]
    for name, table in tables.items():
        partner = names.get(negation(table), "")
        kind = novelty(tables, [name, partner]) if partner and len(tables) > 2 else ""
        lines.append(f"{name:16} {table:27} {partner:16} {kind}")
    return "\n".join(lines)
