import copy
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers import (
    RecordEpisodeStatistics,
    StickyAction,
    TimeLimit,
)
from gymnasium.wrappers.vector import RecordEpisodeStatistics as RecordBatchStatistics

import vamdp
from vamdp.domains import Bandits, GridWorlds, RandomMDPs
from vamdp.mdp.optimal_advantages import optimal_advantages, optimum
from vamdp.wrappers import solved_tasks

N, H = 4, 23  # H is no multiple of the episodes' length: the last episode is cut

IDS = ["vamdp/Bandit-v0", "vamdp/RandomMDP-v0", "vamdp/GridWorld-v0", "vamdp/FrozenLake-v0"]

TASKS = [
    ("bandits", Bandits(), None),
    ("random MDPs", RandomMDPs(), 10),
    ("ends in states of play", "blackjack_like", None),
    ("the same with a limit", "blackjack_like", 7),
]


def chained(env, horizon=H):
    return vamdp.MetaEpisode(vamdp.ValueAugment(env, task_horizon=5), horizon)


def chained_batch(envs, horizon=H):
    return vamdp.vector.MetaEpisode(vamdp.vector.ValueAugment(envs, task_horizon=5), horizon)


def single(tools, distribution, limit):
    distribution = getattr(tools, distribution) if isinstance(distribution, str) else distribution
    env = vamdp.TaskEnv(distribution)
    return env if limit is None else TimeLimit(env, limit)


def engine(tools, distribution, limit, n=N):
    distribution = getattr(tools, distribution) if isinstance(distribution, str) else distribution
    return vamdp.TaskVectorEnv(distribution, n, max_episode_steps=limit)


# What changes, and what does not


@pytest.mark.parametrize("id", IDS)
@pytest.mark.parametrize("wrap", [chained, lambda env: env], ids=["in meta-episodes", "bare"])
def test_only_the_reward_changes(tools, id, wrap):
    bare = tools.play(wrap(gymnasium.make(id)), 3, 60)
    ours = tools.play(vamdp.RegretReward(wrap(gymnasium.make(id))), 3, 60)
    for theirs, mine in zip(bare, ours, strict=True):
        np.testing.assert_array_equal(mine[0], theirs[0])
        if len(theirs) == 5:
            assert mine[2:4] == theirs[2:4]
            info = dict(mine[4])
            assert info.pop("reward") == theirs[1]
            assert info.keys() == theirs[4].keys()
            assert isinstance(mine[1], float)
            assert mine[1] <= 0.0
    assert any(mine[1] < 0.0 for mine in ours if len(mine) == 5)


def test_each_step_pays_the_advantage_of_its_state_action_and_clock(tools):
    """Followed by hand: the states are seen, and the clock counted here."""
    env = vamdp.RegretReward(single(tools, "blackjack_like", 5), gamma=0.9)
    rng = np.random.default_rng(0)
    for episode in range(30):
        state, elapsed, ended = env.reset(seed=episode if episode % 3 == 0 else None)[0], 0, False
        A = optimal_advantages(env.unwrapped.task, 0.9, 5)
        while not ended:
            action = int(rng.integers(2))
            next_state, reward, terminated, truncated, _ = env.step(action)
            assert reward == A[5 - elapsed - 1, state, action]
            state, elapsed, ended = next_state, elapsed + 1, terminated or truncated


def test_an_arm_pays_what_it_lacks_of_the_best_one():
    env = vamdp.RegretReward(chained(gymnasium.make("vamdp/Bandit-v0"), 5))
    env.reset(seed=1)
    p = env.unwrapped.task.reward[:5]
    assert [env.step(a)[1] for a in range(5)] == pytest.approx(p - p.max())


