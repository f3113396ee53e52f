"""Domains whose tasks are environments: the same commands, without what needs a table."""

import importlib
import json
import re
import sys

import gymnasium
import numpy as np
import pytest

import vamdp
from rl3_sb3.experiments import domains
from rl3_sb3.experiments.baselines import make_baselines, task_facts
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.domains import DOMAINS, Domain, domain_of, register_domain
from rl3_sb3.experiments.environments import fingerprint
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.evaluation import evaluate_agents
from rl3_sb3.experiments.evaluation.scores import Evaluation
from rl3_sb3.experiments.results.labels import agent_labels
from rl3_sb3.experiments.runs.learning_env import make_learning_env
from rl3_sb3.experiments.runs.training_state import get_tasks_streams
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp.baselines import BASELINES, Baseline, RandomAgent
from vamdp.domains import Bandits, CartPoles, HalfCircles

FAMILIES = ("cartpole", "acrobot", "mountain-car", "half-circle")

MODULE = """
import gymnasium

from rl3_sb3 import Domain
from vamdp.domains import CartPoles, HalfCircles

LENGTH = 0.5


def poles(rng):
    env = gymnasium.make("CartPole-v1", sutton_barto_reward=True)
    env.unwrapped.length = LENGTH * float(rng.uniform(1, 2))
    env.unwrapped.polemass_length = env.unwrapped.masspole * env.unwrapped.length
    return env


goals = Domain(
    title="Goals",
    environments=HalfCircles(radius=0.5),
    variations={"far": HalfCircles(radius=0.1)},
    task_horizon=10,
    horizons={None: 20},
    settings={"iterations": 2, "n_envs": 4, "batch_size": 40, "recipe": "ours"},
)
"""
TINY = ["--algo", "rl2", "--horizon", 12, "--n-envs", 4, "--batch-size", 24, "--iterations", 2]


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return the name of a module of the user's, beside which the commands run."""
    (tmp_path / "my_poles.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_poles", raising=False)
    yield "my_poles"
    sys.modules.pop("my_poles", None)


def run(*arguments):
    return main([str(each) for each in arguments])


def rows(text):
    """The entries of a printed table, without its lines."""
    found = [[e.strip() for e in row.split("|")[1:-1]] for row in text.splitlines()]
    return [row for row in found if row and not set(row[0]) <= {"-"}]


