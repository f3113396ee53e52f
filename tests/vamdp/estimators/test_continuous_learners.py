"""What the learners of real-valued states have in common."""

import gymnasium
import numpy as np
import pytest

import vamdp
from vamdp.estimators import BUILT_INS, Estimator, Scales

A = 3
EVERY = np.ones(1, bool)
LEARNERS = [
    ("kernel", {"width": 0.5}),
    ("kernel", {"gamma": 0.9, "scales": (1.0, 2.0), "max_representatives": 13, "radius": 0.3}),
    ("linear", {}),
    ("linear", {"features": 6, "scales": (1.0, 2.0), "n_improvements": 3}),
    ("linear", {"features": 5, "improve_every": 4}),
]


@pytest.fixture(params=LEARNERS, ids=str)
def make(request):
    """n_tasks -> learner."""
    name, options = request.param
    return lambda n_tasks=1: BUILT_INS[name].make(n_tasks, A, 12, options)


def transitions(seed, n_tasks, n_steps):
    """Random states in [-2, 2]^2, with ends, and masks now and then."""
    rng = np.random.default_rng(seed)
    for t in range(n_steps):
        states, reached = rng.uniform(-2, 2, size=(2, n_tasks, 2))
        actions, rewards = rng.integers(A, size=n_tasks), rng.normal(size=n_tasks)
        masks = rng.random((n_tasks, A)) < 0.7
        masks[:, 0] |= rng.random(n_tasks) < 0.5  # some rows tell nothing
        ends = rng.random(n_tasks) < 0.2
        yield states, actions, rewards, reached, ends, masks if t % 3 == 0 else None


def written(learner, states):
    out = np.zeros((learner.n_tasks, 2 * A + 1), np.float32)
    learner.write(states, Scales(2.0, 5.0), out)
    return out


def test_it_is_an_estimator_of_reals(make):
    learner = make(2)
    assert isinstance(learner, Estimator)
    assert learner.takes_reals
    assert list(learner.parts()) == ["advantage", "value", "count"]


def test_each_row_of_a_batch_is_a_batch_of_one_to_the_last_bit(make):
    n = 4
    batch, singles = make(n), [make() for _ in range(n)]
    rows, masks = np.array([True, False, False, True]), np.eye(4, A, dtype=bool)
    for t, step in enumerate(transitions(0, n, 60)):
        batch.update(*step)
        if t % 40 == 39:
            batch.begin_tasks(rows, [None] * n)
        if t % 10 == 5:
            batch.begin_episodes(rows, step[0], masks)
        alone = []
        for i, single in enumerate(singles):
            single.update(*[None if part is None else part[i : i + 1] for part in step])
            if t % 40 == 39 and rows[i]:
                single.begin_tasks(EVERY, [None])
            if t % 10 == 5 and rows[i]:
                single.begin_episodes(EVERY, step[0][i : i + 1], masks[i : i + 1])
            for look in (step[3], step[0]):
                alone.append(written(single, look[i : i + 1])[0])
        together = np.stack([written(batch, step[3]), written(batch, step[0])], axis=1)
        np.testing.assert_array_equal(together.reshape(2 * n, -1), alone)
    assert (np.abs(alone[2]) > 0).sum() > A  # a row that went on


def test_what_was_forgotten_leaves_no_trace(make):
    used, new = make(), make()
    for step in transitions(1, 1, 70):
        used.update(*step)
    used.update([[0.0, 1.0]], [0], [9.0], [[0.5, 0.5]], [False], [[False, True, False]])
    assert written(used, [[0.5, 0.5]]).any()
    used.begin_tasks(EVERY, [3])
    assert not written(used, [[0.5, 0.5]]).any()
    for learner in (used, new):
        for step in transitions(2, 1, 30):
            learner.update(*step[:5])
    for look in ([[0.5, 0.5]], [[-1.0, 0.0]]):
        np.testing.assert_array_equal(written(used, look), written(new, look))


def test_an_episodes_end_forgets_nothing(make):
    learner = make()
    for step in transitions(1, 1, 20):
        learner.update(*step)
    before = written(learner, [[0.5, 0.5]])
    learner.begin_episodes(EVERY, np.array([[0.2, 0.1]]), None)
    np.testing.assert_array_equal(written(learner, [[0.5, 0.5]]), before)
    assert before.any()


def test_looking_changes_nothing(make):
    looked, blind = make(), make()
    for step in transitions(1, 1, 40):
        blind.update(*step)
        looked.update(*step)
        written(looked, step[0])
        looked.value(step[3] + 1.0)
    np.testing.assert_array_equal(written(looked, [[0.5, 0.5]]), written(blind, [[0.5, 0.5]]))


def test_a_mask_counts_in_the_very_state_that_it_was_told_of(make):
    learner = make()
    for step in transitions(3, 1, 40):
        learner.update(*step[:5])
    told, near = [[0.25, 0.5]], [[0.25, 0.5000001]]
    best = int(learner.q_values(told)[0].argmax())
    mask = np.ones((1, A), bool)
    mask[0, best] = False

    def is_masked():
        Q, value = learner.q_values(told)[0], learner.value(told)[0]
        shown = written(learner, told)[0]
        assert shown[A] == np.float32(value / 2)
        if value == Q.max():
            return False
        assert value == np.delete(Q, best).max()
        assert shown[best] == shown[:A].min()
        return True

    learner.begin_episodes(EVERY, np.array(told), mask)
    assert is_masked()
    assert learner.value(near) == learner.q_values(near).max()
    learner.begin_episodes(EVERY, np.array(told), np.zeros((1, A), bool))  # tells nothing
    assert is_masked()
    learner.begin_tasks(EVERY, [None])
    for _ in range(4):  # the mask of an end
        learner.update(told, [best], [5.0], told, [True], mask)
    assert not is_masked()
    for _ in range(4):
        learner.update(told, [best], [5.0], told, [False], mask)
    assert is_masked()
    learner.update(told, [best], [5.0], near, [False], mask)  # only the last one is kept
    assert not is_masked()


