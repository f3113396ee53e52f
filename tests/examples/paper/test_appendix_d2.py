import runpy
from pathlib import Path

import numpy as np
import pytest

from vamdp import TabularMDP

pytest.importorskip("stable_baselines3")  # rl3_sb3 writes the records
SCRIPT = Path(__file__).parents[3] / "examples" / "paper" / "appendix_d2.py"
script = runpy.run_path(str(SCRIPT))


def test_the_tree_finds_the_pairs_that_comparing_all_of_200_tasks_finds():
    P, R = script["random_tasks"](np.random.default_rng(0), 200, 0.1, 0.5)
    points = script["optimal_q"](P, R, 10)[-1].reshape(200, -1)
    distance = np.abs(points[:, None] - points[None]).max(axis=2)
    for most in (0.5, 2.0, 5.0):
        brute_force = (distance[np.triu_indices(200, 1)] <= most).sum()
        assert brute_force > 0
        assert script["close_pairs"](points, most) == brute_force


def test_distance_is_the_largest_of_the_differences():
    points = np.array([[0.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    assert script["close_pairs"](points, 0.6) == 2  # not the first and the last


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_its_recursion_gives_the_librarys_optimal_values(gamma):
    P, R = script["random_tasks"](np.random.default_rng(1), 5, 1.0, 1.0)
    Q = script["optimal_q"](P, R, 10, gamma)
    for task in range(5):
        mdp = TabularMDP.from_dense(P[task], R[task])
        for horizon in (1, 2, 10):
            V = Q[horizon - 1, task].max(axis=1)
            np.testing.assert_allclose(V, mdp.optimal_values(horizon, gamma), rtol=1e-12)


def test_q_of_an_action_is_its_reward_and_the_best_of_what_follows():
    # Action 0 stays and pays 1; action 1 goes to the next state and pays -1.
    P = np.stack([np.eye(3), np.roll(np.eye(3), 1, axis=1)], axis=1)[None]
    R = np.broadcast_to([1.0, -1.0], (1, 3, 2))
    np.testing.assert_array_equal(script["optimal_q"](P, R, 10)[-1, 0], [[10.0, 8.0]] * 3)


def test_tasks_have_the_moments_of_their_distribution():
    P, R = script["random_tasks"](np.random.default_rng(2), 20_000, 0.1, 0.5)
    np.testing.assert_allclose(P.sum(axis=-1), 1.0)
    # Dirichlet(c, c, c): variance (1/3)(2/3)/(3 c + 1).
    assert P.var() == pytest.approx(2 / 9 / 1.3, rel=0.01)
    assert R.mean() == pytest.approx(1.0, abs=0.01)
    assert R.std() == pytest.approx(0.5, rel=0.01)


def test_the_interval_is_garwoods():
    assert script["interval"](0) == pytest.approx((0.0, -np.log(0.025)))
    assert script["interval"](3) == pytest.approx((0.6187, 8.7673), abs=1e-4)  # published tables


def test_chance_is_that_of_fair_coins_for_equally_many_pairs():
    n_pairs = 50_000 * 49_999 / 2
    assert script["chance"](3 / n_pairs, 0, n_pairs) == pytest.approx(2 * 0.5**3)
    assert script["chance"](3 / n_pairs, 3, n_pairs) == 1.0


def test_the_stored_record_agrees_with_the_paper(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [str(SCRIPT)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    rows = capsys.readouterr().out.splitlines()[2:5]
    for row, paper in zip(rows, ("2.6e-09", "4.6e-09", "1.1e-07"), strict=True):
        assert paper in row
        assert float(row.split()[-1]) > 0.01  # chance
