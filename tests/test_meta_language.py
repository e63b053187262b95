"""The border of the spec language: what is wrong with a meta-task is told in one sentence that names file and place."""

import json

import pytest

from evoplastic.errors import UserError
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import FORMAT, ORDER
from evoplastic.tasks.meta.reading import parse_meta_task, read_meta_task

HEAD = {"format": FORMAT, "version": 1, "order": ORDER, "summary": "A task to spoil.", "horizon": 20}
TABLE = {
    **HEAD,
    "trial": {"until": "start"},
    "states": ["start", "left arm", "right arm"],
    "actions": ["go left", "go right"],
    "stimuli": {"here": "1..", "there": ".1."},
    "observations": {"start": "here", "left arm": "there"},
    "variables": {
        "baited": {"state": ["left arm", "right arm"]},
        "bare": {"other": "baited"},
        "luck": {"probability": [0.2, 0.8]},
        "helpful": {"action": ["go left", "go right"]},
    },
    "flags": ["seen"],
    "counters": {"visits": 3},
    "transitions": {
        "start": {"go left": "left arm", "go right": "right arm"},
        "left arm": "start",
        "right arm": "start",
    },
    "rewards": [{"from": "baited", "probability": "luck"}, {"from": "bare", "when": {"visits": [1, 2]}}],
    "costs": [{"action": "helpful", "value": 0.1}],
    "marks": [{"from": "left arm", "set": {"seen": True}, "add": {"visits": 1}}],
}
GRID = {
    **HEAD,
    "trial": {"rewarded": True},
    "grid": {"map": ["A..", ".#.", "..B"], "observe": "local"},
    "variables": {"goal": {"state": "any"}},
    "rewards": [{"to": "goal", "relocate": "any"}],
}
NESTED = {"deep": None}
for _ in range(50_000):
    NESTED = {"deep": NESTED}


def spoilt(base, path, value):
    """Return a spec with what stands at a dotted path replaced."""
    content = json.loads(json.dumps(base))
    *through, last = (int(step) if step.isdigit() else step for step in path.split("."))
    here = content
    for step in through:
        here = here[step] if isinstance(here, list) else here.setdefault(step, {})
    here[last] = value
    return content


def complaint(content):
    """Return what is said about a spec, after the name of its file."""
    with pytest.raises(UserError) as caught:
        parse_meta_task(content, "task spec spoilt.json")
    message = str(caught.value)
    assert message.startswith("task spec spoilt.json: ") and message.isprintable() and len(message) < 700
    return message.removeprefix("task spec spoilt.json: ")


def says(message, told):
    """Return whether a message begins with the first part of `told` and holds all others, which ... separates."""
    first, *more = told.split(" ... ")
    return message.startswith(first) and all(part in message for part in more)


def faults(*lines):
    """Parametrize a test over (path, value, told), each named by what is told."""
    return pytest.mark.parametrize(("path", "value", "told"), [pytest.param(*line, id=line[2]) for line in lines])


@pytest.mark.parametrize("base", [TABLE, GRID], ids=["table", "grid"])
def test_the_specs_to_spoil_are_sound(base):
    decode(parse_meta_task(base, "sound"))


