"""Tasks whose states are shown by their coordinates, one at a time and in batches."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import vamdp
from vamdp.domains import GridWorlds, TaskEnv, TaskVectorEnv
from vamdp.mdp.tabular_mdp import TabularMDP

SMALL = ["S  X", "  WG"]


def small(rng):
    return TabularMDP.from_grid(SMALL)


def line(features):
    """One step to the right at a time, the last one ends."""
    P = np.zeros((3, 1, 3))
    P[0, 0, 1] = P[1, 0, 2] = 1.0
    return TabularMDP.from_dense(
        P, np.ones((3, 1)), terminal=[False, False, True], features=features
    )


def test_features_over_the_scale_are_shown_and_read_back():
    features = np.array([[3.0, -7.0], [0.0, 250.0], [-1.0, 4.0]])
    env = TaskEnv(lambda rng: line(features), feature_scale=13)
    assert env.observation_space.shape == (2,)
    np.testing.assert_array_equal(env.observation_space.low, np.float32([-1 / 13, -7 / 13]))
    np.testing.assert_array_equal(env.observation_space.high, np.float32([3 / 13, 250 / 13]))
    seen = [env.reset(seed=0)[0], env.step(0)[0], env.step(0)[0]]
    for observation, expected in zip(seen, features, strict=True):
        assert observation.dtype == np.float32
        assert env.state_key(observation) == tuple(expected.astype(int))
    envs = TaskVectorEnv(lambda rng: line(features), 2, feature_scale=13)
    np.testing.assert_array_equal(envs.state_keys(np.array(seen)), features)


def test_what_is_shown_can_be_changed_without_harm():
    env = TaskEnv(small, feature_scale=4)
    first, _ = env.reset(seed=0)
    first[:] = 99.0
    np.testing.assert_array_equal(env.reset()[0], np.float32([0.25, 0.25]))


@pytest.mark.parametrize("distribution", [small, GridWorlds(11)])
def test_a_batch_shows_what_the_loop_over_single_environments_shows(distribution):
    n, scale = 4, 4
    batch = TaskVectorEnv(distribution, n, feature_scale=scale)
    loop = SyncVectorEnv(
        [lambda: TaskEnv(distribution, feature_scale=scale)] * n,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    assert batch.observation_space == loop.observation_space
    np.testing.assert_array_equal(batch.reset(seed=3)[0], loop.reset(seed=3)[0])
    rng = np.random.default_rng(0)
    n_ends = 0
    for _ in range(400):
        actions = rng.integers(5, size=n)
        ours, theirs = batch.step(actions), loop.step(actions)
        for one, other in zip(ours[:4], theirs[:4], strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        if "final_obs" in theirs[4]:
            ended = theirs[4]["_final_obs"]
            n_ends += ended.sum()
            last = np.stack(list(theirs[4]["final_obs"][ended]))
            np.testing.assert_array_equal(ours[4]["final_obs"][ended], last)
            assert ours[4]["final_obs"].dtype == np.float32
    assert n_ends > 3


@pytest.mark.parametrize("options", [{}, {"cluster_size": 2}])
def test_a_wrapped_batch_equals_the_wrapped_single_environment(options):
    kwargs = {"task_horizon": 50, "gamma": 0.95, "smoothing": 0.01, **options}
    batch = gymnasium.make_vec(
        "vamdp/GridWorld-v0", num_envs=3, vectorization_mode="vector_entry_point"
    )
    batch = vamdp.vector.MetaEpisode(vamdp.vector.ValueAugment(batch, **kwargs), 120)
    single = gymnasium.make("vamdp/GridWorld-v0")
    single = vamdp.MetaEpisode(vamdp.ValueAugment(single, **kwargs), 120)
    seen, alone = batch.reset(seed=8)[0], single.reset(seed=10)[0]
    rng = np.random.default_rng(0)
    n_over = 0
    for _ in range(300):
        np.testing.assert_array_equal(seen[2], alone)
        actions = rng.integers(5, size=3)
        seen, rewards, *_ = batch.step(actions)
        alone, reward, over, *_ = single.step(actions[2])
        assert rewards[2] == reward
        if over:
            n_over += 1
            alone, _ = single.reset()
    assert n_over == 2


def test_a_state_key_of_the_users_own_comes_before_the_batched_one():
    n_states = {}
    for name, key in (("own", lambda observation: 0), ("found", None)):
        batch = TaskVectorEnv(small, 2, feature_scale=4)
        batch = vamdp.vector.ValueAugment(batch, task_horizon=5, state_key=key)
        batch.reset(seed=0)
        for action in (2, 2, 3, 4):
            batch.step(np.array([action, action]))
        n_states[name] = batch.estimator.n_states.max()
    assert n_states["own"] <= 2 < n_states["found"]  # alive, and terminal


@pytest.mark.parametrize("make", [TaskEnv, TaskVectorEnv])
@pytest.mark.parametrize(
    ("distribution", "scale", "message"),
    [
        (lambda rng: line(None), 2.0, "`feature_scale` must be None for tasks without integer"),
        (lambda rng: line(np.full((3, 1), 0.5)), 2.0, "integer features, got 2.0"),
        (
            lambda rng: line(np.array([[2.0**25], [2.0**25 + 1], [0.0]])),
            1.0,
            "`feature_scale` must keep features apart in float32, got 1.0 with features up to",
        ),
        (small, 1e-40, "`feature_scale` must keep features apart in float32, got 1e-40"),
        (small, 0.0, "`feature_scale` must be finite and above 0, got 0.0"),
        (small, float("inf"), "`feature_scale` must be finite and above 0, got inf"),
    ],
)
def test_features_that_cannot_be_shown_are_named(make, distribution, scale, message):
    with pytest.raises(ValueError, match=message):
        make(distribution, feature_scale=scale)


def test_a_task_with_other_features_is_refused_and_changes_nothing():
    env, envs = (make(small, feature_scale=4) for make in (TaskEnv, TaskVectorEnv))
    mirrored = TabularMDP.from_dense(
        np.broadcast_to(np.eye(8)[:, None], (8, 5, 8)), np.zeros((8, 5)), features=np.ones((8, 2))
    )
    env.reset(seed=0)
    with pytest.raises(ValueError, match="`task` must have the features of the other tasks"):
        env.set_task(mirrored)
    assert env.task.grid == tuple(SMALL)
    env.step(0)  # the episode still runs
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"`task\[0\]` must have the features of the other tasks"):
        envs.set_task([mirrored])
    envs.step(np.array([0]))
