import json
import shlex

import numpy as np
import pytest

from rl3_sb3.experiments import domains
from rl3_sb3.experiments.baselines import make_baselines, task_facts
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.domains import DOMAINS
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.evaluation import evaluate_agents
from rl3_sb3.experiments.results.yardsticks import read_yardsticks
from rl3_sb3.experiments.runs.training import make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp.baselines import BASELINES, Baseline, RandomAgent, register_baseline
from vamdp.domains import Bandits
from vamdp.domains.gridworlds import GridWorlds

WITHOUT_RETURNS = (
    '{"agents": {"a": {"mean": 1.0}}, "domain": "bandit", "size": null, "horizon": 5, '
    '"variation": "canonical"}'
)
BANDITS = RunConfig.of("bandit", horizon=20)
OWN = Baseline("mine", lambda facts, number=0: RandomAgent(facts.n_actions))


def run(command):
    return main(command.split())


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_domain_has_baselines_and_random_is_the_first(domain):
    config = RunConfig.of(domain, horizon=10)
    titles = [agent.title for agent in make_baselines(config, "canonical")]
    assert titles[0] == "random"
    assert titles == [BASELINES[name].title for name in config.facts.baselines]


@pytest.mark.parametrize(
    ("domain", "titles"),
    [
        (
            "bandit",
            "random greedy eps-greedy Thompson optimistic_Thompson UCB1 Gittins_(discounted) "
            "Gittins values_with_a_prior",
        ),
        (
            "random-mdp",
            "random greedy eps-greedy PSRL optimistic_PSRL UCRL2 BEB R-MAX certainty-equivalent "
            "VAMDP_+_bonus values_with_a_prior",
        ),
        ("gridworld", "random certainty-equivalent R-MAX informed"),
        ("frozen-lake", "random certainty-equivalent VAMDP_+_bonus R-MAX"),
    ],
)
def test_all_agents_of_a_domain_play_it_and_beat_chance_between_them(domain, titles):
    config = RunConfig.of(domain, size=4 if domain == "frozen-lake" else None)
    agents = make_baselines(config, "canonical")
    evaluation = evaluate_agents(config, agents, n_tasks=20)
    scores = {score.title: score.returns.mean() for score in evaluation.scores}
    assert [title.replace(" ", "_") for title in scores] == [*titles.split(), "oracle"]
    assert scores["random"] < max(scores[agent.title] for agent in agents) < scores["oracle"]


@pytest.mark.parametrize(
    ("domain", "agent", "words"),
    [
        ("random-mdp", "gittins", "only tasks with one state, got 10"),
        ("bandit", "informed", "must be a vamdp.domains.GridWorlds"),
        ("gridworld", "prior-values", "plays only tasks with a prior"),
    ],
)
def test_an_agent_refuses_tasks_that_it_does_not_know(domain, agent, words):
    with pytest.raises(InputError, match=words):
        make_baselines(RunConfig.of(domain, horizon=9), "canonical", [agent])


def test_agents_answer_to_their_titles_and_the_oracle_is_there_anyway():
    def titles(domain, *names):
        config = RunConfig.of(domain, horizon=9)
        return [(type(a).__module__, a.title) for a in make_baselines(config, "canonical", names)]

    ((of_arms, title),) = titles("bandit", "Greedy", "oracle")
    ((of_tables, same),) = titles("random-mdp", "greedy")
    assert title == same == "greedy"
    assert ".bandits." in of_arms
    assert ".tabular." in of_tables
    assert titles("gridworld", "R-MAX") == titles("gridworld", "r-max")


@pytest.mark.parametrize(("domain", "H"), [("bandit", 30), ("random-mdp", 30), ("random-mdp", 7)])
def test_values_with_a_prior_are_those_that_rl3_with_a_prior_is_shown(domain, H):
    config = RunConfig.of(domain, algo="rl3-prior", horizon=H, n_envs=20)
    (agent,) = make_baselines(config, "canonical", ["prior-values"])
    env = make_training_env(config)
    env.seed(0)
    observation = env.reset()
    advantage = env.get_attr("layout")[0]["advantage"]
    (simulator,) = {env.get_attr("unwrapped")[0]}
    agent.start(20, seed=0)
    n_decided = 0
    for _ in range(H - 1):
        states = simulator.states
        shown = observation[:, advantage]
        actions = agent.act(states)
        best = shown == shown.max(axis=1, keepdims=True)
        assert best[np.arange(20), actions].all()
        n_decided += (best.sum(axis=1) == 1).sum()
        observation, *_ = env.step(actions)
        ends = np.full(20, domain == "bandit")
        rewards = observation[:, env.get_attr("layout")[0]["previous_reward"]][:, 0]
        rewards = rewards.astype(float) * config.reward_scale
        agent.learn(states, actions, rewards, simulator.reached_states, ends, ~ends)
    assert n_decided > H  # the rest are ties


