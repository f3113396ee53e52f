"""What is relabelled in a run is what renaming the actions of its tasks would have shown."""

import itertools
import re
from collections import Counter

import gymnasium
import numpy as np
import pytest
import torch as th
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import vamdp
from rl3_sb3 import GymnasiumVecEnv, Symmetry, Transformation
from rl3_sb3.experiments.domains import DOMAINS, Domain
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.rollout.buffer import SequenceBatch
from rl3_sb3.update.symmetry import Relabelling
from vamdp.domains import Bandits, RandomMDPs, TaskEnv
from vamdp.mdp.grid_tasks import FROZEN_LAKE, GRID_WORLD, task_arrays
from vamdp.mdp.tabular_mdp import TabularMDP

EXCHANGEABLE = [name for name, domain in DOMAINS.items() if domain.exchangeable_actions]
N_ENVS, H = 4, 23


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


def token(observations):
    """What the critic reads, (n_envs, C): the actor's part first, see `rl3_sb3.tokens`."""
    if not isinstance(observations, dict):
        return observations
    return np.concatenate([observations["observation"], observations["task"]], axis=1)


def tokens_of(config, tasks, actions):
    """Tokens (n_envs, H, C) and rewards (n_envs, H) of a meta-episode with these actions."""
    envs = make_envs(config, N_ENVS)
    if config.critic_sees == "task":
        envs = vamdp.vector.ShowTask(envs)
    symmetry = Symmetry.of(GymnasiumVecEnv(envs))
    seen, rewards = [token(envs.reset(seed=11, options={"task": tasks})[0])], []
    for t in range(H):
        observations, reward, *_ = envs.step(actions[:, t])
        seen.append(token(observations))
        rewards.append(reward)
    return np.stack(seen[:-1], axis=1), np.stack(rewards, axis=1), symmetry


def relabelled(relabelling, tokens, actions):
    """The relabelled tokens and actions of trajectories."""
    n_actions = relabelling.symmetry.n_actions
    nothing = th.zeros(actions.shape)
    batch = SequenceBatch(
        th.as_tensor(tokens),
        th.as_tensor(actions),
        th.zeros(*actions.shape, n_actions),
        nothing,
        nothing,
        nothing,
        None,
    )
    batch = relabelling.of(batch, np.arange(len(actions)))
    return batch.tokens.numpy(), batch.actions.numpy()


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

GRIDS = [("gridworld", 11), ("gridworld", 13), ("frozen-lake", 8), ("frozen-lake", 4)]
RULES = {"gridworld": GRID_WORLD, "frozen-lake": FROZEN_LAKE}
# What each transformation in `grid_transformations` does to an array of tiles.
PICTURES = {
    "gridworld": [
        *(lambda tiles, n=n: np.rot90(tiles, -n) for n in range(4)),
        *(lambda tiles, n=n: np.rot90(np.fliplr(tiles), -n) for n in range(4)),
    ],
    "frozen-lake": [np.array, np.transpose],
}


def tiles_of(domain, size, n_tasks, variation="canonical"):
    """Tile numbers of drawn grids, (n_tasks, size, size)."""
    envs = DOMAINS[domain].make_vector_env(n_tasks, size, variation)
    envs.reset(seed=7)
    letters = RULES[domain].letters
    return np.array([[[*map(letters.index, row)] for row in t.grid] for t in envs.unwrapped.tasks])


def task_of(domain, tiles, slip):
    return TabularMDP.trusted(**task_arrays(tiles.astype(np.int8), RULES[domain], slip))


