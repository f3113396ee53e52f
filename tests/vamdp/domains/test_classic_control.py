"""Cart-poles, acrobots and mountain cars: their tasks differ, and a good controller solves them."""

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import AcrobotEnv, CartPoleEnv, MountainCarEnv

from vamdp.domains import Acrobots, CartPoles, MountainCars

H = 400
N_TASKS = 12


class Pushes:
    """Acts by a law of feedback, and finds out whether the actions are swapped.

    Args:
        law: Observation -> -1, 0 or 1, the side to push to.
        pushed: (observation, next one) -> a number with the sign of the push between them.
        n_actions: 2 (no 0) or 3.
        patience: Steps after which it has made up its mind; 0: it believes that nothing is swapped.
    """

    def __init__(self, law, pushed, n_actions, patience):
        self.law, self.pushed, self.n_actions, self.patience = law, pushed, n_actions, patience

    def start(self):
        self.evidence, self.left = 0.0, self.patience

    def act(self, observation):
        side = self.law(observation) * (-1 if self.evidence < 0 else 1)
        return int(side > 0) if self.n_actions == 2 else side + 1

    def learn(self, observation, action, next_observation):
        side = 2 * action - 1 if self.n_actions == 2 else action - 1
        if side != 0 and self.left > 0:
            self.evidence += side * self.pushed(observation, next_observation)
            self.left -= 1


def hold(observation):
    x, x_dot, theta, theta_dot = observation
    return 1 if theta + 0.3 * theta_dot + 0.05 * x + 0.1 * x_dot > 0 else -1


def pump_acrobot(observation):
    return 1 if observation[4] < 0 else -1


def swing(observation):
    return 1 if observation[1] >= 0 else -1


def turned(observation, next_observation):
    """The motor's push on the second joint: what the usual acrobot would not do by itself."""
    model = AcrobotEnv()
    c1, s1, c2, s2, *velocities = observation
    model.state = np.array([np.arctan2(s1, c1), np.arctan2(s2, c2), *velocities])
    return next_observation[5] - model.step(1)[0][5]


def sped_up(observation, next_observation):
    return next_observation[1] - observation[1]


def drove(observation, next_observation):
    by_gravity = -0.0025 * np.cos(3 * observation[0])
    return next_observation[1] - observation[1] - by_gravity


LAWS = {
    "CartPole": (hold, sped_up, 2),
    "Acrobot": (pump_acrobot, turned, 3),
    "MountainCar": (swing, drove, 3),
}


class Chance:
    def __init__(self, n_actions):
        self.n_actions, self.rng = n_actions, np.random.default_rng(0)

    def start(self):
        pass

    def act(self, observation):
        return int(self.rng.integers(self.n_actions))

    def learn(self, *transition):
        pass


def totals(name, agent, n_tasks=N_TASKS, **arguments):
    """Total rewards in tasks with the seeds 0, 1, ..., H steps each, with restarts."""
    env = gymnasium.make(f"vamdp/{name}-v0", **arguments)
    found = []
    for seed in range(n_tasks):
        agent.start()
        observation, total = env.reset(seed=seed)[0], 0.0
        for _ in range(H):
            action = agent.act(observation)
            next_observation, reward, terminated, truncated, _ = env.step(action)
            agent.learn(observation, action, next_observation)
            total += reward
            observation = env.reset()[0] if terminated or truncated else next_observation
        found.append(total)
    return np.array(found)


def good(name):
    return Pushes(*LAWS[name], patience=5)


def blind(name):
    return Pushes(*LAWS[name], patience=0)


# Least totals in any task and greatest mean of chance: 0 falls at best, goals minus H elsewhere.
@pytest.mark.parametrize(
    ("name", "least", "chance"),
    [("CartPole", -1, -8), ("Acrobot", 2 - H, 2 - H), ("MountainCar", 2 - H, 2 - H)],
)
def test_a_good_controller_solves_every_task_and_chance_does_not(name, least, chance):
    assert totals(name, good(name)).min() >= least
    assert totals(name, Chance(LAWS[name][2])).mean() <= chance


@pytest.mark.parametrize("name", LAWS)
def test_who_does_not_find_out_what_the_actions_do_fails_where_they_are_swapped(name):
    alike = totals(name, blind(name), swapped=0.0)
    exchanged = totals(name, blind(name), swapped=1.0)
    assert alike.mean() > exchanged.mean() + 3
    np.testing.assert_array_equal(totals(name, good(name), swapped=0.0) >= alike - 1, True)


def test_only_some_cars_can_drive_straight_up():
    def goals(force, gravity):
        ahead = Pushes(lambda observation: 1, drove, 3, patience=0)
        fixed = {"force": (force, force), "gravity": (gravity, gravity), "swapped": 0.0}
        return H + totals("MountainCar", ahead, n_tasks=1, **fixed)[0]

    assert goals(0.003, 0.0025) > 5
    assert goals(0.0015, 0.0025) == 0


