"""A sweep: a run for each seed, each source, each value of what is varied, and each fold.

    cells = seeds x sources x values of each --over x folds

Pure: text in, cells out. Every cell's settings are resolved here, so a sweep that cannot be is refused before anything
is written. Seeds vary slowest, so that all arms of one seed are there before the next seed begins.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from evoplastic.config import RunConfig, deciding, read_config
from evoplastic.errors import UserError, nearest

ALL_FOLDS = "all"
MOST_CELLS = 10_000
_LONGEST_LABEL, _LONGEST_NAME = 40, 120  # letters


class Sweep(NamedTuple):
    """What is asked for, as it was written."""

    sources: Sequence[str]
    seeds: str
    over: Sequence[str] = ()
    folds: str | None = None
    overrides: Sequence[str] = ()
    generations: int | None = None


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a group, as the group's file has it."""

    name: str
    source: str
    seed: int
    over: dict[str, str] = {}
    fold: str | None = None

    @property
    def address(self) -> tuple[object, ...]:
        """What the cell is, whatever it is called."""
        return self.source, self.seed, tuple(self.over.items()), self.fold


class Planned(NamedTuple):
    """A cell, all that is laid over its source, and the settings that come of it."""

    cell: Cell
    overrides: tuple[str, ...]
    config: RunConfig


class Arm(NamedTuple):
    """All of a cell but its seed."""

    source: str
    over: dict[str, str]
    fold: str | None
    overrides: tuple[str, ...]

    @classmethod
    def of(cls, source: str, over: dict[str, str], overrides: Sequence[str]) -> Arm:
        """Return the arm of a source, what is laid over it, and one value for each varied key."""
        return cls(source, over, None, (*overrides, *(f"{key}={value}" for key, value in over.items())))


def plan(sweep: Sweep) -> list[Planned]:
    """Return the cells in the order in which they are to be run; UserError for one that cannot be or is there twice."""
    seeds, varied = read_seeds(sweep.seeds), read_over(sweep.over)
    _check_once(sweep.sources, "source")
    check_apart({_key(override) for override in sweep.overrides}, "--set", varied, "--over")
    arms = [
        arm
        for source in sweep.sources
        for values in itertools.product(*varied.values())
        for arm in _arms(sweep, source, dict(zip(varied, values)))
    ]
    return cells(arms, seeds, sweep.generations)


def cells(arms: Sequence[Arm], seeds: Sequence[int], generations: int | None = None) -> list[Planned]:
    """Return the cells of all arms of a seed, then those of the next one; UserError as for `plan`."""
    if len(seeds) * len(arms) > MOST_CELLS:
        raise UserError(f"a group holds at most {MOST_CELLS} cells, got {len(seeds) * len(arms)}; name fewer")
    labels = _arm_labels(arms)
    planned = [
        _planned(arm, ",".join([*([label] if label else []), f"s{seed}"]), seed, generations)
        for seed in seeds
        for arm, label in zip(arms, labels)
    ]
    _check_different(planned)
    return planned


def default_name(sources: Iterable[str]) -> str:
    """Return what a group is called when nobody names it."""
    return _legal("+".join(_stem(source) for source in sources))[:_LONGEST_NAME] + "-sweep"


def read_seeds(text: str) -> list[int]:
    """Return the seeds of `0:9` (both ends are meant), `3` or `3,7,100:104`; UserError for one that is there twice."""
    seeds: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*([0-9]{1,19})\s*(?::\s*([0-9]{1,19})\s*)?", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if first > last:
            raise UserError(f"--seeds must look like 0:9 or 3,7,100:104, got {text!r}")
        if last - first >= MOST_CELLS:
            raise UserError(f"a group holds at most {MOST_CELLS} cells, got the seeds {first} to {last}; name fewer")
        seeds += range(first, last + 1)
    _check_once(seeds, "seed")
    return seeds


def read_over(texts: Iterable[str]) -> dict[str, list[str]]:
    """Return the values of each key of `key=value,value`; a comma in brackets or quotes belongs to its value."""
    varied: dict[str, list[str]] = {}
    for text in texts:
        key, values = _key(text), _split(text.partition("=")[2])
        if "=" not in text or not all([key, *values]):
            raise UserError(f"--over must look like strategy.sigma=0.02,0.03, got {text!r}")
        if key == "seed":
            raise UserError("--over cannot vary the seed; name seeds with --seeds")
        if key in varied:
            raise UserError(f"--over {key} is given twice; name all of its values in one")
        _check_once(values, f"value of {key}")
        varied[key] = values
    return varied


