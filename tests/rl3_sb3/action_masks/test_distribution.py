"""Forbidden actions have probability 0."""

import math

import pytest
import torch as th
from torch.distributions import kl_divergence

from rl3_sb3.distribution import action_distribution, divergence, only_allowed, sample_actions

from .masked import THREE


def test_masked_log_probability_and_entropy_are_those_of_the_allowed_actions():
    logits = th.tensor([0.0, 50.0, math.log(3)])
    masked = only_allowed(logits, th.tensor([True, False, True]))
    distribution = action_distribution(THREE, masked)
    # the two allowed ones have weights 1 and 3
    assert distribution.log_prob(th.tensor(0)).item() == pytest.approx(math.log(1 / 4))
    assert distribution.log_prob(th.tensor(2)).item() == pytest.approx(math.log(3 / 4))
    entropy = 1 / 4 * math.log(4) + 3 / 4 * math.log(4 / 3)
    assert distribution.entropy().item() == pytest.approx(entropy)
    assert distribution.probs[1].item() == 0
    assert distribution.mode.item() == 2


def test_masked_divergence_is_that_of_the_allowed_actions():
    mask = th.tensor([True, True, False])
    p = only_allowed(th.tensor([0.0, math.log(3), 7.0]), mask)  # 1/4, 3/4
    q = only_allowed(th.tensor([0.0, 0.0, -9.0]), mask)  # 1/2, 1/2
    expected = 1 / 4 * math.log(1 / 2) + 3 / 4 * math.log(3 / 2)
    assert divergence(THREE, p, q).item() == pytest.approx(expected)
    torchs = kl_divergence(action_distribution(THREE, p), action_distribution(THREE, q))
    assert torchs.item() == pytest.approx(expected)


def test_where_one_action_is_allowed_nothing_is_left_to_chance():
    only = only_allowed(th.tensor([[5.0, -8.0, 2.0]]), th.tensor([[False, True, False]]))
    distribution = action_distribution(THREE, only)
    assert distribution.entropy().item() == 0
    assert distribution.log_prob(th.tensor([1])).item() == 0
    assert divergence(THREE, only, only).item() == 0


def test_draws_never_take_a_forbidden_action_and_keep_the_others_proportions():
    n = 20_000
    mask = th.tensor([True, False, True]).expand(n, 3)
    logits = only_allowed(th.tensor([0.0, 30.0, math.log(3)]).expand(n, 3), mask)
    th.manual_seed(0)
    actions = sample_actions(THREE, logits, slice(None), n)
    counts = actions.bincount(minlength=3).tolist()
    assert counts[1] == 0
    assert counts[2] / n == pytest.approx(3 / 4, abs=0.015)


def test_the_gradient_of_a_forbidden_actions_logit_is_zero():
    logits = th.tensor([[0.3, 1.0, -0.4], [0.2, 0.1, 0.5]], requires_grad=True)
    mask = th.tensor([[True, False, True], [True, True, False]])
    masked = only_allowed(logits, mask)
    distribution = action_distribution(THREE, masked)
    behaviour = only_allowed(th.zeros(2, 3), mask)
    loss = (
        distribution.log_prob(th.tensor([0, 1])).sum()
        + 10 * distribution.entropy().sum()
        + divergence(THREE, behaviour, masked).sum()
    )
    (gradient,) = th.autograd.grad(loss, logits)
    assert gradient.isfinite().all()
    assert (gradient[~mask] == 0).all()
    assert (gradient[mask] != 0).all()
