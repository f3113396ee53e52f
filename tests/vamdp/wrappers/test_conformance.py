"""What others expect of an environment: checkers, specs, copies, seeds."""

import copy
import pickle
import threading
import types
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import vamdp

ENVS = {
    "FrozenLake-v1": {},
    "CliffWalking-v1": {},
    "Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3": {},
    "Blackjack-v1": {"state_key": tuple},
    "vamdp/Bandit-v0": {},
    "vamdp/RandomMDP-v0": {},
}


def values(id, **options):
    return vamdp.ValueAugment(gymnasium.make(id), task_horizon=9, **ENVS[id], **options)


def meta(id, **options):
    return vamdp.MetaEpisode(values(id, **options), 30, **options)


#: What checkers say of every wrapper whose observations have no bounds.
EXPECTED = ("different from the unwrapped version", "minimum value is -infinity",
            "maximum value is infinity")  # fmt: skip


@pytest.mark.parametrize("build", [values, meta])
@pytest.mark.parametrize("id", ENVS)
@pytest.mark.parametrize("flatten", [True, False])
def test_gymnasiums_checker_passes(id, build, flatten):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(build(id, flatten=flatten), skip_render_check=True)
    texts = [str(warning.message) for warning in caught]
    assert [text for text in texts if not any(part in text for part in EXPECTED)] == []


@pytest.mark.parametrize("build", [values, meta])
@pytest.mark.parametrize("id", ENVS)
@pytest.mark.parametrize("flatten", [True, False])
def test_stable_baselines_checker_passes_without_a_warning(id, build, flatten):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(build(id, flatten=flatten))


@pytest.mark.parametrize("build", [values, meta])
@pytest.mark.parametrize("id", ENVS)
def test_the_same_seed_gives_the_same_bits(tools, id, build):
    """Twice in one environment, in another one, in one made from its spec, and in copies."""
    env = build(id)
    twins = [
        env,
        build(id),
        gymnasium.make(env.spec),
        pickle.loads(pickle.dumps(env)),
        copy.deepcopy(env),
    ]
    stream = tools.play(env, 5, 70)
    for twin in twins:
        np.testing.assert_equal(tools.play(twin, 5, 70), stream)


def test_a_spec_records_every_argument():
    env = vamdp.MetaEpisode(
        vamdp.ValueAugment(
            gymnasium.make("FrozenLake-v1"), task_horizon=9, value_scale=2.0, count_scale=3.0,
            show_state=False, flatten=False, gamma=0.9, smoothing=0.5,
        ),
        30, task_horizon=4, reward_scale=5.0, flatten=False,
    )  # fmt: skip
    copied = gymnasium.make(env.spec)
    assert (copied.horizon, copied.task_horizon, copied.reward_scale) == (30, 4, 5.0)
    inner = copied.env
    assert (inner.task_horizon, inner.value_scale, inner.count_scale) == (9, 2.0, 3.0)
    assert inner.estimator.options == env.env.estimator.options
    assert copied.layout == env.layout
    assert isinstance(copied.observation_space, gymnasium.spaces.Dict)
    assert gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))


class Locked(vamdp.ValueEstimator):
    """A learner that cannot be copied."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.lock = threading.Lock()


@pytest.mark.parametrize("kind", [vamdp.ValueEstimator, "bare"])
def test_environments_from_one_spec_have_a_learner_each_that_has_learned_nothing(kind):
    made = vamdp.ValueEstimator if kind == "bare" else kind
    learner = made(4, task_horizon=10)
    if kind == "bare":  # any object with the four methods
        learner = types.SimpleNamespace(
            **{name: getattr(learner, name) for name in ("update", "q_values", "counts", "forget")}
        )
    env = vamdp.ValueAugment(gymnasium.make("FrozenLake-v1"), task_horizon=10, estimator=learner)
    env.reset(seed=0)
    env.step(1)
    assert env.estimator is learner
    one, other = gymnasium.make(env.spec), gymnasium.make(env.spec)
    one.reset(seed=0), other.reset(seed=0)
    other.step(1)
    counts = [each.get_wrapper_attr("estimator").counts(0).sum() for each in (one, other, env)]
    assert counts == [0, 1, 1]
    again = gymnasium.make(one.spec)
    assert again.get_wrapper_attr("estimator") is not one.get_wrapper_attr("estimator")


def test_what_cannot_be_copied_is_wrapped_and_only_a_learner_needs_a_copy_for_a_spec():
    lake = gymnasium.make("FrozenLake-v1")
    env = vamdp.ValueAugment(lake, task_horizon=5, state_key=Halves())
    assert gymnasium.make(env.spec).get_wrapper_attr("estimator") is not env.estimator
    env = vamdp.ValueAugment(lake, task_horizon=5, estimator=Locked(4, task_horizon=5))
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"`estimator` must be a function .*got a Locked, which c"):
        gymnasium.make(env.spec)


class Halves:
    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self, state):
        return state // 2


@pytest.mark.parametrize("by", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("build", [values, meta])
def test_a_copy_of_a_running_environment_goes_on_by_itself(tools, by, build):
    env = build("vamdp/RandomMDP-v0")
    env.reset(seed=1)
    for t in range(7):
        env.step(t % 5)
    twin, untouched = by(env), by(env)
    stream = [env.step(t % 5) for t in range(3)]
    np.testing.assert_equal([twin.step(t % 5) for t in range(3)], stream)
    for _ in range(2):
        env.step(0)  # changes nothing in the copy
    np.testing.assert_equal([untouched.step(t % 5) for t in range(3)], stream)


def test_a_copy_of_a_running_batch_goes_on_by_itself(tools):
    env = vamdp.vector.MetaEpisode(
        vamdp.vector.ValueAugment(vamdp.TaskVectorEnv(tools.blackjack_like, 3), task_horizon=5), 40
    )
    env.reset(seed=1)
    for t in range(7):
        env.step(np.full(3, t % 2))
    twin = copy.deepcopy(env)
    for t in range(40):
        ours, theirs = (each.step(np.full(3, t % 2)) for each in (env, twin))
        np.testing.assert_equal(ours[:4], theirs[:4])


@pytest.mark.parametrize("mode", ["vector_entry_point", "sync"])
def test_made_vector_environments_can_be_wrapped(mode):
    same_step = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}
    env = gymnasium.make_vec(
        "vamdp/RandomMDP-v0",
        num_envs=3,
        vectorization_mode=mode,
        vector_kwargs=same_step if mode == "sync" else None,
    )
    env = vamdp.vector.MetaEpisode(vamdp.vector.ValueAugment(env, task_horizon=10), 25)
    assert env.observation_space.contains(env.reset(seed=0)[0])
    assert env.metadata["autoreset_mode"] == gymnasium.vector.AutoresetMode.SAME_STEP
    assert env.observation_space.contains(env.step(np.zeros(3, int))[0])
