"""The published generator of meta-tasks measured again: what its filters accept, and what adapting is worth there.

    python benchmarks/published_generator.py [--accepted 2000] [--seed 0]

The reference numbers were measured on the published program (2,000 accepted meta-tasks); ours come from an independent
generator and solver. Both solve the decision problem over (state, flag) exactly, discounted by .97, the special state
over its range, variable probabilities on {.1, .3, .5, .7, .9}, state and flag seen; a value per step is 1 - .97 times
that of the start. How the reference measurement took the undefined probability code 4000 is not known; here it is
1 - p_0, which fits best of what was tried. Writes benchmarks/PUBLISHED_GENERATOR.md.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoplastic.evaluators.threads import available_cores
from evoplastic.jit import source_hash
from evoplastic.random import Purpose, stream_key
from evoplastic.tasks.meta.published import COMPLEMENT, NOTHING, PROBABILITIES, PROBABILITY, SPECIAL, STIMULUS
from evoplastic.tasks.meta.published_files import Published
from evoplastic.tasks.meta.sampling.published_draws import (
    CONSTANT,
    INERT,
    STUCK,
    UNENTERED,
    draw_published,
    is_hidden,
    rejections,
)

RESULTS = Path(__file__).with_name("PUBLISHED_GENERATOR.md")
BOUND = 3.0  # points
MORE = 10  # times as many accepted meta-tasks, to tell how far 2,000 scatter
DISCOUNT = 0.97
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
FLAGS = 2
Array = NDArray[np.float64]

REFERENCE = {  # in points of a hundred
    "draws accepted": 21.2,
    f"draws failing: {CONSTANT}": 47.7,
    f"draws failing: {INERT}": 33.1,
    f"draws failing: {UNENTERED}": 45.0,
    f"draws failing: {STUCK}": 8.5,
    "probability code that means nothing": 6.9,
    "variable probability, such codes included": 21.1,
    "special state in a reward rule": 38.0,
    "flag in a reward rule": 21.4,
    "a variable stimulus is the only variable of stimuli and rewards": 46.0,
    "two states show the same, or both nothing": 61.7,
    "a later rule that pays surely hides an earlier one": 9.9,
    "one fixed policy is optimal in every instance (gap < 1e-9)": 66.8,
    "gap < .01": 72.0,
    "gap < .05": 82.1,
    "gap > .1": 9.6,
    "gap < 1e-9 and no variable stimulus: no meta-task": 12.9,
    "optimal = random play (< 1e-9)": 3.7,
    "optimal less random < .02": 6.8,
    "optimal less random < .05": 14.5,
    "reward cannot be reached": 3.3,
    "median reward per step of the optimal policy, x 100": 40.0,
    "median reward per step of random play, x 100": 20.0,
}


class Sample(NamedTuple):
    """Candidates drawn one after the other until enough were accepted."""

    drawn: int
    failing: Counter[str]  # filter -> candidates that fail it
    accepted: list[Published]


def main() -> None:
    """Draw, solve, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accepted", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begun = time.process_time()
    columns = [
        measured(drawn(options.seed, options.accepted * more, repaired))
        for more, repaired in ((1, False), (MORE, False), (1, True))
    ]
    written = _report(options, columns, time.process_time() - begun)
    RESULTS.write_text(written, encoding="utf-8")
    print(written)


def drawn(seed: int, count: int, repaired: bool) -> Sample:
    """Return candidates of a seed until `count` are accepted."""
    failing: Counter[str] = Counter()
    accepted: list[Published] = []
    for number in itertools.count():
        published = draw_published(stream_key(seed, Purpose.TASK, number), repaired)
        failed = rejections(published, repaired)
        failing.update(failed)
        if not failed:
            accepted.append(published)
        if len(accepted) == count:
            break
    return Sample(number + 1, failing, accepted)


def measured(sample: Sample) -> dict[str, float]:
    """Return what REFERENCE holds, of a sample."""
    shares = [len(sample.accepted) / sample.drawn]
    shares += [sample.failing[name] / sample.drawn for name in (CONSTANT, INERT, UNENTERED, STUCK)]
    shares += np.mean([_structure(published) for published in sample.accepted], axis=0).tolist()
    shares += _worth(sample.accepted)
    return {name: 100.0 * share for name, share in zip(REFERENCE, shares, strict=True)}


