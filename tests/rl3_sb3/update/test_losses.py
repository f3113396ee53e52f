import math

import pytest
import torch as th
from gymnasium import spaces
from torch.distributions import Categorical, kl_divergence

from rl3_sb3.distribution import action_distribution, check_action_space, divergence, sample_actions
from rl3_sb3.rollout.buffer import SequenceBatch
from rl3_sb3.update.losses import Weights, actor_terms, value_loss

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


def weights(n_steps, mean=0.0, scale=1.0):
    return Weights(0.2, 0.0, 0.5, n_steps, mean, scale, return_mean=0.0, return_scale=1.0)


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
        weights(4),
    )
    assert terms.policy_loss.item() == pytest.approx(-(1.1 + 1.2 + 0.2 - 0.8) / 4)
    assert terms.clip_fraction.item() == pytest.approx(3 / 4)


def test_entropy_is_the_mean_over_steps():
    terms = actor_terms(policy(0.5, 1.0), batch([0, 0], [HALF, 0.0], [1.0, 2.0]), weights(2))
    assert terms.entropy.item() == pytest.approx(math.log(2) / 2, abs=1e-5)


def test_padding_counts_nowhere():
    steps = ([0, 1, 0], [HALF] * 3, [1.0, -2.0, 3.0], [1.0, 0.0, 2.0])
    padded = ([0, 1, 0, 1, 1], [HALF] * 3 + [9.0] * 2, [1.0, -2.0, 3.0, 50.0, -7.0])
    mask = [True, True, True, False, False]
    real = actor_terms(policy(0.6, 0.3, 0.9), batch(*steps), weights(3))
    with_padding = actor_terms(
        policy(0.6, 0.3, 0.9, 0.2, 0.7), batch(*padded, mask=mask), weights(3)
    )
    th.testing.assert_close(th.stack(real), th.stack(with_padding))
    values = th.tensor([[0.0, 1.0, 5.0, 100.0, 100.0]])
    padded_batch = batch(*padded, returns=[1.0, 0.0, 2.0, 0.0, 0.0], mask=mask)
    # (1 + 1 + 9) / 3
    assert value_loss(values, padded_batch, weights(3)).item() == pytest.approx(11 / 3)
    assert value_loss(values[:, :3], batch(*steps), weights(3)).item() == pytest.approx(11 / 3)


def test_parts_of_a_minibatch_add_up_to_the_whole():
    columns = ([0, 1, 0], [HALF] * 3, [1.0, -2.0, 3.0], [1.0, 0.0, 2.0])
    chances = (0.6, 0.3, 0.9)
    values = th.tensor([[0.0, 1.0, 5.0]])
    whole = weights(3, mean=0.5, scale=2.0)

    def terms(part):
        steps = batch(*(column[part] for column in columns))
        actor = actor_terms(policy(*chances[part]), steps, whole)
        return th.stack([*actor, value_loss(values[:, part], steps, whole)])

    parts = terms(slice(0, 1)) + terms(slice(1, 3))
    th.testing.assert_close(parts, terms(slice(0, 3)))
    # (1 - 0.5) * 2 etc.: advantages 1, -5, 5; ratios 1.2, 1.4 -> 1.4 (pessimistic), 1.8 -> 1.2
    assert parts[0].item() == pytest.approx(-(1.2 * 1 - 1.4 * 5 + 1.2 * 5) / 3)


def test_categorical_divergence_by_hand():
    space = spaces.Discrete(2)
    p = th.tensor([0.5, 0.5]).log()
    q = th.tensor([0.25, 0.75]).log() + 3  # logits, not yet normalised
    # 1/2 log 2 + 1/2 log(2/3) = 1/2 log(4/3)
    assert divergence(space, p, q).item() == pytest.approx(0.5 * math.log(4 / 3))


def test_gaussian_divergence_by_hand():
    space = spaces.Box(-1, 1, (2,))
    p = th.tensor([0.0, 1.0, 0.0, 0.0])
    q = th.tensor([2.0, 1.0, 0.0, math.log(2)])
    # (mean 0 -> 2, sd 1): 2^2 / 2 = 2;  (sd 1 -> 2): log 2 + 1/8 - 1/2
    assert divergence(space, p, q).item() == pytest.approx(2 + math.log(2) + 1 / 8 - 1 / 2)


@pytest.mark.parametrize("space", [spaces.Discrete(4), spaces.Box(-1, 1, (2,))])
def test_the_divergence_is_the_one_of_torchs_distributions(space):
    params, others = th.randn(2, 7, 3, 4, generator=th.Generator().manual_seed(0))
    expected = kl_divergence(action_distribution(space, params), action_distribution(space, others))
    th.testing.assert_close(divergence(space, params, others), expected)


def test_actions_are_drawn_with_their_probabilities():
    th.manual_seed(0)
    probabilities = th.tensor([0.5, 0.3, 0.2, 0.0])
    logits = (probabilities.log() + 5).expand(100_000, 4)
    actions = sample_actions(spaces.Discrete(4), logits, slice(None), 100_000)
    shares = th.bincount(actions, minlength=4) / 100_000
    th.testing.assert_close(shares, probabilities, atol=0.006, rtol=0)  # 4 standard errors
    assert shares[3] == 0


def test_continuous_actions_are_drawn_with_their_mean_and_deviation():
    th.manual_seed(0)
    params = th.tensor([1.0, -2.0, math.log(0.5), math.log(3)]).expand(100_000, 4)
    actions = sample_actions(spaces.Box(-1, 1, (2,)), params, slice(None), 100_000)
    th.testing.assert_close(actions.mean(0), th.tensor([1.0, -2.0]), atol=0.04, rtol=0)
    th.testing.assert_close(actions.std(0), th.tensor([0.5, 3.0]), atol=0, rtol=0.01)


@pytest.mark.parametrize("space", [spaces.Discrete(4), spaces.Box(-1, 1, (2,))])
def test_parts_of_a_batch_draw_what_the_whole_batch_draws(space):
    params = th.randn(10, 4, generator=th.Generator().manual_seed(0))

    def draw(*parts):
        actions = []
        for part in parts:
            th.manual_seed(3)  # as on another rank
            actions.append(sample_actions(space, params[part], part, 10))
        return th.cat(actions)

    whole = draw(slice(0, 10))
    assert th.equal(draw(slice(0, 4), slice(4, 10)), whole)
    assert len(whole.unique()) > 1


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
