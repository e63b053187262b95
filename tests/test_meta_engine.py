"""The engine of meta-tasks: decision by decision its naive twin, on average the exact values, evenly drawn."""

import functools
import json
from collections import Counter

import naive_world
import numpy as np
import pytest
from msgspec.structs import replace
from scipy import stats

from evoplastic.errors import UserError
from evoplastic.random import below
from evoplastic.tasks.meta import drawing, engine
from evoplastic.tasks.meta import world as worlds
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import FORMAT, ORDER
from evoplastic.tasks.meta.reading import parse_meta_task, read_meta_task
from evoplastic.tasks.meta.solvers.instances import Instance, instances
from evoplastic.tasks.meta.solvers.values import oracle_policy, values
from evoplastic.tasks.meta.tables import Bounds, tables_of
from evoplastic.tasks.specs import find_spec, spec_names

NAMES = [name for name in spec_names() if json.loads(find_spec(name).read_text())["format"] == FORMAT]
RANDOM_PLAY = np.zeros((0, 1, 1, 1), np.int64)
PLACES = {"states": ["a", "b", "c", "d"], "actions": ["x", "y", "z"]}
ROUND = {"a": {"x": "b", "y": "c", "z": "a"}, "b": {"x": "c", "any": {"a": 0.25, "d": 0.75}}, "c": "d", "d": "a"}