def _key(assignment: str) -> str:
    return assignment.partition("=")[0].strip()


def _split(text: str) -> list[str]:
    """Return the parts of `text` between commas that stand in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for before, letter in zip(" " + text, text):
        if quote:
            quote = "" if letter == quote and before != "\\" else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _arms(sweep: Sweep, source: str, over: dict[str, str]) -> Iterator[Arm]:
    """Yield the arms of a source and one value for each varied key: one, or one for each fold."""
    whole = Arm.of(source, over, sweep.overrides)
    if sweep.folds is None:
        yield whole
        return
    known = read_config(source, whole.overrides).problem.folds()
    if not known:
        raise UserError(f"{source} has no folds, for none of its tasks can be withheld; sweep it without --folds")
    wanted = list(known) if sweep.folds == ALL_FOLDS else [name.strip() for name in sweep.folds.split(",")]
    _check_once(wanted, "fold")
    for name in wanted:
        if name not in known:
            raise UserError(f"fold {name!r} of {source} is unknown; choose some of {list(known)}{nearest(name, known)}")
        check_apart({_key(override) for override in known[name]}, "--folds", over, "--over")
        yield whole._replace(fold=name, overrides=(*whole.overrides, *known[name]))


def _planned(arm: Arm, name: str, seed: int, generations: int | None) -> Planned:
    """Return a cell of an arm with its settings; UserError names the cell whose settings are invalid."""
    cell = Cell(name=name, source=arm.source, seed=seed, over=arm.over, fold=arm.fold)
    try:
        return Planned(cell, arm.overrides, read_config(arm.source, arm.overrides, seed=seed, generations=generations))
    except UserError as error:
        raise UserError(f"cell {name!r}: {error}") from error


def _check_different(planned: Iterable[Planned]) -> None:
    """Raise UserError if two cells would be the same run."""
    seen: dict[str, str] = {}
    for cell, _, config in planned:
        same = seen.setdefault(deciding(config), cell.name)
        if same != cell.name:
            raise UserError(
                f"cells {same!r} and {cell.name!r} would be the same run, for nothing that decides its bits differs; "
                "leave one of them out"
            )


def _check_once(values: Iterable[object], what: str) -> None:
    twice = [value for value, times in Counter(values).items() if times > 1]
    if twice:
        raise UserError(f"{what} {twice[0]} is named twice; name each once")


def check_apart(keys: Iterable[str], option: str, others: Iterable[str], other_option: str) -> None:
    both = sorted(set(keys) & set(others))
    if both:
        raise UserError(f"{both[0]} is given by {option} and by {other_option}; leave one of them out")


def _arm_labels(arms: Sequence[Arm]) -> list[str]:
    """Return short names, one for each arm and no two alike; '' for an arm that is alone in all respects."""
    sources = _labels([arm.source for arm in arms], _stem)
    keys = _labels([key for arm in arms for key in arm.over], lambda key: key.rpartition(".")[2])
    labels = []
    for arm in arms:
        parts = [sources[arm.source]] if len(sources) > 1 else []
        parts += [f"{keys[key]}={_label(value)}" for key, value in arm.over.items()]
        parts += [f"fold={_label(arm.fold)}"] if arm.fold is not None else []
        labels.append(_legal(",".join(parts)))
    times = Counter(labels)
    return [
        label if times[label] == 1 and len(label) <= _LONGEST_NAME else f"{label[:_LONGEST_NAME]}-{_digest(repr(arm))}"
        for arm, label in zip(arms, labels)
    ]


def _labels(texts: Iterable[str], short: Callable[[str], str]) -> dict[str, str]:
    """Return for each text its short form, or all of it where another text has the same one."""
    different = list(dict.fromkeys(texts))
    times = Counter(map(short, different))
    return {text: _label(short(text) if times[short(text)] == 1 else text) for text in different}


def _label(text: str) -> str:
    """Return `text` without what no name may hold: `["and", "or"]` is and+or; a long one ends in its digest."""
    bare = re.sub(r"[\[\]{}\"'\s]", "", text).replace(",", "+")
    label = re.sub(r"[^\w.+-]", "-", bare)
    return label if len(label) <= _LONGEST_LABEL else f"{label[:24]}-{_digest(text)}"


def _legal(name: str) -> str:
    return re.sub(r"^\W+", "", re.sub(r"[^\w.+=,-]", "-", name))


def _stem(source: str) -> str:
    return Path(source).stem if source.endswith(".toml") else source


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
