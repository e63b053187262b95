"""Any spec reads as English that says what it does."""

import json

import pytest

from evoplastic.tasks.meta.language import FORMAT, ORDER
from evoplastic.tasks.meta.reading import parse_meta_task, read_meta_task
from evoplastic.tasks.meta.words import describe, sections
from evoplastic.tasks.meta.writing import as_file
from evoplastic.tasks.specs import read_spec, spec_names

SMALL = {
    "format": FORMAT,
    "version": 1,
    "order": ORDER,
    "summary": "Two places.",
    "horizon": 10,
    "states": ["here", "there"],
    "actions": ["stay", "go"],
    "transitions": {"here": {"stay": "here", "go": "there"}, "there": "here"},
    "rewards": [{"from": "there"}],
}
META_TASKS = spec_names(FORMAT)


def spec(**changes):
    return parse_meta_task(SMALL | changes, "small")


def said(head, **changes):
    """Return the sentences of a section of the small spec with some keys changed."""
    return sections(spec(**changes)).get(head, [])


def test_small_spec_in_words():
    assert describe(spec(source="a book")) == (
        "Two places.\n\n"
        "Observed\n  Nothing; only the action just taken and what it paid can tell anything.\n\n"
        "Actions\n  2 actions: stay and go.\n  In here, stay leads to here; go leads to there.\n"
        "  In there, any action leads to here.\n\n"
        "Drawn for every instance\n  Nothing, so all instances are alike.\n\n"
        "Pays\n  Any action in there pays 1.\n\n"
        "Instance\n  It begins in here and lasts 10 decisions.\n\n"
        "Order of a decision\n  Observe, act, move, receive the reward.\n\n"
        "Source: a book"
    )


def test_states_that_show_the_same_are_named_together():
    shown = {"stimuli": {"red": "1.", "blue": "01"}, "observations": {"here": "red", "there": "red"}}
    assert said("Observed", **shown) == ["In here and there alike: red (1.)."]
    beside = {**shown, "observations": {"here": ["red", "blue"]}}
    assert said("Observed", **beside) == ["In here: red (1.) and blue (01), side by side.", "In there: nothing."]


def test_chances_are_said_and_even_ones_as_such():
    rows = {"here": {"stay": {"here": 0.25, "there": 0.75}, "go": {"here": "1/2", "there": "1/2"}}, "there": "here"}
    assert said("Actions", transitions=rows)[1] == (
        "In here, stay leads to here with chance .25 or there with chance .75; go leads to here or there, evenly."
    )


def test_every_kind_of_variable_is_said():
    variables = {
        "place": {"state": "any", "but": "here"},
        "spot": {"state": ["here", "there"]},
        "rest": {"other": "spot"},
        "way": {"action": ["stay", "go"]},
        "sight": {"stimulus": "drawn"},
        "colour": {"stimulus": ["red", "blue"]},
        "tint": {"stimulus": ["red", "blue"], "unlike": ["colour"]},
        "p": {"probability": {"low": 0.2, "high": 0.8}},
        "q": {"probability": [0.1, 0.9]},
        "r": {"probability": [0.1, 0.9]},
    }
    assert said("Drawn for every instance", stimuli={"red": "100", "blue": "010"}, variables=variables) == [
        "<place>: any state but here.",
        "<spot>: here or there.",
        "<rest>: the other value of <spot>.",
        "<way>: stay or go.",
        "<sight>: a new random stimulus.",
        "<colour>: red or blue.",
        "<tint>: red or blue, never the same as <colour>.",
        "<p>: a probability from .2 to .8.",
        "<q> and <r>: each a probability of .1 or .9.",
    ]


def test_every_kind_of_change_is_said():
    values = {"state": ["here", "there"]}
    variables = {
        "a": values | {"change": {"every": "decision", "chance": 0.1}},
        "b": values | {"change": {"every": "decision", "chance": 0.1}},
        "c": values | {"change": {"every": "trial", "to": "neighbour"}},
        "d": values | {"change": {"at": [3, 7]}},
        "e": {"other": "d"},
    }
    assert said("Changes", variables=variables) == [
        "<a> and <b> each change after every decision with chance .1 to another value.",
        "<c> changes after every trial to the next value up or down, where there is one.",
        "<d> changes after decisions 3 and 7 to another value.",
        "<e> changes with <d>.",
    ]