SMALL = {
    "references everywhere": {
        **PLACES,
        "trial": {"decisions": 5, "restart": True},
        "start": ["a", "d"],
        "variables": {
            "goal": {"state": ["b", "c", "d"]},
            "home": {"state": "any", "but": "a", "unlike": ["goal"]},
            "turn": {"action": ["x", "z"]},
            "luck": {"probability": [0.2, 0.5, 0.9]},
        },
        "transitions": {
            "a": {"x": {"goal": 0.5, "home": 0.3, "a": 0.2}, "any": "home"},
            "b": {"goal": 0.5, "b": "1/4", "a": 0.25},
            "c": {"y": "goal", "any": {"home": "1/3", "c": "2/3"}},
            "d": {"a": 0.1, "home": 0.9},
        },
        "rewards": [
            {"from": "a", "action": ["turn", "y"], "probability": "luck", "relocate": "any", "but": ["goal", "a"]},
            {"from": ["goal", "home"], "to": "home", "value": 2.5, "probability": "1-luck", "relocate": "home"},
            {"to": "goal", "action": "turn", "value": -0.5},
        ],
        "costs": [{"to": "home", "value": 0.25}, {"from": "goal", "action": "y", "value": 0.125}],
        "marks": [{"from": "goal", "to": "home", "set": {"been": 1}}, {"action": "turn", "set": {"been": 0}}],
        "flags": ["been"],
    },
    "unlike and other": {
        **PLACES,
        "variables": {
            "low": {"probability": [0.1, 0.5, 0.9]},
            "middle": {"probability": [0.9, 0.5, 0.1, 0.3], "unlike": ["low"]},
            "high": {"probability": [0.5, 0.1, 0.3], "unlike": ["middle", "low"]},
            "good": {"action": ["z", "x"]},
            "bad": {"other": "good"},
            "third": {"action": ["x", "y", "z"], "unlike": ["good", "bad"]},
            "sign": {"stimulus": ["p", "q", "r"]},
            "countersign": {"stimulus": ["r", "q"], "unlike": ["sign"]},
            "even": {"probability": {"low": 0.2, "high": 0.4}},
        },
        "stimuli": {"p": "1.", "q": "01", "r": ".."},
        "observations": {"a": ["sign", "countersign"], "b": "countersign", "c": ["none", "p"]},
        "transitions": ROUND,
        "rewards": [
            {"probability": "even"},
            {"action": "good", "probability": "low"},
            {"action": "bad", "probability": "1-middle", "value": 2},
            {"action": "third", "from": ["a", "b"], "probability": "high"},
        ],
    },
    "changes at decisions and trials": {
        **PLACES,
        "trial": {"decisions": 3},
        "variables": {
            "good": {"action": ["x", "y", "z"], "change": {"every": "decision", "chance": 0.3}},
            "level": {"probability": [0.1, 0.4, 0.9], "change": {"to": "neighbour", "every": "trial"}},
            "place": {"state": "any", "change": {"to": "neighbour", "every": "trial", "chance": 0.5}},
            "side": {"action": ["x", "z"], "change": {"at": [1, 7, 8, 20, 39]}},
            "far side": {"other": "side"},
        },
        "transitions": {**ROUND, "c": {"place": 0.5, "d": 0.5}},
        "rewards": [{"action": "good", "probability": "level"}, {"to": "place", "action": "far side", "value": 3}],
        "costs": [{"action": "side", "value": 0.1}],
    },
    "drawn stimuli": {
        **PLACES,
        "variables": {name: {"stimulus": "drawn"} for name in ("one", "another", "third")},
        "stimulus_units": 3,
        "observations": {"a": ["one", "another"], "b": ["third", "none"], "c": "none"},
        "transitions": ROUND,
        "rewards": [{"to": "a"}],
    },
    "marks in order": {
        **PLACES,
        "trial": {"decisions": 11, "clear": True},
        "transitions": ROUND,
        "flags": ["seen", "done"],
        "counters": {"count": 3, "back": 2},
        "marks": [
            {"action": "x", "add": {"count": 2}},
            {"from": "b", "add": {"count": -1, "back": 1}, "set": {"seen": True}},
            {"to": "d", "when": {"count": [1, 2]}, "set": {"count": 3, "done": 1}},
            {"action": "x", "when": {"count": 3, "seen": True}, "set": {"count": 0, "seen": False}},
            {"moved": False, "add": {"back": -2}},
            {"action": "y", "when": {"done": True}, "add": {"back": 2}, "set": {"done": 0}},
        ],
        "rewards": [{"when": {"count": [2, 3], "seen": 1}}, {"when": {"back": 2}, "action": "y", "value": 0.75}],
    },
    "costs add up": {
        **PLACES,
        "transitions": ROUND,
        "rewards": [{"from": "a", "probability": 0.4}],
        "costs": [
            {"value": 0.1},
            {"moved": False, "value": 0.7},
            {"moved": True, "from": ["a", "b"], "value": -0.3},
            {"action": "z", "to": "d", "value": 1e3},
        ],
    },
    "the last rule decides though it does not pay": {
        **PLACES,
        "start": "any",
        "transitions": ROUND,
        "rewards": [
            {"relocate": "any"},
            {"action": ["x", "y"], "probability": 0.5, "value": 2, "relocate": ["a", "b", "c"]},
            {"from": "a", "probability": 0.25, "value": 4},
            {"from": "c", "action": "x", "probability": 0, "value": 8},
        ],
    },
    "places left out": {
        **PLACES,
        "variables": {
            "goal": {"state": ["a", "b", "c"]},
            "home": {"state": ["c", "d"], "change": {"every": "decision", "chance": 0.25}},
        },
        "transitions": ROUND,
        "rewards": [
            {"to": "goal", "relocate": "any", "but": ["goal", "home"]},
            {"from": "a", "probability": 0.5, "value": 2, "relocate": ["home", "d", "b", "a"], "but": ["home", "b"]},
        ],
    },
    "until a state": {
        **PLACES,
        "trial": {"until": ["c", "d"], "restart": True, "clear": True},
        "start": ["a", "b", "c"],
        "variables": {"good": {"action": "x", "change": None}, "best": {"probability": [0.3, 0.8]}},
        "transitions": ROUND,
        "counters": {"count": 5},
        "marks": [{"add": {"count": 1}}, {"to": "b", "add": {"count": -1}}],
        "rewards": [{"when": {"count": [1, 5]}, "action": "good", "probability": "best", "relocate": ["d", "b"]}],
    },
    "until a reward": {
        **PLACES,
        "trial": {"rewarded": True, "until": "d", "restart": True},
        "start": ["a", "b"],
        "variables": {"good": {"action": ["x", "y", "z"], "change": {"every": "trial"}}},
        "transitions": ROUND,
        "rewards": [{"action": "good", "probability": 0.5}, {"from": "b", "action": "z", "value": 0}],
    },
    "a plane without edges": {
        "grid": {"map": ["..K", "#..", ".#."], "wrap": True, "observe": "local"},
        "trial": {"rewarded": True},
        "variables": {"goal": {"state": "any", "but": ["K", "0,0"]}, "door": {"state": "any", "unlike": ["goal"]}},
        "flags": ["key"],
        "marks": [{"to": "K", "set": {"key": True}}, {"to": "door", "set": {"key": False}}],
        "rewards": [{"to": "goal", "when": {"key": True}, "relocate": "any"}],
        "costs": [{"moved": False, "value": 0.01}, {"to": "door", "action": ["north", "west"], "value": 0.1}],
    },
    "a plane seen from above": {
        "grid": {"map": ["##.#", "A..#", "#.B."], "observe": "unique"},
        "start": ["A", "B"],
        "trial": {"until": "B", "restart": True},
        "rewards": [{"to": "B", "moved": True}],
    },
    "mazes": {
        "grid": {"mazes": {"rows": 2, "columns": 3, "count": 5, "seed": 3}, "observe": "local"},
        "trial": {"rewarded": True},
        "variables": {"goal": {"state": "any"}},
        "rewards": [{"to": "goal", "moved": True, "relocate": "any"}],
    },
    "one maze": {
        "grid": {"mazes": {"rows": 3, "columns": 2, "count": 1}, "observe": "unique"},
        "start": "0,0",
        "rewards": [{"to": "2,1"}],
    },
}


