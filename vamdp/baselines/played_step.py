"""Check one step of a batch of tasks before compiled code counts it."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_count, check_positive_integer
from vamdp.estimators.arguments import as_flags, as_indices, as_rewards


class PlayedStep(NamedTuple):
    """One step of every task; all arrays have shape (n_tasks,), see `Agent.learn`."""

    states: npt.NDArray[np.int64]
    actions: npt.NDArray[np.int64]
    rewards: npt.NDArray[np.float64]
    next_states: npt.NDArray[np.int64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]


def check_start(n_tasks: object, seed: object) -> None:
    """Raise ValueError unless these are arguments of `Agent.start`."""
    check_positive_integer("n_tasks", n_tasks)
    check_count("seed", seed)


def as_played_step(
    n_tasks: int,
    n_states: int,
    n_actions: int,
    states: npt.ArrayLike,
    actions: npt.ArrayLike,
    rewards: npt.ArrayLike,
    next_states: npt.ArrayLike,
    terminated: npt.ArrayLike,
    truncated: npt.ArrayLike,
) -> PlayedStep:
    """Return the step in new arrays that compiled code can index with.

    Raises:
        ValueError: An argument has another shape, type or range.
    """
    return PlayedStep(
        as_indices("states", states, n_tasks, n_states),
        as_indices("actions", actions, n_tasks, n_actions),
        as_rewards(rewards, n_tasks),
        as_indices("next_states", next_states, n_tasks, n_states),
        as_flags("terminated", terminated, n_tasks),
        as_flags("truncated", truncated, n_tasks),
    )
