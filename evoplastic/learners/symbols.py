"""Symbols: what is shown, numbered so that a learner may keep a table of it.

Alike is what looks alike: the same stimuli side by side, silent ones being none. A stimulus drawn for the instance is
called after the order in which the new ones are first met in a life, so that its number says nothing else. The numbers
of symbols mean nothing either: they count all that a meta-task could show.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evoplastic.jit import making_kernel
from evoplastic.tasks.meta.program import Program
from evoplastic.tasks.meta.tables import SHOWN, SLOTS, STATES, STIMULI
from evoplastic.tasks.meta.world import HEAD, LAYOUT_NOW, STATE, WORDS_AT

_SILENT = -1


def looks_of(program: Program) -> NDArray[np.int64]:
    """Return all that could be shown, (looks, 1 + slots): its symbol and its stimuli; new ones come after the codes."""
    rows = np.unique(program.shown.reshape(-1, program.shown.shape[2]), axis=0)
    looks = sorted({look for row in rows.tolist() for look in _possible(program, row)})
    silent = {number for number, code in enumerate(program.codes.tolist()) if set(code) == {-1}}
    heard = [tuple(_SILENT if stimulus in silent else stimulus for stimulus in look) for look in looks]
    number = {look: symbol for symbol, look in enumerate(dict.fromkeys(heard))}
    return np.array([(number[shown], *look) for shown, look in zip(heard, looks)], np.int64)


def _possible(program: Program, row: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield what a row of stimuli and references to variables may be in an instance."""
    drawn = sum(variable.drawn_code for variable in program.variables)
    labels = tuple(range(len(program.codes), len(program.codes) + drawn))
    references = sorted({stimulus for stimulus in row if stimulus < _SILENT})
    variables = [program.variables[-2 - reference] for reference in references]
    values = [labels if variable.drawn_code else tuple(map(int, variable.values)) for variable in variables]
    for chosen in itertools.product(*values):
        means = dict(zip(references, chosen))
        yield tuple(means.get(stimulus, stimulus) for stimulus in row)


@making_kernel
def symbol_now(world, looks, labels, met):
    """Return the symbol of what the present state shows.

    `labels` (V + 1,) int64 holds the label of each drawn variable, -1 before it is met, and how many are; `met` (S,)
    the symbol of each state, -1 before. Both are written.
    """
    ints = world.ints
    state, stimuli, slots = ints[STATE], ints[HEAD + STIMULI], ints[HEAD + SLOTS]
    if met[state] >= 0:
        return met[state]
    shown = ints[WORDS_AT] + ints[HEAD + SHOWN] + (ints[LAYOUT_NOW] * ints[HEAD + STATES] + state) * slots
    look = np.empty(slots, np.int64)
    last = labels.shape[0] - 1
    for slot in range(slots):
        look[slot] = ints[shown + slot]
        if look[slot] >= stimuli:
            variable = look[slot] - stimuli
            if labels[variable] < 0:
                labels[variable] = labels[last]
                labels[last] += 1
            look[slot] = stimuli + labels[variable]
    for row in range(looks.shape[0]):
        alike = True
        for slot in range(slots):
            alike = alike and looks[row, 1 + slot] == look[slot]
        if alike:
            met[state] = looks[row, 0]
            return met[state]
    return np.int64(-1)
