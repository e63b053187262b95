"""The named meta-tasks: each can be read, written and read again, and is the task that its name says."""

import functools
import json
import tomllib

import msgspec
import numpy as np
import pytest
import tomli_w

from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import FORMAT, MetaTask, to_json
from evoplastic.tasks.meta.program import variable_reference
from evoplastic.tasks.meta.reading import parse_meta_task, read_meta_task
from evoplastic.tasks.specs import find_spec, spec_names

NAMES = [name for name in spec_names() if json.loads(find_spec(name).read_text())["format"] == FORMAT]
EXPECTED = {
    *["bandit", "dependent-bandit", "drifting-bandit", "reversal", "harlow", "harlow-side-by-side"],
    *["t-maze", "memory-t-maze", "two-step", "two-step-drifting", "key-door", "match-to-sample", "context-choice"],
    *["patch-foraging", "find-the-spot", "dark-room", "grid-key-door", "full-maze", "7x7-maze", "9x9-maze"],
}
GRIDS = [name for name in NAMES if read_meta_task(name).grid]


@functools.cache
def program(name):
    return decode(read_meta_task(name))


def row(name, state, action):
    """Return where an action leads to, as {state: probability}."""
    here = program(name)
    at = 0, here.states.index(state), here.actions.index(action)
    likely = zip(here.targets[at], here.probabilities[at])
    return {here.states[target]: probability for target, probability in likely if probability}


def drawn(name, variable):
    """Return a variable's index and its values; states and actions by their names."""
    here = program(name)
    number = [decoded.name for decoded in here.variables].index(variable)
    decoded = here.variables[number]
    named = {"state": here.states, "action": here.actions}.get(decoded.kind)
    return number, [named[int(value)] if named else value for value in decoded.values]


