"""What makes two meta-tasks the same: a digest that depends on no name, on no order, and on no part that is dead.

A learner meets a meta-task as a distribution over instances, each a process that answers actions with stimuli and
payments. Two meta-tasks get one digest if some renaming of actions and of listed stimuli, the same in every instance,
makes these distributions equal. So it is all one

    what states, variables and flags are called and in which order rules stand, as long as they decide alike
    whether a rule or variable that changes nothing, or a state that is never reached, is there
    whether a state is one or two that behave alike: what is shown, and for every action the probability of each payment
        and of each next state, up to states that behave alike (the coarsest such partition, found by refinement)
    which variable is which, whether a probability is called p or 1 - p, and which new stimulus is which
    whether instances that differ in names only are drawn, or one of them

The horizon, amounts, probabilities (to 1e-9) and the start count as they are. A probability drawn between bounds is
replaced by two levels of the same mean and variance; the square root in them keeps such tasks from all listed levels.

What actions and stimuli do in all instances tells most of them apart, see `coloring`. Those that then still play the
same part are told apart in every order, and the least outcome counts. Situations need no order: those that behave alike
are one, and all others differ in how they behave.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evoplastic.errors import UserError
from evoplastic.tasks.meta.program import Decoded, Program
from evoplastic.tasks.meta.sampling.coloring import (
    SCALE,
    Colored,
    Colors,
    Graph,
    Numbers,
    as_colors,
    grouped,
    mixed,
    refined,
    uncolored,
)
from evoplastic.tasks.meta.solvers.situations import Situations, situations_of

VERSION = 1  # of the form: counted up whenever digests change
MOST_WORK = 2**22  # outcomes that are looked at, once for every order; some 20 s on one core
_DEVIATION = 1 / math.sqrt(12.0)  # standard deviation of a number drawn evenly from 0 to 1


def canonical(program: Program) -> str:
    """Return the digest of a meta-task, 32 hex digits. UserError with an estimate for one that is too large."""
    graph = _graph_of(program)
    colored = refined(graph, *uncolored(graph))
    if (kinds := _kinds(colored.rows)).max() + 1 < graph.shape[0]:
        graph = _of_kinds(graph, kinds)
        colored = refined(graph, *uncolored(graph))
    _check_size(graph, colored)
    least = min(_spelled(graph, told_apart) for told_apart in _orders(graph, colored))
    schedule = graph.kinds.tolist() if graph.shape[0] > 1 else len(graph.kinds)
    return hashlib.sha256(f"{VERSION} {schedule} ".encode() + least).hexdigest()[:32]


# The situations of a task


def _graph_of(program: Program) -> Graph:
    program = dataclasses.replace(program, variables=tuple(map(_in_levels, program.variables)))
    situations = situations_of(program)
    reached = situations.occurring
    states = np.zeros(len(program.states), np.bool_)
    states[situations.states[reached]] = True
    if (program.shown[:, ~states] != -1).any():  # what is never seen must not ask for labels
        program = dataclasses.replace(program, shown=np.where(states[:, None], program.shown, -1))
        situations = situations_of(program)
        reached = situations.occurring
    return _compact(situations, reached, len(program.codes))


def _in_levels(variable: Decoded) -> Decoded:
    """Return a probability between bounds as one of two levels, other variables as they are."""
    if not variable.continuous:
        return variable
    middle, off = (variable.low + variable.high) / 2, (variable.high - variable.low) * _DEVIATION
    return variable._replace(values=(middle - off, middle + off))


def _compact(situations: Situations, reached: NDArray[np.bool_], codes: int) -> Graph:
    """Return the graph of the situations that are reached."""
    size, left = len(reached), int(np.count_nonzero(reached))
    number = np.cumsum(reached) - 1
    rows = situations.rows
    kept = reached[rows % size]
    rows = rows[kept]
    amounts = np.rint(situations.payments * SCALE).astype(np.int64).view(np.uint64)
    shown = situations.shows[situations.seen[reached]]
    shown = shown[:, (shown != -1).any(axis=0)]
    listed = np.unique(shown[(shown >= 0) & (shown < codes)])
    labels = shown - codes + len(listed)
    return Graph(
        rows=rows // size * left + number[rows % size],
        into=number[situations.into[kept]],
        chance=situations.chance[kept],
        paid=mixed(amounts[situations.told[kept] // situations.symbols]),
        shape=(len(situations.first), len(situations.rewards), left),
        shown=np.where(shown < codes, np.where(shown < 0, -1, np.searchsorted(listed, shown)), labels),
        listed=len(listed),
        born=situations.born[reached],
        instance=np.flatnonzero(reached) // math.prod(situations.shape[1:]),
        kinds=situations.kinds,
    )


def _kinds(rows: Colors) -> Numbers:
    """Return for each kind of decision the number it has when those that do the same are one, in order, (K,)."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(kind.tobytes(), len(numbers)) for kind in rows])


