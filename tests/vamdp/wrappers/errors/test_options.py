import math

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

import vamdp
from vamdp.domains import Bandits

from .lakes import KINDS, lake, lakes


@pytest.mark.parametrize(("package", "make"), KINDS, ids=["single", "batch"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task_horizon": 0}, "`task_horizon` must be an integer of at least 1, got 0"),
        ({"task_horizon": 2.5}, "`task_horizon` must be an integer of at least 1, got 2.5"),
        ({"value_scale": 0.0}, "`value_scale` must be finite and above 0, got 0.0"),
        ({"value_scale": math.inf}, "`value_scale` must be finite and above 0, got inf"),
        ({"count_scale": -1}, "`count_scale` must be finite and above 0, got -1"),
        ({"count_scale": math.nan}, "`count_scale` must be finite and above 0, got nan"),
        ({"warm_start": True}, "`warm_start` must be False if `gamma` is 1"),
        ({"gamma": 1.2}, "`gamma` must be in"),
        ({"state_key": 3}, "`state_key` must be callable, got 3"),
        ({"reward_model": "mean"}, "`reward_model` must be"),
    ],
)
def test_options_of_value_augment_out_of_range_are_refused(package, make, options, message):
    with pytest.raises(ValueError, match=message):
        package.ValueAugment(make(), **{"task_horizon": 5, **options})


@pytest.mark.parametrize(("package", "make"), KINDS, ids=["single", "batch"])
def test_unknown_options_are_refused(package, make):
    with pytest.raises(TypeError, match="discount"):
        package.ValueAugment(make(), task_horizon=5, discount=0.9)


@pytest.mark.parametrize(("package", "make"), KINDS, ids=["single", "batch"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "`horizon` must be an integer of at least 1, got 0"),
        ({"horizon": 2.0}, "`horizon` must be an integer of at least 1, got 2.0"),
        ({"reward_scale": 0}, "`reward_scale` must be finite and above 0, got 0"),
        ({"task_horizon": 0}, "`task_horizon` must be an integer of at least 1, got 0"),
    ],
)
def test_options_of_meta_episode_out_of_range_are_refused(package, make, options, message):
    with pytest.raises(ValueError, match=message):
        package.MetaEpisode(make(), **{"horizon": 5, **options})


@pytest.mark.parametrize("wrap", ["ValueAugment", "MetaEpisode"])
@pytest.mark.parametrize("package", [vamdp, vamdp.vector])
def test_continuous_actions_are_refused_with_a_remedy(tools, wrap, package):
    env = tools.Script([], action_space=spaces.Box(-1, 1))
    env = env if package is vamdp else tools.same_step(lambda: env, 2)
    argument = {"task_horizon": 5} if wrap == "ValueAugment" else {"horizon": 5}
    with pytest.raises(ValueError, match=r"`env.action_space` must be Discrete.*DiscretizeAction"):
        getattr(package, wrap)(env, **argument)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
@pytest.mark.parametrize("wrap", ["ValueAugment", "MetaEpisode"])
def test_restarts_one_step_later_are_refused_with_the_argument_to_pass(mode, wrap):
    argument = {"task_horizon": 5} if wrap == "ValueAugment" else {"horizon": 5}
    with pytest.raises(
        ValueError, match=r"autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP"
    ):
        getattr(vamdp.vector, wrap)(lakes(mode), **argument)


def test_seeds_of_a_batch_are_one_each():
    env = vamdp.vector.MetaEpisode(
        vamdp.vector.ValueAugment(vamdp.TaskVectorEnv(Bandits(), 3), task_horizon=1), 5
    )
    with pytest.raises(ValueError, match="`seed` must give 3 seeds, got 2"):
        env.reset(seed=[1, 2])


@pytest.mark.parametrize("mask", [np.ones(4, bool), np.ones((3, 1), bool)])
def test_a_reset_mask_of_another_shape_is_refused_and_the_episodes_go_on(mask):
    env = vamdp.vector.ValueAugment(vamdp.TaskVectorEnv(Bandits(), 3), task_horizon=1)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"`options\['reset_mask'\]` must have shape \(3,\), got"):
        env.reset(options={"reset_mask": mask})
    env.step(np.zeros(3, int))


def test_a_wrong_task_is_refused_and_the_present_one_goes_on():
    env = vamdp.MetaEpisode(vamdp.ValueAugment(vamdp.TaskEnv(Bandits()), task_horizon=1), 5)
    env.reset(seed=0)
    env.step(0)
    task = env.get_task()
    for attempt in (env.set_task, env.reset_task, lambda t: env.reset(options={"task": t})):
        with pytest.raises(TypeError, match="must be a TabularMDP, got str"):
            attempt("easy")
    assert env.get_task() is task
    assert env.get_wrapper_attr("estimator").counts(0).sum() == 1
    env.step(0)


@pytest.mark.parametrize(
    ("name", "options"), [("ValueAugment", {"task_horizon": 5}), ("MetaEpisode", {"horizon": 5})]
)
def test_single_and_batched_wrappers_are_not_confused(name, options):
    with pytest.raises(TypeError, match=rf"VectorEnv, got .* Use vamdp\.{name}\."):
        getattr(vamdp.vector, name)(lake(), **options)
    with pytest.raises(TypeError, match=rf"gymnasium\.Env, got .* Use vamdp\.vector\.{name}\."):
        getattr(vamdp, name)(lakes(), **options)
