"""A meta-task in English: what is observed, what actions do, what is drawn, what changes, what pays.

Made from the spec alone, so any spec can be read. Names of variables stand in <>, all other names as they are, in
quotes where they hold more than words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.grid import ACTIONS
from evoplastic.tasks.meta.language import (
    ANY,
    NONE,
    Conditions,
    Mark,
    MetaTask,
    Names,
    Reward,
    Row,
    Uniform,
    Variable,
)
from evoplastic.tasks.meta.meeting import rewards_meet
from evoplastic.tasks.meta.phrases import amount, change, counted, filled, grouped, joined, sentence, verb
from evoplastic.tasks.meta.program import Program


def describe(spec: MetaTask) -> str:
    """Return a checked spec in words: a paragraph, then a section for each of its parts."""
    paragraphs = [filled(spec.summary)]
    for head, sentences in sections(spec).items():
        paragraphs.append("\n".join([head, *(filled(sentence, 2) for sentence in sentences)]))
    return "\n\n".join([*paragraphs, *([filled(f"Source: {spec.source}")] if spec.source else [])])


def sections(spec: MetaTask) -> dict[str, list[str]]:
    """Return the sentences about each part of a checked spec that it has."""
    speaker = _Speaker(decode(spec))
    parts = {
        "Observed": speaker.observations(),
        "Actions": speaker.moves(),
        "Drawn for every instance": speaker.draws(),
        "Changes": speaker.changes(),
        "Pays": speaker.payments(),
        "Remembered": speaker.memories(),
        "Instance": speaker.course(),
        "Order of a decision": speaker.order(),
    }
    said = {head: [sentence(clause) for clause in clauses] for head, clauses in parts.items()}
    return {head: sentences for head, sentences in said.items() if sentences}


class _Speaker:
    """Knows which names are variables while it speaks of a spec."""

    def __init__(self, program: Program):
        self.program = program
        self.spec = program.spec
        self.place = "state" if program.plane is None else "cell"

    # Sections

    def observations(self) -> Iterator[str]:
        spec = self.spec
        if spec.grid is not None and spec.grid.observe != "none":
            yield {
                "local": "of every cell the eight squares around it, one unit each: wall or free",
                "unique": "which cell it is: one unit for each row and one for each column",
            }[spec.grid.observe]
            return
        showing = grouped((state, self._shown(spec.observations.get(state, NONE))) for state in self.program.states)
        if [shown for shown, _ in showing] == ["nothing"]:
            yield "nothing; only the action just taken and what it paid can tell anything"
            return
        for shown, states in showing:
            alike = " alike" if len(states) > 1 else ""
            yield f"in {self._every(states, 'and')}{alike}: {shown}"

    def moves(self) -> Iterator[str]:
        spec = self.spec
        if spec.grid is not None:
            yield from self._grid()
            return
        yield f"{counted(len(spec.actions), 'action')}: {self._list(spec.actions)}"
        for rows, states in grouped((state, self._rows(spec.transitions[state])) for state in spec.states):
            yield f"in {self._every(states, 'or')}, {rows}"

    def draws(self) -> Iterator[str]:
        for what, names in grouped((name, self._drawn(said)) for name, said in self.spec.variables.items()):
            yield f"{self._list(names)}: {'each ' if len(names) > 1 else ''}{what}"
        if self.spec.grid is not None and self.spec.grid.mazes is not None:
            yield f"the maze, one of {self.spec.grid.mazes.count}"
        elif not self.spec.variables:
            yield "nothing, so all instances are alike"

    def changes(self) -> Iterator[str]:
        variables = self.spec.variables
        changing = [(name, said.change) for name, said in variables.items() if said.change is not None]
        for how, names in grouped((name, change(said)) for name, said in changing):
            each = f"each {verb('change', names)}" if len(names) > 1 else "changes"
            yield f"{self._list(names)} {each} {how}"
        for name, said in variables.items():
            if said.other is not None and variables[said.other].change is not None:
                yield f"{self._name(name)} changes with {self._name(said.other)}"

    def payments(self) -> Iterator[str]:
        spec = self.spec
        if rewards_meet(self.program):
            yield "of the rewards that apply, the last one named decides"
        if not spec.rewards:
            yield "nothing"
        for reward in spec.rewards:
            yield f"{self._conditions(reward)}{self._reward(reward)}"
        for cost in spec.costs:
            yield f"{self._conditions(cost)} costs {amount(cost.value)}"

    def memories(self) -> Iterator[str]:
        spec = self.spec
        if not spec.flags and not spec.counters:
            return
        for name in spec.flags:
            yield f"the flag '{name}', not set at first and not observed"
        for name, most in spec.counters.items():
            yield f"the counter '{name}', from 0 to {most} and not observed"
        for mark in spec.marks:
            yield f"{self._conditions(mark)} {self._mark(mark)}"

    def course(self) -> Iterator[str]:
        trial = self.spec.trial
        begins = self._every([self.program.states[state] for state in self.program.start], "or")
        yield f"it begins in {begins} and lasts {counted(self.spec.horizon, 'decision')}"
        ends = [f"on reaching {self._names(trial.until, 'state')}"] if trial.until else []
        ends += ["when a reward is paid"] if trial.rewarded else []
        if trial.decisions:
            yield "every decision is a trial" if trial.decisions == 1 else f"a trial is {trial.decisions} decisions"
        elif ends:
            yield f"a trial ends {' or '.join(ends)}"
        if trial.restart:
            yield f"the next trial begins in {begins}"
        if trial.clear and self._kept():
            how = "go back to 0" if self.spec.counters else "are cleared"
            yield f"at the end of a trial all {self._kept()} {how}"

    def order(self) -> Iterator[str]:
        spec = self.spec
        kept = self._kept()
        events = {
            "observe": True,
            "act": True,
            "move": True,
            "pay costs": bool(spec.costs),
            "receive the reward": True,
            "be taken elsewhere": any(reward.relocate for reward in spec.rewards),
            f"set {kept}": bool(kept),
            "end the trial": bool(spec.trial.decisions or spec.trial.until or spec.trial.rewarded),
            "change variables": any(variable.change for variable in spec.variables.values()),
        }
        yield ", ".join(event for event, happens in events.items() if happens)
        if kept:
            yield f"rules read {kept} as they were before the decision"

    # Parts of sections

    def _kept(self) -> str:
        """Return what there is of flags and counters."""
        kept = (("flags", self.spec.flags), ("counters", self.spec.counters))
        return " and ".join(what for what, names in kept if names)

    def _grid(self) -> Iterator[str]:
        grid, plane = self.spec.grid, self.program.plane
        assert grid is not None and plane is not None
        yield f"4 actions: {joined(ACTIONS)}; a move into a wall{'' if grid.wrap else ' or over the edge'} stays"
        if grid.mazes is not None:
            yield f"{grid.mazes.rows} x {grid.mazes.columns} rooms in a maze without loops"
            return
        _, height, width = plane.walls.shape
        free = "all of them cells" if not plane.walls.any() else f"{len(plane.states)} of them cells, the others walls"
        yield f"{height} x {width} squares, {free}{'; opposite edges join' if grid.wrap else ''}"

    def _shown(self, names: Names) -> str:
        if isinstance(names, str):
            return self._stimulus(names)
        return f"{joined(map(self._stimulus, names))}{', side by side' if len(names) > 1 else ''}"

    def _stimulus(self, name: str) -> str:
        if name == NONE or name in self.spec.variables:
            return "nothing" if name == NONE else self._name(name)
        return f"{self._name(name)} ({self.spec.stimuli[name]})"

    def _rows(self, rows: Any) -> str:
        """Return what the actions of a state do, as a clause."""
        by_action = isinstance(rows, Mapping) and any(key == ANY or key in self.program.actions for key in rows)
        if not by_action or set(rows) == {ANY}:
            return f"any action leads to {self._row(rows[ANY] if by_action else rows)}"
        named = [(self._name(action) if action != ANY else "any other", self._row(row)) for action, row in rows.items()]
        leading = grouped(named)
        if len(leading) == 1:
            return f"any action leads to {leading[0][0]}"
        return "; ".join(f"{joined(actions)} {verb('lead', actions)} to {row}" for row, actions in leading)

    def _row(self, row: Row) -> str:
        if isinstance(row, str):
            return self._name(row)
        if len(row) == 1:
            return self._name(next(iter(row)))
        if len(set(row.values())) == 1:
            return f"{self._every(list(row), 'or')}, evenly"
        return joined([f"{self._name(state)} with chance {amount(chance)}" for state, chance in row.items()], "or")

    def _drawn(self, variable: Variable) -> str:
        but = f" but {self._names(variable.but, 'state')}" if variable.but else ""
        unlike = f", never the same as {self._list(variable.unlike, 'or')}" if variable.unlike else ""
        if variable.other is not None:
            return f"the other value of {self._name(variable.other)}"
        if variable.state is not None:
            return f"{self._names(variable.state, 'state')}{but}{unlike}"
        if variable.action is not None:
            return f"{self._names(variable.action, 'action')}{unlike}"
        if variable.stimulus is not None:
            drawn = "a new random stimulus" if variable.stimulus == "drawn" else None
            return f"{drawn or self._names(variable.stimulus, 'stimulus')}{unlike}"
        if isinstance(variable.probability, Uniform):
            return f"a probability from {amount(variable.probability.low)} to {amount(variable.probability.high)}"
        assert variable.probability is not None
        return f"a probability of {joined(map(amount, variable.probability), 'or')}{unlike}"

    def _conditions(self, rule: Conditions) -> str:
        """Return when a rule applies, as the subject of a sentence."""
        action = self._names(rule.action, "action") if rule.action is not None and rule.action != ANY else ""
        there = f" in {self._names(rule.from_, 'state')}" if rule.from_ is not None and rule.from_ != ANY else ""
        to = self._names(rule.to, "state") if rule.to is not None and rule.to != ANY else ""
        if to and not action and not there:
            ways = {None: f"reaching {to}", True: f"entering {to} from elsewhere", False: f"staying in {to}"}
            said = ways[rule.moved]
        else:
            led = [f"leads to {to}"] if to else []
            led += {None: [], True: ["leads elsewhere"], False: ["leads nowhere else"]}[rule.moved]
            subject = f"choosing {action}" if action else "any action" if there or led else "every decision"
            said = f"{subject}{there}{f' that {joined(led)}' if led else ''}"
        held = [self._held(name, wanted) for name, wanted in rule.when.items()]
        return f"{said} while {joined(held)}" if held else said

    def _held(self, name: str, wanted: int | bool | tuple[int, int]) -> str:
        if name in self.spec.flags and not isinstance(wanted, tuple):
            return f"'{name}' is {'set' if wanted else 'not set'}"
        return f"'{name}' is {f'{wanted[0]} to {wanted[1]}' if isinstance(wanted, tuple) else int(wanted)}"

    def _reward(self, reward: Reward) -> str:
        said = str(reward.probability)
        chance = ""
        if said.removeprefix("1-") in self.spec.variables:
            name = self._name(said.removeprefix("1-"))
            chance = f" with chance {f'1 minus {name}' if said.startswith('1-') else name}"
        elif reward.probability not in (1.0, "1"):
            chance = f" with chance {amount(reward.probability)}"
        but = f" but {self._names(reward.but, 'state')}" if reward.but else ""
        taken = f", and takes the learner to {self._names(reward.relocate, 'state')}{but}" if reward.relocate else ""
        return f" pays {amount(reward.value)}{chance}{taken}"

    def _mark(self, mark: Mark) -> str:
        done = []
        for name, value in mark.set.items():
            flag = name in self.spec.flags
            does = "clears" if flag and not value else "sets"
            done.append(f"{does} '{name}'{'' if flag else f' to {int(value)}'}")
        for name, by in mark.add.items():
            done.append(f"{f'adds {by} to' if by >= 0 else f'takes {-by} from'} '{name}'")
        return joined(done)

    def _names(self, names: Names, kind: str) -> str:
        listed = [names] if isinstance(names, str) else list(names)
        if listed == [ANY]:
            return f"any {self.place if kind == 'state' else kind}"
        return self._list(listed, "or")

    def _every(self, states: Sequence[str], word: str) -> str:
        """Return a list of states, or that it is all of them."""
        everywhere = len(states) == len(self.program.states) > 2
        return f"any {self.place}" if everywhere else self._list(states, word)

    def _list(self, names: Iterable[str], word: str = "and") -> str:
        return joined(map(self._name, names), word)

    def _name(self, name: str) -> str:
        if name in self.spec.variables:
            return f"<{name}>"
        return name if re.fullmatch(r"[\w -]+", name) else f"'{name}'"