@pytest.mark.parametrize("limit", [None, 4])
def test_the_mean_signal_is_the_mean_return_minus_the_optimum(tools, limit):
    """Of 3000 sampled meta-episodes from one task and policy; the clock of the task included."""
    gamma, n, steps = 0.7, 3000, 30  # gamma**30 < 3e-5
    task = tools.blackjack_like(np.random.default_rng(5))
    envs = vamdp.TaskVectorEnv(lambda rng: task, n, max_episode_steps=limit)
    envs = vamdp.vector.RegretReward(vamdp.vector.MetaEpisode(envs, steps), gamma=gamma)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    signal, paid = np.zeros((2, n))
    for t in range(steps):
        _, rewards, _, _, infos = envs.step(rng.integers(2, size=n))
        signal, paid = signal + gamma**t * rewards, paid + gamma**t * infos["reward"]
    differences = paid - signal  # the optimum's value, but for noise
    optimum = optimum_for_ever(task, gamma, limit)
    error = differences.std() / np.sqrt(n)
    assert abs(differences.mean() - optimum) < 4 * error
    assert error < 0.1 * abs(optimum)


def optimum_for_ever(task, gamma, limit):
    start, S = task.start_distribution, task.n_states
    rows = np.repeat(np.arange(S * 2), np.diff(task.rows[:-1]))
    K = task.rows[-2]
    V = np.zeros((limit or 1, S))
    for _ in range(300):
        fresh = start @ V[-1]
        before = np.vstack([np.full(S, fresh), V[:-1]]) if limit else V
        for k in range(len(V)):
            following = np.where(task.ends[:K], fresh, before[k][task.successor[:K]])
            worth = task.probability[:K] * (task.reward[:K] + gamma * following)
            V[k] = np.bincount(rows, worth, S * 2).reshape(S, 2).max(axis=1)
    return start @ V[-1]


# Batches


@pytest.mark.parametrize(("name", "distribution", "limit"), TASKS, ids=[t[0] for t in TASKS])
@pytest.mark.parametrize("in_meta_episodes", [True, False])
def test_row_i_of_a_batch_equals_the_single_environment(
    tools, name, distribution, limit, in_meta_episodes
):
    batch, singles = engine(tools, distribution, limit), []
    for _ in range(N):
        env = single(tools, distribution, limit)
        singles.append(vamdp.RegretReward(chained(env) if in_meta_episodes else env, gamma=0.9))
    batch = vamdp.vector.RegretReward(
        chained_batch(batch) if in_meta_episodes else batch, gamma=0.9
    )
    shown = batch.reset(seed=7)[0]
    for i, env in enumerate(singles):
        np.testing.assert_array_equal(shown[i], env.reset(seed=7 + i)[0])
    rng = np.random.default_rng(1)
    for _ in range(2 * H + 5):
        actions = rng.integers(2, size=N)
        shown, rewards, terminated, truncated, infos = batch.step(actions)
        for i, env in enumerate(singles):
            observation, *rest, info = env.step(int(actions[i]))
            assert rest == [rewards[i], terminated[i], truncated[i]]
            assert infos["reward"][i] == info["reward"]
            assert infos["_reward"][i]
            if rest[1] or rest[2]:
                assert infos["final_info"]["reward"][i] == info["reward"]
                assert infos["final_info"]["_reward"][i]
                np.testing.assert_array_equal(infos["final_obs"][i], observation)
                observation, _ = env.reset()
            np.testing.assert_array_equal(shown[i], observation)


def test_observations_of_a_batch_are_the_same_without(tools):
    streams = []
    for wrap in (lambda envs: envs, vamdp.vector.RegretReward):
        envs = wrap(chained_batch(engine(tools, RandomMDPs(), 10), 12))
        rng, stream = np.random.default_rng(2), [envs.reset(seed=4)[0]]
        for _ in range(30):
            observations, rewards, *_, infos = envs.step(rng.integers(5, size=N))
            stream += [observations, infos.get("reward", rewards)]
        streams.append(stream)
    for theirs, mine in zip(*streams, strict=True):
        np.testing.assert_array_equal(theirs, mine)


def test_the_step_before_the_next_task_is_paid_by_its_own_task():
    envs = vamdp.vector.RegretReward(vamdp.vector.MetaEpisode(vamdp.TaskVectorEnv(Bandits(), N), 3))
    envs.reset(seed=0)
    for _ in range(4):  # meta-episodes
        p = np.array([task.reward[:5] for task in envs.get_task()])
        for t in range(3):
            actions = np.full(N, t)
            rewards = envs.step(actions)[1]
            np.testing.assert_allclose(rewards, p[:, t] - p.max(axis=1))
    assert not np.array_equal(p[0], envs.get_task()[0].reward[:5])


