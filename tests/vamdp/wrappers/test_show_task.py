"""What a critic is shown of the true task, at every boundary."""

import copy
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import StickyAction, TimeLimit

import vamdp
from vamdp.domains import Bandits, RandomMDPs
from vamdp.mdp.optimal_advantages import optimum
from vamdp.mdp.tabular_mdp import TabularMDP
from vamdp.wrappers import solved_tasks

N, H = 4, 23  # H is no multiple of the episodes' length: the last episode is cut

IDS = ["vamdp/Bandit-v0", "vamdp/RandomMDP-v0", "vamdp/GridWorld-v0", "vamdp/FrozenLake-v0"]

TASKS = [
    ("bandits", Bandits(), None),
    ("random MDPs", RandomMDPs(), 10),
    ("ends in states of play", "blackjack_like", None),
    ("the same with a limit", "blackjack_like", 7),
]


def chained(env, horizon=H, **options):
    return vamdp.MetaEpisode(vamdp.ValueAugment(env, task_horizon=5), horizon, **options)


def chained_batch(envs, horizon=H, **options):
    inner = vamdp.vector.ValueAugment(envs, task_horizon=5)
    return vamdp.vector.MetaEpisode(inner, horizon, **options)


def single(tools, distribution, limit):
    distribution = getattr(tools, distribution) if isinstance(distribution, str) else distribution
    env = vamdp.TaskEnv(distribution)
    return env if limit is None else TimeLimit(env, limit)


def engine(tools, distribution, limit, n=N):
    distribution = getattr(tools, distribution) if isinstance(distribution, str) else distribution
    return vamdp.TaskVectorEnv(distribution, n, max_episode_steps=limit)


def expected(found, state, left, scale=1.0):
    """The numbers of a state with so many steps left; without a state those after an end."""
    if state is None or left == 0:
        numbers = [0.0] * (found.advantages.shape[2] + 1)
    else:
        numbers = [*found.advantages[left - 1, state], found.values[left - 1, state]]
    return np.float32([*(x / scale for x in numbers), found.gain[0]])


# What is shown, and what stays


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize("wrap", [chained, lambda env: env], ids=["in meta-episodes", "bare"])
def test_only_the_key_is_added(tools, id, wrap):
    bare = tools.play(wrap(gymnasium.make(id)), 3, 60)
    env = vamdp.ShowTask(wrap(gymnasium.make(id)), advantage_scale=10.0)
    ours = tools.play(env, 3, 60)
    for theirs, mine in zip(bare, ours, strict=True):
        assert env.observation_space.contains(mine[0])
        assert mine[0].keys() == {"observation", "task"}
        np.testing.assert_array_equal(mine[0]["observation"], theirs[0])
        assert len(theirs) == 2 or mine[1:4] == theirs[1:4]
        tools.assert_same_infos(mine[-1], theirs[-1])


def test_a_dict_gets_one_key_more(tools):
    env = vamdp.ShowTask(chained(single(tools, Bandits(), None), flatten=False))
    envs = vamdp.vector.ShowTask(chained_batch(engine(tools, Bandits(), None), 2, flatten=False))
    names = {*env.env.observation_space, "task"}
    observations = env.reset(seed=1)[0], envs.reset(seed=1)[0]
    for each in (*observations, env.observation_space.spaces, envs.observation_space.spaces):
        assert set(each) == names
    envs.step(np.zeros(N, int))
    observations, *_, infos = envs.step(np.zeros(N, int))
    assert envs.observation_space.contains(observations)
    assert envs.observation_space.contains(infos["final_obs"])


def test_an_arm_shows_what_it_lacks_of_the_best_one_and_what_that_pays():
    env = vamdp.ShowTask(gymnasium.make("vamdp/Bandit-v0"), advantage_scale=0.5, gain_scale=2.0)
    task = env.reset(seed=1)[0]["task"]
    p = env.unwrapped.task.reward[:5]
    np.testing.assert_allclose(task[env.task_layout["advantage"]], (p - p.max()) / 0.5, atol=1e-6)
    np.testing.assert_allclose(task[env.task_layout["gain"]], p.max() / 2.0, atol=1e-6)
    assert task[env.task_layout["value"]] == 0.0


