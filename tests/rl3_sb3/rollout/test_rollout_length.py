"""How long rollouts and the context are, from what the environments declare."""

import itertools

import gymnasium as gym
import pytest
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv

from rl3_sb3.rollout.rollout_length import environment_id, rollout_and_context_length


def cart(limit=None, horizon=None):
    def make():
        env = gym.make("CartPole-v1", max_episode_steps=-1 if limit is None else limit)
        if horizon is not None:
            env = gym.Wrapper(env)
            env.horizon = horizon
        return env

    return make


def lengths(*fns, n_steps=None, context_length=None):
    return rollout_and_context_length(DummyVecEnv(fns), n_steps, context_length)


@pytest.mark.parametrize("limits", [*itertools.permutations([9, 4, 6])])
def test_the_longest_episode_counts_in_whatever_order(limits):
    assert lengths(*map(cart, limits), n_steps=12) == (12, 9)
    assert lengths(*map(cart, limits)) == (9 * 76, 9)  # 2052 steps; 75 would give 2025


@pytest.mark.parametrize("limits", [(9, None), (None, 9)])
def test_one_that_says_nothing_leaves_all_open(limits):
    assert lengths(*map(cart, limits), n_steps=12) == (12, 12)
    with pytest.raises(ValueError, match="`n_steps` must be given, got None"):
        lengths(*map(cart, limits))


@pytest.mark.parametrize("turned", [1, -1])
def test_a_horizon_is_the_length_of_the_environment_that_has_it(turned):
    # Its spec may tell the limit of the inner episodes.
    fns = [cart(limit=4, horizon=10), cart(limit=6)][::turned]
    assert lengths(*fns, n_steps=24) == (24, 10)


@pytest.mark.parametrize("horizon", [float("inf"), 1e10, 0, -1, 2.5, True, "long", lambda: 6])
def test_a_horizon_that_is_no_length_is_another_word(make_env, horizon):
    assert lengths(cart(6, horizon), n_steps=15) == (15, 6)
    assert lengths(cart(6, horizon)) == (6 * 342, 6)
    env = DummyVecEnv([lambda: make_env(6, horizon=horizon)])
    with pytest.raises(ValueError, match=r"`horizon` that is a positive integer \(it is .*\) nor"):
        rollout_and_context_length(env, None, None)


def test_a_limit_that_is_no_length_is_none():
    def make():
        env = cart(6)()
        env.spec.max_episode_steps = 6.5
        return env

    assert lengths(make, n_steps=10) == (10, 10)


def test_the_context_is_as_long_as_episodes_that_rollouts_cut():
    assert lengths(cart(20), n_steps=8) == (8, 20)
    assert lengths(cart(20), n_steps=8, context_length=8) == (8, 8)  # if this is asked for


@pytest.mark.parametrize("policy", ["TransformerPolicy", "MarkovPolicy", "LstmPolicy"])
def test_a_policy_trained_in_short_rollouts_acts_in_whole_episodes(make_env, make_model, policy):
    def whole():
        env = TimeLimit(make_env(20), 20)
        env.env.spec = gym.spec("CartPole-v1")
        return env

    env = DummyVecEnv([whole] * 2)
    model = make_model(env, policy, n_steps=8).learn(32)
    assert model.policy.context_length in (20, None)
    _, n_steps = evaluate_policy(model, env, 2, warn=False, return_episode_rewards=True)
    assert n_steps == [20, 20]


def test_a_context_that_costs_too_much_is_the_rollouts(make_model):
    many = cart(1_000_000)
    with pytest.warns(UserWarning, match=r"1000000 steps would take 2\.4 GiB in 10 environments"):
        model = make_model(DummyVecEnv([many] * 10), n_steps=8)
    assert model.policy.context_length == 8
    with pytest.warns(UserWarning, match=r"1\.2 GiB"):  # a cache in bfloat16
        make_model(DummyVecEnv([many] * 10), n_steps=8, policy_kwargs={"mixed_precision": True})
    model.learn(80)
    asked = {"context_length": 9}
    assert (
        make_model(DummyVecEnv([many]), n_steps=8, policy_kwargs=asked).policy.context_length == 9
    )


@pytest.mark.parametrize("policy", ["MarkovPolicy", "LstmPolicy"])
def test_what_needs_no_context_pays_for_none(make_model, recwarn, policy):
    make_model(DummyVecEnv([cart(10**9)]), policy, n_steps=8)
    assert not [w for w in recwarn if "context_length" in str(w.message)]


def test_all_environments_have_their_ids_in_the_record():
    both = DummyVecEnv([cart(9), lambda: gym.make("Acrobot-v1")] * 2)
    assert environment_id(both) == "CartPole-v1, Acrobot-v1"
    assert environment_id(DummyVecEnv([cart(9)] * 3)) == "CartPole-v1"
    assert environment_id(None) == ""
