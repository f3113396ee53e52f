"""The functions that make environments: found by name, so that other processes find them, too."""

import importlib
import pickle

import gymnasium
import pytest

from vamdp.domains import SampledEnv, SampledVectorEnv, TaskEnv, TaskVectorEnv

MODULES = {
    "Bandit": "bandits", "RandomMDP": "random_mdps", "GridWorld": "gridworlds",
    "FrozenLake": "frozen_lakes",
}  # fmt: skip
SAMPLED = {
    "CartPole": "cart_poles", "Acrobot": "acrobots", "MountainCar": "mountain_cars",
    "HalfCircle": "half_circles",
}  # fmt: skip


@pytest.mark.parametrize("module", [*MODULES.values(), *SAMPLED.values()])
@pytest.mark.parametrize("name", ["env", "vector_env"])
def test_they_are_pickled_by_name(module, name):
    function = getattr(importlib.import_module(f"vamdp.domains.{module}"), name)
    assert pickle.loads(pickle.dumps(function)) is function
    assert (function.__module__, function.__qualname__) == (f"vamdp.domains.{module}", name)


@pytest.mark.parametrize(("id", "module"), {**MODULES, **SAMPLED}.items())
def test_gymnasium_finds_them(id, module):
    spec = gymnasium.spec(f"vamdp/{id}-v0")
    assert spec.entry_point == f"vamdp.domains.{module}:env"
    single, batch = gymnasium.make(spec), gymnasium.make_vec(spec, num_envs=2)
    assert type(single.unwrapped) is (SampledEnv if id in SAMPLED else TaskEnv)
    assert type(batch.unwrapped) is (SampledVectorEnv if id in SAMPLED else TaskVectorEnv)
    for env in (single, batch):
        env.reset(seed=0)
        env.step(env.action_space.sample())


@pytest.mark.parametrize("id", SAMPLED)
def test_distributions_arguments_and_the_time_limit_reach_both(id):
    argument = {"noise": 0.5} if id == "HalfCircle" else {"swapped": 0.25}
    single = gymnasium.make(f"vamdp/{id}-v0", **argument)
    batch = gymnasium.make_vec(f"vamdp/{id}-v0", num_envs=2, **argument)
    assert single.unwrapped.env_distribution == batch.unwrapped.env_distribution
    ((name, value),) = argument.items()
    assert getattr(batch.unwrapped.env_distribution, name) == value
    assert single.spec.max_episode_steps == batch.unwrapped.max_episode_steps >= 20


def test_robots_without_pictures_refuse_to_be_rendered():
    for make in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(TypeError, match="render_mode"):
            make("vamdp/HalfCircle-v0", render_mode="rgb_array")
