import numpy as np
import pytest
import torch as th
from torch import nn

from rl3_sb3.update.units import PLAIN, Units, in_units, units_of


class Rollout:
    """Just the numbers that are asked for."""

    def __init__(self, returns, values):
        self.returns, self.values = np.array([returns], float), np.array([values], float)
        self.ends = np.zeros_like(self.returns, dtype=bool)


@pytest.mark.parametrize(
    ("returns", "values", "expected"),
    [
        ([1, 3], [1, 3], (2, 1)),  # the spread of the returns
        ([1, 3], [11, 13], (2, 10)),  # the critic's error, which is larger
        ([5, 5], [2, 2], (5, 3)),
        ([0, 0], [0, 0], (0, 1)),  # nothing to tell a size from
    ],
)
def test_the_unit_is_the_returns_spread_or_the_critics_error(returns, values, expected):
    assert units_of(Rollout(returns, values)) == pytest.approx(expected)


def test_a_last_layer_speaks_other_units_for_a_while():
    th.manual_seed(0)
    head, x = nn.Linear(4, 1).double(), th.randn(7, 4, dtype=th.float64)
    before = head(x).detach()
    with in_units(head, Units(mean=30.0, size=12.0)):
        th.testing.assert_close(head(x), (before - 30) / 12)
    th.testing.assert_close(head(x), before)
    with in_units(head, PLAIN):
        th.testing.assert_close(head(x), before, atol=0, rtol=0)


def test_it_speaks_plain_units_again_after_an_error():
    head = nn.Linear(4, 1)
    before = head.weight.clone()
    with pytest.raises(ZeroDivisionError), in_units(head, Units(1.0, 4.0)):
        raise ZeroDivisionError
    th.testing.assert_close(head.weight, before)


@pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy"])
@pytest.mark.parametrize("max_grad_norm", [None, 0.5])
def test_the_unit_of_rewards_is_all_one(make_vec, make_model, policy, max_grad_norm):
    """Rewards times 1000, and a critic that knows it: the same actor, 1000 times the values."""
    values, actors = [], []
    for factor in (1.0, 1000.0):
        env = make_vec([4, 3, 7])
        step = env.step_wait

        def scaled(step=step, factor=factor):
            obs, rewards, dones, infos = step()
            return obs, rewards * factor, dones, infos

        env.step_wait = scaled
        model = make_model(env, policy, n_steps=8, max_grad_norm=max_grad_norm)
        with th.no_grad():
            for parameter in model.policy.critic.head.parameters():
                parameter.mul_(factor)
        model.learn(72)
        tokens = th.randn(2, 6, 4, generator=th.Generator().manual_seed(1))
        with th.no_grad():
            values.append(model.policy.sequence_values(tokens) / factor)
            actors.append(model.policy.sequence_params(tokens))
    th.testing.assert_close(*actors, atol=1e-3, rtol=0)
    th.testing.assert_close(*values, atol=1e-3, rtol=0)
    assert values[0].abs().max() > 0.01, "values of nothing would be equal, too"
