"""SB3's evaluation, beside training and after it."""

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy

from .parts import EACH


@EACH
def test_evaluation_of_environments_that_end_at_different_times(make_vec, make_model, policy):
    lengths = [2, 3, 7, 4]
    model = make_model(make_vec(lengths), policy, n_steps=7)
    th.nn.init.normal_(model.policy.actor.head.weight)

    def evaluate(lengths, seed, episodes):
        env = make_vec(lengths)
        env.seed(seed)
        rewards, counts = evaluate_policy(
            model, env, episodes, return_episode_rewards=True, warn=False
        )
        return sorted(zip(counts, np.round(rewards, 4), strict=True))

    together = evaluate(lengths, seed=5, episodes=10)  # 3, 3, 2, 2: some stop earlier than others
    alone = []
    for i, episodes in enumerate([2, 2, 3, 3]):
        alone += evaluate(lengths[i : i + 1], seed=5 + i, episodes=episodes)
    assert together == sorted(alone)


def test_evaluation_during_training(make_vec, make_model):
    model = make_model(make_vec([4] * 3), n_steps=4)
    callback = EvalCallback(make_vec([2, 4]), n_eval_episodes=4, eval_freq=3, verbose=0, warn=False)
    model.learn(48, callback=callback)
    assert callback.n_calls == 16
    assert np.isfinite(callback.last_mean_reward)