def test_beb_is_more_curious_where_more_steps_are_left():
    def beta(horizon, **options):
        facts = task_facts(RunConfig.of("random-mdp", horizon=horizon), "canonical")
        return BASELINES["beb"].make(facts, **options).beta

    assert (beta(128), beta(512), beta(2048), beta(512, beta=3.0)) == (0.5, 1.0, 2.0, 3.0)


def test_what_agents_may_know_is_what_the_tasks_are():
    facts = task_facts(RunConfig.of("random-mdp", horizon=25), "ood")
    assert (facts.n_states, facts.n_actions, facts.horizon, facts.task_horizon) == (10, 5, 25, 10)
    facts = task_facts(RunConfig.of("random-mdp", horizon=5), "ood")
    assert facts.task_horizon == 5
    facts = task_facts(RunConfig.of("gridworld", size=13), "dense")
    assert (facts.n_states, facts.horizon, facts.task_horizon) == (169, 350, 350)
    assert facts.distribution == GridWorlds(13, "dense")
    assert facts.estimator_options["gamma"] == 0.95
    assert facts.prior_options == {}
    facts = task_facts(RunConfig.of("bandit"), "canonical")
    assert facts.prior_options == RunConfig.of("bandit", algo="rl3-prior").estimator_options
    assert facts.prior_options["bonus"] == 0.4


def test_the_command_writes_what_the_agents_got(tmp_path, capsys):
    file = tmp_path / "y.json"
    assert run(f"baselines bandit --horizon 20 --tasks 30 --agents random --json {file}") == 0
    table = capsys.readouterr().out
    evaluation = evaluate_agents(BANDITS, [RandomAgent(5)], n_tasks=30)
    stored = read_yardsticks(file)
    assert list(stored["agents"]) == ["random", "oracle"]
    for score in evaluation.scores:
        entry = stored["agents"][score.title]
        assert entry["returns"] == score.returns.tolist()
        assert entry["mean"] == np.mean(score.returns)
        assert entry["se"] == pytest.approx(np.std(score.returns, ddof=1) / np.sqrt(30))
        assert f"| {score.title} | {entry['mean']:.1f} ± {entry['se']:.1f} " in table
    assert stored["command"] == "rl3 baselines bandit --horizon 20 --tasks 30 --agents random"


def test_the_stored_command_writes_the_same_file_again(tmp_path):
    file, again = tmp_path / "y.json", tmp_path / "z.json"
    some = ["baselines", "bandit", "--horizon", "20", "--tasks", "3", "--json", str(file)]
    for agents in ([], ["--agents", " optimistic Thompson, random"]):
        assert main([*some, *agents]) == 0
        stored = read_yardsticks(file)
        words = shlex.split(stored["command"])
        assert words[0] == "rl3"
        assert main([*words[1:], "--json", str(again)]) == 0
        assert read_yardsticks(again) == stored


def test_the_variation_is_what_is_played(tmp_path):
    file = tmp_path / "y.json"
    command = (
        f"baselines bandit --horizon 20 --tasks 30 --variation ood --agents random --json {file}"
    )
    assert main(command.split()) == 0
    evaluation = evaluate_agents(BANDITS, [], n_tasks=30, variation="ood")
    assert json.loads(file.read_text())["agents"]["oracle"]["returns"] == evaluation.oracle.tolist()


