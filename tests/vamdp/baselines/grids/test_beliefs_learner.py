"""The learner that knows the generator of gridworlds: its values, its forgetting, its errors."""

import copy

import gymnasium
import numpy as np
import pytest

import vamdp
import vamdp.vector
from vamdp.baselines.grids import GRID_BELIEFS, GridBeliefs, InformedAgent
from vamdp.domains.gridworlds import GridWorlds
from vamdp.domains.task_vector_env import TaskVectorEnv
from vamdp.estimators import Estimator, Scales

SIZE, A = 11, 5
START = SIZE // 2 + 1
H = 120


def tasks_of(n, seed=2):
    rng = np.random.default_rng(seed)
    return [GridWorlds(SIZE)(rng) for _ in range(n)]


def coordinates(states):
    """Rows and columns from 1, as gridworlds show them."""
    return np.stack(np.divmod(states, SIZE), axis=1) + 1.0


def live(learner, tasks, n_steps, seed=0):
    """Follow the learner's values greedily; returns states, actions and Q, (n_steps, n, ...)."""
    envs = TaskVectorEnv(GridWorlds(SIZE), len(tasks))
    envs.reset(seed=seed, options={"task": tasks})
    life = []
    for _ in range(n_steps):
        states = envs.states
        Q = learner.q_values(coordinates(states))
        actions = Q.argmax(axis=1)
        _, rewards, terminated, _, _ = envs.step(actions)
        reached = envs.reached_states
        learner.update(coordinates(states), actions, rewards, coordinates(reached), terminated)
        life.append((states, actions, Q, rewards, reached, terminated))
    return [np.array(part) for part in zip(*life, strict=True)]


@pytest.fixture(scope="module")
def life():
    """Six tasks, each until its end."""
    return live(GridBeliefs(6, A, task_horizon=H, size=SIZE), tasks_of(6), H)


def test_greedy_play_is_the_informed_agents(life):
    states, actions, _, rewards, reached, terminated = life
    agent = InformedAgent(GridWorlds(SIZE), horizon=H)
    agent.start(6, 0)
    for t in range(H):
        np.testing.assert_array_equal(agent.act(states[t]), actions[t])
        never = np.zeros(6, bool)
        agent.learn(states[t], actions[t], rewards[t], reached[t], terminated[t], never)
    assert (rewards == 100.0).any()


def test_a_start_is_worth_nothing_and_who_is_nearer_gets_to_the_goal_once_more():
    rows = [" " * SIZE] * 5 + ["     S     "] + [" " * SIZE] * 4 + ["G" + " " * 10]
    task = vamdp.TabularMDP.from_grid(rows, slip=0.0)
    learner = GridBeliefs(1, A, task_horizon=205, size=SIZE, variation="deterministic")
    _, _, _, rewards, _, _ = live(learner, [task], 150)
    assert (rewards[-10:] == 100.0).sum() == 1  # it walks straight there again and again
    # 55 steps are left. The way from the start takes ten, so they pay five times 100. From half
    # of the way on there are six: 101 more, since reaching a goal costs no step's -1.
    way = [(START + min(n, 5), START - max(n - 5, 0)) for n in range(10)]
    values = [learner.value([place])[0] for place in way]
    assert values == pytest.approx([0.0] * 5 + [101.0] * 5, abs=1e-9)


def test_values_of_known_maps_are_those_of_backward_induction():
    """With every cell seen, Q is the task's own, relative to a start."""
    distribution, n_left = GridWorlds(SIZE, "deterministic"), 40
    task = distribution(np.random.default_rng(3))
    S = task.n_states
    steps = [
        (s, a, task.reward[k], task.successor[k], task.ends[k])
        for s in range(S)
        for a in range(A)
        for k in range(task.rows[s * A + a], task.rows[s * A + a + 1])
    ]
    learner = GridBeliefs(
        1, A, task_horizon=len(steps) + n_left, size=SIZE, variation="deterministic"
    )
    for s, a, reward, s_next, end in steps:
        learner.update(coordinates([s]), [a], [reward], coordinates([s_next]), [end])
    W, start = np.zeros(S), S // 2
    for _ in range(n_left):
        Q = np.zeros((S, A))
        for s, a, reward, s_next, end in steps:
            row = task.rows[s * A + a]
            p = task.probability[row : task.rows[s * A + a + 1]]
            k = row + np.flatnonzero(task.successor[row : row + p.size] == s_next)[0]
            Q[s, a] += task.probability[k] * (reward + (W[start] if end else W[s_next]))
        W = Q.max(axis=1)
    living = [s for s in range(S) if task.rows[s * A + A] > task.rows[s * A]]
    checked = 0
    for s in living:
        if not np.isclose(W[s], 0.0):
            found = learner.q_values(coordinates([s]))[0]
            np.testing.assert_allclose(found, Q[s] - W[start], atol=1e-9)
            checked += 1
    assert checked > 60


