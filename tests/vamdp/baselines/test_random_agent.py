import numpy as np
import pytest

from vamdp.baselines import RandomAgent


def test_a_random_agent_takes_each_allowed_action_equally_often():
    agent = RandomAgent(3)
    agent.start(9000, seed=0)
    agent.action_masks = np.tile([[True, False, True], [False, False, True]], (4500, 1))
    first, second = agent.act(np.zeros(9000)).reshape(-1, 2).T
    assert (second == 2).all()
    assert set(first) == {0, 2}
    assert (first == 0).mean() == pytest.approx(0.5, abs=0.03)
    agent.start(90, seed=0)  # other tasks, of which no masks are known
    assert agent.act(np.zeros(90)).shape == (90,)
    agent.action_masks = None
    assert set(agent.act(np.zeros(90))) == {0, 1, 2}
