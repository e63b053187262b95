"""Published meta-tasks become specs of the same meaning, or are refused for a code that means nothing."""

import itertools
import json

import numpy as np
import pytest
from conftest import ROOT

from evoplastic.errors import UserError
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import to_json
from evoplastic.tasks.meta.program import ANYTHING
from evoplastic.tasks.meta.published import translated
from evoplastic.tasks.meta.published_files import Published, read_published
from evoplastic.tasks.meta.reading import parse_meta_task

EXAMPLES = ROOT / "tests" / "data" / "published"
SMALL = {
    "T": [[[0.0, 1.0], [0.5, 0.5]], [[1.0, 0.0], [1.0, 0.0]]],
    "flagconditions": [],
    "rewardconditions": [[1, -1, -1, 1.0, 1.0, -1]],
    "stimuli": [0, 1],
    "statevarranges": [],
}


def imported(**changes):
    """Return the import of a small published task with some keys changed."""
    content = json.loads(json.dumps(SMALL | changes))
    return translated(Published(**content), "small.json")


def as_json(spec):
    return json.loads(json.dumps(to_json(spec)))


def example(number):
    path = EXAMPLES / f"example-{number}.json"
    (published,) = read_published(path)
    return translated(published, path.name)


# ---- an oracle of its own: one instance, solved by value iteration


def instances(program):
    """Yield the value of every variable that is a state, in all ways."""
    specials = [number for number, variable in enumerate(program.variables) if variable.kind == "state"]
    for values in itertools.product(*(program.variables[number].values for number in specials)):
        yield dict(zip(specials, map(int, values)))


def best_actions(program, held, chances=(), decisions=400):
    """Return the action (M, S) that pays most in an instance, with many decisions to come."""
    _, states, actions, _ = program.targets.shape
    memories = program.joint_memories
    value = np.zeros((memories, states))
    for _ in range(decisions):
        worth = np.zeros((memories, states, actions))
        for memory, state, action in np.ndindex(worth.shape):
            pairs = zip(program.targets[0, state, action], program.probabilities[0, state, action])
            for target, probability in pairs:
                step = (memory, state, action, int(target))
                after = value[marked(program, held, *step), target]
                worth[memory, state, action] += probability * (paid(program, held, chances, *step) + after)
        value = worth.max(axis=2)
    return worth.argmax(axis=2)


def applies(rule, held, memory, state, action, target):
    from_, to = (held[-2 - place] if place < ANYTHING else place for place in (rule.from_, rule.to))
    pairs = ((from_, state), (to, target), (rule.action, action))
    return all(wanted in (ANYTHING, got) for wanted, got in pairs) and rule.memories >> memory & 1


def paid(program, held, chances, *step):
    matching = [rule for rule in program.rewards if applies(rule, held, *step)]
    if not matching:
        return 0.0
    chance = matching[-1].chance
    return matching[-1].value * (chance.offset + (chance.slope * chances[chance.variable] if chance.slope else 0.0))


def marked(program, held, memory, *move):
    after = memory
    for rule in program.marks:
        if applies(rule, held, memory, *move):
            after = rule.marked[after]
    return after


# ---- the published examples


def test_first_example_is_a_two_armed_bandit_beside_a_reflex():
    program = decode(example(1).spec)
    best = {held[0]: best_actions(program, held)[0] for held in instances(program)}
    assert best[2][0] == best[0][0] == 0, "in state 0 the same action is right in every instance"
    assert best[2][1] == 0 and best[0][1] == 1, "in state 1 the paying arm leads to this instance's special state"


def test_second_example_is_about_staying_or_going():
    program = decode(example(2).spec)
    p0 = [variable.name for variable in program.variables].index("p0")
    best = {held[0]: best_actions(program, held, {p0: 0.5})[0] for held in instances(program)}
    assert best[0][0] == 0, "where state 0 pays, staying there is right"
    assert (best[1] == (1, 1, 0)).all(), "where only state 1 pays, going there and staying is right"


def test_third_example_is_a_key_and_a_door():
    program = decode(example(3).spec)
    without_key, with_key = range(2)
    best = {held[0]: best_actions(program, held) for held in instances(program)}
    assert best[3][without_key, 1] == 1 and best[3][with_key, 1] == 0, "first to the key in state 3, then to the door"
    assert best[1][without_key, 1] == 0, "leaving state 1 takes the key that lies there, so straight to the door"
    assert all(paid(program, held, (), without_key, 2, 0, 0) == 0.0 for held in instances(program))
    assert all(paid(program, held, (), with_key, 2, 0, 0) == 1.0 for held in instances(program))


def test_second_example_loses_a_repeated_rule_and_a_flag_that_nothing_reads():
    assert example(2).notes == (
        "rewardconditions[0] is left out: rewardconditions[1] always overrides it",
        "flagconditions are left out: no reward reads the flag (2 of them)",
    )
    assert not example(1).notes and not example(3).notes


