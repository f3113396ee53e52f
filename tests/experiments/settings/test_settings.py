import re
from dataclasses import fields

import pytest

from rl3_sb3.experiments.domains import DOMAINS
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.help import settings_help
from rl3_sb3.experiments.settings.parts import estimator_defaults, policy_defaults
from rl3_sb3.experiments.settings.recipes import PAPER, RECIPES, settings_of
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.settings.schedules import Schedule
from rl3_sb3.experiments.settings.setting import declared, full_name, read_assignments

# Another value than the default for every setting of an RL3 run that may be combined freely.
OTHERS = {
    "variation": "ood",
    "iterations": 7,
    "recipe": "paper",
    "n_envs": 3,
    "batch_size": 24,
    "n_epochs": 2,
    "learning_rate": Schedule(2e-3, 1e-4),
    "gamma": 0.9,
    "gae_lambda": Schedule(0.3, 1.0, 0.5),
    "clip_range": 0.1,
    "target_kl": None,
    "ent_coef": 0.2,
    "vf_coef": 0.25,
    "max_grad_norm": 0.5,
    "normalize_advantage": False,
    "normalize_returns": True,
    "signal": "reward",
    "signal_scale": 0.5,
    "critic_sees": "task",
    "symmetry_share": 0.5,
    "symmetry_coef": 2.0,
    "validate_every": 3,
    "start_from": "runs/earlier",
    "critic_first": 5,
    "value_scale": 2.0,
    "count_scale": 3.0,
    "reward_scale": 4.0,
    "policy": "TransformerPolicy",
    "estimator": "model-based",
    "policy.d_model": 32,
    "policy.n_layers": 1,
    "policy.n_heads": 2,
    "policy.d_ff": 16,
    "policy.input_hidden": 8,
    "policy.positions": "rotary",
    "policy.critic_weight_decay": 0.1,
    "policy.adam_eps": 1e-6,
    "policy.mixed_precision": True,
    "policy.cpu_kernels": False,
    "estimator.task_horizon": 5,
    "estimator.gamma": 0.5,
    "estimator.tolerance": 0.1,
    "estimator.smoothing": 0.2,
    "estimator.warm_start": True,
    "estimator.reward_model": "state_action",
    "estimator.cluster_radius": 2.0,
    "estimator.bonus": 0.5,
    "estimator.prior_mean": 1.0,
    "estimator.prior_weight": 2.0,
}
# Those that need a domain with places.
CLUSTERS = {"estimator.cluster_size": 3, "estimator.cluster_terminals": True}


def test_every_setting_can_be_set():
    config = RunConfig.of("random-mdp", horizon=20, **OTHERS)
    plain = {name: str(v) if isinstance(v, Schedule) else v for name, v in OTHERS.items()}
    flat = config.flat()
    assert {name: flat[name] for name in plain} == plain
    identity = {"domain", "algo", "size", "horizon", "seed"}
    assert set(flat) == {*OTHERS, *CLUSTERS, *identity}, "a setting is missing in this test"
    usual = RunConfig.of("random-mdp", horizon=20).flat()
    same = {name for name in OTHERS if flat[name] == usual[name]}
    assert same == {"policy", "estimator"}, "there is but one choice"
    grid = RunConfig.of("gridworld", **CLUSTERS)
    assert {name: grid.flat()[name] for name in CLUSTERS} == CLUSTERS


def test_what_is_set_reaches_model_and_environment():
    config = RunConfig.of("random-mdp", horizon=20, **OTHERS)
    env = make_training_env(config)
    model = make_model(config, env, "cpu")
    assert model.policy.actor.embedding[2].out_features == 32
    assert len(model.policy.actor.rotations) == 20 + 1
    assert len(model.policy.actor.layers) == 1
    assert (model.gamma, model.vf_coef, model.n_epochs) == (0.9, 0.25, 2)
    assert (model.max_grad_norm, model.target_kl, model.normalize_advantage) == (0.5, None, False)
    assert model.normalize_returns is True
    assert model.critic_first == 5
    assert (model.symmetry.share, model.symmetry.coef) == (0.5, 2.0)
    assert [model.gae_lambda(p) for p in (1.0, 0.75, 0.0)] == pytest.approx([0.3, 0.65, 1.0])
    assert model.lr_schedule(0.0) == pytest.approx(1e-4)
    options = env.get_attr("estimator")[0].options
    assert (options.task_horizon, options.gamma, options.smoothing) == (5, 0.5, 0.2)
    assert (options.warm_start, options.reward_model) == (True, "state_action")
    scales = [env.get_attr(name)[0] for name in ("value_scale", "count_scale", "reward_scale")]
    assert scales == [2.0, 3.0, 4.0]


