import numpy as np
import pytest

import vamdp
from vamdp.estimators import BUILT_INS, Estimator
from vamdp.estimators.kernel.kernel_learner import KernelLearner

HORIZON = {"task_horizon": 12}


def kernel(n_actions=2, n_tasks=1, **options):
    return KernelLearner(n_tasks, n_actions, **HORIZON | {"tolerance": 0.0} | options)


def learn(learner, s, a, r, s_next, end=False):
    learner.update(np.atleast_2d(s), [a], [r], np.atleast_2d(s_next), [end])


def transitions(seed, n_tasks, n_steps):
    """Random states in [-2, 2]^2, with ends."""
    rng = np.random.default_rng(seed)
    for _ in range(n_steps):
        states, reached = rng.uniform(-2, 2, size=(2, n_tasks, 2))
        actions, rewards = rng.integers(2, size=n_tasks), rng.normal(size=n_tasks)
        yield states, actions, rewards, reached, rng.random(n_tasks) < 0.2


# Closed forms


def test_one_state_that_pays_and_returns_to_itself():
    learner = kernel(1, task_horizon=400, gamma=0.9, scales=(1.0,))
    for _ in range(3):
        learn(learner, 2.0, 0, 1.5, 2.0)
    assert learner.q_values([[2.0]])[0, 0] == pytest.approx(15.0, rel=1e-12)
    assert learner.counts([[2.0]]).tolist() == [[3.0]]
    assert learner.n_representatives == 1


@pytest.mark.parametrize("options", [{}, {"gamma": 0.9, "tolerance": 0.01, "task_horizon": 40}])
def test_with_states_far_apart_it_is_the_tabular_learner_without_smoothing(options):
    n, A = 3, 3
    rng = np.random.default_rng(2)
    points = np.array([[x, y] for x in (-50.0, 0.0, 50.0) for y in (10.0, 60.0)])
    mine = kernel(A, n, scales=(1.0, 2.0), **options)
    theirs = vamdp.BatchValueEstimator(n, A, **HORIZON | {"tolerance": 0.0} | options, smoothing=0)
    s = np.zeros(n, int)
    seen = [{0} for _ in range(n)]
    for t in range(120):
        reached = rng.integers(len(points), size=n)
        ends = reached == 5  # the only one of which a terminal copy is met, and never alive
        step = (rng.integers(A, size=n), rng.normal(size=n))
        for learner in (mine, theirs):
            learner.update(points[s], *step, points[reached], ends)
        for i in range(n):
            seen[i] |= {int(s[i]), *([] if ends[i] else [int(reached[i])])}
        for c in range(5):
            look = points[np.full(n, c)]
            known = np.array([c in of_task for of_task in seen])
            np.testing.assert_allclose(
                mine.q_values(look)[known], theirs.q_values(look)[known], rtol=1e-12, atol=1e-12
            )
            np.testing.assert_array_equal(mine.counts(look)[known], theirs.counts(look)[known])
        s = np.where(ends, 0, reached)
        if t == 60:
            rows = np.array([False, True, True])
            mine.forget(rows)
            theirs.forget(rows)
            seen[1:] = {int(s[1])}, {int(s[2])}
            seen[1:] = set(), set()
    assert (mine.n_representatives == theirs.n_states - 1).all()


def test_kernels_wider_than_all_distances_make_one_state_of_all():
    """Then Q(s, a) = mean reward of a + gamma V, and all representatives share the counts."""
    learner = kernel(
        task_horizon=500, gamma=0.5, width=1e9, radius=1.0, scales=(1.0,), max_representatives=2
    )
    for s, a, r in [(0, 0, 4.0), (5, 1, 1.0), (9, 1, 3.0), (14, 0, 8.0), (0, 1, 2.0)]:
        learn(learner, s, a, r, s + 2)
    assert learner.q_values([[7.0]])[0] == pytest.approx([12.0, 8.0], rel=1e-12)
    assert learner.counts([[7.0]])[0] == pytest.approx([2 / 2, 3 / 2], rel=1e-12)


