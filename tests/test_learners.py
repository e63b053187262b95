"""Learners with a table: each against a naive twin written from its equation, and what each can and cannot learn."""

from collections import defaultdict

import msgspec
import naive
import naive_world
import numpy as np
import pytest
from naive_world import below
from test_meta_engine import spec
from test_meta_lifetimes import refused

from evoplastic.config import parse_config
from evoplastic.learners import LEARNERS, thompson
from evoplastic.learners.life import live_tabular
from evoplastic.learners.symbols import looks_of
from evoplastic.problems.contract import Life
from evoplastic.random import Purpose
from evoplastic.tasks.contract import CORRECT, LOSS
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.solvers.situations import discretised, situations_of
from evoplastic.tasks.meta.tables import reward_range

CHOICES = 10  # stream of a lifetime
HORIZON = 40
TASKS = ["bandit", "context-choice", "harlow", "harlow-side-by-side", "key-door", "reversal", "t-maze", "two-step"]
SOLVED = ["dependent-bandit", "harlow", "harlow-side-by-side", "key-door", "reversal", "t-maze", "two-step"]


def run_file(*specs, learner="q_learning", coefficients=(), scored=HORIZON, horizon=HORIZON, **task):
    """Return a parsed run file of a learner on meta-tasks; coefficients that are given do not evolve."""
    numbers = {name: {"initial": number, "evolve": False} for name, number in dict(coefficients).items()}
    return {
        "name": "tabular",
        "generations": 3,
        "problem": {
            "type": "tabular",
            "scored_trials": scored,
            "learner": {"type": learner, **numbers},
            "task": {"type": "meta_tasks", "specs": list(specs), "horizon": horizon, **task},
        },
        "strategy": {"type": "openai_es", "population": 4, "sigma": 0.1},
        "validation": {"every": 1, "lives": 2},
        "checkpoints": {"seconds": 0},
    }


def tabular(*specs, seed=0, exploration=None, **changes):
    """Return the problem of such a run file."""
    raw = run_file(*specs, **changes)
    if exploration:
        raw["problem"]["learner"]["exploration"] = exploration
    return parse_config(raw).problem.build(seed)


def scores_of(problem, name, lives, lesion="none"):
    """Return the scores of the first genotype in many lives on a task."""
    genotype = problem.layout.initial()
    return np.array(
        [problem.score(genotype, Life(Purpose.VALIDATION, (life,), name, lesion))[1] for life in range(lives)]
    )


# ---- naive twins: dictionaries of what was shown, float64, straight from the equations


class Twin:
    """A learner that is shown tuples; `actions` are counted, words[0] to words[2] as the contract says."""

    def __init__(self, actions, coefficients):
        self.actions, self.age = actions, 0
        self.__dict__.update(coefficients)

    def one_of_the_best(self, values, word):
        best = [place for place, value in enumerate(values) if value == max(values)]
        return best[below(word, len(best))]

    def explores(self, words):
        left = max(0.0, 1.0 - self.age / self.exploring)
        return naive.unit(words[0]) <= self.last_epsilon + (self.epsilon - self.last_epsilon) * left


class QLearning(Twin):
    def __init__(self, actions, coefficients):
        super().__init__(actions, coefficients)
        self.q = defaultdict(lambda: [self.optimism] * actions)

    def choose(self, seen, words):
        if self.explores(words):
            return below(words[1], self.actions)
        return self.one_of_the_best(self.q[seen], words[2])

    def learn(self, seen, action, reward, following, ended):
        target = reward + (0.0 if ended else self.gamma * max(self.q[following]))
        self.q[seen][action] += self.alpha * (target - self.q[seen][action])
        self.age += 1


class SoftQLearning(QLearning):
    def choose(self, seen, words):
        weights = np.exp(self.inverse_temperature * np.array(self.q[seen]))
        shares = np.cumsum(weights / weights.sum())
        return int(np.searchsorted(shares[:-1], naive.unit(words[0])))


