import gymnasium
import numpy as np
import pytest

import vamdp


class Minimal:
    """The least that a learner must have, here around one of ours."""

    def __init__(self, n_actions, **options) -> None:
        self._own = vamdp.ValueEstimator(n_actions, **options)
        self.n_forgotten = 0

    def update(self, state, action, reward, next_state, terminated):
        assert type(action) is int
        assert type(reward) is float
        assert type(terminated) is bool
        self._own.update(state, action, reward, next_state, terminated)

    def q_values(self, state):
        return self._own.q_values(state)

    def counts(self, state):
        return self._own.counts(state)

    def forget(self):
        self.n_forgotten += 1
        self._own.forget()


OPTIONS = {"task_horizon": 7, "gamma": 0.9, "smoothing": 0.3}
CASES = [
    ("FrozenLake-v1", 4, {}),
    ("Blackjack-v1", 2, {"state_key": tuple}),
    ("vamdp/RandomMDP-v0", 5, {}),
]


@pytest.mark.parametrize(("id", "n_actions", "wrapping"), CASES)
@pytest.mark.parametrize("kind", [Minimal, vamdp.ValueEstimator])
def test_an_injected_estimator_shows_what_the_default_shows(tools, id, n_actions, wrapping, kind):
    scales = {"value_scale": 3.0, "count_scale": 4.0}
    default = vamdp.ValueAugment(gymnasium.make(id), **OPTIONS, **scales, **wrapping)
    estimator = kind(n_actions, **OPTIONS)
    injected = vamdp.ValueAugment(
        gymnasium.make(id), task_horizon=7, estimator=estimator, **scales, **wrapping
    )
    assert injected.estimator is estimator
    for env in (default, injected):
        env.reset(seed=0)
    np.testing.assert_equal(tools.play(injected, 4, 80), tools.play(default, 4, 80))


def test_an_injected_estimator_forgets_with_the_task_alone():
    estimator = Minimal(5, task_horizon=10)
    env = vamdp.ValueAugment(
        gymnasium.make("vamdp/RandomMDP-v0"), task_horizon=10, estimator=estimator
    )
    env.reset(seed=0)
    env.step(0)
    env.reset()
    assert estimator.n_forgotten == 1
    env.reset(options={"new_task": True})
    env.reset_task()
    assert estimator.n_forgotten == 3


def test_states_of_an_injected_estimator_may_be_any_hashable(tools):
    class ByName(Minimal):
        def update(self, state, action, reward, next_state, terminated):
            super().update(len(state), action, reward, len(next_state), terminated)

        def q_values(self, state):
            return super().q_values(len(state))

        def counts(self, state):
            return super().counts(len(state))

    env = vamdp.ValueAugment(
        tools.Script([(i, 1.0, False, False, {}) for i in (1, 2, 3)]),
        task_horizon=2,
        state_key=lambda number: "x" * number,
        estimator=ByName(3, task_horizon=2),
        count_scale=1.0,
    )
    env.reset()
    env.step(0)
    shown = env.step(2)[0]
    assert not shown[env.layout["count"]].any()
    assert env.estimator.counts("x").tolist() == [0, 0, 1]


@pytest.mark.parametrize("missing", ["update", "q_values", "counts", "forget"])
def test_a_missing_method_is_named(missing):
    names = {"update", "q_values", "counts", "forget"} - {missing}
    partial = type("Partial", (), {name: lambda self, *args: None for name in names})()
    with pytest.raises(TypeError, match=f"Partial without {missing}"):
        vamdp.ValueAugment(gymnasium.make("FrozenLake-v1"), task_horizon=2, estimator=partial)


def test_options_beside_an_estimator_are_refused():
    estimator = vamdp.ValueEstimator(4, task_horizon=2)
    with pytest.raises(ValueError, match=r"`gamma` must be left out .* got 0.9"):
        vamdp.ValueAugment(
            gymnasium.make("FrozenLake-v1"), task_horizon=2, estimator=estimator, gamma=0.9
        )


def test_an_estimator_of_other_actions_is_refused():
    with pytest.raises(ValueError, match=r"`estimator` must have the 4 actions .* got 3"):
        vamdp.ValueAugment(
            gymnasium.make("FrozenLake-v1"),
            task_horizon=2,
            estimator=vamdp.ValueEstimator(3, task_horizon=2),
        )


def test_a_state_set_from_outside_is_what_is_shown():
    """Asking, restoring and feeding the estimator between steps reaches the observation."""
    env = vamdp.ValueAugment(gymnasium.make("vamdp/RandomMDP-v0"), task_horizon=10)
    env.reset(seed=0)
    for t in range(5):
        env.step(t)
    kept = env.estimator.get_state()
    twin = vamdp.ValueAugment(gymnasium.make("vamdp/RandomMDP-v0"), task_horizon=10)
    twin.reset(seed=0)
    for t in range(5):
        twin.step(t)
    twin.forget()
    twin.estimator.set_state(kept)
    np.testing.assert_equal([twin.step(t) for t in range(5)], [env.step(t) for t in range(5)])
