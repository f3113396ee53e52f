"""The base class of learners that look up Q, counts and masks of one state per task."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from vamdp.argument_checks import check_positive_integer
from vamdp.estimators.arguments import check_out
from vamdp.estimators.estimator import Scales
from vamdp.estimators.q_parts import Q_ACTION_PARTS, q_parts, write_each

Rows = tuple[npt.NDArray[np.float64], npt.NDArray[Any], npt.NDArray[np.bool_]]


class QRows(ABC):
    """The output half of an `Estimator` of Q; a subclass adds `_look_up` and learning.

    Args:
        n_tasks: Number of tasks, at least 1.
        n_actions: Number of actions A, at least 1, the same in all tasks.

    Raises:
        ValueError: A number is out of range.
    """

    #: Names of the parts with one entry per action, see `Estimator`.
    action_parts = Q_ACTION_PARTS

    def __init__(self, n_tasks: int, n_actions: int) -> None:
        check_positive_integer("n_tasks", n_tasks)
        check_positive_integer("n_actions", n_actions)
        self.n_tasks, self.n_actions = int(n_tasks), int(n_actions)

    def parts(self) -> dict[str, spaces.Box]:
        """Return the parts added to an observation: advantages, value and counts."""
        return q_parts(self.n_actions)

    def write(self, states: npt.ArrayLike, scales: Scales, out: npt.NDArray[np.float32]) -> None:
        """Write advantages, value and counts of one state per task into `out`.

        `out` has shape (n_tasks, 2 A + 1).
        """
        check_out(out, self.n_tasks, 2 * self.n_actions + 1)
        Q, counts, masked = self._look_up(states)
        write_each(Q, masked, counts, scales.values, scales.counts, out)

    def q_values(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return Q of one state per task, shape (n_tasks, A)."""
        return self._look_up(states)[0]

    def value(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the maximum of Q over the allowed actions of one state per task, (n_tasks,)."""
        Q, _, masked = self._look_up(states)
        best: npt.NDArray[np.float64] = np.where(masked, -np.inf, Q).max(axis=1)
        return best

    def counts(self, states: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return how often each action was taken in one state per task, shape (n_tasks, A).

        The counts of a learner of real-valued states are soft: a visit also counts for nearby
        states.
        """
        return self._look_up(states)[1]

    @abstractmethod
    def _look_up(self, states: npt.ArrayLike) -> Rows:
        """Return Q, counts and masked actions of one state per task, each (n_tasks, A)."""