def test_all_named_tasks_are_there():
    assert set(NAMES) >= EXPECTED


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_survives_json(name):
    spec = read_meta_task(name)
    assert parse_meta_task(json.loads(json.dumps(to_json(spec))), name) == spec


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_survives_toml(name):
    spec = read_meta_task(name)
    assert parse_meta_task(tomllib.loads(tomli_w.dumps(to_json(spec))), name) == spec


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_leaves_defaults_out(name):
    written = to_json(read_meta_task(name))
    assert written.keys() <= json.loads(find_spec(name).read_text()).keys()
    assert all(value not in (None, [], (), {}) for value in written.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_says_what_it_is_and_where_from(name):
    spec = read_meta_task(name)
    assert spec.summary.endswith(".") and spec.summary.count(".") <= 1 + spec.summary.count(" .")
    assert len(spec.summary) > 30 and len(spec.source) > 30
    assert ("our encoding" in spec.source) != ("own encoding" in spec.source)


@pytest.mark.parametrize("name", NAMES)
def test_every_decision_pays_between_minus_one_and_one(name):
    here = program(name)
    most = max([0.0, *(rule.value for rule in here.rewards)])
    least = min([0.0, *(rule.value for rule in here.rewards)]) - sum(max(rule.value, 0.0) for rule in here.costs)
    assert -1.0 <= least <= most <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_something_differs_between_instances(name):
    here = program(name)
    assert any(len(variable.values) > 1 or variable.continuous or variable.drawn_code for variable in here.variables)


@pytest.mark.parametrize("name", [name for name in NAMES if not read_meta_task(name).grid])
def test_listed_observations_fit(name):
    here = program(name)
    stimuli = {variable_reference(v) for v, variable in enumerate(here.variables) if variable.kind == "stimulus"}
    allowed = {-1, *range(len(here.codes)), *stimuli}
    assert set(here.shown.ravel().tolist()) <= allowed
    assert len({*map(tuple, here.codes.tolist())}) == len(here.codes)
    said = read_meta_task(name).observations
    assert all(said[state] != "none" for state in said), "what shows nothing needs no line"


@pytest.mark.parametrize("name", NAMES)
def test_every_named_variable_is_used(name):
    here, spec = program(name), read_meta_task(name)
    rules = [*here.rewards, *here.costs, *here.marks]
    used = {number for rule in rules for number in (rule.from_, rule.to, rule.action, *rule.places, *rule.but)}
    used |= {*here.shown.ravel().tolist(), *here.targets.ravel().tolist()}
    used |= {variable_reference(rule.chance.variable) for rule in rules if rule.chance.variable >= 0}
    assert {variable_reference(number) for number in range(len(spec.variables))} <= used


@pytest.mark.parametrize("name", [name for name in NAMES if read_meta_task(name).stimuli])
def test_every_named_stimulus_is_shown(name):
    here = program(name)
    values = [variable.values for variable in here.variables if variable.kind == "stimulus"]
    assert {*range(len(here.codes))} <= {*here.shown.ravel().tolist()}.union(*values)


# ---- bandits


def test_arms_of_the_dependent_bandit_share_what_they_pay():
    left, right = (rule.chance for rule in program("dependent-bandit").rewards)
    assert (left.offset, left.slope) == (0.0, 1.0) and (right.offset, right.slope) == (1.0, -1.0)
    assert left.variable == right.variable and program("dependent-bandit").variables[left.variable].continuous


def test_arms_of_the_bandit_are_drawn_each_for_itself():
    left, right = (rule.chance for rule in program("bandit").rewards)
    assert left.variable != right.variable and len(program("bandit").variables) == 2


def test_levels_of_the_drifting_bandit_walk_to_neighbours():
    for variable in program("drifting-bandit").variables:
        assert variable.values == (0.1, 0.3, 0.5, 0.7, 0.9)
        assert (variable.change.to, variable.change.every, variable.change.chance) == ("neighbour", "decision", 0.1)


def test_the_good_arm_of_the_reversal_decides_last():
    poor, rich = program("reversal").rewards
    assert (poor.chance.offset, rich.chance.offset) == (0.1, 0.9)
    assert poor.action == -1 and rich.action == variable_reference(0)


# ---- choices between stimuli


def test_rejecting_shows_the_other_stimulus_and_pays_nothing():
    assert row("harlow", "first", "reject") == {"second": 1.0} and row("harlow", "second", "reject") == {"first": 1.0}
    assert row("harlow", "start", "take") == row("harlow", "start", "reject") == {"first": 0.5, "second": 0.5}
    (rule,) = program("harlow").rewards
    assert program("harlow").actions[rule.action] == "take" and rule.from_ == variable_reference(
        drawn("harlow", "good")[0]
    )


def test_the_good_object_pays_on_whichever_side_it_lies():
    here = program("harlow-side-by-side")
    straight, swapped = here.shown[0]
    np.testing.assert_array_equal(straight, swapped[::-1])
    assert here.units == 10 and not len(here.codes)
    assert here.variables[3].other == 2 and [rule.action for rule in here.rewards] == [-4, -5]


@pytest.mark.parametrize("good", ["left", "right"])
def test_context_tells_which_stimulus_pays(good):
    here = program("context-choice")
    paid = {}
    for rule in here.rewards:
        number = -2 - rule.action
        action = good if number == 0 else {"left": "right", "right": "left"}[good]
        context, *sides = here.shown[0, rule.from_]
        paid.setdefault(int(context), set()).add(int(sides[here.actions.index(action)]))
    assert sorted(map(len, paid.values())) == [1, 1] and len(set.union(*paid.values())) == 2


# ---- cues, samples, keys


@pytest.mark.parametrize("name", ["memory-t-maze", "match-to-sample"])
def test_a_cue_is_held_by_a_flag_of_one_bit(name):
    here = program(name)
    assert here.memories == (("was b", 2),)
    assert [rule.marked for rule in here.marks] == [(0, 0), (1, 1)]


def test_a_match_pays_one_action_and_a_mismatch_the_other():
    here = program("match-to-sample")
    paid = {(here.states[rule.from_], rule.memories): -2 - rule.action for rule in here.rewards}
    alone = {0: 0b01, 1: 0b10}  # memories
    for probe, same in (("probe a", 0), ("probe b", 1)):
        assert paid[probe, alone[same]] == 0 and paid[probe, alone[1 - same]] == 1
    assert drawn("match-to-sample", "match")[1] == ["left", "right"]


def test_samples_and_probes_look_alike():
    shown = dict(zip(program("match-to-sample").states, program("match-to-sample").shown[0, :, 0]))
    assert shown["sample a"] == shown["probe a"] != shown["sample b"] == shown["probe b"] and shown["pause"] == -1


def test_the_corridor_of_the_memory_t_maze_hides_the_cue():
    here = program("memory-t-maze")
    assert here.shown[0, here.states.index("corridor"), 0] == -1
    assert row("memory-t-maze", "cue a", "left") == row("memory-t-maze", "cue b", "right") == {"corridor": 1.0}


def test_key_and_door_are_the_published_example():
    assert row("key-door", "start", "left") == {"hall": 0.5, "door": 0.5} and row("key-door", "start", "right") == {
        "door": 1
    }
    assert row("key-door", "hall", "left") == {"hall": 0.5, "door": 0.5}
    assert row("key-door", "hall", "right") == {"garden": 1} and row("key-door", "garden", "left") == {"hall": 1}
    assert row("key-door", "door", "left") == pytest.approx({"start": 1 / 3, "hall": 1 / 3, "garden": 1 / 3})
    assert sorted(drawn("key-door", "key")[1]) == ["door", "garden", "hall"]
    (rule,) = program("key-door").rewards
    assert program("key-door").states[rule.from_] == "door" and rule.memories == 0b10
    assert program("key-door").ending.clear


# ---- runs of a few decisions


def test_a_run_of_the_t_maze_takes_three_decisions():
    assert row("t-maze", "start", "left") == row("t-maze", "start", "right") == {"junction": 1.0}
    assert row("t-maze", "junction", "left") == {"left arm": 1.0}
    assert row("t-maze", "junction", "right") == {"right arm": 1.0}
    assert row("t-maze", "left arm", "left") == row("t-maze", "right arm", "right") == {"start": 1.0}


def test_common_and_rare_places_of_the_two_step_task():
    assert row("two-step", "start", "left") == {"second": 0.9, "first": 0.1}
    assert row("two-step", "start", "right") == {"first": 0.9, "second": 0.1}
    assert [rule.chance.offset for rule in program("two-step").rewards] == [0.1, 0.1, 0.9]
    assert drawn("two-step", "rich")[1] == ["first", "second"]


def test_four_chances_of_the_drifting_two_step_task_walk_as_published():
    variables = program("two-step-drifting").variables
    assert len(variables) == 4 == len({rule.chance.variable for rule in program("two-step-drifting").rewards})
    for variable in variables:
        step = np.unique(np.diff(variable.values)).item()
        assert variable.change.chance * step**2 == pytest.approx(0.025**2)
        assert (variable.values[0], variable.values[-1], variable.change.every) == (0.25, 0.75, "trial")


def test_a_patch_is_spent_by_staying_and_fresh_after_the_way():
    here = program("patch-foraging")
    (mark,) = here.marks
    assert mark.marked == (1, 2, 3, 4, 5, 6, 6)
    fresh, going_on = here.rewards
    assert (fresh.memories, going_on.memories) == (0b1, 0b111110)
    assert here.ending.clear and [here.states[state] for state in here.ending.until] == ["travel"]


# ---- grids


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("7x7-maze", 41),
        ("9x9-maze", 65),
        ("find-the-spot", 25),
        ("dark-room", 25),
        ("grid-key-door", 16),
        ("full-maze", 16),
    ],
)
def test_a_grid_has_its_cells(name, cells):
    assert len(program(name).states) == cells


