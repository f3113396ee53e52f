"""Environments that a user may bring: what is learned in them is what is true of them."""

import itertools

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.toy_text.frozen_lake import generate_random_map
from gymnasium.wrappers import (
    DiscretizeAction,
    DiscretizeObservation,
    MaxAndSkipObservation,
    TransformObservation,
)

import vamdp
from vamdp.domains import SampledEnv

TAXI = "Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3"
#: Without smoothing the model of a deterministic task is exact once all was tried.
EXACT = {"smoothing": 0.0, "tolerance": 1e-9}
#: A limit of episodes within which an explorer comes everywhere.
LONG = 10_000


def explore(env, n_steps, seed=None, certain=True, **reset):
    """Take the allowed action tried least; where all is certain, no end without reward twice."""
    shown, info = env.reset(seed=seed, **reset)
    state, count = env.layout["state"], env.layout["count"]
    worthless = set()
    for _ in range(n_steps):
        tried = shown[count].copy()
        tried[~np.asarray(info.get("action_mask", np.ones(len(tried))), bool)] = np.inf
        place = shown[state].tobytes()
        tried[[a for a in range(len(tried)) if (place, a) in worthless]] += 1e6
        action = int(np.argmin(tried))
        shown, reward, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            if certain and terminated and reward == 0:
                worthless.add((place, action))
            shown, info = env.reset()


def lengths_of_episodes(env, n_steps, seed):
    """Take what the values say, mostly, or what was never tried; how long were the episodes?"""
    rng = np.random.default_rng(seed)
    shown, _ = env.reset(seed=seed)
    lengths = [0]
    for _ in range(n_steps):
        advantage, count = (shown[env.layout[name]] for name in ("advantage", "count"))
        untried = count.min() == 0 or rng.random() < 0.02
        shown, _, terminated, truncated, _ = env.step(
            int(np.argmin(count) if untried else np.argmax(advantage))
        )
        lengths[-1] += 1
        if terminated or truncated:
            lengths.append(0)
            shown, _ = env.reset()
    return lengths[:-1]


def follow(env, n_steps):
    """The rewards of an episode that always takes the best allowed action."""
    shown, info = env.reset()
    rewards = []
    for _ in range(n_steps):
        advantage = shown[env.layout["advantage"]].copy()
        advantage[~np.asarray(info.get("action_mask", np.ones(len(advantage))), bool)] = -np.inf
        shown, reward, terminated, truncated, info = env.step(int(np.argmax(advantage)))
        rewards.append(reward)
        if terminated or truncated:
            break
    return rewards


@pytest.mark.parametrize(("size", "n_steps"), [("4x4", 500), ("8x8", 4000)])
def test_on_a_firm_frozen_lake_the_start_is_worth_its_distance_to_the_goal(size, n_steps):
    env = gymnasium.make("FrozenLake-v1", map_name=size, is_slippery=False, max_episode_steps=LONG)
    env = vamdp.ValueAugment(env, task_horizon=100, gamma=0.9, **EXACT)
    explore(env, n_steps, seed=0)
    distance = {"4x4": 6, "8x8": 14}[size]
    assert env.estimator.value(0) == pytest.approx(0.9 ** (distance - 1), abs=1e-6)
    assert follow(env, 100) == [0.0] * (distance - 1) + [1.0]


def test_on_a_slippery_frozen_lake_the_values_approach_the_true_ones():
    env = gymnasium.make("FrozenLake-v1")
    truth = vamdp.TabularMDP.from_gymnasium(env).optimal_values(200, gamma=0.9)
    env = vamdp.ValueAugment(env, task_horizon=200, gamma=0.9, smoothing=0.0)
    errors = []
    for n_steps in (300, 15_000):
        explore(env, n_steps, seed=1, certain=False)
        alive = [s for s in range(16) if env.estimator.counts(s).any()]
        errors.append(max(abs(env.estimator.value(s) - truth[s]) for s in alive))
    assert len(alive) == 11
    assert errors[1] < 0.06 < errors[0]


def random_maps(rng):
    rows = generate_random_map(size=5, p=0.75, seed=int(rng.integers(2**31)))
    return gymnasium.make("FrozenLake-v1", desc=rows, is_slippery=False, max_episode_steps=LONG)


def test_each_random_map_of_a_distribution_is_learned_by_itself():
    env = SampledEnv(random_maps)
    env = vamdp.ValueAugment(env, task_horizon=100, gamma=0.9, **EXACT)
    maps = set()
    for k in range(4):
        explore(env, 2500, seed=3 if k == 0 else None, options={"new_task": True})
        truth = vamdp.TabularMDP.from_gymnasium(env.get_task()).optimal_values(100, gamma=0.9)
        for s in range(25):  # what cannot be reached, or only as an end, is worth nothing
            reached = env.estimator.counts(s).any()
            assert env.estimator.value(s) == pytest.approx(truth[s] if reached else 0, abs=1e-6)
        assert env.estimator.value(0) > 0
        maps.add(env.get_task().unwrapped.desc.tobytes())
    assert len(maps) == 4