def test_values_scale_with_rewards(make):
    ones, fours = make(), make()
    for states, actions, rewards, *rest in transitions(8, 1, 50):
        ones.update(states, actions, rewards, *rest)
        fours.update(states, actions, 4 * rewards, *rest)
    if not hasattr(ones.options, "tolerance"):  # where planning stops is a matter of size
        assert ones.q_values(states).any()
        np.testing.assert_array_equal(fours.q_values(states), 4 * ones.q_values(states))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"states": [[0.0, np.nan]]},
            r"`states\[0\]` must be finite and below 2\*\*53 in size, got nan",
        ),
        ({"next_states": [[np.inf, 0.0]]}, r"`next_states\[0\]` must be finite"),
        ({"states": [[0.0]]}, "`states` must have 2 numbers per state as before, got 1"),
        ({"next_states": [[0.0] * 3]}, "`next_states` must have 2 numbers per state"),
        ({"actions": [3]}, r"`actions\[0\]` must be in \[0, 3\), got 3"),
        ({"rewards": [np.nan]}, r"`rewards\[0\]` must be finite, got nan"),
        ({"next_action_masks": [[True]]}, "`next_action_masks` must have shape"),
    ],
)
def test_an_impossible_transition_is_refused_and_nothing_learned(make, change, message):
    learner, same = make(), make()
    for step in transitions(0, 1, 5):
        learner.update(*step)
        same.update(*step)
    good = {"states": [[9.0, 0.0]], "actions": [0], "rewards": [1.0], "next_states": [[7.0, 2.0]]}
    with pytest.raises(ValueError, match=message):
        learner.update(**good | change, terminated=[False])
    for each in (learner, same):
        each.update([[0.5, 0.0]], [1], [2.0], [[0.7, 0.0]], [False])
    np.testing.assert_array_equal(written(learner, [[0.7, 0.0]]), written(same, [[0.7, 0.0]]))


@pytest.mark.parametrize("name", ["kernel", "linear"])
@pytest.mark.parametrize("call", ["update", "q_values", "begin_episodes"])
def test_scales_of_another_length_than_states_are_named_before_anything_is_learned(name, call):
    learner = BUILT_INS[name].make(1, 2, 9, {"scales": (1.0, 1.0, 1.0)})
    arguments = {
        "update": ([[0.0, 1.0]], [0], [1.0], [[0.0, 1.0]], [False]),
        "q_values": ([[0.0, 1.0]],),
        "begin_episodes": (EVERY, np.zeros((1, 2)), np.ones((1, 2), bool)),
    }[call]
    message = r"`scales` must have 2 numbers, one for each coordinate of a state, got \(1.0, 1.0, 1"
    with pytest.raises(ValueError, match=message):
        getattr(learner, call)(*arguments)
    learner.update([[0.0, 1.0, 2.0]], [0], [1.0], [[0.0, 0.0, 0.0]], [True])
    assert learner.q_values([[0.0, 1.0, 2.0]])[0, 0] > 0.5


@pytest.mark.filterwarnings("ignore:`estimator` measures distances")
@pytest.mark.parametrize("name", ["kernel", "linear"])
def test_in_a_batch_of_environments_each_sees_what_a_single_one_sees(name):
    options = {"estimator": name, "task_horizon": 10, "gamma": 0.9}
    batch = vamdp.vector.MetaEpisode(
        vamdp.vector.ValueAugment(
            gymnasium.make_vec(
                "vamdp/RandomMDP-v0", num_envs=3, vectorization_mode="vector_entry_point"
            ),
            **options,
        ),
        25,
    )
    singles = [
        vamdp.MetaEpisode(vamdp.ValueAugment(gymnasium.make("vamdp/RandomMDP-v0"), **options), 25)
        for _ in range(3)
    ]
    rng = np.random.default_rng(0)
    shown = [batch.reset(seed=4)[0]]
    alone = [[env.reset(seed=4 + i)[0]] for i, env in enumerate(singles)]
    for t in range(1, 61):
        actions = rng.integers(5, size=3)
        shown.append(batch.step(actions)[0])
        for env, seen, action in zip(singles, alone, actions.tolist(), strict=True):
            seen.append(env.step(action)[0] if t % 25 else (env.step(action), env.reset())[1][0])
    np.testing.assert_array_equal(np.array(shown).swapaxes(0, 1), np.array(alone))
    assert np.abs(np.array(shown)[-1, :, batch.layout["advantage"]]).max() > 0


def test_the_first_state_of_an_episode_tells_the_number_of_coordinates(make):
    learner = make()
    learner.begin_episodes(EVERY, np.zeros((1, 2)), None)
    with pytest.raises(ValueError, match="must have 2 numbers"):
        learner.update(np.zeros((1, 3)), [0], [1.0], np.zeros((1, 3)), [False])
    learner.update(np.zeros((1, 2)), [0], [1.0], np.zeros((1, 2)), [False])
