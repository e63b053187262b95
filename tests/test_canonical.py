"""Meta-tasks that are the same up to names have one digest; each real change makes another."""

import itertools
import json
import random

import numpy as np
import pytest
from conftest import ROOT

from evoplastic.errors import UserError
from evoplastic.random import Purpose, stream_key
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import FORMAT, ORDER, MetaTask, to_json
from evoplastic.tasks.meta.published import translated
from evoplastic.tasks.meta.reading import parse_meta_task
from evoplastic.tasks.meta.sampling import canonical as canonical_module
from evoplastic.tasks.meta.sampling.canonical import canonical
from evoplastic.tasks.meta.sampling.published_draws import draw_published, rejections
from evoplastic.tasks.meta.solvers.values import values

SMALL = [
    "bandit",
    "dependent-bandit",
    "harlow",
    "key-door",
    "patch-foraging",
    "reversal",
    "t-maze",
    "two-step",
]
TASK = {
    "format": FORMAT,
    "version": 1,
    "order": ORDER,
    "summary": "a test",
    "horizon": 12,
    "states": ["home", "fork", "west", "east"],
    "actions": ["a", "b"],
    "stimuli": {"red": "100", "green": "010"},
    "observations": {"home": "red", "fork": "green", "west": "one"},
    "variables": {
        "place": {"state": ["west", "east"]},
        "p": {"probability": [0.2, 0.8]},
        "one": {"stimulus": "drawn"},
    },
    "flags": ["key"],
    "transitions": {
        "home": "fork",
        "fork": {"a": {"west": 0.9, "east": 0.1}, "b": "east"},
        "west": "home",
        "east": "home",
    },
    "rewards": [
        {"from": "place", "probability": "p", "when": {"key": False}},
        {"from": "east", "action": "a", "probability": 0.5, "when": {"key": True}},
    ],
    "marks": [{"from": "home", "action": "b", "set": {"key": True}}, {"from": "west", "set": {"key": False}}],
}


def digest(content):
    return canonical(decode(parse_meta_task(content, "test")))


def changed(content, *path_and_value):
    """Return a copy with the value at a path replaced, or with a key removed where it is None."""
    *path, last, value = path_and_value
    copy = json.loads(json.dumps(content))
    here = copy
    for step in path:
        here = here[step]
    if value is None:
        del here[last]
    else:
        here[last] = value
    return copy


def named_task(name):
    return json.loads((ROOT / "task_specs" / f"{name}.json").read_text())


def published_tasks(count):
    """Return the specs of the first accepted repaired draws."""
    draws = (draw_published(stream_key(11, Purpose.TASK, number), True) for number in itertools.count())
    accepted = (published for published in draws if not rejections(published, True))
    return [to_json(translated(published, "drawn", 20).spec) for published in itertools.islice(accepted, count)]


def relabelled(content, seed):
    """Return the task under other names, its states, actions, stimuli, variables and flags in another order."""
    chance = random.Random(seed)
    content = json.loads(json.dumps(content))
    content.setdefault("start", content["states"][0])
    kinds = ("states", "actions", "flags")
    names = [*content.get("stimuli", {}), *content.get("variables", {})]
    names += [name for kind in kinds for name in content.get(kind, ())]
    fresh = [f"name {number}" for number in range(len(names))]
    chance.shuffle(fresh)
    content = renamed(content, dict(zip(names, fresh)))
    for kind in kinds:
        if kind in content:
            content[kind] = chance.sample(content[kind], len(content[kind]))
    codes = list(content.get("stimuli", {}).values())
    content["stimuli"] = dict(zip(content.get("stimuli", {}), chance.sample(codes, len(codes))))
    if not any({"unlike", "other"} & set(variable) for variable in content.get("variables", {}).values()):
        listed = list(content.get("variables", {}).items())
        content["variables"] = dict(chance.sample(listed, len(listed)))
    return content


def renamed(content, names):
    """Return a task with other names for some; `start` may be both a state and a field."""
    return {field: _renamed(value, names) for field, value in content.items()}


def _renamed(part, names):
    if isinstance(part, dict):
        return {names.get(key, key): _renamed(value, names) for key, value in part.items()}
    if isinstance(part, list):
        return [_renamed(value, names) for value in part]
    if isinstance(part, str) and part.startswith("1-"):
        return f"1-{names[part[2:]]}"
    return names.get(part, part) if isinstance(part, str) else part


# ---- the same


@pytest.mark.parametrize("name", SMALL)
def test_a_named_task_keeps_its_digest_under_other_names_and_orders(name):
    content = named_task(name)
    assert {digest(relabelled(content, seed)) for seed in range(5)} == {digest(content)}


def test_random_tasks_keep_their_digests_under_other_names_and_orders():
    for seed, content in enumerate(published_tasks(120)):
        assert digest(relabelled(content, seed)) == digest(content)