def test_only_new_tasks_are_solved(monkeypatch):
    solved = []

    def counting(task, *args, **options):
        solved.append(task)
        return optimum(task, *args, **options)

    monkeypatch.setattr(solved_tasks, "optimum", counting)
    env = vamdp.RegretReward(chained(vamdp.TaskEnv(Bandits()), 5))
    envs = vamdp.vector.RegretReward(vamdp.TaskVectorEnv(Bandits(), 3))
    env.reset(seed=0)
    for _ in range(5):
        env.step(0)
    assert len(solved) == 1
    env.reset()
    env.step(0)
    assert len(solved) == 2
    solved.clear()
    envs.reset(seed=0)
    envs.step(np.zeros(3, int))
    envs.step(np.zeros(3, int))
    assert len(solved) == 3
    envs.reset(options={"new_task": True, "reset_mask": np.array([False, True, False])})
    envs.step(np.zeros(3, int))
    assert solved[3:] == [envs.get_task()[1]]


# Tasks that are set, and steps that fail


def test_a_task_that_is_set_is_the_one_that_pays():
    bandits = Bandits(n_arms=2)
    tasks = [bandits.task(np.array(p)) for p in ([0.1, 0.9], [0.7, 0.2], [0.4, 0.5])]
    env = vamdp.RegretReward(chained(vamdp.TaskEnv(bandits)))
    envs = vamdp.vector.RegretReward(chained_batch(vamdp.TaskVectorEnv(bandits, 2)))
    env.reset(seed=0)
    env.step(0)
    env.reset(options={"task": tasks[0]})
    assert env.step(0)[1] == pytest.approx(-0.8)
    env.reset_task(tasks[1])
    env.reset()
    assert env.step(1)[1] == pytest.approx(-0.5)
    envs.reset(seed=0)
    envs.step(np.array([0, 0]))
    envs.reset(options={"task": tasks[:2]})
    assert envs.step(np.array([0, 1]))[1] == pytest.approx([-0.8, -0.5])
    envs.reset_task(tasks[1:])
    envs.reset()
    assert envs.step(np.array([1, 0]))[1] == pytest.approx([-0.5, -0.1])


def test_a_step_that_fails_leaves_the_next_ones_as_they_were(tools):
    class Fragile(gymnasium.Wrapper):
        fails = False

        def step(self, action):
            result = self.env.step(action)
            if self.fails:
                raise RuntimeError("lost")
            return result

    fragile = Fragile(single(tools, "blackjack_like", 5))
    env = vamdp.RegretReward(fragile, gamma=0.9)
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="`action`"):
        env.step(2)
    env.step(0)
    fragile.fails = True
    with pytest.raises(RuntimeError):
        env.step(0)
    fragile.fails = False
    env.reset(options={"new_task": True})
    A, state = optimal_advantages(env.unwrapped.task, 0.9, 5), env.unwrapped.state
    assert env.step(1)[1] == A[4, state, 1]
    envs = vamdp.vector.RegretReward(engine(tools, "blackjack_like", 5), gamma=0.9)
    with pytest.raises(ResetNeeded):
        envs.step(np.zeros(N, int))
    envs.reset(seed=0)
    for bad in (np.full(N, 2), np.zeros(N), np.zeros(N + 1, int)):
        with pytest.raises((ValueError, TypeError), match="`actions"):
            envs.step(bad)
    states = envs.unwrapped.states
    tables = [optimal_advantages(task, 0.9, 5)[4] for task in envs.get_task()]
    expected = [A[s, 1] for A, s in zip(tables, states, strict=True)]
    assert envs.step(np.ones(N, int))[1].tolist() == expected


# Among other wrappers


