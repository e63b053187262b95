"""Pictures of meta-tasks: what is in them, that nothing hides anything, and that equal tasks give equal files."""

import re

import numpy as np
import pytest

from evoplastic.analysis import graph_drawing
from evoplastic.analysis.graph_places import MOST_LAYERED, place
from evoplastic.analysis.graph_routes import route
from evoplastic.analysis.state_graph import ANY_ACTION, EVERYWHERE, chance, graph_of
from evoplastic.analysis.task_figures import draw_task
from evoplastic.errors import UserError
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import FORMAT, ORDER
from evoplastic.tasks.meta.reading import parse_meta_task, read_meta_task
from evoplastic.tasks.specs import spec_names

META_TASKS = spec_names(FORMAT)
GRAPHS = [name for name in META_TASKS if decode(read_meta_task(name)).plane is None]


def ring(count, **changes):
    """Return a task of `count` states in a ring."""
    names = [f"place {number}" for number in range(count)]
    content = {
        "format": FORMAT,
        "version": 1,
        "order": ORDER,
        "summary": "A ring.",
        "horizon": 10,
        "states": names,
        "actions": ["on", "back"],
        "transitions": {
            name: {"on": names[(number + 1) % count], "back": {names[number - 1]: 0.75, name: 0.25}}
            for number, name in enumerate(names)
        },
        "variables": {"goal": {"state": names[:2]}},
        "rewards": [{"from": "goal"}],
    }
    return parse_meta_task(content | changes, "ring")


def graph(count=3, **changes):
    return graph_of(decode(ring(count, **changes)))


def words(notes):
    return [" ".join([note.value, *(part.text for part in note.parts)]).strip() for note in notes]


# ---- what is in the graph


def test_edges_carry_actions_and_chances():
    edges = graph().edges
    assert [(edge.target, edge.action, edge.label) for edge in edges if edge.source == 0] == [
        (1, 0, ""),
        (2, 1, ".75"),
        (0, 1, ".25"),
    ]


def test_a_row_of_all_actions_is_one_edge():
    rows = {"place 0": "place 1", "place 1": "place 2", "place 2": "place 0"}
    assert [edge.action for edge in graph(transitions=rows).edges] == [ANY_ACTION] * 3


def test_a_row_of_chances_that_states_share_becomes_a_crossing():
    evenly = {"place 0": 0.5, "place 1": 0.5}
    drawn = graph(transitions={"place 0": "place 2", "place 1": evenly, "place 2": evenly})
    assert drawn.crossings == 1
    assert [(edge.source, edge.target) for edge in drawn.edges] == [(0, 2), (1, 3), (2, 3), (3, 0), (3, 1)]


def test_an_edge_to_a_variable_leads_to_all_it_may_be():
    edges = graph(transitions={"place 0": "goal", "place 1": "place 2", "place 2": "place 0"}).edges
    assert [(edge.target, edge.label, edge.drawn) for edge in edges if edge.source == 0] == [
        (0, "if goal", True),
        (1, "if goal", True),
    ]


def test_notes_stand_where_their_rules_apply():
    notes = graph(
        variables={"goal": {"state": ["place 0", "place 1"]}, "p": {"probability": {}}},
        rewards=[
            {"from": "goal", "action": "on", "probability": "1-p"},
            {"to": "place 2", "when": {"lit": True}, "value": -0.5, "relocate": "place 0"},
        ],
        costs=[{"action": "back", "value": 0.01}],
        marks=[{"from": "place 1", "set": {"lit": True}}, {"from": "place 1", "add": {"count": 2}}],
        flags=["lit"],
        counters={"count": 3},
    ).notes
    assert {state: words(noted) for state, noted in notes.items()} == {
        0: ["1 on p = 1 − p if goal"],
        1: ["1 on p = 1 − p if goal", "lit", "count +2"],
        2: ["−.5 on arrival if lit then at place 0"],
        EVERYWHERE: ["−.01 back"],
    }


@pytest.mark.parametrize(("number", "said"), [(0.25, ".25"), (1 / 3, "1/3"), (5 / 6, "5/6"), (0.123456, ".123")])
def test_chances_are_short(number, said):
    assert chance(number) == said


# ---- nothing hides anything


def overlap(one, other):
    (middle, size), (other_middle, other_size) = one, other
    return (np.abs(middle - other_middle) < (size + other_size) / 2 - 1e-6).all()


