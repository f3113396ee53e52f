import pytest
from stable_baselines3.common.logger import configure


@pytest.fixture
def collected(make_vec, make_model):
    """A model that has just collected a rollout."""

    def make(lengths, n_steps=8, policy="TransformerPolicy", env=None, **kwargs):
        env_kwargs = {
            key: kwargs.pop(key)
            for key in ("truncates", "box_actions", "dict_obs")
            if key in kwargs
        }
        env = make_vec(lengths, **env_kwargs) if env is None else env
        model = make_model(env, policy=policy, n_steps=n_steps, **kwargs)
        model.set_logger(configure(None, []))
        _, callback = model._setup_learn(1)
        assert model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
        return model

    return make
