"""Gymnasium's contract kept by every meta-task, and episodes that depend on their address alone."""

import copy
import itertools
import pickle

import gymnasium
import msgspec
import numpy as np
import pytest
from conftest import child
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from evoplastic.errors import UserError
from evoplastic.gym import MetaTaskEnv, MetaTaskVectorEnv, RandomTaskEnv, environment_id
from evoplastic.random import Purpose, philox, stream_key
from evoplastic.tasks.meta.decode import decode
from evoplastic.tasks.meta.engine import play
from evoplastic.tasks.meta.language import FORMAT, ORDER, MetaTask
from evoplastic.tasks.meta.reading import parse_meta_task, read_meta_task
from evoplastic.tasks.meta.sampling.sample import sample
from evoplastic.tasks.meta.sampling.settings import SampleSettings
from evoplastic.tasks.meta.tables import Bounds, tables_of
from evoplastic.tasks.specs import find_spec, spec_names

NAMES = spec_names(FORMAT)
VARIED = ["t-maze", "reversal", "two-step-drifting", "harlow", "full-maze"]  # relocations, changes, codes, layouts
SMALL = {
    "format": FORMAT,
    "version": 1,
    "order": ORDER,
    "summary": "One arm pays.",
    "horizon": 5,
    "trial": {"decisions": 2},
    "states": ["arms"],
    "actions": ["left", "middle", "right"],
    "stimuli": {"light": "10."},
    "observations": {"arms": "light"},
    "variables": {"good": {"action": ["left", "right"]}},
    "transitions": {"arms": "arms"},
    "rewards": [{"action": "good", "value": 2.0}],
    "costs": [{"action": "middle", "value": 0.25}],
}


def small(**changes):
    return parse_meta_task(SMALL | changes, "small")


def actions_of(env, decisions, seed=0):
    """Return actions (decisions, lanes), or (decisions,) of a single environment."""
    rng = np.random.default_rng(seed)
    if isinstance(env, MetaTaskVectorEnv):
        return rng.integers(0, env.single_action_space.n, (decisions, env.num_envs))
    return rng.integers(0, env.action_space.n, decisions)


def life(env, actions, **reset):
    """Return all that an environment says from a reset on."""
    return [env.reset(**reset), *(env.step(action) for action in actions)]


def same(one, another):
    return data_equivalence(one, another, exact=True)


# ---- registration


def test_every_meta_task_of_the_package_is_registered_with_both_entry_points():
    assert NAMES
    for name in NAMES:
        registered = gymnasium.spec(environment_id(name))
        assert registered.entry_point and registered.vector_entry_point
        assert registered.kwargs == {"spec": name}


@pytest.mark.parametrize(
    ("name", "id_"), [("t-maze", "TMaze"), ("7x7-maze", "7x7Maze"), ("dependent-bandit", "DependentBandit")]
)
def test_id_is_the_file_s_name_in_camel_case(name, id_):
    assert environment_id(name) == f"evoplastic/{id_}-v0"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES)
def test_gymnasium_s_own_checks_pass(name):
    check_env(gymnasium.make(environment_id(name)).unwrapped)


