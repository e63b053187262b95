"""Lives on meta-tasks: what a network is shown and told, how it acts, how it is scored, what a run file may say."""

import json
import tomllib
from collections import Counter

import naive
import naive_world
import numpy as np
import pytest
from scipy import stats
from test_evolution import bits
from test_meta_engine import NAMES, SMALL, spec

import evoplastic
from evoplastic import rollout
from evoplastic.config import deciding, difference, parse_config, write_toml
from evoplastic.errors import UserError
from evoplastic.problems.contract import Life
from evoplastic.random import Purpose
from evoplastic.rollout import live, live_plainly
from evoplastic.tasks.contract import (
    CORRECT,
    LOSS,
    begin_trial,
    clamp,
    collect,
    end_trial,
    feedback_step,
    idle,
    outcome,
    reads,
    steps_per_trial,
)
from evoplastic.tasks.meta import drawing, value
from evoplastic.tasks.meta import world as worlds
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.solvers.values import values

UNITS = 40
ROLES = {"stimulus": 18, "feedback": 2, "bias": 1, "echo": 4, "modulator": 0, "response": 4}
STIMULUS, FEEDBACK, BIAS, ECHO, RESPONSE = slice(0, 18), slice(18, 20), slice(20, 21), slice(21, 25), slice(36, 40)
LEVELS = {"stimulus": 1.5, "feedback": 2.0, "echo": 3.0, "bias": 0.5}
ENDINGS = {"decisions": "context-choice", "until": "t-maze", "rewarded": "dark-room"}


def run_file(*specs, scored=40, rule=None, **task):
    """Return a parsed run file of a small network on meta-tasks."""
    task = {"type": "meta_tasks", "specs": list(specs), "levels": LEVELS, "horizon": 40, **task}
    return {
        "name": "meta",
        "generations": 3,
        "problem": {
            "type": "lifetimes",
            "scored_trials": scored,
            "network": {
                "type": "leaky",
                "units": UNITS,
                "tau_ms": 20.0,
                "initial_potential": 0.0,
                "roles": dict(ROLES),
            },
            "rule": rule or {"type": "hebbian", "eta": 0.3},
            "modulation": {"type": "reward"},
            "task": task,
            "genome": {"innate": {"spread": 2.0}},
        },
        "strategy": {"type": "openai_es", "population": 4},
        "validation": {"every": 2, "lives": 2},
        "checkpoints": {"seconds": 0},
    }


def lifetimes(*specs, seed=0, **changes):
    """Return the problem of such a run file."""
    return parse_config(run_file(*specs, **changes)).problem.build(seed)


def refused(raw):
    """Return the one sentence in which a run file is refused."""
    with pytest.raises(UserError) as refusal:
        parse_config(raw)
    sentence = str(refusal.value)
    assert "\n" not in sentence and "Traceback" not in sentence
    return sentence


def decisions(task, key, outputs, trials=40, scores=None):
    """Yield for each decision its trial, its state after the last step and its rates (steps, N).

    The response units put out `outputs` where the task lets them.
    """
    state, steps = idle(task), steps_per_trial(task)
    scores = np.zeros((trials, 3), np.float32) if scores is None else scores
    for trial in range(trials):
        state = begin_trial(task, state, np.uint64(key), trial, scores)
        shown = np.full((steps, UNITS), 0.25, np.float32)
        for step in range(steps):
            shown[step, RESPONSE] = outputs
            clamp(task, state, step, shown[step])
            if reads(task, step):
                state = collect(task, state, step, shown[step])
        end_trial(task, state, scores[trial])
        yield trial, state, shown


def twin(name, key, block=0, first=0):
    world = naive_world.World(spec(name), key, block)
    world.t = first
    return world


def chosen(world, state):
    """Return the action that was taken, by its name."""
    return world.actions[state.ints[worlds.CHOSEN]]


