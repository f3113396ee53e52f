"""Learners of other people behind the door: in batches and alone, told everything, and checked."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import vamdp
from vamdp.domains import RandomMDPs
from vamdp.estimators import Estimator


class Tally:
    """An estimator with parts of its own: how often each task was stepped, and the last reward."""

    def __init__(self, n_tasks, n_actions) -> None:
        self.n_tasks, self.n_actions = n_tasks, n_actions
        self.n_steps, self.last = np.zeros(n_tasks), np.zeros(n_tasks)
        self.calls = []

    def parts(self):
        return {
            "steps": spaces.Box(0, np.inf, (1,), np.float32),
            "reward_and_state": spaces.Box(-np.inf, np.inf, (2,), np.float32),
        }

    def begin_tasks(self, rows, seeds):
        self.calls.append(("task", rows.tolist(), list(seeds)))
        self.n_steps[rows] = self.last[rows] = 0

    def begin_episodes(self, rows, states, action_masks):
        masks = None if action_masks is None else action_masks.astype(int).tolist()
        self.calls.append(("episode", rows.tolist(), states.tolist(), masks))

    def update(self, states, actions, rewards, next_states, terminated, next_action_masks=None):
        assert states.dtype == next_states.dtype == rewards.dtype == np.float64
        assert states.shape == next_states.shape
        assert (actions.dtype, terminated.dtype) == (np.int64, np.bool_)
        masks = None if next_action_masks is None else next_action_masks.astype(int).tolist()
        self.calls.append(("step", states.tolist(), actions.tolist(), next_states.tolist(), masks))
        self.n_steps += 1
        self.last[:] = rewards

    def write(self, states, scales, out):
        out[:, 0] = self.n_steps / scales.counts
        out[:, 1] = self.last / scales.values
        out[:, 2] = states[:, 0]


def mdps(n, **options):
    envs = vamdp.TaskVectorEnv(RandomMDPs(), n, max_episode_steps=4)
    return vamdp.vector.ValueAugment(envs, task_horizon=4, value_scale=2.0, **options)


def mdp(**options):
    env = gymnasium.wrappers.TimeLimit(vamdp.TaskEnv(RandomMDPs()), 4)
    return vamdp.ValueAugment(env, task_horizon=4, value_scale=2.0, **options)


def test_it_is_an_estimator():
    assert isinstance(Tally(1, 2), Estimator)
    assert isinstance(vamdp.BatchValueEstimator(1, 2, task_horizon=3), Estimator)
    assert not isinstance(vamdp.ValueEstimator(2, task_horizon=3), Estimator)


def test_its_parts_are_shown_under_its_names_and_meta_episodes_keep_them():
    env = mdp(estimator=Tally(1, 5), show_state=False)
    assert env.layout == {"steps": slice(0, 1), "reward_and_state": slice(1, 3)}
    env = vamdp.MetaEpisode(mdp(estimator=Tally(1, 5), flatten=False), 6)
    first = env.reset(seed=0)[0]
    assert [*env.layout][:4] == ["state", "steps", "reward_and_state", "previous_action"]
    assert env.observation_space.contains(first)
    shown, reward, *_ = env.step(1)
    assert shown[env.layout["steps"]] == pytest.approx(0.1)  # count_scale is 10
    assert shown[env.layout["reward_and_state"]][0] == pytest.approx(reward / 2)


def test_rows_of_a_batch_show_what_single_environments_show():
    batch = vamdp.vector.MetaEpisode(mdps(3, estimator=Tally), 10)
    singles = [vamdp.MetaEpisode(mdp(estimator=Tally), 10) for _ in range(3)]
    shown = [batch.reset(seed=7)[0]]
    alone = [[env.reset(seed=7 + i)[0]] for i, env in enumerate(singles)]
    rng = np.random.default_rng(0)
    for _ in range(9):
        actions = rng.integers(5, size=3)
        shown.append(batch.step(actions)[0])
        for env, seen, action in zip(singles, alone, actions.tolist(), strict=True):
            seen.append(env.step(action)[0])
    np.testing.assert_array_equal(np.swapaxes(shown, 0, 1), alone)


def test_seeds_and_starts_reach_it():
    env = mdps(2, estimator=Tally)
    tally = env.estimator
    env.reset(seed=5)
    assert tally.calls[0] == ("task", [True, True], [5, 6])
    assert tally.calls[1][:2] == ("episode", [True, True])
    of_task = env.unwrapped.task_seeds[0]
    env.reset(seed=[None, 8])
    assert tally.calls[2] == ("task", [False, True], [of_task, 8])
    env.reset(options={"new_task": True})
    assert tally.calls[4] == ("task", [True, True], env.unwrapped.task_seeds)
    del tally.calls[:]
    for _ in range(4):
        env.step(np.array([0, 1]))
    kinds = [call[0] for call in tally.calls]
    assert kinds == ["step"] * 4 + ["episode"]  # the time limit of 4 restarts both
    (_, _, _, reached, _), (_, rows, starts, masks) = tally.calls[3:]
    assert (rows, starts, masks) == ([True, True], [[0.0], [0.0]], None)
    assert tally.calls[0][1] == [[0.0], [0.0]]
    assert [call[1] for call in tally.calls[1:4]] == [call[3] for call in tally.calls[:3]]
    assert reached != starts
    env.reset_task()
    env.forget(np.array([False, True]))
    assert tally.calls[-2:] == [
        ("task", [True, True], env.unwrapped.task_seeds), ("task", [False, True], [None, None]),
    ]  # fmt: skip


@pytest.mark.parametrize("estimator", [Tally(1, 5), Tally])
def test_a_single_environment_tells_it_seeds_and_starts(estimator):
    env = mdp(estimator=estimator)
    assert type(env.estimator) is Tally
    env.reset(seed=3)
    env.step(2)
    env.reset()
    env.reset_task()
    env.forget()
    calls = env.estimator.calls
    assert [call[0] for call in calls] == ["task", "episode", "step", "episode", "task", "task"]
    of_task = env.unwrapped.task_seed
    assert [call[2] for call in calls if call[0] == "task"] == [[3], [of_task], [None]]
    assert calls[2][1:3] == ([[0.0]], [2])


def test_only_the_environments_of_a_reset_mask_begin_an_episode(tools):
    make = lambda: gymnasium.make("vamdp/RandomMDP-v0")  # noqa: E731
    env = vamdp.vector.ValueAugment(tools.same_step(make, 2), task_horizon=10, estimator=Tally)
    env.reset(seed=0)
    env.step(np.array([1, 1]))
    env.reset(options={"reset_mask": np.array([False, True])})
    assert env.estimator.calls[-1][:2] == ("episode", [False, True])


def test_a_row_of_a_mask_that_is_not_told_has_no_true(tools):
    def make(info):
        steps = [(1, 0.0, False, False, info), (2, 0.0, False, True, info)]
        return lambda: tools.Script(steps, start_info=info)

    told = {"action_mask": np.array([1, 0, 1], np.int8)}
    envs = gymnasium.vector.SyncVectorEnv(
        [make(told), make({})], autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP
    )
    env = vamdp.vector.ValueAugment(envs, task_horizon=5, estimator=Tally)
    env.reset(seed=0)
    env.step(np.zeros(2, int))
    env.step(np.zeros(2, int))
    masks = [[1, 0, 1], [0, 0, 0]]
    _, (*_, start), (*_, first), (*_, last), (*_, restart) = env.estimator.calls
    assert start == first == last == restart == masks


# Learners of one task in a batch


class Minimal:
    """The four methods, around one of ours."""

    def __init__(self, n_actions=5, **options) -> None:
        self._own = vamdp.ValueEstimator(n_actions, **{"task_horizon": 4} | options)
        self.update, self.q_values = self._own.update, self._own.q_values
        self.counts, self.forget = self._own.counts, self._own.forget


@pytest.mark.parametrize("wrap", [lambda own: own, lambda own: lambda n_tasks, n_actions: own])
def test_one_learner_for_each_environment_shows_what_the_batched_one_shows(wrap):
    own, default = mdps(3, estimator=wrap([Minimal() for _ in range(3)])), mdps(3)
    assert own.layout == default.layout
    np.testing.assert_array_equal(own.reset(seed=0)[0], default.reset(seed=0)[0])
    rng = np.random.default_rng(1)
    for t in range(30):
        actions = rng.integers(5, size=3)
        ours, theirs = own.step(actions), default.step(actions)
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_equal(ours[4], theirs[4])
        if t == 17:
            own.forget(np.array([True, False, False]))
            default.forget(np.array([True, False, False]))


def test_masks_reach_learners_of_one_task_as_they_reach_ours(tools):
    class Hears(Minimal):
        def __init__(self) -> None:
            super().__init__(3, task_horizon=6)
            self.set_action_mask = self._own.set_action_mask

    envs = [
        vamdp.vector.ValueAugment(
            tools.same_step(lambda: tools.Masked(sometimes=True), 2),
            task_horizon=6,
            estimator=estimator,
        )
        for estimator in ([Hears(), Hears()], None)
    ]
    np.testing.assert_array_equal(*(env.reset(seed=0)[0] for env in envs))
    rng, n_masked = np.random.default_rng(0), 0
    for _ in range(60):
        actions = rng.integers(3, size=2)
        ours, theirs = (env.step(actions) for env in envs)
        np.testing.assert_array_equal(ours[0], theirs[0])
        n_masked += ours[4].get("_action_mask", np.zeros(2)).sum()
    assert 20 < n_masked < 100


def test_the_mask_of_an_end_is_not_the_living_states(tools):
    """State 1 is an end with a mask, and the start of the next episode, where none is told."""
    end = (1, 1.0, True, False, {"action_mask": np.array([0, 1, 1], np.int8)})
    learner = Minimal(3)
    learner.q_values = lambda state: [5.0, 0.0, 1.0]
    learner.update = lambda *transition, next_action_mask: None
    env = vamdp.ValueAugment(tools.Script([end], start=1), task_horizon=2, estimator=learner)
    env.reset()
    env.step(0)
    assert env.reset()[0][env.layout["value"]] == 5.0


@pytest.mark.parametrize("batched", [False, True])
def test_it_is_told_no_reward_that_is_too_large_for_32_bits(tools, batched):
    def make():
        return tools.Script([(1, 1e31, False, False, {})])

    learner, action, name = Tally(1, 3), 0, "`reward`"
    if batched:
        learner, action, name = Tally(2, 3), np.zeros(2, int), r"`rewards\[0\]`"
        env = vamdp.vector.ValueAugment(tools.same_step(make, 2), task_horizon=5, estimator=learner)
    else:
        env = vamdp.ValueAugment(make(), task_horizon=5, estimator=learner)
    env.reset()
    with pytest.raises(ValueError, match=rf"{name} must be at most 1e\+30 in size, got 1e\+31"):
        env.step(action)
    assert not learner.n_steps.any()


def test_one_learner_of_one_task_for_a_batch_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match=r"each of the 3 environments, got one Minimal. Pass a li"):
        mdps(3, estimator=Minimal())
    with pytest.raises(ValueError, match=r"must have n_tasks = 3, .* got 2"):
        mdps(3, estimator=[Minimal(), Minimal()])


def test_any_hashable_is_a_state_in_batches_too(tools):
    class ByName:
        def __init__(self) -> None:
            self.states = []

        def update(self, state, action, reward, next_state, terminated):
            self.states.append((state, next_state))

        def q_values(self, state):
            return [len(state), 0.0, 1.0]

        def counts(self, state):
            return [0, 1, 0]

        def forget(self):
            self.states.clear()

    make = lambda: tools.Script([(i, 1.0, False, False, {}) for i in (1, 2, 3)])  # noqa: E731
    learners = [ByName(), ByName()]
    env = vamdp.vector.ValueAugment(
        tools.same_step(make, 2), task_horizon=2, state_key=lambda i: "x" * (i + 1),
        estimator=learners,
    )  # fmt: skip
    env.reset(seed=0)
    env.step(np.zeros(2, int))
    shown = env.step(np.zeros(2, int))[0]
    assert learners[1].states == [("x", "xx"), ("xx", "xxx")]
    assert shown[0, env.layout["advantage"]].tolist() == [0.0, -3.0, -2.0]
    assert env.estimator.estimators == learners


# What comes back is checked


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("method", ["q_values", "counts"])
@pytest.mark.parametrize(
    "answer", [[1.0] * 4, [[1.0] * 5], [1.0, 2.0, np.nan, 0.0, 0.0], [1.0] * 4 + [np.inf], "none"]
)
def test_an_answer_that_is_no_row_of_finite_numbers_names_the_method(batched, method, answer):
    wrong = Minimal()
    setattr(wrong, method, lambda state: answer)
    env = mdps(2, estimator=[Minimal(), wrong]) if batched else mdp(estimator=wrong)
    with pytest.raises(ValueError, match=rf"`Minimal.{method}` must return 5 finite numbers.*got"):
        env.reset(seed=0)


@pytest.mark.parametrize("batched", [False, True])
def test_a_number_that_is_not_finite_names_the_part_and_the_task(batched):
    class Diverges(Tally):
        def write(self, states, scales, out):
            super().write(states, scales, out)
            out[-1, 2] = np.nan if self.n_steps[0] > 1 else 0.0

    env = mdps(3, estimator=Diverges) if batched else mdp(estimator=Diverges)
    actions = np.zeros(3, int) if batched else 0
    env.reset(seed=0)
    env.step(actions)
    where = (
        rf"`Diverges.write` must write finite.*nan in entry 1 of .*_state' of task {2 * batched}"
    )
    with pytest.raises(ValueError, match=where):
        env.step(actions)


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (Tally(1, 5), ValueError, r"`estimator` must have n_tasks = 2, .* got 1"),
        (Tally(2, 4), ValueError, r"`estimator` must have the 5 actions of `env`, got 4"),
        (lambda n, a: Tally(n + 1, a), ValueError, r"must have n_tasks = 2, .* got 3"),
        (lambda n, a: None, TypeError, r"got NoneType without update, q_values, counts, forget"),
        (3, TypeError, r"methods update, q_values, counts and forget, or those of .*got int with"),
        ([Minimal(), 3], TypeError, r"got int without update"),
        ("q learning", ValueError, r"one of 'model-based', 'q-lear.*got 'q learning'. Did"),
        ("", ValueError, r"got ''"),
    ],
)
def test_what_is_no_learner_for_these_environments_is_refused(estimator, error, message):
    with pytest.raises(error, match=message):
        mdps(2, estimator=estimator)


@pytest.mark.parametrize(
    "parts",
    [
        {"a": spaces.Box(0, 1, (2, 2))},
        {"a": spaces.Discrete(3)},
        {"a": spaces.Box(0, 1, (2,), float)},
    ],
)
def test_parts_that_are_no_rows_of_float32_are_refused(parts):
    tally = Tally(1, 5)
    tally.parts = lambda: parts
    with pytest.raises(TypeError, match=r"`estimator.parts\(\)` must map names to one-dimens.*'a'"):
        mdp(estimator=tally)


@pytest.mark.parametrize("name", ["state", "meta_time"])
def test_a_part_that_is_called_like_one_of_the_wrappers_is_refused(name):
    tally = Tally(1, 5)
    tally.parts = lambda: {name: spaces.Box(0, 1, (3,))}
    with pytest.raises(ValueError, match=rf"must not have a part '{name}'"):
        mdp(estimator=tally, show_state=False)


def test_what_a_subclass_of_ours_does_itself_is_not_passed_by():
    class Doubles(vamdp.BatchValueEstimator):
        def update(self, states, actions, rewards, *rest):
            super().update(states, actions, 2 * rewards, *rest)

    plain, doubled = mdp(), mdp(estimator=Doubles(1, 5, task_horizon=4))
    for env in (plain, doubled):
        env.reset(seed=0)
        env.step(0)
    Q = plain.estimator.q_values(0)
    np.testing.assert_allclose(doubled.estimator.q_values([0])[0], 2 * Q)
    assert Q.any()


def test_threads_are_for_the_model_based_learner():
    with pytest.raises(ValueError, match="`threads` must be left out with a custom `estimator`"):
        mdps(2, estimator=Tally, threads=2)
    with pytest.raises(TypeError, match="`threads` is not an option"):
        mdps(2, estimator="q-learning", threads=2)


@pytest.mark.parametrize("wrap", [mdp, lambda **options: mdps(1, **options)])
def test_the_default_is_the_model_based_learner_by_name(wrap):
    envs = [wrap(gamma=0.9), wrap(gamma=0.9, estimator="model-based")]
    assert type(envs[0].estimator) is type(envs[1].estimator)
    for _ in range(2):
        first = [np.ravel(env.reset(seed=0)[0]).tolist() for env in envs]
        later = [np.ravel(env.step(envs[0].action_space.sample() * 0)[0]).tolist() for env in envs]
        assert first[0] == first[1]
        assert later[0] == later[1]


def test_an_estimator_of_ones_own_is_asked_for_nothing_by_pictures():
    env = vamdp.ValueAugment(
        gymnasium.make("vamdp/GridWorld-v0", render_mode="ansi"), task_horizon=9, estimator=Tally
    )
    env.reset(seed=0)
    assert isinstance(env.render(), str)


def test_q_learning_is_pictured():
    plain = vamdp.ValueAugment(
        gymnasium.make("vamdp/GridWorld-v0", render_mode="ansi"), task_horizon=9,
        estimator="q-learning", initial_value=7.0,
    )  # fmt: skip
    plain.reset(seed=0)
    before = plain.render()
    for t in range(30):
        if any(plain.step(1 + t % 4)[2:4]):
            plain.reset()
    assert plain.render() != before
    assert "7.0" in plain.render()