CONDITIONS = {
    "Every decision pays 1.": {},
    "Any action in here pays 2.": {"from": "here", "value": 2},
    "Choosing go pays 1 with chance .5.": {"action": "go", "probability": 0.5},
    "Choosing go in here or <spot> pays 1.": {"action": "go", "from": ["here", "spot"]},
    "Reaching there pays 1 with chance <p>.": {"to": "there", "probability": "p"},
    "Entering there from elsewhere pays 1.": {"to": "there", "moved": True},
    "Staying in there pays 1.": {"to": "there", "moved": False},
    "Any action that leads elsewhere pays 1.": {"moved": True},
    "Choosing go in here that leads to there pays 1 with chance 1 minus <p>.": {
        "from": "here",
        "to": "there",
        "action": "go",
        "probability": "1-p",
    },
    "Every decision while 'lit' is not set and 'count' is 1 to 2 pays 1.": {"when": {"lit": False, "count": [1, 2]}},
    "Every decision pays 1 with chance 1/3, and takes the learner to any state.": {
        "probability": "1/3",
        "relocate": "any",
    },
}
AROUND = {
    "variables": {"spot": {"state": "any"}, "p": {"probability": {}}},
    "flags": ["lit"],
    "counters": {"count": 3},
}


@pytest.mark.parametrize("sentence", CONDITIONS)
def test_conditions_of_a_reward_are_said(sentence):
    assert said("Pays", rewards=[CONDITIONS[sentence]], **AROUND) == [sentence]


def test_what_is_remembered_is_said():
    marks = [{"from": "here", "set": {"lit": True}, "add": {"count": 1}}, {"to": "here", "set": {"lit": 0, "count": 2}}]
    trial = {"until": "here", "clear": True, "restart": True}
    assert said("Remembered", **AROUND, marks=[*marks, {"add": {"count": -1}}]) == [
        "The flag 'lit', not set at first and not observed.",
        "The counter 'count', from 0 to 3 and not observed.",
        "Any action in here sets 'lit' and adds 1 to 'count'.",
        "Reaching here clears 'lit' and sets 'count' to 2.",
        "Every decision takes 1 from 'count'.",
    ]
    assert said("Instance", **AROUND, trial=trial)[1:] == [
        "A trial ends on reaching here.",
        "The next trial begins in here.",
        "At the end of a trial all flags and counters go back to 0.",
    ]


def test_order_tells_only_of_what_happens():
    everything = {
        "rewards": [{"relocate": "here"}],
        "costs": [{"action": "go", "value": 0.1}],
        "marks": [{"set": {"lit": 1}}],
        "flags": ["lit"],
        "trial": {"rewarded": True},
        "variables": {"a": {"state": "any", "change": {"every": "trial"}}},
    }
    assert said("Order of a decision", **everything) == [
        "Observe, act, move, pay costs, receive the reward, be taken elsewhere, set flags, end the trial, "
        "change variables.",
        "Rules read flags as they were before the decision.",
    ]
    assert said("Pays", **everything)[1] == "Choosing go costs .1."


@pytest.mark.parametrize(
    ("rewards", "meet"),
    [
        ([{"from": "here"}, {"from": "there"}], False),
        ([{"from": "here"}, {"from": "spot", "probability": 0.5}], True),
        ([{"from": "spot"}, {"from": "rest"}], False),
        ([{"action": "go", "when": {"lit": 1}}, {"from": "here", "when": {"lit": 0}}], False),
        ([{"moved": True}, {"moved": False}], False),
        ([{"from": ["here", "there"]}], False),
    ],
)
def test_rewards_that_cannot_meet_need_no_order(rewards, meet):
    variables = {"spot": {"state": "any"}, "rest": {"other": "spot"}}
    pays = said("Pays", rewards=rewards, variables=variables, flags=["lit"])
    assert ("Of the rewards that apply, the last one named decides." in pays) == meet


def test_names_with_signs_stand_in_quotes():
    names = {"states": ["a, b", "c"], "transitions": {"a, b": "c", "c": "a, b"}, "rewards": [{"from": "c"}]}
    assert "In 'a, b', any action leads to c." in said("Actions", **names)


def test_a_plane_is_said():
    grid = {"map": [".#", "A."], "wrap": True, "observe": "unique"}
    content = SMALL | {"grid": grid, "rewards": [{"to": "A"}]}
    plane = parse_meta_task({key: content[key] for key in content.keys() - {"states", "actions", "transitions"}}, "x")
    words = sections(plane)
    assert words["Actions"] == [
        "4 actions: north, east, south and west; a move into a wall stays.",
        "2 x 2 squares, 3 of them cells, the others walls; opposite edges join.",
    ]
    assert words["Observed"] == ["Which cell it is: one unit for each row and one for each column."]
    assert words["Instance"][0] == "It begins in any cell and lasts 10 decisions."


@pytest.mark.parametrize("name", META_TASKS)
def test_named_task_reads_without_leftovers(name):
    words = describe(read_meta_task(name))
    assert all(len(line) <= 100 for line in words.splitlines())
    assert not any(sign in words for sign in ("None", "()", "[]", "..\n", "{"))


@pytest.mark.parametrize("name", META_TASKS)
def test_file_of_a_spec_reads_back_as_itself_in_short_lines(name):
    task = read_meta_task(name)
    text = as_file(task)
    assert parse_meta_task(json.loads(text), "again") == task
    assert len(text.splitlines()) <= 2 + len(json.dumps(read_spec(name, FORMAT), indent=2).splitlines())