def test_agents_of_ones_own_play_by_name_or_registered(tmp_path, monkeypatch, capsys):
    (tmp_path / "my_agents.py").write_text(
        "from vamdp.baselines import Baseline, RandomAgent\n"
        "class Mine(RandomAgent):\n    title = 'of my own'\n"
        "agent = Baseline('of my own', lambda facts: Mine(facts.n_actions))\n"
        "nothing = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert run("baselines bandit --horizon 9 --tasks 5 --agents my_agents:agent,random") == 0
    assert "| of my own |" in capsys.readouterr().out
    assert run("baselines bandit --horizon 9 --tasks 5 --agents my_agents:nothing") == 2
    assert "vamdp.baselines.Baseline" in capsys.readouterr().err


def test_an_agent_has_the_title_of_its_row(monkeypatch):
    own = Baseline("at random", lambda facts: RandomAgent(facts.n_actions))
    monkeypatch.setitem(BASELINES, "own", own)
    agents = make_baselines(BANDITS, "canonical", ["random", "own"])
    assert [agent.title for agent in agents] == ["random", "at random"]


def test_a_domain_gives_its_options_to_its_agents(monkeypatch):
    given = []
    monkeypatch.setitem(
        BASELINES, "own", Baseline("own", lambda facts, **o: given.append(o) or RandomAgent(5))
    )
    row = domains.Domain(title="A", tasks=Bandits(), baselines={"own": {"c": 3}})
    monkeypatch.setitem(DOMAINS, "a", row)
    make_baselines(RunConfig.of("a", horizon=9), "canonical")
    make_baselines(BANDITS, "canonical", ["own"])
    assert given == [{"c": 3}, {}]


@pytest.mark.parametrize(
    ("agents", "words"),
    [
        (["foo"], "`--agents` must name some of random"),
        (["random", "random"], "once, got random twice"),
        (["random", ""], "names with commas between them, got an empty name"),
        (["broken", "random"], "must fit bandits, got broken: too few"),
        (["nowhere:agent"], "`--agents` must be MODULE:NAME"),
        (["ucb1:0.5"], "`--agents` must name an agent without options, got 'ucb1:0.5'"),
        (["broken"], "must fit bandits, got broken: too few"),
        (["twin", "random"], "different titles, got 'random'"),
    ],
)
def test_agents_that_cannot_play_are_named(monkeypatch, agents, words):
    def fail(facts):
        raise ValueError("too few")

    monkeypatch.setitem(BASELINES, "broken", Baseline("broken", fail))
    monkeypatch.setitem(BASELINES, "twin", BASELINES["random"])
    with pytest.raises(InputError, match=words):
        make_baselines(BANDITS, "canonical", agents)


@pytest.mark.parametrize(
    ("baselines", "words"),
    [
        ({"my-agent": {}}, "`Domain.baselines` must name some of random, .*, got 'my-agent'"),
        ({"random": {"c": 3}}, "`Domain.baselines` must fit a, got random: .*'c'"),
    ],
)
def test_agents_of_a_domain_that_cannot_play_are_the_domains_fault(monkeypatch, baselines, words):
    monkeypatch.setitem(
        DOMAINS, "a", domains.Domain(title="A", tasks=Bandits(), baselines=baselines)
    )
    with pytest.raises(InputError, match=words):
        make_baselines(RunConfig.of("a", horizon=9), "canonical")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--json nowhere/y.json", "`--json` must be in an existing folder"),
        ("--json .", "`--json` must be a file"),
        (
            f"--json {'y' * 245}.json",
            f"`--json` must be a file that can be written, got {'y' * 245}.json (File name too lo",
        ),
        ("--tasks 0", "`tasks` must be an integer of at least 1, got 0"),
        ("--horizon 0", "`horizon` must be an integer of at least 1, got 0"),
        ("--variation far", "`variation` must be one of canonical, ood, got 'far'"),
    ],
)
def test_what_cannot_be_is_refused_before_anybody_plays(capsys, options, words):
    assert run(f"baselines bandit {options}") == 2
    assert capsys.readouterr().err.startswith(f"rl3: error: {words}")


@pytest.mark.parametrize("text", ["my notes", "[]", '{"agents": {}}', WITHOUT_RETURNS])
def test_a_file_with_other_contents_is_not_replaced(tmp_path, capsys, text):
    file = tmp_path / "y.json"
    file.write_text(text)
    assert run(f"baselines bandit --json {file}") == 2
    assert f"has written, got {file}, which holds something else" in capsys.readouterr().err
    assert file.read_text() == text


def test_a_link_an_empty_file_and_an_earlier_result_are_replaced(tmp_path):
    file, link = tmp_path / "y.json", tmp_path / "link.json"
    file.touch()
    link.symlink_to(file)
    for n_tasks, name in ((2, file), (3, file), (4, link)):
        assert (
            run(f"baselines bandit --horizon 9 --tasks {n_tasks} --agents random --json {name}")
            == 0
        )
        assert read_yardsticks(file)["n_tasks"] == n_tasks
    assert {each.name for each in tmp_path.iterdir()} == {"y.json", "link.json"}


def test_an_agent_of_the_domain_that_cannot_plan_so_far_is_left_out(capsys):
    assert run("baselines bandit --horizon 1100 --tasks 2") == 0
    text = capsys.readouterr()
    assert "rl3: warning: gittins is left out: `horizon` must be at most 1000" in text.err
    assert "`horizon` must be at most 1000 for it, got 1100." in text.err
    assert "| Gittins (discounted) |" in text.out
    assert run("baselines bandit --horizon 1100 --tasks 2 --agents gittins") == 2


@pytest.mark.parametrize("text", ["[]", "{", '{"agents": {}}', WITHOUT_RETURNS])
def test_another_json_file_is_no_yardstick(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match="rl3 baselines --json"):
        read_yardsticks(tmp_path / "a.json")


def test_registering_checks_name_and_kind(monkeypatch):
    monkeypatch.delitem(BASELINES, "own-agent", raising=False)
    register_baseline("own-agent", OWN)
    register_baseline("own-agent", OWN)  # as when a module is imported twice
    assert BASELINES["own-agent"] is OWN
    del BASELINES["own-agent"]  # not by monkeypatch, which would put it back after the test
    with pytest.raises(ValueError, match="the name of random"):
        register_baseline("random", OWN)
    with pytest.raises(ValueError, match="lower-case letters"):
        register_baseline("Own:agent", OWN)
    with pytest.raises(TypeError, match="must be a Baseline"):
        register_baseline("other", RandomAgent)
