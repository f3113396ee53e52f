"""What is turned or mirrored in a run is what turned or mirrored grids would have shown."""

import itertools
import re

import numpy as np
import pytest
from stable_baselines3.common.utils import set_random_seed

import vamdp
from rl3_sb3 import GymnasiumVecEnv, Symmetry, Transformation
from rl3_sb3.experiments.domains import DOMAINS, Domain
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.runs.learning_env import check_environments
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.update.symmetry import Relabelling
from vamdp.domains import Bandits
from vamdp.mdp.grid_tasks import FROZEN_LAKE, GRID_WORLD, task_arrays
from vamdp.mdp.tabular_mdp import TabularMDP

from .trajectories import H, relabelled, token

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
    if "`trans" in message:
        with pytest.raises(InputError, match=re.escape(message)):
            check_environments(config)  # before a run begins


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
    for algo, given in {"rl3": {"estimator": "linear"}, "rl3-linear": {}}.items():
        config = RunConfig.of("gridworld", algo=algo, recipe="ours", **given)
        assert config.symmetry_share == 0.0
    RunConfig.of("gridworld", estimator="kernel", symmetry_share=0.5)


# ------------------------------------------------------------------------------ exchangeable
