"""Rollouts hold what happened, and what the policy thought of it."""

import numpy as np
import pytest
import torch as th

from .parts import ALIGNED, EACH, RAGGED, REMEMBERING, real_steps


@EACH
@pytest.mark.parametrize("kwargs", [{}, {"box_actions": True}, {"dict_obs": True}])
@pytest.mark.parametrize("lengths", [ALIGNED, RAGGED])
def test_rollout_log_probabilities_and_values_equal_evaluation(collected, lengths, kwargs, policy):
    model = collected(lengths, policy=policy, **kwargs)
    for batch in model.rollout_buffer.get(None):
        values, log_probs, _ = model.policy.evaluate_actions(batch.tokens, batch.actions)
        real = real_steps(batch)
        th.testing.assert_close(log_probs[real], batch.log_probs[real], atol=1e-5, rtol=1e-5)
        stored = (batch.returns - batch.advantages)[real]
        th.testing.assert_close(values[real], stored, atol=1e-5, rtol=1e-5)
        assert (batch.mask is None) == (lengths is ALIGNED)


def test_the_policy_collects_what_the_environment_did(collected, make_vec):
    model = collected(RAGGED)
    buffer, replay = model.rollout_buffer, make_vec(RAGGED)
    replay.seed(0)
    obs = replay.reset()
    for t in range(8):
        np.testing.assert_array_equal(buffer._stored["tokens"][:, t], obs)
        obs, rewards, dones, _ = replay.step(buffer._stored["actions"][:, t].numpy())
        np.testing.assert_array_equal(buffer.rewards[:, t], rewards)
        np.testing.assert_array_equal(buffer.ends[:, t], dones | (t == 7))


@EACH
def test_a_truncated_episode_is_bootstrapped_in_context(collected, make_vec, policy):
    settings = {"truncates": True, "gae_lambda": 0.0, "gamma": 0.9}
    model = collected([4, 3], n_steps=6, policy=policy, **settings)
    buffer, replay = model.rollout_buffer, make_vec([4, 3], truncates=True)
    replay.seed(0)
    obs, contexts = replay.reset(), [[], []]
    checked = 0
    for t in range(6):
        for i in range(2):
            contexts[i].append(obs[i])
        obs, rewards, dones, infos = replay.step(buffer._stored["actions"][:, t].numpy())
        for i in range(2):
            if dones[i] or t == 5:
                last = infos[i]["terminal_observation"] if dones[i] else obs[i]
                context = th.as_tensor(np.stack([*contexts[i], last]))[None]
                with th.no_grad():
                    value = model.policy.sequence_values(context)[0, -1].item()
                assert buffer.returns[i, t] == pytest.approx(rewards[i] + 0.9 * value, abs=1e-5)
                contexts[i] = []
                checked += 1
    assert checked == 4


def test_nothing_is_bootstrapped_after_a_termination(collected):
    buffer = collected([4, 3], n_steps=6).rollout_buffer
    ends = buffer.ends.copy()
    ends[0, 5] = False  # still running there: bootstrapped
    np.testing.assert_allclose(buffer.returns[ends], buffer.rewards[ends], atol=1e-5)
    assert abs(buffer.returns[0, 5] - buffer.rewards[0, 5]) > 1e-4


@REMEMBERING
def test_a_new_rollout_clears_the_memory_but_not_the_environment(collected, policy):
    model = collected([100, 100], n_steps=5, policy=policy)
    last_obs = model._last_obs.copy()
    _, callback = model._setup_learn(1, reset_num_timesteps=False)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, 5)
    np.testing.assert_array_equal(model.rollout_buffer._stored["tokens"][:, 0], last_obs)
    batch = next(model.rollout_buffer.get(None))
    # evaluated from the rollout's first step on: nothing before it was remembered
    _, log_probs, _ = model.policy.evaluate_actions(batch.tokens, batch.actions)
    th.testing.assert_close(log_probs, batch.log_probs, atol=1e-5, rtol=1e-5)