@functools.cache
def spec(name):
    if name in NAMES:
        return read_meta_task(name)
    head = {"format": FORMAT, "version": 1, "order": ORDER, "summary": "", "horizon": 40}
    return parse_meta_task(json.loads(json.dumps({**head, **SMALL[name]})), name)


@functools.cache
def program(name):
    return decode(spec(name))


@functools.cache
def tables(*names):
    return tables_of([program(name) for name in names], [Bounds(0.0, 1.0)] * len(names))


def begun(packed, key, block=0):
    """Return the world of a block, at its start."""
    world = worlds.unborn(packed, 0)
    drawing.begin_instance(packed, world, block, np.uint64(key))
    return world


def held(here, world):
    """Return what every variable is, by the names of the spec."""
    stimuli = tuple(here.spec.stimuli)
    found = {}
    for number, variable in enumerate(here.variables):
        what = world.ints[worlds.held_at(world, number)]
        if variable.kind == "probability":
            found[variable.name] = world.reals[worlds.level_at(world, number)]
        elif variable.drawn_code:
            found[variable.name] = "".join(
                "1" if level > 0 else "0"
                for level in world.reals[worlds.code_at(world, what, 0) : worlds.code_at(world, what, code_bits(here))]
            )
        elif variable.kind == "layout":
            found[naive_world.MAZE] = what
        else:
            names = {"state": here.states, "action": here.actions, "stimulus": stimuli}[variable.kind]
            found[variable.name] = names[what]
    return found


def code_bits(here):
    return here.codes.shape[1]


def remembered(here, memory):
    """Return flags and counters by name."""
    if not here.memories:
        return {}
    names, counts = zip(*here.memories)
    return dict(zip(names, np.unravel_index(memory, counts)))


def played(here, packed, key, decisions, block=0, first=0):
    """Yield what the engine's decisions leave to see, played at random from decision `first` of the life on."""
    world = begun(packed, key, block)
    ints = world.ints
    for decision in range(first, first + decisions):
        engine.draw_chances(world, np.uint64(key), decision)
        state, action = ints[worlds.STATE], below(ints[worlds.CHOOSING], len(here.actions))
        engine.decide(packed, world, action)
        engine.arrive(world)
        yield naive_world.Seen(
            here.states[state],
            here.actions[action],
            float(world.reals[worlds.REWARD]),
            here.states[ints[worlds.STATE]],
            remembered(here, ints[worlds.MEMORY]),
            bool(ints[worlds.BEGINS]),
            held(here, world),
        )