def _structure(published: Published) -> list[bool]:
    """Return what holds of a meta-task, in the order of REFERENCE from the undefined codes on."""
    rules, stimuli = published.rewardconditions, published.stimuli
    variable, special = any(rule[3] >= PROBABILITY for rule in rules), any(rule[0] == SPECIAL for rule in rules)
    hiding = [
        later[3] == 1.0 and is_hidden((rules[number], later), 0)
        for number in range(len(rules))
        for later in rules[number + 1 :]
    ]
    return [
        any(rule[3] >= COMPLEMENT + PROBABILITIES for rule in rules),
        variable,
        special,
        any(rule[5] != NOTHING for rule in rules),
        not variable and not special,
        len(set(stimuli)) < len(stimuli),
        any(hiding),
    ]


def _worth(accepted: Sequence[Published]) -> list[float]:
    """Return what knowing the instance is worth, in the order of REFERENCE from the fixed policy on."""
    oracle, fixed, random = np.array([solved(published) for published in accepted]).T
    fixed_stimuli = [not any(code >= STIMULUS for code in published.stimuli) for published in accepted]
    gap, gain = oracle - fixed, oracle - random
    held = [gap < 1e-9, gap < 0.01, gap < 0.05, gap > 0.1, (gap < 1e-9) & fixed_stimuli]
    held += [gain < 1e-9, gain < 0.02, gain < 0.05, oracle < 1e-12]
    return [*(float(np.mean(those)) for those in held), float(np.median(oracle)), float(np.median(random))]


class Solved(NamedTuple):
    """Reward per step, discounted: means over instances."""

    oracle: float
    fixed: float  # the best map from (flag, state) to an action
    random: float


def solved(published: Published) -> Solved:
    """Return the values of a meta-task; every deterministic policy is tried."""
    policies = _policies(published)
    oracle, fixed, random = [], [], []
    for special in _specials(published):
        visits = _visits(published, policies, special)
        for levels in _levels(published):
            rewards = _rewards(published, special, levels)  # (FLAGS, S, A)
            values = (visits * (policies * rewards).sum(axis=-1).reshape(len(policies), -1)).sum(axis=1)
            oracle.append(values[1:].max())
            fixed.append(values[1:])
            random.append(values[0])
    return Solved(float(np.mean(oracle)), float(np.mean(fixed, axis=0).max()), float(np.mean(random)))


def _policies(published: Published) -> Array:
    """Return random play and every deterministic policy, (policies, FLAGS, S, A)."""
    states, actions = len(published.T), len(published.T[0])
    reads = any(rule[5] != NOTHING for rule in published.rewardconditions)
    choices = np.array(list(itertools.product(range(actions), repeat=states * (FLAGS if reads else 1))))
    certain = np.eye(actions)[choices].reshape(len(choices), -1, states, actions)
    certain = np.broadcast_to(certain, (len(choices), FLAGS, states, actions))
    return np.concatenate([np.full((1, *certain.shape[1:]), 1 / actions), certain])


def _specials(published: Published) -> Sequence[int]:
    rules = (*published.rewardconditions, *published.flagconditions)
    return published.statevarranges[0] if any(rule[0] == SPECIAL for rule in rules) else (NOTHING,)


def _levels(published: Published) -> Iterator[tuple[float, ...]]:
    """Yield what the variable probabilities are, those that nothing refers to left out."""
    codes = [rule[3] for rule in published.rewardconditions]
    ranges = [
        LEVELS if any(code >= PROBABILITY and code % PROBABILITY == number for code in codes) else (0.5,)
        for number in range(PROBABILITIES)
    ]
    return itertools.product(*ranges)


