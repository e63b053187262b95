"""Exact values of meta-tasks: closed forms, and a naive play over all that can happen, from the order of events."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from evoplastic.errors import UserError
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import ORDER
from evoplastic.tasks.meta.reading import parse_meta_task, read_meta_task
from evoplastic.tasks.meta.solvers import convex, fixed_policies
from evoplastic.tasks.meta.solvers.fixed_policies import best_fixed
from evoplastic.tasks.meta.solvers.instances import chain_of, instances
from evoplastic.tasks.meta.solvers.values import instance_values, oracle_policy, values

close = {"rel": 0, "abs": 1e-9}
many = settings(
    derandomize=True,
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much],
)


def spec(**said):
    """Return a checked spec of one state and two actions, with what is `said`."""
    plain = {"horizon": 4, "states": ["s"], "actions": ["a", "b"], "transitions": {"s": "s"}, "rewards": [{}]}
    begin = {"format": "evoplastic.task", "version": 1, "order": ORDER, "summary": "a test"}
    return parse_meta_task(begin | plain | said, "test")


def solved(horizon=None, scored=None, **said):
    return values(decode(spec(**said)), horizon, scored)


def arms(**variables):
    """Return the parts of a bandit of two arms, paying with probability p and q."""
    return {
        "variables": variables,
        "rewards": [{"action": "a", "probability": "p"}, {"action": "b", "probability": "q"}],
    }


LINE = {"states": ["A", "B", "C"], "transitions": {"A": "B", "B": "C", "C": "C"}}
ANY_NUMBER = {"probability": {}}


# ---- closed forms


def test_of_two_arms_drawn_independently_the_better_pays_two_thirds():
    found = solved(**arms(p=ANY_NUMBER, q=ANY_NUMBER))
    assert found == pytest.approx((1 / 2, 2 / 3), **close)


def test_of_two_arms_p_and_1_minus_p_the_better_pays_three_quarters():
    rewards = [{"action": "a", "probability": "p"}, {"action": "b", "probability": "1-p"}]
    assert solved(variables={"p": ANY_NUMBER}, rewards=rewards) == pytest.approx((1 / 2, 3 / 4), **close)


def test_of_three_arms_one_of_them_known_the_best_is_the_mean_of_a_maximum():
    """P(max(p, q) < t) = t^2, so E max(p, q, c) = c c^2 + 2/3 (1 - c^3)."""
    rewards = [*arms()["rewards"], {"action": "c", "probability": 0.6}]
    parts = arms(p=ANY_NUMBER, q=ANY_NUMBER) | {"rewards": rewards, "actions": ["a", "b", "c"]}
    assert solved(**parts).oracle == pytest.approx(0.6**3 + 2 / 3 * (1 - 0.6**3), **close)


def test_bounds_of_a_probability_are_kept():
    """p in [.2, .6] against .4: half of the time .4, else .5 on average."""
    bounded = {"probability": {"low": 0.2, "high": 0.6}}
    rewards = [{"action": "a", "probability": "p"}, {"action": "b", "probability": 0.4}]
    assert solved(variables={"p": bounded}, rewards=rewards) == pytest.approx((0.4, 0.45), **close)


def test_probabilities_whose_bounds_do_not_meet_need_no_cut():
    low, high = ({"probability": {"low": low, "high": low + 0.5}} for low in (0.0, 0.5))
    assert solved(**arms(p=low, q=high)) == pytest.approx((0.5, 0.75), **close)


def test_a_way_that_takes_two_decisions_competes_with_a_near_reward():
    """Within two decisions: .3 twice, or p once; E max(.6, p) = .6 .6 + (1 - .36) / 2."""
    parts = {
        "states": ["start", "way"],
        "transitions": {"start": {"a": "start", "b": "way"}, "way": "start"},
        "rewards": [{"from": "start", "action": "a", "value": 0.3}, {"from": "way", "probability": "p"}],
    }
    found = solved(**parts, horizon=2, variables={"p": ANY_NUMBER})
    assert found.oracle == pytest.approx((0.36 + 0.32) / 2, **close)


def test_of_two_levels_the_better_is_missed_only_where_both_are_low():
    levels = {"probability": [0.1, 0.9]}
    assert solved(**arms(p=levels, q=levels)) == pytest.approx((0.5, 0.75 * 0.9 + 0.25 * 0.1), **close)


def test_t_maze_pays_once_a_run_of_three_decisions():
    program = decode(read_meta_task("t-maze"))
    assert values(program, 60) == pytest.approx((1 / 6, 1 / 3), **close)
    assert best_fixed(program, 60).value == pytest.approx(1 / 6, **close)


def test_two_step_pays_82_of_100_runs():
    """The better state is reached with .9 and pays .9, the other pays .1: .9 .9 + .1 .1 in two decisions."""
    parts = {
        "states": ["start", "S1", "S2"],
        "transitions": {
            "start": {"a": {"S2": 0.9, "S1": 0.1}, "b": {"S1": 0.9, "S2": 0.1}},
            "S1": "start",
            "S2": "start",
        },
        "variables": {"S": {"state": ["S1", "S2"]}},
        "rewards": [
            {"from": ["S1", "S2"], "probability": 0.1},
            {"from": "S", "probability": 0.9},
        ],
    }
    assert solved(**parts, horizon=40) == pytest.approx((0.25, 0.41), **close)


def test_harlow_pays_a_known_object_as_soon_as_it_is_shown():
    """An object shown: at once or after a refusal. Worth of 1, 2, 3, 4 more decisions when it is, and when not:

    1, 1, 3/2, 2 and 0, 1, 1, 3/2; so of five decisions from the blank the first shows one, then (2 + 3/2) / 2.
    """
    parts = {
        "states": ["blank", "X", "Y"],
        "actions": ["refuse", "take"],
        "transitions": {
            "blank": {"X": 0.5, "Y": 0.5},
            "X": {"refuse": "Y", "take": "blank"},
            "Y": {"refuse": "X", "take": "blank"},
        },
        "variables": {"good": {"state": ["X", "Y"]}},
        "rewards": [{"from": "good", "action": "take"}],
    }
    assert solved(**parts, horizon=5).oracle == pytest.approx(1.75 / 5, **close)
    assert solved(**parts, horizon=3) == pytest.approx((0.375 / 3, 1 / 3), **close)


@pytest.mark.parametrize("change", [{"every": "decision", "chance": 0.3}, {"every": "trial"}, {"at": [2, 3]}])
def test_who_sees_a_reversal_loses_nothing_by_it(change):
    levels = {"probability": [0.9, 0.1], "change": change}
    found = solved(**arms(p=levels, q={"other": "p"}), trial={"decisions": 2})
    assert found == pytest.approx((0.5, 0.9), **close)


def test_a_drifting_arm_spends_equal_time_at_each_level():
    """Steps over the edge are not taken, so the chain stays even: E max(p, .5) = (.5 + .5 + .8) / 3."""
    drift = {"probability": [0.2, 0.5, 0.8], "change": {"to": "neighbour", "every": "decision"}}
    rewards = [{"action": "a", "probability": "p"}, {"action": "b", "probability": 0.5}]
    assert solved(variables={"p": drift}, rewards=rewards, horizon=7) == pytest.approx((0.5, 0.6), **close)


def test_a_reward_relocates_only_when_it_is_paid():
    """Paid with .5, then again from A with .5; unpaid, B leads to C and nothing more."""
    parts = LINE | {"rewards": [{"to": "B", "probability": 0.5, "relocate": "A"}]}
    assert solved(**parts, horizon=2) == pytest.approx((0.75 / 2, 0.75 / 2), **close)


def test_a_relocation_is_even_among_its_places():
    """From A: to B, paid, and then a third each of A (paid again), B and C."""
    parts = LINE | {"rewards": [{"to": "B", "relocate": ["A", "B", "C"]}]}
    assert solved(**parts, horizon=2).oracle == pytest.approx((1 + 1 / 3) / 2, **close)


def test_a_relocation_is_even_among_the_places_that_are_left():
    """From A: to B, paid, and then B or C if home is A, else A (paid again) or B."""
    parts = LINE | {"variables": {"home": {"state": ["A", "C"]}}}
    parts |= {"rewards": [{"to": "B", "relocate": ["A", "B", "C"], "but": "home"}]}
    assert solved(**parts, horizon=2).oracle == pytest.approx((1 + 1 / 4) / 2, **close)


def test_a_relocation_leads_to_the_place_of_a_variable():
    parts = LINE | {"variables": {"home": {"state": ["A", "C"]}}, "rewards": [{"to": "B", "relocate": "home"}]}
    assert solved(**parts, horizon=2).oracle == pytest.approx((2 + 1) / 2 / 2, **close)


def test_a_trial_that_restarts_goes_back_to_the_start():
    parts = LINE | {"rewards": [{"to": "C"}]}
    assert solved(**parts).oracle == pytest.approx(3 / 4, **close)
    assert solved(**parts, trial={"until": "C", "restart": True}).oracle == pytest.approx(2 / 4, **close)


def test_a_restart_is_even_among_the_starts():
    """Starts A and B: two decisions or one to C; expected payments over two decisions are 1 from A, 3/2 from B."""
    parts = LINE | {"rewards": [{"to": "C"}], "start": ["A", "B"], "trial": {"until": "C", "restart": True}}
    assert solved(**parts, horizon=2).oracle == pytest.approx((1 + 1.5) / 2 / 2, **close)


def test_a_paid_reward_of_value_zero_ends_the_trial():
    parts = LINE | {"rewards": [{"to": "C"}, {"to": "B", "value": 0.0}], "trial": {"rewarded": True, "restart": True}}
    assert solved(**parts).oracle == pytest.approx(0, **close)


def test_the_end_of_a_trial_clears_flags():
    parts = {"flags": ["seen"], "marks": [{"set": {"seen": 1}}], "rewards": [{"when": {"seen": 1}}]}
    assert solved(**parts, trial={"decisions": 2}).oracle == pytest.approx(3 / 4, **close)
    assert solved(**parts, trial={"decisions": 2, "clear": True}).oracle == pytest.approx(2 / 4, **close)


def test_counters_stop_at_their_highest_value():
    parts = {"counters": {"n": 2}, "marks": [{"add": {"n": 1}}], "rewards": [{"when": {"n": 2}}]}
    assert solved(**parts, horizon=5).oracle == pytest.approx(3 / 5, **close)


def test_marks_add_to_what_earlier_ones_did():
    marks = [{"set": {"flag": 1}}, {"add": {"n": 1}}]
    rewards = [{"when": {"flag": 1, "n": 1}}]
    found = solved(flags=["flag"], counters={"n": 1}, marks=marks, rewards=rewards)
    assert found.oracle == pytest.approx(3 / 4, **close)


@pytest.mark.parametrize(("at", "found"), [(1, 1 / 2), (2, 2 / 3)])
def test_a_change_comes_right_after_its_decision(at, found):
    """One can go to B or C only. A bait that leaves before the second decision goes to either other place."""
    parts = {
        "states": ["A", "B", "C"],
        "transitions": {"A": {"a": "B", "b": "C"}, "B": "B", "C": "C"},
        "variables": {"bait": {"state": "any", "change": {"at": [at]}}},
        "rewards": [{"from": "bait"}],
    }
    assert solved(**parts, horizon=2, scored=1).oracle == pytest.approx(found, **close)


def test_costs_add_up_and_count_against_the_reward():
    costs = [{"value": 0.25}, {"action": "b", "value": 0.5}]
    found = solved(rewards=[{"action": "a"}], costs=costs)
    assert found == pytest.approx((0.5 - 0.25 - 0.25, 1 - 0.25), **close)


def test_the_last_rule_that_applies_decides_even_if_it_pays_less():
    found = solved(rewards=[{}, {"action": "a", "probability": 0.2}])
    assert found == pytest.approx(((0.2 + 1) / 2, 1), **close)


def test_only_the_last_decisions_count_and_those_before_prepare():
    """b leads to C for good, where a pays 2; at A it pays 1."""
    parts = {
        "states": ["A", "C"],
        "transitions": {"A": {"a": "A", "b": "C"}, "C": "C"},
        "rewards": [{"from": "A", "action": "a"}, {"from": "C", "action": "a", "value": 2}],
    }
    assert solved(**parts, horizon=2).oracle == pytest.approx(1, **close)
    assert solved(**parts, horizon=2, scored=1).oracle == pytest.approx(2, **close)


def test_mazes_are_averaged_over_layouts_and_goals():
    maze = {"rows": 2, "columns": 2, "count": 3}
    parts = {
        "states": [],
        "actions": [],
        "transitions": {},
        "start": "0,0",
        "rewards": [{"to": "goal"}],
        "variables": {"goal": {"state": "any"}},
    }
    program = decode(spec(**parts, grid={"mazes": maze}))
    alone = []
    for targets in program.targets[..., 0]:
        rows = {
            name: {action: program.states[to] for action, to in zip(program.actions, row)}
            for name, row in zip(program.states, targets)
        }
        plain = parts | {"states": list(program.states), "actions": list(program.actions), "transitions": rows}
        alone.append(solved(**plain))
    assert len({round(found.oracle, 9) for found in alone}) > 1
    assert values(program) == pytest.approx(np.mean(alone, axis=0), **close)


# ---- instances


def test_variables_unlike_each_other_are_drawn_one_after_the_other():
    variables = {"x": {"state": ["A", "B"]}, "y": {"state": ["B", "C"], "unlike": ["x"]}}
    found = [tuple(instance) for instance in instances(decode(spec(**LINE, variables=variables)))]
    assert found == [(0.25, (0, 1)), (0.25, (0, 2)), (0.5, (1, 2))]


def test_the_first_of_the_changing_variables_is_the_highest_digit():
    change = {"every": "decision"}
    variables = {"p": {"probability": [0.1, 0.9], "change": change}, "place": {"state": "any", "change": change}}
    chain = chain_of(decode(spec(**LINE, variables=variables | {"twin": {"other": "p"}})))
    assert chain.held[[0, 1, 3]].tolist() == [[0.1, 0, 0.9], [0.1, 1, 0.9], [0.9, 0, 0.1]]


def test_tasks_beyond_what_can_be_solved_are_refused():
    with pytest.raises(UserError, match=r"more than 1.1e\+09; use fewer"):
        solved(horizon=10**9)


def test_more_than_two_probabilities_between_bounds_are_refused_by_name():
    three = dict.fromkeys("pqr", ANY_NUMBER)
    with pytest.raises(UserError, match="at most 2 probabilities between bounds, got p, q, r; list levels"):
        solved(variables=three)


@pytest.mark.parametrize(
    ("said", "trial"), [({"relocate": "A"}, {}), ({}, {"rewarded": True, "restart": True})], ids=["places", "restart"]
)
def test_a_probability_between_bounds_that_moves_the_learner_is_refused(said, trial):
    rewards = [{"to": "B", "probability": "p"} | said]
    with pytest.raises(UserError, match=r"rewards\[0\]: exact values need listed levels for 'p'"):
        solved(**LINE, rewards=rewards, trial=trial, variables={"p": ANY_NUMBER})


@pytest.mark.parametrize("scored", [0, 5])
def test_more_decisions_cannot_count_than_there_are(scored):
    with pytest.raises(UserError, match="scored must be from 1 to the horizon of 4 decisions"):
        solved(scored=scored)


# ---- the highest of planes


@many
@given(st.lists(st.tuples(*[st.integers(-4, 4)] * 3), min_size=1, max_size=6))
def test_the_mean_of_the_highest_of_planes_is_that_of_many_points(heights):
    planes = np.array(heights, float)

    def highest(points):
        return planes[(planes[:, 0] + points @ planes[:, 1:].T).argmax(axis=1)]

    grid = (np.arange(300) + 0.5) / 300
    points = np.stack(np.meshgrid(2 * grid, grid + 1), axis=-1).reshape(-1, 2)
    sampled = (highest(points) * np.insert(points, 0, 1, axis=1)).sum(axis=1).mean()
    assert convex.mean_over(highest, (0, 1), (2, 2)) == pytest.approx(sampled, abs=1e-4)


def test_a_plane_that_is_highest_in_a_small_corner_counts():
    """x + y - 1.99 is above 0 in a corner of sides .01: a pyramid of height .01."""

    def highest(points):
        return np.where(points.sum(axis=1)[:, None] > 1.99, [[-1.99, 1.0, 1.0]], [[0.0, 0.0, 0.0]])

    assert convex.mean_over(highest, (0, 0), (1, 1)) == pytest.approx(0.01**3 / 6, abs=3e-10)


def test_too_many_planes_are_refused():
    def highest(points):
        return np.where(points[:, :1] > points[:, 1:], [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]])

    assert convex.mean_over(highest, (0, 0), (1, 1), most=2) == pytest.approx(2 / 3, **close)
    with pytest.raises(UserError, match=r"too many forms .* list levels for one of them"):
        convex.mean_over(highest, (0, 0), (1, 1), most=1)


# ---- a naive play


class Naive:
    """A meta-task over all that can happen, by name, event after event; values are sums over the scored decisions.

    `choose(worths, held, memory, state, decision)` makes of the worth of every action that of a situation.
    """

    def __init__(self, task, scored, choose, fixed=None):
        self.task, self.scored, self.choose = task, scored, choose
        self.fixed = fixed or {}  # values of variables that are drawn from a continuum
        self.names = [*task.flags, *task.counters]
        self.most = {name: task.counters.get(name, 1) for name in self.names}
        self.start = self.listed(task.start) if task.start else [task.states[0]]
        self.known = {}

    def mean(self):
        """Return the mean reward per decision."""
        total = 0.0
        for chance, held in self.draws({}):
            for state in self.start:
                total += chance / len(self.start) * self.value(held, (0,) * len(self.names), 0, state, 1)
        return total / self.scored

    def draws(self, held):
        """Yield (probability, {variable: value}) for every instance."""
        if len(held) == len(self.task.variables):
            yield 1.0, held
            return
        name = list(self.task.variables)[len(held)]
        variable = self.task.variables[name]
        if variable.other:
            values = [value for value in self.values(variable.other) if value != held[variable.other]]
        else:
            taken = [held[rival] for rival in variable.unlike]
            values = [value for value in self.values(name) if value not in taken]
        for value in values:
            for chance, whole in self.draws(held | {name: value}):
                yield chance / len(values), whole

    def values(self, name):
        variable = self.task.variables[name]
        if name in self.fixed:
            return [self.fixed[name]]
        if variable.state is not None:
            return [state for state in self.listed(variable.state) if state not in self.listed(variable.but)]
        return list(
            variable.probability or ([variable.action] if isinstance(variable.action, str) else variable.action)
        )

    def listed(self, names):
        return list(self.task.states) if names == "any" else [names] if isinstance(names, str) else list(names)

    def value(self, held, memory, position, state, decision):
        """Return what is still to come when a decision begins; `position` decisions of its trial are over."""
        if decision > self.task.horizon:
            return 0.0
        key = (*held.values(), memory, position, state, decision)
        if key not in self.known:
            worths = []
            for action in self.task.actions:
                outcomes = self.outcomes(held, memory, position, state, action, decision)
                counts = decision > self.task.horizon - self.scored
                worths.append(
                    sum(p * (counts * reward + self.value(*now, decision + 1)) for p, reward, *now in outcomes)
                )
            self.known[key] = self.choose(worths, held, memory, state, decision)
        return self.known[key]

    def outcomes(self, held, memory, position, state, action, decision):
        """Yield (probability, reward, held, memory, position, state) after everything from `move` to `change`."""
        for moved, target in self.moves(held, state, action):
            event = (held, memory, state, target, action)
            cost = sum(rule.value for rule in self.task.costs if self.applies(rule, *event))
            deciding = [rule for rule in self.task.rewards if self.applies(rule, *event)][-1:]
            pays = self.number(deciding[0].probability, held) if deciding else 0.0
            for paid, chance in ((True, pays), (False, 1.0 - pays)):
                places = [target]
                if paid and deciding and deciding[0].relocate is not None:
                    places, but = (self.listed(names) for names in (deciding[0].relocate, deciding[0].but))
                    places = [held.get(place, place) for place in places]
                    places = [place for place in places if place not in [held.get(other, other) for other in but]]
                reward = (deciding[0].value if paid and deciding else 0.0) - cost
                for place in places:
                    for ended, now in self.ends(self.marked(event), position, place, paid):
                        for changed, then in self.changes(held, decision, ended):
                            yield moved * chance / len(places) * now[0] * changed, reward, then, *now[1:]

    def moves(self, held, state, action):
        row = self.task.transitions[state]
        if isinstance(row, dict) and set(row) & {"any", *self.task.actions}:
            row = row.get(action, row.get("any"))
        row = {row: 1.0} if isinstance(row, str) else row
        return [(self.number(chance, held), held.get(target, target)) for target, chance in row.items()]

    def number(self, said, held):
        if not isinstance(said, str):
            return said
        name = said.removeprefix("1-")
        if name in held:
            return held[name] if name == said else 1.0 - held[name]
        return float(Fraction(said))

    def applies(self, rule, held, memory, state, target, action):
        for wanted, got in ((rule.from_, state), (rule.to, target), (rule.action, action)):
            if wanted not in (None, "any"):
                names = [wanted] if isinstance(wanted, str) else wanted
                if got not in [held.get(name, name) for name in names]:
                    return False
        if rule.moved is not None and rule.moved != (target != state):
            return False
        for name, wanted in rule.when.items():
            low, high = wanted if isinstance(wanted, tuple) else (wanted, wanted)
            if not low <= memory[self.names.index(name)] <= high:
                return False
        return True

    def marked(self, event):
        after = dict(zip(self.names, event[1]))
        for rule in self.task.marks:
            if self.applies(rule, *event):
                after |= {name: int(value) for name, value in rule.set.items()}
                for name, by in rule.add.items():
                    after[name] = min(max(after[name] + by, 0), self.most[name])
        return tuple(after.values())

    def ends(self, memory, position, state, paid):
        """Yield (whether the trial ended, (probability, memory, position, state))."""
        trial = self.task.trial
        ended = position + 1 == trial.decisions
        ended |= trial.until is not None and state in self.listed(trial.until)
        ended |= trial.rewarded and paid
        if not ended:
            yield False, (1.0, memory, position + 1 if trial.decisions else 0, state)
            return
        memory = (0,) * len(memory) if trial.clear else memory
        states = self.start if trial.restart else [state]
        for start in states:
            yield True, (1.0 / len(states), memory, 0, start)

    def changes(self, held, decision, ended):
        """Yield (probability, held) after every variable has changed or not."""
        ways = [self.ways(name, held[name], decision, ended) for name in held if not self.task.variables[name].other]
        names = [name for name in held if not self.task.variables[name].other]
        for way in itertools.product(*ways):
            then = dict(zip(names, (value for _, value in way)))
            for name in held:
                twin = self.task.variables[name].other
                if twin:
                    then[name] = next(value for value in self.values(twin) if value != then[twin])
            yield float(np.prod([chance for chance, _ in way])), {name: then[name] for name in held}

    def ways(self, name, value, decision, ended):
        change = self.task.variables[name].change
        if change is None:
            return [(1.0, value)]
        if not (decision in change.at or change.every == "decision" or (change.every == "trial" and ended)):
            return [(1.0, value)]
        values = self.values(name)
        here = values.index(value)
        if change.to == "other":
            to = [other for other in values if other != value]
        else:
            to = [values[min(max(here + by, 0), len(values) - 1)] for by in (-1, 1)]
        return [(1.0 - change.chance, value), *((change.chance / len(to), other) for other in to)]


def mean_of(worths, *_):
    return sum(worths) / len(worths)


def best_of(worths, *_):
    return max(worths)


def naive_values(task, scored=None, fixed=None):
    scored = scored or task.horizon
    return tuple(Naive(task, scored, choose, fixed).mean() for choose in (mean_of, best_of))


STATES, ACTIONS = ["A", "B", "C"], ["a", "b"]
CHANGES = [
    {},
    {"every": "decision", "chance": 0.25},
    {"every": "decision", "to": "neighbour"},
    {"every": "trial"},
    {"every": "trial", "chance": 0.5, "to": "neighbour"},
    {"at": [1, 3]},
]
TRIALS = [{}, {"until": "B"}, {"rewarded": True}, {"rewarded": True, "until": "A"}, {"decisions": 2}]
MARKS = [{"set": {"flag": 1}}, {"set": {"flag": 0}, "add": {"count": 1}}, {"add": {"count": -1, "flag": 1}}]
WHEN = [{}, {}, {}, {"flag": 1}, {"flag": False, "count": [1, 2]}, {"count": 0}]


def a_list_of(names, most=3):
    return st.lists(st.sampled_from(names), min_size=1, max_size=most, unique=True)


@st.composite
def small_variables(draw, states):
    """Draw a variable of each kind, each with a change or not, and one that depends on an earlier one."""
    variables = {
        "where": {"state": draw(a_list_of(states))},
        "how": {"probability": draw(a_list_of([0.125, 0.5, 0.75]))},
        "hand": {"action": ACTIONS},
    }
    for said in variables.values():
        change = draw(st.sampled_from(CHANGES)) if len(next(iter(said.values()))) > 1 else {}
        said |= {"change": change} if change else {}
    pairs = [name for name, said in variables.items() if len(next(iter(said.values()))) == 2]
    unlike = len(states) > 1 and "change" not in variables["where"]
    last = draw(st.sampled_from([{"other": name} for name in pairs] + [{"state": "any", "unlike": ["where"]}] * unlike))
    return variables | {"last": last}


@st.composite
def small_rules(draw, variables, states, least, most, **more):
    """Draw rules with conditions of every kind; `more` is what they say besides."""
    places, hands = [*states, *of_kind(variables, "state")], [*ACTIONS, *of_kind(variables, "action")]
    names = {"from": places, "to": places, "action": hands}
    condition = {part: st.none() | st.sampled_from(known) | a_list_of(known, 2) for part, known in names.items()}
    condition |= {"moved": st.sampled_from([None, None, True, False]), "when": st.sampled_from(WHEN)}
    rules = draw(st.lists(st.fixed_dictionaries(condition | more), min_size=least, max_size=most))
    said = [{part: said for part, said in rule.items() if said is not None} for rule in rules]
    return [rule if "relocate" in rule else {part: rule[part] for part in rule if part != "but"} for rule in said]


def of_kind(variables, kind):
    return [name for name, said in variables.items() if kind in variables[said.get("other", name)]]


@st.composite
def small_tasks(draw, most_states=3, most_horizon=4, most_marks=3):
    """Draw a meta-task of up to three states with variables, rules and trials of any sort."""
    states = STATES[: draw(st.integers(1, most_states))]
    variables = draw(small_variables(states))
    places = [*states, *of_kind(variables, "state")]
    place = st.sampled_from(places)
    row = place | a_list_of(places, 2).map(lambda to: dict(zip(to, [0.75, 0.25])) if len(to) == 2 else to[0])
    chances = [1.0, 0.25, "1/3", "1-how", *of_kind(variables, "probability")]
    value = st.sampled_from([1.0, 0.5, -0.5, 0.0])
    reward = {"value": value, "probability": st.sampled_from(chances), "relocate": st.none() | a_list_of(places)}
    reward["but"] = st.none() | a_list_of(places, 2)
    marks = draw(small_rules(variables, states, 0, most_marks))
    trial = draw(st.sampled_from(TRIALS))
    follows = {"restart": draw(st.booleans()), "clear": draw(st.booleans())} if trial else {}
    try:
        return spec(
            horizon=draw(st.integers(2, most_horizon)),
            states=states,
            start=draw(a_list_of(states)),
            actions=ACTIONS,
            transitions={state: draw(row | st.fixed_dictionaries({"a": row, "b": row})) for state in states},
            variables=variables,
            flags=["flag"],
            counters={"count": 2},
            trial=trial | follows,
            rewards=[
                rule | ({"but": draw(place)} if "relocate" in rule and draw(st.booleans()) else {})
                for rule in draw(small_rules(variables, states, 1, 3, **reward))
            ],
            costs=draw(small_rules(variables, states, 0, 2, value=value)),
            marks=[rule | draw(st.sampled_from(MARKS)) for rule in marks],
        )
    except UserError:
        reject()


@many
@given(small_tasks(), st.integers(1, 4))
def test_values_are_those_of_a_naive_play(task, scored):
    scored = min(scored, task.horizon)
    assert values(decode(task), scored=scored) == pytest.approx(naive_values(task, scored), **close)


@many
@given(small_tasks())
def test_the_policy_of_the_oracle_earns_its_value(task):
    program = decode(task)
    changing = [name for name, variable in task.variables.items() if variable.change]
    policies = {instance.held: oracle_policy(program, instance) for instance in instances(program)}

    def number(name, value):
        return ACTIONS.index(value) if value in ACTIONS else STATES.index(value) if value in STATES else value

    def act(worths, held, memory, state, decision):
        joint = 0
        for name in changing:
            decoded = program.variables[list(task.variables).index(name)]
            joint = joint * len(decoded.values) + decoded.values.index(number(name, held[name]))
        static = [
            np.nan if np.isnan(known) else number(name, held[name]) for name, known in zip(held, next(iter(policies)))
        ]
        policy = next(found for known, found in policies.items() if np.array_equal(known, static, equal_nan=True))
        return worths[policy[decision - 1, joint, 3 * memory[0] + memory[1], task.states.index(state)]]

    found = Naive(task, task.horizon, act).mean()
    assert found == pytest.approx(values(program).oracle, **close)


@many
@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 4))
def test_the_value_at_given_probabilities_is_that_of_a_naive_play(p, q, horizon):
    parts = {
        "horizon": horizon,
        "states": ["A", "B"],
        "transitions": {"A": {"a": "A", "b": {"B": 0.8, "A": 0.2}}, "B": {"a": "A", "b": "B"}},
        "rewards": [{"from": "A", "probability": "p"}, {"from": "B", "action": "b", "probability": "1-q"}],
        "costs": [{"moved": True, "value": 0.1}],
    }
    task = spec(**parts, variables={"p": ANY_NUMBER, "q": ANY_NUMBER})
    (instance,) = instances(decode(task))
    found = instance_values(decode(task), instance._replace(held=(p, q)))
    assert found == pytest.approx(naive_values(task, fixed={"p": p, "q": q}), **close)


def test_the_mean_over_probabilities_is_that_of_naive_plays_at_many():
    parts = {
        "states": ["A", "B"],
        "transitions": {"A": {"a": "A", "b": {"B": 0.8, "A": 0.2}}, "B": {"a": "A", "b": "B"}},
        "rewards": [{"from": "A", "probability": "p"}, {"from": "B", "action": "b", "probability": "1-q"}],
        "costs": [{"moved": True, "value": 0.1}],
    }
    task = spec(**parts, variables={"p": ANY_NUMBER, "q": ANY_NUMBER})
    levels = (np.arange(24) + 0.5) / 24
    sampled = np.mean([naive_values(task, fixed={"p": p, "q": q}) for p in levels for q in levels], axis=0)
    assert values(decode(task)) == pytest.approx(sampled, abs=1e-3)


# ---- fixed policies


@many
@given(small_tasks(most_states=2, most_horizon=3, most_marks=0))
def test_the_best_map_is_that_of_trying_them_all_naively(task):
    """Nothing is marked, so a map is one from states."""

    def naive(policy):
        return Naive(task, task.horizon, lambda worths, held, memory, state, _: worths[policy[state]]).mean()

    maps = [dict(zip(task.states, choice)) for choice in itertools.product((0, 1), repeat=len(task.states))]
    found = best_fixed(decode(task))
    assert found.exact
    assert found.value == pytest.approx(max(map(naive, maps)), **close)
    policy = {state: int(row.argmax()) for state, row in zip(task.states, found.actions[0])}
    assert naive(policy) == pytest.approx(found.value, **close)


@many
@given(small_tasks(most_horizon=9))
def test_neither_random_play_nor_a_fixed_policy_beats_who_knows_the_instance(task):
    program = decode(task)
    found = values(program)
    assert found.random <= found.oracle + 1e-12
    assert best_fixed(program).value <= found.oracle + 1e-12


def test_actions_that_differ_only_in_where_they_lead_are_tried():
    parts = {"states": ["A", "B"], "transitions": {"A": {"a": "A", "b": "B"}, "B": "B"}, "rewards": [{"from": "B"}]}
    assert best_fixed(decode(spec(**parts))).value == pytest.approx(3 / 4, **close)


def test_a_map_counts_flags():
    """b is paid once the flag is set, which a does."""
    parts = {
        "flags": ["ready"],
        "marks": [{"action": "a", "set": {"ready": 1}}, {"action": "b", "set": {"ready": 0}}],
        "rewards": [{"action": "b", "when": {"ready": 1}}],
    }
    found = best_fixed(decode(spec(**parts)))
    assert found.value == pytest.approx(2 / 4, **close)
    np.testing.assert_array_equal(found.actions[:, 0], [[1, 0], [0, 1]])


def test_actions_that_do_not_differ_are_not_tried():
    """Of 2^40 maps of a corridor only one matters."""
    states = [f"cell{number}" for number in range(40)]
    corridor = dict(zip(states, [*states[1:], states[0]]))
    found = best_fixed(decode(spec(states=states, transitions=corridor, rewards=[{"to": states[3]}], horizon=80)))
    assert found.exact
    assert found.value == pytest.approx(2 / 80, **close)


@pytest.fixture
def no_maps(monkeypatch):
    monkeypatch.setattr(fixed_policies, "MOST_MAPS", 0)


def test_ascent_finds_the_better_arm(no_maps):
    found = best_fixed(decode(spec(**arms(p={"probability": [0.2, 0.6]}, q={"probability": [0.7]}))))
    assert not found.exact
    assert found.value == pytest.approx(0.7, **close)


def test_ascent_finds_that_chance_beats_every_map(no_maps):
    """The goal is left or right and can be tried twice: a map is right in half of the instances, a coin in 3/4."""
    parts = {
        "states": ["middle", "left", "right", "end"],
        "transitions": {"middle": {"a": "left", "b": "right"}, "left": "middle", "right": "middle", "end": "end"},
        "variables": {"goal": {"state": ["left", "right"]}},
        "rewards": [{"from": "middle", "to": "goal", "relocate": "end"}],
    }
    assert best_fixed(decode(spec(**parts))).value == pytest.approx(0.75 / 4, **close)


def test_without_time_for_an_ascent_random_play_is_the_bound(no_maps, monkeypatch):
    monkeypatch.setattr(fixed_policies, "MOST_CLIMBED", 0)
    program = decode(read_meta_task("t-maze"))
    found = best_fixed(program)
    assert found.value == pytest.approx(values(program).random, **close)
    assert (found.actions == 0.5).all()


@many
@given(small_tasks(), st.randoms(use_true_random=False))
def test_the_slope_of_a_policy_is_that_of_its_value(task, random):
    program = decode(task)
    family = fixed_policies.family_of(program, task.horizon, None)
    shape = (family.pairs, family.actions)
    policy, by = (np.array([random.random() for _ in range(shape[0] * shape[1])]).reshape(shape) for _ in range(2))
    step = 1e-5
    ahead, behind = (fixed_policies.value_and_slope(family, policy + sign * step * by)[0] for sign in (1, -1))
    slope = fixed_policies.value_and_slope(family, policy)[1]
    assert (slope * by).sum() == pytest.approx((ahead - behind) / (2 * step), rel=1e-6, abs=1e-6)