@pytest.mark.parametrize(("domain", "size"), GRIDS)
def test_each_transformation_of_a_grid_is_that_of_its_picture(domain, size):
    """By its table: what a leads to from s is what sigma a leads to from sigma s."""
    transformations = DOMAINS[domain].transformations_of(size)
    (tiles,) = tiles_of(domain, size, 1)
    task = task_of(domain, tiles, slip=0.2)
    cells = np.arange(size * size).reshape(size, size)
    for transformation, picture in zip(transformations, PICTURES[domain], strict=True):
        moved = np.empty(size * size, np.int64)  # the new number of each cell
        moved[picture(cells).ravel()] = np.arange(size * size)
        new = task_of(domain, picture(tiles), slip=0.2)
        for s, a in itertools.product(range(size * size), range(task.n_actions)):
            outcomes = []
            for each, i, numbers in (
                (task, s * task.n_actions + a, moved),
                (
                    new,
                    moved[s] * task.n_actions + transformation.new_labels[a],
                    np.arange(size * size),
                ),
            ):
                row = slice(*each.rows[i : i + 2])
                facts = zip(
                    numbers[each.successor[row]],
                    each.probability[row],
                    each.reward[row],
                    each.ends[row],
                    strict=True,
                )
                outcomes.append(sorted(facts))
            assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(("domain", "size"), GRIDS)
@pytest.mark.parametrize(
    "settings",
    [
        {"algo": "rl2"},
        {"algo": "rl3"},
        {"algo": "rl3-markov"},
        {"algo": "rl3-coarse"},
        {"algo": "rl3", "critic_sees": "task"},
    ],
    ids=["rl2", "rl3", "rl3-markov", "rl3-coarse", "critic-sees-task"],
)
def test_a_transformed_trajectory_is_that_of_the_transformed_grid(domain, size, settings):
    if settings["algo"] == "rl3-coarse" and domain == "frozen-lake":
        pytest.skip("there are no clusters of lakes")
    config = RunConfig.of(domain, size=size, horizon=H, **settings)
    transformations = config.facts.transformations_of(size)
    n = len(transformations)
    drawn = tiles_of(domain, size, n)
    drawn[drawn == RULES[domain].letters.find("W")] = 0  # the only tile that slips at a slip of 0
    rng = np.random.default_rng(4)
    actions = rng.integers(len(RULES[domain].headings), size=(n, H))

    def played(tiles, actions):
        envs = make_envs(config, n)
        if config.critic_sees == "task":
            envs = vamdp.vector.ShowTask(envs)
        symmetry = Symmetry.of(GymnasiumVecEnv(envs), transformations=transformations)
        tasks = [task_of(domain, each, slip=0.0) for each in tiles]
        seen = [token(envs.reset(seed=11, options={"task": tasks})[0])]
        rewards = []
        for t in range(H):
            observations, reward, *_ = envs.step(actions[:, t])
            seen.append(token(observations))
            rewards.append(reward)
        return np.stack(seen[:-1], axis=1), np.stack(rewards, axis=1), symmetry

    tokens, rewards, symmetry = played(drawn, actions)
    new_labels = np.array([each.new_labels for each in transformations])
    new_actions = np.take_along_axis(new_labels, actions, axis=1)
    turned = [picture(each) for picture, each in zip(PICTURES[domain], drawn, strict=True)]
    expected, new_rewards, _ = played(turned, new_actions)

    relabelling = Relabelling(symmetry, new_labels, np.ones(n, bool), np.arange(n))
    found, found_actions = relabelled(relabelling, tokens, actions)
    np.testing.assert_array_equal(new_rewards, rewards)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(found_actions, new_actions)
    np.testing.assert_array_equal(found[0], tokens[0])
    for i in range(1, n):
        assert np.abs(tokens[i] - expected[i]).max() > 0.05


@pytest.mark.parametrize("domain", RULES)
def test_transformed_grids_are_equally_likely(domain):
    """Each kind of tile is as frequent in a place as in its images, in every variation."""
    facts, size, n_tasks = DOMAINS[domain], min(DOMAINS[domain].horizons), 1500
    for variation in ("canonical", *facts.variations):
        tiles = tiles_of(domain, size, n_tasks, variation)
        for letter in range(len(RULES[domain].letters)):
            share = (tiles == letter).mean(axis=0)
            images = np.array([picture(share) for picture in PICTURES[domain]])
            error = np.sqrt(np.maximum(share.max() * (1 - share.max()), 1e-9) / n_tasks)
            assert np.abs(images - images.mean(axis=0)).max() < 5 * error


