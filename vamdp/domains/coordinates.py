"""Observe tabular states as coordinates instead of indices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box

from vamdp.argument_checks import check_scale
from vamdp.mdp.tabular_mdp import TabularMDP


class Coordinates:
    """Observations of states, which are features divided by a scale, and their inverse.

    Args:
        task: Any task of the distribution; all must have the same features.
        scale: The divisor, above 0.

    Attributes:
        space: The space of a single observation, shape (d,).
        observations: The observation of each state, float32 of shape (S, d).

    Raises:
        ValueError: `scale` is not above 0, the features are not integers, or float32 observations
            cannot tell them apart.
    """

    def __init__(self, task: TabularMDP, scale: float) -> None:
        check_scale("feature_scale", scale)
        features = task.features
        if features is None or (features != np.rint(features)).any():
            raise ValueError(
                f"`feature_scale` must be None for tasks without integer features, got {scale!r}. "
                "Give the tasks integer `features`, or leave `feature_scale` out."
            )
        self._features = features
        self._scale = float(scale)
        with np.errstate(over="ignore"):
            self.observations = (features / scale).astype(np.float32)
        if not np.array_equal(self.keys(self.observations), features):
            raise ValueError(
                f"`feature_scale` must keep features apart in float32, got {scale!r} with features "
                f"up to {np.abs(features).max():.0f}. Choose a scale about as large as they are."
            )
        self.space = Box(
            self.observations.min(axis=0), self.observations.max(axis=0), dtype=np.float32
        )

    def key(self, observation: npt.NDArray[np.float32]) -> tuple[int, ...]:
        """Return the integer coordinates of an observation (d,)."""
        return tuple([round(x * self._scale) for x in observation.tolist()])

    def keys(self, observations: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the coordinates of observations (n, d), shape (n, d)."""
        keys: npt.NDArray[np.float64] = np.rint(observations.astype(np.float64) * self._scale)
        return keys

    def check(self, name: str, task: TabularMDP) -> None:
        """Raise ValueError unless the task has these features; `name` is for the message."""
        if task.features is not self._features and not np.array_equal(
            np.asarray(task.features), self._features
        ):
            raise ValueError(
                f"`{name}` must have the features of the other tasks, got {task.features!r}. "
                "Leave `feature_scale` out to observe state indices instead."
            )