def test_a_configuration_with_all_of_them_survives_its_dictionary():
    config = RunConfig.of("random-mdp", horizon=20, **OTHERS)
    assert RunConfig.from_dict(config.to_dict(), "config.json") == config


def test_the_command_lines_texts_have_types():
    texts = ["a=32", "b=1e-3", "c=true", "d=none", "e=0.1:0", "f=state_action", "g=x=y"]
    values = [32, 0.001, True, None, "0.1:0", "state_action", "x=y"]
    assert list(read_assignments(texts).values()) == values


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["d_model"], "`--set` must be NAME=VALUE, got 'd_model'."),
        (["=3"], "`--set` must be NAME=VALUE, got '=3'."),
        (["a=1", "a=2"], "`--set` must give each name once, got a twice."),
    ],
)
def test_what_is_no_assignment_is_refused(texts, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read_assignments(texts)


def test_short_names_stand_for_full_ones_and_near_misses_are_told():
    known = ["gamma", "policy.d_model", "estimator.gamma", "estimator.width", "policy.width"]
    assert full_name("d_model", known) == "policy.d_model"
    assert full_name("gamma", known) == "gamma"
    with pytest.raises(
        InputError, match=r"`gama` is not a setting of this run: did you mean gamma"
    ):
        full_name("gama", known)
    with pytest.raises(InputError, match=r"`width` must be one of estimator.width, policy.width"):
        full_name("width", known)
    known = [
        "gamma",
        "estimator.gamma",
        "estimator.width",
        "estimator.reward_model",
        "policy.hidden",
    ]
    with pytest.raises(InputError, match=r"`d_model` is not a setting of this run: known are gam"):
        full_name("d_model", known)
    with pytest.raises(InputError, match=r"options of its estimator are gamma, width, reward_m"):
        full_name("estimator.lambda", known)
    with pytest.raises(InputError, match=r"did you mean reward_model"):
        full_name("reward_modell", known)
    with pytest.raises(InputError, match=r"`zzz` is not a setting of this run: known are gamma, "):
        full_name("zzz", known)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"learning_rat": 1},
            "`learning_rat` is not a setting of this run: did you mean learning_",
        ),
        ({"horizon_": 1}, "`horizon_` is not a setting of this run: did you mean horizon?"),
        ({"sed": 1}, "`sed` is not a setting of this run: did you mean seed?"),
        ({"domain": "bandit"}, "`domain` is not a setting of this run"),
        (
            {"policy": "lstm"},
            "MarkovPolicy, or MODULE:NAME of your own, got 'lstm'. Did you mean LstmPolicy?",
        ),
        ({"d_model": 30}, "`policy.d_model` must be a multiple of `policy.n_heads` = 4, got 30"),
        ({"d_model": 32.5}, "`policy.d_model` must be an integer, got 32.5."),
        ({"hidden": 3}, "`hidden` is not a setting of this run"),
        ({"smoothing": -1}, "`estimator.smoothing` must be finite and at least 0, got -1.0."),
        ({"reward_model": "x"}, '`estimator.reward_model` must be "transition" or "state_action"'),
        ({"gamma": 2}, "`gamma` must be a number in [0, 1], got 2.0."),
        ({"gamma": float("nan")}, "`gamma` must be a number in [0, 1], got nan."),
        ({"clip_range": 0}, "`clip_range` must be a number above 0 or a schedule"),
        ({"gae_lambda": "0.3:2"}, "`gae_lambda` must be a number in [0, 1] or a schedule"),
        ({"signal": "joy"}, "`signal` must be one of reward, regret, got 'joy'."),
        (
            {"algo": "rl3-coarse", "estimator": "q-learning"},
            "`estimator` must have the option cluster_size with RL³-coarse, got 'q-learning'",
        ),
        (
            {"estimator": "kernel", "scales": "1,-2"},
            "`estimator.scales[1]` must be finite and above 0, got -2.0.",
        ),
        ({"estimator": "kernel", "scales": "1,x"}, "`estimator.scales` must be a tuple of one num"),
        ({"estimator": "linear", "features": "rbf"}, "`estimator.features` must be None, an int"),
        ({"policy": "Gru"}, "`policy` must be one of TransformerPolicy, "),
        ({"estimator": "oracle"}, "`estimator` must be one of model-based"),
        ({"estimator": None}, "`estimator` must be the name of one with rl3, got None."),
        ({"algo": "rl2", "estimator": "model-based"}, "`estimator` must be left out with rl2"),
        ({"algo": "rl2", "smoothing": 0.1}, "`smoothing` is not a setting of this run"),
        ({"algo": "rl3-markov", "mixed_precision": True}, "`mixed_precision` is not a setting"),
        (
            {"smoothing": 0.1, "estimator.smoothing": 0.2},
            "`estimator.smoothing` must be given once",
        ),
        ({"policy": {"d_model": 32}, "d_model": 64}, "`policy.d_model` must be given once"),
        ({"policy": ["x"]}, "`policy` must be a name, got ['x']."),
        ({"estimator": 3}, "`estimator` must be a name, got 3."),
        ({"n_envs": 2**31}, "`n_envs` must be an integer of at most 2147483647, got 2147483648."),
        ({"horizon": 10**400}, "`horizon` must be an integer of at most 2147483647, got 1000"),
        ({"estimator.task_horizon": 10**20}, "`estimator.task_horizon` must be an integer, got"),
        ({"gamma": 10**400}, "`gamma` must be a number in [0, 1], got inf."),
        ({"d_model": 10**9}, "`policy` TransformerPolicy cannot be made with these arguments: "),
        ({"adam_eps": -1.0}, "`policy.adam_eps` must be finite and above 0, got -1.0."),
        (
            {"critic_weight_decay": float("nan")},
            "`policy.critic_weight_decay` must be finite and at least 0, got nan.",
        ),
    ],
)
def test_what_cannot_be_set_is_named_with_a_remedy(settings, message):
    with pytest.raises(InputError, match=re.escape(message)):
        RunConfig.of("random-mdp", **settings)


