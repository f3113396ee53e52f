"""Every row of the table of algorithms goes all the way: trained, exported, evaluated, filmed."""

import re
from pathlib import Path

import numpy as np
import pytest

from rl3_sb3 import load_policy
from rl3_sb3.experiments.algorithms import ALGORITHMS, Algorithm, colour_of
from rl3_sb3.experiments.domains import DOMAINS, Domain
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.evaluation import evaluate
from rl3_sb3.experiments.films.film import record
from rl3_sb3.experiments.results.labels import agent_labels
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.training import make_training_env, train
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp.baselines.grids import InformedAgent
from vamdp.domains import Bandits, GridWorlds

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_each_row_is_trained_exported_evaluated_and_filmed(algo, tmp_path):
    domain = "random-mdp" if ALGORITHMS[algo].knows_prior else "gridworld"
    config = RunConfig.of(domain, algo=algo, horizon=12, n_envs=4, batch_size=24, iterations=2)
    directory = RunDirectory(tmp_path / "run")
    directory.begin(config)
    model = train(directory, config, device="cpu")
    policy = load_policy(directory.policy_folder, "cpu")
    assert type(policy).__name__ == ALGORITHMS[algo].policy == config.policy
    evaluations = [
        evaluate(config, each, n_training_steps=model.num_timesteps, n_tasks=3)
        for each in (model.policy, policy)
    ]
    assert evaluations[0].to_dict() == evaluations[1].to_dict()
    labels = [score.label for score in evaluations[0].scores]
    title = ALGORITHMS[algo].title
    assert labels == ["random", f"{title}, sampled", f"{title}, greedy", "oracle"]
    if domain == "gridworld":
        assert len(record(config, policy).actions) == 12


def test_titles_and_colours_tell_the_rows_apart():
    rows = list(ALGORITHMS.values())
    assert len({row.title for row in rows}) == len({row.colour for row in rows}) == len(rows)
    assert [colour_of(row.title, "") for row in rows] == [row.colour for row in rows]
    assert colour_of("random", "grey") == "grey"


def test_nobody_asks_for_an_algorithms_name():
    names = "|".join(f'"{name}"' for name in ALGORITHMS)
    asks = re.compile(rf"[!=]= ?({names})|algo(rithm)? in \(")
    files = [file for package in ("rl3_sb3", "vamdp") for file in (ROOT / package).rglob("*.py")]
    assert len(files) > 100
    assert [file for file in files if asks.search(file.read_text("utf-8"))] == []


def test_a_row_of_another_policy_and_estimator_is_all_that_a_new_algorithm_needs(monkeypatch):
    row = Algorithm(
        "Half",
        "#123456",
        policy="LstmPolicy",
        policy_arguments={"hidden": 8},
        estimator_options={"smoothing": 0.5},
        shows_history=False,
    )
    monkeypatch.setitem(ALGORITHMS, "half", row)
    config = RunConfig.of("random-mdp", algo="half", horizon=12)
    assert (config.policy_arguments["hidden"], config.estimator_options["smoothing"]) == (8, 0.5)
    assert config.title == "Half"


def test_a_prior_is_the_domains_and_only_for_algorithms_that_know_it():
    """In bandits: an arm is worth the mean of its rewards and two of 0.5, plus the bonus."""
    own = {"n_envs": 1, "value_scale": 1.0, "signal": "reward", "signal_scale": 1.0}
    env = make_training_env(RunConfig.of("bandit", algo="rl3-prior", horizon=5, **own))
    env.seed(0)
    env.reset()
    observation, (reward,), *_ = env.step(np.array([0]))
    tried, untried = (reward + 2 * 0.5) / 3 + 0.4 / np.sqrt(2), 0.5 + 0.4
    value = observation[0, env.get_attr("layout")[0]["value"]]
    assert value == pytest.approx(max(tried, untried))
    assert RunConfig.of("bandit", algo="rl3-prior").title == "RL³ (prior)"
    plain = RunConfig.of("bandit", horizon=5)
    assert plain.estimator_options["prior_weight"] == 0.0
    assert plain.value_scale == 1.0
    given = RunConfig.of("random-mdp", algo="rl3-prior", bonus=0.0, recipe="ours")
    assert given.estimator_options["bonus"] == 0.0
    assert given.estimator_options["prior_weight"] == 1.0


