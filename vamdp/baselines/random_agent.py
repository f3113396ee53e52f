"""The agent that learns nothing: the bottom line of every table."""

from typing import Any

import numpy as np
import numpy.typing as npt


class RandomAgent:
    """Takes every action with the same probability.

    Args:
        n_actions: At least 1.
        seed: Of its actions.

    Raises:
        ValueError: There is no action.

    Example:
        >>> agent = RandomAgent(n_actions=1, seed=0)
        >>> agent.start(2)
        >>> agent.act(np.zeros((2, 7)))
        array([0, 0])
    """

    def __init__(self, n_actions: int, seed: int) -> None:
        if n_actions < 1:
            raise ValueError(f"`n_actions` must be at least 1, got {n_actions}.")
        self.n_actions = n_actions
        self._rng = np.random.default_rng(seed)
        self._n_tasks = 0

    def start(self, n_tasks: int) -> None:
        """Begin meta-episodes in this many new tasks."""
        self._n_tasks = n_tasks

    def act(self, observations: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return actions, shape (n_tasks,); the observations are not looked at."""
        return self._rng.integers(self.n_actions, size=self._n_tasks)
