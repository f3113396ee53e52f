"""The learner in an environment's spec: each environment made from it gets a copy."""

import copy
from typing import Any


class Recorded:
    """A learner as it was passed, before it has learned anything more.

    Args:
        learner: A copy of the learner; None if there is none because it cannot be copied.
        name: Its class, for the error.
    """

    def __init__(self, learner: Any, name: str) -> None:
        self._learner, self._name = learner, name

    @classmethod
    def of(cls, estimator: Any) -> Any:
        """Return what a spec should remember: names and functions themselves, else a copy."""
        if estimator is None or isinstance(estimator, (str, type)):
            return estimator
        if callable(estimator) and not hasattr(estimator, "update"):
            return estimator
        try:
            return cls(copy.deepcopy(estimator), type(estimator).__name__)
        except Exception:  # a lock, an open file: whatever its author put into it
            return cls(None, type(estimator).__name__)

    def copy(self) -> Any:
        """Return a learner for one environment.

        Raises:
            ValueError: The learner cannot be copied.
        """
        if self._learner is None:
            raise ValueError(
                f"`estimator` must be a function (n_tasks, n_actions) -> learner to make further "
                f"environments from a spec, got a {self._name}, which cannot be copied."
            )
        return copy.deepcopy(self._learner)