def test_a_variable_probability_may_be_called_1_minus_itself():
    turned = changed(TASK, "rewards", 0, "probability", "1-p")
    assert digest(turned) == digest(TASK)
    between = changed(TASK, "variables", "p", "probability", {"low": 0.1, "high": 0.9})
    assert digest(changed(between, "rewards", 0, "probability", "1-p")) == digest(between)


def test_two_probabilities_drawn_between_bounds_may_change_places():
    between = changed(TASK, "variables", "p", "probability", {})
    two = changed(changed(between, "variables", "q", {"probability": {}}), "rewards", 1, "probability", "q")
    swapped = changed(changed(two, "rewards", 0, "probability", "1-q"), "rewards", 1, "probability", "p")
    assert digest(swapped) == digest(two)
    assert digest(changed(two, "rewards", 1, "probability", "p")) != digest(two)


def test_a_rule_that_later_ones_override_changes_nothing():
    dead = {"from": "east", "action": "a", "value": 3.0}
    both = [dead, *TASK["rewards"], {"from": "east", "probability": 0.5, "action": "a", "when": {"key": [0, 0]}}]
    without = changed(TASK, "rewards", both[1:])
    content = changed(TASK, "rewards", both)
    spec = parse_meta_task(without, "test")
    hidden = MetaTask(**{**_fields(spec), "rewards": parse_meta_task(content, "test").rewards})
    assert canonical(decode(hidden)) == canonical(decode(spec))


def _fields(spec):
    return {name: getattr(spec, name) for name in spec.__struct_fields__}


def test_the_order_of_rules_that_never_meet_does_not_matter():
    assert digest(changed(TASK, "rewards", TASK["rewards"][::-1])) == digest(TASK)


def test_what_is_never_reached_read_or_drawn_upon_changes_nothing():
    more = changed(TASK, "states", [*TASK["states"], "attic"])
    more = changed(more, "transitions", "attic", "west")
    more = changed(more, "observations", "attic", "unseen")
    more = changed(more, "variables", "unseen", {"stimulus": "drawn"})
    more = changed(more, "variables", "unused", {"state": ["home", "attic"], "change": {"at": [3]}})
    more = changed(more, "flags", ["key", "unread"])
    more = changed(more, "marks", [*TASK["marks"], {"from": "fork", "set": {"unread": True}}])
    more = changed(more, "rewards", [{"from": "attic", "value": 7.0}, *TASK["rewards"]])
    more = changed(more, "trial", {"decisions": 3})
    assert digest(more) == digest(TASK)


def test_a_state_split_in_two_that_behave_alike_is_one():
    split = changed(TASK, "states", [*TASK["states"], "far west"])
    split = changed(split, "transitions", "fork", "a", {"west": 0.3, "far west": 0.6, "east": 0.1})
    split = changed(split, "transitions", "far west", "home")
    split = changed(split, "observations", "far west", "one")
    split = changed(split, "marks", [TASK["marks"][0], {"from": ["west", "far west"], "set": {"key": False}}])
    fixed = {"from": "west", "probability": "p", "when": {"key": False}}
    whole = changed(TASK, "rewards", 0, fixed)
    halves = changed(split, "rewards", 0, {**fixed, "from": ["west", "far west"]})
    assert digest(halves) == digest(whole)
    assert digest(changed(split, "rewards", 0, fixed)) != digest(whole)


def test_instances_that_differ_in_names_only_are_one():
    """Which of two new stimuli is good can be told by no name, so a fixed place behind them is as good."""
    harlow = named_task("harlow")
    (name,) = (name for name, variable in harlow["variables"].items() if "state" in variable)
    place = harlow["variables"][name]["state"][0]
    fixed = changed(renamed(harlow, {name: place}), "variables", place, None)
    assert digest(fixed) == digest(harlow)


# ---- not the same


CHANGES = {
    "a transition's probability": ("transitions", "fork", "a", {"west": 0.8, "east": 0.2}),
    "where a transition leads": ("transitions", "west", "fork"),
    "what actions do": ("transitions", "home", {"a": "fork", "b": "home"}),
    "a shown stimulus": ("observations", "home", "green"),
    "nothing shown": ("observations", "home", None),
    "a new stimulus for a known one": ("observations", "west", "red"),
    "a reward's state": ("rewards", 1, "from", "west"),
    "a reward's action": ("rewards", 1, "action", "b"),
    "a reward's amount": ("rewards", 1, "value", 2.0),
    "a reward's probability": ("rewards", 1, "probability", 0.6),
    "a reward that asks for no flag": ("rewards", 1, "when", {}),
    "a variable's levels": ("variables", "p", "probability", [0.1, 0.9]),
    "how probable a level is": ("variables", "p", "probability", [0.2, 0.2, 0.8]),
    "bounds for levels": ("variables", "p", "probability", {}),
    "a variable's range": ("variables", "place", "state", ["west"]),
    "a variable that changes": ("variables", "p", "change", {"every": "decision", "chance": 0.1}),
    "a schedule": ("variables", "p", "change", {"at": [6]}),
    "a mark": ("marks", 0, "action", "a"),
    "a cost": ("costs", [{"action": "a", "value": 0.1}]),
    "the start": ("start", "west"),
    "the horizon": ("horizon", 13),
    "the end of trials": ("trial", {"until": "fork", "clear": True}),
    "a restart": ("trial", {"decisions": 5, "restart": True}),
}


