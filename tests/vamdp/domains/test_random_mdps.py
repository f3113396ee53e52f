import numpy as np
import pytest

from vamdp.domains import RandomMDPs
from vamdp.mdp.tabular_mdp import TabularMDP

N_TASKS = 300


def drawn(distribution):
    """P (N, S, A, S') and R (N, S, A) of many tasks."""
    S, A = distribution.n_states, distribution.n_actions
    rng = np.random.default_rng(0)
    tasks = [distribution(rng) for _ in range(N_TASKS)]
    P = np.array([task.probability[:-1].reshape(S, A, S) for task in tasks])
    R = np.array([task.reward[:-1].reshape(S, A, S) for task in tasks])
    assert (R == R[..., :1]).all()
    return P, R[..., 0]


@pytest.mark.parametrize(("ood", "alpha"), [(False, 1.0), (True, 0.25)])
def test_transition_probabilities_are_dirichlet(ood, alpha):
    P, _ = drawn(RandomMDPs(ood=ood))
    np.testing.assert_allclose(P.sum(axis=-1), 1.0)
    variance = 0.1 * 0.9 / (10 * alpha + 1)  # of a component of a symmetric Dirichlet
    assert P.mean() == pytest.approx(0.1)
    assert P.var() == pytest.approx(variance, rel=0.03)


def test_mean_rewards_are_normal_around_1():
    _, R = drawn(RandomMDPs())
    assert abs(R.mean() - 1.0) < 4 / R.size**0.5
    assert abs(R.std() - 1.0) < 4 / (2 * R.size) ** 0.5


def test_a_sampled_task_equals_the_checked_one():
    task = RandomMDPs(n_states=4, n_actions=3)(np.random.default_rng(0))
    P = task.probability[:-1].reshape(4, 3, 4)
    checked = TabularMDP.from_dense(P, task.reward[:-1].reshape(4, 3, 4)[:, :, 0], reward_noise=1.0)
    for name in ("n_states", "n_actions", "reward_noise", "features"):
        assert getattr(task, name) == getattr(checked, name)
    for name in ("rows", "probability", "successor", "reward", "ends"):
        np.testing.assert_array_equal(getattr(task, name), getattr(checked, name))
        assert getattr(task, name).dtype == getattr(checked, name).dtype


@pytest.mark.parametrize("kwargs", [dict(n_states=0), dict(n_actions=0)])
def test_sizes_below_1_are_refused(kwargs):
    with pytest.raises(ValueError, match="must be an integer of at least 1, got 0"):
        RandomMDPs(**kwargs)


@pytest.mark.parametrize("alpha", [0.05, 2.5])
def test_the_concentration_is_the_dirichlet_distributions(alpha):
    P, _ = drawn(RandomMDPs(concentration=alpha))
    np.testing.assert_allclose(P.sum(axis=-1), 1.0)
    assert P.var() == pytest.approx(0.1 * 0.9 / (10 * alpha + 1), rel=0.03)


@pytest.mark.parametrize(("ood", "usual"), [(False, 1.0), (True, 0.25)])
def test_the_usual_concentrations_need_not_be_said(ood, usual):
    for one, other in zip(
        drawn(RandomMDPs(ood=ood)), drawn(RandomMDPs(concentration=usual)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"concentration": 0.0}, "`concentration` must be finite and above 0, got 0.0"),
        ({"concentration": 1e308}, r"`concentration` must be at most 1e\+30 in size, got 1e\+308"),
        ({"concentration": float("nan")}, "`concentration` must be finite and above 0, got nan"),
        ({"concentration": 2.0, "ood": True}, "`concentration` must be left out with `ood`"),
    ],
)
def test_a_concentration_that_is_none_is_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        RandomMDPs(**kwargs)