@faults(
    (
        "transitions.start.go left",
        "left arn",
        "transitions.start.go left: 'left arn' is no state ... did you mean 'left arm'?",
    ),
    ("transitions.strat", "start", "transitions: 'strat' is no state ... did you mean 'start'?"),
    ("transitions.start.go up", "start", "transitions.start: 'go up' is no action ... 'go left'"),
    ("rewards.0.from", "bated", "rewards[0].from: 'bated' is no state or variable state ... did you mean 'baited'?"),
    ("rewards.0.to", "helpful", "rewards[0].to: 'helpful' is no state or variable state"),
    ("rewards.0.to", ["start", "any"], "rewards[0].to: 'any' is no state"),
    ("costs.0.action", "go lift", "costs[0].action: 'go lift' is no action ... did you mean 'go left'?"),
    ("observations.start", "her", "observations.start: 'her' is no stimulus ... did you mean 'here'?"),
    ("observations.strt", "here", "observations: 'strt' is no state ... did you mean 'start'?"),
    ("rewards.0.when.sen", True, "rewards[0].when: 'sen' is no flag or counter ... did you mean 'seen'?"),
    ("marks.0.add.visit", 1, "marks[0]: 'visit' is no flag or counter ... did you mean 'visits'?"),
    ("rewards.0.probability", "1-luk", "rewards[0].probability: '1-luk' is no probability ... did you mean 'luck'?"),
    ("rewards.0.probability", "baited", "rewards[0].probability: 'baited' is no probability; expected a number"),
    (
        "transitions.left arm",
        {"start": "luck"},
        "transitions.left arm.start: 'luck' is no probability ... or a fraction",
    ),
    ("start", "strat", "start: 'strat' is no state ... did you mean 'start'?"),
    ("start", "", "start: '' is no state"),
    ("trial.until", ["start", "end"], "trial.until: 'end' is no state"),
    ("trial.until", "", "trial.until: '' is no state"),
    ("rewards.0.relocate", "strat", "rewards[0].relocate: 'strat' is no state or variable state ... 'start'?"),
    (
        "rewards.0",
        {"from": "baited", "relocate": "any", "but": "bated"},
        "rewards[0].but: 'bated' is no state or variable state ... did you mean 'baited'?",
    ),
    ("variables.baited.state.0", "left", "variables.baited.state: 'left' is no state ... did you mean 'left arm'?"),
    ("variables.baited.but", "left", "variables.baited.but: 'left' is no state ... did you mean 'left arm'?"),
    ("variables.helpful.action.0", "go", "variables.helpful.action: 'go' is no action"),
    ("variables.luck", {"stimulus": ["her"]}, "variables.luck.stimulus: 'her' is no stimulus ... 'here'?"),
    ("variables.baited.unlike", ["bare"], "variables.baited.unlike: 'bare' is no earlier variable; there is none"),
    ("variables.bare.other", "luck", "variables.bare.other: 'luck' is no earlier variable ... 'baited'"),
)
def test_an_unknown_name_is_told_with_its_place(path, value, told):
    assert says(complaint(spoilt(TABLE, path, value)), told)


@faults(
    ("flags", ["start"], "flags and counters: name 'start' stands there also among states"),
    ("actions", ["go left", "go left"], "actions: name 'go left' stands there twice"),
    ("flags", ["any"], "flags and counters: 'any' cannot be a name"),
    ("stimuli.none", "...", "stimuli: 'none' cannot be a name"),
    ("stimuli.drawn", "...", "stimuli: 'drawn' cannot be a name"),
    ("variables.1-p", {"state": "any"}, "variables: '1-p' cannot be a name"),
    ("flags", [""], "flags and counters: '' cannot be a name"),
    ("flags", ["se\nen"], "flags and counters: 'se\\nen' is no name"),
    ("flags", ["\ud800"], "flags and counters: '\\ud800' is no name"),
    ("flags", ["x" * 10_000], "flags and counters: 'xxx ... is no name; expected 1 to 64 printable characters"),
    ("states", [], "states and actions must name at least one each, or give a grid"),
)
def test_a_name_that_cannot_be_one_is_refused(path, value, told):
    assert says(complaint(spoilt(TABLE, path, value)), told)


@faults(
    (
        "transitions.left arm",
        {"start": 0.5, "left arm": 0.4},
        "transitions.left arm: probabilities must sum to 1, got 0.9",
    ),
    ("transitions.left arm", {}, "transitions.left arm: probabilities must sum to 1, got 0"),
    (
        "transitions.left arm",
        {"start": 1.5, "left arm": -0.5},
        "transitions.left arm.start: expected a probability from 0 to 1",
    ),
    ("rewards.0.probability", 1.2, "rewards[0].probability: expected a probability from 0 to 1, got 1.2"),
    ("rewards.0.probability", "4/3", "rewards[0].probability: expected a probability from 0 to 1, got 1.3"),
    ("rewards.0.probability", "1/0", "rewards[0].probability: '1/0' is no probability"),
    ("rewards.0.probability", "abc", "rewards[0].probability: 'abc' is no probability"),
    ("rewards.0.probability", float("nan"), "rewards[0].probability: expected a probability from 0 to 1, got nan"),
    ("rewards.0.value", float("nan"), "rewards[0].value: expected ... got nan"),
    ("costs.0.value", float("inf"), "costs[0].value: expected ... got inf"),
    ("variables.luck.probability.0", 1.5, "variables.luck.probability must list numbers from 0 to 1, got [1.5"),
    ("variables.luck.probability", [], "variables.luck.probability must list numbers from 0 to 1"),
    ("variables.luck.probability", {"low": 0.5, "high": 0.5}, "variables.luck.probability: low must be below high"),
    ("rewards.1.when.visits", [1, 4], "rewards[1].when.visits must lie in 0 to 3"),
    ("rewards.1.when.visits", [2, 1], "rewards[1].when.visits must lie in 0 to 3, lowest first"),
    ("marks.0.set.seen", 2, "marks[0].set.seen must be 0 to 1, got 2"),
    ("marks.0.add.visits", 10**30, "marks[0].add.visits must be -3 to 3"),
)
def test_a_number_out_of_its_range_is_told_with_its_place(path, value, told):
    assert says(complaint(spoilt(TABLE, path, value)), told)


