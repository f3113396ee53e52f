"""The linear learner as an `Estimator`; `linear.policy_iteration` has the equations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_limit, as_options
from vamdp.estimators.arguments import as_flags, as_masks, as_new_tasks, as_transitions
from vamdp.estimators.linear.features import Features
from vamdp.estimators.linear.options import LinearOptions
from vamdp.estimators.linear.policy_iteration import (
    BY_STEP,
    Fit,
    allocate,
    learn_each,
    read_each,
)
from vamdp.estimators.present_masks import PresentMasks
from vamdp.estimators.q_rows import QRows
from vamdp.estimators.scaled_distances import check_n_scales
from vamdp.estimators.state_arguments import as_coordinates

#: Initial capacity for transitions; it doubles when full.
FIRST_CAPACITY = 16


class LinearLearner(QRows):
    """Linear Q of the greedy policy in n_tasks independent tasks, an `Estimator`.

    States are d real numbers. Its parts are those of `q_parts`. Estimates of Q are limited to what
    the observed rewards allow: from min(0, lowest) / (1 - gamma) to max(0, highest) / (1 - gamma).
    The count of an action is the number of its past steps, each weighted by the squared cosine
    between that step's features and the state's. With one-hot features these are the visits.

    All transitions of a task are stored, 16 k + A + 16 bytes each, which suits thousands of steps
    but not millions. With the built-in features, each row equals a batch of one bit for bit.

    A mask holds only for the state it was given for: when it is the current state, and in the
    transition that led to it. In all other states all actions count as allowed.

    Args:
        n_tasks: Number of tasks, at least 1.
        n_actions: Number of actions A, at least 1, the same in all tasks.
        **options: The fields of `LinearOptions`.

    Raises:
        ValueError: An option is out of range.
        TypeError: An option is unknown, or `features` has the wrong type.

    Example:
        >>> learner = LinearLearner(1, 2, gamma=0.5, regularisation=1.0, features=np.ones_like)
        >>> learner.update([[0.0]], [1], [6.0], [[1.0]], [False])
        >>> learner.q_values([[3.0]]).tolist()  # (1 + 1) w = 6: action 0 was greedy at w = 0
        [[0.0, 3.0]]
        >>> learner.update([[0.0]], [1], [6.0], [[1.0]], [False])
        >>> learner.q_values([[3.0]]).tolist()  # (2 + 1 - 2 * 0.5) w = 12
        [[0.0, 6.0]]
    """

    #: States are real-valued observations, see `Estimator`.
    takes_reals = True
    #: Features are of coordinates, see `Estimator`.
    has_axes = True

    def __init__(self, n_tasks: int, n_actions: int, **options: Any) -> None:
        super().__init__(n_tasks, n_actions)
        self.options = o = as_options(LinearOptions, options)
        self._rule = (
            float(o.gamma), float(o.regularisation), as_limit(o.n_improvements),
            as_limit(o.improve_every),
        )  # fmt: skip
        self._features = Features(o)
        self._n_coordinates: int | None = None  # known from the first state on
        self._masks = PresentMasks(self.n_tasks, self.n_actions)
        self._fit: Fit | None = None  # allocated when the first features arrive

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget the tasks in `rows`; seeds are ignored, because all tasks share the features."""
        self.forget(as_new_tasks(rows, seeds, self.n_tasks))

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Store the masks of the first states in `rows`."""
        which = as_flags("rows", rows, self.n_tasks)
        coordinates = self._coordinates(states)
        if action_masks is not None:
            masks = as_masks("action_masks", action_masks, (self.n_tasks, self.n_actions))
            self._masks.note(which, coordinates, masks)

    def update(
        self,
        states: npt.ArrayLike,
        actions: npt.ArrayLike,
        rewards: npt.ArrayLike,
        next_states: npt.ArrayLike,
        terminated: npt.ArrayLike,
        next_action_masks: npt.ArrayLike | None = None,
    ) -> None:
        """Learn one transition of each task; the arguments are `BatchValueEstimator.update`'s.

        Raises:
            ValueError: An argument or its features have the wrong shape, type or range; nothing is
                learned.
        """
        now, taken, paid, then, ends, masks = as_transitions(
            self.n_tasks, self.n_actions, self._n_coordinates,
            states, actions, rewards, next_states, terminated, next_action_masks,
        )  # fmt: skip
        phi, next_phi = self._features(now), self._features(then)
        fit = self._with_room(phi.shape[1])
        self._n_coordinates = now.shape[1]
        learn_each(phi, taken, paid, next_phi, ends, masks, *self._rule, *fit)
        if masks.size:
            self._masks.note(~ends, then, masks)

    def forget(self, tasks: npt.NDArray[np.bool_] | None = None) -> None:
        """Forget the tasks marked in `tasks` (n_tasks,), or all."""
        which = as_flags("tasks", tasks, self.n_tasks)
        self._masks.forget(which)
        if self._fit is not None:
            self._fit.n_steps[which] = 0

    def _coordinates(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        coordinates = as_coordinates("states", states, self.n_tasks, self._n_coordinates)
        check_n_scales(self.options.scales, coordinates.shape[1])
        self._n_coordinates = coordinates.shape[1]
        return coordinates

    def _with_room(self, n_features: int) -> Fit:
        """Return what was learned, with room for one more transition in each task."""
        old = self._fit or allocate(self.n_tasks, self.n_actions, n_features, FIRST_CAPACITY)
        capacity = old.phi.shape[1]
        if old.n_steps.max() == capacity:
            # Copy only the arrays that grow with the steps; the systems of equations are large.
            longer = {}
            for name in BY_STEP:
                array = getattr(old, name)
                longer[name] = np.concatenate([array, np.zeros_like(array)], axis=1)
            old = old._replace(**longer)
        self._fit = old
        return old

    def _look_up(
        self, states: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        coordinates = self._coordinates(states)
        phi = self._features(coordinates)
        Q, counts = np.zeros((2, self.n_tasks, self.n_actions))
        if self._fit is not None:
            fit = self._fit
            read_each(
                phi, self._rule[0], fit.n_steps, fit.lowest, fit.highest, fit.w, fit.alike,
                Q, counts,
            )  # fmt: skip
        return Q, counts, self._masks.masked(coordinates)
