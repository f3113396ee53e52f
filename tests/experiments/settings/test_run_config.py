import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl3_sb3.experiments.domains import DOMAINS, Domain
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.settings.run_config import FIRST_HELD_OUT_SEED, RunConfig
from rl3_sb3.experiments.settings.schedules import Schedule
from vamdp import TabularMDP


@pytest.mark.parametrize(
    ("domain", "horizon", "expected"),
    [
        ("bandit", 500, (65, 4096, 5000, 0.01)),
        ("random-mdp", 100, (327, 4096, 10_000, Schedule(0.1, 0.0))),
        ("bandit", 100_000, (1, 4096, 5000, 0.01)),
        ("gridworld", None, (131, 4096, 20_000, 0.04)),
    ],
)
def test_the_recipe_paper_is_the_papers(domain, horizon, expected):
    config = RunConfig.of(domain, horizon=horizon, recipe="paper")
    assert expected == (
        config.n_envs,
        config.batch_size,
        config.iterations,
        config.ent_coef,
    )
    learning_rate = 2e-4 if domain == "gridworld" else 3e-4
    assert (config.learning_rate, config.n_epochs, config.gamma) == (learning_rate, 8, 0.99)
    assert (config.gae_lambda, config.clip_range, config.target_kl) == (0.3, 0.2, 0.01)
    assert (config.signal, config.max_grad_norm, config.vf_coef) == ("reward", None, 0.5)
    policy = config.policy_arguments
    assert (policy["critic_weight_decay"], policy["adam_eps"]) == (1e-2, 1e-7)


@pytest.mark.parametrize("n_envs", [1, 2**30])
@given(seed=st.integers(0, 2**63))
def test_training_never_meets_a_held_out_seed(n_envs, seed):
    # With 2**30 environments every second first seed of 31 bits would be too large.
    config = RunConfig.of("bandit", seed=seed, n_envs=n_envs)
    first = config.environment_seed
    assert 0 <= first
    assert first + n_envs - 1 < FIRST_HELD_OUT_SEED