def test_each_real_change_makes_another_task():
    found = {"none": digest(TASK)} | {name: digest(changed(TASK, *change)) for name, change in CHANGES.items()}
    for (name, one), (other, another) in itertools.combinations(found.items(), 2):
        assert one != another, f"{name} and {other} look the same"


def test_two_variables_are_not_one_used_twice():
    rewards = [{"from": "west", "probability": "p"}, {"from": "east", "probability": "p"}]
    one = changed(TASK, "rewards", rewards)
    turned = changed(one, "rewards", 1, "probability", "1-p")
    two = changed(changed(one, "variables", "q", TASK["variables"]["p"]), "rewards", 1, "probability", "q")
    assert len({digest(one), digest(turned), digest(two)}) == 3


def test_which_of_two_places_a_stimulus_is_shown_in_matters():
    both = changed(TASK, "observations", {"home": ["red", "green"], "fork": ["red", "green"]})
    turned = changed(both, "observations", "fork", ["green", "red"])
    assert digest(both) != digest(turned)
    assert digest(changed(turned, "observations", "home", ["green", "red"])) == digest(both)


def graph_task(*edges):
    """Return a task in which two actions pay that an edge of a graph joins, and every instance draws an edge."""
    actions = [f"action {vertex}" for vertex in range(7)]
    places = [f"edge {number}" for number in range(len(edges))]
    pairs = [[actions[vertex] for vertex in edge] for edge in edges]
    return {field: TASK[field] for field in ("format", "version", "order", "summary", "horizon")} | {
        "states": ["start", *places],
        "actions": actions,
        "variables": {"edge": {"state": places}},
        "transitions": {"start": "edge"} | {place: place for place in places},
        "rewards": [{"from": place, "action": pair} for place, pair in zip(places, pairs)],
    }


def test_actions_that_only_their_relations_tell_apart_are_told_apart():
    """Every action is in two pairs, in a ring of seven as well as in rings of three and four."""
    ring = graph_task(*((vertex, (vertex + 1) % 7) for vertex in range(7)))
    rings = graph_task((0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 6), (6, 3))
    assert {digest(relabelled(rings, seed)) for seed in range(6)} == {digest(rings)}
    assert digest(ring) != digest(rings)


def test_named_tasks_differ():
    assert len({digest(named_task(name)) for name in SMALL}) == len(SMALL)


def test_random_tasks_of_one_digest_are_worth_the_same():
    """Tiny tasks, so that many are the same though they are drawn apart."""
    by_digest = {}
    chance = random.Random(3)
    for _ in range(250):
        content = _tiny(chance)
        program = decode(parse_meta_task(content, "test"))
        by_digest.setdefault(canonical(program), []).append((values(program), content))
    assert len(by_digest) < 200
    for alike in by_digest.values():
        worth = np.array([found for found, _ in alike])
        assert np.ptp(worth, axis=0) == pytest.approx([0, 0], abs=1e-9), alike
    found = {tuple(np.round(alike[0][0], 9)) for alike in by_digest.values()}
    assert len(found) > len(by_digest) / 4


def _tiny(chance):
    states = ["s", "t", "u"][: chance.choice([1, 2, 3])]
    rows = {state: {action: chance.choice(states) for action in "ab"} for state in states}
    rewards = [{"from": chance.choice([*states, "place"]), "action": chance.choice("ab")}]
    rewards[0]["probability"] = chance.choice([0.5, 1.0, "p", "1-p"])
    shown = {state: chance.choice(["x", "y", "new", "none"]) for state in states}
    return TASK | {
        "horizon": 6,
        "states": states,
        "stimuli": {"x": "100", "y": "010"},
        "observations": shown,
        "variables": {
            "place": {"state": states},
            "p": {"probability": [0.2, 0.8]},
            "new": {"stimulus": "drawn"},
        },
        "flags": [],
        "transitions": rows,
        "rewards": rewards,
        "marks": [],
    }


# ---- too large


def test_a_task_with_too_many_orders_of_what_is_alike_is_refused_with_the_estimate(monkeypatch):
    monkeypatch.setattr(canonical_module, "MOST_WORK", 20)
    with pytest.raises(UserError, match=r"would look at .* outcomes or more, .* orders of actions and stimuli"):
        canonical(decode(parse_meta_task(named_task("bandit"), "test")))
