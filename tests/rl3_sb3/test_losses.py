import math

import pytest
import torch as th
from gymnasium import spaces
from torch.distributions import Categorical, kl_divergence

from rl3_sb3.buffer import SequenceBatch
from rl3_sb3.distribution import action_distribution, check_action_space
from rl3_sb3.losses import actor_terms, normalized, value_loss

HALF = math.log(0.5)


def batch(actions, log_probs, advantages, returns=None, mask=None):
    zeros = th.zeros(1, len(actions))
    return SequenceBatch(
        tokens=zeros,
        actions=th.tensor([actions]),
        params=zeros,
        log_probs=th.tensor([log_probs]),
        advantages=th.tensor([advantages]),
        returns=zeros if returns is None else th.tensor([returns]),
        mask=None if mask is None else th.tensor([mask]),
    )


def policy(*first_action_probability):
    """Two actions; the probability of action 0 at each step."""
    p = th.tensor([first_action_probability])
    return Categorical(probs=th.stack([p, 1 - p], dim=-1))


def test_policy_loss_of_unclipped_and_clipped_ratios():
    # behaviour 1/2 each; ratios 1.1, 1.8, 0.2, 0.2; clip 0.2; advantages 1, 1, 1, -1
    # min: 1.1, 1.2 (clipped), 0.2 (not: the pessimistic bound), -0.8 (clipped)
    terms = actor_terms(
        policy(0.55, 0.9, 0.1, 0.1),
        batch([0, 0, 0, 0], [HALF] * 4, [1.0, 1.0, 1.0, -1.0]),
        clip_range=0.2,
        normalize_advantage=False,
    )
    assert terms.policy_loss.item() == pytest.approx(-(1.1 + 1.2 + 0.2 - 0.8) / 4)
    assert terms.clip_fraction.item() == pytest.approx(3 / 4)


def test_entropy_is_the_mean_over_steps():
    terms = actor_terms(policy(0.5, 1.0), batch([0, 0], [HALF, 0.0], [1.0, 2.0]), 0.2, False)
    assert terms.entropy.item() == pytest.approx(math.log(2) / 2, abs=1e-5)


def test_padding_counts_nowhere():
    steps = ([0, 1, 0], [HALF] * 3, [1.0, -2.0, 3.0], [1.0, 0.0, 2.0])
    padded = ([0, 1, 0, 1, 1], [HALF] * 3 + [9.0] * 2, [1.0, -2.0, 3.0, 50.0, -7.0])
    mask = [True, True, True, False, False]
    real = actor_terms(policy(0.6, 0.3, 0.9), batch(*steps), 0.2, True)
    with_padding = actor_terms(
        policy(0.6, 0.3, 0.9, 0.2, 0.7), batch(*padded, mask=mask), 0.2, True
    )
    th.testing.assert_close(th.stack(real), th.stack(with_padding))
    values = th.tensor([[0.0, 1.0, 5.0, 100.0, 100.0]])
    padded_batch = batch(*padded, returns=[1.0, 0.0, 2.0, 0.0, 0.0], mask=mask)
    # (1 + 1 + 9) / 3
    assert value_loss(values, padded_batch).item() == pytest.approx(11 / 3)
    assert value_loss(values[:, :3], batch(*steps)).item() == pytest.approx(11 / 3)


def test_normalized_advantages_by_hand():
    # mean 2, unbiased variance (1 + 0 + 1) / 2 = 1
    th.testing.assert_close(normalized(th.tensor([1.0, 2, 3]), None), th.tensor([-1.0, 0, 1]))


@pytest.mark.parametrize("mask", [None, th.tensor([True])])
def test_a_single_advantage_normalises_to_zero(mask):
    assert normalized(th.tensor([3.0]), mask).tolist() == [0]


def test_equal_advantages_normalise_to_zero():
    assert normalized(th.full((4,), 3.0), None).abs().max() == 0


def test_categorical_divergence_by_hand():
    space = spaces.Discrete(2)
    p = action_distribution(space, th.tensor([0.5, 0.5]).log())
    q = action_distribution(space, th.tensor([0.25, 0.75]).log())
    # 1/2 log 2 + 1/2 log(2/3) = 1/2 log(4/3)
    assert kl_divergence(p, q).item() == pytest.approx(0.5 * math.log(4 / 3))


def test_gaussian_divergence_by_hand():
    space = spaces.Box(-1, 1, (2,))
    p = action_distribution(space, th.tensor([0.0, 1.0, 0.0, 0.0]))
    q = action_distribution(space, th.tensor([2.0, 1.0, 0.0, math.log(2)]))
    # (mean 0 -> 2, sd 1): 2^2 / 2 = 2;  (sd 1 -> 2): log 2 + 1/8 - 1/2
    assert kl_divergence(p, q).item() == pytest.approx(2 + math.log(2) + 1 / 8 - 1 / 2)


def test_gaussian_log_probability_sums_the_dimensions():
    normal = action_distribution(spaces.Box(-1, 1, (2,)), th.zeros(4))
    expected = -math.log(2 * math.pi) - 0.5
    assert normal.log_prob(th.tensor([1.0, 0.0])).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.MultiDiscrete([2, 2]), "must be Discrete or Box"),
        (spaces.MultiBinary(3), "must be Discrete or Box"),
        (spaces.Discrete(3, start=1), "must start at 0"),
    ],
)
def test_other_action_spaces_are_refused(space, message):
    with pytest.raises(ValueError, match=message):
        check_action_space(space)
