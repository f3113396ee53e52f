"""Gymnasium's MountainCar with a new engine force and a new gravity for each task.

If the engine is strong enough for the gravity, the car can drive straight up; otherwise it must
swing back first. Pushing along the car's motion reaches the goal whenever it can be reached, so
varying force and gravity alone leaves little to learn. The direction of the actions is therefore
random as well.

Rewards are -1 per step, and 0 in the step that reaches the goal. With Gymnasium's -1 in that step
too, every meta-episode with restarts would total -H. Here it totals the number of goals minus H.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.envs.classic_control import MountainCarEnv

from vamdp.argument_checks import check_share
from vamdp.domains.entry_points import sampled_entry_points
from vamdp.domains.ranges import Range, check_positive_range, draw


class RewardedCar(MountainCarEnv):
    """MountainCar with reward 0 in the step that reaches the goal."""

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step as MountainCar does, with this class's reward."""
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, 0.0 if terminated else reward, terminated, truncated, info


@dataclass(frozen=True)
class MountainCars:
    """The distribution of mountain cars; each quantity is uniform in its range.

    Args:
        force: Force of the engine; Gymnasium's is 0.001. The car can drive straight up if the force
            is above a threshold of 0.75 to 1 times the gravity.
        gravity: Gravity; Gymnasium's is 0.0025.
        swapped: Probability that actions 0 and 2 are swapped.
        render_mode: MountainCar's `render_mode` of the drawn environments.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> env = MountainCars(gravity=(0.002, 0.002))(np.random.default_rng(0))
        >>> env.gravity
        0.002
    """

    force: Range = (0.001, 0.004)
    gravity: Range = (0.0015, 0.0035)
    swapped: float = 0.5
    render_mode: str | None = None

    def __post_init__(self) -> None:
        for name in ("force", "gravity"):
            check_positive_range(name, getattr(self, name))
        check_share("swapped", self.swapped)

    def __call__(self, rng: np.random.Generator) -> RewardedCar:
        """Draw a task."""
        env = RewardedCar(render_mode=self.render_mode)
        env.force, env.gravity = draw(rng, self.force), draw(rng, self.gravity)
        if rng.random() < self.swapped:
            env.force = -env.force
        return env


env, vector_env = sampled_entry_points(MountainCars, metadata=MountainCarEnv.metadata)
