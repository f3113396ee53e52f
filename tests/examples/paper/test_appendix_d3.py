import runpy
from pathlib import Path

import numpy as np
import pytest

from vamdp import ValueEstimator

pytest.importorskip("stable_baselines3")
SCRIPT = Path(__file__).parents[3] / "examples" / "paper" / "appendix_d3.py"
script = runpy.run_path(str(SCRIPT))


def test_a_walk_shows_what_an_estimator_learns_from_its_steps():
    rng = np.random.default_rng(0)
    P, R = script["random_tasks"](rng, 3, 1.0, 1.0)
    points, steps = script["walk"](rng, P, R, 1.0)
    estimator = ValueEstimator(2, task_horizon=10)
    for t, step in enumerate(steps):
        s, a, r, s_next = (column[2] for column in step)
        assert t % 10 or s == 0  # an episode's first state
        assert t % 10 == 0 or s == steps[t - 1][3][2]
        estimator.update(int(s), int(a), float(r), int(s_next), False)
        Q = [estimator.q_values(state) for state in range(3)]
        np.testing.assert_array_equal(points[t, 2].reshape(3, 2), Q)


def test_walks_follow_the_tasks_probabilities_and_rewards():
    rng = np.random.default_rng(1)
    P, R = script["random_tasks"](rng, 1, 1.0, 1.0)
    P, R = np.repeat(P, 4000, axis=0), np.repeat(R, 4000, axis=0)
    _, steps = script["walk"](rng, P, R, 0.5)
    s, a, r, s_next = (np.concatenate(column) for column in zip(*steps, strict=True))
    for state in range(3):
        for action in range(2):
            there = (s == state) & (a == action)
            seen = np.bincount(s_next[there], minlength=3) / there.sum()
            np.testing.assert_allclose(seen, P[0, state, action], atol=0.02)
            assert r[there].mean() == pytest.approx(R[0, state, action], abs=0.03)
            assert r[there].std() == pytest.approx(0.5, abs=0.02)


def one_step(r, s_next):
    zeros = np.zeros(len(r), np.int64)
    return zeros, zeros, np.asarray(r, float), np.asarray(s_next)


def test_the_posterior_names_tasks_by_their_transitions():
    P = np.zeros((3, 3, 2, 3))
    P[np.arange(3), :, :, np.arange(3)] = 1.0  # task k leads to state k
    steps = [one_step([0, 0, 0], [0, 1, 2])]
    assert script["posterior_accuracy"](P, np.zeros((3, 3, 2)), 1.0, steps, 3) == [1.0]


def test_the_posterior_weighs_rewards_by_their_noise():
    P = np.full((2, 3, 2, 3), 1 / 3)
    P[0, :, :, 0] += 0.2  # ten times the evidence lies in a reward 2 off, unless noise drowns it
    P[0, :, :, 1] -= 0.2
    R = np.zeros((2, 3, 2))
    R[1] = 2.0
    steps = [one_step([0.0, 2.0], [0, 0])]
    assert script["posterior_accuracy"](P, R, 0.5, steps, 2) == [1.0]
    assert script["posterior_accuracy"](P, R, 50.0, steps, 2) == [0.5]  # both look like task 0


def test_evidence_adds_up_over_steps():
    P = np.full((2, 3, 2, 3), 1 / 3)
    R = np.zeros((2, 3, 2))
    R[1] = 1.0
    # The second step alone looks like the first task; both together do not.
    steps = [one_step([0.0, 0.9], [0, 0]), one_step([0.0, 0.3], [0, 0])]
    assert script["posterior_accuracy"](P, R, 1.0, steps, 2) == [1.0, 1.0]


def test_whitened_points_vary_alike_in_all_directions():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)) + 3.0
    mean, whitening = script["whiten"](points)
    white = (points - mean) @ whitening
    np.testing.assert_allclose(white.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.cov(white.T), np.eye(6), atol=1e-9)


def test_the_classifier_names_tasks_that_lie_apart_in_new_walks_too():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, 6))
    walks = [centres + 0.02 * rng.normal(size=centres.shape) for _ in range(3)]
    classify = script["train"](walks[:2], epochs=150, seed=0)
    np.testing.assert_array_equal(classify(walks[2]), np.arange(20))


def test_the_stored_record_is_drawn_within_the_papers_figure(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", [str(SCRIPT), "--out", str(tmp_path / "figure.png")])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "10000 tasks" in capsys.readouterr().out
    assert (tmp_path / "figure.png").stat().st_size < 150_000