@faults(
    ("horizon", 10**9, "horizon: expected `int` <= 100000, got 1000000000"),
    ("horizon", 0, "horizon: expected `int` >= 1, got 0"),
    ("states", [f"s{number}" for number in range(2000)], "states must be at most 1024, got 2000"),
    ("actions", [f"a{number}" for number in range(100)], "actions must be at most 16, got 100"),
    ("variables", {f"v{number}": {"state": "any"} for number in range(100)}, "variables must be at most 16, got 100"),
    ("stimuli", {f"x{number}": f"{number:011b}" for number in range(2000)}, "stimuli must be at most 1024, got 2000"),
    ("flags", [f"f{number}" for number in range(20_000)], "flags and counters must be at most 5, got 20001"),
    ("counters.visits", 31, "joint values of flags and counters must be at most 62, got 64"),
    ("counters.visits", 64, "counters.visits: expected `int` <= 63, got 64"),
    ("rewards", [{"from": "start"}] * 300, "rewards, costs and marks must be at most 256, got 302"),
    ("stimuli", {"here": "1" * 1000}, "stimuli.here must be 1 to 64 digits"),
    ("observations.start", ["here"] * 100, "observations would take 300 units, at most 64 can be"),
    ("grid.map", ["." * 1000] * 1000, "grid.map must have at most 1024 squares, got 1000000"),
    ("grid.map", ["." * 65], "grid.observe would take 66 units, at most 64 can be"),
    ("grid.mazes", {"rows": 17, "columns": 2, "count": 1}, "grid.mazes.rows: expected `int` <= 16, got 17"),
    ("grid.mazes", {"rows": 2, "columns": 2, "count": 257}, "grid.mazes.count: expected `int` <= 256, got 257"),
)
def test_an_absurd_size_is_refused(path, value, told):
    base = {**GRID, "grid": {"map": ["."], "observe": "unique"}} if path.startswith("grid") else TABLE
    assert says(complaint(spoilt(base, path, value)), told)


@faults(
    ("stimuli.here", "12.", "stimuli.here must be 1 to 64 digits 1, 0 or ., got '12.'"),
    ("stimuli.here", "", "stimuli.here must be 1 to 64 digits"),
    ("stimuli.here", "1.", "stimuli must all have one length"),
    ("stimuli.there", "1..", "stimuli must differ"),
    ("observations.start", [], "observations.start: the list is empty; name a stimulus or 'none'"),
    ("stimuli", {"here": "1", "there": "0"}, "stimuli of 1 units are too few to draw 1 new ones"),
    ("stimuli", {}, "stimulus_units: give it or name a stimulus, so that those drawn know how many units they have"),
    ("stimulus_units", 4, "stimulus_units must be the 3 digits of the stimuli or left out, got 4"),
    ("stimulus_units", 65, "stimulus_units: expected `int` <= 64, got 65"),
)
def test_a_stimulus_that_cannot_be_shown_is_refused(path, value, told):
    base = spoilt(TABLE, "variables.new", {"stimulus": "drawn"})
    assert says(complaint(spoilt(base, path, value)), told)


def test_stimuli_that_are_all_drawn_have_the_units_that_are_given():
    drawn = {"variables": {"new": {"stimulus": "drawn"}}, "observations": {"start": ["new", "none"]}, "stimuli": {}}
    plain = {"rewards": [{"to": "start"}], "costs": [], "stimulus_units": 7}
    assert decode(parse_meta_task({**TABLE, **drawn, **plain}, "sound")).units == 14


def test_stimulus_units_may_say_what_the_stimuli_say():
    said, unsaid = (decode(parse_meta_task(spoilt(TABLE, "stimulus_units", units), "sound")) for units in (3, None))
    assert said.units == unsaid.units == 3