def test_some_transformations_are_drawn_equally_often_and_others_stay():
    facts = DOMAINS["gridworld"]
    transformations = facts.transformations_of(11)
    symmetry = Symmetry([[2, 3, 4, 5, 6]], share=0.3, transformations=transformations, state=[0, 1])
    set_random_seed(0)
    drawn = symmetry.draw(40_000)
    assert drawn.chosen.mean() == pytest.approx(0.3, abs=0.01)
    assert (drawn.new_labels[~drawn.chosen] == np.arange(5)).all()
    numbers = drawn.number[drawn.chosen]
    labels = np.array([each.new_labels for each in transformations])
    np.testing.assert_array_equal(drawn.new_labels[drawn.chosen], labels[numbers])
    np.testing.assert_allclose(np.bincount(numbers) / len(numbers), 1 / 8, atol=0.016)
    tokens = np.random.default_rng(0).random((50, 3, 8), np.float32)
    found, _ = relabelled(
        Relabelling(symmetry, drawn.new_labels[:50], drawn.chosen[:50], drawn.number[:50]),
        tokens,
        np.zeros((50, 3), np.int64),
    )
    same = (found == tokens).all(axis=(1, 2))
    np.testing.assert_array_equal(same, ~drawn.chosen[:50] | (drawn.number[:50] == 0))


def test_a_run_on_grids_draws_their_transformations():
    config = RunConfig.of("gridworld", horizon=12, n_envs=2, symmetry_share=1.0)
    symmetry = make_model(config, make_training_env(config), "cpu").symmetry
    assert len(symmetry.transformations) == 8
    assert symmetry.state == (0, 1)


SAME = Transformation([0, 1, 2], origin=[0])


@pytest.mark.parametrize(
    ("transformations", "message"),
    [
        ([], "`Domain.transformations` must return a list of rl3_sb3.Transformation, got []"),
        (None, "must return a list of rl3_sb3.Transformation, got None for size None of arms"),
        (SAME, "must return a list of rl3_sb3.Transformation, got Transformation("),
        ([SAME, "turned"], "must return a list of rl3_sb3.Transformation, got [Transformation("),
        (
            [Transformation([1, 0])],
            "`symmetry_share` must be 0 in the domain arms, got 1.0: `trans",
        ),
    ],
)
def test_what_a_domains_function_may_not_return(monkeypatch, transformations, message):
    domain = Domain(
        title="Arms", tasks=Bandits(n_arms=3), transformations=lambda _: transformations
    )
    monkeypatch.setitem(DOMAINS, "arms", domain)
    with pytest.raises(InputError, match=re.escape(message)):
        config = RunConfig.of("arms", horizon=4, n_envs=2, symmetry_share=1.0)
        make_model(config, make_training_env(config), "cpu")


@pytest.mark.parametrize("domain", RULES)
def test_transformations_of_grids_without_a_size_are_refused(domain):
    with pytest.raises(InputError, match="must know the size of the grids, got None"):
        DOMAINS[domain].transformations_of(None)


def test_transformations_are_a_function():
    with pytest.raises(
        ValueError, match=r"`transformations` must be a function of the size, got \["
    ):
        Domain(title="Arms", tasks=Bandits(n_arms=3), transformations=[SAME])


def test_a_learner_whose_values_do_not_turn_is_refused():
    with pytest.raises(InputError, match="`symmetry_share` must be 0 with the estimator linear in"):
        RunConfig.of("gridworld", estimator="linear", symmetry_share=0.5)
    RunConfig.of("gridworld", estimator="linear")
    RunConfig.of("gridworld", estimator="kernel", symmetry_share=0.5)


# ------------------------------------------------------------------------------ exchangeable


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
    config = RunConfig.of("bandit")
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