def test_any_spec_can_be_lived_in_by_name_path_or_content(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(find_spec("t-maze").read_text())
    made = [gymnasium.make("evoplastic/MetaTask-v0", spec=spec) for spec in ("t-maze", path, read_meta_task("t-maze"))]
    lives = [life(env, actions_of(env.unwrapped, 9), seed=1) for env in made]
    assert same(lives[0], lives[1]) and same(lives[0], lives[2])


def test_make_vec_makes_lanes_of_one_environment():
    envs = gymnasium.make_vec("evoplastic/TMaze-v0", num_envs=3, vectorization_mode="vector_entry_point")
    assert isinstance(envs, MetaTaskVectorEnv)
    assert envs.observation_space.shape == (3, 7)
    assert envs.metadata["autoreset_mode"] == gymnasium.vector.AutoresetMode.NEXT_STEP


def test_without_gymnasium_the_import_says_how_to_install_it():
    code = (
        "import sys; sys.modules['gymnasium'] = None\ntry:\n import evoplastic.gym\nexcept ImportError as e: print(e)"
    )
    assert child(code).splitlines() == [
        "evoplastic.gym needs Gymnasium; install it with: pip install 'evoplastic[gym]'"
    ]


# ---- an episode


@pytest.mark.parametrize("horizon", [None, 3])
def test_episode_is_truncated_at_the_horizon_and_never_terminated(horizon):
    env = MetaTaskEnv(small(), horizon=horizon)
    ends = [(terminated, truncated) for _, _, terminated, truncated, _ in life(env, [0] * (horizon or 5))[1:]]
    assert ends == [(False, False)] * ((horizon or 5) - 1) + [(False, True)]


def test_observation_shows_stimulus_last_action_its_reward_and_the_share_of_the_horizon_over():
    env = MetaTaskEnv(small())
    observations = [said[0].tolist() for said in life(env, [1, 0, 2], seed=0)]
    good = env.instance()["good"]
    assert observations == [
        [1, -1, 0, 0, 0, 0, 0, 0],
        [1, -1, 0, 0, 1, 0, -0.25, np.float32(0.2)],
        [1, -1, 0, 1, 0, 0, 2.0 * (good == "left"), np.float32(0.4)],
        [1, -1, 0, 0, 0, 1, 2.0 * (good == "right"), np.float32(0.6)],
    ]


def test_plain_observation_is_the_stimulus_alone():
    plain, extended = MetaTaskEnv("t-maze", extended=False), MetaTaskEnv("t-maze")
    assert plain.observation_space.shape == (3,)
    actions = actions_of(plain, 20)
    for ours, full in zip(life(plain, actions, seed=2), life(extended, actions, seed=2)):
        np.testing.assert_array_equal(ours[0], full[0][:3])
        assert same(ours[1:], full[1:])


def test_rewards_are_those_of_the_engine():
    env, earned = MetaTaskEnv("t-maze"), set()
    tables = tables_of([decode(read_meta_task("t-maze"))], [Bounds(0.0, 1.0)])
    for lane in range(4):
        words = philox(stream_key(7, Purpose.EVALUATION, 0), np.uint64(0), np.uint64(lane))
        key = np.uint64(int(words[0]) | int(words[1]) << 32)
        expected = np.zeros(60, np.float32)
        play(tables, key, 60, np.ones((1, 1, 1, 4), np.int64), expected)
        said = life(env, [1] * 60, seed=7, options={"lane": lane})
        assert [reward for _, reward, *_ in said[1:]] == expected.tolist()
        earned.add(float(expected.sum()))
    assert earned == {0.0, 20.0}


@pytest.mark.parametrize("name", ["t-maze", "dependent-bandit", "patch-foraging"])
def test_random_play_earns_its_exact_value(name):
    envs = MetaTaskVectorEnv(name, 600, horizon=50)
    rewards = [said[1] for said in life(envs, actions_of(envs, 50), seed=5)[1:]]
    lives = np.mean(rewards, axis=0)
    error = lives.std(ddof=1) / np.sqrt(len(lives))
    assert abs(lives.mean() - envs.values.random) < 4 * error


def test_rewards_that_round_stay_within_the_space():
    costs = [{"action": "left", "value": value} for value in (0.1, 0.7, 0.3, 0.1, 0.9, 0.2, 0.1)]
    env = MetaTaskEnv(small(costs=costs, rewards=[{"action": "right", "value": 0.3}]))
    space, observations = env.observation_space, [said[0] for said in life(env, [0, 2])]
    assert all(map(space.contains, observations))
    assert observations[1][-2] == space.low[-2] and observations[2][-2] == space.high[-2]


def test_truth_is_told_apart_from_observations():
    env = MetaTaskEnv("t-maze")
    told = [said[-1] for said in life(env, [0, 0, 0, 1, 1])]
    states = ["start", "junction", "left arm", "start", "junction", "right arm"]
    assert told == [{"hidden": {"state": state, "trial": trial}} for state, trial in zip(states, (0, 0, 0, 1, 1, 1))]


def test_instance_names_what_was_drawn():
    drawn = {name: MetaTaskEnv(name) for name in ("t-maze", "harlow", "dependent-bandit", "full-maze")}
    for env in drawn.values():
        env.reset(seed=3)
    assert drawn["t-maze"].instance()["baited"] in ("left arm", "right arm")
    assert set(drawn["harlow"].instance()["one"]) <= {"0", "1"}
    assert 0 < drawn["dependent-bandit"].instance()["p"] <= 1
    assert drawn["full-maze"].instance()["maze"] in range(256)


# ---- episodes by their address


@pytest.mark.parametrize("name", VARIED)
def test_seeded_episode_is_the_same_on_a_used_environment(name):
    used, fresh = MetaTaskEnv(name), MetaTaskEnv(name)
    life(used, actions_of(used, 30, seed=8), seed=1, options={"lane": 3, "episode": 2})
    life(used, actions_of(used, 7, seed=9))
    actions = actions_of(fresh, 40)
    assert same(life(used, actions, seed=4), life(fresh, actions, seed=4))


def test_seeds_episodes_and_lanes_give_different_instances():
    env = MetaTaskEnv("dependent-bandit")
    drawn = set()
    for seed, episode, lane in itertools.product(range(3), repeat=3):
        env.reset(seed=seed, options={"episode": episode, "lane": lane})
        drawn.add(env.instance()["p"])
    assert len(drawn) == 27


def test_reset_without_a_seed_goes_on_to_the_next_episode():
    env, other = MetaTaskEnv("reversal"), MetaTaskEnv("reversal")
    actions = actions_of(env, 40)
    env.reset(seed=6)
    assert same(life(env, actions), life(other, actions, seed=6, options={"episode": 1}))
    assert same(life(env, actions), life(other, actions, options={"episode": 2}))
    assert env.address == other.address == (6, 2, 0)


def test_episode_without_any_seed_can_be_lived_again():
    env, other = MetaTaskEnv("reversal"), MetaTaskEnv("reversal")
    env.reset()
    other.reset()
    assert env.address.seed != other.address.seed
    actions = actions_of(env, 40)
    first = life(env, actions)
    seed, episode, _ = env.address
    assert seed == env.np_random_seed
    assert same(first, life(other, actions, seed=seed, options={"episode": episode}))


def test_generator_of_one_s_own_decides_where_no_seed_is_given():
    envs = [MetaTaskEnv("reversal") for _ in range(2)]
    for env in envs:
        env.np_random = np.random.default_rng(1)
        env.reset()
    assert envs[0].address == envs[1].address


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"])
def test_copy_lives_on_as_the_original_does(copied):
    env = MetaTaskEnv("reversal")
    actions = actions_of(env, 60)
    life(env, actions[:20], seed=2)
    twin = copied(env)
    assert same([env.step(action) for action in actions[20:]], [twin.step(action) for action in actions[20:]])


# ---- many lanes


@pytest.mark.parametrize("name", VARIED)
def test_lane_lives_what_the_single_environment_lives(name):
    envs = MetaTaskVectorEnv(name, 5, horizon=30)
    actions = actions_of(envs, 70)
    lived = life(envs, actions, seed=9)
    for lane in range(5):
        env, ended = MetaTaskEnv(name, horizon=30), False
        observation, info = env.reset(seed=9, options={"lane": lane})
        for decision in range(71):
            observations, infos = lived[decision][0], lived[decision][-1]["hidden"]
            np.testing.assert_array_equal(observations[lane], observation)
            assert {name: infos[name][lane] for name in info["hidden"]} == info["hidden"]
            if decision == 70:
                break
            if ended:
                (observation, info), reward, ended = env.reset(), 0.0, False
            else:
                observation, reward, _, ended, info = env.step(actions[decision, lane])
            assert (lived[decision + 1][1][lane], lived[decision + 1][3][lane]) == (reward, ended)


def test_one_lane_says_all_that_gymnasium_s_own_vector_environment_says():
    ours = MetaTaskVectorEnv("two-step-drifting", 1, horizon=10)
    theirs = gymnasium.vector.SyncVectorEnv([lambda: MetaTaskEnv("two-step-drifting", horizon=10)])
    actions = actions_of(ours, 35)
    assert same(life(ours, actions, seed=3), life(theirs, actions, seed=3))
    assert ours.observation_space == theirs.observation_space and ours.action_space == theirs.action_space


def test_first_lane_can_be_chosen_so_that_environments_share_a_seed():
    together, apart = MetaTaskVectorEnv("reversal", 6), MetaTaskVectorEnv("reversal", 2)
    np.testing.assert_array_equal(
        together.reset(seed=1)[0][4:], apart.reset(seed=1, options={"lane": 4})[0], strict=True
    )
    assert [together.instance(lane) for lane in (4, 5)] == [apart.instance(lane) for lane in (0, 1)]


def test_step_after_the_last_decision_begins_the_next_episode():
    envs, other = MetaTaskVectorEnv(small(), 4), MetaTaskVectorEnv(small(), 4)
    ended = life(envs, np.ones((5, 4), np.int64), seed=1)[-1]
    assert ended[3].all() and not ended[2].any()
    observations, rewards, terminated, truncated, infos = envs.step(np.full(4, 77))
    assert not rewards.any() and not terminated.any() and not truncated.any()
    assert same((observations, infos), other.reset(seed=1, options={"episode": 1}))


def test_statistics_of_episodes_are_recorded():
    envs = RecordEpisodeStatistics(gymnasium.make_vec("evoplastic/TMaze-v0", num_envs=3, horizon=12))
    actions = actions_of(envs.unwrapped, 25)
    said = life(envs, actions, seed=0)
    for end, begin in ((12, 1), (25, 14)):
        statistics = said[end][-1]["episode"]
        assert statistics["l"].tolist() == [12, 12, 12]
        np.testing.assert_allclose(statistics["r"], sum(step[1] for step in said[begin : end + 1]))


def test_what_was_returned_stays_as_it_was():
    envs = MetaTaskVectorEnv("t-maze", 3)
    said = life(envs, actions_of(envs, 3), seed=0)
    kept = copy.deepcopy(said)
    life(envs, actions_of(envs, 50))
    assert same(said, kept)


# ---- a pool of random tasks

POOL = {"tasks": 4, "pool_seed": 5, "horizon": 8, "aliased": 0.9}


@pytest.mark.filterwarnings("error")
def test_pool_of_tasks_passes_gymnasium_s_own_checks():
    check_env(gymnasium.make("evoplastic/Random-v0", **POOL).unwrapped)


def test_pool_is_the_sample_of_its_seed_and_settings():
    env = RandomTaskEnv(**POOL)
    drawn = sample(SampleSettings(seed=5, horizon=8, aliased=0.9), 4).tasks
    assert [task.name for task in env.pool] == [task.name for task in drawn]
    assert [task.spec for task in env.pool] == [task.spec for task in drawn]


def test_tasks_of_a_pool_are_drawn_evenly_and_named():
    env = RandomTaskEnv(**POOL)
    names = [
        env.reset(seed=seed, options={"episode": episode})[1]["task"] for seed in range(20) for episode in range(20)
    ]
    counts = [names.count(task.name) for task in env.pool]
    assert sum(counts) == 400 and min(counts) > 70


def test_certified_values_of_the_drawn_task_are_told():
    env = RandomTaskEnv(**POOL)
    certified = {task.name: task.certificate for task in env.pool}
    for seed in range(8):
        info = env.reset(seed=seed)[1]
        proven = certified[info["task"]]
        assert info["certified"]["bayes"] == proven.bayes.low and info["certified"]["oracle"] == proven.oracle
        assert info["certified"]["adapting"] >= 0.05
        assert env.step(0)[-1]["certified"] == info["certified"]


def test_episode_of_a_pool_is_the_one_its_task_s_own_environment_lives():
    env = RandomTaskEnv(**POOL)
    specs = {task.name: task.spec for task in env.pool}
    widest = env.observation_space.shape[0] - env.action_space.n - 2
    for seed in range(10):
        options = {"episode": seed % 3, "lane": seed % 2}
        actions = actions_of(env, 8, seed)
        lived = life(env, actions, seed=seed, options=options)
        own = MetaTaskEnv(specs[lived[0][1]["task"]])
        units = own.observation_space.shape[0] - own.action_space.n - 2
        for said, alone in zip(lived, life(own, actions, seed=seed, options=options), strict=True):
            np.testing.assert_array_equal(np.delete(said[0], range(units, widest)), alone[0])
            assert not said[0][units:widest].any() and said[1:-1] == alone[1:-1]
            assert said[-1]["hidden"] == alone[-1]["hidden"]


def test_seeded_episode_of_a_pool_is_the_same_on_a_used_environment():
    used, fresh = RandomTaskEnv(**POOL), RandomTaskEnv(**POOL)
    for episode in range(5):
        life(used, actions_of(used, 8 - episode), seed=8 - episode)
    actions = actions_of(fresh, 8)
    assert same(life(used, actions, seed=4), life(fresh, actions, seed=4))
    assert same(life(used, actions), life(fresh, actions)) and used.address == fresh.address == (4, 1, 0)


def test_units_that_only_some_tasks_of_a_pool_have_are_silent_in_the_others():
    env = RandomTaskEnv(**POOL)
    narrow = msgspec.structs.replace(read_meta_task("dependent-bandit"), horizon=8)
    pooled = [*env.pool[:1], env.pool[1]._replace(name="narrow", spec=narrow, certificate=None)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evoplastic.gym.random_tasks._pool", lambda settings, tasks: tuple(pooled))
        mixed = RandomTaskEnv(**POOL)
    first = {mixed.reset(seed=seed)[1]["task"]: mixed.reset(seed=seed) for seed in range(20)}
    observation, info = first["narrow"]
    assert mixed.observation_space.contains(observation) and not observation.any() and not info["certified"]


def test_environments_side_by_side_share_a_pool():
    envs = gymnasium.make_vec("evoplastic/Random-v0", num_envs=3, vectorization_mode="sync", **POOL)
    observations, infos = envs.reset(seed=1)
    assert observations.shape[0] == 3 and len({id(env.unwrapped.pool) for env in envs.envs}) == 1
    assert set(infos["task"]) <= {task.name for task in RandomTaskEnv(**POOL).pool}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"tasks": 0}, "tasks must be a whole number from 1"),
        ({"adaptin": 0.1}, "did you mean 'adapting'"),
        ({"horizon": 0}, "horizon: expected `int` >= 1, got 0"),
        ({"pool_seed": -1}, "seed: expected `int` >= 0, got -1"),
        ({"seed": 3}, "the seed of the pool is called pool_seed"),
        ({"adapting": 5.0, "most_draws": 20}, "0 of 16 tasks were found among 20 candidates"),
    ],
)
def test_pool_that_cannot_be_sampled_is_refused(arguments, complaint):
    with pytest.raises(UserError, match=complaint):
        RandomTaskEnv(**arguments)


