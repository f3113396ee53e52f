"""The agent that knows the rules of gridworlds: what it does with what it finds out."""

import numpy as np
import pytest

from vamdp.baselines.grids import InformedAgent
from vamdp.domains.gridworlds import GridWorlds
from vamdp.domains.task_vector_env import TaskVectorEnv
from vamdp.mdp.grid_tasks import COLUMN_STEP, ROW_STEP
from vamdp.mdp.tabular_mdp import TabularMDP

SIZE = 11
WALLS = (
    "           ",
    "           ",
    "    OOO    ",
    "   O   O   ",
    "   O   O   ",
    "   O S O   ",
    "   O   O   ",
    "   O   O   ",
    "           ",
    "           ",
    "G          ",
)


def live(agent, tasks, n_steps, seed=0):
    """Let an agent live in tasks; returns states, actions, rewards, reached (n_steps, n_tasks)."""
    envs = TaskVectorEnv(GridWorlds(SIZE), len(tasks))
    envs.reset(seed=seed, options={"task": tasks})
    life = []
    for _ in range(n_steps):
        states = envs.states
        actions = agent.act(states)
        _, rewards, terminated, truncated, _ = envs.step(actions)
        agent.learn(states, actions, rewards, envs.reached_states, terminated, truncated)
        life.append((states, actions, rewards, envs.reached_states))
    return [np.array(part) for part in zip(*life, strict=True)]


def teach(agent, task, n_tasks):
    """Show an agent each outcome that each action can have."""
    agent.start(n_tasks, 0)
    for row in range(task.n_states * task.n_actions):
        s, a = divmod(row, task.n_actions)
        for k in range(task.rows[row], task.rows[row + 1]):
            step = (s, a, task.reward[k], task.successor[k], task.ends[k], False)
            agent.learn(*(np.full(n_tasks, x) for x in step))


def aims(states, actions):
    """The cells that moves head for; -1 off the grid, or where the agent stays."""
    heading = actions - 1
    r = states // SIZE + np.where(heading < 0, 0, ROW_STEP[heading])
    c = states % SIZE + np.where(heading < 0, 0, COLUMN_STEP[heading])
    inside = (heading >= 0) & (r >= 0) & (r < SIZE) & (c >= 0) & (c < SIZE)
    return np.where(inside, r * SIZE + c, -1)


@pytest.mark.parametrize("variation", ["deterministic", None])
def test_who_knows_the_map_earns_the_optimum(variation):
    distribution, n_tasks, n_steps = GridWorlds(SIZE, variation), 400, 100
    task = distribution(np.random.default_rng(1))
    n_shown = int(task.rows[task.n_states * task.n_actions])
    agent = InformedAgent(distribution, horizon=n_shown + n_steps)
    teach(agent, task, n_tasks)
    _, _, rewards, _ = live(agent, [task] * n_tasks, n_steps)
    totals = rewards.sum(axis=0)
    error = totals.std() / np.sqrt(n_tasks)
    best = task.optimal_return(n_steps, n_steps)
    assert abs(totals.mean() - best) < 4 * error + 1e-6
    assert best > 200


def test_it_bumps_into_nothing_twice_where_nothing_slips():
    agent = InformedAgent(GridWorlds(SIZE, "deterministic"), horizon=150)
    agent.start(1, 0)
    task = TabularMDP.from_grid(WALLS, slip=0.0)
    states, actions, _, reached = live(agent, [task], 150)
    bumped = (states == reached) & (actions > 0)
    aimed = aims(states, actions)[bumped]
    assert len(aimed) > 0
    assert len(set(aimed.tolist())) == len(aimed)  # from no side