@pytest.mark.parametrize("number", [1, 2, 3])
def test_example_is_readable_and_reads_back_as_itself(number):
    spec = example(number).spec
    assert parse_meta_task(as_json(spec), "again") == spec
    assert spec.source.startswith(f"imported from example-{number}.json (Meta-Task-Generator")
    assert spec.states[0] == "state 0" and spec.actions == ("action 0", "action 1") and spec.horizon == 100


def test_simple_fractions_are_recognised_behind_printed_digits():
    transitions = example(1).spec.transitions
    assert transitions["state 1"] == {
        "action 0": {"state 0": "1/6", "state 2": "5/6"},
        "action 1": {"state 0": "5/6", "state 2": "1/6"},
    }


# ---- what codes mean


def test_codes_become_names():
    spec = imported(
        rewardconditions=[[100, 1, 0, 1000, 1.0, -1], [-1, -1, -1, 2001, 2.0, 1]],
        flagconditions=[[-1, 100, 1, 1]],
        statevarranges=[[1, 0]],
        stimuli=[10001, 2],
    ).spec
    assert as_json(spec)["rewards"] == [
        {"from": "special 0", "to": "state 1", "action": "action 0", "probability": "p0"},
        {"value": 2.0, "probability": "1-p1", "when": {"flag": 1}},
    ]
    assert as_json(spec)["variables"] == {
        "special 0": {"state": ["state 1", "state 0"]},
        "p0": {"probability": {}},
        "p1": {"probability": {}},
        "drawn stimulus 1": {"stimulus": "drawn"},
    }
    assert spec.observations == {"state 0": "drawn stimulus 1", "state 1": "stimulus 2"}
    assert spec.stimuli == {"stimulus 2": "00100"}


def test_state_0_clears_the_flag_whatever_the_flag_rules_say():
    spec = imported(rewardconditions=[[1, -1, -1, 1, 1, 1]], flagconditions=[[-1, -1, 0, 1]]).spec
    assert as_json(spec)["marks"] == [{"action": "action 0", "set": {"flag": 1}}, {"to": "state 0", "set": {"flag": 0}}]


def test_flag_rules_that_never_decide_are_left_out():
    rules = [[-1, 0, 1, 1], [0, 1, 0, 0], [0, -1, 0, 1]]
    task = imported(rewardconditions=[[1, -1, -1, 1, 1, 1]], flagconditions=rules)
    assert len(task.spec.marks) == 2 and task.notes == (
        "flagconditions[0] is left out: the clearing of the flag in state 0 always overrides it",
        "flagconditions[1] is left out: flagconditions[2] always overrides it",
    )


def test_variables_that_nothing_refers_to_are_left_out():
    task = imported(statevarranges=[[0, 1]])
    assert not task.spec.variables and task.notes == ("statevarranges[0] is left out: no rule refers to it",)


def test_rules_without_a_flag_and_files_without_flag_rules_are_read():
    assert translated(Published(T=SMALL["T"], rewardconditions=[[1, -1, -1, 0.2, 1.0]], stimuli=[0, 1]), "old").spec


def test_special_states_may_coincide():
    ranges = [[0, 1], [0, 1]]
    task = imported(rewardconditions=[[100, -1, -1, 1, 1, -1], [101, -1, -1, 0.5, 1, -1]], statevarranges=ranges)
    assert not any(variable.unlike for variable in task.spec.variables.values())


def test_horizon_is_ours_to_say():
    (published,) = read_published(EXAMPLES / "example-1.json")
    assert translated(published, "example", 7).spec.horizon == 7


