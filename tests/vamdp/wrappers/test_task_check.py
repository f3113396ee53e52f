"""Which environments are task distributions, and which only look like some."""

import itertools

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import vamdp
from vamdp.wrappers.label_test import Outcomes


class Corridor(gymnasium.Env):
    """Left or right over five cells; at one end stands the prize, drawn as `drawn` says."""

    observation_space, action_space = spaces.Discrete(5), spaces.Discrete(2)

    def __init__(self, drawn="by task", own_randomness=None):
        self.drawn, self.own = drawn, own_randomness
        self.prize = 4

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        asked = {
            "always": True,
            "by task": seed is not None or bool((options or {}).get("new_task")),
            "by seed": seed is not None,
            "by option": bool((options or {}).get("new_task")),
            "never": False,
        }
        if asked[self.drawn]:
            self.prize = 4 * int((self.own or self.np_random).integers(2))
        self.cell = 2
        return self.cell, {}

    def step(self, action):
        self.cell = min(max(self.cell + 2 * int(action) - 1, 0), 4)
        return self.cell, float(self.cell == self.prize), False, False, {}


class Sampled(Corridor):
    """Only its methods change the task; `reset` knows neither seed nor options."""

    def __init__(self):
        super().__init__("never")
        self.prizes = itertools.cycle([0, 4])

    def sample_tasks(self, n):
        return [next(self.prizes) for _ in range(n)]

    def set_task(self, prize):
        self.prize = prize


class Resettable(Sampled):
    """The same, with a method that draws and sets."""

    def reset_task(self, prize=None):
        self.prize = self.sample_tasks(1)[0] if prize is None else prize


class Redrawn(gymnasium.Wrapper):
    """Draws another task at every reset."""

    def reset(self, *, seed=None, options=None):
        return self.env.reset(seed=seed, options={"new_task": True})


@pytest.mark.parametrize(
    ("drawn", "kind"),
    [
        ("by task", "distribution"),
        ("always", "redrawn"),
        ("by seed", "seeded"),
        ("never", "single"),
    ],
)
def test_when_the_layout_is_drawn_decides(drawn, kind):
    found = vamdp.check_tasks(Corridor(drawn))
    assert (found.kind, found.follows_seeds) == (kind, True)
    assert found.is_distribution == (kind == "distribution")
    assert found.n_steps == (22_000 if kind in ("seeded", "single") else 12_000)


@pytest.mark.parametrize("drawn", ["always", "by seed"])
def test_holding_the_seed_makes_it_a_distribution(drawn):
    assert vamdp.check_tasks(vamdp.HoldSeed(Corridor(drawn))).is_distribution


@pytest.mark.parametrize("id", ["vamdp/Bandit-v0", "vamdp/RandomMDP-v0", "vamdp/GridWorld-v0"])
def test_our_domains_are_distributions(id):
    assert vamdp.check_tasks(gymnasium.make(id)).is_distribution


@pytest.mark.parametrize("id", ["vamdp/RandomMDP-v0", "vamdp/GridWorld-v0"])
def test_our_domains_redrawn_at_every_reset_are_none(id):
    found = vamdp.check_tasks(Redrawn(gymnasium.make(id)))
    assert found.kind == "redrawn"
    assert "vamdp.HoldSeed" in str(found) and "vamdp.SampledEnv" in str(found)


def test_what_ignores_its_seeds_is_told_whatever_its_tasks_are():
    for drawn in ("by task", "always"):
        found = vamdp.check_tasks(Corridor(drawn, np.random.default_rng(0)))
        assert not found.follows_seeds and not found.is_distribution
        assert "does not follow its seeds" in str(found)
    assert vamdp.check_tasks(Corridor("by task", np.random.default_rng(0))).kind == "distribution"


@pytest.mark.parametrize("seed", range(3))
def test_a_task_that_goes_on_through_a_seeded_reset_is_told(seed):
    found = vamdp.check_tasks(Corridor("by option"), seed=seed)
    assert found.kind == "distribution" and not found.is_distribution
    assert found.keeps_task and not found.follows_seeds
    assert "The task does not change with reset(seed=...)" in str(found)
    unseeded = vamdp.check_tasks(Corridor("by option", np.random.default_rng(0)), seed=seed)
    assert unseeded.keeps_task, "its seeds do not reach the task either"
    assert not vamdp.check_tasks(Corridor("by task", np.random.default_rng(0))).keeps_task


def test_a_state_key_of_the_environment_that_is_no_function_is_none():
    env = Corridor()
    env.state_key = "name"
    assert vamdp.check_tasks(env).is_distribution
    with pytest.raises(ValueError, match="`state_key` must be callable, got 'name'"):
        vamdp.check_tasks(env, state_key="name")


@pytest.mark.parametrize("kind", [Sampled, Resettable])
def test_tasks_are_begun_as_meta_episodes_begin_them(kind):
    found = vamdp.check_tasks(kind())
    assert found.kind == "distribution"
    assert found.keeps_task, "a seed alone changes no task"


