"""tianshou's Collector and TorchRL's environments around ours, where they are installed."""

import gymnasium
import numpy as np
import pytest

import vamdp

H = 17  # no multiple of the episodes' 10 steps
ENVS = ["vamdp/Bandit-v0", "vamdp/RandomMDP-v0", "FrozenLake-v1"]


def meta(id, flatten=True):
    env = vamdp.ValueAugment(gymnasium.make(id), task_horizon=10, flatten=flatten)
    return vamdp.MetaEpisode(env, H, flatten=flatten)


@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize("id", ENVS)
@pytest.mark.parametrize("wrapped", ["values", "meta-episodes"])
def test_torchrls_checker_passes(id, flatten, wrapped):
    envs = pytest.importorskip("torchrl.envs")
    env = meta(id, flatten)
    envs.check_env_specs(envs.GymWrapper(env if wrapped == "meta-episodes" else env.env))


@pytest.mark.parametrize("id", ENVS)
def test_a_rollout_of_torchrl_is_a_meta_episode(id):
    envs = pytest.importorskip("torchrl.envs")
    theirs, ours = envs.GymWrapper(meta(id), categorical_action_encoding=True), meta(id)
    theirs.set_seed(3)  # resets; the rollout does so again
    ours.reset(seed=3)
    shown = ours.reset()[0]
    played = theirs.rollout(3 * H, break_when_any_done=False)
    ends = played["next", "terminated"][:, 0].tolist()
    assert ends == [t % H == H - 1 for t in range(3 * H)]
    assert not played["next", "truncated"].any()
    for t in range(3 * H):
        np.testing.assert_array_equal(played["observation"][t], shown)
        shown, reward, terminated, *_ = ours.step(int(played["action"][t]))
        assert played["next", "reward"][t].item() == pytest.approx(reward)
        np.testing.assert_array_equal(played["next", "observation"][t], shown)
        if terminated:
            shown = ours.reset()[0]


@pytest.mark.parametrize("id", ENVS)
@pytest.mark.parametrize("n_envs", [1, 3])
def test_tianshous_collector_counts_meta_episodes(id, n_envs):
    pytest.importorskip("tianshou")
    from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.utils.net.common import Net
    from tianshou.utils.net.discrete import DiscreteActor

    env = meta(id)
    net = Net(state_shape=env.observation_space.shape, hidden_sizes=(4,))
    policy = DiscreteActorPolicy(
        actor=DiscreteActor(preprocess_net=net, action_shape=env.action_space.n),
        action_space=env.action_space,
    )
    envs = DummyVectorEnv([lambda: meta(id)] * n_envs)
    buffer = VectorReplayBuffer(1000, n_envs)
    found = Collector(policy, envs, buffer).collect(
        n_episode=2 * n_envs, reset_before_collect=True, gym_reset_kwargs={"seed": 3}
    )
    assert found.lens.tolist() == [H] * 2 * n_envs
    data, _ = buffer.sample(0)  # all of it
    assert data.terminated.sum() == 2 * n_envs
    assert not data.truncated.any()
    assert found.returns.sum() == pytest.approx(data.rew.sum())
    if n_envs == 1:  # the first meta-episode played again
        shown = env.reset(seed=3)[0]
        for t in range(H):
            np.testing.assert_array_equal(data.obs[t], shown)
            shown, reward, *_ = env.step(data.act[t])
            assert data.rew[t] == pytest.approx(reward)
            np.testing.assert_array_equal(data.obs_next[t], shown)
