"""An agent that knows the rules and the generator of gridworlds, but not the map it is in.

It acts greedily on the values of `vamdp.baselines.grids.beliefs_learner`: first it searches for the
goal, then it returns there as often as its steps allow. It does not plan for the evidence that it
might gain, so a better agent is possible.
"""

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import check_not_negative, check_positive_integer
from vamdp.baselines.grids.beliefs_learner import GridBeliefs
from vamdp.baselines.grids.planning import N_ACTIONS
from vamdp.baselines.played_step import as_played_step, check_start
from vamdp.domains.gridworlds import GridWorlds
from vamdp.estimators.arguments import as_indices


class InformedAgent:
    """Plays gridworlds of a known distribution; the agent is deterministic.

    It breaks ties by taking the first action, so its first steps are the same in every task. This
    costs nothing, because the generator treats all directions alike.

    Args:
        distribution: The distribution of the tasks, with their size and variation.
        horizon: Steps of a meta-episode, at least 1.
        opportunity_cost: What a step could earn if the goal were known, at least 0; see
            `vamdp.baselines.grids.planning`.

    Raises:
        TypeError: `distribution` is not a `GridWorlds`.
        ValueError: A number is out of its range.

    Example:
        The goal is in a corner, so the agent moves towards one.

        >>> agent = InformedAgent(GridWorlds(11, "corner"), horizon=250)
        >>> agent.start(1, seed=0)
        >>> bool(agent.act(np.array([60])) > 0)
        True
    """

    title = "informed"
    sees: ClassVar[Literal["states"]] = "states"

    def __init__(
        self, distribution: GridWorlds, *, horizon: int, opportunity_cost: float = 5.0
    ) -> None:
        if not isinstance(distribution, GridWorlds):
            raise TypeError(
                f"`distribution` must be a vamdp.domains.GridWorlds, got {distribution!r}: this "
                "agent knows only the rules of gridworlds."
            )
        check_positive_integer("horizon", horizon)
        check_not_negative("opportunity_cost", opportunity_cost)
        self.distribution, self.horizon = distribution, int(horizon)
        self.opportunity_cost = float(opportunity_cost)
        self.start(1, seed=0)

    def start(self, n_tasks: int, seed: int) -> None:
        """Begin meta-episodes in this many new tasks, and forget the tasks before."""
        check_start(n_tasks, seed)
        tasks = self.distribution
        self._learner = GridBeliefs(
            n_tasks,
            N_ACTIONS,
            task_horizon=self.horizon,
            size=tasks.size,
            variation=tasks.variation,
            goal_distance=tasks.goal_distance,
            opportunity_cost=self.opportunity_cost,
        )

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return actions, shape (n_tasks,), for the current states.

        Raises:
            ValueError: The states have another shape, type or range.
        """
        states = as_indices("states", seen, self._learner.n_tasks, self.distribution.size**2)
        best: npt.NDArray[np.int64] = self._learner.worths(states).argmax(axis=1)
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
        """Record what each step revealed of the map; the end of an episode does not clear it.

        Raises:
            ValueError: An argument has another shape, type or range; nothing is learned.
        """
        step = as_played_step(
            self._learner.n_tasks, self.distribution.size**2, N_ACTIONS,
            states, actions, rewards, next_states, terminated, truncated,
        )  # fmt: skip
        self._learner.record(*step[:4])