def test_states_that_never_come_back_say_nothing_unless_a_key_joins_them():
    env = vamdp.SampledEnv(vamdp.domains.MountainCars())
    found = vamdp.check_tasks(env)
    assert found.kind == "unknown" and "state_key" in str(found)
    found = vamdp.check_tasks(env, state_key=lambda o: tuple(np.floor(o * 3).astype(int)))
    assert found.kind == "distribution"


@pytest.mark.parametrize("seed", range(5))
def test_random_dynamics_pass_for_no_tasks(seed):
    """Slippery ice is not another layout: false alarms would send people the wrong way."""
    lake = gymnasium.make("FrozenLake-v1")
    assert vamdp.check_tasks(lake, n_steps=300, seed=seed).kind == "single"


def test_masked_actions_are_never_played():
    class OneAllowed(Corridor):
        def step(self, action):
            assert action == 1
            return *super().step(action)[:4], {"action_mask": np.array([False, True])}

        def reset(self, **options):
            return super().reset(**options)[0], {"action_mask": np.array([False, True])}

    assert vamdp.check_tasks(OneAllowed()).is_distribution


@pytest.mark.parametrize(
    ("reward", "mask", "message"),
    [
        (
            float("nan"),
            [True, True],
            "`reward` must be finite, got nan .* in step 1",
        ),
        (0.0, [False, False], "`action_mask` must be a mask that allows an action"),
    ],
)
def test_a_reward_that_is_not_finite_and_a_mask_without_an_action_are_errors(reward, mask, message):
    class Broken(Corridor):
        def step(self, action):
            observation, _, *ends = super().step(action)[:4]
            return observation, reward, *ends, {"action_mask": np.array(mask)}

    with pytest.raises(ValueError, match=message):
        vamdp.check_tasks(Broken())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_tasks": 1}, "`n_tasks` must be at least 2, got 1"),
        ({"n_episodes": 1.5}, "`n_episodes` must be an integer"),
        ({"n_steps": 3}, "`n_steps` must be at least 10, got 3"),
    ],
)
def test_too_little_to_compare_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        vamdp.check_tasks(Corridor(), **options)


def test_learners_and_batches_are_refused():
    learner = vamdp.ValueAugment(Corridor(), task_horizon=5)
    for env in (
        learner,
        vamdp.MetaEpisode(Corridor(), 5),
        gymnasium.wrappers.TimeLimit(learner, 3),
    ):
        with pytest.raises(ValueError, match=r"no (ValueAugment|MetaEpisode) inside"):
            vamdp.check_tasks(env)
    with pytest.raises(TypeError, match=r"a vector environment\. Pass one of its"):
        vamdp.check_tasks(gymnasium.make_vec("FrozenLake-v1", 2))


class Guess(gymnasium.Env):
    """Pays whoever guesses a number that is drawn anew at every step: one task for ever."""

    observation_space, action_space = spaces.Discrete(1), spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return 0, {}

    def step(self, action):
        self.t += 1
        return 0, float(action == self.np_random.integers(4)), self.t == 10, False, {}


@pytest.mark.parametrize("seed", range(4))
def test_actions_are_no_copies_of_the_environments_own_random_numbers(seed):
    assert vamdp.check_tasks(Guess(), seed=seed).kind == "single"


# The tests behind it


def draw(n_strata, effect, seed):
    """Outcomes whose probability moves by `effect` with the label, one of a stratum's two."""
    rng = np.random.default_rng(seed)
    strata = rng.integers(n_strata, size=2000)
    labels = 2 * strata + rng.integers(2, size=2000)
    p = 0.2 + 0.5 * strata / n_strata + effect * (labels % 2)
    return strata, labels, (rng.random(2000) < p).astype(np.int64)


@pytest.mark.parametrize("shown", ["kinds", "rewards"])
@pytest.mark.parametrize(("effect", "found"), [(0.0, False), (0.25, True)])
def test_an_effect_of_the_label_is_found_and_one_of_the_stratum_is_not(effect, found, shown):
    for seed in range(10):
        strata, labels, outcomes = draw(40, effect, seed)
        nothing = np.zeros_like(outcomes)
        kinds, rewards = (outcomes, nothing) if shown == "kinds" else (nothing, outcomes)
        about = Outcomes(strata, kinds, rewards.astype(float), seed)
        assert about.differ_by_visit(labels) == found


def test_what_episodes_share_is_no_effect_of_the_label_that_episodes_have():
    rng = np.random.default_rng(0)
    episodes = np.repeat(np.arange(60), 20)
    hidden = rng.integers(2, size=60)
    label_of_episode = np.arange(60) // 10
    strata, nothing = np.zeros(1200, np.int64), np.zeros(1200)
    about = Outcomes(strata, hidden[episodes], nothing, seed=0)
    assert about.differ_by_visit(episodes)
    assert about.differ_by_visit(label_of_episode[episodes])  # which errs: visits hang together
    assert not about.differ_by_episode(episodes, label_of_episode)
    about = Outcomes(strata, (label_of_episode % 2)[episodes], nothing, seed=0)
    assert about.differ_by_episode(episodes, label_of_episode)
