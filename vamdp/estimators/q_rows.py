"""What a learner shows that looks up Q, counts and masks of one state per task."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from vamdp.argument_checks import check_positive_integer
from vamdp.estimators.estimator import Scales
from vamdp.estimators.q_parts import Q_ACTION_PARTS, q_parts, write_each

Rows = tuple[npt.NDArray[np.float64], npt.NDArray[Any], npt.NDArray[np.bool_]]


class QRows(ABC):
    """The showing half of an `Estimator` of Q: a learner adds `_look_up` and what it learns by.

    Args:
        n_tasks: number of tasks, at least 1.
        n_actions: number of actions A, at least 1, the same in all tasks.

    Raises:
        ValueError: a number is out of its range.
    """

    #: See `Estimator`.
    action_parts = Q_ACTION_PARTS

    def __init__(self, n_tasks: int, n_actions: int) -> None:
        check_positive_integer("n_tasks", n_tasks)
        check_positive_integer("n_actions", n_actions)
        self.n_tasks, self.n_actions = int(n_tasks), int(n_actions)

    def parts(self) -> dict[str, spaces.Box]:
        """The parts that it adds to an observation: advantages, value and counts."""
        return q_parts(self.n_actions)

    def write(self, states: npt.ArrayLike, scales: Scales, out: npt.NDArray[np.float32]) -> None:
        """Advantages, value and counts of one state per task into `out` (n_tasks, 2 A + 1)."""
        Q, counts, masked = self._look_up(states)
        write_each(Q, masked, counts, scales.values, scales.counts, out)

    def q_values(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Q of one state per task, shape (n_tasks, A)."""
        return self._look_up(states)[0]

    def value(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The maximum of Q over the allowed actions of one state per task, shape (n_tasks,)."""
        Q, _, masked = self._look_up(states)
        best: npt.NDArray[np.float64] = np.where(masked, -np.inf, Q).max(axis=1)
        return best

    def counts(self, states: npt.ArrayLike) -> npt.NDArray[Any]:
        """How often each action was taken in one state per task, shape (n_tasks, A).

        Where states are real numbers these are soft: a visit counts for its neighbours too.
        """
        return self._look_up(states)[1]

    @abstractmethod
    def _look_up(self, states: npt.ArrayLike) -> Rows:
        """Q, counts and masked actions of one state per task, (n_tasks, A) each."""

    def _marked(self, tasks: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_]:
        """A mask of tasks (n_tasks,), all where it is None; ValueError for another shape."""
        which = np.ones(self.n_tasks, np.bool_) if tasks is None else np.asarray(tasks, np.bool_)
        if which.shape != (self.n_tasks,):
            raise ValueError(f"`tasks` must have shape ({self.n_tasks},), got {which.shape}.")
        return which