def test_statistics_inside_report_true_returns(tools):
    env = vamdp.RegretReward(chained(RecordEpisodeStatistics(gymnasium.make(IDS[1])), 20))
    envs = vamdp.vector.RegretReward(
        chained_batch(RecordBatchStatistics(engine(tools, RandomMDPs(), 10)), 20)
    )
    env.reset(seed=0)
    envs.reset(seed=0)
    paid, paid_batch = 0.0, np.zeros(N)
    for _ in range(20):
        _, reward, *_, info = env.step(0)
        _, rewards, *_, infos = envs.step(np.zeros(N, int))
        assert reward <= 0.0
        assert (rewards <= 0.0).all()
        paid, paid_batch = paid + info["reward"], paid_batch + infos["reward"]
    assert info["episode"]["r"] == pytest.approx(paid)
    np.testing.assert_allclose(infos["final_info"]["episode"]["r"], paid_batch)
    bare = vamdp.RegretReward(RecordEpisodeStatistics(vamdp.TaskEnv(Bandits())))
    bare.reset(seed=0)
    info = bare.step(0)[4]
    assert info["episode"]["r"] == info["reward"]


def test_sb3_finds_horizon_and_layout_and_each_rows_reward(tools):
    pytest.importorskip("stable_baselines3")
    rl3_sb3 = pytest.importorskip("rl3_sb3")
    envs = vamdp.vector.RegretReward(chained_batch(engine(tools, Bandits(), None), 3))
    vec_env = rl3_sb3.GymnasiumVecEnv(envs, info_keys=("reward",))
    assert vec_env.get_attr("horizon") == [3] * N
    assert vec_env.get_attr("layout")[0] == envs.env.layout
    vec_env.reset()
    for t in range(3):
        _, rewards, dones, infos = vec_env.step(np.zeros(N, int))
        assert (rewards <= 0.0).all()
        assert dones.all() == (t == 2)
        assert {info["reward"] for info in infos} <= {0.0, 1.0}


@pytest.mark.parametrize("id", IDS)
def test_gymnasiums_checker_passes(id):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # see test_conformance: of boxes without bounds
        check_env(vamdp.RegretReward(chained(gymnasium.make(id))), skip_render_check=True)
        check_env(vamdp.RegretReward(gymnasium.make(id)), skip_render_check=True)


@pytest.mark.parametrize("id", IDS)
def test_its_spec_makes_the_same_environment(tools, id):
    env = vamdp.RegretReward(chained(gymnasium.make(id)), gamma=0.8)
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    first, second = tools.play(env, 1, 40), tools.play(again, 1, 40)
    for mine, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine[0], other[0])
        assert mine[1:4] == other[1:4]


def test_a_copy_goes_on_alike(tools):
    env = vamdp.RegretReward(chained(single(tools, "blackjack_like", 7)))
    env.reset(seed=0)
    env.step(1)
    twin = copy.deepcopy(env)
    for a in (0, 1, 1, 0, 1, 0, 0, 1):
        mine, other = env.step(a), twin.step(a)
        np.testing.assert_array_equal(mine[0], other[0])
        assert mine[1:4] == other[1:4]


class Knowing(gymnasium.Env):
    """One's own simulator: a task of two states, first of which ends where action 1 is taken."""

    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2, start=3)

    def __init__(self):
        self.task = vamdp.TabularMDP.from_dense(
            np.ones((1, 2, 1)), [[0.0, 1.0]], terminal=np.array([[[False], [True]]])
        )
        self.state = self.elapsed_steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.elapsed_steps = 0
        return 0, {}

    def step(self, action):
        self.elapsed_steps += 1
        return 0, float(action == 4), bool(action == 4), False, {}


def test_an_environment_of_ones_own_that_knows_its_task_will_do():
    env = vamdp.RegretReward(Knowing(), gamma=0.5)  # V = 1 / (1 - 0.5)
    env.reset()
    assert env.step(3)[1] == pytest.approx(0.5 * 2.0 - 2.0)
    assert env.step(4)[1] == 0.0


# Errors


def lake():
    return gymnasium.make("FrozenLake-v1")


def held():
    return vamdp.HoldSeed(vamdp.TaskEnv(Bandits()))


def sampled():
    return vamdp.SampledEnv(lambda rng: vamdp.TaskEnv(Bandits()))


@pytest.mark.parametrize("make", [lake, sampled, held, lambda: vamdp.HoldSeed(lake())])
@pytest.mark.parametrize("wrap", [chained, lambda env: env])
def test_environments_that_know_no_table_are_refused(tools, make, wrap):
    message = r"`env` must know its task as a TabularMDP, got <?\w+"
    with pytest.raises(TypeError, match=message):
        vamdp.RegretReward(wrap(make()))
    with pytest.raises(TypeError, match=message):
        vamdp.vector.RegretReward(tools.same_step(lambda: wrap(make()), 2))


