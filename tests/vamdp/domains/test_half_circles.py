import math

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from vamdp.domains import HalfCircles
from vamdp.domains.half_circles import HalfCircleEnv

LIMIT, H = 20, 100
SECTOR = math.pi / 4


def fewest_steps(angle, radius=0.2):
    """Closed form: a shortest way goes a steps in one direction and b in the next one.

    The goal lies between the two; a x + b y with unit vectors x, y at 45 degrees must come within
    the radius.
    """
    k = math.floor(angle / SECTOR)
    goal = np.array([math.cos(angle), math.sin(angle)])
    x, y = ([math.cos(i * SECTOR), math.sin(i * SECTOR)] for i in (k, k + 1))
    return min(
        a + b
        for a in range(14)
        for b in range(14)
        if np.linalg.norm(0.1 * (a * np.array(x) + b * np.array(y)) - goal) <= radius + 1e-9
    )


def fewest_steps_by_search(angle):
    """All that the environment itself can do, breadth first."""
    env = HalfCircleEnv(angle)
    env.reset(seed=0)
    places, n_steps = [env._position], 0
    while True:
        n_steps += 1
        reached = {}
        for place in places:
            for action in range(1, 9):
                env._position = place.copy()
                _, reward, *_ = env.step(action)
                if reward == 1.0:
                    return n_steps
                reached[tuple(np.round(env._position, 6))] = env._position
        places = list(reached.values())


@pytest.mark.parametrize("angle", [0.0, 0.39, SECTOR, 1.0, math.pi / 2, 2.0, 2.749, math.pi])
def test_the_fewest_steps_to_the_goal_are_the_closed_forms(angle):
    assert fewest_steps_by_search(angle) == fewest_steps(angle)


def test_along_axes_and_diagonals_it_is_eight_steps_and_nowhere_more_than_nine():
    for k in range(5):
        assert fewest_steps(k * SECTOR) == 8
    found = {fewest_steps(angle) for angle in np.linspace(0, math.pi, 500)}
    assert found == {8, 9}
    # Between two directions each step brings the robot 0.1 cos(22.5 degrees) nearer at best.
    assert math.ceil(0.8 / (0.1 * math.cos(SECTOR / 2))) == 9 == fewest_steps(SECTOR / 2)


def optimum(angle):
    """Who knows the goal stands in it from the fewest steps on, in every episode."""
    return H // LIMIT * (LIMIT - fewest_steps(angle) + 1)


class Greedy:
    """Takes the move that ends nearest to its target; finds the goal by going along the circle."""

    def __init__(self, goal=None):
        self.goal = goal

    def start(self):
        self.found = None if self.goal is None else np.array(self.goal)
        self.angle, self.place = 0.0, np.zeros(2)

    def act(self, observation):
        self.place = np.asarray(observation, np.float64)
        if self.found is not None:
            return self.towards(self.found)
        if np.linalg.norm(self.place) > 0.85:  # this part of the circle is seen
            self.angle = max(self.angle, math.atan2(self.place[1], self.place[0]) + 0.1)
        return self.towards(0.95 * np.array([math.cos(self.angle), math.sin(self.angle)]))

    def towards(self, target):
        angles = np.arange(8) * SECTOR
        moves = np.vstack([np.zeros(2), 0.1 * np.column_stack([np.cos(angles), np.sin(angles)])])
        return int(np.argmin(np.linalg.norm(self.place + moves - target, axis=1)))

    def learn(self, reward, observation):
        if reward == 1.0 and self.found is None:
            self.found = np.asarray(observation, np.float64)


def total(env, agent, seed):
    agent.start()
    observation, total = env.reset(seed=seed)[0], 0.0
    for _ in range(H):
        observation, reward, terminated, truncated, _ = env.step(agent.act(observation))
        agent.learn(reward, observation)
        total += reward
        if terminated or truncated:
            observation, _ = env.reset()
    return total


def test_who_knows_the_goal_gets_the_optimum_and_who_searches_it_most_of_that():
    env = gymnasium.make("vamdp/HalfCircle-v0")
    searched, best = [], []
    for seed in range(30):
        env.reset(seed=seed)
        goal = env.unwrapped.task.goal
        best.append(optimum(math.atan2(goal[1], goal[0])))
        assert best[-1] - H // LIMIT <= total(env, Greedy(goal), seed) <= best[-1]
        searched.append(total(env, Greedy(), seed))
    assert 0.5 * np.mean(best) < np.mean(searched) < np.mean(best)
    assert min(searched) > 0


def test_chance_finds_the_goal_hardly_ever():
    env = gymnasium.make("vamdp/HalfCircle-v0")

    class Chance(Greedy):
        rng = np.random.default_rng(0)

        def act(self, observation):
            return int(self.rng.integers(9))

    assert np.mean([total(env, Chance(), seed) for seed in range(30)]) < 2


def test_goals_are_uniform_on_the_half_circle():
    rng = np.random.default_rng(0)
    goals = np.array([HalfCircles()(rng).goal for _ in range(2000)])
    np.testing.assert_allclose(np.linalg.norm(goals, axis=1), 1.0)
    angles = np.arctan2(goals[:, 1], goals[:, 0])
    assert angles.min() >= 0
    counts, _ = np.histogram(angles, bins=4, range=(0, math.pi))
    assert abs(counts - 500).max() < 90  # more than four standard deviations


def test_the_edge_of_the_plane_stops_the_robot():
    env = HalfCircleEnv(0.0)
    env.reset(seed=0)
    for _ in range(40):
        shown, *_ = env.step(4)  # north-west
    np.testing.assert_allclose(shown, [-1.5, 1.5])
    assert env.observation_space.contains(shown)


def test_staying_stays_and_noise_is_the_seeds():
    def walk(noise, seed):
        env = HalfCircleEnv(1.0, noise=noise)
        env.reset(seed=seed)
        return np.array([env.step(0)[0] for _ in range(300)])

    assert not walk(0.0, 1).any()
    np.testing.assert_array_equal(walk(0.02, 1), walk(0.02, 1))
    assert (walk(0.02, 1) != walk(0.02, 2)).any()
    moves = np.diff(walk(0.02, 1), axis=0)
    assert moves.std() == pytest.approx(0.02, rel=0.1)


def test_gymnasium_finds_nothing_wrong():
    check_env(HalfCircleEnv(0.5, noise=0.01), skip_render_check=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HalfCircleEnv(math.nan), "`angle` must be finite, got nan"),
        (lambda: HalfCircleEnv(0.0, radius=0.0), "`radius` must be finite and above 0"),
        (lambda: HalfCircles(radius=-1.0), "`radius` must be finite and above 0"),
        (lambda: HalfCircles(noise=-0.1), "`noise` must be finite and at least 0"),
    ],
)
def test_what_makes_no_task_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_bad_actions_and_missing_resets_are_named():
    env = HalfCircleEnv(0.0)
    with pytest.raises(ResetNeeded, match="call reset"):
        env.step(0)
    env.reset()
    for action in (-1, 9):
        with pytest.raises(ValueError, match=rf"`action` must be in \[0, 8\], got {action}"):
            env.step(action)
