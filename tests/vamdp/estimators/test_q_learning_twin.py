"""Q-learning against a twin in plain Python: dicts, one task each."""

from collections import deque

import numpy as np
import pytest

from vamdp.estimators.q_learning import QLearning

N_TASKS, N_ACTIONS, WIDTH = 3, 3, 7
STATES = [(float(x), float(y)) for x in range(WIDTH) for y in range(WIDTH)]


class Twin:
    """One task: Q, visits and masks by state, the last transitions, and a stream."""

    def __init__(
        self, stream_of, gamma, learning_rate, rate_power, initial_value, n_replayed, memory_size
    ):
        self.stream_of = stream_of
        self.gamma, self.rate, self.power = gamma, learning_rate, rate_power
        self.initial, self.n_replayed, self.size = initial_value, n_replayed, memory_size
        self.begin_task(0)

    def begin_task(self, seed):
        self.Q, self.N, self.allowed = {}, {}, {}
        self.memory = deque(maxlen=self.size)
        if seed is not None:
            self.stream = self.stream_of(seed)

    def note(self, state, mask):
        if any(mask):
            self.allowed[state] = [a for a in range(N_ACTIONS) if mask[a]]

    def q(self, state, action):
        return self.Q.get((state, action), self.initial)

    def value(self, state):
        return max(self.q(state, a) for a in self.allowed.get(state, range(N_ACTIONS)))

    def update(self, state, action, reward, next_state, terminated, mask):
        if not terminated:
            self.note(next_state, mask)
        self.N[state, action] = self.N.get((state, action), 0) + 1
        transition = (state, action, reward, None if terminated else next_state)
        self.learn(*transition)
        self.memory.append(transition)
        for _ in range(self.n_replayed):
            # The newest lies where the oldest was in a ring; a deque begins with the oldest.
            k = self.stream.below(len(self.memory))
            n = sum(self.N.values())
            oldest = n % self.size if n > self.size else 0
            self.learn(*self.memory[(k - oldest) % len(self.memory)])

    def learn(self, state, action, reward, next_state):
        future = 0.0 if next_state is None else self.gamma * self.value(next_state)
        rate = self.rate / self.N[state, action] ** self.power
        q = self.q(state, action)
        self.Q[state, action] = q + rate * (reward + future - q)


def assert_alike(learner, twins, states):
    """Q, counts and values of one state a task."""
    Q = [[twin.q(s, a) for a in range(N_ACTIONS)] for twin, s in zip(twins, states, strict=True)]
    N = [
        [twin.N.get((s, a), 0) for a in range(N_ACTIONS)]
        for twin, s in zip(twins, states, strict=True)
    ]
    V = [twin.value(s) for twin, s in zip(twins, states, strict=True)]
    np.testing.assert_allclose(learner.q_values(states), Q, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(learner.counts(states), N)
    np.testing.assert_allclose(learner.value(states), V, rtol=1e-12, atol=1e-12)


DEFAULTS = {
    "gamma": 0.95, "learning_rate": 1.0, "rate_power": 0.6, "initial_value": 0.0, "n_replayed": 0,
    "memory_size": 256,
}  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"initial_value": -1.5},
        {"rate_power": 0.0, "learning_rate": 0.3},
        {"n_replayed": 3, "memory_size": 11},
        {"n_replayed": 1, "initial_value": 2.0, "gamma": 0.8, "rate_power": 1.0},
    ],
    ids=str,
)
def test_it_is_the_twin_in_every_state_through_masks_ends_growth_and_forgetting(options, stream_of):
    learner = QLearning(N_TASKS, N_ACTIONS, **options)
    twins = [Twin(stream_of, **DEFAULTS | options) for _ in range(N_TASKS)]
    learner.begin_tasks(np.ones(N_TASKS, bool), [0] * N_TASKS)
    rng = np.random.default_rng(3)

    def draw_states():
        return [STATES[i] for i in rng.integers(len(STATES), size=N_TASKS)]

    def draw_masks():  # an eighth of the rows tells nothing
        return rng.random((N_TASKS, N_ACTIONS)) < 0.5

    for t in range(1300):
        if t % 150 == 149:
            rows = np.roll([True, False, False], t // 150)
            seeds = [None if t % 300 == 149 else t + i for i in range(N_TASKS)]
            learner.begin_tasks(rows, seeds)
            for i in np.flatnonzero(rows):
                twins[i].begin_task(seeds[i])
        if t % 5 == 2:
            rows, states, masks = rng.random(N_TASKS) < 0.5, draw_states(), draw_masks()
            learner.begin_episodes(rows, np.array(states), masks)
            for i in np.flatnonzero(rows):
                twins[i].note(states[i], masks[i])
        states, reached = draw_states(), draw_states()
        actions, rewards = rng.integers(N_ACTIONS, size=N_TASKS), rng.normal(size=N_TASKS)
        ends = rng.random(N_TASKS) < 0.2
        masks = draw_masks() if t % 3 else None
        learner.update(states, actions, rewards, reached, ends, masks)
        for i, twin in enumerate(twins):
            mask = [] if masks is None else masks[i]
            twin.update(states[i], actions[i], float(rewards[i]), reached[i], ends[i], mask)
        for shown in (states, reached):
            assert_alike(learner, twins, shown)
        if t % 10 == 0:
            for state in STATES:
                assert_alike(learner, twins, [state] * N_TASKS)
    assert (learner.n_states == len(STATES)).all()  # far beyond the first room


def test_the_power_of_the_rate_may_be_one_and_not_more():
    assert QLearning(1, 2, rate_power=1.0).options.rate_power == 1.0
    with pytest.raises(ValueError, match=r"`rate_power` must be in \[0, 1\], got 1.01"):
        QLearning(1, 2, rate_power=1.01)


def test_a_reset_mask_leaves_the_streams_of_the_others():
    """A seed for every row, but only row 0 begins a task: row 1 draws on as if nothing was."""

    def run(seed):
        learner = QLearning(2, 2, n_replayed=2, memory_size=9)
        learner.begin_tasks(np.ones(2, bool), [1, 2])
        rng = np.random.default_rng(0)
        for t in range(60):
            if t == 20:
                learner.begin_tasks(np.array([True, False]), [seed, seed])
            states, reached = rng.integers(3, size=(2, 2))
            actions, rewards = rng.integers(2, size=2), rng.normal(size=2)
            learner.update(states, actions, rewards, reached, [False] * 2)
        return np.array([learner.q_values([s, s]) for s in range(3)])

    one, other = run(5), run(6)
    np.testing.assert_array_equal(one[:, 1], other[:, 1])
    assert (one[:, 0] != other[:, 0]).any()