REWARD = [1, -1, -1, 1.0, 1.0, -1]
REFUSED = {
    "probability": ({"rewardconditions": [REWARD, [1, -1, -1, 4001, 1, -1]]}, "rewardconditions[1]: probability 4001"),
    "no range": ({"rewardconditions": [[100, -1, -1, 1, 1, -1]]}, "rewardconditions[0]: state 100 is undefined"),
    "special state": (
        {"rewardconditions": [[101, -1, -1, 1, 1, -1]], "statevarranges": [[0, 1]]},
        "expected -1, 0 to 1 or 100 to 100",
    ),
    "state": ({"rewardconditions": [[-1, 2, -1, 1, 1, -1]]}, "rewardconditions[0]: state 2 is undefined"),
    "half a state": ({"flagconditions": [[0.5, -1, -1, 1]]}, "flagconditions[0]: state 0.5 is undefined"),
    "action": ({"flagconditions": [[0, -1, 2, 1]]}, "flagconditions[0]: action 2 is undefined; expected -1 or 0 to 1"),
    "flag": ({"rewardconditions": [[1, -1, -1, 1, 1, 2]]}, "rewardconditions[0]: flag 2 is undefined"),
    "flag value": ({"flagconditions": [[1, -1, -1, -1]]}, "flagconditions[0]: flag -1 is undefined"),
    "stimulus": ({"stimuli": [0, 3]}, "stimuli[1]: stimulus 3 is undefined"),
    "variable stimulus": ({"stimuli": [10002, 0]}, "stimuli[0]: stimulus 10002 is undefined"),
    "range": ({"statevarranges": [[0, 4]]}, "statevarranges[0]: state 4 is undefined"),
    "empty range": ({"statevarranges": [[]]}, "statevarranges[0] must name at least one state"),
    "fields": ({"rewardconditions": [[1, -1, -1, 1.0]]}, "rewardconditions[0] must be 5 or 6 numbers"),
    "value": ({"rewardconditions": [[1, -1, -1, 1, float("inf"), -1]]}, "rewardconditions[0] must be 5 or 6 numbers"),
    "sum": ({"T": [[[0.0, 1.0], [0.5, 0.4]], SMALL["T"][1]]}, "T[0][1] must be probabilities that sum to 1"),
    "negative": ({"T": [[[-0.5, 1.5], [0.5, 0.5]], SMALL["T"][1]]}, "T[0][0] must be probabilities"),
    "actions": ({"T": [[[0.0, 1.0]], SMALL["T"][1]]}, "T[1] must have a row for each of 1 actions"),
    "next states": ({"T": [[[1.0], [1.0]], SMALL["T"][1]]}, "T[0][0] must have a number for each of 2 states"),
    "no states": ({"T": [], "stimuli": [], "rewardconditions": []}, "T must have at least one state"),
    "stimuli": ({"stimuli": [0]}, "stimuli must be one code for each of 2 states"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_code_without_a_meaning_is_refused_by_its_place(name):
    changes, complaint = REFUSED[name]
    with pytest.raises(UserError) as refused:
        imported(**changes)
    assert str(refused.value).startswith("small.json: ") and complaint in str(refused.value)


# ---- files

PRINTED = """
Meta-task  1
============
Special States' (if any) ranges: [[1, 0]]
Transition table:
 [[[0.         1.        ]
  [0.5        0.5       ]]

 [[1. 0.]
  [1. 0.]]]
Reward rules (Old state, new state, action taken, probability, value):
 [[100, -1, -1, np.float64(0.2), 1.0]]
Flag rules (Old state, new state, action taken, new flag value) (may not be used!):
 [[100, -1, -1, 1.0]]
Stimuli:
 [ 0 -1]

(Explanation: words with [brackets])
"""


def test_printed_tables_are_read(tmp_path):
    path = tmp_path / "printed.txt"
    path.write_text("Conventions:\n- Stimulus number 1000+k\n" + PRINTED + PRINTED.replace("task  1", "task  2"))
    first, second = read_published(path)
    assert first == second and first == Published(
        T=((((0.0, 1.0)), (0.5, 0.5)), ((1.0, 0.0), (1.0, 0.0))),
        rewardconditions=((100.0, -1.0, -1.0, 0.2, 1.0),),
        flagconditions=((100.0, -1.0, -1.0, 1.0),),
        statevarranges=((1.0, 0.0),),
        stimuli=(0.0, -1.0),
    )


def test_all_that_the_generator_prints_is_read_by_the_json_at_its_end(tmp_path):
    path = tmp_path / "printed.txt"
    path.write_text(f"Transition table:\n [[[1.]]]\nReward conditions (...):\n []\nJSON version:\n{json.dumps(SMALL)}")
    (published,) = read_published(path)
    assert to_json(translated(published, "x").spec) == to_json(translated(Published(**SMALL), "x").spec)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "cannot be read: Expecting"),
        ("{}", "missing required field"),
        ('{"T": 1}', "$.T"),
        (json.dumps(SMALL | {"more": 1}), "unknown field `more`"),
        ("a poem", "holds no meta-task"),
        ("Transition table:\n [[oops]]\n", "cannot be read: expected a list of numbers"),
    ],
)
def test_file_of_another_form_is_refused(tmp_path, text, complaint):
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(UserError, match="file") as refused:
        read_published(path)
    assert complaint in str(refused.value)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_published(tmp_path / "none.json")


# ---- whatever the generators draw: 4 states, 2 actions, one special state, two probabilities

STATES, ACTIONS = 4, 2


