"""The protocol of object-level learners, as the wrappers use them.

An *estimator* learns from an agent's transitions in a task, and adds its estimates for the current
state to the observation. It serves a batch of n_tasks independent tasks, one row each; a single
environment is a batch of one. Any class with these methods can be passed to `vamdp.ValueAugment`
and `vamdp.vector.ValueAugment`; it need not inherit from anything.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box


class Scales(NamedTuple):
    """Divisors of the numbers in an observation, which bring them to about 1.

    Attributes:
        values: Divisor of all numbers in units of reward.
        counts: Divisor of all numbers that count visits.
    """

    values: float = 1.0
    counts: float = 1.0


#: Scales of 1.
UNSCALED = Scales()


@runtime_checkable
class Estimator(Protocol):
    """A learner of n_tasks tasks at once.

    States are float64 coordinates of shape (n_tasks, d), with the same d in every call; an int
    state is one coordinate. Masks are bools of shape (n_tasks, n_actions), True where an action is
    allowed. A row without any True means that the mask is unknown, and the last known mask of that
    state still holds. Rows must not depend on each other: row i learns what a batch of one would.

    Four attributes are optional:

    - `takes_keys`: states are a list instead, with one hashable key per task, as returned by the
      environment's `state_key`.
    - `takes_reals`: if there is no `state_key`, states are real-valued observations, flattened.
      Estimators without it get them discretized into bins.
    - `action_parts`: the names of the parts with one entry per action, in the order of the actions;
      () if there are none. Training on relabelled actions needs them.
    - `has_axes`: True if what is learned of a task that is turned or mirrored differs from the
      turned or mirrored values, as with features of coordinates.

    Attributes:
        n_tasks: Number of tasks.
        n_actions: Number of actions, the same in all tasks.
    """

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""

    @property
    def n_actions(self) -> int:
        """Number of actions."""

    def parts(self) -> Mapping[str, Box]:
        """Return the parts added to an observation, in order: name -> one-dimensional Box."""

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget everything about the tasks in `rows` (n_tasks,), because new tasks begin there.

        A seed seeds[i] restarts the random numbers of row i: equal seeds give equal bits. None
        continues them. The call is made when a task changes, so the first episode of all may begin
        without it.
        """

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Note that episodes begin in `rows` (n_tasks,), in the states given there.

        Where a time limit cut the episode before, nothing else says so: its last `update` had no
        `terminated`.

        Args:
            rows: Where an episode begins, shape (n_tasks,).
            states: One state per task; only those of `rows` count.
            action_masks: The actions allowed in `states`; None if masks are unknown.
        """

    def update(
        self,
        states: npt.NDArray[np.float64],
        actions: npt.NDArray[np.int64],
        rewards: npt.NDArray[np.float64],
        next_states: npt.NDArray[np.float64],
        terminated: npt.NDArray[np.bool_],
        next_action_masks: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Learn from one transition of each task.

        Args:
            states: The states in which the actions were taken.
            actions: The actions, shape (n_tasks,), in [0, n_actions).
            rewards: The rewards, shape (n_tasks,), finite.
            next_states: The states reached.
            terminated: Whether the task ended the episode, shape (n_tasks,); False at time limits.
            next_action_masks: The actions allowed in `next_states`; None if masks are unknown.
        """

    def write(
        self, states: npt.NDArray[np.float64], scales: Scales, out: npt.NDArray[np.float32]
    ) -> None:
        """Write the parts of these states, one after the other, into `out` (n_tasks, size).

        It may be called any number of times between two steps. It must not change the learner and
        must not draw random numbers.
        """