def test_a_prior_may_be_a_learner_that_knows_the_tasks():
    """In gridworlds, whose first move is the informed agent's."""
    config = RunConfig.of("gridworld", algo="rl3-prior", size=11, n_envs=2, recipe="ours")
    assert config.estimator == "vamdp.baselines.grids:GRID_BELIEFS"
    assert config.estimator_options["task_horizon"] == config.horizon == 250
    assert config.symmetry_share == 0.0
    assert config.prior_options == {}
    env = make_training_env(config)
    observation = env.reset()
    advantages = observation["observation"][:, env.get_attr("layout")[0]["advantage"]]
    agent = InformedAgent(GridWorlds(11), horizon=250)
    assert advantages.argmax(axis=1).tolist() == 2 * agent.act(np.array([60])).tolist()
    assert (advantages < -1.0).any()
    assert agent_labels([config]) == ["RL³ (prior) (critic_sees task)"]
    plain = RunConfig.of("gridworld", size=11, recipe="ours")
    assert (plain.estimator, plain.symmetry_share) == ("model-based", 1.0)
    with pytest.raises(InputError, match="`symmetry_share` must be 0 with the estimator vamdp"):
        RunConfig.of("gridworld", algo="rl3-prior", size=11, recipe="ours", symmetry_share=1.0)
    with pytest.raises(InputError, match=r"`estimator` must be vamdp\.baselines"):
        RunConfig.of("gridworld", algo="rl3-prior", size=11, estimator="model-based")


def test_a_domain_without_a_prior_refuses_algorithms_that_need_one():
    with pytest.raises(InputError, match=r"other than RL³ \(prior\) in the domain Frozen lakes"):
        RunConfig.of("frozen-lake", algo="rl3-prior")


def test_a_learner_that_cannot_know_the_prior_is_refused():
    with pytest.raises(InputError, match=r"`estimator` must be model-based with RL³ \(prior\)"):
        RunConfig.of("bandit", algo="rl3-prior", estimator="q-learning")


def test_a_prior_comes_before_the_domains_other_settings_and_may_have_short_names(monkeypatch):
    domain = Domain(
        title="Own",
        tasks=Bandits(2),
        task_horizon=1,
        prior={"prior_weight": 2.0, "bonus": 0.5, "value_scale": 0.1},
        estimator_options={"bonus": 9.0, "gamma": 0.5},
        settings={"value_scale": 9.0, "bonus": 8.0},
        recipes={"ours": {"value_scale": 7.0}},
    )
    monkeypatch.setitem(DOMAINS, "own", domain)
    config = RunConfig.of("own", algo="rl3-prior", recipe="ours")
    assert config.value_scale == 0.1
    assert config.estimator_options == config.prior_options
    found = config.prior_options
    assert (found["bonus"], found["prior_weight"], found["gamma"]) == (0.5, 2.0, 0.5)
    assert RunConfig.of("own", recipe="ours").value_scale == 7.0


@pytest.mark.parametrize(
    "prior", [5, ["prior_mean"], {"estimator": {"bonus": 1.0}}, {"recipe": "ours"}]
)
def test_a_prior_of_another_form_is_named(prior):
    with pytest.raises(ValueError, match="`prior` must be a mapping of settings"):
        Domain(title="Own", tasks=Bandits(2), prior=prior)


def test_policy_and_estimator_can_be_overridden():
    config = RunConfig.of("bandit", policy="LstmPolicy", hidden=8)
    assert config.policy_arguments["hidden"] == 8
    assert "d_model" not in config.policy_arguments
    assert config.title == "RL³"
