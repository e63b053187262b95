"""The spec language of meta-tasks: a family of small decision problems as data, every part called by its name.

A meta-task is a partially observed decision problem in which some quantities are *variables*: drawn for every
instance, they stay what they are for its whole life unless they are said to change. A learner sees stimuli and
rewards, never states, flags or variables.

The order of events inside a decision, version 1 (`ORDER`):

    observe    the learner is shown the observation of the state it is in
    act        it chooses one of the actions
    move       the next state is drawn from the row of (state, action)
    pay        every cost whose conditions hold is charged; they add up
    reward     of all reward rules whose conditions hold the LAST listed decides: its value, with its probability
    relocate   if that rule relocates and was paid, the next state becomes one of the rule's places, drawn evenly from
               those that are not left out
    mark       marks whose conditions hold set flags and counters, in their order, so the last listed has its way
    end        a trial that ends restarts and clears what it is said to
    change     variables that change at every decision, at the end of a trial or at a set decision do so

Conditions read the state acted from, the state moved to (before a relocation), the action, whether the state
changed, and the flags and counters as they were before `mark`. The numeric codes of programs end at the border: a
kernel gets what `program.decode` made of a spec.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

FORMAT = "evoplastic.task"
ORDER = "observe-act-move-pay-reward-relocate-mark-end-change/1"

ANY = "any"  # state or row for which everything will do
NONE = "none"  # an observation that shows nothing

Positive = Annotated[int, msgspec.Meta(ge=1)]
Number = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
Probability = float | str  # .25, "1/3", or where a variable may stand "p" or "1-p"
Names = str | tuple[str, ...]
Row = str | dict[str, Probability]  # one certain state, or a probability for each
Rows = str | dict[str, Probability | dict[str, Probability]]  # a row for every action, or {action: row}


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a spec: unknown keys are refused, defaults are not written."""


class Uniform(Part, frozen=True, kw_only=True):
    """Any number between two bounds, evenly."""

    low: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    high: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0


class Change(Part, frozen=True, kw_only=True):
    """How a variable changes within an instance.

    With `chance` at `every` decision or end of a trial, or surely after the decisions listed in `at` (counted from 1).
    It changes to any `other` of its values, evenly, or to a `neighbour` in their list, up or down with equal chance;
    at an end of the list a step over the edge is not taken.
    """

    to: Literal["other", "neighbour"] = "other"
    every: Literal["decision", "trial"] | None = None
    chance: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    at: tuple[Positive, ...] = ()


class Variable(Part, frozen=True, kw_only=True):
    """A quantity drawn evenly for every instance; exactly one of the first five says what it is.

    `unlike` names earlier variables of the same kind whose value this one never takes.
    """

    state: Names | None = None  # one of these states; "any": all
    action: Names | None = None
    stimulus: Names | None = None  # one of these stimuli, or "drawn": a new random code
    probability: tuple[float, ...] | Uniform | None = None
    other: str | None = None  # the other value of this two-valued variable
    unlike: tuple[str, ...] = ()
    but: Names = ()  # not these states
    change: Change | None = None


class Conditions(Part, frozen=True, kw_only=True):
    """When a rule applies; what is not said does not matter."""

    from_: Names | None = msgspec.field(default=None, name="from")
    to: Names | None = None
    action: Names | None = None
    moved: bool | None = None  # whether the next state differs from the one acted from
    when: dict[str, int | bool | tuple[int, int]] = {}  # flag or counter: its value, or [lowest, highest]


class Reward(Conditions, frozen=True, kw_only=True):
    """Of the reward rules that apply, the last listed pays `value` with `probability`."""

    value: Number = 1.0
    probability: Probability = 1.0
    relocate: Names | None = None  # where a paid reward takes the learner; several states: evenly
    but: Names = ()  # not to these states, which variables may name


class Cost(Conditions, frozen=True, kw_only=True):
    """Charged whenever it applies, on top of any reward."""

    value: Number


class Mark(Conditions, frozen=True, kw_only=True):
    """Sets or counts flags and counters; a counter stays between 0 and its highest value."""

    set: dict[str, int | bool] = {}
    add: dict[str, int] = {}


class Trial(Part, frozen=True, kw_only=True):
    """When a trial ends: after so many decisions, on reaching a state, or on a paid reward; and what follows then."""

    decisions: Positive | None = None
    until: Names | None = None
    rewarded: bool = False
    restart: bool = False  # the next state is a start
    clear: bool = False  # flags and counters go back to 0


class Mazes(Part, frozen=True, kw_only=True):
    """`count` random mazes of `rows` x `columns` rooms without loops, one of which is drawn for every instance."""

    rows: Annotated[int, msgspec.Meta(ge=2, le=16)]
    columns: Annotated[int, msgspec.Meta(ge=2, le=16)]
    count: Annotated[int, msgspec.Meta(ge=1, le=256)]
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] = 0


class Grid(Part, frozen=True, kw_only=True):
    """States as cells of a plane, with the actions north, east, south, west; a move into a wall stays.

    A `map` of lines has `#` for a wall, `.` for a cell, and a letter for a cell of that name; others are called
    `row,column` from 0. `wrap` joins opposite edges. What is observed of a cell: nothing; the eight squares around it
    (`local`, a wall is 1); or which cell it is (`unique`, one unit per row and one per column).
    """

    map: tuple[str, ...] = ()
    mazes: Mazes | None = None
    wrap: bool = False
    observe: Literal["none", "local", "unique"] = "none"


class MetaTask(Part, frozen=True, kw_only=True):
    """A meta-task as its file spells it. `reading` checks that its parts fit together; see the module for the order."""

    format: Literal["evoplastic.task"]
    version: Literal[1]
    order: Literal["observe-act-move-pay-reward-relocate-mark-end-change/1"]
    summary: str
    source: str = ""
    horizon: Annotated[int, msgspec.Meta(ge=1, le=100_000)]  # decisions of an instance
    trial: Trial = Trial()
    states: tuple[str, ...] = ()
    grid: Grid | None = None
    start: Names = ()  # one of these, evenly; default: the first state, or any cell of a grid
    actions: tuple[str, ...] = ()
    stimuli: dict[str, str] = {}  # name -> a digit per unit: 1 on, 0 off (the opposite), . silent
    stimulus_units: Annotated[int, msgspec.Meta(ge=1, le=64)] | None = None  # default: the digits of a stimulus
    observations: dict[str, Names] = {}  # state -> a stimulus, a variable, several side by side, or "none"
    variables: dict[str, Variable] = {}
    flags: tuple[str, ...] = ()
    counters: dict[str, Annotated[int, msgspec.Meta(ge=1, le=63)]] = {}  # highest value
    transitions: dict[str, Rows] = {}  # state -> rows; "any" stands for actions not named
    rewards: tuple[Reward, ...]
    costs: tuple[Cost, ...] = ()
    marks: tuple[Mark, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as JSON: what is a default is told by identity, which a pickled number would lose."""
        return _from_json, (msgspec.json.encode(self),)


def _from_json(content: bytes) -> MetaTask:
    return msgspec.json.decode(content, type=MetaTask)


def to_json(spec: MetaTask) -> dict[str, Any]:
    """Return the spec as JSON builtins, defaults left out; reading them gives an equal spec."""
    content: dict[str, Any] = msgspec.to_builtins(spec)
    return content
