import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import vamdp


def script(tools, masks, start_mask=None, ends=False, reward=1.0):
    """States 1, 2, 3, ... are reached one after the other, each with a mask."""
    steps = [
        (i + 1, reward, ends, False, {} if mask is None else {"action_mask": mask})
        for i, mask in enumerate(masks)
    ]
    info = {} if start_mask is None else {"action_mask": start_mask}
    return tools.Script(steps, 0, spaces.Discrete(6), start_info=info)


def test_a_masked_action_is_left_out_of_the_value_and_reads_as_the_worst_allowed(tools):
    """Two states, 0 and 1, each leading to itself; in 0 action 0 pays 5, 1 pays 2, 2 pays 3."""
    steps = [(0, r, False, False, {"action_mask": [1, 1, 1]}) for r in (5.0, 2.0, 3.0)]
    steps.append((0, 5.0, False, False, {"action_mask": [0, 1, 1]}))  # from now on without 0
    env = vamdp.ValueAugment(
        tools.Script(steps, 0, spaces.Discrete(1)), task_horizon=1, smoothing=0.0, tolerance=0.0
    )
    env.reset()
    shown = [env.step(action)[0] for action in (0, 1, 2, 0)]
    values = slice(env.layout["advantage"].start, env.layout["value"].stop)
    assert shown[2][values].tolist() == [0, -3, -2, 5]
    assert shown[3][values].tolist() == [-1, -1, 0, 3]
    assert env.estimator.value(0) == 3


def test_a_mask_takes_the_value_of_an_action_out_of_planning(tools):
    """Returning to 0 pays 5 by action 0; once it is masked, V(0) is what action 1 is worth."""
    steps = [(0, 5.0, False, False, {}), (0, 1.0, False, False, {"action_mask": [0, 1]})]
    env = vamdp.ValueAugment(
        tools.Script(steps, 0, spaces.Discrete(1), spaces.Discrete(2)),
        task_horizon=3, smoothing=0.0, tolerance=0.0,
    )  # fmt: skip
    env.reset()
    env.step(0)
    env.step(1)
    np.testing.assert_allclose(env.estimator.q_values(0), [5 + 1 + 1, 1 + 1 + 1])


class Own(vamdp.ValueEstimator):
    """Not the very class, so it is treated as a stranger."""


@pytest.mark.parametrize("estimator", [None, Own(3, task_horizon=9, smoothing=0.0)])
def test_the_mask_of_a_start_is_known_before_any_transition(tools, estimator):
    """The only action allowed costs 1; the untried ones, which look better, are masked."""
    env = vamdp.ValueAugment(
        script(tools, [None], start_mask=[0, 0, 1], reward=-1.0),
        task_horizon=9,
        estimator=estimator,
        **({} if estimator else {"smoothing": 0.0}),
    )
    env.reset()
    env.step(2)
    Q = env.estimator.q_values(0)
    assert Q[0] > Q[2]
    assert env.estimator.value(0) == Q[2]


def test_a_live_state_without_an_action_is_refused_and_nothing_is_learned(tools):
    for estimator in (None, vamdp.ValueEstimator(3, task_horizon=2), Duck(task_horizon=2)):
        env = vamdp.ValueAugment(
            script(tools, [[1, 1, 1], [0, 0, 0]]), task_horizon=2, estimator=estimator
        )
        env.reset()
        env.step(0)
        before = env.estimator.q_values(0).tolist(), env.estimator.counts(1).tolist()
        with pytest.raises(ValueError, match="`action_mask"):
            env.step(0)
        assert (env.estimator.q_values(0).tolist(), env.estimator.counts(1).tolist()) == before
    env = vamdp.ValueAugment(script(tools, [], start_mask=[0, 0, 0]), task_horizon=2)
    with pytest.raises(ValueError, match="`action_mask"):
        env.reset()


def test_a_terminal_state_needs_no_action(tools):
    for estimator in (None, Duck(task_horizon=2)):
        env = vamdp.ValueAugment(
            script(tools, [[0, 0, 0]], ends=True), task_horizon=2, estimator=estimator
        )
        env.reset()
        shown, _, terminated, *_ = env.step(0)
        assert terminated
        assert np.isfinite(shown).all()
        assert not shown[env.layout["advantage"]].any()