class QSS(Twin):
    def __init__(self, actions, coefficients):
        super().__init__(actions, coefficients)
        self.q = defaultdict(dict)  # symbol -> neighbour -> value
        self.inverse = defaultdict(dict)  # symbol -> neighbour -> action

    def worth(self, seen):
        return max(self.q[seen].values(), default=self.optimism)

    def choose(self, seen, words):
        if self.explores(words):
            return below(words[1], self.actions)
        moves, known = self.q[seen], self.inverse[seen]
        able = [move for move in moves if moves[move] == self.worth(seen) and move in known]
        if able:
            return known[able[below(words[2], len(able))]]
        untried = [action for action in range(self.actions) if action not in known.values()]
        return untried[below(words[1], len(untried))] if untried else below(words[1], self.actions)

    def learn(self, seen, action, reward, following, ended):
        value = self.q[seen].setdefault(following, self.optimism)
        target = reward + (0.0 if ended else self.gamma * self.worth(following))
        self.q[seen][following] = value + self.alpha * (target - value)
        self.inverse[seen] = {move: known for move, known in self.inverse[seen].items() if known != action}
        self.inverse[seen][following] = action
        self.age += 1


class WinStay(Twin):
    def __init__(self, actions, coefficients):
        super().__init__(actions, coefficients)
        self.last, self.won = {}, {}

    def choose(self, seen, words):
        if seen not in self.last:
            return below(words[1], self.actions)
        action, _ = self.last[seen]
        if naive.unit(words[0]) <= (self.stay if self.won[seen] else 1.0 - self.shift):
            return action
        others = [(action + 1 + step) % self.actions for step in range(self.actions - 1)]
        return others[below(words[1], len(others))]

    def learn(self, seen, action, reward, following, ended):
        self.last[seen], self.won[seen] = (action, self.age), False
        if reward > self.threshold:
            for symbol, (_, taken) in self.last.items():
                self.won[symbol] |= self.age - taken < round(self.span)
        self.age += 1


class Thompson(Twin):
    """Belief over situations as a dense vector, one dense matrix for everything that may be told of a decision."""

    def __init__(self, actions, coefficients, program):
        super().__init__(actions, coefficients)
        self.model = model = situations_of(discretised(program), HORIZON)
        self.program, self.labels, self.drawn, self.left = program, {}, -1, 0
        self.belief = model.born.copy()
        self.instance = np.arange(len(model.born)) // np.prod(model.shape[1:])
        self.best = self.solved()

    def solved(self):
        later, best = np.zeros(len(self.instance)), []
        for decision in reversed(range(HORIZON)):
            worth = np.array([self.model.rewards[a] + self.moves(decision, a) @ later for a in range(self.actions)])
            later = worth.max(axis=0)
            best.append((worth >= later - 1e-9).argmax(axis=0))
        return best[::-1]

    def moves(self, decision, action, told=None):
        """Return P(next situation, told | situation, action), (N, N), or over all that may be told."""
        model, size = self.model, len(self.instance)
        matrix, first = np.zeros((size, size)), model.first[model.kinds[decision]]
        for n in range(size):
            for branch in range(first[action * size + n], first[action * size + n + 1]):
                if told is None or model.told[branch] == told:
                    matrix[n, model.into[branch]] += model.chance[branch]
        return matrix

    def symbol(self, seen):
        """Return the symbol of the situations that looks like what is seen, slot by slot."""
        bits = self.program.codes.shape[1]
        levels = {tuple(np.where(code < 0, 0, 2 * code - 1)): k for k, code in enumerate(self.program.codes)}
        stimuli = []
        for slot in range(self.program.shown.shape[2]):
            code = tuple(seen[slot * bits : (slot + 1) * bits])
            if not any(code):
                stimuli.append(-1)
            elif code in levels:
                stimuli.append(levels[code])
            else:
                stimuli.append(len(levels) + self.labels.setdefault(code, len(self.labels)))
        return self.model.shows.tolist().index(stimuli)

    def choose(self, seen, words):
        if self.age == 0:
            self.belief *= self.model.seen == self.symbol(seen)
        if self.left <= 0 or not self.belief[self.instance == self.drawn].any():
            shares = np.cumsum(self.belief / self.belief.sum())
            self.drawn, self.left = self.instance[np.searchsorted(shares, naive.unit(words[0]) - 1e-7)], self.every
        self.left -= 1
        likeliest = np.where(self.instance == self.drawn, self.belief, -1.0).argmax()
        return int(self.best[self.age][likeliest])

    def learn(self, seen, action, reward, following, ended):
        lowest, highest = reward_range(self.program)
        paid = np.abs(self.model.payments - reward * max(-lowest, highest)).argmin()
        told = paid * self.model.symbols + self.symbol(following)
        self.belief = self.belief @ self.moves(self.age, action, told)
        self.belief /= self.belief.sum()
        self.age += 1
        self.left = 0 if ended else self.left