@pytest.mark.parametrize(("name", "pillars"), [("7x7-maze", 8), ("9x9-maze", 16)])
def test_pillars_stand_on_even_squares_but_the_centre(name, pillars):
    walls = program(name).plane.walls[0]
    inner = walls[1:-1, 1:-1]
    assert inner.sum() == inner[1::2, 1::2].sum() == pillars
    centre = (walls.shape[0] // 2,) * 2
    assert program(name).plane.places[program(name).start[0]] == centre and not walls[centre]


@pytest.mark.parametrize("name", ["7x7-maze", "9x9-maze", "dark-room"])
def test_the_goal_is_anywhere_but_at_the_start(name):
    here = program(name)
    (start,) = here.start
    assert set(here.variables[0].values) == {*range(len(here.states))} - {start}


@pytest.mark.parametrize("name", ["7x7-maze", "9x9-maze"])
def test_a_find_takes_the_learner_anywhere_but_to_the_goal(name):
    (find,) = program(name).rewards
    assert find.places == tuple(range(len(program(name).states))) and find.but == (find.to,)


@pytest.mark.parametrize("name", GRIDS)
def test_a_move_and_its_opposite_lead_back(name):
    targets = program(name).targets[..., 0]
    for layout in targets:
        for state, moves in enumerate(layout):
            back = [layout[moves[action], (action + 2) % 4] for action in range(4) if moves[action] != state]
            assert set(back) <= {state}


def test_a_full_maze_is_connected_and_free_of_loops_in_every_layout():
    plane = program("full-maze").plane
    assert len(plane.targets) == 100
    for targets in plane.targets:
        ways = {
            frozenset((state, int(target))) for state, row in enumerate(targets) for target in row if target != state
        }
        assert len(ways) == len(targets) - 1, "a tree has one way less than cells"
        reached = {0}
        for _ in targets:
            reached |= {int(target) for state in reached for target in targets[state]}
        assert len(reached) == len(targets)


def test_full_mazes_differ():
    assert len({targets.tobytes() for targets in program("full-maze").plane.targets}) == 100


def test_walls_around_a_cell_are_seen_row_by_row():
    here = program("7x7-maze")
    corner = here.states.index("1,1")
    assert here.codes[here.shown[0, corner, 0]].tolist() == [1, 1, 1, 1, -1, 1, -1, 1]
    assert here.units == 8


def test_every_cell_of_an_arena_looks_different():
    assert len(np.unique(program("find-the-spot").shown[0, :, 0])) == 25 and program("find-the-spot").units == 10


def test_nothing_is_seen_in_the_dark_room():
    assert (program("dark-room").shown == -1).all() and program("dark-room").units == 0


def test_key_and_door_of_the_grid_never_share_a_cell():
    here = program("grid-key-door")
    assert here.variables[1].unlike == (0,) and here.ending.clear and here.ending.rewarded


def test_opposite_edges_of_a_wrapped_grid_touch():
    content = to_json(read_meta_task("dark-room"))
    spec = msgspec.convert({**content, "grid": {"map": ["A..", ".M.", "..B"], "wrap": True}}, MetaTask)
    here = decode(spec)
    north, east, south, west = (here.targets[0, here.states.index("A"), action, 0] for action in range(4))
    assert [here.states[cell] for cell in (north, east, south, west)] == ["2,0", "0,1", "1,0", "0,2"]