def strict(text):
    """Read JSON that has no NaN."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_function_that_draws_environments_goes_through_every_command(module, capsys, tmp_path):
    name = f"{module}:poles"
    for i in (0, 1):
        out = f"run{i}"
        assert run("train", name, *TINY, "--recipe", "ours", "--seed", i, "--out", out) == 0
        assert run("evaluate", out, "--tasks", 3) == 0
    stored = strict((tmp_path / "run0/evaluation.json").read_text())
    assert stored["oracle"] == [None] * 3
    assert [score["title"] for score in stored["scores"]] == ["random", "RL²", "RL²"]
    capsys.readouterr()
    assert run("table", "run0", "run1") == 0
    table = rows(capsys.readouterr().out)[1:]
    # The random agent once: these are the same tasks. Nobody knows what is best.
    assert [row[3].split(",")[0] for row in table] == ["random", *["RL²"] * 4]
    assert {row[-1] for row in table} == {"-"}
    assert run("train", name, "--out", "run0", "--iterations", 3) == 0
    assert run("play", "run0") == 2
    assert "must be a run in a domain with pictures (gridworld, fr" in capsys.readouterr().err


def test_environments_can_be_swept(module, tmp_path):
    (tmp_path / "own.toml").write_text(
        'algorithms = ["rl2"]\nseeds = [0, 1]\ndomains = ["my_poles:goals"]\n'
        '[evaluation]\ntasks = 3\nvariations = ["canonical", "far"]\n'
    )
    assert run("sweep", "own.toml", "--out", "swept", "--jobs", 1) == 0
    table = rows((tmp_path / "swept/results.md").read_text())
    assert [row[3] for row in table if row[0] == "Goals"].count("random") == 2
    assert {row[-1] for row in table if row[0] == "Goals"} == {"-"}
    assert "nan" not in (tmp_path / "swept/results.csv").read_text()


def test_a_run_does_not_go_on_with_other_physics(module, capsys, tmp_path):
    assert run("train", f"{module}:poles", *TINY, "--out", "run") == 0
    assert run("evaluate", "run", "--tasks", 2) == 0
    (tmp_path / "my_poles.py").write_text(MODULE.replace("LENGTH = 0.5", "LENGTH = 0.5001") + "#")
    sys.modules.pop("my_poles")
    importlib.invalidate_caches()
    for command in (["evaluate", "run"], ["train", f"{module}:poles", "--out", "run"]):
        assert run(*command) == 2
        assert "must be of the tasks that my_poles:poles draws" in capsys.readouterr().err


def test_runs_in_environments_of_one_title_are_not_taken_for_each_other(module, capsys, tmp_path):
    other = MODULE.replace("radius=0.5", "radius=1.0")
    (tmp_path / "their_poles.py").write_text(other)
    for name in (module, "their_poles"):
        assert run("train", f"{name}:goals", "--algo", "rl2", "--out", name) == 0
        assert run("evaluate", name, "--tasks", 20) == 0
    # A domain of one name whose code was changed, without the check that commands make.
    config = json.loads((tmp_path / "their_poles/config.json").read_text())
    config["run"]["domain"] = f"{module}:goals"
    (tmp_path / "their_poles/config.json").write_text(json.dumps(config))
    capsys.readouterr()
    assert run("table", module, "their_poles") == 0
    agents = [row[3] for row in rows(capsys.readouterr().out)]
    assert agents.count("random") == 2


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    ("setting", "usual"), [({"signal": "regret"}, "reward"), ({"critic_sees": "task"}, "history")]
)
def test_what_needs_the_optimum_is_refused_by_name(name, setting, usual):
    ((key, value),) = setting.items()
    with pytest.raises(InputError) as caught:
        RunConfig.of(name, algo="rl2", **setting)
    assert f"`{key}` must be {usual} in the domain {name}, got {value}: its" in str(caught.value)
    assert "Leave it out, or define the tasks as tables" in str(caught.value)
    RunConfig.of("bandit", algo="rl2", **setting)


@pytest.mark.parametrize("name", FAMILIES)
def test_recipe_ours_learns_from_rewards_without_being_told(name):
    config = RunConfig.of(name, algo="rl2", recipe="ours")
    assert (config.signal, config.critic_sees, config.signal_scale) == ("reward", "history", 1.0)
    assert (config.normalize_returns, config.gamma, float(config.gae_lambda)) == (True, 0.99, 0.95)
    assert RunConfig.of("bandit", recipe="ours").signal == "regret"
    assert agent_labels([config]) == ["RL²"]
    assert RunConfig.of(name, algo="rl2", recipe="paper").normalize_returns is False


def test_a_domains_own_settings_come_after_those(monkeypatch):
    monkeypatch.setattr(domains, "DOMAINS", dict(DOMAINS))
    own = Domain(
        title="A", environments=CartPoles(), recipes={"ours": {"gae_lambda": 0.5}}, settings={}
    )
    register_domain("own", own)
    assert float(RunConfig.of("own", algo="rl2", recipe="ours").gae_lambda) == 0.5
    assert RunConfig.of("own", algo="rl2", recipe="ours").signal == "reward"


def test_which_domains_have_tables():
    assert [name for name, facts in DOMAINS.items() if not facts.has_tables] == list(FAMILIES)
    assert Domain(title="A", tasks=Bandits()).has_tables
    assert not Domain(title="A", environments=CartPoles()).has_tables


def test_functions_are_told_apart_by_what_they_draw(module):
    domain = domain_of(f"{module}:poles")
    assert (domain.tasks, domain.has_tables) == (None, False)
    assert domain_of(f"{module}:poles") is domain  # without drawing again
    sys.modules[module].poles = lambda rng: vamdp.TabularMDP.from_grid(["SG"])
    other = domain_of(f"{module}:poles")
    assert (other.environments, other.has_tables) == (None, True)


@pytest.mark.parametrize("error", [ValueError, RuntimeError, TypeError])
def test_an_error_of_the_function_is_told_when_environments_are_made(module, error, tmp_path):
    domain_of(f"{module}:poles")

    def fails(rng):
        raise error("no poles today")

    sys.modules[module].poles = fails
    with pytest.raises(error, match=r"^no poles today$"):
        run("train", f"{module}:poles", *TINY, "--out", "run")
    assert not (tmp_path / "run").exists()


def test_single_and_batched_environments_agree():
    domain = Domain(title="A", environments=CartPoles(), task_horizon=7)
    env, envs = domain.make_env(None, "canonical"), domain.make_vector_env(1, None, "canonical")
    one, many = env.reset(seed=5)[0], envs.reset(seed=[5])[0]
    for action in (0, 1) * 10:
        np.testing.assert_array_equal(one, many[0])
        one, reward, terminated, truncated, _ = env.step(action)
        many, rewards, terminations, truncations, _ = envs.step(np.array([action]))
        assert (reward, terminated, truncated) == (rewards[0], terminations[0], truncations[0])
        if terminated or truncated:
            one, _ = env.reset()
    assert env.unwrapped.task.length == envs.unwrapped.tasks[0].length


def test_a_variation_is_another_function():
    far = HalfCircles(radius=0.1)
    domain = Domain(title="A", environments=HalfCircles(), variations={"far": far})
    for variation, radius in (("canonical", 0.2), ("far", 0.1)):
        envs = domain.make_vector_env(2, None, variation)
        envs.reset(seed=0)
        assert {task.radius for task in envs.unwrapped.tasks} == {radius}


def test_the_fingerprint_is_the_same_again_and_another_ones_of_other_tasks():
    def of(**settings):
        return fingerprint(RunConfig.of("half-circle", algo="rl2", **settings))

    assert of() == of() == of(seed=3, iterations=9)
    assert of(variation="small") != of()
    prints = {fingerprint(RunConfig.of(name, algo="rl2")) for name in FAMILIES}
    assert len(prints) == 4


def test_the_fingerprint_takes_any_space(monkeypatch):
    monkeypatch.setattr(domains, "DOMAINS", dict(DOMAINS))

    class Shown(gymnasium.ObservationWrapper):
        def __init__(self, env, sign):
            super().__init__(env)
            box = env.observation_space
            self.observation_space = gymnasium.spaces.Dict(
                {"place": box, "sign": gymnasium.spaces.Discrete(3)}
            )
            self.sign = sign

        def observation(self, observation):
            return {"place": observation, "sign": self.sign}

    for name, sign in (("one", 1), ("two", 2), ("again", 1)):
        draw = lambda rng, sign=sign: Shown(HalfCircles()(rng), sign)  # noqa: E731
        register_domain(name, Domain(title=name, environments=draw))
    one, two, again = (fingerprint(RunConfig.of(n, algo="rl2")) for n in ("one", "two", "again"))
    assert one == again != two


def test_every_environments_tasks_stream_is_kept():
    config = RunConfig.of("cartpole", algo="rl2", horizon=9, n_envs=3)
    env = make_learning_env(config, 3)
    env.seed(4)
    env.reset()
    streams = get_tasks_streams(env)
    generators = [np.random.default_rng(seed) for seed in (4, 5, 6)]
    assert len(streams) == 3
    assert len({stream["state"]["state"] for stream in streams}) == 3
    assert [s["state"]["inc"] for s in streams] == [
        g.bit_generator.state["state"]["inc"] for g in generators
    ]


def test_baselines_that_need_tables_are_left_out_or_refused(monkeypatch):
    config = RunConfig.of("cartpole", algo="rl2", horizon=30)
    facts = task_facts(config, "canonical")
    assert (facts.n_states, facts.n_actions, facts.task_horizon) == (0, 2, 30)
    assert facts.distribution == CartPoles()
    monkeypatch.setattr(domains, "DOMAINS", dict(DOMAINS))
    register_domain("own", Domain(title="A", environments=CartPoles()))
    own = RunConfig.of("own", algo="rl2", horizon=30)
    assert [agent.title for agent in make_baselines(own, "canonical")] == ["random"]
    with pytest.raises(InputError, match="`--agents` must fit cart-poles, got psrl: it sees the"):
        make_baselines(config, "canonical", ["psrl"])
    mine = Baseline("mine", lambda facts: RandomAgent(facts.n_actions), needs_tables=False)
    monkeypatch.setitem(BASELINES, "mine", mine)
    assert len(make_baselines(config, "canonical", ["mine"])) == 1


@pytest.mark.parametrize("n_tasks", [1, 3])
def test_the_random_agent_plays_and_is_stored_without_an_oracle(tmp_path, capsys, n_tasks):
    file = tmp_path / "random.json"
    command = f"baselines cartpole --horizon 60 --tasks {n_tasks} --json {file}"
    assert run(*command.split()) == 0
    assert [row[0] for row in rows(capsys.readouterr().out)] == ["agent", "random"]
    stored = strict(file.read_text())
    assert (stored["n_tasks"], list(stored["agents"])) == (n_tasks, ["random"])
    entry = stored["agents"]["random"]
    assert len(entry["returns"]) == n_tasks
    assert (entry["se"] is None) == (n_tasks == 1)
    assert max(entry["returns"]) <= 0
    assert all(total.is_integer() for total in entry["returns"])


def test_an_evaluation_without_an_oracle_is_read_as_it_was_stored():
    config = RunConfig.of("half-circle", algo="rl2", horizon=40)
    before = evaluate_agents(config, [RandomAgent(9)], n_tasks=4)
    assert np.isnan(before.oracle).all()
    assert [score.title for score in before.scores] == ["random"]
    after = Evaluation.from_dict(strict(json.dumps(before.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(after.oracle, before.oracle)
    np.testing.assert_array_equal(after.telling, before.scores[0].returns)
    np.testing.assert_array_equal(after.scores[0].by_step, before.scores[0].by_step)


def test_films_are_of_tables(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(domains, "DOMAINS", dict(DOMAINS))
    named = Domain(
        title="A", env_id="vamdp/CartPole-v0", task_horizon=100, action_names=("left", "right")
    )
    register_domain("own", named)
    assert run("train", "own", *TINY, "--out", tmp_path / "run") == 0
    assert run("play", tmp_path / "run", "--out", tmp_path / "a.gif") == 2
    assert re.search(r"must be a run in a domain with pictures .*of own", capsys.readouterr().err)
