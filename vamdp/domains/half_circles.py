"""A point robot in the plane that must find a goal on a half circle, the goal being the task.

The robot starts every episode at the origin. The goal lies at distance 1, at an angle drawn
uniformly from [0, pi], and is never shown: only its reward tells. It is the standard sparse task of
meta-RL (Gupta et al., MAESN, 2018; Rakelly et al., PEARL, 2019; Zintgraf et al., VariBAD, 2020),
with steps of 0.1, episodes of 20 steps and a goal of radius 0.2, as in PEARL and VariBAD.

Two choices are ours. Actions are discrete, as all that this package learns: stay, or one step in
one of eight directions. And the reward is 1 within the goal's radius, where theirs is 1 minus the
distance. Both are sparse, so that the half circle must be searched once and then remembered;
without the slope at the goal the optimum is a count of steps. Who knows the goal needs 9 steps to
it, or 8 where it lies just on an axis or a diagonal, and stays: 12 in an episode of 20, 60 in 100
steps.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded

from vamdp.argument_checks import check_not_negative, check_scale
from vamdp.domains.entry_points import sampled_entry_points

STEP = 0.1
EDGE = 1.5  # of the plane, in every direction
N_DIRECTIONS = 8

# Eight steps along an axis end at 0.2 from the goal, up to rounding.
_ROUNDING = 1e-9

_ANGLES = np.arange(N_DIRECTIONS) * (2 * math.pi / N_DIRECTIONS)
MOVES = STEP * np.vstack([np.zeros(2), np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])])


class HalfCircleEnv(gymnasium.Env[npt.NDArray[np.float32], np.int64]):
    """One goal for the point robot; no episode ends by itself.

    Observations are the robot's coordinates, in [-1.5, 1.5]: the edge stops it. Action 0 stays,
    action k goes 0.1 in the direction of (k - 1) * 45 degrees, the first being the x-axis.

    Args:
        angle: Of the goal, in radians.
        radius: Distance from the goal up to which a step pays 1.
        noise: Standard deviation of what is added to each coordinate in every step.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> env = HalfCircleEnv(angle=0.0)
        >>> _ = env.reset(seed=0)
        >>> [env.step(1)[1] for _ in range(9)]
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  gymnasium declares it so

    def __init__(self, angle: float, *, radius: float = 0.2, noise: float = 0.0) -> None:
        check_scale("radius", radius)
        check_not_negative("noise", noise)
        if not math.isfinite(angle):
            raise ValueError(f"`angle` must be finite, got {angle!r}.")
        self.goal = np.array([math.cos(angle), math.sin(angle)])
        self.radius, self.noise = float(radius), float(noise)
        self.observation_space = gymnasium.spaces.Box(-EDGE, EDGE, (2,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(N_DIRECTIONS + 1)
        self._position: npt.NDArray[np.float64] | None = None  # no episode is running

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Put the robot at the origin."""
        super().reset(seed=seed)
        self._position = np.zeros(2)
        return self._position.astype(np.float32), {}

    def step(
        self, action: int | np.int64
    ) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Move the robot; the reward is that of the place it comes to.

        Raises:
            ValueError: `action` is not in the action space.
            ResetNeeded: `reset` was never called.
        """
        action = operator.index(action)
        if not 0 <= action <= N_DIRECTIONS:
            raise ValueError(f"`action` must be in [0, {N_DIRECTIONS}], got {action}.")
        if self._position is None:
            raise ResetNeeded("No episode is running: call reset() before step().")
        moved = self._position + MOVES[action]
        if self.noise > 0:
            moved += self.np_random.normal(0.0, self.noise, 2)
        self._position = np.clip(moved, -EDGE, EDGE)
        away = math.dist(self._position, self.goal)
        reward = float(away <= self.radius + _ROUNDING)
        return self._position.astype(np.float32), reward, False, False, {}


@dataclass(frozen=True)
class HalfCircles:
    """The distribution of goals on the half circle.

    Args:
        radius: Of the goal.
        noise: Of the robot's steps, see `HalfCircleEnv`.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> HalfCircles()(np.random.default_rng(0)).goal.round(2)
        array([-0.42,  0.91])
    """

    radius: float = 0.2
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_scale("radius", self.radius)
        check_not_negative("noise", self.noise)

    def __call__(self, rng: np.random.Generator) -> HalfCircleEnv:
        """Draw a task."""
        angle = float(rng.uniform(0.0, math.pi))
        return HalfCircleEnv(angle, radius=self.radius, noise=self.noise)


env, vector_env = sampled_entry_points(HalfCircles)
