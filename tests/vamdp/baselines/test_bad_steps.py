"""What does not fit an agent's tasks is named before compiled code indexes with it."""

import numpy as np
import pytest

from vamdp.baselines import BASELINES, TaskFacts
from vamdp.domains import Bandits, GridWorlds, RandomMDPs

N, S, A = 2, 10, 5


def facts_of(distribution, n_states, task_horizon):
    return TaskFacts(
        n_states=n_states,
        n_actions=A,
        horizon=20,
        task_horizon=task_horizon,
        distribution=distribution,
        prior_options={"task_horizon": task_horizon, "prior_mean": 0.5, "prior_weight": 1.0},
    )


BANDIT = facts_of(Bandits(A), 1, 1)
MDP = facts_of(RandomMDPs(S, A), S, 10)
GRID = facts_of(GridWorlds(11), 121, 20)
BANDITS = (
    "bandit-greedy", "bandit-eps-greedy", "thompson", "optimistic-thompson", "ucb1",
    "gittins-discounted", "gittins",
)  # fmt: skip
TABULAR = (
    "greedy", "eps-greedy", "psrl", "optimistic-psrl", "ucrl2", "beb", "r-max",
)  # fmt: skip
# Their learner numbers whatever states there are, and has such tests of its own.
ON_VALUES = {"certainty-equivalent", "vamdp-bonus", "prior-values"}
CASES = [
    *((name, BANDIT) for name in BANDITS),
    *((name, MDP) for name in TABULAR),
    ("informed", GRID),
]


def test_every_agent_that_learns_is_here():
    known = {name for name, _ in CASES}
    learns = set(BASELINES) - {"random"} - ON_VALUES
    assert known == learns, "add the new one to BANDITS or TABULAR"


def made(name, facts):
    options = {"r_max": 2.0} if name == "r-max" else {}
    agent = BASELINES[name].make(facts, **options)
    agent.start(N, seed=0)
    return agent


def step(**changes):
    good = {
        "states": [0, 0],
        "actions": [1, 2],
        "rewards": [1.0, 0.0],
        "next_states": [0, 0],
        "terminated": np.array([False, True]),
        "truncated": np.array([False, False]),
    }
    return [np.asarray(value) for value in (good | changes).values()]


@pytest.mark.parametrize(("name", "facts"), CASES)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actions": [1, A]}, r"`actions\[1\]` must be in \[0, 5\), got 5"),
        ({"actions": [-1, 0]}, r"`actions\[0\]` must be in \[0, 5\), got -1"),
        ({"actions": [1]}, r"`actions` must be integers of shape \(2,\), got int64 of shape \(1,"),
        ({"actions": [0.0, 1.0]}, r"`actions` must be integers of shape \(2,\), got float64"),
        ({"rewards": [1.0]}, r"`rewards` must have shape \(2,\), got \(1,\)"),
        ({"rewards": [1.0, np.nan]}, r"`rewards\[1\]` must be (finite|0 or 1), got nan"),
        ({"states": [0, -1]}, r"`states\[1\]` must be in \[0, \d+\), got -1"),
        ({"states": [0, 10**6]}, r"`states\[1\]` must be in \[0, \d+\), got 1000000"),
        ({"states": [0] * 3}, r"`states` must be integers of shape \(2,\), got int64 of shape"),
        ({"next_states": [10**6, 0]}, r"`next_states\[0\]` must be in \[0, \d+\), got 1000000"),
        ({"next_states": [0]}, r"`next_states` must be integers of shape \(2,\)"),
        ({"terminated": [False]}, r"`terminated` must have shape \(2,\), got \(1,\)"),
        ({"truncated": [0, 1]}, r"`truncated` must be bools, got int64"),
    ],
)
def test_a_step_that_does_not_fit_is_named_and_nothing_is_learned(name, facts, changes, message):
    (argument,) = changes
    if facts is BANDIT and argument not in ("actions", "rewards"):
        made(name, facts).learn(*step(**changes))  # a bandit has one state and no ends
        return
    agent, same = made(name, facts), made(name, facts)
    for each in (agent, same):
        each.learn(*step())
    with pytest.raises(ValueError, match=message):
        agent.learn(*step(**changes))
    for _ in range(3):
        seen = np.zeros(N, np.int64)
        np.testing.assert_array_equal(agent.act(seen), same.act(seen))
        for each in (agent, same):
            each.learn(*step())


@pytest.mark.parametrize("seen", [[0, 10**6], [-1, 0], [0], [0.0, 0.0]])
@pytest.mark.parametrize(("name", "facts"), CASES)
def test_states_that_do_not_fit_are_named(name, facts, seen):
    agent = made(name, facts)
    if facts is BANDIT:
        assert agent.act(np.array(seen)).shape == (N,)  # whatever is seen: there is one state
    else:
        with pytest.raises(ValueError, match=r"`states(\[\d\])?` must be .*, got"):
            agent.act(np.array(seen))


def test_a_prior_without_a_bonus_makes_values_without_one():
    agent = BASELINES["prior-values"].make(MDP)
    agent.start(N, seed=0)
    assert agent.estimator.options.bonus == 0.0


EVERYONE = [*CASES, ("random", MDP), *((name, MDP) for name in sorted(ON_VALUES))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "`n_tasks` must be an integer of at least 1, got 0"),
        ((-1, 0), "`n_tasks` must be an integer of at least 1, got -1"),
        (("x", 0), "`n_tasks` must be .* got 'x'"),
        ((2, -1), "`seed` must be an integer of at least 0, got -1"),
        ((2, "x"), "`seed` must be .* got 'x'"),
        ((2, None), "`seed` must be .* got None"),
        ((2, 1.5), "`seed` must be .* got 1.5"),
    ],
)
@pytest.mark.parametrize(("name", "facts"), EVERYONE)
def test_a_bad_start_is_named(name, facts, arguments, message):
    options = {"vamdp-bonus": {"bonus": 1.0}}.get(name, {})
    agent = BASELINES[name].make(facts, **({"r_max": 2.0} if name == "r-max" else options))
    with pytest.raises(ValueError, match=message):
        agent.start(*arguments)
