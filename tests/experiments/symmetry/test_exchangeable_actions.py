"""What is relabelled in a run is what renaming the actions of its tasks would have shown."""

import itertools
from collections import Counter

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import vamdp
from rl3_sb3 import Symmetry
from rl3_sb3.experiments.domains import DOMAINS, Domain
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.update.symmetry import Relabelling
from vamdp.domains import Bandits, RandomMDPs, TaskEnv
from vamdp.mdp.tabular_mdp import TabularMDP

from .trajectories import N_ENVS, H, relabelled, tokens_of

EXCHANGEABLE = [name for name, domain in DOMAINS.items() if domain.exchangeable_actions]


def renamed(task, new_label):
    """The task with action a called new_label[a]: all that is of the pair (s, a) moves."""
    old_label = np.argsort(new_label)
    S, A = task.n_states, task.n_actions
    lengths = np.diff(task.rows)
    places = [
        np.arange(task.rows[A * s + a], task.rows[A * s + a + 1])
        for s in range(S)
        for a in old_label
    ]
    start = np.arange(task.rows[-2], task.rows[-1])
    order = np.concatenate([*places, start])
    new_lengths = [*(len(p) for p in places), lengths[-1]]
    return TabularMDP.trusted(
        S,
        A,
        np.concatenate([[0], np.cumsum(new_lengths)]),
        task.probability[order],
        task.successor[order],
        task.reward[order],
        task.ends[order],
        task.reward_noise,
    )


@pytest.mark.parametrize("domain", EXCHANGEABLE)
@pytest.mark.parametrize(
    "settings",
    [
        {"algo": "rl2"},
        {"algo": "rl3"},
        {"algo": "rl3-markov"},
        {"algo": "rl3", "estimator": "q-learning", "estimator.n_replayed": 2},
        {"algo": "rl3", "critic_sees": "task"},
    ],
    ids=["rl2", "rl3", "rl3-markov", "q-learning", "critic-sees-task"],
)
def test_a_relabelled_trajectory_is_that_of_the_task_with_its_actions_renamed(domain, settings):
    config = RunConfig.of(domain, horizon=H, **settings)
    rng = np.random.default_rng(4)
    envs = make_envs(config, N_ENVS)
    envs.reset(seed=5)
    tasks = list(envs.unwrapped.tasks)
    n_actions = tasks[0].n_actions
    actions = rng.integers(n_actions, size=(N_ENVS, H))
    new_labels = rng.permuted(np.tile(np.arange(n_actions), (N_ENVS, 1)), axis=1)

    tokens, rewards, symmetry = tokens_of(config, tasks, actions)
    others = [renamed(task, label) for task, label in zip(tasks, new_labels, strict=True)]
    new_actions = np.take_along_axis(new_labels, actions, axis=1)
    expected, new_rewards, _ = tokens_of(config, others, new_actions)

    relabelling = Relabelling(symmetry, new_labels, np.ones(N_ENVS, bool))
    found, found_actions = relabelled(relabelling, tokens, actions)
    np.testing.assert_array_equal(new_rewards, rewards)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found_actions, new_actions)
    assert (expected != tokens).any()


# ------------------------------------------------------------------------------ transformations


def orders(domain, variation, n_tasks):
    """How often each order of the actions comes, by what they pay and by where they lead."""
    envs = domain.make_vector_env(n_tasks, None, variation)
    envs.reset(seed=0)
    pays, leads = Counter(), Counter()
    for task in envs.unwrapped.tasks:
        rows = [slice(*task.rows[i : i + 2]) for i in range(task.n_actions)]  # of state 0
        mean = [task.probability[row] @ task.reward[row] for row in rows]
        pays[tuple(np.argsort(mean))] += 1
        leads[tuple(np.argsort([task.probability[row][0] for row in rows]))] += 1
    return pays, leads


def chi_squared(counts, n_actions):
    everything = list(itertools.permutations(range(n_actions)))
    found = np.array([counts[order] for order in everything])
    expected = found.sum() / len(everything)
    return ((found - expected) ** 2 / expected).sum() / len(everything)