@pytest.mark.parametrize("limit", [None, 5])
def test_numbers_are_of_the_state_and_the_steps_left_and_zero_where_the_episode_ended(tools, limit):
    """Followed by hand: the states are seen, and the clock counted here."""
    env = vamdp.ShowTask(single(tools, "blackjack_like", limit), gamma=0.9, advantage_scale=3.0)
    rng, n_terminated = np.random.default_rng(0), 0
    for episode in range(30):
        shown, _ = env.reset(seed=episode if episode % 3 == 0 else None)
        found, elapsed, ended = optimum(env.unwrapped.task, 0.9, limit), 0, False
        while not ended and elapsed < 20:
            left = 1 if limit is None else limit - elapsed
            want = expected(found, shown["observation"], left, 3.0)
            np.testing.assert_allclose(shown["task"], want, rtol=1e-6)
            shown, _, terminated, truncated, _ = env.step(int(rng.integers(2)))
            elapsed, ended = elapsed + 1, terminated or truncated
        if ended:
            np.testing.assert_allclose(shown["task"], expected(found, None, 0, 3.0), rtol=1e-6)
        n_terminated += terminated
    assert 0 < n_terminated < 30 or limit is None


def test_undiscounted_numbers_are_the_oracles(tools):
    """Where nothing ends, a state is worth its total less what the gain makes of its steps."""
    P = np.random.default_rng(0).dirichlet(np.ones(3), (3, 2))
    task = TabularMDP.from_dense(P, np.random.default_rng(1).normal(size=(3, 2)))
    env = vamdp.ShowTask(TimeLimit(vamdp.TaskEnv(lambda rng: task), 4), gamma=1.0)
    shown, _ = env.reset(seed=0)
    for left in (4, 3, 2, 1):
        gain = task.optimal_return(4, 4) / 4
        value = task.optimal_values(left)[shown["observation"]] - left * gain
        np.testing.assert_allclose(shown["task"][2:], [value, gain], atol=1e-6)
        shown = env.step(0)[0]


# Boundaries of meta-episodes


def test_an_inner_restart_shows_the_new_episodes_first_state(tools):
    env = vamdp.ShowTask(
        vamdp.MetaEpisode(single(tools, "blackjack_like", 7), 40, flatten=False), gamma=0.9
    )
    shown, _ = env.reset(seed=0)
    found, elapsed, n_restarts = optimum(env.unwrapped.task, 0.9, 7), 0, 0
    for _ in range(39):
        state = int(shown["state"].argmax())
        np.testing.assert_allclose(shown["task"], expected(found, state, 7 - elapsed), rtol=1e-6)
        shown, *_, info = env.step(0)
        elapsed = 0 if info["episode_end"] else elapsed + 1
        n_restarts += info["episode_end"]
    assert n_restarts > 3


@pytest.mark.parametrize("horizon", [10, 13])
def test_the_last_observation_is_of_the_old_task_and_the_next_of_the_new_one(tools, horizon):
    """At H = 10 the last step also ends an episode, at 13 it cuts one with 7 steps left."""
    envs = vamdp.vector.ShowTask(
        vamdp.vector.MetaEpisode(engine(tools, RandomMDPs(), 10), horizon, flatten=False)
    )
    envs.reset(seed=0)
    for _ in range(3):
        old = [optimum(task, 0.99, 10) for task in envs.get_task()]
        for _ in range(horizon):
            shown, *_, infos = envs.step(np.zeros(N, int))
        new = [optimum(task, 0.99, 10) for task in envs.get_task()]
        final = infos["final_obs"]
        for i in range(N):
            state = int(final["state"][i].argmax())
            want = expected(old[i], state, 0 if horizon == 10 else 7)
            np.testing.assert_allclose(final["task"][i], want, rtol=1e-6)
            state = int(shown["state"][i].argmax())
            np.testing.assert_allclose(shown["task"][i], expected(new[i], state, 10), rtol=1e-6)
            assert old[i].gain != new[i].gain


