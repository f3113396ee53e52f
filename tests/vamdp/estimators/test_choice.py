"""What is no learner for these environments is refused by name, with the remedy."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import vamdp
from vamdp.domains import RandomMDPs
from vamdp.estimators.choice import as_estimator
from vamdp.estimators.q_learning import QLearning

DOOR = ("n_tasks", "n_actions", "parts", "begin_tasks", "begin_episodes", "update", "write")


class FourMethods:
    """A learner of one task."""

    def update(self, state, action, reward, next_state, terminated):
        pass

    def q_values(self, state):
        return np.zeros(5)

    def counts(self, state):
        return np.zeros(5)

    def forget(self):
        pass


def choose(estimator, n_tasks=2, **options):
    return as_estimator(estimator, n_tasks, 5, 10, options)


@pytest.mark.parametrize("missing", DOOR)
def test_a_method_of_the_door_that_is_missing_is_named_alone(missing):
    members = {"n_tasks": 2, "n_actions": 5, "parts": lambda self: {}}
    members |= {name: lambda self, *arguments: None for name in DOOR[3:]}
    members.pop(missing)
    own = type("Own", (), members)()
    with pytest.raises(
        TypeError, match=rf"a vamdp.estimators.Estimator, got Own without {missing}\.$"
    ):
        choose(own)


def test_one_learner_that_is_listed_twice_is_refused_with_the_remedy():
    one = FourMethods()
    with pytest.raises(ValueError, match=r"got one FourMethods several times. Pass \[make\(\) for"):
        choose([one, one])
    with pytest.raises(ValueError, match="several times"):
        choose(lambda n_tasks, n_actions: [one] * n_tasks)
    assert choose([one, FourMethods()]).n_tasks == 2


def test_a_list_of_learners_of_batches_is_refused():
    with pytest.raises(TypeError, match=r"be one QLearning with n_tasks = 2, got a list"):
        choose([QLearning(1, 5), QLearning(1, 5)])
    with pytest.raises(TypeError, match=r"be one BatchValueEstimator with n_tasks = 1, got a list"):
        choose([vamdp.BatchValueEstimator(1, 5, task_horizon=4)], n_tasks=1)


def test_a_class_with_other_arguments_is_told_what_to_pass():
    class Needs(FourMethods):
        def __init__(self, gamma) -> None:
            pass

    with pytest.raises(
        TypeError,
        match=r"`estimator` must be a function \(n_tasks, n_actions\) -> learner, got Needs: .*"
        r"Pass lambda n_tasks, n_actions: ",
    ):
        choose(Needs)
    assert choose(lambda n_tasks, n_actions: [Needs(0.9) for _ in range(n_tasks)]).n_tasks == 2


@pytest.mark.parametrize("name", ["n_actions", "n_tasks"])
@pytest.mark.parametrize("estimator", [None, "model-based", "q-learning"])
def test_what_follows_from_the_environment_is_no_option(name, estimator):
    def single(**options):
        return vamdp.ValueAugment(
            gymnasium.make("vamdp/RandomMDP-v0"), task_horizon=10, estimator=estimator, **options
        )

    def batch(**options):
        envs = vamdp.TaskVectorEnv(RandomMDPs(), 2)
        return vamdp.vector.ValueAugment(envs, task_horizon=10, estimator=estimator, **options)

    for make in (single, batch):
        with pytest.raises(
            TypeError, match=rf"`{name}` is not an option\..* The options of \w+ are "
        ):
            make(**{name: 5})


def test_a_learner_for_the_door_is_taken_as_it_is():
    learner = QLearning(2, 5)
    assert choose(learner) is learner
    assert isinstance(learner.parts()["value"], spaces.Box)
