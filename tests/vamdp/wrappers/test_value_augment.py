import copy
import itertools
import re

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import vamdp

LAKE = {"id": "FrozenLake-v1", "is_slippery": True}


def lake(**options):
    lake = gymnasium.make("FrozenLake-v1", is_slippery=False)
    return vamdp.ValueAugment(lake, task_horizon=10, **options)


#: Down, down, right, left, up: around the holes.
SAFE = (1, 1, 2, 0, 3)


def test_parts_lie_in_the_documented_order():
    env = lake()
    assert env.layout == {
        "state": slice(0, 16),
        "advantage": slice(16, 20),
        "value": slice(20, 21),
        "count": slice(21, 25),
    }
    assert list(env.layout) == ["state", "advantage", "value", "count"]
    assert env.observation_space.shape == (25,)


def test_bounds_are_honest():
    space = lake().observation_space
    low = [0] * 16 + [-np.inf] * 4 + [-np.inf] + [0] * 4
    high = [1] * 16 + [0] * 4 + [np.inf] + [np.inf] * 4
    np.testing.assert_array_equal(space.low, np.array(low, np.float32))
    np.testing.assert_array_equal(space.high, np.array(high, np.float32))
    assert space.dtype == np.float32


@pytest.mark.parametrize("options", [{}, {"gamma": 0.9, "reward_model": "state_action"}])
def test_values_are_those_of_an_estimator_fed_by_hand(options):
    """Through a bare environment with the same seed; so the wrapper changes nothing below either.

    Rewards are rare on the lake, so a shift makes every step pay.
    """
    make = {**LAKE, "reward_schedule": (5, -2, -0.5)}
    env = vamdp.ValueAugment(
        gymnasium.make(**make), task_horizon=10, value_scale=4.0, count_scale=7.0, **options
    )
    bare = gymnasium.make(**make)
    estimator = vamdp.ValueEstimator(4, task_horizon=10, **options)
    rng = np.random.default_rng(0)
    (shown, _), (state, _) = env.reset(seed=3), bare.reset(seed=3)

    def expected(state):
        Q = estimator.q_values(state)
        return np.concatenate(
            [np.eye(16)[state], (Q - Q.max()) / 4, [Q.max() / 4], estimator.counts(state) / 7]
        ).astype(np.float32)

    np.testing.assert_array_equal(shown, expected(state))
    for _ in range(150):
        action = int(rng.integers(4))
        shown, reward, terminated, truncated, info = env.step(action)
        next_state, *others = bare.step(action)
        assert [reward, terminated, truncated, info] == others
        estimator.update(state, action, reward, next_state, terminated)
        state = next_state
        assert shown.dtype == np.float32
        np.testing.assert_array_equal(shown, expected(state))
        assert env.observation_space.contains(shown)
        if terminated or truncated:
            (shown, _), (state, _) = env.reset(), bare.reset()
            np.testing.assert_array_equal(shown, expected(state))
    assert estimator.n_states > 10


def test_without_state_only_the_values_are_shown():
    env, full = lake(show_state=False), lake()
    assert list(env.layout) == ["advantage", "value", "count"]
    assert env.layout["advantage"] == slice(0, 4)
    for ours, theirs in [(env.reset(seed=1), full.reset(seed=1))] + [
        (env.step(a), full.step(a)) for a in SAFE
    ]:
        assert ours[0].shape == env.observation_space.shape == (9,)
        np.testing.assert_array_equal(ours[0], theirs[0][16:])


def test_a_dict_has_the_parts_of_the_vector():
    apart, flat = lake(flatten=False), lake()
    assert set(apart.observation_space) == set(flat.layout) == set(apart.layout)
    for parts, vector in [(apart.reset(seed=1)[0], flat.reset(seed=1)[0])] + [
        (apart.step(a)[0], flat.step(a)[0]) for a in SAFE
    ]:
        assert apart.observation_space.contains(parts)
        for name, part in flat.layout.items():
            np.testing.assert_array_equal(parts[name], vector[part])


def test_a_state_of_many_entries_warns_with_the_number_and_a_remedy(tools):
    def wrap(n):
        env = tools.Script([], observation_space=spaces.Discrete(n))
        return lambda **options: vamdp.ValueAugment(env, task_horizon=1, **options)

    with pytest.warns(UserWarning, match="4097 entries.*4096.*show_state=False"):
        wrap(4097)()
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wrap(4096)()
        wrap(4097)(show_state=False)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda make, tools: vamdp.ValueAugment(make(), task_horizon=1),
        lambda make, tools: vamdp.MetaEpisode(make(), 9),
        lambda make, tools: vamdp.vector.ValueAugment(tools.same_step(make, 1), task_horizon=1),
        lambda make, tools: vamdp.vector.MetaEpisode(tools.same_step(make, 1), 9),
    ],
)
def test_the_warning_of_many_entries_points_to_whoever_wraps(tools, wrap):
    with pytest.warns(UserWarning, match="4097 entries") as warned:
        wrap(lambda: tools.Script([], observation_space=spaces.Discrete(4097)), tools)
    assert [each.filename for each in warned] == [__file__]


