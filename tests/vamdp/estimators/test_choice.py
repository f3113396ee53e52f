"""What is no learner for these environments is refused by name, with the remedy."""

from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import vamdp
from vamdp.domains import RandomMDPs
from vamdp.estimators import Learner
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


@dataclass(frozen=True)
class Options:
    task_horizon: int
    lam: float = 0.5


@dataclass(frozen=True)
class NoOptions:
    pass


class Remembers(FourMethods):
    """A learner of one task that shows its options as values."""

    def __init__(self, n_actions, task_horizon=0, lam=0.0):
        self.n_actions, self.Q = n_actions, np.full(5, task_horizon + lam)

    def q_values(self, state):
        return self.Q


def remembering(n_tasks, n_actions, task_horizon, lam):
    return [Remembers(n_actions, task_horizon, lam) for _ in range(n_tasks)]


ROW = Learner("row", "a row", Options, remembering)


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


@pytest.mark.parametrize("features", [False, True])  # with coordinates, bins adapt to the data
def test_a_row_of_ones_own_gets_its_options_like_a_built_in(features):
    scale = 1.0 if features else None
    mdp = vamdp.TabularMDP.from_dense(
        np.full((2, 5, 2), 0.5), np.zeros((2, 5)), features=np.eye(2) if features else None
    )
    env = vamdp.TaskEnv(lambda rng: mdp, feature_scale=scale)
    envs = vamdp.TaskVectorEnv(lambda rng: mdp, 3, feature_scale=scale)
    for options, value in (({}, 7.5), ({"lam": 0.25}, 7.25)):
        own = vamdp.ValueAugment(env, task_horizon=7, estimator=ROW, **options)
        assert own.reset(seed=0)[0][own.layout["value"]].tolist() == [value]
        batch = vamdp.vector.ValueAugment(envs, task_horizon=7, estimator=ROW, **options)
        assert batch.reset(seed=0)[0][:, batch.layout["value"]].tolist() == [[value]] * 3
    with pytest.raises(TypeError, match=r"`lamb` is not an option\. Did you mean lam"):
        vamdp.ValueAugment(env, task_horizon=7, estimator=ROW, lamb=0.3)


def test_options_of_a_function_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"`lam` must be left out .*0.3. .*estimators.Learner"):
        choose(lambda n_tasks, n_actions: QLearning(n_tasks, n_actions), lam=0.3)


def test_the_class_of_one_learner_is_told_apart_from_a_function():
    words = r"when it is called as \(n_tasks, n_actions\), got Remembers, the class of one learner"
    for maker in (Remembers, Learner("own", "own", NoOptions, Remembers)):
        for n_tasks in (1, 2):
            with pytest.raises(ValueError, match=words):
                choose(maker, n_tasks)
    with pytest.raises(TypeError, match=r"hold learners, got the class Remembers. Pass \[Remem"):
        choose([Remembers, FourMethods])


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (
            lambda: [],
            r"\(n_tasks, n_actions, task_horizon, lam\) -> learner, got <lambda>: too many",
        ),
        (lambda n, a, lam: [], "got an unexpected keyword argument 'task_horizon'"),
    ],
)
def test_a_factory_with_other_arguments_is_named_without_internals(factory, words):
    with pytest.raises(TypeError, match=words) as caught:
        choose(Learner("own", "own", Options, factory))
    assert "Learner(" not in str(caught.value)


def test_errors_inside_a_function_that_makes_learners_pass():
    def broken(n_tasks, n_actions):
        raise TypeError("of its own")

    with pytest.raises(TypeError, match=r"^of its own$"):
        choose(broken)


@pytest.mark.parametrize(
    ("options", "factory", "words"),
    [
        (dict, remembering, "`options` must be a frozen dataclass, got <class 'dict'>"),
        (Options(3), remembering, "`options` must be a frozen dataclass, got Options"),
        (Options, FourMethods(), "`factory` must be a function"),
    ],
)
def test_a_row_is_checked_where_it_is_written(options, factory, words):
    with pytest.raises(TypeError, match=words):
        Learner("own", "own", options, factory)