def test_weights_of_two_representatives_worked_out_by_hand():
    learner = kernel(1, task_horizon=1, width=1.0, radius=1.5, scales=(2.0,))
    learn(learner, 0.0, 0, 1.0, 4.0)  # representatives at scaled 0 and 2
    learn(learner, 4.0, 0, 3.0, 4.0)
    k = np.exp(-2.0)
    far, near = (k + 3) / (k + 1), (1 + 3 * k) / (1 + k)
    assert learner.q_values([[2.0]])[0, 0] == pytest.approx((far + near) / 2, rel=1e-14)
    assert learner.q_values([[0.0]])[0, 0] == pytest.approx((near + k * far) / (1 + k), rel=1e-14)
    assert learner.counts([[2.0]])[0, 0] == pytest.approx(1.0, rel=1e-14)


def test_an_untried_pair_leads_anywhere_and_to_the_end_once_there_is_one():
    learner = kernel(task_horizon=300, gamma=0.5, scales=(1.0,))
    learn(learner, 0, 0, 1.0, 0)  # V = 2
    assert learner.q_values([[0.0]])[0, 1] == pytest.approx(0.5 * 2 / 1, rel=1e-12)
    learn(learner, 100, 0, 4.0, 0, end=True)  # V = 4
    assert learner.q_values([[0.0]])[0, 1] == pytest.approx(0.5 * (2 + 4 + 0) / 3, rel=1e-12)


def test_a_state_out_of_reach_of_all_kernels_is_taken_for_the_nearest():
    learner = kernel(scales=(1.0,), max_representatives=2)
    learn(learner, 0, 0, 1.0, 100, end=True)
    learn(learner, 100, 0, 5.0, 0, end=True)
    assert learner.q_values([[30.0]])[0, 0] == 1.0
    assert learner.q_values([[1e6]])[0, 0] == 5.0
    learn(learner, 70, 0, 7.0, 0, end=True)  # no room: it is one more step from 100
    assert learner.q_values([[100.0]])[0, 0] == 6.0
    assert learner.counts([[100.0]])[0, 0] == 2.0
    assert learner.n_representatives == 2


# Laws


def follow(learner, seed=0, n_steps=60, change=lambda s: s, factor=1.0):
    """Q in some states after a walk; `change` maps its states."""
    n = learner.n_tasks
    for states, actions, rewards, reached, ends in transitions(seed, n, n_steps):
        learner.update(change(states), actions, factor * rewards, change(reached), ends)
    look = np.random.default_rng(9).uniform(-2, 2, size=(6, n, 2))
    return np.array([learner.q_values(change(s)) for s in look])


def test_running_scales_make_units_and_idle_coordinates_irrelevant():
    mine, other, longer = (kernel(width=0.5, gamma=0.9) for _ in range(3))
    plain = follow(mine)
    assert plain.any()
    np.testing.assert_array_equal(follow(other, change=lambda s: s * [8.0, 0.25]), plain)
    idle = follow(longer, change=lambda s: np.hstack([s, np.full((len(s), 1), 0.1)]))
    np.testing.assert_array_equal(idle, plain)
    # Nothing is known of how far 7 is from 0.1, where all states were.
    assert longer.q_values([[0.5, 0.5, 7.0]]).tolist() == mine.q_values([[0.5, 0.5]]).tolist()
    assert 5 < mine.n_representatives[0] < 64


def test_rounding_noise_is_no_spread():
    learner = KernelLearner(1, 2, task_horizon=9)
    for x in (0.0, 1.0, 2.0, 3.0):
        noise = 0.1 + 0.2 if x % 2 else 0.3
        learner.update([[x, noise]], [0], [0.0], [[x + 1, 0.6 - noise]], [False])
    alone = KernelLearner(1, 2, task_horizon=9)
    for x in (0.0, 1.0, 2.0, 3.0):
        alone.update([[x]], [0], [0.0], [[x + 1]], [False])
    assert learner.n_representatives.tolist() == alone.n_representatives.tolist()