def test_spaces_may_start_anywhere(tools):
    """Observations from -2, actions from 5: one-hot and counts are by position."""
    steps = [(-1, 1.0, False, False, {}), (0, 0.0, False, False, {}), (-2, 0.0, False, False, {})]
    script = tools.Script(
        steps, -2, spaces.Discrete(3, start=-2), spaces.Discrete(2, start=5)
    )  # fmt: skip
    env = vamdp.ValueAugment(script, task_horizon=1, count_scale=1.0)
    assert env.reset()[0][:3].tolist() == [1, 0, 0]
    assert env.step(6)[0][:3].tolist() == [0, 1, 0]
    assert env.step(5)[0][:3].tolist() == [0, 0, 1]
    shown = env.step(5)[0]
    assert shown[:3].tolist() == [1, 0, 0]
    assert shown[env.layout["count"]].tolist() == [0, 1]
    assert env.estimator.counts(-1).tolist() == [1, 0]
    assert script.actions == [6, 5, 5]


class Places(gymnasium.Env):
    """A random walk over 90 places from `lowest` on; `show` makes the observations."""

    def __init__(self, lowest=0, show=int, masks=False):
        self.observation_space = spaces.Discrete(90, start=lowest)
        self.action_space = spaces.Discrete(2)
        self.lowest, self.show, self.masks = lowest, show, masks

    def _seen(self):
        masked = self.masks and self.x % 3 == 0
        info = {"action_mask": np.array([1, self.x % 2], np.int8)} if masked else {}
        return self.show(self.lowest + self.x), info

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = 45
        return self._seen()

    def step(self, action):
        self.x = int(self.np_random.integers(90))
        observation, info = self._seen()
        return observation, float(action), self.x == 0, False, info


class Own(int):
    """An int that is no plain one, as those of an IntEnum."""


@pytest.mark.parametrize("lowest", [0, -7, 2**40, 2**53 - 50, -(2**53) - 20])
@pytest.mark.parametrize("options", [{}, {"show_state": False}, {"flatten": False}])
@pytest.mark.parametrize("masks", [False, True])
def test_ints_and_numpy_integers_are_read_alike(lowest, options, masks, tools):
    """Plain ints without a mask have a way of their own; its storage grows too."""
    singles = [
        vamdp.ValueAugment(Places(lowest, show, masks), task_horizon=9, **options)
        for show in (int, np.int64, Own)
    ]
    if max(-lowest, lowest + 90) > 2**53:
        refusals = []
        for env in singles:
            with pytest.raises(ValueError, match=re.escape("below 2**53")) as refusal:
                tools.play(env, 0, 300)
            refusals.append(str(refusal.value).replace("np.int64", ""))
        assert len(set(refusals)) == 1
        return
    plain, *others = (tools.play(env, 0, 300) for env in singles)
    for other in others:
        for one, two in zip(plain, other, strict=True):
            np.testing.assert_equal(one, two)
    assert singles[0].estimator.n_states == singles[1].estimator.n_states > 64


def test_blackjack_is_learned_through_a_state_key():
    env = vamdp.ValueAugment(
        gymnasium.make("Blackjack-v1"), task_horizon=5, state_key=tuple, count_scale=1.0
    )
    bare = gymnasium.make("Blackjack-v1")
    (shown, _), (hand, _) = env.reset(seed=0), bare.reset(seed=0)
    for _ in range(60):
        flat = spaces.flatten(bare.observation_space, hand)
        np.testing.assert_array_equal(shown[env.layout["state"]], flat)
        np.testing.assert_array_equal(shown[env.layout["count"]], env.estimator.counts(hand))
        shown, _, terminated, truncated, _ = env.step(0 if sum(hand[:1]) > 15 else 1)
        hand, *_ = bare.step(0 if sum(hand[:1]) > 15 else 1)
        if terminated or truncated:
            (shown, _), (hand, _) = env.reset(), bare.reset()


def test_an_environments_own_state_key_is_found(tools):
    space = spaces.Box(0, 1, (2,), np.float64)
    steps = [(np.array([0.5, 0.25]), 1.0, False, False, {})]
    script = tools.Script(steps, np.zeros(2), space)
    script.state_key = lambda observation: tuple((observation * 4).astype(int))
    env = vamdp.ValueAugment(gymnasium.wrappers.OrderEnforcing(script), task_horizon=1)
    env.reset()
    env.step(0)
    assert env.estimator.counts((0, 0)).tolist() == [1, 0, 0]
    env.step(0)
    assert env.estimator.counts((2, 1)).tolist() == [1, 0, 0]


