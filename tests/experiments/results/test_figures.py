"""Figures show whatever rows they are given, also below zero."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from rl3_sb3.experiments.algorithms import ALGORITHMS
from rl3_sb3.experiments.evaluation.scores import Evaluation, Score
from rl3_sb3.experiments.results.figures import _draw_within
from rl3_sb3.experiments.settings.run_config import RunConfig

CONFIG = RunConfig.of("random-mdp", horizon=20)


def drawn(*scores):
    """Draw scores of two episodes of ten steps; return the axes."""
    oracle = np.full(3, 40.0)
    evaluation = Evaluation("random-mdp", 20, "canonical", 0, oracle, list(scores))
    axes = Figure().subplots()
    _draw_within(axes, CONFIG, [evaluation])
    return axes


def score(title, play, rewards):
    return Score(title, play, np.full(3, 10 * sum(rewards)), np.repeat(rewards, 10))


def test_each_agent_has_a_line_in_the_order_given_and_a_title_nobody_knows_a_colour():
    scores = [
        score("Gittins", "", [1.0, 2.0]),
        score("RL³", "sampled", [2.0, 3.0]),
        score("RL³", "greedy", [3.0, 4.0]),
        Score("oracle", "", np.full(3, 100.0), None),
    ]
    lines = drawn(*scores).get_lines()
    labels = ["Gittins", "RL³, sampled", "RL³, greedy", "oracle"]
    assert [line.get_label() for line in lines] == labels
    assert [list(line.get_ydata()) for line in lines[:3]] == [[1, 2], [2, 3], [3, 4]]
    assert set(lines[3].get_ydata()) == {5.0}  # 100 in 20 steps
    blue = ALGORITHMS["rl3"].colour
    assert [line.get_color() == blue for line in lines] == [False, True, True, False]
    assert len({line.get_linestyle() for line in lines[1:3]}) == 2


@pytest.mark.parametrize("rewards", [[-1.5, -1.0], [-2.0, 3.0], [1.0, 2.0]])
def test_all_lines_lie_within_the_axes(rewards):
    axes = drawn(score("random", "", rewards), score("RL³", "sampled", rewards))
    bottom, top = axes.get_ylim()
    assert bottom < top
    assert bottom <= min(rewards) and max(rewards) <= top
    assert bottom <= 0 or min(rewards) < 0, "rewards above zero are seen from zero on"