def test_running_scales_are_the_standard_deviations_of_all_states_so_far():
    """A state just within the radius founds nothing, one just beyond it founds."""
    for factor, founded in ((0.999, 0), (1.001, 1)):
        learner = kernel(radius=0.5)
        met = [0.0, 8.0, 8.0, 3.0, 3.0, -2.0]
        for s, s_next in zip(met[::2], met[1::2], strict=True):
            learn(learner, s, 0, 0.0, s_next)
        assert learner.n_representatives == 4
        # s' = -2 - x with x = radius * std, where std is that of all states, s' itself among them.
        x = 0.0
        for _ in range(99):
            x = 0.5 * np.std([*met, -2.0, -2.0 - x])
        learn(learner, -2.0, 0, 0.0, -2.0 - factor * x)
        assert learner.n_representatives == 4 + founded


def test_values_scale_with_rewards():
    ones, fours = kernel(n_tasks=2, width=0.5), kernel(n_tasks=2, width=0.5)
    np.testing.assert_array_equal(follow(fours, factor=4.0), 4 * follow(ones))


def test_with_representatives_fixed_the_order_of_transitions_does_not_matter():
    steps = list(transitions(4, 1, 40))
    Q = []
    for order in (steps, [steps[0], *steps[:0:-1]]):
        learner = kernel(width=1.0, scales=(1.0, 1.0), max_representatives=2, radius=0.1)
        for step in order:
            learner.update(*step)
        Q.append([learner.q_values(step[0]) for step in steps])
    np.testing.assert_allclose(*Q, rtol=1e-12)


# Memory


def test_memory_stays_below_its_bound_however_many_transitions_come():
    learner = kernel(max_representatives=20, radius=0.1)
    follow(learner, n_steps=40)
    full = learner.nbytes
    assert learner.n_representatives == 20 == len(learner.representatives(0))
    follow(learner, n_steps=400)
    assert learner.nbytes == full
    few = kernel(max_representatives=1)
    follow(few)
    assert few.n_representatives == 1


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0.0}, "`width` must be finite and above 0, got 0.0"),
        ({"width": float("nan")}, "`width` must be finite and above 0, got nan"),
        ({"radius": -1.0}, "`radius` must be finite and above 0, got -1.0"),
        ({"max_representatives": 0}, "`max_representatives` must be an integer of at least 1"),
        ({"scales": (1.0, 0.0)}, r"`scales\[1\]` must be finite and above 0, got 0.0"),
        ({"scales": (1.0, float("inf"))}, r"`scales\[1\]` must be finite and above 0, got inf"),
        ({"scales": ()}, r"`scales` must be a tuple of one number for each coordinate.*\(\)"),
        (
            {"scales": 2.0},
            r"`scales` must be a tuple of one number for each coordinate.*2.0. For one .* \(0.5,\)",
        ),
        ({"scales": "12"}, "`scales` must be a tuple of one number for each coordinate.*'12'"),
        ({"scales": ("1",)}, r"`scales\[0\]` must be finite and above 0, got '1'"),
        ({"gamma": 1.5}, r"`gamma` must be in \[0, 1\], got 1.5"),
        ({"tolerance": -1.0}, "`tolerance` must be finite and at least 0, got -1.0"),
        ({"task_horizon": 0}, "`task_horizon` must be an integer of at least 1, got 0"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        kernel(**options)


def test_a_task_that_there_is_not_has_no_representatives():
    assert kernel().representatives(0).shape == (0, 0)
    with pytest.raises(ValueError, match=r"`task` must be in \[0, 1\), got 1"):
        kernel().representatives(1)


# Behind the door


def test_the_table_names_it():
    learner = BUILT_INS["kernel"].make(2, 3, 7, {"width": 0.1})
    assert type(learner) is KernelLearner
    assert isinstance(learner, Estimator)
    assert (learner.options.task_horizon, learner.takes_reals) == (7, True)
    assert list(learner.parts()) == ["advantage", "value", "count"]