def twin_scores(make, name, key, decisions=HORIZON):
    """Return the rewards of a naive learner in a naive world, (decisions,)."""
    world = naive_world.World(spec(name), key)
    lowest, highest = reward_range(decode(spec(name)))
    learner, rewards = make(len(world.actions)), []
    seen = tuple(world.observed())
    for decision in range(decisions):
        action = learner.choose(seen, naive.philox(key, CHOICES, decision))
        left = world.decide(world.actions[action])
        following = tuple(world.observed())
        learner.learn(seen, action, left.reward / max(-lowest, highest), following, left.ended)
        seen = following
        rewards.append(left.reward)
    return np.array(rewards)


EPSILONS = {"alpha": 0.37, "gamma": 0.83, "optimism": 0.41, "epsilon": 0.6, "last_epsilon": 0.1, "exploring": 17.0}
SOFT = {"alpha": 0.37, "gamma": 0.83, "optimism": 0.41, "inverse_temperature": 3.0}
HABITS = {"threshold": 0.1, "stay": 0.9, "shift": 0.7, "span": 2.0}
TWINS = {
    "q_learning": (QLearning, EPSILONS, None),
    "q_learning, softmax": (SoftQLearning, SOFT, "softmax"),
    "qss": (QSS, EPSILONS, None),
    "win_stay": (WinStay, HABITS, None),
}


def lived(problem, name, key):
    """Return score and loss of every decision of a life of `key` on a task."""
    looks, known = problem._known(name)
    learner = problem.settings.learner.build(problem.layout.unpack(problem.layout.initial()), known)
    scores = np.zeros((HORIZON, 3), np.float32)
    tables = problem.settings.task.tables((name,))
    live_tabular(learner, tables, np.int64(0), looks, np.uint64(key), np.int64(1), scores)
    return scores


def paid(problem, name, scores):
    """Return the rewards that scores stand for."""
    value = problem.settings.task.values[name]
    return value.random + scores[:, CORRECT] * (value.oracle - value.random)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("label", TWINS)
def test_a_learner_lives_as_its_naive_twin(label, name):
    kind, coefficients, exploration = TWINS[label]
    problem = tabular(name, learner=label.split(",")[0], coefficients=coefficients, exploration=exploration)
    for key in range(5):
        expected = twin_scores(lambda actions: kind(actions, coefficients), name, key)
        scores = lived(problem, name, key)
        np.testing.assert_allclose(paid(problem, name, scores), expected, atol=1e-5)
        np.testing.assert_allclose(scores[:, LOSS], 1 - scores[:, CORRECT], atol=1e-5)


@pytest.mark.parametrize("name", SOLVED)
def test_posterior_sampling_lives_as_its_naive_twin(name):
    problem = tabular(name, learner="thompson", coefficients={"every": 3.0})
    for key in range(3):
        expected = twin_scores(lambda n: Thompson(n, {"every": 3}, decode(spec(name))), name, key)
        np.testing.assert_allclose(paid(problem, name, lived(problem, name, key)), expected, atol=1e-5)


# ---- what they can and cannot learn


def test_q_learning_learns_a_bandit():
    problem = tabular("bandit", scored=50, horizon=100)
    assert scores_of(problem, "bandit", 200).mean() > 0.6
    assert abs(scores_of(problem, "bandit", 200, "plasticity_off").mean()) < 0.2


@pytest.mark.parametrize(("name", "lives"), [("t-maze", 200), ("dependent-bandit", 4000)])
def test_posterior_sampling_beats_q_learning_and_stays_below_the_oracle(name, lives):
    q, sampling = (scores_of(tabular(name, learner=learner), name, lives) for learner in ("q_learning", "thompson"))
    gained = sampling - q  # paired: the same instances
    assert gained.mean() > 3 * gained.std() / np.sqrt(lives)
    assert sampling.mean() < 1.0