# ---- what a network is shown


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("deciding", "feeding"), [(3, 1), (1, 2)])
def test_a_decision_shows_the_observation_then_reward_and_action(name, deciding, feeding):
    task = lifetimes(name, decide_steps=deciding, feedback_steps=feeding).task_of([name])
    assert (steps_per_trial(task), feedback_step(task)) == (deciding + feeding, deciding)
    outputs, world = (0.3, 0.4, 0.35, 0.2), twin(name, 5)
    largest = max(1.0, *(abs(reward.value) for reward in world.spec.rewards))
    for _, state, shown in decisions(task, 5, outputs):
        observed = world.observed()
        action = chosen(world, state)
        expected = np.full((deciding + feeding, UNITS), 0.25)
        expected[:, STIMULUS] = 0
        expected[:, : len(observed)] = 1.5 * np.array(observed)
        expected[:, BIAS] = 0.5
        expected[:, FEEDBACK] = expected[:, ECHO] = expected[:, RESPONSE] = 0
        free = slice(RESPONSE.start, RESPONSE.start + len(world.actions))
        expected[deciding - 1, free] = outputs[: len(world.actions)]  # response units beyond the actions stay silent
        expected[deciding:, FEEDBACK] = 2 * world.decide(action).reward / largest
        taken = world.actions.index(action)
        expected[deciding:, ECHO.start + taken] = expected[deciding:, RESPONSE.start + taken] = 3
        np.testing.assert_allclose(shown, expected, rtol=1e-6)


def test_stimuli_that_are_off_are_the_opposite_of_those_that_are_on():
    task = lifetimes("harlow").task_of(["harlow"])
    levels = {tuple(shown[0, :5]) for _, _, shown in decisions(task, 5, (0.5,) * 4)}
    assert (1.5, 0, 0, 0, 0) in levels
    assert len(levels) == 3 and {size for code in levels for size in code} == {1.5, 0, -1.5}


def test_the_clock_unit_tells_the_share_of_the_horizon_that_is_over():
    task = lifetimes("t-maze", clock=True, tasks_per_life=2).task_of(["t-maze", "t-maze"])
    clock = STIMULUS.stop - 1
    for trial, _, shown in decisions(task, 5, (0.5,) * 4, trials=80):
        np.testing.assert_allclose(shown[:, clock], 1.5 * (trial % 40) / 40, rtol=1e-6)
    silent = lifetimes("t-maze").task_of(["t-maze"])
    assert not any(shown[:, clock].any() for *_, shown in decisions(silent, 5, (0.5,) * 4))


def test_feedback_is_reward_as_a_share_of_the_largest_there_can_be(tmp_path):
    path = tmp_path / "costs.json"
    path.write_text(json.dumps(parts("costs add up")))
    task = lifetimes(str(path)).task_of(["costs"])
    world = twin("costs add up", 5)
    fed = []
    for _, state, shown in decisions(task, 5, (0.5,) * 4):
        reward = world.decide(chosen(world, state)).reward
        np.testing.assert_allclose(shown[3, FEEDBACK], 2 * reward / 1000.8, rtol=1e-5)
        assert outcome(task, state).loss == pytest.approx((1.3 - reward) / 1002.1, rel=1e-4, abs=1e-6)
        fed.append(reward)
    assert min(fed) < -999 and max(fed) > 0


def parts(name):
    """Return a small spec as its file spells it."""
    head = {"format": "evoplastic.task", "version": 1, "order": spec(name).order, "summary": "", "horizon": 40}
    return {**head, **SMALL[name]}


def test_the_trial_type_is_the_state_acted_from():
    task = lifetimes("t-maze").task_of(["t-maze"])
    world = twin("t-maze", 5)
    for _, state, _ in decisions(task, 5, (0.5,) * 4):
        assert world.states[outcome(task, state).kind] == world.state
        world.decide(chosen(world, state))


# ---- how it acts


def taken(task, outputs, keys=50):
    """Return how often each action is taken."""
    counts = Counter(state.ints[worlds.CHOSEN] for key in range(keys) for _, state, _ in decisions(task, key, outputs))
    return np.array([counts[action] for action in range(4)])


@pytest.mark.parametrize("temperature", [0.5, 10.0])
def test_actions_are_drawn_by_the_softmax_of_the_responses(temperature):
    task = lifetimes("dark-room", inverse_temperature=temperature).task_of(["dark-room"])
    outputs = np.array([0.1, 0.4, 0.25, 0.3])
    share = np.exp(temperature * outputs)
    counts = taken(task, outputs)
    assert stats.chisquare(counts, counts.sum() * share / share.sum()).pvalue > 1e-4


