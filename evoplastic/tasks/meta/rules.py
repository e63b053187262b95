"""Rewards, costs and marks decoded: when each applies, then what it pays, where it takes the learner, what it sets.

A rule that lists several names in its conditions becomes one rule for each, all of the same place in the spec.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from evoplastic.errors import UserError, nearest
from evoplastic.tasks.meta.language import ANY, Conditions, Cost, Mark, MetaTask, Names, Probability, Reward
from evoplastic.tasks.meta.names import Vocabulary, listed, look_up, probability
from evoplastic.tasks.meta.program import ANYTHING, MOST_RULES, Chance, Rule

Said = TypeVar("Said", bound=Conditions)


def decode_rewards(spec: MetaTask, names: Vocabulary) -> tuple[Rule, ...]:
    """Return the reward rules of a spec, the last that applies decides."""
    return tuple(_decoded("rewards", spec.rewards, names, _rewarded))


def decode_costs(spec: MetaTask, names: Vocabulary) -> tuple[Rule, ...]:
    """Return the costs of a spec, which add up."""
    return tuple(_decoded("costs", spec.costs, names, _charged))


def decode_marks(spec: MetaTask, names: Vocabulary) -> tuple[Rule, ...]:
    """Return the marks of a spec, as tables from memory to memory."""
    return tuple(_decoded("marks", spec.marks, names, _marked))


def _decoded(
    part: str, rules: Sequence[Said], names: Vocabulary, outcome: Callable[[Rule, Said, Vocabulary], Rule]
) -> Iterator[Rule]:
    """Yield the rules of a part of the spec; `outcome` adds to the conditions of one what follows from it."""
    made = 0
    for number, said in enumerate(rules):
        place = f"{part}[{number}]"
        moved = ANYTHING if said.moved is None else int(said.moved)
        memories = _allowed(f"{place}.when", said.when, names)
        rule = outcome(Rule(place, ANYTHING, ANYTHING, ANYTHING, moved, memories), said, names)
        froms = _condition(f"{place}.from", said.from_, "state", names)
        tos = _condition(f"{place}.to", said.to, "state", names)
        actions = _condition(f"{place}.action", said.action, "action", names)
        made += len(froms) * len(tos) * len(actions)
        if made > MOST_RULES:
            raise UserError(f"{place}: the lists of {part} spell out to {made} rules; at most {MOST_RULES} can be")
        for from_, to, action in itertools.product(froms, tos, actions):
            yield rule._replace(from_=from_, to=to, action=action)


def _condition(place: str, said: Names | None, kind: str, names: Vocabulary) -> list[int]:
    if said is None or said == ANY:
        return [ANYTHING]
    return [names.refer(place, name, kind) for name in listed(place, said)]


def _allowed(place: str, when: Mapping[str, int | bool | tuple[int, int]], names: Vocabulary) -> int:
    """Return the set of memories for which all conditions hold, as bits."""
    bounds: dict[str, tuple[int, int]] = {}
    for name, wanted in when.items():
        values = look_up(place, name, names.memories, "flag or counter")
        low, high = wanted if isinstance(wanted, tuple) else (int(wanted), int(wanted))
        if not 0 <= low <= high < values:
            raise UserError(f"{place}.{name} must lie in 0 to {values - 1}, lowest first, got {wanted}")
        bounds[name] = low, high
    allowed = 0
    for memory, held in enumerate(_joint_memories(names)):
        if all(low <= held[name] <= high for name, (low, high) in bounds.items()):
            allowed |= 1 << memory
    return allowed


def _joint_memories(names: Vocabulary) -> list[dict[str, int]]:
    """Return what every flag and counter is in memory 0, 1, ..."""
    values = itertools.product(*map(range, names.memories.values()))
    return [dict(zip(names.memories, held)) for held in values]


def _rewarded(rule: Rule, said: Reward, names: Vocabulary) -> Rule:
    if said.but != () and said.relocate is None:
        raise UserError(f"{rule.place}.but leaves out places of a relocation; give relocate too")
    return rule._replace(
        value=said.value,
        chance=_chance(f"{rule.place}.probability", said.probability, names),
        places=_states(f"{rule.place}.relocate", said.relocate, names) if said.relocate is not None else (),
        but=_states(f"{rule.place}.but", said.but, names) if said.but != () else (),
    )


def _chance(place: str, said: Probability, names: Vocabulary) -> Chance:
    if not isinstance(said, str):
        return Chance(probability(place, said))
    name, known = said.removeprefix("1-"), names.references["probability"]
    if name in known:
        variable = -2 - known[name]
        return Chance(1.0, -1.0, variable) if said != name else Chance(0.0, 1.0, variable)
    return Chance(probability(place, said, f", a fraction or a variable probability{nearest(name, known)}"))


def _states(place: str, said: Names, names: Vocabulary) -> tuple[int, ...]:
    """Return states and variable states, "any" for all states."""
    if said == ANY:
        return tuple(names.states.values())
    return tuple(names.refer(place, name, "state") for name in listed(place, said))


def _charged(rule: Rule, said: Cost, names: Vocabulary) -> Rule:
    return rule._replace(value=said.value)


def _marked(rule: Rule, said: Mark, names: Vocabulary) -> Rule:
    place, highest = rule.place, {name: values - 1 for name, values in names.memories.items()}
    for name in (*said.set, *said.add):
        look_up(place, name, names.memories, "flag or counter")
    if not (said.set or said.add) or said.set.keys() & said.add.keys():
        raise UserError(f"{place}: set or add something, and not both to one name, got {said.set} and {said.add}")
    for name, value in said.set.items():
        if not 0 <= value <= highest[name]:
            raise UserError(f"{place}.set.{name} must be 0 to {highest[name]}, got {value}")
    for name, by in said.add.items():
        if not -highest[name] <= by <= highest[name]:
            raise UserError(f"{place}.add.{name} must be {-highest[name]} to {highest[name]}, got {by}")
    joint = _joint_memories(names)
    marked = []
    for held in joint:
        after = held | {name: int(value) for name, value in said.set.items()}
        after |= {name: min(max(held[name] + by, 0), highest[name]) for name, by in said.add.items()}
        marked.append(joint.index(after))
    return rule._replace(marked=tuple(marked))
