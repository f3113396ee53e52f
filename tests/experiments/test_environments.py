import numpy as np
import pytest

from rl3_sb3.experiments.domains import DOMAINS
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp import StateBins
from vamdp.inner_env import find_owner

VALUES = ["advantage", "value", "count"]
META = ["previous_action", "previous_reward", "episode_time", "meta_time"]


REALS = [name for name, domain in DOMAINS.items() if not domain.has_tables]
KINDS = ["kernel", "linear"]  # of values for real-valued states
SHOWN = {"rl2": ["state", *META], "rl3": ["state", *VALUES, *META]}


@pytest.mark.parametrize(
    ("domain", "algo", "parts"),
    [
        *((domain, "rl2", SHOWN["rl2"]) for domain in DOMAINS),
        *((domain, "rl3", SHOWN["rl3"]) for domain in DOMAINS),
        *((domain, f"rl3-{kind}", SHOWN["rl3"]) for domain in REALS for kind in KINDS),
    ],
)
def test_the_algorithms_differ_by_the_value_estimates(domain, algo, parts):
    envs = make_envs(RunConfig.of(domain, horizon=12, algo=algo), 3)
    assert list(envs.layout) == parts
    assert envs.single_observation_space.shape == (envs.layout["meta_time"].stop,)


@pytest.mark.parametrize("domain", REALS)
def test_learners_of_tables_get_bins_and_others_the_real_states(domain):
    """Two states in one bin are one to a learner of tables, and two to the others."""
    told = {}
    for algo in ("rl3", "rl3-kernel"):
        envs = make_envs(RunConfig.of(domain, horizon=30, algo=algo), 2)
        learner = find_owner(envs, "estimator").estimator
        update = learner.update
        learner.update = lambda states, *rest, algo=algo, update=update: (
            told.setdefault(algo, []).append(states), update(states, *rest)
        )  # fmt: skip
        envs.reset(seed=[7, 8])
        seen = []
        for t in range(20):
            seen.append(envs.step(np.full(2, t % 2))[0][:, envs.layout["state"]])
    real, binned = np.array(told["rl3-kernel"]), np.array(told["rl3"])
    np.testing.assert_array_equal(real[1:].astype(np.float32), seen[:-1])
    bins = DOMAINS[domain].state_bins or StateBins.of_space(envs.unwrapped.single_observation_space)
    np.testing.assert_array_equal(binned, [bins.keys(states) for states in real])


@pytest.mark.parametrize("kind", KINDS)
def test_distances_of_numbered_states_are_refused(kind):
    with pytest.raises(InputError, match=f"`estimator` must be for tables .*rl3-{kind}.*Take rl3"):
        RunConfig.of("random-mdp", algo=f"rl3-{kind}")
    RunConfig.of("gridworld", algo=f"rl3-{kind}")  # places have distances


def test_the_markov_version_sees_the_same_estimates_and_nothing_else():
    whole, alone = (
        make_envs(RunConfig.of("random-mdp", horizon=12, algo=algo), 4)
        for algo in ("rl3", "rl3-markov")
    )
    shown = slice(whole.layout["advantage"].start, whole.layout["count"].stop)
    assert alone.single_observation_space.shape == (shown.stop - shown.start,)
    seen, _ = whole.reset(seed=3)
    seen_alone, _ = alone.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(30):  # past a meta-episode's end, where final_obs appears
        np.testing.assert_array_equal(seen_alone, seen[:, shown])
        actions = rng.integers(5, size=4)
        seen, _, ended, _, infos = whole.step(actions)
        seen_alone, _, _, _, infos_alone = alone.step(actions)
        assert alone.single_observation_space.contains(seen_alone[0])
        if ended.all():
            np.testing.assert_array_equal(infos_alone["final_obs"], infos["final_obs"][:, shown])
    assert np.abs(seen_alone).max() > 0


def test_previous_reward_and_values_are_divided_by_the_domains_scale():
    envs = make_envs(RunConfig.of("random-mdp", horizon=12), 2)
    envs.reset(seed=0)
    seen, rewards, *_ = envs.step(np.array([1, 4]))
    np.testing.assert_allclose(seen[:, envs.layout["previous_reward"]][:, 0] * 10, rewards, 1e-6)
    np.testing.assert_array_equal(seen[:, envs.layout["episode_time"]][:, 0], np.float32(0.1))


def walk_straight(envs, n_steps):
    """Move all environments on by the same random actions; return what is seen at each step."""
    rng = np.random.default_rng(0)
    seen = [envs.reset(seed=1)[0]]
    for _ in range(n_steps):
        seen.append(envs.step(rng.integers(5, size=len(seen[0])))[0])
    return np.array(seen)


def test_coarse_estimates_are_those_of_pairs_of_tiles():
    fine, coarse = (
        make_envs(RunConfig.of("gridworld", size=11, horizon=60, algo=algo), 3)
        for algo in ("rl3", "rl3-coarse")
    )
    one, two = (walk_straight(envs, 59) for envs in (fine, coarse))
    changed = (one != two).any(axis=(0, 1))
    values = [*range(fine.layout["advantage"].start, fine.layout["value"].stop)]
    assert set(np.flatnonzero(changed)) == set(values)  # not what happens, nor the counts
    options = coarse.env.estimator.options
    assert (options.cluster_size, options.cluster_terminals) == (2, False)


def test_the_released_codes_terminal_rule_is_an_option():
    config = RunConfig.of("gridworld", algo="rl3-coarse", horizon=60, cluster_terminals=True)
    assert make_envs(config, 2).env.estimator.options.cluster_terminals


def test_gridworlds_plan_as_far_as_the_meta_episode_goes():
    for size, horizon in ((11, 250), (13, 350)):
        config = RunConfig.of("gridworld", size=size)
        envs = make_envs(config, 2)
        assert (config.horizon, envs.horizon) == (horizon, horizon)
        assert envs.task_horizon == envs.env.task_horizon == horizon
        assert len(envs.unwrapped.reset(seed=0)[0]) == 2
        assert {len(task.grid) for task in envs.unwrapped.tasks} == {size}


def test_a_variation_changes_the_tasks():
    config = RunConfig.of("gridworld", horizon=12)
    trained_on = RunConfig.of("gridworld", horizon=12, variation="deterministic")
    for envs in (make_envs(config, 2, variation="deterministic"), make_envs(trained_on, 2)):
        envs.reset(seed=0)
        task = envs.unwrapped.tasks[0]
        centre = task.n_states // 2
        row = slice(task.rows[5 * centre + 1], task.rows[5 * centre + 2])
        assert task.probability[row].tolist() == [1.0]  # north from the start never slips