def test_along_the_cliff_the_way_back_costs_13():
    env = vamdp.ValueAugment(gymnasium.make("CliffWalking-v1"), task_horizon=60, **EXACT)
    explore(env, 8000, seed=0)
    start = 36
    assert env.estimator.value(start) == -13
    assert env.estimator.q_values(start).tolist() == [-13, -100 - 13, -14, -14]
    assert sum(follow(env, 60)) == -13


def test_a_taxi_learns_one_passengers_ride_within_its_masks():
    taxi = gymnasium.make(TAXI)
    task = vamdp.TabularMDP.from_gymnasium(taxi)
    truth = task.optimal_values(200)
    env = vamdp.ValueAugment(vamdp.HoldSeed(taxi), task_horizon=200, **EXACT)
    for seed in (0, 1):
        start = int(env.reset(seed=seed)[0][:500].argmax())
        explore(env, 2500, seed=seed)
        assert env.estimator.value(start) == truth[start]
        assert sum(follow(env, 200)) == truth[start]
        # No forbidden action was ever taken, nor planned with.
        for s in range(500):
            forbidden = ~np.asarray(taxi.unwrapped.action_mask(s), bool)
            assert not env.estimator.counts(s)[forbidden].any()


def held_layouts(id, **options):
    pytest.importorskip("minigrid")  # registers its environments
    return vamdp.HoldSeed(gymnasium.make(id, agent_view_size=3, max_steps=LONG, **options))


class Pose(gymnasium.ObservationWrapper):
    """Shows (x, y, direction); the actions are left, right and forward."""

    def __init__(self, env):
        super().__init__(env)
        size = env.unwrapped.width, env.unwrapped.height, 4
        self.observation_space, self.action_space = spaces.MultiDiscrete(size), spaces.Discrete(3)

    def observation(self, observation):
        return np.array([*self.unwrapped.agent_pos, self.unwrapped.agent_dir])


def fewest_actions(maze):
    """From the start to the goal, by breadth-first search over (x, y, direction)."""
    front, seen = {(*map(int, maze.agent_pos), int(maze.agent_dir))}, set()
    for n in itertools.count():
        if any((maze.grid.get(x, y) or maze).__class__.__name__ == "Goal" for x, y, _ in front):
            return n
        seen |= front
        near = set()
        for x, y, d in front:
            ahead = x + (1, 0, -1, 0)[d], y + (0, 1, 0, -1)[d]
            tile = maze.grid.get(*ahead)
            near |= {(x, y, (d + 1) % 4), (x, y, (d - 1) % 4)}
            if tile is None or (tile.can_overlap() and tile.type != "lava"):
                near.add((*ahead, d))
        front = near - seen


@pytest.mark.parametrize("obstacle", ["SimpleCrossing", "LavaCrossing"])
def test_the_shortest_way_through_a_layout_of_minigrid_is_found_and_followed(obstacle):
    env = Pose(held_layouts(f"MiniGrid-{obstacle}S9N2-v0", size=7))
    env = vamdp.ValueAugment(env, task_horizon=100, gamma=0.9, state_key=tuple, **EXACT)
    layouts = set()
    for seed in (0, 1):
        explore(env, 2000, seed=seed)
        env.reset()
        layouts.add(env.unwrapped.pprint_grid())
        shortest = fewest_actions(env.unwrapped)
        rewards = follow(env, 100)
        assert rewards[-1] == pytest.approx(1 - 0.9 * shortest / LONG)
        assert len(rewards) == shortest
    assert len(layouts) == 2


def cartpole(bins):
    env = gymnasium.make("CartPole-v1")
    high = np.array([2.4, 3.0, 0.21, 3.0], np.float32)
    env = TransformObservation(
        env, lambda observation: np.clip(observation, -high, high), spaces.Box(-high, high)
    )
    return DiscretizeObservation(env, bins)


def test_a_pole_is_held_up_the_longer_the_more_was_learned():
    env = cartpole((1, 4, 8, 6))
    env = vamdp.ValueAugment(env, task_horizon=100, gamma=0.97, smoothing=0.01, show_state=False)
    lengths = lengths_of_episodes(env, 6000, seed=0)
    random_agents = 22  # steps on average, a known figure
    assert np.mean(lengths[-15:]) > 4 * random_agents > 2 * np.mean(lengths[:10])


def test_a_car_learns_to_swing_itself_up_the_mountain():
    env = MaxAndSkipObservation(gymnasium.make("MountainCarContinuous-v0"), skip=16)
    env = DiscretizeAction(DiscretizeObservation(env, 16), 2)
    env = vamdp.ValueAugment(env, task_horizon=63, gamma=0.99, smoothing=0.01, show_state=False)
    lengths = lengths_of_episodes(env, 1500, seed=0)
    assert np.mean(lengths[:5]) > 20
    assert np.mean(lengths[-20:]) < 15