@faults(
    ("luck", {}, "variables.luck: give exactly one of state, action, stimulus, probability, other, got none"),
    ("luck.state", "any", "variables.luck: give exactly one of ... got state, probability"),
    ("baited.state", ["start", "start"], "variables.baited.state must name at least one, each once"),
    ("baited.but", ["left arm", "right arm"], "variables.baited.state must name at least one state"),
    ("helpful.but", ["start"], "variables.helpful.but leaves out states"),
    ("helpful.unlike", ["luck"], "variables.helpful.unlike: 'luck' must be a action with listed values too"),
    (
        "third",
        {"state": ["left arm", "right arm"], "unlike": ["baited", "bare"]},
        "variables.third.unlike: all of its values",
    ),
    (
        "third",
        {"state": "any", "unlike": ["baited", "baited"]},
        "variables.third.unlike must name at least one, each once",
    ),
    ("baited.state", ["start", "left arm", "right arm"], "variables.bare.other: 'baited' must have two listed values"),
    ("bare.change", {"every": "trial"}, "variables.bare.other: ... nothing else may be said"),
    (
        "luck",
        {"probability": [0.5], "change": {"every": "trial"}},
        "variables.luck.change: only a variable with at least two",
    ),
    (
        "luck",
        {"probability": {}, "change": {"every": "trial"}},
        "variables.luck.change: only a variable with at least two",
    ),
    (
        "luck",
        {"stimulus": ["here", "there"], "change": {"every": "trial"}},
        "variables.luck.change: a stimulus cannot change",
    ),
    ("luck.change", {}, "variables.luck.change: give either every or at"),
    ("luck.change", {"every": "trial", "at": [1]}, "variables.luck.change: give either every or at"),
    ("luck.change", {"at": [5, 21]}, "variables.luck.change.at must list decisions up to the horizon of 20"),
    ("luck.change", {"at": [5, 5]}, "variables.luck.change.at must list ... each once"),
    ("luck.change", {"at": [5], "chance": 0.5}, "variables.luck.change.chance: a change at set decisions is certain"),
    ("luck.change", {"every": "trial", "chance": 0}, "variables.luck.change.chance: expected `float` > 0.0, got 0"),
    (
        "luck.change",
        {"every": "dicision"},
        "variables.luck.change.every: 'dicision' is unknown ... did you mean 'decision'?",
    ),
)
def test_a_variable_without_sense_is_refused(path, value, told):
    assert says(complaint(spoilt(TABLE, f"variables.{path}", value)), told)


def test_what_is_unlike_a_variable_may_not_change_through_another():
    changing = spoilt(TABLE, "variables.baited.change", {"every": "trial"})
    third = spoilt(changing, "variables.third", {"state": "any", "unlike": ["bare"]})
    assert says(complaint(third), "variables.third.unlike: variables that change cannot be kept unlike others")


@faults(
    ("rewards.0.from", [], "rewards[0].from must name at least one, each once, got []"),
    ("rewards.0.relocate", [], "rewards[0].relocate must name at least one"),
    ("rewards.0", {"from": "baited", "relocate": "any", "but": ""}, "rewards[0].but: '' is no state or variable state"),
    ("rewards.0.but", "start", "rewards[0].but leaves out places of a relocation; give relocate too"),
    ("start", ["start", "start"], "start must name at least one, each once"),
    ("costs.0.from", ["baited", "left arm"], "costs[0] lists names that may mean the same in an instance"),
    ("marks.0.from", ["baited", "left arm"], "marks[0] lists names that may mean the same in an instance"),
    ("marks.0", {"from": "start"}, "marks[0]: set or add something"),
    ("marks.0.set", {"visits": 1}, "marks[0]: set or add something, and not both to one name"),
    ("rewards.1", {"action": "any"}, "rewards[0] contradicts rewards[1], which always overrides it"),
    ("transitions", {"start": "start"}, "transitions: state 'left arm' has no row"),
    ("transitions.start", {"go left": "start"}, "transitions.start: no row for action 'go right'"),
    ("trial.decisions", 3, "trial: it ends after a number of decisions or on an event; give one of them"),
    ("trial", {"decisions": 21}, "trial.decisions must be at most the horizon of 20, got 21"),
    ("trial", {"restart": True}, "trial: restart and clear follow the end of a trial"),
)
def test_a_rule_without_sense_is_refused(path, value, told):
    assert says(complaint(spoilt(TABLE, path, value)), told)