def test_a_task_that_is_set_is_the_one_that_is_shown():
    bandits = Bandits(n_arms=2)
    tasks = [bandits.task(np.array(p)) for p in ([0.1, 0.9], [0.7, 0.2], [0.4, 0.5])]
    best = [0.9, 0.7, 0.5]
    env = vamdp.ShowTask(chained(vamdp.TaskEnv(bandits)))
    envs = vamdp.vector.ShowTask(chained_batch(vamdp.TaskVectorEnv(bandits, 2)))
    env.reset(seed=0)
    assert env.reset(options={"task": tasks[0]})[0]["task"][3] == pytest.approx(best[0])
    env.step(0)
    env.reset_task(tasks[1])
    assert env.reset()[0]["task"][3] == pytest.approx(best[1])
    envs.reset(seed=0)
    shown, _ = envs.reset(options={"task": tasks[:2]})
    assert shown["task"][:, 3] == pytest.approx(best[:2])
    envs.step(np.array([0, 1]))
    envs.reset_task(tasks[1:])
    assert envs.reset()[0]["task"][:, 3] == pytest.approx(best[1:])


def test_a_time_limit_around_meta_episodes_leaves_a_running_state():
    inner = vamdp.TaskEnv(RandomMDPs())
    env = vamdp.ShowTask(TimeLimit(vamdp.MetaEpisode(TimeLimit(inner, 10), 50), 12))
    env.reset(seed=3)
    for _ in range(12):
        shown, _, terminated, truncated, _ = env.step(0)
    assert truncated and not terminated
    want = expected(optimum(inner.task, 0.99, 10), inner.state, 8)
    np.testing.assert_allclose(shown["task"], want, rtol=1e-6)


# Batches


@pytest.mark.parametrize(("name", "distribution", "limit"), TASKS, ids=[t[0] for t in TASKS])
@pytest.mark.parametrize("in_meta_episodes", [True, False])
@pytest.mark.parametrize("pays_regret", [True, False])
def test_row_i_of_a_batch_equals_the_single_environment(
    tools, name, distribution, limit, in_meta_episodes, pays_regret
):
    options = {"gamma": 0.9, "advantage_scale": 2.0, "gain_scale": 3.0}
    batch, singles = engine(tools, distribution, limit), []
    for _ in range(N):
        env = single(tools, distribution, limit)
        env = chained(env) if in_meta_episodes else env
        env = vamdp.RegretReward(env, gamma=0.9) if pays_regret else env
        singles.append(vamdp.ShowTask(env, **options))
    batch = chained_batch(batch) if in_meta_episodes else batch
    batch = vamdp.vector.RegretReward(batch, gamma=0.9) if pays_regret else batch
    batch = vamdp.vector.ShowTask(batch, **options)
    assert batch.single_observation_space == singles[0].observation_space
    shown = batch.reset(seed=7)[0]
    for i, env in enumerate(singles):
        assert_row(shown, i, env.reset(seed=7 + i)[0])
    rng = np.random.default_rng(1)
    for _ in range(2 * H + 5):
        actions = rng.integers(2, size=N)
        shown, rewards, terminated, truncated, infos = batch.step(actions)
        assert batch.observation_space.contains(shown)
        for i, env in enumerate(singles):
            observation, *rest, _ = env.step(int(actions[i]))
            assert rest == [rewards[i], terminated[i], truncated[i]]
            if rest[1] or rest[2]:
                assert_row(infos["final_obs"], i, observation)
                observation, _ = env.reset()
            assert_row(shown, i, observation)


def assert_row(batch, i, observation):
    assert batch.keys() == observation.keys()
    for name, part in observation.items():
        np.testing.assert_array_equal(batch[name][i], part, err_msg=name)


def test_a_task_is_solved_once_for_what_is_shown_and_what_is_paid(tools, monkeypatch):
    solved = []

    def counting(task, *args, **options):
        solved.append(task)
        return optimum(task, *args, **options)

    monkeypatch.setattr(solved_tasks, "optimum", counting)
    envs = vamdp.vector.RegretReward(chained_batch(engine(tools, RandomMDPs(), 10), 12))
    envs = vamdp.vector.ShowTask(envs)
    env = vamdp.ShowTask(vamdp.RegretReward(chained(single(tools, RandomMDPs(), 10), 12)))
    envs.reset(seed=0)
    env.reset(seed=0)
    for _ in range(12):
        envs.step(np.zeros(N, int))
        env.step(0)
    assert len(solved) == 2 * N + 1  # the batch has begun the next tasks
    other = vamdp.ShowTask(vamdp.RegretReward(single(tools, RandomMDPs(), 10), gamma=0.5))
    assert other.solved_tasks.gamma == 0.99


