"""A point robot in the plane must find a goal on a half circle; the goal is the task.

The robot starts every episode at the origin. The goal is at distance 1, at an angle drawn uniformly
from [0, pi]. It is never observed; only the reward reveals it. This is the standard sparse task of
meta-RL (Gupta et al., MAESN, 2018; Rakelly et al., PEARL, 2019; Zintgraf et al., VariBAD, 2020),
with steps of 0.1, episodes of 20 steps and a goal of radius 0.2, as in PEARL and VariBAD.

Two choices are ours. Actions are discrete, as everywhere in this package: stay, or step in one of
eight directions. The reward is 1 within the goal's radius, where theirs is 1 minus the distance.
Both rewards are sparse, so the half circle must be searched once and the goal remembered. With a
constant reward the optimum is a count of steps: the 9th step is the first to be paid (the 8th if
the goal is on an axis or a diagonal), and so is every later one. That is 12 per episode of 20
steps, and 60 in 100 steps.
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
EDGE = 1.5  # the plane ends here, in every direction
N_DIRECTIONS = 8

# Eight steps along an axis end 0.2 from the goal, up to rounding.
_ROUNDING = 1e-9

_ANGLES = np.arange(N_DIRECTIONS) * (2 * math.pi / N_DIRECTIONS)
MOVES = STEP * np.vstack([np.zeros(2), np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])])


class HalfCircleEnv(gymnasium.Env[npt.NDArray[np.float32], np.int64]):
    """The point robot with one goal; episodes do not end without a time limit.

    Observations are the robot's coordinates, clipped to [-1.5, 1.5]. Action 0 stays. Action k moves
    0.1 in the direction of (k - 1) * 45 degrees from the x-axis.

    Args:
        angle: Angle of the goal, in radians.
        radius: Distance from the goal up to which a step pays 1, above 0.
        noise: Standard deviation of the Gaussian noise on each coordinate per step, at least 0.

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
        """Move the robot; the reward depends on the position after the move.

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
        radius: Radius of the goal, above 0.
        noise: Standard deviation of the Gaussian noise on each coordinate per step, at least 0.

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
