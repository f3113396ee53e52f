"""Dyna-Q against a twin in plain Python: dicts and lists, one task each."""

import numpy as np
import pytest

from vamdp.estimators.dyna_q import DynaQ

N_TASKS, N_ACTIONS, WIDTH = 3, 3, 4
STATES = [(float(x), float(y)) for x in range(WIDTH) for y in range(WIDTH)]


class Twin:
    """One task: Q, steps of learning, masks and outcomes by pair, and a stream."""

    def __init__(
        self,
        stream_of,
        n_planned=10,
        memory_size=1024,
        gamma=0.95,
        rate=1.0,
        power=0.6,
        initial=0.0,
    ):
        self.stream_of, self.n_planned, self.size = stream_of, n_planned, memory_size
        self.gamma, self.rate, self.power, self.initial = gamma, rate, power, initial
        self.begin_task(0)

    def begin_task(self, seed):
        self.Q, self.N, self.n_learned, self.allowed = {}, {}, {}, {}
        self.outcomes = {}  # in order of first trial, as dicts are
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
        pair, outcome = (state, action), (reward, None if terminated else next_state)
        n = self.N[pair] = self.N.get(pair, 0) + 1
        kept = self.outcomes.setdefault(pair, [])
        if n <= self.size:
            kept.append(outcome)
        else:
            kept[(n - 1) % self.size] = outcome
        self.learn(pair, *outcome)
        for _ in range(self.n_planned):
            pair = list(self.outcomes)[self.stream.below(len(self.outcomes))]
            kept = self.outcomes[pair]
            self.learn(pair, *kept[self.stream.below(len(kept))])

    def learn(self, pair, reward, next_state):
        future = 0.0 if next_state is None else self.gamma * self.value(next_state)
        n = self.n_learned[pair] = self.n_learned.get(pair, 0) + 1
        self.Q[pair] = self.q(*pair) + self.rate / n**self.power * (reward + future - self.q(*pair))


def assert_alike(learner, twins, states):
    """Q, counts and values of one state a task."""
    pairs = [[(s, a) for a in range(N_ACTIONS)] for s in states]
    Q = [[twin.q(*p) for p in row] for twin, row in zip(twins, pairs, strict=True)]
    N = [[twin.N.get(p, 0) for p in row] for twin, row in zip(twins, pairs, strict=True)]
    V = [twin.value(s) for twin, s in zip(twins, states, strict=True)]
    np.testing.assert_allclose(learner.q_values(states), Q, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(learner.counts(states), N)
    np.testing.assert_allclose(learner.value(states), V, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_planned": 0},
        {"n_planned": 2, "memory_size": 1},
        {"n_planned": 4, "memory_size": 5, "initial": -1.5, "gamma": 0.8},
        {"n_planned": 3, "rate": 0.3, "power": 0.0},
    ],
    ids=str,
)
def test_it_is_the_twin_in_every_state_through_masks_ends_growth_and_forgetting(options, stream_of):
    names = {"rate": "learning_rate", "power": "rate_power", "initial": "initial_value"}
    learner = DynaQ(N_TASKS, N_ACTIONS, **{names.get(k, k): v for k, v in options.items()})
    twins = [Twin(stream_of, **options) for _ in range(N_TASKS)]
    learner.begin_tasks(np.ones(N_TASKS, bool), [0] * N_TASKS)
    rng = np.random.default_rng(3)

    def draw_states():
        return [STATES[i] for i in rng.integers(len(STATES), size=N_TASKS)]

    def draw_masks():  # an eighth of the rows tells nothing
        return rng.random((N_TASKS, N_ACTIONS)) < 0.5

    for t in range(900):
        if t % 250 == 249:
            rows = np.roll([True, False, False], t // 250)
            seeds = [None if t % 500 == 249 else t + i for i in range(N_TASKS)]
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
        if t % 50 == 0:
            for state in STATES:
                assert_alike(learner, twins, [state] * N_TASKS)
    assert (learner.n_states == len(STATES)).all()
    assert max(max(twin.N.values()) for twin in twins) > 16  # blocks grew, and rings went round
