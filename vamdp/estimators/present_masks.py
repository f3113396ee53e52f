"""Action masks for learners of real-valued states: a mask holds for exactly one state.

A real-valued state rarely occurs twice, and its neighbours may allow other actions. So each task
keeps only its last known mask and that mask's state. In every other state all actions count as
allowed.
"""

import numpy as np
import numpy.typing as npt


class PresentMasks:
    """The last known mask of each of n_tasks tasks, and its state.

    Args:
        n_tasks: Number of tasks.
        n_actions: Number of actions A.
    """

    def __init__(self, n_tasks: int, n_actions: int) -> None:
        self._is_told = np.zeros(n_tasks, np.bool_)
        self._masked = np.zeros((n_tasks, n_actions), np.bool_)
        self._states = np.zeros((n_tasks, 0))

    def note(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        allowed: npt.NDArray[np.bool_],
    ) -> None:
        """Store the known masks (n_tasks, A) of the states (n_tasks, d) in `rows`."""
        told = rows & allowed.any(axis=1)
        if self._states.shape != states.shape:
            self._states = np.zeros(states.shape)
        self._states[told], self._masked[told] = states[told], ~allowed[told]
        self._is_told |= told

    def masked(self, states: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which actions are masked in these states, shape (n_tasks, A)."""
        if not self._is_told.any():
            return np.zeros_like(self._masked)
        is_the_same = self._is_told & (self._states == states).all(axis=1)
        masked: npt.NDArray[np.bool_] = self._masked & is_the_same[:, None]
        return masked

    def forget(self, rows: npt.NDArray[np.bool_]) -> None:
        """Forget the masks of these tasks."""
        self._is_told[rows] = False