def test_continuous_actions_are_refused_until_they_are_discretised():
    env = gymnasium.make("MountainCarContinuous-v0")
    with pytest.raises(ValueError, match=r"must be Discrete, got Box.*DiscretizeAction"):
        vamdp.ValueAugment(env, task_horizon=9)
    vamdp.ValueAugment(DiscretizeAction(env, 2), task_horizon=9)


def test_a_table_of_ones_own_is_learned():
    """Two states: staying in the second pays 1 a step, going there from the first costs 2."""
    P = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], float)  # P[s, a, s'], a = 0 stays
    R = np.array([[0, -2], [1, 0]], float)
    env = vamdp.TaskEnv(lambda rng: vamdp.TabularMDP.from_dense(P, R))
    env = vamdp.ValueAugment(env, task_horizon=1000, gamma=0.5, **EXACT)
    explore(env, 20, seed=0)
    # V(1) = 1 / (1 - 0.5) = 2; going there is worth -2 + 0.5 * 2 = -1, so that staying is better.
    assert env.estimator.q_values(1) == pytest.approx([2, 0], abs=1e-6)
    assert env.estimator.q_values(0) == pytest.approx([0, -1], abs=1e-6)


class Places(gymnasium.ObservationWrapper):
    """Shows a lake's state as a Dict of row and column, or as the two numbers in one vector."""

    def __init__(self, env, as_dict):
        super().__init__(env)
        self.as_dict = as_dict
        each = spaces.Discrete(4)
        both = {"row": each, "column": each}
        self.observation_space = spaces.Dict(both) if as_dict else spaces.MultiDiscrete([4, 4])

    def observation(self, observation):
        row, column = divmod(int(observation), 4)
        return {"row": row, "column": column} if self.as_dict else np.array([row, column])

    def state_key(self, observation):
        names = ("row", "column")
        return tuple(observation[name] for name in names) if self.as_dict else tuple(observation)


@pytest.mark.parametrize("as_dict", [False, True], ids=["vector", "dict"])
@pytest.mark.parametrize("flatten", [False, True], ids=["parts apart", "flat"])
def test_values_do_not_depend_on_the_form_of_the_observations(as_dict, flatten):
    lake = gymnasium.make("FrozenLake-v1")
    twin = Places(gymnasium.make("FrozenLake-v1"), as_dict)
    options = {"task_horizon": 100, "gamma": 0.9}
    plain = vamdp.MetaEpisode(vamdp.ValueAugment(lake, **options), 300)
    shaped = vamdp.ValueAugment(twin, flatten=flatten, **options)
    shaped = vamdp.MetaEpisode(shaped, 300, flatten=flatten)
    ours, theirs = shaped.reset(seed=2)[0], plain.reset(seed=2)[0]
    rng = np.random.default_rng(0)
    places = set()
    for _ in range(300):
        assert shaped.observation_space.contains(ours)
        parts = ours if not flatten else {n: ours[s] for n, s in shaped.layout.items()}
        for name in set(plain.layout) - {"state"}:
            np.testing.assert_array_equal(parts[name], theirs[plain.layout[name]])
        # A Dict's parts lie in the order of its keys: column, row. One-hot, four entries each.
        first, second = parts["state"].reshape(2, 4).argmax(axis=1)
        row, column = (second, first) if as_dict else (first, second)
        assert 4 * row + column == theirs[plain.layout["state"]].argmax()
        places.add((row, column))
        action = int(rng.integers(4))
        (ours, *mine), (theirs, *others) = shaped.step(action), plain.step(action)
        assert mine[:3] == others[:3]
    assert mine[1]  # both meta-episodes are over
    assert len(places) > 8


class Missions(spaces.Space):
    """A space that Gymnasium cannot flatten, like the texts of MiniGrid."""

    def __init__(self):
        super().__init__((), str)

    def contains(self, x):
        return isinstance(x, str)

    def sample(self, mask=None, probability=None):
        return "get there"


class WithMission(gymnasium.ObservationWrapper):
    def __init__(self, env):
        super().__init__(env)
        place = env.observation_space
        self.observation_space = spaces.Dict({"mission": Missions(), "place": place})

    def observation(self, observation):
        return {"mission": "get there", "place": observation}


def test_an_observation_with_a_space_of_its_own_is_refused_with_a_remedy_that_works():
    env = WithMission(gymnasium.make("FrozenLake-v1", is_slippery=False))
    key = {"state_key": lambda observation: int(observation["place"])}
    remedy = r"must be flattenable to a Box, got Dict.*show_state=False with a `state_key`"
    for wrap in (
        lambda: vamdp.ValueAugment(env, task_horizon=9, **key),
        lambda: vamdp.MetaEpisode(env, 20),
    ):
        with pytest.raises(ValueError, match=remedy):
            wrap()
    env = vamdp.ValueAugment(env, task_horizon=9, show_state=False, **key)
    env.reset(seed=0)
    for action in (2, 2, 1, 1, 1):
        env.step(action)
    _, _, terminated, _, _ = env.step(2)
    assert terminated
    assert env.estimator.q_values(14)[2] > 0.5
    assert env.estimator.n_states == 7
