"""The base class of agents with a posterior: when they plan, and how they act on the plan.

A subclass defines how models of the tasks are made from the posterior. The agent plans with these
models over the steps left in the episode, and takes the action with the largest Q. With several
models of a task, Q is the maximum over the models. Ties are broken at random: the sources do not
specify it, and the lowest index would favour some actions in tasks whose actions have an order.

The agent plans once at the start of each episode, or at each step with the data up to that step. In
random MDPs of 128 to 1024 steps, planning at each step costs about four times as much and scores up
to 5 % more with every kind of agent. It is the default of all but posterior sampling, which by
definition keeps its sample for a whole episode.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_positive_integer
from vamdp.baselines.played_step import as_played_step, check_start
from vamdp.baselines.tabular.planning import Models, plan, q_values
from vamdp.baselines.tabular.posterior import Posterior, as_prior
from vamdp.baselines.tabular.ties import best_actions
from vamdp.estimators.arguments import as_indices

#: When an agent plans.
Replan = Literal["episode", "step"]


class PlanningAgent(ABC):
    """Acts by planning in models made from its posterior; a subclass makes the models.

    Args:
        n_states: Number of states S of each task.
        n_actions: Number of actions A of each task.
        task_horizon: Steps after which an episode is cut, and the largest number of steps planned
            ahead, at least 1. If an episode lasts longer, planning starts over as in a new one.
        replan: Plan at the start of each "episode" or at each "step".
        prior: The fields of `Prior` that differ from their defaults.
        n_models: Number of models per task.

    Raises:
        ValueError: An argument is out of its range.
        TypeError: A field of the prior is unknown.
    """

    sees: ClassVar[Literal["states"]] = "states"

    def __init__(
        self,
        n_states: int,
        n_actions: int,
        task_horizon: int,
        replan: Replan,
        prior: Mapping[str, float],
        n_models: int = 1,
    ) -> None:
        check_positive_integer("n_states", n_states)
        check_positive_integer("n_actions", n_actions)
        check_positive_integer("task_horizon", task_horizon)
        if replan not in get_args(Replan):
            raise ValueError(f'`replan` must be "episode" or "step", got {replan!r}.')
        self.n_states = n_states
        self.n_actions = n_actions
        self.task_horizon = task_horizon
        self.replan = replan
        self.n_models = n_models
        self.prior = as_prior(prior)
        self.start(1, seed=0)

    @property
    @abstractmethod
    def title(self) -> str:
        """The agent's name in tables and figures."""

    @abstractmethod
    def _make_models(self, tasks: npt.NDArray[np.intp]) -> None:
        """Write P, R and radius of the listed tasks into `self._models`; leave V and g alone.

        The posterior is `self._posterior`; random numbers come from `self._rng`.
        """

    def start(self, n_tasks: int, seed: int) -> None:
        """Begin meta-episodes in this many new tasks, and forget the tasks before."""
        check_start(n_tasks, seed)
        sizes = (self.n_states, self.n_actions)
        self._rng = np.random.default_rng(seed)
        self._posterior = Posterior(n_tasks, *sizes, self.prior)
        self._models = Models.empty(self.n_models, n_tasks, *sizes, self.task_horizon)
        self._clock = np.zeros(n_tasks, np.int64)  # steps since the episode began
        self._needs_plan = np.ones(n_tasks, np.bool_)
        self._n_steps = 0  # of the meta-episode

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the plan's best actions, shape (n_tasks,)."""
        return best_actions(self.q_values(seen), self._rng)

    def q_values(self, states: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the agent's estimates of its action values until the episode ends.

        It plans first for tasks that need a new plan.

        Args:
            states: The current states, shape (n_tasks,).

        Returns:
            Q, shape (n_tasks, A).

        Raises:
            ValueError: The states have another shape, type or range.
        """
        states = as_indices("states", states, self._clock.size, self.n_states)
        steps_to_go = self.task_horizon - self._clock
        tasks = self._needs_plan.nonzero()[0]
        if tasks.size:
            self._make_models(tasks)
            self._models.goes_on[tasks] = self._posterior.goes_on[tasks]
            plan(self._models, tasks, steps_to_go)
            self._needs_plan[:] = False
        best: npt.NDArray[np.float64] = q_values(self._models, states, steps_to_go).max(axis=0)
        return best

    def learn(
        self,
        states: npt.NDArray[np.int64],
        actions: npt.NDArray[np.int64],
        rewards: npt.NDArray[np.float64],
        next_states: npt.NDArray[np.int64],
        terminated: npt.NDArray[np.bool_],
        truncated: npt.NDArray[np.bool_],
    ) -> None:
        """Learn from one transition of each task; all arrays have shape (n_tasks,).

        Raises:
            ValueError: An argument has another shape, type or range; nothing is learned.
        """
        step = as_played_step(
            self._clock.size, self.n_states, self.n_actions,
            states, actions, rewards, next_states, terminated, truncated,
        )  # fmt: skip
        self._posterior.learn(
            step.states, step.actions, step.rewards, step.next_states, step.terminated
        )
        self._n_steps += 1
        self._clock += 1
        begins = step.terminated | step.truncated | (self._clock == self.task_horizon)
        self._clock[begins] = 0
        self._needs_plan |= begins if self.replan == "episode" else True
