import re
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest

from vamdp import SampledVectorEnv

README = Path(__file__).parents[2] / "README.md"
OWN_TASKS = README.parent / "docs" / "own_tasks.md"
CONTINUOUS = README.parent / "docs" / "continuous_domains.md"
MASKS = README.parent / "docs" / "action_masks.md"
EVALUATION = README.parent / "docs" / "evaluation.md"
LEARNERS = README.parent / "docs" / "learners.md"


def python_of(page):
    """Return the Python blocks of a page as one program."""
    blocks = re.findall(r"^ *```python\n(.*?)```", page.read_text("utf-8"), re.S | re.M)
    assert blocks
    return "\n".join(textwrap.dedent(block) for block in blocks)


def test_the_code_in_the_readme_runs_from_top_to_bottom():
    code = python_of(README)
    shorter = code.replace("learn(300_000, progress_bar=True)", "learn(6_400)")
    assert shorter != code
    names = {}
    exec(compile(shorter, str(README), "exec"), names)
    assert names["estimator"].counts(0).tolist() == [0, 0, 1, 0]
    assert names["terminated"]
    assert names["model"].num_timesteps == 6_400


def test_the_domain_in_the_docs_makes_environments():
    names = {}
    exec(compile(python_of(OWN_TASKS), str(OWN_TASKS), "exec"), names)
    doors = names["doors"]
    assert doors.make_vector_env(2, None, "traps").max_episode_steps == 5
    assert doors.horizons == {None: 50}
    envs = SampledVectorEnv(names["long_and_short"], 2)
    envs.reset(seed=0)
    assert len({env.unwrapped.length for env in envs.tasks}) == 2
    same, mirrored = names["poles"].transformations_of(None)
    pole = envs.tasks[0]
    start = np.array([0.1, -0.2, 0.03, 0.4])
    for each, sign in ((same, 1.0), (mirrored, -1.0)):
        assert (each.scale, each.shift) == ((sign,) * 4, (0.0,) * 4)
        for action in range(2):
            found = []
            for state, taken in ((start, action), (sign * start, each.new_labels[action])):
                pole.reset()
                pole.unwrapped.state = state
                found.append(pole.step(taken)[0])
            np.testing.assert_allclose(found[1], sign * found[0], rtol=1e-6)


def test_the_families_in_the_docs_take_their_ranges():
    names = {}
    exec(compile(python_of(CONTINUOUS), str(CONTINUOUS), "exec"), names)
    names["envs"].reset(seed=0)
    assert all(
        0.5 <= env.length <= 1 and env.force_mag > 0 for env in names["envs"].unwrapped.tasks
    )


def test_the_loops_in_the_docs_pass_masks_on():
    names = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*action masks")
        exec(compile(python_of(MASKS), str(MASKS), "exec"), names)
    assert names["terminated"]
    assert names["allowed"].shape == (4, 6)
    assert not names["allowed"].all()
    assert not names["model"].rollout_buffer._stored["action_masks"].all()


def test_the_agent_in_the_docs_beats_chance(capsys):
    names = {}
    exec(compile(python_of(EVALUATION), str(EVALUATION), "exec"), names)
    scores = {score.title: score.returns.mean() for score in names["evaluation"].scores}
    assert list(scores) == ["random", "greedy", "oracle"]
    assert scores["random"] + 10 < scores["greedy"] < scores["oracle"]
    assert "| greedy" in capsys.readouterr().out


def test_the_learners_in_the_docs_learn_and_take_their_option():
    start = python_of(LEARNERS).index("# my_learners.py")
    names = {}
    exec(compile(python_of(LEARNERS)[start:], str(LEARNERS), "exec"), names)
    hopeful = names["HOPEFUL"].make(1, 2, task_horizon=1, options={"start": 0.75})[0]
    usual = names["mean"](1, 2)[0]
    for learner, untried in ((hopeful, 0.75), (usual, 0.0)):
        learner.update(0, 1, 0.25, 0, True)
        assert learner.q_values(0).tolist() == [untried, 0.25]
    with pytest.raises(TypeError, match="strat"):
        names["HOPEFUL"].make(1, 2, task_horizon=1, options={"strat": 0.75})
