"""Tasks of one's own are a domain like ours."""

import importlib
import json
import os
import re
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest

import rl3_sb3
from rl3_sb3.experiments import domains
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.domains import DOMAINS, Domain, domain_of, register_domain
from rl3_sb3.experiments.environments import fingerprint, make_envs
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.evaluation import held_out_tasks
from rl3_sb3.experiments.named import attribute_of
from rl3_sb3.experiments.results.labels import agent_labels
from rl3_sb3.experiments.runs.config_file import ConfigFile
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp import TabularMDP
from vamdp.baselines.grids import GRID_BELIEFS
from vamdp.domains import Bandits, CartPoles

MODULE = '''
"""Tasks that a user might bring."""

import numpy as np

import vamdp
from rl3_sb3 import Domain


def two_doors(rng):
    return vamdp.TabularMDP.from_dense(np.ones((1, 2, 1)), [rng.permutation([0.0, 1.0])])


def bad_doors(rng):
    return vamdp.TabularMDP.from_dense(np.ones((1, 2, 1)), [rng.permutation([0.0, -1.0])])


def little_lakes(rng):
    rows = ["S  ", "   ", "   "]
    goal = 3 + int(rng.integers(6))
    rows[goal // 3] = rows[goal // 3][: goal % 3] + "G" + rows[goal // 3][goal % 3 + 1 :]
    return vamdp.TabularMDP.from_grid(rows)


doors = Domain(
    title="Doors",
    tasks=two_doors,
    variations={"bad": bad_doors},
    task_horizon=3,
    horizons={None: 12},
    reward_scale=2.0,
    estimator_options={"gamma": 0.5},
    settings={"iterations": 2, "n_envs": 4, "batch_size": 24, "ent_coef": "0.2:0"},
)
lakes = Domain(
    title="Little lakes",
    tasks=little_lakes,
    horizons={None: 12},
    action_names=("stay", "north", "east", "south", "west"),
    settings={"iterations": 1, "n_envs": 4, "batch_size": 24},
)
number = 3
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return the name of a module of the user's, beside which the commands run."""
    (tmp_path / "my_tasks.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_tasks", raising=False)
    yield "my_tasks"
    sys.modules.pop("my_tasks", None)


def run(*arguments):
    return main([str(each) for each in arguments])


def test_our_own_modules_do_not_open_the_working_folder_to_imports(module):
    here = [*sys.path]
    assert attribute_of("estimator", "vamdp.baselines.grids:GRID_BELIEFS") is GRID_BELIEFS
    assert sys.path == here
    assert attribute_of("domain", f"{module}:number") == 3
    assert sys.path == [os.getcwd(), *here]


def test_a_function_that_draws_tasks_goes_through_every_command(module, capsys, tmp_path):
    tiny = ["--horizon", 8, "--n-envs", 4, "--batch-size", 16, "--iterations", 2]
    assert run("train", f"{module}:two_doors", *tiny, "--signal", "regret") == 0
    out = tmp_path / "runs" / "my_tasks-two_doors-rl3-8-0"
    stored = json.loads((out / "config.json").read_text())["run"]
    assert (stored["domain"], stored["horizon"]) == ("my_tasks:two_doors", 8)
    assert run("evaluate", out, "--tasks", 5) == 0
    assert run("table", out) == 0
    table = [[e.strip() for e in row.split("|")] for row in capsys.readouterr().out.splitlines()]
    # The oracle opens the right door each time.
    oracle = ["", "two_doors", "8", "5", "oracle", "", "", "8.0 ± 0.0", "1.000", ""]
    assert oracle in table
    assert run("train", f"{module}:two_doors", "--out", out, "--iterations", 3) == 0


def test_a_domain_says_scales_horizons_variations_and_settings(module, capsys, tmp_path):
    assert run("train", f"{module}:doors", "--out", "run") == 0
    config = RunConfig.from_dict(json.loads((tmp_path / "run/config.json").read_text())["run"], "")
    assert (config.horizon, config.task_horizon, config.reward_scale) == (12, 3, 2.0)
    assert (config.iterations, config.n_envs, str(config.ent_coef)) == (2, 4, "0.2:0")
    assert config.estimator_options["gamma"] == 0.5
    envs = make_envs(config, 2)
    assert envs.unwrapped.max_episode_steps == 3
    assert run("evaluate", "run", "--tasks", 4, "--variation", "bad") == 0
    assert "| oracle       | 0.0 ± 0.0" in capsys.readouterr().out
    tasks = held_out_tasks(config, n_tasks=2, variation="bad")
    assert {tuple(sorted(task.reward[:2])) for task in tasks} == {(-1.0, 0.0)}
    assert run("evaluate", "run", "--variation", "ood") == 2


def test_own_tasks_can_be_swept(module, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(
        'algorithms = ["rl2"]\nseeds = [0]\ndomains = ["my_tasks:doors"]\n[evaluation]\ntasks = 3\n'
    )
    assert run("sweep", file, "--out", "swept", "--jobs", 1) == 0
    assert "Doors" in (tmp_path / "swept/results.md").read_text()


def test_own_grids_are_filmed(module, tmp_path):
    assert run("train", f"{module}:lakes", "--out", "run") == 0
    assert run("play", "run", "--out", "film.gif") == 0
    assert (tmp_path / "film.gif").read_bytes().startswith(b"GIF")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:tasks", "No module named 'no_such_module'"),
        ("my_tasks:missing", "has no attribute 'missing'"),
        ("my_tasks:number", "which is 3"),
        ("my_tasks", "or MODULE:NAME of custom tasks, got 'my_tasks'"),
        ("my_tasks:", "`domain` must be MODULE:NAME of something that can be imported"),
        (":two_doors", "`domain` must be MODULE:NAME of something that can be imported"),
    ],
)
def test_what_is_no_task_distribution_is_named(module, name, message):
    with pytest.raises(InputError, match=re.escape(message)):
        domain_of(name)


def test_a_registered_domain_has_a_name_like_ours(monkeypatch):
    monkeypatch.setattr(domains, "DOMAINS", dict(DOMAINS))
    mine = rl3_sb3.Domain(title="Two arms", tasks=Bandits(n_arms=2), task_horizon=1)
    rl3_sb3.register_domain("two-arms", mine)
    register_domain("two-arms", mine)  # as when its module is reloaded
    assert RunConfig.of("two-arms").facts is mine
    with pytest.raises(ValueError, match=r"`name` must be new, got 'bandit', the name of Bandits"):
        register_domain("bandit", mine)
    with pytest.raises(ValueError, match=r"`name` must be a word without a colon, got 'a:b'"):
        register_domain("a:b", mine)
    with pytest.raises(TypeError, match=r"`domain` must be a Domain"):
        register_domain("other", Bandits())


def test_an_entry_point_of_an_installed_package_is_a_name(module, monkeypatch):
    entry = EntryPoint("doors", f"{module}:doors", domains.ENTRY_POINTS)
    monkeypatch.setattr(domains, "entry_points", lambda group, name: [entry] * (name == "doors"))
    monkeypatch.syspath_prepend(".")
    assert domain_of("doors").title == "Doors"


def test_single_and_batched_environments_of_own_tasks_agree():
    domain = Domain(title="Arms", tasks=Bandits(n_arms=3), task_horizon=2)
    env, envs = domain.make_env(None, "canonical"), domain.make_vector_env(1, None, "canonical")
    env.reset(seed=5)
    envs.reset(seed=[5])
    np.testing.assert_array_equal(env.unwrapped.task.reward, envs.unwrapped.tasks[0].reward)
    for action in (0, 1, 2, 1):
        one, many = env.step(action), envs.step(np.array([action]))
        assert (one[1], one[2]) == (many[1][0], many[2][0])
        env.reset()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "must have either `env_id` or `tasks`"),
        ({"tasks": Bandits(), "env_id": "a"}, "must have either `env_id` or `tasks`"),
        ({"tasks": Bandits(), "horizons": {5: 20}}, "`horizons` must be {None: H} for `tasks`"),
        ({"env_id": "a", "horizons": {}}, "`horizons` must be {None: H} for `tasks`"),
        ({"tasks": Bandits(), "environments": CartPoles()}, "got tasks and environments."),
        ({"environments": CartPoles(), "horizons": {5: 20}}, "`horizons` must be {None: H} for"),
        ({"environments": CartPoles(), "variations": {"b": {}}}, "`variations['b']` must be a fun"),
        ({"environments": CartPoles(), "feature_scale": 2.0}, "`feature_scale` and `action_names`"),
        ({"environments": CartPoles(), "action_names": ("a",)}, "must be left out for `environme"),
        (
            {"tasks": Bandits(), "exchangeable_actions": True, "transformations": len},
            "`transformations` must be left out with `exchangeable_actions`, got <built-in",
        ),
        ({"env_id": "a", "task_horizon": 0}, "`task_horizon` must be an integer of at least 1, go"),
        ({"env_id": "a", "variations": {"a/b": {}}}, "`variations` must have names of letters"),
        ({"env_id": "a", "variations": {"canonical": {}}}, "`variations` must have names of"),
        ({"env_id": "a", "variations": {"b": Bandits()}}, "`variations['b']` must be the env"),
        ({"tasks": Bandits(), "variations": {"b": {}}}, "`variations['b']` must be a function"),
        ({"env_id": "a", "variations": {"b": 3}}, "`variations['b']` must be the environment's"),
        ({"tasks": 3}, "`tasks` must be a function of one argument, a NumPy generator, got 3."),
        ({"environments": "a"}, "`environments` must be a function of one argument"),
        ({"tasks": lambda: 0}, "too many positional arguments. Write def tasks(rng): ..."),
        ({"tasks": Bandits(), "variations": {"b": lambda: 0}}, "`variations['b']` must be a fun"),
        ({"tasks": Bandits(), "horizons": 40}, "`horizons` must be a mapping such as {None: 100},"),
        (
            {"tasks": Bandits(), "horizons": {None: "a"}},
            "`horizons[None]` must be an integer of at",
        ),
        ({"tasks": Bandits(), "variations": [len]}, "`variations` must be a mapping such as"),
        ({"tasks": Bandits(), "estimator_options": 1}, "`estimator_options` must be a mapping"),
        ({"env_id": "a", "arguments": [2]}, "`arguments` must be a mapping"),
        ({"tasks": Bandits(), "settings": [2]}, "`settings` must be a mapping such as"),
        (
            {"tasks": Bandits(), "recipes": {"ours": 3}},
            "`recipes['ours']` must be a mapping, got 3",
        ),
        ({"tasks": Bandits(), "baselines": ["random"]}, "`baselines` must be a mapping such as"),
        ({"tasks": Bandits(), "baselines": {"random": 1}}, "`baselines['random']` must be a mapp"),
        ({"tasks": Bandits(), "state_bins": 10}, "`state_bins` must be a vamdp.StateBins, got 10."),
        ({"tasks": Bandits(), "action_names": "ab"}, "`action_names` must be a tuple of names"),
    ],
)
def test_what_does_not_make_a_domain_is_refused(given, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Domain(title="x", **given)


@pytest.mark.parametrize("task_horizon", [5, None])
def test_an_environments_time_limit_is_the_domains_task_horizon(task_horizon):
    given = {"title": "x", "env_id": "vamdp/RandomMDP-v0", "task_horizon": task_horizon}
    with pytest.raises(ValueError, match=rf"`task_horizon` must .*, 10, got {task_horizon}\."):
        Domain(**given).make_vector_env(2, None, "canonical")


def test_an_environments_time_limit_can_be_another_one():
    domain = Domain(
        title="x",
        env_id="vamdp/RandomMDP-v0",
        task_horizon=5,
        arguments={"max_episode_steps": 5},
    )
    envs, env = domain.make_vector_env(2, None, "canonical"), domain.make_env(None, "canonical")
    for reset, step, action in ((envs.reset, envs.step, [0, 0]), (env.reset, env.step, 0)):
        reset(seed=0)
        truncated = [np.all(step(action)[3]) for _ in range(5)]
        assert truncated == [False, False, False, False, True]


def own(monkeypatch, **changes):
    """Register a domain of two arms under the name "own"."""
    monkeypatch.setattr(domains, "DOMAINS", dict(DOMAINS))
    register_domain("own", Domain(**{"title": "Own", "tasks": Bandits(n_arms=2), **changes}))


def test_a_domains_settings_have_short_names_and_are_for_those_who_have_them(monkeypatch):
    own(monkeypatch, settings={"d_model": 32, "n_replayed": 2, "estimator": "q-learning"})
    config = RunConfig.of("own")
    assert (config.policy_arguments["d_model"], config.estimator) == (32, "q-learning")
    assert config.estimator_options["n_replayed"] == 2
    assert RunConfig.of("own", d_model=64).policy_arguments["d_model"] == 64
    assert "n_replayed" not in RunConfig.of("own", estimator="model-based").estimator_options
    assert RunConfig.of("own", algo="rl2").estimator is None
    assert "d_model" not in RunConfig.of("own", algo="rl3-markov").policy_arguments
    assert agent_labels([config])[0].startswith("RL³ (")
    own(monkeypatch, settings={"d_modle": 32})
    with pytest.raises(
        InputError, match=r"`d_modle` is not a setting of this run: did you mean d_mo"
    ):
        RunConfig.of("own")


def test_options_that_no_estimator_has_are_refused(monkeypatch):
    own(monkeypatch, estimator_options={"smoothing": 0.5, "rate_power": 1.0})
    assert RunConfig.of("own").estimator_options["smoothing"] == 0.5
    assert RunConfig.of("own", estimator="q-learning").estimator_options["rate_power"] == 1.0
    own(monkeypatch, estimator_options={"smothing": 0.5})
    with pytest.raises(InputError, match=r"did you mean estimator.smoothing"):
        RunConfig.of("own")


def test_what_suits_a_domain_in_one_recipe_is_for_that_recipe(monkeypatch):
    own(monkeypatch, settings={"n_epochs": 7}, recipes={"ours": {"n_epochs": 9, "gamma": 0.5}})
    ours, papers = (RunConfig.of("own", recipe=name) for name in ("ours", "paper"))
    assert (ours.n_epochs, ours.gamma) == (9, 0.5)
    assert (papers.n_epochs, papers.gamma) == (7, 0.99)
    with pytest.raises(ValueError, match=r"`recipes` must be of paper, ours, got 'mine'\."):
        own(monkeypatch, recipes={"mine": {}})


def test_a_domains_usual_recipe_is_a_setting_of_it(monkeypatch):
    own(monkeypatch, settings={"recipe": "ours"}, recipes={"paper": {"gamma": 0.5}})
    config = RunConfig.of("own")
    assert (config.recipe, config.n_epochs, config.signal) == ("ours", 4, "regret")
    assert config == RunConfig.of("own", recipe="ours")
    assert RunConfig.of("own", recipe="paper").gamma == 0.5
    own(monkeypatch, settings={"recipe": "mine"})
    with pytest.raises(InputError, match="`recipe` must be one of paper, ours, got 'mine'"):
        RunConfig.of("own")
    with pytest.raises(
        ValueError, match="`recipes` must hold settings of one recipe, got a `recipe`"
    ):
        own(monkeypatch, recipes={"paper": {"recipe": "ours"}})


def test_one_recipes_settings_replace_the_domains_whichever_names_they_have(monkeypatch):
    own(monkeypatch, settings={"d_model": 32}, recipes={"paper": {"policy.d_model": 16}})
    assert RunConfig.of("own", recipe="paper").policy_arguments["d_model"] == 16
    assert RunConfig.of("own", recipe="ours").policy_arguments["d_model"] == 32


def test_a_domains_signal_is_told_in_tables(monkeypatch):
    own(monkeypatch, recipes={"paper": {"signal": "regret"}, "ours": {"signal": "reward"}})
    assert agent_labels([RunConfig.of("own", algo="rl2")]) == ["RL² (signal reward)"]
    paper = RunConfig.of("own", algo="rl2", recipe="paper")
    assert agent_labels([paper]) == ["RL² (recipe paper, signal regret)"]


def test_tasks_of_one_title_are_not_taken_for_each_other(module, capsys, tmp_path):
    (tmp_path / "more_tasks.py").write_text(
        MODULE.replace("permutation([0.0, 1.0])", "permutation([0.0, 100.0])")
    )
    tiny = ["--horizon", 4, "--n-envs", 2, "--batch-size", 8, "--iterations", 1]
    for name in (module, "more_tasks"):
        assert run("train", f"{name}:two_doors", *tiny, "--out", name) == 0
        assert run("evaluate", name, "--tasks", 3) == 0
    capsys.readouterr()
    assert run("table", module, "more_tasks") == 0
    oracles = [row for row in capsys.readouterr().out.splitlines() if "oracle  " in row]
    assert ["4.0" in row for row in oracles] == [True, False]
    assert ["400.0" in row for row in oracles] == [False, True]


def test_a_run_does_not_go_on_in_other_tasks_of_its_domains_name(module, capsys, tmp_path):
    tiny = ["--horizon", 4, "--n-envs", 2, "--batch-size", 8, "--iterations", 1]
    assert run("train", f"{module}:two_doors", *tiny, "--out", "run") == 0
    (tmp_path / "my_tasks.py").write_text(MODULE.replace("[0.0, 1.0]", "[0.0, 9.0]") + "\n# x")
    sys.modules.pop("my_tasks")
    importlib.invalidate_caches()
    for command in (["evaluate", "run"], ["train", f"{module}:two_doors", "--out", "run"]):
        assert run(*command) == 2
        assert "must be of the tasks that my_tasks:two_doors draws" in capsys.readouterr().err


def test_tasks_with_other_noise_or_features_are_others(monkeypatch):
    def print_of(noise, features):
        task = TabularMDP.from_dense(
            np.ones((1, 2, 1)), [[0.0, 1.0]], reward_noise=noise, features=features
        )
        own(monkeypatch, tasks=lambda rng: task)
        return fingerprint(RunConfig.of("own", algo="rl2"))

    kinds = [(None, None), (5.0, None), ("bernoulli", None), (None, [[1.0]]), (None, [[2.0]])]
    prints = [print_of(*kind) for kind in kinds]
    assert len({*prints}) == len(prints)
    assert prints == [print_of(*kind) for kind in kinds]


def test_runs_of_earlier_versions_are_still_of_their_tasks(tmp_path):
    file, config = ConfigFile(tmp_path / "config.json"), RunConfig.of("bandit")
    content = file.first_content(config)
    first, _, rest = content["tasks"].partition("-")
    for tasks in (content["tasks"], first):
        file.write({**content, "tasks": tasks})
        file.require_same_tasks(config)
    for tasks in (f"{first}-{rest[::-1]}", f"{first[::-1]}-{rest}", first[::-1], first[:5]):
        file.write({**content, "tasks": tasks})
        with pytest.raises(InputError, match="must be of the tasks that bandit draws"):
            file.require_same_tasks(config)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gridworld", "--signal", "regret", "--set", "gamma=1"], "`gamma` must be"),
        (["my_tasks:not_a_table"], "The environments of my_tasks:not_a_table cannot be made"),
        (["my_tasks:pole"], "which makes a SyncVectorEnv"),
        (["my_tasks:without_rng"], "`tasks` must be a function of one argument, a NumPy generator"),
    ],
)
def test_environments_that_cannot_be_made_leave_no_folder(
    module, capsys, tmp_path, arguments, message
):
    with (tmp_path / "my_tasks.py").open("a") as file:
        file.write(
            "\n\ndef not_a_table(rng):\n    return 3\n"
            "\n\ndef without_rng():\n    return 3\n"
            "\nimport gymnasium\n\ndef sync(num_envs=1, **kwargs):\n"
            "    return gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make('CartPole-v1')])\n\n"
            "gymnasium.registry.pop('Pole-v0', None)\n"
            "gymnasium.register('Pole-v0', entry_point='x:y', vector_entry_point=sync)\n"
            "pole = Domain(title='Pole', env_id='Pole-v0')\n"
        )
    assert run("train", *arguments, "--out", "new") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
