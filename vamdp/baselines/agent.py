"""The protocol of every agent in an evaluation: trained policies, classical agents, the random one.

An agent plays a batch of meta-episodes, one per task, in lockstep:

    agent.start(n_tasks, seed)
    for t in range(H):
        actions = agent.act(...)        # states or observations, see `sees`
        agent.learn(states, actions, rewards, next_states, terminated, truncated)

Episodes end and restart at different steps in different tasks; `terminated` and `truncated` say
where.
"""

from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt


class Agent(Protocol):
    """Acts in a batch of meta-episodes.

    An agent that has an attribute `action_masks` is told before each `act` which actions are
    allowed: bools, shape (n_tasks, n_actions), or None where all are. Others may take forbidden
    actions.
    """

    @property
    def title(self) -> str:
        """Its name in tables and figures."""

    @property
    def sees(self) -> Literal["states", "observations", "nothing"]:
        """What `act` is given, state indices, the environment's observations, or nothing.

        `learn` is called only for agents that see states, because observations contain the previous
        action and reward. Agents that see nothing can play any task, including tasks that are
        environments instead of tables.
        """

    def start(self, n_tasks: int, seed: int) -> None:
        """Begin meta-episodes in this many new tasks, and forget the tasks before.

        Args:
            n_tasks: At least 1.
            seed: Seed of the agent's random numbers, at least 0: same seed, same actions.
        """

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return actions, shape (n_tasks,).

        Args:
            seen: The current states, shape (n_tasks,), or observations, shape (n_tasks, C).
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
        """Learn from one step of every task; all arrays have shape (n_tasks,).

        Args:
            states: The states in which the actions were taken.
            actions: The actions taken.
            rewards: The rewards received.
            next_states: The states reached; at the end of an episode, its last state.
            terminated: Whether the task ended the episode.
            truncated: Whether a time limit cut the episode.
        """
