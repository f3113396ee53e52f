"""The door of every object-level learner: what a wrapper asks of it, and nothing else.

While an agent lives in a task, an *estimator* learns from its transitions and adds what it thinks
of the present state to the observation. It serves a batch of n_tasks independent tasks, one row
each; a single environment is a batch of one. Any class with these methods can be passed to
`vamdp.ValueAugment` and `vamdp.vector.ValueAugment`; it need not inherit from anything.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Box


class Scales(NamedTuple):
    """What the numbers of an observation are divided by, so that they are about 1.

    Attributes:
        values: of everything in units of the reward.
        counts: of everything that counts visits.
    """

    values: float = 1.0
    counts: float = 1.0


#: Numbers as they are.
UNSCALED = Scales()


@runtime_checkable
class Estimator(Protocol):
    """A learner of n_tasks tasks at once.

    States come as float64 coordinates, shape (n_tasks, d), d the same for ever: an int state is one
    coordinate. Masks are bools of shape (n_tasks, n_actions), True where an action is allowed; a
    row without any True tells nothing, and what was told of that state before still holds. Rows of
    tasks must not depend on each other: row i learns what a batch of one would.

    With an attribute `takes_keys`, states come as a list instead: one key a task, any hashable, as
    the environment's `state_key` gives it.

    With an attribute `takes_reals`, real-valued observations come as they are, flat, where no
    `state_key` was given; others get them cut into bins.

    An attribute `action_parts` names the parts that have one entry per action, in the order of the
    actions; () if none has. Who learns from relabelled actions has to know them; without the
    attribute they are unknown.

    Attributes:
        n_tasks: number of tasks.
        n_actions: number of actions, the same in all tasks.
    """

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""

    @property
    def n_actions(self) -> int:
        """Number of actions."""

    def parts(self) -> Mapping[str, Box]:
        """The parts that it adds to an observation: name -> one-dimensional Box, in order."""

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget everything of the tasks in `rows` (n_tasks,): new ones begin there.

        With seeds[i], whatever row i draws at random begins anew: equal seeds, equal bits. Without
        one (None) it goes on drawing. Only new tasks are told, so the very first episode may begin
        without this call.
        """

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Episodes begin in `rows` (n_tasks,), in these of the states; None: no mask is told."""

    def update(
        self,
        states: npt.NDArray[np.float64],
        actions: npt.NDArray[np.int64],
        rewards: npt.NDArray[np.float64],
        next_states: npt.NDArray[np.float64],
        terminated: npt.NDArray[np.bool_],
        next_action_masks: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Take in one transition of each task.

        Args:
            states: the states acted in.
            actions: (n_tasks,), in [0, n_actions).
            rewards: (n_tasks,), finite.
            next_states: the states reached.
            terminated: (n_tasks,), whether the task's own end was reached; never a time limit.
            next_action_masks: what `next_states` allow; None: no mask is told.
        """

    def write(
        self, states: npt.NDArray[np.float64], scales: Scales, out: npt.NDArray[np.float32]
    ) -> None:
        """Write the parts of these states, one after the other, into `out` (n_tasks, size).

        It may be called any number of times between two steps, and changes nothing in the learner:
        it draws no random numbers.
        """
