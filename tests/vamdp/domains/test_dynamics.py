import numpy as np
import pytest

from vamdp.domains.dynamics import TaskTable, _normal, _outcome, transition
from vamdp.mdp.tabular_mdp import TabularMDP
from vamdp.split_mix import uniform

# Outputs of the published SplitMix64 for the seed 1234567.
PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]
N_DRAWS = 20_000


def table_of(*tasks, key=7):
    table = TaskTable.empty(len(tasks), tasks[0].n_states * tasks[0].n_actions + 1)
    for i, task in enumerate(tasks):
        table = table.with_task(i, task, key + i)
    return table


def task_with(P, R, **kwargs):
    return TabularMDP.from_dense(np.array(P, dtype=float), R, **kwargs)


def test_uniforms_are_the_published_generators_top_53_bits():
    keys = np.array([1234567], np.uint64)
    drawn = [uniform(keys, 0) for _ in PUBLISHED]
    assert drawn == [(z >> 11) / 2**53 for z in PUBLISHED]


def test_a_draw_moves_only_its_own_stream():
    keys = np.array([1, 2, 3], np.uint64)
    uniform(keys, 1)
    assert keys[0] == 1
    assert keys[1] != 2
    assert keys[2] == 3


def test_normals_have_mean_0_variance_1_and_no_skew():
    keys = np.array([5], np.uint64)
    z = np.array([_normal(keys, 0) for _ in range(N_DRAWS)])
    for power, moment, sd in [
        (1, 0.0, 1.0),
        (2, 1.0, 2**0.5),
        (3, 0.0, 15**0.5),
        (4, 3.0, 96**0.5),
    ]:
        assert abs((z**power).mean() - moment) < 4 * sd / N_DRAWS**0.5


def test_compiled_step_equals_its_python_twin():
    rng = np.random.default_rng(0)
    P = rng.dirichlet(np.ones(4), (4, 2))
    one = table_of(task_with(P, rng.normal(size=(4, 2)), reward_noise=0.5))
    two = one._replace(keys=one.keys.copy())
    with np.errstate(over="ignore"):  # the counter wraps around
        for k in range(200):
            compiled = transition(*one, 0, k % 8)
            assert compiled == transition.py_func(*two, 0, k % 8)
            assert _outcome(one.rows, one.probability, 0, k % 8, one.keys) == _outcome.py_func(
                two.rows, two.probability, 0, k % 8, two.keys
            )
            assert uniform(one.keys, 0) == uniform.py_func(two.keys, 0)
            assert _normal(one.keys, 0) == _normal.py_func(two.keys, 0)
    assert one.keys == two.keys


def test_successors_come_as_often_as_their_probabilities_say():
    p = np.array([0.5, 0.0, 0.3, 0.2])
    P = np.tile(p, (4, 1, 1))
    table = table_of(task_with(P.reshape(4, 1, 4), np.zeros((4, 1))))
    drawn = np.bincount([transition(*table, 0, 2)[0] for _ in range(N_DRAWS)], minlength=4)
    assert drawn[1] == 0
    assert (abs(drawn / N_DRAWS - p) <= 4 * np.sqrt(p * (1 - p) / N_DRAWS)).all()


def test_bernoulli_rewards_pay_1_as_often_as_their_mean_says():
    table = table_of(task_with([[[1.0]]], [[0.3]], reward_noise="bernoulli"))
    paid = np.array([transition(*table, 0, 0)[1] for _ in range(N_DRAWS)])
    assert set(paid) == {0.0, 1.0}
    assert abs(paid.mean() - 0.3) < 4 * np.sqrt(0.21 / N_DRAWS)


@pytest.mark.parametrize(("mean", "paid"), [(1.0, 1.0), (1.8, 1.0), (0.0, 0.0), (-0.4, 0.0)])
def test_bernoulli_means_from_1_on_always_pay_and_up_to_0_never(mean, paid):
    table = table_of(task_with([[[1.0]]], [[mean]], reward_noise="bernoulli"))
    assert {transition(*table, 0, 0)[1] for _ in range(1000)} == {paid}


def test_gaussian_rewards_have_the_given_mean_and_deviation():
    table = table_of(task_with([[[1.0]]], [[-2.0]], reward_noise=0.5))
    paid = np.array([transition(*table, 0, 0)[1] for _ in range(N_DRAWS)])
    assert abs(paid.mean() + 2.0) < 4 * 0.5 / N_DRAWS**0.5
    assert abs(paid.std() - 0.5) < 4 * 0.5 / (2 * N_DRAWS) ** 0.5


@pytest.mark.parametrize("noise", [None, 0.0])
def test_without_noise_the_mean_is_paid(noise):
    table = table_of(task_with([[[1.0]]], [[0.25]], reward_noise=noise))
    assert transition(*table, 0, 0) == (0, 0.25, False)


def test_the_last_outcome_takes_what_rounding_leaves():
    table = table_of(task_with(np.full((3, 1, 3), 1 / 3), np.zeros((3, 1))))
    table.probability[:] = 0.1  # an exaggerated rounding error: a row sums to 0.3
    drawn = [transition(*table, 0, 0)[0] for _ in range(N_DRAWS)]
    assert drawn.count(2) / N_DRAWS == pytest.approx(0.8, abs=0.02)
    assert {_outcome(table.rows, table.probability, 0, 0, table.keys) for _ in range(100)} == {
        0,
        1,
        2,
    }


def test_a_wider_task_leaves_the_others_as_they_are():
    narrow = task_with(np.eye(3)[:, None, :], np.arange(3.0)[:, None])
    wide = task_with(np.full((3, 1, 3), 1 / 3), np.ones((3, 1)), start=1)
    table = table_of(narrow, narrow).with_task(0, wide, 9)
    assert table.keys.tolist() == [9, 8]
    assert [transition(*table, 1, row)[:2] for row in range(3)] == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert table.with_task(0, narrow, 1).probability.shape == table.probability.shape