def _of_kinds(graph: Graph, kinds: Numbers) -> Graph:
    """Return the graph with kinds renumbered, one of each."""
    size = math.prod(graph.shape[1:])
    first = [kinds.tolist().index(kind) for kind in range(kinds.max() + 1)]
    kept = np.isin(graph.rows // size, first)
    return graph._replace(
        rows=kinds[graph.rows[kept] // size] * size + graph.rows[kept] % size,
        into=graph.into[kept],
        chance=graph.chance[kept],
        paid=graph.paid[kept],
        shape=(len(first), *graph.shape[1:]),
        kinds=kinds[graph.kinds],
    )


# One order of what plays the same part


def _orders(graph: Graph, colored: Colored) -> Iterator[Colored]:
    """Yield colors for every order of the actions, and of the stimuli, that play the same part."""
    alike = _alike(colored)
    if alike is None:
        yield colored
        return
    kind, members = alike
    for one in members:
        yield from _orders(graph, _singled_out(graph, colored, kind, one))


def _alike(colored: Colored) -> tuple[str, list[int]] | None:
    """Return some actions, or some stimuli, that share a color; None where all differ."""
    for kind in ("actions", "stimuli"):
        each = getattr(colored, kind)
        colors, counts = np.unique(each, return_counts=True)
        if (counts > 1).any():
            return kind, np.flatnonzero(each == colors[counts > 1][0]).tolist()
    return None


def _singled_out(graph: Graph, colored: Colored, kind: str, one: int) -> Colored:
    """Return the colors once an action or a stimulus is told from all that play the same part."""
    first = {"actions": colored.actions.copy(), "stimuli": colored.stimuli.copy()}
    first[kind][one] = mixed(first[kind][one : one + 1], np.ones(1, np.uint64))[0]
    return refined(graph, **first)


def _check_size(graph: Graph, colored: Colored) -> None:
    """Raise UserError for too many orders; which of some that are alike is singled out changes their number little."""
    orders, size = 1, len(graph.rows)
    while size * orders <= MOST_WORK and (alike := _alike(colored)) is not None:
        kind, members = alike
        orders *= len(members)
        colored = _singled_out(graph, colored, kind, members[0])
    if size * orders > MOST_WORK:
        raise UserError(
            f"a canonical form would look at {size * orders:.2g} outcomes or more, {size:.2g} in each of {orders} "
            f"orders of actions and stimuli; at most {MOST_WORK:.2g} can be, so use fewer states or stimuli"
        )


def _spelled(graph: Graph, colored: Colored) -> bytes:
    """Return how situations behave, each kind once, then the different instances and how probable each is.

    The last color of a situation says how it leads to the colors before. As many rounds tell nothing new, those are the
    last ones under other names, and all of them together say all; an instance is what it begins in.
    """
    instances = graph.instance.max() + 1
    weights = np.bincount(graph.instance, graph.born, instances)
    order, first = grouped(graph.instance, colored.situations)
    instance, color = graph.instance[order[first]], colored.situations[order[first]]
    born = np.add.reduceat(graph.born[order], first) / weights[instance]
    begun = born > 0
    kinds = np.zeros(instances, np.uint64)
    np.add.at(kinds, instance[begun], mixed(color, as_colors(born))[begun])
    different, which = np.unique(kinds, return_inverse=True)
    weight = as_colors(np.bincount(which, weights))
    return b"".join(part.tobytes() for part in (np.unique(colored.situations), different, weight))