@pytest.mark.parametrize("domain", EXCHANGEABLE)
def test_every_order_of_exchangeable_actions_is_equally_likely(domain):
    facts = DOMAINS[domain]
    for variation in ("canonical", *facts.variations):
        # What bandits' arms lead to is the same; what OOD arms pay is seldom equal.
        for counts in orders(facts, variation, 6000)[: 1 if domain == "bandit" else 2]:
            # of mean 1 and standard deviation sqrt(2 / 119) = 0.13
            assert 0.5 < chi_squared(counts, 5) < 1.55


def test_orders_tell_a_slightly_better_arm_from_its_equals():
    better = np.array([0.05, 0, 0, 0, 0])
    tasks = Domain(title="Bandits", tasks=lambda rng: Bandits().task(0.95 * rng.random(5) + better))
    assert chi_squared(orders(tasks, "canonical", 6000)[0], 5) > 1.9


@pytest.mark.parametrize("domain", [name for name in DOMAINS if not DOMAINS[name].has_symmetry])
def test_actions_without_a_known_symmetry_are_refused(domain):
    with pytest.raises(InputError, match="`symmetry_share` must be 0 in the domain " + domain):
        RunConfig.of(domain, symmetry_share=0.5)


def test_a_run_has_no_symmetry_unless_it_asks_for_one():
    def model(**settings):
        config = RunConfig.of("random-mdp", horizon=12, n_envs=2, **settings)
        return make_model(config, make_training_env(config), "cpu")

    assert model().symmetry is None
    symmetry = model(symmetry_share=0.25, symmetry_coef=3).symmetry
    assert (symmetry.share, symmetry.coef) == (0.25, 3.0)
    # state 0-9, advantage 10-14, value 15, count 16-20, previous action 21-25
    rows = [list(range(i, i + 5)) for i in (10, 16, 21)]
    assert symmetry.entries.tolist() == rows


def test_settings_stored_before_there_was_a_symmetry_are_read_as_without():
    config = RunConfig.of("bandit", recipe="paper")
    stored = config.to_dict()
    del stored["symmetry_share"], stored["symmetry_coef"]
    assert RunConfig.from_dict(stored, "config.json") == config
    with pytest.raises(InputError, match="missing or unknown ones: gamma"):
        RunConfig.from_dict({k: v for k, v in stored.items() if k != "gamma"}, "config.json")


# ------------------------------------------------------------------------------ Symmetry.of


def meta_env(flatten=(True, True), estimator=None):
    env = TaskEnv(RandomMDPs(n_states=3, n_actions=2))
    env = vamdp.ValueAugment(env, task_horizon=4, flatten=flatten[0], estimator=estimator)
    return vamdp.MetaEpisode(env, 8, flatten=flatten[1])


@pytest.mark.parametrize("inner", [True, False])
def test_a_single_environment_says_which_entries_belong_to_actions(inner):
    # state 0-2, advantage 3-4, value 5, count 6-7, previous action 8-9
    symmetry = Symmetry.of(meta_env((inner, True)), share=0.3, coef=2.0)
    assert symmetry.entries.tolist() == [[3, 4], [6, 7], [8, 9]]
    assert (symmetry.share, symmetry.coef) == (0.3, 2.0)


def test_the_tokens_of_a_dict_have_its_keys_in_sorted_order():
    # advantage 0-1, count 2-3, episode time 4, meta time 5, previous action 6-7, ...
    assert Symmetry.of(meta_env((True, False))).entries.tolist() == [[0, 1], [2, 3], [6, 7]]


def test_environments_that_do_not_say_it_are_refused():
    with pytest.raises(ValueError, match=r"`env` must have the attributes .*action_parts = None"):
        Symmetry.of(gymnasium.make("CartPole-v1"))
    stacked = gymnasium.wrappers.FrameStackObservation(meta_env(), 2)
    reordered = gymnasium.wrappers.FlattenObservation(meta_env((True, False)))
    for env in (stacked, reordered):
        with pytest.raises(ValueError, match="`env` must show the parts state, advantage"):
            Symmetry.of(env)


def test_what_leaves_the_parts_in_place_is_no_matter():
    env = gymnasium.wrappers.ClipReward(meta_env(), 0, 1)
    for wrapped in (env, DummyVecEnv([lambda: env]), VecMonitor(DummyVecEnv([lambda: env]))):
        assert Symmetry.of(wrapped).entries.tolist() == [[3, 4], [6, 7], [8, 9]]
