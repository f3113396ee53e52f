"""Real-valued observations: bins by default, numbers for learners that take them, own keys."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import vamdp
from vamdp import StateBins

SAME_STEP = AutoresetMode.SAME_STEP


def cars():
    return gymnasium.make("MountainCar-v0")


def poles():
    return gymnasium.make("CartPole-v1")


def observations(env, n_steps, seed=0):
    """What is shown over some steps of a batch or of one environment."""
    rng, shown = np.random.default_rng(seed), []
    is_batch = isinstance(env, gymnasium.vector.VectorEnv)
    env.reset(seed=seed)
    for _ in range(n_steps):
        actions = rng.integers(0, 2, env.num_envs if is_batch else None)
        observation, _, terminated, truncated, _ = env.step(actions)
        shown.append(observation)
        if not is_batch and (terminated or truncated):
            env.reset()
    return np.array(shown)


def test_bounded_observations_are_cut_into_bins_by_default():
    env = vamdp.ValueAugment(cars(), task_horizon=200)
    by_hand = vamdp.ValueAugment(
        cars(), task_horizon=200, state_key=StateBins(8, (-1.2, -0.07), (0.6, 0.07))
    )
    assert observations(env, 150).tolist() == observations(by_hand, 150).tolist()
    n = 8 * 8
    assert 3 < env.estimator.n_states <= n
    assert env.layout["state"] == slice(0, 2)  # the true state is shown


def test_unbounded_observations_get_bins_of_running_scales():
    env = vamdp.ValueAugment(poles(), task_horizon=200)
    shown = observations(env, 100)
    assert shown[:, env.layout["count"]].max() > 0.2  # counts are divided by 10: states come back
    assert env.estimator.n_states < 60


@pytest.mark.parametrize("make", [cars, poles])
@pytest.mark.parametrize("estimator", [None, "q-learning"])
def test_a_batch_shows_what_single_environments_show(make, estimator):
    options = {"task_horizon": 50, "estimator": estimator, "gamma": 0.9}
    envs = SyncVectorEnv([make] * 3, autoreset_mode=SAME_STEP)
    batch = observations(vamdp.vector.ValueAugment(envs, **options), 60, seed=5)
    rng = np.random.default_rng(5)
    actions = rng.integers(0, 2, (60, 3))
    for i in range(3):
        env = vamdp.ValueAugment(make(), **options)
        env.reset(seed=5 + i)
        for t in range(60):
            observation, _, terminated, truncated, _ = env.step(actions[t, i])
            if terminated or truncated:
                observation, _ = env.reset()
            assert observation.tolist() == batch[t, i].tolist()


class Numbers:
    """Shows the state that it was told."""

    takes_reals = True

    def __init__(self, n_tasks, n_actions) -> None:
        self.n_tasks, self.n_actions = n_tasks, n_actions

    def parts(self):
        return {"told": spaces.Box(-np.inf, np.inf, (4,), np.float32)}

    def begin_tasks(self, rows, seeds):
        pass

    def begin_episodes(self, rows, states, action_masks):
        assert states.shape == (self.n_tasks, 4)

    def update(self, states, actions, rewards, next_states, terminated, next_action_masks=None):
        assert states.shape == next_states.shape == (self.n_tasks, 4)

    def write(self, states, scales, out):
        out[:] = states


def test_a_learner_of_real_states_gets_them_as_they_are():
    env = vamdp.ValueAugment(poles(), task_horizon=9, estimator=Numbers)
    envs = SyncVectorEnv([poles] * 2, autoreset_mode=SAME_STEP)
    for each in (env, vamdp.vector.ValueAugment(envs, task_horizon=9, estimator=Numbers)):
        shown = observations(each, 30)
        state, told = shown[..., each.layout["state"]], shown[..., each.layout["told"]]
        assert state.any()
        assert told.tolist() == state.tolist()


def test_a_key_groups_observations_to_one_state_of_the_learner():
    """A chain of 10 places as 2 features: their visits are counted together."""
    P = np.zeros((10, 1, 10))
    P[range(10), 0, [*range(1, 10), 9]] = 1
    env = vamdp.TaskEnv(lambda rng: vamdp.TabularMDP.from_dense(P, np.zeros((10, 1)), start=0))
    env = vamdp.ValueAugment(env, task_horizon=10, state_key=lambda place: place // 5)
    env.reset(seed=0)
    for _ in range(6):
        observation, *_ = env.step(0)
    assert env.estimator.n_states == 2
    assert observation[env.layout["count"]] == pytest.approx(1 / 10)  # place 5, in group 1 since 1


def test_states_of_a_batch_come_from_one_call():
    calls = []

    def key(observation):
        return int(observation[0] > -0.5), int(observation[1] > 0)

    def keys(batch):
        calls.append(batch.shape)
        return batch > np.array([-0.5, 0.0])

    envs = [SyncVectorEnv([cars] * 2, autoreset_mode=SAME_STEP) for _ in range(2)]
    one = vamdp.vector.ValueAugment(envs[0], task_horizon=200, state_key=key)
    other = vamdp.vector.ValueAugment(envs[1], task_horizon=200, state_keys=keys)
    assert observations(one, 210).tolist() == observations(other, 210).tolist()
    assert set(calls) == {(2, 2)}


def test_learners_of_any_key_get_tuples_from_a_call_for_the_batch():
    seen = []

    class Notes:
        def update(self, state, action, reward, next_state, terminated):
            seen.append(next_state)

        def q_values(self, state):
            return np.zeros(3)

        counts = q_values

        def forget(self):
            pass

    envs = SyncVectorEnv([cars] * 2, autoreset_mode=SAME_STEP)
    envs = vamdp.vector.ValueAugment(
        envs, task_horizon=200, estimator=[Notes(), Notes()], state_keys=StateBins(3, -2, 2).keys
    )
    observations(envs, 3)
    assert len(seen) == 6
    assert all(isinstance(state, tuple) and len(state) == 2 for state in seen)


def test_state_keys_that_make_no_sense_are_refused():
    envs = SyncVectorEnv([cars] * 2, autoreset_mode=SAME_STEP)
    with pytest.raises(ValueError, match=r"`state_keys` must be callable, got 3"):
        vamdp.vector.ValueAugment(envs, task_horizon=5, state_keys=3)
    bins = StateBins(3, -2, 2)
    with pytest.raises(ValueError, match="`state_keys` must be left out with a `state_key`"):
        vamdp.vector.ValueAugment(envs, task_horizon=5, state_key=bins, state_keys=bins.keys)
    with pytest.raises(ValueError, match="`state_keys` must be left out for bins: pass state_key="):
        vamdp.vector.ValueAugment(envs, task_horizon=5, state_keys=bins)
    wrong = vamdp.vector.ValueAugment(envs, task_horizon=5, state_keys=lambda batch: batch[:1])
    with pytest.raises(ValueError, match=r"`state_keys\(observations\)` must have shape"):
        wrong.reset(seed=0)


@pytest.mark.parametrize("bad", [lambda b: b[:1], lambda b: 3, lambda b: np.full(2, np.nan)])
def test_state_keys_are_checked_for_learners_of_any_key_too(bad):
    envs = SyncVectorEnv([cars] * 2, autoreset_mode=SAME_STEP)
    learners = [vamdp.ValueEstimator(3, task_horizon=5) for _ in range(2)]
    for estimator in (None, learners):
        envs_ = vamdp.vector.ValueAugment(envs, task_horizon=5, estimator=estimator, state_keys=bad)
        with pytest.raises(ValueError, match=r"`state_keys.*must"):
            envs_.reset(seed=0)


def test_keys_that_are_filled_anew_in_each_step_are_copied():
    """With one buffer for all steps each transition would lead to where it began."""
    buffer = np.zeros((2, 2))

    def keys(observations):
        buffer[:] = observations
        return buffer

    envs = [SyncVectorEnv([cars] * 2, autoreset_mode=SAME_STEP) for _ in range(2)]
    one = vamdp.vector.ValueAugment(envs[0], task_horizon=200, state_keys=keys)
    other = vamdp.vector.ValueAugment(envs[1], task_horizon=200, state_key=tuple)
    assert observations(one, 20).tolist() == observations(other, 20).tolist()
    assert (one.estimator.n_states == 21).all()


def test_the_learner_behind_running_bins_can_be_looked_at():
    learner = vamdp.estimators.BUILT_INS["dyna-q"].make(1, 2, 9, {})
    env = vamdp.ValueAugment(poles(), task_horizon=9, estimator=learner)
    assert env.estimator is learner
    observations(env, 20)
    assert learner.n_states[0] > 1


def test_threads_plan_for_tasks_of_one_learner():
    envs = [SyncVectorEnv([cars] * 2, autoreset_mode=SAME_STEP) for _ in range(2)]
    shown = [
        observations(vamdp.vector.ValueAugment(each, task_horizon=50, threads=n), 30).tolist()
        for each, n in zip(envs, (1, 2), strict=True)
    ]
    assert shown[0] == shown[1]
    envs = SyncVectorEnv([poles] * 2, autoreset_mode=SAME_STEP)
    with pytest.raises(ValueError, match="`threads` must be 1 where the scales of bins are not"):
        vamdp.vector.ValueAugment(envs, task_horizon=5, threads=2)
    with pytest.raises(TypeError, match="`threads` is not an option"):
        vamdp.vector.ValueAugment(envs, task_horizon=5, threads=2, estimator="q-learning")


def test_one_learner_of_several_tasks_has_no_bins_of_running_scales():
    envs = SyncVectorEnv([poles] * 2, autoreset_mode=SAME_STEP)
    learner = vamdp.BatchValueEstimator(2, 2, task_horizon=5)
    with pytest.raises(ValueError, match=r"`estimator` must be a name or a function.*StateBins"):
        vamdp.vector.ValueAugment(envs, task_horizon=5, estimator=learner)
    bins = StateBins(4, -3.0, 3.0)
    vamdp.vector.ValueAugment(envs, task_horizon=5, estimator=learner, state_key=bins)
