"""A run whose critic sees the true task, and whose policy is measured without."""

import shutil

import numpy as np
import pytest
from gymnasium import spaces

from rl3_sb3 import load_policy
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.films.film import record
from rl3_sb3.experiments.runs.learning_env import check_environments, make_learning_env
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.run_policy import load_run_policy
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.runs.validation import validation_return
from rl3_sb3.experiments.settings.run_config import RunConfig

H, N = 20, 5


def life(config):
    """Act at random; return observations, rewards and last observations."""
    env = make_learning_env(config, N)
    env.seed(3)
    seen, paid, last = [env.reset()], [], []
    rng = np.random.default_rng(0)
    for _ in range(2 * H):
        observations, rewards, _, infos = env.step(rng.integers(5, size=N))
        seen.append(observations)
        paid.append(rewards)
        last += [i["terminal_observation"] for i in infos if "terminal_observation" in i]
    return env, seen, paid, last


@pytest.mark.parametrize("algo", ["rl2", "rl3", "rl3-markov"])
@pytest.mark.parametrize("signal", ["reward", "regret"])
def test_the_critic_is_shown_the_task_and_nothing_else_changes(algo, signal):
    of = {"horizon": H, "algo": algo, "signal": signal}
    env, seen, paid, last = life(RunConfig.of("random-mdp", **of))
    env_too, seen_too, paid_too, last_too = life(
        RunConfig.of("random-mdp", critic_sees="task", **of)
    )
    assert env_too.observation_space.spaces.keys() == {"observation", "task"}
    assert env_too.observation_space["observation"] == env.observation_space
    np.testing.assert_array_equal(seen, [each["observation"] for each in seen_too])
    np.testing.assert_array_equal(paid, paid_too)
    assert len(last) == len(last_too) == 2 * N
    np.testing.assert_array_equal(last, [each["observation"] for each in last_too])
    tasks = np.array([each["task"] for each in seen_too])
    assert np.isfinite(tasks).all()
    # The gain is the task's, over a whole meta-episode, and another one in the next.
    assert (tasks[:H, :, -1] == tasks[0, :, -1]).all()
    assert (tasks[H:-1, :, -1] == tasks[H, :, -1]).all()
    assert (tasks[H, :, -1] != tasks[0, :, -1]).all()
    np.testing.assert_array_equal([each["task"][-1] for each in last_too[:N]], tasks[0, :, -1])


@pytest.mark.parametrize("policy", ["TransformerPolicy", "LstmPolicy", "MarkovPolicy"])
def test_the_actors_network_is_as_large_as_without(policy):
    models = [
        make_model(config, make_training_env(config), "cpu")
        for config in (
            RunConfig.of("bandit", horizon=6, n_envs=2, policy=policy, critic_sees=sees)
            for sees in ("history", "task")
        )
    ]
    actors, critics = (
        [sum(p.numel() for p in getattr(m.policy, name).parameters()) for m in models]
        for name in ("actor", "critic")
    )
    assert actors[0] == actors[1]
    assert critics[0] < critics[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "lake"
    small = ["--horizon", "12", "--n-envs", "4", "--batch-size", "24", "--iterations", "2"]
    options = ["--size", "4", "--validate-every", "1", "--set", "critic_sees=task"]
    assert main(["train", "frozen-lake", *small, *options, "--out", str(path)]) == 0
    return RunDirectory(path)


def test_a_run_is_evaluated_compared_and_filmed_without_the_task(run, capsys, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(run.path, path)
    for extra in ([], ["--trust-pickle"], ["--best"]):
        assert main(["evaluate", str(path), "--tasks", "3", *extra]) == 0
    assert main(["table", str(path)]) == 0
    assert "RL³ (critic_sees task)" in capsys.readouterr().out
    assert main(["play", str(path), "--out", str(tmp_path / "film.gif")]) == 0
    assert (tmp_path / "film.gif").stat().st_size > 0


def test_both_ways_to_read_the_policy_give_the_same_one(run):
    config = run.config_file.read()
    exported, pickled = (
        load_run_policy(run, config, "cpu", trust_pickle=trusted)[0] for trusted in (False, True)
    )
    np.testing.assert_array_equal(exported.parameters_to_vector(), pickled.parameters_to_vector())
    assert exported.critic_only == pickled.critic_only == "task"
    assert isinstance(exported.actor_space, spaces.Box)
    assert validation_return(config, exported) == validation_return(config, pickled)
    assert record(config, exported).shots[-1].step == record(config, pickled).shots[-1].step
    description = load_policy(run.policy_folder, "cpu").training_record.description
    assert "Its critic saw the true task too" in description
    assert '"meta_time"' in description


def test_a_policy_for_other_observations_is_refused_all_the_same(run):
    other = RunConfig.of("frozen-lake", size=4, horizon=12, algo="rl2")
    with pytest.raises(InputError, match="must hold a policy for the observations of the run"):
        load_run_policy(run, other, "cpu")


def test_where_the_true_task_has_no_optimum_the_run_is_refused():
    config = RunConfig.of("bandit", gamma=1.0, critic_sees="task")
    with pytest.raises(InputError, match="`gamma` must be below 1 if episodes have no time"):
        check_environments(config)
