"""Showing tabular states by their coordinates instead of their indices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box

from vamdp.argument_checks import check_scale
from vamdp.mdp.tabular_mdp import TabularMDP


class Coordinates:
    """What is seen of each state: its features divided by a scale, and how to read them back.

    Args:
        task: Any one of the distribution; all must have the same features.
        scale: Above 0.

    Attributes:
        space: Of a single observation, shape (d,).
        observations: Of each state, float32 of shape (S, d).

    Raises:
        ValueError: `scale` is not above 0, or the task's features are not whole numbers.
    """

    def __init__(self, task: TabularMDP, scale: float) -> None:
        check_scale("feature_scale", scale)
        features = task.features
        if features is None or (features != np.rint(features)).any():
            raise ValueError(
                f"`feature_scale` must be None for tasks without features that are whole numbers, "
                f"got {scale!r}. Give them `features`, or leave it out."
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
        """Return the coordinates, whole numbers, that an observation (d,) shows."""
        return tuple([round(x * self._scale) for x in observation.tolist()])

    def keys(self, observations: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the coordinates that observations (n, d) show, shape (n, d)."""
        keys: npt.NDArray[np.float64] = np.rint(observations.astype(np.float64) * self._scale)
        return keys

    def check(self, name: str, task: TabularMDP) -> None:
        """Raise ValueError unless the task called `name` has these features."""
        if task.features is not self._features and not np.array_equal(
            np.asarray(task.features), self._features
        ):
            raise ValueError(
                f"`{name}` must have the features of the other tasks, got {task.features!r}. "
                "Leave `feature_scale` out to show indices."
            )