def test_the_softmax_is_of_as_many_responses_as_there_are_actions():
    task = lifetimes("t-maze", inverse_temperature=1.0).task_of(["t-maze"])
    counts = taken(task, (0.2, 0.9, 1.0, 1.0), keys=20)
    assert counts[:2].all() and not counts[2:].any()


@pytest.mark.parametrize(
    ("outputs", "action"),
    [((0.1, 0.4, 0.39, 0.3), 1), ((0.5, 0.1, 0.1, 0.50001), 3), ((0.2, 0.5, 0.5, 0.1), 1), ((0.5,) * 4, 0)],
)
def test_greedy_takes_the_largest_response(outputs, action):
    task = lifetimes("dark-room", action="greedy").task_of(["dark-room"])
    assert taken(task, outputs, keys=1)[action] == 40


def test_large_temperatures_overflow_nothing():
    task = lifetimes("dark-room", inverse_temperature=1000.0).task_of(["dark-room"])
    assert taken(task, (-1.0, 1.0, 0.0, 0.99), keys=1)[1] == 40


# ---- how it is scored


def test_the_score_is_the_reward_between_random_play_and_the_oracle():
    problem = lifetimes("two-step", "t-maze", tasks_per_life=2)
    task, scores = problem.task_of(["t-maze", "two-step"]), np.zeros((80, 3), np.float32)
    worlds = {"t-maze": twin("t-maze", 5), "two-step": twin("two-step", 5, 1, 40)}
    for trial, state, _ in decisions(task, 5, (0.5,) * 4, 80, scores):
        name = "t-maze" if trial < 40 else "two-step"
        exact = values(decode(spec(name)), 40)
        reward = worlds[name].decide(chosen(worlds[name], state)).reward
        share = (reward - exact.random) / (exact.oracle - exact.random)
        np.testing.assert_allclose(scores[trial, [CORRECT, LOSS]], [share, 1 - share], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scored", [10, 40])
def test_a_score_row_averages_the_scored_decisions(scored):
    problem = lifetimes("two-step", scored=scored)
    exact = values(decode(spec("two-step")), 40, scored)
    genotype, life = problem.layout.initial(), Life(Purpose.VALIDATION, (3,), "two-step")
    course, row = problem.course(genotype, life), problem.score(genotype, life)
    rewards = exact.random + course * (exact.oracle - exact.random)
    np.testing.assert_allclose(rewards, rewards.round(), atol=1e-6)
    assert len(course) == 40 and set(rewards.round()) == {0, 1}
    mean = course[-scored:].mean()
    np.testing.assert_allclose(row, [mean - 1, mean, 1 - mean, 0], atol=1e-6)
    assert problem.columns == ("fitness", "score", "loss", "cost")
    assert (problem.chance, problem.random_policy, problem.oracle) == (0, 0, 1)


@pytest.mark.parametrize("name", ["key-door", "full-maze"])
def test_a_network_that_answers_nothing_scores_0(name):
    problem = lifetimes(name, scored=20)
    lives = problem.test_lives(Purpose.EVALUATION, (), 400)[name]
    scores = np.array([problem.score(np.zeros_like(problem.layout.initial()), life)[1] for life in lives])
    assert abs(scores.mean()) < 4.5 * scores.std() / np.sqrt(len(scores))


# ---- one life


def run(problem, names, key=7, seed=0, lesion="none"):
    """Return what a newborn of generation 0 leaves of a life on these tasks."""
    life = Life(Purpose.VALIDATION, (seed,), names[-1], lesion)
    body = problem.body(problem.layout.initial(), life, names)
    return lived_body(body, key, 40 * len(names))


def lived_body(body, key, trials, kernel=live):
    scores = np.full((trials, 3), np.nan, np.float32)
    plastic = np.full_like(body.network.innate, np.nan)
    with np.errstate(over="ignore"):
        kernel(*body, np.uint64(key), plastic, scores)
    return scores, plastic


def test_plain_python_lives_the_same_life():
    problem = lifetimes("key-door")
    body = problem.body(problem.layout.initial(), Life(Purpose.VALIDATION, (0,), "key-door"))
    (ours, plastic), (theirs, written) = (lived_body(body, 7, 40, kernel) for kernel in (live, live_plainly))
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(plastic, written, rtol=1e-4, atol=1e-6)
    assert np.abs(plastic).max() > 0.01


def ends(name, body, key, monkeypatch):
    """Return the trials of a life before which activity went to rest, and those that begin a trial of the task."""
    world, rested, begun, at = twin(name, key), [], [], []
    rest, begin, end = rollout.rest, rollout.begin_trial, rollout.end_trial

    def beginning(task, state, key, trial, scores):
        at.append(trial)
        if world.begins:
            begun.append(trial)
        return begin(task, state, key, trial, scores)

    def resting(network):
        rested.append(at[-1] if at else 0)
        return rest(network)

    def ending(task, state, score):
        world.decide(chosen(world, state))
        end(task, state, score)

    for function, stand_in in (("begin_trial", beginning), ("rest", resting), ("end_trial", ending)):
        monkeypatch.setattr(rollout, function, stand_in)
    lived_body(body, key, 40, live_plainly)
    return rested, begun


@pytest.mark.parametrize("name", ENDINGS.values(), ids=ENDINGS)
def test_the_arm_puts_activity_to_rest_before_each_trial_of_the_task(name, monkeypatch):
    problem = lifetimes(name, reset_activity=True)
    body = problem.body(problem.layout.initial(), Life(Purpose.VALIDATION, (0,), name))
    rested, begun = ends(name, body, 3, monkeypatch)
    assert rested == begun and len(begun) > 1


@pytest.mark.parametrize("name", ENDINGS.values(), ids=ENDINGS)
def test_the_arm_is_the_lesion_from_birth(name):
    arm = run(lifetimes(name, reset_activity=True), [name])
    lesion = run(lifetimes(name), [name], lesion="activity_reset")
    for ours, theirs in zip(arm, lesion):
        np.testing.assert_array_equal(ours, theirs)


def test_activity_goes_on_without_the_arm(monkeypatch):
    problem = lifetimes("context-choice")
    body = problem.body(problem.layout.initial(), Life(Purpose.VALIDATION, (0,), "context-choice"))
    rested, begun = ends("context-choice", body, 7, monkeypatch)
    assert rested == [0] and begun == list(range(40))


def test_shuffled_feedback_is_that_of_an_earlier_decision():
    problem = lifetimes("two-step")
    task = problem.body(problem.layout.initial(), Life(Purpose.VALIDATION, (0,), "two-step", "feedback_shuffled")).task
    world, rewards = twin("two-step", 5), []
    for trial, state, shown in decisions(task, 5, (0.5,) * 4):
        rewards.append(world.decide(chosen(world, state)).reward)
        fed = rewards[naive.earlier_trial(5, trial, trial)] if trial else rewards[0]
        np.testing.assert_allclose(shown[3, FEEDBACK], 2 * fed, atol=1e-5)
        assert outcome(task, state).loss == pytest.approx(1 - fed, abs=1e-5)
    assert 5 < sum(rewards) < 35


def test_feedback_can_be_cut_and_the_third_factor_kept():
    problem = lifetimes("two-step")
    body = problem.body(problem.layout.initial(), Life(Purpose.VALIDATION, (0,), "two-step", "feedback_cut"))
    told = set()
    for _, state, shown in decisions(body.task, 5, (0.5,) * 4):
        assert not shown[:, FEEDBACK].any()
        told.add(float(outcome(body.task, state).loss))
    assert told == {0, 1}


# ---- several tasks in a life


LONG = ["find-the-spot", "two-step"]
OTHER = ["harlow", "two-step"]


def test_a_newborn_s_task_does_not_depend_on_the_task_before_it():
    problem = lifetimes("find-the-spot", "harlow", "two-step", tasks_per_life=2, newborn_tasks=True)
    (one, plastic), (other, written) = run(problem, LONG), run(problem, OTHER)
    assert (one[:40] != other[:40]).any()
    np.testing.assert_array_equal(one[40:], other[40:])
    np.testing.assert_array_equal(plastic, written)


def test_plastic_weights_go_on_into_the_next_task():
    problem = lifetimes("find-the-spot", "harlow", "two-step", tasks_per_life=2)
    (_, plastic), (_, written) = run(problem, LONG), run(problem, OTHER)
    assert (plastic != written).any()
    born, carried = lifetimes("two-step"), lifetimes("two-step", tasks_per_life=2)
    assert np.abs(run(carried, ["two-step"] * 2)[1]).sum() > np.abs(run(born, ["two-step"])[1]).sum()


def test_blocks_of_one_task_are_other_instances():
    problem = lifetimes("find-the-spot", tasks_per_life=4, newborn_tasks=True)
    goals = set()
    for _, state, _ in decisions(problem.task_of(["find-the-spot"] * 4), 5, (0.5,) * 4, 160):
        goals.add((int(state.ints[worlds.BLOCK]), int(state.ints[worlds.held_at(state, 0)])))
    assert [block for block, _ in sorted(goals)] == [0, 1, 2, 3] and len({goal for _, goal in goals}) > 1


def test_a_withheld_task_is_never_drawn():
    problem = lifetimes("t-maze", "two-step", "harlow", tasks_per_life=3, withheld=["two-step"])
    drawn = Counter(name for pair in range(200) for name in problem.tasks_of(problem.training_life(0, pair)))
    assert stats.chisquare([drawn["t-maze"], drawn["harlow"]]).pvalue > 1e-4 and drawn["two-step"] == 0
    before = [problem.tasks_of(Life(Purpose.VALIDATION, (life,), "two-step")) for life in range(50)]
    assert all(names[-1] == "two-step" and "two-step" not in names[:2] for names in before)
    assert problem.withheld == ("two-step",) and problem.withholding == "other meta-tasks"


def test_every_task_is_a_fold():
    config = parse_config(run_file("t-maze", "two-step"))
    folds = config.problem.folds()
    assert list(folds) == ["t-maze", "two-step"]
    (override,) = folds["two-step"]
    assert override == 'problem.task.withheld=["two-step"]'
    assert parse_config(run_file("t-maze")).problem.folds() == {}


# ---- the same bits, and one kernel


def test_threads_change_no_bit_of_an_evolution():
    config = parse_config(run_file("t-maze", "grid-key-door", tasks_per_life=2))
    alone, together = (list(evoplastic.evolve(config, None, workers)) for workers in (1, 2))
    assert bits(together) == bits(alone)
    assert len({record.state.center.tobytes() for record in alone}) == 3


def test_specs_of_every_size_share_one_kernel():
    for name in ("bandit", "full-maze", "two-step-drifting", "patch-foraging"):
        run(lifetimes(name), [name])
    run(lifetimes("t-maze", "harlow", tasks_per_life=2, newborn_tasks=True, clock=True), ["t-maze", "harlow"])
    run(lifetimes("t-maze", action="greedy", reset_activity=True), ["t-maze"], lesion="feedback_shuffled")
    kinds = Counter(tuple(kind.instance_class.__name__ for kind in signature[:4]) for signature in live.signatures)
    assert kinds["Leaky", "Terms", "Reward", "Blocks"] == 1
    assert len(drawing.begin_instance.signatures) == len(worlds.unborn.signatures) == 1


# ---- run files


def test_a_stored_run_file_reads_back_with_its_values(monkeypatch):
    config = parse_config(run_file("t-maze", "two-step", "grid-key-door", clock=True, withheld=["two-step"]))
    stored = tomllib.loads(write_toml(config))
    assert set(stored["problem"]["task"]["values"]) == {"t-maze", "two-step", "grid-key-door"}
    monkeypatch.setattr(value, "values", None)  # nothing is solved again
    again = parse_config(stored)
    assert again == config


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_run_file_differs_in_nothing_that_decides_the_bits(name):
    """TOML puts tables behind plain values, and a difference in order would refuse to resume."""
    config = parse_config(run_file(name))
    again = parse_config(tomllib.loads(write_toml(config)))
    assert difference(again, deciding(config)) is None
    assert deciding(again) == deciding(config)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("task", "horizon"), 30),
        (("scored_trials",), 20),
        (("task", "specs", "t-maze", "rewards"), [{"from": "baited", "value": 3}]),
        (("task", "values", "t-maze", "random"), 0.3),
    ],
)
def test_values_are_computed_anew_where_what_they_depend_on_is_edited(path, value):
    stored = tomllib.loads(write_toml(parse_config(run_file("t-maze", "key-door", scored=30))))
    table = stored["problem"]
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    task = parse_config(stored).problem.task
    for name in ("t-maze", "key-door"):
        exact = values(decode(task.specs[name]), task.trials, stored["problem"]["scored_trials"])
        assert (task.values[name].random, task.values[name].oracle) == exact