def test_counts_are_the_visits(life):
    states, actions, _, rewards, reached, terminated = life
    learner = GridBeliefs(6, A, task_horizon=H, size=SIZE)
    for t in range(30):
        learner.update(
            coordinates(states[t]), actions[t], rewards[t], coordinates(reached[t]), terminated[t]
        )
    for s in np.unique(states[:30]):
        expected = [
            [((states[:30, i] == s) & (actions[:30, i] == a)).sum() for a in range(A)]
            for i in range(6)
        ]
        np.testing.assert_array_equal(learner.counts(coordinates(np.full(6, s))), expected)


def test_a_batch_is_rows_of_one_each(life):
    states, actions, Q, rewards, reached, terminated = life
    for i in (0, 4):
        one = GridBeliefs(1, A, task_horizon=H, size=SIZE)
        for t in range(60):
            here = coordinates(states[t, i : i + 1])
            np.testing.assert_array_equal(one.q_values(here)[0], Q[t, i])
            one.update(
                here, actions[t, i : i + 1], rewards[t, i : i + 1],
                coordinates(reached[t, i : i + 1]), terminated[t, i : i + 1],
            )  # fmt: skip


def test_a_new_task_clears_its_row_and_no_other(life):
    states, actions, _, rewards, reached, terminated = life

    def learn(learner, times):
        for t in times:
            learner.update(
                coordinates(states[t]), actions[t], rewards[t], coordinates(reached[t]),
                terminated[t],
            )  # fmt: skip

    kept, cleared = (GridBeliefs(6, A, task_horizon=H, size=SIZE) for _ in range(2))
    for learner in (kept, cleared):
        learn(learner, range(50))
    rows = np.arange(6) % 2 == 0
    cleared.begin_tasks(rows, [None] * 6)
    fresh = GridBeliefs(6, A, task_horizon=H, size=SIZE)
    for learner in (kept, cleared, fresh):
        learn(learner, range(25))
    here = coordinates(states[25])
    np.testing.assert_array_equal(cleared.q_values(here)[rows], fresh.q_values(here)[rows])
    np.testing.assert_array_equal(cleared.counts(here)[rows], fresh.counts(here)[rows])
    np.testing.assert_array_equal(cleared.q_values(here)[~rows], kept.q_values(here)[~rows])
    assert (kept.q_values(here)[rows] != fresh.q_values(here)[rows]).any()


def test_an_episodes_end_clears_nothing(life):
    states, actions, _, rewards, reached, terminated = life
    learner = GridBeliefs(6, A, task_horizon=H, size=SIZE)
    for t in range(40):
        learner.update(
            coordinates(states[t]), actions[t], rewards[t], coordinates(reached[t]), terminated[t]
        )
    before = copy.deepcopy(learner)
    start = np.full((6, 2), float(START))
    learner.begin_episodes(np.ones(6, bool), start, None)
    here = coordinates(states[40])
    np.testing.assert_array_equal(learner.q_values(here), before.q_values(here))


def test_the_first_start_tells_the_size():
    told = GridBeliefs(2, A, task_horizon=350)
    assert not told.q_values(np.full((2, 2), 6.0)).any()
    told.begin_episodes(np.array([True, False]), np.array([[7.0, 7.0], [0.0, 0.0]]), None)
    given = GridBeliefs(2, A, task_horizon=350, size=13)
    here = np.array([[7.0, 7.0], [13.0, 1.0]])
    np.testing.assert_array_equal(told.q_values(here), given.q_values(here))
    assert told.q_values(here).any()


def test_wrappers_show_its_values():
    envs = gymnasium.make_vec(
        "vamdp/GridWorld-v0", num_envs=3, vectorization_mode="vector_entry_point", size=13
    )
    assert isinstance(GRID_BELIEFS.make(3, A, 90, {}), Estimator)
    envs = vamdp.vector.ValueAugment(
        envs, task_horizon=90, estimator=lambda n, a: GRID_BELIEFS.make(n, a, 90, {})
    )
    envs = vamdp.vector.MetaEpisode(envs, horizon=90)
    observations, _ = envs.reset(seed=0)
    advantage, value = envs.layout["advantage"], envs.layout["value"]
    totals, largest = np.zeros(3), 0.0
    for _ in range(90):
        largest = max(largest, np.abs(observations[:, value]).max())
        observations, rewards, _, _, _ = envs.step(observations[:, advantage].argmax(axis=1))
        totals += rewards
    assert largest > 10.0
    assert totals.mean() > 0.0


