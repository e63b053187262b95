"""Successive halving: many settings for a short time, the better ones for longer; what was lived is lived once.

    n_0 = n,  n_k+1 = ceil(n_k / eta)  while n_k > eta         settings of rung k, K rungs; n on s seeds are n s runs
    r_k = (budget - aside) / (K s n_k)                         lifetimes that rung k adds to each of its n_k s runs
    n_k+1 settings go on: those whose median over the seeds is best

Every rung takes an equal share of the budget, and all runs of a rung have lived equally much: settings of another
population live other numbers of generations. `aside` is what the scores take. Pure: text in, a plan out; the seeds of
drawn values are their addresses, so more candidates change none of those before. Source: Jamieson and Talwalkar 2016,
algorithm of section 2, with a base of eta instead of 2.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from evoplastic.config import RunConfig, preset_names, read_config
from evoplastic.errors import UserError
from evoplastic.evolution import Search
from evoplastic.problems.contract import choosing_tasks
from evoplastic.random import Purpose, stream_key
from evoplastic.strategies.contract import Candidates
from evoplastic.sweeps import Arm, Planned, cells, check_apart, read_over, read_seeds

FEWEST_GENERATIONS = 10  # of the first rung: less says nothing
DRAWN_CANDIDATES = 27  # where ranges are given and nobody says how many
MOST_LISTED = 100_000  # settings
REPORT_SEEDS = 100  # seeds below are kept for reports
NOVEL = "novel class"  # what the withheld tasks of the report fold are to evolution
VALUES, GRID, RUNG, CONFIRMATION = 0, 1, 2, 3  # first part of the path of what is drawn for Purpose.TUNING
_QUIET = "validation.every=0"  # the runs are scored here, on tasks that may be looked at
_SCORED = ("problem", "problem.task", "problem.scored_trials")  # what a score is of
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, as it was written; a tuning is carried on by the same words."""

    source: str
    over: tuple[str, ...]
    budget: int  # lifetimes, those that scores take included
    seeds: str = "100:102"
    set: tuple[str, ...] = ()
    candidates: int | None = None
    eta: int = 3
    lives: int = 8  # of a score, per task


class Rung(NamedTuple):
    """One round of the halving."""

    settings: int
    lifetimes: int  # that each of its runs has lived by its end


class Candidate(NamedTuple):
    """Settings that are tried."""

    label: str
    over: dict[str, str]
    lives: int  # of a generation, the first at least


class Tuning(NamedTuple):
    """What will be done."""

    asked: Asked
    config: RunConfig  # what is varied
    candidates: list[Candidate]
    seeds: list[int]
    cells: list[Planned]  # all candidates of the first seed, then those of the next
    rungs: list[Rung]

    @property
    def overrides(self) -> tuple[str, ...]:
        """What is laid over all candidates."""
        return (*self.asked.set, _QUIET)

    def runs(self, candidate: int, rung: int) -> list[Planned]:
        """Return the candidate's runs, one for each seed, to the end of a rung."""
        generations = self.rungs[rung].lifetimes // self.candidates[candidate].lives
        return [
            each._replace(config=msgspec.structs.replace(each.config, generations=generations))
            for each in self.cells[candidate :: len(self.candidates)]
        ]


def plan(asked: Asked) -> Tuning:
    """Return what will be done; UserError for what cannot be, or would look at what is kept for the report."""
    seeds, values = read_seeds(asked.seeds), read_over(asked.over)
    config = read_config(asked.source, asked.set)
    for key in values:
        if key.partition(".")[0] == "validation":
            raise UserError(f"--over cannot vary {key}, for the runs of a tuning validate nothing; use --set")
        if key in _SCORED or key.startswith("problem.task."):
            raise UserError(f"--over cannot vary {key}, for scores of other tasks say nothing of each other; use --set")
    check_apart([text.partition("=")[0].strip() for text in asked.set], "--set", values, "--over")
    check_fold(asked.source, asked.set, config)
    chosen = candidates(values, asked.candidates)
    if len(chosen) < 2:
        raise UserError("there is one candidate and nothing to choose; give --over more values")
    arms = [Arm(asked.source, over, None, (*laid_over(asked.set, over), _QUIET)) for over in chosen]
    planned = cells(arms, seeds)
    searches = [Search.of(each.config) for each in planned[: len(chosen)]]
    tried = [
        Candidate(each.cell.name.rpartition(",")[0], each.cell.over, lives_of_generation(search))
        for each, search in zip(planned, searches)
    ]
    tasks = len(choosing_tasks(searches[0].problem))
    tested, confirmed = asked.lives * tasks, 2 * config.evaluation.lives * tasks  # the latter beside generation 0
    aside = len(seeds) * (tested * sum(sizes(len(tried), asked.eta)) + confirmed)
    most = max(candidate.lives for candidate in tried)
    rungs = schedule(asked.budget, aside, len(seeds), sizes(len(tried), asked.eta), FEWEST_GENERATIONS * most)
    return Tuning(asked, config, tried, seeds, planned, rungs)


def sizes(candidates: int, eta: int) -> list[int]:
    """Return how many settings each rung has; the best of the last one is chosen."""
    found = [candidates]
    while found[-1] > eta:
        found.append(math.ceil(found[-1] / eta))
    return found