# Among others


@pytest.mark.parametrize("id", IDS)
def test_gymnasiums_checker_passes(id):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # see test_conformance: of boxes without bounds
        check_env(vamdp.ShowTask(chained(gymnasium.make(id))), skip_render_check=True)
        check_env(vamdp.ShowTask(gymnasium.make(id)), skip_render_check=True)


def test_its_spec_makes_the_same_environment(tools):
    env = vamdp.ShowTask(
        chained(gymnasium.make(IDS[1])), gamma=0.8, advantage_scale=2.0, gain_scale=3.0
    )
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    first, second = tools.play(env, 1, 40), tools.play(again, 1, 40)
    for mine, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine[0]["task"], other[0]["task"])
        assert mine[1:4] == other[1:4]


def test_a_copy_goes_on_alike(tools):
    inner = vamdp.RegretReward(chained(single(tools, "blackjack_like", 7)))
    env = vamdp.ShowTask(inner)
    env.reset(seed=0)
    env.step(1)
    twin = copy.deepcopy(env)
    for a in (0, 1, 1, 0, 1, 0, 0, 1):
        mine, other = env.step(a), twin.step(a)
        np.testing.assert_array_equal(mine[0]["task"], other[0]["task"])
        assert mine[1:4] == other[1:4]


# Errors


def test_environments_that_know_no_table_are_refused(tools):
    message = r"`env` must know its task as a TabularMDP, got <?\w+"
    for make in (
        lambda: gymnasium.make("FrozenLake-v1"),
        lambda: gymnasium.make("CartPole-v1"),
        lambda: vamdp.SampledEnv(lambda rng: vamdp.TaskEnv(Bandits())),
    ):
        with pytest.raises(TypeError, match=message):
            vamdp.ShowTask(make())
        with pytest.raises(TypeError, match=message):
            vamdp.vector.ShowTask(tools.same_step(make, 2))


@pytest.mark.parametrize("wrap", ["RegretReward", "MetaEpisode", "ValueAugment", "ShowTask"])
def test_nothing_goes_around_it_that_would_show_the_task_to_the_actor(tools, wrap):
    options = {"MetaEpisode": {"horizon": 5}, "ValueAugment": {"task_horizon": 5}}.get(wrap, {})
    env = vamdp.ShowTask(single(tools, Bandits(), None))
    envs = vamdp.vector.ShowTask(engine(tools, Bandits(), None))
    with pytest.raises(ValueError, match="`env` must have no ShowTask inside"):
        getattr(vamdp, wrap)(env, **options)
    with pytest.raises(ValueError, match="`env` must have no ShowTask inside"):
        getattr(vamdp.vector, wrap)(envs, **options)


def test_wrong_arguments_are_named(tools):
    env, envs = single(tools, Bandits(), None), engine(tools, Bandits(), None)
    with pytest.raises(TypeError, match=r"Use vamdp.vector.ShowTask"):
        vamdp.ShowTask(envs)
    with pytest.raises(TypeError, match=r"Use vamdp.ShowTask"):
        vamdp.vector.ShowTask(env)
    for make, bare in ((vamdp.ShowTask, env), (vamdp.vector.ShowTask, envs)):
        with pytest.raises(ValueError, match="`gamma` must be below 1 if episodes have no time"):
            make(bare, gamma=1.0)
        with pytest.raises(ValueError, match=r"`advantage_scale` must be .*, got 0"):
            make(bare, advantage_scale=0.0)
        with pytest.raises(ValueError, match=r"`gain_scale` must be .*, got -1"):
            make(bare, gain_scale=-1.0)
    with pytest.raises(ValueError, match="must take the task's own actions"):
        vamdp.ShowTask(StickyAction(env, 0.5))
    space = gymnasium.spaces.Dict({"task": env.observation_space})
    named = gymnasium.wrappers.TransformObservation(env, lambda state: {"task": state}, space)
    with pytest.raises(ValueError, match='must have no key "task", got Dict'):
        vamdp.ShowTask(named)
