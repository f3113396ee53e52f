"""What is no number is named like a number out of its range, and not by Python."""

import inspect

import numpy as np
import pytest

import vamdp
from vamdp import argument_checks, domains
from vamdp.baselines.bandits import EpsilonGreedy, discounted_gittins_indices
from vamdp.estimators import BUILT_INS

NO_NUMBERS = (None, "0.5", [0.5], np.nan, {})
P, R = np.ones((1, 1, 1)), np.ones((1, 1))


def made(name, **options):
    return BUILT_INS[name].make(1, 2, 5, options)


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("gamma", lambda x: vamdp.ValueEstimator(2, task_horizon=5, gamma=x)),
        ("tolerance", lambda x: vamdp.ValueEstimator(2, task_horizon=5, tolerance=x)),
        ("task_horizon", lambda x: vamdp.ValueEstimator(2, task_horizon=x)),
        ("gamma", lambda x: made("linear", gamma=x)),
        ("learning_rate", lambda x: made("q-learning", learning_rate=x)),
        ("rate_power", lambda x: made("q-learning", rate_power=x)),
        ("initial_value", lambda x: made("dyna-q", initial_value=x)),
        ("prior_mean", lambda x: made("posterior-sampling", prior_mean=x)),
        ("gamma", lambda x: vamdp.value_iteration(P, R, max_sweeps=1, gamma=x)),
        ("max_sweeps", lambda x: vamdp.value_iteration(P, R, max_sweeps=x)),
        ("tolerance", lambda x: vamdp.value_iteration(P, R, max_sweeps=1, tolerance=x)),
        ("gamma", lambda x: vamdp.TabularMDP.from_dense(P, R).optimal_values(3, x)),
        ("gamma", lambda x: discounted_gittins_indices(x, horizon=2)),
        ("epsilon", lambda x: EpsilonGreedy(2, epsilon=x)),
        ("concentration", lambda x: domains.RandomMDPs(concentration=x or "")),
        ("n_arms", lambda x: domains.Bandits(x)),
        ("feature_scale", lambda x: vamdp.TaskEnv(domains.GridWorlds(), feature_scale=x or "")),
        ("num_envs", lambda x: vamdp.TaskVectorEnv(domains.Bandits(), x)),
    ],
)
def test_no_number_is_named(name, make, value):
    with pytest.raises(ValueError, match=f"`{name}` must be .*, got"):
        make(value)


def test_every_check_of_a_number_refuses_what_is_none():
    checks = [
        function
        for name, function in inspect.getmembers(argument_checks, inspect.isfunction)
        if name.startswith("check_")
    ]
    assert len(checks) > 5
    for check in checks:
        arguments = ("x",) if len(inspect.signature(check).parameters) == 2 else ()
        check(*arguments, 1)
        for value in NO_NUMBERS:
            with pytest.raises(ValueError, match="must be"):
                check(*arguments, value)


@pytest.mark.parametrize("limit", [2.5, 2.0, 0, "3"])
@pytest.mark.parametrize("kind", ["table", "sampled"])
def test_a_time_limit_is_whole_steps(kind, limit):
    """2.5 was taken for 3 steps by the one, for 2 by the other."""
    with pytest.raises(ValueError, match="`max_episode_steps` must be an integer of at least 1"):
        if kind == "table":
            vamdp.TaskVectorEnv(domains.RandomMDPs(), 2, max_episode_steps=limit)
        else:
            vamdp.SampledVectorEnv(domains.CartPoles(), 2, max_episode_steps=limit)