def laid_out(spec, monkeypatch):
    """Return what a drawing places: middles and sizes of boxes, edges, routes and sizes of labels."""
    seen = {}

    def watch(middles, sizes, edges, labels, blocked):
        seen.update(middles=middles, sizes=sizes, edges=edges, labels=labels)
        seen["routes"] = route(middles, sizes, edges, labels, blocked)
        return seen["routes"]

    monkeypatch.setattr(graph_drawing, "route", watch)
    graph_drawing.draw_graph(decode(spec), "task")
    return seen


@pytest.mark.parametrize("name", [*GRAPHS, 9, MOST_LAYERED + 4])
def test_boxes_labels_and_edges_keep_clear_of_each_other(name, monkeypatch):
    seen = laid_out(read_meta_task(name) if isinstance(name, str) else ring(name), monkeypatch)
    boxes = list(zip(seen["middles"], seen["sizes"]))
    assert not any(overlap(one, other) for number, one in enumerate(boxes) for other in boxes[:number])
    for edge, path, label in zip(seen["edges"], seen["routes"], seen["labels"]):
        if label.any():
            assert not any(overlap((path.label, label), box) for box in boxes), "a label lies on a box"
        for node, (middle, size) in enumerate(boxes):
            if node not in edge:
                assert not (np.abs(path.points - middle) < size / 2).all(axis=1).any(), "an edge runs through a box"


@pytest.mark.parametrize("name", GRAPHS)
def test_edges_of_one_pair_part(name, monkeypatch):
    seen = laid_out(read_meta_task(name), monkeypatch)
    middles = [path.points[len(path.points) // 2] for path in seen["routes"]]
    for number, edge in enumerate(seen["edges"]):
        for other in range(number):
            if set(edge) == set(seen["edges"][other]):
                assert np.linalg.norm(middles[number] - middles[other]) > 0.05


def test_states_stand_by_their_distance_from_the_start():
    places = place(np.full((4, 2), 0.5), [(0, 1), (1, 2), (1, 3), (2, 0), (3, 0)], [0])
    assert places[0, 0] < places[1, 0] < places[2, 0] == places[3, 0]


# ---- files


@pytest.mark.parametrize("name", META_TASKS)
def test_every_named_task_has_a_picture(name, tmp_path):
    draw_task(read_meta_task(name), name, tmp_path / "task.png")
    assert (tmp_path / "task.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("name", ["two-step", "full-maze"])
def test_equal_tasks_give_equal_files(name, tmp_path):
    for number in range(2):
        draw_task(read_meta_task(name), name, tmp_path / f"{number}.svg")
    first, second = ((tmp_path / f"{number}.svg").read_text() for number in range(2))
    assert first == second and first.startswith("<?xml") and not re.search(r"<dc:date>", first)


@pytest.mark.parametrize("count", [1, 2, 45])
def test_graphs_of_any_size_are_drawn(count, tmp_path):
    one = {"transitions": {"place 0": "place 0"}, "variables": {}, "rewards": [{}]} if count == 1 else {}
    draw_task(ring(count, **one), "ring", tmp_path / "ring.png")


@pytest.mark.parametrize(
    "changes",
    [
        {"grid": {"map": ["A..", ".#."], "wrap": True}, "start": "A", "rewards": [{"to": "goal", "relocate": "A"}]},
        {"grid": {"mazes": {"rows": 2, "columns": 3, "count": 2}, "observe": "unique"}, "rewards": [{"to": "other"}]},
        {"grid": {"map": [".A"]}, "variables": {}, "rewards": [{"to": "A", "relocate": ["A", "0,0"]}]},
    ],
)
def test_planes_of_any_kind_are_drawn(changes, tmp_path):
    variables = {"goal": {"state": "any"}, "other": {"state": "any", "unlike": ["goal"]}}
    content = {"format": FORMAT, "version": 1, "order": ORDER, "summary": "x", "horizon": 5, "variables": variables}
    draw_task(parse_meta_task(content | changes, "plane"), "plane", tmp_path / "plane.svg")


def test_a_name_may_hold_any_sign(tmp_path):
    names = {"states": ["$a", "b$_"], "transitions": {"$a": "b$_", "b$_": "$a"}, "variables": {}, "rewards": [{}]}
    draw_task(ring(2, **names), "$1_$", tmp_path / "task.png")


def test_picture_of_another_kind_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"a picture is a \.png or \.svg file, got .*task\.pdf"):
        draw_task(ring(3), "ring", tmp_path / "task.pdf")
    assert not list(tmp_path.iterdir())
