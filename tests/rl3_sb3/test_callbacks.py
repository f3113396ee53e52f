"""What callbacks read that were written for Stable-Baselines3's PPO."""

import numpy as np
import pytest
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import HParam
from stable_baselines3.common.vec_env import DummyVecEnv

KINDS = pytest.mark.parametrize("kwargs", [{}, {"box_actions": True}, {"dict_obs": True}])


class Reads(BaseCallback):
    def __init__(self):
        super().__init__()
        self.steps, self.rollouts = [], []

    def _on_step(self):
        self.steps.append(dict(self.locals))
        return True

    def _on_rollout_end(self):
        buffer = self.model.rollout_buffer
        names = ("actions", "log_probs", "episode_starts", "rewards", "values", "returns")
        names = (*names, "advantages", "observations")
        self.rollouts.append({name: getattr(buffer, name) for name in names})


def read(make, make_env, **kwargs):
    env = DummyVecEnv([lambda n=n: make_env(n, **kwargs) for n in (3, 5)])
    callback = Reads()
    make(env).learn(16, callback=callback)
    return callback


@pytest.fixture
def ours(make_env, make_model):
    return lambda **kw: read(lambda env: make_model(env, n_steps=8), make_env, **kw)


@pytest.fixture
def theirs(make_env):
    def make(env):
        policy = "MultiInputPolicy" if hasattr(env.observation_space, "spaces") else "MlpPolicy"
        return PPO(policy, env, n_steps=8, batch_size=16, n_epochs=1)

    return lambda **kw: read(make, make_env, **kw)


def shape(value):
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    return tuple(value.shape) if hasattr(value, "shape") else None


@KINDS
def test_locals_have_the_names_types_and_shapes_of_sb3(ours, theirs, kwargs):
    ours, theirs = ours(**kwargs), theirs(**kwargs)
    assert len(ours.steps) == len(theirs.steps) == 8
    for t, (mine, other) in enumerate(zip(ours.steps, theirs.steps, strict=True)):
        # left over from what their loop did with the step before
        wanted = other.keys() - {"idx", "done", "terminal_obs", "terminal_value"}
        assert wanted <= mine.keys(), wanted - mine.keys()
        assert mine["n_steps"] == other["n_steps"] == t
        for name in ("obs_tensor", "actions", "clipped_actions", "values", "log_probs"):
            assert type(mine[name]) is type(other[name]), name
            assert shape(mine[name]) == shape(other[name]), name


@KINDS
def test_a_rollout_has_the_names_of_sb3_with_the_environment_as_first_axis(ours, theirs, kwargs):
    (mine,), (other,) = ours(**kwargs).rollouts, theirs(**kwargs).rollouts
    for name in ("log_probs", "episode_starts", "rewards", "values", "returns", "advantages"):
        assert mine[name].shape == other[name].T.shape == (2, 8), name
    np.testing.assert_array_equal(mine["episode_starts"], other["episode_starts"].T.astype(bool))
    assert mine["actions"].shape[:2] == (2, 8)
    assert mine["observations"].shape == (2, 8, 6 if "dict_obs" in kwargs else 4)


@KINDS
def test_steps_and_rollout_tell_the_same(ours, kwargs):
    read = ours(**kwargs)
    (rollout,) = read.rollouts
    for t, step in enumerate(read.steps):
        np.testing.assert_allclose(step["log_probs"], rollout["log_probs"][:, t], rtol=1e-5)
        np.testing.assert_array_equal(step["actions"], rollout["actions"][:, t])
        np.testing.assert_array_equal(step["rewards"], rollout["rewards"][:, t].astype(np.float32))
        if "dict_obs" not in kwargs:
            np.testing.assert_array_equal(step["obs_tensor"], rollout["observations"][:, t])
        if "box_actions" in kwargs:
            np.testing.assert_array_equal(step["clipped_actions"], step["actions"].clip(-1, 1))
        assert th.isnan(step["values"]).all()  # the critic reads the rollout when it is complete
    assert np.isfinite(rollout["values"]).all()


def test_episode_starts_go_on_where_the_last_rollout_ended(make_vec, make_model):
    callback = Reads()
    make_model(make_vec([3, 5]), n_steps=4).learn(16, callback=callback)
    first, second = (
        rollout["episode_starts"].astype(int).tolist() for rollout in callback.rollouts
    )
    assert first == [[1, 0, 0, 1], [1, 0, 0, 0]]
    assert second == [[0, 0, 1, 0], [0, 1, 0, 0]]