def naively(name, key, decisions, block=0, first=0, kind=naive_world.World, order=naive_world.EVENTS):
    """Yield the same of the naive twin."""
    world = kind(spec(name), key, block)
    world.t = first
    for _ in range(decisions):
        yield world.decide(world.random_action(), order)


# ---- decision by decision


@pytest.mark.parametrize("name", [*NAMES, *SMALL])
@pytest.mark.parametrize("key", [3, 2**64 - 5])
def test_the_engine_plays_as_its_naive_twin_does(name, key):
    decisions = min(spec(name).horizon, 100)
    ours = played(program(name), tables(name), key, decisions)
    for ours_, theirs in zip(ours, naively(name, key, decisions), strict=True):
        assert ours_ == theirs


@pytest.mark.parametrize("name", SMALL)
def test_every_block_of_a_life_plays_as_its_naive_twin_does(name):
    """All small specs are padded to the largest, in a table each."""
    packed, block = tables(*SMALL), list(SMALL).index(name)
    for key in range(5):
        ours = played(program(name), packed, key, 40, block, first=40 * block)
        assert list(ours) == list(naively(name, key, 40, block, first=40 * block))


@pytest.mark.parametrize("name", [*NAMES, *SMALL])
def test_the_kernel_that_plays_a_life_earns_what_the_naive_twin_earns(name):
    rewards = np.full(min(spec(name).horizon, 100), np.nan, np.float32)
    engine.play(tables(name), np.uint64(8), len(rewards), RANDOM_PLAY, rewards)
    np.testing.assert_array_equal(rewards, [seen.reward for seen in naively(name, 8, len(rewards))])


class FirstRuleDecides(naive_world.World):
    def deciding(self, rules):
        return rules[0] if rules else None


class UnpaidRulesMakeWay(naive_world.World):
    def reward(self):
        for rule in reversed(self.spec.rewards):
            if self.applies(rule) and self.paying is None:
                share = naive_world.naive.unit(self.word(naive_world.WORLD, self.t, 2))
                self.paying = rule if share <= self.chance(rule.probability) else None
        self.payment += self.paying.value if self.paying else 0


class UnpaidRulesRelocate(naive_world.World):
    def relocate(self):
        self.paying, paying = self.deciding([rule for rule in self.spec.rewards if self.applies(rule)]), self.paying
        super().relocate()
        self.paying = paying


class ConditionsSeeTheRelocation(naive_world.World):
    def relocate(self):
        super().relocate()
        self.to = self.next


class MarksSeeEachOther(naive_world.World):
    def mark(self):
        marks = self.spec.marks
        for mark in marks:
            self.spec = replace(self.spec, marks=(mark,))
            super().mark()
        self.spec = replace(self.spec, marks=marks)


class MarksBackwards(naive_world.World):
    def mark(self):
        spec_ = self.spec
        self.spec = replace(spec_, marks=spec_.marks[::-1])
        super().mark()
        self.spec = spec_


class CountersWrapAround(naive_world.World):
    def counted(self, name, count):
        return count % (self.spec.counters[name] + 1)


class OneCost(naive_world.World):
    def pay(self):
        costs = [cost.value for cost in self.spec.costs if self.applies(cost)]
        self.payment -= naive_world.single(costs[-1] if costs else 0)


def swapped(one, other):
    """Return the events with two in each other's place."""
    places = {one: other, other: one}
    return tuple(places.get(event, event) for event in naive_world.EVENTS)


def shows(kind=naive_world.World, order=naive_world.EVENTS):
    """Return the small specs that tell a faulty twin from the engine."""
    faulty = set()
    for name in SMALL:
        for key in range(5):
            ours = list(played(program(name), tables(name), key, 40))
            if ours != list(naively(name, key, 40, kind=kind, order=order)):
                faulty.add(name)
    return faulty


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *[("move", "pay"), ("move", "reward"), ("reward", "relocate"), ("reward", "mark"), ("pay", "mark")],
        *[("relocate", "end"), ("mark", "end"), ("end", "change")],
    ],
)
def test_two_events_in_each_other_s_place_show(one, other):
    assert shows(order=swapped(one, other))


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        (FirstRuleDecides, "the last rule decides though it does not pay"),
        (UnpaidRulesMakeWay, "the last rule decides though it does not pay"),
        (UnpaidRulesRelocate, "the last rule decides though it does not pay"),
        (ConditionsSeeTheRelocation, "until a state"),
        (MarksSeeEachOther, "marks in order"),
        (MarksBackwards, "marks in order"),
        (CountersWrapAround, "marks in order"),
        (OneCost, "costs add up"),
    ],
)
def test_a_planted_fault_shows(fault, where):
    assert where in shows(fault)


