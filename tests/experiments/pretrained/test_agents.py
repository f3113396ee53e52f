import re
import shutil

import pytest

from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.evaluation import play
from rl3_sb3.experiments.evaluation.policy_agent import PolicyAgent
from rl3_sb3.experiments.pretrained.agents import published_agents, weights_digest


@pytest.fixture(scope="module")
def published(sweep, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    assert main(["publish", str(sweep), "--out", str(folder)]) == 0
    return folder


def test_published_agents_come_ready_to_act(published):
    rl2, rl3 = published_agents(published)
    assert (rl2.name, rl3.name) == ("bandit-12-rl2", "bandit-12-rl3")
    assert rl2.tasks == rl3.tasks == ("bandit", None, 12)
    assert rl3.to_dict() == {
        "name": "bandit-12-rl3",
        "title": "RL³",
        "n_training_steps": 3 * 4 * 12,
        "n_seeds": 3,
        "exported_seed": rl3.config.seed,
        "digest": weights_digest(published / "bandit-12-rl3"),
    }
    score = play(rl3.config, PolicyAgent(rl3.policy), n_tasks=2, variation="canonical")
    assert len(score.returns) == 2


def test_agents_of_one_algorithm_in_the_same_tasks_have_titles_of_their_own(published, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(published / "bandit-12-rl3", tmp_path / name)
    shutil.copytree(published / "bandit-12-rl2", tmp_path / "c")
    settings = tmp_path / "b" / "config.json"
    settings.write_text(re.sub('"recipe": ?"ours"', '"recipe": "paper"', settings.read_text()))
    usual, of_paper, rl2 = (agent.title for agent in published_agents(tmp_path))
    assert "recipe" not in usual
    assert of_paper.startswith("RL³ (recipe paper, ")
    assert rl2 == "RL²"


def test_algorithms_can_be_chosen(published):
    assert [agent.config.algo for agent in published_agents(published, algos=["rl3"])] == ["rl3"]


def test_a_folder_without_agents_is_refused(tmp_path):
    with pytest.raises(InputError, match="must hold pretrained agents"):
        published_agents(tmp_path)
