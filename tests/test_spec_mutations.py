"""Spoilt spec files: whatever becomes of a spec, reading it gives a meta-task or one sentence, and soon."""

import copy
import json
import random
import time
import tomllib

import pytest
import tomli_w

from evoplastic.errors import UserError
from evoplastic.tasks.meta.language import FORMAT, to_json
from evoplastic.tasks.meta.reading import parse_meta_task
from evoplastic.tasks.specs import find_spec, spec_names

SPECS = [json.loads(find_spec(name).read_text()) for name in spec_names()]
SPECS = [spec for spec in SPECS if spec["format"] == FORMAT]
for spec in SPECS:
    if "mazes" in spec.get("grid", {}):
        spec["grid"]["mazes"].update(rows=3, columns=3, count=3)  # 100 would take their time
LONGEST_S = 2.0


def nested(depth):
    value = []
    for level in range(depth):
        value = {"any": value} if level % 2 else [value]
    return value


WORDS = [
    "",
    "any",
    "none",
    "drawn",
    "1-",
    "1-p",
    "p",
    "1/0",
    "1/3",
    "nan",
    "1e400",
    "\x00",
    "\ud800",
    "ä\n😀",
    "a" * 999,
]
NUMBERS = [0, 1, -1, 2, 3, 0.5, 1.2, -0.0, 1e-320, 1e308, 2**31, 2**63, -(2**63) - 1, 10**400]
ODD = [None, True, False, [], {}, [[]], [None], float("nan"), float("inf"), -float("inf"), nested(5), nested(200)]


def places(value):
    """Yield (container, key) of everything inside a value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(entries):
        yield value, key
        yield from places(item)


def words(value):
    """Return every name in a spec, keys included."""
    found = {key for holder, key in places(value) if isinstance(holder, dict)}
    return sorted(found | {holder[key] for holder, key in places(value) if isinstance(holder[key], str)})


def mutated(draw, spec):
    """Return a spec with one to three random faults."""
    content = copy.deepcopy(spec)
    for _ in range(draw.choice([1, 1, 2, 3])):
        everywhere = list(places(content))
        if not everywhere:
            break
        FAULTS[draw.choice(list(FAULTS))](draw, content, *draw.choice(everywhere))
    return content


def _delete(draw, content, holder, key):
    del holder[key]


def _duplicate(draw, content, holder, key):
    again = copy.deepcopy(holder[key])
    if isinstance(holder, list):
        holder.extend([again] * draw.choice([1, 3, 300]))
    else:
        holder[draw.choice([*words(content), f"{key} again"])] = again


def _rename(draw, content, holder, key):
    if isinstance(holder, dict):
        holder[draw.choice([*WORDS, *words(content), key[:-1], key.upper()])] = holder.pop(key)


def _replace(draw, content, holder, key):
    holder[key] = draw.choice(draw.choice([WORDS, NUMBERS, ODD]))


def _name(draw, content, holder, key):
    holder[key] = draw.choice(words(content))


def _swap(draw, content, holder, key):
    other, there = draw.choice([place for place in places(content) if place[0] is not holder] or [(holder, key)])
    holder[key], other[there] = copy.deepcopy(other[there]), copy.deepcopy(holder[key])


def _scale(draw, content, holder, key):
    if isinstance(holder[key], (int, float)):
        holder[key] = holder[key] * draw.choice([-1, 0, 0.5, 1.0000001, 2, 100, 10**12])


def _shuffle(draw, content, holder, key):
    if isinstance(holder[key], list):
        draw.shuffle(holder[key])
    elif isinstance(holder[key], dict):
        keys = list(holder[key])
        draw.shuffle(keys)
        holder[key] = dict(zip(keys, holder[key].values()))
    elif isinstance(holder[key], str):
        holder[key] = "".join(draw.sample(holder[key], len(holder[key])))


def _wrap(draw, content, holder, key):
    holder[key] = draw.choice([[holder[key]], [holder[key]] * 20, {"any": holder[key]}])


FAULTS = {
    fault.__name__: fault for fault in (_delete, _duplicate, _rename, _replace, _name, _swap, _scale, _shuffle, _wrap)
}


def check(seed, count):
    """Read `count` mutants and return how many are still meta-tasks, which survive being written."""
    draw, sound = random.Random(seed), 0
    for number in range(count):
        content = mutated(draw, draw.choice(SPECS))
        began = time.perf_counter()
        try:
            spec = parse_meta_task(content, "mutant")
            written = tomllib.loads(tomli_w.dumps(to_json(spec)))
            assert parse_meta_task(json.loads(json.dumps(written)), "again") == spec
            sound += 1
        except UserError as error:
            message = str(error)
            assert message.startswith("mutant: ") and message.isprintable() and len(message) < 700, message
        except Exception as error:
            raise AssertionError(f"mutant {number} of seed {seed}: {content!r:.2000}") from error
        assert time.perf_counter() - began < LONGEST_S, f"mutant {number} of seed {seed}"
    return sound


def test_a_mutant_is_a_task_or_one_sentence():
    sound = check(seed=0, count=2000)
    assert 100 < sound < 1500, "mutants must be of both kinds"


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 11))
def test_many_mutants_are_tasks_or_one_sentence(seed):
    check(seed, count=5000)