NONE_MAY_BE_LEFT = {
    "the only place": ("start", "start"),
    "all that there are": ("any", "any"),
    "where the only place may be": ("left arm", "baited"),
    "where both places may be": (["left arm", "right arm"], ["baited", "bare"]),
    "all that a variable may be": ("baited", ["left arm", "right arm"]),
    "the variable itself": ("baited", "baited"),
}


@pytest.mark.parametrize("kind", NONE_MAY_BE_LEFT)
def test_leaving_out_what_may_be_every_place_is_refused(kind):
    relocate, but = NONE_MAY_BE_LEFT[kind]
    content = spoilt(TABLE, "rewards.1", {"relocate": relocate, "but": but, "when": {"visits": 1}})
    assert says(complaint(content), "rewards[1].but may leave no place to relocate to; name more places")


ONE_IS_LEFT = {
    "fewer than there are": (["left arm", "right arm"], "baited"),
    "where the place never is": ("start", ["baited", "bare"]),
    "what the place is unlike": ("bare", "baited"),
    "one that never is a place": (["left arm", "right arm"], ["start", "bare"]),
}


@pytest.mark.parametrize("kind", ONE_IS_LEFT)
def test_a_relocation_may_leave_out_some_of_its_places(kind):
    relocate, but = ONE_IS_LEFT[kind]
    content = spoilt(TABLE, "rewards.1", {"relocate": relocate, "but": but, "when": {"visits": 1}})
    assert len(decode(parse_meta_task(content, "sound")).rewards[1].but) == (2 if isinstance(but, list) else 1)


def test_names_that_never_mean_the_same_may_share_a_cost():
    read = parse_meta_task(spoilt(TABLE, "costs.0.from", ["baited", "bare", "start"]), "sound")
    assert len(decode(read).costs) == 3


def test_a_reward_is_not_dead_if_the_later_one_is_narrower():
    parse_meta_task(spoilt(TABLE, "rewards.1", {"moved": True}), "sound")


def test_lists_that_spell_out_to_too_many_rules_are_refused():
    states = [f"s{number}" for number in range(20)]
    content = {**HEAD, "states": states, "actions": ["stay"], "transitions": {state: state for state in states}}
    content["rewards"] = [{"from": states, "to": states}]
    assert says(complaint(content), "rewards[0]: the lists of rewards spell out to 400 rules; at most 256 can be")


def test_a_trial_that_ends_where_nobody_comes_is_refused():
    stuck = spoilt(TABLE, "transitions", {"start": "left arm", "left arm": "left arm", "right arm": "left arm"})
    assert says(complaint(stuck), "trial.until: no start leads to 'start', so no trial would ever end")


def test_a_task_that_never_pays_is_refused():
    assert says(complaint({**TABLE, "rewards": [], "costs": []}), "rewards: nothing is ever paid")


def test_a_trial_that_ends_with_a_reward_needs_one():
    costly = {**TABLE, "trial": {"rewarded": True}, "rewards": []}
    assert says(complaint(costly), "trial.rewarded: there is no reward, so no trial would ever end")


@faults(
    ("grid", {}, "grid: give either a map or mazes"),
    ("grid.map", [], "grid: give either a map or mazes"),
    ("grid.map", ["..", "."], "grid.map: lines must have one length above 0"),
    ("grid.map", ["A?"], "grid.map[0]: expected '#', '.' or a letter, got '?' at column 1"),
    ("grid.map", ["AA"], "grid.map: a letter names one cell, but one stands at several"),
    ("grid.map", ["##"], "grid.map has walls only"),
    ("grid.map", ["A#B"], "grid: the start does not lead to cell"),
    ("grid.observe", "locl", "grid.observe: 'locl' is unknown ... did you mean 'local'?"),
    ("grid", {"mazes": {"rows": 2, "columns": 2, "count": 1}, "wrap": True}, "grid.wrap: mazes have an outer wall"),
    ("start", "C", "start: 'C' is no state"),
    ("start", "1,1", "start: '1,1' is no state"),
    ("states", ["x"], "states come from the grid; leave states out"),
    ("actions", ["x"], "actions come from the grid; leave actions out"),
    ("transitions", {"A": "B"}, "transitions come from the grid; leave transitions out"),
    ("observations", {"A": "none"}, "observations come from grid.observe; leave one of them out"),
)
def test_a_grid_without_sense_is_refused(path, value, told):
    content = spoilt(GRID, path, value)
    if path == "grid.map" and value == ["A#B"]:
        content["start"], content["rewards"] = "A", [{"to": "goal"}]
    assert says(complaint(content), told)