# ---- exact values


def instance_of(here, world):
    """Return the instance that a world stands for, as the solver spells it."""
    known = []
    for number, variable in enumerate(here.variables):
        twin = here.variables[variable.other] if variable.other >= 0 else variable
        if variable.kind == "stimulus" or twin.change is not None:
            known.append(np.nan)
        elif variable.continuous:
            known.append(float(world.reals[worlds.level_at(world, number)]))
        elif variable.kind == "probability":
            known.append(variable.values[world.ints[worlds.pick_at(world, number)]])
        else:
            known.append(float(world.ints[worlds.held_at(world, number)]))
    return Instance(1.0, tuple(known))


def lives_of(name, lives, policy_of):
    """Return the mean reward per decision of each life."""
    horizon = spec(name).horizon
    rewards = np.empty((lives, horizon), np.float32)
    for key in range(lives):
        engine.play(tables(name), np.uint64(key), horizon, policy_of(key), rewards[key])
    return rewards.mean(axis=1, dtype=np.float64)


def same_mean(earned, exact):
    error = earned.std(ddof=1) / np.sqrt(len(earned))
    assert abs(earned.mean() - exact) <= 4.5 * error + 1e-6, f"{earned.mean()} +- {error}, exactly {exact}"


def solvable(name):
    try:
        values(program(name))
    except UserError:
        return False
    return True


SOLVED = [*NAMES, *filter(solvable, SMALL)]
FEW_LIVES = {"full-maze": 150}  # every life another maze to solve


def test_the_small_tasks_have_exact_values():
    assert len(SOLVED) >= len(NAMES) + len(SMALL) - 1


@pytest.mark.parametrize("name", SOLVED)
def test_random_play_earns_its_exact_value(name):
    same_mean(lives_of(name, 3000, lambda key: RANDOM_PLAY), values(program(name)).random)


@pytest.mark.parametrize("name", SOLVED)
def test_who_knows_the_instance_earns_the_exact_value_of_the_oracle(name):
    best = functools.cache(functools.partial(oracle_policy, program(name)))

    def policy_of(key):
        return best(instance_of(program(name), begun(tables(name), key)))

    same_mean(lives_of(name, FEW_LIVES.get(name, 500), policy_of), values(program(name)).oracle)


# ---- what is drawn


@pytest.mark.parametrize("name", [*NAMES, *SMALL])
def test_an_instance_is_a_function_of_key_and_block_alone(name):
    """Neither the other blocks, nor what was played before, nor the program's padding decides what is drawn."""
    packed, block = tables("one maze", name, "unlike and other"), 1
    other = tables("drawn stimuli", name)
    world = begun(other, key=5, block=0)
    for decision in range(20):
        engine.draw_chances(world, np.uint64(9), decision)
        engine.decide(other, world, 0)
        engine.arrive(world)
    drawing.begin_instance(other, world, block, np.uint64(7))
    fresh = begun(packed, 7, block)
    assert held(program(name), world) == held(program(name), fresh)
    assert world.ints[worlds.STATE] == fresh.ints[worlds.STATE]
    assert (world.ints[worlds.MEMORY], world.ints[worlds.WITHIN], world.ints[worlds.BEGINS]) == (0, 0, 1)


def test_other_keys_and_other_blocks_are_other_instances():
    packed = tables(*["drawn stimuli", "unlike and other"] * 4)
    found = [
        held(program("unlike and other"), begun(packed, key, block)) for key in range(50) for block in (1, 3, 5, 7)
    ]
    assert len({drawn["even"] for drawn in found}) == len(found)
    assert len({str(drawn) for drawn in found}) == len(found)