def test_the_horizon_of_the_specs_is_the_default():
    raw = run_file("t-maze", "two-step")
    del raw["problem"]["task"]["horizon"]
    assert parse_config(raw).problem.task.trials == 60


def without_horizon(*specs):
    raw = run_file(*specs)
    del raw["problem"]["task"]["horizon"]
    return raw


def with_roles(name, clock=False, **roles):
    raw = run_file(name, clock=clock)
    raw["problem"]["network"]["roles"] = {**ROLES, **roles}
    return raw


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (run_file("tmaze"), "task spec 'tmaze' is unknown; choose one of ['7x7-maze'"),
        (run_file("boolean2"), "must be of format 'evoplastic.task' version 1, got 'evoplastic.truth_tables'"),
        (run_file(), "problem.task.specs must name at least one meta-task"),
        (run_file("t-maze", "t-maze"), "problem.task.specs: there are two tasks called 't-maze'"),
        (run_file("t-maze", withheld=["t-maze"]), "problem.task.withheld leaves no task to evolve on"),
        (run_file("t-maze", withheld=["t-mase"]), "problem.task.withheld: 't-mase' is none of ['t-maze']"),
        (
            with_roles("harlow", stimulus=4),
            "meta-task 'harlow' needs at least 5 stimulus units, got 4; set problem.network.roles.stimulus = 5",
        ),
        (
            with_roles("harlow", clock=True, stimulus=5),
            "meta-task 'harlow' needs at least 6 stimulus units, got 5; set problem.network.roles.stimulus = 6",
        ),
        (
            with_roles("dark-room", response=3),
            "meta-task 'dark-room' needs at least 4 response units, got 3; set problem.network.roles.response = 4",
        ),
        (
            with_roles("dark-room", echo=3),
            "needs one echo unit for each of its 4 actions, or none at all, got 3; set problem.network.roles.echo = 4",
        ),
        (
            without_horizon("t-maze", "bandit"),
            "problem.task.horizon must be given where those of the specs differ, got {'t-maze': 60, 'bandit': 50}",
        ),
        (
            run_file("t-maze", scored=41),
            "problem.scored_trials must be at most the 40 trials (decisions of a meta-task) of a task, got 41",
        ),
        (run_file("t-maze", horizon=2, scored=1), "so there is nothing to learn; use another task or a longer horizon"),
        (run_file("t-maze", horizon=0), "problem.task.horizon"),
        (run_file("t-maze", inverse_temperature=0), "problem.task.inverse_temperature"),
        (run_file("t-maze", actions="softmax"), "problem.task.actions"),
        (
            run_file("t-maze", rule={"type": "hebbian", "trace_tau_ms": 1.0}),
            "problem.rule.trace_tau_ms must be at least problem.network.dt_ms = 20.0, got 1.0",
        ),
    ],
)
def test_a_bad_setting_is_refused_in_one_sentence(raw, complaint):
    assert complaint in refused(raw)