def schedule(budget: int, aside: int, seeds: int, settings: Sequence[int], fewest: int) -> list[Rung]:
    """Return the rungs; UserError if the first one's runs would live fewer than `fewest` lifetimes."""
    smallest = aside + len(settings) * seeds * settings[0] * fewest
    if budget < smallest:
        raise UserError(
            f"--budget must be at least {smallest} lifetimes for {settings[0]} settings on {seeds} "
            f"seed{'s' * (seeds > 1)}, got {budget}; give more, or fewer values, --candidates, --seeds or --lives"
        )
    share = (budget - aside) // (len(settings) * seeds)  # of a rung, for each seed
    lived = itertools.accumulate(share // size for size in settings)
    return [Rung(size, lifetimes) for size, lifetimes in zip(settings, lived)]


def candidates(values: dict[str, list[str]], count: int | None) -> list[dict[str, str]]:
    """Return the settings that are tried, each with a value for every key.

    Lists alone are a grid, of which `count` are drawn if it is given; with a range among them, or too many values to
    list their grid, each key is drawn by itself. UserError for a range that is none, for too many settings, and for
    more than a grid has.
    """
    ranges = {key: found for key, texts in values.items() if (found := _range(key, texts))}
    spanned = math.prod(map(len, values.values()))
    wanted = count or (DRAWN_CANDIDATES if ranges else spanned)
    if wanted > MOST_LISTED:
        raise UserError(
            f"a tuning tries at most {MOST_LISTED:,} settings, got {wanted:,}; say with --candidates how many of them "
            "are to be drawn, or give fewer values"
        )
    if ranges or spanned > MOST_LISTED:
        drawn = (
            {key: _drawn(key, texts, ranges.get(key), number) for key, texts in values.items()}
            for number in range(wanted)
        )
        return list({tuple(over.items()): over for over in drawn}.values())
    grid = [dict(zip(values, chosen)) for chosen in itertools.product(*values.values())]
    if count is None:
        return grid
    if count > spanned:
        raise UserError(
            f"--over spans {spanned} settings, --candidates asks for {count}; ask for fewer, or give a range such as "
            "log:1e-3:1e-1"
        )
    order = sorted(range(spanned), key=lambda number: int(stream_key(0, Purpose.TUNING, GRID, number)))
    return [grid[number] for number in sorted(order[:count])]


def laid_over(settings: Sequence[str], over: Mapping[str, str]) -> tuple[str, ...]:
    """Return what is laid over the source, in order: `settings`, and one value for each varied key.

    A varied type comes before all else of its table, which would be emptied by another type.
    """
    laid = [*settings, *(f"{key}={value}" for key, value in over.items())]
    for key in over:
        if key.endswith(".type"):
            table, own = key.removesuffix("type"), f"{key}={over[key]}"
            laid.remove(own)
            below = (place for place, text in enumerate(laid) if text.lstrip().startswith(table))
            laid.insert(next(below, len(laid)), own)
    return tuple(laid)


def check_fold(source: str, overrides: Sequence[str], config: RunConfig) -> None:
    """Raise UserError if the withheld tasks are the report fold and there are no validation tasks to choose by."""
    problem = config.problem
    if NOVEL not in problem.withholding() or problem.build(config.seed).validation:
        return
    for name, assignments in problem.folds().items():
        if NOVEL not in read_config(source, [*overrides, *assignments]).problem.withholding():
            ways = " ".join(f"--set '{assignment}'" for assignment in assignments)
            preset = f"{source}-fold-{name}"
            ways += f", or tune {preset}" if preset in preset_names() else ""
            break
    else:
        ways = "--set problem.task.withheld with other tasks"
    raise UserError(f"{source} withholds the report fold, by which no settings may be chosen; add {ways}")


def lives_of_generation(search: Search) -> int:
    """Return the lifetimes of generation 0; a strategy may change its population or their number later."""
    found: Candidates = search.strategy.ask(search.start())
    return found.population * found.lives


def _range(key: str, texts: Sequence[str]) -> tuple[bool, str, str] | None:
    """Return (logarithmic, low, high) of `low:high` or `log:low:high`, None for a list of values."""
    found = [re.fullmatch(rf"(log:)?({_NUMBER}):({_NUMBER})", text) for text in texts]
    if not any(found) and not any(text.startswith("log:") for text in texts):
        return None
    ends = found[0]
    if len(texts) > 1 or not ends:
        raise UserError(f"--over {key} must be values between commas or one range such as log:1e-3:1e-1, got {texts}")
    logarithmic, low, high = bool(ends[1]), ends[2], ends[3]
    if not float(low) < float(high) < math.inf or (logarithmic and float(low) <= 0):
        least = "from above 0 " if logarithmic else ""
        raise UserError(f"--over {key} must be a range {least}from a low to a high end, got {texts[0]!r}")
    return logarithmic, low, high


def _drawn(key: str, texts: Sequence[str], ends: tuple[bool, str, str] | None, number: int) -> str:
    """Return the value of `key` for candidate `number`: uniform, in the logarithm for log:, and whole between wholes.

    Four digits are kept: settings that differ by less are the same to any score.
    """
    digest = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    share = (int(stream_key(0, Purpose.TUNING, VALUES, number, digest)) >> 11) / 2**53  # [0, 1)
    if ends is None:
        return texts[int(share * len(texts))]
    logarithmic, low, high = ends[0], float(ends[1]), float(ends[2])
    whole = all(re.fullmatch(r"[+-]?[0-9]+", end) for end in ends[1:])
    high += whole  # both ends are meant
    value = low * (high / low) ** share if logarithmic else low + share * (high - low)
    return str(math.floor(value)) if whole else f"{value:.4g}"
