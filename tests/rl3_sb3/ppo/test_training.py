"""One update: its loss, when the actor stops, its schedules."""

import copy
import itertools

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from torch.distributions import kl_divergence

from .parts import ALIGNED, RAGGED, real_steps, snapshot


def test_the_actor_stops_alone_when_the_divergence_passes_the_target(collected):
    model = collected(ALIGNED, n_epochs=5, batch_size=8, target_kl=1e-12, learning_rate=1e-2)
    model.train()
    log = model.logger.name_to_value
    assert log["train/actor_epochs"] == 1
    assert log["train/kl"] > 1e-12
    steps = [
        {int(model.policy.optimizer.state[p]["step"]) for p in group["params"]}
        for group in model.policy.optimizer.param_groups
    ]
    assert steps == [{3}, {15}]  # 24 steps in 3 minibatches; the actor's moments rest too


@pytest.mark.parametrize(("factor", "goes_on"), [(0.9, False), (1.1, True)])
def test_the_actor_stops_at_the_target_itself(collected, factor, goes_on):
    first = collected(RAGGED, n_epochs=1, target_kl=None)
    first.train()
    divergence = first.logger.name_to_value["train/kl"]
    assert divergence == pytest.approx(first.mean_divergence(), rel=1e-9)
    assert divergence > 0
    again = collected(RAGGED, n_epochs=2, target_kl=factor * divergence)
    again.train()
    assert again.logger.name_to_value["train/actor_epochs"] == 1 + goes_on


def test_a_stopped_actor_keeps_its_weights_and_the_critic_goes_on(collected):
    def after(n_epochs):
        model = collected(ALIGNED, n_epochs=n_epochs, target_kl=1e-12, learning_rate=1e-2)
        model.train()
        return snapshot(model.policy.actor), snapshot(model.policy.critic)

    (actor, critic), (actor_on, critic_on) = after(1), after(4)
    assert all(th.equal(actor[name], actor_on[name]) for name in actor)
    assert not any(th.equal(critic[name], critic_on[name]) for name in critic)


def test_when_the_actor_stops_before_a_frozen_critic_the_iteration_is_over(collected):
    model = collected(ALIGNED, n_epochs=5, target_kl=1e-12, learning_rate=1e-2)
    model.policy.critic.requires_grad_(False)
    before = model.policy.parameters_to_vector()
    model.train()
    assert model.logger.name_to_value["train/actor_epochs"] == 1
    assert not np.array_equal(model.policy.parameters_to_vector(), before)


@pytest.mark.parametrize("target_kl", [None, 1e9])
def test_without_a_reached_target_the_actor_trains_in_all_epochs(collected, target_kl):
    model = collected(ALIGNED, n_epochs=3, target_kl=target_kl)
    model.train()
    assert model.logger.name_to_value["train/actor_epochs"] == 3


@pytest.mark.parametrize("kwargs", [{}, {"box_actions": True}])
@pytest.mark.parametrize("lengths", [ALIGNED, RAGGED])
def test_the_divergence_is_the_exact_one_over_the_whole_rollout(collected, lengths, kwargs):
    model = collected(lengths, learning_rate=1e-2, **kwargs)
    assert model.mean_divergence() == pytest.approx(0, abs=1e-6)
    model.train()
    total = []
    for batch in model.rollout_buffer.get(1, shuffle=False):
        old = model.policy.distribution(batch.params)
        new = model.policy.distribution(model.policy.sequence_params(batch.tokens).detach())
        total += kl_divergence(old, new)[real_steps(batch)].tolist()
    assert len(total) == 24
    assert model.logger.name_to_value["train/kl"] == pytest.approx(np.mean(total), rel=1e-4)