@pytest.mark.parametrize("every", [1, 7, 60])
def test_who_looks_often_sees_what_one_look_shows(life, every):
    states, actions, _, rewards, reached, terminated = life
    often, once = (GridBeliefs(6, A, task_horizon=H, size=SIZE) for _ in range(2))
    for t in range(60):
        for learner in (often, once):
            learner.update(
                coordinates(states[t]),
                actions[t],
                rewards[t],
                coordinates(reached[t]),
                terminated[t],
            )
        if t % every == 0:
            often.q_values(coordinates(states[t]))
    here = coordinates(states[60])
    np.testing.assert_array_equal(often.q_values(here), once.q_values(here))


def test_writing_neither_draws_nor_changes(life):
    states = life[0]
    learner = GridBeliefs(6, A, task_horizon=H, size=SIZE)
    outs = np.zeros((3, 6, 2 * A + 1), np.float32)
    for out in outs:
        learner.write(coordinates(states[0]), Scales(2.0, 5.0), out)
    np.testing.assert_array_equal(outs[0], outs[2])
    Q = learner.q_values(coordinates(states[0]))
    best = Q.max(axis=1, keepdims=True)
    np.testing.assert_allclose(outs[0][:, :A], (Q - best) / 2.0, atol=1e-6)
    np.testing.assert_allclose(outs[0][:, A : A + 1], best / 2.0, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_actions": 4}, "`n_actions` must be 5, those of gridworlds, got 4"),
        ({"task_horizon": 0}, "`task_horizon` must be an integer of at least 1"),
        ({"size": 12}, "`size` must be 11 or 13, got 12"),
        ({"variation": "foggy"}, "`variation` must be None or one of"),
        ({"opportunity_cost": -1}, "`opportunity_cost` must be finite and at least 0"),
    ],
)
def test_impossible_options_are_refused(change, message):
    arguments = {"n_tasks": 1, "n_actions": A, "task_horizon": 9, "size": SIZE} | change
    with pytest.raises(ValueError, match=message):
        GridBeliefs(**arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: one.q_values([[12.0, 1.0]]), r"`states\[0\]` must be a row and a column"),
        (lambda one: one.q_values([[1.5, 1.0]]), r"`states\[0\]` must be a row and a column"),
        (lambda one: one.q_values([60]), "`states` must be rows and columns, as gridworlds show"),
        (
            lambda one: one.update([60], [0], [0.0], [60], [False]),
            "`states` must be rows and columns.*got 1 numbers per state. Take another",
        ),
        (
            lambda one: one.update([[5, 5]], [5], [0.0], [[5, 5]], [False]),
            r"`actions\[0\]` must be in \[0, 5\)",
        ),
        (
            lambda one: one.update([[5, 5]], [0], [0.0], [[5, 0]], [False]),
            r"`next_states\[0\]` must be a row and a column",
        ),
        (
            lambda one: one.begin_episodes(np.ones(1, bool), np.array([[7.0, 7.0]]), None),
            r"`states\[0\]` must be the start, \(6, 6\), got \(7, 7\)",
        ),
    ],
)
def test_impossible_steps_are_refused_and_change_nothing(call, message):
    learner = GridBeliefs(1, A, task_horizon=9, size=SIZE)
    before = learner.q_values([[5.0, 5.0]])
    with pytest.raises(ValueError, match=message):
        call(learner)
    np.testing.assert_array_equal(learner.q_values([[5.0, 5.0]]), before)
    assert before.any()


def test_without_a_size_it_learns_nothing_before_an_episode_begins():
    with pytest.raises(ValueError, match="`size` must be given, or an episode begun"):
        GridBeliefs(1, A, task_horizon=9).update([[5, 5]], [0], [-1.0], [[5, 5]], [False])
    with pytest.raises(ValueError, match=r"must be the start, \(6, 6\) or \(7, 7\), got \(0, 3\)"):
        GridBeliefs(1, A, task_horizon=9).begin_episodes(
            np.ones(1, bool), np.array([[0.0, 3.0]]), None
        )