# ---- mistakes


@pytest.mark.parametrize("env", [MetaTaskEnv(small()), MetaTaskVectorEnv(small(), 2)], ids=["single", "vector"])
def test_a_decision_needs_a_life(env):
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(env.action_space.sample())


def test_a_life_that_is_over_takes_no_decision():
    env = MetaTaskEnv(small(), horizon=2)
    life(env, [0, 0])
    with pytest.raises(ResetNeeded, match="truncated"):
        env.step(0)


@pytest.mark.parametrize("action", [3, -1, 1.0, None])
def test_action_out_of_range_is_refused(action):
    env = MetaTaskEnv(small())
    env.reset()
    with pytest.raises(UserError, match=r"Discrete\(3\)"):
        env.step(action)


@pytest.mark.parametrize("actions", [[0, 3], [-1, 0], [0], 0, [0.0, 1.0]])
def test_actions_out_of_range_are_refused(actions):
    envs = MetaTaskVectorEnv(small(), 2)
    envs.reset()
    with pytest.raises(UserError, match="2 whole numbers from 0 to 2"):
        envs.step(actions)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"episodes": 1}, "did you mean 'episode'"),
        ({"lane": -1}, r"options\['lane'\] must be a whole number from 0"),
        ({"episode": 0.5}, "got 0.5"),
    ],
)
def test_unknown_options_are_refused(options, complaint):
    with pytest.raises(UserError, match=complaint):
        MetaTaskEnv(small()).reset(options=options)


@pytest.mark.filterwarnings("ignore:.*render_mode")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"spec": "t-mase"}, "did you mean 't-maze'"),
        ({"spec": "t-maze", "horizon": 0}, "horizon must be a whole number from 1"),
        ({"spec": "dependent-bandit", "extended": False}, "nothing to observe"),
        ({"spec": "t-maze", "render_mode": "human"}, "render_mode must be None"),
    ],
)
def test_environment_that_cannot_be_made_is_refused(arguments, complaint):
    with pytest.raises(UserError, match=complaint):
        gymnasium.make("evoplastic/MetaTask-v0", disable_env_checker=True, **arguments)


def test_content_that_contradicts_itself_is_refused():
    content = msgspec.convert(SMALL | {"rewards": [{"action": "left"}, {}]}, MetaTask)
    with pytest.raises(UserError, match="contradicts"):
        MetaTaskEnv(content)