@pytest.mark.parametrize(
    ("policy", "factor"), [("TransformerPolicy", 1.05), ("LstmPolicy", 3), ("MarkovPolicy", 1.5)]
)
def test_one_update_follows_the_gradient_of_the_written_loss(collected, policy, factor):
    """The loss of the module's docstring, computed step by step from the stored rollout."""
    settings = {"batch_size": 10**6, "ent_coef": 0.3, "vf_coef": 0.7}
    settings |= {"normalize_returns": False, "max_grad_norm": None}
    model = collected(RAGGED, policy=policy, n_epochs=1, **settings)
    policy = copy.deepcopy(model.policy)
    with th.no_grad():  # a behaviour that differs from the current policy, so that ratios matter
        for p in (*model.policy.actor.parameters(), *policy.actor.parameters()):
            p.mul_(factor)
    model.train()

    parts = []
    for batch in model.rollout_buffer.get(4, shuffle=False):
        evaluated = policy.evaluate_actions(batch.tokens, batch.actions)
        columns = (*evaluated, batch.log_probs, batch.advantages, batch.returns)
        parts.append([column[real_steps(batch)] for column in columns])
    values, log_probs, entropy, old, advantages, returns = map(th.cat, zip(*parts, strict=True))
    assert len(values) == 24
    advantages = (advantages - advantages.mean()) / advantages.std()
    ratio = (log_probs - old).exp()
    assert (ratio - 1).abs().max() > 1e-3
    gain = th.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()
    loss = -gain - 0.3 * entropy.mean() + 0.7 * ((values - returns) ** 2).mean()
    loss.backward()
    for (name, ours), theirs in zip(
        model.policy.named_parameters(), policy.parameters(), strict=True
    ):
        if name.endswith("qkv.bias"):  # the key part has exactly zero gradient: only rounding
            continue
        th.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-3)


def test_schedules_see_progress_from_1_to_0_and_never_below(make_vec, make_model):
    seen = []

    def schedule(progress):
        seen.append(progress)
        return progress

    model = make_model(make_vec([4] * 3), n_steps=4, ent_coef=schedule, clip_range=0.2)
    model.learn(30)  # 12 steps an iteration: the third overshoots
    np.testing.assert_allclose(seen, [1 - 12 / 30, 1 - 24 / 30, 0])
    assert model.logger.name_to_value["train/ent_coef"] == 0


def test_gradient_clipping_bounds_the_norm_of_each_network_only_if_asked(collected):
    def norm(network, **kwargs):
        model = collected(ALIGNED, n_epochs=1, batch_size=24, **kwargs)
        model.train()
        parameters = getattr(model.policy, network).parameters()
        return th.stack([p.grad.norm() for p in parameters]).norm().item()

    assert norm("actor", max_grad_norm=None) > 0.02
    for network in ("actor", "critic"):
        assert norm(network, max_grad_norm=0.01) == pytest.approx(0.01, rel=1e-3)


def test_the_same_seed_gives_the_same_model(make_vec, make_model):
    def weights(seed, lengths=RAGGED):
        model = make_model(make_vec(lengths), n_steps=8, seed=seed)
        model.learn(48)
        return model.policy.parameters_to_vector()

    np.testing.assert_array_equal(weights(3), weights(3))
    assert np.abs(weights(3) - weights(4)).max() > 1e-4


def test_lambda_follows_its_schedule_from_the_rollouts_first_step_on(make_vec, make_model):
    seen = []

    class Look(BaseCallback):
        def _on_step(self):
            return True

        def _on_rollout_end(self):
            seen.append(self.model.rollout_buffer.gae_lambda)

    model = make_model(make_vec([4, 4]), n_steps=4, gae_lambda=lambda progress: 1 - progress)
    n_steps = model.n_steps * model.n_envs
    model.learn(4 * n_steps, Look())
    model.learn(2 * n_steps, Look(), reset_num_timesteps=False)
    model.learn(2 * n_steps, Look())
    assert seen == pytest.approx([0, 0.25, 0.5, 0.75, 4 / 6, 5 / 6, 0, 0.5])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(["clip_range", "ent_coef", "learning_rate"], [-1.0, np.nan]),
        ("ent_coef", np.inf),
        ("learning_rate", np.inf),
    ],
)
def test_a_schedule_that_leaves_its_range_is_named_before_anything_is_trained(
    make_vec, make_model, name, value
):
    schedule = lambda left: 0.1 if left == 1 else value  # noqa: E731 # 1 when the model is made
    model = make_model(make_vec([4, 4]), n_steps=4, **{name: schedule})
    before = model.policy.parameters_to_vector()
    with pytest.raises(ValueError, match=rf"`{name}` must stay at least 0.*, got {value}"):
        model.learn(1)
    np.testing.assert_array_equal(model.policy.parameters_to_vector(), before)


def test_without_a_bound_of_the_ratio_nothing_is_clipped(make_vec, make_model):
    model = make_model(make_vec([4, 4]), n_steps=4, clip_range=np.inf, learning_rate=0.1)
    model.learn(16)
    assert model.logger.name_to_value["train/clip_fraction"] == 0


def test_a_schedule_that_leaves_lambdas_range_is_named(make_vec, make_model):
    model = make_model(make_vec([4, 4]), n_steps=4, gae_lambda=lambda progress: 2.0)
    with pytest.raises(ValueError, match=r"`gae_lambda` must stay in \[0, 1\], got 2.0"):
        model.learn(1)