def test_a_state_key_may_merge_discrete_observations():
    env = lake(state_key=lambda cell: cell // 4)
    env.reset(seed=0)
    for _ in range(5):
        env.step(0)
    assert sum(env.estimator.counts(row).sum() for row in range(4)) == 5


def test_observations_of_the_environment_are_never_mutated(tools):
    own = np.array([[0.5, 0.25]])
    own.flags.writeable = False
    script = tools.Script([(own, 1.0, False, False, {})], own, spaces.Box(0, 1, (1, 2)))
    env = vamdp.MetaEpisode(
        vamdp.ValueAugment(script, task_horizon=3, state_key=lambda x: tuple(x[0])), 5
    )
    env.reset(seed=0)
    for _ in range(5):
        env.step(0)
    np.testing.assert_array_equal(own, [[0.5, 0.25]])


@pytest.mark.parametrize("flatten", [True, False])
@pytest.mark.parametrize("meta", [True, False])
def test_returned_observations_never_change_later(tools, flatten, meta):
    """Also where the environment writes each observation into one array of its own."""

    class Reuses(tools.Script):
        def step(self, action):
            self.start[...] = (self.start + 1) % 7
            return self.start, 1.0, bool(self.start[0] == 6), False, {}

    env = Reuses([], np.zeros(2), spaces.Box(0, 7, (2,)))
    env = vamdp.ValueAugment(env, task_horizon=3, state_key=tuple, flatten=flatten)
    env = vamdp.MetaEpisode(env, 1000, flatten=flatten) if meta else env
    shown, copies = [env.reset(seed=0)[0]], []
    for t in itertools.count():
        copies.append(copy.deepcopy(shown[-1]))
        if t == 20:
            break
        observation, _, terminated, _, info = env.step(t % 3)
        shown.append(observation)
        if "last_observation" in info:
            copies.append(copy.deepcopy(info["last_observation"]))
            shown.insert(-1, info["last_observation"])
        elif terminated:
            env.reset()
    for kept, once in zip(shown, copies, strict=True):
        np.testing.assert_equal(kept, once)


def test_the_row_shown_is_fresh_after_a_step_and_after_a_restart():
    """One arm that pays: Q(arm) = 1 + the chance of more is in the row right after the pull."""
    bandit = vamdp.TabularMDP.from_dense(np.ones((1, 2, 1)), np.array([[1.0, 0.0]]), terminal=None)
    env = vamdp.ValueAugment(
        vamdp.TaskEnv(lambda rng: bandit), task_horizon=1, smoothing=0.0, count_scale=1.0
    )
    assert env.reset(seed=0)[0].tolist() == [1, 0, 0, 0, 0, 0]
    assert env.step(0)[0].tolist() == [1, 0, -1, 1, 1, 0]
    assert env.step(1)[0].tolist() == [1, 0, -1, 1, 1, 1]
    assert env.reset()[0].tolist() == [1, 0, -1, 1, 1, 1]


def test_a_terminated_transition_leads_to_the_terminal_copy(tools):
    """State 0 pays 1 and ends in state 0: its value is 1, not that of pulling on and on."""

    def shown_after(terminated, truncated):
        script = tools.Script(
            [(0, 1.0, terminated, truncated, {})], 0, spaces.Discrete(1), spaces.Discrete(1)
        )
        env = vamdp.ValueAugment(script, task_horizon=5, smoothing=0.0, tolerance=0.0)
        env.reset()
        return env.step(0)[0][env.layout["value"]].item(), env.estimator.n_states

    assert shown_after(True, False) == (1, 2)
    assert shown_after(False, False) == (5, 1)
    assert shown_after(False, True) == (5, 1)  # truncation is an ordinary transition
    assert shown_after(True, True) == (1, 2)


def test_the_move_back_to_the_start_is_no_transition(tools):
    script = tools.Script([(1, 0.0, True, False, {}), (2, 0.0, False, False, {})])
    env = vamdp.ValueAugment(script, task_horizon=2, count_scale=1.0)
    env.reset()
    env.step(0)
    env.reset()
    env.step(1)
    assert env.estimator.n_states == 3  # 0, the terminal copy of 1, 2
    assert env.estimator.counts(0).tolist() == [1, 1, 0]
    assert env.estimator.counts(1).tolist() == [0, 0, 0]


def test_scales_divide_only_what_is_shown():
    fine, coarse = lake(), lake(value_scale=0.5, count_scale=100.0)
    for ours, theirs in [(fine.reset(seed=1), coarse.reset(seed=1))] + [
        (fine.step(a), coarse.step(a)) for a in SAFE
    ]:
        for name, factor in (("state", 1), ("advantage", 2), ("value", 2), ("count", 0.1)):
            part = fine.layout[name]
            np.testing.assert_allclose(theirs[0][part], ours[0][part] * factor, rtol=1e-6)
    np.testing.assert_array_equal(fine.estimator.q_values(0), coarse.estimator.q_values(0))
