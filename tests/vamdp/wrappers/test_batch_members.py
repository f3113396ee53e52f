"""No environment of a batch speaks for the others, and those in processes are asked as well."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit

import vamdp

KINDS = [SyncVectorEnv, AsyncVectorEnv]


class Line(gymnasium.Env):
    """Shows its place above an origin, which its own key takes off."""

    action_space, observation_space = spaces.Discrete(2), spaces.Box(-np.inf, np.inf, (1,))

    def __init__(self, origin=0) -> None:
        self.origin = origin

    def state_key(self, observation):
        return int(observation[0]) - self.origin

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = 0
        return np.array([self.origin], np.float32), {}

    def step(self, action):
        self.x += 1
        shown = np.array([self.origin + self.x], np.float32)
        return shown, 1.0, self.x == 3, False, {}


class Keyless(Line):
    state_key = None

    def __getattribute__(self, name):
        if name == "state_key":
            raise AttributeError(name)
        return super().__getattribute__(name)


def batch(kind, *makes):
    return kind(list(makes), autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.fixture
def closing():
    """Closes the batches that a test makes, though it fail."""
    made = []

    def make(kind, *makes):
        made.append(batch(kind, *makes))
        return made[-1]

    yield make
    for envs in made:
        envs.close()


def test_each_environment_of_a_loop_reads_its_own_keys(closing):
    origins = (0, 10)
    envs = closing(SyncVectorEnv, *[lambda o=o: Line(o) for o in origins])
    envs = vamdp.vector.ValueAugment(envs, task_horizon=4)
    singles = [vamdp.ValueAugment(Line(o), task_horizon=4) for o in origins]
    envs.reset(seed=0)
    for one in singles:
        one.reset(seed=0)
    for _ in range(2):
        expected = [one.step(0)[0] for one in singles]
        np.testing.assert_array_equal(envs.step(np.zeros(2, int))[0], expected)
    states = [envs.estimator.model(i).states for i in range(2)]
    assert states[0] == states[1] == singles[1].estimator.model().states


def test_a_key_that_only_some_have_is_refused(closing):
    envs = closing(SyncVectorEnv, Line, Keyless)
    with pytest.raises(ValueError, match=r"`state_key` must be .* environment 1 does not have it"):
        vamdp.vector.ValueAugment(envs, task_horizon=4)


def test_keys_of_other_processes_are_asked_for_by_name(closing):
    envs = closing(AsyncVectorEnv, Line, Line)
    with pytest.raises(ValueError, match=r"`state_key` must be given.*use SyncVectorEnv"):
        vamdp.vector.ValueAugment(envs, task_horizon=4)
    envs = closing(AsyncVectorEnv, Line, Line)  # Gymnasium before 1.4 closes those of a refused one
    vamdp.vector.ValueAugment(envs, task_horizon=4, state_key=tuple)


def made(limit=6):
    return gymnasium.make("FrozenLake-v1", max_episode_steps=limit)


MEMBERS = {
    "of a spec": made,
    "no limit": Line,
    "a limit without a spec": lambda: TimeLimit(Line(), 5),
    "recorded": lambda: RecordEpisodeStatistics(made()),
    "values": lambda: vamdp.ValueAugment(made(), task_horizon=8),
    "values apart": lambda: vamdp.ValueAugment(made(), task_horizon=8, flatten=False),
}


@pytest.mark.parametrize("member", MEMBERS)
def test_what_processes_hide_is_known_as_in_a_loop(closing, member):
    one = vamdp.MetaEpisode(MEMBERS[member](), 17)
    lives = []
    for kind in KINDS:
        envs = vamdp.vector.MetaEpisode(closing(kind, *[MEMBERS[member]] * 2), 17)
        assert envs.task_horizon == one.task_horizon
        assert envs.layout == one.layout
        assert envs.action_parts == one.action_parts
        life = [envs.reset(seed=3)[0]]
        for t in range(17):
            life.append(envs.step(np.full(2, t % 2)))
        statistics = life[-1][4]["final_info"].get("episode")
        assert (statistics is not None) == (member == "recorded")
        lives.append([moment[:2] if isinstance(moment, tuple) else moment for moment in life])
    np.testing.assert_equal(lives[0], lives[1])


@pytest.mark.parametrize("kind", KINDS)
def test_different_limits_are_refused_with_the_argument_to_pass(closing, kind):
    envs = closing(kind, made, lambda: made(9))
    with pytest.raises(ValueError, match=r"`task_horizon` must be given .* got \[6, 9\]"):
        vamdp.vector.MetaEpisode(envs, 17)
    envs = closing(kind, made, lambda: made(9))
    assert vamdp.vector.MetaEpisode(envs, 17, task_horizon=9).task_horizon == 9


@pytest.mark.parametrize("kind", KINDS)
def test_different_horizons_of_learners_are_refused_likewise(closing, kind):
    envs = closing(kind, *[lambda h=h: vamdp.ValueAugment(made(), task_horizon=h) for h in (5, 8)])
    with pytest.raises(ValueError, match=r"`task_horizon` must be given .* got \[5, 8\]"):
        vamdp.vector.MetaEpisode(envs, 17)


@pytest.mark.parametrize("kind", KINDS)
def test_a_meta_episode_in_any_of_them_is_found(closing, kind):
    same = RecordEpisodeStatistics  # of one space with what is beside it
    for wrap, how in ((vamdp.vector.ValueAugment, "task_horizon"), (vamdp.vector.MetaEpisode, "")):
        envs = closing(kind, *[lambda: same(vamdp.MetaEpisode(made(), 9))] * 2)
        with pytest.raises(ValueError, match="must have no MetaEpisode inside"):
            wrap(envs, **({how: 5} if how else {"horizon": 5}))


def test_different_layouts_of_one_size_are_refused(closing):
    def laid_out(*names):
        class LaidOut(Line):
            observation_space = spaces.Box(-9, 99, (2,))
            layout = dict(zip(names, (slice(0, 1), slice(1, 2)), strict=True))  # noqa: RUF012

        return LaidOut

    envs = closing(SyncVectorEnv, laid_out("a", "b"), laid_out("b", "a"))
    with pytest.raises(ValueError, match="must have the same `layout` in all environments"):
        vamdp.vector.MetaEpisode(envs, 9)