@pytest.mark.parametrize("mask", [[1, 1], [[1, 1, 1]], 1])
def test_a_mask_of_another_shape_is_refused(tools, mask):
    mask = np.asarray(mask)
    for estimator in (None, Duck(task_horizon=2)):
        env = vamdp.ValueAugment(script(tools, [mask]), task_horizon=2, estimator=estimator)
        env.reset()
        with pytest.raises(ValueError, match="`action_mask"):
            env.step(0)
    batch = vamdp.vector.ValueAugment(
        tools.same_step(lambda: script(tools, [mask]), 2), task_horizon=2
    )
    batch.reset()
    with pytest.raises((ValueError, TypeError), match=r"`action_mask"):
        batch.step(np.zeros(2, int))


def test_a_batch_with_a_live_state_without_an_action_names_it(tools):
    env = vamdp.vector.ValueAugment(
        tools.same_step(lambda: script(tools, [np.zeros(3, np.int8)]), 2), task_horizon=2
    )
    env.reset()
    with pytest.raises(ValueError, match=r"`action_mask\[0\]` must be a mask that allows"):
        env.step(np.zeros(2, int))
    assert env.estimator.n_states.tolist() == [0, 0]


def test_a_batch_hears_the_mask_of_a_last_state_even_where_no_start_has_one(tools):
    cut_off = (1, 1.0, False, True, {"action_mask": np.array([1, 0, 1], np.int8)})
    env = vamdp.vector.ValueAugment(
        tools.same_step(lambda: tools.Script([cut_off], 0, spaces.Discrete(6)), 2), task_horizon=2
    )
    env.reset()
    *_, infos = env.step(np.zeros(2, int))
    assert "action_mask" not in infos
    assert env.estimator.allowed_actions(np.ones((2, 1))).tolist() == [[True, False, True]] * 2


def test_taxi_masks_are_respected():
    id = "Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3"
    env = vamdp.ValueAugment(gymnasium.make(id), task_horizon=5)
    shown, info = env.reset(seed=0)
    for _ in range(200):
        allowed = info["action_mask"].astype(bool)
        state = int(shown[env.layout["state"]].argmax())
        Q = env.estimator.q_values(state)
        expected = np.where(allowed, Q, Q[allowed].min()) - Q[allowed].max()
        np.testing.assert_array_equal(shown[env.layout["advantage"]], expected.astype(np.float32))
        shown, _, terminated, truncated, info = env.step(int(np.flatnonzero(allowed)[-1]))
        if terminated or truncated:
            shown, info = env.reset()


class Duck:
    """Has the four methods and no other, and notes the masks it is told."""

    def __init__(self, n_actions=3, **options) -> None:
        self.own = vamdp.ValueEstimator(n_actions, **options)
        self.masks = []

    def update(self, *args, **kwargs):
        self.masks.append(kwargs.get("next_action_mask"))
        self.own.update(*args, **kwargs)

    def q_values(self, state):
        return self.own.q_values(state)

    def counts(self, state):
        return self.own.counts(state)

    def forget(self):
        self.own.forget()


def test_an_injected_learner_is_told_masks_only_where_there_are_some(tools):
    estimator = Duck(task_horizon=2)
    env = vamdp.ValueAugment(script(tools, [None, [1, 0, 1]]), task_horizon=2, estimator=estimator)
    env.reset()
    env.step(0)
    env.step(0)
    assert estimator.masks[0] is None
    assert estimator.masks[1].tolist() == [True, False, True]


def test_an_injected_learner_that_can_is_told_the_masks_of_starts(tools):
    ours = vamdp.ValueAugment(tools.Masked(), task_horizon=6)
    theirs = vamdp.ValueAugment(tools.Masked(), task_horizon=6, estimator=Own(3, task_horizon=6))
    np.testing.assert_equal(tools.play(ours, 2, 150), tools.play(theirs, 2, 150))
