"""Truth tables: the functions they name, which of them are one task relabelled, and batteries drawn at random."""

import functools
import itertools
import json

import pytest

from evoplastic.errors import UserError
from evoplastic.tasks.specs import find_spec, read_spec, spec_names
from evoplastic.tasks.truth_tables import (
    FORMAT,
    RandomPairs,
    Spec,
    Tables,
    complementary_pairs,
    describe,
    is_constant,
    negation,
    negation_of,
    novelty,
    npn_class,
)

FUNCTIONS = {
    "and": lambda a, b: a and b,
    "nand": lambda a, b: not (a and b),
    "01": lambda a, b: not a and b,
    "anti01": lambda a, b: a or not b,
    "10": lambda a, b: a and not b,
    "anti10": lambda a, b: not a or b,
    "watchstim1": lambda a, b: a,
    "watchstim2": lambda a, b: b,
    "dms": lambda a, b: a == b,
    "antiwatchstim2": lambda a, b: not b,
    "antiwatchstim1": lambda a, b: not a,
    "or": lambda a, b: a or b,
    "nor": lambda a, b: not (a or b),
    "dnms": lambda a, b: a != b,
}
BOOLEAN2 = Spec(name="boolean2").resolve().tables


def table_of(function, stimuli):
    """Return the table of a function of `stimuli` bits, first stimulus first."""
    return "".join(str(int(function(*bits))) for bits in itertools.product((False, True), repeat=stimuli))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_table_is_what_its_name_says(name):
    assert BOOLEAN2[name] == table_of(FUNCTIONS[name], 2)


def test_published_program_differs_in_two_tasks():
    published = Spec(name="boolean2-as-published").resolve().tables
    wrong = {name: published[name] for name in BOOLEAN2 if published[name] != BOOLEAN2[name]}
    assert wrong == {"anti10": table_of(FUNCTIONS["10"], 2), "nor": table_of(FUNCTIONS["anti10"], 2)}
    assert list(published) == list(BOOLEAN2)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        *[("and", "nand"), ("01", "anti01"), ("10", "anti10"), ("or", "nor"), ("dms", "dnms")],
        *[("watchstim1", "antiwatchstim1"), ("watchstim2", "antiwatchstim2")],
    ],
)
def test_negations_find_each_other(name, other):
    assert negation_of(BOOLEAN2, name) == other and negation_of(BOOLEAN2, other) == name
    assert complementary_pairs(BOOLEAN2, [other, name]) == [(name, other)]


# ---- relabelled twins


@functools.cache
def moves(k):
    """Return, for each permutation and negation of k inputs, where each column of a table comes from."""
    inputs = list(itertools.product((0, 1), repeat=k))
    return [
        [inputs.index(tuple(bits[order[i]] ^ flips[i] for i in range(k))) for bits in inputs]
        for order in itertools.permutations(range(k))
        for flips in inputs
    ]


def relabellings(table):
    """Return every table with inputs permuted and negated and the output negated or not; from the definition."""
    moved = {"".join(map(table.__getitem__, columns)) for columns in moves(len(table).bit_length() - 1)}
    return moved | set(map(negation, moved))


@pytest.mark.parametrize(("stimuli", "classes"), [(1, 1), (2, 3), (3, 13), (4, 221)])
def test_functions_form_the_known_number_of_classes(stimuli, classes):
    columns = 2**stimuli
    left = {format(number, f"0{columns}b") for number in range(1, 2**columns - 1)}
    found = 0
    while left:
        left -= relabellings(next(iter(left)))
        found += 1
    assert found == classes


@pytest.mark.parametrize("table", ["01", "0110", "0001", "00010111", "01101001", "0001011001101001"])
def test_all_relabellings_and_only_they_have_one_class(table):
    twins = relabellings(table)
    assert len({npn_class(twin) for twin in sorted(twins)[:40]}) == 1
    assert npn_class(table) == min(twins)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_match_to_sample_is_a_novel_class(name):
    held = [name, negation_of(BOOLEAN2, name)]
    assert novelty(BOOLEAN2, held) == ("novel class" if name in ("dms", "dnms") else "relabelled")


def test_a_withheld_task_whose_negation_is_trained_is_relabelled():
    assert novelty(BOOLEAN2, ["dms"]) == "relabelled"