def test_a_callback_that_reads_no_steps_gets_none_and_changes_nothing(make_vec, make_model):
    class Blind(Reads):
        reads_steps = False

    seeing, blind = Reads(), Blind()
    models = [make_model(make_vec([3, 5]), n_steps=4).learn(16, c) for c in (seeing, blind)]
    assert all("log_probs" in step for step in seeing.steps)
    assert not any("log_probs" in step for step in blind.steps)
    first, second = (model.policy.parameters_to_vector() for model in models)
    np.testing.assert_array_equal(first, second)


def test_what_a_rollout_has_not_yet_is_missing_and_not_of_the_last_one(make_vec, make_model):
    missing = []

    class Early(BaseCallback):
        def _on_step(self):
            missing.append(hasattr(self.model.rollout_buffer, "log_probs"))
            return hasattr(self.model.rollout_buffer, "actions")

    model = make_model(make_vec([3, 5]), n_steps=4)
    assert not hasattr(model.rollout_buffer, "observations")
    model.learn(16, callback=Early())
    assert missing == [False] * 8
    assert model.rollout_buffer.log_probs.shape == (2, 4)


class Sets(BaseCallback):
    """Sets an attribute of the model when a rollout begins, or at its end."""

    def __init__(self, at_end=False, **values):
        super().__init__()
        self.values, self.at_end = values, at_end

    def set(self):
        for name, value in self.values.items():
            setattr(self.model, name, value)

    def _on_step(self):
        return True

    def _on_rollout_start(self):
        if not self.at_end:
            self.set()

    def _on_rollout_end(self):
        if self.at_end:
            self.set()


def trained(make_vec, make_model, callback=None, **kwargs):
    model = make_model(make_vec([4, 4]), n_steps=4, **kwargs)
    return model.learn(24, callback=callback)


def same_weights(one, other):
    return bool((one.policy.parameters_to_vector() == other.policy.parameters_to_vector()).all())


@pytest.mark.parametrize("value", [0.1, np.float32(0.1), lambda left: 0.1])
@pytest.mark.parametrize("name", ["ent_coef", "clip_range"])
def test_a_number_or_schedule_set_in_a_callback_trains_as_if_given(
    make_vec, make_model, name, value
):
    given = float(value) if isinstance(value, np.floating) else value
    assert same_weights(
        trained(make_vec, make_model, Sets(**{name: value}), **{name: 0.9}),
        trained(make_vec, make_model, **{name: given}),
    )


def test_lambda_set_at_a_rollouts_end_holds_from_the_next_rollout_on(make_vec, make_model):
    model = trained(make_vec, make_model, Sets(at_end=True, gae_lambda=0.25), gae_lambda=0.5)
    assert model.logger.name_to_value["train/gae_lambda"] == 0.25
    first = make_model(make_vec([4, 4]), n_steps=4, gae_lambda=0.5)
    first.learn(8, Sets(at_end=True, gae_lambda=0.25))
    assert (first.rollout_buffer.gae_lambda, first.gae_lambda) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("ent_coef", -0.1, "at least 0 and finite, got -0.1, set during training"),
        ("gae_lambda", 2.0, r"in \[0, 1\], got 2.0, set during training"),
        ("clip_range", np.nan, "at least 0, got nan, set during training"),
    ],
)
def test_a_number_set_out_of_range_is_named(make_vec, make_model, name, value, wanted):
    with pytest.raises(ValueError, match=f"`{name}` must stay {wanted}"):
        trained(make_vec, make_model, Sets(**{name: value}))


def test_coefficients_can_be_read_and_logged_as_they_were_given(make_vec, make_model, tmp_path):
    class Logs(BaseCallback):
        def _on_training_start(self):
            model = self.model
            shown = {"ent_coef": model.ent_coef, "gae_lambda": model.gae_lambda}
            self.logger.record("hparams", HParam(shown, {"train/value_loss": 0}))

        def _on_step(self):
            return True

    pytest.importorskip("tensorboard")
    settings = {"ent_coef": 0.02, "gae_lambda": 0.9, "tensorboard_log": str(tmp_path)}
    model = trained(make_vec, make_model, Logs(), **settings)
    assert (model.ent_coef * 2, model.gae_lambda) == (0.04, 0.9)
