"""What the tests of the wrappers share: small environments, and comparing streams."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from vamdp.mdp.tabular_mdp import TabularMDP


class Script(gymnasium.Env[Any, Any]):
    """Plays a list of (observation, reward, terminated, truncated, info), starting at `start`.

    Each episode goes on in the list where the last one stopped; `resets` and `actions` note calls.
    """

    def __init__(
        self, steps, start=0, observation_space=None, action_space=None, start_info=None
    ) -> None:
        self.observation_space = observation_space or spaces.Discrete(5)
        self.action_space = action_space or spaces.Discrete(3)
        self.steps, self.start, self.start_info = steps, start, start_info or {}
        self.resets: list[Any] = []
        self.actions: list[Any] = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.resets.append((seed, options))
        return self.start, dict(self.start_info)

    def step(self, action):
        self.actions.append(action)
        return self.steps[(len(self.actions) - 1) % len(self.steps)]


class Masked(gymnasium.Env[Any, Any]):
    """A random walk over 5 states of which each forbids some of its 3 actions; 4 ends it."""

    def __init__(self, sometimes=False) -> None:
        self.observation_space, self.action_space = spaces.Discrete(5), spaces.Discrete(3)
        self.sometimes = sometimes

    def _info(self):
        allowed = np.array([True, self.state % 2 == 0, self.state != 2])
        if self.state == 4:
            allowed[:] = False
        if self.sometimes and self.np_random.random() < 0.4:
            return {}
        return {"action_mask": allowed.astype(np.int8)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = int(self.np_random.integers(4))
        return self.state, self._info()

    def step(self, action):
        self.state = int(self.np_random.integers(5))
        ends = self.state == 4
        return self.state, float(action + self.state), ends, False, self._info()


def blackjack_like(rng: np.random.Generator) -> TabularMDP:
    """Ends in states that also occur in play, starts vary, rewards are noisy."""
    P = rng.dirichlet(np.ones(6), (6, 2))
    return TabularMDP.from_dense(
        P,
        rng.normal(size=(6, 2, 6)),
        terminal=rng.random((6, 2, 6)) < 0.2,
        start=rng.dirichlet(np.ones(6)),
        reward_noise=0.5,
    )


def play(env, seed, n_steps, actions_seed=0) -> list[Any]:
    """Everything that an environment returns, restarting where it ends; random actions."""
    rng = np.random.default_rng(actions_seed)
    stream = [env.reset(seed=seed)]
    for _ in range(n_steps):
        result = env.step(int(rng.integers(env.action_space.n)) + int(env.action_space.start))
        stream.append(result)
        if result[2] or result[3]:
            stream.append(env.reset())
    return stream


def without_times(tree):
    """The same without the wall-clock times of episode statistics."""
    if isinstance(tree, dict):
        return {key: without_times(value) for key, value in tree.items() if key not in ("t", "_t")}
    if isinstance(tree, (list, tuple)):
        return [without_times(value) for value in tree]
    return tree


def assert_same_infos(ours, theirs) -> None:
    """Equal names and masks, and equal values where the masks are True."""
    ours, theirs = ({k: v for k, v in i.items() if "last_info" not in k} for i in (ours, theirs))
    if "r" in theirs:  # statistics: gymnasium's own batched ones have no masks inside
        theirs = {name: theirs[name] for name in ("r", "l", "t")}
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if name in ("t", "_t"):
            continue
        if isinstance(value, dict):
            assert_same_infos(ours[name], value)
        elif f"_{name}" in theirs:
            for i in np.flatnonzero(theirs[f"_{name}"]):
                mine = ours[name]
                row = tuple(part[i] for part in mine) if isinstance(mine, tuple) else mine[i]
                np.testing.assert_equal(row, value[i], err_msg=name)
        else:
            np.testing.assert_array_equal(ours[name], value, err_msg=name)


def assert_batch_equals_singles(batch, single, n, seeds, steps_each, options=(None,)) -> None:
    """Drive a batch and a SyncVectorEnv of the singles alike, from each of the seeds."""
    loop = SyncVectorEnv([single] * n, autoreset_mode=AutoresetMode.SAME_STEP)
    assert batch.single_observation_space == loop.single_observation_space
    rng = np.random.default_rng(5)
    space = batch.single_action_space
    for seed in seeds:
        for option in options:
            results = [
                env.reset(seed=seed, options=option and dict(option)) for env in (batch, loop)
            ]
            np.testing.assert_array_equal(results[0][0], results[1][0])
            assert_same_infos(results[0][1], results[1][1])
            for _ in range(steps_each):
                actions = rng.integers(space.start, space.start + space.n, n)
                ours, theirs = batch.step(actions), loop.step(actions)
                for mine, other in zip(ours[:4], theirs[:4], strict=True):
                    assert mine.dtype == other.dtype
                    np.testing.assert_array_equal(mine, other)
                assert_same_infos(ours[4], theirs[4])


def same_step(make: Callable[[], gymnasium.Env[Any, Any]], n: int) -> SyncVectorEnv:
    return SyncVectorEnv([make] * n, autoreset_mode=AutoresetMode.SAME_STEP)


@pytest.fixture(scope="session")
def tools():
    """The above, since test modules cannot import their neighbours."""
    import types

    return types.SimpleNamespace(
        Script=Script,
        Masked=Masked,
        blackjack_like=blackjack_like,
        play=play,
        without_times=without_times,
        assert_same_infos=assert_same_infos,
        assert_batch_equals_singles=assert_batch_equals_singles,
        same_step=same_step,
    )
