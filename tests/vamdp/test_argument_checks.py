"""What is no number is named like a number out of its range, and not by Python."""

import inspect
import sys

import numpy as np
import pytest

import vamdp
from vamdp import argument_checks, domains
from vamdp.baselines.bandits import EpsilonGreedy, discounted_gittins_indices
from vamdp.baselines.tabular import RMax
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


def learned(name, **options):
    """What a learner estimates for state 0 after a few steps."""
    learner = made(name, **options)
    learner.begin_tasks(np.ones(1, bool), [0])
    learner.begin_episodes(np.ones(1, bool), np.zeros((1, 1)), None)
    for _ in range(5):
        learner.update([[0.0]], [0], [1.0], [[0.0]], [False])
    return learner.q_values([[0.0]])


def steps(max_episode_steps):
    envs = vamdp.TaskVectorEnv(domains.RandomMDPs(), 2, max_episode_steps=max_episode_steps)
    envs.reset(seed=0)
    return envs.step(np.zeros(2, int))[0]


def first_action(task_horizon):
    agent = RMax(2, 3, task_horizon=task_horizon, lookahead=2, m=task_horizon)
    agent.start(1, seed=0)
    return agent.act(np.zeros(1, int))


@pytest.mark.parametrize(
    "n", [2**53 + 1, sys.maxsize, 2**63, 10**20], ids=["2**53", "maxsize", "2**63", "10**20"]
)
@pytest.mark.parametrize(
    "result",
    [
        lambda n: learned("model-based", task_horizon=n, gamma=0.5),
        lambda n: learned("kernel", task_horizon=n, gamma=0.5, max_representatives=n),
        lambda n: learned("posterior-sampling", task_horizon=n, gamma=0.5),
        lambda n: learned("linear", n_improvements=n),
        lambda n: vamdp.value_iteration(P, R, max_sweeps=n, gamma=0.5).V,
        lambda n: vamdp.TabularMDP.from_dense(P, R).optimal_values(n, 0.5),
        steps,
        first_action,
    ],
)
def test_a_limit_too_large_for_compiled_code_is_none(result, n):
    np.testing.assert_array_equal(result(n), result(10**6))


@pytest.mark.parametrize("value", ["False", 0.2, "no", 1, None], ids=repr)
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("ood", lambda x: domains.Bandits(ood=x)),
        ("ood", lambda x: domains.RandomMDPs(ood=x)),
        ("slippery", lambda x: domains.FrozenLakes(slippery=x)),
        ("warm_start", lambda x: vamdp.ValueEstimator(2, task_horizon=5, gamma=0.5, warm_start=x)),
    ],
)
def test_what_is_no_bool_does_not_count_as_true(name, make, value):
    with pytest.raises(ValueError, match=f"`{name}` must be True or False, got {value!r}"):
        make(value)
    make(np.True_)


def test_an_end_that_is_no_bool_is_not_learned():
    estimator = vamdp.ValueEstimator(2, task_horizon=5)
    for end in ("False", 0.5, [True], 2):
        with pytest.raises(ValueError, match="`terminated` must be a bool, got"):
            estimator.update(0, 0, 1.0, 1, end)
    assert estimator.n_states == 0
    estimator.update(0, 0, 1.0, 1, np.True_)
    assert estimator.n_states == 2