def test_description_has_each_task_with_its_negation_and_novelty():
    lines = {line.split()[0]: line.split()[1:] for line in describe(BOOLEAN2).splitlines()[1:]}
    assert lines["dms"] == ["1001", "dnms", "novel", "class"]
    assert lines["or"] == ["0111", "nor", "relabelled"]
    assert list(lines) == list(BOOLEAN2)


def test_description_of_a_battery_without_negations():
    assert describe({"a": "0110", "b": "0001", "c": "0111"}).splitlines()[1].split() == ["a", "0110"]


# ---- drawn at random


@pytest.mark.parametrize(("stimuli", "pairs"), [(1, 1), (2, 7), (3, 20), (4, 30)])
def test_random_pairs_are_different_and_complementary(stimuli, pairs):
    tables = RandomPairs(stimuli=stimuli, pairs=pairs, seed=3).resolve().tables
    assert len(tables) == len(set(tables.values())) == 2 * pairs
    names = list(tables)
    for name, other in zip(names[::2], names[1::2]):
        assert other == f"not-{name}" and tables[other] == negation(tables[name])
        assert len(tables[name]) == 2**stimuli and not is_constant(tables[name])


def test_random_pairs_are_reproducible_and_seeds_differ():
    first, again, other = (RandomPairs(stimuli=3, pairs=5, seed=seed).resolve() for seed in (1, 1, 2))
    assert first == again and first.tables != other.tables


def test_fewer_pairs_are_the_first_of_more():
    few, many = (list(RandomPairs(stimuli=4, pairs=pairs).resolve().tables) for pairs in (3, 8))
    assert many[:6] == few


def test_every_function_can_be_drawn():
    assert len(RandomPairs(stimuli=3, pairs=127).resolve().tables) == 254
    with pytest.raises(UserError, match="pairs must be at most 127 for 3 stimuli, got 128"):
        RandomPairs(stimuli=3, pairs=128).resolve()


# ---- written by a user


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({}, "at least one"),
        ({"": "01"}, "every task needs a name"),
        ({"a": "0"}, "truth table of 'a' must be"),
        ({"a": "011"}, "truth table of 'a' must be"),
        ({"a": "01a1"}, "truth table of 'a' must be"),
        ({"a": "01" * 16}, "truth table of 'a' must be"),
        ({"a": "01", "b": "0110"}, "one length"),
    ],
)
def test_a_battery_that_is_none_is_refused(tables, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        Tables(tables=tables)
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"format": FORMAT, "version": 1, "tables": tables}))
    with pytest.raises(UserError, match=words):
        Spec(name=str(path)).resolve()


def test_a_file_of_tables_is_a_battery(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"format": FORMAT, "version": 1, "tables": {"same": "10", "other": "01"}}))
    assert Spec(name=str(path)).resolve() == Tables(tables={"same": "10", "other": "01"}, source=str(path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"[]", "must be of format"),
        (b'{"format": "other", "version": 1}', "must be of format 'evoplastic.truth_tables' version 1, got 'other'"),
        (b'{"format": "evoplastic.truth_tables", "version": 2}', "version 1, got 'evoplastic.truth_tables' version 2"),
        (b'{"format": "evoplastic.truth_tables", "version": 1}', "must have an object `tables`"),
        (b'{"format": "evoplastic.truth_tables", "version": 1, "tables": {"a": 1}}', "must have an object `tables`"),
    ],
)
def test_a_spec_file_that_is_none_is_refused(tmp_path, content, words):
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=words):
        Spec(name=str(path)).resolve()


@pytest.mark.parametrize("name", ["nothing.json", "nothing", "x" * 300, "x" * 300 + ".json", "a\0b"])
def test_a_spec_that_is_not_there_is_refused_with_all_names(name):
    with pytest.raises(UserError) as refused:
        find_spec(name)
    assert all(known in str(refused.value) for known in spec_names(FORMAT))


@pytest.mark.parametrize("name", spec_names(FORMAT))
def test_a_spec_that_comes_with_the_package_says_what_it_is(name):
    content = read_spec(name, FORMAT)
    assert content["summary"] and content["source"] and content["columns"]
    assert {len(table) for table in content["tables"].values()} == {2 ** content["stimuli"]}