def _visits(published: Published, policies: Array, special: int) -> Array:
    """Return how often each (flag, state) is visited from the start, discounted, summing to 1: (policies, FLAGS S)."""
    table = np.array(published.T)
    states, actions, _ = table.shape
    after = np.zeros((FLAGS, states, actions, FLAGS, states))
    for flag, state, action in itertools.product(range(FLAGS), range(states), range(actions)):
        marked = _decided(published.flagconditions, (state, action), special, flag)
        next_flag = flag if marked is None else int(marked[3])
        after[flag, state, action, next_flag, 1:] = table[state, action, 1:]
        after[flag, state, action, 0, 0] = table[state, action, 0]  # the start clears the flag
    moves = np.einsum("pfsa,fsagt->pfsgt", policies, after).reshape(len(policies), FLAGS * states, -1)
    begun = np.broadcast_to(np.eye(FLAGS * states)[:, :1], (len(policies), FLAGS * states, 1))
    turned = np.eye(FLAGS * states) - DISCOUNT * moves.transpose(0, 2, 1)
    return np.asarray((1 - DISCOUNT) * np.linalg.solve(turned, begun)[..., 0])


def _rewards(published: Published, special: int, levels: Sequence[float]) -> Array:
    """Return the expected reward of each action, (FLAGS, S, A)."""
    states, actions = len(published.T), len(published.T[0])
    expected = np.zeros((FLAGS, states, actions))
    for flag, state, action in itertools.product(range(FLAGS), range(states), range(actions)):
        rule = _decided(published.rewardconditions, (state, action), special, flag)
        expected[flag, state, action] = 0.0 if rule is None else rule[4] * _chance(rule[3], levels)
    return expected


def _decided(rules: Sequence[Sequence[float]], at: tuple[int, int], special: int, flag: int) -> Sequence[float] | None:
    """Return the last rule that applies; drawn rules never ask for the new state."""
    for rule in reversed(rules):
        asked = special if rule[0] == SPECIAL else rule[0]
        flagged = rule[5] if len(rule) == 6 else NOTHING
        if asked in (NOTHING, at[0]) and rule[2] in (NOTHING, at[1]) and flagged in (NOTHING, flag):
            return rule
    return None


def _chance(code: float, levels: Sequence[float]) -> float:
    if code < PROBABILITY:
        return code
    level = levels[int(code) % PROBABILITY]
    return level if code < COMPLEMENT else 1.0 - level


def _report(options: argparse.Namespace, columns: Sequence[dict[str, float]], seconds: float) -> str:
    few, many, repaired = columns
    rows = [
        f"| {name} | {theirs:.1f} | {few[name]:.1f} | {many[name]:.1f} | {many[name] - theirs:+.1f} |"
        f" {repaired[name]:.1f} |"
        for name, theirs in REFERENCE.items()
    ]
    return f"""# The published generator, measured again

Made by `python benchmarks/published_generator.py --accepted {options.accepted} --seed {options.seed}` on \
{date.today()}, {platform.machine()}, {available_cores()} shared virtual cores, Python {platform.python_version()}, \
sources {source_hash()}, in {seconds:.0f} s of CPU time.

The reference was measured on 2,000 meta-tasks of the published program; ours is an independent generator with seeds \
of its own. Shares are in percent, of accepted meta-tasks unless said. A share of 40 % of 2,000 has a standard error \
of 1.1 points, in their column as in ours; the difference is that of the larger sample.

Difference from the reference, bugs as released: {_verdict(many)}. Of the smaller sample: {_verdict(few)}.

| | reference | ours, {options.accepted:,} | ours, {options.accepted * MORE:,} | difference | bugs repaired |
|---|---|---|---|---|---|
{chr(10).join(rows)}

The gap is what the best policy for each instance earns per step above the best fixed policy. Chosen, since the \
reference does not say: the undefined probability code 4000 is taken for 1 - p_0; the flag is read as it was before \
the decision and cleared on reaching the start; a value per step is (1 - .97) times the discounted value of the start.

Other readings, tried once on 8,000 accepted meta-tasks and not by this command: 4000 as a sure reward raises the \
median of the optimal policy by 1.3, as no reward the share whose reward cannot be reached by 1.9 points; the flag \
read after the decision, or cleared on leaving the start, moves no share by more than 2.5 points; a long-run average \
makes 2.6 points more of optimal less random < .02. The first reading fits best; the others were kept \
as they are simplest.
"""


def _verdict(column: dict[str, float]) -> str:
    """Return which numbers are too far from the reference."""
    far = [name for name, theirs in REFERENCE.items() if abs(column[name] - theirs) > BOUND]
    return f"more than {BOUND:g} points for {', '.join(far)}" if far else f"at most {BOUND:g} points everywhere"


if __name__ == "__main__":
    main()