def evenly(counts, expected):
    """Assert that counts are what chance makes of expected ones; keys are fixed, so it is so or not for good."""
    assert stats.chisquare(counts, expected).pvalue > 1e-4


ENUMERATED = [name for name in [*NAMES, *SMALL] if 1 < sum(1 for _ in instances(program(name))) <= 250]


@pytest.mark.parametrize("name", ENUMERATED)
def test_every_instance_is_drawn_as_often_as_it_should_be(name):
    known = {str(instance.held): instance.weight for instance in instances(program(name))}
    keys = 12 * len(known)
    found = Counter()
    for key in range(keys):
        drawn = instance_of(program(name), begun(tables(name), key)).held
        blank = [np.nan if variable.continuous else value for variable, value in zip(program(name).variables, drawn)]
        found[str(tuple(map(float, blank)))] += 1
    assert set(found) <= set(known)
    evenly([found[held_] for held_ in known], [keys * weight for weight in known.values()])


@pytest.mark.parametrize("name", ["changes at decisions and trials", "two-step-drifting"])
def test_variables_that_change_begin_evenly(name):
    changing = [number for number, variable in enumerate(program(name).variables) if variable.change]
    begun_worlds = [begun(tables(name), key) for key in range(2000)]
    picks = np.array([world.ints[worlds.pick_at(world, 0) : worlds.held_at(world, 0)] for world in begun_worlds])
    for number in changing:
        counts = np.bincount(picks[:, number], minlength=len(program(name).variables[number].values))
        evenly(counts, np.full(len(counts), len(picks) / len(counts)))


def test_instances_start_evenly_in_their_starts():
    name = "until a state"
    states = [begun(tables(name), key).ints[worlds.STATE] for key in range(2000)]
    evenly(np.bincount(states, minlength=4)[:3], [2000 / 3] * 3)


def test_probabilities_between_bounds_are_uniform():
    begun_worlds = [begun(tables("bandit"), key) for key in range(2000)]
    levels = np.array([world.reals[worlds.level_at(world, 0) : worlds.code_at(world, 0, 0)] for world in begun_worlds])
    for column in levels.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(levels.T)[0, 1]) < 4.5 / np.sqrt(len(levels))
    narrow = [held(program("unlike and other"), begun(tables("unlike and other"), key))["even"] for key in range(2000)]
    assert stats.kstest(narrow, "uniform", (0.2, 0.2)).pvalue > 1e-4


@pytest.mark.parametrize(("name", "stimuli"), [("drawn stimuli", 3), ("harlow", 2), ("key-door", 2)])
def test_drawn_stimuli_are_evenly_drawn_among_the_codes_that_are_free(name, stimuli):
    fixed = {code.replace(".", "0") for code in spec(name).stimuli.values() if "." not in code}
    drawn = [list(held(program(name), begun(tables(name), key)).values())[:stimuli] for key in range(2000)]
    for codes in drawn:
        assert len(set(codes)) == stimuli and not fixed & set(codes)
    counts = Counter(codes[0] for codes in drawn)
    assert len(counts) == 2 ** code_bits(program(name)) - len(fixed)
    evenly(list(counts.values()), [2000 / len(counts)] * len(counts))


def test_codes_unlike_fixed_ones_without_silent_units():
    """Three of the four codes of a spec are fixed and none is silent, so most attempts must be made again."""
    parts = {**SMALL["drawn stimuli"], "stimuli": {"p": "000", "q": "111"}, "variables": {"one": {"stimulus": "drawn"}}}
    parts["observations"] = {"a": ["one", "p"], "b": "q"}
    head = {"format": FORMAT, "version": 1, "order": ORDER, "summary": "", "horizon": 40}
    here = decode(parse_meta_task({**head, **parts}, "crowded"))
    packed = tables_of([here], [Bounds(0.0, 1.0)])
    found = Counter(held(here, begun(packed, key))["one"] for key in range(2000))
    assert set(found) == {format(code, "03b") for code in range(1, 7)}
    evenly(list(found.values()), [2000 / 6] * 6)