def test_a_network_without_echo_units_can_live():
    parse_config(with_roles("dark-room", echo=0))


def test_two_files_of_one_name_are_refused(tmp_path):
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "costs.json").write_text(json.dumps(parts("costs add up")))
    raw = run_file(*(str(tmp_path / folder / "costs.json") for folder in ("here", "there")))
    assert "there are two tasks called 'costs'; rename one of the files" in refused(raw)


def test_a_bad_spec_in_a_stored_run_file_is_refused_by_its_place():
    stored = tomllib.loads(write_toml(parse_config(run_file("t-maze"))))
    stored["problem"]["task"]["specs"]["t-maze"]["transitions"]["start"] = "nowhere"
    assert "problem.task.specs.t-maze: transitions.start: 'nowhere' is no state" in refused(stored)


def edited(path, value, **task):
    stored = tomllib.loads(write_toml(parse_config(run_file("t-maze"))))
    stored["problem"]["task"] |= task
    table = stored["problem"]["task"]["specs"]["t-maze"]
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    return stored


def test_a_change_beyond_the_horizon_of_the_run_file_is_refused():
    beyond = edited(("variables", "baited", "change"), {"at": [50]})  # the spec's own horizon is 60
    assert "change.at must list decisions up to the horizon of 40" in refused(beyond)


def test_an_activity_reset_that_no_trial_would_bring_is_refused():
    assert "meta-task 't-maze' has no trials between which" in refused(edited(("trial",), {}, reset_activity=True))
