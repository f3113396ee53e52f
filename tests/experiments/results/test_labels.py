from dataclasses import replace

from rl3_sb3.experiments.domains import DOMAINS, domain_of
from rl3_sb3.experiments.results.labels import agent_labels
from rl3_sb3.experiments.settings.run_config import RunConfig


def test_usual_runs_have_their_algorithms_titles_whatever_their_length():
    configs = [
        RunConfig.of("bandit", algo="rl2", iterations=3),
        RunConfig.of("bandit", algo="rl3", seed=4, n_envs=7),
        RunConfig.of("bandit", algo="rl3", seed=5, horizon=20),
    ]
    # The planning's horizon differs between gridworlds of other H: nobody's peculiarity.
    configs.append(RunConfig.of("gridworld", horizon=40, critic_sees="history"))
    assert agent_labels(configs) == ["RL²", "RL³", "RL³", "RL³"]


def test_what_was_learned_from_and_by_whom_is_always_told():
    told = {
        "signal reward": {"signal": "reward"},
        "critic_sees task": {"critic_sees": "task"},
        "variation ood": {"variation": "ood"},
        "policy.d_model 32": {"d_model": 32},
        "estimator.smoothing 0.5": {"smoothing": 0.5},
        "policy LstmPolicy": {"policy": "LstmPolicy"},
        "estimator q-learning, estimator.n_replayed 4": {
            "estimator": "q-learning",
            "n_replayed": 4,
        },
    }
    for note, settings in told.items():
        assert agent_labels([RunConfig.of("bandit", **settings)]) == [f"RL³ ({note})"]


def test_a_learner_that_cannot_learn_from_turned_grids_is_named_too():
    config = RunConfig.of("gridworld", size=11, horizon=20, estimator="linear")
    assert agent_labels([config]) == ["RL³ (critic_sees task, estimator linear)"]


def test_a_run_is_named_even_if_the_usual_one_is_impossible():
    config = RunConfig.of("random-mdp", algo="rl3-coarse", cluster_size=1)
    assert agent_labels([config]) == ["RL³-coarse (estimator.cluster_size 1)"]


def test_a_domains_usual_recipe_is_not_told(monkeypatch):
    own = replace(domain_of("bandit"), settings={"recipe": "paper"})
    monkeypatch.setitem(DOMAINS, "own", own)
    told = [RunConfig.of("own", algo="rl2"), RunConfig.of("own", algo="rl2", recipe="ours")]
    assert agent_labels(told) == ["RL²", "RL² (recipe ours)"]


def test_other_settings_are_told_where_the_runs_of_a_table_differ_by_them():
    fast, slow = RunConfig.of("bandit", learning_rate=1e-2), RunConfig.of("bandit")
    other = RunConfig.of("bandit", algo="rl2", learning_rate=2e-2)
    assert agent_labels([fast]) == ["RL³"]
    assert agent_labels([fast, slow, other]) == [
        "RL³ (learning_rate 0.01)",
        "RL³ (learning_rate 0.001:0.0001)",
        "RL² (learning_rate 0.02)",
    ]
    plain = RunConfig.of("bandit", normalize_advantage=False)
    assert agent_labels([plain, slow]) == [
        "RL³ (normalize_advantage false)",
        "RL³ (normalize_advantage true)",
    ]


def test_runs_of_another_policy_or_estimator_make_nobody_tell_the_usual():
    configs = [
        RunConfig.of("bandit"),
        RunConfig.of("bandit", estimator="q-learning", policy="LstmPolicy"),
        RunConfig.of("bandit", algo="rl2", d_model=32),
        RunConfig.of("bandit", mixed_precision=True),
    ]
    assert agent_labels(configs) == [
        "RL³",
        "RL³ (policy LstmPolicy, estimator q-learning)",
        "RL² (policy.d_model 32)",
        "RL³ (policy.mixed_precision true)",
    ]


def test_another_recipe_is_told_instead_of_its_settings():
    usual = RunConfig.of("random-mdp")
    other = RunConfig.of("random-mdp", recipe="ours" if usual.recipe == "paper" else "paper")
    name = f"recipe {other.recipe}"
    assert agent_labels([usual, other]) == ["RL³", f"RL³ ({name})"]
    assert agent_labels([other]) == [f"RL³ ({name})"]
    fast = RunConfig.of("random-mdp", recipe=other.recipe, learning_rate=1e-2)
    assert agent_labels([usual, fast]) == ["RL³", f"RL³ ({name}, learning_rate 0.01)"]