def test_an_episodes_end_keeps_the_map_and_the_way_becomes_the_shortest():
    rows = [" " * SIZE] * 5 + ["     S     "] + [" " * SIZE] * 4 + ["G" + " " * 10]
    agent = InformedAgent(GridWorlds(SIZE, "deterministic"), horizon=150)
    agent.start(1, 0)
    task = TabularMDP.from_grid(rows, slip=0.0)
    _, _, rewards, _ = live(agent, [task], 150)
    ends = np.flatnonzero(rewards[:, 0] == 100.0)
    took = np.diff(ends)
    assert len(took) > 5
    assert (np.diff(took) <= 0).all()
    assert took[0] < 20
    assert took[-1] == 10  # five rows and five columns


def test_a_danger_that_it_met_is_never_headed_for_again():
    distribution = GridWorlds(SIZE, "dangerous")
    rng = np.random.default_rng(0)
    tasks = [distribution(rng) for _ in range(60)]
    agent = InformedAgent(distribution, horizon=250)
    agent.start(60, 0)
    states, actions, rewards, reached = live(agent, tasks, 250)
    aimed = aims(states, actions)
    n_met = 0
    for i in range(60):
        for t in np.flatnonzero(rewards[:, i] == -100.0):
            n_met += 1
            assert (aimed[t + 1 :, i] != reached[t, i]).all()
    assert n_met > 0


def some_tasks(n=6, seed=2):
    rng = np.random.default_rng(seed)
    return [GridWorlds(SIZE)(rng) for _ in range(n)]


def test_a_batch_acts_as_agents_of_one_task_each():
    tasks = some_tasks(4)
    agent = InformedAgent(GridWorlds(SIZE), horizon=80)
    agent.start(4, 0)
    states, actions, rewards, reached = live(agent, tasks, 80)
    for i in range(4):
        single = InformedAgent(GridWorlds(SIZE), horizon=80)
        single.start(1, 9)
        for t in range(80):
            assert single.act(states[t, i : i + 1]) == actions[t, i]
            step = (states, actions, rewards, reached, np.abs(rewards) == 100.0, rewards > 1e9)
            single.learn(*(each[t, i : i + 1] for each in step))


def test_a_start_forgets():
    agent = InformedAgent(GridWorlds(SIZE), horizon=60)
    lives = []
    for tasks in (some_tasks(), some_tasks(seed=5), some_tasks()):
        agent.start(len(tasks), 0)
        lives.append(live(agent, tasks, 60))
    for first, again in zip(lives[0], lives[2], strict=True):
        np.testing.assert_array_equal(first, again)
    assert (lives[0][1] != lives[1][1]).any()


def test_beyond_its_horizon_each_step_is_taken_for_the_last():
    rows = [" " * SIZE] * 5 + ["     S     "] + [" " * SIZE] * 4 + ["G" + " " * 10]
    agent = InformedAgent(GridWorlds(SIZE, "deterministic"), horizon=1)
    teach(agent, TabularMDP.from_grid(rows, slip=0.0), 3)
    south, west, stay = 3, 4, 0  # beside the goal, and far from it
    assert agent.act(np.array([9 * SIZE, 10 * SIZE + 1, 5 * SIZE])).tolist() == [south, west, stay]


def test_it_earns_most_of_what_can_be_earned():
    rng, distribution = np.random.default_rng(11), GridWorlds(SIZE)
    tasks = [distribution(rng) for _ in range(100)]
    agent = InformedAgent(distribution, horizon=250)
    agent.start(100, 0)
    _, _, rewards, _ = live(agent, tasks, 250)
    best = np.mean([task.optimal_return(250, 250) for task in tasks])
    assert 0.55 * best < rewards.sum(axis=0).mean() < best


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"distribution": "13x13"}, TypeError, "`distribution` must be a vamdp.domains.GridWorlds"),
        ({"horizon": 0}, ValueError, "`horizon` must be an integer of at least 1, got 0"),
        ({"opportunity_cost": -1.0}, ValueError, "`opportunity_cost` must be finite and at least"),
    ],
)
def test_impossible_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        InformedAgent(**({"distribution": GridWorlds(SIZE), "horizon": 5} | arguments))
