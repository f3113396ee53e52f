"""The random agent, the lowest reference of every table."""

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_positive_integer
from vamdp.baselines.played_step import check_start


class RandomAgent:
    """Takes every action with the same probability, among those that are allowed.

    Args:
        n_actions: At least 1.

    Attributes:
        action_masks: See `vamdp.baselines.Agent`.

    Raises:
        ValueError: `n_actions` is below 1.

    Example:
        >>> agent = RandomAgent(n_actions=1)
        >>> agent.start(2, seed=0)
        >>> agent.act(np.zeros(2, np.int64))
        array([0, 0])
    """

    title = "random"
    sees: ClassVar[Literal["nothing"]] = "nothing"

    def __init__(self, n_actions: int) -> None:
        check_positive_integer("n_actions", n_actions)
        self.n_actions = n_actions
        self.action_masks: npt.NDArray[np.bool_] | None = None
        self._rng = np.random.default_rng(0)
        self._n_tasks = 0

    def start(self, n_tasks: int, seed: int) -> None:
        """Begin meta-episodes in this many new tasks."""
        check_start(n_tasks, seed)
        self._rng = np.random.default_rng(seed)
        self._n_tasks = n_tasks
        self.action_masks = None

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return actions, shape (n_tasks,); `seen` is ignored."""
        masks = self.action_masks
        if masks is None:
            return self._rng.integers(self.n_actions, size=self._n_tasks)
        which = self._rng.integers(masks.sum(axis=1))  # of the allowed ones, in their order
        actions: npt.NDArray[np.int64] = np.argmax(masks.cumsum(axis=1) > which[:, None], axis=1)
        return actions

    def learn(self, *transition: npt.NDArray[Any]) -> None:
        """Do nothing: this agent does not learn."""