def simple_task(rng):
    """Return a task as the simple generator draws it."""
    weights = rng.choice([0.0, 0.0, 0.0, 1.0, 1.0, 5.0], size=(STATES, ACTIONS, STATES))
    weights[weights.sum(axis=2) == 0, rng.integers(STATES)] = 1.0
    rows = weights / weights.sum(axis=2, keepdims=True)
    rows = np.where(rows < 0.1, 0.0, rows)

    def place():
        return int(rng.choice([rng.integers(STATES), 100]))

    def action():
        return int(rng.choice([rng.integers(ACTIONS), -1]))

    chances = [0.2, 0.5, 0.8, 1.0, 1.0, 1000 + rng.integers(2), 2000 + rng.integers(2)]
    return {
        "T": (rows / rows.sum(axis=2, keepdims=True)).tolist(),
        "rewardconditions": [
            [place(), -1, action(), float(rng.choice(chances)), 1.0, int(rng.choice([-1, -1, 0, 1, 1]))]
            for _ in range(rng.choice([1, 1, 1, 2, 3]))
        ],
        "flagconditions": [
            [place(), -1, action(), int(rng.choice([0, 1, 1, 1]))] for _ in range(rng.choice([1, 1, 1, 2]))
        ],
        "stimuli": rng.choice([0, 1, 2, 10000, 10001, -1], size=STATES).tolist(),
        "statevarranges": [special_range(rng)],
    }


def biased_task(rng):
    """Return a task as the biased generator draws it before its tests, with its slip that makes codes 4000+k."""
    special, uncertain, flagged = (
        rng.choice(levels) for levels in ([0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.5])
    )
    variable = rng.choice([0.2, 0.5, 0.8])

    def place():
        return 100 if rng.random() < special else int(rng.integers(STATES))

    def action():
        return int(rng.integers(ACTIONS)) if rng.random() < 0.33 else -1

    def chance():
        if rng.random() >= uncertain:
            return 1.0
        if rng.random() < variable:
            return int(rng.choice([1000, 2000]) * rng.integers(1, 3) + rng.integers(2))
        return float(rng.choice([0.2, 0.5, 0.8, 1.0]))

    def flag():
        return float(rng.choice([1.0, 1.0, 1.0, 0.0])) if rng.random() < flagged else -1

    rewards = [[place(), -1, action(), chance(), 1.0, flag()] for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    flags = [[place(), -1, action(), int(rng.choice([1, 1, 1, 0]))] for _ in range(rng.choice([1, 1, 1, 2]))]
    flags[0][3] = 1
    shown = np.where(rng.random(STATES) < 0.666, rng.integers(3, size=STATES), 10000 + rng.integers(2, size=STATES))
    return {
        "T": biased_rows(rng),
        "rewardconditions": rewards,
        "flagconditions": flags,
        "stimuli": np.where(rng.random(STATES) < 0.2, -1, shown).tolist(),
        "statevarranges": [special_range(rng)],
    }


def biased_rows(rng):
    rows = np.zeros((STATES, ACTIONS, STATES))
    for state, action in np.ndindex(STATES, ACTIONS):
        rows[state, action, rng.integers(STATES)] = 5.0 if rng.random() < 0.33 else 1.0
        for chance in (0.5, 0.33, 0.33):
            if rng.random() >= chance:
                break
            rows[state, action, rng.integers(STATES)] = 1.0
    for state in np.flatnonzero(rng.random(STATES) < 0.5):
        rows[state, 1] = rows[state, 0]
        reached = np.flatnonzero(rows[state, 0])
        if len(reached) > 1 and rng.random() < 0.69:
            pair = rng.choice(reached, size=2, replace=False)
            rows[state, 1, pair] = rows[state, 1, pair[::-1]]
    return (rows / rows.sum(axis=2, keepdims=True)).tolist()


def special_range(rng):
    size = 2 if rng.random() < 0.5 else rng.integers(2, STATES)
    return rng.choice(np.arange(1, STATES), size=size, replace=False).tolist()


@pytest.mark.parametrize("generator", [simple_task, biased_task])
def test_whatever_a_generator_draws_is_imported_or_refused_for_an_undefined_code(generator, tmp_path):
    rng = np.random.default_rng(7)
    path = tmp_path / "task.json"
    undefined = 0
    for _ in range(250):
        content = generator(rng)
        path.write_text(json.dumps(content))
        (published,) = read_published(path)
        if any(rule[3] >= 4000 for rule in content["rewardconditions"]):
            undefined += 1
            with pytest.raises(UserError, match=r"rewardconditions\[\d\]: probability 400[01] is undefined"):
                translated(published, "task.json")
            continue
        spec = translated(published, "task.json").spec
        want = np.array(content["T"])
        program = decode(spec)
        got = np.zeros_like(want)
        for state, action, slot in np.ndindex(program.targets.shape[1:]):
            got[state, action, program.targets[0, state, action, slot]] += program.probabilities[0, state, action, slot]
        np.testing.assert_allclose(got, want, atol=1e-7)
    assert (undefined > 0) == (generator is biased_task)
