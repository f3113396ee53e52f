"""The values that the model-based learner would plan if it knew the task."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vamdp import TabularMDP


def true_q(task: TabularMDP, horizon: int, gamma: float) -> npt.NDArray[np.float64]:
    """Return Q*, shape (S, A), for the next `horizon` steps of an episode.

    Args:
        task: The task with the true P and R.
        horizon: Number of sweeps in the learner's planning.
        gamma: The learner's discount factor.

    Example:
        >>> from vamdp.domains import Bandits
        >>> true_q(Bandits(n_arms=2).task(np.array([0.25, 1.0])), 1, 1.0)
        array([[0.25, 1.  ]])
    """
    V = task.optimal_values(horizon - 1, gamma) if horizon > 1 else np.zeros(task.n_states)
    reward = np.clip(task.reward, 0, 1) if task.reward_noise == "bernoulli" else task.reward
    outcomes = task.probability * (reward + gamma * np.where(task.ends, 0.0, V[task.successor]))
    by_row = np.add.reduceat(outcomes, task.rows[:-1])[:-1]  # without the start distribution's row
    return by_row.reshape(task.n_states, task.n_actions)


def reachable(task: TabularMDP) -> npt.NDArray[np.bool_]:
    """Return the states, bools (S,), in which an episode can be before it ends."""
    n_outcomes = task.rows[-2]  # without those of the start
    state = np.repeat(np.arange(task.n_states * task.n_actions), np.diff(task.rows[:-1]))
    state //= task.n_actions
    goes_on = (task.probability[:n_outcomes] > 0) & ~task.ends[:n_outcomes]
    seen: npt.NDArray[np.bool_] = task.start_distribution > 0
    for _ in range(task.n_states):
        seen[task.successor[:n_outcomes][goes_on & seen[state]]] = True
    return seen