def test_a_cars_total_is_the_number_of_goals_minus_the_steps():
    env = gymnasium.make("vamdp/MountainCar-v0", force=(0.004, 0.004), swapped=0.0)
    env.reset(seed=0)
    steps = [env.step(2)[1:3]]
    while not steps[-1][1]:
        steps.append(env.step(2)[1:3])
    assert steps[-1] == (0.0, True)
    assert {reward for reward, _ in steps[:-1]} == {-1.0}


USUAL = {
    "CartPole": (
        CartPoles(
            (0.5, 0.5), (0.1, 0.1), (1.0, 1.0), (10.0, 10.0), (9.8, 9.8), swapped=0.0
        ),
        CartPoleEnv(sutton_barto_reward=True),
    ),
    "Acrobot": (
        Acrobots((1.0, 1.0), (1.0, 1.0), (0.5, 0.5), (1.0, 1.0), swapped=0.0),
        AcrobotEnv(),
    ),
    "MountainCar": (MountainCars((0.001, 0.001), (0.0025, 0.0025), swapped=0.0), MountainCarEnv()),
}  # fmt: skip


@pytest.mark.parametrize("name", USUAL)
def test_with_gymnasiums_own_numbers_the_physics_are_gymnasiums(name):
    distribution, theirs = USUAL[name]
    ours = distribution(np.random.default_rng(0))
    np.testing.assert_array_equal(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])
    rng = np.random.default_rng(1)
    for _ in range(100):
        action = int(rng.integers(theirs.action_space.n))
        mine, its = ours.step(action), theirs.step(action)
        np.testing.assert_allclose(mine[0], its[0], rtol=1e-6)
        assert mine[2] == its[2]
        if its[2]:
            ours.reset(), theirs.reset()


@pytest.mark.parametrize("distribution", [CartPoles, Acrobots, MountainCars])
def test_swapped_actions_do_what_the_other_side_does(distribution):
    alike, exchanged = (distribution(swapped=p)(np.random.default_rng(2)) for p in (0.0, 1.0))
    last = int(alike.action_space.n) - 1
    alike.reset(seed=0), exchanged.reset(seed=0)
    for action in (0, last, last, 0, last):
        shown = alike.step(action)[0], exchanged.step(last - action)[0]
        np.testing.assert_array_equal(*shown)


@pytest.mark.parametrize("distribution", [CartPoles, Acrobots, MountainCars])
def test_every_range_is_drawn_from_and_its_own(distribution):
    rng = np.random.default_rng(0)
    drawn = [vars(distribution()(rng)) for _ in range(50)]
    names = [n for n, v in drawn[0].items() if isinstance(v, float) and drawn[1][n] != v]
    table = np.abs([[each[name] for name in names] for each in drawn])
    correlations = np.corrcoef(table.T) - np.eye(len(names))
    independent = [
        n
        for n in names
        if n not in ("total_mass", "polemass_length", "LINK_COM_POS_1", "LINK_COM_POS_2")
    ]
    chosen = [names.index(name) for name in independent]
    assert np.abs(correlations[np.ix_(chosen, chosen)]).max() < 0.5
    assert len(chosen) == {CartPoles: 5, Acrobots: 4, MountainCars: 2}[distribution]


@pytest.mark.parametrize("distribution", [CartPoles, Acrobots, MountainCars])
@pytest.mark.parametrize("bad", [(2.0, 1.0), (0.0, 1.0), (1.0, np.inf), (1.0,), (np.nan, 1.0)])
def test_what_is_no_range_is_refused(distribution, bad):
    name = next(iter(distribution.__dataclass_fields__))
    with pytest.raises(ValueError, match=rf"`{name}` must be \(low, high\) with 0 < low"):
        distribution(**{name: bad})
    with pytest.raises(ValueError, match=r"`swapped` must be in \[0, 1\], got 1.5"):
        distribution(swapped=1.5)


def test_what_gymnasium_derives_from_a_pole_is_derived_from_the_drawn_one():
    env = CartPoles()(np.random.default_rng(0))
    assert env.total_mass == env.masspole + env.masscart
    assert env.polemass_length == env.masspole * env.length


def test_a_centre_of_mass_lies_on_its_link():
    with pytest.raises(ValueError, match="`com` must be fractions of at most 1"):
        Acrobots(com=(0.5, 1.2))


def test_pictures_are_the_drawn_environments():
    pytest.importorskip("pygame")
    env = gymnasium.make("vamdp/CartPole-v0", render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (400, 600, 3)