def test_a_configuration_survives_its_dictionary():
    config = RunConfig.of("random-mdp", algo="rl2", horizon=30, seed=7, iterations=5)
    assert RunConfig.from_dict(config.to_dict(), "config.json") == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "`horizon` must be an integer of at least 1, got 0."),
        ({"horizon": 2.5}, "`horizon` must be an integer of at least 1, got 2.5."),
        ({"seed": -1}, "`seed` must be an integer of at least 0, got -1."),
        ({"critic_sees": "all"}, "`critic_sees` must be one of history, task, got 'all'."),
        ({"policy.critic_only": "task"}, "`policy.critic_only` is not a setting of this run"),
        ({"n_envs": 0}, "`n_envs` must be an integer of at least 1, got 0."),
        ({"batch_size": 3}, "`batch_size` must be an integer of at least 4, got 3."),
        ({"iterations": True}, "`iterations` must be an integer of at least 1, got True."),
        (
            {"learning_rate": "fast"},
            "`learning_rate` must be a number of at least 0 or a schedule such as 0.3:1@0.5, got "
            "'fast'.",
        ),
        ({"algo": "rl4"}, "`algo` must be one of rl2, rl3, rl3-prior, rl3-coarse, "),
        ({"size": 11}, "`size` must be left out in bandits, got 11."),
        ({"variation": "wet"}, "`variation` must be one of canonical, ood, got 'wet'."),
        ({"algo": "rl3-coarse"}, "`estimator.cluster_size` must be 1 in the domain bandit, got 2"),
        ({"cluster_terminals": True}, "`estimator.cluster_terminals` must be left out without"),
        ({"variation": ["ood"]}, "`variation` must be a name, got ['ood']."),
        ({"algo": ["rl3"]}, "`algo` must be a name, got ['rl3']."),
        ({"size": [11]}, "`size` must be left out in bandits, got [11]."),
        ({"cluster_terminals": 1}, "`estimator.cluster_terminals` must be true or false, got 1."),
        ({"warm_start": True}, "`estimator.warm_start` must be False if `estimator.gamma` is"),
        ({"horizon": 1, "n_envs": 1}, "`n_envs` must be at least 2 when `horizon` is 1"),
    ],
)
def test_a_setting_out_of_range_is_named(options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        RunConfig.of("bandit", **options)


def small_grid(rng):
    return TabularMDP.from_grid(["S ", " G"])


@pytest.mark.parametrize("algo", ["rl3-coarse", "rl3-kernel"])
def test_what_needs_places_is_refused_where_a_domain_does_not_declare_them(algo, monkeypatch):
    for name, has_places in (("places", True), ("tables", False)):
        domain = Domain(title="A", tasks=small_grid, task_horizon=4, has_places=has_places)
        monkeypatch.setitem(DOMAINS, name, domain)
    RunConfig.of("places", algo=algo)
    with pytest.raises(InputError, match=r"only with Domain\(has_places=True\)\. "):
        RunConfig.of("tables", algo=algo)


def test_an_unknown_domain_is_named():
    with pytest.raises(InputError, match=r"`domain` must be one of bandit, .*, got 'go'"):
        RunConfig.of("go")


@pytest.mark.parametrize("change", [{"surprise": 1}, {"horizon": None}])
def test_a_dictionary_with_missing_or_unknown_settings_is_refused(change):
    values = RunConfig.of("bandit").to_dict()
    (name, value), *_ = change.items()
    if value is None:
        del values[name]
    else:
        values[name] = value
    with pytest.raises(InputError, match=f"`c.json` must hold the settings .*: {name}"):
        RunConfig.from_dict(values, "c.json")


def test_a_dictionary_that_is_older_than_a_choice_means_what_there_was():
    values = RunConfig.of("bandit", **{"policy.positions": "rotary"}).to_dict()
    assert RunConfig.from_dict(values, "c.json").policy_arguments["positions"] == "rotary"
    del values["policy_arguments"]["positions"]
    assert RunConfig.from_dict(values, "c.json").policy_arguments["positions"] == "learned"


def test_a_run_that_was_stored_before_a_setting_came_is_what_it_was():
    values = RunConfig.of("bandit").to_dict()
    del values["critic_sees"]
    assert RunConfig.from_dict(values, "config.json") == RunConfig.of("bandit")


FIRST_VERSION = {
    "domain": "gridworld",
    "algo": "rl3-coarse",
    "horizon": 60,
    "seed": 3,
    "n_envs": 16,
    "batch_size": 240,
    "iterations": 3,
    "ent_coef": 0.04,
    "final_ent_coef": 0.04,
    "learning_rate": 0.0002,
    "n_epochs": 8,
    "gamma": 0.99,
    "gae_lambda": 0.3,
    "clip_range": 0.2,
    "target_kl": 0.01,
    "vf_coef": 0.5,
    "size": 11,
    "variation": "dense",
    "cluster_terminals": True,
    "warm_start": True,
    "mixed_precision": False,
    "validate_every": 2,
}


def test_runs_stored_before_there_were_recipes_are_the_papers():
    values = RunConfig.of("bandit", recipe="paper", n_epochs=3).to_dict()
    del values["recipe"]
    assert RunConfig.from_dict(values, "config.json") == RunConfig.from_dict(
        {**values, "recipe": "paper"}, "config.json"
    )


def test_an_unknown_recipe_is_named():
    for recipe in ("mine", ["paper"]):
        with pytest.raises(InputError, match=r"`recipe` must be one of paper, ours, got "):
            RunConfig.of("bandit", recipe=recipe)


def test_settings_of_the_first_version_are_read():
    config = RunConfig.from_dict(FIRST_VERSION, "config.json")
    flat = config.flat()
    renamed = {"cluster_terminals", "warm_start", "mixed_precision"}
    prefixes = {"mixed_precision": "policy."}
    for name, value in FIRST_VERSION.items():
        if name != "final_ent_coef":
            prefix = prefixes.get(name, "estimator.") if name in renamed else ""
            assert flat[prefix + name] == value, name
    assert (flat["estimator.gamma"], flat["estimator.smoothing"]) == (0.95, 0.01)
    assert (flat["policy.d_model"], flat["signal"], flat["estimator.cluster_size"]) == (
        64,
        "reward",
        2,
    )
    changing = RunConfig.from_dict({**FIRST_VERSION, "final_ent_coef": 0.0}, "config.json")
    assert changing.ent_coef == Schedule(0.04, 0.0)
    plain = {**FIRST_VERSION, "algo": "rl2", "cluster_terminals": False, "warm_start": False}
    assert RunConfig.from_dict(plain, "config.json").estimator_options == {}
    with pytest.raises(InputError, match=r"missing or unknown ones: final_ent_coef"):
        del plain["final_ent_coef"]
        RunConfig.from_dict(plain, "config.json")


def test_checkpoints_of_the_first_version_find_their_policy():
    from rl3_sb3 import MarkovPolicy
    from rl3_sb3.markov import MarkovPolicy as before

    assert before is MarkovPolicy