def test_qss_takes_actions_that_end_alike_for_one():
    """In a bandit every action leads back to the one state, so it has nothing to choose by."""
    assert abs(scores_of(tabular("bandit", learner="qss"), "bandit", 300).mean()) < 0.1
    assert scores_of(tabular("two-step", learner="qss"), "two-step", 300).mean() > 0.3


def test_win_stay_needs_a_span_that_reaches_the_reward():
    near, far = ({"threshold": 0.0, "stay": 0.99, "shift": 0.99, "span": span} for span in (1.0, 2.0))
    scores = [
        scores_of(tabular("t-maze", learner="win_stay", coefficients=habits), "t-maze", 200).mean()
        for habits in (near, far)
    ]
    assert scores[0] < 0.1 and scores[1] > 0.8


# ---- symbols


@pytest.mark.parametrize("name", ["harlow", "harlow-side-by-side"])
@pytest.mark.parametrize("learner", LEARNERS)
def test_labels_of_drawn_stimuli_carry_no_information(learner, name):
    """Handed out in the opposite order, they leave the distribution of scores as it is."""
    problem = tabular(name, learner=learner)
    plain = scores_of(problem, name, 400)
    looks, known = problem._known(name)
    stimuli = len(decode(spec(name)).codes)
    drawn = looks[:, 1:].max() - stimuli
    swapped = np.where(looks >= stimuli, 2 * stimuli + drawn - looks, looks)
    swapped[:, 0] = looks[:, 0]
    problem._known = lambda _: (swapped, known)
    other = scores_of(problem, name, 400)
    error = np.sqrt((plain.var() + other.var()) / 400)
    assert abs(plain.mean() - other.mean()) < 3 * error + 1e-9
    if learner != "thompson":
        np.testing.assert_array_equal(plain, other)


def test_what_looks_alike_has_one_symbol():
    looks = looks_of(decode(spec("t-maze")))
    assert sorted(looks.tolist()) == [[0, 0], [1, 1], [2, 2]]  # both arms show the same
    assert len(looks_of(decode(spec("harlow-side-by-side")))) >= 2


def test_posterior_sampling_takes_a_code_of_silent_units_for_nothing():
    task = spec("t-maze")
    program = decode(msgspec.structs.replace(task, stimuli=task.stimuli | {"arm": "..."}))
    number = {look: symbol for symbol, look in looks_of(program).tolist()}
    known = LEARNERS["thompson"]().knows(program, 10, 10)
    shown = [number[stimulus] for stimulus in (0, 1, 2, 2)]
    np.testing.assert_array_equal(known.seen.reshape(-1, 4), [shown, shown])


def test_every_symbol_of_the_situations_can_be_shown():
    for name in SOLVED:
        program = decode(spec(name))
        shown = {tuple(look) for look in looks_of(program)[:, 1:].tolist()}
        assert {tuple(look) for look in situations_of(discretised(program)).shows.tolist()} <= shown


# ---- coefficients


@pytest.mark.parametrize("learner", LEARNERS)
def test_no_gene_leads_out_of_a_coefficient_s_range(learner):
    layout = tabular("dependent-bandit", learner=learner).layout
    for size in (-1e9, -3.0, 3.0, 1e9):
        values = layout.unpack(np.full(layout.size, size))
        for row in layout.describe():
            low, high = row.bounds
            assert low <= values[row.name][0] <= high


def test_softmax_and_epsilon_have_genes_of_their_own():
    epsilon, soft = (
        {row.name for row in tabular("bandit", exploration=kind).layout.describe()} for kind in ("epsilon", "softmax")
    )
    assert epsilon - soft == {"epsilon", "last_epsilon", "exploring"} and soft - epsilon == {"inverse_temperature"}


def test_a_task_too_large_for_posterior_sampling_is_refused_with_the_estimate(monkeypatch):
    monkeypatch.setattr(thompson, "MOST_ACTIONS_KEPT", 100)
    sentence = refused(run_file("t-maze", learner="thompson"))
    assert "posterior sampling would keep 3.2e+02 actions for 8 situations" in sentence
