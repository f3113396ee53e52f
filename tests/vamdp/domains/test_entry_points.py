"""The functions that make environments: found by name, so that other processes find them, too."""

import importlib
import pickle

import gymnasium
import pytest

from vamdp.domains import TaskEnv, TaskVectorEnv

MODULES = {
    "Bandit": "bandits", "RandomMDP": "random_mdps", "GridWorld": "gridworlds",
    "FrozenLake": "frozen_lakes",
}  # fmt: skip


@pytest.mark.parametrize("module", MODULES.values())
@pytest.mark.parametrize("name", ["env", "vector_env"])
def test_they_are_pickled_by_name(module, name):
    function = getattr(importlib.import_module(f"vamdp.domains.{module}"), name)
    assert pickle.loads(pickle.dumps(function)) is function
    assert (function.__module__, function.__qualname__) == (f"vamdp.domains.{module}", name)


@pytest.mark.parametrize(("id", "module"), MODULES.items())
def test_gymnasium_finds_them(id, module):
    spec = gymnasium.spec(f"vamdp/{id}-v0")
    assert spec.entry_point == f"vamdp.domains.{module}:env"
    single, batch = gymnasium.make(spec), gymnasium.make_vec(spec, num_envs=2)
    assert type(single.unwrapped) is TaskEnv
    assert type(batch.unwrapped) is TaskVectorEnv
    for env in (single, batch):
        env.reset(seed=0)
        env.step(env.action_space.sample())
