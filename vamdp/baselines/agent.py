"""What every agent of an evaluation is: a trained policy, a classical agent, the random one.

An agent lives through a batch of meta-episodes, one task each, in step with each other:

    agent.start(n_tasks, seed)
    for t in range(H):
        actions = agent.act(...)        # of states or of observations, see `sees`
        agent.learn(states, actions, rewards, next_states, terminated, truncated)

Episodes end and restart in between, in some of the tasks; `learn` tells where.
"""

from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt


class Agent(Protocol):
    """Acts in a batch of meta-episodes."""

    @property
    def title(self) -> str:
        """Its name in tables and figures."""

    @property
    def sees(self) -> Literal["states", "observations", "nothing"]:
        """What `act` looks at: the indices of the tasks' states, or what the environment shows.

        Observations hold the previous action and reward, so `learn` is called for agents that see
        states only. Those that see nothing can play any tasks, also such that are no tables.
        """

    def start(self, n_tasks: int, seed: int) -> None:
        """Begin meta-episodes in this many new tasks, and forget the tasks before.

        Args:
            n_tasks: At least 1.
            seed: Of all that is random in the agent: same seed, same actions.
        """

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return actions, shape (n_tasks,).

        Args:
            seen: The present states, shape (n_tasks,), or observations, shape (n_tasks, C).
        """

    def learn(
        self,
        states: npt.NDArray[np.int64],
        actions: npt.NDArray[np.int64],
        rewards: npt.NDArray[np.float64],
        next_states: npt.NDArray[np.int64],
        terminated: npt.NDArray[np.bool_],
        truncated: npt.NDArray[np.bool_],
    ) -> None:
        """Take in what the step did; all have shape (n_tasks,).

        Args:
            states: Where the agents acted.
            actions: What they did.
            rewards: What they got.
            next_states: What the step led to, also where it ended the episode.
            terminated: Whether the task's own end was reached.
            truncated: Whether a time limit cut the episode.
        """