@faults(
    ("reward", [], "reward: unknown key; did you mean 'rewards'? (known here: format, "),
    ("rewards.1.chance", 0.5, "rewards[1].chance: unknown key ... (known here: from, "),
    ("variables.luck.chnge", {}, "variables.luck.chnge: unknown key; did you mean 'change'?"),
    ("variables.luck.change", {"evry": "trial"}, "variables.luck.change.evry: unknown key; did you mean 'every'?"),
    ("re\nward", [], "re?ward: unknown key"),
    ("horizon", "long", "horizon: expected `int`, got 'long'"),
    ("rewards", {}, "rewards: expected `array`, got `object`"),
    ("rewards.1.when.visits", "once", "rewards[1].when.visits: expected ... got 'once'"),
    ("transitions.start.go left", {"start": {"start": 1}}, "transitions.start.go left.start: expected `float | str`"),
    ("costs.0", {"from": "start"}, "costs[0]: object missing required field `value`"),
    ("order", ORDER.replace("/1", "/2"), "order: 'observe-act ... is unknown; choose one of ... did you mean"),
    ("format", "evoplastic.run", "format: 'evoplastic.run' is unknown; choose one of ['evoplastic.task']"),
    ("version", 2, "version: 2 is unknown; choose one of [1]"),
    ("version", 0, "version: 0 is unknown; choose one of [1]"),
    ("version", "1", "version: '1' is unknown; choose one of [1]"),
    ("version", True, "version: True is unknown; choose one of [1]"),
    ("summary", "One.\nTwo.", "summary must be one line of printable characters"),
    ("source", "\ud800", "source must be one line of printable characters"),
    ("transitions.start", NESTED, "transitions.start.deep.deep: expected `float | str`, got `object`"),
    ("deep", NESTED, "deep: unknown key"),
)
def test_a_wrong_key_or_type_is_told_with_its_place(path, value, told):
    assert says(complaint(spoilt(TABLE, path, value)), told)


@pytest.mark.parametrize("content", [None, [], "task", 1, {}], ids=repr)
def test_what_is_no_spec_at_all_is_refused(content):
    complaint(content)


# ---- files


FILES = {
    "torn": (json.dumps(TABLE)[:-20].encode(), "cannot be read: "),
    "empty": (b"", "cannot be read: "),
    "no object": (b"[1, 2]", "must be of format 'evoplastic.task' version 1, got None version None"),
    "of another format": (json.dumps({**TABLE, "format": "evoplastic.truth_tables"}).encode(), "must be of format"),
    "newer": (json.dumps({**TABLE, "version": 2}).encode(), "version 1, got 'evoplastic.task' version 2"),
    "older": (json.dumps({**TABLE, "version": 0}).encode(), "version 1, got 'evoplastic.task' version 0"),
    "of version '1'": (json.dumps({**TABLE, "version": "1"}).encode(), "got 'evoplastic.task' version '1'"),
    "not UTF-8": (json.dumps(TABLE).encode("utf-16"), "cannot be read: 'utf-8' codec"),
    "nested deeper than Python goes": (b'{"a": ' * 100_000, "cannot be read: maximum recursion depth"),
    "of a key that stands twice": (b'{"version": 1, "version": 2}', "key 'version' stands twice in one object"),
    "of a key that stands twice within": (
        json.dumps(TABLE).replace('"go right":', '"go left":').encode(),
        "cannot be read: key 'go left' stands twice in one object",
    ),
    "of a number that never ends": (b'{"horizon": ' + b"9" * 10_000 + b"}", "cannot be read: Exceeds the limit"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_spec_is_told_by_its_path(tmp_path, kind):
    content, told = FILES[kind]
    path = tmp_path / "spoilt.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_meta_task(str(path))
    message = str(caught.value)
    assert message.startswith(f"task spec {path}") and told in message and "\n" not in message


def test_a_fault_in_a_file_is_told_by_path_and_place(tmp_path):
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps({**TABLE, "horizon": float("nan")}))
    with pytest.raises(UserError, match=r"spoilt\.json: horizon: expected `int`, got nan"):
        read_meta_task(str(path))


def test_an_unknown_task_is_told_with_its_nearest_name():
    with pytest.raises(UserError, match="did you mean 't-maze'"):
        read_meta_task("t-mase")
