"""Who does not know the instance: values by a naive play over all histories, bandits of the literature, bounds."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_meta_values import ACTIONS, Naive, arms, many, mean_of, small_tasks, spec

from evoplastic.errors import UserError
from evoplastic.random import Purpose, stream_key
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.language import to_json
from evoplastic.tasks.meta.reading import parse_meta_task, read_meta_task
from evoplastic.tasks.meta.sampling.certified_draws import draw_candidate
from evoplastic.tasks.meta.sampling.settings import SampleSettings
from evoplastic.tasks.meta.solvers import certify as certifying
from evoplastic.tasks.meta.solvers import planning
from evoplastic.tasks.meta.solvers.certify import Solution, certify, screen
from evoplastic.tasks.meta.solvers.fixed_policies import best_fixed
from evoplastic.tasks.meta.solvers.situations import discretised, situations_of
from evoplastic.tasks.meta.solvers.values import values

close = {"rel": 0, "abs": 1e-9}
few = settings(parent=many, max_examples=15)
STIMULI = {"x": "100", "y": "010"}
LOOKS = {"listed": {"stimulus": ["x", "y"]}, "new": {"stimulus": "drawn"}, "newer": {"stimulus": "drawn"}}


# ---- a naive learner


class Learner(Naive):
    """Plays over all that can happen and all that it may be told, history after history.

    A new stimulus is known by when it was first shown: what one is called before that means nothing.
    """

    def __init__(self, task, told):
        super().__init__(task, task.horizon, choose=None)
        self.told = told  # (payment, what is shown) -> signal

    def values(self, name):
        stimulus = self.task.variables[name].stimulus
        if stimulus is None:
            return super().values(name)
        return [name] if stimulus == "drawn" else list(stimulus)

    def shown(self, held, state, named):
        """Return what a state shows, and the names of new stimuli after that."""
        look = self.task.observations.get(state, "none")
        look = held.get(look, look)
        if look not in ("new", "newer"):
            return look, named
        named = named if look in named else (*named, look)
        return named.index(look), named

    def mean(self):
        first = {}
        for chance, held in self.draws({}):
            for state in self.start:
                look, named = self.shown(held, state, ())
                now = (tuple(held.items()), (0,) * len(self.names), 0, state, named)
                add(first, look, now, chance / len(self.start))
        return sum(self.worth(belief, 1) for belief in first.values()) / self.task.horizon

    def worth(self, belief, decision):
        """Return the sum of what is still to come, for a belief whose weights are probabilities of histories."""
        if decision > self.task.horizon:
            return 0.0
        best = -np.inf
        for action in self.task.actions:
            total, after = 0.0, {}
            for (held, memory, position, state, named), chance in belief.items():
                for p, reward, *now in self.outcomes(dict(held), memory, position, state, action, decision):
                    total += chance * p * reward
                    look, then_named = self.shown(now[0], now[3], named)
                    then = (tuple(now[0].items()), *now[1:], then_named)
                    add(after, self.told(round(reward, 9), look), then, chance * p)
            best = max(best, total + sum(self.worth(belief, decision + 1) for belief in after.values()))
        return best


def add(beliefs, signal, situation, chance):
    if chance > 0.0:
        belief = beliefs.setdefault(signal, {})
        belief[situation] = belief.get(situation, 0.0) + chance


def everything(payment, look):
    return payment, look


def no_payment(payment, look):
    return look


@st.composite
def tasks_that_show_things(draw):
    """Draw a small task whose states show stimuli: fixed, listed, new, or none."""
    task = to_json(draw(small_tasks(most_states=3, most_horizon=3)))
    shown = {state: draw(st.sampled_from(["new", "none", "x", "listed", "newer"])) for state in task["states"]}
    looks = {name: said for name, said in LOOKS.items() if name in shown.values()}
    task |= {"stimuli": STIMULI, "observations": shown, "variables": task["variables"] | looks}
    return parse_meta_task(task, "test")


@few
@given(tasks_that_show_things())
def test_the_value_of_a_bayesian_learner_is_that_of_a_naive_play(task):
    found = certify(decode(task), full=True).bayes
    assert found.exact
    assert found.low == pytest.approx(Learner(task, everything).mean(), **close)


@pytest.mark.parametrize(
    "change", [{"at": [2]}, {"at": [1, 3]}, {"every": "trial", "chance": 0.3}, {"every": "decision", "chance": 0.3}]
)
def test_a_learner_knows_when_a_change_is_due(change):
    parts = {
        "states": ["A", "B"],
        "transitions": {"A": {"a": "A", "b": "B"}, "B": "A"},
        "trial": {"until": "A"},
        "variables": {"good": {"action": ["a", "b"], "change": change}},
        "rewards": [{"from": "A", "action": "good"}, {"from": "B", "action": "good", "value": 0.5}],
    }
    task = spec(**parts, horizon=5)
    assert certify(decode(task), full=True).bayes.low == pytest.approx(Learner(task, everything).mean(), **close)


@few
@given(tasks_that_show_things())
def test_the_value_of_the_blind_is_that_of_a_naive_play_that_is_told_no_payment(task):
    found = certify(decode(task), full=True).blind
    assert found.exact
    assert found.low == pytest.approx(Learner(task, no_payment).mean(), **close)


@few
@given(tasks_that_show_things())
def test_the_best_map_from_looks_is_that_of_trying_them_all_naively(task):
    def look(held, state):
        shown = task.observations.get(state, "none")
        shown = held.get(shown, shown)
        return "new" if shown in ("new", "newer") else shown

    def played(task, choose):
        naive = Learner(task, everything)
        naive.choose = choose
        return Naive.mean(naive)

    looks = sorted({look(held, state) for _, held in Learner(task, everything).draws({}) for state in task.states})
    earned = []
    for actions in itertools.product(range(len(ACTIONS)), repeat=len(looks)):
        chosen = dict(zip(looks, actions))

        def follow(worths, held, memory, state, decision, chosen=chosen):
            return worths[chosen[look(held, state)]]

        earned.append(played(task, follow))
    best = max(*earned, played(task, mean_of))
    assert screen(decode(task)).memoryless == pytest.approx(best, **close)


@many
@given(tasks_that_show_things())
def test_values_of_the_screen_are_those_of_the_solver_that_sees_everything(task):
    program = decode(task)
    found = screen(program)
    assert (found.random, found.oracle) == pytest.approx(tuple(values(program)), **close)


@few
@given(small_tasks(most_states=2, most_horizon=3))
def test_the_best_fixed_policy_of_the_screen_is_that_of_the_solver_that_tries_all_maps(task):
    found = best_fixed(decode(task))
    assert found.exact
    assert screen(decode(task)).fixed == pytest.approx(found.value, **close)


def test_the_best_fixed_policy_sees_flags():
    rewards = [{"action": "a", "when": {"done": 0}}, {"action": "b", "when": {"done": 1}}]
    program = decode(spec(flags=["done"], rewards=rewards, marks=[{"action": "a", "set": {"done": 1}}]))
    assert (screen(program).fixed, screen(program).memoryless) == pytest.approx((1.0, 0.5), **close)


@many
@given(tasks_that_show_things(), st.integers(0, 40))
def test_who_knows_more_earns_no_less_also_where_only_bounds_are_given(task, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifying, "MOST_BELIEFS", most)
        bounded = certify(decode(task))
    exact = certify(decode(task), full=True)
    assert bounded.blind.low - 1e-9 <= exact.blind.low <= bounded.blind.high + 1e-9
    assert bounded.bayes.low - 1e-9 <= exact.bayes.low <= bounded.bayes.high + 1e-9
    check_order(bounded)
    check_order(exact)


def check_order(found):
    for blind, bayes in ((found.blind.low, found.bayes.low), (found.blind.high, found.bayes.high)):
        chain = [found.constant, found.memoryless, blind, bayes, found.qmdp, found.oracle]
        assert all(lower <= higher + 1e-9 for lower, higher in itertools.pairwise(chain)), chain
    assert found.random <= found.memoryless + 1e-9
    assert found.constant <= found.fixed + 1e-9 <= found.oracle + 2e-9


def test_who_knows_more_earns_no_less_in_2000_random_tasks(monkeypatch):
    monkeypatch.setattr(certifying, "MOST_BELIEFS", 200)
    settings_ = SampleSettings(seed=71)
    for number in range(2000):
        spec = draw_candidate(stream_key(71, Purpose.TASK, 0, number), settings_)
        check_order(certify(decode(spec), horizon=8))


# ---- bandits of the literature


def levels(count):
    """Return a prior of `count` even levels in the place of a uniform one."""
    return tuple(((np.arange(count) + 0.5) / count).tolist())


def bandit_value(priors, horizon):
    """Return the Bayes-adaptive value of a Bernoulli bandit by dynamic programming over counts (Bellman 1956).

    Arm a has probability priors[a][j], each j as likely, so after s wins and f losses a win has probability
    sum_j p_j^(s+1) (1 - p_j)^f / sum_j p_j^s (1 - p_j)^f.
    """

    @functools.cache
    def win(arm, wins, losses):
        prior = np.array(priors[arm])
        likelihood = prior**wins * (1 - prior) ** losses
        return float((likelihood * prior).sum() / likelihood.sum())

    @functools.cache
    def value(counts, left):
        if left == 0:
            return 0.0
        found = []
        for arm, (wins, losses) in enumerate(counts):
            p = win(arm, wins, losses)
            won, lost = (
                tuple(new if other == arm else old for other, old in enumerate(counts))
                for new in ((wins + 1, losses), (wins, losses + 1))
            )
            found.append(p * (1 + value(won, left - 1)) + (1 - p) * value(lost, left - 1))
        return max(found)

    return value(((0, 0),) * len(priors), horizon) / horizon


@pytest.mark.parametrize(("first", "second", "horizon"), [(2, 2, 12), (5, 5, 15), (3, 1, 20), (16, 1, 20)])
def test_a_bandit_is_worth_what_dynamic_programming_over_counts_says(first, second, horizon):
    probabilities = {"p": {"probability": levels(first)}, "q": {"probability": levels(second)}}
    program = decode(spec(**arms(**probabilities), horizon=horizon))
    found = certify(program)
    assert found.bayes.exact
    assert found.bayes.low == pytest.approx(bandit_value([levels(first), levels(second)], horizon), **close)
    assert found.blind.high == pytest.approx(0.5, **close)


def known_arm_is_as_good(known, discount=0.9):
    """Return how much better it is to begin with an arm of uniform probability than with one that pays `known`.

    Rewards are discounted by a world that ends with probability 1 - discount after each decision.
    """

    def begun_with(action):
        rows = {state: {"on": discount, "over": 1 - discount} for state in ("begin", "on")}
        task = spec(
            horizon=100,
            states=["begin", "on", "over"],
            transitions=rows | {"over": "over"},
            variables={"p": {"probability": levels(40)}},
            rewards=[
                {"from": ["begin", "on"], "action": "a", "probability": "p"},
                {"from": ["begin", "on"], "action": "b", "value": known},
                {"from": "begin", "action": "b" if action == "a" else "a", "value": -100.0},
            ],
            observations={"begin": "x", "over": "y"},
            stimuli=STIMULI,
        )
        found = certify(decode(task), full=True).bayes
        assert found.exact
        return found.low * 100

    return begun_with("a") - begun_with("b")


def test_the_index_of_an_unknown_arm_is_that_of_gittins():
    """Gittins (1979, and his tables of 1989): .7029 for a uniform prior and a discount of .9."""
    assert known_arm_is_as_good(0.7029 - 0.001) > 0 > known_arm_is_as_good(0.7029 + 0.001)


# ---- what else a certificate says


def named(name, horizon=20):
    return certify(decode(read_meta_task(name)), horizon=horizon)


def test_who_must_try_both_arms_of_a_t_maze_loses_half_a_reward():
    """Three decisions a run, 6 runs of 20: all of them pay who knows, and 5 and a half of them who finds out."""
    found = named("t-maze")
    assert (found.oracle, found.bayes.low, found.blind.high) == pytest.approx((6 / 20, 5.5 / 20, 3 / 20), **close)
    assert (found.distinguishable, found.instances) == (2, 2)


def test_a_task_without_payments_that_differ_has_nothing_to_adapt_to():
    found = certify(decode(spec(rewards=[{"action": "a"}], variables={"where": {"state": ["s"]}})))
    assert found.adapting == 0.0 and found.steps_to_90 is None
    assert (found.random, found.memoryless) == (0.5, 1.0)


def test_a_cue_that_tells_the_instance_leaves_nothing_to_reward():
    """What is good is shown: the blind earn as much as the Bayesian."""
    good = {"x": "a", "y": "b"}
    parts = {
        "states": ["A", "B"],
        "start": ["A", "B"],
        "transitions": {"A": "A", "B": "B"},
        "observations": {"A": "x", "B": "y"},
        "stimuli": STIMULI,
        "rewards": [{"from": "A", "action": good["x"]}, {"from": "B", "action": good["y"]}],
    }
    found = certify(decode(spec(**parts)))
    assert found.blind.low == found.bayes.low == found.memoryless == found.qmdp == 1.0
    assert (found.constant, found.adapting) == (0.5, 0.0)


def test_who_is_told_everything_after_one_action_may_still_choose_a_wrong_one():
    found = certify(decode(spec(variables={"good": {"action": ["a", "b"]}}, rewards=[{"action": "good"}])))
    assert (found.oracle, found.qmdp) == pytest.approx((1.0, 3.5 / 4), **close)


def test_instances_that_no_signal_tells_apart_are_one():
    parts = {"variables": {"p": {"probability": [0.25, 0.75, 0.75]}}, "rewards": [{"probability": "p"}]}
    found = certify(decode(spec(**parts)))
    assert (found.instances, found.distinguishable) == (3, 2)


def test_new_stimuli_look_alike_until_they_were_shown():
    """Two new stimuli, and either state pays for one action: a map cannot tell them apart, memory can."""
    parts = {
        "states": ["A", "B"],
        "start": ["A", "B"],
        "transitions": {"A": "B", "B": "A"},
        "observations": {"A": "new", "B": "newer"},
        "stimuli": {},
        "stimulus_units": 5,
        "variables": {"new": LOOKS["new"], "newer": LOOKS["newer"]},
        "rewards": [{"from": "A", "action": "a"}, {"from": "B", "action": "b"}],
    }
    found = certify(decode(spec(**parts, horizon=20)))
    assert found.memoryless == pytest.approx(0.5, **close)
    assert found.bayes.low == pytest.approx((0.5 + 19) / 20, **close)


def test_a_code_of_silent_units_shows_nothing():
    parts = {"states": ["A", "B"], "transitions": {"A": "B", "B": "A"}, "observations": {"A": "hush"}}
    found = situations_of(decode(spec(**parts, stimuli={"x": "10", "hush": ".."})))
    assert (found.symbols, found.shows.tolist()) == (1, [[-1]])


def curve_of(name, horizon):
    """Return the value of a Bayesian learner and what it earns at each decision."""
    solution = Solution(decode(read_meta_task(name)), horizon)
    found = solution._believed(solution.situations.told, solution.situations.signals, 20_000, (1e-10,))
    return found.bounds.low, found.curve


@pytest.mark.parametrize("name", ["t-maze", "dependent-bandit", "two-step", "harlow"])
def test_what_is_earned_at_each_decision_adds_up_to_the_value(name):
    value, curve = curve_of(name, 12)
    assert curve.sum() == pytest.approx(12 * value, **close)


def test_what_is_earned_at_each_decision_comes_when_it_is_earned():
    """In the T-maze it pays at the end of each run: half of the first ones, and then all."""
    _, curve = curve_of("t-maze", 12)
    assert curve == pytest.approx([0, 0, 0.5, 0, 0, 1, 0, 0, 1, 0, 0, 1], **close)


def test_a_longer_life_tells_no_fewer_instances_apart():
    assert [named("harlow", horizon).distinguishable for horizon in (1, 20, 3000)] == [1, 2, 2]


def test_maps_that_were_not_all_tried_prove_no_value_of_memory(monkeypatch):
    """A lock that opens after ten right actions in a row: a map from what is shown opens it, if it is found."""
    states = [f"s{number}" for number in range(11)]
    signs = {state: f"sign {state}" for state in states}
    right = [ACTIONS[number % 2] for number in range(10)]
    rows = {
        state: {action: following if action == right[number] else "s0" for action in ACTIONS}
        for number, (state, following) in enumerate(itertools.pairwise(states))
    }
    parts = {
        "states": states,
        "stimuli": {sign: f"{number:05b}" for number, sign in enumerate(signs.values())},
        "observations": signs,
        "transitions": rows | {"s10": "s0"},
        "rewards": [{"to": "s10"}],
        "horizon": 10,
    }
    found = certify(decode(spec(**parts)))
    assert found.all_maps and found.memoryless == pytest.approx(found.bayes.low, **close)
    monkeypatch.setattr(planning, "MOST_MAPS", 64)
    monkeypatch.setattr(certifying, "MOST_MAPS", 64)
    found = certify(decode(spec(**parts)))
    assert not found.all_maps and found.memoryless < 0.1
    assert found.memory == 0.0


def test_a_gain_that_takes_longer_to_find_takes_more_steps():
    quick, slow = (certify(decode(spec(**clear_arms(gap), horizon=40))).steps_to_90 for gap in (0.5, 0.1))
    assert 1 <= quick < slow


def clear_arms(gap):
    probability = {"p": {"probability": [0.5 - gap, 0.5 + gap]}}
    rewards = [{"action": "a", "probability": "p"}, {"action": "b", "probability": "1-p"}]
    return {"variables": probability, "rewards": rewards}


def test_the_share_of_paying_decisions_is_that_of_random_play():
    parts = {"rewards": [{"action": "a", "probability": 0.5}], "costs": [{"action": "b", "value": 0.2}]}
    assert certify(decode(spec(**parts))).reward_density == pytest.approx(0.75, **close)


def test_states_that_show_the_same_are_counted_in_pairs():
    parts = {"states": ["A", "B", "C"], "transitions": {"A": "B", "B": "C", "C": "A"}, "stimuli": STIMULI}
    assert certify(decode(spec(**parts, observations={"A": "x"}))).aliasing == pytest.approx(1 / 3, **close)


def test_a_state_that_nothing_leads_to_is_not_reachable():
    parts = {"states": ["A", "B", "C"], "transitions": {"A": "B", "B": "A", "C": "A"}}
    assert certify(decode(spec(**parts))).reachable == pytest.approx(2 / 3, **close)


def test_a_probability_between_bounds_is_taken_at_levels_and_said_to_be():
    between = arms(p={"probability": {}}, q={"probability": [0.5]})
    listed = arms(p={"probability": [0.1, 0.3, 0.5, 0.7, 0.9]}, q={"probability": [0.5]})
    found, exact = (certify(decode(spec(**parts))) for parts in (between, listed))
    assert found.discretised and not exact.discretised
    assert found.bayes.low == pytest.approx(exact.bayes.low, **close)


def test_a_task_too_large_for_its_situations_is_refused_with_an_estimate():
    names = [f"p{number}" for number in range(6)]
    states = [f"s{number}" for number in range(6)]
    parts = {
        "states": states,
        "transitions": {state: dict.fromkeys(states, 1 / 6) for state in states},
        "variables": {name: {"probability": levels(20)} for name in names},
        "rewards": [{"from": state, "probability": name} for state, name in zip(states, names)],
    }
    with pytest.raises(UserError, match=r"would take 4.6e\+09 outcomes of 6.4e\+07 instances"):
        certify(decode(spec(**parts)))


def test_a_horizon_too_long_for_its_values_is_refused_with_an_estimate():
    with pytest.raises(
        UserError, match=r"values of 1,640 situations over 100,000 decisions would take 1.6e\+09 numbers"
    ):
        named("7x7-maze", horizon=100_000)


@many
@given(tasks_that_show_things())
def test_what_may_happen_in_a_situation_adds_up_to_one_and_to_what_is_expected(task):
    found = situations_of(discretised(decode(task)))
    rows = found.rewards.size
    for first in found.first:
        row = np.repeat(np.arange(rows), np.diff(first))
        branches = slice(first[0], first[-1])
        assert np.bincount(row, found.chance[branches], rows) == pytest.approx(1.0, **close)
        paid = found.chance[branches] * found.payments[found.told[branches] // found.symbols]
        assert np.bincount(row, paid, rows) == pytest.approx(found.rewards.ravel(), **close)
        np.testing.assert_array_equal(found.told[branches] % found.symbols, found.seen[found.into[branches]])
    assert found.born.sum() == pytest.approx(1.0, **close)