def test_the_help_lists_every_setting_with_its_default():
    text = settings_help()
    for each in fields(RunConfig):
        if declared(each) is not None:
            line = next(ln for ln in text.splitlines() if ln.startswith(f"  {each.name} "))
            assert each.name not in PAPER or line.endswith(")"), line
    for prefix, defaults in (
        ("policy", policy_defaults("TransformerPolicy")),
        ("estimator", estimator_defaults("model-based", task_horizon=1)),
    ):
        assert all(f"  {prefix}.{name} " in text for name in defaults)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_recipes_and_a_domains_settings_are_what_its_runs_have(domain, recipe):
    config, facts = RunConfig.of(domain, recipe=recipe), DOMAINS[domain]
    flat = config.flat()
    of_recipe = settings_of(recipe, lambda: facts.has_tables)
    expected = {**of_recipe, **facts.settings, **facts.recipes.get(recipe, {})}
    own = config.estimator_options  # some are for other learners of real-valued states
    expected |= {f"estimator.{n}": v for n, v in facts.estimator_options.items() if n in own}
    for name, value in expected.items():
        is_schedule = isinstance(value, str) and ":" in value
        assert flat[name] == (str(Schedule.parse(value)) if is_schedule else value), name


def test_tables_as_toml_makes_them_are_names_with_dots():
    nested = RunConfig.of("bandit", estimator={"gamma": 0.9}, policy={"d_model": 32})
    assert nested == RunConfig.of("bandit", **{"estimator.gamma": 0.9, "policy.d_model": 32})


def test_the_word_none_switches_off_where_toml_has_no_null():
    assert RunConfig.of("bandit", target_kl="none").target_kl is None
    with pytest.raises(InputError, match=r"`gamma` must be a number in \[0, 1\], got 'none'"):
        RunConfig.of("bandit", gamma="none")


def test_a_seed_may_be_large():
    assert RunConfig.of("bandit", seed=2**40).seed == 2**40