def test_gamma_1_needs_a_time_limit(tools):
    with pytest.raises(ValueError, match="`gamma` must be below 1 if episodes have no time"):
        vamdp.RegretReward(single(tools, Bandits(), None), gamma=1.0)
    with pytest.raises(ValueError, match="`gamma` must be below 1 if episodes have no time"):
        vamdp.vector.RegretReward(engine(tools, Bandits(), None), gamma=1.0)
    vamdp.RegretReward(single(tools, Bandits(), 3), gamma=1.0)
    vamdp.vector.RegretReward(engine(tools, Bandits(), 3), gamma=1.0)
    with pytest.raises(ValueError, match=r"`gamma` must be in \[0, 1\], got 1.5"):
        vamdp.RegretReward(single(tools, Bandits(), 3), gamma=1.5)


def test_the_wrong_kind_of_environment_is_refused(tools):
    with pytest.raises(TypeError, match=r"Use vamdp.vector.RegretReward"):
        vamdp.RegretReward(engine(tools, Bandits(), None))
    with pytest.raises(TypeError, match=r"Use vamdp.RegretReward"):
        vamdp.vector.RegretReward(single(tools, Bandits(), None))


def test_wrappers_that_change_actions_are_refused(tools):
    with pytest.raises(ValueError, match="must take the task's own actions"):
        vamdp.RegretReward(StickyAction(single(tools, Bandits(), None), 0.5))


@pytest.mark.parametrize("name", ["MaxAndSkipObservation", "RepeatAction"])
@pytest.mark.parametrize("wrap", [vamdp.RegretReward, vamdp.ShowTask])
def test_wrappers_that_repeat_actions_are_refused(name, wrap):
    repeats = getattr(gymnasium.wrappers, name, None)
    if repeats is None:
        pytest.skip(f"this version of gymnasium has no {name}")
    env = repeats(vamdp.TaskEnv(GridWorlds(11), feature_scale=11), 2)
    if wrap is vamdp.ShowTask:
        env = vamdp.MetaEpisode(env, 20)
    with pytest.raises(ValueError, match=f"must take the task's own actions, got <{name}"):
        wrap(env)


def test_a_time_limit_around_meta_episodes_is_none_of_the_episodes():
    """They are cut by what is inside alone: each first step pays its advantage for ever."""
    inner = vamdp.TaskEnv(GridWorlds(11))
    for limit, env in ((None, inner), (60, TimeLimit(inner, 60))):
        env = vamdp.RegretReward(TimeLimit(vamdp.MetaEpisode(env, 50), 5), gamma=0.9)
        paid = []
        for action in range(env.action_space.n):
            env.reset(seed=3)
            s = inner.state
            paid.append(env.step(action)[1])
        A = optimal_advantages(inner.task, 0.9, limit)
        assert paid == A[-1, s].tolist()
        assert min(paid) < 0


@pytest.mark.parametrize("wrap", ["RegretReward", "MetaEpisode", "ValueAugment"])
def test_nothing_goes_around_it_that_would_learn_from_it(tools, wrap):
    """Or training's privileged reward would be seen by the agent."""
    options = {"MetaEpisode": {"horizon": 5}, "ValueAugment": {"task_horizon": 5}}.get(wrap, {})
    env = vamdp.RegretReward(single(tools, Bandits(), None))
    envs = vamdp.vector.RegretReward(engine(tools, Bandits(), None))
    with pytest.raises(ValueError, match="`env` must have no RegretReward inside"):
        getattr(vamdp, wrap)(env, **options)
    with pytest.raises(ValueError, match="`env` must have no RegretReward inside"):
        getattr(vamdp.vector, wrap)(envs, **options)


def test_a_batch_that_restarts_one_step_later_is_refused():
    class Later(VectorEnv):
        metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012
        num_envs, max_episode_steps = 2, None
        tasks = states = elapsed_steps = ()
        single_action_space = gymnasium.spaces.Discrete(2)
        single_observation_space = gymnasium.spaces.Discrete(2)

    with pytest.raises(ValueError, match="SAME_STEP"):
        vamdp.vector.RegretReward(Later())
